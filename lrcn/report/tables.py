"""The paper's tables in the report, with what was measured and what was published in one row."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from lrcn.report.sources import Sources
from lrcn.results import compare


def section(sources: Sources) -> list[Any]:
    """The tables of `compare.tables`, each with the groups of its columns in order, [(name, how many)]; what was
    published and not run is among their rows."""
    return [
        {"table": table, "groups": [(name, len(list(each))) for name, each in groupby(c.group for c in table.columns)]}
        for table in compare.tables(sources.results, sources.ratings)
    ]
