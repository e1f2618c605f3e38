"""`lrcn experiments`: those that come with lrcn, and their files to copy."""

from __future__ import annotations

import click

from lrcn.commands import completion
from lrcn.commands.help import Group


@click.group(
    cls=Group,
    invoke_without_command=True,
    subcommand_metavar="[show NAME]",
    examples=[("List the experiments", "lrcn experiments")],
)
@click.pass_context
def experiments(context):
    """List the experiments that `lrcn train` knows.

    An experiment is a TOML file that names nets, their order, their settings and their data.
    """
    from lrcn.training import experiment

    if context.invoked_subcommand is None:
        width = max(map(len, experiment.names()))
        for name in experiment.names():
            print(f"{name:<{width}}  {experiment.read(name).about}")
        print(f"{'NET':<{width}}  any net of `lrcn nets list`, with what it starts from")


@experiments.command(
    "show", examples=[("Copy an experiment, to change it and train your own", "lrcn experiments show demo > my.toml")]
)
@click.argument("name", shell_complete=completion.experiment_files)
def show(name):
    """Print the TOML file of an experiment.

    `lrcn train FILE.toml` trains an experiment of your own.
    """
    from lrcn.training import experiment

    print(experiment.path_of(name).read_text(encoding="utf-8"), end="")
