"""Images read from files."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from data_prep import DataError


def read_image(path) -> np.ndarray:
    """The image (height, width, 3), BGR uint8, as Caffe's ImageData would read it; grey ones in three equal channels,
    the first picture of a moving one, transparency on white. DataError, one line, for a file that is missing, cut off
    or no image."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.load()  # the whole of it: OpenCV takes half an image for one
            transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            if image.format != "GIF" and image.mode != "CMYK" and not transparent:
                pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
                if pixels is not None:
                    return pixels
            image = ImageOps.exif_transpose(image)
            if transparent:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    except FileNotFoundError:
        raise DataError(f"{path}: no such image") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, not an image") from None
    except Image.UnidentifiedImageError:
        raise DataError(f"{path}: not an image, or of a kind that cannot be read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: {str(error).lower() or 'cannot be read'}") from None


def read_images(paths: Sequence) -> list[np.ndarray]:
    """All of them, as `read_image` gives each; DataError, one line, names every one that cannot be read."""
    images, unreadable, first_error = [], [], ""
    for path in paths:
        try:
            images.append(read_image(path))
        except DataError as error:
            first_error = first_error or str(error)
            unreadable.append(path)
    if unreadable:
        others = ", ".join(map(str, unreadable[1:]))
        raise DataError(first_error + (f" (and {others})" if others else ""))
    return images
