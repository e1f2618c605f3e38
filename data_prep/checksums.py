"""Checksums of a data set, by which `lrcn verify` and the data layer tell what is damaged.

    DATA/checksums.tsv          file, bytes, blake2b: of every file but LMDBs, what lies beside them, and data sets
                                within this one
    DATA/frames/checksums.tsv   video, crc32: of each of its records in their order, 8 digits each; in the header a
    DATA/flow/checksums.tsv     blake2b of the rest

They say nothing of where a data set lies, but for lists that do, nor of how often its preparation was cut off, and are
no part of its identity. One that an earlier lrcn made has none.

Import is kept light: the data layer's workers read through this module.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from data_prep import DataError
from data_prep.whole_files import is_new, new_folder, remove_file, write_text, writing
from readers.text import read_lines

NAME, JOURNAL = "checksums.tsv", "checksums.part"
DIGITS = 8  # of a record's
PASSING = {NAME, JOURNAL, "lock", "lock.mdb", "preparing.json", "making.json"}  # files that have none
AGAIN = "remove it, and the data set is read as one without"

# ---- of records --------------------------------------------------------------------------------------------


def of_record(value: bytes) -> str:
    return f"{zlib.crc32(value):08x}"


def of_records(folder: Path) -> dict[str, str] | None:
    """Video -> the checksums of its records in an LMDB's folder, one after the other; None where there are none.
    Errors: DataError where the file is not as it was written."""
    path = Path(folder) / NAME
    try:
        at = os.stat(path)
    except FileNotFoundError:
        return None
    return _read_records(path, (at.st_ino, at.st_size, at.st_mtime_ns))


def header_of_records(folder: Path) -> str:
    """The first line of the checksums of an LMDB's records, which tells of all of them; "" where there are none."""
    try:
        with open(Path(folder) / NAME, "rb") as file:
            return file.readline(1000).decode("ascii", "replace").rstrip()
    except OSError:
        return ""


@lru_cache(maxsize=8)
def _read_records(path: Path, _state: tuple[int, ...]) -> dict[str, str]:
    header, *lines = read_lines(path, DataError, AGAIN) or [""]
    if header != _header(lines):
        raise DataError(f"{path}: is not as it was written; {AGAIN}")
    return dict(line.split("\t") for line in lines)


def _header(lines: Iterable[str]) -> str:
    return f"video\tcrc32\t{hashlib.blake2b(_text(lines).encode(), digest_size=16).hexdigest()}"


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


class Records:
    """The checksums of an LMDB that is being written, in `folder`.

    Those of records come on the disk before the records themselves, so that none that is stored is without; what a run
    that is cut off leaves over, the next writes again.
    """

    def __init__(self, folder: Path):
        self.folder, self.journal = folder, folder / JOURNAL
        if self.journal.exists():
            content = self.journal.read_bytes()
            os.truncate(self.journal, content.rfind(b"\n") + 1)  # a line that was cut off

    def add(self, sums: dict[str, str]) -> None:
        """Video -> its records' checksums."""
        with writing(self.journal), open(self.journal, "a", encoding="utf-8", newline="") as file:
            file.write(_text(f"{video}\t{each}" for video, each in sums.items()))
            file.flush()
            os.fsync(file.fileno())

    def finish(self, stored: int, read_again) -> None:
        """Writes the checksums of all `stored` records. read_again(): gives them where some were stored by an earlier
        lrcn, which noted none."""
        try:
            sums = dict(of_records(self.folder) or {})
        except DataError:
            sums = {}
        if self.journal.exists():
            sums |= dict(line.split("\t") for line in read_lines(self.journal, DataError, AGAIN))
        if sum(map(len, sums.values())) != DIGITS * stored:
            sums = read_again()
        lines = [f"{video}\t{each}" for video, each in sorted(sums.items())]
        write_text(self.folder / NAME, _text([_header(lines), *lines]))
        remove_file(self.journal)


# ---- of files ----------------------------------------------------------------------------------------------


def of_files(folder: Path) -> dict[str, list[str]] | None:
    """File -> bytes and blake2b, as a data set's checksums.tsv says; None where there is none. Errors: DataError where
    it cannot be read."""
    path = Path(folder) / NAME
    if not path.exists():
        return None
    sums = {name: rest for name, *rest in (line.split("\t") for line in read_lines(path, DataError, AGAIN)[1:])}
    if any(len(rest) != 2 for rest in sums.values()):
        raise DataError(f"{path}: is not as it was written; {AGAIN}")
    return sums


def of_file(path: Path) -> list[str]:
    """Its bytes and blake2b."""
    digest, size = hashlib.blake2b(digest_size=16), 0
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return [str(size), digest.hexdigest()]


def files_in(folder: Path) -> Iterator[str]:
    """The files of a data set that have checksums, or would have, by their names from its folder."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here != folder and ("dataset.json" in files or "data.mdb" in files):
            folders.clear()  # which have their own
            continue
        folders.sort()
        names = (name for name in sorted(files) if name not in PASSING and not is_new(name))
        yield from ((here / name).relative_to(folder).as_posix() for name in names)


@contextmanager
def new_data_set(out, settings: dict, may_differ: tuple[str, ...] = ()) -> Iterator[Path | None]:
    """`new_folder` of a data set, which has its checksums as it appears."""
    with new_folder(out, settings, may_differ) as folder:
        yield folder
        if folder:
            write(folder)


def write(folder: Path) -> None:
    """Writes the checksums of a data set that has just become whole."""
    with writing(folder):
        _write(folder, {name: of_file(folder / name) for name in files_in(folder)})


def _write(folder: Path, sums: dict[str, list[str]]) -> None:
    lines = ["\t".join([name, *rest]) for name, rest in sorted(sums.items())]
    write_text(folder / NAME, _text(["file\tbytes\tblake2b", *lines]))


@contextmanager
def changing(folder: Path, *names: str) -> Iterator[None]:
    """Files of a data set that are written anew within. Where that is cut off they have no checksums, until `complete`
    gives them some."""
    sums = of_files(folder)
    if sums is not None and sums.keys() & set(names):
        _write(folder, {name: rest for name, rest in sums.items() if name not in names})
    yield
    complete(folder, *names)


def complete(folder: Path, *names: str) -> None:
    """Gives these files checksums, those that have none, of a data set that has any."""
    sums = of_files(folder)
    if sums is None:
        return
    lacking = [name for name in names if name not in sums and (folder / name).is_file()]
    if lacking:
        _write(folder, sums | {name: of_file(folder / name) for name in lacking})
