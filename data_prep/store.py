"""A dataset folder: encoded images in LMDB, an index of videos, lists, and `dataset.json`, whose presence says that the
folder is whole.

    DATA/dataset.json           what the folder holds (kind, classes, mirror, height, width, ...)
    DATA/videos.tsv             video, class, label, frames: a header, then a line a video; `frames` counts the RGB
    images
    DATA/skipped.tsv            file, reason: the videos that could not be read; they are in no list
    DATA/train1.txt, test1.txt  the authors' lists: `Class/video label` a line
    DATA/frames/                LMDB: VIDEO.0001.jpg, ... -> Caffe Datum (encoded JPEG and label), which Caffe's own
    Data layer reads too
    DATA/flow/                  LMDB: flow_image_VIDEO.0002.jpg, ...: one image for each frame after the first; whole
    where dataset.json says under "flow" how it was made
    DATA/stills_train1/, ...    LMDB: the RGB images of one list in a shuffled order, for Caffe's Data layer (`stills`)

Import is kept light: the data layer's workers read through this module.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lmdb

from data_prep import DataError

MODALITIES = {"rgb": "frames", "flow": "flow"}  # modality -> folder of its LMDB
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
COMMIT_BYTES = 32 << 20  # images are committed in groups of about this size, whole videos only
FIRST_MAP = 1 << 30  # LMDB's map size to begin with; it is address space, not disk, and doubles when full


def key(modality: str, video: str, number: int) -> bytes:
    """The authors' file name of image `number` (from 1; flow from 2) of a video, as an LMDB key."""
    prefix = "flow_image_" if modality == "flow" else ""
    return f"{prefix}{video}.{number:04d}.jpg".encode()


def first_number(modality: str) -> int:
    """The number of a video's first image: flow has none for frame 1."""
    return 2 if modality == "flow" else 1


@contextmanager
def writing(place):
    """Turns what a full or unwritable disk raises into one line."""
    try:
        yield
    except (OSError, lmdb.Error) as error:
        if (
            getattr(error, "errno", None) in FULL
            or isinstance(error, lmdb.DiskError)
            or any(os.strerror(number) in str(error) for number in FULL)
        ):
            raise DataError(
                f"{place}: no space left; free some and run the same command again, it goes on where it stopped"
            ) from error
        # LMDB's word for a write that was cut short
        if isinstance(error, lmdb.Error) and os.strerror(errno.EIO) in str(error):
            raise DataError(
                f"{place}: no space left (or a failing disk); free some and run the same command again, it goes on"
                " where it stopped"
            ) from error
        raise DataError(
            f"{place}: cannot be written ({error}); check that the folder is yours and the disk is sound"
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """The file appears whole or not at all."""
    beside = path.with_name(path.name + ".new")
    with writing(path):
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)


def write_text(path: Path, text: str) -> None:
    """UTF-8; the file appears whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def locked(folder: Path):
    """Keeps other processes from filling the folder at the same time. Errors: DataError where one does."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(f"{folder}: another run is preparing it; wait for that one to end") from None
        yield


