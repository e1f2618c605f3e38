"""Batches of clips, decoded and cut by worker processes while Caffe computes."""

from __future__ import annotations

import numpy as np

from lrcn.engine.crew import Crew, naming, serve

AHEAD = 2  # batches in memory: one that Caffe takes over, one in the making


class Loader:
    """Iterates over batches of `sampler`, from number `first` on: (data (T, N, 3, crop, crop) float32, labels (N,))."""

    def __init__(self, sampler, settings, first=0):
        self.sampler = sampler
        shape = settings["frames"], settings["videos"], 3, settings["crop"], settings["crop"]
        count = max(1, min(settings["workers"], settings["videos"]))
        self.crew = Crew("lrcn.activity.clip_loader", settings, count, AHEAD, shape)
        self.workers = self.crew.workers
        self.first, self.next, self.labels = first, first, {}
        for index in range(first, first + AHEAD):
            self._order(index)

    def _order(self, index):
        clips = self.sampler.batch(index)
        self.labels[index] = np.array([clip.label for clip in clips], np.float32)
        for w in range(len(self.workers)):
            share = [(v, *vars(clips[v]).values()) for v in range(w, len(clips), len(self.workers))]
            self.crew.ask(w, [index % AHEAD, share])

    def __iter__(self):
        return self

    def __next__(self):
        """The next batch. The data lie in shared memory and are overwritten once the batch after it has been asked
        for."""
        if self.next > self.first:  # the caller is done with the batch before, so its slot is free
            del self.labels[self.next - 1]
            self._order(self.next - 1 + AHEAD)
        index, self.next = self.next, self.next + 1
        for w in range(len(self.workers)):
            self.crew.wait(w)
        return self.crew.slots[index % AHEAD], self.labels[index]


def _begin(settings: dict, slots: np.ndarray):
    import cv2

    from data_prep.dataset import Dataset
    from lrcn import pixels
    from lrcn.activity.sampler import Clip, clip_images, image_range

    cv2.setNumThreads(1)
    dataset, modality, transform = Dataset(settings["data"]), settings["modality"], pixels.Transform.read(settings)
    lengths = {video.name: video.frames for video in dataset.read_list(settings["list"])}

    def work(order):
        slot, share = order
        for v, *fields in share:
            clip = Clip(*fields)
            last = image_range(modality, lengths[clip.video])[1]
            with naming(clip.video):
                for t, number in enumerate(clip_images(clip.first, settings["frames"], last)):
                    image = transform.enlarged(pixels.read(dataset, modality, clip.video, number))
                    transform.blob(transform.cut(image, clip.row, clip.column, clip.mirror), slots[slot, t, v])

    return work


if __name__ == "__main__":
    serve(_begin)
