"""`lrcn watch`."""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import datetime

import click

from lrcn.commands.common import FOLDER, width
from lrcn.commands.help import Command, option
from lrcn.commands.options import JSON
from lrcn.commands.terminal import beneath
from readers import printable

SECONDS = 1.0  # between two looks
CLEAR = "\x1b[J"  # from here on


@click.command(
    cls=Command,
    examples=[
        ("Watch a training from another terminal", "lrcn watch runs/demo"),
        ("Print once how it stands, for a program", "lrcn watch runs/demo --json"),
    ],
)
@click.argument("run", type=FOLDER)
@option("--once", is_flag=True, help="Print once how the training stands, as is always done without a terminal.")
@JSON
def watch(run, once, as_json):
    """Show how far a training is.

    RUN is the folder of a training (--out of `lrcn train`) or of one of its nets. The training may run in another
    process, in a container or on another machine: only its files are read. On a terminal the view is redrawn until the
    training ends. Ctrl-C ends the view, not the training.
    """
    from lrcn.training.standing import Watched

    watched = Watched(run)
    if as_json:
        print(json.dumps({"trainings": [each.document for each in watched.look()]}, indent=1))
    elif once or not sys.stdout.isatty():
        print(watched.text(width()))
    else:
        _redraw(watched)


def _redraw(watched) -> None:
    """Draws over what was drawn, until nobody is at work."""
    drawn = 0  # rows
    try:
        while watched.at_work or not drawn:
            time.sleep(SECONDS if drawn else 0)
            text = f"{watched.folder}, {datetime.now():%H:%M:%S}\n\n{watched.text(width() - 1, curves=True)}"
            columns, rows = shutil.get_terminal_size()
            lines = text.split("\n")
            while _rows(lines, columns) >= rows and len(lines) > 1:  # those begun last are below
                del lines[0]
            back = f"\x1b[{drawn}A\r" if drawn else ""
            print(back + CLEAR + printable("\n".join(lines)), file=beneath(sys.stdout), flush=True)
            drawn = _rows(lines, columns)
    except KeyboardInterrupt:
        print()


def _rows(lines, columns) -> int:
    """What lines take of a terminal, which goes on below with those that are too long for it."""
    return sum(max(1, -(-len(line) // columns)) for line in lines)
