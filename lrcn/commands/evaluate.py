"""`lrcn evaluate`, `lrcn compare`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
from click.core import ParameterSource

from lrcn.commands import completion
from lrcn.commands.common import FILE, Contained, Progress, check_apart, say
from lrcn.commands.experiment import check_heard, experiment_options, mounts, open_experiment, words
from lrcn.commands.options import CUT, LENGTH, ON_CORRUPT, gpu_options, jobs_option, release_options, tensorboard_option

# Options that mean something to some tasks alone; the others refuse them rather than leave them unheard.
OPTIONS = (
    "frames",
    "strides",
    "split",
    "rows",
    "stages",
    "part",
    "tokens",
    "beam",
    "length",
    "retrieval_images",
    "weights",
    "model",
    "vocabulary",
    "mean_slip",
    "flow_negation",
    "cut",
    "neighbours",
    "results",
    "references",
    "name",
)
OF_RESULTS = ("results", "references", "name", "part", "tokens")  # what caption/results hears


@click.command(cls=Contained, mounts=mounts)
@experiment_options
@gpu_options(several=True)
@jobs_option("nets")
@ON_CORRUPT
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
@LENGTH
@click.option(
    "--retrieval-images",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Captions: retrieval among so many images, the first of the part; 0 for none. 1000 is ours: the paper names "
    "none, and the released script ranks the whole part, as any larger number does.",
)
@click.option(
    "--tokens",
    type=click.Choice(["plain", "ptb"]),
    default="plain",
    show_default=True,
    help="Sentences: words of the metrics, plain in any language, or COCO's, by the tokeniser of the Penn "
    "Treebank (needs Java).",
)
@release_options
@click.option(
    "--weights",
    multiple=True,
    metavar="[NET=]FILE",
    shell_complete=completion.weights,
    help="Videos: weights from anywhere, the authors' say, in place of a run's; single-frame-rgb=FILE, ... of an "
    "experiment. Captions: the CNN that training started from, for the nearest neighbours by its fc7 and fc8.",
)
@click.option(
    "--model",
    multiple=True,
    metavar="[NET=]FILE",
    shell_complete=completion.weights,
    help="Sentences: weights from anywhere in place of a run's, with ...",
)
@click.option("--vocabulary", type=FILE, help="... the vocabulary.txt that they were trained with.")
@CUT
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
@tensorboard_option("the pictures, captions and the table, in DIR/OUT/evaluation")
@click.pass_context
def evaluate(context, experiment, gpu, jobs, on_corrupt, tensorboard, **options):
    """Evaluate the nets that `lrcn train` trained, with the settings that they were trained with.

    Videos are classified. In OUT: results.json, for `lrcn compare`; per_class.tsv; confused.tsv, the pairs most often
    confused; over_time.tsv, accuracy by the frame of the clip; fusion.tsv, accuracy by the weight of RGB; pictures of
    both and of every confusion matrix, of many classes one more of those most confused, each as PNG and as PDF. Other
    than published --frames and --stride write files of their own beside these, as results_last.json.

    Images are described by caption/* nets after their last stage, found by captions and captions by them, and have the
    caption of the nearest training image beside. In OUT: results.json; captions_NAME.json, in COCO's results format;
    captions.png, the first images with their captions, right and wrong ones marked where the truth is known, and what
    people said; examples.json, the best and the worst, for `lrcn report`. Other than published --part and --beam write
    files of their own, as results_val_beam5.json. Language models give their perplexity, in results_lm.json.

    Videos are described by video/* nets, against their own sentences, by level of detail too, and against the truth
    where it is known. In OUT: results.json; captions_NAME.json; examples.json, for `lrcn report`.

    EXPERIMENT caption/results scores captions from elsewhere: --results FILE --references captions_val2014.json.

    EXPERIMENT caption/rating-sheet makes the page on which people rank captions (Table 4); it has options of its own:
    `lrcn evaluate caption/rating-sheet --help`.
    """
    from lrcn.engine.compute import Compute
    from lrcn.training.board import show_evaluation
    from lrcn.training.job import task_named

    progress, out = Progress(), None
    if experiment == "caption/results":
        _refuse_others(context, experiment, OF_RESULTS)
        evaluations = [_score_results(**{name: options[name] for name in (*OF_RESULTS, "data", "out")})]
    else:
        task = task_named(experiment)
        its_own = [field.name for field in fields(task.Options)]
        of_files = [task.weights_option, *(["vocabulary"] if task.weights_option == "model" else [])]
        _refuse_others(context, experiment, (*task.chooses, *its_own, *of_files))
        from_files = bool(options[task.weights_option])
        if options["vocabulary"] and not from_files:
            raise click.UsageError("--vocabulary: goes with --model FILE; a run has its own, leave it out")
        if options["seed"] is not None and from_files:
            raise click.UsageError(f"--seed {options['seed']}: a file of weights tells no seed; leave it out")
        chosen = {name: options.get(name) for name in its_own} | {"rows": words(options["rows"])}
        if "weights" in its_own:
            chosen["weights"] = _one_file(chosen["weights"])
        job = open_experiment(options | {"experiment": experiment}, options[task.weights_option], options["vocabulary"])
        out = job.out
        if "mean_slip" in its_own:
            check_heard(context, job.modalities)
        known = {name: value for name, value in chosen.items() if name in its_own and value is not None}
        evaluations = job.evaluate(Compute(gpu=gpu, progress=progress, on_corrupt=on_corrupt), jobs, **known)
    progress.close()
    for evaluation in evaluations:
        print(evaluation.text)
        for note in evaluation.notes:
            say(note)
        say(f"results: {evaluation.path}")
        if tensorboard:
            show_evaluation(tensorboard, out or evaluation.path.parent, evaluation)


def _score_results(results, references, data, out, part, tokens, name):
    from lrcn.training.tasks.caption import score_results

    if not results or not (references or data):
        raise click.UsageError(
            "caption/results: give --results FILE, and --references FILE (COCO's annotations or a "
            "prepared captions.json) or --data DIR"
        )
    out = out or Path("runs") / "caption-results"
    references = references or data / "captions.json"
    check_apart(out / "results.json", results, references)
    return score_results(results, references, out, part, tokens, name or results.stem)


def _one_file(files):
    """The one file of --weights of captioners, or None."""
    from lrcn.released.weights import weights_file

    if len(files) > 1:
        raise click.UsageError(f"--weights {' '.join(files)}: takes one .caffemodel here, the CNN's; nets have --model")
    return weights_file(files[0]) if files else None


def _refuse_others(context, experiment, heard):
    """UsageError for an option that was given and means nothing to this experiment."""
    for name in OPTIONS:
        if name not in heard and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "stride" if name == "strides" else name.replace("_", "-")
            raise click.UsageError(f"--{option} means nothing to {experiment}; leave it out")


@click.command()
@click.argument("results", nargs=-1, type=FILE)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "csv", "json"]),
    help="Of the same rows: text (the default); markdown, for GitHub; latex, for a document with booktabs; csv, a line"
    " a number; json.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--chart", type=FILE, metavar="FILE.svg", help="Draw the shares with their intervals, too.")
def compare(results, form, as_json, chart):
    """Set what was measured beside the paper's tables, several splits or seeds with their mean and spread.

    RESULTS: results.json files, and for Table 4 the answers that rating sheets saved (with their key.json); by default
    runs/*/results.json, runs/*/split*/results.json and runs/*/results_lm.json.

    A model's row has what was measured; the 95 % interval of a share, by Wilson's score, where the test set is so small
    that it is over a point wide; what is published, and the difference, marked where they are of other data. Numbers
    have the decimals that one test item more or less would change, two at most; csv and json have all.
    """
    from lrcn.results.compare import read, tables
    from lrcn.results.formats import FORMATS
    from lrcn.sentences.rating_sheet import collect, is_ratings
    from lrcn.training.run import results_in

    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form}: give one of them")
    if chart and chart.suffix.lower() != ".svg":
        raise click.UsageError(f"--chart {chart}: is drawn as SVG; name it FILE.svg")
    paths = results or results_in(Path("runs"))
    if not paths:
        raise click.UsageError("no results in runs/*/results.json; `lrcn evaluate` writes them")
    rated = [path for path in paths if is_ratings(path)]
    compared = tables([read(path) for path in paths if path not in rated], collect(rated) if rated else None)
    if chart:
        from data_prep.whole_files import write_text
        from lrcn.report.shares import svg

        drawn = svg(compared)
        chart.parent.mkdir(parents=True, exist_ok=True)
        write_text(chart, drawn)
    print(FORMATS["json" if as_json else form or "text"]([table for table in compared if table.measured]))
