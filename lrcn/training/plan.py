"""What a job's training will take, worked out before it starts: stages, weights to start from, memory, time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep import room
from data_prep.whole_files import write_text
from data_prep.workers import Counted
from lrcn.engine.cards import cards
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.engine.process import Caffe
from lrcn.engine.scratch import Scratch
from lrcn.engine.side_by_side import Part, at_most, seconds, shares
from lrcn.results.tables import aligned, duration
from lrcn.training import beside, disk, memory, starting
from lrcn.training.disk import Disk
from lrcn.training.logs import SOLVING, TESTING, entries_of
from lrcn.training.memory import Memory
from lrcn.training.run import Files, TrainError
from lrcn.training.share import share_of
from lrcn.training.tasks import task_of
from lrcn.training.workspace import Start, Training, Workspace
from netspecs import catalogue
from prototxt_gen import caffe_pb2, to_text

TRIAL_ITERATIONS, TRIAL_SECONDS = 6, 15  # a trial ends with whichever comes first, but not before one was timed
TRIAL_LIMIT = 60  # seconds; what has not come to an iteration by then is told as "at least"


@dataclass(frozen=True)
class Pace:
    """Seconds that an iteration takes, and a batch of a test; `least`: it may well be more."""

    iteration: float
    test: float
    least: bool = False


@dataclass
class Step:
    """A training in the plan, of whose iterations `done` are done; tests: batches of all tests from here to the
    end; `pace`: what a trial said."""

    training: Training
    start: str
    iterations: int
    done: int
    memory: Memory
    tests: int
    pace: Pace | None = None

    @property
    def seconds(self) -> float | None:
        if self.pace is None:
            return None if self.done < self.iterations else 0.0
        return (self.iterations - self.done) * self.pace.iteration + self.tests * self.pace.test

    @property
    def least(self) -> bool:
        return self.pace is not None and self.pace.least


def step(training: Training, done: int, start: str) -> Step:
    """What the nets and the solver say of a training of which `done` iterations are done, and which starts from what
    `start` says."""
    solver = training.files["solver"]
    left = solver.max_iter - done
    return Step(
        training,
        start,
        solver.max_iter,
        done,
        Memory.of(training),
        _tests(left, solver) * sum(solver.test_iter) if solver.test_iter and left else 0,
    )


def _tests(left: int, solver: Any) -> int:
    """How many there are in the iterations that are left: at the begin, every interval, and at the end."""
    at_begin, at_end = left == solver.max_iter, solver.max_iter % solver.test_interval > 0
    return left // solver.test_interval + at_begin + at_end


# ---- trials ------------------------------------------------------------------------------------------------


def trial(files: Files, compute: Compute) -> Pace:
    """The pace of a net by a few real iterations and tests, in Caffe, with random weights, in a folder that does not
    stay. Raises CaffeError where Caffe refuses."""
    solver = caffe_pb2.SolverParameter()
    solver.CopyFrom(files["solver"])
    solver.net, solver.max_iter, solver.display, solver.average_loss = "train_test.prototxt", TRIAL_ITERATIONS, 1, 1
    solver.snapshot, solver.snapshot_after_train, solver.test_initialization = 0, False, False
    solver.solver_mode = caffe_pb2.SolverParameter.GPU if compute.gpu else caffe_pb2.SolverParameter.CPU
    if solver.test_iter:
        solver.test_interval, solver.test_iter[:] = 1, [1] * len(solver.test_iter)
    with Scratch() as folder:
        write_text(folder / "train_test.prototxt", to_text(files["train_test"]))
        write_text(folder / "solver.prototxt", to_text(solver))
        log = folder / "log"
        command = [str(compute.engine.caffe), "train", "--solver=solver.prototxt"]
        if compute.gpu:
            command.append(f"--gpu={compute.gpu.number}")
        with Caffe(compute, command, log, folder) as caffe:
            late = _wait(caffe)
        return late or pace(log.read_text(errors="replace"))


def check(compute: Compute) -> Pace:
    """The pace of a small LRCN on numbers that Caffe makes up itself: is the engine fit for work? CaffeError if not."""
    variant, settings = catalogue.get("activity/lrcn-fc6-rgb"), {"backbone": "tiny", "videos": 2, "frames": 4}
    files, shapes = variant.files(**settings), variant.input_shapes(**settings)
    for layer in files["train_test"].layer:
        if layer.type == "Python":
            part = "train" if layer.include[0].phase == caffe_pb2.TRAIN else "test"
            made_up = caffe_pb2.LayerParameter(name=layer.name, type="DummyData", top=layer.top, include=layer.include)
            for top in layer.top:
                made_up.dummy_data_param.shape.add(dim=shapes[part][top])
                made_up.dummy_data_param.data_filler.add(type="gaussian" if top == "data" else "constant")
            layer.CopyFrom(made_up)
    return trial(files, compute)


def _wait(caffe: Caffe) -> Pace | None:
    """Waits for iterations enough; a pace at least where none came. CaffeError where Caffe ended badly."""
    begun, solving, first = time.monotonic(), None, None
    while caffe.running():
        log, now = caffe.log.read_text(errors="replace"), time.monotonic()
        kinds = {entry.kind for entry in entries_of(log.splitlines())}
        solving = solving or (SOLVING in kinds and now) or None
        first = first or (solving and "loss" in kinds and now) or None
        if now - begun > TRIAL_SECONDS and cycles(log):
            return None
        if solving and now - solving > TRIAL_LIMIT:
            return Pace((first or now) - solving, 0.0, True)
        time.sleep(0.05)
    caffe.wait()
    return None


def pace(log: str) -> Pace:
    """Medians over the cycles of a trial's log."""
    timed = cycles(log)
    if not timed:
        raise TrainError("a trial of a few iterations came to no end; try --no-trial")
    return Pace(statistics.median(train for train, _ in timed), statistics.median(test for _, test in timed))


