"""`lrcn evaluate`, `lrcn compare`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lrcn.commands.common import FILE, Progress, say
from lrcn.commands.experiment import experiment_options, open_experiment


@click.command()
@experiment_options
@click.option("--frames", type=click.Choice(["mean", "last"]), default="mean", show_default=True,
              help="A clip's score: the mean of its frames' (as published), or its last frame's.")
@click.option("--stride", "strides", type=click.IntRange(1), multiple=True, default=[8], show_default=True,
              help="Frames from clip to clip; given more than once, the scores are averaged over the strides.")
def evaluate(experiment, data, out, split, rows, seed, changes, config, gpu, frames, strides):
    """Classify the test videos with the nets that `lrcn train` trained; give it the same EXPERIMENT and settings.

    In OUT: results.json, for `lrcn compare`; per_class.tsv; confused.tsv, the pairs most often confused; over_time.tsv
    and .png, accuracy by the frame of the clip; fusion.tsv and .png, accuracy by the weight of RGB; a picture of every
    confusion matrix. Other than published --frames and --stride write files of their own beside these, as
    results_last.json.
    """
    from data_prep.store import write_text
    from lrcn import engine, score
    from lrcn import evaluate as measures
    from lrcn.experiments import split_folder
    from lrcn.train import TrainError, check_run, last_snapshot, snapshot

    if experiment.startswith(("caption/", "lm/")):
        raise click.UsageError(f"{experiment}: its tests' accuracy and loss are in the run's curve.csv; evaluation of "
                               "sentences is not there yet")
    dataset, out, splits, made = open_experiment(experiment, data, out, split, rows, seed, changes, config)
    wanted = {row.strip() for row in rows.split(",")} if rows else {each.stage.model for each in made}
    made = [each for each in made if not each.stage.pretrain and each.stage.model in wanted]
    found, progress, classes = engine.find(), Progress(), dataset.classes
    for each in made:
        check_run(each.folder, each.files)
        if last_snapshot(each.folder) < (last := each.files["solver"].max_iter):
            raise TrainError(f"{each.folder}: not trained to iteration {last} yet; run `lrcn train {experiment}` first")
    ending = measures.suffix(strides, frames)
    for number in splits:
        scores, hits, labels = {}, {}, measures.test_labels(dataset, number)
        for stage, of_split, _, folder, settings, files in made:
            if of_split == number:
                path = measures.score_stage(stage, settings, files, snapshot(folder, files["solver"].max_iter), folder,
                                            found, gpu, progress, strides)
                scores.setdefault(stage.model, {})[stage.modality] = score.load(path)
                hits.setdefault(stage.model, {})[stage.modality] = score.load_hits(path)
        progress.close()
        summary, folder = measures.summarise(scores, hits, labels, classes, frames), split_folder(out, number)
        measures.write_reports(summary, classes, folder, ending)
        results = {
            "experiment": experiment,
            "dataset": {"name": dataset.name, "classes": classes, "test_videos": len(labels), "split": number},
            "evaluation": {"frames": frames, "strides": sorted(set(strides))},
            "engine": found.info(),
            "seed": made[0].settings["seed"],
            "git": measures.git_revision(),
            **summary,
        }
        write_text(folder / f"results{ending}.json", json.dumps(results, indent=1) + "\n")
        say(f"results: {folder / f'results{ending}.json'}")


@click.command()
@click.argument("results", nargs=-1, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def compare(results, as_json):
    """Set what was measured beside the paper's Table 1, several splits with their mean and spread.

    RESULTS: results.json files; runs/*/results.json and runs/*/split*/results.json by default.
    """
    from lrcn.compare import blocks, read, table1

    paths = results or sorted([*Path("runs").glob("*/results.json"), *Path("runs").glob("*/split*/results.json")])
    if not paths:
        raise click.UsageError("no results in runs/*/results.json; `lrcn evaluate` writes them")
    found = [read(path) for path in paths]
    print(json.dumps({"table1": blocks(found)}, indent=1) if as_json else table1(found))
