"""JSON and CSV files of captions that people have, read whole or refused in one line that says where they are wrong."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from io import StringIO

from data_prep import DataError
from readers.text import read_lines, read_text

SEPARATORS = ",\t;|"
VALUES = {"split": "split (train, val or test)"}  # a column with what is to be in it
MEND = "name the JSON file, or fetch it again"


def read_source(path) -> object:
    """A JSON file's content. Errors: DataError."""
    return parse_json(read_text(path, DataError, MEND), path)


def is_json(text: str) -> bool:
    """Whether a text begins as a JSON list or object, and no CSV does."""
    return text.lstrip()[:1] in ("[", "{")


def parse_json(text: str, path) -> object:
    """The content of a JSON file with this text. Errors: DataError, which tells a file that is cut off, and an object
    with two values of one name."""
    try:
        return json.loads(text, object_pairs_hook=unambiguous)
    except TwoValues as error:
        raise DataError(f"{path}: {error}; give each value a name of its own") from None
    except RecursionError:
        raise DataError(f"{path}: cannot be read as JSON (too many brackets within brackets); {MEND}") from None
    except ValueError as error:
        cut = isinstance(error, json.JSONDecodeError) and (
            error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        )
        if not text.strip():
            raise DataError(f"{path}: an empty file; {MEND}") from None
        if cut:
            line = text.rstrip().count("\n") + 1
            raise DataError(
                f"{path}: cannot be read as JSON (cut off in the middle, at line {line}); fetch or save it again"
            ) from None
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data" and is_json(text):
            raise DataError(
                f"{path}: cannot be read as JSON (a second value begins in line {error.lineno}); give one list of all"
            ) from None
        raise DataError(f"{path}: cannot be read as JSON ({error}); {MEND}") from None


class TwoValues(Exception):
    """What is there twice; part of a line for the user."""


def unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object of its names and values. Raises TwoValues where Python would drop the first of two values."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TwoValues(
            f"an object has two values of {short(twice)}, {' and '.join(short(v) for n, v in pairs if n == twice)}"
        )
    return content


def lines(path) -> list[tuple[int, str]]:
    """Number and text of each line that is not blank; a return within a line is a blank of its text. Errors:
    DataError."""
    numbered = enumerate(read_lines(path, DataError), 1)
    return [(number, line.replace("\r", " ")) for number, line in numbered if line.strip()]


def short(value) -> str:
    """A value as JSON has it, not too long for a line."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def image_key(value):
    """An image's id: digits as a number, whether they came as a number or as text, other texts as they are but for how
    their accents are composed; None for what is no id."""
    if isinstance(value, str):
        digits = re.fullmatch(r"\s*([0-9]{1,18})\s*", value)
        return int(digits[1]) if digits else unicodedata.normalize("NFC", value) or None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


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
        named = [name for name in self.columns if name]
        if twice := next((name for name in named if named.count(name) > 1), None):
            raise DataError(f"{path}:1: two columns {twice!r}; give each column a name of its own")

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
