"""`lrcn verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from lrcn.commands.common import Progress
from lrcn.commands.help import Command, option
from lrcn.commands.options import JSON

MOST = 20  # lines of one kind; --json has all


@click.command(
    cls=Command,
    examples=[("Check a data set", "lrcn verify data/demo"), ("Check every run below a folder", "lrcn verify runs")],
)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@option("--workers", type=click.IntRange(1), show_default="one per core", help="Processes that read images.")
@JSON
def verify(folder, workers, as_json):
    """Check a data set, a run or a folder of runs for damage.

    Files, records and snapshots are compared with the checksums that lrcn wrote. Each that differs is named in one
    line, with what mends it. Where an earlier lrcn wrote no checksums, images are decoded and files are read instead.
    Nothing is written. The exit code is 0 if all is whole, else 1.
    """
    from data_prep.workers import Work
    from lrcn.training.verify import verify

    progress = Progress()
    verdicts = verify(folder, Work(workers, progress))
    progress.close()
    if as_json:
        print(json.dumps({"verified": [verdict.document() for verdict in verdicts]}, indent=1))
    else:
        for verdict in verdicts:
            _tell(verdict)
    sys.exit(any(verdict.faults for verdict in verdicts))


def _tell(verdict) -> None:
    checked = ", ".join(f"{count} {name}" for name, count in verdict.checked.items())
    bad = f"{len(verdict.faults)} bad" if verdict.faults else "whole"
    print(f"{verdict.folder}: {verdict.kind}, {bad} ({checked})")
    for fault in verdict.faults[:MOST]:
        print(f"  {fault}")
    if len(verdict.faults) > MOST:
        print(f"  and {len(verdict.faults) - MOST} more, which --json names")
    for remark in verdict.remarks:
        print(f"  {remark}")
    if verdict.strangers:
        more = f" and {len(verdict.strangers) - MOST} more" if len(verdict.strangers) > MOST else ""
        print(f"  not known to it, which is no fault: {', '.join(verdict.strangers[:MOST])}{more}")
