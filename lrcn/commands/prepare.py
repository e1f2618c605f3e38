"""`lrcn prepare`: raw data to what Caffe reads."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from lrcn.commands import completion
from lrcn.commands.common import (
    FILE,
    FOLDER,
    WEIGHTS,
    Progress,
    lenient_option,
    pass_over,
    read_settings,
    say,
    settings_options,
)
from lrcn.commands.help import Group, option, section
from lrcn.commands.options import gpu_options


@click.group(cls=Group, examples=[("Make the data of the demo", "lrcn prepare demo")])
def prepare():
    """Turn videos, images and captions into what Caffe reads.

    A data set appears under its name only when it is whole. A command that was interrupted goes on when it is given
    again.
    """


@contextmanager
def _making(out, who=None, becomes="is whole", kind="videos", by_caffe=False):
    """Gives the work that is shown on the terminal, and says at its end what has become of `out`.

    who: the values of `_who_works`' options, for work that is worth a crew from the start. by_caffe: which on this
    machine has no crew.
    """
    from data_prep import cluster, shards
    from data_prep.workers import Processes, Work

    _check_inputs(out)
    progress, (workers, executor, shard) = Progress(), who or (None, None, None)
    if executor is not None and workers:
        raise click.UsageError("--workers uses this machine, --executor a cluster; give one of them")
    shard = None if shard is None else shards.parse(shard)  # "" is a variable that is not set
    if executor is not None:
        crew = cluster.connected(executor, progress)
    else:
        crew = Processes(workers) if who and not by_caffe else nullcontext()
    with crew as crew:
        yield Work(workers, progress, crew, shard)
    progress.close()
    say(f"{shards.place(out, shard, kind)} is whole" if shard else f"{out} {becomes}")


def _check_inputs(out):
    """UsageError for a path among the command's that lies where the data set is made, and could be emptied with it."""
    made_in = Path(f"{os.path.realpath(out)}.partial")
    for value in click.get_current_context().params.values():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) and path.resolve().is_relative_to(made_in):
                raise click.UsageError(f"{path}: lies in {made_in}, where {out} is made; move it elsewhere")


@prepare.command("demo", examples=[("Make them in data/demo", "lrcn prepare demo")])
@option("--out", type=FOLDER, default=Path("data/demo"), help="Folder of the data set.")
@option("--seed", type=int, default=1701, help="Seed of all that is drawn.")
def prepare_demo(out, seed):
    """Make the demo's videos, with frames, flow and sentences.

    They show eight motions that no single frame tells apart. OUT/captions gets pictures with captions.
    """
    from data_prep import demo

    with _making(out) as work:
        demo.prepare(out, seed, work=work)


_OUT = option("--out", type=FOLDER, required=True, help="Folder of the data set, which is made.")
_DATA = option("--data", type=FOLDER, required=True, help="Folder of a prepared data set, which is added to.")
_SIZE = option(
    "--size",
    nargs=2,
    type=click.IntRange(1),
    metavar="HEIGHT WIDTH",
    default=(240, 320),
    show_default="240 320",
    help="Size of the stored frames.",
)
_EVERY = option(
    "--every",
    type=click.IntRange(1),
    default=1,
    help="Take each N-th frame of a video into the stills on which single-frame nets train.",
)
_ORDER_SEED = option("--seed", type=int, default=1701, help="Seed of the order of the training lists.")
_KEEP_ORDER = option(
    "--keep-order",
    is_flag=True,
    help="Leave the training lists in the given order. Nets learn nothing from lists that go class by class.",
)
_MIN_COUNT = option(
    "--min-count",
    type=click.IntRange(1),
    default=5,
    help="Put words into the vocabulary that are seen this often in training sentences.",
)
_STEPS = option(
    "--steps",
    type=click.IntRange(2),
    default=20,
    help="Steps of the LSTM for a sentence, its end included; a longer one is cut.",
)
_STREAMS = option(
    "--streams", type=click.IntRange(1), default=100, help="Sentences side by side, as many as the nets' streams."
)
_WORKERS = option("--workers", type=click.IntRange(1), show_default="one per core", help="Number of processes.")
_EXECUTOR = option(
    "--executor",
    metavar="dask:ADDRESS",
    help="Let the workers of a dask cluster do it. They must see the same files under the same paths.",
)
_SHARD = option(
    "--shard",
    metavar="K/N",
    help="Do part K of N only, on any machine. `lrcn prepare merge` then joins the parts. See docs/many-machines.md.",
)


