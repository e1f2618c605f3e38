"""`lrcn bench`."""

from __future__ import annotations

import json
import sys

import click

from lrcn.commands import completion
from lrcn.commands.common import say, width
from lrcn.commands.options import JSON


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.benchmarks)
@click.option("--list", "listing", is_flag=True, help="Name the benchmarks, each with what it measures.")
@JSON
def bench(names, listing, as_json):
    """Measure lrcn against named alternatives, in ratios of one run; all benchmarks by default.

    Exit code 0: all ran and reached their goals; 1: one fell short, or could not run, as its row says. Ctrl-C ends
    with the rows that there are. `python
    benchmarks/NAME.py --help` has each one's own options.
    """
    from lrcn.results import benchmarks
    from lrcn.results.tables import described
    from prototxt_gen import nearest

    known = benchmarks.scripts()
    if listing:
        print("\n".join(described([*known.items()], width(), size=max(map(len, known)))))
        return
    for name in names:
        if name not in known:
            raise click.UsageError(f"{name}: no such benchmark{nearest(name, known) or '; --list names them'}")
    chosen = [*dict.fromkeys(names)] or [*known]

    def begin(name: str) -> None:
        say(f"{name} ({chosen.index(name) + 1} of {len(chosen)})")

    document = benchmarks.run(chosen, begin)
    print(json.dumps(document, indent=1) if as_json else benchmarks.text(document, width()))
    if document["benchmarks"][-1]["error"] == benchmarks.INTERRUPTED:
        sys.exit(130)
    sys.exit(not benchmarks.good(document))
