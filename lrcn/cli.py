"""The command line `lrcn`: reads what the user asks for, calls the module that does it, shows progress, and turns an
error into one line."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click
from tqdm import tqdm

from data_prep import DataError
from lrcn.compare import ResultsError
from lrcn.engine import EngineError
from lrcn.train import TrainError
from prototxt_gen import SpecError

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


def main() -> None:
    """Exit codes: 0 done, 1 the honest answer is no, 2 bad usage or bad input, 130 interrupted."""
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.exceptions.Abort:
        code, line = 130, "interrupted; the same command goes on from here"
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        sys.exit(2)
    except click.ClickException as error:
        code, line = 2, error.format_message()
    except (DataError, SpecError, EngineError, TrainError, ResultsError) as error:
        code, line = 2, str(error)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        code, line = 2, f"{error.filename}: {error.strerror}" if error.filename else str(error)
    print(f"lrcn: {line}", file=sys.stderr)
    sys.exit(code)


class Progress:
    """Shows (what, done, total): a bar on a terminal, a line each tenth elsewhere."""

    def __init__(self):
        self.bar, self.what, self.tenth, self.begun = None, None, -1, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        terminal = sys.stderr.isatty()
        if not total:  # a remark
            self.close()
            say(what)
            return
        if what != self.what:
            self.close()
            self.what, self.tenth, self.begun = what, -1, time.monotonic()
            self.bar = tqdm(desc=what, total=total, unit="", leave=True) if terminal else None
        if terminal:
            self.bar.total = total
            self.bar.update(done - self.bar.n)
        elif (tenth := 10 * done // max(total, 1)) > self.tenth:
            self.tenth = tenth
            print(f"{what}: {done}/{total} ({time.monotonic() - self.begun:.0f} s)", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = self.what = None


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="lrcn")
def cli():
    """Long-term Recurrent Convolutional Networks (Donahue et al., CVPR 2015) in real Caffe."""


# --- the engine


@cli.group()
def caffe():
    """Build Caffe, or say which one is here."""


@caffe.command("build")
@click.option(
    "--source",
    default="auto",
    show_default=True,
    metavar="auto|bvlc|pypi|DIR",
    help="Where Caffe's sources come from; auto: bvlc, else pypi.",
)
@click.option("--cuda", is_flag=True, help="Build for GPUs (needs nvcc).")
@click.option("--jobs", type=click.IntRange(1), help="Compile this many files at a time; all cores by default.")
def caffe_build(source, cuda, jobs):
    """Build libcaffe, the caffe tool and pycaffe once into the cache."""
    from lrcn import engine

    progress = Progress()
    built = engine.build(source, cuda=cuda, jobs=jobs, progress=progress)
    progress.close()
    say(f"Caffe from {built.source} is ready in {built.root}")


@caffe.command("info")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def caffe_info(as_json):
    """Source, version, BLAS and flags of the engine, and where it lies."""
    from lrcn import engine

    info = engine.find().info()
    print(json.dumps(info, indent=1) if as_json else "\n".join(f"{key:<10} {value}" for key, value in info.items()))


# --- nets


@cli.group()
def nets():
    """List the nets of the paper and write them as prototxt."""


@nets.command("list")
@click.option("--task", type=click.Choice(["activity", "caption", "lm", "video"]), help="Only this task's nets.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def nets_list(task, as_json):
    """Name, place in the paper and settings of every net."""
    from netspecs import catalogue

    rows = [variant for variant in map(catalogue.get, catalogue.names()) if task in (None, variant.task)]
    if as_json:
        print(
            json.dumps(
                [{"name": v.name, "task": v.task, "paper": v.paper, "settings": v.defaults} for v in rows], indent=1
            )
        )
    else:
        print("\n".join(f"{v.name:<28} {v.paper}" for v in rows))


@nets.command("write")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every net of the catalogue.")
@click.option("--out", type=FOLDER, required=True, help="A folder a net is made in this one.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a number of the paper otherwise; more than once if need be.",
)
def nets_write(names, everything, out, changes):
    """Write train_test.prototxt, deploy.prototxt and solver.prototxt of nets."""
    from data_prep.store import write_text
    from netspecs import catalogue
    from prototxt_gen import to_text

    if bool(names) == everything:
        raise click.UsageError("name the nets to write, or give --all; `lrcn nets list` shows them")
    values = parse_changes(changes)
    made = {name: catalogue.get(name).files(**values) for name in (catalogue.names() if everything else names)}
    for name, files in made.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for kind, message in files.items():
            write_text(folder / f"{kind}.prototxt", to_text(message, header=f"{name}, {catalogue.get(name).paper}"))
        print(folder)


def parse_changes(changes) -> dict:
    """{"units": 512} of ("units=512",): values are JSON where they are JSON, else words."""
    values = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change}: it takes NAME=VALUE, as units=512")
        try:
            values[name.strip().replace("-", "_")] = json.loads(text)
        except ValueError:
            values[name.strip().replace("-", "_")] = text
    return values


# --- data


@cli.group()
def prepare():
    """Turn raw data into what Caffe reads."""


@prepare.command("demo")
@click.option("--out", type=FOLDER, default=Path("data/demo"), show_default=True)
@click.option("--seed", type=int, default=1701, show_default=True)
def prepare_demo(out, seed):
    """Make the demo's videos (eight motions that no single frame tells apart), their frames and their flow."""
    from data_prep import demo

    progress = Progress()
    demo.prepare(out, seed=seed, progress=progress)
    progress.close()
    say(f"{out} is whole")


