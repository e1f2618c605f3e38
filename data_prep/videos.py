"""Videos, as files or cut into folders of images, to a dataset folder: frames, flow computed from the stored frames,
stills for Caffe's Data layer; on all cores, and a run that was cut off goes on.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from data_prep import DataError, checksums, flow, frames, list_order, room, shards, stills, store
from data_prep.dataset import Dataset, Video, index_text, list_text, without_videos
from data_prep.draw import Draw
from data_prep.list_order import ListOrder
from data_prep.spellings import Spellings
from data_prep.whole_files import write_json, write_text, writing
from data_prep.workers import Counted, Work
from readers.bounds import check_pixels
from readers.text import number, read_lines, twice

SAMPLE = 64  # stored images that are decoded again at the end
UNEVEN = "uneven.tsv"
ORDER = ("seed", "keep_order")  # settings that decide on nothing but the order of training lists; drawn lists differ


@dataclass(frozen=True)
class FrameOptions:
    """How videos become images.

    height, width: of the stored images, in pixels. fps: how many are taken a second, None for all. algorithm: of flow,
    None for no flow. every: of the frames of a video every so many-th is among the stills. skip_unreadable: videos that
    cannot be read leave the lists and are named in skipped.tsv.
    """

    height: int = 240
    width: int = 320
    fps: float | None = None
    algorithm: str | None = "dis"
    every: int = 1
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise DataError(f"--fps {self.fps}: no number of frames a second; give 30, say")
        if max(self.size) > frames.LONGEST:
            raise DataError(f"--size {self.height} {self.width}: a JPEG has {frames.LONGEST} a side at most; give less")
        check_pixels(self.width, self.height, "--size", DataError)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        return self.height, self.width


@dataclass(frozen=True)
class Source:
    """A video of a class: a video file, whose name without its suffix is the video's, or a folder of images."""

    path: Path
    class_name: str
    label: int
    bytes: int | None = None  # its size, where it lies on another machine

    @property
    def name(self) -> str:
        return self.path.stem if self.path.suffix.lower() in frames.VIDEOS else self.path.name

    def size(self) -> int:
        if self.bytes is not None:
            return self.bytes
        if self.path.is_dir():
            return sum(file.stat().st_size for file in frames.frames_in(self.path))
        return self.path.stat().st_size


def _frames_job(job):
    """JPEGs of one video, how many frames its header promised and how many came; or why it cannot be read, where such
    videos are skipped.
    """
    source, options = job
    if not source.path.exists():  # on this machine
        raise DataError(f"{source.path}: no such video; put it where every machine that works finds it")
    try:
        return frames.jpegs(source.path, options.height, options.width, options.fps)
    except DataError as error:
        if not options.skip_unreadable:
            raise
        reason = str(error).rpartition(";")[0].removeprefix(str(source.path)).removeprefix(": ")
        return " ".join(reason.removeprefix("/").split())


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:  # what the file system calls it is no UTF-8
        return False


def check_sources(sources: list[Source], classes: list[str]) -> None:
    """Names, labels and files before any work is done. Errors: DataError."""
    if not sources:
        raise DataError("no videos given; name a folder that holds a folder of videos for each class")
    seen: dict[str, Path] = {}
    for source in sources:
        if not _is_text(source.name + source.class_name):
            raise DataError(f"{str(source.path)!a}: its name is not UTF-8; rename it")
        if any(c in source.name + source.class_name for c in "\t\n\r/"):
            raise DataError(
                f"{str(source.path)!a}: a tab, a line break or a slash in a video's or class's name; rename it"
            )
        if source.name[-1:].isspace() or source.class_name.startswith("\ufeff"):  # no list could name it
            raise DataError(f"{str(source.path)!a}: a name that ends in a blank or begins with a mark; rename it")
        if source.name in seen:
            raise DataError(
                f"{source.path}: has the name of {seen[source.name]}; rename one, videos are stored by name"
            )
        if len(store.key("flow", source.name, 1)) > 490:
            raise DataError(f"{source.path}: the name is too long for LMDB (490 bytes); rename it")
        if not 0 <= source.label < len(classes) or classes[source.label] != source.class_name:
            raise DataError(
                f"{source.path}: class {source.class_name} with label {source.label} is not in the class list; mend the"
                " list"
            )
        if not source.path.exists():
            raise DataError(f"{source.path}: no such video file; mend the list")
        seen[source.name] = source.path


