"""`lrcn nets`: the nets and solvers as prototxt."""

from __future__ import annotations

import json

import click

from lrcn.commands.common import FOLDER, parse_changes


@click.group()
def nets():
    """List the nets of the paper and write them as prototxt."""


@nets.command("list")
@click.option("--task", type=click.Choice(["activity", "caption", "lm", "video"]), help="Only this task's nets.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def nets_list(task, as_json):
    """Name, place in the paper and settings of every net."""
    from netspecs import catalogue

    rows = [variant for variant in map(catalogue.get, catalogue.names()) if task in (None, variant.task)]
    if as_json:
        print(
            json.dumps(
                [{"name": v.name, "task": v.task, "paper": v.paper, "settings": v.defaults} for v in rows], indent=1
            )
        )
    else:
        print("\n".join(f"{v.name:<28} {v.paper}" for v in rows))


@nets.command("write")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every net of the catalogue.")
@click.option("--out", type=FOLDER, required=True, help="A folder a net is made in this one.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a number of the paper otherwise; more than once if need be.",
)
def nets_write(names, everything, out, changes):
    """Write train_test.prototxt, deploy.prototxt and solver.prototxt of nets."""
    from data_prep.store import write_text
    from netspecs import catalogue
    from prototxt_gen import to_text

    if bool(names) == everything:
        raise click.UsageError("name the nets to write, or give --all; `lrcn nets list` shows them")
    values = parse_changes(changes)
    made = {name: catalogue.get(name).files(**values) for name in (catalogue.names() if everything else names)}
    for name, files in made.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for kind, message in files.items():
            write_text(folder / f"{kind}.prototxt", to_text(message, header=f"{name}, {catalogue.get(name).paper}"))
        print(folder)
