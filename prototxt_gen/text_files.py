"""Text files that people have: UTF-8, with or without a byte order mark, whatever their line ends."""

import codecs
import os
from pathlib import Path

from prototxt_gen.errors import SpecError

UTF_16_AND_32 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)  # UTF-32's other one begins as UTF-16's


def read_text(
    path: str | os.PathLike[str], error: type[ValueError] = SpecError, mend: str = "name a text file in UTF-8"
) -> str:
    """The text of a file, without its byte order mark; every line ends in `\\n`, as `Path.read_text` has it.

    Raises `error`, one line: the file is not there, a folder or no text (each with `mend`), a pointer of Git LFS,
    UTF-16, or not UTF-8.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise error(f"{path}: no such file; {mend}") from None
    except IsADirectoryError:
        raise error(f"{path}: a folder, not a file; {mend}") from None
    except OSError as reason:
        raise error(f"{path}: cannot be read ({reason.strerror}); {mend}") from None
    return decoded(content, path, error, mend)


def decoded(
    content: bytes,
    path: str | os.PathLike[str],
    error: type[ValueError] = SpecError,
    mend: str = "name a text file in UTF-8",
) -> str:
    """What `read_text` makes of a file's bytes; `path` is named where they are no text in UTF-8."""
    if content.startswith(UTF_16_AND_32) or _without_mark_utf_16(content):
        raise error(f"{path}: saved as UTF-16, not UTF-8; save it as UTF-8")
    if b"\0" in content:
        raise error(f"{path}: not a text file (byte {content.index(0)} is NUL); {mend}")
    if content.startswith(b"version https://git-lfs"):
        raise error(f"{path}: a pointer of Git LFS, not the file itself; `git lfs pull` fetches it")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as reason:
        line = content.count(b"\n", 0, reason.start) + 1
        byte = content[reason.start]
        raise error(f"{path}:{line}: not UTF-8 (byte 0x{byte:02x} at {reason.start}); save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(
    path: str | os.PathLike[str], error: type[ValueError] = SpecError, mend: str = "name a text file in UTF-8"
) -> list[str]:
    """The lines of a file, without their ends. Nothing but `\\n`, `\\r\\n` and `\\r` ends a line: U+2028, a form feed
    and their like, at which `str.splitlines` breaks, may stand in a name. Raises as `read_text`.
    """
    lines = read_text(path, error, mend).split("\n")
    return lines if lines[-1] else lines[:-1]


def _without_mark_utf_16(content: bytes) -> bool:
    """Whether every other byte of the beginning is NUL and the others are not, as Latin letters in UTF-16 are."""
    begin = content[:64]
    halves = begin[::2], begin[1::2]
    return len(begin) > 3 and any(not any(one) and all(other) for one, other in (halves, halves[::-1]))
