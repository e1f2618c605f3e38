"""The speed of `lrcn prepare ucf101` against ffmpeg alone, decoding the same videos to JPEG of the same size and
quality class on as many threads, in turns in one run.

    python benchmarks/prepare.py [--videos 24] [--frames 180] [--workers N] [--fps 25] [--rounds 3] [--folder DIR]

Videos are of UCF-101's kind: 320x240, MPEG-4 part 2 in AVI, 25 frames a second; an object and a window that wander over
photographs of scikit-image's, with noise. ffmpeg (not needed otherwise) runs as one process of one thread for each
worker, which is its fastest way for many short videos, and writes JPEG files. At 25 frames a second both encode every
frame; at 30 `prepare` stores the bytes of a repeated frame again where ffmpeg encodes it again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from rows import Row, in_turn, main, quietly

from data_prep import store
from data_prep.workers import cores

CLASSES, WIDTH, HEIGHT, FPS = 4, 320, 240, 25


def write_video(path: Path, frames: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    photographs = [getattr(skimage.data, name)()[..., 2::-1] for name in ("astronaut", "chelsea", "coffee")]
    ground = cv2.resize(photographs[seed % 3], (640, 480), interpolation=cv2.INTER_AREA)
    thing = cv2.resize(photographs[(seed + 1) % 3], (100, 90), interpolation=cv2.INTER_AREA)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"XVID"), FPS, (WIDTH, HEIGHT))
    for t in range(frames):
        x, y = int(80 + 70 * np.sin(t / 40 + seed)), int(100 + 60 * np.cos(t / 50))
        image = ground[y : y + HEIGHT, x : x + WIDTH].copy()
        left, top = int(110 + 100 * np.sin(t / 12)), int(75 + 70 * np.cos(t / 9))
        image[top : top + 90, left : left + 100] = thing
        writer.write(np.clip(image + random.normal(0, 3, image.shape), 0, 255).astype(np.uint8))
    writer.release()


def write_set(folder: Path, videos: int, frames: int) -> list[Path]:
    """Videos and lists under UCF-101's names; every fourth group is for testing."""
    classes, lines, paths = [f"Class{c}" for c in range(CLASSES)], {"trainlist01": [], "testlist01": []}, []
    for number in range(videos):
        name, group = classes[number % CLASSES], number // CLASSES + 1
        paths.append(folder / "videos" / name / f"v_{name}_g{group:02d}_c01.avi")
        write_video(paths[-1], frames, number)
        entry = f"{name}/{paths[-1].name}"
        if group % 4 == 1:
            lines["testlist01"].append(entry)
        else:
            lines["trainlist01"].append(f"{entry} {classes.index(name) + 1}")
    (folder / "lists").mkdir()
    (folder / "lists" / "classInd.txt").write_text("".join(f"{n} {name}\n" for n, name in enumerate(classes, 1)))
    for name, entries in lines.items():
        (folder / "lists" / f"{name}.txt").write_text("\n".join(entries) + "\n")
    return paths


def with_ffmpeg(paths: list[Path], out: Path, fps: float, workers: int) -> tuple[float, int, int]:
    """Seconds, images and bytes of ffmpeg, a process of one thread for each worker."""

    def one(path: Path) -> None:
        (out / path.stem).mkdir(parents=True)
        arguments = ["-r", str(fps)] if fps != FPS else []
        subprocess.run(
            [
                "ffmpeg",
                "-v",
                "error",
                "-nostdin",
                "-threads",
                "1",
                "-i",
                path,
                *arguments,
                "-q:v",
                "2",
                "-threads",
                "1",
                out / path.stem / "%04d.jpg",
            ],
            check=True,
        )

    begun = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, paths))
    seconds = time.perf_counter() - begun
    sizes = [file.stat().st_size for file in out.rglob("*.jpg")]
    return seconds, len(sizes), sum(sizes)


def with_prepare(folder: Path, out: Path, fps: float, workers: int) -> tuple[float, int, int]:
    """Seconds, images and bytes of the whole command: start, frames, check, stills of split 1."""
    command = [Path(sys.executable).with_name("lrcn"), "prepare", "ucf101", "--videos", folder / "videos", "--splits"]
    options = [folder / "lists", "--out", out, "--fps", str(fps), "--workers", str(workers), "--subset"]
    begun = time.perf_counter()
    quietly([*command, *options])
    seconds = time.perf_counter() - begun
    with store.reader(out / "frames").begin() as transaction:
        sizes = [len(value) for _, value in transaction.cursor()]
    return seconds, len(sizes), sum(sizes)


def measure(asked: argparse.Namespace) -> list[Row]:
    if not shutil.which("ffmpeg"):
        raise SystemExit("ffmpeg: not installed; this benchmark measures against it (apt-get install ffmpeg)")
    made: dict[str, list[tuple[int, float]]] = {"ffmpeg": [], "prepare": []}
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        folder = Path(scratch)
        paths = write_set(folder, asked.videos, asked.frames)

        def ffmpeg() -> None:
            _, images, size = with_ffmpeg(paths, folder / f"ffmpeg{len(made['ffmpeg'])}", asked.fps, asked.workers)
            made["ffmpeg"].append((images, size / images))

        def prepare() -> None:
            _, images, size = with_prepare(folder, folder / f"out{len(made['prepare'])}", asked.fps, asked.workers)
            made["prepare"].append((images, size / images))

        theirs, ours = in_turn(ffmpeg, prepare, asked.rounds)
    (ours_images, ours_bytes), (their_images, their_bytes) = made["prepare"][0], made["ffmpeg"][0]
    rate, other = ours_images / ours, their_images / theirs
    what = f"prepare ucf101, {asked.workers} processes, {ours_bytes / 1e3:.0f} kB a frame"
    against = f"ffmpeg -q:v 2, {asked.workers} processes of one thread, {their_bytes / 1e3:.0f} kB a frame"
    return [Row(what, rate, "frames/s", against, other, rate / other, "at least 2.5")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--frames", type=int, default=180)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--fps", type=float, default=FPS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; on the disk that is of interest")
    main(measure, parser)
