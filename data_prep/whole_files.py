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
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import lmdb

from data_prep import DataError
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


@contextmanager
def beside(path: Path):
    """A name beside `path` to be written, which takes its place once it is whole and on the disk; nothing of it stays
    where that fails or is interrupted. Errors: DataError."""
    _check_place(path)
    new = path.with_name(path.name + ".new")
    with writing(path):
        try:
            yield new
            sync(new)
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)


def remove_file(path: Path) -> None:
    """Where it is there; of what is not, a read-only disk would say that it is read-only."""
    if path.exists():
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """The file appears whole or not at all."""
    with beside(path) as new:
        new.write_bytes(content)


def copy(source: Path, path: Path) -> None:
    """A copy of a file, of whatever size, which appears whole or not at all."""
    with beside(path) as new, open(source, "rb") as content, open(new, "wb") as file:
        shutil.copyfileobj(content, file, 1 << 22)


def sync(*paths: Path) -> None:
    """Files that others wrote, and folders, are on the disk before what they replace goes."""
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


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
        lock = open(folder / "lock", "w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(f"{folder}: another run is preparing it; wait for that one to end") from None
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
    out, settings = Path(os.path.abspath(out)), json.loads(json.dumps(settings))
    partial, note = out.with_name(out.name + ".partial"), "preparing.json"

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
    with locked(partial):
        if (out / mark).exists():
            raise DataError(f"{out}: another run has just prepared it; run the same command again")
        begun = (partial / note).exists()
        if not begun or differing(
            json_files.read_json(partial / note, dict[str, Any], DataError, f"remove {partial}, and run it again")
        ):
            strangers = (
                [] if begun else [p.name for p in partial.iterdir() if p.name != "lock" and not p.name.startswith(note)]
            )
            if strangers:
                raise DataError(f"{partial}: holds files of someone else ({strangers[0]}); remove or rename it")
            for item in partial.iterdir():
                if item.name not in ("lock", note):
                    shutil.rmtree(item) if item.is_dir() else item.unlink()
            write_json(partial / note, settings)
        try:
            yield partial
        except BaseException:
            if {item.name for item in partial.glob("*")} <= {"lock", note}:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        with writing(out):
            os.rename(partial, out)
            (out / note).unlink()
            (out / "lock").unlink()


class Marked(TypedDict, total=False):
    """What is read of the file that says that a folder is whole."""

    prepared: dict[str, Any]


def read_json(path: Path, kind: type = dict[str, Any]) -> Any:
    """A file of ours, of this kind. Errors: DataError."""
    return json_files.read_json(path, kind, DataError, AGAIN)
