"""A trained net, from a run's folder or a .caffemodel from anywhere: what activity recognition and description take."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netspecs.variant import Variant
from prototxt_gen import SpecError


@dataclass(frozen=True)
class TrainedNet:
    """A variant with its settings and weights (.caffemodel).

    folder: where what is computed with it is kept. classes: of activity recognition, in the order of labels.
    vocabulary: the file of the words that it says. fps, flow: of the videos that it was trained on, as their
    dataset.json has them; None where all frames were taken, and where there was no flow.
    """

    variant: Variant
    settings: Mapping[str, Any]
    weights: Path
    folder: Path
    classes: Sequence[str] = ()
    vocabulary: Path | None = None
    fps: float | None = None
    flow: Mapping[str, Any] | None = None

    @property
    def training(self) -> str | None:
        """Which of a captioner's trainings it comes from; None for nets that have one only."""
        return self.settings.get("stage")

    @property
    def row(self) -> str:
        """Its row in a table: a captioner's is LRCN-2f where it is fine-tuned, as the paper's; after another training
        lrcn-2f-train and the like."""
        return self.variant.row + ("" if self.training in ("finetune", None) else f"-{self.training}")


def digest(path: Path) -> str:
    """SHA-256 of a file of weights. SpecError where it cannot be read."""
    content = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(1 << 22):
                content.update(piece)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}; --weights takes a .caffemodel") from None
    return content.hexdigest()
