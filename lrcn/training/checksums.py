"""Checksums of ours beside large files, as `sha256sum` writes them, and `sha256sum -c` checks them too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from data_prep.synced import sync
from data_prep.whole_files import write_text
from lrcn.trained_net import digest

_LINE = re.compile(r"([0-9a-f]{64})  ([^/\n\0]+)")


def write(sums: Path, files: Sequence[Path]) -> None:
    """Notes in `sums` what files in its folder hold, once they are on the disk. Errors: DataError."""
    sync(*files, sums.parent)
    write_text(sums, "".join(f"{digest(path)}  {path.name}\n" for path in files))


def differs(sums: Path, path: Path) -> bool:
    """Whether a file holds something else than was noted; not where nothing was that can be read."""
    due = _read(sums).get(path.name)
    return due is not None and digest(path) != due


def _read(sums: Path) -> dict[str, str]:
    """{name: digest}; none of what is no such file."""
    try:
        lines = sums.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError):
        return {}
    return {match[2]: match[1] for match in map(_LINE.fullmatch, lines) if match}
