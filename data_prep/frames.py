"""Video files, and folders of images, to frames."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a broken file is reported once, by us, in one line
# A file is what holds a video, whatever it is called: no playlist, which has FFmpeg open other files and addresses.
os.environ.setdefault(
    "OPENCV_FFMPEG_CAPTURE_OPTIONS",
    "protocol_whitelist;file|format_whitelist;3gp,asf,av1,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp4,mpeg,"
    "mpegts,mpegvideo,mxf,nut,obu,ogg,rm,webm",
)

import cv2
import numpy as np

import readers.images
from data_prep import DataError
from readers.bounds import check_bytes, check_pixels, setting
from readers.paths import checked
from readers.text import read_bytes

# OpenCV 5 moved it
_set_log_level = cv2.utils.logging.setLogLevel if hasattr(cv2.utils, "logging") else cv2.setLogLevel
JPEG_QUALITY = 95
LONGEST = 65_500  # pixels of a JPEG's side, as libjpeg has it
SHORTFALL = 0.05  # headers that promise up to this share (at least 2 frames) more than there is are common and harmless
REPEATS = 3 * 3600 * 30  # of a video's frames at a rate, at most, where LRCN_MAX_REPEATS is not set: three hours at 30
ROUNDING = 0.0015  # seconds: containers that count in milliseconds round a frame's time by up to one of them
VIDEOS = {".avi", ".mp4", ".mkv", ".mov", ".mpg", ".mpeg", ".webm", ".wmv", ".flv", ".m4v"}
UPRIGHT = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # as it is stored, but turned as its EXIF says
# words in the names of images that lie beside frames and are none
ASIDE = {"flow", "flowx", "flowy", "opticalflow", "depth", "mask", "thumb", "thumbs", "thumbnail", "thumbnails"}
AXES = {"x", "y", "u", "v"}  # the same, where it is all that the name says: x_0001.jpg
IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}


def _fitted(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """The image at `size` (width, height); itself where it has that already."""
    if not size or (image.shape[1], image.shape[0]) == size:
        return image
    shrinks = image.shape[1] >= size[0] and image.shape[0] >= size[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


class VideoFile:
    """Iterates over a video's frames: BGR uint8 (height, width, 3).

    fps: frames are repeated or left out to give this many a second (the authors took 30), by the times that the file
    gives its frames, so that a variable rate becomes a constant one; a repeated frame is the same array. None keeps
    every frame as it is. Every frame is resized by itself to (height, width), 240x320 as the released layer does, so a
    change of size within the file does no harm; height None keeps the file's size.
    After iteration: `decoded` and `declared`, the frames that came and those that the header promised (0: not said).
    Errors: DataError where the file does not open, holds no frame, ends well before what its header promises, or has
    frames of more pixels than LRCN_MAX_PIXELS, or times by which more than LRCN_MAX_REPEATS frames would be repeats.
    """

    def __init__(self, path, height: int | None = 240, width: int | None = 320, fps: float | None = None):
        self.path, self.size, self.fps = Path(path), height and (width, height), fps
        self.declared = self.decoded = 0

    def __iter__(self):
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such video file")
        before = _set_log_level(0)
        path = checked(os.path.abspath(self.path), DataError)  # FFmpeg takes concat:x.avi for a request of its own
        # one thread: videos are shared out among processes, and a file's frames must not depend on how many there are
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        _set_log_level(before)
        if not capture.isOpened():
            raise DataError(f"{self.path}: not a readable video; replace the file or remove it from the set")
        self.decoded, self._reached = 0, 0.0
        try:
            width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
            check_pixels(int(width), int(height), self.path, DataError)  # OpenCV scales those that follow to the first
            self.declared = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            yield from self._at_rate(capture) if self.fps else (image for image, _ in self._timed(capture))
        finally:
            capture.release()
        if not self.decoded:
            raise DataError(f"{self.path}: the video has no frames; replace the file or remove it from the set")
        # of a variable rate some containers tell the duration only, at a rate that has places for more frames
        if self.declared - max(self.decoded, self._reached) > max(2, SHORTFALL * self.declared):
            raise DataError(
                f"{self.path}: truncated, {self.decoded} of {self.declared} frames can be decoded; fetch the file again"
                " or remove it from the set"
            )

    def _timed(self, capture):
        """(image, time in seconds from the first frame's) of every frame in the file; times do not decrease."""
        rate = capture.get(cv2.CAP_PROP_FPS)
        rate = rate if rate > 0 else self.fps or 25.0
        first = time = 0.0
        while True:
            good, image = capture.read()
            if not good:
                return
            stamp, even = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, self.decoded / rate
            if not self.decoded:
                first = stamp
            if stamp - first <= 0 or abs(stamp - first - even) <= ROUNDING:  # no times in the file, or an even rate
                time = max(time, even)
            else:
                time = max(time, stamp - first)
            self.decoded += 1
            self._reached = time * rate + 1
            yield _fitted(image, self.size), time

    def _at_rate(self, capture):
        """The frame nearest in time to each tick of the wanted rate; of two equally near the later."""
        count, nearest, nearest_time, interval = 0, None, 0.0, 1 / self.fps
        most, repeats = setting("LRCN_MAX_REPEATS", REPEATS, DataError), 0

        def until(end: float):
            """The nearest frame, as often as it is due before this time."""
            nonlocal count, repeats
            repeats += max(0.0, end * self.fps - count - 1)
            if repeats > most:
                raise DataError(
                    f"{self.path}: by the times in it its frame {self.decoded} comes {end:,.0f} s after the first, and"
                    f" more than {most:,} frames would repeat another at {self.fps:g} a second; replace the file or"
                    " remove it from the set, or set LRCN_MAX_REPEATS higher if that is right"
                )
            while count / self.fps < end - 1e-9:
                yield nearest
                count += 1

        for image, time in self._timed(capture):
            if nearest is not None:
                interval = time - nearest_time
                yield from until((nearest_time + time) / 2)
            nearest, nearest_time = image, time
        if nearest is not None:
            rate = capture.get(cv2.CAP_PROP_FPS)
            interval = 1 / rate if rate > 0 else interval
            yield from until(nearest_time + interval / 2)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's: ._name.avi, which a Mac writes beside name.avi, .DS_Store,
    .ipynb_checkpoints; and what a Mac's and a Synology's archives have beside."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def is_one_of(suffixes: set[str], name: str) -> bool:
    """Whether a file is of a kind; what is hidden is of none."""
    return os.path.splitext(name)[1].lower() in suffixes and not is_hidden(name)


def natural(path: Path) -> list:
    """Sorts i_2 before i_10."""
    return [int(part) if at % 2 else part for at, part in enumerate(re.split(r"([0-9]+)", path.name))]


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder in natural order."""
    with os.scandir(folder) as entries:
        images = [Path(entry.path) for entry in entries if is_one_of(IMAGES, entry.name) and not entry.is_dir()]
    return sorted(images, key=natural)


def frames_in(folder: Path) -> list[Path]:
    """The frames of a video cut into images, in natural order: of the folder's images the one series, without those
    that are named as flow, thumbnails and their like are, and the one in colour where others are grey.

    Errors: DataError where several series may be meant.
    """
    images = images_in(folder)
    named_as_frames = [path for path in images if not _lies_beside(path)]
    series = _series(named_as_frames or images)
    if len(series) > 1 and named_as_frames:
        in_colour = [members for members in series if not _is_grey(members[0])]
        series = in_colour if len(in_colour) == 1 else series
    if len(series) > 1:
        one, other = (f"{members[0].name} ... {members[-1].name} ({len(members)})" for members in series[:2])
        more = f", or {len(series) - 2} more" if len(series) > 2 else ""
        raise DataError(
            f"{folder}: its images are of several series, and {one} or {other}{more} may be the video's frames; leave"
            " one series in the folder"
        )
    return series[0] if series else []


def _lies_beside(path: Path) -> bool:
    """Whether an image is named as one that lies beside frames and is none."""
    words = [word.lower() for word in re.findall("[A-Za-z]+", path.stem)]
    return not ASIDE.isdisjoint(words) or (len(words) == 1 and words[0] in AXES)


def _is_grey(path: Path) -> bool:
    try:
        return read_image(path)[1].ndim == 2
    except DataError:  # it is told of where it is taken for a frame
        return False


def _series(images: list[Path]) -> list[list[Path]]:
    """The images by their names but for the numbers in them. Images on their own belong to none: they are left out
    where the series are most of the images, else each is one; where no name makes a series all images are one.
    """
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        by_name[re.sub("[0-9]+", "#", path.stem)].append(path)
    series = [part for members in by_name.values() for part in _counted_apart(members)]
    several = [members for members in series if len(members) > 1]
    if not several:
        return [images] if images else []
    return several if sum(map(len, several)) * 3 > len(images) * 2 else series


def _counted_apart(images: list[Path]) -> list[list[Path]]:
    """Images that are named alike but for numbers, divided where they count the same several times: img_0001.jpg,
    img_1.jpg and img_1.png, or cam1_0001.jpg and cam2_0001.jpg.
    """
    if len(images) == 1:
        return [images]
    numbers = {path: [int(number) for number in re.findall("[0-9]+", path.stem)] for path in images}
    parts: dict[tuple, list[Path]] = defaultdict(list)
    if len({tuple(of_path) for of_path in numbers.values()}) < len(images):
        for path in images:
            parts[re.search("(?<![0-9])0[0-9]", path.stem) is not None, path.suffix].append(path)
        return list(parts.values())
    for path in images:
        parts[tuple(numbers[path][:-1])].append(path)
    counts = [[numbers[path][-1] for path in members] for members in parts.values()]
    first = counts[0][0]
    again = all(len(count) > 1 and count == list(range(first, first + len(count))) for count in counts)
    return list(parts.values()) if again else [images]


def jpegs(path, height: int, width: int, fps: float | None = None) -> tuple[list[bytes], int, int]:
    """The frames of a video file, or of a folder of images (`frames_in`, all of them whatever `fps` says), as
    JPEG at height x width; how many frames the file's header declares, and how many were decoded.

    Images that are colour JPEG of the wanted size already are taken as they are, to the byte, but for those that EXIF
    turns: they are stored upright.
    Errors: DataError.
    """
    path = Path(path)
    if not path.is_dir():
        video = VideoFile(path, height, width, fps)
        return _encoded(video), video.declared, video.decoded
    encoded = []
    for file in frames_in(path):
        content, image = read_image(file)
        kept = image.shape == (height, width, 3) and content[:2] == b"\xff\xd8" and content[-2:] == b"\xff\xd9"
        if image.ndim == 2 or image.shape[2] != 3 or image.dtype != np.uint8:
            image = decode(content, cv2.IMREAD_COLOR)
        kept = kept and not _turns(content, image)
        encoded.append(content if kept else encode_jpeg(_fitted(image, (width, height))))
    if not encoded:
        raise DataError(f"{path}: no images in it; remove the folder from the set")
    return encoded, len(encoded), len(encoded)


def _encoded(video: VideoFile) -> list[bytes]:
    """The JPEGs of a video's frames; one that repeats the one before is in memory once. Errors: DataError."""
    encoded: list[bytes] = []
    before, size = None, 0
    for image in video:
        jpeg = encoded[-1] if image is before else encode_jpeg(image)
        if encoded and jpeg == encoded[-1]:
            jpeg = encoded[-1]
        else:
            size += len(jpeg)
            check_bytes(size, video.path, DataError)
        encoded.append(jpeg)
        before = image
    return encoded


def read_image(file: Path, mend: str = "replace the file or remove its video from the set") -> tuple[bytes, np.ndarray]:
    """An image file, and its pixels as `decode` has them. Errors: DataError where it is none, or is beyond the bounds
    of `readers.bounds`."""
    content = read_bytes(file, DataError, mend)
    return content, readers.images.decode(content, file, UPRIGHT, DataError, mend)


def decode(content: bytes, flags: int = UPRIGHT) -> np.ndarray | None:
    """The image (H, W, 3) BGR or (H, W) of an encoded one, turned as its EXIF says, as Caffe and OpenCV's colour
    readers turn it too; None where it cannot be read.
    """
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None


def _turns(content: bytes, upright: np.ndarray) -> bool:
    """Whether a JPEG is stored otherwise than it is to be seen. Caffe's Data layer would show it as it is stored."""
    return b"Exif" in content and not np.array_equal(decode(content, cv2.IMREAD_UNCHANGED), upright)


def encode_jpeg(image, full_colour: bool = False) -> bytes:
    """JPEG of a BGR uint8 image, quality 95; full_colour keeps colour at full resolution (4:4:4), which flow needs."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if full_colour:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", image, options)[1].tobytes()


def small_jpeg(image: np.ndarray, side: int) -> bytes:
    """JPEG of a BGR uint8 image to be shown, quality 85, its longer side no longer than `side` pixels."""
    scale = side / max(image.shape[:2])
    if scale < 1:
        width, height = (max(round(length * scale), 1) for length in image.shape[1::-1])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
