"""Tables of numbers as text, Markdown, LaTeX, CSV and JSON: the same rows in each.

What was measured stands in the paper's shape, a line a model and a column a quantity; below it, where there are any,
its 95 % interval, its spread, the published number and the difference. Names come from others' files: no letter of
theirs has a meaning in any of the formats.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lrcn.results.compare import Results, tables
from lrcn.results.numbers import SMALL, Number, Row, Table
from lrcn.results.tables import Row as Line
from lrcn.results.tables import aligned, folded

LINE = 110  # letters of a line of text
CSV_COLUMNS = (
    *("table", "title", "model", "detail", "task", "data", "on", "seeds", "splits", "mean_over", "engine"),
    *("test_items", "items", "column", "unit", "measured", "interval_low", "interval_high", "spread", "published"),
    *("difference", "published_on", "published_of_same_data"),
)


def text(shown: Sequence[Table]) -> str:
    """For a terminal."""
    return "\n\n\n".join(_text(table) for table in shown)


def measured_text(results: Results) -> str:
    """What one file says, without the published rows."""
    return "\n\n".join(_text(table, published=False) for table in tables([results]) if table.measured)


def markdown(shown: Sequence[Table]) -> str:
    """As GitHub reads it."""
    return "\n\n".join(_markdown(table) for table in shown)


def latex(shown: Sequence[Table]) -> str:
    r"""A fragment for a document that has \usepackage{booktabs}; any of the usual engines compiles it."""
    return "\n\n".join(["% needs \\usepackage{booktabs}", *map(_latex, shown)])


def comma_separated(shown: Sequence[Table]) -> str:
    """A line a number, under CSV_COLUMNS; a name that a spreadsheet would compute has an apostrophe before it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in shown:
        for row in table.rows:
            for column in table.columns:
                if (number := row.numbers.get(column.name)) is not None:
                    writer.writerow(_no_formula(value) for value in _fields(table, row, column, number))
    return file.getvalue().rstrip("\n")


def document(shown: Sequence[Table]) -> dict[str, Any]:
    """What JSON holds: {"tables": [...]}, every number under its name."""
    return {"tables": [_document(table) for table in shown]}


def json_text(shown: Sequence[Table]) -> str:
    return json.dumps(document(shown), indent=1)


FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "text": text,
    "markdown": markdown,
    "latex": latex,
    "csv": comma_separated,
    "json": json_text,
}

# ---- what stands where, in text, Markdown and LaTeX --------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    """Rows under the same headings. lines: ("" or the model's name, what the cells are, cells)."""

    headings: list[str]
    lines: list[tuple[str, str, list[str]]]


def _blocks(table: Table, published: bool = True) -> Iterator[_Block]:
    """published: with what is."""
    rows = [row for row in table.rows if row.measured or published]
    for _, group in groupby(rows, key=lambda row: (row.measured, row.on, "" if row.measured else row.published_on)):
        block = list(group)
        yield _Block(_headings(block, published), list(_lines(table, block, published)))


def _headings(block: Sequence[Row], published: bool) -> list[str]:
    """Which data the rows are of, measured and published."""
    beside = {row.published_on: row.same_data for row in block if row.published_on and published}
    if not block[0].measured:
        return [f"published on {on}, not measured here" for on in beside]
    return [f"measured on {block[0].on}"] + [
        f"published on {on}" + ("" if same else ": another data set (*)") for on, same in beside.items()
    ]


def _lines(table: Table, block: Sequence[Row], published: bool) -> Iterator[tuple[str, str, list[str]]]:
    detail = ""
    for row in block:
        if row.detail != detail:
            detail = row.detail
            yield detail, "", []
        numbers = [row.numbers.get(column.name, Number()) for column in table.columns]
        cells = [column.cells(number) for column, number in zip(table.columns, numbers)]
        if not row.measured:
            yield row.model, "", [cell.published for cell in cells]
            continue
        yield row.model, "", [cell.measured for cell in cells]
        if any(number.interval for number in numbers):
            yield "", "95 % interval", [cell.interval for cell in cells]
        if any(number.spread is not None for number in numbers):
            yield "", f"+- over the {row.mean_over}", [cell.spread for cell in cells]
        if published and row.published:
            mark = "" if row.same_data else " *"
            yield "", f"published{mark}", [cell.published for cell in cells]
            yield "", f"difference{mark}", [cell.difference for cell in cells]


