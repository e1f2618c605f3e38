"""`lrcn sample`."""

from __future__ import annotations

import json
from pathlib import Path

import click

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
from lrcn.commands.help import option, section
from lrcn.commands.options import JSON, LENGTH, SEED_OF_DRAWS, gpu_options

NET = "lm/lstm-lm"


@click.command(
    cls=Contained,
    examples=[
        ("Draw ten sentences from a language model that you trained", "lrcn sample --run runs/lm"),
        ("Draw from weights of others", "lrcn sample --weights lstm-lm --vocabulary vocabulary.txt --temperature 2"),
    ],
)
@section("Net of a run", option("--run", type=FOLDER, help="A training of lm/lstm-lm: --out of `lrcn train`."))
@section(
    "Net from files",
    option("--weights", type=WEIGHTS, help="Weights of a language model."),
    option("--vocabulary", type=FILE, help="The vocabulary.txt of its training."),
)
@settings_options
@section(
    "Sentences",
    option("--samples", type=click.IntRange(1), default=10, help="Number of sentences to draw."),
    option(
        "--temperature",
        type=click.FloatRange(0),
        default=1.0,
        help="Factor of the softmax's inputs: the higher, the likelier the words; inf takes the likeliest.",
    ),
    SEED_OF_DRAWS,
    LENGTH,
)
@JSON
@gpu_options()
def sample(samples, temperature, seed, length, as_json, gpu, **options):
    """Draw sentences at random from a language model.

    Each is printed with its log probability, the likeliest first.
    """
    from lrcn.engine.compute import Compute
    from lrcn.sentences.captioner import Captioner
    from lrcn.sentences.readable import readable

    net, progress = _net(options), Progress()
    with Captioner.of(net, Compute(gpu=gpu, progress=progress)) as writer:
        [sentences] = writer.sample(None, samples, temperature, length, seed)
    progress.close()
    if as_json:
        drawn = {"temperature": str(temperature) if temperature == float("inf") else temperature, "seed": seed}
        document = {"net": net.variant.name, "weights": str(net.weights), "length": length, **drawn}
        texts = [{"sentence": each.text, **each.details} for each in sentences]
        print(json.dumps(document | {"sentences": texts}, indent=1, ensure_ascii=False))
        return
    print(*(f"{each.log_prob:9.3f}  {readable(each.text)}" for each in sentences), sep="\n")


def _net(options):
    """The language model of --run, or of --weights and --vocabulary."""
    from lrcn.trained_net import TrainedNet
    from lrcn.training.trained import writer
    from netspecs import catalogue

    needed = {"--weights": options["weights"], "--vocabulary": options["vocabulary"]}
    beside = {"--set": options["changes"], "--config": options["config"]}
    if run_or_file(options["run"], needed, beside, {}):
        return writer(options["run"], "lm")
    changes = catalogue.share_out(read_settings(options["changes"], options["config"]), [NET])[NET]
    if "vocabulary" in changes:
        raise click.UsageError("--set vocabulary: is the number of words in --vocabulary; leave it out")
    return TrainedNet.of_file(NET, options["weights"], Path(), changes, vocabulary=options["vocabulary"])
