"""Caffe's logs, read: the one place that knows how Caffe, and glog before it, writes its lines.

`Reader` makes entries of lines as they come, `Curve` a curve of entries, `LogFiles` that of files, which it follows
while they grow. The lines are those of BVLC's Caffe and of its derivatives since 2014.
"""

from __future__ import annotations

import csv
import errno
import io
import math
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from data_prep.whole_files import write_text
from lrcn.results.lettering import plain
from lrcn.results.tables import is_share

BEGINS, SOLVING, TESTING = "begins", "solving", "testing"  # kinds of entries that hold no number
_LINE = re.compile(
    r"Iteration (?P<iteration>\d{1,15})(?:, Testing net(?: \(#(?P<net>\d{1,9})\))?"
    r"|(?: \([^)]*\))?, loss = (?P<loss>[-+\w.#]+)|, lr = (?P<lr>[-+\w.#]+))"
    r"|(?P<phase>Train|Test) net output #\d+: (?P<output>\S+) = (?P<value>[-+\w.#]+)"  # of Windows 1.#QNAN too
    r"|\] (?P<begins>Initializing solver)|\] (?P<solving>Solving )"
    r"|^(?P<test_state>test_state \{)|^  stage: \"(?P<stage>test-on-[^\"]*)\"|^(?P<close>\})"
)
_CLOCK = re.compile(r"\b[IWEF](?P<year>\d{4})?(?P<minute>\d{4} \d\d:\d\d):(?P<second>\d\d(?:\.\d{1,6})?)")
_HALF_YEAR = 183 * 86400.0
_LONGEST = 1 << 16  # bytes of a line; what is longer is taken for several
OF_RUN = "logs/from-*.log"  # in a run's folder, from-N.log from iteration N on


class Entry(NamedTuple):
    """What a line says. kind: "loss", "lr", "train" or "test" and the like where there is a `value`; "testing", where a
    test begins; "begins" and "solving", where a process does, and its training. name: of the value's column, as "loss"
    or "test accuracy". clock: when, in seconds since 1970; None where the line does not say."""

    kind: str
    iteration: int
    name: str = ""
    value: float = math.nan
    clock: float | None = None


class Reader:
    """Makes entries of a log's lines, which it is given one after another.

    Of a solver that tests several nets, the tests on held-out data are "test NAME" (as in all of lrcn's: the stages
    `test-on-val` and `test-on-test`), those on the training data "test-on-train NAME"; where nobody says which is
    which, the first is "test", the others "test #1" and so on. An output of several numbers is NAME, NAME[1], ...
    """

    def __init__(self) -> None:
        self._iteration, self._test = 0, "test"
        self._stages: list[str] = []  # of each test_state of the solver, the one that says on what it tests
        self._in_state = False  # whether the lines of a test_state are being read
        self._names: list[str] = []  # of the block of outputs that is being read
        self._clock: float | None = None  # of the last line that says one

    def read(self, line: str) -> Entry | None:
        """The entry of a line, None for one that says nothing of the curve."""
        if not (match := _LINE.search(line)):
            return None
        now = clock(line, self._clock)
        self._clock = self._clock if now is None else now
        if match["iteration"]:
            return self._of_iteration(match, now)
        if match["phase"]:
            kind = "train" if match["phase"] == "Train" else self._test
            name, value = self._column(f"{kind} {plain(match['output'])}"), _number(match["value"])
            return Entry(kind, self._iteration, name, value, now)
        if match["solving"]:
            return Entry(SOLVING, self._iteration, clock=now)
        if match["begins"]:
            self._stages = []
            return Entry(BEGINS, self._iteration, clock=now)
        self._of_solver(match)
        return None

    def _of_solver(self, match: re.Match[str]) -> None:
        """Lines of the solver's settings, which a log begins with."""
        if match["test_state"]:
            self._stages.append("")
        elif match["stage"] and self._in_state:
            self._stages[-1] = match["stage"]
        self._in_state = bool(match["test_state"] or match["stage"] and self._in_state)

    def _of_iteration(self, match: re.Match[str], now: float | None) -> Entry:
        iteration, self._names = int(match["iteration"]), []
        if match["lr"]:
            return Entry("lr", iteration, "lr", _number(match["lr"]), now)
        self._iteration = iteration
        if match["loss"]:
            return Entry("loss", iteration, "loss", _number(match["loss"]), now)
        self._test = self._test_name(int(match["net"] or 0))
        return Entry(TESTING, iteration, clock=now)

    def _test_name(self, net: int) -> str:
        """What tests of the net of this number are called."""
        stage = self._stages[net] if net < len(self._stages) else ""
        if stage:
            return stage if stage == "test-on-train" else "test"
        return f"test #{net}" if net else "test"

    def _column(self, name: str) -> str:
        self._names.append(name)
        number = self._names.count(name) - 1
        return f"{name}[{number}]" if number else name


