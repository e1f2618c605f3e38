"""Options that several commands have, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lrcn.engine.device import MOST_WORKSPACE, PRECISIONS, WORKSPACE, Gpu
from readers.text import number

OF_GPU = "lrcn.gpu"  # where in a context's `meta` lies what is asked of a GPU's precision and the like


class GpuNumbers(click.ParamType):
    """ "0", or several as "0,1"."""

    name = "gpus"

    def __init__(self, several: bool):
        self.several = several

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "N,..." if self.several else "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        numbers = [number(text.strip()) for text in str(value).split(",")]
        if None in numbers:
            self.fail(f"{value}: it takes a GPU's number, 0" + " or several, 0,1" * self.several, param, ctx)
        chosen = tuple(each for each in numbers if each is not None)
        if len(chosen) > 1 and not self.several:
            self.fail(
                f"{value}: this command computes on one GPU; `lrcn train` and `lrcn evaluate` take several", param, ctx
            )
        if len(set(chosen)) < len(chosen):
            self.fail(f"{value}: names a GPU twice", param, ctx)
        return chosen


def _noted(context: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        context.meta.setdefault(OF_GPU, {})[param.name] = value


def _gpu(context: click.Context, param: click.Parameter, numbers: tuple[int, ...] | None) -> Gpu | None:
    asked = context.meta.get(OF_GPU, {})
    if numbers is None and asked:
        name, value = next(iter(asked.items()))
        shown = f"--{name}" if value is True else f"--{name} {value}"
        raise click.UsageError(f"{shown}: is for GPUs; give --gpu N with it, or leave it out")
    return None if numbers is None else Gpu(numbers, **asked)


def gpu_options(several: bool = False):
    """--gpu and what goes with it, as one parameter `gpu`: a Gpu, or None for the CPU. several: --gpu 0,1 too."""

    def beside(name: str, **settings: Any):  # eager, so that --gpu finds what they say
        return click.option(name, is_eager=True, expose_value=False, callback=_noted, **settings)

    which = "Compute on this GPU, or on several, 0,1, which share each batch" if several else "Compute on this GPU"

    def decorate(command):
        for option in reversed(
            [
                click.option("--gpu", type=GpuNumbers(several), callback=_gpu, help=f"{which}; on the CPU by default."),
                beside(
                    "--precision",
                    type=click.Choice(PRECISIONS),
                    help="With --gpu: of products and convolutions; fp32 by default.",
                ),
                beside(
                    "--fast", is_flag=True, help="With --gpu: algorithms that add in no fixed order too; runs differ."
                ),
                beside(
                    "--workspace",
                    metavar="MIB",
                    type=click.IntRange(1, MOST_WORKSPACE),
                    help=f"With --gpu: memory for a convolution's algorithm; {WORKSPACE} by default.",
                ),
            ]
        ):
            command = option(command)
        return command

    return decorate


JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
LENGTH = click.option(
    "--length",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Words of a sentence at most, its end included.",
)
SEED_OF_DRAWS = click.option(
    "--seed", type=click.IntRange(0), default=1701, show_default=True, help="Of the sentences that are drawn."
)
CUT = click.option(
    "--cut",
    type=click.Choice(["released", "training"]),
    default="released",
    show_default=True,
    help="Images to describe: of each the middle, then resized, as the release's scripts; or as in training.",
)


def jobs_option(what: str):
    """--jobs N. what: is computed side by side, in words."""
    return click.option(
        "--jobs",
        type=click.IntRange(1),
        metavar="N",
        help=f"So many {what} at a time, of those that do not wait for each other; by default as many as have cores "
        "for their threads. A GPU each: --jobs 2 --gpu 0,1.",
    )


ON_CORRUPT = click.option(
    "--on-corrupt",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="At a damaged image of a video: stop and name it, or show the nearest whole one of the video in its place, and"
    " say at the end how often.",
)


def tensorboard_option(what: str):
    """--tensorboard DIR. what: is written there, in words."""
    return click.option(
        "--tensorboard",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help=f"Write event files for TensorBoard: {what}.",
    )


def release_options(command):
    """What the released classify_video.py does otherwise than training."""
    for option in (
        click.option(
            "--flow-negation",
            type=click.Choice(["mirrored", "rows-6-up", "never"]),
            default="mirrored",
            show_default=True,
            help="Crops of flow whose x is negated: the mirrored ones; or, as the release's script has it for single "
            "frames, from the sixth row on of 16 frames' crops; or, as it has it for LRCN, none.",
        ),
        click.option(
            "--mean-slip",
            is_flag=True,
            help="Videos: test with the release's mean of RGB, 128.68 for red, whatever the net was trained with.",
        ),
    ):
        command = option(command)
    return command
