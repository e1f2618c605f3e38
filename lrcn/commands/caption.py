"""`lrcn caption`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lrcn.commands import completion
from lrcn.commands.common import (
    FILE,
    FOLDER,
    WEIGHTS,
    Contained,
    Progress,
    check_apart,
    read_settings,
    run_or_file,
    settings_options,
)
from lrcn.commands.help import option, section
from lrcn.commands.options import CUT, JSON, LENGTH, SEED_OF_DRAWS, gpu_options


def _fills(options):
    """What a container must be able to write to, of the command's options."""
    coco_json = options["coco_json"]
    return [], [coco_json.absolute().parent if coco_json else _pictures(options["run"], options["out"])]


def _pictures(run, out):
    return out or (run / "captioned" if run else Path("captioned"))


@click.command(
    cls=Contained,
    mounts=_fills,
    examples=[
        ("Describe an image with a captioner that you trained", "lrcn caption photo.jpg --run runs/coco --beam 5"),
        (
            "Describe a folder of images with weights of others",
            "lrcn caption photos --net caption/lrcn-2f --weights lrcn-2f \\\n  --vocabulary vocabulary.txt",
        ),
        ("Write captions for COCO's evaluation", "lrcn caption val2014 --run runs/coco --coco-json captions.json"),
    ],
)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@section(
    "Net of a run",
    option("--run", type=FOLDER, help="A training of caption/* nets: --out of `lrcn train`."),
    option("--model", show_default="lrcn-2f, or the one there is", help="Net of the run."),
)
@section(
    "Net from files",
    option("--net", shell_complete=completion.nets, help="A net of `lrcn nets list`, as caption/lrcn-2f."),
    option("--weights", type=WEIGHTS, help="Its weights."),
    option("--vocabulary", type=FILE, help="The vocabulary.txt of its training."),
)
@settings_options
@section(
    "Sentences",
    option(
        "--beam",
        type=click.IntRange(1),
        show_default="1",
        help="Width of the beam search; 1 takes the likeliest word each time.",
    ),
    option("--samples", type=click.IntRange(1), help="Draw this many sentences at random, without a search."),
    option(
        "--temperature",
        type=click.FloatRange(0),
        show_default="1 with --samples",
        help="Draw at random, with this factor on the softmax's inputs; inf takes the likeliest word.",
    ),
    SEED_OF_DRAWS,
    option("--best", type=click.IntRange(1), show_default="all", help="Number of sentences to show for an image."),
    LENGTH,
    CUT,
)
@section(
    "Output",
    JSON,
    option("--out", type=FOLDER, show_default="RUN/captioned, or captioned", help="Folder of the pictures."),
    option(
        "--gates",
        is_flag=True,
        help="Draw the LSTMs' gates, cells and hidden states word by word, and write them as .npz.",
    ),
    option(
        "--coco-json",
        metavar="FILE",
        type=Path,
        help="Write the first sentence of each image in COCO's results format, and no pictures. Ids are taken from "
        "file names such as COCO_val2014_000000000042.jpg.",
    ),
    option("--ids", type=FILE, help="With --coco-json: COCO's annotations or Karpathy's JSON, for the images' ids."),
)
@gpu_options()
def caption(images, model, length, cut, as_json, coco_json, ids, gates, out, gpu, **options):
    """Describe images in sentences.

    IMAGES are files or folders. The net is one of a run, or comes from files: --net, --weights and --vocabulary. Each
    image gets a picture with its sentences, which are printed with their log probabilities, written as people write
    them. --json and --coco-json have the words as the net gives them.
    """
    from lrcn.engine.compute import Compute
    from lrcn.results.pictures import check_drawn_over
    from lrcn.sentences.caption_files import write_results
    from lrcn.sentences.captioner import Captioner
    from lrcn.sentences.images import check_images, images_in, read_image
    from lrcn.sentences.readable import readable

    if coco_json and gates:
        raise click.UsageError("--gates draws pictures, --coco-json draws none; give one of them")
    strategy, best, named, out = _strategy(options), options["best"], out, _pictures(options["run"], out)
    net = _net(model, out, options)
    images = images_in(images)
    ids = _ids(images, coco_json, ids)
    paths = [None] * len(images) if coco_json else _picture_paths(images, out)
    gate_paths = _picture_paths(images, out, "-gates") if gates else [None] * len(images)
    if named:
        check_drawn_over(filter(None, [*paths, *gate_paths]))
    check_images(images)
    progress = Progress()
    with Captioner.of(net, Compute(gpu=gpu, progress=progress)) as captioner:
        pixels = captioner.cut(map(read_image, images), cut)
        features = captioner.activations(pixels, total=len(images))["fc8"]
        if "beam" in strategy:
            captions = captioner.beam(features, strategy["beam"], strategy["beam"], length)
        else:
            captions = captioner.sample(
                features, strategy["samples"], strategy["temperature"], length, strategy["seed"]
            )
        unrolled = captioner.unroll(features, [sentences[0] for sentences in captions]) if gates else []
    progress.close()
    captions = [sentences[:best] for sentences in captions]
    if coco_json:
        write_results(coco_json, {key: sentences[0].text for key, sentences in zip(ids, captions)})
    else:
        _draw(images, captions, unrolled, paths, gate_paths)
    if as_json:
        strategy = {name: str(value) if value == float("inf") else value for name, value in strategy.items()}
        document = {"net": net.variant.name, "weights": str(net.weights), "length": length, **strategy}
        described = [_as_json(*each) for each in zip(images, captions, paths, gate_paths)]
        print(json.dumps(document | {"images": described}, indent=1, ensure_ascii=False))
        return
    for image, sentences, *files in zip(images, captions, paths, gate_paths):
        print(image, *(f"{each.log_prob:9.3f}  {readable(each.text)}" for each in sentences), sep="\n")
        for path in filter(None, files):
            print(f"  {path}")


