"""Flow as images: the release's encoding (`create_flow_images_LRCN.m`), and images made elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep import DataError, store
from data_prep.dataset import Video
from data_prep.frames import encode_jpeg, images_in, read_image
from data_prep.spellings import folded

SCALE, ZERO = 16, 128  # grey levels a pixel of motion, and the level of no motion
BOUND = 20.0  # pixels of motion at the ends of the grey levels of x and y images, as TSN's tools make them
RELEASED = "flow_image_VIDEO.0002.jpg"
PAIRS = "flow_x_00001.jpg and flow_y_00001.jpg"
AXIS = r"(?:flow[ _-]?)?([xyuv])"  # x or u to the right, y or v down
AXIS_OF_FILE = re.compile(rf"(?:.*[ _.-])?{AXIS}[ _-]?([0-9]+)|(?:.*[ _.-])?([0-9]+)[ _-]{AXIS}", re.IGNORECASE)
AXIS_OF_FOLDER = re.compile(rf"(?:.*[ _.-])?{AXIS}", re.IGNORECASE)


def encode(flow: np.ndarray) -> np.ndarray:
    """The flow image of `flow` (H, W, 2): x * 16 + 128, y * 16 + 128, magnitude * 16 + 128, each clipped to 0..255,
    rounded.

    The authors' file has red = x, green = y, blue = magnitude. The array is OpenCV's BGR, so x is channel 2, y channel
    1, magnitude channel 0. Motion beyond 8 pixels a frame is clipped.
    """
    x, y = cv2.split(flow)
    # in double precision the root is what `hypot` gives; OpenCV takes a tenth of NumPy's time for all this
    magnitude = cv2.magnitude(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    planes = (magnitude, y, x)
    return cv2.merge([cv2.addWeighted(plane, SCALE, plane, 0, ZERO, dtype=cv2.CV_8U) for plane in planes])


def decode(image: np.ndarray) -> np.ndarray:
    """The flow (H, W, 2) float32 of a BGR flow image; exact to 1/32 pixel where nothing was clipped (before JPEG)."""
    return (image[..., [2, 1]].astype(np.float32) - ZERO) / SCALE


def resized(motion: np.ndarray, height: int, width: int) -> np.ndarray:
    """Flow at another size: it is in pixels of the image, so it is scaled as the image is."""
    wide, high = width / motion.shape[1], height / motion.shape[0]
    shrinks = wide <= 1 and high <= 1
    motion = cv2.resize(motion, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return motion * np.float32([wide, high])


# ---- images made elsewhere: where they lie -----------------------------------------------------------------


@dataclass(frozen=True)
class FlowImages:
    """Flow images made elsewhere: by video the files of each image, in order. One file an image: the release's; two: x
    and y in grey, whose levels 0 to 255 are -bound to bound pixels of motion. `spare`: videos that had one too many."""

    files: dict[str, list[tuple[Path, ...]]]
    bound: float | None = None
    spare: int = 0

    def remark(self) -> str:
        """What to tell the user of images of x and y."""
        x, y = next(iter(self.files.values()))[0]
        spare = f"; of {self.spare} videos, which have one for each frame, one is left out" if self.spare else ""
        return (
            f"flow images: {x.name} and {y.name} are taken for x and y of -{self.bound:g} to {self.bound:g} pixels"
            f" (--flow-bound), {ZERO} for no motion{spare}"
        )


def find(folder, index: Iterable[Video], bound: float | None = None) -> FlowImages:
    """The flow images of every video, from frame 1 to 2, 2 to 3 and so on, in one of two layouts.

    The release's: FOLDER/flow_image_VIDEO.0002.jpg, or the same in FOLDER/VIDEO/ or FOLDER/CLASS/VIDEO/. TSN's,
    denseflow's and mmaction2's: flow_x_00001.jpg and flow_y_00001.jpg (or x_, y_; u_, v_) in FOLDER/VIDEO or
    FOLDER/CLASS/VIDEO; or numbered images in folders x and y (flow_x, flow_y; u, v) of these, or above them. There may
    be as many as frames; then the last is left out, or the first, if that alone is blank.

    bound: of images of x and y, `BOUND` by default. Errors: DataError where there are none of a video, or not as many
    as its frames call for.
    """
    tree, videos = _Tree(Path(os.path.abspath(folder))), [video for video in index if video.frames > 1]
    released = {video.name: tree.released(video) for video in videos}
    pairs = {} if any(released.values()) else {video.name: tree.pairs(video) for video in videos}
    if videos and not any(released.values()) and not any(any(axes.values()) for axes in pairs.values()):
        raise DataError(
            f"{folder}: lacks {store.key('flow', videos[0].name, 2).decode()}, and the flow of all videos; it takes"
            f" that name in it, in VIDEO or in CLASS/VIDEO, or {PAIRS} in VIDEO or CLASS/VIDEO (or numbered images in"
            " folders x and y)"
        )
    if not pairs:
        if bound is not None:
            raise DataError(f"{folder}: holds {RELEASED}, of {SCALE} levels a pixel; --flow-bound is for {PAIRS}")
        return FlowImages(_all_released(folder, videos, released))
    chosen = {video.name: _all_pairs(folder, video, pairs) for video in videos}
    spare = [video.name for video in videos if len(chosen[video.name]) == video.frames]
    files = {name: _without_spare(of_video) if name in spare else of_video for name, of_video in chosen.items()}
    return FlowImages(files, bound or BOUND, len(spare))


class _Tree:
    """The folder of flow images; what a folder holds is looked up once."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; name the one that holds {RELEASED}, or {PAIRS}, and so on")
        self.folder = folder
        self._listings: dict[Path, set[str]] = {}
        self.axes = self._axis_folders(folder)

    def names(self, place: Path) -> set[str]:
        if place not in self._listings:
            self._listings[place] = set(os.listdir(place)) if place.is_dir() else set()
        return self._listings[place]

    def released(self, video: Video) -> dict[int, Path]:
        """The images of the release's name by their number."""
        for place in (*self._places(self.folder, video), self.folder):
            names = self.names(place)
            numbers = [n for n in range(2, video.frames + 2) if store.key("flow", video.name, n).decode() in names]
            if numbers:
                return {n: place / store.key("flow", video.name, n).decode() for n in numbers}
        return {}

    def pairs(self, video: Video) -> dict[str, dict[int, Path]]:
        """The images of x and of y by their number; both empty where there are none."""
        for place in self._places(self.folder, video):
            if not place.is_dir():
                continue
            axes: dict[str, dict[int, Path]] = {"x": {}, "y": {}}
            for path in images_in(place):
                if match := AXIS_OF_FILE.fullmatch(path.stem):
                    _add(axes[_axis(match[1] or match[4])], int(match[2] or match[3]), path)
            axes = axes if any(axes.values()) else {a: _numbered(p) for a, p in self._axis_folders(place).items()}
            if any(axes.values()):
                return {"x": {}, "y": {}} | axes
        above = {axis: [_numbered(p) for p in self._places(place, video)] for axis, place in self.axes.items()}
        return {"x": {}, "y": {}} | {axis: next(filter(None, of_axis), {}) for axis, of_axis in above.items()}

    def _places(self, folder: Path, video: Video) -> list[Path]:
        """CLASS/VIDEO and VIDEO in a folder, in whatever case they are spelled."""
        return [self._inside(self._inside(folder, video.class_name), video.name), self._inside(folder, video.name)]

    def _inside(self, folder: Path, name: str) -> Path:
        if name in self.names(folder):
            return folder / name
        alike = [other for other in self.names(folder) if folded(other) == folded(name)]
        return folder / (alike[0] if len(alike) == 1 else name)

    def _axis_folders(self, folder: Path) -> dict[str, Path]:
        matches = {name: AXIS_OF_FOLDER.fullmatch(name) for name in sorted(self.names(folder))}
        return {_axis(m[1]): folder / name for name, m in matches.items() if m and (folder / name).is_dir()}