def sources_digest(sources: list[Source]) -> str:
    """Changes with the videos' names, classes, labels and sizes: a preparation goes on only with the same input."""
    lines = "".join(f"{s.name}\t{s.class_name}\t{s.label}\t{s.size()}\n" for s in sources)
    return hashlib.sha256(lines.encode()).hexdigest()


def fill(
    folder: Path,
    sources: list[Source],
    lists: dict[str, list[str]],
    description: dict,
    options: FrameOptions,
    work: Work,
) -> None:
    """Fills `folder` (see `checksums.new_data_set`) with frames, flow, stills, index, lists, and last `dataset.json`.

    lists: file name -> names of videos, in their order; each split in the description has two, and its stills.
    description: what `dataset.json` says beside sizes and flow: name, classes, mirror, splits, seed, prepared.
    Errors: DataError.
    """
    stills_of = sum(map(len, lists.values())) / len(sources) / options.every
    index, skipped = _write_frames(folder, sources, options, 1 + stills_of + bool(options.algorithm), work)
    members = _listed(lists, index, skipped)
    _verify(folder, index, options.size)
    about_flow = None
    if options.algorithm is not None:
        flow.write(folder, index, options.algorithm, options.size, work=work)
        store.check_images(folder, "flow", index)
        about_flow = flow.report(folder, index, options.algorithm, options.size, work)
    write_text(folder / "videos.tsv", index_text(index))
    for name, videos in members.items():
        write_text(folder / name, list_text(videos))
    of_stills = {name.removesuffix(".txt"): videos for name, videos in members.items()}
    stills.write_lists(folder, of_stills, options.every, progress=work.progress)
    write_text(folder / "skipped.tsv", "file\treason\n" + "".join(f"{file}\t{why}\n" for file, why in skipped.values()))
    about_frames = {"kind": "frames", "height": options.height, "width": options.width, "fps": options.fps}
    about = about_frames | {"flow": about_flow, "skipped": len(skipped)}
    write_json(folder / "dataset.json", about | description)
    images = sum(video.frames for video in index)
    work.remark(f"checked: {len(index)} videos, {images} frames, {sum(map(len, members.values()))} lines of lists")
    if about_flow:
        work.remark(flow.summary(about_flow))
    if skipped:
        first = " (".join(next(iter(skipped.values()))) + ")"
        work.remark(f"skipped: {len(skipped)} of {len(sources)} videos, listed in skipped.tsv; first {first}")
        for name, videos in members.items():
            if set(lists[name]) & skipped.keys():
                _remark_absent(name, description["classes"], [video.label for video in videos], work)


def _write_frames(folder: Path, sources: list[Source], options: FrameOptions, times: float, work: Work):
    """The index of what is stored then, and of the videos that cannot be read the file and why. times: the room that
    frames, stills and flow (no more than the frames) take together, over that of the frames."""
    uneven = folder / UNEVEN  # headers that promised a few frames more or fewer than there are
    skipped: dict[str, tuple[str, str]] = {}
    with store.ImageWriter(folder, "rgb") as writer:
        todo = [(source, options) for source in sources if not writer.count(source.name)]
        done, weights = len(sources) - len(todo), _weights([source for source, _ in todo])
        what, total = "the frames and what is made of them", sum(weights.values())
        growing = room.Growing(folder, what, len(todo), total, times, work.progress)
        work.progress(Counted("frames", "videos"), done, len(sources))
        for (source, _), result in work.parallel(_frames_job, todo):
            if isinstance(result, str):
                skipped[source.name] = f"{source.class_name}/{source.path.name}", result
            else:
                jpegs, declared, decoded = result
                if declared and declared != decoded:
                    with writing(uneven), open(uneven, "a", encoding="utf-8") as file:
                        file.write(f"{source.name}\t{declared}\t{decoded}\n")
                growing.add(weights[source], store.stored_bytes(jpegs))
                writer.add(source.name, source.label, jpegs, options.height, options.width)
            done += 1
            work.progress(Counted("frames", "videos"), done, len(sources))
        writer.commit()
        index = [Video(s.name, s.class_name, s.label, writer.count(s.name)) for s in sources if s.name not in skipped]
    if uneven.exists():  # a run that was cut off and went on may have written a line twice
        write_text(uneven, "".join(f"{line}\n" for line in sorted(set(read_lines(uneven, DataError)))))
    return index, skipped


