"""Paths, where they enter: as arguments, and as names of what lies in a folder."""

from __future__ import annotations

import os

from readers import Fault, Place
from readers.text import printable


def checked(path: Place, error: Fault, what: str = "") -> str:
    """The path's text. Raises `error` for one that is not UTF-8: OpenCV's video functions end the process that gives
    them one, and no list of ours could name it. what: begins the line, as "TMPDIR "."""
    text = os.fspath(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise error(f"{what}{printable(text)}: a name that is not UTF-8; rename it, or name another") from None
    return text
