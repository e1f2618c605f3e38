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
@click.option(
    "--out", type=FOLDER, help="Draw what the net reads of each video, slots or frames, and its sentences, OUT/ID.png."
)
@gpu_options()
def describe(file, run, model, beam, length, partial, as_json, out, gpu):
    """Describe the videos of FILE in sentences, with the log probability of each.

    FILE: what a CRF says of them, JSON Lines or CSV as `lrcn prepare tacos` takes them, sentences not needed; for
    video/encoder-decoder-frames activations of their frames, an HDF5 or .npz file with (frames, D) for each video.
    A video itself is not read. Words that the net does not know count for nothing, and slots that are left out as
    missing.
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
