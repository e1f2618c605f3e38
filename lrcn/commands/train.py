"""`lrcn train`."""

from __future__ import annotations

import click

from lrcn.commands.common import FILE, Progress, say
from lrcn.commands.experiment import experiment_options, open_experiment


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