@contextmanager
def new_folder(out, settings: dict):
    """Yields OUT.partial to fill, then renames it to OUT; yields None where OUT is there, whole, and came of the same
    settings.

    Whoever fills the folder writes `dataset.json` last, with `settings` under "prepared". A run that was cut off leaves
    OUT.partial, and the same call finds it again; what was left by other settings is removed. Errors: DataError where
    OUT holds something else, or another process is filling it.
    """
    out, settings = Path(os.path.abspath(out)), json.loads(json.dumps(settings))
    partial, note = out.with_name(out.name + ".partial"), "preparing.json"
    if (out / "dataset.json").exists():
        there = read_json(out / "dataset.json").get("prepared", {})
        if there != settings:
            differing = sorted(k for k in there.keys() | settings.keys() if there.get(k) != settings.get(k))
            raise DataError(
                f"{out}: already holds a dataset made with other settings ({', '.join(differing)}); "
                "name another folder or remove this one"
            )
        for leaving in (note, "lock"):  # of a run that was cut off between the renaming and its end
            (out / leaving).unlink(missing_ok=True)
        yield None
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is there already and is no dataset; name another folder")
    with locked(partial):
        if (out / "dataset.json").exists():
            raise DataError(f"{out}: another run has just prepared it; run the same command again")
        begun = (partial / note).exists()
        if not begun or read_json(partial / note) != settings:
            strangers = (
                [] if begun else [p.name for p in partial.iterdir() if p.name != "lock" and not p.name.startswith(note)]
            )
            if strangers:
                raise DataError(f"{partial}: holds files of someone else ({strangers[0]}); remove or rename it")
            for item in partial.iterdir():
                if item.name not in ("lock", note):
                    shutil.rmtree(item) if item.is_dir() else item.unlink()
            write_json(partial / note, settings)
        yield partial
        with writing(out):
            os.rename(partial, out)
            (out / note).unlink()
            (out / "lock").unlink()


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); prepare the data set again") from None


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
        from prototxt_gen import caffe_pb2

        for number, jpeg in enumerate(jpegs, first_number(self.modality)):
            datum = caffe_pb2.Datum(channels=3, height=height, width=width, data=jpeg, label=label, encoded=True)
            self._pending.append((key(self.modality, video, number), datum.SerializeToString(deterministic=True)))
            self._bytes += len(jpeg)
        if self._bytes >= COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        put(self.environment, self._pending)
        self._pending, self._bytes = [], 0


def put(environment: lmdb.Environment, items: list[tuple[bytes, bytes]]) -> None:
    """Stores keys and values, all or none; the map grows as it must. Errors: DataError."""
    while items:
        try:
            with writing(environment.path()), environment.begin(write=True) as transaction:
                transaction.cursor().putmulti(items)
            return
        except DataError as error:
            if not isinstance(error.__cause__, lmdb.MapFullError):
                raise
            environment.set_mapsize(environment.info()["map_size"] * 2)


def _count(transaction, modality: str, video: str) -> int:
    """Images are numbered without gaps, so that doubling and halving finds the last."""
    first, found, step = first_number(modality), 0, 1
    while transaction.get(key(modality, video, first + found + step - 1)) is not None:
        found, step = found + step, step * 2
    while step > 1:
        step //= 2
        if transaction.get(key(modality, video, first + found + step - 1)) is not None:
            found += step
    return found


@dataclass(frozen=True)
class Video:
    """A line of the index; `frames` counts RGB images, and flow has one fewer."""

    name: str
    class_name: str
    label: int
    frames: int

    def images(self, modality: str) -> int:
        return self.frames - (first_number(modality) - 1)


def index_text(videos: list[Video]) -> str:
    return "video\tclass\tlabel\tframes\n" + "".join(
        f"{v.name}\t{v.class_name}\t{v.label}\t{v.frames}\n" for v in videos
    )


def list_text(videos: list[Video]) -> str:
    return "".join(f"{v.class_name}/{v.name} {v.label}\n" for v in videos)


# a process may open an LMDB only once, however many data layers read it
_environments: dict[tuple, lmdb.Environment] = {}


def reader(folder: Path) -> lmdb.Environment:
    """An LMDB folder opened for reading, shared by all in this process. Errors: DataError."""
    try:
        at = os.stat(folder / "data.mdb")
        identity = (os.getpid(), at.st_dev, at.st_ino)
        if identity not in _environments:
            _environments[identity] = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_readers=64)
        return _environments[identity]
    except (OSError, lmdb.Error) as error:
        raise DataError(f"{folder}: no readable LMDB ({error}); prepare the data set again") from None


def close_reader(folder: Path) -> None:
    """Before an LMDB is written to or removed: a process may not have it open twice."""
    if (folder / "data.mdb").exists():
        at = os.stat(folder / "data.mdb")
        environment = _environments.pop((os.getpid(), at.st_dev, at.st_ino), None)
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
        held, due = transaction.stat()["entries"], sum(video.images(modality) for video in index)
    if held != due:
        raise DataError(f"{place}: holds {held} images where videos.tsv counts {due}; prepare the data set again")


