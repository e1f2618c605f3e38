"""`lrcn experiments`: those that come with lrcn, and their files to copy."""

from __future__ import annotations

import click

from lrcn.commands import completion


@click.group(invoke_without_command=True)
@click.pass_context
def experiments(context):
    """List the experiments that `lrcn train` knows; `show` prints one's file, to copy and change."""
    from lrcn.training import experiment

    if context.invoked_subcommand is None:
        width = max(map(len, experiment.names()))
        for name in experiment.names():
            print(f"{name:<{width}}  {experiment.read(name).about}")
        print(f"{'NET':<{width}}  any net of `lrcn nets list`, with what it starts from")


@experiments.command("show")
@click.argument("name", shell_complete=completion.experiment_files)
def show(name):
    """Print the TOML file of experiment NAME; `lrcn train FILE.toml` takes one of your own."""
    from lrcn.training import experiment

    print(experiment.path_of(name).read_text(encoding="utf-8"), end="")
