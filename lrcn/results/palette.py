"""One colour, one dash, one marker and one name for each thing that a picture shows, wherever it is shown.

The colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), those that are too light on white darkened: each has
a contrast of 3 to 1 or more (WCAG 2.1, 1.4.11) on white and on a dark page, and those that stand in one picture stay
apart for the colour-blind. Dash and marker say the same again, in black and white too.
"""

from __future__ import annotations

import re
from itertools import cycle, islice

_BLUE, _VERMILLION, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#C06A9B"
_AMBER, _SKY, _PLUM, _GREY = "#B07800", "#2F8FCF", "#9A4C96", "#6B6B6B"

COLOURS = {
    "rgb": _VERMILLION,
    "flow": _BLUE,
    "average_1/2_1/2": _PURPLE,
    "average_1/3_2/3": _GREEN,
    "fused": _PURPLE,
    "single-frame": _AMBER,
    "lrcn-fc6": _SKY,
    "lrcn-fc7": _PLUM,
    "train": _SKY,
    "test": _AMBER,
    "chance": _GREY,
}
TITLES = {
    "rgb": "RGB",
    "flow": "flow",
    "average_1/2_1/2": "1/2 RGB + 1/2 flow",
    "average_1/3_2/3": "1/3 RGB + 2/3 flow",
    "fused": "RGB and flow",
    "single-frame": "single frame",
    "lrcn-fc6": "LRCN-fc6",
    "lrcn-fc7": "LRCN-fc7",
    "train": "training",
    "test": "test",
    "chance": "chance",
}
DASHES: dict[str, tuple[float, ...]] = {  # on, off, ... in widths of the line, as in SVG and Matplotlib; (): solid
    "rgb": (),
    "flow": (5, 1.5),
    "average_1/2_1/2": (5, 1.5, 1, 1.5),
    "average_1/3_2/3": (2, 1),
    "fused": (5, 1.5, 1, 1.5),
    "single-frame": (),
    "lrcn-fc6": (5, 1.5),
    "lrcn-fc7": (2, 1),
    "train": (),
    "test": (5, 1.5),
    "chance": (1, 2),
}
MARKERS = {  # Matplotlib's letters
    "rgb": "o",
    "flow": "s",
    "average_1/2_1/2": "^",
    "average_1/3_2/3": "D",
    "fused": "^",
    "single-frame": "o",
    "lrcn-fc6": "s",
    "lrcn-fc7": "^",
    "train": "",
    "test": "o",
    "chance": "",
}
_SERIES = (_BLUE, _VERMILLION, _GREEN, _PURPLE, _AMBER, _SKY, _PLUM)


def series(n: int) -> list[str]:
    """Colours of n things that have none of their own; after seven they come again."""
    return list(islice(cycle(_SERIES), n))


def title(name: str) -> str:
    """A column or model as a reader knows it: "LRCN-2f", "1NN-fc7"; another name as it is."""
    return TITLES.get(name) or re.sub("^(lrcn|1nn)(?=-|$)", lambda begin: begin[0].upper(), name)
