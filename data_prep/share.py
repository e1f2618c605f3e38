"""The data of one of several processes that train a net together: of each batch the columns that are its own.

Column c of a batch is for process c mod `ranks`, in every layer of the net alike. Caffe's `Data` and `HDF5Data` deal
rows out so by themselves, which does where a row is an item of the batch. What they do not deal out is made anew here:
lists of images; and HDF5 files whose rows are time steps, with the items in columns.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep import DataError
from data_prep.stretch import AGAIN, files_of, lines_of, source_of, write_datasets
from data_prep.whole_files import write_bytes, writing
from prototxt_gen.states import is_in
from readers.hdf5 import open_hdf5

MADE = r"[0-9]+(-[0-9]+)?\.(txt|h5)"  # what `take_share` makes in its folder


def take_share(net, whole, state, rank: int, ranks: int, run: Path, name: str = "ranks") -> None:
    """Makes those layers of `net` that read data in `state` from files read the share of process `rank` of `ranks`.

    net: a NetParameter, changed in place, made for batches of 1 / ranks of the items. whole: the same for whole
    batches, whose files are read. state: the NetState of training. run: the folder in which Caffe runs, where lists and
    files are made in the folder `name`; those that the processes share are process 0's to make. Errors: DataError.
    """
    folder = Path(run) / name
    with writing(folder):
        folder.mkdir(exist_ok=True)
    for number, (layer, other) in enumerate(zip(net.layer, whole.layer)):
        param, of_whole = source_of(layer), source_of(other)
        if param is None or not is_in(layer, state):
            continue
        source, param.source = Path(run) / of_whole.source, of_whole.source
        if layer.type == "ImageData":
            param.source = f"{name}/{number}-{rank}.txt"
            write_bytes(folder / f"{number}-{rank}.txt", dealt_lines(source, rank, ranks))
        elif layer.type == "HDF5Data" and param.batch_size == of_whole.batch_size:  # its rows are time steps
            param.source = f"{name}/{number}.txt"
            if rank == 0:
                deal_columns(source, folder / f"{number}.txt", ranks, list(layer.top), Path(run))


def dealt_lines(source: Path, rank: int, ranks: int) -> bytes:
    """Every `ranks`-th line of an ImageData list from line `rank` on, round and round until that begins anew. Errors:
    DataError."""
    lines = lines_of(source)
    count = len(lines) // math.gcd(len(lines), ranks)
    return b"".join(lines[(rank + ranks * k) % len(lines)] + b"\n" for k in range(count))


def deal_columns(source: Path, target: Path, ranks: int, names: Sequence[str], run: Path) -> None:
    """Writes the HDF5 list `target`, and beside it files that have for each row (N, ...) of those of the list `source`
    `ranks` rows (N / ranks, ...): columns 0, ranks, ..., then 1, ranks + 1, ... HDF5Data deals these out by turns.

    names: the datasets that are read. run: the folder that relative names, in both lists, count from. Errors:
    DataError.
    """
    dealt = []
    for number, file in enumerate(files_of(source)):
        path, made = Path(run) / os.fsdecode(file), target.with_name(f"{target.stem}-{number}.h5")
        with open_hdf5(path, DataError, AGAIN) as read:
            datasets = {name: _dealt(read[name][:], ranks) for name in names}
        write_datasets(made, datasets)
        dealt.append(os.fsencode(os.path.relpath(made, run)))
    write_bytes(target, b"".join(file + b"\n" for file in dealt))


def _dealt(values: np.ndarray, ranks: int) -> np.ndarray:
    rows, columns, *rest = values.shape
    turned = values.reshape(rows, columns // ranks, ranks, *rest).swapaxes(1, 2)
    return turned.reshape(rows * ranks, columns // ranks, *rest)
