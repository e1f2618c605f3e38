"""Class scores of every test video from a deploy net in Caffe, as the authors' `classify_video.py` has it. Runs as a
process of its own, `python -m lrcn.activity.score JOB.json`, because Caffe ends the one it runs in when something is
wrong.

A video's score is the mean of the softmax over the crops of a frame, the frames of a clip and the clips of the video:
16 frames every 8, and the last 16 where 16 do not remain. Clips overlap: the crops of a frame go through the CNN once,
and the LSTM goes over the clips. Written every so often, so that a scoring that was cut off goes on.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_prep import DataError
from data_prep.dataset import Dataset
from data_prep.store import first_number
from data_prep.whole_files import beside, writing
from lrcn.activity.frame_loader import Frames
from lrcn.activity.frame_net import FrameNet, Row, rows_of_clips, seam
from lrcn.activity.sampler import clip_images, clip_starts, image_range
from lrcn.engine.caffe_side import telling_the_user, use_device
from readers.npz import open_npz

SAVE_EVERY = 64  # videos
TOGETHER = 16  # frames that go through the released script's single-frame net at once
PLAIN = 5  # rows of a batch after which the released script negates x of flow
CENTRE = 4  # which of a frame's crops
MEND = "remove it and give `lrcn evaluate` again"
BESIDE = (
    "workers",
    "keep_clips",
    "states",
    "data",
    "deploy",
    "weights",
    "out",
)  # of a job: what changes no score, and paths


@dataclass(frozen=True)
class Clip:
    """What the net sees at once of one video: the numbers of its images, and how much it counts at each stride."""

    v: int
    video: str
    images: list[int]
    weights: np.ndarray


class Scores:
    """Sums over clips by video, stride and position in the clip, in a file that says which job they are of.

    sums (V, S, T, classes) of the softmax; hits (V, S, T): how many clips were classified right by that frame alone;
    weights (V, S): how many clips there were; clips: (video's number, first image, softmax (T, classes)), where the job
    keeps them; states: what an LSTM did, by "VIDEO'S NUMBER/BLOB", where the job asks for it; passed_over: of the
    damaged images in whose place others stood, a line each.

    Until all videos are done, each part of them lies in a file of its own in a folder beside, so that what is written
    does not grow with their square; a job that keeps clips has no parts, and begins anew.
    """

    def __init__(self, path: Path, job: dict, videos: int, classes: int):
        self.path, self.job = path, json.dumps({k: v for k, v in job.items() if k not in BESIDE}, sort_keys=True)
        shape = videos, len(job["strides"]), job["frames"]
        self.sums, self.hits, self.weights, self.done = (
            np.zeros((*shape, classes)),
            np.zeros(shape),
            np.zeros(shape[:2]),
            0,
        )
        self.keep, self.clips, self.states = job["keep_clips"], [], {}
        self.passed_over: set[str] = set()
        self.parts = path.with_suffix(".parts")
        if not self.keep:
            for part in [path, *sorted(self.parts.glob("*.npz"))]:
                self._take(part)

    def _take(self, path: Path) -> None:
        """What a file of this job has of the videos after those that are done: a part, or a whole one, or one of an
        lrcn that had no parts, or kept what is no number. What is damaged has nothing."""
        if not path.exists():
            return
        sums = {"sums": self.sums, "hits": self.hits, "weights": self.weights}
        try:
            with open_npz(path, DataError) as file:
                done, begin = int(file["done"]), int(file["begin"]) if "begin" in file else 0
                if str(file["job"]) != self.job or begin != self.done or not begin <= done <= len(self.sums):
                    return
                there = {name: file[name][: done - begin] for name in sums}
                passed_over = _passed_over(file)
        except DataError:
            return
        if all(there[name].shape == sums[name][begin:done].shape and np.isfinite(there[name]).all() for name in sums):
            for name, array in sums.items():
                array[begin:done] = there[name]
            self.done = done
            self.passed_over |= passed_over

    def add(self, clip: Clip, probs: np.ndarray, label: int) -> None:
        weights = clip.weights[:, None]
        self.sums[clip.v] += weights[..., None] * probs
        self.hits[clip.v] += weights * (probs.argmax(-1) == label)
        self.weights[clip.v] += clip.weights
        if self.keep:
            self.clips.append((clip.v, clip.images[0], probs.copy()))

    def save(self, done: int) -> None:
        """Keeps the videos up to `done`."""
        arrays = {"sums": self.sums, "hits": self.hits, "weights": self.weights}
        if done < len(self.sums) and not self.keep:
            with writing(self.parts):
                self.parts.mkdir(exist_ok=True)
            some = {name: array[self.done : done] for name, array in arrays.items()}
            self._write(self.parts / f"{self.done:08d}.npz", some | {"begin": self.done, "done": done})
        elif done == len(self.sums):
            clips = {}
            if self.keep:
                clips = {
                    "clip_video": [v for v, _, _ in self.clips],
                    "clip_first": [first for _, first, _ in self.clips],
                    "clip_probs": np.array([probs for *_, probs in self.clips]).reshape(-1, *self.sums.shape[2:]),
                } | self.states
            self._write(self.path, arrays | {"done": done} | clips)
            shutil.rmtree(self.parts, ignore_errors=True)
        self.done = done

    def _write(self, path: Path, content: dict) -> None:
        with beside(path) as new, new.open("wb") as file:
            lines = {"passed_over": sorted(self.passed_over)} if self.passed_over else {}
            np.savez(file, job=self.job, **content, **lines)


def load(path) -> np.ndarray:
    """Mean softmax (V, T, classes) by position in the clip from a finished file of scores: the mean over its strides of
    the mean over a video's clips. A video too short for a single image of flow scores all classes alike."""
    with open_npz(path, DataError, MEND) as file:
        sums, weights = file["sums"], file["weights"][..., None, None]
    return np.where(weights > 0, sums / np.where(weights > 0, weights, 1), 1 / sums.shape[-1]).mean(1)


def load_hits(path) -> np.ndarray:
    """Percent of the clips (T,) that are classified right by their frame t alone, over all clips of all videos."""
    with open_npz(path, DataError, MEND) as file:
        return (100 * file["hits"].sum(0) / np.maximum(file["weights"].sum(0)[:, None], 1)).mean(0)


def load_passed_over(path) -> set[str]:
    """The lines that name the damaged images in whose place others were shown."""
    with open_npz(path, DataError, MEND) as file:
        return _passed_over(file)


def _passed_over(file: Mapping[str, np.ndarray]) -> set[str]:
    return set(file["passed_over"].tolist()) if "passed_over" in file else set()


def load_clips(path) -> list[tuple[int, int, np.ndarray]]:
    """(video's number, number of the first image, softmax (T, classes)) of every clip, where the job kept them."""
    with open_npz(path, DataError, MEND) as file:
        return list(zip(file["clip_video"].tolist(), file["clip_first"].tolist(), file["clip_probs"]))


def load_states(path, videos: int) -> list[dict[str, np.ndarray]]:
    """{blob: (T, ...)} of each video, the blobs of the job's "states"; empty where the video had no such clip."""
    with open_npz(path, DataError, MEND) as file:
        states: list[dict[str, np.ndarray]] = [{} for _ in range(videos)]
        for name in file:
            v, slash, blob = name.partition("/")
            if slash:
                states[int(v)][blob] = file[name]
    return states


def clips_of(v: int, video: str, first: int, images: int, length: int, strides: Sequence[int]) -> list[Clip]:
    """The clips of one video at all strides, each once, in their order. `first`: the number of its first image."""
    counts = [Counter(clip_starts(images, length, stride)) for stride in strides]
    return [
        Clip(
            v,
            video,
            [first + i for i in clip_images(start, length, images - 1)],
            np.array([float(count[start]) for count in counts]),
        )
        for start in sorted(set().union(*counts))
    ]


class VideoClips(Sequence[list[Clip]]):
    """The clips of every video of a job, which are made whenever they are asked for: all together they take a hundred
    times as much memory as the list of videos."""

    def __init__(self, job: dict, dataset: Dataset):
        self.job, self.videos = job, None if job["modality"] is None else dataset.read_list(job["list"])

    def __len__(self) -> int:
        return len(self.job["sequences"] if self.videos is None else self.videos)

    def __getitem__(self, v):
        if isinstance(v, slice):
            return [self[each] for each in range(len(self))[v]]
        length = self.job["frames"]
        if self.videos is None:
            starts = range(0, length * self.job["sequences"][v], length)
            return [Clip(v, str(v), list(range(start, start + length)), np.ones(1)) for start in starts]
        video = self.videos[v]
        first, last = image_range(self.job["modality"], video.frames)
        return clips_of(v, video.name, first, last - first + 1, length, self.job["strides"])


class Shown(NamedTuple):
    """An image as it is shown: the number of its video, its own, and how many of its crops come before those whose x of
    flow is negated; 0 where that is not done here."""

    v: int
    number: int
    plain: int = 0


def shown(clip: Clip, job: dict, crops: int) -> list[Shown]:
    """The images of a clip as the net is shown them, which with flow_negation "rows-6-up" depends on their place."""
    if job.get("flow_negation") != "rows-6-up":
        return [Shown(clip.v, number) for number in clip.images]
    single = len(clip.images) == 1
    places = [(n - first_number("flow")) % TOGETHER if single else t for t, n in enumerate(clip.images)]
    return [Shown(clip.v, n, max(PLAIN - place * crops, 0)) for n, place in zip(clip.images, places)]


def frames_of(clips: Iterable[Clip], job: dict, crops: int) -> Iterator[tuple[int, str, int, int]]:
    """(video's number, its name, image number, in how many ways it is shown), in the order in which clips need them,
    which come video by video."""
    for v, group in groupby(clips, key=attrgetter("v")):
        of_video = list(group)
        ways = dict.fromkeys(frame for clip in of_video for frame in shown(clip, job, crops))
        for number, count in Counter(frame.number for frame in ways).items():
            yield v, of_video[0].video, number, count


def negate_as_released(crops: np.ndarray, plain: int, job: dict) -> None:
    """Negates x of flow in the crops (crops, 3, H, W) of a frame but for the first `plain`, as the released
    classify_video.py does: from the sixth row on of all crops that go through the net at once. So of the first frame
    the mirrored ones, and of the others all. The crops are less the job's mean, times its scale."""
    rows = crops[plain:, 2]
    rows[:] = job["scale"] * (255 - 2 * job["mean"][2]) - rows


def _of_centre(blob, length: int, g: int, group: int) -> np.ndarray:
    """What a blob (T, N, ...), or (T * N, ...), holds of the g-th clip's centre crop: (T, ...)."""
    values = blob.data
    values = values if values.shape[0] == length else values.reshape(length, -1, *values.shape[1:])
    crops = values.shape[1] // group
    return values[:, g * crops + min(CENTRE, crops - 1)].copy()


class Net:
    """A deploy net in Caffe that is shown clips, `group` of them at a time, each of `length` frames."""

    def __init__(self, job: dict):
        import caffe

        use_device(job["gpu"])
        self.net, self.job = caffe.Net(job["deploy"], job["weights"], caffe.TEST), job
        self.length, self.group, blobs = job["frames"], job["clips"], self.net.blobs
        self.together, self.classes = self.length * self.group, blobs["probs"].shape[-1]
        pictures = blobs["data"].shape
        # Of a frame: its crops, or its activations.
        self.shape = tuple(pictures[-1:]) if job["modality"] is None else (pictures[0] // self.together, *pictures[1:])
        self.seam = seam(self.net, "data", self.together)
        self.frame_net = FrameNet(self.net, "data", self.together, self.seam.last, self.seam.blobs)
        self.read = {name: tuple(blobs[name].shape) for name in self.seam.blobs}
        if "clip_markers" in blobs:
            markers = blobs["clip_markers"].data.reshape(self.length, -1)
            markers[0], markers[1:] = 0, 1

    def rows_of(self, clips: Sequence[Clip], frames: Frames) -> Iterator[list[Row]]:
        """Of each clip what the layers before the seam make of its frames, each of which goes through them once."""

        def pixels(batch: list[Shown]) -> Iterator[np.ndarray]:
            for crops, frame in zip(frames.taken((v, number) for v, number, _ in batch), batch):
                if self.job.get("flow_negation") == "rows-6-up":
                    crops = crops.copy()  # it may be shown in another way too
                    negate_as_released(crops, frame.plain, self.job)
                yield crops

        as_shown = [shown(clip, self.job, self.shape[0]) for clip in clips]
        return rows_of_clips(as_shown, self.together, lambda batch: self.frame_net.rows(pixels(batch)))

    def classify(self, clips: Sequence[list[Row]]) -> np.ndarray:
        """The softmax (T, clips, classes), the mean over the crops, of at most `group` clips' rows. ValueError where it
        is no number."""
        for at, (name, shape) in enumerate(self.read.items()):
            blob = self.net.blobs[name]
            blob.reshape(*shape)  # a batch of few frames left it smaller
            lanes = blob.data.reshape(self.length, self.group, -1)
            for g, rows in enumerate(clips):
                lanes[:, g] = [row[at] for row in rows]
        if self.seam.next is not None:
            self.net.forward(start=self.seam.next)
        probs = self.net.blobs["probs"].data.reshape(self.length, self.group, -1, self.classes)
        means = probs.mean(2)[:, : len(clips)]
        if not np.isfinite(means).all():
            raise ValueError(f"{self.job['weights']}: gives scores that are no numbers, as of a training that diverged")
        return means

    def of_centre(self, blob: str, g: int) -> np.ndarray:
        """What a blob holds of the centre crop of the g-th clip of those that were classified last: (T, ...)."""
        return _of_centre(self.net.blobs[blob], self.length, g, self.group)


def run(job: dict) -> None:
    """Scores the job's videos. Its "states", beside "keep_clips": {"blobs", "first": the number of the first image of
    the clip of each video, or None}, of which those blobs are kept."""
    net = Net(job)
    clips = VideoClips(job, Dataset(job["data"]))
    scores = Scores(Path(job["out"]), job, len(clips), net.classes)
    if scores.done >= len(clips):
        return
    todo = (clip for v in range(scores.done, len(clips)) for clip in clips[v])
    wanted = frames_of(todo, job, net.shape[0])
    frames = Frames(job, net.shape, wanted, together=net.length, ahead=net.together)
    states = job.get("states") or {"blobs": [], "first": [None] * len(clips)}
    # The net's batches do not reach beyond a part that is saved: one that goes on computes what one go would have.
    for begin in range(scores.done, len(clips), SAVE_EVERY):
        end = min(begin + SAVE_EVERY, len(clips))
        part = [clip for of_video in clips[begin:end] for clip in of_video]
        rows = net.rows_of(part, frames)
        for at in range(0, len(part), net.group):
            at_once = part[at : at + net.group]
            probs = net.classify([next(rows) for _ in at_once])
            for g, clip in enumerate(at_once):
                scores.add(clip, probs[:, g], job["labels"][clip.v])
                if states["first"][clip.v] == clip.images[0]:
                    scores.states |= {f"{clip.v}/{blob}": net.of_centre(blob, g) for blob in states["blobs"]}
            print(at_once[-1].v, len(clips), flush=True)
        scores.passed_over |= frames.crew.passed_over.keys()
        scores.save(end)
        print(end, len(clips), flush=True)


if __name__ == "__main__":
    with telling_the_user():
        run(json.loads(Path(sys.argv[1]).read_text()))
