"""Scores of trained nets, what follows from them, and the files that hold it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.children import python
from data_prep.dataset import Dataset
from data_prep.features import read_videos
from data_prep.whole_files import write_text
from data_prep.workers import Counted
from lrcn.engine.compute import Compute
from lrcn.engine.process import Caffe
from lrcn.pixels import Transform
from lrcn.results import compare, confusion, palette, pictures
from lrcn.results.published import TABLE1_ROWS
from lrcn.results.significance import sign_test
from lrcn.trained_net import TrainedNet, digest, name_of
from prototxt_gen import to_text

MODALITIES = ("rgb", "flow")
AVERAGES = {"average_1/2_1/2": 1 / 2, "average_1/3_2/3": 1 / 3}  # weight of RGB
STRIDE = 8  # published: a clip every 8 frames
SWEEP = [round(0.05 * step, 2) for step in range(21)]  # weights of RGB
# Which crops of flow have x negated: the mirrored ones; or, as the released classify_video.py has it for single frames,
# the rows from the sixth on of all crops that go through the net at once; or, as for its LRCN, none.
NEGATIONS = ("mirrored", "rows-6-up", "never")
FRAMES = {  # how a video's score follows from its frames' (videos, frames, classes)
    "mean": lambda probs: probs.mean(1),
    "last": lambda probs: probs[:, -1],
}


@dataclass(frozen=True)
class Scoring:
    """How test videos are shown and scored; otherwise than by default as the release's classify_video.py does.

    frames: a clip's score is the "mean" of its frames', as published, or its "last" one's. strides: from clip to clip;
    the scores are averaged over several. mean_slip: RGB less the script's mean, 128.68 for red, whatever the net was
    trained with. flow_negation: one of NEGATIONS.
    """

    frames: str = "mean"
    strides: Sequence[int] = (STRIDE,)
    mean_slip: bool = False
    flow_negation: str = NEGATIONS[0]

    @property
    def ending(self) -> str:
        """What the names of files end in that hold something else than the published evaluation."""
        return self.ending_of_scores + (f"_{self.frames}" if self.frames != "mean" else "")

    @property
    def ending_of_scores(self) -> str:
        strides = sorted(set(self.strides))
        return (
            (f"_stride{'-'.join(map(str, strides))}" if strides != [STRIDE] else "")
            + ("_mean-slip" if self.mean_slip else "")
            + (f"_{self.flow_negation}" if self.flow_negation != NEGATIONS[0] else "")
        )

    @property
    def description(self) -> dict[str, Any]:
        """What results.json says of it under "evaluation"."""
        slips = {"mean_slip": self.mean_slip, "flow_negation": self.flow_negation}
        others = {name: value for name, value in slips.items() if value not in (False, NEGATIONS[0])}
        return {"frames": self.frames, "strides": sorted(set(self.strides)), **others}


# ---- scores ------------------------------------------------------------------------------------------------


def score_net(net: TrainedNet, compute: Compute, scoring: Scoring = Scoring()) -> Path:
    """Scores the test videos with a trained net, at all strides, and gives the file, for `score.load`; goes on where an
    earlier call stopped. Raises CaffeError."""
    settings = net.settings
    dataset = Dataset(settings["data"])
    job = net_job(net, scoring) | {
        "data": settings["data"],
        "list": f"test{settings['split']}.txt",
        "split": settings["split"],
        "labels": test_labels(dataset, settings["split"]).tolist(),
        "data_set": dataset.identity(net.variant.modality, settings["split"]),
    }
    job["stamp"] = dataset.stamp(job["modality"], settings["split"])
    if job["modality"] is None:
        job["sequences"] = [len(x) for x in read_videos(dataset.folder, "test", settings["split"])[0]]
    if job["modality"] is None or job["frames"] == 1:  # no clips: every frame is seen once
        job |= {"strides": [job["frames"]]}
        path = net.folder / f"scores{replace(scoring, strides=[STRIDE]).ending_of_scores}.npz"
    else:
        job |= {"strides": sorted(set(scoring.strides))}
        path = net.folder / f"scores{scoring.ending_of_scores}.npz"
    run_score(net, job, path, compute, f"{name_of(net.folder)}: test videos")
    return path


def run_score(net: TrainedNet, job: dict, path: Path, compute: Compute, title: str) -> None:
    """Runs `score` on a net's deploy net until `path` holds the job's scores. title: of its progress. Raises
    CaffeError."""
    deploy = to_text(net.variant.files(**net.settings)["deploy"])
    deploy_file = path.with_name(f"deploy_{path.stem}.prototxt")
    write_text(deploy_file, deploy)
    job = {
        "keep_clips": False,
        **job,
        "deploy": str(deploy_file.resolve()),
        "deploy_sha256": hashlib.sha256(deploy.encode()).hexdigest(),
        "weights": str(net.weights.resolve()),
        "sha256": digest(net.weights),
        **compute.device,
        "out": str(path.resolve()),
    }
    job_file = path.with_name(f"job_{path.stem}.json")
    write_text(job_file, json.dumps(job) + "\n")
    log = path.parent / "logs" / "evaluate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    compute = compute.keeping(net.algorithms)
    with Caffe(compute, python("lrcn.activity.score", job_file), log, talks=True) as caffe:
        for line in caffe.lines():
            compute.progress(Counted(title, "videos"), *map(int, line.split()))


def net_job(net: TrainedNet, scoring: Scoring = Scoring()) -> dict[str, Any]:
    """What `score` is told of a net: frames and clips that it is given at once, and how it sees pixels; modality None:
    activations."""
    variant, settings = net.variant, net.settings
    slip = {"mean_slip": True} if scoring.mean_slip else {}
    transform = Transform.of(variant, dict(settings) | slip)
    if transform is None:
        return {"modality": None, "frames": settings["frames"], "clips": settings["videos"], "workers": 1}
    frames, clips = settings["frames"], settings["deploy_clips"]
    if variant.reads == "frames":
        frames, clips = 1, frames * clips
    keys = ("modality", "mean", "scale", "crop", "height", "width", "mirror")
    pixels = {key: getattr(transform, key) for key in keys}
    job = {**pixels, "frames": frames, "clips": clips, "workers": settings["workers"]}
    if transform.modality == "flow" and scoring.flow_negation != NEGATIONS[0]:
        job["flow_negation"] = scoring.flow_negation
    return job


def test_labels(dataset, split: int) -> np.ndarray:
    """The classes of the test videos, (videos,)."""
    if dataset.kind == "features":
        return read_videos(dataset.folder, "test", split)[1]
    return np.array([video.label for video in dataset.videos(split, "test")])


# ---- what follows from them --------------------------------------------------------------------------------


def percent(probs: np.ndarray, labels: np.ndarray) -> float:
    """Percent of the videos whose highest score (videos, classes) is their class's."""
    return round(100 * float((probs.argmax(-1) == labels).mean()), 2)


