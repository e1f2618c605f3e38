"""Pairs of frames a second of `lrcn prepare flow`, with a process a core, against one process that calls the same
OpenCV functions: a plain loop, without a thread of OpenCV's, over the same stored frames, that stores the same images.

    python benchmarks/flow.py [--algorithm dis] [--videos 16] [--frames 180] [--workers N] [--rounds 3] [--folder DIR]

Videos are those of prepare.py. What both do: read a frame, decode it to grey, compute the flow from the frame before,
make an image of it, encode that as JPEG. `lrcn` also starts up, commits to LMDB, and reads and measures every image.
A second row has the function alone as the alternative, called on frames that lie decoded in memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import cv2
from prepare import write_set
from rows import Row, in_turn, main, quietly

from data_prep import flow, flow_images, frames, store
from data_prep.dataset import Dataset
from data_prep.workers import cores


def lrcn(*arguments) -> None:
    command = [Path(sys.executable).with_name("lrcn"), "prepare", *map(str, arguments)]
    quietly(command)


def in_one_process(data: Path, algorithm: str, out: Path) -> float:
    """The seconds that the function itself took."""
    environment, estimate, inside = store.reader(data / "frames"), flow.estimator(algorithm), 0.0
    for video in Dataset(data).index.values():
        before = None
        for number in range(1, video.frames + 1):
            grey = frames.decode(store.read_jpeg(environment, "rgb", video.name, number), cv2.IMREAD_GRAYSCALE)
            if before is not None:
                begun = time.perf_counter()
                motion = estimate(before, grey)
                inside += time.perf_counter() - begun
                jpeg = frames.encode_jpeg(flow_images.encode(motion), full_colour=True)
                (out / f"{video.name}.{number:04d}.jpg").write_bytes(jpeg)
            before = grey
    return inside


def measure(asked: argparse.Namespace) -> list[Row]:
    cv2.setNumThreads(1)
    inside: list[float] = []
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        folder, data = Path(scratch), Path(scratch) / "data"
        write_set(folder, asked.videos, asked.frames)
        sources = ["--videos", folder / "videos", "--splits", folder / "lists", "--subset", "--fps", 25]
        lrcn("ucf101", *sources, "--out", data, "--every", 100)
        (folder / "images").mkdir()
        pairs = sum(video.images("flow") for video in Dataset(data).index.values())
        options = ["--algorithm", asked.algorithm, "--workers", asked.workers]

        def ours() -> None:
            note = store.MODALITIES["flow"]
            (data / note / "data.mdb").unlink(missing_ok=True)
            lrcn("flow", "--data", data, "--replace", *options)

        one, many = in_turn(
            lambda: inside.append(in_one_process(data, asked.algorithm, folder / "images")), ours, asked.rounds
        )
    alone = sorted(inside)[len(inside) // 2]
    what, ours_rate = f"prepare flow, {asked.algorithm}, {asked.workers} processes", pairs / many
    return [
        Row(what, ours_rate, "pairs/s", "one process, the same functions", pairs / one, one / many, "at least 1.9"),
        Row(what, ours_rate, "pairs/s", "one process, the flow function alone", pairs / alone, alone / many, ""),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithm", choices=sorted(flow.ALGORITHMS), default="dis")
    parser.add_argument("--videos", type=int, default=16)
    parser.add_argument("--frames", type=int, default=180)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; on the disk that is of interest")
    main(measure, parser)
