"""The trainings that belong together: which nets, in which order, from whose weights, with which settings.

A net of the catalogue is an experiment too: on video frames, an LRCN is preceded by the single-frame net whose weights
it starts from (paper, section 4.1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.store import Dataset, write_json
from netspecs import catalogue
from prototxt_gen import SpecError, nearest


@dataclass(frozen=True)
class Stage:
    """One net to train: a variant's name, what is set otherwise than published, and the folder of the stage whose
    weights it starts from.

    pretrain: the part of the data set's folder that it is trained on in place of the videos; such a stage is not
    evaluated. name: the run's folder, where one variant is trained more than once.
    """

    variant: str
    settings: dict = field(default_factory=dict)
    start: str | None = None
    pretrain: str | None = None
    name: str | None = None

    @property
    def folder(self) -> str:
        return f"pretrain-{self.modality}" if self.pretrain else self.name or self.variant.split("/")[1]

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

ROWS = ("single-frame", "lrcn-fc6", "lrcn-fc7")

# Table 1 as published: every LRCN starts from the single-frame net of its own modality.
_TABLE1 = [Stage(f"activity/single-frame-{modality}") for modality in ("rgb", "flow")] + [
    Stage(f"activity/lrcn-{reads}-{modality}", start=f"single-frame-{modality}")
    for reads in ("fc6", "fc7") for modality in ("rgb", "flow")
]

EXPERIMENTS = {
    "activity/table1": _TABLE1,
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

# The demo's Table 1 whole: its LRCN-fc6 nets' settings do for fc7 too.
EXPERIMENTS["demo-table1"] = EXPERIMENTS["demo"] + [
    Stage(stage.variant.replace("fc6", "fc7"), stage.settings, stage.start)
    for stage in EXPERIMENTS["demo"] if stage.model == "lrcn-fc6"
]

NEED_FRAMES = ("activity/table1",)  # and weights to start from, or --from-scratch
DATA = {"demo-table1": "demo"}  # the folder in data/ of an experiment that is not called so itself


def stages(experiment: str, rows: Sequence[str] = ()) -> list[Stage]:
    """The stages of an experiment, or of a net of the catalogue with what it starts from; of an experiment's `rows`
    alone, where they are given, with what they start from.

    Raises SpecError for an unknown name or row.
    """
    if experiment in EXPERIMENTS:
        found = EXPERIMENTS[experiment]
    elif experiment not in catalogue.names():
        near = nearest(experiment, [*EXPERIMENTS, *catalogue.names()])
        raise SpecError(f"there is no experiment or net '{experiment}'"
                        + (near or f"; the experiments are {', '.join(EXPERIMENTS)}"))
    elif catalogue.get(experiment).task == "video":
        raise SpecError(f"{experiment}: video/* cannot be trained by this command so far; "
                        "`lrcn nets write` gives its nets and solver")
    elif catalogue.get(experiment).task != "activity":
        if rows:
            raise SpecError(f"--rows {','.join(rows)}: rows are Table 1's; {experiment} has none")
        return _sentence_stages(experiment)
    else:
        found = [Stage(experiment)]
        if found[0].model.startswith("lrcn"):
            single = Stage(f"activity/single-frame-{found[0].modality}")
            found = [single, Stage(experiment, start=single.folder)]
    there = {stage.model for stage in found if not stage.pretrain}
    for row in rows:
        if row not in there:
            raise SpecError(f"{experiment} has no row '{row}', only {', '.join(sorted(there, key=ROWS.index))}"
                            f"{nearest(row, there)}")
    return _with_starts(found, [stage for stage in found if not rows or stage.model in rows])


def _sentence_stages(variant: str) -> list[Stage]:
    """A language model by itself; a captioner on its frozen CNN, then fine-tuned with it (paper, section 5)."""
    if catalogue.get(variant).task == "lm":
        return [Stage(variant)]
    frozen = Stage(variant, {"stage": "train"})
    return [frozen, Stage(variant, {"stage": "finetune"}, start=frozen.folder, name=f"{frozen.folder}-finetune")]


def given(dataset: Dataset) -> str:
    """Whose activations a features data set holds: fc6 or fc7; others take the place of fc6."""
    blob = dataset.description.get("extracted", {}).get("blob")
    return "fc7" if blob == "fc7" else "fc6"


def on_features(found: list[Stage], dataset: Dataset) -> list[Stage]:
    """The stages of experiment `features`, by the names of what the data set holds: its modality, fc6 or fc7."""
    modality = dataset.description.get("modality", "rgb")
    return [Stage(stage.variant.replace("fc6", given(dataset)).replace("rgb", modality), stage.settings)
            for stage in found]


def _with_starts(found: list[Stage], wanted: list[Stage]) -> list[Stage]:
    """Those of `found` that are wanted, and those whose weights they start from, in their order."""
    names = {stage.folder for stage in wanted}
    for stage in reversed(found):
        if stage.folder in names and stage.start:
            names.add(stage.start)
    return [stage for stage in found if stage.folder in names]


def place(out: Path, stage: Stage, split: int) -> Path:
    """Where a stage's run lies: in OUT, in OUT/split2 or OUT/split3. What comes before the videos is for all splits."""
    return Path(out) / stage.folder if stage.pretrain else split_folder(out, split) / stage.folder


def split_folder(out: Path, split: int) -> Path:
    """Where the runs and results of a split lie: OUT itself for split 1."""
    return Path(out) if split == 1 else Path(out) / f"split{split}"


def settings(stage: Stage, dataset: Dataset, split: int = 1, changes: dict | None = None) -> dict:
    """Everything that a stage's net is made of: the published values, then the data set's, the stage's, and the
    user's `changes`. Without stills in an LMDB of their own, single frames are read from the frames' LMDB."""
    variant, split = catalogue.get(stage.variant), 1 if stage.pretrain else split
    ours = {"data": str(Path(dataset.folder).resolve()), "classes": len(dataset.classes), "split": split}
    if dataset.kind == "captions":
        ours = {"data": ours["data"], **{key: dataset.description[key] for key in ("vocabulary", "steps", "streams")}}
    elif dataset.kind == "features":
        ours |= {
            "backbone": "features",
            "given": given(dataset),
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
        if not (dataset.folder / f"stills_train{split}").is_dir():  # made before there were any
            ours["reader"] = "clips"
    known = {name: value for name, value in (ours | stage.settings).items() if name in variant.table}
    return variant.settings(**known | (changes or {}))


def write_note(folder: Path, stage: Stage, settings: dict, dataset: Dataset) -> None:
    """stage.json: what was trained here, so that `lrcn classify` needs nothing but the run's folder."""
    note = {"variant": stage.variant, "settings": settings, "classes": dataset.classes,
            "fps": dataset.description.get("fps"), "flow": dataset.description.get("flow")}
    write_json(Path(folder) / "stage.json", note)


def read_note(folder: Path) -> dict | None:
    """What `write_note` wrote; None where there is none."""
    try:
        note = json.loads((Path(folder) / "stage.json").read_text(encoding="utf-8"))
        return note if note["settings"] and note["classes"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
