"""`lrcn describe`."""

from __future__ import annotations

import json

import click

from lrcn.commands.common import FOLDER, Contained, Progress, say
from lrcn.commands.help import option, section
from lrcn.commands.options import JSON, LENGTH, gpu_options


@click.command(
    cls=Contained,
    examples=[
        ("Describe videos by what a CRF says of them", "lrcn describe snippets.jsonl --run runs/demo-video --beam 5"),
        (
            "Describe them by activations of their frames, and draw each",
            "lrcn describe frames.npz --run runs/frames --out described",
        ),
    ],
)
@click.argument("file", type=click.Path())
@option("--run", type=FOLDER, required=True, help="A training of video/* nets: --out of `lrcn train`.")
@option("--model", show_default="decoder-prob, or the one there is", help="Net of the run.")
@option("--partial", is_flag=True, help="Let the probabilities of a slot have a sum below 1.")
@section(
    "Sentences",
    option(
        "--beam",
        type=click.IntRange(1),
        default=1,
        help="Width of the beam search, and sentences shown; 1 takes the likeliest word each time.",
    ),
    LENGTH,
)
@section(
    "Output",
    JSON,
    option("--out", type=FOLDER, help="Draw what the net reads of each video, and its sentences, as OUT/ID.png."),
)
@gpu_options()
def describe(file, run, model, beam, length, partial, as_json, out, gpu):
    """Describe videos in sentences, by slots or by frames.

    FILE does not hold videos, but what is known of each. For most nets that is slots with the probabilities of their
    words, as JSON Lines or CSV (see `lrcn prepare tacos`). For video/encoder-decoder-frames it is activations of the
    frames: HDF5 or .npz, an array (frames, D) for each video. Words that the net does not know are ignored; slots that
    are left out count as missing.
    """
    from data_prep.whole_files import check_folder
    from lrcn.engine.compute import Compute
    from lrcn.results.pictures import check_drawn_over
    from lrcn.sentences import described as drawing
    from lrcn.sentences import video_inputs
    from lrcn.sentences.captioner import Captioner
    from lrcn.sentences.readable import readable
    from lrcn.training.trained import writer

    if out:
        check_folder(out)
    video_inputs.check_kind(file)
    net, progress = writer(run, "video", model), Progress()
    ids, inputs = video_inputs.of_file(file, net.variant, net.settings, net.folder, partial, say)
    if out:
        check_drawn_over(drawing.paths(ids, out))
    with Captioner.of(net, Compute(gpu=gpu, progress=progress)) as captioner:
        described = captioner.beam(inputs, beam, beam, length)
    progress.close()
    pictures = _draw(ids, inputs, described, net, out) if out else [None] * len(ids)
    if as_json:
        videos = [
            {"id": name, "sentences": [{"sentence": each.text, **each.details} for each in sentences]}
            | ({"picture": str(picture)} if picture else {})
            for name, sentences, picture in zip(ids, described, pictures)
        ]
        document = {"net": net.variant.name, "weights": str(net.weights), "length": length, "beam": beam}
        print(json.dumps(document | {"videos": videos}, indent=1, ensure_ascii=False))
        return
    for name, sentences, picture in zip(ids, described, pictures):
        print(name, *(f"{each.log_prob:9.3f}  {readable(each.text)}" for each in sentences), sep="\n")
        if picture:
            print(f"  {picture}")


def _draw(ids, inputs, described, net, out):
    """The pictures in `out`."""
    from lrcn.sentences import described as drawing
    from lrcn.sentences import video_inputs
    from lrcn.sentences.readable import readable

    out.mkdir(parents=True, exist_ok=True)
    paths = drawing.paths(ids, out)
    frames = video_inputs.reads_frames(net.variant)
    read = inputs["frames"] if frames else video_inputs.slots_of(inputs, net.folder)
    for name, of_video, sentences, path in zip(ids, read, described, paths):
        lines = [(each.log_prob, readable(each.text)) for each in sentences]
        (drawing.draw_frames if frames else drawing.draw_slots)(name, of_video, lines, path)
    return paths
