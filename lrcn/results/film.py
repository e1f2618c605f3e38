"""A classified video as a video: its frames and flow, bars of its classes, and the course of their scores.

MP4 holds VP9, which OpenCV's wheels can write without another package and every browser plays; they cannot write H.264.
A GIF is made smaller until it is below GIF_BYTES.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep import DataError
from data_prep.frames import decode
from data_prep.whole_files import beside, write_bytes
from lrcn.results import palette
from lrcn.results.lettering import class_in_words, fitted, lettering, plain
from lrcn.results.pictures import new_figure, whole_numbers
from lrcn.results.plotting import matplotlib
from readers.paths import checked

WIDTH, HEIGHT = 1280, 720
SUFFIXES = (".mp4", ".gif")
PAUSE = 1.5  # seconds, on the last frame
USUAL_FPS = 12.0  # where the video does not say
GIF_BYTES = 1_000_000
GIF_SIZES = [
    (640, 64, 48),
    (640, 32, 32),
    (480, 32, 32),
    (480, 16, 24),
    (320, 16, 16),
]  # width, colours, frames at most

# The places (left, top, width, height) of what moves, in pixels.
CLIP, FLOW, CLIP_ALONE = (40, 108, 380, 290), (450, 108, 380, 290), (40, 108, 790, 290)
BARS = (870, 108, 370, 290)
LONGEST = BARS[2] - 70  # a bar; its percent is at its right
GRAPH = (110, 462, 1130, 186)


@dataclass(frozen=True)
class Course:
    """What a net says of the video: its name, and its scores by frame (frames, classes), nan where it says nothing."""

    name: str
    by_frame: np.ndarray


@dataclass(frozen=True)
class Film:
    """A video to be drawn. images, flow: JPEG; flow has one less, of the second frame on, or none. courses: the net
    that answers, and the one beside it, if there is one. classes: the names of all; foremost: the numbers of those that
    have a bar and a line."""

    title: str
    images: Sequence[bytes]
    flow: Sequence[bytes]
    courses: Sequence[Course]
    classes: Sequence[str]
    foremost: Sequence[int]

    @property
    def colours(self) -> list[str]:
        return palette.series(len(self.foremost))


def most_said(scores: Sequence[np.ndarray], most: int = 4) -> list[int]:
    """The classes to be shown: what the first net's scores (classes,) hold highest, and the others' answers."""
    answers = [int(each.argmax()) for each in scores]
    ranked = np.argsort(-scores[0], kind="stable").tolist()
    return list(dict.fromkeys([answers[0], *(c for c in ranked[: most - 1]), *answers[1:], *ranked]))[:most]


# ---- frames ------------------------------------------------------------------------------------------------


def frames(film: Film) -> Iterator[np.ndarray]:
    """The pictures (HEIGHT, WIDTH, 3), RGB, one for each frame of the video."""
    background = _background(film)
    font, small = (ImageFont.truetype(_font(), size) for size in (22, 18))
    for t, jpeg in enumerate(film.images):
        picture = Image.fromarray(background)
        picture.paste(*_fitted(jpeg, CLIP if film.flow else CLIP_ALONE))
        draw = ImageDraw.Draw(picture)
        if film.flow and t:
            picture.paste(*_fitted(film.flow[t - 1], FLOW))
        draw.text((CLIP[0], 404), f"frame {t + 1} of {len(film.images)}", "black", small)
        _bars(draw, film, t, font)
        _cursor(draw, film, t)
        yield np.asarray(picture)


def _font() -> str:
    matplotlib()
    from matplotlib import font_manager

    return font_manager.findfont("DejaVu Sans")


def _fitted(jpeg: bytes, place: tuple[int, int, int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """The image as large as it goes into the place, and where its corner then lies."""
    image = decode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
    left, top, width, height = place
    scale = min(width / image.shape[1], height / image.shape[0])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    way = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
    return Image.fromarray(np.ascontiguousarray(image)).resize(size, way), (left, top)


def _background(film: Film) -> np.ndarray:
    """What does not move: title, names, and the courses whole."""
    names = [class_in_words(film.classes[c]) for c in film.foremost]
    with lettering([film.title, *names]):
        figure = new_figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)

        def text(x, y, words, size, wide=WIDTH, **style):
            words = fitted(plain(words), wide / 100, size)
            figure.text(x / WIDTH, 1 - y / HEIGHT, words, fontsize=size, va="top", **style)

        text(CLIP[0], 22, film.title, 20, 1080, weight="bold")
        text(CLIP[0], 76, "clip", 14)
        if film.flow:
            text(FLOW[0], 76, "flow, as the net sees it", 14)
        if film.courses[1:]:
            text(BARS[0], 76, "thick: " + "; thin: ".join(course.name.split(",")[0] for course in film.courses), 14)
        for row, name in enumerate(names):
            text(BARS[0], BARS[1] + row * _row(film), name, 16, BARS[2])
        _courses(figure, film)
        figure.canvas.draw()
    pixels = np.array(figure.canvas.buffer_rgba())[..., :3]
    return np.ascontiguousarray(pixels)


def _courses(figure, film: Film) -> None:
    left, top, width, height = GRAPH
    axes = figure.add_axes((left / WIDTH, 1 - (top + height) / HEIGHT, width / WIDTH, height / HEIGHT))
    moments = np.arange(1, len(film.images) + 1)
    for course, style, thickness in zip(film.courses, ("-", (0, (4, 2))), (3.0, 1.8)):
        look = {"linestyle": style, "linewidth": thickness}
        axes.plot([], [], color="black", label=course.name, **look)
        for c, colour in zip(film.foremost, film.colours):
            axes.plot(moments, course.by_frame[:, c], color=colour, **look)
    axes.axhline(1 / len(film.classes), color=palette.COLOURS["chance"], linestyle=":", linewidth=1.5, label="chance")
    axes.set_xlim(0.5, len(moments) + 0.5)
    axes.set_ylim(-0.03, 1.03)
    whole_numbers(axes.xaxis)
    axes.tick_params(labelsize=13)
    axes.set_yticks(np.linspace(0, 1, 5), [f"{percent} %" for percent in range(0, 101, 25)])
    axes.set_ylabel("score", fontsize=14)
    axes.set_xlabel("frame", fontsize=14)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=13, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), frameon=False, borderaxespad=0.1)


def _row(film: Film) -> float:
    """Pixels from one class's bars to the next's."""
    return BARS[3] / max(len(film.foremost), 3)


def _bars(draw: ImageDraw.ImageDraw, film: Film, t: int, font) -> None:
    """The scores at frame t: of each class a bar of the net that answers above a thin one of the net beside it."""
    left, top, _, _ = BARS
    for row, (c, colour) in enumerate(zip(film.foremost, film.colours)):
        y = top + row * _row(film)
        for course, (at, thick) in zip(film.courses, ((29, 15), (46, 7))):
            value = float(np.nan_to_num(course.by_frame[t, c]))
            draw.rectangle((left, y + at, left + LONGEST, y + at + thick), fill="#EEEEEE")
            if value > 0:
                draw.rectangle((left, y + at, left + LONGEST * value, y + at + thick), fill=colour)
        score = film.courses[0].by_frame[t, c]
        draw.text((left + LONGEST + 8, y + 24), "-" if np.isnan(score) else f"{100 * score:.0f} %", "black", font)


def _cursor(draw: ImageDraw.ImageDraw, film: Film, t: int) -> None:
    """Where in the courses frame t is."""
    left, top, width, height = GRAPH
    x = left + width * (t + 0.5) / len(film.images)
    draw.line((x, top, x, top + height), "black", 2)
    for course in film.courses[::-1]:
        radius = 7 if course is film.courses[0] else 5
        for c, colour in zip(film.foremost, film.colours):
            if np.isfinite(value := course.by_frame[t, c]):
                y = top + height * (1 - (value + 0.03) / 1.06)
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline="white")


# ---- files -------------------------------------------------------------------------------------------------


def write(film: Film, fps: float | None, path: Path, tell: Callable[[int], None] = lambda done: None) -> None:
    """An .mp4 or .gif, whole or not at all. tell: is told how many frames are drawn. DataError, one line, where it
    cannot be written."""
    drawn = _told(frames(film), tell)
    (_write_gif if path.suffix.lower() == ".gif" else _write_mp4)(drawn, fps or USUAL_FPS, path)


def _told(pictures: Iterator[np.ndarray], tell: Callable[[int], None]) -> Iterator[np.ndarray]:
    for done, picture in enumerate(pictures, 1):
        yield picture
        tell(done)


def _write_mp4(pictures: Iterable[np.ndarray], fps: float, path: Path) -> None:
    with beside(path, ".mp4") as new:
        count = _encode(pictures, fps, new, path)
        if cv2.VideoCapture(str(new)).get(cv2.CAP_PROP_FRAME_COUNT) != count:  # OpenCV does not say it itself
            raise DataError(f"{path}: cannot be written to its end; see whether the disk is full, and call again")


def _encode(pictures: Iterable[np.ndarray], fps: float, file: Path, path: Path) -> int:
    """Writes the video that is to be `path` into `file`; gives the number of its frames."""
    writer = cv2.VideoWriter(
        checked(file, DataError), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"vp09"), fps, (WIDTH, HEIGHT)
    )
    try:
        if not writer.isOpened():
            raise DataError(f"{path}: OpenCV cannot write VP9 there; see that the folder is yours, or name a .gif")
        count = 0
        for picture in pictures:
            writer.write(picture[..., ::-1])
            count += 1
        pause = round(PAUSE * fps)
        for _ in range(pause):
            writer.write(picture[..., ::-1])
        return count + pause
    finally:
        writer.release()


def _write_gif(pictures: Iterable[np.ndarray], fps: float, path: Path) -> None:
    """As large as GIF_BYTES allow."""
    largest = GIF_SIZES[0][0]
    drawn = [
        Image.fromarray(each).resize((largest, largest * HEIGHT // WIDTH), Image.Resampling.LANCZOS)
        for each in pictures
    ]
    for width, colours, most in GIF_SIZES:
        content = _gif(drawn, fps, width, colours, -(-len(drawn) // most))
        if len(content) <= GIF_BYTES:
            break
    write_bytes(path, content)


def _gif(drawn: Sequence[Image.Image], fps: float, width: int, colours: int, step: int) -> bytes:
    """Every `step`-th of the pictures and the last, of so many colours."""
    chosen = [*drawn[:-1:step], drawn[-1]]
    sized = [each.resize((width, width * HEIGHT // WIDTH), Image.Resampling.LANCZOS) for each in chosen]
    shared = _sample(sized).quantize(colours, Image.Quantize.MEDIANCUT, kmeans=1)  # else colours are far off
    reduced = [each.quantize(palette=shared, dither=Image.Dither.NONE) for each in sized]
    times = [max(1000 * step / fps, 20)] * (len(reduced) - 1) + [1000 * PAUSE]
    content = io.BytesIO()
    reduced[0].save(
        content,
        "GIF",
        save_all=True,
        append_images=reduced[1:],
        duration=[round(each) for each in times],
        loop=0,
        optimize=True,
    )
    return content.getvalue()


def _sample(pictures: Sequence[Image.Image]) -> Image.Image:
    """What a palette is made of: a few of the pictures, and as much of the lines' colours, which are thin in them."""
    width, height = pictures[0].size
    chosen = pictures[:: -(-len(pictures) // 4)]
    sample = Image.new("RGB", (width, height * (len(chosen) + 1)), "white")
    for row, picture in enumerate(chosen):
        sample.paste(picture, (0, height * row))
    colours = palette.series(7)
    for at, colour in enumerate(colours):
        sample.paste(colour, (width * at // 8, height * len(chosen), width * (at + 1) // 8, height * (len(chosen) + 1)))
    return sample
