"""Names the classes of video files with trained nets, as `evaluate` does for a whole test list.

The files become a data set of their own for the time being, with the frames, JPEG and flow that a prepared one has, so
that a video scores here what it scores there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_prep import DataError, flow, frames, store
from data_prep.dataset import Dataset, Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from data_prep.workers import VIDEOS, Work, no_progress, parallel
from lrcn.activity import score
from lrcn.activity.clip_gates import ClipGates, clip_gates, clip_of, has_lstm, of_job
from lrcn.activity.evaluate import MODALITIES, STRIDE, Scoring, net_job, run_score
from lrcn.activity.sampler import image_range
from lrcn.engine.compute import Compute, Progress
from lrcn.engine.scratch import Scratch
from lrcn.results.tables import aligned
from lrcn.trained_net import TrainedNet
from netspecs import catalogue
from prototxt_gen import SpecError
from readers.paths import checked

COLUMNS = {"rgb": "RGB", "flow": "flow", "fused": "fused"}


@dataclass(frozen=True)
class Classified:
    """A video, its frames as JPEG, and by column (rgb, flow, fused) the scores of the classes (classes,), and those by
    frame (frames, classes), nan where no clip has the frame.

    flow: images of its flow as JPEG, one less than frames. beside: scores by frame of the nets that are shown beside,
    by column. gates: by modality what the LSTM did in a clip.
    """

    video: Path
    jpegs: Sequence[bytes]
    scores: Mapping[str, np.ndarray]
    by_frame: Mapping[str, np.ndarray]
    flow: Sequence[bytes] = ()
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    gates: Mapping[str, ClipGates] = field(default_factory=dict)

    @property
    def best_column(self) -> str:
        """Fused scores where there are any."""
        return list(self.scores)[-1]

    def image(self, modality: str, number: int) -> bytes:
        """Its image `number` as JPEG."""
        return self.flow[number - 2] if modality == "flow" else self.jpegs[number - 1]


@dataclass(frozen=True)
class Extras:
    """What else is wanted of videos than their scores.

    beside: nets {"rgb": ..., "flow": ...} whose scores by frame are shown beside. flow: the images of flow, where a net
    reads them. gates: what the LSTMs do in a clip, the one of number `clip`, from 1, by default in the middle one.
    """

    beside: Mapping[str, TrainedNet] = field(default_factory=dict)
    flow: bool = False
    gates: bool = False
    clip: int | None = None


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
    for video in videos:
        checked(video, DataError)
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
    extras: Extras = Extras(),
) -> list[Classified]:
    """Each video by each of the nets {"rgb": ..., "flow": ...} and, where both are there, fused: the weighted mean of
    their scores. scoring: how the nets are shown the videos.

    Raises DataError for a video that cannot be read, before any is classified, SpecError where an LSTM does not do what
    its equations say, and CaffeError.
    """
    net = next(iter(nets.values()))
    images = read_videos(videos, net, compute.progress)
    clips = _clips(videos, images, nets, extras.clip) if extras.gates else {}
    flow_images = [[]] * len(videos)
    with Scratch() as folder:
        data = write_dataset(folder / "data", images, net, "flow" in nets, compute.progress)
        for modality, each in nets.items():
            more = of_job(each, clips[modality]) if extras.gates else {}
            _score(each, data, len(images), folder / f"{modality}.npz", compute, scoring, more)
        for modality, each in extras.beside.items():
            _score(each, data, len(images), folder / f"{modality}-beside.npz", compute, scoring)
        if "flow" in nets and (extras.flow or extras.gates):
            flow_images = [_flow_of(data, v, len(jpegs)) for v, jpegs in enumerate(images)]
        scores = _with_fused(
            {modality: score.load(folder / f"{modality}.npz").mean(1) for modality in nets}, rgb_weight
        )
        by_frame = _by_frame(folder, list(nets), "", images, rgb_weight)
        beside = _by_frame(folder, list(extras.beside), "-beside", images, rgb_weight)
        states = {each: score.load_states(folder / f"{each}.npz", len(videos)) for each in clips}
    classified = []
    for v, video in enumerate(videos):
        of_video = {column: probs[v] for column, probs in scores.items()}
        answer = int(list(of_video.values())[-1].argmax())
        gates = {each: clip_gates(nets[each], states[each][v], clips[each][v], answer, compute) for each in clips}
        gates = {modality: each for modality, each in gates.items() if each}
        classified.append(Classified(Path(video), images[v], of_video, by_frame[v], flow_images[v], beside[v], gates))
    return classified


def _score(net, data: Path, videos: int, path: Path, compute: Compute, scoring: Scoring, more=None) -> None:
    """more: what else its job says."""
    at_once = net_job(net, scoring)
    job = at_once | {
        "data": str(data),
        "list": "test1.txt",
        "split": 1,
        "labels": [0] * videos,
        "keep_clips": True,
        "strides": [1 if at_once["frames"] == 1 else STRIDE],
        **(more or {}),
    }
    run_score(net, job, path, compute, f"{net.variant.row}, {net.variant.modality}")


def _clips(videos, images, nets: Mapping[str, TrainedNet], number: int | None) -> dict[str, list[list[int]]]:
    """{modality: of each video the images of the clip whose gates are wanted}. DataError where a video has none of this
    number, SpecError where a net has no LSTM."""
    for net in nets.values():
        if not has_lstm(net):
            raise SpecError(f"{net.variant.name}: has no LSTM, so no gates; name an lrcn-fc6 or lrcn-fc7")
    clips = {}
    for modality, net in nets.items():
        clips[modality] = []
        for video, jpegs in zip(videos, images):
            try:
                clips[modality].append(clip_of(modality, len(jpegs), net.settings["frames"], number))
            except DataError as error:
                raise DataError(f"{video}: {modality} {error}; give a lower --clip") from None
    return clips


def _flow_of(data: Path, v: int, frames_: int) -> list[bytes]:
    first, last = image_range("flow", frames_)
    return [Dataset(data).jpeg("flow", str(v), number) for number in range(first, last + 1)]


def _with_fused(by_modality: dict[str, np.ndarray], weight: float) -> dict[str, np.ndarray]:
    """The scores, and where both modalities are there their weighted mean."""
    if not set(MODALITIES) <= by_modality.keys():
        return by_modality
    return by_modality | {"fused": weight * by_modality["rgb"] + (1 - weight) * by_modality["flow"]}


def _by_frame(folder: Path, modalities, ending: str, images, weight: float) -> list[dict[str, np.ndarray]]:
    """Of each video {column: scores by frame} of the files MODALITY`ending`.npz of scores."""
    clips = {modality: score.load_clips(folder / f"{modality}{ending}.npz") for modality in modalities}
    by_video = []
    for v, jpegs in enumerate(images):
        columns = {
            modality: over_time([clip[1:] for clip in of_all if clip[0] == v], len(jpegs))
            for modality, of_all in clips.items()
        }
        if set(MODALITIES) <= columns.keys():
            columns["fused"] = fused_over_time(columns["rgb"], columns["flow"], weight)
        by_video.append(columns)
    return by_video


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


# ---- in words ----------------------------------------------------------------------------------------------


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
    frames_ = f"{answer['frames']} frame{'s' * (answer['frames'] != 1)}"
    return "\n".join([f"{answer['video']}: {frames_}, {row}", *table])
