"""The palette, held against WCAG's formula of contrast and against what the colour-blind see."""

from itertools import combinations

import numpy as np
import pytest

from lrcn.results.compare import COLUMNS
from lrcn.results.palette import COLOURS, DASHES, MARKERS, TITLES, series, title
from lrcn.results.published import TABLE1_ROWS
from tests.contrast import DARK, SRGB_TO_XYZ, WHITE, contrast, linear

TOGETHER = [(*COLUMNS, "chance"), ("rgb", "flow", "fused", "chance"), (*TABLE1_ROWS, "chance"), ("train", "test")]
# What is seen of linear RGB by those without one kind of cone: Machado, Oliveira, Fernandes 2009, severity 1.0
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(light):
    """CIE L*a*b*, for daylight D65."""
    xyz = SRGB_TO_XYZ @ np.clip(light, 0, 1) / SRGB_TO_XYZ.sum(1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("page", [WHITE, DARK])
def test_every_colour_is_seen_on_light_and_dark(page):
    assert min(contrast(colour, page) for colour in [*COLOURS.values(), *series(7)]) >= 3


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("names", TOGETHER)
def test_colours_in_one_picture_stay_apart_for_the_colour_blind(names, eyes):
    """A difference of 2.3 is just seen (Mahy 1994); 12 is seen between thin lines."""
    seen = [lab(np.array(EYES[eyes]) @ linear(COLOURS[name])) for name in names]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 12


@pytest.mark.parametrize("names", TOGETHER)
def test_without_colour_dash_and_marker_tell_lines_apart(names):
    assert len({(DASHES[name], MARKERS[name]) for name in names}) == len({DASHES[name] for name in names}) == len(names)


def test_every_name_has_all_and_others_are_left_as_they_are():
    assert COLOURS.keys() == TITLES.keys() == DASHES.keys() == MARKERS.keys()
    assert title("rgb") == "RGB" and title("mine") == "mine"
    assert len(set(series(7))) == 7 and series(9)[7:] == series(2)