def _weights(sources: list[Source]) -> dict[Source, int]:
    """What the frames of videos are in proportion to: the files' sizes; of folders of frames one is as another."""
    files = all(source.bytes is not None or source.path.is_file() for source in sources)
    return {source: source.size() if files else 1 for source in sources}


def _listed(lists, index, skipped) -> dict[str, list[Video]]:
    """List file -> its videos, but for those that were skipped. Errors: DataError where none is left."""
    by_name = {video.name: video for video in index}
    members = {name: [by_name[video] for video in videos if video not in skipped] for name, videos in lists.items()}
    for name, videos in members.items():
        if not videos:
            why = f"; {' ('.join(next(iter(skipped.values())))})" if skipped else ""
            raise DataError(f"{name}: none of its videos can be read{why}; fetch the videos again or mend the list")
    return members


def _verify(folder: Path, index: list[Video], size: tuple[int, int]) -> None:
    """Every video's frames are in the LMDB as the index counts them, and a sample decodes. Errors: DataError."""
    store.check_images(folder, "rgb", index)
    random, environment = np.random.default_rng(0), store.reader(folder / store.MODALITIES["rgb"])
    for chosen in random.integers(0, len(index), SAMPLE):
        video = index[chosen]
        number = int(random.integers(1, video.frames + 1))
        image = frames.decode(store.read_jpeg(environment, "rgb", video.name, number), cv2.IMREAD_COLOR)
        if image is None or image.shape != (*size, 3):
            raise DataError(
                f"{environment.path()}: {store.key('rgb', video.name, number).decode()} does not decode to"
                f" {size[0]}x{size[1]}; is the disk sound? Remove the folder and prepare the data set again"
            )


@dataclass(frozen=True)
class VideoSet:
    """Videos that are to become a data set.

    classes: names by label. lists: "train1.txt" and so on -> names of videos, for all splits that there are. splits:
    those that are wanted. mirror: the labels survive a mirror.
    """

    name: str
    classes: list[str]
    sources: list[Source]
    lists: dict[str, list[str]]
    splits: list[int]
    mirror: bool = True

    def check(self) -> None:
        """Errors: DataError where sources or lists do not fit."""
        check_sources(self.sources, self.classes)
        known = {source.name for source in self.sources}
        for list_name, members in self.lists.items():
            for member, count in Counter(members).items():
                if member not in known:
                    raise DataError(f"{list_name}: video {member} is not among the videos; mend the list")
                if count > 1:
                    raise DataError(f"{list_name}: video {member} is in it {count} times; mend the list")

    def wanted_lists(self) -> dict[str, list[str]]:
        names = [f"{part}{split}.txt" for split in sorted(self.splits) for part in stills.PARTS]
        return {name: self.lists[name] for name in names}


def prepare_videos(
    videos: VideoSet, out, options: FrameOptions = FrameOptions(), order: ListOrder = ListOrder(), work: Work = Work()
) -> Path:
    """Makes the dataset folder `out` of videos, with their training lists in `order`. Where it is there already of the
    same input and settings, nothing is done but that splits it lacks are added, and stills. Errors: DataError.
    """
    videos.check()
    settings = _settings(videos, options, order)
    if work.shard:
        _prepare_shard(videos, settings, out, options, order, work)
        return Path(out)
    return _prepare(videos, settings, out, options, order, work)


def _settings(videos: VideoSet, options: FrameOptions, order: ListOrder) -> dict:
    """What tells data sets of videos apart."""
    return {
        "name": videos.name,
        "classes": list(videos.classes),
        "mirror": videos.mirror,
        "seed": order.seed,
        "keep_order": order.keep,
        "height": options.height,
        "width": options.width,
        "fps": options.fps,
        "flow": None if options.algorithm is None else flow.description(options.algorithm),
        "videos": sources_digest(videos.sources),
        "lists": hashlib.sha256(repr(sorted(videos.lists.items())).encode()).hexdigest(),
    }


