"""`lrcn evaluate`, `lrcn compare`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from click.core import ParameterSource

from lrcn.commands.common import FILE, Contained, Progress, say
from lrcn.commands.experiment import experiment_options, open_experiment, places
from lrcn.engine import code

# Options by what is evaluated; those of another kind are refused rather than left unheard.
OPTIONS = {
    "activity": ("frames", "strides", "split", "rows"),
    "caption": ("part", "tokens", "beam", "length", "retrieval_images", "weights", "neighbours", "stages", "rows"),
    "video": ("part", "tokens", "beam", "length", "rows"),
    "lm": ("part",),
    "results": ("results", "references", "name", "part", "tokens"),
}


@click.command(cls=Contained, places=places)
@experiment_options
@click.option(
    "--frames",
    type=click.Choice(["mean", "last"]),
    default="mean",
    show_default=True,
    help="A clip's score: the mean of its frames' (as published), or its last frame's.",
)
@click.option(
    "--stride",
    "strides",
    type=click.IntRange(1),
    multiple=True,
    default=[8],
    show_default=True,
    help="Frames from clip to clip; given more than once, the scores are averaged over the strides.",
)
@click.option(
    "--part",
    type=click.Choice(["train", "val", "test"]),
    help="Sentences: of these images; test by default (language models: val and test).",
)
@click.option(
    "--beam",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Sentences: width of the search; 1, the greedy choice, as the authors' released evaluation.",
)
@click.option(
    "--length",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Sentences: words at most, the end of the sentence included.",
)
@click.option(
    "--retrieval-images",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Captions: retrieval among so many images, the first of the part; 0 for none.",
)
@click.option(
    "--tokens",
    type=click.Choice(["plain", "ptb"]),
    default="plain",
    show_default=True,
    help="Sentences: words of the metrics, plain in any language, or COCO's, by the tokeniser of the Penn "
    "Treebank (needs Java).",
)
@click.option(
    "--weights",
    type=FILE,
    help="Captions: the CNN that training started from, for the nearest neighbours by its fc7 and fc8.",
)
@click.option(
    "--neighbours/--no-neighbours",
    default=True,
    help="Captions: with the captions of the nearest training image beside the nets' (the default), or not.",
)
@click.option("--results", type=FILE, help="caption/results: captions from elsewhere, in COCO's results format.")
@click.option(
    "--references",
    type=FILE,
    help="caption/results: COCO's annotations, or a prepared captions.json; DATA/captions.json by default.",
)
@click.option("--name", help="caption/results: their row's name; the file's by default.")
@click.pass_context
def evaluate(context, experiment, data, out, gpu, **options):
    """Evaluate the nets that `lrcn train` trained; give it the same EXPERIMENT and settings.

    Videos are classified. In OUT: results.json, for `lrcn compare`; per_class.tsv; confused.tsv, the pairs most often
    confused; over_time.tsv and .png, accuracy by the frame of the clip; fusion.tsv and .png, accuracy by the weight of
    RGB; a picture of every confusion matrix. Other than published --frames and --stride write files of their own beside
    these, as results_last.json.

    Images are described by caption/* nets after their last stage, found by captions and captions by them, and have the
    caption of the nearest training image beside. In OUT: results.json; captions_NAME.json, in COCO's results format;
    captions.png, the first images with their captions. Other than published --part and --beam write files of their own,
    as results_val_beam5.json. Language models give their perplexity, in results_lm.json.

    Videos are described by video/* nets, against their own sentences, by level of detail too, and against the truth
    where it is known. In OUT: results.json; captions_NAME.json.

    EXPERIMENT caption/results scores captions from elsewhere: --results FILE --references captions_val2014.json.

    EXPERIMENT caption/rating-sheet makes the page on which people rank captions (Table 4); it has options of its own:
    `lrcn evaluate caption/rating-sheet --help`.
    """
    kind = "results" if experiment == "caption/results" else _task(experiment)
    heard = OPTIONS.get(kind, ())
    for name in {name for names in OPTIONS.values() for name in names if name not in heard}:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "stride" if name == "strides" else name.replace("_", "-")
            raise click.UsageError(f"--{option} means nothing to {experiment}; leave it out")
    {"activity": _videos, "caption": _captions, "video": _videos_described, "lm": _language_model, "results": _results}[
        kind
    ](experiment, data, out, gpu, **options)


def _task(experiment):
    """activity, caption, lm or video: what the nets of an experiment are for. SpecError for a name that is none."""
    from lrcn.training import experiments
    from netspecs import catalogue

    if experiment in catalogue.names():
        return catalogue.get(experiment).task
    return next(stage.task for stage in reversed(experiments.stages(experiment)))


def _open(experiment, data, out, split, rows, seed, changes, config, stages, **options):
    return open_experiment(experiment, data, out, split, rows, seed, changes, config, stages)


def _trained(each, experiment):
    """The weights that a stage ended with. TrainError where it was trained otherwise, or has not ended."""
    from lrcn.training.train import TrainError, check_run, last_snapshot, snapshot

    check_run(each.folder, each.files)
    if last_snapshot(each.folder) < (last := each.files["solver"].max_iter):
        raise TrainError(f"{each.folder}: not trained to iteration {last} yet; run `lrcn train {experiment}` first")
    return snapshot(each.folder, last)


def _videos(experiment, data, out, gpu, rows, frames, strides, **options):
    from data_prep.whole_files import write_text
    from lrcn import engine
    from lrcn.activity import evaluate as measures
    from lrcn.activity import score
    from lrcn.training.experiments import split_folder

    dataset, out, splits, made = _open(experiment, data, out, rows=rows, **options)
    wanted = {row.strip() for row in rows.split(",")} if rows else {each.stage.model for each in made}
    made = [each for each in made if not each.stage.pretrain and each.stage.model in wanted]
    found, progress, classes = engine.find(), Progress(), dataset.classes
    weights = {each.folder: _trained(each, experiment) for each in made}
    ending = measures.suffix(strides, frames)
    for number in splits:
        scores, hits, labels = {}, {}, measures.test_labels(dataset, number)
        for stage, of_split, _, folder, settings, files in made:
            if of_split == number:
                path = measures.score_stage(
                    stage, settings, files, weights[folder], folder, found, gpu, progress, strides
                )
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
            "git": code.revision(),
            **summary,
        }
        write_text(folder / f"results{ending}.json", json.dumps(results, indent=1) + "\n")
        say(f"results: {folder / f'results{ending}.json'}")


def _captions(experiment, data, out, gpu, part, beam, length, retrieval_images, tokens, weights, neighbours, **options):
    from lrcn import engine
    from lrcn.sentences import evaluate as captions

    dataset, out, _, made = _open(experiment, data, out, **options)
    last = {each.stage.variant: each for each in made if each.stage.task == "caption"}
    nets = [
        captions.Net(each.stage.variant, each.settings["stage"], each.settings, _trained(each, experiment), each.folder)
        for each in last.values()
    ]
    how, progress = captions.How(beam, length, retrieval_images, tokens), Progress()
    cnn = _first_cnn(made, weights, experiment) if neighbours else None
    results = captions.evaluate(dataset, part or "test", nets, out, engine.find(), how, cnn, neighbours, gpu, progress)
    progress.close()
    if neighbours and "1nn-fc8" not in results["models"]:
        say("1nn-fc8 is left out: the CNN's own fc8, as it was before training; --weights FILE gives it")
    _write(experiment, "caption", results, out / f"results{how.suffix(part or 'test')}.json", made[0].settings["seed"])


def _videos_described(experiment, data, out, gpu, part, beam, length, tokens, **options):
    from lrcn import engine
    from lrcn.sentences import evaluate as captions

    dataset, out, _, made = _open(experiment, data, out, **options)
    nets = [
        captions.Net(each.stage.variant, None, each.settings, _trained(each, experiment), each.folder) for each in made
    ]
    how, progress = captions.How(beam, length, 0, tokens), Progress()
    results = captions.evaluate_videos(dataset, part or "test", nets, out, engine.find(), how, gpu, progress)
    progress.close()
    _write(experiment, "video", results, out / f"results{how.suffix(part or 'test')}.json", made[0].settings["seed"])


def _first_cnn(made, weights, experiment):
    """The CNN before it was trained on captions: --weights, or what it was pretrained as; or that of a stage that left
    it as it was up to fc7. None where there is none of these."""
    from lrcn.sentences import evaluate as captions
    from lrcn.training import experiments

    if weights:
        return captions.Cnn(weights, captions.BLOBS, weights.name)
    for each in made:
        if each.stage.pretrain:
            return captions.Cnn(_trained(each, experiment), captions.BLOBS, each.stage.folder)
    for each in made:
        note = experiments.read_note(each.folder) or each._asdict()
        # A stage that was trained on activations holds no CNN.
        if each.stage.training in ("train", "from-lm") and note["settings"]["backbone"] != "features":
            return captions.Cnn(_trained(each, experiment), ("fc7",), f"frozen in {each.stage.folder}")
    return None


def _language_model(experiment, data, out, gpu, part, **options):
    from lrcn import engine
    from lrcn.sentences import evaluate as captions

    dataset, out, _, made = _open(experiment, data, out, **options)
    each, progress = made[-1], Progress()
    net = captions.Net(each.stage.variant, "train", each.settings, _trained(each, experiment), each.folder)
    there = dataset.description["splits"]
    parts = [part] if part else [name for name in ("val", "test") if name in there]
    results = captions.evaluate_language_model(dataset, parts, net, engine.find(), gpu, progress)
    progress.close()
    _write(experiment, "lm", results, out / "results_lm.json", each.settings["seed"])


def _results(experiment, data, out, gpu, part, tokens, results, references, name, **options):
    from lrcn.sentences import evaluate as captions

    if not results or not (references or data):
        raise click.UsageError(
            "caption/results: give --results FILE, and --references FILE (COCO's annotations or a "
            "prepared captions.json) or --data DIR"
        )
    found = captions.score_results(results, references or data / "captions.json", part, name or results.stem, tokens)
    _write(experiment, "caption", found, (out or Path("runs") / "caption-results") / "results.json", None)


def _write(experiment, task, found, path, seed):
    """results.json of sentences, what is in it said in a table, and what there is to note."""
    from lrcn import engine
    from lrcn.results import compare
    from lrcn.sentences import evaluate as captions

    used = engine.find().info() if seed is not None else None
    results = captions.write_results(
        path, {"task": task, "experiment": experiment, **found, "engine": used, "seed": seed, "git": code.revision()}
    )
    print(compare.measured_text(results))
    for note in found.get("notes", []):
        say(note)
    say(f"results: {path}")


@click.command()
@click.argument("results", nargs=-1, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def compare(results, as_json):
    """Set what was measured beside the paper's tables, several splits or seeds with their mean and spread.

    RESULTS: results.json files, and for Table 4 the answers that rating sheets saved (with their key.json); by default
    runs/*/results.json, runs/*/split*/results.json and runs/*/results_lm.json.
    """
    from lrcn.results.compare import document, read, text
    from lrcn.sentences.rating_sheet import collect, is_ratings

    paths = results or sorted(
        path
        for pattern in ("*/results.json", "*/split*/results.json", "*/results_lm.json")
        for path in Path("runs").glob(pattern)
    )
    if not paths:
        raise click.UsageError("no results in runs/*/results.json; `lrcn evaluate` writes them")
    rated = [path for path in paths if is_ratings(path)]
    found, ratings = [read(path) for path in paths if path not in rated], collect(rated) if rated else None
    print(json.dumps(document(found, ratings), indent=1) if as_json else text(found, ratings))
