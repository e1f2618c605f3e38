"""Work shared out among processes, one a core, or done by a crew on other machines."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import platform
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from multiprocessing import resource_tracker, util
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Protocol

from data_prep import DataError
from data_prep.children import multiprocessing_safely


class Counted(str):
    """What progress is told of: a text as any other, which knows in which unit it is counted, and what was measured on
    the way, for those who show that. unit: in the plural, as "frames"; measured: numbers by name, as {"loss": 0.87}.
    """

    unit: str
    measured: Mapping[str, float]

    def __new__(cls, what: str, unit: str = "", measured: Mapping[str, float] | None = None) -> Counted:
        """`what` itself may be one; its unit and numbers are taken where none are given."""
        counted = super().__new__(cls, what)
        counted.unit = unit or getattr(what, "unit", "")
        counted.measured = getattr(what, "measured", {}) if measured is None else measured
        return counted

    def of(self, title: str) -> Counted:
        """The same, of whom first."""
        return Counted(f"{title}: {self}", self.unit, self.measured)


Progress = Callable[[str, int, int], None]  # as `no_progress`
IMAGES, VIDEOS, CAPTIONS = (Counted(unit, unit) for unit in ("images", "videos", "captions"))


def no_progress(what: str, done: int, total: int) -> None:
    """Says nothing. What stands in its place is told (what, done, total), `what` a `Counted`, or (remark, 0, 0)."""


class Crew(Protocol):
    """Who does the work."""

    def results(self, function: Callable, jobs: list, alone: bool = False) -> Iterator[tuple]:
        """(job, function(job)) in the order of `jobs`. alone: a job takes all of a worker, however many threads it
        has."""


@dataclass(frozen=True)
class Shard:
    """The `number`-th of `count` parts, from 1."""

    number: int
    count: int

    def of(self, items: list) -> list:
        """Every `count`-th: what is alike lies together in lists, and is shared out evenly."""
        return items[self.number - 1 :: self.count]


@dataclass(frozen=True)
class Work:
    """How long work is done: by a crew, or without one each time by so many processes of this machine (None: one a
    core); which part of it (None: all); and who is told how far it is (`no_progress`)."""

    workers: int | None = None
    progress: Progress = no_progress
    crew: Crew | None = None
    shard: Shard | None = None

    def remark(self, text: str) -> None:
        self.progress(text, 0, 0)

    def parallel(self, function: Callable, jobs: list) -> Iterator[tuple]:
        """(job, function(job)) in the order of `jobs`."""
        return self.crew.results(function, jobs) if self.crew else parallel(function, jobs, self.workers)


@cache
def versions() -> dict[str, str]:
    """What the bytes of a data set depend on, beside what it is made of."""
    import cv2
    import numpy as np

    python = ".".join(platform.python_version_tuple()[:2])
    named = {"lrcn": version("lrcn"), "OpenCV": cv2.__version__, "numpy": np.__version__, "Python": python}
    return named | {"processor": platform.machine()}


def difference(here: dict[str, str], there: dict[str, str]) -> str:
    """ "numpy 1.26.4 where 2.0.1 is due", of each of the `versions` that differ; "" where they agree."""
    odd = [name for name in here if there.get(name) != here[name]]
    return ", ".join(f"{name} {there.get(name, 'none')} where {here[name]} is due" for name in odd)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Process(SpawnProcess):
    """Begins without the main module: the command line's imports would take a worker longer than its own."""

    @staticmethod
    def _Popen(process):
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            with _beginning():
                return SpawnProcess._Popen(process)
        finally:
            sys.modules["__main__"] = main


@contextmanager
def _beginning():
    """What multiprocessing begins within hears neither Ctrl-C nor that the terminal is gone: the parent does, and ends
    it."""
    deaf = {signal.SIGINT, signal.SIGHUP}
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, deaf)
    try:
        with multiprocessing_safely():
            _track_resources()
            signal.pthread_sigmask(signal.SIG_BLOCK, deaf)
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)


def _track_resources() -> None:
    """Begins the process that looks after locks, if there is none, which ends with this one and not after it."""
    tracker = resource_tracker._resource_tracker
    if tracker._fd is None:
        util.Finalize(None, tracker._stop, exitpriority=-1)  # after those of the locks
    tracker.ensure_running()  # which lets Ctrl-C through again


class _Context(SpawnContext):
    """spawn: a forked child would share this process's open LMDB and OpenCV's threads."""

    Process = _Process