def measure(probs: np.ndarray, labels: np.ndarray, classes: list[str]) -> dict:
    """Accuracy in percent, per class (None where it has no video) and over all videos, and the confusion matrix (row:
    true class, column: answer), of scores (videos, classes)."""
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, probs.argmax(1)), 1)
    videos = confusion.sum(1)
    return {
        "accuracy": round(100 * np.trace(confusion) / len(labels), 2),
        "videos": len(labels),
        "per_class": {
            name: round(100 * confusion[i, i] / videos[i], 2) if videos[i] else None for i, name in enumerate(classes)
        },
        "confusion": confusion.tolist(),
    }


def with_averages(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores of each modality {"rgb": ..., "flow": ...} and, where both are there, p RGB + (1 - p) flow."""
    if not set(MODALITIES) <= scores.keys():
        return scores
    return scores | {name: p * scores["rgb"] + (1 - p) * scores["flow"] for name, p in AVERAGES.items()}


def measure_model(scores: dict[str, np.ndarray], labels: np.ndarray, classes: list[str], frames: str = "mean") -> dict:
    """The measures of each modality in `scores` {"rgb": (videos, frames, classes), ...} and, where both are there, of
    their averages. frames: a video's score is the "mean" of its frames' (as published), or its clips' "last" one's."""
    flat = {modality: FRAMES[frames](probs) for modality, probs in scores.items()}
    return {name: measure(probs, labels, classes) for name, probs in with_averages(flat).items()}


def most_confused(confusion, classes: list[str], most: int = 10) -> list[dict]:
    """The pairs of a confusion matrix with the most videos of `class` taken for `answer`, most first; `percent` of the
    class's videos."""
    counts = np.array(confusion)
    wrong = counts - np.diag(np.diag(counts))
    pairs = [(int(wrong[i, j]), i, j) for i, j in np.argwhere(wrong)]
    return [
        {"class": classes[i], "answer": classes[j], "videos": n, "percent": round(100 * n / int(counts[i].sum()), 2)}
        for n, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:most]
    ]


