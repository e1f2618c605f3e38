"""`lrcn analyze`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lrcn.commands.common import FILE, check_apart, say
from lrcn.commands.options import JSON


def _picture(context, param, path):
    if path and path.suffix.lower() not in (".png", ".pdf"):
        raise click.BadParameter(f"{path}: ends in neither .png nor .pdf; name it so")
    return path


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=FILE, metavar="FILE.png", callback=_picture, help="Draw them in one picture; FILE.pdf for a paper."
)
@click.option("--csv", "points", type=FILE, metavar="FILE.csv", help="Write all points, with the log's clock.")
@JSON
def analyze(logs, out, points, as_json):
    """Set the curves of several trainings beside one another.

    LOGS: runs, folders of runs (--out of `lrcn train`), or anybody's logs, what BVLC's `caffe train` and its
    derivatives write. A log that was gone on with, or begun anew, counts as it was at its end.
    """
    from lrcn.training import analysis

    for path in (out, points):
        check_apart(path, *logs)
    curves = analysis.read(logs)
    if as_json:
        print(json.dumps(analysis.document(curves), indent=1))
    else:
        print(analysis.text(curves))
    for path, write in (out, analysis.draw), (points, analysis.write_points):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(curves, path)
            say(f"written: {path}")