def _who_works(command):
    """The options that say who does the work, and which part of it: as `_making` has them."""
    return section("Who does the work", _WORKERS, _EXECUTOR, _SHARD)(command)


@prepare.command(
    "ucf101",
    examples=[
        (
            "Prepare all three splits; then compute the flow",
            "lrcn prepare ucf101 --videos UCF-101 --splits ucfTrainTestlist --split all\n"
            "lrcn prepare flow --data data/ucf101",
        )
    ],
)
@section(
    "Input",
    option("--videos", type=FOLDER, required=True, help="The unpacked UCF101.rar: a folder per class, or one folder."),
    option("--splits", type=FOLDER, required=True, help="The unpacked ucfTrainTestlist."),
    option("--subset", is_flag=True, help="Allow listed videos to be missing; else all 13,320 must be there."),
)
@section(
    "Data set",
    option("--out", type=FOLDER, default=Path("data/ucf101"), help="Folder of the data set, which is made."),
    option(
        "--split",
        type=click.Choice(["1", "2", "3", "all"]),
        default="1",
        help="Write lists and stills of this split; others can be added later. Stills of a split take as much disk as "
        "the frames.",
    ),
    option(
        "--fps", type=click.FloatRange(0, min_open=True), default=30, help="Frames per second; the authors took 30."
    ),
    _SIZE,
    _EVERY,
    _ORDER_SEED,
    _KEEP_ORDER,
)
@_who_works
def prepare_ucf101(videos, splits, out, split, subset, workers, executor, shard, **options):
    """Prepare UCF-101: frames and the official lists.

    `lrcn data list ucf101` says where the two archives are.
    """
    with _making(out, (workers, executor, shard)) as work:  # the crew begins while this process imports and reads
        from data_prep import ucf101
        from data_prep.list_order import ListOrder
        from data_prep.videos import FrameOptions

        frames = FrameOptions(*options["size"], fps=options["fps"], every=options["every"])
        order = ListOrder(options["seed"], options["keep_order"])
        ucf101.prepare_ucf101(ucf101.Archive(videos, splits, subset), out, split, frames, order, work)


@prepare.command(
    "videos",
    examples=[
        ("Prepare a folder of videos for each class", "lrcn prepare videos --videos my-videos --out data/mine"),
        (
            "Keep the videos of a scene together, all for training or all for testing",
            "lrcn prepare videos --videos my-videos --group-by 'scene[0-9]+' \\\n  --out data/mine",
        ),
    ],
)
@section(
    "Input",
    option(
        "--videos", type=FOLDER, required=True, help="A folder for each class, of video files or folders of images."
    ),
    option(
        "--lists",
        type=FOLDER,
        show_default="a seeded draw",
        help="Training and test lists: train1.txt and test1.txt with lines `Class/video label`, or HMDB-51's.",
    ),
    option(
        "--test-share",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        show_default="0.25",
        help="Without lists: share of each class that is drawn for testing.",
    ),
    option(
        "--group-by",
        metavar="REGEX",
        help="Without lists: put videos in whose names this matches the same text, as 'scene[0-9]+', all into training "
        "or all into testing.",
    ),
    option(
        "--mirror/--no-mirror",
        default=True,
        help="Whether training may mirror videos: not where that changes their class.",
    ),
    option("--skip-unreadable", is_flag=True, help="Leave out videos that cannot be read; skipped.tsv names them."),
)
@section(
    "Data set",
    _OUT,
    option(
        "--fps",
        type=click.FloatRange(0, min_open=True),
        show_default="all",
        help="Frames per second; the authors took 30.",
    ),
    _SIZE,
    option(
        "--flow",
        type=click.Choice(["dis", "farneback", "tvl1", "none"]),
        default="dis",
        help="Algorithm of the optical flow, or none.",
    ),
    _EVERY,
    option("--seed", type=int, default=1701, help="Seed of the drawn lists and of the order of the training lists."),
    _KEEP_ORDER,
)
@_who_works
def prepare_videos(videos, lists, out, flow, mirror, workers, executor, shard, **options):
    """Prepare your own videos: frames, flow and lists.

    Training and test videos are drawn at random if no lists are given.
    """
    from data_prep.draw import Draw
    from data_prep.list_order import ListOrder
    from data_prep.videos import FrameOptions, prepare_folder

    draw = {name: options[name] for name in ("test_share", "group_by") if options[name] is not None}
    if lists and draw:
        raise click.UsageError("--test-share and --group-by: say how lists are drawn; leave them out with --lists")
    algorithm = None if flow == "none" else flow
    frames = FrameOptions(*options["size"], options["fps"], algorithm, options["every"], options["skip_unreadable"])
    order = ListOrder(options["seed"], options["keep_order"])
    with _making(out, (workers, executor, shard)) as work:
        prepare_folder(videos, lists or Draw(**draw), out, frames, order, work, mirror)


