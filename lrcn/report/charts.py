"""Charts as inline SVG, which are read without a network and printed as they are; each has its numbers in a table too.

Sizes are in CSS pixels at 420 pixels of width, to which a phone's screen is near: text stays legible there. Colours are
set as the property --c, which the page makes lighter where it is dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup, escape

from lrcn.results import palette
from lrcn.results.numbers import PERCENT, Number, share_in_words

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 66, 24, 10, 40
MOST_POINTS = 300  # of a line; more are thinned
MOST_ROWS = 120  # of a table of numbers
LEVELS = 12  # shades of a heat map
NAMES = 74  # pixels at its left
BAR, BAR_LABEL = 12, 142  # pixels from a bar to the next, and at their left


Span: TypeAlias = tuple[float, float]
Place: TypeAlias = Callable[[float, float], tuple[float, float]]  # of a point's numbers in the drawing


@dataclass(frozen=True)
class Line:
    """A line of a chart: points in the order of x; those whose y is no number are left out."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    colour: str
    dash: Sequence[float] = ()  # on, off, ... in widths of the line; () is solid
    points: bool = False  # marks each of them

    def finite(self) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in zip(self.xs, self.ys) if y is not None and math.isfinite(x + y)]


@dataclass(frozen=True)
class Axis:
    """What an axis measures, with its unit, and from where to where at least. decimals: of its numbers in the table,
    four digits in all where it is None."""

    title: str
    least: float | None = None
    most: float | None = None
    decimals: int | None = None

    def span(self, values: Sequence[float]) -> tuple[float, float]:
        low = min([*values, *([] if self.least is None else [self.least])])
        high = max([*values, *([] if self.most is None else [self.most])])
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    def written(self, value: float) -> str:
        return f"{value:.4g}" if self.decimals is None else f"{value:.{self.decimals}f}"


