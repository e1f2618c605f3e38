"""Tables as text: cells in columns."""

from __future__ import annotations

import math
import re
import textwrap
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


def table_or_records(titles: Row, rows: Sequence[Row], width: int | None, right: Sequence[int] = ()) -> list[str]:
    """A table with the last column folded to `width` letters; where that leaves it too few, a row is a name and lines
    of "title  cell" below it. Columns of the numbers `right` end together. width None: nothing is folded."""
    widths = [max(map(len, column)) for column in zip(*[titles, *rows])][:-1]
    before = sum(widths) + 2 * len(widths)
    if width is not None and width - before < _FEWEST:
        below = [(row[0], [*zip(titles[1:], row[1:])]) for row in rows]
        size = max(map(len, titles))
        return [line for name, cells in below for line in (name, *described(cells, width, "  ", size))]

    def cells(row: Row) -> str:
        return "  ".join(
            cell.rjust(size) if number in right else cell.ljust(size)
            for number, (cell, size) in enumerate(zip(row, widths))
        )

    return [line for row in [titles, *rows] for line in folded(f"{cells(row)}  ", row[-1], width, before)]


def described(rows: Sequence[tuple[str, str]], width: int | None, indent: str = "", size: int = 35) -> list[str]:
    """Names in a column of `size` letters, and what is said of each beside it, folded to `width` letters; below it
    where the name is longer, or where the text would have too few."""
    column = len(indent) + size + 2
    lines = []
    for name, text in rows:
        longest = max(map(len, text.split()), default=0)
        fits = width is None or width - column >= max(_FEWEST, longest)
        at = column if fits else len(indent) + 4
        if fits and len(name) <= size:
            lines += folded(f"{indent}{name.ljust(size)}  ", text, width, at)
        else:
            lines += [*folded(indent, name, width, len(indent) + 4), *folded(" " * at, text, width, at)]
    return lines


_FEWEST = 24  # letters of a line, below which text is not folded beside something


def folded(before: str, text: str, width: int | None, indent: int) -> list[str]:
    """`text` behind `before`, in lines of at most `width` letters where its words allow, later ones `indent`ed."""
    if width is None:
        return [(before + text).rstrip()]
    lines = textwrap.wrap(
        text,
        width=max(width, indent + 8),
        initial_indent=before,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines or [before.rstrip()]


def is_share(name: str) -> bool:
    """Whether a net's output of this name is a share of right answers, to be shown in percent, as Caffe's Accuracy
    layers give it: "accuracy", or in nets of others "loss3/top-5", "acc@1"."""
    words = name.lower()
    return "err" not in words and re.search(r"accuracy|(?<![a-z])(acc|top-?\d+)(?![a-z])", words) is not None


def value_in_words(name: str, value: float) -> str:
    """A net's output: "0.873"; of a share "63 %": a log does not say of how many cases, and a test in training is of
    some hundred."""
    return f"{100 * value:.0f} %" if is_share(name) and math.isfinite(value) else f"{value:.3g}"


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.4 h", "2.5 days"."""
    for unit, length, until in ("s", 1, 90), ("min", 60, 90), ("h", 3600, 48):
        if seconds < until * length:
            return f"{seconds / length:.{0 if unit != 'h' else 1}f} {unit}"
    return f"{seconds / 86400:.1f} days"
