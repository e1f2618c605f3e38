"""Words in pictures: names of classes as a reader would write them; any text so that it can be drawn, and fits."""

from __future__ import annotations

import logging
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from lrcn.results.plotting import matplotlib

FONT = "DejaVu Sans"  # comes with Matplotlib
_JOINERS = "\u200c\u200d"  # of Persian and of the scripts of India; all other format characters are not drawn
_RESOLUTION = 720  # dots per inch at which text is measured


def plain(text: str) -> str:
    """The text on one line; control characters, marks that turn the direction of writing and halves of surrogate pairs
    are U+FFFD."""
    one_line = " ".join(str(text).split())
    return "".join(
        "\ufffd" if unicodedata.category(letter)[0] == "C" and letter not in _JOINERS else letter for letter in one_line
    )


def class_in_words(name: str) -> str:
    """ "ApplyEyeMakeup" and "apply_eye_makeup" as words, for display."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain(name).replace("_", " "))
    return " ".join(words.split()) or "\ufffd"


@contextmanager
def lettering(texts: Iterable[str] = ()) -> Iterator[None]:
    """Within it Matplotlib draws text as it stands, dollar signs too, in fonts that have the letters of `texts`."""
    style = {"font.family": families(texts), "text.parse_math": False, "pdf.fonttype": 42}  # 42: letters stay letters
    with matplotlib().rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that no font here has is drawn as a box
        log = logging.getLogger("matplotlib.font_manager")
        level = log.level
        log.setLevel(logging.ERROR)  # it warns of a font that has no bold letters
        try:
            yield
        finally:
            log.setLevel(level)


def families(texts: Iterable[str]) -> list[str]:
    """The fonts in which a letter is looked for, in order: Matplotlib's own, then for each letter that it lacks the
    first installed one that has it."""
    matplotlib()
    from matplotlib import font_manager

    missing = set("".join(texts)) - _letters(font_manager.findfont(FONT))
    chosen = [FONT]
    for entry in sorted(font_manager.fontManager.ttflist, key=lambda font: (font.style, font.name, font.fname)):
        if not missing:
            break
        if entry.name.startswith("Last Resort"):  # has a box for every letter
            continue
        if has := missing & _letters(entry.fname):
            chosen.append(entry.name)
            missing -= has
    return chosen


@cache
def _letters(file: str) -> frozenset[str]:
    """Those that a font's file has; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


@cache
def _renderer():
    matplotlib()
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, _RESOLUTION)


def width(text: str, points: float, weight: str = "normal") -> float:
    """Of the text on one line, in inches."""
    matplotlib()
    from matplotlib.font_manager import FontProperties

    font = FontProperties(size=points, weight=weight)
    return _renderer().get_text_width_height_descent(text, font, False)[0] / _RESOLUTION


def fitted(text: str, inches: float, points: float, weight: str = "normal") -> str:
    """The text, its end replaced by an ellipsis where it is wider."""
    if len(text) < 40 * inches * 72 / points and width(text, points, weight) <= inches:
        return text
    low, high = 0, min(len(text), int(20 * inches * 72 / points))  # as many letters as fit; none is that narrow
    while low < high:
        middle = (low + high + 1) // 2
        fits = width(text[:middle] + "\u2026", points, weight) <= inches
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[:low].rstrip() + "\u2026"


def wrapped(text: str, inches: float, points: float, weight: str = "normal", most: int = 0) -> list[str]:
    """Lines no wider than so many inches; a word that is wider is cut. most: lines, the last one ends in an ellipsis
    where there would be more; 0: as many as there are."""
    words, lines = text.split(" "), []
    while words:
        line = words.pop(0)
        while words and width(f"{line} {words[0]}", points, weight) <= inches:
            line = f"{line} {words.pop(0)}"
        if len(lines) + 1 == most:
            return [*lines, fitted(" ".join([line, *words]), inches, points, weight)]
        if (begin := fitted(line, inches, points, weight)) != line:
            cut = max(1, len(begin) - 1)
            line, words = line[:cut], [line[cut:], *words]
        lines.append(line)
    return lines
