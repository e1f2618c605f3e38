"""The tables behind every format: what was measured and what is published, in one row; and how many digits of a number
are shown.

A mean of n cases, each of which may count from 0 to 100 as those of a percentage do, moves by up to 100 / n with one of
them. It is shown to the decimal of that step, and to two at most, as the paper's numbers are: of 10 cases none, of 200
one, of 3,783 two. Files of numbers (JSON, CSV, TSV) hold all digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

SMALL = 1.0  # points: a test set is small where the 95 % interval of its shares is wider than that
MOST_DECIMALS = 2
DIGITS = 6  # decimals that files of numbers hold


def decimals(cases: int | None, span: float = 100) -> int:
    """Decimals to show of a mean of so many cases, each a number from 0 to `span`; the most where they are not
    known."""
    return MOST_DECIMALS if not cases else min(max(math.ceil(math.log10(cases / span)), 0), MOST_DECIMALS)


def percent(value: float, cases: int | None) -> str:
    """A percentage of so many cases, to be shown: "94 %" of 25, "93.6 %" of 251."""
    return f"{value:.{decimals(cases)}f} %"


def written(value: float | None, places: int) -> str:
    """A cell: so many decimals, "-" for None."""
    return "-" if value is None else f"{value:.{places}f}"


@dataclass(frozen=True)
class Number:
    """A cell. interval: of the measured share (Wilson, 95 %), where its test set is small; spread: standard deviation
    (n - 1) over splits or seeds, where it is their mean. All in the unit of the column. cases: how many were tested, by
    each of the files of a mean; None where that is not known."""

    measured: float | None = None
    published: float | None = None
    interval: tuple[float, float] | None = None
    spread: float | None = None
    cases: int | None = None

    @property
    def difference(self) -> float | None:
        """Measured less published."""
        if self.measured is None or self.published is None:
            return None
        return round(self.measured - self.published, DIGITS)


@dataclass(frozen=True)
class Cells:
    """A number as it is shown: a text for each of its parts, "-" for one that there is not."""

    measured: str
    interval: str
    spread: str
    published: str
    difference: str


@dataclass(frozen=True)
class Column:
    """group: what stands above several columns. span: from the least to the most that a case may count, None where
    that has no bound. published_decimals: as the paper shows them."""

    name: str
    label: str
    unit: str
    group: str = ""
    span: float | None = 100
    published_decimals: int = 2

    def cells(self, number: Number) -> Cells:
        """A number of this column, of each part as many digits as have a meaning."""
        places = self._places(number)
        less_sure = min(places, self.published_decimals)
        interval, difference = number.interval, number.difference
        return Cells(
            written(number.measured, places),
            "-" if interval is None else "-".join(written(end, min(places, 1)) for end in interval),
            written(number.spread, places),
            written(number.published, self.published_decimals),
            "-" if difference is None else f"{round(difference, less_sure) + 0.0:+.{less_sure}f}",
        )

    def _places(self, number: Number) -> int:
        if self.unit == "rank":  # of which there are halves, and their means
            return int(any(value % 1 for value in (number.measured, number.spread) if value is not None))
        if self.unit == "a word" and number.measured:  # perplexity: three digits
            return min(max(2 - math.floor(math.log10(number.measured)), 0), MOST_DECIMALS)
        return MOST_DECIMALS if self.span is None else decimals(number.cases, self.span)


PERCENT = Column("percent", "percent", "percent")


@dataclass(frozen=True)
class Row:
    """A model on a data set. Rows that were published and not measured have no measured number.

    on: which data, how much, seed and engine, in words. detail: the level of detail of the sentences, "" for all of
    them. mean_over: "splits" or "seeds", where it is a mean, of these `splits` and `seeds`. test_items: how many
    `items` ("videos", "images") were tested. published_on: what the published numbers are of, None where the paper has
    none; same_data: whether that is what was measured on.
    """

    model: str
    task: str
    on: str
    numbers: Mapping[str, Number]
    data: str = ""
    detail: str = ""
    seeds: tuple[int, ...] = ()
    splits: tuple[int, ...] = ()
    mean_over: str = ""
    engine: str | None = None
    test_items: int | None = None
    items: str = ""
    published_on: str | None = None
    same_data: bool = True

    @property
    def measured(self) -> bool:
        """Whether it is of a file of results, and not the paper's alone."""
        return bool(self.on)

    @property
    def published(self) -> bool:
        return any(number.published is not None for number in self.numbers.values())


@dataclass(frozen=True)
class Table:
    """number: in the paper, "" for what it has not; name: "table1", "truth3", "perplexity", ..., of its own; notes:
    lines that stand below it."""

    number: str
    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        return any(row.measured for row in self.rows)


def share(measured: float | None, cases: int | None) -> Number:
    """A measured percentage of so many cases, with its interval where these are few; it may be rounded to two decimals,
    as results.json has it."""
    if measured is None or not cases:
        return Number(measured)
    hits = round(measured / 100 * cases)
    low, high = wilson(hits / cases, cases)
    interval = (round(100 * low, 2), round(100 * high, 2))
    exact = round(100 * hits / cases, DIGITS)
    return Number(
        exact if abs(exact - measured) < 0.0051 else measured,
        interval=interval if interval[1] - interval[0] > SMALL else None,
        cases=cases,
    )


def share_in_words(number: Number) -> str:
    """ "96 %, 24 of 25, 95 % interval 80 to 99": of a share; "-" for one that there is not."""
    if number.measured is None:
        return "-"
    words = percent(number.measured, number.cases)
    if number.cases:
        words += f", {round(number.measured / 100 * number.cases)} of {number.cases}"
    if number.interval:
        words += f", 95 % interval {PERCENT.cells(number).interval.replace('-', ' to ')}"
    return words


def wilson(portion: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a portion of `count` independent trials (Wilson 1927), without correction for continuity.
    ValueError where there is none."""
    if not 0 <= portion <= 1 or count < 1:
        raise ValueError(f"no portion of {count} trials: {portion}")
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    middle = portion + z2 / (2 * count)
    half = math.sqrt(z2 * (portion * (1 - portion) + z2 / (4 * count)) / count)
    low, high = ((middle + side * half) / (1 + z2 / count) for side in (-1, 1))
    return max(low, 0.0), min(high, 1.0)
