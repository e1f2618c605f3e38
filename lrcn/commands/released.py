"""`lrcn weights` and `lrcn data`: what others have published."""

from __future__ import annotations

import json

import click

from lrcn.commands import completion
from lrcn.commands.common import Progress
from lrcn.commands.help import Group, option
from lrcn.commands.options import JSON


@click.group(cls=Group, examples=[("List all, with what is here already", "lrcn weights list")])
def weights():
    """List weights that others released, and fetch them."""


@weights.command("list", examples=[("Show one entry", "lrcn weights list caffenet")])
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.released_weights)
@JSON
def weights_list(names, as_json):
    """List released weights, and which nets they fit.

    Each entry has file, address, size, checksums and licence, and says where the file lies here if it was fetched.
    """
    from lrcn.released.weights import RELEASES, release

    _print([release(name) for name in names] or list(RELEASES.values()), as_json)


@weights.command(
    "fetch",
    examples=[
        ("Fetch weights; `--weights caffenet` finds them afterwards", "lrcn weights fetch caffenet"),
        ("Fetch them from a mirror", "lrcn weights fetch vgg16 --from https://example.org/vgg16.caffemodel"),
    ],
)
@click.argument("name", shell_complete=completion.released_weights)
@option("--from", "url", metavar="URL", help="Fetch the file from this address; its checksum is checked all the same.")
def weights_fetch(name, url):
    """Fetch released weights by their name.

    The file is checked against its checksum. After an interruption the command goes on where it was.
    """
    from lrcn.released.weights import fetch_weights

    progress = Progress()
    try:
        done = fetch_weights(name, url, progress)
    finally:
        progress.close()
    print(done)


@click.group(cls=Group, examples=[("List all", "lrcn data list")])
def data():
    """List the data sets, and what to type next."""


@data.command("list", examples=[("Show what UCF-101 takes", "lrcn data list ucf101")])
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.data_sets)
@JSON
def data_list(names, as_json):
    """List the data sets, and what to type next.

    Each entry has the files with address, size and checksums, the terms, where to put the files, and the commands that
    follow. lrcn does not download data sets.
    """
    from lrcn.released.data_sets import DATA_SETS, data_set

    _print([data_set(name) for name in names] or list(DATA_SETS.values()), as_json)


def _print(entries, as_json):
    if as_json:
        print(json.dumps([entry.as_json() for entry in entries], indent=1, ensure_ascii=False))
    else:
        print("\n\n".join(entry.describe() for entry in entries))
