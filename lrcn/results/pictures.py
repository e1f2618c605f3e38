"""Pictures of results, PNG: each appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from data_prep import DataError
from data_prep.whole_files import beside
from lrcn.results import palette
from lrcn.results.lettering import class_in_words, fitted, lettering, plain, wrapped
from lrcn.results.palette import COLOURS, DASHES, MARKERS
from lrcn.results.plotting import matplotlib


def new_figure(**look):
    """A figure of Matplotlib's, not pyplot's: who plots in the same process or notebook keeps the backend."""
    matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(**look)
    FigureCanvasAgg(figure)
    return figure


MARK = "lrcn"  # in each PNG


def check_drawn_over(paths: Iterable[Path]) -> None:
    """DataError where a file takes one of these places which is no picture of lrcn's: a photograph of the same name."""
    for path in paths:
        if path.exists() and not _is_ours(path):
            raise DataError(f"{path}: is there already, and was not drawn by lrcn; move it, or give another --out")


def _is_ours(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return f"tEXtSoftware\0{MARK}".encode() in file.read(1024)
    return False


def save(figure, path: Path, vector: bool = False) -> None:
    """A PNG, or PDF by its name, cut to all that is drawn; vector: and beside it the same as PDF, for a paper."""
    path = Path(path)
    for each in [path, path.with_suffix(".pdf")][: 1 + vector]:
        kind = each.suffix[1:].lower()
        about = {"CreationDate": None} if kind == "pdf" else {"Software": MARK}  # the same bytes each time
        with beside(each) as new:
            figure.savefig(new, dpi=150, format=kind, bbox_inches="tight", pad_inches=0.12, metadata=about)


def heading(axes, head: str, below: str, inches: float, lift: float = 6) -> None:
    """A headline and a smaller line of what it is about, above the axes and from their left; folded to so many inches.
    lift: points above the axes."""
    for text, size, weight, colour in (below, 8, "normal", "#444444"), (head, 10.5, "bold", "black"):
        lines = wrapped(plain(text), inches, size, weight, most=4) if text else []
        for line in reversed(lines):
            place = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, lift), "textcoords": "offset points"}
            axes.annotate(line, **place, fontsize=size, weight=weight, color=colour, annotation_clip=False)
            lift += 1.35 * size


def line(axes, x, y, name: str, label: str, **look) -> None:
    """A line of percent, with the colour, dash and marker of its name in the palette."""
    dashes = (0, DASHES[name]) if DASHES[name] else "-"
    own = {"color": COLOURS[name], "marker": MARKERS[name], "markersize": 3.5, "linewidth": 1.4, "linestyle": dashes}
    own["clip_on"] = False  # markers at the edge are whole
    axes.plot(x, y, label=label, **own | look)


def percent_axis(axes, chance: float) -> None:
    """From 0 to 100, with a line at the percent that are right by chance."""
    line(axes, [0, 1], [chance, chance], "chance", f"chance, {chance:.3g} %", transform=axes.get_yaxis_transform())
    axes.set_ylim(0, 101)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def whole_numbers(axis) -> None:
    """No tick of the axis lies between two whole numbers, however few there are."""
    axis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def legend_beside(axes, **place) -> None:
    """At the right of the axes, over no line."""
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False, **place)


def over_time(models: dict[str, dict], classes: int, data: str, path: Path) -> None:
    """What each frame of the clip says, a panel a model: of one clip (dashed, hollow), and of all clips of a video
    (solid). classes: how many; data: which, in words."""
    with lettering([data, *models]):
        size = (3.6 * len(models) + 0.6, 4)
        figure = new_figure(figsize=size)
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)
        for axes, (model, columns) in zip(panels[0], models.items()):
            for column, numbers in columns.items():
                for kind, look in _KINDS.items():
                    if kind in numbers:
                        frames = range(1, len(numbers[kind]) + 1)
                        line(axes, frames, numbers[kind], column, f"{palette.title(column)}, {_OF[kind]}", **look)
            percent_axis(axes, 100 / classes)
            axes.set_title(plain(palette.title(model)), fontsize=9)
            axes.set_xlabel("frame of the clip")
            whole_numbers(axes.xaxis)
        panels[0][0].set_ylabel("right by this frame")
        legend_beside(panels[0][-1])
        heading(panels[0][0], "Accuracy over time within the clip", data, size[0] + 1, lift=22)
        save(figure, path, vector=True)


_KINDS = {"video": {"linestyle": "-"}, "clip": {"linestyle": (0, (4, 2)), "markerfacecolor": "white"}}
_OF = {"video": "all clips of a video", "clip": "one clip"}


