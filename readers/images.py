"""Encoded images, of the formats that lrcn says it takes and no other: of Pillow's and OpenCV's many more some start
programs, and some are read by nobody's care."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING

from readers import reading
from readers.bounds import check_pixels
from readers.text import read_bytes

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from readers import Fault, Place

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # Pillow's names
MEND = "give a JPEG, PNG, BMP, GIF, TIFF, WebP or PPM"


@contextmanager
def open_image(path: Place, error: Fault, mend: str = MEND) -> Iterator[Image]:
    """An image file, opened by Pillow and not yet decoded; its size is within the bounds. Whatever Pillow raises within
    becomes `error`, one line; errors of that class pass."""
    with opened(read_bytes(path, error, mend), path, error, mend) as image:
        yield image


@contextmanager
def opened(content: bytes, name: Place, error: Fault, mend: str = MEND) -> Iterator[Image]:
    """What `open_image` gives, of an encoded image that `name` names."""
    with reading(name, "image", error, mend), _opened(content, name, error, mend) as image:
        yield image


def decode(content: bytes, name: Place, flags: int, error: Fault, mend: str = MEND) -> np.ndarray:
    """The pixels of an encoded image, as `cv2.imdecode` gives them, once its size is within the bounds. Raises `error`,
    one line, which names it by `name`."""
    import cv2
    import numpy as np

    with reading(name, "image", error, mend):
        width, height = size_of(content, name, error, mend)
        check_pixels(width, height, name, error)
        _check_chunks(content, name, error, mend)
        with _in_silence:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if image is None:
        raise error(f"{name}: not a readable image; {mend}")
    return image


def decode_whole(content: bytes, name: Place, error: Fault, mend: str = MEND) -> np.ndarray:
    """The pixels of an encoded image in colour, BGR, as OpenCV gives them; those of a JPEG in a third of the time.
    Raises `error`, one line, for one of which anything is missing or damaged, as far as its format lets tell: of a JPEG
    OpenCV makes up what is."""
    if content.startswith(b"\xff\xd8"):
        import simplejpeg

        with reading(name, "JPEG", error, mend):
            height, width, *_ = simplejpeg.decode_jpeg_header(content)
            check_pixels(width, height, name, error)
            pixels: np.ndarray = simplejpeg.decode_jpeg(content, "BGR")
        if b"Exif\0" not in content:  # else OpenCV turns it as that says
            return pixels
    import cv2

    return decode(content, name, cv2.IMREAD_COLOR, error, mend)


def size_of(content: bytes, name: Place, error: Fault, mend: str = MEND) -> tuple[int, int]:
    """Width and height that an encoded image claims. Raises `error`, one line, for what is none of `FORMATS`."""
    import simplejpeg

    if content.startswith(b"\xff\xd8"):
        with suppress(ValueError):
            height, width, *_ = simplejpeg.decode_jpeg_header(content)
            return width, height
    with opened(content, name, error, mend) as image:
        return image.size


PNG, MOST = b"\x89PNG\r\n\x1a\n", 1 << 24


def _check_chunks(content: bytes, name: Place, error: Fault, mend: str) -> None:
    """`error` for a PNG with a chunk that claims to be far longer than the file: OpenCV allocates what it claims."""
    at = len(PNG)
    while content.startswith(PNG) and at + 4 <= len(content) and content[at + 4 : at + 8] != b"IEND":
        length = int.from_bytes(content[at : at + 4], "big")
        if length > max(MOST, len(content)):
            raise error(f"{name}: has a part of {length:,} bytes, and {len(content):,} in all; {mend}")
        at += 12 + length


class _Silence:
    """Within it nothing reaches standard error: libjpeg and libtiff, within OpenCV, write there themselves what they
    think of an image, as of bytes too many, which thousands of sound photographs have."""

    def __init__(self) -> None:
        self._lock, self._threads, self._before = Lock(), 0, -1

    def __enter__(self) -> None:
        with self._lock, suppress(OSError):  # it is closed
            if not self._threads:
                self._before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)
            self._threads += 1

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._threads = max(self._threads - 1, 0)
            if not self._threads and self._before >= 0:
                os.dup2(self._before, 2)
                os.close(self._before)
                self._before = -1


_in_silence = _Silence()


@contextmanager
def _opened(content: bytes, name: Place, error: Fault, mend: str) -> Iterator[Image]:
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # of which `check_pixels` is the judge
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of EXIF that is damaged, say
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise error(f"{name}: not an image of a kind that is read; {mend}") from None
    with image:
        check_pixels(*image.size, name, error)
        yield image
