"""Batches of clips, decoded and cut by worker processes while Caffe computes."""

from __future__ import annotations

from collections import deque

import numpy as np

from lrcn.engine.crew import ON_CORRUPT, SKIP, Crew, serve

AHEAD = 2  # batches in memory: one that Caffe reads, one in the making
AHEAD_OF_CARD = 3  # one that was copied to the card, one on its way, one in the making


class Loader:
    """Iterates over batches of `sampler`, from number `first` on: (data (T, N, 3, crop, crop) float32, labels (N,))."""

    def __init__(self, sampler, settings, first=0, ahead=AHEAD):
        self.sampler, self.next, self.ahead, self.waiting = sampler, first, ahead, deque()
        shape = settings["frames"], settings["videos"], 3, settings["crop"], settings["crop"]
        workers = min(settings["workers"], settings["videos"])
        self.crew = Crew("lrcn.activity.clip_loader", settings, workers, ahead, shape)
        for _ in range(ahead - 1):
            self._order()

    def _order(self) -> None:
        """Has the next batch made, in the slot of the one that was given `ahead` batches ago."""
        clips, slot = self.sampler.batch(self.next), self.next % self.ahead
        for v, clip in enumerate(clips):
            last_order = self.crew.ask(clip.video, slot, v, *vars(clip).values())
        self.waiting.append((slot, np.array([clip.label for clip in clips], np.float32), last_order))
        self.next += 1

    def __iter__(self):
        return self

    def __next__(self):
        """The next batch. The data lie in shared memory and are overwritten once the batch `ahead` - 1 after it has
        been asked for."""
        slot, labels = self._next()
        return self.crew.slots[slot], labels

    def _next(self) -> tuple[int, np.ndarray]:
        """The slot of the next batch, and its labels."""
        self._order()
        slot, labels, last_order = self.waiting.popleft()
        self.crew.wait(last_order)
        return slot, labels

    def fill(self, blob) -> np.ndarray:
        """Puts the next batch into a net's blob (T * N, 3, crop, crop); gives its labels (N,)."""
        data, labels = next(self)
        blob.data[...] = data.reshape(blob.data.shape)
        return labels


class LoaderInPlace(Loader):
    """A loader whose batches a net reads where they lie: it asks for a batch only after it has read the one before.

    in_place: the class InPlace in the engine's `_in_place` (docker/caffe/python).
    """

    def __init__(self, in_place, sampler, settings, first=0):
        super().__init__(sampler, settings, first)
        self.slots = in_place(self.crew.slots)

    def fill(self, blob):
        slot, labels = self._next()
        self.slots.give(slot, blob)
        return labels


class LoaderToCard(Loader):
    """A loader that hands over batches that lie on the card already: each is copied there while Caffe computes on the
    one before.

    hand_over: the class of that name in the engine's `_hand_over` (docker/caffe/gpu/python). Raises RuntimeError where
    the memory cannot be pinned, or the card has no room for two batches.
    """

    def __init__(self, hand_over, sampler, settings, first=0):
        super().__init__(sampler, settings, first, AHEAD_OF_CARD)
        self.card = hand_over(self.crew.slots)
        self.begun = False  # whether the next batch is on its way

    def fill(self, blob):
        self._order()
        slot, labels, last_order = self.waiting.popleft()
        if not self.begun:
            self.crew.wait(last_order)
            self.card.begin(slot)
        self.card.give(blob)
        slot, _, last_order = self.waiting[0]
        self.begun = self.crew.has_done(last_order)  # where it is not, it is copied when it is asked for
        if self.begun:
            self.card.begin(slot)
        return labels


def _begin(settings: dict, slots: np.ndarray):
    import os

    import cv2

    from data_prep.dataset import Dataset
    from lrcn import pixels
    from lrcn.activity.sampler import Clip, clip_images

    cv2.setNumThreads(1)
    dataset, modality = Dataset(settings["data"], trusted=True), settings["modality"]
    transform, skip = pixels.Transform.read(settings), os.environ.get(ON_CORRUPT) == SKIP

    def make(slot, v, *fields):
        clip, passed_over = Clip(*fields), [] if skip else None
        for t, number in enumerate(clip_images(clip.first, settings["frames"], clip.last)):
            image = transform.enlarged(pixels.read(dataset, modality, clip.video, number, passed_over))
            transform.blob(transform.cut(image, clip.row, clip.column, clip.mirror), slots[slot, t, v])
        return passed_over

    return make


if __name__ == "__main__":
    serve(_begin)
