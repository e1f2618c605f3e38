"""Encoded images in LMDB, as Caffe's own Data layer reads them: written video by video, read by file name.

Import is kept light: the data layer's workers read through this module.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from data_prep import DataError
from data_prep.whole_files import writing

MODALITIES = {"rgb": "frames", "flow": "flow"}  # modality -> folder of its LMDB
FILES = ("data.mdb", "lock.mdb", "checksums.tsv", "checksums.part")  # that lie in an LMDB's folder


COMMIT_BYTES = 32 << 20  # images are committed in groups of about this size, whole videos only


FIRST_MAP = 1 << 30  # LMDB's map size to begin with; it is address space, not disk, and doubles when full


def key(modality: str, video: str, number: int) -> bytes:
    """The authors' file name of image `number` (from 1; flow from 2) of a video, as an LMDB key."""
    prefix = "flow_image_" if modality == "flow" else ""
    return f"{prefix}{video}.{number:04d}.jpg".encode()


def first_number(modality: str) -> int:
    """The number of a video's first image: flow has none for frame 1."""
    return 2 if modality == "flow" else 1


class ImageWriter:
    """Writes a modality's images, whole videos at a time, so that a video is either all there or not there.

    A context manager; leaving it commits. With the same input the content is the same, however often the run was cut
    off.
    """

    def __init__(self, folder: Path, modality: str):
        self.folder, self.modality = Path(folder) / MODALITIES[modality], modality
        close_reader(self.folder)
        with writing(self.folder):
            self.environment = lmdb.open(str(self.folder), map_size=FIRST_MAP)
        self._pending, self._bytes = [], 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.commit()
        finally:
            self.environment.close()

    def count(self, video: str) -> int:
        """How many images of the video are stored, those not yet committed left out."""
        with self.environment.begin() as transaction:
            return _count(transaction, self.modality, video)

    def add(self, video: str, label: int, jpegs: list[bytes], height: int, width: int) -> None:
        """Images of one video in order; numbered from 1 (flow: from 2)."""
        for number, jpeg in enumerate(jpegs, first_number(self.modality)):
            self._pending.append((key(self.modality, video, number), (jpeg, label, height, width)))
            self._bytes += len(jpeg)
        if self._bytes >= COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        put(self.environment, self._pending, _datum)
        self._pending, self._bytes = [], 0


def stored_bytes(jpegs: list[bytes]) -> int:
    """About what images take in an LMDB, whose larger values have whole pages of their own."""
    return sum(-(-(len(jpeg) + _BESIDE) // _PAGE) * _PAGE for jpeg in jpegs)


_PAGE, _BESIDE = 4096, 160  # bytes; of an image's page head, key and Datum, and its share of the tree


def _datum(image: tuple[bytes, int, int, int]) -> bytes:
    """Caffe's Datum of (JPEG, label, height, width)."""
    from prototxt_gen import caffe_pb2

    jpeg, label, height, width = image
    datum = caffe_pb2.Datum(channels=3, height=height, width=width, data=jpeg, label=label, encoded=True)
    return datum.SerializeToString(deterministic=True)


def put(environment: lmdb.Environment, items: list[tuple[bytes, Any]], value: Callable[[Any], bytes] = bytes) -> None:
    """Stores keys and values, all or none; the map grows as it must. value: makes of an item what is stored, one after
    the other, so that an image that a video repeats is in memory once. Errors: DataError."""
    while items:
        try:
            with writing(environment.path()), environment.begin(write=True) as transaction:
                transaction.cursor().putmulti((name, value(item)) for name, item in items)
            return
        except DataError as error:
            if not isinstance(error.__cause__, lmdb.MapFullError):
                raise
            environment.set_mapsize(environment.info()["map_size"] * 2)


def _count(transaction, modality: str, video: str) -> int:
    """Images are numbered without gaps, so that doubling and halving finds the last."""
    first, count, step = first_number(modality), 0, 1
    while transaction.get(key(modality, video, first + count + step - 1)) is not None:
        count, step = count + step, step * 2
    while step > 1:
        step //= 2
        if transaction.get(key(modality, video, first + count + step - 1)) is not None:
            count += step
    return count


# a process may open an LMDB only once, however many data layers read it: (process, device, folder) -> its state, opened
_environments: dict[tuple, tuple[tuple, lmdb.Environment]] = {}
_opening = threading.Lock()


def reader(folder: Path) -> lmdb.Environment:
    """An LMDB folder opened for reading, shared by all in this process; anew where its file has become another, as it
    may while a cluster's worker lives. Errors: DataError."""
    try:
        identity, at = _identity(folder), os.stat(folder / "data.mdb")
        state = at.st_ino, at.st_size, at.st_mtime_ns
        with _opening:
            before, environment = _environments.get(identity, (None, None))
            if before != state:
                _close(identity)
                environment = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_readers=64)
                _check_size(environment)
                _environments[identity] = state, environment
        return environment
    except (OSError, lmdb.Error) as error:
        raise DataError(f"{folder}: no readable LMDB ({error}); prepare the data set again") from None


def _check_size(environment: lmdb.Environment) -> None:
    """Errors: DataError where a file was cut, as by a copy that was: reading what it lacks ends the process."""
    due, file = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"], f"{environment.path()}/data.mdb"
    if os.stat(file).st_size < due:
        environment.close()
        raise DataError(f"{file}: is cut off, it had {due} bytes; copy it anew, or prepare the data set again")


def close_reader(folder: Path) -> None:
    """Before an LMDB is written to or removed: a process may not have it open twice."""
    if folder.exists():
        _close(_identity(folder))


def _identity(folder: Path) -> tuple:
    at = os.stat(folder)
    return os.getpid(), at.st_dev, at.st_ino


def _close(identity: tuple) -> None:
    _, environment = _environments.pop(identity, (None, None))
    if environment:
        environment.close()


def read_jpeg(environment: lmdb.Environment, modality: str, video: str, number: int) -> bytes:
    """An encoded image of an LMDB that `reader` opened."""
    from prototxt_gen import caffe_pb2

    with environment.begin(buffers=True) as transaction:
        value = transaction.get(key(modality, video, number))
        if value is None:
            raise DataError(
                f"{environment.path()}: lacks {key(modality, video, number).decode()}; prepare the data set again"
            )
        return caffe_pb2.Datum.FromString(value).data


def check_images(folder: Path, modality: str, index) -> None:
    """Compares the videos of an index with what the dataset folder's LMDB holds. Errors: DataError."""
    place, first = Path(folder) / MODALITIES[modality], first_number(modality)
    environment = reader(place)
    with environment.begin() as transaction:
        for video in index:
            for number in {first, video.frames} if video.images(modality) else ():
                if transaction.get(key(modality, video.name, number)) is None:
                    raise DataError(
                        f"{place}: lacks {key(modality, video.name, number).decode()}; prepare the data set again"
                    )
        stored, due = transaction.stat()["entries"], sum(video.images(modality) for video in index)
    if stored != due:
        raise DataError(f"{place}: holds {stored} images where videos.tsv counts {due}; prepare the data set again")
