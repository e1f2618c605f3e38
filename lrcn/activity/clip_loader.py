"""Batches of clips, decoded and cut by worker processes while Caffe computes."""

from __future__ import annotations

from collections import deque

import numpy as np

from lrcn.engine.crew import Crew, serve

AHEAD = 2  # batches in memory: one that Caffe takes over, one in the making


class Loader:
    """Iterates over batches of `sampler`, from number `first` on: (data (T, N, 3, crop, crop) float32, labels (N,))."""

    def __init__(self, sampler, settings, first=0):
        self.sampler, self.next, self.waiting = sampler, first, deque()
        shape = settings["frames"], settings["videos"], 3, settings["crop"], settings["crop"]
        workers = min(settings["workers"], settings["videos"])
        self.crew = Crew("lrcn.activity.clip_loader", settings, workers, AHEAD, shape)
        for _ in range(AHEAD - 1):
            self._order()

    def _order(self) -> None:
        """Has the next batch made, in the slot of the one that was given AHEAD batches ago."""
        clips, slot = self.sampler.batch(self.next), self.next % AHEAD
        for v, clip in enumerate(clips):
            last_order = self.crew.ask(clip.video, slot, v, *vars(clip).values())
        self.waiting.append((slot, np.array([clip.label for clip in clips], np.float32), last_order))
        self.next += 1

    def __iter__(self):
        return self

    def __next__(self):
        """The next batch. The data lie in shared memory and are overwritten once the batch after it has been asked
        for."""
        self._order()
        slot, labels, last_order = self.waiting.popleft()
        self.crew.wait(last_order)
        return self.crew.slots[slot], labels


def _begin(settings: dict, slots: np.ndarray):
    import cv2

    from data_prep.dataset import Dataset
    from lrcn import pixels
    from lrcn.activity.sampler import Clip, clip_images, image_range

    cv2.setNumThreads(1)
    dataset, modality, transform = Dataset(settings["data"]), settings["modality"], pixels.Transform.read(settings)
    lengths = {video.name: video.frames for video in dataset.read_list(settings["list"])}

    def make(slot, v, *fields):
        clip = Clip(*fields)
        last = image_range(modality, lengths[clip.video])[1]
        for t, number in enumerate(clip_images(clip.first, settings["frames"], last)):
            image = transform.enlarged(pixels.read(dataset, modality, clip.video, number))
            transform.blob(transform.cut(image, clip.row, clip.column, clip.mirror), slots[slot, t, v])

    return make


if __name__ == "__main__":
    serve(_begin)
