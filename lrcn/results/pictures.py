"""Pictures of results, PNG: each appears whole or not at all."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path

import numpy as np

from lrcn.results.palette import COLOURS, TITLES


def pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot

    return matplotlib.pyplot


def save(figure, path: Path) -> None:
    path = Path(path)
    part = path.with_name(path.name + ".part")
    figure.savefig(part, dpi=110, format="png")
    pyplot().close(figure)
    part.replace(path)


def confusion(measured: dict, classes: list[str], title: str, path: Path) -> None:
    """The confusion matrix: rows are the true classes, in percent of each; those without videos stay empty."""
    shares = np.array(measured["confusion"], float)
    videos = shares.sum(1, keepdims=True)
    shares = np.divide(shares, videos, out=np.full_like(shares, np.nan), where=videos > 0)
    side = max(4.5, 0.22 * len(classes))
    figure, axes = pyplot().subplots(figsize=(side + 1, side))
    image = axes.imshow(100 * shares, cmap="viridis", vmin=0, vmax=100)
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=7)
    names = [name if count else f"{name} (no video)" for name, count in zip(classes, videos[:, 0])]
    axes.set_yticks(range(len(classes)), names, fontsize=7)
    if len(classes) <= 12:
        for row, column in np.argwhere(np.isfinite(shares)):
            axes.text(
                column,
                row,
                f"{100 * shares[row, column]:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="black" if shares[row, column] > 0.6 else "white",
            )
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    axes.set_title(f"{title}: {measured['accuracy']:.1f} %")
    figure.colorbar(image, label="percent of the class's videos")
    figure.tight_layout()
    save(figure, path)


def over_time(models: dict[str, dict], title: str, path: Path) -> None:
    """What each frame of the clip says, a panel a model: of one clip (dashed), and of all clips of a video (solid)."""
    plt = pyplot()
    figure, panels = plt.subplots(1, len(models), figsize=(4.6 * len(models), 4), sharey=True, squeeze=False)
    for axes, (model, columns) in zip(panels[0], models.items()):
        for column, numbers in columns.items():
            for kind, style in ("video", "-"), ("clip", "--"):
                if kind in numbers:
                    values = numbers[kind]
                    axes.plot(
                        range(1, len(values) + 1),
                        values,
                        style,
                        color=COLOURS[column],
                        marker=".",
                        label=f"{TITLES[column]}, {kind}",
                    )
        axes.set_title(model)
        axes.set_xlabel("frame of the clip")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    panels[0][0].set_ylabel("percent right by this frame")
    figure.suptitle(title)
    figure.tight_layout()
    save(figure, path)


def fusion(sweeps: dict[str, dict], title: str, path: Path) -> None:
    """Accuracy by the weight of RGB, a line a model, with the published weights marked."""
    figure, axes = pyplot().subplots(figsize=(6, 4.2))
    for model, sweep in sweeps.items():
        axes.plot(sweep["rgb_weight"], sweep["accuracy"], marker=".", label=model)
    for weight, name in (1 / 3, "1/3"), (1 / 2, "1/2"):
        axes.axvline(weight, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"published {name}",
            (weight, 0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 4),
            textcoords="offset points",
            fontsize=7,
            rotation=90,
        )
    axes.set_xlabel("weight p of RGB in p RGB + (1 - p) flow")
    axes.set_ylabel("percent of test videos right")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    axes.set_title(title)
    figure.tight_layout()
    save(figure, path)


def captioned(images: list[np.ndarray], captions: list[dict[str, str]], title: str, path: Path) -> None:
    """Images (BGR) in a grid, four a row, each above its captions {who said it: caption}."""
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    lines = [
        "\n".join("\n".join(textwrap.wrap(f"{name}: {text}", 44, max_lines=4)) for name, text in of_image.items())
        for of_image in captions
    ]
    below = 0.16 * max(text.count("\n") + 1 for text in lines) + 0.2  # inches
    figure, panels = pyplot().subplots(
        rows, columns, figsize=(3.2 * columns, (2.4 + below) * rows + 0.4), squeeze=False, constrained_layout=True
    )
    for axes in panels.flat:
        axes.axis("off")
    for axes, image, text in zip(panels.flat, images, lines):
        axes.imshow(image[..., ::-1])
        axes.set_title(text, fontsize=8, loc="left", y=0, va="top", pad=-4, parse_math=False)
    figure.suptitle(title, parse_math=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that the font has not is drawn as a box
        save(figure, path)


def curve(rows: list[dict[str, float]], title: str, path: Path) -> None:
    """Loss above accuracy, by iteration: each row has "iteration", and what was measured then."""
    figure, (above, below) = pyplot().subplots(2, 1, sharex=True, figsize=(7, 6))
    for name in dict.fromkeys(name for row in rows for name in row):
        if name in ("iteration", "lr"):
            continue
        points = [(row["iteration"], row[name]) for row in rows if name in row]
        (below if "accuracy" in name else above).plot(*zip(*points), label=name, linewidth=1)
    for axes, measured in ((above, "loss"), (below, "accuracy")):
        axes.set_ylabel(measured)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    below.set_xlabel("iteration")
    above.set_title(title)
    figure.tight_layout()
    save(figure, path)


THUMBNAILS, LINES = 8, 5  # frames and classes in a picture of a classified video


def spread(count: int) -> list[int]:
    """The numbers of the frames that a picture shows of `count`."""
    columns = min(THUMBNAILS, count)
    return [int((column + 0.5) * count / columns) for column in range(columns)]


def classified(images: list, by_frame: np.ndarray, scores: np.ndarray, classes, fps, title: str, path: Path) -> None:
    """Frames of a video (BGR) in a strip, each above its moment in the plot of scores over time (frames, classes); the
    classes with the highest `scores` (classes,) have a line."""
    count, columns = len(by_frame), len(images)
    strip = min(8.4 / columns * images[0].shape[0] / images[0].shape[1], 3)  # inches: thumbnails are not squeezed
    figure, (above, below) = pyplot().subplots(
        2, 1, figsize=(10, strip + 3.6), height_ratios=[strip, 2.9], sharex=True, constrained_layout=True
    )
    unit = 1 / fps if fps else 1
    for column, image in enumerate(images):
        span = [(column + side) * count / columns * unit for side in (0.02, 0.98)]
        above.imshow(image[..., ::-1], extent=[*span, 0, 1], aspect="auto")
    above.set_ylim(0, 1)
    above.axis("off")
    above.set_title(title)
    for c in np.argsort(-scores, kind="stable")[:LINES]:
        below.plot(
            (np.arange(count) + 0.5) * unit,
            by_frame[:, c],
            marker="." if count < 3 else None,
            linewidth=1.5,
            label=f"{classes[c]} {scores[c]:.2f}",
        )
    below.set_xlim(0, count * unit)
    below.set_ylim(-0.02, 1.02)
    below.set_xlabel("seconds" if fps else "frame")
    below.set_ylabel("score")
    below.grid(alpha=0.3)
    below.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path)


def picture_names(paths, ending: str = "") -> list[str]:
    """NAME.png, or NAME`ending`.png, for each file or folder; of several of one name the later ones are counted."""
    names: list[str] = []
    for path in map(Path, paths):
        stem, number = path.stem if path.suffix else path.name, 1
        name = f"{stem}{ending}.png"
        while name in names:
            number += 1
            name = f"{stem}-{number}{ending}.png"
        names.append(name)
    return names


def described(image: np.ndarray, sentences: list[tuple[float, str]], path: Path) -> None:
    """The image (BGR) with sentences below, each after its log probability."""
    lines = []
    for log_prob, sentence in sentences:
        wrapped = textwrap.wrap(sentence, 72) or [""]
        lines += [f"{log_prob:9.2f}  {wrapped[0]}", *(" " * 11 + line for line in wrapped[1:])]
    below, height = 0.2 * len(lines) + 0.25, 7 * min(max(image.shape[0] / image.shape[1], 0.15), 2)  # inches
    figure = pyplot().figure(figsize=(7, height + below))
    axes = figure.add_axes((0.02, below / (height + below), 0.96, 0.98 * height / (height + below)))
    axes.imshow(image[..., ::-1])
    axes.axis("off")
    figure.text(
        0.02,
        (below - 0.08) / (height + below),
        "\n".join(lines),
        va="top",
        fontsize=9,
        family="monospace",
        linespacing=1.3,
        parse_math=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that the font has not is drawn as a box
        save(figure, path)
