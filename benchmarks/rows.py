"""What the benchmarks here share: two ways measured in turn, and rows as a table or as JSON, which `lrcn bench` reads.

A benchmark that lacks something ends with `raise SystemExit("ffmpeg: not installed")`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lrcn.engine import EngineError
from lrcn.results.benchmarks import Row, cells, table

__all__ = ["Row", "in_turn", "main", "quietly"]


def in_turn(first: Callable[[], object], second: Callable[[], object], times: int) -> tuple[float, float]:
    """The median seconds that each takes, called in turn `times` times: what else the machine does hits both."""
    seconds: tuple[list[float], list[float]] = [], []
    for _ in range(times):
        for way, taken in zip((first, second), seconds):
            begun = time.perf_counter()
            way()
            taken.append(time.perf_counter() - begun)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def quietly(command: Sequence[object], **more: object) -> None:
    """Runs a program, of which only a bad end is heard."""
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        raise SystemExit(said if said.startswith("lrcn: ") else f"{command[0]}: {said}")


def main(measure: Callable[[argparse.Namespace], list[Row]], parser: argparse.ArgumentParser) -> None:
    """Parse the command line, measure, and print the rows: a table, or with --json one document."""
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    try:
        rows = [row.record() for row in measure(asked)]
    except EngineError as error:  # there is none
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if asked.json:
        print(json.dumps({"rows": rows}, indent=1))
    else:
        print("\n".join(table([cells(Path(sys.argv[0]).stem, row) for row in rows], None)))
