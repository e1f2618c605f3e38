"""`lrcn train`, `lrcn evaluate`, `lrcn compare`, `lrcn classify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import click

from lrcn.commands.common import FILE, FOLDER, Progress, read_settings, say, settings_options


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


@click.command()
@experiment_options
@click.option("--weights", type=FILE, help="A .caffemodel that the first net of each modality starts from.")
@click.option("--from-scratch", is_flag=True,
              help="Start from random weights where the paper starts from ILSVRC-2012's.")
@click.option("--resume/--fresh", default=True, help="Go on from the last snapshot (the default), or begin anew.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what it takes, and do nothing.")
@click.option("--trial/--no-trial", default=None, help="Time a few iterations of each net first; by default for "
              "activity/table1 alone.")
def train(experiment, data, out, split, rows, seed, changes, config, gpu, weights, from_scratch, resume, dry_run,
          trial):
    """Train the nets of an EXPERIMENT in their order.

    EXPERIMENT: activity/table1 (all of Table 1), demo, demo-table1 (the demo with LRCN-fc7), features, or a net of the
    catalogue, after the single-frame net that it starts from. Given again, it goes on where it was.
    """
    from lrcn import engine, experiments
    from lrcn.train import train as train_net

    if weights and from_scratch:
        raise click.UsageError("--weights and --from-scratch: give one of them")
    dataset, out, splits, made = open_experiment(experiment, data, out, split, rows, seed, changes, config)
    whole = experiment in experiments.NEED_FRAMES
    if whole and not (weights or from_scratch or dry_run):
        from lrcn import plan

        raise click.UsageError(f"{experiment}: {plan.NEEDED}")
    if dry_run or whole or trial:
        _say_plan(experiment, dataset, out, splits, made, weights, from_scratch, resume, gpu,
                  whole if trial is None else trial, dry_run)
    elif not (weights or from_scratch) and dataset.kind == "frames" and not experiment.startswith("demo"):
        say("no --weights: the first nets start from random weights; the paper's start from ILSVRC-2012 weights")
    if dry_run:
        return
    found, progress, trained = engine.find(), Progress(), {}
    for each in made:
        stage = each.stage
        start = trained.get((each.split, stage.start), weights)
        # Flow may be made after a net was trained on the frames.
        shown = {k: v for k, v in each.dataset.description.items() if stage.modality == "flow" or k != "flow"}
        final = train_net(each.files, each.folder, found, start, gpu, {"data_set": shown}, not resume, progress)
        experiments.write_note(each.folder, stage, each.settings, each.dataset)
        trained |= {(number, stage.folder): final for number in (splits if stage.pretrain else [each.split])}
    progress.close()
    say(f"trained: {', '.join(str(folder) for folder in dict.fromkeys(trained.values()))}")


def _say_plan(experiment, dataset, out, splits, made, weights, from_scratch, resume, gpu, trial, dry_run):
    """The plan on standard output; with `trial`, after a few iterations of every net that is not trained yet."""
    from lrcn import engine, experiments, plan
    from lrcn.train import last_snapshot
    from netspecs import catalogue

    def start(each):
        if each.stage.start:
            return each.stage.start
        published = experiment in experiments.NEED_FRAMES and not from_scratch
        return weights.name if weights else "ILSVRC-2012 weights" if published else "random weights"

    steps = [plan.step(each.stage, each.folder, each.settings, each.files,
                       last_snapshot(each.folder) if resume else 0, start(each)) for each in made]
    about = []
    if dataset.kind == "frames" and not experiment.startswith("demo"):
        if weights:
            first = made[0]
            shapes = catalogue.get(first.stage.variant).input_shapes(**first.settings)["train"]
            about = plan.given_weights(weights, first.stage, first.files, shapes)
        else:
            about = ["weights: none (--from-scratch); the paper's nets start from ILSVRC-2012 weights"] \
                if from_scratch or not dry_run else plan.needed_weights()
    try:
        found = engine.find() if trial else None
    except engine.EngineError as error:
        if not dry_run:
            raise
        say(f"no trial: {error}")
        found = None
    if found:
        _time(steps, made, found, gpu)
    print(plan.text(experiment, dataset, splits, out, steps, plan.device_name(gpu)))
    print("\n".join(about), end="\n" * bool(about), flush=True)


def _time(steps, made, found, gpu):
    """Sets the pace of every step that is not done, by trials in the engine `found`."""
    from lrcn import plan

    paces, progress = {}, Progress()
    for number, (step, each) in enumerate(zip(steps, made)):
        progress("trial", number, len(steps))
        if step.done < step.iterations:
            key = each.stage.variant, each.stage.pretrain  # the splits differ in their lists alone
            paces[key] = paces.get(key) or plan.trial(each.files, found, gpu)
            step.pace = paces[key]
        progress("trial", number + 1, len(steps))
    progress.close()


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


@click.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", type=FOLDER, required=True, help="What `lrcn train` filled: its --out.")
@click.option("--split", type=click.IntRange(1, 3), default=1, show_default=True, help="Whose nets.")
@click.option("--model", help="Row of Table 1; lrcn-fc6 by default, or the one that is there.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Classes to name.")
@click.option("--rgb-weight", type=click.FloatRange(0, 1), default=1 / 3, show_default="1/3",
              help="Weight of RGB in the fused scores, beside flow's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--out", type=FOLDER, help="Where the pictures go; RUN/classified by default.")
@click.option("--gpu", type=click.IntRange(0), help="Compute on this GPU; on the CPU by default.")
def classify(videos, run, split, model, top, rgb_weight, as_json, out, gpu):
    """Name the classes of VIDEOS, files or folders of frames, with trained nets: by RGB, by flow, and fused.

    All videos are read before any is classified. Each gets a picture: frames above the scores over its time.
    """
    from lrcn import engine
    from lrcn.classify import as_text, classify_videos

    progress = Progress()
    answers = classify_videos(videos, run, split, model, engine.find(), out or run / "classified", top, rgb_weight, gpu,
                              progress)
    progress.close()
    print(json.dumps(answers, indent=1, ensure_ascii=False) if as_json else as_text(answers))
