"""Pictures of the curves of trainings: loss, accuracy and learning rate by iteration, of one or of several.

A curve is a list of rows {"iteration", "loss", "lr", "train NAME", "test NAME", ...}, as `Run.curve` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from lrcn.results.lettering import lettering, plain
from lrcn.results.palette import COLOURS, series
from lrcn.results.pictures import heading, new_figure, save, whole_numbers
from lrcn.results.tables import is_share, value_in_words

Rows = Sequence[Mapping[str, float]]
PANELS = {"loss": "loss", "share": "percent right", "lr": "learning rate"}  # and what stands at their axes
_INCHES, _TALL, _LOW = 7.4, 2.5, 1.1  # across; a panel's height, and that of the learning rate's
_MARKED = {"marker": "o", "markersize": 4, "linewidth": 1.4}  # of tests
_LINES: dict[str, dict[str, Any]] = {"loss": {"linewidth": 1.2}, "lr": {"linewidth": 1.2, "drawstyle": "steps-post"}}
_RATE = "#444444"
_PALE = {"linewidth": 0.8, "alpha": 0.55}
_DASHES = ("-", (0, (5, 1.5)), (0, (2, 1)))  # of more trainings than there are colours


def of_training(rows: Rows, title: str, path: Path) -> None:
    """One training, a colour a quantity: tests have marks, single batches are pale."""
    columns = of_one(rows)
    with lettering([title, *columns]):
        figure, panels = _panels(columns)
        for name, colour in colours_of(columns).items():
            look = _MARKED if name.startswith("test") else _LINES.get(name, _PALE)
            panels[panel_of(name)].plot(*zip(*points_of(rows, name)), color=colour, label=label_of(name, rows), **look)
        _finish(figure, panels, title, "", path)


def of_trainings(curves: Mapping[str, Rows], title: str, path: Path) -> None:
    """Several trainings by their names, a colour each; tests, but for those on training data, have marks."""
    columns = [name for name in _columns(curves.values()) if name in PANELS or name.startswith("test ")]
    with lettering([title, *curves]):
        figure, panels = _panels(columns)
        for number, ((name, rows), colour) in enumerate(zip(curves.items(), series(len(curves)))):
            look: dict[str, Any] = {"color": colour, "linestyle": _DASHES[number // 7 % len(_DASHES)]}
            for column in columns:
                if points := points_of(rows, column):
                    own = _MARKED if column.startswith("test") else _LINES[column]
                    panels[panel_of(column)].plot(*zip(*points), **look, **own)
            next(iter(panels.values())).plot([], [], **look, label=plain(name))
        _finish(figure, panels, title, "a colour a training; with marks: tests", path)


def of_one(rows: Rows) -> list[str]:
    """What is drawn of one training: its columns, without those that say nothing that the loss does not."""
    columns = _columns([rows])
    if "loss" not in columns:
        return columns
    # where the loss is the mean of one iteration, the batch's is the same
    return [name for name in columns if name == "loss" or not _same(rows, name, "loss")]


def _columns(curves: Iterable[Rows]) -> list[str]:
    names = dict.fromkeys(chain.from_iterable(row for rows in curves for row in rows))
    return sorted((name for name in names if name != "iteration"), key=lambda name: name != "loss")


def panel_of(name: str) -> str:
    """The key of PANELS under which a column is drawn."""
    return "lr" if name == "lr" else "share" if is_share(name) else "loss"


def points_of(rows: Rows, name: str) -> list[tuple[float, float]]:
    """(iteration, value) of a column, shares in percent."""
    times = 100 if is_share(name) else 1
    return [(row["iteration"], times * row[name]) for row in rows if name in row]


def colours_of(columns: Sequence[str]) -> dict[str, str]:
    """A colour for each column: that of training or of tests, where it is free in the panel, or else another."""
    colours: dict[str, str] = {}
    for panel in PANELS:
        mine: dict[str, str] = {}
        for name in (each for each in columns if panel_of(each) == panel):
            kind = "train" if name == "loss" else name.rpartition(" ")[0]
            own = _RATE if panel == "lr" else COLOURS.get(kind)
            if kind == "train" and "loss" in mine:  # the same quantity, of one batch
                mine[name] = mine["loss"]
            elif own and own not in mine.values():
                mine[name] = own
            else:
                free = [colour for colour in series(7) if colour not in mine.values()]
                mine[name] = free[0] if free else series(len(mine))[-1]
        colours |= mine
    return {name: colours[name] for name in columns}


def label_of(name: str, rows: Rows) -> str:
    """A column in words, of tests with the last result."""
    if name in PANELS:
        return {"loss": "training loss, as displayed", "lr": "learning rate"}[name]
    kind, _, output = name.rpartition(" ")
    words = {"train": "training, a batch", "test-on-train": "test on training data"}.get(kind, kind)
    last = f", last {value_in_words(name, _last(rows, name))}" if kind.startswith("test") else ""
    return plain(f"{words}: {output.replace('_', ' ')}{last}")


def _same(rows: Rows, name: str, other: str) -> bool:
    """Whether a column says nothing that another does not."""
    return all(row[name] == row.get(other) for row in rows if name in row)


def _last(rows: Rows, name: str) -> float:
    return next(row[name] for row in reversed(rows) if name in row)


def _panels(columns: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """A figure, and its axes by the keys of PANELS that these columns need."""
    names = [panel for panel in PANELS if any(panel_of(name) == panel for name in columns)] or ["loss"]
    heights = [_LOW if name == "lr" else _TALL for name in names]
    figure = new_figure(figsize=(_INCHES, sum(heights)))
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False, height_ratios=heights)
    return figure, dict(zip(names, axes[:, 0]))


def _finish(figure: Any, panels: Mapping[str, Any], title: str, below: str, path: Path) -> None:
    for name, axes in panels.items():
        axes.set_ylabel(PANELS[name])
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if name == "share":
            axes.set_ylim(0, 101)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
        if name == "lr":
            _rates(axes)
        if name != "lr" and axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False, **({"loc": "upper left", "bbox_to_anchor": (1, 1)} if below else {}))
    lowest = list(panels.values())[-1]
    lowest.set_xlabel("iteration")
    whole_numbers(lowest.xaxis)
    heading(next(iter(panels.values())), title, below, _INCHES)
    save(figure, path)


def _rates(axes: Any) -> None:
    """Marks at the axis of learning rates: at each where they are few."""
    rates = sorted({rate for line in axes.lines for rate in line.get_ydata() if 0 < rate < math.inf})
    if len(rates) > 1:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(
            lambda value, _: f"{value:g}"
        )  # Matplotlib's are formulas, which `lettering` bans
    if 0 < len(rates) < 5:
        axes.set_yticks(rates, [f"{rate:g}" for rate in rates])
        axes.set_yticks([], minor=True)
        axes.set_ylim(rates[0] / 1.3, rates[-1] * 1.3)