def lines(series: Sequence[Line], x: Axis, y: Axis, levels: Mapping[str, float] | None = None) -> Markup:
    """Lines over common axes; levels: horizontal ones, by name, such as what chance gives. Empty where there is no
    point."""
    series = [each for each in series if each.finite()]
    if not series:
        return Markup("")
    points = {each.name: thinned(each.finite(), MOST_POINTS) for each in series}
    every = [point for of_one in points.values() for point in of_one]
    x_span = x.span([point[0] for point in every])
    y_span = y.span([point[1] for point in every] + list((levels or {}).values()))
    place = _places(x_span, y_span)
    parts = [*_grid(x_span, y_span, place, x.title, y.title)]
    for name, level in (levels or {}).items():
        series = [*series, Line(name, x_span, (level, level), palette.COLOURS["chance"], palette.DASHES["chance"])]
        points[name] = series[-1].finite()
    for each in series:
        parts += _line(each, points[each.name], place, y)
    svg = _svg(parts, HEIGHT, f"{y.title} by {x.title}: {', '.join(each.name for each in series)}")
    legend = [(each.name, each.colour, each.dash) for each in series]
    measured = [each for each in series if each.name not in (levels or {})]
    return figure(svg, legend, [x.title, *(each.name for each in measured)], _by_x(measured, y))


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Every n-th of the points, and the last."""
    step = -(-len(points) // most)
    return [*points[::step], *([] if (len(points) - 1) % step == 0 else [points[-1]])]


def bars(rows: Sequence[tuple[str, Mapping[str, Number]]], colours: Mapping[str, str], what: str = "class") -> Markup:
    """Horizontal bars in percent, with their intervals: rows (label, {series: share}), a bar for each series of
    `colours`. what: the labels name. Empty where there is no row."""
    if not rows:
        return Markup("")
    parts, height = bar_parts(rows, colours)
    svg = _svg(parts, height, f"{', '.join(colours)}, by {what}")
    table = [[name, *(share_in_words(shares.get(series, Number())) for series in colours)] for name, shares in rows]
    return figure(svg, [(name, colour, ()) for name, colour in colours.items()], [what, *colours], table)


def bar_parts(rows: Sequence[tuple[str, Mapping[str, Number]]], colours: Mapping[str, str]) -> tuple[list[str], int]:
    """What `bars` draws, and its height."""
    step = BAR * len(colours) + 8
    height = step * len(rows) + 24
    across = (WIDTH - BAR_LABEL - 40) / 100  # pixels a percent
    parts = []
    for mark in (0, 25, 50, 75, 100):
        x = BAR_LABEL + across * mark
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 20}"/>')
        parts.append(f'<text class="small" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{mark} %</text>')
    for number, (name, shares) in enumerate(rows):
        top = step * number + 4
        middle = top + BAR * len(colours) / 2 + 4
        named = f"{escape(shortened(name, 20))}<title>{escape(name)}</title>"
        parts.append(f'<text x="{BAR_LABEL - 6}" y="{middle:.1f}" text-anchor="end">{named}</text>')
        for place, (series, colour) in enumerate(colours.items()):
            share = shares.get(series, Number())
            parts += _bar(f"{name}, {series}", share, colour, top + BAR * place, across)
    return parts, height


def _bar(name: str, share: Number, colour: str, y: float, across: float) -> list[str]:
    """A bar, the line of its interval, and its number."""
    if share.measured is None or not math.isfinite(share.measured):
        return [f'<text class="small" x="{BAR_LABEL + 2}" y="{y + 9}">none</text>']
    tip, long = f"{name}: {share_in_words(share)}", across * share.measured
    parts = [
        f'<rect class="bar" style="--c:{colour}" x="{BAR_LABEL}" y="{y}" height="{BAR - 1}" '
        f'width="{max(long, 0.5):.1f}"><title>{escape(tip)}</title></rect>'
    ]
    end = BAR_LABEL + long
    if share.interval:
        low, high = (BAR_LABEL + across * each for each in share.interval)
        y2, end = y + (BAR - 1) / 2, max(end, high)
        parts.append(f'<path class="interval" d="M{low:.1f} {y2 - 3}v6m0-3H{high:.1f}m0-3v6"/>')
    return [*parts, f'<text class="small" x="{end + 4:.1f}" y="{y + 9}">{PERCENT.cells(share).measured}</text>']


def heat(values: Sequence[Sequence[float]], steps: Sequence[str], title: str, low: float, high: float) -> Markup:
    """A heat map, a row of `values` a unit and a column a step; its axis is `steps_axis`. From `low`, blue, over white
    to `high`, orange, where low is negative; else from white to blue."""
    columns = max((len(row) for row in values), default=0)
    if not columns:
        return Markup("")
    cell, tall = (WIDTH - NAMES - RIGHT) / columns, 6
    height = tall * len(values)
    shades: dict[int, list[str]] = {}
    for row, numbers in enumerate(values):
        for column, value in enumerate(numbers):
            if value is None or not math.isfinite(value):
                continue
            share = min(max((value - low) / (high - low), 0), 1)
            x = NAMES + cell * column
            shades.setdefault(round(share * LEVELS), []).append(f"M{x:.1f} {tall * row}h{cell:.1f}v{tall}h-{cell:.1f}z")
    parts = [
        f'<path fill="{_shade(level / LEVELS, low < 0)}" d="{"".join(paths)}"/>'
        for level, paths in sorted(shades.items())
    ]
    parts.append(f'<text x="{NAMES - 5}" y="{height / 2 + 4:.1f}" text-anchor="end">{escape(title)}</text>')
    return Markup(_svg(parts, height + 1, f"{title}, {len(values)} units over {columns} steps: {', '.join(steps)}"))


def steps_axis(steps: Sequence[str]) -> Markup:
    """The names of the steps, to stand below heat maps of the same width."""
    cell = (WIDTH - NAMES - RIGHT) / max(len(steps), 1)
    every = max(1, math.ceil(26 / cell)) if all(step.isdigit() for step in steps) else 1
    turned = every == 1 and max(map(len, steps), default=0) * 6.5 > cell
    parts = []
    for number in range(0, len(steps), every):
        x, name = NAMES + cell * (number + 0.5), escape(shortened(steps[number], 14))
        if turned:
            parts.append(f'<text transform="translate({x + 4:.1f} 4) rotate(-60)" text-anchor="end">{name}</text>')
        else:
            parts.append(f'<text x="{x:.1f}" y="13" text-anchor="middle">{name}</text>')
    return Markup(_svg(parts, 84 if turned else 18, "steps"))


def figure(
    svg: str, legend: Iterable[tuple[str, str, Sequence[float]]], heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> Markup:
    """A drawing with its legend, and its numbers to be unfolded."""
    keys = "".join(
        f'<span><svg class="key" viewBox="0 0 24 8" aria-hidden="true"><line class="line" style="--c:{colour}" '
        f'stroke-dasharray="{_dashes(dash)}" x1="1" x2="23" y1="4" y2="4"/></svg>{escape(name)}</span>'
        for name, colour, dash in legend
    )
    return Markup(
        f"<figure class=chart>{svg}<figcaption class=legend>{keys}</figcaption>{numbers(heads, rows)}</figure>"
    )


def numbers(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table of what is drawn, to be unfolded; of long ones every n-th row."""
    step = -(-len(rows) // MOST_ROWS) if rows else 1
    left_out = f"<caption>every {step}th of {len(rows)} rows</caption>" if step > 1 else ""
    head = "".join(f"<th scope=col>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[::step])
    return Markup(
        f"<details><summary>Numbers</summary><div class=scroll tabindex=0 role=region aria-label=Numbers>"
        f"<table class=numbers>{left_out}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most so many."""
    rough = (high - low) / max(most - 1, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next((power * each for each in (1, 2, 2.5, 5) if power * each >= rough), power * 10)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 12) + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _places(x_span: Span, y_span: Span) -> Place:
    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_span[0]) / (x_span[1] - x_span[0])
        up = (y - y_span[0]) / (y_span[1] - y_span[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    return place


def _grid(x_span: Span, y_span: Span, place: Place, x_title: str, y_title: str) -> list[str]:
    parts = []
    for value in ticks(*y_span):
        _, y = place(x_span[0], value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="small" x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(*x_span):
        x, _ = place(value, y_span[0])
        parts.append(
            f'<text class="small" x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{value:g}</text>'
        )
    middle = (HEIGHT - TOP - BOTTOM) / 2 + TOP
    parts.append(f'<text x="{(WIDTH + LEFT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_title)}</text>')
    parts.append(
        f'<text transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>'
    )
    return parts


def _line(line: Line, points: Sequence[tuple[float, float]], place: Place, axis: Axis) -> list[str]:
    at = [place(*point) for point in points]
    path, name = " ".join(f"{x:.1f},{y:.1f}" for x, y in at), escape(line.name)
    parts = [
        f'<polyline class="line" style="--c:{line.colour}" stroke-dasharray="{_dashes(line.dash)}" points="{path}"/>'
    ]
    if line.points or len(points) == 1:
        parts += [
            f'<circle class="point" style="--c:{line.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
            f"<title>{name}: {axis.written(value)} at {where:g}</title></circle>"
            for (x, y), (where, value) in zip(at, points)
        ]
    return parts


def _dashes(dash: Sequence[float]) -> str:
    return " ".join(f"{2 * width:g}" for width in dash)


def _by_x(series: Sequence[Line], axis: Axis) -> list[list[str]]:
    """A row for each x that a line has a point at."""
    known = [dict(each.finite()) for each in series]
    every = sorted(set().union(*known))
    return [[f"{x:g}", *(axis.written(of_one[x]) if x in of_one else "" for of_one in known)] for x in every]


def _svg(parts: Iterable[str], height: float, label: str) -> str:
    box = f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}"'
    return f'<svg class="drawing" {box}>{"".join(parts)}</svg>'


def _shade(share: float, signed: bool) -> str:
    """A colour of a heat map: white to blue, or blue over white to orange, which those see apart who see no red."""
    if not signed:
        return _mix((255, 255, 255), (0, 90, 160), share)
    if share < 0.5:
        return _mix((0, 90, 160), (255, 255, 255), 2 * share)
    return _mix((255, 255, 255), (200, 85, 0), 2 * share - 1)


def _mix(one: tuple[int, int, int], other: tuple[int, int, int], share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(one, other))
