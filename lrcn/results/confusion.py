"""Pictures of a confusion matrix: the whole of it, and of one of many classes those most confused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lrcn.results import numbers
from lrcn.results.lettering import class_in_words, fitted, lettering
from lrcn.results.palette import COLOURS
from lrcn.results.pictures import heading, new_figure, save

NUMBERED = 30  # classes, at most, in whose picture each cell says its percent; of more there is a second picture
ZOOMED = 14  # classes in that one
ORDERED = 12  # classes, at most, that keep their order
NAMED = 150  # classes, at most, of which there is room for every name
_LETTERS, _LABEL = 6.5, 2.4  # points; inches that the name of a class may take
_TICKS = (0, 1, 5, 10, 25, 50, 75, 100)  # percent


def draw(measured: dict, classes: Sequence[str], title: str, data: str, path: Path) -> None:
    """The confusion matrix, a row a true class, in percent of its videos: right answers blue, wrong ones orange. Many
    classes are ordered so that those confused stand together. Classes without videos have an empty row.

    measured: {"confusion": videos (classes, classes), "accuracy": percent}. title: what answered; data: on what.
    """
    counts = np.array(measured["confusion"])
    order = together(counts) if len(classes) > ORDERED else list(range(len(classes)))
    names = [class_in_words(classes[c]) for c in order]
    note = ", classes that are confused stand together" if len(classes) > ORDERED else ""
    with lettering([*names, title, data]):
        _matrix(counts[np.ix_(order, order)], names, names, _headline(measured, title), data + note, path)


def draw_zoomed(measured: dict, classes: Sequence[str], title: str, data: str, path: Path) -> None:
    """The same of the classes that are most confused alone; what was taken for any other class is a column."""
    counts = np.array(measured["confusion"])
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    chosen: list[int] = []
    for pair in zip(*np.unravel_index(np.argsort(-wrong, axis=None, kind="stable"), wrong.shape)):
        if not wrong[pair] or len(chosen) >= ZOOMED - 1:
            break
        chosen += [int(c) for c in pair if int(c) not in chosen]
    order = [chosen[at] for at in together(counts[np.ix_(chosen, chosen)])]
    part = counts[np.ix_(order, order)]
    names = [class_in_words(classes[c]) for c in order]
    others = counts[order].sum(1, keepdims=True) - part.sum(1, keepdims=True)
    answers = [*names, f"{len(classes) - len(order)} other classes"]
    with lettering([*names, title, data]):
        note = f"{data}, the {len(order)} classes most confused"
        _matrix(np.hstack([part, others]), names, answers, _headline(measured, title), note, path)


def together(counts: np.ndarray) -> list[int]:
    """An order of classes in which those confused stand next to each other: clusters of the most alike are joined, by
    the mean share of videos taken for one another (average linkage), ends that are alike inward. Classes that are never
    confused keep their order. counts: videos (classes, classes)."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    alike = shares + shares.T
    np.fill_diagonal(alike, 0)
    between, sizes = alike.copy(), np.ones(len(counts))
    clusters = {c: [c] for c in range(len(counts))}
    while len(clusters) > 1:
        one, other = sorted(map(int, np.unravel_index(np.argmax(between), between.shape)))
        if between[one, other] <= 0:
            break
        clusters[one] = _joined(clusters[one], clusters.pop(other), alike)
        mean = (sizes[one] * between[one] + sizes[other] * between[other]) / (sizes[one] + sizes[other])
        sizes[one] += sizes[other]
        between[one], between[:, one], between[other], between[:, other] = mean, mean, 0, 0
        between[one, one] = 0
    return [c for first in sorted(clusters, key=lambda c: min(clusters[c])) for c in clusters[first]]


def _joined(one: list[int], other: list[int], alike: np.ndarray) -> list[int]:
    """Two clusters in a row, turned so that the classes that meet are the most alike."""
    ways = [(a, b) for a in (one, one[::-1]) for b in (other, other[::-1])]
    first, second = max(ways, key=lambda way: alike[way[0][-1], way[1][0]])
    return first + second


def _headline(measured: dict, title: str) -> str:
    return f"{title}: {numbers.percent(measured['accuracy'], int(np.sum(measured['confusion'])))} right"


