"""What Caffe computes in several processes at a time: parts that do not wait for each other, side by side."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from data_prep.workers import cores
from lrcn.engine.compute import Compute, Progress
from lrcn.engine.device import Gpu
from lrcn.engine.engines import EngineError

Result = TypeVar("Result")
LISTENS = 0.5  # seconds between two looks whether Ctrl-C was pressed


@dataclass(frozen=True)
class Part(Generic[Result]):
    """Something to compute. work: does it, on what it is given. threads: of the BLAS, on the CPU. memory: bytes, as far
    as they are known. after: which of the other parts it waits for, by their numbers; one at most. size: how much there
    is to compute, in any unit: of those that can begin, those go first after which most is left to do."""

    work: Callable[[Compute], Result]
    threads: int = 1
    memory: int = 0
    after: Collection[int] = ()
    size: float = 0.0


def side_by_side(parts: Sequence[Part[Result]], compute: Compute, jobs: int | None = None) -> list[Result]:
    """What each part gives, in their order. Each begins as soon as what it waits for is done and there is room; a part
    is named after those that it waits for.

    jobs: how many at a time. None: on the CPU as many as have a core for each of their threads, and room in memory; of
    GPUs one, on all that `compute` names. Of several GPUs each of the jobs has its share.

    Where one fails, or Ctrl-C is pressed, those that are at work are interrupted, which leaves a snapshot of trainings,
    and are waited for; then the first error is raised. EngineError where jobs cannot share the GPUs.
    """
    each = lanes(compute, jobs)
    if at_most(parts, jobs, compute.gpu is not None) == 1:  # in this thread, which hears Ctrl-C itself
        return [part.work(_of(part, each[0])) for part in parts]
    return _Crew(parts, each, jobs).results()


def lanes(compute: Compute, jobs: int | None) -> list[Compute]:
    """What each of the jobs computes on where there are GPUs; on the CPU they share it. EngineError where they cannot
    share the GPUs, or there are none."""
    _check(jobs)
    return [replace(compute, gpu=share) for share in shares(compute.gpu, jobs)] if compute.gpu else [compute]


def shares(gpu: Gpu, jobs: int | None) -> list[Gpu]:
    """The GPUs of each of the jobs. EngineError where they cannot share them, or there are none."""
    _check(jobs)
    if jobs in (None, 1):
        return [gpu]
    if len(gpu.numbers) % jobs:
        raise EngineError(
            f"--jobs {jobs}: {gpu.name} cannot be shared out evenly among so many at a time; name a GPU for each, as "
            f"--gpu {','.join(map(str, range(jobs)))}, or leave --jobs out"
        )
    each = len(gpu.numbers) // jobs
    return [replace(gpu, numbers=gpu.numbers[at : at + each]) for at in range(0, len(gpu.numbers), each)]


def _check(jobs: int | None) -> None:
    if jobs is not None and jobs < 1:
        raise EngineError(f"--jobs {jobs}: give at least 1")


def at_most(parts: Sequence[Part[Any]], jobs: int | None, on_gpus: bool = False) -> int:
    """How many are at work at a time, at most: never more than there are ends of chains, for each waits for one."""
    ends = len(parts) - len({number for part in parts for number in part.after})
    if jobs is None:
        free = cores()
        threads = sorted(part.threads for part in parts)
        jobs = 1 if on_gpus else sum(sum(threads[: number + 1]) <= free for number in range(len(threads)))
    return max(1, min(jobs, ends))


def seconds(parts: Sequence[Part[Any]], jobs: int | None, taken: Sequence[float], on_gpus: bool = False) -> float:
    """How long all of them take, of which each takes so many seconds, by the same rule."""
    if at_most(parts, jobs, on_gpus) == 1:
        return sum(taken)
    return _Foreseen(parts, jobs, taken).last()


def _of(part: Part[Any], lane: Compute) -> Compute:
    return lane if lane.gpu else replace(lane, threads=part.threads)


def _ways(parts: Sequence[Part[Any]]) -> list[float]:
    """How much there is to compute from each part on, to the end of the longest way that leads through it."""
    ways = [part.size for part in parts]
    for number in range(len(parts) - 1, -1, -1):
        for before in parts[number].after:
            ways[before] = max(ways[before], parts[before].size + ways[number])
    return ways


class _Order:
    """Which parts wait, are at work and done, by their numbers."""

    def __init__(self, parts: Sequence[Part[Any]], jobs: int | None):
        self.parts, self.jobs, self.memory = parts, jobs, free_memory()
        self.waiting = sorted(range(len(parts)), key=_ways(parts).__getitem__, reverse=True)
        self.running, self.done = set[int](), set[int]()

    def begin(self) -> list[int]:
        """Those that begin now."""
        begun = []
        for number in list(self.waiting):
            if set(self.parts[number].after) <= self.done and self._has_room(self.parts[number]):
                self.waiting.remove(number)
                self.running.add(number)
                begun.append(number)
        return begun

    def end(self, number: int) -> None:
        self.running.remove(number)
        self.done.add(number)

    def _has_room(self, part: Part[Any]) -> bool:
        if not self.running or self.jobs is not None:
            return len(self.running) < (self.jobs or 1)
        others = [self.parts[number] for number in self.running]
        threads = part.threads + sum(other.threads for other in others)
        return threads <= cores() and part.memory + sum(other.memory for other in others) <= self.memory


class _Foreseen(_Order):
    """Parts that take so many seconds each."""

    def __init__(self, parts: Sequence[Part[Any]], jobs: int | None, taken: Sequence[float]):
        super().__init__(parts, jobs)
        self.taken = taken

    def last(self) -> float:
        now, ends = 0.0, dict[int, float]()
        while self.waiting or self.running:
            ends |= {number: now + self.taken[number] for number in self.begin()}
            number = min(self.running, key=ends.__getitem__)
            now = ends[number]
            self.end(number)
        return now


class _Crew(_Order):
    """Parts at work, a thread each: Caffe ends with the thread that began it."""

    def __init__(self, parts: Sequence[Part[Any]], each: Sequence[Compute], jobs: int | None):
        super().__init__(parts, jobs)
        self.ends, progress = threading.Event(), _one_at_a_time(each[0].progress)
        self.free = [replace(lane, progress=progress, ends=self.ends) for lane in each]
        self.ended: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()
        self.begun = set[int]()  # what has come as far as to see that all is to end

    def results(self) -> list[Any]:
        results = {}
        try:
            while self.waiting or self.running:
                for number in self.begin():
                    # a daemon: a second Ctrl-C ends this process, and with it the kernel what is left of Caffe
                    threading.Thread(target=self._work, args=[number, self._lane()], daemon=True).start()
                number, results[number], error = self._next()
                self.end(number)
                if error is not None:
                    raise error
        except BaseException:
            self.ends.set()
            while self.running & self.begun:
                self.end(self._next()[0])
            raise
        return [results[number] for number in range(len(self.parts))]

    def _next(self) -> tuple[int, Any, BaseException | None]:
        """The next that ends. Python hears a Ctrl-C that comes just before it waits only when it has waited."""
        while True:
            with suppress(Empty):
                return self.ended.get(timeout=LISTENS)

    def _lane(self) -> Compute:
        return self.free.pop(0) if self.free[0].gpu else self.free[0]

    def _work(self, number: int, lane: Compute) -> None:
        result, failure = None, None
        self.begun.add(number)
        try:
            lane.check_ends()
            result = self.parts[number].work(_of(self.parts[number], lane))
        except BaseException as error:  # raised again where it is waited for
            failure = error
        if lane.gpu:
            self.free.append(lane)
        self.ended.put((number, result, failure))


def _one_at_a_time(progress: Progress) -> Progress:
    lock = threading.Lock()

    def tell(what: str, done: int, total: int) -> None:
        with lock:
            progress(what, done, total)

    return tell


def free_memory() -> int:
    """Bytes of memory that programs can have now; no end of it where the machine does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:")))
    except (OSError, ValueError, StopIteration):
        return sys.maxsize
