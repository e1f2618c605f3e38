"""Pictures of what LSTMs do, step by step: `lrcn.lstm.Unrolled.drawable` as heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lrcn.results import palette
from lrcn.results.lettering import fitted, lettering, plain, wrapped
from lrcn.results.pictures import new_figure, save

MAPS = {  # what is drawn: in words, lowest value, highest (None: as far as it goes), colours
    "input": ("input gate i", 0, 1, "viridis"),
    "forget": ("forget gate f", 0, 1, "viridis"),
    "output": ("output gate o", 0, 1, "viridis"),
    "cell": ("cell c", None, None, "RdBu_r"),
    "hidden": ("hidden state h", -1, 1, "RdBu_r"),
}


@dataclass(frozen=True)
class Column:
    """One LSTM in a picture: its title, `Unrolled.drawable`, images (BGR) to stand above it, evenly over its steps, and
    scores below it {name: one a step}, at most seven."""

    title: str
    lstm: Mapping[str, Any]
    images: Sequence[np.ndarray] = ()
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)


def unrolled(columns: Sequence[Column], title: str, axis: str, path: Path) -> None:
    """Each column's images, heat maps of its units over the steps, and scores. Images of the first column alone stand
    above all. axis: what the steps are."""
    words = [word for column in columns for word in (column.title, *column.lstm["steps"], *column.scores)]
    with lettering([title, *words]):
        _draw(columns, title, axis, path)


def _draw(columns: Sequence[Column], title: str, axis: str, path: Path) -> None:
    steps = max(len(column.lstm["steps"]) for column in columns)
    width, units = max(4.6, 0.3 * steps), max(len(column.lstm["units"]) for column in columns)
    heights = [_strip(columns, width), *[max(0.07 * units, 0.6)] * len(MAPS), 1.6]
    size = width * len(columns) + 1, sum(heights) + 1.6
    figure = new_figure(figsize=size, constrained_layout=True)
    grid = figure.add_gridspec(len(heights), len(columns), height_ratios=heights)
    shared = len(columns) > 1 and not any(column.images for column in columns[1:])
    for at, column in enumerate(columns):
        if column.images:
            _images(figure.add_subplot(grid[0, :] if shared else grid[0, at]), column)
        first = None
        for row, (name, (label, *colours)) in enumerate(MAPS.items(), 1):
            axes = figure.add_subplot(grid[row, at], sharex=first)
            first = first or axes
            _map(figure, axes, column.lstm, name, colours)
            axes.set_ylabel(label, fontsize=8)
        first.set_title(fitted(f"{plain(column.title)}, a row a unit", width, 9), fontsize=9)
        below = figure.add_subplot(grid[len(heights) - 1, at], sharex=first)
        _scores(below, column)
        below.set_xlabel(axis, fontsize=8)
    figure.suptitle("\n".join(wrapped(plain(title), size[0], 12, most=2)), fontsize=12)
    save(figure, path)


def _strip(columns: Sequence[Column], width: float) -> float:
    """Inches that the images are high."""
    images = columns[0].images
    height, breadth = images[0].shape[:2]
    return 2.2 if len(images) == 1 else min(width / len(images) * height / breadth, 2)


def _images(axes, column: Column) -> None:
    axes.axis("off")
    if len(column.images) == 1:
        axes.imshow(column.images[0][..., ::-1])
        return
    count = len(column.images)
    for place, image in enumerate(column.images):
        axes.imshow(image[..., ::-1], extent=((place + 0.03) / count, (place + 0.97) / count, 0, 1), aspect="auto")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _map(figure, axes, lstm: Mapping[str, Any], name: str, colours) -> None:
    """The values (units, steps) of one kind, with a bar that tells their colours."""
    lowest, highest, colour_map = colours
    values = np.array(lstm[name])
    if highest is None:
        highest = max(float(abs(values).max()), 1e-6)
        lowest = -highest
    image = axes.imshow(values, aspect="auto", cmap=colour_map, vmin=lowest, vmax=highest, interpolation="nearest")
    axes.set_yticks(range(len(lstm["units"])), lstm["units"], fontsize=5)
    axes.tick_params(axis="x", labelbottom=False, length=0)
    figure.colorbar(image, ax=axes, pad=0.01, aspect=10).ax.tick_params(labelsize=6)


def _scores(axes, column: Column) -> None:
    steps = [fitted(plain(step), 0.9, 7) for step in column.lstm["steps"]]
    if len(column.scores) == 1:
        [(name, values)] = column.scores.items()
        axes.bar(range(len(values)), values, color=palette.series(1)[0], zorder=2)
    else:
        name = "score"
        for (line, values), colour in zip(column.scores.items(), palette.series(len(column.scores))):
            axes.plot(range(len(values)), values, color=colour, marker=".", linewidth=1.3, label=fitted(line, 1.6, 6.5))
        axes.legend(fontsize=6.5, loc="center right")
    axes.set_ylabel(name, fontsize=8)
    axes.set_ylim(0, 1.05)
    axes.set_yticks(np.linspace(0, 1, 5), [f"{percent} %" for percent in range(0, 101, 25)], fontsize=7)
    axes.set_xticks(range(len(steps)), steps, fontsize=7, rotation=60 if max(map(len, steps)) > 3 else 0)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right" if label.get_rotation() else "center")
        label.set_rotation_mode("anchor")
    axes.grid(alpha=0.3)
