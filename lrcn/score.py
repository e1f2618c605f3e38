"""Class scores of every test video from a deploy net in Caffe, as the authors' `classify_video.py` has it. Runs as a
process of its own: `python -m lrcn.score JOB.json`, because Caffe ends the process it runs in when something is wrong.

A video's score is the mean of the softmax over the crops of a frame, the frames of a clip and the clips of the video:
16 frames every 8, and the last 16 where 16 do not remain. Single-frame nets see every frame once. Written every so
often, so that a scoring that was cut off goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from data_prep.features import read_sequences
from data_prep.store import Dataset
from lrcn import pixels
from lrcn.clip_loader import MESSAGE
from lrcn.sampler import clip_images, clip_starts, image_range

SAVE_EVERY = 64  # videos


class Scores:
    """Sums of softmax by video and position in the clip, (V, T, classes), in a file that says which job they are of."""

    def __init__(self, path: Path, job: str, videos: int, frames: int, classes: int):
        self.path, self.job = path, job
        self.sums, self.weights, self.done = np.zeros((videos, frames, classes)), np.zeros(videos), 0
        if path.exists():
            with np.load(path) as kept:
                if str(kept["job"]) == job:
                    self.sums, self.weights, self.done = kept["sums"], kept["weights"], int(kept["done"])

    def save(self, done: int) -> None:
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, job=self.job, sums=self.sums, weights=self.weights, done=done)
        part.replace(self.path)


def load(path) -> np.ndarray:
    """Mean softmax (V, T, classes) by position in the clip from a finished file of scores."""
    with np.load(path) as kept:
        return kept["sums"] / kept["weights"][:, None, None]


def clips_of_frames(dataset, videos, job):
    """Yields (video's index, weight, pixels (T, crops, size, size, 3) uint8)."""
    modality = job["modality"]
    for v, video in videos:
        first, last = image_range(modality, video.frames)
        images = [
            pixels.decode(
                dataset.jpeg(modality, video.name, number),
                f"{job['data']}: {modality} image {number} of {video.name}",
                job["height"],
                job["width"],
            )
            for number in range(first, last + 1)
        ]
        stride = 8 if job["frames"] > 1 else 1
        for start, weight in zip(*np.unique(clip_starts(len(images), job["frames"], stride), return_counts=True)):
            taken = clip_images(start, job["frames"], len(images) - 1)
            yield v, weight, np.stack([pixels.crops(images[i], job["crop"], modality, job["mirror"]) for i in taken])


def clips_of_features(dataset, videos, job):
    """Yields (video's index, 1, activations (T, D) float32)."""
    x = read_sequences(job["data"], "test")[0]
    for v, _ in videos:
        yield v, 1, x[v]


def run(job: dict) -> None:
    import caffe

    (caffe.set_mode_cpu if job["gpu"] is None else caffe.set_mode_gpu)()
    if job["gpu"] is not None:
        caffe.set_device(job["gpu"])
    net = caffe.Net(job["deploy"], job["weights"], caffe.TEST)
    dataset = Dataset(job["data"])
    features, frames, group = dataset.kind == "features", job["frames"], job["clips"]
    videos = read_sequences(dataset.folder, "test")[2] if features else dataset.read_list(job["list"])
    scores = Scores(
        Path(job["out"]), json.dumps(job, sort_keys=True), len(videos), frames, net.blobs["probs"].shape[-1]
    )

    def forward(waiting):
        data = net.blobs["data"].data
        lanes = (
            data.reshape(frames, group, -1) if features else data.reshape(frames, group, -1, *data.shape[1:])
        )  # (T, clips, ...)
        if "clip_markers" in net.blobs:
            markers = net.blobs["clip_markers"].data.reshape(frames, -1)
            markers[0], markers[1:] = 0, 1
        for g, (_, _, piece) in enumerate(waiting):
            if features:
                lanes[:, g] = piece
            else:
                pixels.blob(piece, job, lanes[:, g])
        probs = net.forward()["probs"].reshape(frames, group, -1, scores.sums.shape[-1]).mean(2)
        for g, (v, weight, _) in enumerate(waiting):
            scores.sums[v] += weight * probs[:, g]
            scores.weights[v] += weight

    for begin in range(scores.done, len(videos), SAVE_EVERY):
        end = min(begin + SAVE_EVERY, len(videos))
        part, waiting = list(enumerate(videos))[begin:end], []
        for clip in (clips_of_features if features else clips_of_frames)(dataset, part, job):
            waiting.append(clip)
            if len(waiting) == group:
                forward(waiting)
                waiting.clear()
                print(clip[0], len(videos), flush=True)
        if waiting:
            forward(waiting)
        scores.save(end)
        print(end, len(videos), flush=True)


if __name__ == "__main__":
    try:
        run(json.loads(Path(sys.argv[1]).read_text()))
    except (ValueError, OSError) as error:
        sys.exit(f"{MESSAGE}{error}")
