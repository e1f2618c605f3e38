"""Trains one net with the `caffe` tool: from its prototxt files to its last snapshot, through any number of
interruptions.

A run is cut into segments at the solver's snapshots. Each segment is a Caffe process of its own, whose random draws
follow from the seed and from its first iteration alone; so a run that was killed and goes on from its last snapshot
ends, to the bit, as one that was not. (Ctrl-C is gentler: Caffe then makes a snapshot where it stands and the run goes
on from there, with other draws of dropout.) Its data a segment reads on from where they are due; the LSTMs of nets that
carry their state from batch to batch, lm/*, begin each segment with an empty one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from data_prep import stretch
from data_prep.children import python
from data_prep.whole_files import MARK, sweep, write_bytes, write_text
from lrcn.engine.compute import Compute
from lrcn.engine.process import GOES_ON, Batches, Caffe, tell_passed_over
from lrcn.engine.ranks import Ranks
from lrcn.training.board import Board
from lrcn.training.follower import Follower
from lrcn.training.run import Files, Kept, Run, TrainError
from lrcn.training.share import MADE_FOR_RANKS, write_solvers
from prototxt_gen import caffe_pb2, parse, solver_states, to_text
from prototxt_gen.weights import binary_of_hdf5

SEGMENT = "segment.prototxt"  # the solver of the process that is at work
FILLERS = ("weight_filler", "bias_filler")
DRAWN_EVERY = 600  # seconds at least between two pictures of the curve, each of which takes half a second


def train(
    run: Run,
    files: Files,
    compute: Compute,
    weights: Sequence[Path] = (),
    share: Any = None,
    kept: Kept = Kept(),
    board: Board | None = None,
) -> Path:
    """Trains the net of `files` (train_test, deploy and solver messages) in the folder of `run`, which the caller has
    locked, and gives its final .caffemodel.

    weights: files to start from, copied layer by layer by name, later ones over earlier. A layer whose shape differs is
    not taken; the log says so of each. share: the train_test net of each of several GPUs, for its share of a batch.
    kept: the snapshots that stay. board: is told of all that is measured. Raises TrainError, and CaffeError where Caffe
    ends.
    """
    solver, compute = files["solver"], compute.keeping(run.algorithms)
    for name, message in files.items():
        write_text(run.folder / f"{name}.prototxt", to_text(message))
    for folder in ("snapshots", "logs"):
        (run.folder / folder).mkdir(exist_ok=True)

    done, drawn = run.begin_from(compute.progress), time.monotonic()
    follower = Follower(run, solver.max_iter, done, compute.progress, board)
    while done < solver.max_iter:
        if done and time.monotonic() - drawn > DRAWN_EVERY:
            run.draw_curve()
            drawn = time.monotonic()
        run.thin(done, kept)
        step = solver.snapshot or solver.max_iter
        end = min((done // step + 1) * step, solver.max_iter)
        _segment(run, solver, compute, (done, end), weights, share, follower)
        if not run.snapshots.has_form(end):
            raise TrainError(
                f"{run.snapshots.folder}: Caffe left no whole snapshot at iteration {end}; is the disk full? {GOES_ON}"
            )
        run.snapshots.seal(end)
        done = end
    if solver.test_iter and follower.lacks_last_test:
        _test(run, solver, compute, share, follower)
    follower.finish()
    tell_passed_over(sorted(run.folder.glob("logs/from-*.log")), compute)
    run.draw_curve()
    run.thin(done, kept)
    sweep(run.folder / "stretch", stretch.MADE)
    sweep(run.folder / "ranks", MADE_FOR_RANKS)
    return run.snapshot(solver.max_iter)


def _segment(
    run: Run,
    solver: caffe_pb2.SolverParameter,
    compute: Compute,
    iterations: tuple[int, int],
    weights: Sequence[Path],
    share: Any,
    follower: Follower,
) -> None:
    """One Caffe process, or one a GPU, from a snapshot to the next."""
    start, end = iterations
    piece = _piece(solver, compute, end)
    if start:
        piece.net = _net_going_on(run.folder, solver, start, end)
    piece.random_seed = solver.random_seed + start
    write_text(run.folder / SEGMENT, to_text(piece))
    log = run.folder / "logs" / f"from-{start:07d}.log"
    if weights and not start:
        _start_from(weights, run.folder, compute, log)
        if why := run.fault(0):
            raise TrainError(f"{why}; is the disk full? {GOES_ON}")
        run.snapshots.seal(0)
    run.note_device(start, compute.about(), compute.blas_threads)
    state, before = _state(run, start) if start or weights else None, run.snapshots.stamps()
    with _solving(piece, compute, log, state, start * max(solver.iter_size, 1), share) as caffe:
        try:
            follower.follow(caffe.log_lines(), end)
        except TrainError:
            caffe.close()
            for late in run.folder.glob(f"snapshots/net_iter_{end}.*"):  # Caffe came to it before its log was read
                late.unlink()
            raise
        except KeyboardInterrupt:
            # The terminal has sent Ctrl-C to Caffe as well; it writes a snapshot and stops. From elsewhere, pass it on.
            caffe.interrupt()
            run.snapshots.seal_new(before)
            raise


def _test(run: Run, solver: caffe_pb2.SolverParameter, compute: Compute, share: Any, follower: Follower) -> None:
    """The solver's tests of the last snapshot. Caffe makes none at an end that is no multiple of the interval, and one
    that is killed after its last snapshot had none either."""
    end = solver.max_iter
    piece = _piece(solver, compute, end)
    piece.test_interval, piece.display, piece.snapshot, piece.snapshot_after_train = 1, 0, 0, False
    write_text(run.folder / SEGMENT, to_text(piece))
    log = run.folder / "logs" / f"from-{end:07d}.log"
    with _solving(piece, compute, log, _state(run, end), end * max(solver.iter_size, 1), share) as caffe:
        follower.follow(caffe.log_lines(), end)


def _piece(solver: caffe_pb2.SolverParameter, compute: Compute, end: int) -> caffe_pb2.SolverParameter:
    """The solver, in the folder of its run, as far as iteration `end`."""
    piece = caffe_pb2.SolverParameter()
    piece.CopyFrom(solver)
    piece.max_iter, piece.net, piece.snapshot_prefix = end, "train_test.prototxt", "snapshots/net"
    piece.solver_mode = caffe_pb2.SolverParameter.GPU if compute.gpu else caffe_pb2.SolverParameter.CPU
    return piece


def _state(run: Run, iteration: int) -> str:
    """The file from which a solver goes on, as it is called in the run's folder."""
    return str(run.snapshot(iteration).relative_to(run.folder).with_suffix(".solverstate"))


