"""Video files to a dataset folder: frames, then flow computed from the stored frames, on all cores; a run that was cut
off goes on.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep import DataError, flow, frames, store

SUFFIXES = {".avi", ".mp4", ".mkv", ".mov", ".mpg", ".mpeg", ".webm", ".wmv", ".flv", ".m4v"}


@dataclass(frozen=True)
class Source:
    """A video file of a class; the video's name is the file's, without its suffix."""

    path: Path
    class_name: str
    label: int

    @property
    def name(self) -> str:
        return self.path.stem


def no_progress(what: str, done: int, total: int) -> None:
    """Says nothing."""


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin_worker() -> None:
    cv2.setNumThreads(1)  # the processes share the cores out already
    parent = multiprocessing.parent_process()

    def watch():  # a parent that was killed cannot end its workers
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def parallel(function, jobs: list, workers: int | None = None):
    """Yields (job, function(job)) in the order of `jobs`, computed ahead by `workers` processes (default: all cores; 1:
    in this process).
    """
    workers = min(workers or cores(), len(jobs))
    if workers <= 1:
        yield from ((job, function(job)) for job in jobs)
        return
    # spawn: a forked child would share this process's open LMDB and OpenCV's threads.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_worker)
    try:
        waiting, ahead = deque(), 4 * workers
        for number in range(len(jobs) + ahead):
            if number < len(jobs):
                waiting.append((jobs[number], pool.submit(function, jobs[number])))
            if number >= ahead and waiting:
                job, future = waiting.popleft()
                yield job, future.result()
    except BrokenProcessPool:
        raise DataError(
            f"{getattr(function, '__name__', 'work')}: a worker process was ended from outside; is memory short? "
            "Run the same command again, it goes on where it stopped"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _frames_job(job):
    """JPEGs of one video file, and how many frames its header promised."""
    source, height, width, fps = job
    video = frames.VideoFile(source.path, height, width, fps)
    return [frames.encode_jpeg(image) for image in video], video.declared, video.decoded


def _flow_job(job):
    """Flow JPEGs of one video, from its stored frames."""
    folder, video, count, algorithm = job
    environment = store.reader(Path(folder) / store.MODALITIES["rgb"])
    estimate = flow.estimator(algorithm)
    jpegs, before = [], None
    for number in range(1, count + 1):
        image = cv2.imdecode(
            np.frombuffer(store.read_jpeg(environment, "rgb", video, number), np.uint8), cv2.IMREAD_GRAYSCALE
        )
        if before is not None:
            jpegs.append(frames.encode_jpeg(flow.encode(estimate(before, image)), full_colour=True))
        before = image
    return jpegs


def check_sources(sources: list[Source], classes: list[str]) -> None:
    """Names, labels and files before any work is done. Errors: DataError."""
    if not sources:
        raise DataError("no videos given; name a folder that holds a folder of videos for each class")
    seen: dict[str, Path] = {}
    for source in sources:
        if any(c in source.name + source.class_name for c in "\t\n\r/"):
            raise DataError(f"{source.path}: a tab, a line break or a slash in a video's or class's name; rename it")
        if source.name in seen:
            raise DataError(
                f"{source.path}: has the name of {seen[source.name]}; rename one, videos are stored by name"
            )
        if len(store.key("flow", source.name, 1)) > 500:
            raise DataError(f"{source.path}: the name is too long for LMDB (500 bytes); rename it")
        if not 0 <= source.label < len(classes) or classes[source.label] != source.class_name:
            raise DataError(
                f"{source.path}: class {source.class_name} with label {source.label} is not in the class list; mend the"
                " list"
            )
        if not source.path.is_file():
            raise DataError(f"{source.path}: no such video file; mend the list")
        seen[source.name] = source.path


def sources_digest(sources: list[Source]) -> str:
    """Changes with the videos' names, classes, labels and sizes: a preparation goes on only with the same input."""
    lines = "".join(f"{s.name}\t{s.class_name}\t{s.label}\t{s.path.stat().st_size}\n" for s in sources)
    return hashlib.sha256(lines.encode()).hexdigest()