def _prepare(videos: VideoSet, settings: dict, out, options: FrameOptions, order: ListOrder, work: Work) -> Path:
    """`prepare_videos` of videos that were looked at."""
    lists, splits = order.of(videos.wanted_lists()), sorted(videos.splits)
    labels = {source.name: source.label for source in videos.sources}
    for name, members in lists.items():
        _remark_absent(name, videos.classes, [labels[member] for member in members], work)
    with checksums.new_data_set(out, settings, may_differ=ORDER) as folder:
        if folder:
            hint = "" if order.keep else "; --keep-order leaves them as they are"
            work.remark(order.remark(lists) + hint)
            _remark_others(videos.sources, work)
            description = {name: settings[name] for name in ("name", "classes", "mirror")}
            description |= {"splits": splits, "seed": order.seed, "prepared": settings}
            fill(folder, videos.sources, lists, description, options, work)
    if not folder:
        _add_splits(Dataset(out), lists, splits, options.every, work)
    return Path(out)


def _prepare_shard(videos: VideoSet, settings: dict, out, options: FrameOptions, order: ListOrder, work: Work) -> None:
    """Frames, and flow, of a shard's videos. Errors: DataError."""
    recipe = {"kind": "videos", "settings": settings, "options": vars(options), "order": vars(order)}
    sources = [[source.path.name, source.class_name, source.label, source.size()] for source in videos.sources]
    with shards.making(out, work.shard, recipe | {"videos": vars(videos) | {"sources": sources}}) as part:
        if part is None:
            return
        members, folder, with_flow = work.shard.of(videos.sources), part.folder, options.algorithm is not None
        index, skipped = _write_frames(folder, members, options, 1 + with_flow, work)
        flows = {}
        if with_flow:
            flow.write(folder, index, options.algorithm, options.size, work=work)
            flows = flow.results_of_shard(folder, index, options.size, work)
        uneven = read_lines(folder / UNEVEN, DataError) if (folder / UNEVEN).exists() else []
        counts = {name: list(map(int, numbers)) for name, *numbers in (line.split("\t") for line in uneven)}
        due = shards.digests(folder, "rgb", index)
        frames_of = {v.name: [v.frames, due[v.name], *counts.get(v.name, [0, v.frames])] for v in index}
        part.finish({"frames": frames_of, "skipped": {name: why for name, (_, why) in skipped.items()}, "flow": flows})


def merge_shards(whole: shards.Whole, out, work: Work = Work()) -> Path:
    """The data set `out`, as `prepare_videos` makes it, of what its shards have done. Errors: DataError."""
    recipe = whole.recipe
    options, order = FrameOptions(**recipe["options"]), ListOrder(**recipe["order"])
    sources = [Source(Path(name), *others) for name, *others in recipe["videos"]["sources"]]
    videos = VideoSet(**recipe["videos"] | {"sources": sources})
    place = {
        name: at for at, results in whole.results.items() for part in ("frames", "skipped") for name in results[part]
    }
    stills_of = sum(map(len, videos.wanted_lists().values())) / len(sources) / options.every
    need, partial = whole.bytes("rgb") * (1 + stills_of) + whole.bytes("flow"), Path(f"{os.path.abspath(out)}.partial")
    if not (Path(out) / "dataset.json").exists():
        room.check(out, need, "the data set", work.progress, room.taken(partial.rglob("data.mdb")))

    def frames_of(job):
        name = job[0].name
        results = whole.results[place[name]]
        if name in results["skipped"]:
            return results["skipped"][name]
        count, due, *counts = results["frames"][name]
        return shards.images(place[name], "rgb", Video(name, "", 0, count), due), *counts

    answers = flow.answers_of_shards({at: results["flow"] for at, results in whole.results.items()})
    merged = replace(work, crew=shards.Results(answers | {_frames_job: frames_of}))
    return _prepare(videos, recipe["settings"], out, options, order, merged)


def _remark_absent(list_name: str, classes: list[str], labels: Iterable[int], work: Work) -> None:
    if absent := without_videos(list_name.removesuffix(".txt"), classes, labels):
        work.remark(absent)


def _remark_others(sources: list[Source], work: Work) -> None:
    """Says which images lie beside frames and are not taken for any."""
    others = []
    for source in sources:
        if source.bytes is None and source.path.is_dir():
            taken = set(frames.frames_in(source.path))
            others += [path for path in frames.images_in(source.path) if path not in taken][:1]
    if others:
        work.remark(f"{len(others)} videos have other images beside their frames, which are left out, as {others[0]}")


