"""UCF-101 (Soomro et al. 2012) from the unpacked archive and its official lists, `ucfTrainTestlist`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from data_prep import DataError, videos
from data_prep.stills import PARTS
from data_prep.workers import no_progress

CLASSES, VIDEOS = 101, 13_320
GROUP = re.compile(r"_g(\d+)_c\d+$")  # v_ApplyEyeMakeup_g08_c01: clips of one group come from one film


@dataclass(frozen=True)
class Entry:
    """A line of an official list."""

    where: str  # FILE:LINE
    class_name: str
    video: str


def read_classes(folder: Path) -> list[str]:
    """classInd.txt: `1 ApplyEyeMakeup` a line. Label 0 is its class 1. Errors: DataError."""
    path, classes = Path(folder) / "classInd.txt", []
    for where, line in _lines(path):
        number, _, name = line.partition(" ")
        name = name.strip()
        if number != str(len(classes) + 1) or not name:
            raise DataError(f"{where}: not `{len(classes) + 1} Class`: {line!r}; take the file from ucfTrainTestlist")
        if name in classes:
            raise DataError(f"{where}: class {name} is there twice; take the file from ucfTrainTestlist")
        classes.append(name)
    if not classes:
        raise DataError(f"{path}: names no class; take the file from ucfTrainTestlist")
    return classes


def read_list(path: Path, classes: list[str], labelled: bool) -> list[Entry]:
    """trainlist0N.txt (`Class/video.avi label`, labels from 1) or testlist0N.txt (no labels). Errors: DataError."""
    entries, seen, numbers = [], {}, {name: number for number, name in enumerate(classes, 1)}
    for where, line in _lines(path):
        entry, _, label = line.rpartition(" ") if re.search(r"\s\d+$", line) else (line, "", "")
        class_name, slash, file = entry.strip().rpartition("/")
        if not slash or not file or "/" in class_name or (labelled and not label):
            form = "`Class/video.avi label`" if labelled else "`Class/video.avi`"
            raise DataError(f"{where}: not {form}: {line!r}; take the file from ucfTrainTestlist")
        if class_name not in numbers:
            raise DataError(f"{where}: class {class_name} is not in classInd.txt; make the two agree")
        if label and int(label) != numbers[class_name]:
            raise DataError(
                f"{where}: {class_name} has label {label} here, {numbers[class_name]} in classInd.txt; make them agree"
            )
        video = Path(file).stem
        if video in seen:
            raise DataError(f"{where}: {video} is in line {seen[video]} too; remove one of them")
        seen[video] = where.rpartition(":")[2]
        entries.append(Entry(where, class_name, video))
    if not entries:
        raise DataError(f"{path}: names no video; take the file from ucfTrainTestlist")
    return entries


def _lines(path: Path):
    if not path.is_file():
        raise DataError(f"{path}: no such file; --splits names the folder ucfTrainTestlist, as it is downloaded")
    return videos.numbered_lines(path)


def _check_apart(train: list[Entry], test: list[Entry]) -> None:
    trained = {entry.video: entry for entry in train}
    groups = {_group(entry): entry for entry in train}
    for entry in test:
        if entry.video in trained:
            where = trained[entry.video].where
            raise DataError(f"{entry.where}: {entry.video} is a training video too ({where}); take it out of one list")
        if _group(entry) in groups:
            other = groups[_group(entry)]
            raise DataError(
                f"{entry.where}: group g{_group(entry)[1]} of {entry.class_name} is in training too ({other.where});"
                " clips of one film would be in both: mend the lists"
            )


def _group(entry: Entry) -> tuple[str, str]:
    found = GROUP.search(entry.video)
    if not found:
        raise DataError(
            f"{entry.where}: {entry.video} is not named v_Class_gGG_cCC; for other sets there is `lrcn prepare videos`"
        )
    return entry.class_name, found[1]


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


def _find(root, entries: dict[str, Entry]) -> dict[str, Path]:
    """The listed videos that are there, a folder a class or all in one."""
    by_class, loose = videos.find_videos(root)
    found: dict[str, Path] = {}
    for path in [*loose, *(path for members in by_class.values() for path in members)]:
        name = videos.Source(path, "", 0).name
        if name not in entries:
            continue
        if name in found:
            raise DataError(f"{path}: {found[name]} is there too; remove one of them")
        found[name] = path
    return found


def prepare_ucf101(
    videos_dir,
    splits_dir,
    out,
    *,
    split="1",
    fps=30.0,
    every=1,
    subset=False,
    seed=1701,
    keep_order=False,
    height=240,
    width=320,
    workers=None,
    progress=no_progress,
) -> Path:
    """UCF-101's videos and official lists to the dataset folder `out`: frames, and stills of the wanted splits; no
    flow (`flow.prepare_flow`).

    videos_dir: v_Class_gGG_cCC.avi in a folder a class, or all in one; or a folder of images in place of each file.
    split: "1", "2", "3" or "all"; splits can be added later by the same call. subset: take the listed videos that are
    there, where otherwise all 13,320 must be. Videos that cannot be read are skipped and listed in skipped.tsv. The
    official training lists go class by class and are put in a random order of `seed`, unless `keep_order`.
    Errors: DataError.
    """
    classes = read_classes(splits_dir)
    splits = read_splits(splits_dir, classes)
    numbers = sorted(splits) if split == "all" else [int(split)]
    for number in numbers if split != "all" else (1, 2, 3):
        if number not in splits:
            raise DataError(
                f"{splits_dir}: no trainlist{number:02d}.txt and testlist{number:02d}.txt in it; take them from"
                f" ucfTrainTestlist, or name another split ({', '.join(map(str, splits))})"
            )
    entries = {entry.video: entry for parts in splits.values() for part in PARTS for entry in parts[part]}
    for parts in splits.values():
        for part in PARTS:
            for entry in parts[part]:
                if entries[entry.video].class_name != entry.class_name:
                    raise DataError(
                        f"{entry.where}: {entry.video} is {entry.class_name} here but {entries[entry.video].class_name}"
                        f" in {entries[entry.video].where}; make them agree"
                    )
    found = _find(videos_dir, entries)
    missing = [entry for video, entry in entries.items() if video not in found]
    if not subset:
        if missing:
            raise DataError(
                f"{videos_dir}: {len(missing)} of the {len(entries)} listed videos are not there, first"
                f" {missing[0].class_name}/{missing[0].video} ({missing[0].where}); unpack the whole archive, or give"
                " --subset to take just what is there"
            )
        if (len(classes), len(entries)) != (CLASSES, VIDEOS):
            raise DataError(
                f"{splits_dir}: its lists have {len(classes)} classes and {len(entries)} videos, where UCF-101 has"
                f" {CLASSES} and {VIDEOS}; take the lists from ucfTrainTestlist, or give --subset to take what they"
                " name"
            )
    elif missing:
        progress(f"{len(missing)} of the {len(entries)} listed videos are not there and left out (--subset)", 0, 0)
    labels = {name: label for label, name in enumerate(classes)}
    sources = [
        videos.Source(path, entries[video].class_name, labels[entries[video].class_name])
        for video, path in sorted(found.items(), key=lambda item: (labels[entries[item[0]].class_name], item[0]))
    ]
    lists = {
        f"{part}{number}.txt": [entry.video for entry in parts[part] if entry.video in found]
        for number, parts in splits.items()
        for part in PARTS
    }
    for number in numbers:
        for part in PARTS:
            if not lists[f"{part}{number}.txt"]:
                raise DataError(
                    f"{videos_dir}: no video of {part}list{number:02d}.txt is there; add some, split {number} needs"
                    " both training and test videos"
                )
    return videos.prepare_videos(
        sources,
        out,
        classes,
        lists,
        name="ucf101",
        splits=numbers,
        seed=seed,
        keep_order=keep_order,
        height=height,
        width=width,
        fps=fps,
        algorithm=None,
        every=every,
        skip_unreadable=True,
        workers=workers,
        progress=progress,
    )
