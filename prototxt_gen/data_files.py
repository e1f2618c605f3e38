"""The shapes that a data layer's files hold, where they are readable here: what the layer's fields do not say.

Paths count from the current folder, as Caffe's do. Each function raises Unread, whose message says in one line what is
missing; h5py, lmdb and OpenCV are imported only here and only when a file is there to be read.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from prototxt_gen import caffe_pb2 as pb


class Unread(Exception):
    """The data cannot be read here: why."""


def words(text: str) -> list[str]:
    """The words of a text as C++ parts them: at blanks of ASCII alone, where `str.split` knows more."""
    return re.findall(r"[^ \t\n\v\f\r]+", text)


def hdf5_shapes(source: str, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Dataset -> its shape in the first file that `source` lists, for each of `names` that the file has."""
    files = words(_text(source))
    if not files:
        raise Unread(f"{source} lists no file")
    _exists(files[0])
    datasets = hdf5_datasets(files[0], names)
    return {name: dataset.shape for name, dataset in datasets.items() if dataset is not None}


@dataclass(frozen=True)
class Dataset:
    """A dataset of an HDF5 file. kind: the class of its type, as Caffe says it: "H5T_FLOAT", "H5T_STRING", ..."""

    shape: tuple[int, ...]
    kind: str


def hdf5_datasets(path: str, names: Iterable[str]) -> dict[str, Dataset | None]:
    """What a file says of each of `names`; None where it has no such dataset. Raises Unread."""
    with _hdf5(path) as (h5py, file):
        kinds = {number: f"H5T_{kind}" for kind, number in vars(h5py.h5t).items() if kind in _KINDS}
        datasets: dict[str, Dataset | None] = {}
        for name in names:
            dataset = file.get(name)
            if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
                datasets[name] = None
            else:
                datasets[name] = Dataset(
                    tuple(dataset.shape), kinds.get(dataset.id.get_type().get_class(), "H5T_OTHER")
                )
        return datasets


def hdf5_values(path: str, name: str) -> Iterator[Any]:
    """A dataset's numbers, some rows at a time; nothing where it is none, or holds none. Raises Unread."""
    dataset = hdf5_datasets(path, [name])[name]
    if dataset is None or dataset.kind not in ("H5T_INTEGER", "H5T_FLOAT"):
        return
    with _hdf5(path) as (_, file):
        for start in range(0, dataset.shape[0] if dataset.shape else 0, _ROWS):
            yield file[name][start : start + _ROWS]


_KINDS = "INTEGER FLOAT TIME STRING BITFIELD OPAQUE COMPOUND REFERENCE ENUM VLEN ARRAY".split()
_ROWS = 65536


@contextmanager
def _hdf5(path: str) -> Iterator[tuple[Any, Any]]:
    """(h5py, the open file). What h5py says of a damaged one, of whatever kind, is Unread."""
    if os.path.isdir(path):
        raise Unread(f"{path}: a folder")
    try:
        import h5py

        with h5py.File(path, "r") as file:
            yield h5py, file
    except (ImportError, OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unread(f"{path}: {' '.join(str(error).split())}") from None


def datum_shape(source: str, backend: int) -> tuple[int, int, int]:
    """Channels, height and width of the first image in a database."""
    _exists(source)
    if backend != pb.DataParameter.LMDB:
        raise Unread(f"{source}: a LevelDB, which only Caffe reads")
    for value in _records(source):
        datum = _datum(source, value)
        return _decoded(datum.data, source) if datum.encoded else (datum.channels, datum.height, datum.width)
    raise Unread(f"{source}: an empty database")


def datum_labels(source: str, most: int) -> list[int]:
    """The labels of the first records of an LMDB. Raises Unread."""
    _exists(source)
    return [_datum(source, value).label for value, _ in zip(_records(source), range(most))]


def _datum(source: str, value: bytes) -> pb.Datum:
    try:
        return pb.Datum.FromString(value)
    except DecodeError:
        raise Unread(f"{source}: its first record is no Datum") from None


def _records(source: str) -> Iterator[bytes]:
    """The values of an LMDB, in order. Raises Unread."""
    try:
        from readers import lmdb_files
    except ImportError as error:
        raise Unread(f"{source}: {error}") from None
    yield from (value for _, value in lmdb_files.read_records(source, Unread, ""))


def image_size(source: str, root_folder: str) -> tuple[int, int]:
    """Height and width of the first image that `source` lists."""
    lines = _text(source).split("\n")
    if not lines[0]:
        raise Unread(f"{source} lists no image")
    path = root_folder + lines[0].rpartition(" ")[0]  # as Caffe joins them: no slash is added
    _exists(path)
    return _decoded(Path(path).read_bytes(), path, turned=True)[1:]


def window_channels(source: str) -> int:
    """Channels of the last image in a window file, which are those that Caffe takes."""
    channels, fields = "", iter(words(_text(source)))
    try:
        for mark in fields:
            if mark != "#":
                raise Unread(f"{source}: no window file, whose images begin with '#'")
            _index, _path, channels, _height, _width, windows = (next(fields) for _ in range(6))
            for _ in range(6 * int(windows)):
                next(fields)
        return int(channels)
    except (RuntimeError, StopIteration, TypeError, ValueError):
        raise Unread(f"{source}: no whole window file") from None


def _text(source: str) -> str:
    _exists(source)
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unread(f"{source}: {error}") from None


def _exists(path: str) -> None:
    if not path:
        raise Unread("no source is given")
    if not os.path.exists(path):
        raise Unread(f"{posixpath.normpath(path)} is not here")


def _decoded(data: bytes, where: str, turned: bool = False) -> tuple[int, int, int]:
    """turned: as EXIF says, which Caffe does to files and not to what a database holds."""
    try:
        import cv2
        import numpy as np

        flags = cv2.IMREAD_COLOR if turned else cv2.IMREAD_UNCHANGED
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except ImportError as error:
        raise Unread(f"{where}: {error}") from None
    if image is None:
        raise Unread(f"{where}: no image")
    return (1 if image.ndim == 2 else image.shape[2], *image.shape[:2])
