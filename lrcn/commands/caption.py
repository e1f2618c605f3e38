"""`lrcn caption`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lrcn.commands.common import FILE, FOLDER, Contained, Progress, read_settings, settings_options


@click.command(cls=Contained)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", type=FOLDER, help="The --out of `lrcn train`.")
@click.option("--model", metavar="NAME", help="With --run: which of its nets; lrcn-2f by default, or what is there.")
@click.option("--net", metavar="NAME", help="In place of --run: a net of the catalogue, caption/lrcn-2f, with ...")
@click.option("--weights", type=FILE, help="... the .caffemodel of its training, and ...")
@click.option("--vocabulary", type=FILE, help="... vocabulary.txt of the captions it was trained on.")
@click.option(
    "--beam",
    type=click.IntRange(1),
    help="Sentences that the search keeps at every word; 1, the default, is the greedy choice.",
)
@click.option("--best", type=click.IntRange(1), help="Sentences to show of each image's; all by default.")
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    help="Draw sentences in place of searching: what the softmax's inputs are multiplied by; inf is the greedy choice.",
)
@click.option("--samples", type=click.IntRange(1), help="Sentences to draw; 1 by default.")
@click.option("--seed", type=click.IntRange(0), default=1701, show_default=True, help="Of the draws.")
@click.option(
    "--length",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Words at most, the end of the sentence included.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--out", type=FOLDER, default="captioned", show_default=True, help="Where the pictures go.")
@settings_options
@click.option("--gpu", type=click.IntRange(0), help="Compute on this GPU; on the CPU by default.")
def caption(
    images,
    run,
    model,
    net,
    weights,
    vocabulary,
    beam,
    best,
    temperature,
    samples,
    seed,
    length,
    as_json,
    out,
    changes,
    config,
    gpu,
):
    """Describe IMAGES in sentences, with the log probability of each.

    All images are read before any is described. Each gets a picture with its sentences.
    """
    from lrcn import engine
    from lrcn.activity.classify import picture_names
    from lrcn.sentences.captioner import Captioner, draw, open_captioner, read_images, read_vocabulary
    from netspecs import catalogue
    from prototxt_gen import SpecError

    drawn = temperature is not None or samples is not None
    if drawn and beam is not None:
        raise click.UsageError("--beam searches and --temperature or --samples draws: give one of them")
    if best is not None and best > ((samples if drawn else beam) or 1):
        raise click.UsageError(f"--best {best}: there are no more than --{'samples' if drawn else 'beam'} sentences")
    if run is None:
        lacking = [
            f"--{name}" for name, value in (("net", net), ("weights", weights), ("vocabulary", vocabulary)) if not value
        ]
        if lacking:
            raise click.UsageError(
                f"{' and '.join(lacking)} missing: give --run DIR, a trained run, or --net, --weights and --vocabulary"
            )
        if model:
            raise click.UsageError("--model: names a net of --run; give --run")
        changes = catalogue.share_out(read_settings(changes, config), [net])[net]
    else:
        if net or weights or vocabulary or changes or config:
            raise click.UsageError(
                "--run: holds net, weights, vocabulary and settings; leave --net, --weights, "
                "--vocabulary, --set and --config out"
            )
        net, weights, vocabulary, changes = open_captioner(run, model)
    if catalogue.get(net).task != "caption":
        raise SpecError(f"{net}: describes no images; caption/* do, `lrcn nets list` names them")
    pictures = [out / name for name in picture_names(images)]
    for path in images:
        if path.resolve() in {picture.resolve() for picture in pictures}:
            raise click.UsageError(f"{path}: a picture of the same name would take its place; give another --out")
    words, pixels, progress = read_vocabulary(vocabulary), read_images(images), Progress()
    if drawn:
        strategy = {"temperature": 1.0 if temperature is None else temperature, "samples": samples or 1, "seed": seed}
    else:
        strategy = {"beam": beam or 1}
    with Captioner.of(net, weights, words, engine.find(), gpu, changes) as captioner:
        features = captioner.image_features(pixels, progress, len(pixels))
        if drawn:
            found = captioner.sample(features, strategy["samples"], strategy["temperature"], length, seed, progress)
        else:
            found = captioner.beam(features, strategy["beam"], strategy["beam"], length, progress)
    progress.close()
    out.mkdir(parents=True, exist_ok=True)
    found = [sentences[:best] for sentences in found]
    for image, sentences, picture in zip(pixels, found, pictures):
        draw(image, sentences, picture)
    if as_json:
        strategy = {name: str(value) if value == float("inf") else value for name, value in strategy.items()}
        print(
            json.dumps(
                {
                    "net": net,
                    "weights": str(weights),
                    "length": length,
                    **strategy,
                    "images": [
                        {
                            "image": str(path),
                            "captions": [
                                {
                                    "caption": each.text,
                                    "log_prob": each.log_prob,
                                    "finished": each.finished,
                                    "words": each.words,
                                    "log_probs": each.log_probs,
                                }
                                for each in sentences
                            ],
                            "picture": str(picture),
                        }
                        for path, sentences, picture in zip(images, found, pictures)
                    ],
                },
                indent=1,
                ensure_ascii=False,
            )
        )
    else:
        for path, sentences, picture in zip(images, found, pictures):
            print(path, *(f"{each.log_prob:9.3f}  {each.text}" for each in sentences), f"  {picture}", sep="\n")
