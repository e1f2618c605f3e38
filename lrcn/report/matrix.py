"""The confusion matrix of a net as inline SVG, whose rows and columns the page sorts, and which it enlarges."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from lrcn.report.charts import shortened
from lrcn.results.confusion import together

MOST_NUMBERS = 20  # classes up to which the numbers stand in the cells
LONGEST = 24  # letters of a name; the rest is told where the pointer rests


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], name: str) -> Markup:
    """The drawing: a row a true class, a column an answer, in percent of the row's videos; cells of no video are left
    out. ValueError where the counts are no matrix of the classes."""
    matrix = np.array(counts, float)
    if matrix.shape != (len(classes), len(classes)) or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError("a confusion matrix that is none of its classes")
    videos = matrix.sum(1)
    shares = 100 * matrix / np.maximum(videos, 1)[:, None]
    size = 28 if len(classes) <= MOST_NUMBERS else 10
    letters = min(0.9 * size, 12)
    names = [shortened(name, LONGEST) + ("" if count else " (none)") for name, count in zip(classes, videos)]
    label = round(0.62 * letters * max(map(len, names))) + 8
    side = label + size * len(classes)
    parts = [f'<rect class="paper" x="{label}" y="{label}" width="{side - label}" height="{side - label}"/>']
    for row, column in np.argwhere(matrix > 0).tolist():
        tip = (
            f"{classes[row]} taken for {classes[column]}: {matrix[row, column]:.0f} of {videos[row]:.0f} videos, "
            f"{shares[row, column]:.0f} %"
        )
        at = label + size * column, label + size * row
        cell = _cell(at, size, shares[row, column], row == column, len(classes) <= MOST_NUMBERS)
        parts.append(f'<g data-r="{row}" data-c="{column}">{cell}<title>{escape(tip)}</title></g>')
    for number, (name, whole) in enumerate(zip(names, classes)):
        middle = label + size * (number + 0.5) + letters / 3
        named = f"{escape(name)}<title>{escape(whole)}</title></text>"
        style = f'style="font-size: {letters}px"'
        parts.append(f'<text data-r="{number}" {style} x="{label - 4}" y="{middle:.1f}" text-anchor="end">{named}')
        turned = f'transform="translate({middle:.1f} {label - 4}) rotate(-90)"'
        parts.append(f'<g data-c="{number}"><text {style} {turned}>{named}</g>')
    right = [round(float(shares[n, n]), 2) for n in range(len(classes))]
    orders = {
        "as in the data set": list(range(len(classes))),
        "by name": sorted(range(len(classes)), key=lambda n: classes[n].lower()),
        "worst first": sorted(range(len(classes)), key=lambda n: (videos[n] == 0, right[n])),
        "confused ones together": together(matrix),
    }
    options = "".join(f"<option>{escape(order)}</option>" for order in orders)
    return Markup(
        f'<div class="matrix" data-orders="{escape(json.dumps(orders))}" data-size="{size}">'
        f'<div class="tools"><label>Classes <select>{options}</select></label> <button type="button" data-zoom="1.5">'
        'larger</button> <button type="button" data-zoom="0.667">smaller</button></div>'
        '<div class="scroll" tabindex="0" role="region" aria-label="confusion matrix">'
        f'<svg viewBox="0 0 {side} {side}" style="--side:{min(side, 1000)}px" role="img" aria-label="confusion matrix '
        f'of {escape(name)}: rows are true classes, columns answers">{"".join(parts)}</svg></div>'
        "<p class=small>A row is a true class, a column an answer, a cell percent of the row's videos. Blue: right; "
        "orange: wrong.</p></div>"
    )


def _cell(at: tuple[int, int], size: int, share: float, right: bool, numbered: bool) -> str:
    """A cell, whose shade shows small shares too: its strength goes with the root of the share."""
    strength = 0.12 + 0.88 * (share / 100) ** 0.5
    box = (
        f'<rect class="{"right" if right else "wrong"}" x="{at[0]}" y="{at[1]}" width="{size - 0.5}" '
        f'height="{size - 0.5}" fill-opacity="{strength:.2f}"/>'
    )
    if not numbered:
        return box
    light = " light" if right and strength > 0.8 else ""  # on which of black and white is read better
    middle = at[0] + size / 2, at[1] + size / 2 + 4
    return f'{box}<text class="in{light}" x="{middle[0]}" y="{middle[1]}" text-anchor="middle">{share:.0f}</text>'
