"""How fast clips are read: ClipData's loader against a plain loader that does with each frame what the released layer
does.

    python benchmarks/loader.py [--frames DIR] [--workers 2] [--videos 24] [--batches 6]

DIR holds a folder of JPEG frames for each video; without it frames are cut from a photograph of scikit-image's. Both
make batches of the published size from the same draws, take turns, and are timed by the frame; the processors' time is
told too, which says what the ratio comes to where the machine has other work. The released layer's way
(`processImageCrop` in its sequence_input_layer.py, and the functions of caffe.io that it calls): read a file, to float
between 0 and 1, enlarge what is smaller than 240x320, cut mirrored clips, squeeze whatever is not yet 227x227 to it,
transpose, swap the channels, times 255, subtract the mean. Its resizing is scikit-image's without the smoothing that
newer releases put before it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.io
import skimage.transform
import skimage.util
from clip_data import stored, wandering_windows

from data_prep.dataset import Dataset
from lrcn.activity.clip_loader import Loader
from lrcn.activity.sampler import Sampler
from netspecs import catalogue

MEAN = catalogue.get("activity/lrcn-fc6-rgb").mean()


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


def processor_seconds(processes) -> float:
    """What the processes have used so far, in user and system mode."""
    fields = [Path(f"/proc/{process.pid}/stat").read_text().rsplit(")")[1].split() for process in processes]
    return sum(int(used[11]) + int(used[12]) for used in fields) / os.sysconf("SC_CLK_TCK")


def check_same(files, sampler: Sampler, slipping: dict) -> None:
    """Both must make the same pictures, to the grey levels by which two ways of resizing differ, where ClipData repeats
    the released layer's slip."""
    made = next(Loader(sampler, slipping))[0][:, :4]
    off = np.abs(made - plain_batch(files, sampler.batch(0)[:4]))
    if off.mean() > 0.5:
        raise SystemExit(f"the two loaders disagree by {off.mean():.2f} grey levels in the mean")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--frames", type=Path)
    parse.add_argument("--workers", type=int, default=2)
    parse.add_argument("--videos", type=int, default=24)
    parse.add_argument("--batches", type=int, default=6)
    parse.add_argument("--crop-slip", action="store_true", help="ClipData squeezes clips too that are not mirrored.")
    asked = parse.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        if asked.frames:
            files = {folder.name: sorted(folder.glob("*.jpg")) for folder in sorted(asked.frames.iterdir())}
        else:
            files = {}
            for name, jpegs in wandering_windows().items():
                files[name] = [Path(scratch) / f"{name}.{t:04d}.jpg" for t in range(1, len(jpegs) + 1)]
                for path, jpeg in zip(files[name], jpegs):
                    path.write_bytes(jpeg)
        data = stored(
            {name: [path.read_bytes() for path in paths] for name, paths in files.items()}, Path(scratch) / "data"
        )
        chosen = settings(data, asked.videos, asked.workers, asked.crop_slip)
        sampler = Sampler(Dataset(data).read_list("train1.txt"), chosen)
        rows = 16 * asked.videos
        check_same(files, sampler, settings(data, asked.videos, asked.workers, True))
        blob = np.zeros((16, asked.videos, 3, 227, 227), np.float32)  # Caffe's, into which ClipData copies a batch
        rates: dict[str, list[float]] = {"ClipData": [], "plain": []}
        costs: dict[str, list[float]] = {"ClipData": [], "plain": []}
        for turn in range(asked.batches):
            # The loader runs ahead, so it is timed from its start on: what it had made before would come for nothing.
            loader = Loader(sampler, chosen, first=8 * turn)
            next(loader)
            blob[...] = next(loader)[0]  # the workers have started, and AHEAD batches are ordered
            begun, spent, batches = time.perf_counter(), processor_seconds(loader.crew.workers) + time.process_time(), 6
            for _ in range(batches):
                blob[...] = next(loader)[0]
            rates["ClipData"].append(batches * rows / (time.perf_counter() - begun))
            costs["ClipData"].append(
                (processor_seconds(loader.crew.workers) + time.process_time() - spent) / (batches * rows)
            )
            del loader
            few = sampler.batch(turn)[: max(1, asked.videos // 2)]
            begun, spent = time.perf_counter(), time.process_time()
            plain_batch(files, few)
            rates["plain"].append(16 * len(few) / (time.perf_counter() - begun))
            costs["plain"].append((time.process_time() - spent) / (16 * len(few)))
        fast, slow = (statistics.median(rates[name]) for name in ("ClipData", "plain"))
        print(
            f"frames a second (median of {asked.batches} turns, load {os.getloadavg()[0]:.2f}): "
            f"ClipData {fast:.0f}, plain {slow:.0f}; ratio {fast / slow:.1f}"
        )
        cheap, dear = (1000 * statistics.median(costs[name]) for name in ("ClipData", "plain"))
        print(
            f"milliseconds of a processor's time a frame: ClipData {cheap:.2f}, plain {dear:.2f}; "
            f"ratio {dear / cheap:.1f} on one processor"
        )


if __name__ == "__main__":
    main()
