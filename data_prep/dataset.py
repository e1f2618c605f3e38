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
    DATA/checksums.tsv          see `checksums`, as frames/checksums.tsv, flow/checksums.tsv
    DATA/stills_train1/, ...    LMDB: the RGB images of one list in a shuffled order, for Caffe's Data layer (`stills`)

Import is kept light: the data layer's workers read through this module.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from data_prep import DataError, checksums
from data_prep.moved import Whereabouts
from data_prep.store import MODALITIES, check_images, first_number, first_pages, jpeg_of
from data_prep.whole_files import AGAIN, read_json
from readers.json_files import convert, parse_json
from readers.text import decoded, number, read_lines


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


def described_images(folder: Path) -> Iterator[dict]:
    """The entries of the captions.json of a prepared data set ({"file", "split", "captions"}, and "detail" of videos),
    of which one at a time is in memory. DataError where it cannot be read, or is not what `prepare` writes."""
    path = folder / "captions.json"
    if path.is_file():
        with open(path, "rb") as file:
            if file.readline() == b'{"images": [\n':  # a line an image, as `prepare` writes it
                yield from _entries(file, path)
                return
    content = read_json(path)
    convert(content, path, DescribedImages, DataError, AGAIN)
    yield from content["images"]


def _entries(lines: Iterable[bytes], path: Path) -> Iterator[dict]:
    for at, line in enumerate(lines, 2):
        if line.startswith(b"]}"):
            return
        where = f"{path}:{at}"
        text = decoded(line.rstrip(b",\r\n"), where, DataError, AGAIN)
        entry = parse_json(text, where, dict[str, Any], DataError, AGAIN)
        convert(entry, where, DescribedImage, DataError, AGAIN)
        yield entry
    raise DataError(f"{path}: is cut off; {AGAIN}")


def read_classes(path: str | os.PathLike) -> list[str]:
    """The names of classes in a text file, by label: UCF-101's classInd.txt (`1 ApplyEyeMakeup` a line, from 1 or from
    0, in any order), the same with the number last (`ApplyEyeMakeup 1`), or a name a line. DataError, one line, for
    another file."""
    mend = "give classInd.txt, or a file with a class a line"
    lines = [(at, line.strip()) for at, line in enumerate(read_lines(path, DataError, mend), 1)]
    lines = [(at, line) for at, line in lines if line]
    names = [line for _, line in lines]
    first = [re.fullmatch(r"([0-9]{1,18})[\s,;.:)]+(\S.*)", name) for name in names]
    last = [re.fullmatch(r"(.*[^\s,;:])[\s,;:]+([0-9]{1,18})", name) for name in names]
    by_number = sorted((int(match[1]), match[2]) for match in first if match)
    without = next((at for (at, _), match in zip(lines, first) if not match), None)
    if names and without is None:
        names = [name for _, name in by_number]
        if not _numbers_labels([number for number, _ in by_number]):
            raise DataError(f"{path}: the numbers of its classes are not 1, 2, ... without a gap; mend the file")
    elif by_number and by_number[0][0] in (0, 1) and first[0]:
        raise DataError(f"{path}: line {without}: has no number, as line {lines[0][0]} has; {mend}")
    elif labels := sorted((int(match[2]), match[1]) for match in last if match):
        if len(labels) == len({name for _, name in labels}) == len(names) and _numbers_labels([n for n, _ in labels]):
            names = [name for _, name in labels]  # else the numbers are of the names: class 1, class 2
    if len(names) < 2 or len(set(names)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), None)
        what = f"has class {twice} twice" if twice else f"names {len(names) or 'no'} class"
        raise DataError(f"{path}: {what}; {mend}")
    return names


def _numbers_labels(numbers: list[int]) -> bool:
    """Whether sorted numbers are 0, 1, ... or 1, 2, ... without a gap."""
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def without_videos(name: str, classes: list[str], labels: Iterable[int]) -> str | None:
    """What to tell the user of the classes of which "train1" or "test1" and so on has no video; None where each has."""
    lacking = [classes[label] for label in sorted(set(range(len(classes))) - set(labels))]
    if not lacking:
        return None
    follows = "which nets will not learn" if name.startswith("train") else "which will have no accuracy"
    return f"{name}: no video of {', '.join(lacking)}, {follows}"


def _portable(value, left_out=frozenset()):
    """A description without absolute paths, nor what goes by the names `left_out`."""
    if isinstance(value, str) and os.path.isabs(value):
        return None
    if not isinstance(value, dict):
        return value
    return {name: _portable(part, left_out) for name, part in value.items() if name not in left_out}


# ---- dataset.json and captions.json ------------------------------------------------------------------------

