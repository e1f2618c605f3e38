import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_prep import DataError, flow

ALGORITHMS = [name for name in flow.ALGORITHMS if name != "tvl1" or hasattr(cv2, "optflow")]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_known_shift_is_found(algorithm):
    wide = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (140, 160)).astype(np.uint8), (0, 0), 2.5)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    # what was at x is at x + 3, what was at y is at y - 2
    first, second = wide[20:120, 20:140].copy(), wide[22:122, 17:137].copy()
    found = flow.estimator(algorithm)(first, second)
    assert found.shape == (100, 120, 2) and found.dtype == np.float32
    np.testing.assert_allclose(np.median(found[20:-20, 20:-20], axis=(0, 1)), [3, -2], atol=0.1)


def test_unknown_algorithm_names_those_there_are():
    with pytest.raises(DataError, match="'brox'.*dis, farneback, tvl1"):
        flow.estimator("brox")


@given(arrays(np.float32, (3, 4, 2), elements=st.floats(-7.875, 7.875, width=32)))
def test_decode_gives_back_what_encode_was_given(motion):
    assert np.abs(flow.decode(flow.encode(motion)) - motion).max() <= 1 / 32 + 1e-5


@pytest.mark.parametrize(
    "x, y, blue, green, red",
    [
        (0, 0, 128, 128, 128),
        (1, 0, 144, 128, 144),
        (0, -2, 160, 96, 128),
        (3, 4, 208, 192, 176),
        (-20, 20, 255, 255, 0),
    ],
)
def test_levels_and_channels_are_the_released_scripts(x, y, blue, green, red):
    """Red x, green y, blue magnitude: * 16 + 128, clipped to 0..255; the array is BGR."""
    assert flow.encode(np.full((1, 1, 2), (x, y), np.float32))[0, 0].tolist() == [blue, green, red]
