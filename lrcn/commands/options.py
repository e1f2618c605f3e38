"""Options that several commands have, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lrcn.commands.help import COMPUTING, option, section
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
        return option(name, is_eager=True, expose_value=False, callback=_noted, **settings)

    share = "; several, as 0,1, share each batch" if several else ""
    return section(
        COMPUTING,
        option(
            "--gpu",
            type=GpuNumbers(several),
            callback=_gpu,
            show_default="the CPU",
            help=f"Compute on GPU number N{share}.",
        ),
        beside(
            "--precision",
            type=click.Choice(PRECISIONS),
            show_default="fp32",
            help="With --gpu: arithmetic of matrix products and convolutions.",
        ),
        beside("--fast", is_flag=True, help="With --gpu: allow algorithms whose sums differ from run to run."),
        beside(
            "--workspace",
            metavar="MIB",
            type=click.IntRange(1, MOST_WORKSPACE),
            show_default=str(WORKSPACE),
            help="With --gpu: memory that a convolution's algorithm may use.",
        ),
    )


JSON = option("--json", "as_json", is_flag=True, help="Print one JSON document in place of text.")
LENGTH = option(
    "--length", type=click.IntRange(1), default=50, help="Longest sentence, in words; its end counts as one."
)
SEED_OF_DRAWS = option("--seed", type=click.IntRange(0), default=1701, help="Seed of the sentences that are drawn.")
CUT = option(
    "--cut",
    type=click.Choice(["released", "training"]),
    default="released",
    help="Cut images as the released scripts do (their middle, then resized), or as in training.",
)


def jobs_option(what: str):
    """--jobs N. what: is computed side by side, in words."""
    return option(
        "--jobs",
        type=click.IntRange(1),
        show_default="as many as the cores allow",
        help=f"Run N {what} side by side. With --jobs 2 --gpu 0,1 each has a GPU.",
    )


ON_CORRUPT = option(
    "--on-corrupt",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="At a damaged image of a video: stop, or take the nearest whole image of that video. "
    "The number taken is reported.",
)


def tensorboard_option(what: str):
    """--tensorboard DIR. what: is written there, in words."""
    return option(
        "--tensorboard", type=click.Path(file_okay=False, path_type=Path), help=f"Also write {what} for TensorBoard."
    )


def release_options(command):
    """What the released classify_video.py does otherwise than training."""
    for decorate in (
        option(
            "--flow-negation",
            type=click.Choice(["mirrored", "rows-6-up", "never"]),
            default="mirrored",
            help="Crops of flow whose x is negated: the mirrored ones. The released script has rows-6-up for single "
            "frames and never for LRCN.",
        ),
        option(
            "--mean-slip",
            is_flag=True,
            help="Subtract the released script's mean of red, 128.68, whatever the net was trained with.",
        ),
    ):
        command = decorate(command)
    return command