def _add_splits(dataset: Dataset, lists: dict[str, list[str]], splits: list[int], every: int, work: Work) -> None:
    """Lists and stills that a whole dataset does not have yet. Lists that it has stay as they are."""
    for name, members in lists.items():
        videos = [dataset.index[video] for video in members if video in dataset.index]
        if not videos:
            raise DataError(f"{name}: none of its videos could be read; fetch the videos again or mend the list")
        if not (dataset.folder / name).exists():
            with checksums.changing(dataset.folder, name):
                write_text(dataset.folder / name, list_text(videos))
        elif name.startswith("train") and dataset.read_list(name) != videos:
            work.remark(_other_order(dataset, name))
    for split in splits:
        stills.write_stills(dataset, split, every, progress=work.progress)
    if new := set(splits) - set(dataset.description["splits"]):
        every_split = sorted({*dataset.description["splits"], *new})
        with checksums.changing(dataset.folder, "dataset.json"):
            write_json(dataset.folder / "dataset.json", dataset.description | {"splits": every_split})
    checksums.complete(dataset.folder, "dataset.json", *lists)  # where a run was cut off in between


def _other_order(dataset: Dataset, name: str) -> str:
    """What to tell the user of a list that was written in another order than is asked for now, perhaps by a version
    that left all lists as they were given.
    """
    labels = [video.label for video in dataset.read_list(name)]
    there, random = (
        count(labels, list_order.VIDEOS)
        for count in (list_order.classes_per_batch, list_order.classes_per_random_batch)
    )
    return (
        f"{dataset.folder / name}: left in the order that it has ({there:.1f} classes in {list_order.VIDEOS} videos in"
        f" a row, {random:.1f} at random); to have it written anew, remove it and run the same command again"
    )


def _members(folder: Path) -> list[Path]:
    """The videos that lie in a folder: files by their suffix, and folders that hold images."""
    with os.scandir(folder) as entries:
        members = [
            Path(os.path.abspath(entry.path))  # other machines work elsewhere
            for entry in entries
            if frames.is_one_of(frames.VIDEOS, entry.name)
            or (entry.is_dir() and not frames.is_hidden(entry.name) and _holds_images(entry.path))
        ]
    return sorted(members)


def _holds_images(folder) -> bool:
    with os.scandir(folder) as entries:
        return any(frames.is_one_of(frames.IMAGES, entry.name) for entry in entries)


def find_videos(root) -> tuple[dict[str, list[Path]], list[Path]]:
    """The videos in the folders of `root` by the folder's name, the class; and those that lie in `root` itself.

    A video is a file, or a folder of images. Errors: DataError where there is none.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name the folder that holds a folder of videos for each class")
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not frames.is_hidden(path.name)]
    classes = {folder.name: _members(folder) for folder in folders}
    classes = {name: members for name, members in classes.items() if members}
    loose = [path for path in _members(root) if path.name not in classes]
    if not classes and not loose:
        raise DataError(
            f"{root}: no videos in it; it must hold a folder of videos ({' '.join(sorted(frames.VIDEOS))}), or of"
            f" folders of images, for each class{_deeper(root)}"
        )
    return classes, loose


def _deeper(root: Path) -> str:
    """Where the first video below a folder lies, as part of a line for the user."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not frames.is_hidden(name))
        if name := next((name for name in files if frames.is_one_of(frames.VIDEOS | frames.IMAGES, name)), None):
            return f", where there is {os.path.relpath(os.path.join(folder, name), root)}"
    return ""


