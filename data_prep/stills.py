"""The frames of a list one by one in a shuffled order, for Caffe's own `Data` layer (single-frame nets on RGB).

That layer reads an LMDB in the order of its keys and shuffles nothing, so the keys begin with the position.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from data_prep import DataError, room, store
from data_prep.dataset import Dataset, Video, list_text
from data_prep.synced import put
from data_prep.whole_files import MARK, check_ours, locked, read_json, remove, remove_file, write_json, writing
from data_prep.workers import Counted, no_progress

NOTE = "stills.json"  # written last: says that the folder is whole, and what it was made with
PARTS = ("train", "test")


def folder(dataset: Dataset, part: str, split: int = 1) -> Path:
    """The LMDB of `train` or `test` of a split. Errors: DataError where it was not made."""
    place = dataset.folder / f"stills_{part}{split}"
    if not (place / NOTE).exists():
        raise DataError(
            f"{place}: not there; make it with `lrcn prepare stills --data {dataset.folder} --split {split}`"
        )
    return place


def write_stills(dataset: Dataset, split: int = 1, every: int = 1, seed: int = 1701, progress=no_progress) -> None:
    """Writes DATA/stills_train1 and stills_test1 (of this split) of a prepared data set.

    every: frames 1, 1 + every, 1 + 2 every ... of each video. seed: of the order. What is there of the same settings is
    left as it is, what was cut off goes on, what is there of other settings is replaced. Errors: DataError.
    """
    if dataset.kind != "frames":
        raise DataError(f"{dataset.folder}: holds {dataset.kind}, not frames; stills need frames")
    lists = {part: dataset.videos(split, part) for part in PARTS}
    write_lists(dataset.folder, {f"{part}{split}": videos for part, videos in lists.items()}, every, seed, progress)


def write_lists(
    data: Path, lists: dict[str, list[Video]], every: int = 1, seed: int = 1701, progress=no_progress
) -> None:
    """`write_stills` for a folder that is not whole yet; lists: "train1" and so on -> its videos."""
    if every < 1:
        raise DataError(f"every {every}: give 1 (all frames) or more")
    todo = {}
    for name, videos in lists.items():
        note = {
            "list": hashlib.sha256(list_text(videos).encode()).hexdigest(),
            "every": every,
            "seed": seed,
            "images": sum(len(range(0, video.frames, every)) for video in videos),
        }
        place = Path(data) / f"stills_{name}"
        if not (place / NOTE).exists() or read_json(place / NOTE) != note:
            todo[name] = place, videos, note
    if not todo:
        return
    _check_room(Path(data), sum(note["images"] for *_, note in todo.values()), progress)
    for name, (place, videos, note) in todo.items():
        _write(Path(data), place, name, videos, note, progress)


def _check_room(data: Path, images: int, progress) -> None:
    with store.reader(data / "frames").begin() as transaction:
        stored = transaction.stat()["entries"]
    need = room.taken([data / "frames" / "data.mdb"]) * images / max(stored, 1)
    there, fewer = room.taken(data.glob("stills_*.partial/data.mdb")), ", or take fewer frames (--every K)"
    room.check(data, need, "the stills", progress, there, fewer)


def _write(data: Path, place: Path, name: str, videos: list[Video], note: dict, progress) -> None:
    partial, begun = place.with_name(place.name + ".partial"), "making.json"
    check_ours(place, [NOTE], [NOTE, *store.FILES])
    check_ours(partial, [begun], [begun, NOTE, *store.FILES])
    with locked(partial):
        if not (partial / begun).exists() or read_json(partial / begun) != note:
            with writing(partial):
                for item in (NOTE, *store.FILES):
                    remove_file(partial / item)
            write_json(partial / begun, note)
        _fill(data, partial, name, videos, note, progress)
        write_json(partial / NOTE, note)
        old = place.with_name(f".{place.name}.{MARK}")
        with writing(place):
            remove(old)  # of a call that was killed
            if place.exists():
                store.close_reader(place)
                os.rename(place, old)
            for leaving in (begun, "lock"):
                (partial / leaving).unlink()
            put(partial, place)
            remove(old)


def _fill(data: Path, partial: Path, name: str, videos: list[Video], note: dict, progress) -> None:
    images, what = note["images"], Counted(f"stills {name}", "images")
    begins = np.cumsum([0, *(len(range(0, video.frames, note["every"])) for video in videos)])
    split = int(name[len(name.rstrip("0123456789")) :])
    order = np.arange(images, dtype=np.min_scalar_type(images))  # all that is held of each image
    np.random.default_rng([note["seed"], split, name.startswith("test")]).shuffle(order)
    source = store.reader(data / "frames")
    with store.writer(partial) as target, source.begin() as stored:
        done, pending, size = target.stat()["entries"], [], 0  # they come in the order of their positions
        progress(what, done, images)
        for position in range(done, images):
            image = int(order[position])
            v = int(np.searchsorted(begins, image, "right")) - 1
            number = 1 + note["every"] * (image - int(begins[v]))
            key = store.key("rgb", videos[v].name, number)
            value = stored.get(key)
            if value is None:
                raise DataError(f"{data / 'frames'}: lacks {key.decode()}; prepare the data set again")
            pending.append((b"%08d_%s" % (position, key), value))
            size += len(value)
            if size >= store.COMMIT_BYTES or position + 1 == images:
                store.put(target, pending)
                pending, size = [], 0
                progress(what, position + 1, images)
