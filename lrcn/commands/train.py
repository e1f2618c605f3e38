"""`lrcn train`."""

from __future__ import annotations

import click

from lrcn.commands import completion
from lrcn.commands.common import FILE, WEIGHTS, Contained, Progress, say, width
from lrcn.commands.experiment import experiment_options, mounts, open_experiment
from lrcn.commands.options import ON_CORRUPT, gpu_options, jobs_option, tensorboard_option


@click.command(cls=Contained, mounts=mounts)
@experiment_options
@gpu_options(several=True)
@jobs_option("trainings")
@ON_CORRUPT
@click.option(
    "--weights",
    type=WEIGHTS,
    help="A .caffemodel, or a name of `lrcn weights list`, that the first net of each modality starts from; for "
    "captioners the CNN's, in every stage.",
)
@click.option(
    "--trained",
    multiple=True,
    metavar="[STAGE=]FILE",
    shell_complete=completion.weights,
    help="A stage that is not trained here: its .caffemodel, from anywhere, from which the next starts; "
    "single-frame-rgb=FILE, ... where several are started from.",
)
@click.option("--vocabulary", type=FILE, help="With --trained, of sentences: the vocabulary.txt of its training.")
@click.option(
    "--from-scratch", is_flag=True, help="Start from random weights where the paper starts from ILSVRC-2012's."
)
@click.option("--resume/--fresh", default=True, help="Go on from the last snapshot (the default), or begin anew.")
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="Leave the last N snapshots of each net, and those that stages of the experiment start at or are scored at;"
    " all by default, as Caffe does.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what it takes, and do nothing.")
@click.option(
    "--trial/--no-trial",
    default=None,
    help="Time a few iterations of each net first; by default before trainings that start from weights of ILSVRC-2012, "
    "and not with --dry-run.",
)
@tensorboard_option("loss, tests and learning rate by iteration, and the settings; those of a run lie in DIR/OUT/RUN")
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
    """Train the nets of an EXPERIMENT in their order.

    EXPERIMENT: one of `lrcn experiments` (activity/table1 is all of Table 1), a TOML file of your own, or a net of the
    catalogue: an activity net after the single-frame net that it starts from, caption/* in the stages of --stages,
    video/*, lm/lstm-lm. Given again, it goes on where it was.
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
