"""`lrcn report`."""

from __future__ import annotations

from pathlib import Path

import click

from lrcn.commands.common import FILE, check_apart, say


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", type=FILE, default=Path("report.html"), show_default=True, help="The page.")
def report(runs, out):
    """Make one page of all that was run: what, how good it is beside the paper, and where it goes wrong.

    RUNS: folders of runs, --out of `lrcn train`, or a folder of such folders; runs/ by default. results.json files too,
    and the answers of rating sheets with their key.json. The page is one file, which a browser opens from disk.
    """
    from lrcn.report.page import write_report

    check_apart(out, *runs)
    left_out = write_report(runs or [Path("runs")], out)
    for line in left_out:
        say(f"left out: {line}")
    say(f"report: {out}")
