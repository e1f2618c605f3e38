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

from dataclasses import dataclass
from pathlib import Path

from data_prep import DataError
from data_prep.store import MODALITIES, check_images, first_number, read_jpeg, reader
from data_prep.whole_files import read_json


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
