"""UCF-101 (Soomro et al. 2012) from the unpacked archive and its official lists, `ucfTrainTestlist`."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep import DataError, videos
from data_prep.list_order import ListOrder
from data_prep.spellings import Spellings, folded
from data_prep.stills import PARTS
from data_prep.videos import FrameOptions, VideoSet
from data_prep.workers import Work

CLASSES, VIDEOS = 101, 13_320
GROUP = re.compile(r"_g(\d+)_c\d+$", re.IGNORECASE)  # v_ApplyEyeMakeup_g08_c01: clips of one group come from one film


@dataclass(frozen=True)
class Entry:
    """A line of an official list."""

    where: str  # FILE:LINE
    class_name: str
    video: str


def read_classes(folder: Path) -> list[str]:
    """classInd.txt: `1 ApplyEyeMakeup` a line. Label 0 is its class 1. Errors: DataError."""
    path, classes = Path(folder) / "classInd.txt", dict[str, str]()
    for where, line in _lines(path):
        number, name = (*re.split(r"[\s,;]+", line, maxsplit=1), "")[:2]
        if number != str(len(classes) + 1) or not name:
            raise DataError(f"{where}: not `{len(classes) + 1} Class`: {line!r}; take the file from ucfTrainTestlist")
        if name in classes:
            raise DataError(f"{where}: class {name} is there twice; take the file from ucfTrainTestlist")
        classes[name] = where
    if not classes:
        raise DataError(f"{path}: names no class; take the file from ucfTrainTestlist")
    return list(classes)


def read_list(path: Path, classes: list[str], labelled: bool) -> list[Entry]:
    """trainlist0N.txt (`Class/video.avi label`, labels from 1) or testlist0N.txt (no labels); a number of frames may
    stand before the label. A class may be spelled in another case than in classInd.txt. Errors: DataError.
    """
    entries: list[Entry] = []
    seen: dict[str, str] = {}
    numbers, spellings = {name: number for number, name in enumerate(classes, 1)}, Spellings(classes)
    for where, line in _lines(path):
        entry, label = videos.columns(line, 2)
        class_name, video = videos.class_and_video(entry)
        if not class_name or not video or (labelled and not label):
            form = "`Class/video.avi label`" if labelled else "`Class/video.avi`"
            raise DataError(f"{where}: not {form}: {line!r}; take the file from ucfTrainTestlist")
        class_name = spellings.one_of(class_name, where)
        if class_name not in numbers:
            raise DataError(f"{where}: class {class_name} is not in classInd.txt; make the two agree")
        if label and int(label[-1]) != numbers[class_name]:
            raise DataError(
                f"{where}: {class_name} has label {label[-1]} here, {numbers[class_name]} in classInd.txt; make them"
                " agree"
            )
        if folded(video) in seen:
            raise DataError(f"{where}: {video} is in line {seen[folded(video)]} too; remove one of them")
        seen[folded(video)] = where.rpartition(":")[2]
        entries.append(Entry(where, class_name, video))
    if not entries:
        raise DataError(f"{path}: names no video; take the file from ucfTrainTestlist")
    return entries


def _lines(path: Path):
    if not path.is_file():
        raise DataError(f"{path}: no such file; --splits names the folder ucfTrainTestlist, as it is downloaded")
    return videos.numbered_lines(path)


def _check_apart(train: list[Entry], test: list[Entry]) -> None:
    trained = {folded(entry.video): entry for entry in train}
    groups = {_group(entry): entry for entry in train}
    for entry in test:
        if folded(entry.video) in trained:
            where = trained[folded(entry.video)].where
            raise DataError(f"{entry.where}: {entry.video} is a training video too ({where}); take it out of one list")
        if _group(entry) in groups:
            other = groups[_group(entry)]
            raise DataError(
                f"{entry.where}: group g{_group(entry)[1]} of {entry.class_name} is in training too ({other.where});"
                " clips of one film would be in both: mend the lists"
            )


def _group(entry: Entry) -> tuple[str, str]:
    match = GROUP.search(entry.video)
    if not match:
        raise DataError(
            f"{entry.where}: {entry.video} is not named v_Class_gGG_cCC; for other sets there is `lrcn prepare videos`"
        )
    return entry.class_name, match[1]


def read_splits(folder, classes: list[str]) -> dict[int, dict[str, list[Entry]]]:
    """The splits whose two lists lie in the folder: number -> "train" and "test" -> entries; no video and no group of a
    split is in both. Errors: DataError.
    """
    folder, splits = Path(folder), {}
    for number in (1, 2, 3):
        paths = {part: folder / f"{part}list{number:02d}.txt" for part in PARTS}
        if any(path.exists() for path in paths.values()):
            splits[number] = {part: read_list(paths[part], classes, part == "train") for part in PARTS}
            _check_apart(splits[number]["train"], splits[number]["test"])
    if not splits:
        raise DataError(
            f"{folder}: no trainlist01.txt and testlist01.txt in it; --splits names the folder ucfTrainTestlist"
        )
    return splits


def _by_video(splits: dict[int, dict[str, list[Entry]]]) -> dict[str, Entry]:
    """Video, its name `folded`, -> the last of its lines. Errors: DataError where lists do not agree on its class."""
    every = [entry for parts in splits.values() for part in PARTS for entry in parts[part]]
    by_video = {folded(entry.video): entry for entry in every}
    for entry in every:
        other = by_video[folded(entry.video)]
        if other.class_name != entry.class_name:
            raise DataError(
                f"{entry.where}: {entry.video} is {entry.class_name} here but {other.class_name} in {other.where}; make"
                " them agree"
            )
    return by_video


def _files(root, entries: dict[str, Entry]) -> dict[str, Path]:
    """The listed videos that are there by their name, `folded`, a folder a class or all in one: the archive spells
    some names in another case than its lists. Errors: DataError where several may be meant.
    """
    by_class, loose = videos.find_videos(root)
    alike: dict[str, list[Path]] = defaultdict(list)
    for path in [*loose, *(path for members in by_class.values() for path in members)]:
        alike[folded(_name(path))].append(path)
    files: dict[str, Path] = {}
    for video, entry in entries.items():
        paths = [path for path in alike[video] if _name(path) == entry.video] or alike[video]
        if len(paths) > 1:
            raise DataError(f"{paths[1]}: {paths[0]} is there too; remove one of them")
        if paths:
            files[video] = paths[0]
    return files


def _name(path: Path) -> str:
    return videos.Source(path, "", 0).name


@dataclass(frozen=True)
class Archive:
    """UCF-101 as it lies on the disk.

    videos: v_Class_gGG_cCC.avi in a folder a class, or all in one; or a folder of images in place of each file. lists:
    the unpacked ucfTrainTestlist. subset: only the listed videos that are there are wanted, where otherwise all 13,320
    must be.
    """

    videos: Path
    lists: Path
    subset: bool = False

    def read(self, split: str, work: Work = Work()) -> VideoSet:
        """The videos and lists, of which split "1", "2", "3" or "all" is wanted. Errors: DataError."""
        classes = read_classes(self.lists)
        splits = read_splits(self.lists, classes)
        wanted = (1, 2, 3) if split == "all" else (int(split),)
        for number in wanted:
            if number not in splits:
                raise DataError(
                    f"{self.lists}: no trainlist{number:02d}.txt and testlist{number:02d}.txt in it; take them from"
                    f" ucfTrainTestlist, or name another split ({', '.join(map(str, splits))})"
                )
        entries = _by_video(splits)
        files = _files(self.videos, entries)
        self._check_all_there(classes, entries, files, work)
        labels = {name: label for label, name in enumerate(classes)}
        sources = [
            videos.Source(path, entries[video].class_name, labels[entries[video].class_name])
            for video, path in files.items()
        ]
        sources.sort(key=lambda source: (source.label, source.name))
        listed = {
            (part, number): [folded(entry.video) for entry in parts[part]]
            for number, parts in splits.items()
            for part in PARTS
        }
        lists = {
            f"{part}{number}.txt": [_name(files[video]) for video in names if video in files]
            for (part, number), names in listed.items()
        }
        for number in wanted:
            for part in PARTS:
                if not lists[f"{part}{number}.txt"]:
                    raise DataError(
                        f"{self.videos}: no video of {part}list{number:02d}.txt is there; add some, split {number}"
                        " needs both training and test videos"
                    )
        return videos.VideoSet("ucf101", classes, sources, lists, list(wanted))

    def _check_all_there(self, classes: list[str], entries: dict[str, Entry], files: dict[str, Path], work: Work):
        missing = [entry for video, entry in entries.items() if video not in files]
        if self.subset:
            if missing:
                work.remark(f"{len(missing)} of the {len(entries)} listed videos are not there and left out (--subset)")
            return
        if missing:
            raise DataError(
                f"{self.videos}: {len(missing)} of the {len(entries)} listed videos are not there, first"
                f" {missing[0].class_name}/{missing[0].video} ({missing[0].where}); unpack the whole archive, or give"
                " --subset to take just what is there"
            )
        if (len(classes), len(entries)) != (CLASSES, VIDEOS):
            raise DataError(
                f"{self.lists}: its lists have {len(classes)} classes and {len(entries)} videos, where UCF-101 has"
                f" {CLASSES} and {VIDEOS}; take the lists from ucfTrainTestlist, or give --subset to take what they"
                " name"
            )


def prepare_ucf101(
    archive: Archive,
    out,
    split: str = "1",
    options: FrameOptions = FrameOptions(fps=30.0),
    order: ListOrder = ListOrder(),
    work: Work = Work(),
) -> Path:
    """UCF-101's videos and official lists to the dataset folder `out`: frames, and stills of the wanted splits; no
    flow (`flow.prepare_flow`), whatever the options say.

    split: "1", "2", "3" or "all"; splits can be added later by the same call. Videos that cannot be read are skipped
    and listed in skipped.tsv. The official training lists go class by class. Errors: DataError.
    """
    options = replace(options, algorithm=None, skip_unreadable=True)
    return videos.prepare_videos(archive.read(split, work), out, options, order, work)
