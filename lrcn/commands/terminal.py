"""What is printed: names, captions and other people's words reach a terminal as escapes where they would steer it.

It is done at one place, the streams that the program writes to; what is to steer the terminal is written beneath them.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TextIO

from readers import printable


class Escaping(TextIOWrapper):
    """A stream with what `printable` escapes written as escapes, and so what its encoding lacks. What it raises where
    that finds no place names it."""

    def __init__(self, beneath: TextIO):
        super().__init__(
            beneath.buffer, encoding=beneath.encoding, errors="escaped", line_buffering=beneath.line_buffering
        )
        self.beneath = beneath

    def write(self, text: str) -> int:
        with self._named():
            super().write(printable(text))
        return len(text)

    def flush(self) -> None:
        with self._named():
            super().flush()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            name = {"<stdout>": "standard output"}.get(self.beneath.name, self.beneath.name)
            raise OSError(error.errno, error.strerror, name) from None


@contextmanager
def escaping() -> Iterator[None]:
    """Within it standard output and error are `Escaping`. What is left of what was written is written at the end."""
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    streams = {name: Escaping(stream) for name, stream in before.items() if hasattr(stream, "buffer")}
    for name, stream in streams.items():
        before[name].flush()
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, before[name])
            with suppress(OSError):  # `flush` before the end says so
                stream.flush()
            with suppress(OSError):
                stream.detach()


def beneath(stream: TextIO) -> TextIO:
    """The stream for what steers the terminal, as what a bar is drawn with."""
    return getattr(stream, "beneath", stream)


LONGEST, END = 2000, 500  # letters of a line, and of them those that its end, with the mend, has where it is cut


def one_line(text: object) -> str:
    r"""`printable`, and a line feed is `\n`, a tab `\t`; what quotes a file's megabytes is cut in the middle."""
    text = str(text)
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - END]} [... {len(text) - LONGEST:,} letters ...] {text[-END:]}"
    return printable(text).replace("\n", r"\n").replace("\t", r"\t")


def nobody_reads() -> None:
    """Lets what is left of standard output go nowhere, else Python complains as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _as_json_has_it(error: UnicodeError) -> tuple[str, int]:
    r"""é as \u00e9, of what lies beyond U+FFFF two halves: so a JSON document stays one."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    halves = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = (halves[at : at + 2].hex() for at in range(0, len(halves), 2))
    return "".join(rf"\u{unit}" for unit in units), error.end


codecs.register_error("escaped", _as_json_has_it)
