"""The data of a training that goes on: lists, files and images rearranged so that the net's first batch is the one that
is due.

Caffe's own data layers begin with their first item whenever the program starts, whatever the iteration. They read round
and round; so the same items in the same order, beginning elsewhere, are what an uninterrupted training would read next.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import lmdb
import numpy as np

from data_prep import DataError, store
from data_prep.whole_files import sweep, write_bytes, writing
from prototxt_gen.states import is_in
from readers.hdf5 import dataset, open_hdf5
from readers.text import read_bytes

AGAIN = "prepare the data set again"

MADE = r"[0-9]+(/data\.mdb|/lock\.mdb|\.txt|-(tail|head)\.h5)"  # what `begin_at` makes in its folder


def begin_at(net, state, first: int, last: int, run: Path, name: str = "stretch") -> bool:
    """Makes those layers of `net` that read data in `state` from files begin with batch `first`, for the batches up to
    `last`; whether there are any.

    net: a NetParameter, changed in place. state: the NetState of training. run: the folder in which Caffe runs, where
    the files that it reads are made anew in the folder `name`. Layers that shuffle, or that are no Data, ImageData or
    HDF5Data, stay as they are. Errors: DataError.
    """
    folder, changed = Path(run) / name, False
    sweep(folder, MADE)
    for number, layer in enumerate(net.layer):
        param = source_of(layer)
        if param is None or not is_in(layer, state) or getattr(param, "shuffle", False):
            continue
        with writing(folder):
            folder.mkdir(exist_ok=True)
        source, begin = Path(run) / param.source, first * param.batch_size
        if layer.type == "Data":
            copy_images(source, folder / str(number), begin, (last - first) * param.batch_size)
            # absolute, as LMDB's name for it must not depend on who opens it
            param.source = str((folder / str(number)).resolve())
        else:
            if layer.type == "ImageData":
                write_bytes(folder / f"{number}.txt", rotated_lines(source, begin))
            else:
                rotate_rows(source, folder / f"{number}.txt", begin, list(layer.top), Path(run))
            param.source = f"{name}/{number}.txt"  # Caffe runs in `run`, whose own name may have blanks
        changed = True
    return changed


def source_of(layer):
    """The parameters of a layer that reads files, with its `source` and `batch_size`; None of another."""
    params = {"Data": layer.data_param, "ImageData": layer.image_data_param, "HDF5Data": layer.hdf5_data_param}
    return params.get(layer.type)


def copy_images(source: Path, target: Path, first: int, count: int) -> None:
    """`count` images of the LMDB `source` from position `first` on, round and round, as a new LMDB `target`; no image
    twice. Errors: DataError."""
    with writing(target), store.reader(source).begin() as stored:
        count_stored = stored.stat()["entries"]
        size = os.stat(source / "data.mdb").st_size * 2
        # lock: a file that lies in memory, whose writer a full disk would kill
        with lmdb.open(str(target), map_size=size, sync=False, lock=False) as copies, stored.cursor() as cursor:
            cursor.set_range(b"%08d" % (first % count_stored))
            with copies.begin(write=True) as transaction:
                for position in range(min(count, count_stored)):
                    transaction.put(b"%08d" % position, cursor.value(), append=True)
                    if not cursor.next():
                        cursor.first()


def rotated_lines(source: Path, first: int) -> bytes:
    """The lines of an ImageData list from line `first` on, round and round; each once. Errors: DataError."""
    lines = lines_of(source)
    at = first % len(lines)
    return b"".join(line + b"\n" for line in lines[at:] + lines[:at])


def lines_of(source: Path) -> list[bytes]:
    """The lines of an ImageData list. Errors: DataError."""
    return _read(source).removesuffix(b"\n").split(b"\n")


def rotate_rows(source: Path, target: Path, first: int, names: Sequence[str], run: Path) -> None:
    """Writes the HDF5 list `target`, whose files' rows are those of the list `source` from row `first` on, round and
    round; each once.

    The file in which row `first` lies is cut in two beside `target`: its tail begins the list, its head ends it. names:
    the datasets that are read. run: the folder that relative names, in both lists, count from. Errors: DataError.
    """
    files = files_of(source)
    rows = [_rows(run / os.fsdecode(file), names[0]) for file in files]
    if not sum(rows):
        raise DataError(f"{source}: names no rows; {AGAIN}")
    at, number = first % sum(rows), 0
    while at >= rows[number]:
        at, number = at - rows[number], number + 1
    turned = files[number:] + files[:number]
    if at:
        parts = {"tail": slice(at, None), "head": slice(0, at)}
        for part, chosen in parts.items():
            path = target.with_name(f"{target.stem}-{part}.h5")
            _copy_rows(run / os.fsdecode(files[number]), path, names, chosen)
            parts[part] = os.fsencode(os.path.relpath(path, run))
        turned = [parts["tail"], *turned[1:], parts["head"]]
    write_bytes(target, b"".join(file + b"\n" for file in turned))


def files_of(source: Path) -> list[bytes]:
    """The files of an HDF5Data list. Errors: DataError."""
    return _read(source).split()


def _read(path: Path) -> bytes:
    content = read_bytes(path, DataError, AGAIN)
    if not content.strip():
        raise DataError(f"{path}: is empty; {AGAIN}")
    return content


def _rows(path: Path, name: str) -> int:
    with open_hdf5(path, DataError, AGAIN) as file:
        rows = dataset(file, name)
        if rows is None or not rows.shape:
            raise DataError(f"{path}: has no rows of {name}; {AGAIN}")
        return rows.shape[0]


def _copy_rows(source: Path, target: Path, names: Sequence[str], rows: slice) -> None:
    with open_hdf5(source, DataError, AGAIN) as read:
        parts = {name: read[name][rows] for name in names}
    write_datasets(target, parts)


def write_datasets(target: Path, datasets: Mapping[str, np.ndarray]) -> None:
    """An HDF5 file of these. Made in memory: where the disk is full, the HDF5 library brings the process down instead
    of saying so. Under its whole name: the library knows files by it, and trainings side by side write some at once."""
    with h5py.File(target, "w", driver="core", backing_store=False) as written:
        for name, values in datasets.items():
            written.create_dataset(name, data=values)
        written.flush()
        write_bytes(target, written.id.get_file_image())
