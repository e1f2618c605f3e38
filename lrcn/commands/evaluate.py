"""`lrcn evaluate`, `lrcn compare`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
from click.core import ParameterSource

from lrcn.commands import completion
from lrcn.commands.common import FILE, Contained, Progress, check_apart, say
from lrcn.commands.experiment import check_heard, experiment_options, mounts, open_experiment, words
from lrcn.commands.help import COMPUTING, Command, option, section
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


@click.command(
    cls=Contained,
    mounts=mounts,
    examples=[
        ("Evaluate the nets of the demo", "lrcn evaluate demo"),
        (
            "Evaluate a captioner by beam search on the first GPU",
            "lrcn evaluate caption/lrcn-2f --data data/coco --beam 5 --gpu 0",
        ),
        (
            "Score captions from elsewhere",
            "lrcn evaluate caption/results --results captions.json \\\n  --references captions_val2014.json",
        ),
    ],
)
@experiment_options
@section(
    "Weights from elsewhere",
    option(
        "--weights",
        multiple=True,
        metavar="[NET=]FILE",
        shell_complete=completion.weights,
        help="Videos: evaluate these weights, not a run's. Captions: weights of the CNN that training started from, "
        "for the nearest neighbours.",
    ),
    option(
        "--model",
        multiple=True,
        metavar="[NET=]FILE",
        shell_complete=completion.weights,
        help="Sentences: evaluate these weights, not a run's; needs --vocabulary.",
    ),
    option("--vocabulary", type=FILE, help="With --model: the vocabulary.txt of its training."),
)
@section(
    "Classes of videos",
    option(
        "--frames",
        type=click.Choice(["mean", "last"]),
        default="mean",
        help="Score of a clip: the mean over its frames, or its last frame's.",
    ),
    option(
        "--stride",
        "strides",
        type=click.IntRange(1),
        multiple=True,
        default=[8],
        help="Frames from one clip to the next; given several times, scores are averaged.",
    ),
    release_options,
    ON_CORRUPT,
)
@section(
    "Sentences",
    option(
        "--part",
        type=click.Choice(["train", "val", "test"]),
        show_default="test; of a language model val and test",
        help="Part of the data to describe.",
    ),
    option(
        "--beam",
        type=click.IntRange(1),
        default=1,
        help="Width of the beam search; 1 takes the likeliest word each time.",
    ),
    LENGTH,
    option(
        "--tokens",
        type=click.Choice(["plain", "ptb"]),
        default="plain",
        help="How metrics split sentences into words: plain, for any language, or as COCO does (needs Java).",
    ),
    option(
        "--retrieval-images",
        type=click.IntRange(0),
        default=1000,
        help="Number of images among which one is sought by its caption; 0 leaves retrieval out.",
    ),
    option("--neighbours/--no-neighbours", default=True, help="Also score the caption of the nearest training image."),
    CUT,
)
@section(
    "Captions from elsewhere, with caption/results",
    option("--results", type=FILE, help="The captions, in COCO's results format."),
    option(
        "--references",
        type=FILE,
        show_default="DATA/captions.json",
        help="What people wrote: COCO's annotations, or captions.json of a prepared data set.",
    ),
    option("--name", show_default="the file's", help="Name of their row in tables."),
)
@gpu_options(several=True)
@section(COMPUTING, jobs_option("evaluations"))
@section("Output", tensorboard_option("pictures, captions and the table"))
@click.pass_context
def evaluate(context, experiment, gpu, jobs, on_corrupt, tensorboard, **options):
    """Measure how good the trained nets are.

    EXPERIMENT is what `lrcn train` was given. Nets that classify videos are measured by accuracy, nets that write
    sentences by the metrics of the paper's tables, captioners by retrieval too. Settings are taken from the training.
    The results are written to OUT with pictures and tables; see docs/results.md.

    Two more experiments need no training: caption/results measures captions from a file, and caption/rating-sheet makes
    a page on which people rank captions (`lrcn evaluate caption/rating-sheet --help`).
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
            raise click.UsageError(
                f"--seed {options['seed']}: selects a training, but files of weights are given; leave it out"
            )
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
        raise click.UsageError(
            f"--weights {' '.join(files)}: takes one .caffemodel here, the CNN's; give weights of the nets as --model"
        )
    return weights_file(files[0]) if files else None


def _refuse_others(context, experiment, heard):
    """UsageError for an option that was given and means nothing to this experiment."""
    for name in OPTIONS:
        if name not in heard and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "stride" if name == "strides" else name.replace("_", "-")
            raise click.UsageError(f"--{option} means nothing to {experiment}; leave it out")


@click.command(
    cls=Command,
    examples=[
        ("Compare all runs that were evaluated", "lrcn compare"),
        ("Compare them, and draw the accuracies with their intervals", "lrcn compare --chart accuracies.svg"),
        (
            "Compare the three splits of Table 1, for a paper",
            "lrcn compare --format latex \\\n  runs/ucf101/results.json runs/ucf101/split*/results.json",
        ),
    ],
)
@click.argument("results", nargs=-1, type=FILE)
@option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "csv", "json"]),
    show_default="text",
    help="Format of the tables; latex needs the package booktabs, csv has a line for each number.",
)
@option("--json", "as_json", is_flag=True, help="The same as --format json.")
@option(
    "--chart", type=FILE, metavar="FILE.svg", help="Draw all shares (accuracy and the like) with their intervals, too."
)
def compare(results, form, as_json, chart):
    """Compare results with the tables of the paper.

    RESULTS are results.json files; by default those of all runs in runs/. For Table 4 they are the answers that rating
    sheets saved, with their key.json. Each model has a row of what was measured and one of what is published. Several
    splits or seeds are given as mean and spread, shares of small test sets with a 95 % interval (Wilson's). Tables
    have as many decimals as the size of the test set supports; csv and json have all.
    """
    from lrcn.results.compare import read, tables
    from lrcn.results.formats import FORMATS
    from lrcn.sentences.rating_sheet import collect, is_ratings
    from lrcn.training.run import results_in

    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form}: give one of them")
    if chart and chart.suffix.lower() != ".svg":
        raise click.UsageError(f"--chart {chart}: name a file that ends in .svg")
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
