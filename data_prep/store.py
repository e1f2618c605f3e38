"""Encoded images in LMDB, as Caffe's own Data layer reads them: written video by video, read by file name.

Import is kept light: the data layer's workers read through this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

from data_prep import CORRUPT, CorruptImage, DataError, checksums
from data_prep.whole_files import writing
from readers.lmdb_files import check_lmdb, close_lmdb, open_lmdb

MODALITIES = {"rgb": "frames", "flow": "flow"}  # modality -> folder of its LMDB
FILES = ("data.mdb", "lock.mdb", checksums.NAME, checksums.JOURNAL)  # of an LMDB


COMMIT_BYTES = 32 << 20  # images are committed in groups of about this size, whole videos only


MEND = "copy it anew, or prepare the data set again"


FIRST_MAP = 1 << 30  # LMDB's map size to begin with; it is address space, not disk, and doubles when full


def key(modality: str, video: str, number: int) -> bytes:
    """The authors' file name of image `number` (from 1; flow from 2) of a video, as an LMDB key."""
    prefix = "flow_image_" if modality == "flow" else ""
    return f"{prefix}{video}.{number:04d}.jpg".encode()


def video_and_number(modality: str, name: bytes) -> tuple[str, int]:
    """The other way round. ValueError for what is no such key."""
    video, number, _ = name.decode().removeprefix("flow_image_" if modality == "flow" else "").rsplit(".", 2)
    return video, int(number)


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
        self.environment = writer(self.folder)
        self._sums = checksums.Records(self.folder)
        self._forget()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.commit()
                self._sums.finish(self.environment.stat()["entries"], self._sums_of_stored)
        finally:
            self.environment.close()

    def count(self, video: str) -> int:
        """How many images of the video are stored, those not yet committed left out."""
        with telling_of_records(self.folder), self.environment.begin() as transaction:
            return _count(transaction, self.modality, video)

    def add(self, video: str, label: int, jpegs: list[bytes], height: int, width: int) -> None:
        """Images of one video in order; numbered from 1 (flow: from 2)."""
        sums = []
        for number, jpeg in enumerate(jpegs, first_number(self.modality)):
            record = jpeg, label, height, width
            self._pending.append((key(self.modality, video, number), record))
            sums.append(checksums.of_record(_datum(record)))
            self._bytes += len(jpeg)
        self._pending_sums[video] = "".join(sums)
        if self._bytes >= COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        if self._pending:
            self._sums.add(self._pending_sums)
        put(self.environment, self._pending, _datum)
        self._forget()

    def _forget(self) -> None:
        self._pending, self._bytes, self._pending_sums = [], 0, {}

    def _sums_of_stored(self) -> dict[str, str]:
        """Video -> the checksums of its records, as they are stored."""
        by_video: dict[str, dict[int, str]] = {}
        with self.environment.begin(buffers=True) as transaction:
            for name, value in transaction.cursor():
                video, number = video_and_number(self.modality, bytes(name))
                by_video.setdefault(video, {})[number] = checksums.of_record(value)
        return {video: "".join(sums[number] for number in sorted(sums)) for video, sums in by_video.items()}


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


def reader(folder: Path, tree: bool = True) -> lmdb.Environment:
    """An LMDB folder opened for reading, shared by all in this process, once its pages have been checked; tree: all of
    them, not their number alone. Errors: DataError."""
    return open_lmdb(Path(folder), DataError, MEND, tree)


@contextmanager
def reading(folder: Path) -> Iterator[lmdb.Transaction]:
    """The records of an LMDB folder. DataError for one whose own pages are damaged, which the check leaves unread."""
    environment = reader(folder)
    with telling_of_records(folder), environment.begin() as transaction:
        yield transaction


@contextmanager
def telling_of_records(folder: Path) -> Iterator[None]:
    """Turns what LMDB raises on a record into one line."""
    try:
        yield
    except lmdb.Error as error:
        raise DataError(f"{folder}: a record is damaged ({error}); {CORRUPT}") from None


def first_pages(folder: Path) -> bytes:
    """What an LMDB says of itself: its two meta pages, which differ where it was written otherwise. Errors: DataError
    where it cannot be read."""
    try:
        with open(folder / "data.mdb", "rb") as file:
            return file.read(2 * _PAGE)
    except OSError as error:
        raise DataError(f"{folder / 'data.mdb'}: {error.strerror}; {MEND}") from None


def close_reader(folder: Path) -> None:
    """Before an LMDB is written to or removed: a process may not have it open twice."""
    close_lmdb(Path(folder))


def writer(folder: Path) -> lmdb.Environment:
    """An LMDB folder opened for writing; what is there of it is gone on with, once its pages have been checked. Errors:
    DataError.

    Without LMDB's own lock: whoever writes holds that of the folder, and on a full disk a page of LMDB's that cannot be
    had ends the process with a signal.
    """
    close_reader(folder)
    if (folder / "data.mdb").exists() and (folder / "data.mdb").stat().st_size:
        check_lmdb(folder, DataError, "remove the folder and run the same command again")
    with writing(folder):
        return lmdb.open(str(folder), map_size=FIRST_MAP, lock=False)


def read_jpeg(
    environment: lmdb.Environment, modality: str, video: str, number: int, sums: dict[str, str] | None = None
) -> bytes:
    """An encoded image of an LMDB that `reader` opened. sums: its `checksums.of_records`. DataError where it lacks the
    image, CorruptImage where that is damaged."""
    from google.protobuf.message import DecodeError

    from prototxt_gen import caffe_pb2

    name = key(modality, video, number)
    try:
        with environment.begin(buffers=True) as transaction:
            value = transaction.get(name)
            if value is None:
                raise DataError(f"{environment.path()}: lacks {name.decode()}; prepare the data set again")
            if sums and video in sums and checksums.of_record(value) != due_sum(sums, modality, video, number):
                raise CorruptImage(f"{environment.path()}: {name.decode()} is not as it was written; {CORRUPT}")
            return caffe_pb2.Datum.FromString(value).data
    except (lmdb.Error, DecodeError):
        raise CorruptImage(f"{environment.path()}: {name.decode()} is damaged; {CORRUPT}") from None


def jpeg_of(folder: Path, modality: str, video: str, number: int, tree: bool = True) -> bytes:
    """An encoded image of a data set, held against its checksum where it has one. tree: see `reader`. Raises as
    `read_jpeg`."""
    place = Path(folder) / MODALITIES[modality]
    return read_jpeg(reader(place, tree), modality, video, number, checksums.of_records(place))


def due_sum(sums: dict[str, str], modality: str, video: str, number: int) -> str:
    """The checksum of a video's image, out of `checksums.of_records`; "" where it tells none."""
    begin = checksums.DIGITS * (number - first_number(modality))
    return sums.get(video, "")[begin : begin + checksums.DIGITS]


def check_images(folder: Path, modality: str, index) -> None:
    """Compares the videos of an index with what the dataset folder's LMDB holds. Errors: DataError."""
    place, first = Path(folder) / MODALITIES[modality], first_number(modality)
    with reading(place) as transaction:
        for video in index:
            for number in {first, video.frames} if video.images(modality) else ():
                if transaction.get(key(modality, video.name, number)) is None:
                    raise DataError(
                        f"{place}: lacks {key(modality, video.name, number).decode()}; prepare the data set again"
                    )
        stored, due = transaction.stat()["entries"], sum(video.images(modality) for video in index)
    if stored != due:
        raise DataError(f"{place}: holds {stored} images where videos.tsv counts {due}; prepare the data set again")
