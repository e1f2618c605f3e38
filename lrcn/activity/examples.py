"""Videos of an evaluation that are worth looking at: OUT/examples.json, what a reader is shown of them.

{"task": "activity", "by": {"model", "column"}: what they are chosen by, "videos": [{"name", "class", "why", "frames",
"fps", "thumbnails": [{"frame", "jpeg": base64}], "answers": {model: {column: [{"class", "score"}, ...]}}, "over_time":
{model: {column: {"classes", "scores": (classes, frames), None where no clip has the frame}}}, "gates": {model:
`Unrolled.drawable` and its "modality"}}]}
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.dataset import Dataset, list_text
from data_prep.features import read_videos
from data_prep.frames import small_jpeg
from data_prep.whole_files import write_text
from lrcn import pixels
from lrcn.activity import score
from lrcn.activity.classify import fused_over_time, over_time, top_classes
from lrcn.activity.clip_gates import clip_gates, clip_of, has_lstm, of_job
from lrcn.activity.evaluate import (
    AVERAGES,
    FRAMES,
    MODALITIES,
    STRIDE,
    Scoring,
    net_job,
    percent,
    run_score,
    with_averages,
)
from lrcn.engine.compute import Compute
from lrcn.engine.scratch import Scratch
from lrcn.results.compare import COLUMNS
from lrcn.results.pictures import spread
from lrcn.trained_net import TrainedNet, name_of
from prototxt_gen import SpecError

MOST = 8  # videos
LINES, TOP = 4, 3  # classes over time; of an answer
THUMBNAIL = 160  # pixels of its longer side

Scores = Mapping[str, Mapping[str, np.ndarray]]  # {model: {column: (videos, ...)}}


def choose(scores: Scores, labels: np.ndarray) -> tuple[str, str, list[tuple[int, str]]]:
    """The best LRCN, or where there is none the best net, by the last of the table's columns that it has, and that
    column; and the numbers of the videos to be shown of scores (videos, classes), each with why: where that net and the
    single-frame net differ, and where it is most wrong, right ones in the places that are left."""
    lrcns = [model for model in scores if model.startswith("lrcn")] or list(scores)
    judged = {model: max(scores[model], key=COLUMNS.index) for model in lrcns}
    model = max(lrcns, key=lambda each: (COLUMNS.index(judged[each]), percent(scores[each][judged[each]], labels)))
    column = judged[model]
    best, videos = scores[model][column], np.arange(len(labels))
    single = scores["single-frame"].get(column) if model != "single-frame" and "single-frame" in scores else None
    true, right = best[videos, labels], best.argmax(1) == labels
    groups: list[tuple[str, int, np.ndarray]] = [
        ("most wrong", 3, np.where(right, np.inf, true)),
        ("right", MOST, np.where(right, -true, np.inf)),
    ]
    if single is not None:
        also, margin = single.argmax(1) == labels, true - single[videos, labels]
        groups[:1] = [
            ("LRCN right, single frame wrong", 3, np.where(right & ~also, -margin, np.inf)),
            ("single frame right, LRCN wrong", 2, np.where(~right & also, margin, np.inf)),
            groups[0],
        ]
    chosen: dict[int, str] = {}
    for why, most, order in groups:
        there = [int(v) for v in np.argsort(order, kind="stable") if np.isfinite(order[v]) and int(v) not in chosen]
        by_class = set({int(labels[v]): v for v in there[::-1]}.values())  # the first of each
        there = [*(v for v in there if v in by_class), *there]  # of different classes first
        chosen |= dict.fromkeys(list(dict.fromkeys(there))[: min(most, MOST - len(chosen))], why)
    return model, column, list(chosen.items())


# ---- what is shown of a data set ---------------------------------------------------------------------------


class _Videos:
    """Those of these `numbers` of the test list of a data set of frames."""

    def __init__(self, dataset: Dataset, split: int, numbers: Sequence[int]):
        listed = dataset.videos(split, "test")
        self.dataset, self.split, self.videos = dataset, split, [listed[v] for v in numbers]
        self.places = list(range(len(numbers)))  # in the scores of `job`
        self.counts = [video.frames for video in self.videos]

    def job(self, net: TrainedNet, folder: Path) -> dict[str, Any]:
        write_text(folder / "list.txt", list_text(self.videos))
        length = net_job(net)["frames"]
        labels = [video.label for video in self.videos]
        strides = [1 if length == 1 else STRIDE]
        return {"list": str((folder / "list.txt").resolve()), "labels": labels, "strides": strides}

    def clips(self, net: TrainedNet) -> list[list[int]]:
        """The numbers of the images of the clip whose gates are shown, by the videos of the job."""
        return [clip_of(net.variant.modality, count, net.settings["frames"]) for count in self.counts]

    def steps(self, clip: list[int]) -> list[int]:
        """What an LSTM's steps are called that reads this clip."""
        return clip

    def about(self, at: int) -> dict[str, Any]:
        video = self.videos[at]
        numbers = [1 + each for each in spread(video.frames)]
        return {
            "name": video.name,
            "frames": video.frames,
            "fps": self.dataset.description.get("fps"),
            "thumbnails": [{"frame": number, "jpeg": self._thumbnail(video.name, number)} for number in numbers],
        }

    def _thumbnail(self, name: str, number: int) -> str:
        image = pixels.read(self.dataset, "rgb", name, number, passed_over=[])
        return base64.b64encode(small_jpeg(image, THUMBNAIL)).decode()


