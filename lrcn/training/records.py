"""What a run's folder says of itself, in JSON: the kinds of what is written, which is held against them when it is
read."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from msgspec import Meta

MARK, NOTE, DEVICES = "run.json", "stage.json", "devices.json"


class _Identity(TypedDict):
    weights: str | list[str] | None
    data_set: Any  # an earlier lrcn noted the data set's description


class Mark(_Identity, total=False):
    """run.json. Of given weights it has no net."""

    solver: str
    train_test: str
    precision: str
    fast: bool


class _Stage(TypedDict):
    variant: str
    settings: dict[str, Any]
    classes: list[str]


class Note(_Stage, total=False):
    """stage.json; the optional parts are of the data set."""

    fps: float | None
    flow: dict[str, Any] | None
    data_set: Any
    extracted: Any


_OnGpu = TypedDict("_OnGpu", {"from": Annotated[int, Meta(ge=0)], "gpu": dict[str, Any] | None})


class Stretch(_OnGpu, total=False):
    """Of devices.json."""

    threads: Annotated[int, Meta(ge=1)]
