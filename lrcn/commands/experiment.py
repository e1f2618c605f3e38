"""What `lrcn train` and `lrcn evaluate` share: the options that say which experiment, and how it is opened."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lrcn.commands import completion
from lrcn.commands.common import FOLDER, read_settings, settings_options
from lrcn.commands.help import SETTINGS, option, section


def experiment_options(command):
    """What `lrcn train` and `lrcn evaluate` take of an experiment, and the settings of its nets."""
    for decorate in (
        settings_options,
        section(
            SETTINGS,
            option(
                "--seed",
                type=int,
                show_default="1701, as published",
                help="Seed of the training: of first weights and of the clips that are drawn.",
            ),
        ),
        section(
            "Experiment",
            option("--data", type=FOLDER, show_default="as the experiment says", help="Folder of the prepared data."),
            option(
                "--out",
                type=FOLDER,
                show_default="runs/EXPERIMENT",
                help="Folder of the runs. Splits 2 and 3 lie in split2/ and split3/ below it.",
            ),
            option(
                "--split",
                type=click.Choice(["1", "2", "3", "all"]),
                default="1",
                help="Split of the data, or all three.",
            ),
            option(
                "--rows",
                metavar="ROW,...",
                show_default="all",
                help="Only these models, and those they start from: single-frame,lrcn-fc6 or lrcn-2f.",
            ),
            option(
                "--stages",
                metavar="STAGE,...",
                show_default="train,finetune",
                help="Stages of a captioner's training: train, or from-lm after the language model; finetune; "
                "finetune-trainval. An earlier stage that is left out must lie trained in OUT.",
            ),
        ),
        click.argument("experiment", shell_complete=completion.experiments),
    ):
        command = decorate(command)
    return command


def check_heard(context: click.Context, modalities: Container[str]) -> None:
    """UsageError for what is said of images that no net looks at. modalities: of the nets' images."""
    for name, modality in (("mean_slip", "rgb"), ("flow_negation", "flow")):
        if modality not in modalities and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            images = {"rgb": "RGB", "flow": "flow"}[modality]
            raise click.UsageError(f"--{name.replace('_', '-')}: no net here looks at images of {images}; leave it out")


def open_experiment(options: dict[str, Any], weights: Sequence[str] = (), vocabulary: Path | None = None):
    """The job that these options of a command ask for, which are taken out of `options`; weights, vocabulary: of nets
    from elsewhere."""
    from lrcn.training.job import open_job

    settings = read_settings(options.pop("changes"), options.pop("config"))
    seed = options.pop("seed")
    return open_job(
        options.pop("experiment"),
        options.pop("data"),
        options.pop("out"),
        split=options.pop("split"),
        rows=words(options.pop("rows")),
        trainings=words(options.pop("stages")),
        settings=settings if seed is None else settings | {"seed": seed},
        weights=weights,
        vocabulary=vocabulary,
    )


def mounts(options: dict[str, Any]) -> tuple[list[Path], list[Path]]:
    """What an experiment reads beside the paths among its options, and the folder that it fills, for a container."""
    from lrcn.engine.mounts import named_by
    from lrcn.released.weights import weights_file
    from lrcn.training.workspace import Start

    events = [options["tensorboard"]] if options["tensorboard"] else []
    if options["experiment"] == "caption/results":
        return [], [options["out"] or Path("runs/caption-results"), *events]
    job = open_experiment(dict(options), *_evaluated(options))
    files = [*job.files.values(), *job.given(Start(trained=options.get("trained") or ())).values()]
    if "model" in options and job.task.weights_option != "weights":  # a captioner's CNN, for nearest neighbours
        files += map(weights_file, options["weights"])
    data = job.dataset.folder
    beside = [job.data_of(stage).folder for stage in job.experiment.stages if stage.data]
    file = [Path(options["experiment"])] if options["experiment"].endswith(".toml") else []
    return [data, *named_by(data), *beside, *file, *files], [job.out, *events]


def _evaluated(options: dict[str, Any]) -> tuple[Sequence[str], Path | None]:
    """The weights from elsewhere that `lrcn evaluate` is given, as `open_experiment` takes them."""
    from lrcn.training.job import task_named

    if "model" not in options:  # of `lrcn train`
        return (), None
    return options[task_named(options["experiment"]).weights_option], options["vocabulary"]


def words(text: str | None) -> list[str]:
    """The words of an option that takes them separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()] if text else []
