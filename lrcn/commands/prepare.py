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
from lrcn.commands.options import gpu_options


@click.group()
def prepare():
    """Turn raw data into what Caffe reads."""


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
        raise click.UsageError("--workers are of this machine; give either that or --executor")
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


@prepare.command("demo")
@click.option("--out", type=FOLDER, default=Path("data/demo"), show_default=True)
@click.option("--seed", type=int, default=1701, show_default=True)
def prepare_demo(out, seed):
    """Make the demo's videos (eight motions that no single frame tells apart), their frames and their flow."""
    from data_prep import demo

    with _making(out) as work:
        demo.prepare(out, seed, work=work)


_SIZE = click.option(
    "--size",
    nargs=2,
    type=click.IntRange(1),
    default=(240, 320),
    show_default=True,
    help="Height and width of the stored frames.",
)
_EVERY = click.option(
    "--every",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Take every K-th frame of each video into the stills that single-frame nets are trained on.",
)
_KEEP_ORDER = click.option(
    "--keep-order",
    is_flag=True,
    help="Leave the training lists in the order in which they are given; nets that go by a list class by class learn"
    " nothing.",
)
_WORKERS = click.option("--workers", type=click.IntRange(1), help="Processes; one a core by default.")
_EXECUTOR = click.option(
    "--executor",
    metavar="dask:ADDRESS",
    help="Have the workers of a dask cluster do it, which must see the same files under the same paths.",
)
_SHARD = click.option(
    "--shard",
    metavar="K/N",
    help="Do the K-th of N parts, anywhere, in any order, into OUT.shards; `lrcn prepare merge OUT` then puts them"
    " together.",
)


def _who_works(command):
    """The options that say who does the work, and which part of it: as `_making` has them."""
    return _WORKERS(_EXECUTOR(_SHARD(command)))


@prepare.command("ucf101")
@click.option("--videos", type=FOLDER, required=True, help="The unpacked UCF101.rar: a folder a class, or one folder.")
@click.option("--splits", type=FOLDER, required=True, help="The unpacked ucfTrainTestlist.")
@click.option("--out", type=FOLDER, default=Path("data/ucf101"), show_default=True)
@click.option(
    "--split",
    type=click.Choice(["1", "2", "3", "all"]),
    default="1",
    show_default=True,
    help="Whose lists and stills to write; others can be added later. Stills take as much room as the frames, each.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    default=30,
    show_default=True,
    help="Frames a second; the authors took 30.",
)
@_EVERY
@_SIZE
@click.option("--subset", is_flag=True, help="Take the listed videos that are there, where all 13,320 must be.")
@click.option("--seed", type=int, default=1701, show_default=True, help="Of the training lists' order.")
@_KEEP_ORDER
@_who_works
def prepare_ucf101(videos, splits, out, split, subset, workers, executor, shard, **options):
    """UCF-101's frames and official lists; then `lrcn prepare flow` gives them their flow."""
    with _making(out, (workers, executor, shard)) as work:  # the crew begins while this process imports and reads
        from data_prep import ucf101
        from data_prep.list_order import ListOrder
        from data_prep.videos import FrameOptions

        frames = FrameOptions(*options["size"], fps=options["fps"], every=options["every"])
        order = ListOrder(options["seed"], options["keep_order"])
        ucf101.prepare_ucf101(ucf101.Archive(videos, splits, subset), out, split, frames, order, work)


@prepare.command("videos")
@click.option(
    "--videos", type=FOLDER, required=True, help="A folder of videos (files, or folders of images) for each class."
)
@click.option(
    "--lists",
    type=FOLDER,
    help="train1.txt and test1.txt (`Class/video label` a line), classes.txt; or HMDB-51's lists; a seeded draw by"
    " default.",
)
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Without --lists: how many of each class are drawn for testing; 0.25 by default.",
)
@click.option(
    "--group-by",
    metavar="REGEX",
    help="Without --lists: videos in whose names it matches the same text, 'scene[0-9]+' say, are all for training or"
    " all for testing.",
)
@click.option("--out", type=FOLDER, required=True)
@_SIZE
@click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    help="Take this many frames a second (the authors: 30); all frames by default.",
)
@click.option("--flow", type=click.Choice(["dis", "farneback", "tvl1", "none"]), default="dis", show_default=True)
@_EVERY
@click.option("--skip-unreadable", is_flag=True, help="Leave out videos that cannot be read; skipped.tsv names them.")
@click.option("--mirror/--no-mirror", default=True, show_default=True, help="Whether the labels survive a mirror.")
@click.option("--seed", type=int, default=1701, show_default=True, help="Of the draw and of the training lists' order.")
@_KEEP_ORDER
@_who_works
def prepare_videos(videos, lists, out, flow, mirror, workers, executor, shard, **options):
    """Frames and flow of videos, a folder a class; with --lists also of videos in one folder."""
    from data_prep.draw import Draw
    from data_prep.list_order import ListOrder
    from data_prep.videos import FrameOptions, prepare_folder

    draw = {name: options[name] for name in ("test_share", "group_by") if options[name] is not None}
    if lists and draw:
        raise click.UsageError("--test-share and --group-by are of a draw; with --lists there is none")
    algorithm = None if flow == "none" else flow
    frames = FrameOptions(*options["size"], options["fps"], algorithm, options["every"], options["skip_unreadable"])
    order = ListOrder(options["seed"], options["keep_order"])
    with _making(out, (workers, executor, shard)) as work:
        prepare_folder(videos, lists or Draw(**draw), out, frames, order, work, mirror)


