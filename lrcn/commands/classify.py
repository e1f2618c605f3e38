"""`lrcn classify`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from click.core import ParameterSource

from lrcn.commands import completion
from lrcn.commands.common import (
    FILE,
    FOLDER,
    WEIGHTS,
    Contained,
    Progress,
    read_settings,
    run_or_file,
    settings_options,
)
from lrcn.commands.experiment import check_heard
from lrcn.commands.help import option, section
from lrcn.commands.options import JSON, gpu_options, release_options


def _fills(options):
    """What a container must be able to write to, of the command's options."""
    film = options["film"]
    return [], [_pictures(options["run"], options["out"]), *([film.absolute().parent] if film else [])]


@click.command(
    cls=Contained,
    mounts=_fills,
    examples=[
        ("Classify a video with nets that you trained", "lrcn classify holiday.avi --run runs/ucf101"),
        (
            "Draw frames, classes and scores over time as a film",
            "lrcn classify holiday.avi --run runs/ucf101 --video holiday.mp4",
        ),
        (
            "Classify with weights of others",
            "lrcn classify holiday.avi --net activity/lrcn-fc6-rgb \\\n"
            "  --weights lrcn-fc6-rgb --flow-weights lrcn-fc6-flow --classes classInd.txt",
        ),
    ],
)
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@section(
    "Nets of a run",
    option("--run", type=FOLDER, help="A training of activity/* nets: --out of `lrcn train`."),
    option("--split", type=click.IntRange(1, 3), default=1, help="Split whose nets classify."),
    option("--model", show_default="lrcn-fc6, or the one there is", help="Row of Table 1."),
)
@section(
    "Nets from files",
    option("--net", shell_complete=completion.nets, help="A net of `lrcn nets list`, as activity/lrcn-fc6-rgb."),
    option("--weights", type=WEIGHTS, help="Its weights."),
    option("--flow-weights", type=WEIGHTS, help="Weights of the flow net of the same row, to classify by both."),
    option("--classes", type=FILE, help="Names of the classes: classInd.txt, or one name per line."),
)
@settings_options
@section(
    "Scores",
    option(
        "--rgb-weight",
        type=click.FloatRange(0, 1),
        default=1 / 3,
        show_default="1/3",
        help="Share of RGB in the scores of RGB and flow together.",
    ),
    release_options,
)
@section(
    "Output",
    option("--top", type=click.IntRange(1), default=5, help="Number of classes to print."),
    JSON,
    option("--out", type=FOLDER, show_default="RUN/classified, or classified", help="Folder of the pictures."),
    option(
        "--gates",
        is_flag=True,
        help="Draw the LSTM's gates, cell and hidden state in a clip of each video, and write them as .npz.",
    ),
    option("--clip", type=click.IntRange(1), show_default="the middle one", help="With --gates: number of the clip."),
    option("--video", "film", type=FILE, help="Draw the classification of one video as a film, .mp4 or .gif."),
)
@gpu_options()
@click.pass_context
def classify(
    context, videos, rgb_weight, mean_slip, flow_negation, top, as_json, gates, clip, film, out, gpu, **options
):
    """Name the classes of videos, by RGB and by flow.

    VIDEOS are files, folders of frames, or folders of videos. The nets are those of a run, or come from files: --net,
    --weights and --classes. Each video gets a picture of its frames with their scores over time.
    """
    from lrcn.activity import classify as classifying
    from lrcn.activity import draw
    from lrcn.activity.evaluate import Scoring
    from lrcn.engine.compute import Compute

    run, progress = options["run"], Progress()
    nets = _nets(context, out, options)
    check_heard(context, nets)
    arguments, videos = videos, classifying.videos_in(videos, progress)
    _check_pictures(out, _pictures(run, out), arguments, videos, gates)
    extras = _extras(videos, nets, gates, clip, film, options)
    scoring = Scoring(mean_slip=mean_slip, flow_negation=flow_negation)
    compute = Compute(gpu=gpu, progress=progress)
    classified = classifying.classify_videos(videos, nets, compute, rgb_weight, scoring, extras)
    net, pictures = next(iter(nets.values())), _pictures(run, out)
    files = {"picture": draw.draw_all(classified, net, pictures)}
    if gates:
        files["gates"] = draw.draw_gates(classified, nets, pictures)
    if film:
        draw.draw_film(classified[0], nets, rgb_weight, film, progress)
        files["film"] = [film]
    progress.close()
    answers = classifying.as_json(classified, net.classes, top)
    for name, paths in files.items():
        answers = [answer | ({name: str(path)} if path else {}) for answer, path in zip(answers, paths)]
    row, weight = net.variant.row, rgb_weight if len(nets) > 1 else None
    if as_json:
        weights = {modality: str(each.weights) for modality, each in nets.items()}
        whose = {"run": str(run), "split": options["split"]} if run else {"net": net.variant.name}
        document = {**whose, "model": row, "weights": weights, "rgb_weight": weight, "videos": answers}
        print(json.dumps(document, indent=1, ensure_ascii=False))
        return
    for at, answer in enumerate(answers):
        print("\n" * bool(at) + classifying.as_text(answer, row, rgb_weight))
        print(*(f"  {answer[name]}" for name in files if name in answer), sep="\n")


