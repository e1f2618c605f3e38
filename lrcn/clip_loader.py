"""Worker processes that decode and cut the clips of coming batches while Caffe computes.

The workers are Python processes of their own and share one block of memory with Caffe's: OpenCV's and HDF5's libraries
inside Caffe would clash with those of the Python wheels, and Caffe never lets go of Python's lock, so threads would
stand still. They end with their standard input, so they never outlive the net, however it ends.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import weakref

import numpy as np

AHEAD = 2  # batches in memory: one that Caffe takes over, one in the making
MESSAGE = "lrcn-error: "  # begins the line for the user among Caffe's own


class LoaderError(RuntimeError):
    """One line that names the file that could not be read."""


def _shape(settings):
    return settings["frames"], settings["videos"], 3, settings["crop"], settings["crop"]


class Loader:
    """Iterates over batches of `sampler`, from number `first` on: (data (T, N, 3, crop, crop) float32, labels (N,))."""

    def __init__(self, sampler, settings, first=0):
        self.sampler, self.shape = sampler, _shape(settings)
        bytes_each = int(np.prod(self.shape)) * 4
        memory = os.memfd_create("lrcn-clips")
        os.ftruncate(memory, bytes_each * AHEAD)
        self.slots = np.frombuffer(mmap.mmap(memory, bytes_each * AHEAD), np.float32).reshape(AHEAD, *self.shape)
        # Inside the caffe tool sys.executable is a guess; `lrcn train` says which Python it is.
        command = [
            os.environ.get("LRCN_PYTHON", sys.executable),
            "-m",
            "lrcn.clip_loader",
            str(memory),
            json.dumps(settings),
        ]
        count = max(1, min(settings["workers"], settings["videos"]))
        self.workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[memory], text=True)
            for _ in range(count)
        ]
        os.close(memory)
        weakref.finalize(self, _end, self.workers)
        self.first, self.next, self.labels = first, first, {}
        for index in range(first, first + AHEAD):
            self._order(index)

    def _order(self, index):
        clips = self.sampler.batch(index)
        self.labels[index] = np.array([clip.label for clip in clips], np.float32)
        for w, worker in enumerate(self.workers):
            share = [(v, *vars(clips[v]).values()) for v in range(w, len(clips), len(self.workers))]
            try:
                print(json.dumps([index % AHEAD, share]), file=worker.stdin, flush=True)
            except BrokenPipeError:
                pass  # its end is reported where its answer is missed

    def __iter__(self):
        return self

    def __next__(self):
        """The next batch. The data lie in shared memory and are overwritten once the batch after it has been asked
        for."""
        if self.next > self.first:  # the caller is done with the batch before, so its slot is free
            del self.labels[self.next - 1]
            self._order(self.next - 1 + AHEAD)
        index, self.next = self.next, self.next + 1
        for worker in self.workers:
            answer = worker.stdout.readline()
            if not answer:
                raise LoaderError(f"a loader process ended with status {worker.wait()}; is memory short?")
            if json.loads(answer):
                raise LoaderError(json.loads(answer))
        return self.slots[index % AHEAD], self.labels[index]


def _end(workers):
    for worker in workers:
        worker.stdin.close()
        worker.terminate()
    for worker in workers:
        worker.wait()
        worker.stdout.close()


def _work(memory: int, settings: dict) -> None:
    import signal

    import cv2

    from data_prep.store import Dataset
    from lrcn import pixels
    from lrcn.sampler import Clip, clip_images, image_range

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for Caffe, which then ends its workers
    cv2.setNumThreads(1)
    shape = _shape(settings)
    bytes_each = int(np.prod(shape)) * 4
    slots = np.frombuffer(mmap.mmap(memory, bytes_each * AHEAD), np.float32).reshape(AHEAD, *shape)
    dataset, modality = Dataset(settings["data"]), settings["modality"]
    lengths = {video.name: video.frames for video in dataset.read_list(settings["list"])}
    for line in sys.stdin:
        slot, share = json.loads(line)
        trouble = ""
        try:
            for v, *fields in share:
                clip = Clip(*fields)
                last = image_range(modality, lengths[clip.video])[1]
                for t, number in enumerate(clip_images(clip.first, settings["frames"], last)):
                    jpeg = dataset.jpeg(modality, clip.video, number)
                    image = pixels.decode(
                        jpeg,
                        f"{settings['data']}: {modality} image {number} of {clip.video}",
                        settings["height"],
                        settings["width"],
                    )
                    pixels.blob(pixels.cut(image, clip, settings), settings, slots[slot, t, v])
        except Exception as error:  # whatever it is, the user is to read it, with the video's name
            trouble = str(error) if isinstance(error, ValueError) else f"{clip.video}: {type(error).__name__}: {error}"
        print(json.dumps(trouble), flush=True)


if __name__ == "__main__":
    try:
        _work(int(sys.argv[1]), json.loads(sys.argv[2]))
    except BrokenPipeError:
        os._exit(0)  # the net is gone, and nobody is there to be told
