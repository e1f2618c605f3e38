"""Trainings side by side: what each waits for, and what it takes of processor and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from data_prep.workers import cores
from lrcn.engine import blas
from lrcn.engine.compute import Compute, Progress
from lrcn.engine.device import Gpu
from lrcn.engine.side_by_side import Part
from lrcn.trained_net import name_of
from lrcn.training.memory import Memory
from lrcn.training.workspace import Training, Workspace


def parts(
    work: Workspace,
    trainings: Sequence[Training],
    resume: bool,
    train: Callable[[Training, Compute], None] = lambda training, compute: None,
) -> list[Part[None]]:
    """Each of the trainings, which waits for the one that it starts from where that is to be trained too. train: does
    one; nothing, for a plan."""
    numbers = {training.run.folder: number for number, training in enumerate(trainings)}

    def part(training: Training) -> Part[None]:
        before = work.start_of(training.stage, training.split)
        after = [numbers[before.folder]] if before and before.folder in numbers else []
        memory = Memory.of(training).total(None)
        size = float(training.net.macs * training.files["solver"].max_iter)
        return Part(lambda compute: train(training, compute), threads_of(training, resume), memory, after, size)

    return [part(training) for training in trainings]


def threads_of(training: Training, resume: bool, progress: Progress | None = None) -> int:
    """Of the BLAS, on the CPU: as the user's environment says; of a training that goes on as many as it has had, so
    that it computes the same bits; else as many as pay. progress: is told where it has had others."""
    before = training.run.threads if resume else None
    threads = blas.chosen() or min(before or blas.threads_for([training.net]), cores())
    if progress and before and threads != before:
        why = f"{blas.VARIABLE} says so" if blas.chosen() else "this machine has no more"
        progress(
            f"{name_of(training.run.folder)} goes on with {in_words(threads)} of the BLAS, where it had {before}: "
            f"{why}; its last digits differ from those of a training that had the same all along",
            0,
            0,
        )
    return threads


def in_words(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def plan_line(each: Sequence[Part[None]], count: int, gpu: Gpu | None) -> str:
    """What the plan says of `count` trainings at a time, at most."""
    at_a_time = "one training at a time" if count == 1 else f"up to {count} trainings at a time"
    if gpu:
        return f"jobs: {at_a_time}" + (", a share of the GPUs each" if count > 1 else "")
    threads = sorted({part.threads for part in each})
    return f"jobs: {at_a_time}, of {' or '.join(map(in_words, threads))} of the BLAS each"
