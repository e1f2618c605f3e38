"""The nets of the runs, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrcn.training.run import Run


def section(runs: Sequence[Run]) -> list[dict[str, Any]]:
    return []
