"""What is on the disk, and not only on its way there. Light, for Caffe's build recipe."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def sync(*paths: Path) -> None:
    """Files that others wrote, and folders, are on the disk before what they replace goes."""
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of a folder, where the disk cannot do that
                raise
        finally:
            os.close(number)


def put(new: Path, place: Path) -> None:
    """Renames a file, or a folder, into its place once all of it is on the disk; then so is its name."""
    within = [path for path in new.rglob("*") if path.is_dir() or path.is_file()] if new.is_dir() else []
    sync(*within, new)
    os.replace(new, place)
    sync(place.parent)
