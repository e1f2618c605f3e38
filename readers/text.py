r"""Text files that people have: UTF-8, with or without a byte order mark, whose lines end in `\n` or `\r\n`."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from readers import Fault, Place

UTF_16_AND_32 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)  # UTF-32's other one begins as UTF-16's
MEND = "name a text file in UTF-8"


def read_text(path: Place, error: Fault, mend: str = MEND) -> str:
    r"""The text of a file, without its byte order mark; `\r\n` is `\n`.

    Raises `error`, one line: as `read_bytes`, and for a pointer of Git LFS, UTF-16, or what is not UTF-8.
    """
    return decoded(read_bytes(path, error, mend), path, error, mend)


def read_bytes(path: Place, error: Fault, mend: str) -> bytes:
    """The content of a file, or of a pipe that somebody writes to.

    Raises `error`, one line: it is not there, a folder, a device or what else ends nowhere, not to be read, or larger
    than `readers.bounds` allow.
    """
    from readers.bounds import check_bytes

    try:
        with open(path, "rb", opener=_at_once) as file:
            size = os.fstat(file.fileno()).st_size
            check_bytes(size, path, error)
            return file.read() if size else _of_pipe(file, path, error)
    except FileNotFoundError:
        raise error(f"{path}: no such file; {mend}") from None
    except IsADirectoryError:
        raise error(f"{path}: a folder, not a file; {mend}") from None
    except OSError as reason:
        raise error(f"{path}: cannot be read ({reason.strerror}); {mend}") from None
    except ValueError as reason:
        if isinstance(reason, error):
            raise
        raise error(f"{printable(str(path))}: no file can have this name; {mend}") from None  # NUL in it
    except MemoryError:
        raise error(f"{path}: asks for more memory than there is; {mend}") from None


def _of_pipe(file: IO[bytes], path: Place, error: Fault) -> bytes:
    """What is written to a pipe, or stands in a file that does not say its size, unless it is too much."""
    from readers.bounds import check_bytes

    content = bytearray()
    while part := file.read(1 << 20):
        content += part
        check_bytes(len(content), path, error)
    return bytes(content)


def _at_once(path: str, flags: int) -> int:
    """Opens a file without waiting: a pipe that nobody writes to is empty. OSError for what may never end."""
    number = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(number).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISDIR(mode)):
        os.close(number)
        raise OSError(errno.EINVAL, "no file but a device")
    os.set_blocking(number, True)
    return number


def decoded(content: bytes, path: Place, error: Fault, mend: str = MEND) -> str:
    """What `read_text` makes of a file's bytes; `path` is named where they are no text in UTF-8."""
    if content.startswith(UTF_16_AND_32) or _without_mark_utf_16(content):
        raise error(f"{path}: saved as UTF-16, not UTF-8; save it as UTF-8")
    if b"\0" in content:
        raise error(f"{path}: not a text file (byte {content.index(0)} is NUL); {mend}")
    if content.startswith(b"version https://git-lfs"):
        raise error(f"{path}: a pointer of Git LFS, not the file itself; `git lfs pull` fetches it")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as reason:
        line = content.count(b"\n", 0, reason.start) + 1
        byte = content[reason.start]
        raise error(f"{path}:{line}: not UTF-8 (byte 0x{byte:02x} at {reason.start}); save it as UTF-8") from None


def read_lines(path: Place, error: Fault, mend: str = MEND) -> list[str]:
    r"""The lines of a file, without their ends. Nothing but `\n` and `\r\n` ends a line: U+2028, a form feed and
    their like, at which `str.splitlines` breaks, may stand in a name. Raises as `read_text`, and for a file whose lines
    end in `\r` alone.
    """
    text = read_text(path, error, mend)
    if "\r" in text and "\n" not in text:
        raise error(f"{path}: its lines end in carriage returns alone; save it with line feeds")
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def twice(names: Iterable[str]) -> str | None:
    """The first of names that comes a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def number(text: str) -> int | None:
    """A whole number of 1 to 18 digits of ASCII; None for what is none: `str.isdigit` holds superscripts for digits, of
    which `int` knows nothing, and `int` refuses more than 4,300."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def printable(text: str) -> str:
    r"""A text with its control characters, those that turn the direction of writing, and halves of surrogate pairs
    written as escapes, so that a terminal does not obey them. Line feeds and tabs stay. The escapes are JSON's, \u001b,
    so that a JSON document stays one, and the same."""
    return _UNPRINTABLE.sub(lambda match: rf"\u{ord(match[0]):04x}", text)


_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _without_mark_utf_16(content: bytes) -> bool:
    """Whether every other byte of the beginning is NUL and the others are not, as Latin letters in UTF-16 are."""
    begin = content[:64]
    halves = begin[::2], begin[1::2]
    return len(begin) > 3 and any(not any(one) and all(other) for one, other in (halves, halves[::-1]))
