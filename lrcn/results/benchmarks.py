"""The benchmarks that measure a ratio to a named alternative: which there are, how they run, and their table.

Each is a script in benchmarks/, whose `rows.main` prints what it measured.
"""

from __future__ import annotations

import ast
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lrcn.engine import EngineError, find
from lrcn.results.tables import table_or_records

_HERE = Path(__file__).resolve().parents[1]
FOLDER = _HERE / "benchmarks" if (_HERE / "benchmarks").is_dir() else _HERE.parent / "benchmarks"  # wheel, or checkout

GOAL = re.compile(r"(at least|at most) (\d+(?:\.\d+)?)")
INTERRUPTED = "interrupted"
TITLES = ("benchmark", "what", "measured", "alternative", "ratio", "goal", "reached", "against")


@dataclass(frozen=True)
class Row:
    """One thing that was measured in turn with another.

    unit: of `measured` and `other`, as "videos/s". against: the alternative, in words. ratio: of the two, whichever way
    the goal is meant. goal: "at least 1.9", "at most 1.02", or "" where there is none. ValueError for another.
    """

    what: str
    measured: float
    unit: str
    against: str
    other: float
    ratio: float
    goal: str = ""

    def __post_init__(self) -> None:
        if self.goal and not GOAL.fullmatch(self.goal):
            raise ValueError(f"{self.goal}: a goal is 'at least 1.9' or 'at most 1.02'")

    @property
    def reached(self) -> bool | None:
        """None where there is no goal."""
        if not self.goal:
            return None
        side, bound = GOAL.fullmatch(self.goal).groups()
        return self.ratio >= float(bound) if side == "at least" else self.ratio <= float(bound)

    def record(self) -> dict:
        """As JSON has it."""
        return {**asdict(self), "reached": self.reached}


def scripts() -> dict[str, str]:
    """The benchmarks that there are, each with the first sentence of what it says of itself."""
    first = {}
    for path in sorted(FOLDER.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^from rows import|^import rows", text, re.MULTILINE):
            said = " ".join((ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].split())
            first[path.stem] = re.split(r"(?<=\.) |:$", said)[0]
    return first


def machine() -> dict:
    """What the numbers are of: processor, cores, memory, Python, engine, load and date."""
    try:
        info = find().info()
        engine = {name: info[name] for name in ("source", "version", "flags", "blas")}
    except EngineError:
        engine = None
    processor = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "processor": processor[1] if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "python": platform.python_version(),
        "engine": engine,
        "load": os.getloadavg()[0],
    }


def run(names: Sequence[str], begin: Callable[[str], None]) -> dict:
    """Run benchmarks one after another, each in a process of its own; one that fails costs no other.

    begin: is told each name. Gives {"machine": machine(), "benchmarks": [{"name", "load", "rows", "error"}]}, `error`
    the last line of one that failed or lacks something, None of others; INTERRUPTED of the one that Ctrl-C ended, which
    is the last.
    """
    document = {"machine": machine(), "benchmarks": []}
    for name in names:
        begin(name)
        load = os.getloadavg()[0]
        try:
            rows, error = _measured([sys.executable, str(FOLDER / f"{name}.py"), "--json"])
        except KeyboardInterrupt:
            rows, error = [], INTERRUPTED
        document["benchmarks"].append({"name": name, "load": load, "rows": rows, "error": error})
        if error == INTERRUPTED:
            break
    return document


def _measured(command: Sequence[str]) -> tuple[list[dict], str | None]:
    """The rows that a benchmark prints, or what is wrong."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            printed, said = process.communicate()
        except KeyboardInterrupt:  # the terminal told the benchmark too, which removes what it made
            process.communicate()
            raise
    if process.returncode:
        lines = said.strip().splitlines()
        return [], lines[-1] if lines else f"ended with {process.returncode}"
    try:
        return json.loads(printed)["rows"], None
    except (ValueError, KeyError, TypeError):
        return [], "printed no JSON document of rows"


def good(document: dict) -> bool:
    """Whether all of `run` ran, and reached what was aimed at."""
    return all(
        each["error"] is None and all(row["reached"] is not False for row in each["rows"])
        for each in document["benchmarks"]
    )


def text(document: dict, width: int | None) -> str:
    """The table of `run`, folded to `width` letters, under the machine and the date."""
    rows = [cells for each in document["benchmarks"] for cells in _cells(each)]
    return "\n".join([*_machine_in_words(document["machine"]), "", *table(rows, width)])


def table(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Lines of cells under TITLES."""
    return table_or_records(TITLES, rows, width, right=(2, 3, 4))


def cells(name: str, row: dict) -> tuple[str, ...]:
    """A row's record as cells under TITLES."""
    reached = {True: "yes", False: "no", None: "-"}[row["reached"]]
    sizes = (f"{number(row[key])} {row['unit']}" for key in ("measured", "other"))
    return (name, row["what"], *sizes, number(row["ratio"]), row["goal"] or "-", reached, row["against"])


def number(value: float) -> str:
    """Four figures: "3952", "19.71", "1.007", "0.08142"."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _cells(benchmark: dict) -> list[tuple[str, ...]]:
    if benchmark["error"] is not None:
        return [(benchmark["name"], "did not run", "-", "-", "-", "-", "-", benchmark["error"])]
    return [cells(benchmark["name"], row) for row in benchmark["rows"]]


def _machine_in_words(facts: dict) -> list[str]:
    engine = facts["engine"]
    about = f"Caffe from {engine['source']} {engine['version']}, {engine['flags']}, {engine['blas']}" if engine else ""
    return [
        f"{facts['date']}, load {facts['load']:.2f} at the beginning",
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory'] / 2**30:.0f} GiB, Python {facts['python']}",
        about or "no Caffe engine (lrcn caffe build makes one)",
    ]
