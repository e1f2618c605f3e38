"""Heat maps of gates: of one LSTM or several, of any names."""

import cv2
import numpy as np
import pytest

from lrcn.results import gates

HOSTILE = "$x_{1$ \x1b‮<b>喵\n"


def lstm(units, steps):
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(0, 1, (units, steps)).tolist() for name in gates.MAPS}
    return {"layer": "lstm1", "steps": [HOSTILE, *map(str, range(1, steps))], "units": list(range(units)), **values}


@pytest.mark.parametrize("units, steps, images", [(16, 16, 8), (1, 1, 1), (2, 40, 1)])
def test_columns_are_drawn_whatever_their_sizes(tmp_path, units, steps, images):
    picture = np.full((48, 64, 3), (0, 0, 255), np.uint8)  # red
    scores = {HOSTILE: [0.5] * steps} | ({"b": [0.2] * steps} if units == 16 else {})
    columns = [gates.Column(HOSTILE, lstm(units, steps), [picture] * images, scores)]
    columns += [gates.Column("second", lstm(units, steps), [], scores)]
    gates.unrolled(columns, HOSTILE, "step", tmp_path / "a.png")
    drawn = cv2.imread(str(tmp_path / "a.png"))
    red = (drawn[..., 2] > 200) & (drawn[..., :2] < 60).all(-1)
    assert red.sum() > 2000 and [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_a_long_title_is_folded_and_whole(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(gates, "save", lambda figure, path: drawn.append(figure))
    title = "v_CounterClockwise_g01_c01.avi: the units that weigh most for Counter Clockwise"
    picture = np.zeros((48, 64, 3), np.uint8)
    gates.unrolled([gates.Column("a", lstm(4, 16), [picture], {"b": [0.5] * 16})], title, "frame", tmp_path / "a.png")
    lines = drawn[0].get_suptitle().splitlines()
    assert len(lines) == 2 and " ".join(lines) == title
