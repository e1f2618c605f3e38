"""HDF5 files of rows, which are written a block of rows at a time: their size costs no memory."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from data_prep.whole_files import beside, writing
from data_prep.workers import Counted, no_progress

BLOCK_CELLS = 1 << 18  # of a dataset, made at once
AROUND = 1 << 13  # bytes of a file around its numbers, about
WRITERS = 8  # files written at once: each waits until it is on the disk

# Fills arrays (rows, streams), dataset name -> array, with the rows `first` to `last` of all files together
Fill = Callable[[int, int, Mapping[str, np.ndarray]], None]


class Layout:
    """Where in an HDF5 file of float32 datasets `names`, (height, streams) each, and of buffer_size, (1,), the numbers
    lie, and all else that it holds: files of one height differ in the numbers alone.

    Made once by the library, in memory: where the disk is full, it brings the process down instead of saying so. The
    memory has holes where the numbers will lie. Attributes: shape, size in bytes, offsets by dataset, frame: (offset,
    bytes) of what lies around the datasets. Raises OSError where no file may be so large.
    """

    def __init__(self, names: Sequence[str], height: int, streams: int):
        self.shape = height, streams
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]  # which holds for files in memory too
        if limit != resource.RLIM_INFINITY and 4 * len(names) * height * streams + AROUND > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        memory = os.memfd_create("layout")
        try:
            with h5py.File(f"/proc/self/fd/{memory}", "w", driver="stdio") as file:
                for name in names:
                    file.create_dataset(name, self.shape, np.float32)[-1] = 0  # its place is taken now
                file.create_dataset("buffer_size", data=np.array([streams]))
                self.offsets = {name: file[name].id.get_offset() for name in names}
            self.size = os.fstat(memory).st_size
            ends = [0, *(offset + 4 * height * streams for offset in self.offsets.values())]
            gaps = zip(ends, [*self.offsets.values(), self.size])
            self.frame = [(begin, os.pread(memory, end - begin, begin)) for begin, end in gaps]
        finally:
            os.close(memory)


def write_files(
    folder: Path, names: Sequence[str], shape: tuple[int, int], each: int, fill: Fill, step: int, progress=no_progress
) -> list[str]:
    """Writes batch_0.h5, ... of the datasets `names`, shape (rows, streams) in all and `each` rows a file; those that
    are there are left. fill: called with blocks of whole `step`s. Gives the files' names. Errors: DataError."""
    rows, streams = shape
    with writing(folder):
        folder.mkdir(exist_ok=True)
        spans = [(first, min(first + each, rows)) for first in range(0, rows, each)]
        layouts = {height: Layout(names, height, streams) for height in {last - first for first, last in spans}}
    paths = [folder / f"batch_{number}.h5" for number in range(len(spans))]
    block = max(BLOCK_CELLS // streams // step, 1) * step

    def write(path: Path, span: tuple[int, int]) -> None:
        layout = layouts[span[1] - span[0]]
        if not path.exists() or path.stat().st_size != layout.size:  # one cut otherwise is of an older version
            _write_file(path, layout, span, block, fill)

    pool = ThreadPoolExecutor(WRITERS)
    try:
        for (_, last), _ in zip(spans, pool.map(write, paths, spans), strict=True):
            progress(Counted(folder.name, "rows"), last, rows)
    finally:
        pool.shutdown(cancel_futures=True)
    return [path.name for path in paths]


def _write_file(path: Path, layout: Layout, span: tuple[int, int], block: int, fill: Fill) -> None:
    """The rows `span` of all, which appear whole or not at all."""
    streams = layout.shape[1]
    with beside(path) as new, open(new, "wb", buffering=0) as file:
        for offset, content in layout.frame:
            _write_at(file.fileno(), offset, content)
        for first in range(*span, block):
            last = min(first + block, span[1])
            rows = {name: np.empty((last - first, streams), np.float32) for name in layout.offsets}
            fill(first, last, rows)
            for name, offset in layout.offsets.items():
                _write_at(file.fileno(), offset + 4 * streams * (first - span[0]), rows[name])


def _write_at(file: int, offset: int, content: bytes | np.ndarray) -> None:
    view = memoryview(content).cast("B")
    while view:  # a disk that fills up takes a part
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
