"""The shapes that a data layer's files hold, where they are readable here: what the layer's fields do not say.

Paths count from the current folder, as Caffe's do. Each function raises Unread, whose message says in one line what is
missing; h5py, lmdb and OpenCV are imported only here and only when a file is there to be read.
"""

import posixpath
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.message import DecodeError

from prototxt_gen import caffe_pb2 as pb


class Unread(Exception):
    """The data cannot be read here: why."""


def hdf5_shapes(source: str, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Dataset -> its shape in the first file that `source` lists, for each of `names` that the file has."""
    files = _text(source).split()
    if not files:
        raise Unread(f"{source} lists no file")
    _exists(files[0])
    try:
        import h5py

        with h5py.File(files[0], "r") as file:
            return {name: tuple(file[name].shape) for name in names if name in file}
    except (ImportError, OSError) as error:
        raise Unread(f"{files[0]}: {error}") from None


def datum_shape(source: str, backend: int) -> tuple[int, int, int]:
    """Channels, height and width of the first image in a database."""
    _exists(source)
    if backend != pb.DataParameter.LMDB:
        raise Unread(f"{source}: a LevelDB, which only Caffe reads")
    try:
        import lmdb
    except ImportError as error:
        raise Unread(f"{source}: {error}") from None
    try:
        with lmdb.open(source, readonly=True, lock=False, subdir=Path(source).is_dir()) as database:
            with database.begin() as transaction, transaction.cursor() as cursor:
                if not cursor.first():
                    raise Unread(f"{source}: an empty database")
                datum = pb.Datum.FromString(cursor.value())
    except (lmdb.Error, DecodeError) as error:
        raise Unread(f"{source}: {error}") from None
    if not datum.encoded:
        return datum.channels, datum.height, datum.width
    return _decoded(datum.data, source)


def image_size(source: str, root_folder: str) -> tuple[int, int]:
    """Height and width of the first image that `source` lists."""
    lines = _text(source).splitlines()
    if not lines:
        raise Unread(f"{source} lists no image")
    path = root_folder + lines[0].rpartition(" ")[0]  # as Caffe joins them: no slash is added
    _exists(path)
    return _decoded(Path(path).read_bytes(), path, turned=True)[1:]


def window_channels(source: str) -> int:
    """Channels of the last image in a window file, which are those that Caffe takes."""
    channels, words = "", iter(_text(source).split())
    try:
        for mark in words:
            if mark != "#":
                raise Unread(f"{source}: no window file, whose images begin with '#'")
            _index, _path, channels, _height, _width, windows = (next(words) for _ in range(6))
            for _ in range(6 * int(windows)):
                next(words)
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
    if not Path(path).exists():
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
