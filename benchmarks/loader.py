"""Frames that ClipData gives to Caffe, against one process that does with each what the released layer does.

    python benchmarks/loader.py [--frames DIR] [--workers 2] [--videos 24] [--turns 6]

DIR holds a folder of JPEG frames for each video; without it frames are cut from scikit-image's photographs. Both make
batches of the published size from the same draws, in turn. ClipData runs as a layer of a net in Caffe, so that the
batch is in its blob. The released layer's way (`processImageCrop` in its sequence_input_layer.py, and the functions of
caffe.io that it calls): read a file, to float between 0 and 1, enlarge what is smaller than 240x320, cut mirrored
clips, squeeze whatever is not yet 227x227 to it, transpose, swap the channels, times 255, subtract the mean. Its
resizing is scikit-image's without the smoothing that newer releases put before it.

A second row tells the processors' time, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rows
import skimage.io
import skimage.transform
import skimage.util
from clips import frames, frames_option, stored

from data_prep.dataset import Dataset
from lrcn import engine
from lrcn.activity.clip_loader import Loader
from lrcn.activity.sampler import Sampler
from netspecs import catalogue
from prototxt_gen import NetSpec, to_text
from prototxt_gen import layers as L

MEAN = catalogue.get("activity/lrcn-fc6-rgb").mean()
BATCHES = 6  # a turn of ClipData
GOAL = "at least 20"

# Caffe's side. A forward pass has the next batch begun, so the first of a turn is not timed: it finds one made.
PROGRAM = """
import os, sys, time, caffe
net = caffe.Net(sys.argv[1], caffe.TRAIN)
for line in sys.stdin:
    net.forward()
    begun = time.perf_counter()
    for _ in range(int(line)):
        net.forward()
    print(time.perf_counter() - begun, flush=True)
"""


def settings(data: Path, videos: int, workers: int, crop_slip: bool) -> dict:
    """ClipData's, of the published LRCN nets on RGB."""
    return {
        "data": str(data),
        "list": "train1.txt",
        "modality": "rgb",
        "videos": videos,
        "frames": 16,
        "crop": 227,
        "height": 240,
        "width": 320,
        "mirror": True,
        "crop_slip": crop_slip,
        "mean": MEAN,
        "scale": 1.0,
        "order": "list",
        "seed": 1701,
        "workers": workers,
    }


class InCaffe:
    """A net of ClipData alone, in a process of its own."""

    def __init__(self, settings: dict, folder: Path):
        net = NetSpec("clips")
        net.data, net.label, net.clip_markers = L.Python(
            ntop=3, module="lrcn.clip_data", layer="ClipData", param_str=json.dumps(settings)
        )
        (folder / "net.prototxt").write_text(to_text(net.to_proto()))
        command = [sys.executable, "-c", PROGRAM, str(folder / "net.prototxt")]
        environment = engine.find().environment() | {"GLOG_minloglevel": "2"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
        )
        self.turn(1)  # until its workers are there

    def turn(self, batches: int) -> float:
        """The seconds that so many batches took."""
        print(batches, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def processor_seconds(self) -> float:
        """What Caffe's process and its workers have used so far."""
        workers = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        stats = [Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split() for pid in (self.process.pid, *workers)]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """As caffe.io.resize_image: stretched to 0..1, resized, and back."""
    low, high = image.min(), image.max()
    if high == low:
        return np.full((height, width, 3), low, np.float32)
    stretched = (image - low) / (high - low)
    small = skimage.transform.resize(stretched, (height, width), order=1, mode="constant", anti_aliasing=False)
    return (small * (high - low) + low).astype(np.float32)


def plain_frame(path: Path, clip, crop: int = 227) -> np.ndarray:
    """One frame as the released layer makes it, (3, crop, crop) float32."""
    image = skimage.util.img_as_float(skimage.io.imread(path)).astype(np.float32)
    if image.shape[0] < 240 or image.shape[1] < 320:
        image = resized(image, 240, 320)
    if clip.mirror:
        image = image[:, ::-1][clip.row : clip.row + crop, clip.column : clip.column + crop]
    if image.shape[:2] != (crop, crop):
        image = resized(image, crop, crop)
    blob = image.astype(np.float32, copy=False).transpose(2, 0, 1)[[2, 1, 0]]
    return blob * 255 - np.array(MEAN, np.float32)[:, None, None]


def plain_batch(files: dict[str, list[Path]], clips, frames: int = 16) -> np.ndarray:
    """(T, N, 3, crop, crop): one frame after the other, in one process."""
    return np.stack(
        [[plain_frame(files[clip.video][clip.first - 1 + t], clip) for clip in clips] for t in range(frames)]
    )


def check_same(files, sampler: Sampler, slipping: dict) -> None:
    """Both must make the same pictures, to the grey levels by which two ways of resizing differ, where ClipData repeats
    the released layer's slip."""
    made = next(Loader(sampler, slipping))[0][:, :4]
    off = np.abs(made - plain_batch(files, sampler.batch(0)[:4]))
    if off.mean() > 0.5:
        raise SystemExit(f"the two loaders disagree by {off.mean():.2f} grey levels in the mean")


def measure(asked: argparse.Namespace) -> list[rows.Row]:
    with tempfile.TemporaryDirectory() as scratch:
        videos, files = frames(asked.frames), {}
        for name, jpegs in videos.items():
            files[name] = [Path(scratch) / f"{name}.{t:04d}.jpg" for t in range(1, len(jpegs) + 1)]
            for path, jpeg in zip(files[name], jpegs):
                path.write_bytes(jpeg)
        data = stored(videos, Path(scratch) / "data")
        ours = settings(data, asked.videos, asked.workers, False)
        sampler = Sampler(Dataset(data).read_list("train1.txt"), ours)
        check_same(files, sampler, settings(data, asked.videos, asked.workers, True))
        caffe = InCaffe(ours, Path(scratch))
        rates, costs = {"ClipData": [], "plain": []}, {"ClipData": [], "plain": []}
        for turn in range(asked.turns):
            spent = caffe.processor_seconds()
            seconds = caffe.turn(BATCHES)
            time.sleep(0.5)  # until the batch is made that it has begun: the other way has the machine for itself
            rates["ClipData"].append(BATCHES * 16 * asked.videos / seconds)
            made = (BATCHES + 1) * 16 * asked.videos
            costs["ClipData"].append(1000 * (caffe.processor_seconds() - spent) / made)
            clips = sampler.batch(turn)[: max(1, asked.videos // 2)]
            begun, spent = time.perf_counter(), time.process_time()
            plain_batch(files, clips)
            rates["plain"].append(16 * len(clips) / (time.perf_counter() - begun))
            costs["plain"].append(1000 * (time.process_time() - spent) / (16 * len(clips)))
        caffe.end()
    fast, slow = (statistics.median(rates[name]) for name in ("ClipData", "plain"))
    cheap, dear = (statistics.median(costs[name]) for name in ("ClipData", "plain"))
    other = "the released layer's work on each frame, one process"
    return [
        rows.Row(f"clips loaded, {asked.workers} workers", fast, "frames/s", other, slow, fast / slow, GOAL),
        rows.Row("a frame of a clip", cheap, "ms of a processor", other, dear, dear / cheap),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    frames_option(parser)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--videos", type=int, default=24, help="clips a batch")
    parser.add_argument("--turns", type=int, default=6)
    rows.main(measure, parser)
