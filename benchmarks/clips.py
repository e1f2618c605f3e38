"""What the benchmarks of clips share: JPEG frames, and a data set of them."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from data_prep import store
from data_prep.dataset import Video, index_text, list_text
from data_prep.whole_files import write_json, write_text

HEIGHT, WIDTH = 256, 340  # of UCF-101's frames, as others store them


def frames_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=Path, help="a folder of JPEG frames a video; windows of photographs else")


def frames(folder: Path | None) -> dict[str, list[bytes]]:
    """Video -> its JPEG frames: those of a folder, or `windows`."""
    if folder is None:
        return windows()
    return {
        video.name: [path.read_bytes() for path in sorted(video.glob("*.jpg"))] for video in sorted(folder.iterdir())
    }


def windows(videos: int = 12, frames: int = 25) -> dict[str, list[bytes]]:
    """Videos of windows that wander over scikit-image's photographs, as files about as large as UCF-101's frames."""
    photographs = skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()
    made = {}
    for v in range(videos):
        photograph = photographs[v % 3]
        rows, columns = photograph.shape[0] - HEIGHT, photograph.shape[1] - WIDTH
        places = np.linspace(0, 1, frames)[:, None] * (rows, columns)
        places = np.abs(places - (rows * (v // 3 % 2), columns * (v // 6 % 2))).astype(int)  # down or up, right or left
        made[f"v_{v:06d}"] = [
            jpeg(photograph[row : row + HEIGHT, column : column + WIDTH, ::-1]) for row, column in places
        ]
    return made


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def stored(videos: dict[str, list[bytes]], folder: Path) -> Path:
    """A data set of these frames in a new folder."""
    folder.mkdir()
    index = [Video(name, "any", 0, len(jpegs)) for name, jpegs in videos.items()]
    with store.ImageWriter(folder, "rgb") as writer:
        for video in index:
            height, width = cv2.imdecode(np.frombuffer(videos[video.name][0], np.uint8), cv2.IMREAD_COLOR).shape[:2]
            writer.add(video.name, 0, videos[video.name], height, width)
    write_text(folder / "videos.tsv", index_text(index))
    write_text(folder / "train1.txt", list_text(index))
    write_json(folder / "dataset.json", {"name": "benchmark", "kind": "frames", "classes": ["any"], "mirror": True})
    return folder