def _notes(table: Table) -> list[str]:
    few = any(number.interval for row in table.rows for number in row.numbers.values())
    why = f"95 % intervals are Wilson's; one that is no wider than {SMALL:g} point is left out"
    return [*table.notes, *([why] if few else [])]


def plain(words: str) -> str:
    r"""The words without letters that steer a terminal or the order of what is written: "\x1b" in place of ESC."""
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in _STEERING else letter
        for letter in words
    )


_STEERING = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


# ---- text --------------------------------------------------------------------------------------------------


def _text(table: Table, published: bool = True) -> str:
    blocks = list(_blocks(table, published))
    names = [plain(model) if cells else f"  {plain(model)}" for block in blocks for model, _, cells in block.lines]
    cells = [cell for block in blocks for _, _, line in block.lines for cell in line]
    widths = [max([20, *map(len, names)]), *[max([7, *map(len, cells)])] * len(table.columns)]
    labels = [plain(column.label) for column in table.columns]
    widths[1:] = [max(width, len(label)) for width, label in zip(widths[1:], labels)]
    lines = [plain(table.title), ""]
    if any(column.group for column in table.columns):
        lines.append(_groups_above(table, widths))
    lines += aligned([["", *labels]], least=widths, indent="  ")
    for block in blocks:
        rows: list[Line] = [
            [plain(model) if model else f"  {what}", *numbers] if numbers else f"  {plain(model)}:"
            for model, what, numbers in block.lines
        ]
        headings = [line for heading in block.headings for line in folded("", plain(heading), LINE, 4)]
        lines += ["", *headings, *aligned(rows, least=widths, indent="  ")]
    return "\n".join([*lines, *(["", *map(plain, notes)] if (notes := _notes(table)) else [])])


def _groups_above(table: Table, widths: Sequence[int]) -> str:
    line = " " * (widths[0] + 2)
    for group, columns in groupby(zip(table.columns, widths[1:]), key=lambda pair: pair[0].group):
        line += group.rjust(sum(width + 2 for _, width in columns))
    return line


# ---- Markdown and LaTeX ------------------------------------------------------------------------------------


def _labels(table: Table) -> list[str]:
    return [f"{column.group} {column.label}".strip() for column in table.columns]


def _markdown(table: Table) -> str:
    head = ["| " + " | ".join(["", *map(_for_markdown, _labels(table))]) + " |"]
    head.append("|" + "|".join([":--", *["--:"] * len(table.columns)]) + "|")
    parts = [f"### {_for_markdown(table.title)}"]
    for block in _blocks(table):
        rows = []
        for model, what, cells in block.lines:
            name = f"**{_for_markdown(model)}**" if model else _for_markdown(what)
            rows.append("| " + " | ".join([name, *(cells or [""] * len(table.columns))]) + " |")
        parts += ["  \n".join(map(_for_markdown, block.headings)), "\n".join([*head, *rows])]
    return "\n\n".join([*parts, *map(_for_markdown, _notes(table))])


