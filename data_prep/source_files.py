"""CSV files of captions that people have, read whole or refused in one line that says where they are wrong."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from io import StringIO

from data_prep import DataError
from readers.text import number, read_lines, twice

SEPARATORS = ",\t;|"
VALUES = {"split": "split (train, val or test)"}  # a column with what is to be in it


def is_json(text: str) -> bool:
    """Whether a text begins as a JSON list or object, and no CSV does."""
    return text.lstrip()[:1] in ("[", "{")


def lines(path) -> list[tuple[int, str]]:
    """Number and text of each line that is not blank; a return within a line is a blank of its text. Errors:
    DataError."""
    numbered = enumerate(read_lines(path, DataError), 1)
    return [(at, line.replace("\r", " ")) for at, line in numbered if line.strip()]


Id = int | str  # of an image, as files have it


def image_key(value: Id) -> int | str | None:
    """An image's id: digits as a number, whether they came as a number or as text, other texts as they are but for how
    their accents are composed; None for an empty text."""
    if isinstance(value, int):
        return value
    known = number(value.strip())
    return unicodedata.normalize("NFC", value) or None if known is None else known


class Table:
    """A CSV file, by its text: `columns`, those that line 1 names, and rows as {column: value}. Between columns stand
    commas, tabs, semicolons or bars: what makes line 1 name all of `needed`.

    Errors: DataError; iterating, for a row that does not fit line 1, and for a quote that does not end.
    """

    def __init__(self, text: str, path, needed: Sequence[str]):
        self.path, self.text, self.needed = path, text, needed
        line_1 = f"line 1 must name {', '.join(VALUES.get(name, name) for name in needed)}"
        if not text.strip():
            raise DataError(f"{path}: an empty file; its {line_1}")
        headers = {separator: self._header(separator) for separator in SEPARATORS}
        self.separator = max(headers, key=lambda each: (set(needed) <= set(headers[each]), len(headers[each])))
        self.columns = headers[self.separator]
        if lacking := [name for name in needed if name not in self.columns]:
            raise DataError(f"{path}: has no column {lacking[0]}; {line_1}")
        if name := twice(filter(None, self.columns)):
            raise DataError(f"{path}:1: two columns {name!r}; give each column a name of its own")

    def _reader(self, separator: str):
        lines = StringIO(self.text, newline="\n")
        return csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=separator != "\t")

    def _header(self, separator: str) -> list[str]:
        try:
            names = [name.strip() for name in next(self._reader(separator), [])]
        except csv.Error:
            return []
        return [name.lower() if name.lower() in self.needed else name for name in names]

    def __iter__(self) -> Iterator[tuple[str, dict[str, str]]]:
        """(where, row) of each row that is not blank; where: the file, and the line in which the row begins."""
        reader = self._reader(self.separator)
        next(reader)
        while True:
            first = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataError(f"{self.path}:{first}: {_fault(error)}") from None
            if cells is None:
                return
            if any(map(str.strip, cells)):
                self._check(cells, first)
                yield f"{self.path}:{first}", dict(zip(self.columns, cells))

    def _check(self, cells: list[str], first: int) -> None:
        where, due = f"{self.path}:{first}", len(self.columns)
        if len(cells) > due:
            raise DataError(
                f"{where}: more fields than columns ({len(cells)}, not {due}); put texts with {self._mark} in quotes"
            )
        if len(cells) < due:
            raise DataError(
                f"{where}: {len(cells)} fields for {due} columns; give each row a {self.columns[len(cells)]}"
            )
        later = (line for cell in cells for line in cell.split("\n")[1:])
        if any(line.count(self.separator) >= max(due - 1, 1) for line in later):
            raise DataError(
                f"{where}: a quote that ends in a later row, which were text; mend it, or take line ends out of texts"
            )

    @property
    def _mark(self) -> str:
        return {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}[self.separator]


def _fault(error: csv.Error) -> str:
    """What csv says of a row, for people."""
    said = str(error)
    if "field larger" in said:
        return f"a quote that does not end, or a text of more than {csv.field_size_limit()} letters; mend it"
    if "end of data" in said:
        return "a quote that does not end; end it, or double a quote that is part of a text"
    if "expected after" in said:
        return "text behind a quote that ends; double a quote that is part of a text"
    return f"cannot be read as CSV ({said})"