def prepare_folder(
    videos_dir,
    lists: str | Path | Draw | None,
    out,
    options: FrameOptions = FrameOptions(),
    order: ListOrder = ListOrder(),
    work: Work = Work(),
    mirror: bool = True,
) -> Path:
    """A folder with a folder of videos for each class, and list files, to the dataset folder `out`. A video is a file
    or a folder of images.

    lists: a folder that holds train1.txt and test1.txt (train2.txt, ... likewise): `Class/video label` a line, with or
    without the file's suffix, or `Class/video frames label` as TSN and mmaction2 have it, of which the frames are not
    used; and, if it likes, classes.txt, a class a line in the order of labels, which must be the folders' names.
    Without it classes are the folders' names, alphabetically. Or it holds HMDB-51's lists, CLASS_test_split1.txt:
    `video.avi 1` a line, 1 for training, 2 for test. With lists the videos may also lie in one folder, without folders
    of classes. Or a draw, by which videos are divided with the seed of `order`; None draws a quarter of each class.
    mirror: the labels survive a mirror. Errors: DataError (no videos, lists or classes that do not fit the folder, and
    what `prepare_videos` raises).
    """
    root = Path(videos_dir)
    draw, lists_dir = (lists, None) if isinstance(lists, Draw) else (Draw(), lists and Path(lists))
    files, loose = find_videos(root)
    there = Spellings(Source(path, "", 0).name for paths in (*files.values(), loose) for path in paths)
    lines = [] if lists_dir is None else _list_lines(lists_dir, there)
    classes = sorted(files) or _classes_of(lines, root)
    class_list = lists_dir and lists_dir / "classes.txt"
    if class_list and class_list.exists():
        spellings = Spellings(files)
        classes = [spellings.one_of(class_name, where) for where, class_name in numbered_lines(class_list)]
        if name := twice(classes):
            raise DataError(f"{class_list}: class {name} is in it twice; remove one of the lines")
        for odd in sorted(set(classes) ^ set(files)) if not loose else ():
            lacking = "has no folder of videos" if odd in classes else "is not in the class list"
            raise DataError(f"{class_list}: class {odd} {lacking} in {root}; make the two agree")
    labels = {class_name: label for label, class_name in enumerate(classes)}
    sources = [Source(path, name, labels[name]) for name in classes for path in files.get(name, ())]
    if lists_dir is None:
        names = {name: [Source(path, "", 0).name for path in files.get(name, ())] for name in classes}
        listed = draw.lists(names, order.seed)
    else:
        lines = _as_spelled_there(lines, Spellings(classes), there)
        sources += _loose_sources(lines, loose, labels)
        listed = _resolve(lines, sources, labels, root)
    numbers = sorted({int(list_name[:-4].lstrip("trainesu")) for list_name in listed})
    _check_splits(numbers, listed, lists_dir or root, work)
    return prepare_videos(VideoSet(root.name, classes, sources, listed, numbers, mirror), out, options, order, work)


def _check_splits(numbers: list[int], lists: dict[str, list[str]], place: Path, work: Work) -> None:
    """Errors: DataError where a split lacks a list. Videos of both are counted to the user."""
    for split in numbers:
        for part in stills.PARTS:
            if not lists.get(f"{part}{split}.txt"):
                raise DataError(
                    f"{place}: {part}{split}.txt is missing or empty; every split needs a train and a test list"
                )
        trained = set(lists[f"train{split}.txt"])
        if both := [video for video in lists[f"test{split}.txt"] if video in trained]:
            work.remark(
                f"test{split}: {len(both)} videos, as {both[0]}, are in train{split} too; they test no learning"
            )


@dataclass(frozen=True)
class Line:
    """A line of a list file: which list it belongs to, and the video; label None where the file tells none."""

    where: str
    list_name: str
    class_name: str
    video: str
    label: int | None


def columns(text: str, most: int) -> tuple[str, list[str]]:
    """The whole numbers, at most so many, that a list's line ends in, after blanks or a comma each; before them what
    stands before them.
    """
    numbers: list[str] = []
    while len(numbers) < most and (match := re.fullmatch(r"(.*[^\s,;])(?:\s+|\s*[,;]\s*)([0-9]{1,9})", text)):
        text = match[1]
        numbers.insert(0, match[2])
    return text, numbers


def _list_lines(folder: Path, there: Spellings) -> list[Line]:
    """The lines of all list files in a folder. Errors: DataError."""
    lines = []
    for path in sorted(folder.glob("t[re]*[0-9].txt")):
        part = path.stem.rstrip("0123456789")
        split = number(path.stem.removeprefix(part))
        if part in stills.PARTS and split is not None:
            list_name = f"{part}{split}.txt"
            lines += [_line(where, list_name, text, there) for where, text in numbered_lines(path)]
    if lines:
        return lines
    for path in sorted(folder.glob("[!.]*_test_split[0-9].txt")):
        class_name, _, split = path.stem.rpartition("_test_split")
        for where, text in numbered_lines(path):
            video, use = columns(text, 1)
            if use not in (["0"], ["1"], ["2"]):
                raise DataError(f"{where}: not `video use` (1 training, 2 test, 0 neither): {text!r}; mend the list")
            if use != ["0"]:
                part = stills.PARTS[int(use[0]) - 1]
                lines.append(Line(where, f"{part}{split}.txt", class_name, bare(video), None))
    if not lines:
        official = "; for UCF-101's lists there is `lrcn prepare ucf101`" if list(folder.glob("trainlist*")) else ""
        raise DataError(
            f"{folder}: no train1.txt and test1.txt in it; write them, `Class/video label` a line{official}"
        )
    return lines


