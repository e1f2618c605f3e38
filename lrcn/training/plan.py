"""What a training will take, worked out before it starts: stages, weights to start from, memory, time."""

from __future__ import annotations

import hashlib
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from data_prep.whole_files import write_text
from lrcn.activity import clip_settings
from lrcn.engine.process import Caffe
from lrcn.training.experiments import Stage
from lrcn.training.train import ITERATION, OUTPUT, TESTING, TrainError
from netspecs import catalogue
from prototxt_gen import caffe_pb2, to_text, weights
from prototxt_gen.shapes import infer

TRIAL_ITERATIONS, TRIAL_SECONDS = 6, 15  # a trial ends with whichever comes first, but not before one was timed
TRIAL_LIMIT = 60  # seconds; what has not come to an iteration by then is told as "at least"
CLOCK = re.compile(r"^I\d{4,8} (\d\d):(\d\d):(\d\d\.\d+)")
TWO_HISTORIES = ("Adam", "AdaDelta")  # solvers that keep two values beside each weight


# ---- weights to start from ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pretrained:
    """An ILSVRC-2012 net that a single-frame net starts from. sha1: None where none was ever published."""

    file: str
    backbone: str
    where: str
    sha1: str | None
    top1: float

    def describe(self) -> str:
        variant = catalogue.get("activity/single-frame-rgb")
        net = variant.files(backbone=self.backbone, classes=1000)["deploy"]
        megabytes = round(4 * infer(net, "TEST").parameters / 1e6)
        check = f"SHA-1 {self.sha1}" if self.sha1 else "no checksum was published"
        return (
            f"{self.file}: {self.backbone}, {self.top1} % top-1, about {megabytes} MB (4 bytes for each of its "
            f"weights), {check}; {self.where}"
        )


HYBRID = Pretrained(
    "caffe_imagenet_hyb2_wr_rc_solver_sqrt_iter_310000",
    "hybrid",
    "linked from the page that the authors' release names (LRCN_video)",
    None,
    60.2,
)
CAFFENET = Pretrained(
    "bvlc_reference_caffenet.caffemodel",
    "caffenet",
    "named in models/bvlc_reference_caffenet of BVLC Caffe",
    "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
    57.4,
)

NEEDED = (
    f"it starts from ILSVRC-2012 weights: give --weights FILE (the paper's: {HYBRID.file}), or --from-scratch "
    "for random ones; --dry-run says more"
)


def needed_weights() -> list[str]:
    """What can be given as --weights, and what follows, a line each."""
    return [
        "weights to start from, put anywhere and given as --weights FILE:",
        f"  the paper's   {HYBRID.describe()}",
        f"  in its place  {CAFFENET.describe()};",
        f"                with --set backbone=caffenet: another net than the paper's, "
        f"{HYBRID.top1 - CAFFENET.top1:.1f} points below it on ILSVRC-2012, so expect less of Table 1",
        "  none          --from-scratch: random weights; no number of the paper's is of such nets",
    ]


