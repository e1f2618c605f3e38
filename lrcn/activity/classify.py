"""Names the classes of video files with trained nets, as `evaluate` does for a whole test list.

The files become a data set of their own for the time being, with the frames, JPEG and flow that a prepared one has, so
that a video scores here what it scores there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_prep import DataError, flow, frames, store
from data_prep.dataset import Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from data_prep.workers import VIDEOS, Work, no_progress, parallel
from lrcn.activity import score
from lrcn.activity.evaluate import MODALITIES, STRIDE, Scoring, net_job, run_score
from lrcn.engine.compute import Compute, Progress
from lrcn.results import pictures
from lrcn.results.pictures import picture_names
from lrcn.results.tables import aligned
from lrcn.trained_net import TrainedNet
from netspecs import catalogue
from prototxt_gen import SpecError

COLUMNS = {"rgb": "RGB", "flow": "flow", "fused": "fused"}


@dataclass(frozen=True)
class Classified:
    """A video, its frames as JPEG, and by column (rgb, flow, fused) the scores of the classes (classes,), and those by
    frame (frames, classes), nan where no clip has the frame."""

    video: Path
    jpegs: Sequence[bytes]
    scores: Mapping[str, np.ndarray]
    by_frame: Mapping[str, np.ndarray]

    @property
    def best_column(self) -> str:
        """Fused scores where there are any."""
        return list(self.scores)[-1]


# ---- the nets ----------------------------------------------------------------------------------------------


def nets_of_files(
    name: str, files: Sequence[Path | None], classes: Sequence[str], folder: Path, changes: Mapping[str, Any]
) -> dict[str, TrainedNet]:
    """{"rgb": net, "flow": net} of files of weights, without a run. name: of a net of the catalogue. files: its
    weights, and those of the same row's flow net, or None. changes: settings other than the published ones. SpecError,
    one line, where they do not fit."""
    weights, flow_weights = files
    variant = catalogue.get(name)
    if variant.task != "activity":
        raise SpecError(f"{name}: classifies no videos; activity/* do, `lrcn nets list` names them")
    if flow_weights and variant.modality == "flow":
        raise SpecError(f"--flow-weights: is for a net on RGB; --weights are those of {name}")
    by_name = {name: weights} | ({f"activity/{variant.row}-flow": flow_weights} if flow_weights else {})
    settings = catalogue.share_out(changes, list(by_name))
    if clash := next((each for each in settings.values() if {"classes", "split", "data"} & each.keys()), None):
        raise SpecError(f"--set {next(iter(clash))}: follows from --classes, or means nothing here; leave it out")
    if any(each.get("backbone") == "features" for each in settings.values()):
        raise SpecError("--set backbone=features: reads activations computed beforehand, not videos; name a CNN")
    for each in settings.values():
        each["deploy_crops"] = 10 if variant.settings(**each)["mirror"] else 5  # which follows from it
    nets = [
        TrainedNet.of_file(each, Path(str(file)), folder, settings[each], classes) for each, file in by_name.items()
    ]
    return {str(net.variant.modality): net for net in nets}


# ---- the videos --------------------------------------------------------------------------------------------


def videos_in(paths: Sequence[Path], progress: Progress = no_progress) -> list[Path]:
    """These videos; in place of a folder of videos those in it, whatever the depth, in natural order. A folder of
    images is a video. progress: is told of folders of images beside videos, which are passed over.

    DataError where a folder holds neither, or both, and for an image.
    """
    videos: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            videos += _in_folder(path, progress)
        elif frames.is_one_of(frames.IMAGES, path.name):
            raise DataError(f"{path}: an image; give the folder of a video's frames; `lrcn caption` describes images")
        else:
            videos.append(path)
    return videos


def _in_folder(top: Path, progress: Progress) -> list[Path]:
    files: list[Path] = []
    images: dict[Path, list[Path]] = {}  # by their folder
    for folder, below, names in os.walk(top):
        below[:] = [name for name in below if not frames.is_hidden(name)]
        files += [Path(folder) / name for name in names if frames.is_one_of(frames.VIDEOS, name)]
        if there := frames.images_in(Path(folder)):
            images[Path(folder)] = there
    if files and top in images:
        raise DataError(
            f"{top}: holds videos ({files[0].name}, ...) and images ({images[top][0].name}, ...), the frames of a "
            "video perhaps; put them in folders of their own"
        )
    if not files and not images:
        raise DataError(f"{top}: holds no video, and no images that could be a video's frames")
    if files and images:
        others = ", ".join(map(str, sorted(images, key=_in_natural_order)))
        progress(f"passed over, beside videos: {others}; give a folder itself if its images are a video's frames", 0, 0)
    videos = files or ([top] if top in images else list(images))
    return sorted(videos, key=_in_natural_order)


def _in_natural_order(path: Path) -> list:
    return [frames.natural(Path(part)) for part in path.parts]


def read_videos(videos: Sequence[Path], net: TrainedNet, progress=no_progress) -> list[list[bytes]]:
    """The frames of each video as JPEG, as the net was trained on. Raises DataError, one line that names every video
    that cannot be read."""
    jobs = [(path, net.settings["height"], net.settings["width"], net.fps) for path in videos]
    images, trouble = [], []
    progress(VIDEOS, 0, len(jobs))
    for (path, *_), (jpegs, error) in parallel(_read, jobs):
        images.append(jpegs)
        trouble += [] if error is None else [(path, error)]
        progress(VIDEOS, len(images), len(jobs))
    if trouble:
        others = ", ".join(str(path) for path, _ in trouble[1:])
        raise DataError(trouble[0][1] + (f" (and {others})" if others else ""))
    return images


def _read(job):
    path, height, width, fps = job
    try:
        if not Path(path).exists():
            raise DataError(f"{path}: no such video file, nor a folder of frames")
        return frames.jpegs(path, height, width, fps)[0], None
    except (DataError, OSError) as error:
        return [], str(error)


def write_dataset(folder: Path, videos: Sequence[list[bytes]], net: TrainedNet, with_flow: bool, progress) -> Path:
    """A data set of these videos alone, all in test1.txt under the names 0, 1, ..."""
    folder.mkdir()
    height, width = net.settings["height"], net.settings["width"]
    index = [Video(str(v), net.classes[0], 0, len(jpegs)) for v, jpegs in enumerate(videos)]
    with store.ImageWriter(folder, "rgb") as writer:
        for video, jpegs in zip(index, videos):
            writer.add(video.name, 0, jpegs, height, width)
    if with_flow:
        algorithm = (net.flow or {}).get("algorithm")
        algorithm = algorithm if algorithm in flow.ALGORITHMS else "dis"  # flow made elsewhere cannot be made here
        flow.write(folder, index, algorithm, (height, width), work=Work(progress=progress))
    write_text(folder / "videos.tsv", index_text(index))
    write_text(folder / "test1.txt", list_text(index))
    description = {"name": "videos", "kind": "frames", "classes": net.classes, "mirror": net.settings["mirror"]}
    description |= {"height": height, "width": width, "splits": [1], "flow": net.flow if with_flow else None}
    write_json(folder / "dataset.json", description)
    return folder


# ---- scores ------------------------------------------------------------------------------------------------


def classify_videos(
    videos: Sequence[Path],
    nets: Mapping[str, TrainedNet],
    compute: Compute,
    rgb_weight: float = 1 / 3,
    scoring: Scoring = Scoring(),
) -> list[Classified]:
    """Each video by each of the nets {"rgb": ..., "flow": ...} and, where both are there, fused: the weighted mean of
    their scores. scoring: how the nets are shown the videos.

    Raises DataError for a video that cannot be read, before any is classified, and CaffeError.
    """
    net = next(iter(nets.values()))
    images = read_videos(videos, net, compute.progress)
    scores, clips = {}, {}
    with tempfile.TemporaryDirectory(prefix="lrcn-classify-") as folder:
        data = write_dataset(Path(folder) / "data", images, net, "flow" in nets, compute.progress)
        for modality, each in nets.items():
            path = Path(folder) / f"{modality}.npz"
            _score(each, data, len(images), path, compute, scoring)
            scores[modality] = score.load(path).mean(1)
            clips[modality] = score.load_clips(path)
    fuse = set(MODALITIES) <= scores.keys()
    if fuse:
        scores["fused"] = rgb_weight * scores["rgb"] + (1 - rgb_weight) * scores["flow"]
    classified = []
    for v, video in enumerate(videos):
        by_frame = {
            modality: over_time([clip[1:] for clip in clips[modality] if clip[0] == v], len(images[v]))
            for modality in nets
        }
        if fuse:
            by_frame["fused"] = fused_over_time(by_frame["rgb"], by_frame["flow"], rgb_weight)
        classified.append(
            Classified(Path(video), images[v], {column: probs[v] for column, probs in scores.items()}, by_frame)
        )
    return classified


def _score(net: TrainedNet, data: Path, videos: int, path: Path, compute: Compute, scoring: Scoring) -> None:
    at_once = net_job(net, scoring)
    job = at_once | {
        "data": str(data),
        "list": "test1.txt",
        "split": 1,
        "labels": [0] * videos,
        "keep_clips": True,
        "strides": [1 if at_once["frames"] == 1 else STRIDE],
    }
    run_score(net, job, path, compute, f"{net.variant.row}, {net.variant.modality}")


def top_classes(probs: np.ndarray, classes: Sequence[str], top: int) -> list[dict]:
    """The classes with the highest scores (classes,), highest first; of equals the first in the list."""
    return [{"class": classes[c], "score": round(float(probs[c]), 6)} for c in np.argsort(-probs, kind="stable")[:top]]


def over_time(clips: list[tuple[int, np.ndarray]], count: int) -> np.ndarray:
    """Scores (frames, classes) by frame of the video from clips (number of the first image, softmax (T, classes)): the
    mean over the clips that the frame is in; nan where it is in none, as flow's frame 1 is."""
    classes = clips[0][1].shape[1] if clips else 1
    sums, weights = np.zeros((count, classes)), np.zeros((count, 1))
    for first, probs in clips:
        part = probs[: max(count - first + 1, 0)]  # a video shorter than a clip repeats its last image
        sums[first - 1 : first - 1 + len(part)] += part
        weights[first - 1 : first - 1 + len(part)] += 1
    return np.where(weights > 0, sums / np.maximum(weights, 1), np.nan)


