"""Small video files for the tests."""

import cv2
import numpy as np

from data_prep.list_order import ListOrder
from data_prep.ucf101 import Archive, prepare_ucf101
from data_prep.videos import FrameOptions, prepare_folder
from data_prep.workers import Work, no_progress

SIZE = (48, 40)  # width, height of the tests' videos
# what dataset.json says of one that holds no frames
FEATURES = {
    "name": "f",
    "kind": "features",
    "classes": ["a"],
    "mirror": True,
    "frames": 1,
    "feature_size": 1,
    "videos": 1,
}


def write_video(path, frames=6, value=60, size=SIZE, fps=10):
    """A small motion JPEG whose frame i is one grey, (value + 10 i) mod 240, with a bright square that moves to the
    right.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), fps, size)
    for i in range(frames):
        image = np.full((size[1], size[0], 3), (value + 10 * i) % 240, np.uint8)
        image[10:20, 2 * i + 4 : 2 * i + 14] = 250
        writer.write(image)
    writer.release()
    return path


def write_classes(folder, count):
    """A folder of so many videos of each of two classes, none like another."""
    for i in range(count):
        for name in ("Jump", "Run"):
            write_video(folder / name / f"v_{name}_{i}.avi", 4 + i, value=30 * i)
    return folder


def files_of(folder):
    """Every file's bytes, but LMDB's table of readers, which is of the moment."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock.mdb")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def write_ucf101(folder, classes=("Jump", "Run", "Walk"), groups=4, clips=2, frames=5):
    """Videos under UCF-101's names in FOLDER/videos/CLASS, and FOLDER/lists with three splits: in split N, group N is
    for testing.
    """
    lists = folder / "lists"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{n} {name}\n" for n, name in enumerate(classes, 1)))
    names = [
        (c, g, f"v_{c}_g{g:02d}_c{k:02d}") for c in classes for g in range(1, groups + 1) for k in range(1, clips + 1)
    ]
    for number, (class_name, group, name) in enumerate(names):
        write_video(folder / "videos" / class_name / f"{name}.avi", frames=frames + group, value=5 * number)
    for split in (1, 2, 3):
        train = [f"{c}/{n}.avi {classes.index(c) + 1}\n" for c, g, n in names if g != split]
        test = [f"{c}/{n}.avi\n" for c, g, n in names if g == split]
        (lists / f"trainlist{split:02d}.txt").write_text("".join(train))
        (lists / f"testlist{split:02d}.txt").write_text("".join(test))
    return folder


def prepare_small(videos, lists, out, workers=1, progress=no_progress, order=ListOrder(), shard=None, **options):
    """`prepare_folder`, to images of 48x40 pixels."""
    options = FrameOptions(**{"height": SIZE[1], "width": SIZE[0]} | options)
    return prepare_folder(videos, lists, out, options, order, Work(workers, progress, shard=shard))


def prepare_small_ucf101(
    archive, out, split="1", subset=True, workers=1, progress=no_progress, order=ListOrder(), shard=None, **options
):
    """`prepare_ucf101` of what `write_ucf101` wrote, to images of 48x40 pixels."""
    options = FrameOptions(**{"height": SIZE[1], "width": SIZE[0]} | options)
    archive = Archive(archive / "videos", archive / "lists", subset)
    return prepare_ucf101(archive, out, split, options, order, Work(workers, progress, shard=shard))