Size = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Described(TypedDict):
    """What dataset.json says of every data set."""

    name: str
    kind: Literal["frames", "features", "captions", "semantics"]


# What it says of one of a kind; an earlier version's, or another's, may lack some of it


class Extraction(TypedDict, total=False):
    """By which net activations were made."""

    blob: str


class OfVideos(TypedDict, total=False):
    classes: Annotated[list[str], Meta(min_length=1)]
    mirror: bool
    splits: list[Size]
    prepared: dict[str, Any]


class OfFrames(OfVideos, total=False):
    height: Size | None
    width: Size | None
    fps: float | None
    flow: dict[str, Any] | None


class OfFeatures(OfVideos, total=False):
    """Batches of T frames, D values each, of N videos."""

    frames: Size
    feature_size: Size
    videos: Size
    modality: str
    extracted: Extraction


class OfSentences(TypedDict, total=False):
    vocabulary: Size
    steps: Size
    streams: Size
    splits: dict[str, Any]
    images: bool
    prepared: dict[str, Any]


class OfCaptions(OfSentences, total=False):
    feature_size: Size
    extracted: Extraction


class OfSemantics(OfSentences, total=False):
    slots: Count
    slot_words: Count
    frames: Count
    feature_size: Count
    features: str | None


KINDS: dict[str, type] = {"frames": OfFrames, "features": OfFeatures, "captions": OfCaptions, "semantics": OfSemantics}


class Description(dict[str, Any]):
    """The content of dataset.json at `path`. Errors: DataError for what it lacks."""

    def __init__(self, path: Path) -> None:
        content = read_json(path)
        kind = convert(content, path, Described, DataError, AGAIN)["kind"]
        convert(content, path, KINDS[kind], DataError, AGAIN)
        super().__init__(content)
        self._path = path

    def __missing__(self, name: str) -> Any:
        raise DataError(f"{self._path}: lacks {name!r}; {AGAIN}")


class DescribedImage(TypedDict):
    """An entry of captions.json."""

    file: str
    split: Literal["train", "val", "test", "restval"]
    captions: list[str]


class DescribedImages(TypedDict):
    images: list[DescribedImage]


