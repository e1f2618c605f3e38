"""The frames of the videos that are classified: worker processes decode and cut them while Caffe computes, each once,
however often it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lrcn.engine.crew import SKIP, Crew, serve

AHEAD_BYTES = 1 << 30  # of frames made ahead, at most


@dataclass
class Pending:
    """A frame in the making, or made: its slot, how often it is still to be shown, and the number of its order."""

    slot: int
    times: int
    order: int


class Frames:
    """What a deploy net is shown of a frame, float32: its crops (crops, 3, size, size), or its activations (D,).

    wanted: (video's number, video's name, image number, how often it is asked for), in the order in which they are
    first asked for. At any time no more than `together` frames may be asked for and not yet given back.
    """

    def __init__(self, job: dict, shape: tuple[int, ...], wanted: Iterable, together: int, ahead: int):
        ahead = max(1, min(ahead, AHEAD_BYTES // (4 * int(np.prod(shape)))))
        workers = 1 if job["modality"] is None else job["workers"]  # of activations, each would read the whole file
        self.crew = Crew("lrcn.activity.frame_loader", job, workers, together + ahead, shape)
        self.wanted, self.free = iter(wanted), list(range(together + ahead))
        self.pending: dict[tuple[int, int], Pending] = {}  # by number of the video, and of the image
        self._order()

    def _order(self) -> None:
        while self.free:
            frame = next(self.wanted, None)
            if frame is None:
                return
            v, name, number, times = frame
            slot = self.free.pop()
            self.pending[v, number] = Pending(slot, times, self.crew.ask(name, slot, v, name, number))

    def __getitem__(self, frame: tuple[int, int]) -> np.ndarray:
        """The pixels of (video's number, image number). LoaderError names a file that cannot be read."""
        pending = self.pending[frame]
        self.crew.wait(pending.order)
        return self.crew.slots[pending.slot]

    def taken(self, frames: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
        """The pixels of one frame after the other; those of one are given back when the next is asked for."""
        for frame in frames:
            yield self[frame]
            self.give_back(frame)

    def give_back(self, frame: tuple[int, int]) -> None:
        """A frame has been shown; one that is not asked for again makes room for one to come."""
        pending = self.pending[frame]
        pending.times -= 1
        if not pending.times:
            self.free.append(self.pending.pop(frame).slot)
            self._order()


def _begin(job: dict, slots: np.ndarray):
    return (_begin_activations if job["modality"] is None else _begin_pixels)(job, slots)


def _begin_activations(job: dict, slots: np.ndarray):
    from data_prep.features import read_videos

    sequences = read_videos(job["data"], "test", job["split"])[0]

    def make(slot, v, name, number):
        slots[slot] = sequences[v].reshape(-1, slots.shape[-1])[number]

    return make


def _begin_pixels(job: dict, slots: np.ndarray):
    import cv2

    from data_prep.dataset import Dataset
    from lrcn import pixels

    cv2.setNumThreads(1)
    dataset, skip = Dataset(job["data"], trusted=True), job.get("on_corrupt") == SKIP
    transform = pixels.Transform.read(job | {"negate": "flow_negation" not in job})  # else `score` negates, if anybody
    centre = job.get("crops") == "centre"

    def make(slot, v, name, number):
        passed_over = [] if skip else None
        image = transform.enlarged(pixels.read(dataset, job["modality"], name, number, passed_over))
        for crop, seen in zip([transform.centre(image)] if centre else transform.crops(image), slots[slot]):
            transform.blob(crop, seen)
        return passed_over

    return make


if __name__ == "__main__":
    serve(_begin)
