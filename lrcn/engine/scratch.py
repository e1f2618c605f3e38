"""Folders for what Caffe reads and writes while a command is at work, in $TMPDIR or /tmp: all of them are made here.

A process that is killed leaves its own behind; the next that makes one here removes it. Whose process lives is told by
a lock on a file in the folder, which the kernel takes back however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from lrcn.engine.engines import EngineError
from readers.paths import checked

MARK = ".lrcn-scratch"  # the file with the lock: no folder without it is taken for one of ours
PREFIX = f"lrcn-{re.sub('[^A-Za-z0-9]', '', socket.gethostname())}-"  # $TMPDIR may be shared, and locks not


class Scratch:
    """A new folder `path`, which goes with this context manager, or with `close`. EngineError where $TMPDIR's name is
    none that Caffe's libraries take."""

    def __init__(self) -> None:
        parent = Path(tempfile.gettempdir()).absolute()
        checked(parent, EngineError, "TMPDIR ")
        _sweep(parent)
        self._lock = None
        while self._lock is None:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            self._lock = _held(self.path, os.O_CREAT)  # None: another process swept it before it was marked

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
        self._lock = None


def is_scratch(path: Path) -> bool:
    """Whether a file lies in such a folder, and so is gone when its name is read."""
    return any(part.startswith(PREFIX) for part in path.parts)


def _sweep(parent: Path) -> None:
    """Removes the folders whose processes are gone."""
    with suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        return
    if not (folder / MARK).exists():
        folder.rmdir()  # killed, or just about to mark it; one that holds anything stays
    elif (lock := _held(folder, 0)) is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _held(folder: Path, flags: int) -> int | None:
    """The mark of a folder, open and locked; None where another process has it, or it is gone."""
    path = folder / MARK
    try:
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        return None
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    os.close(lock)
    return None
