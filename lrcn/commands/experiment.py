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
            click.option("--out", type=FOLDER, help="Where the runs lie; runs/EXPERIMENT by default. Splits 2 and 3 "
                         "lie in split2/ and split3/ there."),
            click.option("--split", type=click.Choice(["1", "2", "3", "all"]), default="1", show_default=True),
            click.option("--rows", metavar="ROW,...", help="These rows of Table 1 alone, with what they start from: "
                         "single-frame,lrcn-fc6,lrcn-fc7."),
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


def open_experiment(experiment, data, out, split, rows, seed, changes, config):
    """What train and evaluate both need: data set, folder, splits, and what is made of each stage, in order."""
    from data_prep import DataError
    from data_prep.captions import check_captions
    from data_prep.features import check_features
    from data_prep.store import Dataset
    from lrcn import experiments
    from netspecs import catalogue

    name = experiment.replace("/", "-")
    out = out or Path("runs") / name
    values = read_settings(changes, config) | ({} if seed is None else {"seed": seed})
    chosen = experiments.stages(experiment, [row.strip() for row in rows.split(",")] if rows else ())
    shares = catalogue.share_out(values, dict.fromkeys(stage.variant for stage in chosen))
    dataset = Dataset(data or Path("data") / experiments.DATA.get(name, name))
    if dataset.kind == "features" and experiment == "features":
        chosen = experiments.on_features(chosen, dataset)
        shares = catalogue.share_out(values, dict.fromkeys(stage.variant for stage in chosen))
    if dataset.kind == "features" and experiment in experiments.NEED_FRAMES:
        raise DataError(f"{dataset.folder}: holds activations, and {experiment} trains on frames; "
                        "`lrcn train features` trains on activations")
    sentences = experiment in catalogue.names() and catalogue.get(experiment).task != "activity"
    if sentences != (dataset.kind == "captions"):
        raise DataError(f"{dataset.folder}: holds {dataset.kind}; {experiment} "
                        + ("trains on captions: `lrcn prepare captions`, coco or flickr30k" if sentences else
                           "does not train on captions; caption/* and lm/* do"))
    there = [1] if sentences else dataset.description.get("splits", [1])
    splits = there if split == "all" else [int(split)]
    if not set(splits) <= set(there):
        raise DataError(f"{dataset.folder}: has no split {split}, only {', '.join(map(str, there))}; "
                        "prepare the data set with it")
    made: list[Made] = []
    checked = set()
    for number in splits:
        for stage in chosen:
            folder = experiments.place(out, stage, number)
            if any(folder == before.folder for before in made):
                continue
            shown = Dataset(dataset.folder / stage.pretrain) if stage.pretrain else dataset
            if sentences:
                check_captions(shown, "images" if experiment.startswith("caption") else "sentences")
            elif shown.kind != "frames":
                check_features(shown.folder, split=number)
            elif (shown.folder, stage.modality) not in checked:
                shown.check(stage.modality)
                checked.add((shown.folder, stage.modality))
            settings = experiments.settings(stage, shown, number, shares[stage.variant])
            made.append(Made(stage, number, shown, folder, settings, catalogue.get(stage.variant).files(**settings)))
    return dataset, out, splits, made
