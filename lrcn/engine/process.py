"""A process in which Caffe runs: begun, followed, ended, and why it ended, in one line.

Caffe has always a process of its own, the `caffe` tool or this Python with pycaffe: it ends the one it runs in when
something is wrong, and its libraries clash with those of the Python wheels.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn.engine.crew import PASSED_OVER
from lrcn.engine.scratch import is_scratch

if TYPE_CHECKING:  # it brings OpenCV, and programs in Caffe's process import this module
    from lrcn.engine.compute import Compute

MESSAGE = "lrcn-error: "  # begins the line for the user among Caffe's own
FATAL = re.compile(r"^F\d{4,8} \S+ +\d+ ([\w.]+:\d+)\] (.*)")
UNWRITTEN = "SerializeToOstream"  # the check of Caffe's that fails where a snapshot cannot be written
FULL = 64 << 10  # bytes that are left of a disk on which Caffe's log has found no place, at most
GOES_ON = "free some and run the same command again, it goes on where it stopped"
OUT_OF_MEMORY = "out of memory"  # of a GPU, in CUDA's words
LESS_MEMORY = "give a smaller batch by --set, a smaller --workspace, or a GPU that nothing else is at work on"
READING = ("data_transformer.cpp", "db_lmdb.cpp", "db_lmdb.hpp", "data_layer.cpp", "image_data_layer.cpp")
LAST_LINES = 400  # of a log, in which the reason stands

_prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec a lock may be held that nobody releases


class CaffeError(RuntimeError):
    """Why Caffe ended; one line for the user."""


@dataclass(frozen=True)
class Batches:
    """What the project's data layers give in training: the batches from `first` on, of each the share of `rank`, one of
    `ranks` processes that train one net together."""

    first: int = 0
    rank: int = 0
    ranks: int = 1


class Caffe:
    """Caffe at work in a process of its own; a context manager, which ends it.

    However this process ends, Caffe ends with it; to be exact, with the thread that began it.
    """

    def __init__(
        self,
        compute: Compute,
        command: Sequence[str | Path],
        log: str | Path,
        folder: str | Path | None = None,
        batches: Batches = Batches(),
        talks: bool = False,
    ) -> None:
        """Begins `command`: the engine's tool, or `data_prep.children.python(MODULE, ...)`.

        log: the file to which Caffe adds what it says; it writes it itself, so no line is lost when this process is
        killed. folder: where Caffe runs, here by default.
        batches: what the project's data layers give. talks: whether it reads lines on standard input, from `tell`, and
        writes `lines`.
        """
        compute.check_ends()
        self.log, self._compute = Path(log), compute
        with self.log.open("a") as file:
            self._begin = file.tell()
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=_environment(compute, batches),
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else subprocess.DEVNULL,
                stderr=file,
                text=True,
                preexec_fn=partial(_end_with_parent, os.getpid()),
            )

    def __enter__(self) -> Caffe:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> int | None:
        """Ends Caffe where it has not ended. Gives the status with which it ended by itself, else None."""
        status = self.process.poll()
        self.process.kill()
        self.process.wait()
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
            with suppress(BrokenPipeError):  # a line that it did not live to read
                pipe.close()
        return status

    def interrupt(self) -> None:
        """As Ctrl-C: the tool writes a snapshot where it stands and ends, which is waited for."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def running(self) -> bool:
        return self.process.poll() is None

    def wait(self) -> None:
        """Waits for its end. Raises CaffeError where that is a bad one."""
        if self.process.wait():
            raise self.failure()

    def failure(self) -> CaffeError:
        """Why it has ended."""
        with self.log.open("rb") as file:
            file.seek(self._begin)
            last = deque((line.decode(errors="replace").rstrip() for line in file), LAST_LINES)
        return CaffeError(explain(last, self.process.wait(), None if is_scratch(self.log) else self.log))

    def tell(self, line: str) -> None:
        with suppress(BrokenPipeError):  # why it is gone is said where its answer is missed
            print(line, file=self.process.stdin, flush=True)

    def lines(self) -> Iterator[str]:
        """What it says on standard output, until its end. Raises CaffeError where that is a bad one."""
        for line in self.process.stdout:  # `yield from` would close it for whoever goes on reading later
            self._compute.check_ends()
            yield line.rstrip("\n")
        self.wait()
        tell_passed_over([self.log], self._compute)

    def log_lines(self) -> Iterator[str]:
        """What it adds to its log, as it does, a whole line each, until its end. Raises CaffeError where that is a bad
        one."""
        part, over = b"", False
        with self.log.open("rb") as file:
            file.seek(self._begin)
            while not over:
                self._compute.check_ends()
                over = not self.running()  # asked before reading, so that nothing is missed
                for piece in file:
                    part += piece
                    if part.endswith(b"\n"):
                        yield part.decode(errors="replace").rstrip()
                        part = b""
                if not over:
                    time.sleep(0.05)
        self.wait()