def _line(where: str, list_name: str, text: str, there: Spellings) -> Line:
    """A line of a list. A number before the label is that of the video's frames, unless the video's name ends in it.
    Errors: DataError.
    """
    entry, label = columns(text, 1)
    class_name, video = class_and_video(entry)
    if not there.of(video):
        class_name, video = class_and_video(columns(text, 2)[0])
    if not label or not class_name or not video:
        raise DataError(f"{where}: not `Class/video label`, nor `Class/video frames label`: {text!r}; mend the list")
    return Line(where, list_name, class_name, video, int(label[0]))


def class_and_video(entry: str) -> tuple[str, str]:
    """The last two parts of a path, the video without its file's suffix; "" for a class that is not there."""
    *_, class_name, video = ["", *(entry if "/" in entry else entry.replace("\\", "/")).rstrip("/").split("/")]
    return class_name.strip(), bare(video.strip())


def _as_spelled_there(lines: list[Line], classes: Spellings, videos: Spellings) -> list[Line]:
    return [
        replace(
            line, class_name=classes.one_of(line.class_name, line.where), video=videos.one_of(line.video, line.where)
        )
        for line in lines
    ]


def numbered_lines(path: Path) -> list[tuple[str, str]]:
    """FILE:LINE and text of the lines that are not empty. Errors: DataError."""
    lines = [line.strip() for line in read_lines(path, DataError)]
    return [(f"{path}:{n}", line) for n, line in enumerate(lines, 1) if line]


def bare(video: str) -> str:
    suffix = Path(video).suffix
    return video.removesuffix(suffix) if suffix.lower() in frames.VIDEOS else video


def _classes_of(lines: list[Line], root: Path) -> list[str]:
    """Classes by label, as the lists pair them: for videos without folders of classes. Errors: DataError."""
    if not lines:
        raise DataError(f"{root}: its videos lie in no folders of classes; name their classes in lists (--lists)")
    if any(line.label is None for line in lines):
        return sorted({line.class_name for line in lines})
    pairs: dict[int, str] = {}
    for line in lines:
        if pairs.setdefault(line.label, line.class_name) != line.class_name:
            raise DataError(
                f"{line.where}: label {line.label} is {line.class_name} here, {pairs[line.label]} before; make them"
                " agree"
            )
    if len(set(pairs.values())) < len(pairs) or sorted(pairs) != list(range(len(pairs))):
        raise DataError(
            f"{Path(lines[0].where).parent}: labels are not 0, 1, 2 ..., one a class; mend the lists or add classes.txt"
        )
    return [pairs[label] for label in range(len(pairs))]


def _loose_sources(lines: list[Line], loose: list[Path], labels: dict[str, int]) -> list[Source]:
    """Videos that lie in no class's folder, with the class that the lists give them."""
    classes = {line.video: line.class_name for line in lines if line.class_name in labels}
    every = [Source(path, "", 0) for path in loose]
    return [Source(s.path, classes[s.name], labels[classes[s.name]]) for s in every if s.name in classes]


def _resolve(lines: list[Line], sources: list[Source], labels, root) -> dict[str, list[str]]:
    """List file -> names of videos. Errors: DataError where a line does not fit the videos that are there."""
    known = {(source.class_name, source.name) for source in sources}
    lists: dict[str, list[str]] = {}
    for line in lines:
        if (line.class_name, line.video) not in known:
            raise DataError(
                f"{line.where}: {line.class_name}/{line.video} is not in {root}; mend the list or add the video"
            )
        if line.label is not None and line.label != labels[line.class_name]:
            raise DataError(
                f"{line.where}: {line.class_name} has label {line.label} here, {labels[line.class_name]} by the class"
                " list; make them agree"
            )
        lists.setdefault(line.list_name, []).append(line.video)
    return lists
