"""Room on a disk: how much is free, and refusing what surely does not fit."""

from __future__ import annotations

import shutil
from pathlib import Path

from data_prep import DataError
from data_prep.workers import Progress, no_progress

SURELY = 0.8  # of an estimate: what is less than that is surely too little
WORTH = 100e6  # bytes: less is not spoken of
LOOK = 8  # pieces that an estimate begins with


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
    """ "92.1 GB", "310 MB", "12.6 MB", "4 kB": decimal, as disks are sold."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.{int(count < 1e8)}f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def check(place, need: float, what: str, progress: Progress, there: int = 0, mend: str = "") -> None:
    """Says how much room `what` ("the stills") takes, about `need` bytes, of which `there` are written, and how much is
    free. mend: what else than another disk makes it less. Errors: DataError where that is surely too little."""
    left, left_free = max(0.0, need - there), free(place)
    if left * SURELY > left_free:
        raise DataError(
            f"{place}: no space left for {what}, which need about {words(left)}, and {words(left_free)} are free; free"
            f" some{mend or ', or name a folder on another disk'}"
        )
    if left >= WORTH or left > left_free:
        short = ", which may be too little" if left > left_free else ""
        progress(f"disk: {what} take about {words(left)} more, of {words(left_free)} free{short}", 0, 0)


class Growing:
    """An estimate by the first pieces that are written, of `count` pieces, looked at again each time that there are
    twice as many.

    total: the pieces' weights together, to which their sizes are taken to be in proportion; times: what is made of them
    later beside them, 2 for as much again.
    """

    def __init__(self, place, what: str, count: int, total: float, times: float, progress: Progress):
        self.place, self.what, self.total, self.times, self.progress = place, what, total, times, progress
        self.next, self.pieces, self.weight, self.size = max(1, min(LOOK, count // 10)), 0, 0.0, 0

    def add(self, weight: float, size: int) -> None:
        """A piece of so many bytes was made. Errors: DataError as `check`."""
        self.pieces, self.weight, self.size = self.pieces + 1, self.weight + weight, self.size + size
        if self.pieces >= self.next and self.weight:
            whole = self.size / self.weight * self.total * self.times
            check(self.place, whole, self.what, self.progress, self.size)
            self.next, self.progress = 2 * self.pieces, no_progress  # it is said once
