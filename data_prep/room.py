"""Room on a disk: how much is free, and refusing what surely does not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from data_prep import DataError

SURELY = 0.8  # of an estimate by a sample: what is less than that is surely too little


def free(place) -> int:
    """Bytes free on the file system on which a file or folder lies, or will lie."""
    place = Path(place).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def taken(paths) -> int:
    """Bytes on the disk of files, of those that are there; blocks that a file leaves out do not count."""
    return sum(path.stat().st_blocks * 512 for path in paths if path.is_file())


def words(count: float) -> str:
    """ "92.1 GB", "310 MB", "4 kB": decimal, as disks are sold."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def check(place, need: float, what: str, remark: Callable[[str], None], there: int = 0) -> None:
    """Says how much room `what` ("the stills") takes, about `need` bytes, of which `there` are written, and how much is
    free. Errors: DataError where that is surely too little."""
    left, left_free = max(0, need - there), free(place)
    if SURELY * left > left_free:
        raise DataError(
            f"{place}: no space left for {what}, which need about {words(left)} of {words(left_free)}; free some, or "
            "name a folder on another disk"
        )
    short = "; it may not fit" if left > left_free else ""
    remark(f"disk: {what} will take about {words(left)} of {words(left_free)} free{short}")
