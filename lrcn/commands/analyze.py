"""`lrcn analyze`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lrcn.commands.common import FILE, check_apart, say
from lrcn.commands.help import Command, option
from lrcn.commands.options import JSON


def _picture(context, param, path):
    if path and path.suffix.lower() not in (".png", ".pdf"):
        raise click.BadParameter(f"{path}: ends in neither .png nor .pdf; name a file with one of these endings")
    return path


@click.command(
    cls=Command,
    examples=[
        ("Print the last and the best loss of every net of a training", "lrcn analyze runs/demo"),
        ("Draw the curves beside those of a log of Caffe", "lrcn analyze runs/demo caffe.log --out curves.png"),
    ],
)
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--out", type=FILE, callback=_picture, help="Draw all curves in one picture, .png or .pdf.")
@option("--csv", "points", type=FILE, help="Write every point of the curves as CSV, with the log's clock.")
@JSON
def analyze(logs, out, points, as_json):
    """Compare the curves of loss and accuracy of trainings.

    LOGS are runs, folders of runs (--out of `lrcn train`), or logs of any `caffe train`. Where a log has a part of a
    training twice, as after a resumption, the later one counts.
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