def over_time(scores: dict[str, np.ndarray], labels: np.ndarray, hits: dict[str, np.ndarray]) -> dict[str, dict]:
    """Does the net gain with t? Percent right by frame t of the clip alone, for each modality and the averages.

    scores (videos, T, classes) give "video": all clips of a video are averaged at their frame t. hits (T,), percent,
    are those of single clips: "clip".
    """
    by_column = {}
    for column, probs in with_averages(scores).items():
        by_column[column] = {"video": [percent(probs[:, t], labels) for t in range(probs.shape[1])]}
        if column in hits:
            by_column[column]["clip"] = [round(float(value), 2) for value in hits[column]]
    return by_column


def fusion_sweep(scores: dict[str, np.ndarray], labels: np.ndarray, frames: str = "mean") -> dict:
    """Accuracy of p RGB + (1 - p) flow for p from 0 to 1: {"rgb_weight": [...], "accuracy": [...]}."""
    rgb, flow = (FRAMES[frames](scores[modality]) for modality in MODALITIES)
    return {"rgb_weight": SWEEP, "accuracy": [percent(p * rgb + (1 - p) * flow, labels) for p in SWEEP]}


def paired(scores: dict[str, dict[str, np.ndarray]], labels: np.ndarray, frames: str = "mean") -> dict[str, dict]:
    """Each LRCN against single frames on the same videos, by column: {model: {column: {"against", "both", "this",
    "other", "neither", "p_value"}}}: how many videos both have right, this model alone, the other alone, neither; and
    how likely so uneven a share of those that one alone has right would be by chance."""
    right = {
        model: {
            column: probs.argmax(-1) == labels
            for column, probs in with_averages(
                {name: FRAMES[frames](each) for name, each in by_modality.items()}
            ).items()
        }
        for model, by_modality in scores.items()
    }
    base = TABLE1_ROWS[0]
    return {
        model: {
            column: _shared(hits, right[base][column]) | {"against": base}
            for column, hits in columns.items()
            if column in right[base]
        }
        for model, columns in right.items()
        if base in right and model != base
    }


