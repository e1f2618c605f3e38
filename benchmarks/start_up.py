"""The program's start: its help, the list of nets, a word completed, the catalogue written, against `import click`.

    python benchmarks/start_up.py [--times 20]

Each is a process of its own, on one core, in turn with a Python that imports click alone. Python's bytecode is cached,
as it is from a program's second call on. The goals are seconds, so that the first rows' ratios are to one second.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import rows

from data_prep.children import python_program

LRCN = Path(sys.executable).with_name("lrcn")
COMPLETION = {"_LRCN_COMPLETE": "bash_complete", "COMP_WORDS": "lrcn train ", "COMP_CWORD": "2"}


def measure(asked: argparse.Namespace) -> list[rows.Row]:
    core = min(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = scratch

        def call(*command, **more: str) -> None:
            subprocess.run(
                ["taskset", "-c", str(core), *command],
                env=environment | more,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        click = functools.partial(call, *python_program("import click"))
        ways = {
            "lrcn --help": (functools.partial(call, LRCN, "--help"), 0.2),
            "lrcn nets list": (functools.partial(call, LRCN, "nets", "list"), 0.2),
            "lrcn nets show": (functools.partial(call, LRCN, "nets", "show", "activity/lrcn-fc6-rgb"), 0.2),
            "lrcn train, then TAB": (functools.partial(call, LRCN, **COMPLETION), 0.2),
            "lrcn nets write --all": (functools.partial(call, LRCN, "nets", "write", "--all", "--out", scratch), 0.3),
        }
        goals, bare = [], []
        for what, (way, goal) in ways.items():
            way()
            seconds, of_click = rows.in_turn(way, click, asked.times)
            goals.append(rows.Row(what, seconds, "s", "one second", 1.0, seconds, f"at most {goal}"))
            bare.append(rows.Row(what, seconds, "s", 'python -c "import click"', of_click, seconds / of_click))
    return goals + bare


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    rows.main(measure, parser)
