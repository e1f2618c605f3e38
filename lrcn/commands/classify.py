"""`lrcn classify`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lrcn.commands.common import FOLDER, Contained, Progress


@click.command(cls=Contained, mounts=lambda options: ([], [_pictures(options["run"], options["out"])]))
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", type=FOLDER, required=True, help="What `lrcn train` filled: its --out.")
@click.option("--split", type=click.IntRange(1, 3), default=1, show_default=True, help="Whose nets.")
@click.option("--model", help="Row of Table 1; lrcn-fc6 by default, or the one that is there.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Classes to name.")
@click.option(
    "--rgb-weight",
    type=click.FloatRange(0, 1),
    default=1 / 3,
    show_default="1/3",
    help="Weight of RGB in the fused scores, beside flow's.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--out", type=FOLDER, help="Where the pictures go; RUN/classified by default.")
@click.option("--gpu", type=click.IntRange(0), help="Compute on this GPU; on the CPU by default.")
def classify(videos, run, split, model, top, rgb_weight, as_json, out, gpu):
    """Name the classes of VIDEOS, files or folders of frames, with trained nets: by RGB, by flow, and fused.

    All videos are read before any is classified. Each gets a picture: frames above the scores over its time.
    """
    from lrcn.activity import classify as classifying
    from lrcn.engine.compute import Compute
    from lrcn.training.trained import classifiers

    nets, progress = classifiers(run, split, model), Progress()
    classified = classifying.classify_videos(videos, nets, Compute(gpu=gpu, progress=progress), rgb_weight)
    progress.close()
    net = next(iter(nets.values()))
    pictures = classifying.draw_all(classified, net, _pictures(run, out))
    answers = classifying.as_json(classified, net.classes, top)
    answers = [answer | {"picture": str(picture)} for answer, picture in zip(answers, pictures)]
    row, weight = net.variant.row, rgb_weight if len(nets) > 1 else None
    if as_json:
        document = {"run": str(run), "model": row, "split": split, "rgb_weight": weight, "videos": answers}
        print(json.dumps(document, indent=1, ensure_ascii=False))
        return
    texts = [f"{classifying.as_text(answer, row, rgb_weight)}\n  {answer['picture']}" for answer in answers]
    print("\n\n".join(texts))


def _pictures(run, out):
    return out or run / "classified"