def _extras(videos, nets, gates, clip, film, options):
    """What else is wanted than scores. UsageError, before anything is computed, where it cannot be."""
    from lrcn.activity.classify import Extras
    from lrcn.training.trained import single_frames

    if clip and not gates:
        raise click.UsageError(f"--clip {clip}: goes with --gates; give both")
    beside = {}
    if film:
        _check_film(film, videos)
        if options["run"] and next(iter(nets.values())).variant.row != "single-frame":
            beside = single_frames(options["run"], options["split"], list(nets))
    return Extras(beside, bool(film), gates, clip)


def _check_pictures(out, folder, arguments, videos, gates):
    """UsageError where pictures would lie among the frames that are read, or in place of one; DataError where none can
    be written, or one would take the place of a file of the user's."""
    from data_prep.whole_files import check_folder
    from lrcn.results.pictures import check_drawn_over, picture_names

    check_folder(folder)
    if any(each.is_dir() and each.resolve() == folder.resolve() for each in [*arguments, *videos]):
        raise click.UsageError(f"--out {folder}: is a folder that is read; name another for the pictures")
    if out:
        check_drawn_over(out / name for ending in ["", "-gates"][: 1 + gates] for name in picture_names(videos, ending))


def _check_film(film, videos):
    """UsageError, DataError where --video cannot be drawn: before anything is computed."""
    from data_prep.whole_files import check_folder
    from lrcn.results.film import SUFFIXES

    if film.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"--video {film}: name a file that ends in {' or '.join(SUFFIXES)}")
    if len(videos) != 1:
        raise click.UsageError(f"--video {film}: shows one video, but {len(videos)} are given; give one at a time")
    if film.resolve() == videos[0].resolve():
        raise click.UsageError(f"--video {film}: is the video itself; name another file")
    check_folder(film.parent)


def _nets(context, out, options):
    """{modality: net} of --run, or of --net, --weights, --classes and --flow-weights. UsageError for an option that is
    given and means nothing to them."""
    from data_prep.dataset import read_classes
    from lrcn.activity.classify import nets_of_files
    from lrcn.training.trained import classifiers

    needed = {"--net": options["net"], "--weights": options["weights"], "--classes": options["classes"]}
    beside = {"--flow-weights": options["flow_weights"], "--set": options["changes"], "--config": options["config"]}
    told = {name: context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in ("split", "rgb_weight")}
    if run_or_file(options["run"], needed, beside, {"--model": options["model"], "--split": told["split"]}):
        nets = classifiers(options["run"], options["split"], options["model"])
        if told["rgb_weight"] and len(nets) < 2:
            raise click.UsageError(
                f"--rgb-weight: {options['run']} has no RGB net and flow net of one row; leave it out"
            )
        return nets
    if told["rgb_weight"] and not options["flow_weights"]:
        raise click.UsageError("--rgb-weight: needs a flow net too; give --flow-weights, or leave it out")
    changes = read_settings(options["changes"], options["config"])
    files = [options["weights"], options["flow_weights"]]
    return nets_of_files(options["net"], files, read_classes(options["classes"]), _pictures(None, out), changes)


def _pictures(run, out):
    return out or (run / "classified" if run else Path("classified"))