class Dataset:
    """A prepared folder, read only. Attributes: folder, name, kind, classes, mirror, height, width, index (video name
    -> Video), description.

    Errors: DataError where the folder is not whole or its files contradict each other.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        if not (self.folder / "dataset.json").exists():
            cut_off = self.folder.with_name(self.folder.name + ".partial").exists()
            raise DataError(
                f"{self.folder}: "
                + (
                    "its preparation was cut off; run `lrcn prepare` again and it goes on"
                    if cut_off
                    else "no prepared dataset (no dataset.json); make one with `lrcn prepare`"
                )
            )
        self.description = read_json(self.folder / "dataset.json")
        try:
            self.name, self.kind = self.description["name"], self.description["kind"]
            of_videos = self.kind not in ("captions", "semantics")
            self.classes = self.description["classes"] if of_videos else []
            self.mirror = self.description["mirror"] if of_videos else None
            self.height, self.width = self.description.get("height"), self.description.get("width")
        except KeyError as error:
            raise DataError(f"{self.folder / 'dataset.json'}: lacks {error}; prepare the data set again") from None
        self.index = self._read_index() if self.kind == "frames" else {}

    def _lines(self, path: Path) -> list[str]:
        try:
            return path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error}); prepare the data set again") from None

    def _read_index(self) -> dict[str, Video]:
        path, index = self.folder / "videos.tsv", {}
        for number, line in enumerate(self._lines(path)[1:], 2):
            try:
                name, class_name, label, frames = line.split("\t")
                video = Video(name, class_name, int(label), int(frames))
                fits = self.classes[video.label] == class_name and video.label >= 0 and video.frames > 0
            except (ValueError, IndexError):
                fits = False
            if not fits:
                raise DataError(
                    f"{path}:{number}: not `video class label frames` of a class in dataset.json: {line!r}; prepare the"
                    " data set again"
                )
            index[name] = video
        return index

    def read_list(self, name: str) -> list[Video]:
        """The videos of a list file (`Class/video label` a line), in its order."""
        path, videos = self.folder / name, []
        for number, line in enumerate(self._lines(path), 1):
            try:
                entry, label = line.rsplit(None, 1)
                class_name, video = entry.rsplit("/", 1)
                label = int(label)
            except ValueError:
                raise DataError(f"{path}:{number}: not `Class/video label`: {line!r}; mend the list") from None
            if video not in self.index:
                raise DataError(
                    f"{path}:{number}: video {video} is not in videos.tsv; mend the list or prepare the data set again"
                )
            found = self.index[video]
            if (found.class_name, found.label) != (class_name, label):
                raise DataError(
                    f"{path}:{number}: {video} is {class_name} {label} here but {found.class_name} {found.label} in"
                    " videos.tsv; mend the list"
                )
            videos.append(found)
        if not videos:
            raise DataError(f"{path}: names no video; mend the list or prepare the data set again")
        return videos

    def videos(self, split: int = 1, part: str = "train") -> list[Video]:
        """The videos of `train` or `test` of a split."""
        return self.read_list(f"{part}{split}.txt")

    def check(self, modality: str) -> None:
        """Compares the index with the LMDB: every video's first and last image, and their number altogether."""
        if modality == "flow" and self.description.get("flow", True) is None:
            raise DataError(f"{self.folder}: has no flow; make it with `lrcn prepare flow --data {self.folder}`")
        check_images(self.folder, modality, self.index.values())

    def jpeg(self, modality: str, video: str, number: int) -> bytes:
        """The encoded image `number` (from 1; flow from 2) of a video. Decoded by OpenCV it is BGR; flow: see
        `data_prep.flow`.
        """
        return read_jpeg(reader(self.folder / MODALITIES[modality]), modality, video, number)
