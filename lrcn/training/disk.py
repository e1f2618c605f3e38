"""What a training takes of the disk, by the net's shapes: snapshots, logs, the stretch of its data that it goes on
from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep import room, stills
from lrcn.training.memory import TWO_HISTORIES
from lrcn.training.run import TrainError
from lrcn.training.workspace import Training
from prototxt_gen import solver_states, to_text
from prototxt_gen.shapes import FLOAT
from prototxt_gen.states import is_in

LINE, LINES = 100, 4  # bytes of a line of Caffe's log; lines of an iteration that it displays
FEW = 2  # snapshots; what the plan names beside all of them


@dataclass(frozen=True)
class Disk:
    """Bytes: of a snapshot's .caffemodel and .solverstate together; of all logs; of the stretch of its data that lies
    beside a training that goes on, until its end; of what lies in its folder already. snapshots: how many are left in
    the end; beside: how many more lie there at times; ended: the last is there."""

    snapshot: int
    snapshots: int
    beside: int
    logs: int
    stretch: int
    there: int
    ended: bool = False

    @classmethod
    def of(cls, training: Training, keep: int | None, needed: Collection[int], from_weights: bool) -> Disk:
        """keep, needed: as `Kept` has them, None for all. from_weights: whether it begins with a snapshot of the
        weights that it starts from."""
        solver, run = training.files["solver"], training.run
        step = solver.snapshot or solver.max_iter
        made = {*range(step, solver.max_iter + 1, step), solver.max_iter} | ({0} if from_weights else set())
        kept = made if keep is None else {*sorted(made)[-keep:], *(made & set(needed))}
        segments = -(-solver.max_iter // step)
        text = len(to_text(training.files["train_test"]))
        lines = LINES * (solver.max_iter // solver.display) if solver.display else 0
        return cls(
            _snapshot(training),
            len(kept),
            int(len(kept) < len(made)),
            segments * 6 * text + LINE * lines,  # Caffe says the net for each phase, and what it builds of it
            _stretch(training, step) if segments > 1 else 0,
            room.taken([*run.folder.glob("snapshots/*"), *run.folder.glob("logs/*")]),
            run.snapshot(solver.max_iter).exists(),
        )

    @property
    def total(self) -> int:
        """What lies there in the end."""
        return self.snapshots * self.snapshot + self.logs

    @property
    def left(self) -> int:
        """What is yet to be written."""
        return 0 if self.ended else max(0, self.total - self.there)

    @property
    def at_times(self) -> int:
        """What more lies there while it trains."""
        return self.beside * self.snapshot + self.stretch if self.left else 0


def _snapshot(training: Training) -> int:
    """Bytes of a snapshot: each layer's weights, and what the solver keeps of each weight."""
    net, histories = training.net, 2 if training.files["solver"].type in TWO_HISTORIES else 1
    return FLOAT * (sum(row.parameters or 0 for row in net.rows) + histories * net.parameters)


def _stretch(training: Training, iterations: int) -> int:
    """Bytes of the images that Caffe's own Data layers are given anew for a stretch of so many iterations."""
    solver, net = training.files["solver"], training.files["train_test"]
    state, size = solver_states(solver, net)[0], 0.0
    for layer in net.layer:
        if layer.type == "Data" and is_in(layer, state):
            stored = Path(layer.data_param.source)
            images = iterations * max(solver.iter_size, 1) * layer.data_param.batch_size
            whole = stills.read_note(stored)["images"] if (stored / stills.NOTE).exists() else images
            size += room.taken([stored / "data.mdb"]) * min(1, images / max(whole, 1))
    return round(size)


def total(disks: Sequence[Disk], at_once: int = 1) -> int:
    """What is yet to be written for all of them, so many at a time, at most."""
    return sum(each.left for each in disks) + sum(sorted(each.at_times for each in disks)[-at_once:])


def check(out: Path, disks: Sequence[Disk], fewer: Sequence[Disk], at_once: int = 1) -> None:
    """TrainError where they cannot fit. fewer: the same with `--keep FEW`. at_once: how many are trained at a time."""
    need, free = total(disks, at_once), room.free(out)
    if need > free:
        less = total(fewer, at_once)
        mend = f"--keep {FEW} (about {room.words(less)})" if less <= free else ""
        raise TrainError(
            f"{out}: the training needs about {room.words(need)} of disk, and {room.words(free)} are free; "
            + ("give " + mend + ", or" if mend else "free some, or give")
            + " an --out on another disk"
        )


def in_words(out: Path, disks: Sequence[Disk], fewer: Sequence[Disk], keep: int | None, at_once: int = 1) -> str:
    """The plan's line of it. at_once: how many are trained at a time."""
    whole, left, free = sum(each.total for each in disks), total(disks, at_once), room.free(out)
    of = "all snapshots" if keep is None else f"the last {keep} snapshots" if keep > 1 else "the last snapshot"
    line = (
        f"disk: about {room.words(whole)} in {out}, {of} of each net and its logs; {room.words(left)} yet to be written"
    )
    line += f", what goes again included; {room.words(free)} free" + (", which is too little" if left > free else "")
    saved = sum(each.total for each in fewer)
    return line + (f"; --keep {FEW} leaves about {room.words(saved)}" if saved < whole else "")
