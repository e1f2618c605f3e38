"""The paper's tables in the report, with what was measured and what was published in one row."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from lrcn.report.sources import Sources
from lrcn.results import compare
from lrcn.results.numbers import Table


def section(sources: Sources) -> list[Any]:
    """The tables of `compare.tables`, each with the groups of its columns in order, [(name, how many)]; what was
    published and not run is among their rows."""
    return [
        {
            "table": table,
            "groups": [(name, len(list(each))) for name, each in groupby(c.group for c in table.columns)],
            "below": _below(table),
        }
        for table in compare.tables(sources.results, sources.ratings)
    ]


def _below(table: Table) -> list[str]:
    """What stands in a cell below the measured number."""
    rows = [row for row in table.rows if row.measured]
    few = any(number.interval for row in rows for number in row.numbers.values())
    beside = any(row.published for row in rows)
    return [
        *["its 95 % interval (Wilson’s) where the test set is small"] * few,
        *["what the paper reports", "the difference, measured less published"] * beside,
    ]
