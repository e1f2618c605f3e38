"""Measured and published in one row, and the interval of a share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.results.numbers import Cells, Column, Number, decimals, percent, share, share_in_words, wilson


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
    assert share(86.13, 750).measured == round(100 * 646 / 750, 6)
    assert share(None, 200) == Number() and share(50.0, None) == Number(50.0)
    for portion, count in ((1.2, 10), (-0.1, 10), (0.5, 0)):
        with pytest.raises(ValueError):
            wilson(portion, count)


def test_a_difference_is_of_two_numbers():
    assert Number(70.0, 71.12).difference == -1.12
    assert Number(70.0).difference is Number(None, 71.12).difference is None


@given(st.integers(1, 10**6))
def test_a_share_has_the_decimals_that_one_case_changes(cases):
    """The decimal before the last shown is larger than a case's part; a case's part is seen in the last, but where two
    are not enough."""
    places, step = decimals(cases), 100 / cases
    assert 0 <= places <= 2
    assert step >= 10**-places or places == 2
    assert step < 10 ** (1 - places) or places == 0


@pytest.mark.parametrize(
    "hits, cases, words", [(3, 10, "30 %"), (24, 25, "96 %"), (199, 200, "99.5 %"), (2610, 3783, "68.99 %")]
)
def test_shares_as_they_are_shown(hits, cases, words):
    assert percent(100 * hits / cases, cases) == words


def test_a_share_is_rounded_once():
    """100 * 232 / 251 is 92.4303, and 100 * 209 / 286 is 73.0769: results.json has two decimals of them."""
    for cases in range(101, 1001, 13):
        for hits in range(cases + 1):
            shown = Column("", "", "percent").cells(share(round(100 * hits / cases, 2), cases)).measured
            assert abs(float(shown) - 100 * hits / cases) <= 0.05 + 1e-9


def test_each_part_of_a_number_has_its_digits():
    number = Number(97.5, 71.12, (94.28, 98.93), cases=200)
    assert Column("", "", "percent").cells(number) == Cells("97.5", "94.3-98.9", "-", "71.12", "+26.4")
    assert Column("", "", "percent", published_decimals=1).cells(Number(38.123, 39.1, cases=5000)) == Cells(
        "38.12", "-", "-", "39.1", "-1.0"
    )
    few = Number(30.0, interval=(10.78, 60.32), spread=4.2, cases=10)
    assert Column("", "", "percent").cells(few) == Cells("30", "11-60", "4", "-", "-")
    assert Column("", "", "percent").cells(Number()) == Cells("-", "-", "-", "-", "-")
    assert Column("", "", "percent").cells(Number(71.1, 71.12, cases=200)).difference == "+0.0"


def test_what_is_no_share_has_digits_of_its_kind():
    cider = Column("CIDEr", "CIDEr", "times 100", span=1000)
    assert [cider.cells(Number(516.162, cases=cases)).measured for cases in (150, 5000)] == ["516", "516.2"]
    rank = Column("median_rank", "MedR", "rank", span=None, published_decimals=0)
    assert rank.cells(Number(1.0, 3)) == Cells("1", "-", "-", "3", "-2")
    assert rank.cells(Number(2.5, 3)).measured == "2.5" and rank.cells(Number(2.0, spread=0.58)).spread == "0.6"
    perplexity = Column("perplexity", "perplexity", "a word", span=None)
    shown = [perplexity.cells(Number(value)).measured for value in (1.2345, 21.654, 155.51, 4321.9)]
    assert shown == ["1.23", "21.7", "156", "4322"]
    assert Column("score", "score", "", span=None).cells(Number(3.14159)).measured == "3.14"


def test_a_share_in_words_has_its_counts():
    assert share_in_words(share(96.0, 25)) == "96 %, 24 of 25, 95 % interval 80 to 99"
    assert share_in_words(Number(50.0)) == "50.00 %" and share_in_words(Number()) == "-"
