"""Video files to frames."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a broken file is reported once, by us, in one line

import cv2  # noqa: E402 (reads the setting above)

from data_prep import DataError  # noqa: E402

# OpenCV 5 moved it
_set_log_level = cv2.utils.logging.setLogLevel if hasattr(cv2.utils, "logging") else cv2.setLogLevel
JPEG_QUALITY = 95
SHORTFALL = 0.05  # headers that promise up to this share (at least 2 frames) more than there is are common and harmless


class VideoFile:
    """Iterates over a video's frames: BGR uint8 (height, width, 3).

    fps: frames are repeated or left out to give this many a second (the authors took 30); None keeps every frame as it
    is. Every frame is resized by itself to (height, width), 240x320 as the released layer does, so a change of size
    within the file does no harm; height None keeps the file's size.
    After iteration: `decoded` and `declared`, the frames that came and those that the header promised (0: not said).
    Errors: DataError where the file does not open, holds no frame, or ends well before what its header promises.
    """

    def __init__(self, path, height: int | None = 240, width: int | None = 320, fps: float | None = None):
        self.path, self.size, self.fps = Path(path), height and (width, height), fps
        self.declared = self.decoded = 0

    def __iter__(self):
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such video file")
        before = _set_log_level(0)
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        _set_log_level(before)
        if not capture.isOpened():
            raise DataError(f"{self.path}: not a readable video; replace the file or remove it from the set")
        try:
            self.declared = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            yield from self._frames(capture)
        finally:
            capture.release()
        if not self.decoded:
            raise DataError(f"{self.path}: the video has no frames; replace the file or remove it from the set")
        if self.declared - self.decoded > max(2, SHORTFALL * self.declared):
            raise DataError(
                f"{self.path}: truncated, {self.decoded} of {self.declared} frames can be decoded; fetch the file again"
                " or remove it from the set"
            )

    def _frames(self, capture):
        rate = capture.get(cv2.CAP_PROP_FPS)
        step = rate / self.fps if self.fps and rate > 0 else 1.0
        given = 0
        while True:
            good, image = capture.read()
            if not good:
                return
            self.decoded += 1
            due = int(given * step + 0.5)
            if due >= self.decoded:
                continue
            if self.size and (image.shape[1], image.shape[0]) != self.size:
                shrinks = image.shape[1] >= self.size[0] and image.shape[0] >= self.size[1]
                image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            while due < self.decoded:
                yield image
                given += 1
                due = int(given * step + 0.5)


def encode_jpeg(image, full_colour: bool = False) -> bytes:
    """JPEG of a BGR uint8 image, quality 95; full_colour keeps colour at full resolution (4:4:4), which flow needs."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if full_colour:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", image, options)[1].tobytes()
