"""Pictures of described videos: what a net reads of each, a CRF's slots or activations of frames, and its sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lrcn.results import palette
from lrcn.results.lettering import fitted, lettering, plain
from lrcn.results.pictures import new_figure, picture_names, save, sentences_below, whole_numbers

MOST_WORDS = 3  # of a slot
COLUMN, LEAST = 1.55, 4.65  # inches: a slot, a picture at least

Slots = Mapping[str, Sequence[tuple[str, float]]]


def paths(ids: Sequence[str], folder: Path) -> list[Path]:
    """ID.png in `folder` for each video, whatever its id."""
    names = [re.sub(r"[^\w.-]+", "_", name)[:100] for name in ids]
    return [folder / name for name in picture_names([f"{name or '_'}.png" for name in names])]


def draw_slots(name: str, slots: Slots, sentences: Sequence[tuple[float, str]], path: Path) -> None:
    """What is known of the video `name`, a bar a word, and below the sentences after their log probabilities."""
    texts = [name, *slots, *(word for words in slots.values() for word, _ in words), *(text for _, text in sentences)]
    with lettering(texts):
        wide = max(COLUMN * len(slots), LEAST)
        figure = new_figure(figsize=(wide, 1.0))
        spread = {"wspace": 0.08, "left": 0, "right": 1}
        panels = figure.subplots(1, max(len(slots), 1), squeeze=False, gridspec_kw=spread)
        for axes, (slot, words) in zip(panels[0], slots.items()):
            _slot(axes, slot, words[:MOST_WORDS])
        _with_sentences(figure, panels[0][0], name, sentences, wide, path)


def _slot(axes, slot: str, words: Sequence[tuple[str, float]]) -> None:
    axes.set_title(fitted(plain(slot), COLUMN - 0.2, 9, "bold"), fontsize=9, loc="left", weight="bold")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(MOST_WORDS - 0.5, -0.5)
    axes.axis("off")
    for row, (word, probability) in enumerate(words or [("missing", 0)]):
        axes.barh(row + 0.22, probability, 0.28, color=palette.series(1)[0])
        label = f"{plain(word)} {probability:.2f}" if words else word
        axes.text(
            0, row, fitted(label, COLUMN - 0.2, 8), fontsize=8, va="bottom", color="black" if words else "#6B6B6B"
        )


def draw_frames(name: str, frames: np.ndarray, sentences: Sequence[tuple[float, str]], path: Path) -> None:
    """The activations (T, D) of the video `name`, a column a frame, and below the sentences."""
    with lettering([name, *(text for _, text in sentences)]):
        figure = new_figure(figsize=(LEAST, 1.6))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(
            frames.T, aspect="auto", cmap="viridis", interpolation="nearest", extent=(0.5, len(frames) + 0.5, 0, 1)
        )
        axes.set_yticks([])
        axes.set_ylabel(f"{frames.shape[1]} activations", fontsize=8)
        axes.set_xlabel("frame that the net reads", fontsize=8)
        axes.tick_params(labelsize=7)
        whole_numbers(axes.xaxis)
        _with_sentences(figure, axes, name, sentences, LEAST, path, 26)


def _with_sentences(figure, axes, name: str, sentences, wide: float, path: Path, lower: float = 0) -> None:
    """lower: points that the axes' labels take below them."""
    axes.annotate(
        fitted(plain(name), wide, 11),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 6 if lower else 20),
        textcoords="offset points",
        fontsize=11,
        annotation_clip=False,
    )
    sentences_below(axes, sentences, wide, lower)
    save(figure, path)
