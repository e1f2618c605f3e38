"""Work shared out among processes, one a core."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from data_prep import DataError


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


IMAGES, VIDEOS, CAPTIONS = (Counted(unit, unit) for unit in ("images", "videos", "captions"))


def no_progress(what: str, done: int, total: int) -> None:
    """Says nothing. What stands in its place is told (what, done, total), `what` a `Counted`, or (remark, 0, 0)."""


@dataclass(frozen=True)
class Work:
    """How long work is done: by so many processes (None: one a core), and who is told how far it is (`no_progress`)."""

    workers: int | None = None
    progress: Callable[[str, int, int], None] = no_progress

    def remark(self, text: str) -> None:
        self.progress(text, 0, 0)

    def parallel(self, function, jobs: list):
        return parallel(function, jobs, self.workers)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin_worker() -> None:
    import cv2

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