def _caption_options(command):
    for option in reversed(
        [
            click.option("--out", type=FOLDER, required=True),
            click.option("--seed", type=int, default=1701, show_default=True, help="Of the captions' order."),
            click.option(
                "--min-count",
                type=click.IntRange(1),
                default=5,
                show_default=True,
                help="How often a word must be seen in the training captions.",
            ),
            click.option(
                "--vocabulary",
                type=FILE,
                help="The words, in place of the captions' own: the vocabulary.txt of a net to be tuned.",
            ),
            click.option(
                "--steps",
                type=click.IntRange(2),
                default=20,
                show_default=True,
                help="Rows of a caption in aligned files.",
            ),
            click.option(
                "--streams",
                type=click.IntRange(1),
                default=100,
                show_default=True,
                help="Captions side by side: the nets' streams.",
            ),
            click.option(
                "--file-rows",
                type=click.IntRange(1),
                default=100_000,
                show_default=True,
                help="Rows of an HDF5 file at most, as released; Caffe holds one in memory.",
            ),
            click.option(
                "--skip-unreadable",
                is_flag=True,
                help="Leave out images that Caffe cannot read; skipped.tsv names them.",
            ),
            _WORKERS,
            _EXECUTOR,
            _SHARD,
        ]
    ):
        command = option(command)
    return command


_IMAGES = click.option("--images", type=FOLDER, help="The folder of images; without it, sentences only.")


def _prepare_captions(name, described, images, out, **options):
    """described: the images with their captions; images: their folder, None where there is none."""
    from data_prep import captions, vocabulary

    words = options.pop("vocabulary")
    options["words"] = tuple(vocabulary.read(words)) if words else None
    skip, who = options.pop("skip_unreadable"), tuple(map(options.pop, ("workers", "executor", "shard")))
    with _making(out, who if images is not None or who != (None, None, None) else None) as work:
        sentences = captions.SentenceOptions(**options)
        captions.prepare(name, described, out, sentences, images is not None, skip, work)


@prepare.command("coco")
@click.option(
    "--annotations",
    type=FILE,
    multiple=True,
    help="captions_train2014.json, captions_val2014.json; with Karpathy's JSON not needed.",
)
@click.option(
    "--split",
    type=click.Path(path_type=Path),
    required=True,
    help="Karpathy's dataset_coco.json, or the folder of coco2014_cocoid.{train,val.val,val.test}.txt.",
)
@click.option("--images", type=FOLDER, help="The folder of train2014/ and val2014/; without it, sentences only.")
@click.option(
    "--restval",
    type=click.Choice(["none", "trainval", "train"]),
    default="none",
    show_default=True,
    help="What Karpathy's 30,504 `restval` images are for; the release does without.",
)
@click.option(
    "--trainval",
    type=click.Choice(["split", "all"]),
    default="split",
    show_default=True,
    help="The part `trainval`: train and val of the split; or all of the annotations' images, test images too, as"
    " the release's make_trainval.py has it.",
)
@_caption_options
def prepare_coco(annotations, split, images, restval, trainval, out, **options):
    """COCO 2014's captions and images for the captioning nets and the language model.

    The images may lie under COCO 2017's names, which has the same ones.
    """
    from data_prep import coco

    everything = trainval == "all"
    described = coco.read_coco(annotations, split, images, None if restval == "none" else restval, everything, say)
    _prepare_captions("coco", described, images, out, all_in_trainval=everything, **options)


