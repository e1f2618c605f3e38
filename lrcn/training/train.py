"""Trains one net with the `caffe` tool: from its prototxt files to its last snapshot, through any number of
interruptions.

A run is cut into segments at the solver's snapshots. Each segment is a Caffe process of its own, whose random draws
follow from the seed and from its first iteration alone; so a run that was killed and goes on from its last snapshot
ends, to the bit, as one that was not. (Ctrl-C is gentler: Caffe then makes a snapshot where it stands and the run goes
on from there, with other draws of dropout.) Its data a segment reads on from where they are due; the LSTMs of nets that
carry their state from batch to batch, lm/*, begin each segment with an empty one.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import sys
from pathlib import Path

from google.protobuf.message import DecodeError

from data_prep import stretch
from data_prep.whole_files import write_text
from lrcn.engine.process import Caffe
from prototxt_gen import SpecError, caffe_pb2, parse, solver_states, to_text

ITERATION = re.compile(r"Iteration (\d+)(?: \([^)]*\))?, loss = ([-+\w.]+)")
TESTING = re.compile(r"Iteration (\d+), Testing net")
OUTPUT = re.compile(r"(Train|Test) net output #\d+: (\S+) = ([-+\w.]+)")
RATE = re.compile(r"Iteration (\d+), lr = ([-+\w.]+)")


class TrainError(RuntimeError):
    """A training that cannot start or go on; one line for the user."""


def train(files, out, engine, weights=None, gpu=None, identity=None, fresh=False, progress=None) -> Path:
    """Trains the net of `files` (train_test, deploy and solver messages) in the folder `out` and returns the path of
    its final .caffemodel.

    weights: a .caffemodel to start from, copied layer by layer by name, or a list of them, later ones over earlier. A
    layer whose shape differs is not taken; the log says so of each. identity: what else makes this run this run
    (settings, data, seed); a folder that holds another run is refused. fresh: begin anew. progress: called as (out's
    name, iterations done, iterations in all). Raises TrainError, and CaffeError where Caffe ends.
    """
    out = Path(out)
    weights = [weights] if isinstance(weights, (str, os.PathLike)) else list(weights or ())
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainError(f"{out}: another training is at work there; wait for it or choose another --out") from None
        return _train(files, out, engine, weights, gpu, identity, fresh, progress)


def _train(files, out, engine, weights, gpu, identity, fresh, progress) -> Path:
    solver = files["solver"]
    identity = {
        **(identity or {}),
        "weights": digests(weights),
        "solver": to_text(solver),
        "train_test": to_text(files["train_test"]),
    }
    if fresh:
        for old in [*out.glob("snapshots/*"), *out.glob("logs/*"), *out.glob("run.json")]:
            old.unlink()
    claim(out, identity)
    for name, message in files.items():
        write_text(out / f"{name}.prototxt", to_text(message))
    for folder in ("snapshots", "logs"):
        (out / folder).mkdir(exist_ok=True)

    while (done := last_snapshot(out)) < solver.max_iter:
        if done:
            draw_curve(out)
        step = solver.snapshot or solver.max_iter
        end = min((done // step + 1) * step, solver.max_iter)
        _segment(out, solver, engine, done, end, weights, gpu, progress)
        if last_snapshot(out) <= done:
            raise TrainError(f"{out / 'snapshots'}: Caffe left no whole snapshot at iteration {end}; is the disk full?")
    draw_curve(out)
    shutil.rmtree(out / "stretch", ignore_errors=True)
    return snapshot(out, solver.max_iter)


def snapshot(out: Path, iteration: int) -> Path:
    return Path(out) / "snapshots" / f"net_iter_{iteration}.caffemodel"


def trained(out: Path) -> Path | None:
    """The final .caffemodel of the run in `out`; None where that has not come to its end."""
    try:
        last = parse(Path(out) / "solver.prototxt", "solver").max_iter
    except SpecError:
        return None
    return snapshot(out, last) if last_snapshot(out) >= last else None


def last_snapshot(out: Path) -> int:
    """The iteration of the last snapshot that is whole, 0 where there is none.

    Caffe writes the .caffemodel first and then the .solverstate, whose last field is `current_step`: a state that has
    it closes a whole pair.
    """
    for iteration in sorted(
        (int(p.stem.split("_")[-1]) for p in Path(out).glob("snapshots/net_iter_*.solverstate")), reverse=True
    ):
        state = caffe_pb2.SolverState()
        try:
            state.ParseFromString(snapshot(out, iteration).with_suffix(".solverstate").read_bytes())
        except DecodeError:
            continue
        if state.HasField("current_step") and snapshot(out, iteration).exists():
            return iteration
    return 0


def claim(out: Path, identity: dict) -> None:
    """Marks the folder as this run's, or refuses where it is another's."""
    mark, identity = out / "run.json", json.loads(json.dumps(identity))
    if mark.exists():
        before = json.loads(mark.read_text())
        changed = sorted(key for key in identity.keys() | before.keys() if identity.get(key) != before.get(key))
        if changed:
            raise TrainError(
                f"{out}: holds a run that differs in {', '.join(changed)}; "
                "choose another --out, or --fresh to begin anew"
            )
    write_text(mark, json.dumps(identity, indent=1, sort_keys=True) + "\n")


def check_run(out: Path, files) -> None:
    """Refuses a folder whose run was trained otherwise than `files` say, so that no result bears another run's name."""
    try:
        before = json.loads((out / "run.json").read_text())
    except (OSError, ValueError):
        raise TrainError(f"{out}: holds no training; run `lrcn train` first") from None
    for name in ("train_test", "solver"):
        if before.get(name) != to_text(files[name]):
            raise TrainError(
                f"{out}: was trained with another {name}; give the --set, --split and --seed of `lrcn train`"
            )