def fill(
    folder: Path,
    sources: list[Source],
    lists: dict[str, list[str]],
    description: dict,
    *,
    height=240,
    width=320,
    fps=None,
    algorithm="dis",
    workers=None,
    progress=no_progress,
) -> None:
    """Fills `folder` (see `store.new_folder`) with frames, flow, index, lists, and last `dataset.json`.

    lists: file name -> names of videos. description: what `dataset.json` says beside sizes and flow: name, classes,
    mirror, splits, seed, prepared.
    """
    names = {source.name: source for source in sources}
    uneven = folder / "uneven.tsv"  # headers that promised a few frames more or fewer than there are
    with store.ImageWriter(folder, "rgb") as writer:
        todo = [(source, height, width, fps) for source in sources if not writer.count(source.name)]
        done = len(sources) - len(todo)
        progress("frames", done, len(sources))
        for (source, *_), (jpegs, declared, decoded) in parallel(_frames_job, todo, workers):
            if declared and declared != decoded:
                with store.writing(uneven), open(uneven, "a", encoding="utf-8") as file:
                    file.write(f"{source.name}\t{declared}\t{decoded}\n")
            writer.add(source.name, source.label, jpegs, height, width)
            done += 1
            progress("frames", done, len(sources))
        writer.commit()
        index = [store.Video(s.name, s.class_name, s.label, writer.count(s.name)) for s in sources]
    with store.ImageWriter(folder, "flow") as writer:
        todo = [(str(folder), v.name, v.frames, algorithm) for v in index if v.frames > 1 and not writer.count(v.name)]
        done = len(index) - len(todo)
        progress("flow", done, len(index))
        for (_, name, *_), jpegs in parallel(_flow_job, todo, workers):
            writer.add(name, names[name].label, jpegs, height, width)
            done += 1
            progress("flow", done, len(index))
    if uneven.exists():  # a run that was cut off and went on may have written a line twice
        store.write_text(uneven, "".join(sorted(set(uneven.read_text(encoding="utf-8").splitlines(keepends=True)))))
    by_name = {video.name: video for video in index}
    store.write_text(folder / "videos.tsv", store.index_text(index))
    for name, members in lists.items():
        store.write_text(folder / name, store.list_text([by_name[member] for member in members]))
    store.write_json(
        folder / "dataset.json",
        {"kind": "frames", "height": height, "width": width, "fps": fps, "flow": flow.description(algorithm)}
        | description,
    )


def prepare_videos(
    sources: list[Source],
    out,
    classes: list[str],
    lists: dict[str, list[str]],
    *,
    name: str,
    mirror: bool = True,
    splits=(1,),
    seed=None,
    height=240,
    width=320,
    fps=None,
    algorithm="dis",
    workers=None,
    progress=no_progress,
) -> Path:
    """Makes the dataset folder `out` of video files. Where it is there already with the same input and settings,
    nothing is done.

    classes: names by label. lists: "train1.txt" and so on -> names of videos. mirror: the labels survive a mirror.
    Errors: DataError.
    """
    check_sources(sources, classes)
    known = {source.name for source in sources}
    for list_name, members in lists.items():
        for member in members:
            if member not in known:
                raise DataError(f"{list_name}: video {member} is not among the videos; mend the list")
    settings = {
        "name": name,
        "classes": list(classes),
        "mirror": mirror,
        "seed": seed,
        "height": height,
        "width": width,
        "fps": fps,
        "flow": flow.description(algorithm),
        "videos": sources_digest(sources),
        "lists": hashlib.sha256(repr(sorted(lists.items())).encode()).hexdigest(),
    }
    with store.new_folder(out, settings) as folder:
        if folder:
            fill(
                folder,
                sources,
                lists,
                {
                    "name": name,
                    "classes": list(classes),
                    "mirror": mirror,
                    "splits": list(splits),
                    "seed": seed,
                    "prepared": settings,
                },
                height=height,
                width=width,
                fps=fps,
                algorithm=algorithm,
                workers=workers,
                progress=progress,
            )
    return Path(out)


