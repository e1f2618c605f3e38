"""`lrcn weights` and `lrcn data`: what others have published."""

from __future__ import annotations

import json

import click

from lrcn.commands import completion
from lrcn.commands.common import Progress
from lrcn.commands.options import JSON


@click.group()
def weights():
    """List the weights that others released, and fetch them."""


@weights.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.released_weights)
@JSON
def weights_list(names, as_json):
    """Released weights: file, address, size, checksums, licence, which nets they fit, and where they lie here."""
    from lrcn.released.weights import RELEASES, release

    _print([release(name) for name in names] or list(RELEASES.values()), as_json)


@weights.command("fetch")
@click.argument("name", shell_complete=completion.released_weights)
@click.option("--from", "url", metavar="URL", help="Another address of the file, a mirror's; checked all the same.")
def weights_fetch(name, url):
    """Fetch weights to where `--weights NAME` finds them. Given again after a break, it goes on where it was."""
    from lrcn.released.weights import fetch_weights

    progress = Progress()
    try:
        done = fetch_weights(name, url, progress)
    finally:
        progress.close()
    print(done)


@click.group()
def data():
    """List the data sets, and what to type next."""


@data.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.data_sets)
@JSON
def data_list(names, as_json):
    """Data sets: their files with address, size and checksums, terms, where to put them, and the commands that follow.

    lrcn fetches none of them.
    """
    from lrcn.released.data_sets import DATA_SETS, data_set

    _print([data_set(name) for name in names] or list(DATA_SETS.values()), as_json)


def _print(entries, as_json):
    if as_json:
        print(json.dumps([entry.as_json() for entry in entries], indent=1, ensure_ascii=False))
    else:
        print("\n\n".join(entry.describe() for entry in entries))