def digests(weights) -> str | list[str] | None:
    """What stands for the weights that a run starts from in its run.json: one file's digest by itself."""
    found = [digest(path) for path in weights]
    return found if len(found) > 1 else found[0] if found else None


def digest(path) -> str:
    try:
        with open(path, "rb") as file:
            return (
                hashlib.file_digest(file, "sha256").hexdigest()
                if sys.version_info >= (3, 11)
                else hashlib.sha256(file.read()).hexdigest()
            )
    except OSError as error:
        raise TrainError(f"{path}: {error.strerror}; --weights takes a .caffemodel") from None


def _segment(out, solver, engine, start, end, weights, gpu, progress) -> None:
    piece = caffe_pb2.SolverParameter()
    piece.CopyFrom(solver)
    piece.max_iter, piece.net, piece.snapshot_prefix = end, "train_test.prototxt", "snapshots/net"
    if start:
        piece.net = _net_going_on(out, solver, start, end)
    piece.random_seed = solver.random_seed + start
    piece.solver_mode = caffe_pb2.SolverParameter.CPU if gpu is None else caffe_pb2.SolverParameter.GPU
    write_text(out / "segment.prototxt", to_text(piece))
    command = [str(engine.caffe), "train", "--solver=segment.prototxt"]
    if start or weights:
        command.append(f"--snapshot={snapshot(out, start).relative_to(out).with_suffix('.solverstate')}")
    if gpu is not None:
        command.append(f"--gpu={gpu}")
    log = out / "logs" / f"from-{start:07d}.log"
    if weights and not start:
        _start_from(weights, out, engine, log)
    with Caffe(engine, command, log, out, first_batch=start * max(solver.iter_size, 1)) as caffe:
        try:
            for line in caffe.log_lines():
                _watch(line, lambda iteration: progress and progress(out.name, iteration, solver.max_iter))
        except KeyboardInterrupt:
            # The terminal has sent Ctrl-C to Caffe as well; it writes a snapshot and stops. From elsewhere, pass it on.
            caffe.interrupt()
            raise


def _net_going_on(out: Path, solver, start: int, end: int) -> str:
    """The file of the net for iterations `start` to `end`: one whose own Caffe layers begin with the data due then."""
    net, batches = parse(out / "train_test.prototxt"), max(solver.iter_size, 1)
    if not stretch.begin_at(net, solver_states(solver, net)[0], start * batches, end * batches, out):
        return "train_test.prototxt"
    write_text(out / "stretch.prototxt", to_text(net))
    return "stretch.prototxt"


def _start_from(weights, out, engine, log) -> None:
    """Writes the snapshot of iteration 0 that holds these weights; `log` begins with what was taken of them."""
    command = [sys.executable, "-m", "lrcn.engine.start_weights", *(str(Path(path).resolve()) for path in weights)]
    log.unlink(missing_ok=True)
    with Caffe(engine, command, log, out) as caffe:
        caffe.wait()


def _watch(line: str, tell) -> None:
    """Tells of an iteration that the log names. TrainError where training has diverged."""
    if (found := ITERATION.search(line)) is None:
        return
    if not math.isfinite(float(found[2])):
        raise TrainError(
            f"the loss is {found[2]} at iteration {found[1]}: training has diverged; "
            "give a lower --set base_lr=..., and --fresh"
        )
    tell(int(found[1]))


def read_curve(out) -> list[dict]:
    """What Caffe's logs say, a row an iteration: iteration, lr, loss (smoothed as Caffe prints it), and `train NAME`,
    `test NAME` per net output."""
    rows: dict[int, dict] = {}
    for log in sorted(Path(out).glob("logs/from-*.log")):
        iteration = 0
        for line in log.read_text(errors="replace").splitlines():
            if found := ITERATION.search(line):
                iteration = int(found[1])
                rows.setdefault(iteration, {})["loss"] = float(found[2])
            elif found := TESTING.search(line):
                iteration = int(found[1])
            elif found := OUTPUT.search(line):
                rows.setdefault(iteration, {})[f"{found[1].lower()} {found[2]}"] = float(found[3])
            elif found := RATE.search(line):
                rows.setdefault(int(found[1]), {})["lr"] = float(found[2])
    return [{"iteration": iteration, **rows[iteration]} for iteration in sorted(rows)]


def draw_curve(out) -> None:
    """Writes curve.csv and curve.png from the logs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = read_curve(out)
    names = list(dict.fromkeys(name for row in rows for name in row))
    part = Path(out) / "curve.csv.part"
    with part.open("w", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)
    part.replace(Path(out) / "curve.csv")

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7, 6))
    for name in names:
        if name in ("iteration", "lr"):
            continue
        points = [(row["iteration"], row[name]) for row in rows if name in row]
        (below if "accuracy" in name else above).plot(*zip(*points), label=name, linewidth=1)
    for axes, title in ((above, "loss"), (below, "accuracy")):
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    below.set_xlabel("iteration")
    above.set_title(Path(out).name)
    figure.tight_layout()
    figure.savefig(Path(out) / "curve.png.part", dpi=110, format="png")
    plt.close(figure)
    (Path(out) / "curve.png.part").replace(Path(out) / "curve.png")