def become_worker() -> None:
    """What a process does that works beside others."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)  # the processes share the cores out already
    # glibc from then on keeps memory of that size, which it would give back and fault in anew with every image
    np.empty(1 << 24, np.uint8)


def _begin_worker() -> None:
    become_worker()
    parent = multiprocessing.parent_process()

    def watch():  # a parent that was killed cannot end its workers
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


HEARD = 0.1  # seconds within which this process hears of a signal that ended its workers too
AHEAD = 4  # jobs for each worker that are computed, or wait, before the first of them is taken


def in_order(submit: Callable, function: Callable, jobs: list, workers: Callable[[], int]) -> Iterator[tuple]:
    """(job, function(job)) in the order of `jobs`. submit(function, job) gives a Future; workers(): how many there are,
    which may change: they bound what is computed ahead, and so the memory that results wait in.

    What is left where it is given up is its crew's to end: to a future that is cancelled here, the thread of a pool
    whose workers are killed just then could tell nothing.
    """
    waiting, left = deque(), iter(jobs)
    while True:
        room = max(AHEAD * workers() - len(waiting), 0)
        waiting.extend((job, submit(function, job)) for job in islice(left, room))
        if not waiting:
            return
        job, future = waiting.popleft()
        yield job, future.result()


@contextmanager
def _uninterrupted(at_once: Callable[[], None] = lambda: None):
    """Signals that end this process are heard at the end; `at_once` is called as each comes."""
    if threading.current_thread() is not threading.main_thread():  # it never comes there
        yield
        return
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        at_once()

    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM  # the last: one of the others, put off
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        signal.raise_signal(heard[-1])


def _end_together(pool: ProcessPoolExecutor) -> None:
    """Sees to it that a pool whose workers have all begun hears of one that ends. One that ends while it writes, as by
    Ctrl-C, would leave the pool waiting for the rest; the others end with it then, and none has its pipes open.
    """
    pool._result_queue._writer.close()
    pool._call_queue._reader.close()
    begun = list(pool._processes.values())

    def end_others():
        multiprocessing.connection.wait([process.sentinel for process in begun])
        for process in begun:
            process.kill()

    threading.Thread(target=end_others, daemon=True).start()


class Processes:
    """A `Crew` of `count` processes of this machine (None: one a core), until this context manager is left; 1: this
    process itself. They begin, and import what most work needs, while this process finds out what is to be done.
    """

    def __init__(self, count: int | None = None):
        self.count = count or cores()
        self._pool, self._begun, self._at_work = None, [], False
        if self.count > 1:
            with _beginning():  # its locks have a process that looks after them
                self._pool = ProcessPoolExecutor(self.count, _Context(), _begin_worker)

    def __enter__(self) -> Processes:
        if self._pool:
            try:
                with _uninterrupted():  # what is begun by halves cannot be ended
                    while len(self._pool._processes) < self.count:
                        self._pool.submit(import_module, "data_prep.videos")
                    self._begun = list(self._pool._processes.values())
                    _end_together(self._pool)
            except KeyboardInterrupt:
                self.__exit__(KeyboardInterrupt)
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_) -> None:
        if self._pool:
            # Join, interrupted, takes the pool's thread for ended, and Python's exit closes the queue under it.
            with _uninterrupted(self._kill):
                if kind in (KeyboardInterrupt, GeneratorExit) or not self._at_work:  # nobody waits for what they do
                    self._kill()
                self._pool.shutdown(cancel_futures=True)

    def _kill(self) -> None:
        for process in self._begun:
            process.kill()

    def results(self, function: Callable, jobs: list, alone: bool = False) -> Iterator[tuple]:
        if not self._pool:
            yield from ((job, function(job)) for job in jobs)
            return
        self._at_work = True
        try:
            yield from in_order(self._pool.submit, function, jobs, lambda: self.count)
        except BrokenProcessPool:
            time.sleep(HEARD)
            raise DataError(
                "a worker process was ended from outside; is memory short? Then give fewer (--workers), and run the"
                " same command again: it goes on where it stopped"
            ) from None


def parallel(function: Callable, jobs: list, workers: int | None = None) -> Iterator[tuple]:
    """Yields (job, function(job)) in the order of `jobs`, computed ahead by `workers` processes (default: all cores; 1:
    in this process).
    """
    with Processes(max(1, min(workers or cores(), len(jobs)))) as crew:
        yield from crew.results(function, jobs)