def entries_of(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries of a log's lines."""
    return filter(None, map(Reader().read, lines))


def clock(line: str, before: float | None = None) -> float | None:
    """When glog wrote a line, seconds since 1970 by this machine's time zone. A year that is not said is that of the
    nearest such day to `before`, the clock of another line; or else the last one in which that was not yet to come."""
    if not (match := _CLOCK.search(line)):
        return None
    if match["year"]:
        years, first, last = [int(match["year"])], -math.inf, math.inf
    elif before is not None:
        year = time.localtime(before).tm_year
        years, first, last = [year, year - 1, year + 1], before - _HALF_YEAR, before + _HALF_YEAR
    else:
        now = time.time()
        year = time.localtime(now).tm_year
        years, first, last = list(range(year, year - 9, -1)), -math.inf, now + 86400
    minutes = (_minute(year, match["minute"]) for year in years)
    known = (minute for minute in minutes if minute is not None and first <= minute <= last)
    return next((minute + float(match["second"]) for minute in known), None)


@lru_cache(64)
def _minute(year: int, minute: str) -> float | None:
    """The clock of "MMDD HH:MM"; None where there is no such, as on the 29th of February of most years."""
    try:
        return datetime.strptime(f"{year:04}{minute}", "%Y%m%d %H:%M").timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # a line that another process wrote into
        return math.nan


def tests_of(columns: Iterable[str]) -> list[str]:
    """The columns of tests, on held-out data first, and of these the shares."""
    names = [name for name in columns if name.startswith("test")]
    return sorted(names, key=lambda name: (not name.startswith("test "), not is_share(name)))


# ---- a curve -----------------------------------------------------------------------------------------------


@dataclass
class Sitting:
    """One process of Caffe's, as far as it says when: the first and the last iteration that it showed, and the seconds
    between; `begun` and `ended`, clocks of the first and last line of all."""

    begun: float | None = None
    ended: float | None = None
    first: int = 0
    last: int = 0
    first_clock: float | None = None
    last_clock: float | None = None

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended - self.begun) if self.begun is not None and self.ended is not None else 0.0

    @property
    def pace(self) -> tuple[int, float]:
        """Iterations, and the seconds that they took, tests between them included."""
        if self.first_clock is None or self.last_clock is None:
            return 0, 0.0
        return self.last - self.first, max(0.0, self.last_clock - self.first_clock)