def _axis(letter: str) -> str:
    return "x" if letter.lower() in "xu" else "y"


def _numbered(place: Path) -> dict[int, Path]:
    """The images of a folder by the last number in their names."""
    numbered: dict[int, Path] = {}
    for path in images_in(place) if place.is_dir() else ():
        if numbers := re.findall("[0-9]+", path.stem):
            _add(numbered, int(numbers[-1]), path)
    return numbered


def _add(numbered: dict[int, Path], number: int, path: Path) -> None:
    """Adds an image to those of an axis. Errors: DataError where it may be another one's, of several series."""
    if number in numbered:
        raise DataError(
            f"{path.parent}: {numbered[number].name} or {path.name} may be image {number} of an axis of the flow; leave"
            " one series of images in the folder"
        )
    numbered[number] = path


# ---- as many as there must be ------------------------------------------------------------------------------


def _missing(video: Video, images: dict[int, Path]) -> list[int]:
    return [number for number in range(2, video.frames + 1) if number not in images]


def _all_released(folder, videos: list[Video], released: dict[str, dict[int, Path]]) -> dict[str, list]:
    lacking = [video for video in videos if _missing(video, released[video.name])]
    if lacking:
        video = lacking[0]
        missing = _missing(video, released[video.name])
        raise DataError(
            f"{folder}: lacks {store.key('flow', video.name, missing[0]).decode()} ({video.frames - 1 - len(missing)}"
            f" of the video's {video.frames - 1} are there), and those of {len(lacking) - 1} more videos; make them, or"
            " prepare the frames at the rate (--fps) that the flow was made from"
        )
    for video in videos:
        images = released[video.name]
        if video.frames + 1 in images:
            raise DataError(
                f"{images[2].parent}: more flow images of {video.name} than its {video.frames} frames have; prepare the"
                " frames at the rate (--fps) that the flow was made from"
            )
    return {name: [(images[number],) for number in sorted(images)] for name, images in released.items()}


