"""A picture of measured shares with their intervals, an SVG by itself, for a README or a page: bars of Table 1, and of
how many captions and descriptions are true."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import escape

from lrcn.report.charts import WIDTH, bar_parts
from lrcn.results import palette
from lrcn.results.compare import ResultsError
from lrcn.results.lettering import plain
from lrcn.results.numbers import Number, Row, Table

WHOLE = "all"  # the column of a table of slots that is drawn: true of all of them
SHOWN = 600  # pixels that the picture is wide where there is room
_LETTERS, _SMALL = 62, 72  # of a line, at 12 and 10.5 pixels
_LINE, _NOTE = 16, 14  # pixels of a line
_STYLE = (
    "svg{background:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#d0d7de}"
    "text{font:12px system-ui,sans-serif;fill:var(--ink)}text.head{font-weight:600}"
    "text.small{font-size:10.5px;fill:var(--soft)}.grid{stroke:var(--rule)}.bar{fill:var(--c)}"
    ".interval{fill:none;stroke:var(--ink);stroke-width:1.3}"
    "@media(prefers-color-scheme:dark){svg{background:#14171a;--ink:#e8eaed;--soft:#a9b1ba;--rule:#3a4149}"
    ".bar{fill:color-mix(in srgb,var(--c) 70%,white)}}"
)


@dataclass(frozen=True)
class _Panel:
    """Bars of a table on one data set: `rows` as `charts.bars` takes them."""

    title: str
    about: str
    rows: Sequence[tuple[str, Mapping[str, Number]]]
    colours: Mapping[str, str]


def svg(tables: Sequence[Table]) -> str:
    """The picture of `compare.tables`. ResultsError where they have no share."""
    panels = [panel for table in tables for panel in _panels(table)]
    if not panels:
        raise ResultsError("--chart: there is nothing to draw; it shows Table 1, and which captions are true")
    parts, y = [], 8
    for panel in panels:
        drawn, height = _drawn(panel)
        parts.append(f'<g transform="translate(8 {y})">{"".join(drawn)}</g>')
        y += height + 14
    note = "Thin lines: 95 % intervals (Wilson)."
    parts.append(f'<text class="small" x="8" y="{y + 4}">{note}</text>')
    width, height = WIDTH + 16, y + 14
    label = escape("; ".join(panel.title for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{SHOWN}" '
        f'height="{SHOWN * height / width:.0f}" role="img" aria-label="{label}"><style>{_STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _panels(table: Table) -> Iterator[_Panel]:
    """A panel for each data set that was measured on."""
    for on, group in groupby((row for row in table.rows if row.measured), key=lambda row: row.on):
        rows = list(group)
        if table.number == "1":
            yield _by_column(table, rows, on)
        elif any(column.name == WHOLE for column in table.columns):
            shares = [(palette.title(row.model), {WHOLE: row.numbers.get(WHOLE, Number())}) for row in rows]
            title = table.title.replace("of each slot", "in every slot")
            yield _Panel(title.partition(": ")[2], on, shares, {WHOLE: palette.series(1)[0]})


def _by_column(table: Table, rows: Sequence[Row], on: str) -> _Panel:
    """Table 1: what the net saw, a bar a model."""
    models = {row.model: palette.title(row.model) for row in rows}
    shares = [
        (
            palette.title(column.name),
            {models[row.model]: row.numbers[column.name] for row in rows if column.name in row.numbers},
        )
        for column in table.columns
    ]
    colours = {models[model]: palette.COLOURS[model] for model in models}
    return _Panel(table.title.partition(": ")[2], on, [row for row in shares if row[1]], colours)


def _drawn(panel: _Panel) -> tuple[list[str], int]:
    """Its parts, and its height."""
    parts, y = [], 0
    title = plain(panel.title)
    for line in textwrap.wrap(title[:1].upper() + title[1:], _LETTERS):
        y += _LINE
        parts.append(f'<text class="head" y="{y}">{escape(line)}</text>')
    for line in textwrap.wrap(plain(panel.about), _SMALL, break_on_hyphens=False):
        y += _NOTE
        parts.append(f'<text class="small" y="{y}">{escape(line)}</text>')
    y += 6
    if len(panel.colours) > 1:
        for number, (name, colour) in enumerate(panel.colours.items()):
            x = 110 * number
            parts.append(f'<rect class="bar" style="--c:{colour}" x="{x}" y="{y + 3}" width="18" height="11"/>')
            parts.append(f'<text x="{x + 24}" y="{y + 13}">{escape(name)}</text>')
        y += 20
    bars, height = bar_parts(panel.rows, panel.colours)
    return [*parts, f'<g transform="translate(0 {y})">{"".join(bars)}</g>'], y + height
