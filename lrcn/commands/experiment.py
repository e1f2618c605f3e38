"""What `lrcn train` and `lrcn evaluate` share: their options, and the stages of an experiment made ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click

from lrcn.commands.common import FOLDER, read_settings, settings_options


def experiment_options(command):
    for option in reversed(
        [
            click.argument("experiment"),
            click.option("--data", type=FOLDER, help="Prepared data set; data/EXPERIMENT by default."),
            click.option(
                "--out",
                type=FOLDER,
                help="Where the runs lie; runs/EXPERIMENT by default. Splits 2 and 3 lie in split2/ and split3/ there.",
            ),
            click.option("--split", type=click.Choice(["1", "2", "3", "all"]), default="1", show_default=True),
            click.option(
                "--rows",
                metavar="ROW,...",
                help="These rows of an experiment alone, with what they start "
                "from: single-frame,lrcn-fc6,lrcn-fc7 of Table 1; lrcn-2f,... of captioners.",
            ),
            click.option(
                "--stages",
                metavar="STAGE,...",
                help="What of a captioner's training: train,finetune (the "
                "default), from-lm (in place of train, after the language model), finetune-trainval. What is "
                "not named but started from must lie trained in OUT.",
            ),
            click.option(
                "--seed", type=int, help="Seed of the solver and of the clips that are drawn; 1701 as published."
            ),
            settings_options,
            click.option(
                "--gpu",
                type=click.IntRange(0),
                help="Compute on this GPU (an engine built with --cuda); on the CPU by default.",
            ),
        ]
    ):
        command = option(command)
    return command


class Made(NamedTuple):
    """A stage of one split: its data set, its folder, and its settings and files."""

    stage: Any
    split: int
    dataset: Any
    folder: Path
    settings: dict
    files: dict


def folders(experiment, data, out):
    """The folder of the data set and that of the runs: as given, or where they lie by default."""
    from lrcn.training import experiments

    name = experiment.replace("/", "-")
    return data or Path("data") / experiments.DATA.get(name, name), out or Path("runs") / name


def places(given):
    """What an experiment reads beside the paths among its options, and the folder that it fills, for a container."""
    from data_prep.dataset import Dataset
    from lrcn.engine import container
    from lrcn.training import experiments

    experiment = given["experiment"]
    data, out = folders(experiment, given["data"], given["out"])
    if experiment == "caption/results":
        return [], [out]
    stages = experiments.stages(experiment, _words(given["rows"]), _words(given["stages"]), out)
    dataset = Dataset(data)
    beside = [experiments.opened(stage, dataset).folder for stage in stages if stage.pretrain]
    return [data, *container.named_by(data), *beside], [out]


def open_experiment(experiment, data, out, split, rows, seed, changes, config, stages=None):
    """What train and evaluate both need: data set, folder, splits, and what is made of each stage, in order."""
    from data_prep import DataError
    from data_prep.captions import check_captions
    from data_prep.dataset import Dataset
    from data_prep.features import check_features
    from data_prep.tacos import check_semantics
    from lrcn.training import experiments
    from netspecs import catalogue

    data, out = folders(experiment, data, out)
    values = read_settings(changes, config) | ({} if seed is None else {"seed": seed})
    named = _words(stages)
    chosen = experiments.stages(experiment, _words(rows), named, out)
    sentences = any(stage.task != "activity" for stage in chosen)
    if sentences and any("stage" in each for each in (values, *values.values()) if isinstance(each, dict)):
        raise click.UsageError("stage: a captioner's trainings are named by --stages, as train,finetune")
    shares = catalogue.share_out(values, dict.fromkeys(stage.variant for stage in chosen))
    dataset = Dataset(data)
    if dataset.kind == "features" and experiment == "features":
        chosen = experiments.on_features(chosen, dataset)
        shares = catalogue.share_out(values, dict.fromkeys(stage.variant for stage in chosen))
    if dataset.kind == "features" and experiment in experiments.NEED_FRAMES:
        raise DataError(
            f"{dataset.folder}: holds activations, and {experiment} trains on frames; "
            "`lrcn train features` trains on activations"
        )
    task = next((stage.task for stage in chosen if stage.task != "activity"), None)
    fitting = experiments.KINDS.get(task, ())
    if sentences and dataset.kind not in fitting:
        raise DataError(
            f"{dataset.folder}: holds {dataset.kind}; {experiment} trains on {experiments.MADE[fitting[0]]}"
        )
    if not sentences and dataset.kind in experiments.MADE:
        nets = " and ".join(f"{name}/*" for name, kinds in experiments.KINDS.items() if dataset.kind in kinds)
        raise DataError(
            f"{dataset.folder}: holds {dataset.kind}; {experiment} does not train on {dataset.kind}; {nets} do"
        )
    if dataset.kind == "captions" and "feature_size" in dataset.description:
        chosen = experiments.on_activations(chosen, dataset, named)
    there = [1] if sentences else dataset.description.get("splits", [1])
    splits = there if split == "all" else [int(split)]
    if not set(splits) <= set(there):
        raise DataError(
            f"{dataset.folder}: has no split {split}, only {', '.join(map(str, there))}; prepare the data set with it"
        )
    made: list[Made] = []
    checked = set()
    for number in splits:
        for stage in chosen:
            folder = experiments.place(out, stage, number)
            if any(folder == before.folder for before in made):
                continue
            shown = experiments.opened(stage, dataset)
            if shown.kind == "semantics":
                reads = catalogue.get(stage.variant).reads
                check_semantics(shown, {"sentences": "sentences", "activations": "frames"}.get(reads, "slots"))
            elif shown.kind == "captions":
                check_captions(
                    shown,
                    "images" if stage.task == "caption" else "sentences",
                    "trainval" if stage.training == "finetune-trainval" else "train",
                )
            elif shown.kind != "frames":
                check_features(shown.folder, split=number)
            elif (shown.folder, stage.modality) not in checked:
                shown.check(stage.modality)
                checked.add((shown.folder, stage.modality))
            settings = experiments.settings(stage, shown, number, shares[stage.variant])
            made.append(Made(stage, number, shown, folder, settings, catalogue.get(stage.variant).files(**settings)))
    return dataset, out, splits, made


def _words(text: str | None) -> list[str]:
    """The words of an option that takes them separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()] if text else []
