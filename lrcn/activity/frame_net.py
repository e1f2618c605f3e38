"""What a net in Caffe makes of frames that it sees each by itself, as a CNN does: every frame goes through it once,
however many clips share it. Runs in Caffe's process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

# Types of layers that make each row of what they read, a frame or a crop of it, a row by itself.
ROW_BY_ROW = {
    *("Convolution", "Pooling", "LRN", "InnerProduct", "ReLU", "Dropout", "Softmax", "Split", "Concat", "Eltwise"),
    *("Scale", "Bias", "PReLU", "ELU", "Sigmoid", "TanH", "Power", "Flatten"),
}

Frame = TypeVar("Frame", bound=Hashable)
Row = tuple[np.ndarray, ...]  # of each of some blobs all values that are of one frame


@dataclass(frozen=True)
class Seam:
    """Where a net goes over from frames to sequences. last: the last layer before it; None where sequences are made of
    the input itself. next: the first after it; None where there is none. blobs: what is read across it, or given."""

    last: str | None
    next: str | None
    blobs: tuple[str, ...]


def seam(net, pictures: str, frames: int) -> Seam:
    """Of a net in Caffe that reads `frames` frames at a time as the blob `pictures`, each of as many rows. The layers
    before it depend on nothing but the pictures, and keep frames apart."""
    names, rows, begin = list(net._layer_names), net.blobs[pictures].shape[0], 0
    last, of_frames = None, {pictures}
    for name, layer in zip(names, net.layers):
        apart = rows % frames == 0 and all(net.blobs[top].shape[0] == rows for top in net.top_names[name])
        if layer.type in ROW_BY_ROW and apart and of_frames.issuperset(net.bottom_names[name]):
            last = name
            of_frames.update(net.top_names[name])
        elif layer.type != "Input":
            break
        begin += 1
    read = [blob for name in names[begin:] for blob in net.bottom_names[name]] or net.outputs
    blobs = tuple(dict.fromkeys(blob for blob in read if blob in of_frames))
    return Seam(last, names[begin] if begin < len(names) else None, blobs)


class FrameNet:
    """The layers of a net up to `last`, `frames` frames at a time; of them `blobs` are given."""

    def __init__(self, net, pictures: str, frames: int, last: str | None, blobs: Sequence[str]):
        self.net, self.pictures, self.frames, self.last, self.blobs = net, pictures, frames, last, blobs
        self.shape = tuple(net.blobs[pictures].shape)

    def rows(self, shown: Iterable[np.ndarray]) -> list[Row]:
        """Of each frame what the blobs have of it, flat. shown: at most `frames` of them, what the net reads of each;
        one is read no more when the next is asked for. Where they are fewer, the blobs are left as small."""
        pictures, count = self.net.blobs[self.pictures], 0
        pictures.reshape(*self.shape)
        lanes = pictures.data.reshape(self.frames, -1)
        for count, pixels in enumerate(shown, 1):
            lanes[count - 1] = pixels.reshape(-1)
        frames = self.frames
        if self.last is not None:
            frames = count
            pictures.reshape(self.shape[0] // self.frames * count, *self.shape[1:])  # what lies there stays
            self.net.forward(end=self.last)
        values = [self.net.blobs[blob].data.reshape(frames, -1) for blob in self.blobs]
        return [tuple(each[at].copy() for each in values) for at in range(count)]


def rows_of_clips(
    clips: Iterable[Sequence[Frame]], together: int, rows: Callable[[list[Frame]], list[Row]]
) -> Iterator[list[Row]]:
    """The rows of each clip's frames. rows: makes those of some frames, `together` at a time but for the last; each is
    asked for once, in the order in which clips need them, and kept until its last clip has been taken."""
    clips = list(clips)
    left = Counter(frame for clip in clips for frame in dict.fromkeys(clip))
    to_come, made = iter(list(left)), {}
    for clip in clips:
        while any(frame not in made for frame in clip):
            batch = list(islice(to_come, together))
            made |= zip(batch, rows(batch))
        yield [made[frame] for frame in clip]
        for frame in dict.fromkeys(clip):
            left[frame] -= 1
            if not left[frame]:
                del made[frame]