def _caption_options(command):
    for decorate in (
        section("Who does the work", _WORKERS, _EXECUTOR, _SHARD),
        section(
            "Data set",
            _OUT,
            option("--seed", type=int, default=1701, help="Seed of the order of the captions."),
            _MIN_COUNT,
            option(
                "--vocabulary",
                type=FILE,
                show_default="the captions' own",
                help="Take the words of this file, such as vocabulary.txt of a net to be fine-tuned.",
            ),
            _STEPS,
            _STREAMS,
            option(
                "--file-rows",
                type=click.IntRange(1),
                default=100_000,
                help="Rows of an HDF5 file at most; Caffe holds one file in memory.",
            ),
            option(
                "--skip-unreadable",
                is_flag=True,
                help="Leave out images that Caffe cannot read; skipped.tsv names them.",
            ),
        ),
    ):
        command = decorate(command)
    return command


_IMAGES = option("--images", type=FOLDER, help="Folder of the images; without it, sentences only.")


def _prepare_captions(name, described, images, out, **options):
    """described: the images with their captions; images: their folder, None where there is none."""
    from data_prep import captions, vocabulary

    words = options.pop("vocabulary")
    options["words"] = tuple(vocabulary.read(words)) if words else None
    skip, who = options.pop("skip_unreadable"), tuple(map(options.pop, ("workers", "executor", "shard")))
    with _making(out, who if images is not None or who != (None, None, None) else None) as work:
        sentences = captions.SentenceOptions(**options)
        captions.prepare(name, described, out, sentences, images is not None, skip, work)


@prepare.command(
    "coco",
    examples=[
        (
            "Prepare captions and images by Karpathy's split",
            "lrcn prepare coco --split dataset_coco.json --images coco --out data/coco",
        ),
        (
            "Prepare captions alone, for the language model",
            "lrcn prepare coco --split dataset_coco.json --out data/coco-captions",
        ),
    ],
)
@section(
    "Input",
    option(
        "--annotations",
        type=FILE,
        multiple=True,
        help="COCO's captions_train2014.json, and once more captions_val2014.json; not needed with Karpathy's JSON.",
    ),
    option(
        "--split",
        type=click.Path(path_type=Path),
        required=True,
        help="Karpathy's dataset_coco.json, or the folder of the release's lists coco2014_cocoid.*.txt.",
    ),
    option("--images", type=FOLDER, help="Folder of train2014/ and val2014/; without it, sentences only."),
    option(
        "--restval",
        type=click.Choice(["none", "trainval", "train"]),
        default="none",
        help="Part into which Karpathy's 30,504 `restval` images go; the release does without them.",
    ),
    option(
        "--trainval",
        type=click.Choice(["split", "all"]),
        default="split",
        help="Images of the part `trainval`: train and val of the split; or all, test images too, as in the release.",
    ),
)
@_caption_options
def prepare_coco(annotations, split, images, restval, trainval, out, **options):
    """Prepare COCO 2014's captions and images.

    They are for the captioners and the language model. The images may have COCO 2017's file names: the images are the
    same.
    """
    from data_prep import coco

    everything = trainval == "all"
    described = coco.read_coco(annotations, split, images, None if restval == "none" else restval, everything, say)
    _prepare_captions("coco", described, images, out, all_in_trainval=everything, **options)


@prepare.command(
    "flickr30k",
    examples=[
        (
            "Prepare Flickr8k",
            "lrcn prepare flickr30k --tokens Flickr8k.token.txt --split lists \\\n"
            "  --images Flicker8k_Dataset --out data/flickr8k",
        )
    ],
)
@section(
    "Input",
    option(
        "--tokens",
        type=FILE,
        help="Flickr's results_20130124.token or Flickr8k.token.txt; not needed with Karpathy's JSON.",
    ),
    option(
        "--split",
        type=click.Path(path_type=Path),
        required=True,
        help="Folder of the lists (*train*.txt, *val*.txt or *dev*.txt, *test*.txt), or Karpathy's JSON.",
    ),
    _IMAGES,
)
@_caption_options
def prepare_flickr30k(tokens, split, images, out, **options):
    """Prepare captions and images of Flickr30k or Flickr8k.

    They are for the captioners and the language model.
    """
    from data_prep import flickr30k

    _prepare_captions("flickr30k", flickr30k.read_flickr(tokens, split, images), images, out, **options)


