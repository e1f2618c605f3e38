"""A data set against its own checksums: which of its files and records are not as they were written.

One that has none, of an earlier lrcn, is read instead: every image is decoded, every file gone through. Nothing is
written, so that it may be anybody's, and lie on a disk that may only be read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep import CorruptImage, DataError, checksums, stills, store
from data_prep.dataset import Dataset, Video
from data_prep.workers import Counted, Work
from readers.images import decode_whole

AT_ONCE = 2000  # records in a job
FEW = 20_000  # records that one process goes through sooner than others begin
BY_READING = "no checksums: made by an earlier lrcn; {} instead"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, what, and what mends it."""

    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        return "; ".join(filter(None, (f"{self.where}: {self.what}", self.mend)))


@dataclass
class Verdict:
    """What came out of a folder. kind: in words; checked: how many of what; strangers: files that it knows nothing of,
    which is no fault."""

    folder: Path
    kind: str
    faults: list[Fault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        faults = [vars(fault) for fault in self.faults]
        return {"folder": str(self.folder), "kind": self.kind, "whole": not faults, "faults": faults} | {
            name: getattr(self, name) for name in ("remarks", "strangers", "checked")
        }


def is_data_set(folder: Path) -> bool:
    return (folder / "dataset.json").exists()


def data_sets_in(folder: Path) -> list[Path]:
    """The data set that a folder is, and those within it."""
    return sorted(Path(path).parent for path in Path(folder).rglob("dataset.json"))


def verify(folder: Path, work: Work = Work()) -> Verdict:
    """Errors: DataError where there is no data set."""
    if not is_data_set(folder):
        Dataset(folder)  # says so
    verdict = Verdict(folder, "data set")
    _check_files(verdict, work)
    try:
        dataset = Dataset(folder)
        verdict.kind = f"data set of {dataset.kind}"
        if dataset.kind == "frames":
            _check_lists(verdict, dataset)
            _check_images(verdict, dataset, work)
        elif (folder / "captions.json").exists():
            _check_captions(verdict, dataset)
    except DataError as error:
        verdict.faults.append(_of_error(error))
    return verdict


def _of_error(error: DataError) -> Fault:
    where, _, what = str(error).partition(": ")
    what, _, mend = what.partition("; ")
    return Fault(where, what, mend)


# ---- files -------------------------------------------------------------------------------------------------


def _check_files(verdict: Verdict, work: Work) -> None:
    folder = verdict.folder
    try:
        sums = checksums.of_files(folder)
    except DataError as error:
        verdict.faults.append(_of_error(error))
        sums = None
    there = list(checksums.files_in(folder))
    what = Counted(f"{folder.name}: files", "files")
    if sums is None:
        verdict.remarks.append(BY_READING.format("its files were read"))
        bad = ((name, _unreadable(folder / name)) for name in there)
    else:
        verdict.strangers = [name for name in there if name not in sums]
        bad = ((name, _differs(folder / name, due)) for name, due in sums.items())
    total = len(there if sums is None else sums)
    for done, (name, why) in enumerate(bad, 1):
        if why:
            verdict.faults.append(Fault(str(folder / name), why, _mend_of_files(folder)))
        work.progress(what, done, total)
    verdict.checked["files"] = total


def _differs(path: Path, due: list[str]) -> str:
    try:
        if str(path.stat().st_size) != due[0]:
            return f"has {path.stat().st_size} bytes, where {due[0]} were written"
        return "" if checksums.of_file(path) == due else "is not as it was written"
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _unreadable(path: Path) -> str:
    """Why a file cannot be read, of the kinds that are known."""
    from readers.hdf5 import open_hdf5
    from readers.text import read_text

    try:
        if path.suffix == ".h5":
            with open_hdf5(path, DataError) as file:
                for dataset in file.values():
                    for begin in range(0, dataset.shape[0] if dataset.shape else 0, 4096):
                        dataset[begin : begin + 4096]
        elif path.suffix in (".json", ".txt", ".tsv"):
            text = read_text(path, DataError)
            if path.suffix == ".json":
                json.loads(text)
    except (DataError, ValueError, RecursionError) as error:
        return str(error).removeprefix(f"{path}: ").partition(";")[0]
    return ""


def _mend_of_files(folder: Path) -> str:
    return f"bring it back from a copy, or remove {folder} and give its `lrcn prepare` again"


# ---- images of videos --------------------------------------------------------------------------------------


def _check_lists(verdict: Verdict, dataset: Dataset) -> None:
    """Index and lists agree."""
    for path in sorted(dataset.folder.glob("t*.txt")):
        if path.stem.rstrip("0123456789") in stills.PARTS:
            try:
                dataset.read_list(path.name)
            except DataError as error:
                verdict.faults.append(_of_error(error))


def _check_images(verdict: Verdict, dataset: Dataset, work: Work) -> None:
    folder, videos = dataset.folder, list(dataset.index.values())
    again = f"`lrcn prepare flow --data {folder} --replace` makes all flow anew"
    mends = {"rgb": f"remove {folder} and give its `lrcn prepare` again", "flow": again}
    for modality, name in store.MODALITIES.items():
        if modality == "flow" and (folder / name / "making.json").exists():
            verdict.remarks.append(f"{folder / name}: is being made, or was cut off; `lrcn prepare flow` goes on")
        elif modality == "rgb" or dataset.description.get("flow", (folder / name / "data.mdb").exists()):
            _check_records(verdict, dataset, modality, videos, mends[modality], work)
    for place in sorted(folder.glob("stills_*")):
        if (place / stills.NOTE).exists():
            _check_stills(verdict, dataset, place, work)


def _check_records(
    verdict: Verdict, dataset: Dataset, modality: str, videos: list[Video], mend: str, work: Work
) -> None:
    place = dataset.folder / store.MODALITIES[modality]
    try:
        stored = store.reader(place).stat()["entries"]
    except DataError as error:
        verdict.faults.append(Fault(str(place / "data.mdb"), str(error).split(": ", 1)[1].partition(";")[0], mend))
        return
    try:
        sums = checksums.of_records(place)
    except DataError as error:
        verdict.faults.append(_of_error(error))
        sums = None
    if sums is None:
        verdict.remarks.append(f"{place.name}: {BY_READING.format('images were decoded')}")
    size = dataset.height, dataset.width
    jobs = [
        (str(place), modality, size, [(v.name, v.frames, None if sums is None else sums.get(v.name, "")) for v in some])
        for some in _parts(videos, modality)
    ]
    due = sum(video.images(modality) for video in videos)
    lacking = _collect(verdict, _bad_images, jobs, (place, due, mend), work)
    if stored != due - lacking:
        what = f"holds {stored} records, where {due - lacking} are of its videos"
        verdict.faults.append(Fault(str(place), what, mend))


def _parts(videos: list[Video], modality: str) -> Iterator[list[Video]]:
    """So many videos at a time as have about AT_ONCE images."""
    some, images = [], 0
    for video in videos:
        some.append(video)
        images += video.images(modality)
        if images >= AT_ONCE:
            yield some
            some, images = [], 0
    if some:
        yield some


def _collect(verdict: Verdict, function, jobs: list, of: tuple[Path, int, str], work: Work) -> int:
    """Adds the faults that `function` finds in jobs; gives how many records are not there. of: the LMDB's folder, the
    number of its records, and what mends them."""
    place, due, mend = of
    what, done, lacking = Counted(f"{verdict.folder.name}: {place.name}", "images"), 0, 0
    if due < FEW:
        work = Work(1, work.progress)
    for _, (count, bad) in work.parallel(function, jobs):
        for where, why in bad:
            verdict.faults.append(Fault(f"{place}: {where}", why, mend))
            lacking += why == GONE
        done += count
        work.progress(what, done, due)
    verdict.checked[place.name] = done
    return lacking


GONE, DIFFERS = "is gone", "is not as it was written"


def _bad_images(job) -> tuple[int, list[tuple[str, str]]]:
    """How many images of some videos were looked at, and of each that is bad its name, and why."""
    place, modality, size, videos = job
    environment, count, bad = store.reader(Path(place), tree=False), 0, []
    first = store.first_number(modality)
    for name, frames, sums in videos:
        for number in range(first, frames + 1):
            count += 1
            due = None if sums is None else {name: sums}
            if why := _why_bad(environment, (modality, name, number), due, size):
                bad.append((store.key(modality, name, number).decode(), why))
    return count, bad


def _why_bad(environment, image: tuple[str, str, int], sums: dict[str, str] | None, size) -> str:
    """Why an image is bad, "" where it is not. sums: its video's; None: it is decoded."""
    modality, name, number = image
    try:
        jpeg = bytes(store.read_jpeg(environment, modality, name, number, sums))
        if sums is None:
            pixels = decode_whole(jpeg, "", CorruptImage, "")
            if None not in size and pixels.shape[:2] != size:
                return f"has {pixels.shape[0]}x{pixels.shape[1]} pixels, where {size[0]}x{size[1]} are due"
    except CorruptImage as error:
        if sums is None:
            return f"is damaged ({str(error).partition('(')[2].rpartition(')')[0] or 'no record of an image'})"
        return DIFFERS
    except DataError:
        return GONE
    return ""


# ---- stills ------------------------------------------------------------------------------------------------


def _check_stills(verdict: Verdict, dataset: Dataset, place: Path, work: Work) -> None:
    """Each record is the very frame that is due at its position."""
    name = place.name.removeprefix("stills_")
    split = name.lstrip("trainesu")
    mend = f"remove {place} and give `lrcn prepare stills --data {dataset.folder} --split {split}` again"
    try:
        note = stills.read_note(place)
        videos = dataset.read_list(f"{name}.txt")
        if note != stills.note_of(videos, note["every"], note["seed"]):
            verdict.faults.append(Fault(str(place / stills.NOTE), "is of another list than is there", mend))
            return
        stored = store.reader(place).stat()["entries"]
    except DataError as error:
        verdict.faults.append(Fault(str(place), str(error).rpartition(": ")[2].partition(";")[0], mend))
        return
    sums = None
    try:
        sums = checksums.of_records(dataset.folder / store.MODALITIES["rgb"])
    except DataError:
        pass  # told already
    keys, jobs, at = stills.keys(name, videos, note), [], 0
    while some := list(islice(keys, AT_ONCE)):
        due = [sums and store.due_sum(sums, "rgb", *store.video_and_number("rgb", key)) for key in some]
        jobs.append((str(place), str(dataset.folder / store.MODALITIES["rgb"]), at, some, due))
        at += len(some)
    lacking = _collect(verdict, _bad_stills, jobs, (place, note["images"], mend), work)
    if stored != note["images"] - lacking:
        verdict.faults.append(Fault(str(place), f"holds {stored} records, where {note['images']} are due", mend))


def _bad_stills(job) -> tuple[int, list[tuple[str, str]]]:
    """As `_bad_images`, of stills from a position on. Without checksums they are held against the frames."""
    import lmdb

    place, frames, first, keys, sums = job
    bad = []
    with store.reader(Path(place), tree=False).begin(buffers=True) as transaction:
        for position, (key, due) in enumerate(zip(keys, sums), first):
            name = stills.position_key(position, key)
            try:
                value = transaction.get(name)
                if value is None:
                    bad.append((name.decode(), GONE))
                elif (due or checksums.of_record(_frame(frames, key))) != checksums.of_record(value):
                    bad.append((name.decode(), DIFFERS))
            except lmdb.Error:
                bad.append((name.decode(), "is damaged"))
    return len(keys), bad


def _frame(frames: str, key: bytes) -> bytes:
    with store.reader(Path(frames), tree=False).begin() as transaction:
        return transaction.get(key) or b""


# ---- captions ----------------------------------------------------------------------------------------------


def _check_captions(verdict: Verdict, dataset: Dataset) -> None:
    """The images that captions are of lie elsewhere, and have no checksums: whether they are there."""
    from data_prep.dataset import described_images

    try:
        files = [dataset.located(image["file"]) for image in described_images(dataset.folder) if "file" in image]
    except (KeyError, TypeError):
        verdict.faults.append(
            Fault(str(dataset.folder / "captions.json"), "is not what `prepare` writes", "prepare the data set again")
        )
        return
    gone = [path for path in files if os.path.isabs(path) and not path.exists()]
    if gone:
        verdict.remarks.append(f"{len(gone)} of {len(files)} images are not there, as {gone[0]}")
