"""The paper's tables in the report, with what was measured and what was published in one row."""

from __future__ import annotations

from typing import Any

from lrcn.report.sources import Sources
from lrcn.results import compare


def section(sources: Sources) -> list[Any]:
    """The tables, as `compare.tables` has them; what was published and not run is among their rows."""
    return compare.tables(sources.results, sources.ratings)