class _Sequences:
    """Those of a data set of activations: what is over time goes by the place in a sequence."""

    def __init__(self, dataset: Dataset, split: int, numbers: Sequence[int]):
        sequences, _, names = read_videos(dataset.folder, "test", split)
        self.dataset, self.split, self.numbers = dataset, split, list(numbers)
        self.names = [names[v] for v in numbers]
        self.extents = [len(each) if v in set(numbers) else 0 for v, each in enumerate(sequences)]
        self.places, self.counts = self.numbers, [sequences[v].shape[1] for v in numbers]

    def job(self, net: TrainedNet, folder: Path) -> dict[str, Any]:
        length = net_job(net)["frames"]
        return {"list": "", "labels": [0] * len(self.extents), "strides": [length], "sequences": self.extents}

    def clips(self, net: TrainedNet) -> list[list[int]]:
        length = net.settings["frames"]
        begins = [length * (extent // 2) for extent in self.extents]
        return [[*range(begin, begin + length)] if extent else [] for begin, extent in zip(begins, self.extents)]

    def steps(self, clip: list[int]) -> list[int]:
        return [1 + at for at in range(len(clip))]

    def about(self, at: int) -> dict[str, Any]:
        return {"name": self.names[at], "frames": self.counts[at], "fps": None, "thumbnails": []}


# ---- what the nets say of it -------------------------------------------------------------------------------


def examples(
    dataset: Dataset,
    split: int,
    nets: Sequence[TrainedNet],
    scores: Scores,
    labels: np.ndarray,
    scoring: Scoring,
    compute: Compute,
) -> tuple[dict[str, Any], list[str]]:
    """The content of examples.json, and notes for the user, of the nets' scores (videos, T, classes) of the test videos
    by modality: those that are chosen are scored once more, for what each frame says. Raises CaffeError."""
    flat = {
        model: with_averages({modality: FRAMES[scoring.frames](probs) for modality, probs in of_model.items()})
        for model, of_model in scores.items()
    }
    judge, column, chosen = choose(flat, labels)
    subset = (_Sequences if dataset.kind == "features" else _Videos)(dataset, split, [v for v, _ in chosen])
    courses, gates, notes = _again(nets, subset, [v for v, _ in chosen], column, flat, scoring, compute)
    videos = [
        {
            **subset.about(at),
            "class": dataset.classes[labels[v]],
            "why": why,
            "answers": {
                model: {name: top_classes(probs[v], dataset.classes, TOP) for name, probs in columns.items()}
                for model, columns in flat.items()
            },
            "over_time": {
                model: {
                    name: _lines(course, flat[model][name][v], int(labels[v]), dataset.classes)
                    for name, course in _with_averages({name: each[at] for name, each in columns.items()}).items()
                }
                for model, columns in courses.items()
            },
            "gates": {model: of_videos[at] for model, of_videos in gates.items() if of_videos[at]},
        }
        for at, (v, why) in enumerate(chosen)
    ]
    return {"task": "activity", "by": {"model": judge, "column": column}, "videos": videos}, notes


def _again(
    nets: Sequence[TrainedNet],
    subset: _Videos | _Sequences,
    numbers: Sequence[int],
    column: str,
    flat: Scores,
    scoring: Scoring,
    compute: Compute,
) -> tuple[dict[str, dict[str, list[np.ndarray]]], dict[str, list[dict[str, Any] | None]], list[str]]:
    """The videos that are shown scored once more: {model: {modality: scores by frame of each}}, {model: the gates of
    each, of the modality `column` where there is a net of it}, and notes."""
    courses: dict[str, dict[str, list[np.ndarray]]] = {}
    gates: dict[str, list[dict[str, Any] | None]] = {}
    notes: list[str] = []
    with Scratch() as folder:
        for net in nets:
            row, modality = net.variant.row, str(net.variant.modality)
            path = folder / net.folder.name / "scores.npz"
            path.parent.mkdir()
            data = {"data": str(subset.dataset.folder), "split": subset.split}
            job = net_job(net, scoring) | data | {"keep_clips": True}
            job |= subset.job(net, path.parent) | (of_job(net, subset.clips(net)) if has_lstm(net) else {})
            run_score(net, job, path, compute, f"{name_of(net.folder)}: videos to show")
            courses.setdefault(row, {})[modality] = _courses(path, subset)
            if has_lstm(net) and (modality == column or row not in gates):
                answers = flat[row].get(column, flat[row][modality])[list(numbers)].argmax(1)
                try:
                    gates[row] = _gates(net, path, subset, answers.tolist(), compute)
                except SpecError as error:
                    notes.append(f"examples without gates of {net.folder.name}: {error}")
    return courses, gates, notes


def _courses(path: Path, subset: _Videos | _Sequences) -> list[np.ndarray]:
    """The scores by frame (frames, classes) of each video that is subset."""
    clips = score.load_clips(path)
    first = isinstance(subset, _Sequences)  # whose sequences all begin at the same place
    return [
        over_time([(1 if first else number, probs) for v, number, probs in clips if v == place], count)
        for place, count in zip(subset.places, subset.counts)
    ]


def _gates(
    net: TrainedNet, path: Path, subset: _Videos | _Sequences, answers: Sequence[int], compute: Compute
) -> list[dict[str, Any] | None]:
    """`drawable` of each video that is shown; None where it has no clip."""
    clips = subset.clips(net)
    states = score.load_states(path, len(clips))
    of_videos = [
        clip_gates(net, states[place], subset.steps(clips[place]), answer, compute)
        for place, answer in zip(subset.places, answers)
    ]
    return [each and {"modality": str(net.variant.modality)} | each.lstm.drawable() for each in of_videos]


def _with_averages(courses: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not set(MODALITIES) <= courses.keys():
        return courses
    return courses | {
        name: fused_over_time(courses["rgb"], courses["flow"], weight) for name, weight in AVERAGES.items()
    }


def _lines(course: np.ndarray, scores: np.ndarray, label: int, classes: Sequence[str]) -> dict[str, Any]:
    """The true class and the strongest others over time (frames, classes)."""
    strongest = [int(c) for c in np.argsort(-scores, kind="stable") if c != label]
    chosen = [label, *strongest][:LINES]
    rounded = [[None if np.isnan(value) else round(float(value), 3) for value in course[:, c]] for c in chosen]
    return {"classes": [classes[c] for c in chosen], "scores": rounded}