def _draw(images, captions, unrolled, paths, gate_paths):
    """The pictures of all images, and of the gates where they were asked for."""
    from lrcn.results import pictures
    from lrcn.sentences import word_gates
    from lrcn.sentences.images import read_image
    from lrcn.sentences.readable import readable

    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for image, sentences, path in zip(images, captions, paths):
        lines = [(each.log_prob, readable(each.text)) for each in sentences]
        pictures.described(read_image(image), lines, path)
    for image, sentences, each, path in zip(images, captions, unrolled, gate_paths):
        word_gates.draw(read_image(image), sentences[0], each, path)


def _as_json(image, sentences, path, gate_path):
    files = {"picture": path, "gates": gate_path}
    captions = [{"caption": each.text, **each.details} for each in sentences]
    return {"image": str(image), "captions": captions} | {name: str(file) for name, file in files.items() if file}


def _ids(images, coco_json, listing):
    """The images' ids for --coco-json; None without it."""
    from lrcn.sentences.caption_files import coco_ids

    if listing and not coco_json:
        raise click.UsageError("--ids: goes with --coco-json; give both")
    if not coco_json:
        return None
    if coco_json.is_dir():
        raise click.UsageError(f"--coco-json {coco_json}: a folder; name a file")
    check_apart(coco_json, listing, *images)
    ids = coco_ids(images, listing)
    coco_json.parent.mkdir(parents=True, exist_ok=True)
    return ids


def _picture_paths(images, out, ending=""):
    from data_prep.whole_files import check_folder
    from lrcn.results import pictures

    check_folder(out)
    paths = [out / name for name in pictures.picture_names(images, ending)]
    taken = {path.resolve() for path in paths}
    for image in images:
        if image.resolve() in taken:
            raise click.UsageError(f"{image}: would be overwritten by the picture of the same name; give another --out")
    return paths


def _strategy(options):
    """How sentences are sought: {"beam"}, or drawn: {"temperature", "samples", "seed"}."""
    beam, temperature, samples, best = (options[name] for name in ("beam", "temperature", "samples", "best"))
    drawn = temperature is not None or samples is not None
    if drawn and beam is not None:
        raise click.UsageError("--beam searches and --temperature or --samples draws: give one of them")
    if best is not None and best > ((samples if drawn else beam) or 1):
        raise click.UsageError(
            f"--best {best}: is more than the sentences that --{'samples' if drawn else 'beam'} asks for; raise that"
        )
    if not drawn:
        return {"beam": beam or 1}
    temperature = 1.0 if temperature is None else temperature
    return {"temperature": temperature, "samples": samples or 1, "seed": options["seed"]}


def _net(model, out, options):
    """The trained net: of --run, or of --net, --weights and --vocabulary."""
    from lrcn.trained_net import TrainedNet
    from lrcn.training.trained import writer
    from netspecs import catalogue
    from prototxt_gen import SpecError

    name, vocabulary = options["net"], options["vocabulary"]
    needed = {"--net": name, "--weights": options["weights"], "--vocabulary": vocabulary}
    beside = {"--set": options["changes"], "--config": options["config"]}
    if run_or_file(options["run"], needed, beside, {"--model": model}):
        return writer(options["run"], "caption", model)
    if catalogue.get(name).task != "caption":
        raise SpecError(f"{name}: is not a net that describes images; name a caption/... of `lrcn nets list`")
    changes = catalogue.share_out(read_settings(options["changes"], options["config"]), [name])[name]
    if "vocabulary" in changes:
        raise click.UsageError("--set vocabulary: is the number of words in --vocabulary; leave it out")
    return TrainedNet.of_file(name, options["weights"], out, changes, vocabulary=vocabulary)
