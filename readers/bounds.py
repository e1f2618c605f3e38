"""What may be allocated for what a file claims.

LRCN_MAX_PIXELS  of an image, or a frame of a video; 178,956,970 where it is not set: half a GiB of bytes
LRCN_MAX_GIB     of a file that is read whole, or an array; half of the machine's memory where it is not set
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from readers.text import number

if TYPE_CHECKING:
    from readers import Fault

PIXELS, GIB = 178_956_970, 1 << 30


def check_pixels(width: int, height: int, where: object, error: Fault) -> None:
    """`error`, one line, for an image that is larger than is allowed."""
    most = setting("LRCN_MAX_PIXELS", PIXELS, error)
    if width * height > most:
        raise error(
            f"{where}: says that it is {width} x {height} pixels, more than {most:,}; if it is, set "
            f"LRCN_MAX_PIXELS={width * height}"
        )


def check_bytes(count: int, where: object, error: Fault) -> None:
    """`error`, one line, for what would take more memory than is allowed."""
    most = setting("LRCN_MAX_GIB", 0, error) * GIB or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if count > most:
        raise error(
            f"{where}: would take {count / GIB:,.1f} GiB of memory, more than {most / GIB:,.1f}; if that is right, set "
            f"LRCN_MAX_GIB={-(-count // GIB)}"
        )


def setting(name: str, default: int, error: Fault) -> int:
    """A whole number, 1 or more, of the environment. `error`, one line, for what is none."""
    text = os.environ.get(name, "")
    value = number(text)
    if text and not value:
        raise error(f"{name}={text}: no whole number of 1 or more; mend it, or leave it unset")
    return value or default
