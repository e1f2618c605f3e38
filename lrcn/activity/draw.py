"""Pictures and videos of classified videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from data_prep import frames
from data_prep.whole_files import write_arrays
from data_prep.workers import Counted
from lrcn.activity.classify import Classified
from lrcn.activity.clip_gates import ClipGates
from lrcn.engine.compute import Progress
from lrcn.results import film, gates, palette, pictures
from lrcn.results.lettering import class_in_words
from lrcn.results.pictures import picture_names
from lrcn.trained_net import TrainedNet


def draw_all(classified: Sequence[Classified], net: TrainedNet, folder: Path) -> list[Path]:
    """A picture of each video in `folder`, VIDEO.png: frames above the scores over its time."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in picture_names([each.video for each in classified])]
    for each, path in zip(classified, paths):
        title = f"{each.video.name}: {palette.title(net.variant.row)}, {palette.title(each.best_column)}"
        thumbnails = pictures.spread(len(each.jpegs))
        images = [frames.decode(each.jpegs[at], cv2.IMREAD_COLOR) for at in thumbnails]
        pictures.classified(
            images, each.by_frame[each.best_column], each.scores[each.best_column], net.classes, net.fps, title, path
        )
    return paths


def draw_gates(classified: Sequence[Classified], nets: Mapping[str, TrainedNet], folder: Path) -> list[Path | None]:
    """VIDEO-gates.png in `folder`: what the LSTMs of these nets do in a clip of each video; and VIDEO-gates.npz, all
    units' numbers, MODALITY_LAYER_WHAT (T, H), with MODALITY_images (T,), the numbers of the clip's images. Gives the
    pictures; None for a video without such a clip."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in picture_names([each.video for each in classified], "-gates")]
    clips = [{name: each.gates[name] for name in nets if name in each.gates} for each in classified]
    for each, by_modality, path in zip(classified, clips, paths):
        if not by_modality:
            continue
        columns, arrays = [], {}
        for modality, clip in by_modality.items():
            columns.append(_gates_column(each, modality, nets[modality], clip))
            named = clip.lstm.arrays() | {"images": np.array(clip.images)}
            arrays |= {f"{modality}_{name}": values for name, values in named.items()}
        answer = class_in_words(nets[next(iter(nets))].classes[int(each.scores[each.best_column].argmax())])
        gates.unrolled(columns, f"{each.video.name}: the units that weigh most for {answer}", "frame", path)
        write_arrays(path.with_suffix(".npz"), arrays)
    return [path if by_modality else None for by_modality, path in zip(clips, paths)]


def draw_film(
    classified: Classified, nets: Mapping[str, TrainedNet], rgb_weight: float, path: Path, progress: Progress
) -> None:
    """The video with its flow, bars of the classes that are said most, and their scores over time, of the nets and of
    those beside; `path` says whether as .mp4 or .gif. DataError where it cannot be written."""
    net, column = next(iter(nets.values())), classified.best_column
    rows = {net.variant.row: classified.by_frame} | ({"single-frame": classified.beside} if classified.beside else {})
    courses = [
        film.Course(f"{palette.title(row)}, {_in_words(column, rgb_weight)}", by_frame[column])
        for row, by_frame in rows.items()
    ]
    scores = classified.scores[column]
    of_others = [np.nan_to_num(course.by_frame).mean(0) for course in courses[1:]]
    foremost = film.most_said([scores, *of_others])
    title = f"{classified.video.name}: {class_in_words(net.classes[foremost[0]])}, {100 * scores[foremost[0]]:.0f} %"
    drawn = film.Film(title, classified.jpegs, classified.flow, courses, net.classes, foremost)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing = Counted(f"drawing {path.name}", "frames")
    film.write(drawn, net.fps, path, lambda done: progress(drawing, done, len(drawn.images)))


def _in_words(column: str, rgb_weight: float) -> str:
    if column != "fused" or rgb_weight in (0, 1):
        return palette.title(column if column != "fused" else "rgb" if rgb_weight else "flow")
    return f"{100 * rgb_weight:.0f} % RGB, {100 - 100 * rgb_weight:.0f} % flow"


def _gates_column(video: Classified, modality: str, net: TrainedNet, clip: ClipGates) -> gates.Column:
    numbers = [clip.images[at] for at in pictures.spread(len(clip.images))]
    images = [frames.decode(video.image(modality, number), cv2.IMREAD_COLOR) for number in numbers]
    foremost = np.argsort(-clip.scores.mean(0), kind="stable")[:4]
    scores = {class_in_words(net.classes[c]): clip.scores[:, c].tolist() for c in foremost}
    title = f"{palette.title(net.variant.row)}, {palette.title(modality)}, {clip.lstm.layer}"
    return gates.Column(title, clip.lstm.drawable(), images, scores)
