"""`lrcn train`."""

from __future__ import annotations

import click

from lrcn.commands.common import FILE, Contained, Progress, say
from lrcn.commands.experiment import experiment_options, open_experiment, places

FROZEN = ("train", "from-lm")  # the captioners' stages that leave the CNN as it is
NEEDS_CNN = "trains on a frozen CNN, whose weights must be given: --weights bvlc_reference_caffenet.caffemodel, say"


@click.command(cls=Contained, places=places)
@experiment_options
@click.option(
    "--weights",
    type=FILE,
    help="A .caffemodel that the first net of each modality starts from; for captioners the CNN's, in every stage.",
)
@click.option(
    "--from-scratch", is_flag=True, help="Start from random weights where the paper starts from ILSVRC-2012's."
)
@click.option("--resume/--fresh", default=True, help="Go on from the last snapshot (the default), or begin anew.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what it takes, and do nothing.")
@click.option(
    "--trial/--no-trial",
    default=None,
    help="Time a few iterations of each net first; by default for activity/table1 alone.",
)
def train(
    experiment,
    data,
    out,
    split,
    rows,
    stages,
    seed,
    changes,
    config,
    gpu,
    weights,
    from_scratch,
    resume,
    dry_run,
    trial,
):
    """Train the nets of an EXPERIMENT in their order.

    EXPERIMENT: activity/table1 (all of Table 1), demo, demo-table1 (the demo with LRCN-fc7), demo-captions, demo-video,
    features, or a net of the catalogue: an activity net after the single-frame net that it starts from, caption/* in
    the stages of --stages, video/*, lm/lstm-lm. Given again, it goes on where it was.
    """
    from lrcn import engine
    from lrcn.training import experiments
    from lrcn.training.train import train as train_net
    from lrcn.training.train import trained as trained_there

    if weights and from_scratch:
        raise click.UsageError("--weights and --from-scratch: give one of them")
    dataset, out, splits, made = open_experiment(experiment, data, out, split, rows, seed, changes, config, stages)
    if weights and not {each.stage.task for each in made} & {"activity", "caption"}:
        raise click.UsageError(f"--weights {weights}: {experiment} has no CNN to start from them; leave it out")
    _check_starts(experiment, out, made)
    whole = experiment in experiments.NEED_FRAMES
    if whole and not (weights or from_scratch or dry_run):
        from lrcn.training import plan

        raise click.UsageError(f"{experiment}: {plan.NEEDED}")
    if dry_run or whole or trial:
        _say_plan(
            experiment,
            dataset,
            out,
            splits,
            made,
            weights,
            from_scratch,
            resume,
            gpu,
            whole if trial is None else trial,
            dry_run,
        )
    elif not (weights or from_scratch) and dataset.kind == "frames" and not experiment.startswith("demo"):
        say("no --weights: the first nets start from random weights; the paper's start from ILSVRC-2012 weights")
    if dry_run:
        return
    if not weights and (without := _without_cnn(made, out)):
        if NEEDS_CNN in without:
            raise click.UsageError(without)
        say(f"no --weights: {without}")
    found, progress, trained = engine.find(), Progress(), {}
    for each in made:
        stage = each.stage
        start = trained.get((each.split, stage.start))
        if stage.start and not start:
            start = trained_there(experiments.split_folder(out, each.split) / stage.start)
        # Flow may be made after a net was trained on the frames.
        shown = {k: v for k, v in each.dataset.description.items() if stage.modality == "flow" or k != "flow"}
        final = train_net(
            each.files,
            each.folder,
            found,
            _starts(stage, start, weights),
            gpu,
            {"data_set": shown},
            not resume,
            progress,
        )
        experiments.write_note(each.folder, stage, each.settings, each.dataset)
        trained |= {(number, stage.folder): final for number in (splits if stage.pretrain else [each.split])}
    progress.close()
    say(f"trained: {', '.join(str(folder) for folder in dict.fromkeys(trained.values()))}")