def cycles(log: str) -> list[tuple[float, float]]:
    """(seconds of an iteration, seconds of a batch of the test before it) from one displayed iteration to the next.

    Caffe says when a test begins and, a moment after its end, what came out; the first iteration is not counted.
    """
    timed: list[tuple[float, float]] = []
    last = begun = ended = None
    nets = 0  # that were tested, a batch each
    for entry in entries_of(log.splitlines()):
        if (now := entry.clock) is None:
            continue
        if entry.kind == TESTING:
            begun, ended, nets = begun or now, now, nets + 1
        elif entry.kind.startswith("test"):
            ended = now
        elif entry.kind == "loss":
            if last is not None:
                testing = ended - begun if begun is not None and ended is not None else 0.0
                timed.append((now - last - testing, testing / max(nets, 1)))
            last, begun, ended, nets = now, None, None, 0
    return timed


# ---- in words ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Manner:
    """How is to be trained: from what, going on with what is there or not, on which GPUs. given: files of stages that
    are not trained here, by their folder; remark: on CNNs that start from random weights; keep: how many snapshots;
    jobs: how many trainings at a time, as `side_by_side` has it."""

    start: Start
    resume: bool
    gpu: Gpu | None
    given: Mapping[str, Path] = field(default_factory=dict)
    remark: str | None = None
    keep: int | None = None
    jobs: int | None = None

    @property
    def each_gpu(self) -> Gpu | None:
        """What each training has of the GPUs."""
        return shares(self.gpu, self.jobs)[0] if self.gpu else None


def disks(
    work: Workspace, trainings: Sequence[Training], start: Start, given: Mapping[str, Path], keep: int | None
) -> list[Disk]:
    """What each training takes of the disk."""
    return [
        Disk.of(each, keep, work.needed(each.stage), bool(starting.files_of(each, start, given))) for each in trainings
    ]


