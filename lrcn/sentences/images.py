"""Images read from files."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from data_prep import DataError, frames
from readers.images import MEND, decode, opened
from readers.paths import checked
from readers.text import read_bytes

SUFFIXES = frames.IMAGES | {".gif"}
MOST_NAMED = 20  # images in a line of those that cannot be read


def read_image(path) -> np.ndarray:
    """The image (height, width, 3), BGR uint8, as Caffe's ImageData would read it; grey ones in three equal channels,
    the first picture of a moving one, transparency on white. DataError, one line, for a file that is missing, cut off
    or no image."""
    from PIL import Image, ImageOps

    content = read_bytes(path, DataError, MEND)
    with opened(content, path, DataError, MEND) as image:
        image.load()  # the whole of it: OpenCV takes half an image for one
        transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        if image.format != "GIF" and image.mode != "CMYK" and not transparent:
            with suppress(DataError):  # Pillow reads what OpenCV does not
                return decode(content, path, cv2.IMREAD_COLOR, DataError, MEND)
        image = ImageOps.exif_transpose(image)
        if transparent:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


def check_images(paths: Iterable) -> None:
    """DataError, one line, that names every one that `read_image` cannot read."""
    unreadable, first_error = [], ""
    for path in paths:
        try:
            read_image(path)
        except DataError as error:
            first_error = first_error or str(error)
            unreadable.append(path)
    if unreadable:
        others = ", ".join(map(str, unreadable[1:MOST_NAMED]))
        more = f" and {len(unreadable) - MOST_NAMED} more" if len(unreadable) > MOST_NAMED else ""
        raise DataError(first_error + (f" (and {others}{more})" if others else ""))


def images_in(paths: Iterable) -> list[Path]:
    """These images; in place of a folder those in it, in natural order. DataError where a folder holds none."""
    images: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            images.append(path)
            continue
        inside = (each for each in path.iterdir() if frames.is_one_of(SUFFIXES, each.name) and not each.is_dir())
        listed = sorted(inside, key=frames.natural)
        if not listed:
            raise DataError(f"{path}: holds no image; name a folder with images in it, or images")
        for path in listed:
            checked(path, DataError)
        images += listed
    return images
