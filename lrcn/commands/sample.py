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
from lrcn.commands.options import JSON, LENGTH, SEED_OF_DRAWS, gpu_options

NET = "lm/lstm-lm"


@click.command(cls=Contained)
@click.option("--run", type=FOLDER, help="The --out of `lrcn train lm/lstm-lm`.")
@click.option("--weights", type=WEIGHTS, help="In place of --run: the .caffemodel of a language model, and ...")
@click.option("--vocabulary", type=FILE, help="... vocabulary.txt of the sentences it was trained on.")
@click.option("--samples", type=click.IntRange(1), default=10, show_default=True, help="Sentences to draw.")
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="What the softmax's inputs are multiplied by; inf is the greedy choice.",
)
@SEED_OF_DRAWS
@LENGTH
@JSON
@settings_options
@gpu_options()
def sample(samples, temperature, seed, length, as_json, gpu, **options):
    """Draw sentences from a language model, with the log probability of each, the likeliest first."""
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
        raise click.UsageError("--set vocabulary: follows from the words of --vocabulary; leave it out")
    return TrainedNet.of_file(NET, options["weights"], Path(), changes, vocabulary=options["vocabulary"])
