"""How trainings stand, from their folders alone: logs, snapshots and locks, whoever trains there."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lrcn.engine.process import reason
from lrcn.results.lettering import plain
from lrcn.results.tables import aligned, duration, folded, table_or_records, value_in_words
from lrcn.training.logs import BEGINS, LogFiles, Reader, tests_of
from lrcn.training.run import Run, TrainError, is_at_work_in, runs_in

INTERRUPTED = "Optimization stopped early"
UNTOLD = "its log does not say why; it may have been killed, or memory or disk be full; `lrcn train` goes on from there"
FRESH = 120.0  # seconds after which a log that says nothing more is taken for a dead one's, at least
_BARS = "▁▂▃▄▅▆▇█"
_LAST_LINES = 400  # of a log, in which the reason of its end stands
# States of a training
FINISHED, GIVEN, AT_WORK, ELSEWHERE, STOPPED, BEFORE = (
    "finished",
    "given",
    "training",
    "training elsewhere",
    "stopped",
    "not begun",
)


@dataclass(frozen=True)
class Standing:
    """A training at a moment. iterations: that it is to have; measured: last values, by the columns of the log; rate:
    iterations a second, tests included; left and taken: seconds; snapshot: the last whole one's iteration; reason: why
    it stopped; weights: the net it ended with; begun: when, in seconds since 1970. None for what is not known."""

    name: str
    folder: Path
    state: str
    iteration: int = 0
    iterations: int | None = None
    measured: dict[str, float] = field(default_factory=dict)
    rate: float | None = None
    left: float | None = None
    taken: float | None = None
    snapshot: int | None = None
    reason: str | None = None
    weights: Path | None = None
    begun: float | None = None

    @property
    def over(self) -> bool:
        """Whether nobody trains there."""
        return self.state not in (AT_WORK, ELSEWHERE)

    @property
    def document(self) -> dict[str, Any]:
        """Ready for JSON: a number that is none, as the loss of a training that has diverged, is null."""
        measured = {name: value if math.isfinite(value) else None for name, value in self.measured.items()}
        paths = {"folder": str(self.folder), "weights": str(self.weights) if self.weights else None}
        return asdict(self) | {"measured": measured} | paths


class Watched:
    """The runs of a folder, or the one that it is, whose logs are read on from look to look."""

    def __init__(self, folder: Path) -> None:
        """TrainError where the folder holds no training."""
        self.folder = folder
        self._logs: dict[Path, LogFiles] = {}
        self._done: dict[Path, tuple[list[tuple[str, int]], int]] = {}  # by the snapshots that were there
        self.at_work = False  # whether somebody was, when `text` was asked for
        if not self._runs():
            raise TrainError(f"{folder}: holds no training; give a run's folder, or the --out of `lrcn train`")

    def _runs(self) -> list[Run]:
        folders = [self.folder, *sorted(self.folder.glob("split[0-9]*"))]
        return [run for folder in folders for run in runs_in(folder)]

    def look(self) -> list[Standing]:
        """How each stands now, in the order in which they were begun."""
        standings = [self._standing(run) for run in self._runs()]
        return sorted(standings, key=lambda each: (each.begun is None, each.begun or 0.0))

    def text(self, width: int | None, curves: bool = False) -> str:
        """How they stand now, in lines of `width` letters; with the course of the loss of those at work."""
        standings = self.look()
        here = is_at_work_in(self.folder)  # between two nets nobody trains, but goes on to
        elsewhere = here is None and any(map(_is_fresh, self._logs.values()))
        self.at_work = bool(here) or elsewhere or not all(each.over for each in standings)
        lines = [progress_text(standings, width)]
        for each in standings:
            losses = [value for _, value in self._logs[each.folder].curve.points("loss")] if curves else []
            if len(losses) > 1 and not each.over:
                lines += [
                    "",
                    f"loss of {each.name}, {max(losses):.3g} to {min(losses):.3g}",
                    spark(losses, width or 80),
                ]
        return "\n".join(lines)

    def _standing(self, run: Run) -> Standing:
        log = self._logs.setdefault(run.folder, LogFiles(folder=run.folder))
        name = run.folder.name if run.folder == self.folder else str(run.folder.relative_to(self.folder))
        return standing_of(run, log, plain(name), self._done_of(run))

    def _done_of(self, run: Run) -> int:
        """The iteration of the last whole snapshot; states, which are large, are read again only where others lie
        there."""
        try:
            states = sorted((path.name, path.stat().st_size) for path in run.folder.glob("snapshots/*.solverstate"))
            if run.folder not in self._done or self._done[run.folder][0] != states:
                self._done[run.folder] = states, run.done
        except FileNotFoundError:  # of an old snapshot, which has just been removed
            pass
        return self._done.get(run.folder, ([], 0))[1]


def standing_of(run: Run, log: LogFiles, name: str, done: int) -> Standing:
    """How a run stands, of whose snapshots that of iteration `done` is the last; its `log` is read on."""
    if run.given:
        return Standing(name, run.folder, GIVEN, weights=run.given)
    curve, last = log.update(), run.iterations
    state = _state(run, log, last is not None and done >= last)
    rate = curve.rate_now if state in (AT_WORK, ELSEWHERE) else curve.rate
    iteration = done if state == FINISHED else max(curve.iteration, done)
    return Standing(
        name,
        run.folder,
        state,
        iteration,
        last,
        curve.measured,
        rate,
        (last - iteration) / rate if rate and last is not None and state in (AT_WORK, ELSEWHERE) else None,
        curve.seconds or None,
        done or None,
        _reason(log) if state == STOPPED else None,
        run.snapshot(done) if state == FINISHED else None,
        curve.sittings[0].begun if curve.sittings else None,
    )


def _state(run: Run, log: LogFiles, finished: bool) -> str:
    here = is_at_work_in(run.folder)
    if here:
        return AT_WORK
    if finished:
        return FINISHED
    if here is None and _is_fresh(log):
        return ELSEWHERE
    return STOPPED if log.paths else BEFORE


def _is_fresh(log: LogFiles) -> bool:
    """Whether a log is young enough for somebody to be writing it: some times what lies between its iterations."""
    clocks = sorted(log.curve.clocks.values())[-3:]
    between = max((later - earlier for earlier, later in zip(clocks, clocks[1:])), default=0.0)
    newest = max((path.stat().st_mtime for path in log.paths), default=0.0)
    return time.time() - newest < max(FRESH, 5 * between)


def _reason(log: LogFiles) -> str:
    """Why Caffe ended, in one line, by the last log that it wrote."""
    newest = max(log.paths, key=lambda path: path.stat().st_mtime)
    last = _last_lines(newest)
    if any(INTERRUPTED in line for line in last):
        return "interrupted; `lrcn train` goes on from there"
    if not math.isfinite(log.curve.measured.get("loss", 0.0)):
        return f"the loss is {log.curve.measured['loss']}: training has diverged; give a lower --set base_lr=..."
    others = sorted(newest.parent.glob(f"rank*-{newest.name}"))  # of several GPUs; the first may only miss another
    told = [reason(last, newest), *(reason(_last_lines(path), path) for path in others)]
    return min((plain(line) for line in told if line), key=lambda line: "nccl" in line.lower(), default=UNTOLD)


def _last_lines(path: Path) -> Sequence[str]:
    """Of a log, as far as the last process wrote them."""
    lines, reader = deque[str](maxlen=_LAST_LINES), Reader()
    with path.open(errors="replace") as file:
        for line in file:
            if (entry := reader.read(line)) and entry.kind == BEGINS:
                lines.clear()
            lines.append(line.rstrip())
    return lines


# ---- in words ----------------------------------------------------------------------------------------------


COLUMNS = ("net", "state", "iteration", "loss", "test", "left", "taken", "iterations/s", "snapshot", "learning rate")


def progress_text(standings: Sequence[Standing], width: int | None) -> str:
    """A table of how trainings stand, without the last of COLUMNS where it were wider than `width` letters; and why
    those that have stopped did."""
    rows = [
        (
            each.name,
            each.state,
            "-" if each.state == GIVEN else f"{each.iteration}/{'?' if each.iterations is None else each.iterations}",
            _cell(each.measured, "loss"),
            test_cell(each.measured),
            "-" if each.left is None else f"about {duration(each.left)}",
            "-" if each.taken is None else duration(each.taken),
            "-" if each.rate is None else f"{each.rate:.3g}",
            "-" if each.snapshot is None else str(each.snapshot),
            _cell(each.measured, "lr"),
        )
        for each in standings
    ]
    for columns in range(len(COLUMNS), 4, -1):
        lines = aligned([row[:columns] for row in (COLUMNS, *rows)], left=2)
        if width is None or max(map(len, lines)) <= width:
            break
    for each in standings:
        lines += folded(f"{each.name}: ", each.reason, width, 2) if each.reason else []
    return "\n".join(lines)


def outcome_text(standings: Sequence[Standing], width: int | None) -> str:
    """A table of trainings that are finished, and where their nets lie."""
    titles = ("trained", "iterations", "last loss", "last test", "taken", "net")
    rows = [
        (
            each.name,
            str(each.iterations or "-"),
            _cell(each.measured, "loss"),
            test_cell(each.measured),
            "-" if each.taken is None else duration(each.taken),
            str(each.weights),
        )
        for each in standings
    ]
    return "\n".join(table_or_records(titles, rows, width, right=range(1, 5)))


def spark(values: Sequence[float], width: int) -> str:
    """The course of numbers in a line of at most `width` letters, each the mean of a stretch, higher ones for more; a
    stretch with a number that is none is blank."""
    count = min(width, len(values))
    stretches = [values[len(values) * at // count : len(values) * (at + 1) // count] for at in range(count)]
    means = [sum(stretch) / len(stretch) for stretch in stretches]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, span = min(finite, default=0.0), max(finite, default=0.0) - min(finite, default=0.0) or 1.0
    return "".join(_BARS[round((mean - low) / span * 7)] if math.isfinite(mean) else " " for mean in means)


def _cell(measured: dict[str, float], name: str) -> str:
    return value_in_words(name, measured[name]) if name in measured else "-"


def test_cell(measured: dict[str, float]) -> str:
    """The first of the tests' outputs: "accuracy 63 %"."""
    names = tests_of(measured)
    return f"{names[0].removeprefix('test ')} {_cell(measured, names[0])}" if names else "-"
