"""Which clips go into a batch, and which clips a video is classified by. No pixels here: this runs inside Caffe, where
OpenCV's wheel must not.

The released Python layer (`sequence_input_layer.py`) and script (`classify_video.py`) are the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clip:
    """`frames` images of one video from number `first` on (counted as in the file names), cut and mirrored alike. last:
    the number of the video's last image."""

    video: str
    label: int
    first: int
    last: int
    row: int
    column: int
    mirror: bool


def image_range(modality: str, frames: int) -> tuple[int, int]:
    """First and last image number of a video of `frames` frames: flow has one image for each frame after the first."""
    return (2 if modality == "flow" else 1), frames


def clip_images(first: int, length: int, last: int) -> list[int]:
    """The numbers of the images of a clip. A video shorter than a clip repeats its last image (the released code breaks
    off there)."""
    return [min(first + t, last) for t in range(length)]


def clip_markers(frames: int, clips: int) -> np.ndarray:
    """(T, N) float32: 0 at a clip's first frame, where the LSTM forgets what came before; 1 at the others."""
    return np.repeat(np.arange(frames) > 0, clips).reshape(frames, clips).astype(np.float32)


class Sampler:
    """Draws batch after batch; batch `index` depends on the seed and its index alone, so that a resumed run sees what
    it would have seen.

    videos: sequence of objects with `name`, `label` and `frames`; settings: the `param_str` of the ClipData layer.
    rank, ranks: of several processes that train a net together, each has a batch of `settings["videos"]`: clips rank,
    rank + ranks, ... of the one that a single process would draw.
    `order` "list" takes the videos in list order and wraps round, as released; "shuffle" draws a new order for each
    pass. As released, a clip never starts at image 1: it starts at 2 + floor(u * (images - length)), and the crop's
    corner is floor(u * (size - crop)).
    """

    def __init__(self, videos, settings, rank=0, ranks=1):
        self.pool, self.settings, self.rank, self.ranks = list(videos), settings, rank, ranks
        self.orders: dict[int, np.ndarray] = {}  # of "shuffle", by pass

    def batch(self, index: int) -> list[Clip]:
        size = self.settings["videos"] * self.ranks
        draws = np.random.default_rng([self.settings["seed"], index]).random((size, 4))
        slots = range(self.rank, size, self.ranks)
        return [self.clip(self._video(index * size + slot), draws[slot]) for slot in slots]

    def _video(self, position: int):
        epoch, place = divmod(position, len(self.pool))
        if self.settings["order"] == "shuffle":
            if epoch not in self.orders:  # the one before too, for a batch that goes over into the next
                self.orders = {each: order for each, order in self.orders.items() if each == epoch - 1}
                draws = np.random.default_rng([self.settings["seed"], epoch, 1])
                self.orders[epoch] = draws.permutation(len(self.pool))
            place = self.orders[epoch][place]
        return self.pool[place]

    def clip(self, video, draw) -> Clip:
        """The clip that four uniform draws (crop row, crop column, mirror, start) choose."""
        s = self.settings
        row, column = int(draw[0] * (s["height"] - s["crop"])), int(draw[1] * (s["width"] - s["crop"]))
        first, last = image_range(s["modality"], video.frames)
        images = last - first + 1
        start = min(2 + int(draw[3] * max(images - s["frames"], 0)), max(last - s["frames"] + 1, first))
        return Clip(video.name, video.label, start, last, row, column, bool(s["mirror"] and draw[2] >= 0.5))


def clip_starts(images: int, length: int = 16, stride: int = 8) -> list[int]:
    """0-based starts of the clips that a video is classified by: every `stride` images; where `length` do not remain,
    the last `length`.

    As released, every stride position gives a clip, so the last `length` images count more than once in most videos.
    """
    return [start if start + length < images else max(images - length, 0) for start in range(0, images, stride)]
