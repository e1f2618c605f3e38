"""`lrcn describe`."""

from __future__ import annotations

import json

import click

from lrcn.commands.common import FOLDER, Contained, Progress, say
from lrcn.commands.options import JSON, LENGTH, gpu_options


@click.command(cls=Contained)
@click.argument("file", type=click.Path())
@click.option("--run", type=FOLDER, required=True, help="The --out of `lrcn train video/...`.")
@click.option("--model", metavar="NAME", help="Which of its nets; decoder-prob by default, or what is there.")
@click.option(
    "--beam",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Sentences that the search keeps at every word, all of which are shown; 1 is the greedy choice.",
)
@LENGTH
@click.option("--partial", is_flag=True, help="A slot's probabilities may have a sum below 1.")
@JSON
@gpu_options()
def describe(file, run, model, beam, length, partial, as_json, gpu):
    """Describe the videos of FILE in sentences, with the log probability of each.

    FILE: what a CRF says of them, JSON Lines or CSV as `lrcn prepare tacos` takes them, sentences not needed; for
    video/encoder-decoder-frames activations of their frames, an HDF5 or .npz file with (frames, D) for each video.
    A video itself is not read. Words that the net does not know count for nothing, and slots that are left out as
    missing.
    """
    from lrcn.engine.compute import Compute
    from lrcn.sentences import video_inputs
    from lrcn.sentences.captioner import Captioner
    from lrcn.sentences.readable import readable
    from lrcn.training.trained import writer

    video_inputs.check_kind(file)
    net, progress = writer(run, "video", model), Progress()
    ids, inputs = video_inputs.of_file(file, net.variant, net.settings, net.folder, partial, say)
    with Captioner.of(net, Compute(gpu=gpu, progress=progress)) as captioner:
        described = captioner.beam(inputs, beam, beam, length)
    progress.close()
    if as_json:
        videos = [
            {"id": name, "sentences": [{"sentence": each.text, **each.details} for each in sentences]}
            for name, sentences in zip(ids, described)
        ]
        document = {"net": net.variant.name, "weights": str(net.weights), "length": length, "beam": beam}
        print(json.dumps(document | {"videos": videos}, indent=1, ensure_ascii=False))
        return
    for name, sentences in zip(ids, described):
        print(name, *(f"{each.log_prob:9.3f}  {readable(each.text)}" for each in sentences), sep="\n")
