"""`lrcn verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from lrcn.commands.common import Progress
from lrcn.commands.options import JSON

MOST = 20  # lines of one kind; --json has all


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes that read images; one a core by default."
)
@JSON
def verify(folder, workers, as_json):
    """Hold a data set, a run, or a folder of runs against its own checksums, and name what is bad.

    Each record, file and snapshot that is not as it was written is one line, which says what mends it. What an earlier
    lrcn made has no checksums: its images are decoded, its files read. Nothing is written; the folder may have been
    moved, be anybody's, or lie on a disk that may only be read. Exit code 0: whole; 1: not.
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
