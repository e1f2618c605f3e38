"""The files that `lrcn nets write` writes: nets and solvers as text, with a header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspecs import catalogue, published
from netspecs.origins import edition
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
        for kind, message in variant.files(**whole).items():
            made[Path(name) / folder / f"{kind}.prototxt"] = to_text(message, header=title)
    return made


def published_texts() -> dict[Path, str]:
    """Path -> text of the authors' files, with a header that names what is left out."""
    made: dict[Path, str] = {}
    for path, message in published.files().items():
        header = f"{path}: what the authors' file of this name says."
        if missing := published.FORK_ONLY.get(path):
            header += "\nLeft out, because only the authors' fork of Caffe has it:\n  " + "\n  ".join(missing)
        made[Path(path)] = to_text(message, header=header)
    return made


def shown(value: Any) -> str:
    """A setting's value as it is shown: 0.5, true, [96, 384], train."""
    return json.dumps(value, ensure_ascii=False).strip('"')