@prepare.command("flickr30k")
@click.option(
    "--tokens", type=FILE, help="results_20130124.token or Flickr8k.token.txt; with Karpathy's JSON not needed."
)
@click.option(
    "--split",
    type=click.Path(path_type=Path),
    required=True,
    help="The folder of the lists (*train*.txt, *val* or *dev*.txt, *test*.txt), or Karpathy's JSON.",
)
@_IMAGES
@_caption_options
def prepare_flickr30k(tokens, split, images, out, **options):
    """Flickr30k's, or Flickr8k's, captions and images for the captioning nets and the language model."""
    from data_prep import flickr30k

    _prepare_captions("flickr30k", flickr30k.read_flickr(tokens, split, images), images, out, **options)


@prepare.command("captions")
@click.option(
    "--captions",
    type=FILE,
    required=True,
    help="JSON: a list of {image, captions or caption, split}; or CSV, by whatever name: columns image, caption,"
    " split, with commas, tabs or semicolons between.",
)
@click.option("--images", type=FOLDER, help="The folder of the images; by default the captions' own.")
@click.option("--no-images", is_flag=True, help="Sentences only: the images need not be there.")
@_caption_options
def prepare_captions(captions, images, no_images, out, **options):
    """Any images with captions, in any language, for the captioning nets and the language model."""
    from data_prep.captions import read_captions

    folder = None if no_images else images or captions.parent
    _prepare_captions(captions.stem, read_captions(captions, folder), folder, out, **options)


@prepare.command("tacos")
@click.option(
    "--snippets", type=FILE, help="JSON Lines or CSV: id, split, slots, sentences; `data_prep/snippets.py` says how."
)
@click.option(
    "--annotations",
    multiple=True,
    metavar="[LEVEL=]FOLDER",
    help="Or TACoS' own files, a folder for each"
    " level of detail: index.tsv, index/*.sentences.tsv or alignments-text/*.aligned.tsv.",
)
@click.option("--splits", type=FILE, help="With --annotations: a video and train, val or test a line.")
@click.option("--slots", type=FILE, help="With --annotations: JSON Lines of id and slots, what the CRF says.")
@click.option(
    "--partial", is_flag=True, help="Slots name their likeliest words alone: probabilities may sum to less than 1."
)
@click.option(
    "--features",
    type=click.Path(path_type=Path),
    help="For video/encoder-decoder-frames: activations"
    " (frames, D) for each id, HDF5 or .npz; or what `lrcn prepare features` made.",
)
@click.option("--frames", type=click.IntRange(1), default=16, show_default=True, help="T, frames taken of a snippet.")
@click.option("--out", type=FOLDER, required=True)
@click.option("--seed", type=int, default=1701, show_default=True, help="Of the sentences' order and of val.")
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Of the training snippets, drawn for val where there is none.",
)
@click.option(
    "--min-count",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How often a word must be seen in the training sentences.",
)
@click.option("--steps", type=click.IntRange(2), default=20, show_default=True, help="T', rows of a sentence.")
@click.option(
    "--streams",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Sentences side by side: the nets' streams.",
)
def prepare_tacos(snippets, annotations, splits, slots, partial, out, **options):
    """Video snippets, a CRF's view of them and sentences: TACoS Multi-Level, the demo's, or any."""
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
            raise click.UsageError("--splits is missing: a file with a video and train, val or test a line")
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


@prepare.command("flow")
@click.option("--data", type=FOLDER, required=True, help="A prepared data set.")
@click.option("--algorithm", type=click.Choice(["dis", "tvl1", "farneback"]), default="dis", show_default=True)
@click.option(
    "--images",
    type=FOLDER,
    help="Flow images made elsewhere, in place of computing: flow_image_VIDEO.0002.jpg and so on, in DIR, DIR/VIDEO or"
    " DIR/CLASS/VIDEO; or TSN's and denseflow's flow_x_00001.jpg and flow_y_00001.jpg.",
)
@click.option(
    "--flow-bound",
    type=click.FloatRange(0, min_open=True),
    help="Pixels of motion at the ends of the grey levels of flow_x and flow_y images; 20 by default.",
)
@click.option("--replace", is_flag=True, help="Replace flow that was made otherwise.")
@_who_works
def prepare_flow(data, algorithm, images, flow_bound, replace, workers, executor, shard):
    """Give a prepared data set its optical flow, from its stored frames."""
    from data_prep import flow

    with _making(data, (workers, executor, shard), "has its flow", "flow") as work:
        flow.prepare_flow(data, algorithm, images, flow_bound, replace, work)