def _for_markdown(words: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|~$#!&^@])", r"\\\1", plain(words))


def _latex(table: Table) -> str:
    title = table.title.removeprefix(f"Table {table.number}: ")
    caption = title + (f" (Table {table.number} of the paper)" if table.number else "")
    lines = [r"\begin{table}", r"\small\setlength{\tabcolsep}{4pt}", rf"\caption{{{_for_latex(caption)}}}"]
    lines += [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule", *_latex_groups(table)]
    lines.append(" & ".join(["", *(_for_latex(column.label) for column in table.columns)]) + r" \\")
    for block in _blocks(table):
        heading = r"\newline ".join(map(_for_latex, block.headings))
        of_all = rf"\multicolumn{{{len(table.columns) + 1}}}{{l}}"
        lines += [r"\midrule", rf"{of_all}{{\rlap{{\parbox[t]{{\linewidth}}{{\itshape {heading}\strut}}}}}} \\"]
        for model, what, cells in block.lines:
            name = _for_latex(model) if model else rf"\quad {_for_latex(what)}"
            lines.append(" & ".join([name, *(_minus(cell) for cell in cells or [""] * len(table.columns))]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip {_for_latex(note)}" for note in _notes(table)]
    return "\n".join([*lines, r"\end{table}"])


def _latex_groups(table: Table) -> list[str]:
    """What stands above several columns, with a rule below each."""
    if not any(column.group for column in table.columns):
        return []
    cells, rules, first = [""], [], 2
    for group, columns in groupby(column.group for column in table.columns):
        count = len(list(columns))
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{_for_latex(group)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + count - 1}}}")
        first += count
    return [" & ".join(cells) + r" \\", "".join(rules)]


def _minus(cell: str) -> str:
    """A number's sign in mathematics, an interval's dash between its ends; "--" for none."""
    if cell[:1] in ("+", "-") and len(cell) > 1:
        return f"${cell}$"
    return cell.replace("-", "--")


_LATEX = {letter: f"\\{letter}" for letter in "{}$&#_%"} | {
    **{letter: f"{{{letter}}}" for letter in "[*"},  # an argument of the \\ that ends the line before
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    **dict(zip("łŁøØæÆœŒß", (rf"\{name}{{}}" for name in ("l", "L", "o", "O", "ae", "AE", "oe", "OE", "ss")))),
}
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327", "`'^~=u.\"rHvdc"))


def _for_latex(words: str) -> str:
    """Letters with accents as commands, which every engine has; letters of other scripts, which not every font has, by
    their numbers."""
    return "".join(map(_letter, unicodedata.normalize("NFC", plain(words))))


def _letter(letter: str) -> str:
    if letter.isascii() or letter in _LATEX:
        return _LATEX.get(letter, letter)
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if not base.isascii() or not marks or not all(mark in _ACCENTS for mark in marks):
        return f"U+{ord(letter):04X}"
    written = {"i": r"\i", "j": r"\j"}.get(base, base) if marks[0] not in "\u0323\u0327" else base
    for mark in marks:
        written = f"\\{_ACCENTS[mark]}{{{written}}}"
    return written


# ---- CSV and JSON ------------------------------------------------------------------------------------------


def _fields(table: Table, row: Row, column: Any, number: Number) -> list[Any]:
    low, high = number.interval or (None, None)
    label = f"{column.group} {column.label}".strip()
    values = [table.number or table.name, table.title, row.model, row.detail, row.task, row.data, row.on]
    values += [" ".join(map(str, row.seeds)), " ".join(map(str, row.splits)), row.mean_over, row.engine]
    values += [row.test_items, row.items, label, column.unit, number.measured, low, high, number.spread]
    return [*values, number.published, number.difference, row.published_on, row.same_data if row.published_on else None]


def _no_formula(value: Any) -> Any:
    """OWASP's advice: what a spreadsheet would take for a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    words = plain(value)
    return f"'{words}" if words[:1] in ("=", "+", "-", "@") else words


def _document(table: Table) -> dict[str, Any]:
    return {
        "table": table.number,
        "name": table.name,
        "title": table.title,
        "columns": [
            {"name": column.name, "label": column.label, "unit": column.unit, "group": column.group}
            for column in table.columns
        ],
        "notes": _notes(table),
        "rows": [_row_document(row) for row in table.rows],
    }


def _row_document(row: Row) -> dict[str, Any]:
    facts = ("model", "detail", "task", "data", "on", "mean_over", "engine", "test_items", "items", "published_on")
    return {
        **{name: getattr(row, name) for name in facts},
        "seeds": list(row.seeds),
        "splits": list(row.splits),
        "published_of_same_data": row.same_data if row.published_on else None,
        "numbers": {name: _number_document(number) for name, number in row.numbers.items()},
    }


def _number_document(number: Number) -> dict[str, Any]:
    interval = None if number.interval is None else dict(zip(("low", "high"), number.interval))
    return {
        "measured": number.measured,
        "published": number.published,
        "difference": number.difference,
        "interval_95": interval,
        "spread": number.spread,
    }