def _all_pairs(folder, video: Video, pairs: dict[str, dict[str, dict[int, Path]]]) -> list[tuple[Path, ...]]:
    x, y = pairs[video.name]["x"], pairs[video.name]["y"]
    if not x and not y:
        others = sum(not any(axes.values()) for axes in pairs.values()) - 1
        raise DataError(
            f"{folder}: lacks the flow images of {video.name}, and those of {others} more videos; make them"
        )
    either = x | y
    numbers = range(min(either), max(either) + 1)
    for axis, images in (("x", x), ("y", y)):
        for number in numbers:
            if number not in images:
                place = next(iter(either.values())).parent
                raise DataError(f"{place}: lacks image {number} of {axis} of the flow of {video.name}; make it again")
    if len(numbers) not in (video.frames - 1, video.frames):
        raise DataError(
            f"{x[numbers[0]].parent}: {len(numbers)} pairs {x[numbers[0]].name}, {y[numbers[0]].name} of {video.name},"
            f" whose {video.frames} frames have {video.frames - 1}; prepare the frames at the rate (--fps) of the flow"
        )
    return [(x[number], y[number]) for number in numbers]


def _without_spare(images: list[tuple[Path, ...]]) -> list[tuple[Path, ...]]:
    """One image less: the first where that alone of the two ends is blank, for it leads to the first frame, else the
    last."""
    first, last = (all(np.abs(_grey(path) - float(ZERO)).max() <= 1 for path in images[at]) for at in (0, -1))
    return images[1:] if first and not last else images[:-1]


# ---- what they show ----------------------------------------------------------------------------------------


def read(job) -> list[bytes]:
    """Flow JPEGs, in the release's encoding, of one video: (files and bound as of `FlowImages`, height, width)."""
    files, bound, height, width = job
    if bound is None:
        return [_release(path, height, width) for (path,) in files]
    return [_of_pair(x, y, bound, height, width) for x, y in files]


def _release(path: Path, height: int, width: int) -> bytes:
    content, image = read_image(path, "make it again")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(f"{path}: not a flow image (three channels of 8 bits); make it again")
    if image.shape[:2] != (height, width):
        return encode_jpeg(encode(resized(decode(image), height, width)), full_colour=True)
    return content if content[:2] == b"\xff\xd8" else encode_jpeg(image, full_colour=True)


def _of_pair(x: Path, y: Path, bound: float, height: int, width: int) -> bytes:
    levels = [_grey(path) for path in (x, y)]
    if levels[0].shape != levels[1].shape:
        raise DataError(f"{y}: is of another size than {x.name}; make them again")
    motion = (np.stack(levels, axis=-1) - np.float32(ZERO)) * np.float32(2 * bound / 255)
    motion = motion if motion.shape[:2] == (height, width) else resized(motion, height, width)
    return encode_jpeg(encode(motion), full_colour=True)


def _grey(path: Path) -> np.ndarray:
    """The levels (H, W) float32 of a grey image, which may have three equal channels."""
    _, image = read_image(path, "make it again")
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = image[..., 0]
    if image.ndim != 2 or image.dtype != np.uint8:
        raise DataError(f"{path}: not the flow of one axis (grey, 8 bits); name the folder of {PAIRS}")
    return image.astype(np.float32)