def given_weights(path: Path, stage: Stage, files: dict, inputs: dict) -> list[str]:
    """What the file is, and what the first net that starts from it takes. Raises TrainError where it takes nothing."""
    size = Path(path).stat().st_size
    digest = hashlib.sha1()
    with open(path, "rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    known = f", BVLC's {CAFFENET.file}" if digest.hexdigest() == CAFFENET.sha1 else ""
    held = weights.read_weights(path)
    found = weights.plan(
        files["train_test"],
        held,
        "TRAIN",
        files["solver"].train_state.stage,
        inputs=inputs,
        python=clip_settings.top_shapes,
    )
    by = {
        status: [entry.layer for entry in found.entries if entry.status == status]
        for status in (weights.COPIED, weights.AFRESH, weights.CLASH)
    }
    said = [f"weights: {path}: {size / 1e6:.1f} MB, SHA-1 {digest.hexdigest()}{known}"]
    hint = " CaffeNet's takes --set backbone=caffenet" if stage.task == "activity" else ""
    if not by[weights.COPIED]:
        raise TrainError(f"{path}: holds no layer that fits {stage.variant}; is it another backbone's?{hint}")
    said.append(f"  {stage.variant} takes {', '.join(by[weights.COPIED])}")
    afresh = by[weights.AFRESH] + [f"{name} (of another shape in the file)" for name in by[weights.CLASH]]
    if afresh:
        said.append(f"  and starts afresh with {', '.join(afresh)}")
    if by[weights.CLASH]:
        said.append(f"  layers of another shape mean another backbone or other sizes{hint and ':' + hint}")
    return said


# ---- stages ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pace:
    """Seconds that an iteration takes, and a batch of a test; `least`: it may well be more."""

    iteration: float
    test: float
    least: bool = False


@dataclass
class Step:
    """One stage of the plan: train_bytes, test_bytes of memory; `pace`: what a trial said."""

    stage: Stage
    folder: Path
    iterations: int
    done: int
    batch: str
    start: str
    train_bytes: int
    test_bytes: int
    tests: int  # batches of all tests from here to the end
    pace: Pace | None = None

    @property
    def seconds(self) -> float | None:
        if self.pace is None:
            return None if self.done < self.iterations else 0.0
        return (self.iterations - self.done) * self.pace.iteration + self.tests * self.pace.test

    @property
    def least(self) -> bool:
        return self.pace is not None and self.pace.least


def step(stage: Stage, folder: Path, settings: dict, files: dict, done: int, start: str) -> Step:
    """What the nets and the solver say of a stage of which `done` iterations are done."""
    solver, inputs = files["solver"], catalogue.get(stage.variant).input_shapes(**settings)
    known = {"python": clip_settings.top_shapes}
    train = infer(files["train_test"], "TRAIN", solver.train_state.stage, inputs=inputs["train"], **known)
    tested = list(solver.test_state[0].stage) if solver.test_state else []
    test = infer(files["train_test"], "TEST", tested, inputs=inputs["test"], **known) if solver.test_iter else None
    left = solver.max_iter - done
    return Step(
        stage,
        folder,
        solver.max_iter,
        done,
        batch(stage, settings, solver),
        start,
        train.training_bytes(2 if solver.type in TWO_HISTORIES else 1),
        test.activation_bytes if test else 0,
        (left // solver.test_interval + (not done)) * sum(solver.test_iter) if solver.test_iter and left else 0,
    )


def batch(stage: Stage, settings: dict, solver) -> str:
    """ "24 x 16 frames": videos, and frames of each; "100 x 20 words"."""
    if "streams" in settings:
        text = f"{settings['streams']} x {settings['steps']} words"
    elif stage.model != "single-frame" or settings["backbone"] == "features":
        text = f"{settings['videos']} x {settings['frames']} frames"
    else:
        text = f"{settings['batch']} frames"
    return text + (f" x {solver.iter_size}" if solver.iter_size > 1 else "")


def trial(files: dict, engine, gpu=None) -> Pace:
    """The pace of a net by a few real iterations and tests, in Caffe, with random weights, in a folder that does not
    stay. Raises CaffeError where Caffe refuses."""
    solver = caffe_pb2.SolverParameter()
    solver.CopyFrom(files["solver"])
    solver.net, solver.max_iter, solver.display, solver.average_loss = "train_test.prototxt", TRIAL_ITERATIONS, 1, 1
    solver.snapshot, solver.snapshot_after_train, solver.test_initialization = 0, False, False
    solver.solver_mode = caffe_pb2.SolverParameter.CPU if gpu is None else caffe_pb2.SolverParameter.GPU
    if solver.test_iter:
        solver.test_interval, solver.test_iter[:] = 1, [1] * len(solver.test_iter)
    with tempfile.TemporaryDirectory(prefix="lrcn-trial-") as folder:
        write_text(Path(folder) / "train_test.prototxt", to_text(files["train_test"]))
        write_text(Path(folder) / "solver.prototxt", to_text(solver))
        log = Path(folder) / "log"
        command = [engine.caffe, "train", "--solver=solver.prototxt", *([] if gpu is None else [f"--gpu={gpu}"])]
        with Caffe(engine, command, log, folder, log_name="gone with the trial") as caffe:
            late = _wait(caffe)
        return late or pace(log.read_text(errors="replace"))


def check(engine, gpu=None) -> Pace:
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
    return trial(files, engine, gpu)


def _wait(caffe: Caffe) -> Pace | None:
    """Waits for iterations enough; a pace at least where none came. CaffeError where Caffe ended badly."""
    begun, solving, first = time.monotonic(), None, None
    while caffe.running():
        said, now = caffe.log.read_text(errors="replace"), time.monotonic()
        solving = solving or ("] Solving" in said and now) or None
        first = first or (solving and ITERATION.search(said) and now) or None
        if now - begun > TRIAL_SECONDS and cycles(said):
            return None
        if solving and now - solving > TRIAL_LIMIT:
            return Pace((first or now) - solving, 0.0, True)
        time.sleep(0.05)
    caffe.wait()
    return None


def pace(log: str) -> Pace:
    """Medians over the cycles of a trial's log."""
    found = cycles(log)
    if not found:
        raise TrainError("a trial of a few iterations came to no end; try --no-trial")
    return Pace(statistics.median(train for train, _ in found), statistics.median(test for _, test in found))


def cycles(log: str) -> list[tuple[float, float]]:
    """(seconds of an iteration, seconds of the test before it) from one displayed iteration to the next.

    Caffe says when a test begins and, a moment after its end, what came out; the first iteration is not counted.
    """
    found, last, begun, ended = [], None, None, None
    for line in log.splitlines():
        if not (clock := CLOCK.match(line)):
            continue
        now = 3600 * int(clock[1]) + 60 * int(clock[2]) + float(clock[3])
        if TESTING.search(line):
            begun = ended = now
        elif (output := OUTPUT.search(line)) and output[1] == "Test":
            ended = now
        elif ITERATION.search(line):
            if last is not None:
                test = (ended - begun) % 86400 if begun is not None else 0.0
                found.append(((now - last) % 86400 - test, test))
            last, begun, ended = now, None, None
    return found


# ---- in words ----------------------------------------------------------------------------------------------


def text(name: str, dataset, splits: list[int], out: Path, steps: list[Step], device: str) -> str:
    """The plan, a line a stage, in the order of training."""
    rows = [("stage", "iterations", "batch", "starts from", "memory", "time")]
    for each in steps:
        state = "" if not each.done else " (done)" if each.done >= each.iterations else f" (from {each.done})"
        due = "?" if each.seconds is None else duration(each.seconds) if each.seconds else "none"
        rows.append(
            (
                str(each.folder.relative_to(out)),
                f"{each.iterations}{state}",
                each.batch,
                each.start,
                size(each.train_bytes + each.test_bytes),
                "at least " * each.least + due,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    known = [each.seconds for each in steps if each.seconds is not None]
    most = max(each.train_bytes + each.test_bytes for each in steps)
    what = (
        f"{dataset.description['vocabulary']} words"
        if "vocabulary" in dataset.description
        else f"{len(dataset.classes)} classes, split {', '.join(map(str, splits))}"
    )
    lines = [f"{name} on {dataset.name}: {what}, on the {device}, into {out}", "", *table, ""]
    lines.append(
        f"memory: {size(most)} at most, an estimate from the nets' shapes (weights, gradients, activations in "
        "training and in tests; what loaders and cuDNN take comes on top)"
    )
    if len(known) == len(steps):
        least = "at least " * any(each.least for each in steps)
        total = f"{least}{duration(sum(known))} in all, by a few real iterations of each net just now"
        lines.append(f"time: {total if sum(known) else 'none, all of it is done'}")
    else:
        lines.append("time: not measured; --trial measures it")
    return "\n".join(lines)


def size(count: int) -> str:
    for unit, least in ("GiB", 2**30), ("MiB", 2**20):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count / 1024:.1f} KiB"


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.4 h", "2.5 days"."""
    for unit, length, until in ("s", 1, 90), ("min", 60, 90), ("h", 3600, 48):
        if seconds < until * length:
            return f"{seconds / length:.{0 if unit != 'h' else 1}f} {unit}"
    return f"{seconds / 86400:.1f} days"


def device_name(gpu: int | None) -> str:
    return "CPU" if gpu is None else f"GPU {gpu}"
