"""`lrcn report`."""

from __future__ import annotations

from pathlib import Path

import click

from lrcn.commands.common import FILE, check_apart, say
from lrcn.commands.help import Command, option


@click.command(
    cls=Command,
    examples=[
        ("Write report.html about all runs", "lrcn report"),
        ("Write a page about two runs", "lrcn report runs/demo runs/demo-captions --out demo.html"),
    ],
)
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@option("--out", type=FILE, default=Path("report.html"), help="The page.")
def report(runs, out):
    """Write one HTML page about runs and their results.

    The page shows what was run, how good it is beside the paper, and where it goes wrong. It is one file, which a
    browser opens from disk. RUNS are folders of runs (--out of `lrcn train`), results.json files, and answers of rating
    sheets with their key.json; by default all of runs/.
    """
    from lrcn.report.page import write_report

    check_apart(out, *runs)
    left_out = write_report(runs or [Path("runs")], out)
    for line in left_out:
        say(f"left out: {line}")
    say(f"report: {out}")