def of_trainings(work: Workspace, trainings: Sequence[Training], manner: Manner, trial_in: Compute | None) -> str:
    """The plan of `Job.train`, a line a stage, in the order of training; with `trial_in` after a trial of every net.
    trainings: to be done."""
    start, given = manner.start, manner.given

    def begins_with(training: Training) -> str:
        stage = training.stage
        names = [file.name for file in reversed(starting.files_of(training, start, given))]
        if stage.start_at and stage.start in names:
            names[names.index(stage.start)] += f" at {stage.start_at}"
        published = work.is_long and not start.from_scratch
        return " + ".join(names) or ("ILSVRC-2012 weights" if published else "random weights")

    steps = [
        step(share_of(each, manner.each_gpu), each.run.done if manner.resume else 0, begins_with(each))
        for each in trainings
    ]
    parts = beside.parts(work, trainings, manner.resume)
    if trial_in:
        _time(steps, parts, trial_in)
    taken = [f"given: {folder}, not trained here: {path}" for folder, path in given.items()]
    of_disk = [disks(work, trainings, start, given, keep) for keep in (manner.keep, disk.FEW)]
    at_once = at_most(parts, manner.jobs, manner.gpu is not None)
    taken_each = sorted(each.memory.total(manner.gpu) for each in steps)
    most = taken_each[-1] if manner.gpu else sum(taken_each[-at_once:])
    lines = [
        *_table(work, steps, of_disk[0], manner.each_gpu),
        *memory.in_words(most, manner.gpu, cards() if manner.gpu else []),
        disk.in_words(work.out, of_disk[0], of_disk[1], manner.keep, at_once),
        beside.plan_line(parts, at_once, manner.gpu),
        _time_line(steps, parts, manner),
    ]
    what = task_of(steps[-1].training.variant).extent(work.dataset, work.splits)
    head = f"{work.experiment.name} on {work.dataset.name}: {what}, on {device_name(manner.gpu)}, into {work.out}"
    return "\n".join([head, "", *lines, *taken, *_weights(work, trainings, manner)])


def _weights(work: Workspace, trainings: Sequence[Training], manner: Manner) -> list[str]:
    """What there is to say of the weights that the nets start from."""
    lines = starting.filled_by(work, trainings, manner.start, manner.given)
    if manner.start.weights or manner.remark is None:
        return lines
    if manner.start.from_scratch:
        return [*lines, f"weights: none (--from-scratch); {manner.remark}"]
    return [*lines, f"weights: none; {manner.remark}", *task_of(trainings[-1].variant).usual_weights(trainings[-1])]


def _time(steps: list[Step], parts: Sequence[Part[None]], compute: Compute) -> None:
    """Sets the pace of every step that is not done, by trials, with the threads that its part has."""
    paces: dict[tuple[str | None, ...], Pace] = {}
    for number, each in enumerate(steps):
        compute.progress(Counted("trial", "nets"), number, len(steps))
        if each.done < each.iterations:
            stage, run = each.training.stage, each.training.run
            key = stage.net, stage.training, stage.data  # the splits differ in their lists alone
            paces[key] = each.pace = paces.get(key) or trial(
                each.training.files,
                replace(
                    compute.keeping(run.algorithms if run.folder.exists() else None), threads=parts[number].threads
                ),
            )
        compute.progress(Counted("trial", "nets"), number + 1, len(steps))


def _table(work: Workspace, steps: list[Step], of_disk: Sequence[Disk], gpu: Gpu | None) -> list[str]:
    """A line a training, and an empty one below. gpu: what each has of the GPUs."""
    on_each = " on each" if gpu and len(gpu.numbers) > 1 else ""
    rows = [("stage", "iterations", "batch", "starts from", "memory", "disk", "time")]
    for each, its_disk in zip(steps, of_disk):
        state = "" if not each.done else " (done)" if each.done >= each.iterations else f" (from {each.done})"
        due = "?" if each.seconds is None else duration(each.seconds) if each.seconds else "none"
        rows.append(
            (
                work.name_of(each.training.run),
                f"{each.iterations}{state}",
                task_of(each.training.variant).batch(each.training) + on_each,
                each.start,
                memory.size(each.memory.total(gpu)),
                room.words(its_disk.total),
                "at least " * each.least + due,
            )
        )
    return [*aligned(rows, left=7), ""]


def _time_line(steps: list[Step], parts: Sequence[Part[None]], manner: Manner) -> str:
    known = [each.seconds for each in steps if each.seconds is not None]
    if len(known) < len(steps):
        return "time: not measured; --trial measures it"
    if not sum(known):
        return "time: none, all of it is done"
    least = "at least " * any(each.least for each in steps)
    total = seconds(parts, manner.jobs, known, manner.gpu is not None)
    return f"time: {least}{duration(total)} in all, by a few real iterations of each net just now"


def device_name(gpu: Gpu | None) -> str:
    return gpu.name if gpu else "the CPU"
