"""The files that `lrcn nets write` writes: nets and solvers as text, with a header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from netspecs import catalogue, published
from netspecs.origins import defaults, edition
from netspecs.variant import Variant
from prototxt_gen import to_text


def texts(name: str, settings: Mapping[str, Any], every_edition: bool = False) -> dict[Path, str]:
    """Path -> text of a net's files with these settings; of all its splits or stages.

    Raises SpecError as `Variant.settings`.
    """
    variant = catalogue.get(name)
    made: dict[Path, str] = {}
    for folder, chosen in (variant.every_edition() if every_edition else {"": {}}).items():
        whole = chosen | dict(settings)
        which = edition(variant, whole)
        title = f"{name}, {variant.paper}" + "".join(f", {key} {value}" for key, value in which.items())
        above = header(title, differences(variant, whole))
        for kind, message in variant.files(**whole).items():
            made[Path(name) / folder / f"{kind}.prototxt"] = to_text(message, above)
    return made


def published_texts() -> dict[Path, str]:
    """Path -> text of the authors' files, with a header that names what is left out."""
    made: dict[Path, str] = {}
    for path, message in published.files().items():
        notes = []
        if missing := published.FORK_ONLY.get(path):
            notes = ["Left out, because only the authors' fork of Caffe has it:", *(f"  {field}" for field in missing)]
        made[Path(path)] = to_text(message, header(f"{path}: what the authors' file of this name says.", "", notes))
    return made


def header(title: str, differing: str, notes: Sequence[str] = ()) -> str:
    """What stands at a file's top: what it is, which lrcn wrote it, and with which settings not as published."""
    by = f"lrcn {version('lrcn')}" + (f"; not as published: {differing}" if differing else "")
    return "\n".join([title, by, *notes])


def differences(variant: Variant, settings: Mapping[str, Any]) -> str:
    """The settings that are not as published, "units=512 (256), videos=8 (24)"; but for which split or stage it is."""
    chosen, usual = variant.settings(**settings), defaults(variant, settings)
    return ", ".join(
        f"{name}={shown(chosen[name])} ({shown(usual[name])})" for name in chosen if chosen[name] != usual[name]
    )


def shown(value: Any) -> str:
    """A setting's value as it is shown: 0.5, true, [96, 384], train."""
    return json.dumps(value, ensure_ascii=False).strip('"')
