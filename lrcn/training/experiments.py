"""The trainings that belong together: which nets, in which order, from whose weights, with which settings.

A net of the catalogue is an experiment too: on video frames, an LRCN is preceded by the single-frame net whose weights
it starts from (paper, section 4.1); a captioner is trained in stages, each of which is a training with a folder of its
own (paper, section 5).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.dataset import Dataset
from data_prep.whole_files import write_bytes, write_json
from netspecs import catalogue
from prototxt_gen import SpecError, nearest


@dataclass(frozen=True)
class Stage:
    """One net to train: a variant's name, what is set otherwise than published, and the folder of the stage whose
    weights it starts from.

    pretrain: the part of the data set's folder that it is trained on in place of the videos (beside the folder, for a
    data set of captions); such a stage is not evaluated. name: the run's folder, where one variant is trained more than
    once.
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
    def task(self) -> str:
        return self.variant.split("/")[0]

    @property
    def model(self) -> str:
        """The row of Table 1 (single-frame, lrcn-fc6, lrcn-fc7); a net of sentences by its name (lrcn-2f)."""
        name = self.variant.split("/")[1]
        return name.rpartition("-")[0] if self.task == "activity" else name

    @property
    def modality(self) -> str | None:
        return self.variant.rpartition("-")[2] if self.task == "activity" else None

    @property
    def training(self) -> str | None:
        """Which stage of a captioner's training it is, as `lrcn train --stages` names it; None for other nets."""
        return self.settings.get("stage", "train") if self.task == "caption" else None


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
    for reads in ("fc6", "fc7")
    for modality in ("rgb", "flow")
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
    for stage in EXPERIMENTS["demo"]
    if stage.model == "lrcn-fc6"
]

# Image description on the demo's pictures (Tables 2 and 3). LSTMs of 96 units start from a range that is wider than the
# published one of 1000 as the square root of their size is smaller.
_CAPTIONS = {
    "backbone": "tiny",
    "height": 64,
    "width": 64,
    "mirror": False,  # left and right are words
    "drop6": 0.0,
    "drop7": 0.0,
    "fc8": 64,
    "cnn_lr": 1.0,
    "units": 96,
    "embedding": 64,
    "init": 0.3,
    "loss_weight": 1.0,
    "type": "Adam",
    "lr_policy": "step",
    "gamma": 0.3,
    "average_loss": 20,
    "test_iter": 3,
    "test_interval": 100,
    "display": 25,
    "snapshot": 200,
}


