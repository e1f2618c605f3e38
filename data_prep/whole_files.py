"""Files and folders that appear whole or not at all: written beside, synced and renamed."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import math
import os
import re
import shutil
from collections.abc import Collection, Iterable
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

import lmdb

from data_prep import DataError
from data_prep.synced import put
from readers import json_files

AGAIN = "prepare the data set again"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(place):
    """Turns what a full or unwritable disk raises into one line."""
    try:
        yield
    except (OSError, lmdb.Error) as error:
        if (
            getattr(error, "errno", None) in FULL
            or isinstance(error, lmdb.DiskError)
            or any(os.strerror(number) in str(error) for number in FULL)
        ):
            raise DataError(
                f"{place}: no space left; free some and run the same command again, it goes on where it stopped"
            ) from error
        # LMDB's word for a write that was cut short
        if isinstance(error, lmdb.Error) and os.strerror(errno.EIO) in str(error):
            raise DataError(
                f"{place}: no space left (or a failing disk); free some and run the same command again, it goes on"
                " where it stopped"
            ) from error
        raise DataError(
            f"{place}: cannot be written ({error}); check that the folder is yours and the disk is sound"
        ) from error


def check_folder(folder: Path) -> None:
    """DataError where no file can be written into a folder, which need not be there yet: before what takes long."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    named = f"{folder}:" if there == folder else f"{folder}: {there}"
    if not there.is_dir():
        raise DataError(f"{named} is a file, not a folder; name another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{named} is not yours to write to; name another")


def _check_place(path: Path) -> None:
    """DataError where no file can take this place: its folder is not there, or what is there is a device, a pipe or a
    standard stream, which a file that is renamed would replace for all."""
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.parent}; make it, or name another")
    stream = path.is_symlink() and os.readlink(path).startswith("/proc/")
    if stream or (path.exists() and not path.is_file() and not path.is_dir()):
        raise DataError(f"{path}: a device or a pipe, not a file; name a file")


MARK = "lrcn-new"  # in the names of files that are being written: nobody else's file is called so


