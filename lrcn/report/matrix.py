"""The confusion matrix of a net as inline SVG, whose rows and columns the page sorts, and which it enlarges."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from lrcn.report.charts import shortened

LABEL = 120  # pixels of the names at the side
LEAST_NUMBERS = 20  # classes up to which the numbers stand in the cells


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], name: str) -> Markup:
    """The drawing: a row a true class, a column an answer, in percent of the row's videos; cells of no video are left
    out. ValueError where the counts are no matrix of the classes."""
    matrix = np.array(counts, float)
    if matrix.shape != (len(classes), len(classes)) or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError("a confusion matrix that is none of its classes")
    videos = matrix.sum(1)
    shares = 100 * matrix / np.maximum(videos, 1)[:, None]
    size = 26 if len(classes) <= LEAST_NUMBERS else 9
    side = LABEL + size * len(classes)
    parts = [f'<rect class="paper" x="{LABEL}" y="{LABEL}" width="{side - LABEL}" height="{side - LABEL}"/>']
    for row, column in np.argwhere(matrix > 0).tolist():
        parts.append(_cell(row, column, size, shares[row, column], int(matrix[row, column]), classes, int(videos[row])))
    letters = min(size * 0.9, 12)
    for number, each in enumerate(classes):
        at = LABEL + size * (number + 0.5)
        short, mark = escape(shortened(each, 18)), "" if videos[number] else " (no video)"
        parts.append(
            f'<text data-r="{number}" font-size="{letters}" x="{LABEL - 4}" y="{at + letters / 3:.1f}" text-anchor="end">'
            f"{short}{mark}<title>{escape(each)}</title></text>"
            f'<text data-c="{number}" font-size="{letters}" transform="translate({at + letters / 3:.1f} {LABEL - 4}) '
            f'rotate(-90)">{short}<title>{escape(each)}</title></text>'
        )
    right = [round(float(shares[n, n]), 2) for n in range(len(classes))]
    orders = {
        "as in the data set": list(range(len(classes))),
        "by name": sorted(range(len(classes)), key=lambda n: classes[n].lower()),
        "worst first": sorted(range(len(classes)), key=lambda n: (videos[n] == 0, right[n])),
        "confused ones together": neighbours_first(matrix),
    }
    options = "".join(f"<option>{escape(order)}</option>" for order in orders)
    return Markup(
        f'<div class="matrix" data-orders="{escape(json.dumps(orders))}" data-size="{size}" data-label="{LABEL}">'
        f'<div class="tools"><label>Classes <select>{options}</select></label> <button type="button" data-zoom="1.5">'
        'larger</button> <button type="button" data-zoom="0.667">smaller</button></div>'
        '<div class="scroll" tabindex="0" role="region" aria-label="confusion matrix">'
        f'<svg viewBox="0 0 {side} {side}" style="--side:{min(side, 640)}px" role="img" aria-label="confusion matrix of '
        f'{escape(name)}: rows are true classes, columns answers">{"".join(parts)}</svg></div>'
        "<p class=small>A row is a true class, a column an answer; a cell is percent of the row's videos. Blue: right; "
        "orange: wrong.</p></div>"
    )


def neighbours_first(matrix: np.ndarray) -> list[int]:
    """An order of the classes in which each is followed by the one that it is most often confused with of those left."""
    off = matrix + matrix.T
    np.fill_diagonal(off, 0)
    left = set(range(len(off)))
    order: list[int] = []
    while left:
        last = order[-1] if order else None
        if last is None or not any(off[last, n] for n in left):
            following = max(left, key=lambda n: (off[n].sum(), -n))
        else:
            following = max(left, key=lambda n: (off[last, n], -n))
        order.append(following)
        left.remove(following)
    return order


def _cell(row: int, column: int, size: int, share: float, count: int, classes: Sequence[str], videos: int) -> str:
    """A cell, whose shade shows small shares too: its strength goes with the root of the share."""
    strength = 0.12 + 0.88 * (share / 100) ** 0.5
    kind = "right" if row == column else "wrong"
    x, y = LABEL + size * column, LABEL + size * row
    tip = f"{classes[row]} taken for {classes[column]}: {count} of {videos} videos, {share:.0f} %"
    number = ""
    if len(classes) <= LEAST_NUMBERS:
        light = " light" if strength > 0.62 else ""
        number = (
            f'<text class="in{light}" x="{x + size / 2}" y="{y + size / 2 + 4}" text-anchor="middle">{share:.0f}</text>'
        )
    return (
        f'<g data-r="{row}" data-c="{column}"><rect class="{kind}" x="{x}" y="{y}" width="{size - 0.5}" '
        f'height="{size - 0.5}" fill-opacity="{strength:.2f}"/>{number}<title>{escape(tip)}</title></g>'
    )
