"""`lrcn train`."""

from __future__ import annotations

import click

from lrcn.commands import completion
from lrcn.commands.common import FILE, WEIGHTS, Contained, Progress, say, width
from lrcn.commands.experiment import experiment_options, mounts, open_experiment
from lrcn.commands.help import COMPUTING, option, section
from lrcn.commands.options import ON_CORRUPT, gpu_options, jobs_option, tensorboard_option


@click.command(
    cls=Contained,
    mounts=mounts,
    examples=[
        ("Train the nets of the demo", "lrcn train demo"),
        (
            "Say what Table 1 of the paper takes, and train nothing",
            "lrcn train activity/table1 --data data/ucf101 --weights hybrid --dry-run",
        ),
        (
            "Train one captioner on the first GPU",
            "lrcn train caption/lrcn-2f --data data/coco --weights caffenet --gpu 0",
        ),
    ],
)
@experiment_options
@section(
    "Weights to start from",
    option(
        "--weights",
        type=WEIGHTS,
        help="Weights of the first net of each modality, or of a captioner's CNN: a .caffemodel, or a name of "
        "`lrcn weights list`.",
    ),
    option(
        "--trained",
        multiple=True,
        metavar="[STAGE=]FILE",
        shell_complete=completion.weights,
        help="Take this .caffemodel in place of training a stage; say STAGE= where the next one starts from several.",
    ),
    option(
        "--vocabulary", type=FILE, help="With --trained of a net for sentences: the vocabulary.txt of its training."
    ),
    option("--from-scratch", is_flag=True, help="Start from random weights where the paper has ILSVRC-2012's."),
)
@section(
    "Course of the training",
    option("--dry-run", is_flag=True, help="Print the plan with its time, memory and disk, and train nothing."),
    option(
        "--trial/--no-trial",
        default=None,
        show_default="only before nets that start from ILSVRC-2012",
        help="Time a few iterations of each net first.",
    ),
    option("--resume/--fresh", default=True, help="Go on from the last snapshot, or begin anew."),
    option(
        "--keep",
        type=click.IntRange(1),
        show_default="all",
        help="Keep the last N snapshots of each net, and those that later stages or tests need.",
    ),
    ON_CORRUPT,
    tensorboard_option("losses, tests, learning rate and settings"),
)
@gpu_options(several=True)
@section(COMPUTING, jobs_option("trainings"))
def train(
    gpu,
    jobs,
    on_corrupt,
    weights,
    trained,
    vocabulary,
    from_scratch,
    resume,
    keep,
    dry_run,
    trial,
    tensorboard,
    **options,
):
    """Train the nets of an experiment in their order.

    EXPERIMENT is a name of `lrcn experiments`, a TOML file of your own, or a net of `lrcn nets list`. What a net starts
    from is trained first. A training that was interrupted goes on where it was when the command is given again.
    """
    from lrcn.engine.compute import Compute
    from lrcn.training.standing import outcome_text, standing_of
    from lrcn.training.workspace import Start

    job, progress, start = open_experiment(options), Progress(), Start(weights, from_scratch, trained, vocabulary)
    job.check_start(start, dry_run, resume)
    if not dry_run:
        job.check_disk(start, resume, keep, jobs, gpu)
    trial = job.is_long and not dry_run if trial is None else trial
    if dry_run or trial:
        trial_in = _for_trial(gpu, progress, dry_run) if trial else None
        print(job.plan(start, resume, gpu, trial_in, keep, jobs), flush=True)
        progress.close()
    if dry_run:
        return
    compute = Compute(gpu=gpu, progress=progress, on_corrupt=on_corrupt)
    runs = job.train(start, resume, compute, keep, tensorboard, jobs)
    progress.close()
    say(outcome_text([standing_of(run, run.log, job.name_of(run), run.done) for run in runs], width()))


def _for_trial(gpu, progress, dry_run):
    """Where there is to be a trial; a plan alone does without it where there is no engine."""
    from lrcn.engine import EngineError
    from lrcn.engine.compute import Compute

    try:
        return Compute(gpu=gpu, progress=progress)
    except EngineError as error:
        if not dry_run:
            raise
        say(f"no trial: {error}")
        return None