def _solving(
    solver: caffe_pb2.SolverParameter, compute: Compute, log: Path, state: str | None, first_batch: int, share: Any
) -> Caffe:
    """Caffe at work on SEGMENT, which holds `solver`, in the folder of the run whose log it writes."""
    folder = log.parent.parent
    if share is not None and compute.gpu:
        solvers = write_solvers(folder, solver, share, len(compute.gpu.numbers))
        return Ranks(compute, solvers, state, log, folder, first_batch)
    command = [str(compute.engine.caffe), "train", f"--solver={SEGMENT}"]
    command += [f"--snapshot={state}"] if state else []
    command += [f"--gpu={compute.gpu.number}"] if compute.gpu else []
    return Caffe(compute, command, log, folder, Batches(first_batch))


def _net_going_on(folder: Path, solver: caffe_pb2.SolverParameter, start: int, end: int) -> str:
    """The file of the net for iterations `start` to `end`: one whose own Caffe layers begin with the data due then, and
    whose weights, which the snapshot has, are not drawn first: that takes seconds of a large net."""
    net: Any = parse(folder / "train_test.prototxt")
    batches = max(solver.iter_size, 1)
    stretch.begin_at(net, solver_states(solver, net)[0], start * batches, end * batches, folder)
    for layer in net.layer:
        for _, own in layer.ListFields():
            for filler in FILLERS:
                if isinstance(own, Message) and filler in own.DESCRIPTOR.fields_by_name:
                    own.ClearField(filler)
    write_text(folder / "stretch.prototxt", to_text(net))
    return "stretch.prototxt"


def _start_from(weights: Sequence[Path], folder: Path, compute: Compute, log: Path) -> None:
    """Writes the snapshot of iteration 0 that holds these weights; `log` begins with what was taken of them."""
    binary = [as_caffemodel(path, folder).resolve() for path in weights]
    log.unlink(missing_ok=True)
    with Caffe(compute, python("lrcn.engine.start_weights", *binary), log, folder) as caffe:
        caffe.wait()
    for path in set(binary) - {path.resolve() for path in weights}:
        path.unlink()


def as_caffemodel(path: Path, folder: Path) -> Path:
    """The file; of an HDF5 file, which only a net with all of its layers could take, a .caffemodel in `folder`."""
    if not path.name.endswith(".h5"):
        return path
    made = folder / f".{path.name[:50]}.{MARK}"
    write_bytes(made, binary_of_hdf5(path))
    return made
