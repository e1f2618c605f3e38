"""Pictures of results, PNG: each appears whole or not at all."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path

import numpy as np

COLOURS = {"rgb": "tab:red", "flow": "tab:blue", "average_1/2_1/2": "tab:gray", "average_1/3_2/3": "black"}
TITLES = {
    "rgb": "RGB",
    "flow": "flow",
    "average_1/2_1/2": "1/2 RGB + 1/2 flow",
    "average_1/3_2/3": "1/3 RGB + 2/3 flow",
}


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
    """The confusion matrix: rows are the true classes, in percent of each."""
    shares = np.array(measured["confusion"], float)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    side = max(4.5, 0.22 * len(classes))
    figure, axes = pyplot().subplots(figsize=(side + 1, side))
    image = axes.imshow(100 * shares, cmap="viridis", vmin=0, vmax=100)
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=7)
    axes.set_yticks(range(len(classes)), classes, fontsize=7)
    if len(classes) <= 12:
        for row, column in np.ndindex(shares.shape):
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
        ["\n".join(textwrap.wrap(f"{name}: {text}", 44, max_lines=4)) for name, text in said.items()]
        for said in captions
    ]
    below = 0.16 * max("\n".join(said).count("\n") + 1 for said in lines) + 0.2  # inches
    figure, panels = pyplot().subplots(
        rows, columns, figsize=(3.2 * columns, (2.4 + below) * rows + 0.4), squeeze=False, constrained_layout=True
    )
    for axes in panels.flat:
        axes.axis("off")
    for axes, image, said in zip(panels.flat, images, lines):
        axes.imshow(image[..., ::-1])
        axes.set_title("\n".join(said), fontsize=8, loc="left", y=0, va="top", pad=-4, parse_math=False)
    figure.suptitle(title, parse_math=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that the font has not is drawn as a box
        save(figure, path)