def _shared(this: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    alone, others = int((this & ~other).sum()), int((other & ~this).sum())
    return {
        "both": int((this & other).sum()),
        "this": alone,
        "other": others,
        "neither": int((~this & ~other).sum()),
        "p_value": sign_test(alone, others),
    }


# ---- the files ---------------------------------------------------------------------------------------------


def summarise(scores: dict[str, dict], hits: dict[str, dict], labels, classes, frames: str = "mean") -> dict:
    """Everything that follows from the scores {model: {modality: (videos, T, classes)}}: models, confused pairs,
    accuracy over time, fusion sweeps, LRCN against single frames."""
    models = {model: measure_model(by_modality, labels, classes, frames) for model, by_modality in scores.items()}
    return {
        "models": models,
        "confused": {
            model: {column: most_confused(measured["confusion"], classes) for column, measured in columns.items()}
            for model, columns in models.items()
        },
        "over_time": {
            model: over_time(by_modality, labels, hits[model])
            for model, by_modality in scores.items()
            if any(probs.shape[1] > 1 for probs in by_modality.values())
        },
        "fusion": {
            model: fusion_sweep(by_modality, labels, frames)
            for model, by_modality in scores.items()
            if set(MODALITIES) <= by_modality.keys()
        },
        "paired": paired(scores, labels, frames),
    }


def write_reports(summary: dict, about: dict, out: Path, ending: str = "") -> None:
    """Tables and pictures of a `summarise`, in the folder `out`; their names end in `ending`.

    per_class.tsv, confused.tsv, over_time.tsv, fusion.tsv; PNG and PDF: over_time, fusion, confusion_MODEL_COLUMN and,
    of many classes, confused_MODEL_COLUMN. about: {"name", "classes", "test_videos", "split"} of the data set.
    """
    _write_tables(summary, about["classes"], out, ending)
    classes, data = about["classes"], compare.data_in_words(about)
    for model, column, measured in _columns(summary):
        title = f"{palette.title(model)}, {palette.title(column)}"
        name = f"{model}_{column.replace('/', '')}{ending}.png"
        confusion.draw(measured, classes, title, data, out / f"confusion_{name}")
        if len(classes) > confusion.NUMBERED and measured["accuracy"] < 100:
            confusion.draw_zoomed(measured, classes, title, data, out / f"confused_{name}")
    if summary["over_time"]:
        pictures.over_time(summary["over_time"], len(classes), data, out / f"over_time{ending}.png")
    if summary["fusion"]:
        pictures.fusion(summary["fusion"], len(classes), data, out / f"fusion{ending}.png")


def _columns(summary: dict) -> list[tuple[str, str, dict]]:
    """Model, column and what was measured of it."""
    return [(model, column, of) for model, columns in summary["models"].items() for column, of in columns.items()]


def _write_tables(summary: dict, classes: list[str], out: Path, ending: str) -> None:
    columns = _columns(summary)
    videos = np.sum(columns[0][2]["confusion"], axis=1).tolist() if columns else []
    per_class = [["class", "videos", *(f"{model} {column}" for model, column, _ in columns)]]
    per_class += [
        [name, count, *(measured["per_class"][name] for _, _, measured in columns)]
        for name, count in zip(classes, videos)
    ]
    _write_table(out / f"per_class{ending}.tsv", per_class)
    _write_table(
        out / f"confused{ending}.tsv",
        [["model", "column", "class", "answer", "videos", "percent"]]
        + [
            [model, column, *pair.values()]
            for model, column, _ in columns
            for pair in summary["confused"][model][column]
        ],
    )
    if summary["over_time"]:
        _write_table(
            out / f"over_time{ending}.tsv",
            [["model", "column", "of", "frame", "percent"]]
            + [
                [model, column, kind, t, value]
                for model, by_column in summary["over_time"].items()
                for column, kinds in by_column.items()
                for kind, values in kinds.items()
                for t, value in enumerate(values, 1)
            ],
        )
    if summary["fusion"]:
        _write_table(
            out / f"fusion{ending}.tsv",
            [["model", "rgb_weight", "percent"]]
            + [
                [model, *point]
                for model, sweep in summary["fusion"].items()
                for point in zip(sweep["rgb_weight"], sweep["accuracy"])
            ],
        )


def _write_table(path: Path, rows: list[list]) -> None:
    """Tab-separated; None, of a class without videos, is "-"."""
    write_text(path, "".join("\t".join("-" if cell is None else str(cell) for cell in row) + "\n" for row in rows))