@dataclass
class Curve:
    """What logs say, in the order in which they are given. rows: by iteration, the value of each column; clocks: when
    that was, in seconds since 1970; measured: the last value of each column. Where a training goes on from before its
    last iteration, or begins anew, the later one counts."""

    rows: dict[int, dict[str, float]] = field(default_factory=dict)
    clocks: dict[int, float] = field(default_factory=dict)
    sittings: list[Sitting] = field(default_factory=list)
    _measured: dict[str, float] | None = field(default_factory=dict)  # None: to be made of the rows
    _new: bool = True  # whether the next iteration is the first of its sitting

    @property
    def measured(self) -> dict[str, float]:
        if self._measured is None:
            self._measured = {name: value for _, row in sorted(self.rows.items()) for name, value in row.items()}
        return self._measured

    def add(self, entry: Entry) -> None:
        """Takes in what a line says."""
        if entry.kind == SOLVING:
            return
        if entry.kind == BEGINS:
            self.sittings.append(Sitting(entry.clock, entry.clock))
            self._new = True
            return
        if not self.sittings or (entry.kind in (TESTING, "loss") and entry.iteration < self.sittings[-1].last):
            self.sittings.append(Sitting(entry.clock))
            self._new = True
        if self._new:
            self._forget_after(entry.iteration)
            self.sittings[-1].first = self.sittings[-1].last = entry.iteration
            self._new = False
        self._note_time(entry)
        if entry.name:
            self.rows.setdefault(entry.iteration, {})[entry.name] = entry.value
            if self._measured is not None:
                self._measured[entry.name] = entry.value

    def _forget_after(self, iteration: int) -> None:
        while self.rows and next(reversed(self.rows)) > iteration:  # they rise
            self.rows.popitem()
            self._measured = None

    def _note_time(self, entry: Entry) -> None:
        sitting = self.sittings[-1]
        sitting.last = max(sitting.last, entry.iteration)
        if entry.clock is None:
            return
        self.clocks[entry.iteration] = entry.clock
        sitting.begun = entry.clock if sitting.begun is None else sitting.begun
        sitting.ended = entry.clock
        if entry.kind == "loss":
            if sitting.first_clock is None:
                sitting.first, sitting.first_clock = entry.iteration, entry.clock
            sitting.last_clock = entry.clock

    @property
    def table(self) -> list[dict[str, float]]:
        """A row an iteration, with its number."""
        return [{"iteration": iteration, **self.rows[iteration]} for iteration in sorted(self.rows)]

    @property
    def columns(self) -> list[str]:
        """Their names, in the order in which they came."""
        return list(self.measured)

    @property
    def iteration(self) -> int:
        """The last that is told of."""
        return max(self.rows, default=0)

    @property
    def seconds(self) -> float:
        """What all of it took, by the log's clock, breaks left out; 0 where it says no times."""
        return sum(sitting.seconds for sitting in self.sittings)

    @property
    def rate(self) -> float | None:
        """Iterations a second, tests included; None where that cannot be said."""
        return _rate([sitting.pace for sitting in self.sittings])

    @property
    def rate_now(self) -> float | None:
        """That of the process which came last, or else before it."""
        return next((rate for sitting in reversed(self.sittings) if (rate := _rate([sitting.pace]))), None)

    def points(self, name: str) -> list[tuple[int, float]]:
        """(iteration, value) of a column."""
        return [(iteration, row[name]) for iteration, row in sorted(self.rows.items()) if name in row]

    def best(self, name: str) -> tuple[int, float] | None:
        """(iteration, value) of the best finite value: the largest of a share, the least of a loss or an error; None of
        what has a name that tells neither."""
        if not (is_share(name) or re.search("loss|err|perplexity", name.lower())):
            return None
        finite = [point for point in self.points(name) if math.isfinite(point[1])]
        sign = -1 if is_share(name) else 1
        return min(finite, key=lambda point: (sign * point[1], point[0])) if finite else None

    @property
    def tests(self) -> list[str]:
        """The columns of tests, as `tests_of` has them."""
        return tests_of(self.columns)

    @property
    def headline(self) -> dict[str, float]:
        """Of `measured` the loss, and the first of `tests`."""
        return {name: self.measured[name] for name in ("loss", *self.tests[:1]) if name in self.measured}

    def write_csv(self, path: Path) -> None:
        """All points, a row an iteration, into a file that appears whole."""
        text = io.StringIO()
        table = csv.DictWriter(text, ["iteration", *self.columns])
        table.writeheader()
        table.writerows(self.table)
        write_text(path, text.getvalue())


def _rate(paces: Sequence[tuple[int, float]]) -> float | None:
    iterations, seconds = sum(pace[0] for pace in paces), sum(pace[1] for pace in paces)
    return iterations / seconds if iterations and seconds else None


# ---- files -------------------------------------------------------------------------------------------------


class LogFiles:
    """The log of a training and its curve; `update` reads what has been added since. One that was begun anew is read
    anew."""

    def __init__(self, file: Path | None = None, folder: Path | None = None) -> None:
        """file: the log; or folder: of a run, whose logs are those that are there."""
        self._file, self._folder = file, folder
        self._begin()

    def _begin(self) -> None:
        self.curve = Curve()
        self._readers: dict[Path, Reader] = {}
        self._at: dict[Path, int] = {}  # how far each is read

    @property
    def paths(self) -> list[Path]:
        """The files, in order."""
        return sorted(self._folder.glob(OF_RUN)) if self._folder else [self._file] if self._file else []

    def update(self) -> Curve:
        """The curve, with what the files say by now. OSError where a file cannot be read."""
        paths = self.paths
        if any(path not in paths or path.stat().st_size < at for path, at in self._at.items()):
            self._begin()
        for path in paths:
            self._read(path)
        return self.curve

    def _read(self, path: Path) -> None:
        reader = self._readers.setdefault(path, Reader())
        if path.is_char_device() or path.is_block_device():
            raise OSError(errno.EINVAL, "a device, which may never end", str(path))
        with path.open("rb") as file:
            if at := self._at.get(path, 0):  # a pipe is read from its beginning alone
                file.seek(at)
            for line in iter(lambda: file.readline(_LONGEST), b""):
                if line.endswith(b"\n") or self._file or len(line) == _LONGEST:  # a line of a run is whole by and by
                    self._at[path] = self._at.get(path, 0) + len(line)
                    if entry := reader.read(line.decode(errors="replace")):
                        self.curve.add(entry)
