"""`lrcn bench`."""

from __future__ import annotations

import json
import sys

import click

from lrcn.commands import completion
from lrcn.commands.common import say, width
from lrcn.commands.help import Command, option
from lrcn.commands.options import JSON


@click.command(
    cls=Command,
    examples=[
        ("Say what each benchmark measures", "lrcn bench --list"),
        ("Run two of them", "lrcn bench start_up captions"),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.benchmarks)
@option("--list", "listing", is_flag=True, help="List the benchmarks, with what each measures.")
@JSON
def bench(names, listing, as_json):
    """Measure lrcn against other programs, above all its speed.

    NAME is a benchmark; by default all are run. Each prints ratios of what it measured in one run. The exit code is 0
    if all reached their goals, else 1. `python benchmarks/NAME.py --help` shows a benchmark's own options.
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
