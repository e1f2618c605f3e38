"""Commands stopped at any moment, and given again until they end: the same bytes, and nothing left behind.

python -m tests.faults.kills [--kills N] [--seed S] [COMMAND...]
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import lmdb

from tests.faults import seeds

STOPPED = Path(__file__).with_name("stopped.py")
SIGNALS = ("SIGKILL", "SIGINT", "SIGTERM")
CHAIN = 3  # kills of a command before it is let to its end
PATIENCE = 120  # seconds that what outlives a killed parent has to end: no measure, a guard
OF_THE_MOMENT = ("lock.mdb", "lock", "devices.json", "curve.csv", "curve.png")  # and logs/
FAULTS = ("traceback", "left", "other bytes", "no end")


@dataclass(frozen=True)
class Command:
    """make: fills the folder in/. before: commands that come first and are not stopped. command: the one that is
    stopped. engine: whether it runs Caffe."""

    make: Callable[[Path], None]
    command: str
    before: tuple[str, ...] = ()
    engine: bool = False


SMALL = "--min-count 1 --streams 2 --steps 6"
TINY = "--set backbone=tiny widths=4,4,4 fc6=8 fc7=8 crop=16 batch=4 test_batch=2 max_iter=6 snapshot=2 test_iter=1"
TINY += " test_interval=3 display=1 deploy_clips=1 workers=1 stepsize=4"
TRAINED = f"train activity/single-frame-flow --data in/data --out out --from-scratch --no-trial {TINY}"
COMMANDS = {
    "prepare videos": Command(seeds.videos, "prepare videos --videos in/videos --size 20 24 --out out --workers 2"),
    "prepare flow": Command(seeds.without_flow, "prepare flow --data out/data --workers 2 --algorithm farneback"),
    "prepare stills": Command(seeds.frames, "prepare stills --data out/data --every 2"),
    "prepare ucf101": Command(
        seeds.ucf101, "prepare ucf101 --videos in/videos --splits in/lists --subset --out out --size 20 24 --workers 2"
    ),
    "prepare merge": Command(seeds.shards, "prepare merge out/set --remove-shards"),
    "prepare captions": Command(
        seeds.captions, f"prepare captions --captions in/c.json --out out --workers 2 {SMALL}"
    ),
    "prepare coco": Command(seeds.coco, f"prepare coco --annotations in/a.json --split in/split --out out {SMALL}"),
    "prepare tacos": Command(
        seeds.snippets, f"prepare tacos --snippets in/s.jsonl --features in/f.h5 --frames 2 --out out {SMALL}"
    ),
    "prepare features": Command(seeds.features, "prepare features --npz in/f.npz --out out --videos 2"),
    "nets write": Command(
        seeds.settings, "nets write activity/lrcn-fc6-rgb caption/lrcn-2f lm/lstm-lm --explain --out out"
    ),
    "nets show": Command(seeds.nets, "nets show in/net.prototxt --diagram out/net.svg"),
    "report": Command(seeds.outcome, "report in/a in/b --out out/report.html"),
    "analyze": Command(seeds.caffe_log, "analyze in/caffe.log --out out/curves.png --csv out/curves.csv"),
    "evaluate results": Command(
        seeds.generated, "evaluate caption/results --results in/a.json --references in/ref.json --out out"
    ),
    "rating sheet": Command(
        seeds.generated,
        "evaluate caption/rating-sheet --system a=in/a.json --system b=in/b.json --references in/ref.json --images in"
        " --count 3 --out out",
    ),
    "verify": Command(seeds.frames, "verify in/data --workers 2"),
    "train": Command(seeds.frames, TRAINED, engine=True),
    "evaluate": Command(
        seeds.frames, "evaluate activity/single-frame-flow --data in/data --out out", (TRAINED,), engine=True
    ),
}  # fmt: skip
FILLED = {"prepare flow": "data", "prepare stills": "data", "prepare merge": "set.shards"}  # what lies in out/ at first


@dataclass
class Tally:
    command: str
    kills: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)  # (kind, in words)

    def count(self, kind: str) -> int:
        return sum(each == kind for each, _ in self.faults)


class Trial:
    """A command in a folder of its own, which begins anew as often as is asked."""

    def __init__(self, name: str, folder: Path):
        self.name, self.what, self.folder = name, COMMANDS[name], folder
        (folder / "in").mkdir()
        self.what.make(folder / "in")
        self._begin()
        code, said = self._call(0)
        assert code == 0, said
        self.moments = int((folder / "counts").read_text())
        self.due = contents(folder / "out")

    def _begin(self) -> None:
        for name in ("out", "tmp", "home"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
        if self.name in FILLED:
            shutil.copytree(self.folder / "in" / FILLED[self.name], self.folder / "out" / FILLED[self.name])
        elif self.what.command.endswith("--out out") or " --out out " in self.what.command:
            (self.folder / "out").rmdir()
        for command in self.what.before:
            self._run([sys.executable, "-m", "lrcn", *shlex.split(command)])

    def chain(self, random: Random, tally: Tally) -> None:
        """Stops the command up to CHAIN times, each time where it goes on from, and lets it come to its end."""
        self._begin()
        told = []
        for _ in range(CHAIN):
            name, whom, number = (
                random.choice(SIGNALS),
                random.choice(["self", "group"]),
                random.randint(1, self.moments),
            )
            told.append(f"{name} {whom} {number}/{self.moments}")
            code, said = self._call(number, name, whom)
            tally.kills += 1
            if "Traceback" in said:
                tally.faults.append(("traceback", f"{', '.join(told)}: {said[-800:]}"))
            if code == 0:  # it had come to its end by then
                break
        code, said = self._call(0)
        if code != 0:
            tally.faults.append(("no end", f"{', '.join(told)}: exit code {code}: {said[-800:]}"))
            return
        there = contents(self.folder / "out")
        if others := sorted(str(p) for p in there.keys() | self.due.keys() if there.get(p) != self.due.get(p)):
            tally.faults.append(("other bytes", f"{', '.join(told)}: {', '.join(others[:5])}"))
        left = list((self.folder / "tmp").iterdir())
        left += [path for path in self.folder.iterdir() if path.name not in KNOWN]
        if left:
            tally.faults.append(("left", f"{', '.join(told)}: {', '.join(map(str, left[:5]))}"))

    def _call(self, number: int, name: str = "SIGKILL", whom: str = "self") -> tuple[int, str]:
        command = [sys.executable, str(STOPPED), "counts", str(number), name, whom, *shlex.split(self.what.command)]
        return self._run(command)

    def _run(self, command) -> tuple[int, str]:
        """Its exit code and standard error, once it and all that it began have ended."""
        own = {"TMPDIR": f"{self.folder}/tmp", "MPLBACKEND": "agg"}
        own |= {} if self.what.engine else {"HOME": f"{self.folder}/home", "PATH": "/nowhere"}
        with open(self.folder / "said", "w+") as said:
            streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": said}
            process = subprocess.Popen(
                command, cwd=self.folder, env=os.environ | own, start_new_session=True, **streams
            )
            code = process.wait()
            _wait_for_group(process.pid)
            said.seek(0)
            return code, said.read()


KNOWN = ("in", "out", "tmp", "home", "counts", "said")


def _wait_for_group(leader: int) -> None:
    for _ in range(PATIENCE * 20):
        try:
            os.killpg(leader, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(leader, signal.SIGKILL)
    raise AssertionError(f"a process outlives its parent by {PATIENCE} s")


def contents(folder: Path) -> dict:
    """What is to be the same: the bytes of every file, the records of an LMDB."""
    there = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir():
            there[name] = "a folder"
        elif path.name == "data.mdb":
            with lmdb.open(str(path.parent), readonly=True, lock=False) as file, file.begin() as transaction:
                there[name] = [(bytes(key), bytes(value)) for key, value in transaction.cursor()]
        elif path.name not in OF_THE_MOMENT and "logs" not in name.parts:
            there[name] = path.read_bytes()
    return there


def campaign(name: str, kills: int, seed: int) -> Tally:
    tally = Tally(name)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        trial = Trial(name, Path(folder))
        number = 0
        while tally.kills < kills:
            trial.chain(Random(f"{name}/{seed}/{number}"), tally)
            number += 1
    return tally


def table(tallies: list[Tally]) -> str:
    rows = [["command", "kills", *FAULTS], ["---"] + ["--:"] * (1 + len(FAULTS))]
    rows += [[each.command, str(each.kills), *(str(each.count(kind)) for kind in FAULTS)] for each in tallies]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help="all by default")
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tallies = []
    for name in options.commands or COMMANDS:
        tallies.append(campaign(name, options.kills, options.seed))
        for kind, words in tallies[-1].faults[:5]:
            print(f"{name}: {kind}: {words}", file=sys.stderr)
    print(table(tallies))
    sys.exit(any(tally.faults for tally in tallies))


if __name__ == "__main__":
    main()
