"""Tables as text: cells in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat, zip_longest

Row = Sequence[str] | str


def aligned(rows: Iterable[Row], left: int = 1, least: Sequence[int] = (), indent: str = "") -> list[str]:
    """A line a row. Columns are as wide as their widest cell, and at least `least` letters, two blanks apart; the first
    `left` of them begin together, the others end together. A row that is a text is a line of its own."""
    table = list(rows)
    columns = zip_longest(*(row for row in table if not isinstance(row, str)), fillvalue="")
    widths = [max(fewest, *map(len, column)) for column, fewest in zip(columns, chain(least, repeat(0)))]

    def line(row: Sequence[str]) -> str:
        begin = [cell.ljust(width) for cell, width in zip(row[:left], widths)]
        end = [cell.rjust(width) for cell, width in zip(row[left:], widths[left:])]
        return (indent + "  ".join(begin + end)).rstrip()

    return [row if isinstance(row, str) else line(row) for row in table]


def decimals(values: Iterable[float | None]) -> list[str]:
    """Cells of numbers: two decimals, "-" for None."""
    return ["-" if value is None else f"{value:.2f}" for value in values]