def _matrix(
    counts: np.ndarray, names: Sequence[str], answers: Sequence[str], headline: str, about: str, path: Path
) -> None:
    """A row a class, a column an answer; row r's right answer is column r."""
    videos = counts.sum(1, keepdims=True)
    percent = 100 * np.divide(counts, videos, out=np.full(counts.shape, np.nan), where=videos > 0)
    rows, columns = counts.shape
    cell = 0.36 if rows <= NUMBERED else 0.14  # inches
    cell = min(max(cell, 3.2 / rows, 10.8 / rows * (rows > NUMBERED)), 20 / rows)
    figure = new_figure(figsize=(cell * columns, cell * rows))
    axes = figure.add_axes((0, 0, 1, 1))  # its labels lie outside: `save` cuts the picture to all that is drawn
    right = np.eye(rows, columns, dtype=bool)
    for place, (what, cells) in enumerate({"wrong": ~right, "right": right}.items()):
        values = np.where(cells, percent, np.nan)
        image = axes.imshow(values, cmap=_shades(what), norm=_norm(), aspect="auto", interpolation="nearest")
        _colour_bar(axes, image, what, place, cell * columns)
        if rows <= NUMBERED:
            _numbers(axes, values, image)
    _ticks(axes, names, answers, videos[:, 0])
    heading(axes, headline, about, cell * columns + 1.2)
    save(figure, path, vector=True)


def _norm():
    """Percent to shades: a few percent are seen, too."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0, vmax=100)


def _shades(what: str):
    """From white over the palette's colour to a dark one, as light falls evenly."""
    from matplotlib.colors import LinearSegmentedColormap

    middle, dark = {"right": (COLOURS["flow"], "#002b4d"), "wrong": (COLOURS["rgb"], "#5c2300")}[what]
    light = {"right": "#8ec1e3", "wrong": "#f7b98a"}[what]
    return LinearSegmentedColormap.from_list(what, ["#ffffff", light, middle, dark])


def _colour_bar(axes, image, what: str, place: int, width: float) -> None:
    """At the right of the matrix and as tall; two of them side by side."""
    inside = axes.inset_axes((1 + (0.12 + 0.2 * place) / width, 0, 0.16 / width, 1))
    bar = axes.figure.colorbar(image, cax=inside, ticks=_TICKS if place else [])
    bar.outline.set_linewidth(0.4)
    inside.text(0.5, -0.04 / width, what, fontsize=7, rotation=90, ha="center", va="top", transform=inside.transAxes)
    if place:
        inside.tick_params(labelsize=7, length=2)
        inside.set_yticklabels([f"{tick} %" for tick in _TICKS])
        inside.set_ylabel("share of the true class's videos", fontsize=8)


def _ticks(axes, names: Sequence[str], answers: Sequence[str], videos: np.ndarray) -> None:
    """Names of classes, as far as there is room for each; who has no video says so."""
    every = -(-len(names) // NAMED)
    rows = [
        name if count else f"{fitted(name, _LABEL - 0.6, _LETTERS)} (no video)" for name, count in zip(names, videos)
    ]
    note = f", one of {every} is named" if every > 1 else ""
    for axis, title, labels in (axes.xaxis, "answer", answers), (axes.yaxis, "true class", rows):
        drawn = [fitted(label, _LABEL, _LETTERS) for label in labels[::every]]
        axis.set_ticks(range(0, len(labels), every), drawn, fontsize=_LETTERS)
        axis.set_ticks(np.arange(len(labels) + 1) - 0.5, minor=True)
        axis.set_tick_params(length=2)
        axis.set_label_text(title + note, fontsize=9)
    for label in axes.get_xticklabels():
        label.set_rotation(90)
    axes.tick_params(which="minor", length=0)
    if every == 1:
        axes.grid(which="minor", color="#dddddd", linewidth=0.4)


def _numbers(axes, percent: np.ndarray, image) -> None:
    """In each cell of the image, but for zeros where there are many; black or white, which is seen better."""
    for row, column in np.argwhere(np.isfinite(percent)):
        if len(percent) <= ORDERED or round(percent[row, column]):
            light = np.array(image.to_rgba(percent[row, column])[:3]) ** 2.2 @ (0.2126, 0.7152, 0.0722)
            look = {"fontsize": 7, "color": "black" if light > 0.18 else "white"}
            axes.text(column, row, f"{percent[row, column]:.0f}", ha="center", va="center", **look)
