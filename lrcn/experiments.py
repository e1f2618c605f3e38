"""The trainings that belong together: which nets, in which order, from whose weights, with which settings.

A net of the catalogue is an experiment too: on video frames, an LRCN is preceded by the single-frame net whose weights it starts from (paper, section 4.1).
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from data_prep.store import Dataset
from netspecs import catalogue
from prototxt_gen import SpecError


@dataclass(frozen=True)
class Stage:
    """One net to train: a variant's name, what is set otherwise than published, and the variant whose weights it starts from."""

    variant: str
    settings: dict = field(default_factory=dict)
    start: str | None = None

    @property
    def folder(self) -> str:
        return self.variant.split("/")[1]

    @property
    def model(self) -> str:
        """The row of Table 1: single-frame, lrcn-fc6, lrcn-fc7."""
        return self.folder.rpartition("-")[0]

    @property
    def modality(self) -> str:
        return self.folder.rpartition("-")[2]


_TINY = {"backbone": "tiny", "crop": 56, "order": "shuffle", "workers": 2}
_TINY_SINGLE = {**_TINY, "batch": 64}
_TINY_LRCN = {**_TINY, "videos": 16, "units": 64}

EXPERIMENTS = {
    "demo": [
        Stage("activity/single-frame-rgb", _TINY_SINGLE),
        Stage("activity/single-frame-flow", _TINY_SINGLE),
        Stage("activity/lrcn-fc6-rgb", _TINY_LRCN, "activity/single-frame-rgb"),
        Stage("activity/lrcn-fc6-flow", _TINY_LRCN, "activity/single-frame-flow"),
    ],
    "features": [
        Stage("activity/single-frame-rgb", {"max_iter": 300}),
        Stage("activity/lrcn-fc6-rgb", {"max_iter": 300}),
    ],
}


def stages(experiment: str) -> list[Stage]:
    """The stages of an experiment, or of a net of the catalogue with what it starts from. Raises SpecError for an unknown name."""
    if experiment in EXPERIMENTS:
        return EXPERIMENTS[experiment]
    catalogue.get(experiment)
    stage = Stage(experiment)
    if not stage.model.startswith("lrcn"):
        return [stage]
    single = f"activity/single-frame-{stage.modality}"
    return [Stage(single), Stage(experiment, start=single)]


def settings(stage: Stage, dataset: Dataset, split: int = 1, changes: dict | None = None) -> dict:
    """Everything that a stage's net is made of: the published values, then the data set's, the stage's, and the user's."""
    variant = catalogue.get(stage.variant)
    ours = {"data": str(Path(dataset.folder).resolve()), "classes": len(dataset.classes), "split": split}
    if dataset.kind == "features":
        ours |= {"backbone": "features", "feature_size": dataset.description["feature_size"],
                 "frames": dataset.description["frames"]}
    else:
        ours |= {"height": dataset.height, "width": dataset.width, "mirror": dataset.mirror, "deploy_crops": 10 if dataset.mirror else 5}
    asked = {name: value for name, value in (changes or {}).items() if name in variant.defaults}
    return variant.settings(**{name: value for name, value in {**ours, **stage.settings, **asked}.items() if name in variant.defaults})


def check_changes(chosen: list[Stage], changes: dict) -> None:
    """Refuses a setting that no net of the experiment has."""
    import difflib

    known = {name for stage in chosen for name in catalogue.get(stage.variant).defaults}
    for name in changes.keys() - known:
        near = difflib.get_close_matches(name, known, 1, 0)
        raise SpecError(f"--set {name}: no such setting; did you mean {near[0]!r}?")