def passed_over(logs: Iterable[Path]) -> list[str]:
    """The damaged images that were passed over, a line each, by Caffe's logs."""
    images: dict[str, None] = {}
    for log in logs:
        with log.open("rb") as file:
            text = (line.decode(errors="replace").rstrip() for line in file if PASSED_OVER.encode() in line)
            images |= dict.fromkeys(line.partition(PASSED_OVER)[2] for line in text)
    return list(images)


def tell_passed_over(logs: Iterable[Path], compute: Compute) -> None:
    """Says how many damaged images were passed over, by Caffe's logs."""
    images = passed_over(logs)
    if images:
        compute.progress(
            f"{len(images)} damaged image{'s were' if len(images) > 1 else ' was'} passed over: {images[0]}"
            f"{', and others' if len(images) > 1 else ''}; `lrcn verify` names all that are damaged",
            0,
            0,
        )


def explain(lines: Iterable[str], status: int, log: Path | str | None) -> str:
    """The one line, out of the last of Caffe's log, that says why it ended. log: where it can be read on; None where it
    does not stay."""
    lines = list(lines)
    ended = f"Caffe ended with {'signal' if status < 0 else 'status'} {abs(status)}"
    if status == -signal.SIGXFSZ:
        return f"{ended}: it may not write so large a file; raise that limit (ulimit -f) and run the same command again"
    if why := reason(lines, log):
        return why
    if status == -signal.SIGKILL:
        ended += ", as where memory is short; see what else is at work, or give a smaller batch by --set"
    if log is None:
        last = next((line for line in reversed(lines) if line), None)
        return f"{ended}; it said last: {last}" if last else f"{ended}, and said nothing"
    if _is_full(Path(log).parent):  # where it could say nothing
        return f"{ended}: no space left in {Path(log).parent}; {GOES_ON}"
    return f"{ended}; its log: {log}"


def _is_full(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < FULL or (disk.f_files > 0 and not disk.f_favail)


def reason(lines: Iterable[str], log: Path | str | None) -> str | None:
    """What the last lines of Caffe's log say of a bad end, in one; None where they say nothing."""
    lines = list(lines)
    for line in lines:
        if MESSAGE in line:
            return line.split(MESSAGE, 1)[1]
    for line in lines:
        if fatal := FATAL.match(line):
            why = f"; is the disk full? {GOES_ON}" if UNWRITTEN in fatal[2] else ""
            if OUT_OF_MEMORY in fatal[2]:
                why = f"; {LESS_MEMORY}"
            if fatal[1].partition(":")[0] in READING:
                why = "; is an image of the data set damaged? `lrcn verify` tells"
            return f"Caffe stopped at {fatal[1]}: {fatal[2]}{why}" + (f" (log: {log})" if log is not None else "")
    return None


def _environment(compute: Compute, batches: Batches) -> dict[str, str]:
    """What Caffe goes by, and the project's layers in it."""
    return {
        **compute.environment(),
        "LRCN_FIRST_ITERATION": str(batches.first),
        "LRCN_RANK": str(batches.rank),
        "LRCN_RANKS": str(batches.ranks),
        "LRCN_PYTHON": sys.executable,
    }


def _end_with_parent(parent: int) -> None:
    """In the child: the kernel kills it once its parent is gone, so that the next run finds the folder still."""
    _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it is gone already
        os.kill(os.getpid(), signal.SIGKILL)