@prepare.command(
    "captions",
    examples=[
        (
            "Prepare images with captions in a table",
            "lrcn prepare captions --captions my-captions.csv --images photos \\\n  --out data/mine",
        )
    ],
)
@section(
    "Input",
    option(
        "--captions",
        type=FILE,
        required=True,
        help="CSV with columns image, caption and split (commas, tabs or semicolons), or JSON: a list of {image, "
        "caption or captions, split}.",
    ),
    option("--images", type=FOLDER, show_default="the captions' folder", help="Folder of the images."),
    option("--no-images", is_flag=True, help="Prepare sentences only; the images need not be there."),
)
@_caption_options
def prepare_captions(captions, images, no_images, out, **options):
    """Prepare your own images and captions, in any language.

    They are for the captioners and the language model.
    """
    from data_prep.captions import read_captions

    folder = None if no_images else images or captions.parent
    _prepare_captions(captions.stem, read_captions(captions, folder), folder, out, **options)


@prepare.command(
    "tacos",
    examples=[
        ("Prepare snippets of your own", "lrcn prepare tacos --snippets snippets.jsonl --out data/mine"),
        (
            "Prepare TACoS' files",
            "lrcn prepare tacos --annotations tacos --splits splits.txt \\\n  --slots slots.jsonl --out data/tacos",
        ),
    ],
)
@section(
    "Input",
    option(
        "--snippets",
        type=FILE,
        help="Snippets of your own: JSON Lines or CSV with id, split, slots and sentences; see docs/tacos.md.",
    ),
    option(
        "--annotations",
        multiple=True,
        metavar="[LEVEL=]DIR",
        help="Or a folder of TACoS' own files, one for each level of detail.",
    ),
    option("--splits", type=FILE, help="With --annotations: lines of a video and train, val or test."),
    option("--slots", type=FILE, help="With --annotations: JSON Lines of id and slots, as a CRF gives them."),
    option(
        "--features",
        type=click.Path(path_type=Path),
        help="Activations of frames, for video/encoder-decoder-frames: HDF5 or .npz with an array (frames, D) for each "
        "id, or a data set of `lrcn prepare features`.",
    ),
    option(
        "--partial",
        is_flag=True,
        help="Let the probabilities of a slot have a sum below 1, where only its likeliest words are named.",
    ),
)
@section(
    "Data set",
    _OUT,
    option("--frames", type=click.IntRange(1), default=16, help="Frames taken of a snippet's --features."),
    option(
        "--val-share",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.1,
        help="Share of the training snippets drawn for validation where none are given.",
    ),
    option("--seed", type=int, default=1701, help="Seed of the order of the sentences and of that draw."),
    _MIN_COUNT,
    _STEPS,
    _STREAMS,
)
def prepare_tacos(snippets, annotations, splits, slots, partial, out, **options):
    """Prepare snippets of videos with slots and sentences.

    They are for video description (Table 5): TACoS Multi-Level, or your own. Slots are what a CRF says of a snippet:
    words such as object and place, with their probabilities.
    """
    from data_prep import snippets as reading
    from data_prep import tacos

    if bool(snippets) == bool(annotations):
        raise click.UsageError("give --snippets FILE, or --annotations FOLDER with --splits FILE")
    if snippets:
        if splits or slots:
            raise click.UsageError("--splits and --slots go with --annotations; --snippets has its own")
        described = reading.read_snippets(snippets, partial)
    else:
        if splits is None:
            raise click.UsageError("--splits is missing: a file with lines of a video and train, val or test")
        described = reading.read_annotations(_levels(annotations), splits, slots, partial)
    with _making(out) as work:
        name = snippets.stem if snippets else "tacos"
        tacos.prepare(name, described, out, tacos.SnippetOptions(**options), progress=work.progress)


