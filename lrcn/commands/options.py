"""Options that several commands have, in the same words."""

from __future__ import annotations

import click

GPU = click.option("--gpu", type=click.IntRange(0), help="Compute on this GPU; on the CPU by default.")
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