def _starts(stage, start, weights):
    """The weights of a stage, or their names: of the stage that it starts from, and the user's for CNNs."""
    if stage.task == "activity":
        return [start or weights] if start or weights else []
    return [each for each in (weights if stage.task == "caption" else None, start) if each]


def _check_starts(experiment, out, made):
    """TrainError where a stage starts from one that is neither trained now nor lies trained in OUT."""
    from lrcn.training import experiments
    from lrcn.training.train import TrainError, trained

    for each in made:
        stage = each.stage
        place = experiments.split_folder(out, each.split) / str(stage.start)
        if stage.start and all(stage.start != other.stage.folder for other in made) and not trained(place):
            raise TrainError(
                f"{place}: no net trained to its end is there, from which {stage.training} starts; run "
                f"`lrcn train {experiment} --stages {experiments.STARTS[stage.training][0]}` first"
            )


def _without_cnn(made, out):
    """What there is to say where a captioner has no weights for its CNN, --weights aside; None where all have."""
    from lrcn.training import experiments

    nets = {each.stage.folder: each for each in made}
    for each in made:
        stage, features = each.stage, each.settings.get("backbone") == "features"
        if stage.task != "caption":
            continue
        if stage.start in nets:
            there = nets[stage.start].stage.task != "lm"
        else:
            note = experiments.read_note(out / stage.start) if stage.start else None
            there = note is not None and (features or note["settings"].get("backbone", "features") != "features")
        if there:
            continue
        if not features and stage.training in FROZEN:
            # As published, frozen layers have no fillers: Caffe leaves them 0, and the net sees nothing.
            return f"{stage.folder} {NEEDS_CNN}"
        return (
            f"{stage.folder}: {'fc8' if features else 'its CNN'} starts from random weights; the paper's starts "
            "from ILSVRC-2012 weights"
        )
    return None


def _say_plan(experiment, dataset, out, splits, made, weights, from_scratch, resume, gpu, trial, dry_run):
    """The plan on standard output; with `trial`, after a few iterations of every net that is not trained yet."""
    from lrcn import engine
    from lrcn.training import experiments, plan
    from lrcn.training.train import last_snapshot
    from netspecs import catalogue

    def start(each):
        names = _starts(each.stage, each.stage.start, weights and weights.name)
        published = experiment in experiments.NEED_FRAMES and not from_scratch
        return " + ".join(reversed(names)) or ("ILSVRC-2012 weights" if published else "random weights")

    steps = [
        plan.step(
            each.stage, each.folder, each.settings, each.files, last_snapshot(each.folder) if resume else 0, start(each)
        )
        for each in made
    ]
    about = []
    takes = [each for each in made if each.stage.task != "lm"]
    if weights and takes and (dataset.kind == "captions" or not experiment.startswith("demo")):
        first, shapes = takes[0], catalogue.get(takes[0].stage.variant).input_shapes(**takes[0].settings)["train"]
        about = plan.given_weights(weights, first.stage, first.files, shapes)
    elif not weights and dataset.kind == "frames" and not experiment.startswith("demo"):
        about = (
            ["weights: none (--from-scratch); the paper's nets start from ILSVRC-2012 weights"]
            if from_scratch or not dry_run
            else plan.needed_weights()
        )
    elif not weights and (without := _without_cnn(made, out)):
        about = [f"weights: none; {without}"]
        if any(each.stage.task == "caption" and each.settings["backbone"] == "caffenet" for each in made):
            about.append(f"  the paper's   {plan.CAFFENET.describe()}")
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
    from lrcn.training import plan

    paces, progress = {}, Progress()
    for number, (step, each) in enumerate(zip(steps, made)):
        progress("trial", number, len(steps))
        if step.done < step.iterations:
            # the splits differ in their lists alone
            key = each.stage.variant, each.stage.training, each.stage.pretrain
            paces[key] = paces.get(key) or plan.trial(each.files, found, gpu)
            step.pace = paces[key]
        progress("trial", number + 1, len(steps))
    progress.close()
