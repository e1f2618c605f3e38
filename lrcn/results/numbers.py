"""The tables behind every format: what was measured and what is published, in one row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

SMALL = 1.0  # points: a test set is small where the 95 % interval of its shares is wider than that


@dataclass(frozen=True)
class Number:
    """A cell. interval: of the measured share (Wilson, 95 %), where its test set is small; spread: standard deviation
    (n - 1) over splits or seeds, where it is their mean. All in the unit of the column."""

    measured: float | None = None
    published: float | None = None
    interval: tuple[float, float] | None = None
    spread: float | None = None

    @property
    def difference(self) -> float | None:
        """Measured less published."""
        if self.measured is None or self.published is None:
            return None
        return round(self.measured - self.published, 2)


@dataclass(frozen=True)
class Column:
    """group: what stands above several columns."""

    name: str
    label: str
    unit: str
    group: str = ""


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


def share(percent: float | None, of: int | None) -> Number:
    """A measured percentage of `of` test items, with its interval where these are few."""
    if percent is None or not of:
        return Number(percent)
    low, high = wilson(round(percent / 100 * of) / of, of)  # the share that was rounded to `percent`
    interval = (round(100 * low, 2), round(100 * high, 2))
    return Number(percent, interval=interval if interval[1] - interval[0] > SMALL else None)


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