def fusion(sweeps: dict[str, dict], classes: int, data: str, path: Path) -> None:
    """Accuracy by the weight of RGB, a line a model, with the published weights marked. classes: how many; data: which,
    in words."""
    with lettering([data, *sweeps]):
        figure = new_figure(figsize=(5.4, 4))
        axes = figure.subplots()
        for model, sweep in sweeps.items():
            line(axes, sweep["rgb_weight"], sweep["accuracy"], model, plain(palette.title(model)))
        for weight in (1 / 3, 1 / 2):
            axes.axvline(weight, color="#444444", linewidth=0.8, zorder=0)
        percent_axis(axes, 100 / classes)
        axes.set_xlim(0, 1)
        names = ["flow alone", "1/3\npublished", "1/2\npublished", "RGB alone"]
        axes.set_xticks([0, 1 / 3, 1 / 2, 1], names, fontsize=8)
        axes.set_xlabel("weight of RGB, the rest is flow's")
        axes.set_ylabel("test videos right")
        legend_beside(axes)
        heading(axes, "Average of RGB and flow", data, 6.6)
        save(figure, path, vector=True)


@dataclass(frozen=True)
class Caption:
    """A caption below an image, and who says it. wrong: in what it is untrue of the image; None where no truth is
    known."""

    who: str
    text: str
    wrong: Sequence[str] | None = None

    def lines(self) -> list[tuple[str, dict]]:
        """Folded, each with its look: a mark and what is wrong where the truth is known."""
        mark, look = ("", {}) if self.wrong is None else ("\u2717 ", _WRONG) if self.wrong else ("\u2713 ", _RIGHT)
        texts = [f"{mark}{plain(self.who)}: {plain(self.text)}"]
        texts += [f"wrong: {', '.join(map(plain, self.wrong))}"] if self.wrong else []
        return [(line, look) for text in texts for line in wrapped(text, _CELL, _SMALL, most=4)]


_CELL, _SMALL = 3.0, 8.0  # an image's width in inches; points
_RIGHT, _WRONG = {"color": "#005a8c"}, {"color": "#a84600"}
_REFERENCE = {"color": "#555555", "style": "italic"}


def captioned(
    images: Sequence[np.ndarray],
    captions: Sequence[Sequence[Caption]],
    references: Sequence[Sequence[str]],
    title: str,
    data: str,
    path: Path,
) -> None:
    """Images (BGR) in a grid, four a row; below each its captions, right and wrong ones marked where the truth is
    known, and what people said of it."""
    with lettering([title, data, *chain(*references), *(each.text for of in captions for each in of)]):
        cells = [
            [line for each in of_image for line in each.lines()]
            + [
                (line, _REFERENCE)
                for text in said
                for line in wrapped(f"reference: {plain(text)}", _CELL, _SMALL, most=2)
            ]
            for of_image, said in zip(captions, references)
        ]
        columns = min(4, len(images))
        figure, y = new_figure(figsize=(1, 1)), 0.0  # axes stand in inches, and `save` cuts to what is drawn
        for start in range(0, len(images), columns):
            row = list(zip(images[start : start + columns], cells[start : start + columns]))
            high = max(_height(image) for image, _ in row)
            y -= high
            for place, (image, lines) in enumerate(row):
                axes = figure.add_axes((place * (_CELL + 0.3), y, _CELL, _height(image)))
                _image(axes, image)
                _below(axes, lines)
                if not start and not place:
                    lift = 6 + 72 * (high - _height(image))
                    heading(axes, title, data, max(columns * (_CELL + 0.3), 4), lift)
            y -= max(len(lines) for _, lines in row) * 1.35 * _SMALL / 72 + 0.35
        save(figure, path)


def _height(image: np.ndarray) -> float:
    """Of an image in its cell, in inches."""
    return _CELL * min(max(image.shape[0] / image.shape[1], 0.15), 2)


def _image(axes, image: np.ndarray) -> None:
    """A BGR image without axes, in its own proportions, at the lower left of their place: above its captions."""
    axes.imshow(image[..., ::-1])
    axes.set_anchor("SW")
    axes.axis("off")


def _below(axes, lines: Sequence[tuple[str, dict]], points: float = _SMALL, right: float = 0, lower: float = 0) -> None:
    """Lines of text below the axes, so many inches to the right of their left, and so many points lower."""
    for number, (text, look) in enumerate(lines, 1):
        place = {"xy": (0, 0), "xycoords": "axes fraction", "xytext": (72 * right, -1.35 * points * number - 1 - lower)}
        axes.annotate(text, **place, textcoords="offset points", fontsize=points, annotation_clip=False, **look)