def _levels(annotations):
    """Level of detail ("" for none) -> folder, of [LEVEL=]FOLDER each."""
    levels = {}
    for annotation in annotations:
        level, _, folder = annotation.rpartition("=") if not Path(annotation).exists() else ("", "", annotation)
        if level in levels:
            raise click.UsageError(f"--annotations {annotation}: level {level!r} is there already; name each once")
        levels[level] = Path(folder)
    return levels


@prepare.command(
    "flow",
    examples=[
        ("Compute the flow", "lrcn prepare flow --data data/ucf101"),
        ("Take flow images that were made elsewhere", "lrcn prepare flow --data data/ucf101 --images flow"),
    ],
)
@_DATA
@option(
    "--algorithm", type=click.Choice(["dis", "tvl1", "farneback"]), default="dis", help="OpenCV's algorithm for flow."
)
@option(
    "--images",
    type=FOLDER,
    help="Take flow images from this folder: the release's flow_image_VIDEO.0002.jpg and so on, or flow_x_00001.jpg "
    "and flow_y_00001.jpg in a folder per video.",
)
@option(
    "--flow-bound",
    type=click.FloatRange(0, min_open=True),
    show_default="20",
    help="With flow_x and flow_y images: pixels of motion at black and white.",
)
@option("--replace", is_flag=True, help="Replace flow that is there and was made otherwise.")
@_who_works
def prepare_flow(data, algorithm, images, flow_bound, replace, workers, executor, shard):
    """Give a data set of videos its optical flow.

    The flow is computed from the stored frames.
    """
    from data_prep import flow

    with _making(data, (workers, executor, shard), "has its flow", "flow") as work:
        flow.prepare_flow(data, algorithm, images, flow_bound, replace, work)


@prepare.command(
    "merge",
    examples=[
        ("Join the parts that lie in data/ucf101.shards", "lrcn prepare merge data/ucf101"),
        ("Join parts from two machines", "lrcn prepare merge data/ucf101 machine1 machine2"),
    ],
)
@click.argument("out", type=FOLDER)
@click.argument("folders", type=FOLDER, nargs=-1)
@option("--remove-shards", is_flag=True, help="Remove the parts once the data set is whole.")
def prepare_merge(out, folders, remove_shards):
    """Join the parts of a data set that --shard made.

    OUT is what the parts were given as --out, or as --data for flow. They lie in OUT.shards (OUT.flow-shards), or in
    FOLDERS. The data set is the same as that of one run without --shard.
    """
    from data_prep.merge import merge
    from lrcn.activity import extract
    from lrcn.sentences import features

    by_caffe = {"features": extract.merge_shards, features.KIND: features.merge_shards}
    with _making(out) as work:
        merge(out, folders, remove_shards, work, by_caffe)


@prepare.command("stills", examples=[("Write the stills of all splits", "lrcn prepare stills --data data/ucf101")])
@_DATA
@option("--split", "splits", type=click.IntRange(1), multiple=True, show_default="all", help="Splits to write.")
@_EVERY
@option("--seed", type=int, default=1701, help="Seed of the order of the frames.")
def prepare_stills(data, splits, every, seed):
    """Write the shuffled frames on which single-frame nets train.

    `lrcn prepare ucf101` and `lrcn prepare videos` write them already.
    """
    from data_prep import stills
    from data_prep.dataset import Dataset

    dataset = Dataset(data)
    with _making(data, becomes="has its stills") as work:
        for split in splits or dataset.description.get("splits", [1]):
            stills.write_stills(dataset, split, every, seed, work.progress)