@contextmanager
def beside(path: Path, ending: str = ""):
    """A file beside `path` to be written, which takes its place once it is whole and on the disk; nothing of it stays
    where that fails or is interrupted. Where `path` is a link, the file takes its place, and what it named stays.

    ending: of its name, for those who write by it. Errors: DataError.
    """
    _check_place(path)
    with writing(path):
        new, lock = _claimed(path, ending)
        with lock:
            try:
                yield new
                put(new, path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise


def _claimed(path: Path, ending: str):
    """An empty file beside `path` that bears MARK, and the lock on it: one that a killed call left is taken over, one
    that another call is writing is left to it."""
    for number in count():
        new = path.with_name(f".{path.name[:50]}.{MARK}{number or ''}{ending}")
        lock = open(new, "ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        except OSError:  # a file system without locks
            pass
        if new.exists() and os.path.samestat(os.fstat(lock.fileno()), os.stat(new)):
            lock.truncate(0)
            return new, lock
        lock.close()  # it has just taken its place
    raise AssertionError("count() has no end")


def remove_file(path: Path) -> None:
    """Where it is there; of what is not, a read-only disk would say that it is read-only."""
    if path.exists():
        path.unlink(missing_ok=True)


def is_new(name: str) -> bool:
    """Whether a file is one that a killed call was writing."""
    return name.startswith(".") and f".{MARK}" in name


def remove(path: Path) -> None:
    """A file, a folder with all that is in it, or a link, whose target stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: Path, ours: str) -> None:
    """Removes from a folder the files whose names in it match `ours`, those that our commands make there, and folders
    that are empty then; what else is in it stays."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if is_new(path.name) or re.fullmatch(ours, path.relative_to(folder).as_posix()):
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()  # if that was the last
    with suppress(OSError):
        folder.rmdir()


def check_ours(folder: Path, marks: Collection[str], names: Collection[str]) -> None:
    """Before a folder is emptied: DataError where it holds what is none of `names`, which our commands make there, or
    anything but an empty lock and none of `marks`, by which it is known for theirs."""
    items = sorted(folder.iterdir()) if folder.is_dir() else []
    marked = any(item.name in marks for item in items)
    for item in items:
        if is_new(item.name) or (item.name == "lock" and not item.stat().st_size):
            continue
        if not marked or item.name not in names:
            raise DataError(f"{item}: was not made by this command, which is to empty {folder}; move it elsewhere")


def write_bytes(path: Path, content: bytes) -> None:
    """The file appears whole or not at all."""
    with beside(path) as new:
        new.write_bytes(content)


def copy(source: Path, path: Path) -> None:
    """A copy of a file, of whatever size, which appears whole or not at all."""
    with beside(path) as new, open(source, "rb") as content, open(new, "wb") as file:
        shutil.copyfileobj(content, file, 1 << 22)


def write_text(path: Path, text: str) -> None:
    """UTF-8; the file appears whole or not at all."""
    write_bytes(path, text.encode())


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """UTF-8, of texts that need not be in memory together; the file appears whole or not at all."""
    with beside(path) as new, open(new, "w", encoding="utf-8", newline="") as file:
        file.writelines(lines)


def write_json(path: Path, value) -> None:
    """Indented; a list of numbers is one line, so that a matrix has a line a row."""
    write_text(path, json_text(value) + "\n")


def json_text(value) -> str:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return _NUMBERS.sub(lambda numbers: f"[{' '.join(numbers[0][1:-1].split())}]", text)


# A list of numbers and nulls; within a text no line ends, so that none is taken for one
_NUMBERS = re.compile(r"\[\n\s+(?:(?:[-+.\deE]+|NaN|-?Infinity|null),?\n\s*)+\]")


def write_arrays(path: Path, arrays: dict) -> None:
    """An .npz, compressed; whole or not at all."""
    import numpy as np

    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(path, content.getvalue())


@contextmanager
def locked(folder: Path):
    """Keeps other processes from filling the folder at the same time. Errors: DataError where one does."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(f"{folder}: another run is preparing it; wait for that one to end") from None
        if not ((folder / "lock").exists() and os.path.samestat(os.fstat(lock.fileno()), os.stat(lock.name))):
            raise DataError(f"{folder}: another run has just prepared it; run the same command again")
        yield


def same(one, other) -> bool:
    """Whether two values of JSON say the same; numbers as far as float32 tells them apart, which some went through."""
    if isinstance(one, float) or isinstance(other, float):
        numbers = all(isinstance(each, (int, float)) for each in (one, other))
        return numbers and math.isclose(one, other, rel_tol=1e-7)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return one == other


@contextmanager
def new_folder(out, settings: dict, may_differ=(), mark: str = "dataset.json"):
    """Yields OUT.partial to fill, then renames it to OUT; yields None where OUT is there, whole, and came of the same
    settings, but for those that `may_differ`.

    Whoever fills the folder writes its `mark` last, with `settings` under "prepared". A run that was cut off leaves
    OUT.partial, and the same call finds it again; what was left by other settings is removed, and a folder in which
    nothing came to lie. Errors: DataError where
    OUT holds something else, or another process is filling it.
    """
    # a link is left as it is, and the folder made where it leads
    out = Path(os.path.realpath(out) if os.path.islink(out) else os.path.abspath(out))
    settings = json.loads(json.dumps(settings))
    partial, note = Path(f"{out}.partial"), "preparing.json"

    def differing(there: dict) -> list[str]:
        names = sorted(name for name in there.keys() | settings.keys() if not same(there.get(name), settings.get(name)))
        return names if set(names) - set(may_differ) else []

    if (out / mark).exists():
        if others := differing(read_json(out / mark, Marked).get("prepared", {})):
            raise DataError(
                f"{out}: already holds a dataset made with other settings ({', '.join(others)}); "
                "name another folder or remove this one"
            )
        for leaving in (note, "lock"):  # of a run that was cut off between the renaming and its end
            remove_file(out / leaving)
        yield None
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is there already and is no dataset; name another folder")
    _check_partial(partial, note)
    with locked(partial):
        if (out / mark).exists():
            raise DataError(f"{out}: another run has just prepared it; run the same command again")
        begun = (partial / note).exists()
        mend = f"remove {partial}, and run it again"
        if not begun or differing(json_files.read_json(partial / note, dict[str, Any], DataError, mend)):
            for item in partial.iterdir():
                if item.name not in ("lock", note):
                    remove(item)
            write_json(partial / note, settings)
        try:
            yield partial
        except BaseException:
            if {item.name for item in partial.glob("*")} <= {"lock", note}:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        with writing(out):
            put(partial, out)
            (out / note).unlink()
            (out / "lock").unlink()


def _check_partial(partial: Path, note: str) -> None:
    """DataError where it is there and no call of ours has begun it."""
    if partial.is_dir() and not (partial / note).exists():
        for item in sorted(partial.iterdir()):
            ours = item.name.startswith(note) or is_new(item.name)  # NOTE.new: of an earlier lrcn
            if not ours and not (item.name == "lock" and not item.stat().st_size):
                raise DataError(f"{partial}: holds files of someone else ({item.name}); remove or rename it")


class Marked(TypedDict, total=False):
    """What is read of the file that says that a folder is whole."""

    prepared: dict[str, Any]


def read_json(path: Path, kind: type = dict[str, Any]) -> Any:
    """A file of ours, of this kind. Errors: DataError."""
    return json_files.read_json(path, kind, DataError, AGAIN)
