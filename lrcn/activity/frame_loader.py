"""The frames of the videos that are classified: worker processes decode and cut them while Caffe computes, each once,
however many clips share it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lrcn.engine.crew import Crew, serve

AHEAD_BYTES = 1 << 30  # of frames made ahead, at most


class Frames:
    """What a deploy net is shown of a frame, float32: its crops (crops, 3, size, size), or its activations (D,).

    wanted: (video's number, video's name, image number, how many clips it is in), in the order in which they are first
    asked for. At any time no more than `together` frames may be asked for and not yet given back.
    """

    def __init__(self, job: dict, shape: tuple[int, ...], wanted: Iterable, together: int, ahead: int):
        ahead = max(1, min(ahead, AHEAD_BYTES // (4 * int(np.prod(shape)))))
        features = job["modality"] is None  # every worker would read the whole file
        self.crew = Crew("lrcn.activity.frame_loader", job, 1 if features else job["workers"], together + ahead, shape)
        self.wanted, self.free = iter(wanted), list(range(together + ahead))
        self.asked = self.made = 0
        self.held: dict[tuple[int, int], list[int]] = {}  # (video, image) -> slot, clips to come, number of the order
        self._order()

    def _order(self) -> None:
        while self.free:
            frame = next(self.wanted, None)
            if frame is None:
                return
            v, name, number, clips = frame
            slot = self.free.pop()
            self.crew.ask(self.asked % len(self.crew.workers), [slot, v, name, number])
            self.held[v, number] = [slot, clips, self.asked]
            self.asked += 1

    def __getitem__(self, frame: tuple[int, int]) -> np.ndarray:
        """The pixels of (video's number, image number). LoaderError names a file that cannot be read."""
        slot, _, order = self.held[frame]
        while self.made <= order:
            self.crew.wait(self.made % len(self.crew.workers))
            self.made += 1
        return self.crew.slots[slot]

    def give_back(self, frame: tuple[int, int]) -> None:
        """A clip has been shown; a frame that no other clip needs makes room for one to come."""
        held = self.held[frame]
        held[1] -= 1
        if not held[1]:
            self.free.append(self.held.pop(frame)[0])
            self._order()


def _begin(job: dict, slots: np.ndarray):
    if job["modality"] is None:
        from data_prep.features import read_videos

        x = read_videos(job["data"], "test", job["split"])[0]

        def give(order):
            slot, v, _, number = order
            slots[slot] = x[v].reshape(-1, slots.shape[-1])[number]

        return give

    import cv2

    from data_prep.dataset import Dataset
    from lrcn import pixels
    from lrcn.engine.crew import naming

    cv2.setNumThreads(1)
    dataset, transform = Dataset(job["data"]), pixels.Transform.read(job)

    def work(order):
        slot, _, name, number = order
        with naming(name):
            image = transform.enlarged(pixels.read(dataset, job["modality"], name, number))
            centre = job.get("crops") == "centre"
            transform.blob(transform.centre(image)[None] if centre else transform.crops(image), slots[slot])

    return work


if __name__ == "__main__":
    serve(_begin)