@prepare.command(
    "features",
    examples=[
        (
            "Compute fc6 of all frames, then train the LSTM on them",
            "lrcn prepare features --data data/ucf101 --net activity/single-frame-rgb \\\n"
            "  --weights single-frame-rgb --out data/fc6\n"
            "lrcn train features --data data/fc6",
        ),
        ("Take activations that were computed elsewhere", "lrcn prepare features --npz fc6.npz --out data/fc6"),
    ],
)
@section(
    "Input",
    option("--data", type=FOLDER, help="A prepared data set of videos, or of images with captions."),
    option(
        "--net",
        metavar="FILE|NAME",
        shell_complete=completion.nets_or_file,
        help="A deploy net, or one of lrcn's nets.",
    ),
    option("--weights", type=WEIGHTS, help="Weights of the net."),
    option(
        "--npz",
        type=FILE,
        help="In place of these three: activations from elsewhere, x_tr (V, T, D), y_tr, x_te, y_te and classes.",
    ),
    lenient_option,
)
@section(
    "Data set",
    _OUT,
    option(
        "--blob",
        show_default="fc6, of captions fc7",
        help="Blob with the activations, a row for each frame; fc6 and fc7 are those after a ReLU that works in place.",
    ),
    option("--frames", type=click.IntRange(1), default=16, help="Frames in a sequence."),
    option(
        "--clips",
        is_flag=True,
        help="Take a clip of consecutive frames every 8 frames; else one sequence of evenly spaced frames.",
    ),
    option(
        "--crops",
        type=click.Choice(["centre", "ten-mean"]),
        default="centre",
        help="Cut the middle of each frame, or take the mean over ten crops.",
    ),
    option(
        "--views",
        type=click.IntRange(0),
        default=5,
        help="Captions: random crops of each training image, some mirrored; 0 takes the middle alone.",
    ),
    option("--videos", type=click.IntRange(1), default=24, help="Videos in a training batch."),
    option("--seed", type=int, default=1701, help="Seed of the order of the training videos and of random crops."),
)
@section(
    "What a net from a FILE reads",
    option("--modality", type=click.Choice(["rgb", "flow"]), show_default="rgb", help="Images of the data set."),
    option("--mean", nargs=3, type=float, metavar="BLUE GREEN RED", help="Means to subtract from the pixels."),
    option("--scale", type=float, show_default="1", help="Factor of the pixels after that."),
    option(
        "--size",
        nargs=2,
        type=click.IntRange(1),
        metavar="HEIGHT WIDTH",
        show_default="240 320",
        help="Enlarge smaller frames to this size.",
    ),
)
@settings_options
@_who_works
@gpu_options()
def prepare_features(data, net, weights, npz, out, workers, executor, shard, **options):
    """Compute a CNN's activations once, to train on them.

    An LSTM then trains in minutes. Images with captions get fc7 of a captioner's CNN, on which its first stage trains.
    """
    from data_prep.dataset import Dataset

    if npz:
        if any((data, net, weights)):
            raise click.UsageError("give either --npz, or --data with --net and --weights")
        if executor or shard:
            raise click.UsageError(
                "--executor and --shard: do not go with --npz, whose activations are computed already; leave them out"
            )
        from data_prep.features import prepare_npz

        with _making(out) as work:
            prepare_npz(npz, out, options["videos"], options["seed"], work)
        return
    for name, value in {"--data": data, "--net": net, "--weights": weights}.items():
        if value is None:
            raise click.UsageError(f"{name} is missing; give --data, --net and --weights, or --npz")
    dataset, changes = Dataset(data), read_settings(options["changes"], options["config"])
    of_kind = _features_of_captions if dataset.kind == "captions" else _features_of_videos
    with _making(out, (workers, executor, shard), kind="features", by_caffe=True) as work:
        of_kind(dataset, net, weights, out, changes, options, work)


def _features_of_captions(dataset, net, weights, out, changes, options, work):
    from lrcn.engine.compute import Compute
    from lrcn.sentences import features
    from lrcn.trained_net import TrainedNet
    from lrcn.training.job import settings_of
    from netspecs import catalogue

    settings = settings_of(net, dataset, changes)
    trained = TrainedNet(catalogue.get(net), settings, weights, out)
    extraction = features.Extraction(options["blob"] or features.BLOB, options["views"], options["seed"])
    features.extract(dataset, trained, out, extraction, Compute(gpu=options["gpu"], progress=work.progress), work)


def _features_of_videos(dataset, net, weights, out, changes, options, work):
    from lrcn.activity import extract
    from lrcn.activity.listed import Extraction
    from lrcn.engine.compute import Compute
    from lrcn.training.job import settings_of
    from netspecs import catalogue
    from prototxt_gen.text import read

    settings = settings_of(net, dataset, changes) if net in catalogue.names() else changes
    if Path(net).is_file():
        net = read(Path(net))
        pass_over(net.lacking, options["lenient"])
    sight = (options["modality"], settings, options["mean"] or None, options["scale"], options["size"] or None)
    names = ("frames", "clips", "crops", "videos", "seed")
    extraction = Extraction(options["blob"] or "fc6", **{name: options[name] for name in names})
    compute = Compute(gpu=options["gpu"], progress=work.progress)
    extract.extract(dataset, extract.source(net, dataset, *sight), weights, out, extraction, compute, work)
