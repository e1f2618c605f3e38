"""Caffe's LSTM layer against the paper's equations: outputs, clip markers, static input, gradients."""

import numpy as np
import pytest

from tests.netspecs.lstm_check import D, H, N, S, T, check, draw_case
from tests.numpy_lstm import Weights, forward
from tests.rounding import rounding


@pytest.fixture(params=["plain", "static"])
def case(request):
    return draw_case(request.param == "static")


@pytest.mark.engine
def test_caffe_s_lstm_is_the_paper_s(case, in_caffe, tmp_path):
    check(case, in_caffe, tmp_path)


def test_a_marker_of_0_starts_afresh(case):
    """The NumPy LSTM itself: two clips in one sequence, parted by a marker, are two sequences."""
    markers = np.ones((T, N))
    markers[0] = markers[4] = 0
    whole = forward(case["x"], markers, case["weights"], case["static"])
    for part in slice(0, 4), slice(4, T):
        alone = forward(case["x"][part], markers[part], case["weights"], case["static"])
        np.testing.assert_allclose(alone, whole[part], rtol=0, atol=rounding(T * (D + H + S), 1, float))
    assert not np.allclose(
        whole, forward(case["x"], np.minimum(1, np.arange(T))[:, None] * np.ones(N), case["weights"], case["static"])
    )


def test_one_step_by_hand():
    """H = D = 1, all weights 1, bias 0, x = 1: gates sigmoid(1), input tanh(1)."""
    weights = Weights(np.ones((4, 1)), np.zeros(4), np.ones((4, 1)))
    gate, drive = 0.7310585786300049, 0.7615941559557649
    h = forward(np.ones((1, 1, 1)), np.zeros((1, 1)), weights)
    assert h.item() == pytest.approx(gate * np.tanh(gate * drive), abs=1e-12)