class Dataset:
    """A prepared folder, read only. Attributes: folder, name, kind, classes, mirror, height, width, index (video name
    -> Video), description.

    Errors: DataError where the folder is not whole or its files contradict each other.
    """

    def __init__(self, folder: str | os.PathLike, trusted: bool = False) -> None:
        """trusted: its LMDBs were checked by whoever began this process, as a loader's."""
        self.folder, self.trusted = Path(folder), trusted
        if not (self.folder / "dataset.json").exists():
            cut_off = Path(f"{self.folder.absolute()}.partial").exists()
            raise DataError(
                f"{self.folder}: "
                + (
                    "its preparation was cut off; run `lrcn prepare` again and it goes on"
                    if cut_off
                    else "no prepared dataset (no dataset.json); make one with `lrcn prepare`"
                )
            )
        self.description = Description(self.folder / "dataset.json")
        self.name, self.kind = self.description["name"], self.description["kind"]
        of_videos = self.kind in ("frames", "features")
        self.classes: list[str] = self.description["classes"] if of_videos else []
        self.mirror: bool | None = self.description["mirror"] if of_videos else None
        self.height, self.width = self.description.get("height"), self.description.get("width")

    def _lines(self, path: Path) -> list[str]:
        return read_lines(path, DataError, AGAIN)

    @cached_property
    def index(self) -> dict[str, Video]:
        """By name; read when it is first asked for: who reads images alone needs none. Errors: DataError."""
        return self._read_index() if self.kind == "frames" else {}

    def _read_index(self) -> dict[str, Video]:
        path, index = self.folder / "videos.tsv", {}
        for at, line in enumerate(self._lines(path)[1:], 2):
            try:
                name, class_name, *numbers = line.split("\t")
                label, frames = map(number, numbers)
                video = Video(name, class_name, label, frames)
                fits = self.classes[label] == class_name and frames > 0
            except (ValueError, IndexError, TypeError):
                fits = False
            if not fits:
                raise DataError(
                    f"{path}:{at}: not `video class label frames` of a class in dataset.json: {line!r}; prepare the"
                    " data set again"
                )
            index[name] = video
        return index

    def read_list(self, name: str) -> list[Video]:
        """The videos of a list file (`Class/video label` a line), in its order."""
        path, videos = self.folder / name, []
        for at, line in enumerate(self._lines(path), 1):
            entry, _, digits = line.replace("\t", " ").rstrip().rpartition(" ")
            class_name, slash, video = entry.rstrip().rpartition("/")
            label = number(digits)
            if not slash or label is None:
                raise DataError(f"{path}:{at}: not `Class/video label`: {line!r}; mend the list")
            if video not in self.index:
                raise DataError(
                    f"{path}:{at}: video {video} is not in videos.tsv; mend the list or prepare the data set again"
                )
            indexed = self.index[video]
            if (indexed.class_name, indexed.label) != (class_name, label):
                raise DataError(
                    f"{path}:{at}: {video} is {class_name} {label} here but {indexed.class_name} {indexed.label} in"
                    " videos.tsv; mend the list"
                )
            videos.append(indexed)
        if not videos:
            raise DataError(f"{path}: names no video; mend the list or prepare the data set again")
        return videos

    def videos(self, split: int = 1, part: str = "train") -> list[Video]:
        """The videos of `train` or `test` of a split."""
        return self.read_list(f"{part}{split}.txt")

    @cached_property
    def _whereabouts(self) -> Whereabouts:
        return Whereabouts(self.folder)

    @property
    def moved(self) -> bool:
        """Whether it lies elsewhere than where it was prepared, as far as its lists tell."""
        return self._whereabouts.before is not None

    def located(self, path: str | os.PathLike) -> Path:
        """Where a file is that the data set names: as it stands, or, where the data set was moved, as it now lies from
        the data set's folder, if it is there. What is no absolute path stays as it is.
        """
        return Path(self._whereabouts(os.fspath(path)))

    def named(self, path: str | os.PathLike) -> Path:
        """The other way round: how a data set that was moved names a file that was moved along with it."""
        return Path(self._whereabouts.named(os.fspath(path)))

    def identity(self, modality: str | None = None, split: int | None = None) -> str:
        """A sha256 that tells this data set from others by what it holds, wherever it lies: of what it was prepared
        from and how, its videos and lists, or its captions, without any path.

        What may come later changes nothing: flow (but for `modality` "flow": then the flow's making counts), other
        splits where one is named, stills.
        """
        digest = hashlib.sha256(json.dumps(self._about(modality), sort_keys=True).encode())
        if self.kind == "frames":
            digest.update((self.folder / "videos.tsv").read_bytes())
            for path in sorted(self.folder.glob("t*.txt")):
                if re.fullmatch(rf"(train|test){split or '[0-9]+'}[.]txt", path.name):
                    digest.update(f"{path.name}\n".encode() + path.read_bytes())
        elif (self.folder / "captions.json").exists():
            for image in described_images(self.folder):
                name = os.path.basename(image["file"]) if os.path.isabs(image["file"]) else image["file"]
                digest.update(json.dumps(image | {"file": name}, sort_keys=True).encode())
        return digest.hexdigest()

    def stamp(self, modality: str | None, split: int) -> str:
        """A sha256 that changes where what nets are shown in testing was made or brought anew beside the same lists: of
        the checksums of a modality's images and the first pages of their LMDB, or, for None, those of the test files of
        activations, and their sizes. Hundreds of GB are not read for it, and a copy has the same. DataError for what is
        not there."""
        digest = hashlib.sha256()
        if modality is not None:
            place = self.folder / MODALITIES[modality]
            digest.update(checksums.header_of_records(place).encode())
            digest.update(first_pages(place))
        else:
            sums = checksums.of_files(self.folder) or {}
            for path in sorted(self.folder.glob(f"test{split}_*.h5")):
                digest.update(json.dumps([path.name, path.stat().st_size, sums.get(path.name)]).encode())
        return digest.hexdigest()

    def _about(self, modality: str | None) -> dict:
        """What dataset.json says of the content, without what `identity` reads from other files or leaves out."""
        left_out = {"extracted", "skipped", "flow"}  # how features were extracted is in "prepared" as digests
        if self.kind == "frames":
            left_out |= {"splits", "lists", "seed", "keep_order"}  # the lists are read
        if self.kind == "captions":
            left_out |= {"inputs"}  # a digest with the images' paths in it
        about = _portable(self.description, left_out)
        return about | ({"flow": _portable(self.description.get("flow"))} if modality == "flow" else {})

    def check(self, modality: str) -> None:
        """Compares the index with the LMDB: every video's first and last image, and their number altogether."""
        if modality == "flow" and self.description.get("flow", True) is None:
            raise DataError(f"{self.folder}: has no flow; make it with `lrcn prepare flow --data {self.folder}`")
        check_images(self.folder, modality, self.index.values())

    def jpeg(self, modality: str, video: str, number: int) -> bytes:
        """The encoded image `number` (from 1; flow from 2) of a video. Decoded by OpenCV it is BGR; flow: see
        `data_prep.flow`. DataError where it is not there, CorruptImage where it is damaged.
        """
        return jpeg_of(self.folder, modality, video, number, not self.trusted)