THUMBNAILS, LINES = 8, 5  # frames and classes in a picture of a classified video


def spread(count: int) -> list[int]:
    """The numbers of the frames that a picture shows of `count`."""
    columns = min(THUMBNAILS, count)
    return [int((column + 0.5) * count / columns) for column in range(columns)]


def classified(images: list, by_frame: np.ndarray, scores: np.ndarray, classes, fps, title: str, path: Path) -> None:
    """Frames of a video (BGR) in a strip, each above its moment in the plot of scores over time (frames, classes); the
    classes with the highest `scores` (classes,) have a line, and the highest is the headline. title: what was
    classified by what."""
    count, columns = len(by_frame), len(images)
    best = np.argsort(-scores, kind="stable")[:LINES]
    names = {c: class_in_words(classes[c]) for c in best}
    with lettering([title, *names.values()]):
        whole_strip = 8.4 / columns * images[0].shape[0] / images[0].shape[1]  # inches
        strip = min(whole_strip, 3)
        across = 0.96 * strip / whole_strip  # of its column: a thumbnail keeps its proportions
        whole = {"left": 0, "right": 1, "bottom": 0, "top": 1, "hspace": 0.05}  # `save` cuts to all that is drawn
        figure = new_figure(figsize=(8.4, strip + 3))
        above, below = figure.subplots(2, 1, height_ratios=[strip, 2.9], sharex=True, gridspec_kw=whole)
        for column, image in enumerate(images):
            span = [0.5 + (column + 0.5 + side * across) * count / columns for side in (-0.5, 0.5)]
            above.imshow(image[..., ::-1], extent=[*span, 0, 1], aspect="auto")
        above.set_ylim(0, 1)
        above.axis("off")
        heading(above, f"{names[best[0]]}, {100 * scores[best[0]]:.0f} %", title, 9)
        for c, colour, name in zip(best, palette.series(LINES), _LINES):
            label = f"{fitted(names[c], 2.4, 8)}, {100 * scores[c]:.0f} %"
            look = {"color": colour, "markevery": max(1, count // 12)}
            line(below, np.arange(1, count + 1), 100 * by_frame[:, c], name, label, **look)
        percent_axis(below, 100 / len(classes))
        below.set_xlim(0.5, count + 0.5)
        whole_numbers(below.xaxis)
        below.set_xlabel(f"frame, {fps:g} a second" if fps else "frame")
        below.set_ylabel("score")
        legend_beside(below)
        save(figure, path)


_LINES = ("rgb", "flow", "average_1/2_1/2", "average_1/3_2/3", "lrcn-fc7")  # whose dashes and markers the classes have


def picture_names(paths, ending: str = "") -> list[str]:
    """NAME.png for each file or folder; of several of one name the later ones are counted. ending: of other pictures
    of the same, NAME`ending`.png, none of which has a name of the former."""
    taken = set(picture_names(paths)) if ending else set()
    names: list[str] = []
    for path in map(Path, paths):
        stem, number = path.stem if path.suffix else path.name, 1
        name = f"{stem}{ending}.png"
        while name in taken or name in names:
            number += 1
            name = f"{stem}-{number}{ending}.png"
        names.append(name)
    return names


def described(image: np.ndarray, sentences: list[tuple[float, str]], path: Path) -> None:
    """The image (BGR) with sentences below, the first one bold, each after its log probability."""
    with lettering([text for _, text in sentences]):
        figure = new_figure(figsize=(_WIDE, _WIDE * _height(image) / _CELL))
        axes = figure.add_axes((0, 0, 1, 1))
        _image(axes, image)
        sentences_below(axes, sentences, _WIDE)
        save(figure, path)


_WIDE = 7.0  # inches, of a picture of one image


def sentences_below(axes, sentences: Sequence[tuple[float, str]], wide: float, lower: float = 0) -> None:
    """Sentences below the axes, within so many inches, the first one bold, each after its log probability. lower: so
    many points of room before them."""
    points, before = 10.0, 0.7  # points, inches
    lines: list[tuple[str, dict]] = []
    for number, (log_prob, sentence) in enumerate(sentences):
        weight = "normal" if number else "bold"
        place = {"xy": (0, 0), "xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        at = (72 * before - 8, -1.35 * points * (len(lines) + 1) - 1 - lower)
        axes.annotate(f"{log_prob:.2f}", **place, xytext=at, ha="right", fontsize=points, color="#555555")
        lines += [
            (each, {"weight": weight}) for each in wrapped(plain(sentence), wide - before, points, weight, most=6)
        ]
    _below(axes, lines, points, before, lower)
