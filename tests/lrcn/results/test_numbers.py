"""Measured and published in one row, and the interval of a share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.results.numbers import Number, share, wilson


@pytest.mark.parametrize(
    "hits, count, low, high",
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_as_published(hits, count, low, high):
    """Newcombe, Two-sided confidence intervals for the single proportion (1998), Table I, method 3."""
    assert wilson(hits / count, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000), st.data())
def test_an_interval_holds_its_share_and_solves_the_score_test(count, data):
    hits = data.draw(st.integers(0, count))
    portion = hits / count
    low, high = wilson(portion, count)
    assert 0 <= low <= portion + 1e-12 and portion <= high + 1e-12 and high <= 1
    for end in {low, high} - {0.0, 1.0}:  # where the share is 1.96 standard errors away
        assert (portion - end) ** 2 == pytest.approx(3.841459 * end * (1 - end) / count, rel=1e-5, abs=1e-12)


def test_an_interval_is_given_where_the_test_set_is_small():
    assert share(80.0, 200).interval == pytest.approx((73.91, 84.95), abs=0.02)
    assert share(80.0, 3783).interval is not None  # UCF-101's split 1: 2.5 points
    assert share(80.0, 200_000).interval is None
    assert share(86.13, 750).interval == (83.48, 88.42)  # of 646 / 750, not of 0.8613
    assert share(None, 200) == Number() and share(50.0, None) == Number(50.0)
    for portion, count in ((1.2, 10), (-0.1, 10), (0.5, 0)):
        with pytest.raises(ValueError):
            wilson(portion, count)


def test_a_difference_is_of_two_numbers():
    assert Number(70.0, 71.12).difference == -1.12
    assert Number(70.0).difference is Number(None, 71.12).difference is None
