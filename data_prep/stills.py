"""The frames of a list one by one in a shuffled order, for Caffe's own `Data` layer (single-frame nets on RGB).

That layer reads an LMDB in the order of its keys and shuffles nothing, so the keys begin with the position.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
from msgspec import Meta

from data_prep import CORRUPT, CorruptImage, DataError, checksums, room, store
from data_prep.dataset import Dataset, Video, list_text
from data_prep.synced import put
from data_prep.whole_files import MARK, check_ours, locked, remove, remove_file, write_json, writing
from data_prep.workers import Counted, no_progress
from readers.json_files import read_json

NOTE = "stills.json"  # written last: says that the folder is whole, and what it was made with
PARTS = ("train", "test")


class Note(TypedDict):
    """What stills.json says."""

    list: str
    every: Annotated[int, Meta(ge=1)]
    seed: Annotated[int, Meta(ge=0)]
    images: Annotated[int, Meta(ge=0)]


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
        note = note_of(videos, every, seed)
        place = Path(data) / f"stills_{name}"
        if not _says(place / NOTE, note):
            todo[name] = place, videos, note
    if not todo:
        return
    _check_room(Path(data), sum(note["images"] for *_, note in todo.values()), progress)
    for name, (place, videos, note) in todo.items():
        _write(Path(data), place, name, videos, note, progress)


def _says(path: Path, note: Note) -> bool:
    """Whether a file is there and says this; of one that is damaged what it is about is made anew."""
    try:
        return path.exists() and _read(path) == note
    except DataError:
        return False


def note_of(videos: list[Video], every: int, seed: int) -> Note:
    """What stills.json is to say."""
    return {
        "list": hashlib.sha256(list_text(videos).encode()).hexdigest(),
        "every": every,
        "seed": seed,
        "images": sum(len(range(0, video.frames, every)) for video in videos),
    }


def read_note(place: Path) -> Note:
    """The stills.json of an LMDB's folder. Errors: DataError."""
    return _read(place / NOTE)


def _read(path: Path) -> Note:
    return read_json(path, Note, DataError, f"remove {path.parent} and make it again")


def keys(name: str, videos: list[Video], note: Note, first: int = 0) -> Iterator[bytes]:
    """The frames, by their keys, in the order in which "train1" and so on has them, from position `first` on."""
    begins = np.cumsum([0, *(len(range(0, video.frames, note["every"])) for video in videos)])
    split = int(name[len(name.rstrip("0123456789")) :])
    order = np.arange(note["images"], dtype=np.min_scalar_type(note["images"]))  # all that is held of each image
    np.random.default_rng([note["seed"], split, name.startswith("test")]).shuffle(order)
    for image in map(int, order[first:]):
        v = int(np.searchsorted(begins, image, "right")) - 1
        yield store.key("rgb", videos[v].name, 1 + note["every"] * (image - int(begins[v])))


def position_key(position: int, key: bytes) -> bytes:
    """The key of a frame at its position."""
    return b"%08d_%s" % (position, key)


def _check_room(data: Path, images: int, progress) -> None:
    with store.reading(data / "frames") as transaction:
        stored = transaction.stat()["entries"]
    need = room.taken([data / "frames" / "data.mdb"]) * images / max(stored, 1)
    there, fewer = room.taken(data.glob("stills_*.partial/data.mdb")), ", or take fewer frames (--every K)"
    room.check(data, need, "the stills", progress, there, fewer)


def _write(data: Path, place: Path, name: str, videos: list[Video], note: dict, progress) -> None:
    partial, begun = place.with_name(place.name + ".partial"), "making.json"
    check_ours(place, [NOTE], [NOTE, *store.FILES])
    check_ours(partial, [begun, NOTE], [begun, NOTE, *store.FILES])  # at its very end NOTE alone is there
    with locked(partial):
        if not _says(partial / begun, note):
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
    sums = checksums.of_records(data / "frames") or {}
    with store.writer(partial) as target, store.reading(data / "frames") as stored:
        done, pending, size = target.stat()["entries"], [], 0  # they come in the order of their positions
        progress(what, done, images)
        for position, key in enumerate(keys(name, videos, note, done), done):
            value = stored.get(key)
            if value is None:
                raise DataError(f"{data / 'frames'}: lacks {key.decode()}; prepare the data set again")
            due = store.due_sum(sums, "rgb", *store.video_and_number("rgb", key))
            if due and due != checksums.of_record(value):
                raise CorruptImage(f"{data / 'frames'}: {key.decode()} is not as it was written; {CORRUPT}")
            pending.append((position_key(position, key), value))
            size += len(value)
            if size >= store.COMMIT_BYTES or position + 1 == images:
                store.put(target, pending)
                pending, size = [], 0
                progress(what, position + 1, images)
