"""`lrcn train`, `lrcn evaluate`, `lrcn compare`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lrcn.commands.common import FILE, FOLDER, Progress, read_settings, say, settings_options


def experiment_options(command):
    for option in reversed(
        [
            click.argument("experiment"),
            click.option("--data", type=FOLDER, help="Prepared data set; data/EXPERIMENT by default."),
            click.option("--out", type=FOLDER, help="Where the runs lie; runs/EXPERIMENT by default."),
            click.option("--split", type=click.IntRange(1, 3), default=1, show_default=True),
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


def open_experiment(experiment, data, out, split, seed, changes, config):
    """What train and evaluate both need: engine, data set, folder, and (stage, its data set, settings, files) of each
    net."""
    from data_prep.features import check_features
    from data_prep.store import Dataset
    from lrcn import engine, experiments
    from netspecs import catalogue

    name = experiment.replace("/", "-")
    values = read_settings(changes, config) | ({} if seed is None else {"seed": seed})
    chosen = experiments.stages(experiment)
    shares = catalogue.share_out(values, dict.fromkeys(stage.variant for stage in chosen))
    dataset, made = Dataset(data or Path("data") / name), []
    for stage in chosen:
        shown = Dataset(dataset.folder / stage.pretrain) if stage.pretrain else dataset
        if shown.kind == "frames":
            shown.check(stage.modality)
        else:
            check_features(shown.folder)
        settings = experiments.settings(stage, shown, split, shares[stage.variant])
        made.append((stage, shown, settings, catalogue.get(stage.variant).files(**settings)))
    return engine.find(), dataset, out or Path("runs") / name, made


@click.command()
@experiment_options
@click.option("--weights", type=FILE, help="A .caffemodel that the first net of each modality starts from.")
@click.option("--resume/--fresh", default=True, help="Go on from the last snapshot (the default), or begin anew.")
def train(experiment, data, out, split, seed, changes, config, gpu, weights, resume):
    """Train the nets of an EXPERIMENT (demo, features, or a net of the catalogue) in their order."""
    from lrcn.train import train as train_net

    engine, dataset, out, made = open_experiment(experiment, data, out, split, seed, changes, config)
    if weights is None and dataset.kind == "frames" and experiment != "demo":
        say("no --weights: the first nets start from random weights; the paper's start from ILSVRC-2012 weights")
    progress, trained = Progress(), {}
    for stage, shown, _, files in made:
        start = trained.get(stage.start, weights)
        trained[stage.folder] = train_net(
            files, out / stage.folder, engine, start, gpu, {"data_set": shown.description}, not resume, progress
        )
    progress.close()
    say(f"trained: {', '.join(str(folder) for folder in trained.values())}")


@click.command()
@experiment_options
def evaluate(experiment, data, out, split, seed, changes, config, gpu):
    """Classify the test videos with trained nets; write results.json, confusion matrices and scores."""
    from data_prep.store import write_text
    from lrcn.evaluate import draw_confusion, git_revision, measure_model, score_stage, test_labels
    from lrcn.train import TrainError, check_run, last_snapshot, snapshot

    engine, dataset, out, made = open_experiment(experiment, data, out, split, seed, changes, config)
    progress, scores = Progress(), {}
    for stage, _, settings, files in made:
        if stage.pretrain:
            continue
        folder, last = out / stage.folder, files["solver"].max_iter
        check_run(folder, files)
        if last_snapshot(folder) < last:
            raise TrainError(f"{folder}: not trained to iteration {last} yet; run `lrcn train {experiment}` first")
        scores.setdefault(stage.model, {})[stage.modality] = score_stage(
            stage, settings, files, snapshot(folder, last), folder, engine, gpu, progress
        )
    progress.close()
    classes, labels = dataset.classes, test_labels(dataset, split)
    models = {model: measure_model(by_modality, labels, classes) for model, by_modality in scores.items()}
    for model, measured in models.items():
        for column, values in measured.items():
            draw_confusion(
                values, classes, f"{model}, {column}", out / f"confusion_{model}_{column.replace('/', '')}.png"
            )
    results = {
        "experiment": experiment,
        "dataset": {"name": dataset.name, "classes": classes, "test_videos": len(labels), "split": split},
        "engine": engine.info(),
        "seed": made[0][2]["seed"],
        "git": git_revision(),
        "models": models,
    }
    write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
    say(f"results: {out / 'results.json'}")


@click.command()
@click.argument("results", nargs=-1, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def compare(results, as_json):
    """Set what was measured beside the paper's Table 1. RESULTS: results.json files; runs/*/results.json by default."""
    from lrcn.compare import blocks, read, table1

    paths = results or sorted(Path("runs").glob("*/results.json"))
    if not paths:
        raise click.UsageError("no results in runs/*/results.json; `lrcn evaluate` writes them")
    found = [read(path) for path in paths]
    print(json.dumps({"table1": blocks(found)}, indent=1) if as_json else table1(found))