@prepare.command("merge")
@click.argument("out", type=FOLDER)
@click.argument("folders", type=FOLDER, nargs=-1)
@click.option("--remove-shards", is_flag=True, help="Remove the shards once the data set is whole.")
def prepare_merge(out, folders, remove_shards):
    """Put the shards of a data set, or of its flow, together: what one run would have made.

    OUT is what was given as --out (or --data) with --shard. Its shards lie in OUT.shards (OUT.flow-shards), or in
    FOLDERS where they were brought from several machines.
    """
    from data_prep.merge import merge
    from lrcn.activity import extract
    from lrcn.sentences import features

    by_caffe = {"features": extract.merge_shards, features.KIND: features.merge_shards}
    with _making(out) as work:
        merge(out, folders, remove_shards, work, by_caffe)


@prepare.command("stills")
@click.option("--data", type=FOLDER, required=True, help="A prepared data set.")
@click.option("--split", "splits", type=click.IntRange(1), multiple=True, help="By default all that the data set has.")
@_EVERY
@click.option("--seed", type=int, default=1701, show_default=True, help="Of the order.")
def prepare_stills(data, splits, every, seed):
    """Write the shuffled frames that single-frame nets read through Caffe's own Data layer."""
    from data_prep import stills
    from data_prep.dataset import Dataset

    dataset = Dataset(data)
    with _making(data, becomes="has its stills") as work:
        for split in splits or dataset.description.get("splits", [1]):
            stills.write_stills(dataset, split, every, seed, work.progress)


@prepare.command("features")
@click.option(
    "--data",
    type=FOLDER,
    help="A prepared data set of videos, or of captions with images; the features have its lists.",
)
@click.option(
    "--net",
    metavar="FILE|NAME",
    shell_complete=completion.nets_or_file,
    help="A deploy net, or a net of the catalogue.",
)
@lenient_option
@click.option("--weights", type=WEIGHTS, help="The net's .caffemodel.")
@click.option(
    "--blob", help="The blob with a row a frame, as the net leaves it; fc6 by default, fc7 of images with captions."
)
@click.option(
    "--views",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Captions: crops drawn of each training image, mirrored or not; 0 for the middle alone.",
)
@click.option("--npz", type=FILE, help="Or activations made elsewhere: x_tr (V, T, D), y_tr, x_te, y_te, classes.")
@click.option("--out", type=FOLDER, required=True)
@click.option("--modality", type=click.Choice(["rgb", "flow"]), help="What a FILE reads: rgb by default.")
@click.option("--frames", type=click.IntRange(1), default=16, show_default=True, help="T, frames a sequence.")
@click.option("--clips", is_flag=True, help="Clips of consecutive frames at stride 8, not one of evenly spaced ones.")
@click.option("--crops", type=click.Choice(["centre", "ten-mean"]), default="centre", show_default=True)
@click.option("--mean", nargs=3, type=float, help="The means that a FILE's net sees pixels less: blue, green, red.")
@click.option("--scale", type=float, help="What a FILE's pixels less their mean are multiplied by; 1 by default.")
@click.option(
    "--size",
    nargs=2,
    type=click.IntRange(1),
    metavar="HEIGHT WIDTH",
    help="Smaller frames are enlarged to this for a FILE; 240 320 by default.",
)
@click.option("--videos", type=click.IntRange(1), default=24, show_default=True, help="Videos a training batch.")
@click.option("--seed", type=int, default=1701, show_default=True, help="Of the training videos' order.")
@settings_options
@_who_works
@gpu_options()
def prepare_features(data, net, weights, npz, out, workers, executor, shard, **options):
    """Activations in place of the CNN, as HDF5: extracted once by any Caffe net, or made elsewhere.

    Where the net's ReLUs work in place, as in the paper's nets, fc6 and fc7 are the activations after the ReLU.
    Captions with images get the fc7 of a captioner's CNN, on which its frozen stage trains: --net caption/lrcn-2f,
    --views, --seed, --set.
    """
    from data_prep.dataset import Dataset

    if npz:
        if any((data, net, weights)):
            raise click.UsageError("give either --npz, or --data with --net and --weights")
        if executor or shard:
            raise click.UsageError("--executor and --shard are for activations that Caffe computes; --npz has them")
        from data_prep.features import prepare_npz

        with _making(out) as work:
            prepare_npz(npz, out, options["videos"], options["seed"], work)
        return
    for option, value in {"--data": data, "--net": net, "--weights": weights}.items():
        if value is None:
            raise click.UsageError(f"{option} is missing; give --data, --net and --weights, or --npz")
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