def fused_over_time(rgb: np.ndarray, flow_scores: np.ndarray, weight: float) -> np.ndarray:
    """`weight` RGB + (1 - weight) flow by frame; RGB alone where there is no flow."""
    return np.where(np.isnan(flow_scores), rgb, weight * rgb + (1 - weight) * flow_scores)


# ---- in words and pictures ---------------------------------------------------------------------------------


def draw_all(classified: Sequence[Classified], net: TrainedNet, folder: Path) -> list[Path]:
    """A picture of each video in `folder`, VIDEO.png: frames above the scores over its time."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in picture_names([each.video for each in classified])]
    for each, path in zip(classified, paths):
        title = f"{each.video.name}: {net.variant.row}, {COLUMNS[each.best_column]}"
        thumbnails = pictures.spread(len(each.jpegs))
        images = [frames.decode(each.jpegs[at], cv2.IMREAD_COLOR) for at in thumbnails]
        pictures.classified(
            images, each.by_frame[each.best_column], each.scores[each.best_column], net.classes, net.fps, title, path
        )
    return paths


def as_json(classified: Sequence[Classified], classes: Sequence[str], top: int) -> list[dict[str, Any]]:
    """[{"video", "frames", "rgb": [{"class", "score"}, ...], "flow", "fused"}]: the `top` classes."""
    return [
        {"video": str(each.video), "frames": len(each.jpegs)}
        | {column: top_classes(scores, classes, top) for column, scores in each.scores.items()}
        for each in classified
    ]


def as_text(answer: Mapping[str, Any], row: str, rgb_weight: float) -> str:
    """The ranked classes of one video of `as_json`, a column a modality."""
    columns = [column for column in COLUMNS if column in answer]
    names = COLUMNS | {"fused": f"fused ({rgb_weight:.2f} RGB)"}
    heads = [names[column] for column in columns]
    cells = [[f"{entry['class']} {entry['score']:.3f}" for entry in answer[column]] for column in columns]
    ranked = [[f"  {rank}  {entries[0]}", *entries[1:]] for rank, entries in enumerate(zip(*cells), 1)]
    table = aligned([[f"     {heads[0]}", *heads[1:]], *ranked], left=len(heads))
    return "\n".join([f"{answer['video']}: {answer['frames']} frames, {row}", *table])