@prepare.command("videos")
@click.option("--videos", type=FOLDER, required=True, help="A folder of videos for each class.")
@click.option(
    "--lists",
    type=FOLDER,
    help="train1.txt and test1.txt (`Class/video label` a line), classes.txt; a seeded draw by default.",
)
@click.option("--out", type=FOLDER, required=True)
@click.option(
    "--size",
    nargs=2,
    type=click.IntRange(1),
    default=(240, 320),
    show_default=True,
    help="Height and width of the stored frames.",
)
@click.option("--fps", type=float, help="Take this many frames a second (the authors: 30); all frames by default.")
@click.option("--flow", type=click.Choice(["dis", "farneback", "tvl1"]), default="dis", show_default=True)
@click.option("--mirror/--no-mirror", default=True, show_default=True, help="Whether the labels survive a mirror.")
@click.option("--seed", type=int, default=1701, show_default=True)
def prepare_videos(videos, lists, out, size, fps, flow, mirror, seed):
    """Frames and flow of video files, a folder a class."""
    from data_prep.videos import prepare_folder

    progress = Progress()
    prepare_folder(
        videos,
        lists,
        out,
        height=size[0],
        width=size[1],
        fps=fps,
        algorithm=flow,
        mirror=mirror,
        seed=seed,
        progress=progress,
    )
    progress.close()
    say(f"{out} is whole")


@prepare.command("features")
@click.option("--npz", type=FILE, required=True, help="x_tr (V, T, D), y_tr, x_te, y_te and classes.")
@click.option("--out", type=FOLDER, required=True)
@click.option("--videos", type=click.IntRange(1), default=24, show_default=True, help="Videos a training batch.")
def prepare_features(npz, out, videos):
    """HDF5 inputs from activations computed beforehand, in place of the CNN."""
    from data_prep.features import prepare_npz

    prepare_npz(npz, out, videos=videos)
    say(f"{out} is whole")


# --- training, evaluation, comparison


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
            click.option(
                "--set",
                "changes",
                multiple=True,
                metavar="NAME=VALUE",
                help="Set anything of the nets or solvers; more than once if need be.",
            ),
            click.option(
                "--gpu",
                type=click.IntRange(0),
                help="Compute on this GPU (an engine built with --cuda); on the CPU by default.",
            ),
        ]
    ):
        command = option(command)
    return command


def open_experiment(experiment, data, out, split, seed, changes):
    """What train and evaluate both need: engine, data set, folder, and (stage, its data set, settings, files) of each
    net."""
    from data_prep.features import check_features
    from data_prep.store import Dataset
    from lrcn import engine, experiments
    from netspecs import catalogue

    name = experiment.replace("/", "-")
    values = parse_changes(changes) | ({} if seed is None else {"seed": seed})
    chosen = experiments.stages(experiment)
    experiments.check_changes(chosen, values)
    dataset, made = Dataset(data or Path("data") / name), []
    for stage in chosen:
        shown = Dataset(dataset.folder / stage.pretrain) if stage.pretrain else dataset
        if shown.kind == "frames":
            shown.check(stage.modality)
        else:
            check_features(shown.folder)
        settings = experiments.settings(stage, shown, split, values)
        made.append((stage, shown, settings, catalogue.get(stage.variant).files(**settings)))
    return engine.find(), dataset, out or Path("runs") / name, made


@cli.command()
@experiment_options
@click.option("--weights", type=FILE, help="A .caffemodel that the first net of each modality starts from.")
@click.option("--resume/--fresh", default=True, help="Go on from the last snapshot (the default), or begin anew.")
def train(experiment, data, out, split, seed, changes, gpu, weights, resume):
    """Train the nets of an EXPERIMENT (demo, features, or a net of the catalogue) in their order."""
    from lrcn.train import train as train_net

    engine, dataset, out, made = open_experiment(experiment, data, out, split, seed, changes)
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


@cli.command()
@experiment_options
def evaluate(experiment, data, out, split, seed, changes, gpu):
    """Classify the test videos with trained nets; write results.json, confusion matrices and scores."""
    from data_prep.store import write_text
    from lrcn.evaluate import draw_confusion, git_revision, measure_model, score_stage, test_labels
    from lrcn.train import check_run, last_snapshot, snapshot

    engine, dataset, out, made = open_experiment(experiment, data, out, split, seed, changes)
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


@cli.command()
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