def prepare_folder(
    videos_dir, lists_dir, out, *, name=None, mirror=True, seed=1701, test_share=0.25, **settings
) -> Path:
    """A folder with a folder of videos for each class, and list files, to the dataset folder `out`.

    lists_dir holds train1.txt and test1.txt (train2.txt, ... likewise): `Class/video label` a line, with or without the
    file's suffix; and, if it likes, classes.txt, a class a line in the order of labels, which must be the folders'
    names. Without it classes are the folders' names, alphabetically. lists_dir None: a seeded draw gives `test_share`
    of each class to the test list. settings: as `prepare_videos` takes.
    Errors: DataError (no videos, lists or classes that do not fit the folder, and what `prepare_videos` raises).
    """
    root = Path(videos_dir)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name the folder that holds a folder of videos for each class")
    files = {
        folder.name: sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }
    files = {class_name: paths for class_name, paths in files.items() if paths}
    if not files:
        raise DataError(
            f"{root}: no videos in it; it must hold a folder of videos ({' '.join(sorted(SUFFIXES))}) for each class"
        )
    classes = sorted(files)
    class_list = lists_dir and Path(lists_dir) / "classes.txt"
    if class_list and class_list.exists():
        classes = class_list.read_text(encoding="utf-8").split()
        for odd in sorted(set(classes) ^ set(files)):
            lacking = "has no folder of videos" if odd in classes else "is not in the class list"
            raise DataError(f"{class_list}: class {odd} {lacking} in {root}; make the two agree")
    sources = [
        Source(path, class_name, label) for label, class_name in enumerate(classes) for path in files[class_name]
    ]
    if lists_dir is None:
        lists = _draw_lists(sources, seed, test_share)
    else:
        lists = {
            path.name: _read_folder_list(path, sources, root)
            for path in sorted(Path(lists_dir).glob("t[re]*[0-9].txt"))
            if path.stem.rstrip("0123456789") in ("train", "test")
        }
        if not lists:
            raise DataError(f"{lists_dir}: no train1.txt and test1.txt in it; write them, `Class/video label` a line")
    numbers = sorted({int(list_name[:-4].lstrip("trainesu")) for list_name in lists})
    for number in numbers:
        for part in ("train", "test"):
            if not lists.get(f"{part}{number}.txt"):
                raise DataError(
                    f"{lists_dir or root}: {part}{number}.txt is missing or empty; every split needs a train and a test"
                    " list"
                )
    return prepare_videos(
        sources, out, classes, lists, name=name or root.name, mirror=mirror, splits=numbers, seed=seed, **settings
    )


def _draw_lists(sources, seed, test_share):
    random, lists = np.random.default_rng(seed), {"train1.txt": [], "test1.txt": []}
    for label in sorted({source.label for source in sources}):
        members = [source.name for source in sources if source.label == label]
        if len(members) < 2:
            raise DataError(
                f"{sources[label].path.parent}: one video cannot be divided into train and test; add videos or give"
                " lists"
            )
        order, tests = random.permutation(len(members)), max(1, round(test_share * len(members)))
        lists["test1.txt"] += [members[i] for i in sorted(order[:tests])]
        lists["train1.txt"] += [members[i] for i in sorted(order[tests:])]
    random.shuffle(lists["train1.txt"])
    return lists


def _read_folder_list(path, sources, root):
    known, members = {(source.class_name, source.name): source for source in sources}, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        entry, _, label = line.strip().rpartition(" ")
        class_name, _, video = entry.rpartition("/")
        video = video[: -len(Path(video).suffix)] if Path(video).suffix.lower() in SUFFIXES else video
        if not label.isdigit() or not class_name:
            raise DataError(f"{path}:{number}: not `Class/video label`: {line!r}; mend the list")
        source = known.get((class_name, video))
        if source is None:
            raise DataError(f"{path}:{number}: {class_name}/{video} is not in {root}; mend the list or add the video")
        if int(label) != source.label:
            raise DataError(
                f"{path}:{number}: {class_name} has label {label} here, {source.label} by the class list; make them"
                " agree"
            )
        members.append(video)
    return members