def _captioner(name: str, finetune: int) -> list[Stage]:
    frozen = _CAPTIONS | {"stage": "train", "base_lr": 0.003, "stepsize": 200, "max_iter": 200}
    whole = _CAPTIONS | {"stage": "finetune", "base_lr": 0.002, "stepsize": finetune * 7 // 8, "max_iter": finetune}
    return [
        Stage(f"caption/{name}", frozen, start="pretrain-rgb"),
        Stage(f"caption/{name}", whole, start=name, name=f"{name}-finetune"),
    ]


EXPERIMENTS["demo-captions"] = [
    Stage(
        "activity/single-frame-rgb", _PIXELS | {"max_iter": 300, "stepsize": 200, "base_lr": 0.001}, pretrain="kinds"
    ),
    *_captioner("lrcn-1u", 400),
    *_captioner("lrcn-2u", 400),
    *_captioner("lrcn-2f", 400),
    *_captioner("lrcn-4f", 800),
]

# Video description on what a CRF might say of the demo's videos (Table 5).
_VIDEO = {
    "units": 96,
    "embedding": 64,
    "init": 0.25,
    "loss_weight": 1.0,
    "type": "Adam",
    "base_lr": 0.004,
    "lr_policy": "step",
    "stepsize": 300,
    "gamma": 0.3,
    "max_iter": 500,
    "average_loss": 20,
    "test_iter": 8,
    "test_interval": 100,
    "display": 25,
    "snapshot": 250,
}

EXPERIMENTS["demo-video"] = [
    Stage(f"video/{name}", _VIDEO) for name in ("encoder-decoder-max", "decoder-max", "decoder-prob")
]

LANGUAGE_MODEL = "lm/lstm-lm"
# A captioner's trainings in their order -> those whose weights each starts from, the published one first.
STARTS: dict[str, tuple[str, ...]] = {
    "train": (),
    "from-lm": (LANGUAGE_MODEL,),
    "finetune": ("train", "from-lm"),
    "finetune-trainval": ("finetune",),
}
USUAL = ("train", "finetune")

NEED_FRAMES = ("activity/table1",)  # and weights to start from, or --from-scratch
# The folder in data/ of an experiment that is not called so itself.
DATA = {"demo-table1": "demo", "demo-captions": "demo/captions", "demo-video": "demo/semantics"}
# What nets of sentences are trained on: the kinds of data sets, and how they are made.
KINDS = {"caption": ("captions",), "video": ("semantics",), "lm": ("captions", "semantics")}
MADE = {
    "captions": "captions: `lrcn prepare captions`, coco or flickr30k",
    "semantics": "what a CRF says of videos, with sentences: `lrcn prepare tacos`",
}


def stages(
    experiment: str, rows: Sequence[str] = (), named: Sequence[str] = (), out: Path | None = None
) -> list[Stage]:
    """The stages of an experiment, or of a net of the catalogue with what it starts from; of an experiment's `rows`
    alone, where they are given, with what they start from; of captioners the trainings `named` alone.

    out: where the runs lie, for what is named without what it starts from. Raises SpecError for an unknown name.
    """
    if experiment in EXPERIMENTS:
        found = EXPERIMENTS[experiment]
    elif experiment not in catalogue.names():
        near = nearest(experiment, [*EXPERIMENTS, *catalogue.names()])
        raise SpecError(
            f"there is no experiment or net '{experiment}'"
            + (near or f"; the experiments are {', '.join(EXPERIMENTS)}")
        )
    elif catalogue.get(experiment).task != "activity":
        if rows:
            raise SpecError(f"--rows {','.join(rows)}: an experiment has rows; {experiment} is one net")
        return _sentence_stages(experiment, named, out)
    else:
        found = [Stage(experiment)]
        if found[0].model.startswith("lrcn"):
            single = Stage(f"activity/single-frame-{found[0].modality}")
            found = [single, Stage(experiment, start=single.folder)]
    there = list(dict.fromkeys(stage.model for stage in found if not stage.pretrain))
    for row in rows:
        if row not in there:
            order = ROWS if set(there) <= set(ROWS) else there
            raise SpecError(
                f"{experiment} has no row '{row}', only {', '.join(sorted(there, key=order.index))}"
                f"{nearest(row, there)}"
            )
    wanted = [stage for stage in found if not rows or stage.model in rows]
    if named:
        _check_named(experiment, named, [stage.training for stage in found if stage.training])
        wanted = [stage for stage in wanted if stage.training in named]
    # What of a captioner's trainings is not named must lie trained in OUT.
    return [stage for stage in _with_starts(found, wanted) if not named or stage.training in (None, *named)]


def _check_named(experiment: str, named: Sequence[str], there: Sequence[str]) -> None:
    """SpecError where a captioner's training is named that is not there."""
    there = [name for name in STARTS if name in there]
    if not there:
        raise SpecError(f"--stages {','.join(named)}: captioners are trained in stages; {experiment} has none")
    for name in named:
        if name not in there:
            raise SpecError(
                f"--stages: {experiment} has no stage '{name}', only {', '.join(there)}{nearest(name, there)}"
            )


def training_folder(net: str, training: str) -> str:
    """The folder of a training of the captioner `net` (lrcn-2f), or of the language model."""
    return training.split("/")[1] if "/" in training else net if training == "train" else f"{net}-{training}"


def _sentence_stages(variant: str, named: Sequence[str], out: Path | None) -> list[Stage]:
    """A language model or a net of videos by itself; a captioner in the stages named, each from the one that it starts
    from where that is named too, else from what lies in `out`."""
    captioner = catalogue.get(variant).task == "caption"
    if named:
        _check_named(variant, named, list(STARTS) if captioner else ())
    if not captioner:
        return [Stage(variant)]
    named, net = named or USUAL, variant.split("/")[1]
    if {*STARTS["finetune"], "finetune"} <= set(named):
        raise SpecError(
            f"--stages {','.join(named)}: finetune starts from one of train and from-lm; name one of them, "
            "and the other with another --out"
        )
    found = [Stage(LANGUAGE_MODEL)] if "from-lm" in named else []
    for training in STARTS:
        if training in named:
            starts = [training_folder(net, before) for before in STARTS[training]]
            there = [start for start in starts if any(start == stage.folder for stage in found)]
            there += [start for start in starts if out and (Path(out) / start / "run.json").exists()]
            name = None if training == "train" else training_folder(net, training)
            found.append(Stage(variant, {"stage": training}, next(iter([*there, *starts]), None), name=name))
    return found


def given(dataset: Dataset) -> str:
    """Whose activations a features data set holds: fc6 or fc7; others take the place of fc6."""
    blob = dataset.description.get("extracted", {}).get("blob")
    return "fc7" if blob == "fc7" else "fc6"


def on_features(found: list[Stage], dataset: Dataset) -> list[Stage]:
    """The stages of experiment `features`, by the names of what the data set holds: its modality, fc6 or fc7."""
    modality = dataset.description.get("modality", "rgb")
    return [
        Stage(stage.variant.replace("fc6", given(dataset)).replace("rgb", modality), stage.settings) for stage in found
    ]


def on_activations(found: list[Stage], dataset: Dataset, named: Sequence[str]) -> list[Stage]:
    """Those of a captioner's stages that can be trained on activations in place of images: all but fine-tuning, which
    trains the CNN. Raises SpecError where that is asked for."""
    kept = [stage for stage in found if not (stage.training or "").startswith("finetune")]
    if named and kept != found:
        raise SpecError(
            f"{dataset.folder}: holds a CNN's activations, and finetune trains the CNN; give --data the "
            "captions with images, and the same --out"
        )
    return kept


def opened(stage: Stage, dataset: Dataset) -> Dataset:
    """What a stage is trained on: the data set, or the part of it (of captions: beside it) that it is pretrained on."""
    if not stage.pretrain:
        return dataset
    base = dataset.folder
    return Dataset((Path(os.path.abspath(base)).parent if dataset.kind == "captions" else base) / stage.pretrain)


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
        ours = {"data": ours["data"], **_of_captions(stage, dataset, changes or {})}
    elif dataset.kind == "semantics":
        sizes = ("vocabulary", "steps", "streams", "slots", "slot_words", "frames", "feature_size")
        ours = {"data": ours["data"], **{name: dataset.description[name] for name in sizes}}
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


def _of_captions(stage: Stage, dataset: Dataset, changes: dict) -> dict:
    """What a data set of captions, or of captions with activations in place of images, sets of a net."""
    said = dataset.description
    ours = {name: said[name] for name in ("vocabulary", "steps", "streams")}
    if "feature_size" in said:
        if changes.get("backbone", "features") != "features":
            raise SpecError(
                f"{dataset.folder}: holds activations, and backbone={changes['backbone']} reads images; "
                "leave that setting out, or give --data the captions with images"
            )
        ours |= {"backbone": "features", "feature_size": said["feature_size"]}
    # VGG-16's two batches of 50 captions an iteration are one of 100, where the data set has them so.
    published = catalogue.get(stage.variant).settings(**stage.settings)
    if published["iter_size"] > 1:
        ours["iter_size"] = max(1, published["iter_size"] * published["streams"] // said["streams"])
    return ours


def write_note(folder: Path, stage: Stage, settings: dict, dataset: Dataset) -> None:
    """stage.json: what was trained here, so that `lrcn classify` and `lrcn caption` need nothing but the run's folder;
    for nets of sentences with a copy of the data set's vocabularies."""
    note = {"variant": stage.variant, "settings": settings, "classes": dataset.classes}
    if dataset.kind in MADE:
        for name in ("vocabulary.txt", "slot_vocabulary.txt"):
            if (dataset.folder / name).exists():
                write_bytes(Path(folder) / name, (dataset.folder / name).read_bytes())
        note |= {"data_set": dataset.name, "extracted": dataset.description.get("extracted")}
    else:
        note |= {"fps": dataset.description.get("fps"), "flow": dataset.description.get("flow")}
    write_json(Path(folder) / "stage.json", note)


def read_note(folder: Path) -> dict | None:
    """What `write_note` wrote; None where there is none."""
    try:
        note = json.loads((Path(folder) / "stage.json").read_text(encoding="utf-8"))
        return note if note["settings"] and (note["classes"] or "vocabulary" in note["settings"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
