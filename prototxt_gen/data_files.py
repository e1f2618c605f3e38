"""The shapes that a data layer's files hold, where they are readable here: what the layer's fields do not say.

Paths count from the current folder, as Caffe's do. Each function raises Unread, whose message says in one line what is
missing; h5py, lmdb and OpenCV are imported only here and only when a file is there to be read.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.errors import shortened
from readers.text import number, read_bytes, read_text

_MEND = "data of this kind are expected there"


class Unread(ValueError):
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
    from readers.hdf5 import dataset, open_hdf5

    with open_hdf5(path, Unread, _MEND) as file:
        return {name: _described(dataset(file, name)) for name in names}


def _described(dataset: Any) -> Dataset | None:
    from h5py import h5t

    kinds = {number: f"H5T_{kind}" for kind, number in vars(h5t).items() if kind in _KINDS}
    if dataset is None:
        return None
    return Dataset(tuple(dataset.shape), kinds.get(dataset.id.get_type().get_class(), "H5T_OTHER"))


def hdf5_values(path: str, name: str, most: int) -> Iterator[Any]:
    """A dataset's first numbers, `most` at most, some rows at a time; nothing where it is none, or holds none. Raises
    Unread."""
    from readers.hdf5 import dataset, open_hdf5

    with open_hdf5(path, Unread, _MEND) as file:
        values: Any = dataset(file, name)
        described = _described(values)
        if described is None or described.kind not in ("H5T_INTEGER", "H5T_FLOAT") or not values.size:
            return
        of_row = values.size // values.shape[0] if values.shape else most + 1
        rows = min(values.shape[0], most // of_row) if values.shape else 0
        for start in range(0, rows, step := max(1, _AT_ONCE // of_row)):
            yield values[start : min(start + step, rows)]


_KINDS = "INTEGER FLOAT TIME STRING BITFIELD OPAQUE COMPOUND REFERENCE ENUM VLEN ARRAY".split()
_AT_ONCE = 1 << 20  # numbers


def datum_shape(source: str, backend: int) -> tuple[int, int, int]:
    """Channels, height and width of the first image in a database."""
    from readers.lmdb_files import read_records

    _exists(source)
    if backend != pb.DataParameter.LMDB:
        raise Unread(f"{source}: a LevelDB, which only Caffe reads")
    for _, value in read_records(source, Unread, ""):
        datum = _datum(source, value)
        return _decoded(datum.data, source) if datum.encoded else (datum.channels, datum.height, datum.width)
    raise Unread(f"{source}: an empty database")


def datum_labels(source: str, most: int) -> list[int]:
    """The labels of the first records of an LMDB. Raises Unread."""
    from readers.lmdb_files import read_records

    _exists(source)
    return [_datum(source, value).label for _, value in islice(read_records(source, Unread, ""), most)]


def _datum(source: str, value: bytes) -> pb.Datum:
    try:
        return pb.Datum.FromString(value)
    except DecodeError:
        raise Unread(f"{source}: its first record is no Datum") from None


def image_size(source: str, root_folder: str) -> tuple[int, int]:
    """Height and width of the first image that `source` lists."""
    lines = _text(source).split("\n")
    if not lines[0]:
        raise Unread(f"{source} lists no image")
    path = root_folder + lines[0].rpartition(" ")[0]  # as Caffe joins them: no slash is added
    _exists(path)
    return _decoded(read_bytes(path, Unread, _MEND), path, turned=True)[1:]


def window_channels(source: str) -> int:
    """Channels of the last image in a window file, which are those that Caffe takes."""
    channels, fields = "", iter(words(_text(source)))
    try:
        for mark in fields:
            if mark != "#":
                raise Unread(f"{source}: no window file, whose images begin with '#'")
            _index, _path, channels, _height, _width, windows = (next(fields) for _ in range(6))
            for _ in range(6 * _whole(windows, source)):
                next(fields)
        return _whole(channels, source)
    except (RuntimeError, StopIteration):  # cut off
        raise Unread(f"{source}: no whole window file") from None


def _whole(text: str, source: str) -> int:
    value = number(text)
    if value is None:
        raise Unread(f"{source}: no window file: a number is due where '{shortened(text)}' stands")
    return value


def _text(source: str) -> str:
    _exists(source)
    return read_text(source, Unread, _MEND)


def _exists(path: str) -> None:
    if not path:
        raise Unread("no source is given")
    if not os.path.exists(path):
        raise Unread(f"{posixpath.normpath(path)} is not here")


def _decoded(data: bytes, where: str, turned: bool = False) -> tuple[int, int, int]:
    """turned: as EXIF says, which Caffe does to files and not to what a database holds."""
    import cv2

    from readers.images import decode

    image = decode(data, where, cv2.IMREAD_COLOR if turned else cv2.IMREAD_UNCHANGED, Unread, _MEND)
    return (1 if image.ndim == 2 else image.shape[2], *image.shape[:2])
