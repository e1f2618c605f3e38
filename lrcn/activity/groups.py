"""Activations of many videos, whole groups of videos in one file: a batch that Caffe computes never reaches beyond its
group, so that the bits of a group are the same whoever computes it, and whatever was done before.

    FOLDER/rows.f32       (images of all videos, D) float32, video after video
    FOLDER/groups.json    how many videos, and images of them, are done
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta

from data_prep import DataError
from data_prep.whole_files import write_json, writing
from readers.json_files import read_json

GROUP = 64  # videos; a run that was cut off goes on after the last whole group
ROWS = "rows.f32"

Images = list[tuple[str, list[int]]]  # (video's name, image numbers), in order


def groups_of(videos: Images) -> list[Images]:
    return [videos[begin : begin + GROUP] for begin in range(0, len(videos), GROUP)]


def count(groups: Iterable[Images]) -> int:
    """How many images there are."""
    return sum(len(numbers) for group in groups for _, numbers in group)


class Done(TypedDict):
    """groups.json."""

    videos: Annotated[int, Meta(ge=0)]
    frames: Annotated[int, Meta(ge=0)]


NOTHING = Done(videos=0, frames=0)


class Rows:
    """The file of rows of `size` values, a context manager. What goes beyond the whole groups that an earlier process
    left is cut off. Attributes: videos, images that are done."""

    def __init__(self, folder: Path, size: int):
        self.path, self._note = folder / ROWS, folder / "groups.json"
        self._values, done = 4 * size, self._done()
        self._file = open(self.path, "ab")
        if self._file.tell() < done["frames"] * self._values:  # rows were lost since: Caffe computes all anew
            done = NOTHING
        self.videos, self.images = done["videos"], done["frames"]
        self._file.truncate(self.images * self._values)

    def _done(self) -> Done:
        """What is noted; nothing where that was damaged since."""
        try:
            return read_json(self._note, Done, DataError) if self._note.exists() else NOTHING
        except DataError:
            return NOTHING

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: bytes) -> None:
        """Of the next images."""
        self._file.write(rows)
        self.images += len(rows) // self._values

    def end_group(self, group: Images) -> None:
        """All of its rows were written."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.videos += len(group)
        write_json(self._note, {"videos": self.videos, "frames": self.images})


def gather(
    folder: Path,
    size: int,
    groups: list[Images],
    rows_of: Callable[[list[Images]], Iterator[bytes]],
    progress: Callable[[int, int], None],
) -> None:
    """Writes the rows of groups that others have computed. rows_of: gives those of each of some groups, in order.
    progress: told how many images are done, of how many."""
    total = count(groups)
    with writing(folder):
        opened = Rows(folder, size)
    with opened as file:
        todo, before = [], 0
        for group in groups:
            if before >= file.videos:
                todo.append(group)
            before += len(group)
        for group, rows in zip(todo, rows_of(todo)):
            with writing(file.path):
                file.write(rows)
                file.end_group(group)
            progress(file.images, total)
