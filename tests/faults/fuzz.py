"""Damaged inputs to the readers: cases that follow from a seed and their number, one after another.

    python -m tests.faults.fuzz [--cases N] [--seed S] [--case K] [--keep FOLDER] [READER...]

Each failing case is kept as a folder with the input as it was damaged, `cmd`, and what was said.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from tests.faults.inputs import READERS
from tests.faults.mutate import KINDS
from tests.faults.program import Program

FAULTS = ("traceback", "signal", "hang", "memory", "lost", "words")  # words: what is said, and the exit code
OURS = ("in", "tmp", "home", "stdout", "stderr")  # in a case's folder; all else a command has written
AGAIN = 8  # of so many cases one is looked at again, by the calls that come after
CASES = 200  # of each kind of input in the tests
KEPT = Path("build/faults")


@dataclass(frozen=True)
class Failure:
    """A case that went wrong: its number; which file was damaged; {kind of fault: in words}."""

    reader: str
    seed: int
    number: int
    damaged: str
    faults: dict[str, str]

    def __str__(self):
        what = "; ".join(f"{kind}: {words}" for kind, words in self.faults.items())
        again = f"make fuzz READER={self.reader} SEED={self.seed} CASE={self.number}"
        return f"{self.reader}, case {self.number}, {self.damaged}: {what}\n    again: {again}"


@dataclass
class Tally:
    """What a campaign gave: how many cases, how many of them were refused, taken; and the failures."""

    reader: str
    cases: int = 0
    codes: Counter = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def plus(self, others: list[Tally]) -> Tally:
        for each in others:
            self.cases, self.codes = self.cases + each.cases, self.codes + each.codes
            self.failures += each.failures
        return self

    def count(self, fault: str) -> int:
        return sum(fault in failure.faults for failure in self.failures)


class Bench:
    """A reader's right input in a folder, of which one file is damaged for each case and then put right again."""

    def __init__(self, name: str, folder: Path, program: Program):
        self.name, self.reader, self.folder, self.program = name, READERS[name], folder, program
        (folder / "in").mkdir()
        self.reader.make(folder / "in")
        self.right = _content(folder / "in")
        self.damaged = {  # pattern -> the files that it names, from the folder in/
            pattern: sorted(p.relative_to(folder / "in") for p in (folder / "in").glob(pattern) if p.is_file())
            for pattern in self.reader.files
        }
        assert all(self.damaged.values()), name
        self._clear()

    def right_input(self) -> dict[str, str]:
        """What is wrong with calls on the right input."""
        faults: dict[str, str] = {}
        for arguments in self.reader.calls:
            outcome, others = self._call(arguments)
            self._clear()
            if not others and outcome.code != self.reader.right:
                others = {"words": f"exit code {outcome.code}: {outcome.stderr[-300:].decode()}"}
            faults |= others
        return faults

    def case(self, seed: int, number: int, keep: Path | None) -> tuple[int | None, Failure | None]:
        arguments, damaged = self._damage(Random(f"{self.name}/{seed}/{number}"))
        outcome, faults = self._call(arguments, again=number % AGAIN == 0)
        failure = Failure(self.name, seed, number, damaged, faults) if faults else None
        if failure and keep:
            self._keep(keep / f"{self.name}-{seed}-{number}", arguments, failure, outcome)
        self._clear()
        return outcome.code, failure

    def _damage(self, random: Random) -> tuple[list[str], str]:
        """The arguments then, and what was damaged."""
        if self.reader.damage:
            return self.reader.damage(self.folder, self.reader.calls[0], random)
        pattern, kind = random.choice(list(self.reader.files.items()))
        path = random.choice(self.damaged[pattern])
        (self.folder / "in" / path).write_bytes(KINDS[kind](self.right[path], random))
        self.reader.mend(self.folder)
        return random.choice(self.reader.calls), str(path)

    def _call(self, arguments: list[str], again: bool = True):
        before = _content(self.folder / "in")
        outcome = self.program(self.folder, arguments, **self.reader.environment)
        faults = outcome.faults(self.reader.codes)
        if not faults:
            faults = self._lost(before, outcome)
        if not faults and outcome.code == 0 and again:
            faults = self._whole(arguments)
        return outcome, faults

    def _lost(self, before, outcome) -> dict[str, str]:
        after = _content(self.folder / "in")
        others = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        if strange := [path for path in sorted(others) if not str(path).startswith(self.reader.own)]:
            return {"lost": f"{strange[0]} is another than before"}
        written = [path for path in self.folder.iterdir() if path.name not in OURS]
        # What was cut off stays in OUT.partial, from which the next call goes on
        if outcome.code == 2 and (half := [path.name for path in written if path.suffix != ".partial"]):
            return {"lost": f"{half[0]} was written, and the exit code is 2"}
        left = [path for folder in ("tmp", "home") for path in (self.folder / folder).rglob("*") if path.is_file()]
        left += [path for each in written for path in (each, *each.rglob("*")) if path.suffix == ".new"]
        if left or (self.folder / "PICKLE").exists():
            return {"lost": f"{(left or ['PICKLE'])[0]} is left behind"}
        return {}

    def _whole(self, arguments: list[str]) -> dict[str, str]:
        """What was written is whole: the same call finds it so, and those that read it."""
        try:
            self.reader.sound(self.folder)
        except Exception as error:
            return {"lost": f"what was written is not sound: {error}"}
        written = [path for path in self.folder.iterdir() if path.name not in OURS]
        for call in ([arguments] if written else []) + ([shlex.split(self.reader.then)] * bool(self.reader.then)):
            outcome = self.program(self.folder, call, **self.reader.environment)
            faults = outcome.faults((0,))
            if faults:
                return {
                    "lost" if kind == "words" else kind: f"then {call[:2]}: {said}" for kind, said in faults.items()
                }
        return {}

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name not in ("in", "stdout", "stderr"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (self.folder / "home").mkdir()
        for lock in (self.folder / "in").rglob("lock.mdb"):
            lock.unlink()
        there = _content(self.folder / "in")
        for path in there.keys() - self.right.keys():
            (self.folder / "in" / path).unlink()
        for path in sorted((self.folder / "in").rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        for path, content in self.right.items():
            if there.get(path) != content:
                (self.folder / "in" / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / "in" / path).write_bytes(content)

    def _keep(self, folder: Path, arguments: list[str], failure: Failure, outcome) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(self.folder / "in", folder / "in", symlinks=True)
        environment = "".join(f"{name}={value} " for name, value in self.reader.environment.items())
        (folder / "cmd").write_text(f"{environment}lrcn {shlex.join(arguments)}\n", errors="surrogateescape")
        (folder / "WHY").write_text(f"{failure}\n", errors="backslashreplace")
        (folder / "said").write_bytes(outcome.stderr)


def _content(folder: Path) -> dict[Path, bytes | None]:
    """Every file below a folder; LMDB's table of readers, which is of the moment, is none."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock.mdb"
    }


def campaign(program: Program, name: str, cases: range, seed: int, keep: Path | None = KEPT) -> Tally:
    """Tries these cases of a reader, all of them, whatever goes wrong."""
    tally = Tally(name)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        bench = Bench(name, Path(folder), program)
        if faults := bench.right_input():
            tally.failures.append(Failure(name, seed, -1, "nothing damaged", faults))
        for number in cases:
            code, failure = bench.case(seed, number, keep)
            tally.cases += 1
            tally.codes[code] += 1
            tally.failures += [failure] if failure else []
    return tally


def failures(program: Program, readers: list[str]) -> list[str]:
    """Of as many cases as a kind of input has in the tests, shared among its readers."""
    cases = range(CASES // len(readers))
    return [str(each) for reader in readers for each in campaign(program, reader, cases, seed=1).failures]


_programs: list[Program] = []  # of this process, as long as it lives


def _begin() -> None:
    _programs.append(Program().__enter__())


def _campaign(name: str, **options) -> Tally:
    return campaign(*_programs, name, **options)


def table(tallies: list[Tally]) -> str:
    """In Markdown: a row a reader."""
    rows = [["reader", "cases", "refused", *FAULTS], ["---"] + ["--:"] * (2 + len(FAULTS))]
    for each in [*tallies, Tally("all").plus(tallies)]:
        counts = [each.cases, each.codes[2], *map(each.count, FAULTS)]
        rows.append([each.reader, *(f"{count:,}" for count in counts)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help="all by default")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--keep", type=Path, default=KEPT, help="where failing cases lie")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    cases = range(options.cases) if options.case is None else range(options.case, options.case + 1)
    names = options.readers or list(READERS)
    if unknown := set(names) - set(READERS):
        parser.error(f"{', '.join(sorted(unknown))}: no such reader; there are {', '.join(READERS)}")
    tallies = []
    with ProcessPoolExecutor(options.jobs, initializer=_begin) as pool:
        for tally in pool.map(partial(_campaign, cases=cases, seed=options.seed, keep=options.keep), names):
            tallies.append(tally)
            for failure in tally.failures[:5]:
                print(failure, file=sys.stderr, flush=True)
            if len(tally.failures) > 5:
                print(f"    and {len(tally.failures) - 5} more of {tally.reader}: {options.keep}", file=sys.stderr)
    print(table(tallies))
    sys.exit(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    main()
