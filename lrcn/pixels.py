"""The pixels that a net sees: decoding, mirrors, crops, means.

A clip has one crop and one mirror, so that an object does not jump within it. Images are BGR uint8, (height, width, 3).
"""

from __future__ import annotations

import cv2
import numpy as np

from lrcn.activity.sampler import Clip


def decode(jpeg: bytes, name: str, height: int, width: int) -> np.ndarray:
    """BGR uint8 image; one smaller than height x width is enlarged to it, as released. ValueError names an image that
    does not decode."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        raise ValueError(f"{name}: not a readable image; prepare the data set again")
    if image.shape[0] < height or image.shape[1] < width:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image


def read(dataset, modality: str, video: str, number: int, settings) -> np.ndarray:
    """An image of a data set, as `decode` gives it. ValueError names one that is missing or does not decode."""
    return decode(
        dataset.jpeg(modality, video, number),
        f"{settings['data']}: {modality} image {number} of {video}",
        settings["height"],
        settings["width"],
    )


def mirrored(image: np.ndarray, modality: str) -> np.ndarray:
    """The image seen in a mirror. Flow to the left becomes flow to the right: x, the red channel, is negated (255 -
    x)."""
    image = image[:, ::-1]
    if modality == "flow":
        image = image.copy()
        image[..., 2] = 255 - image[..., 2]
    return image


def cut(image: np.ndarray, clip: Clip, settings) -> np.ndarray:
    """The crop x crop x 3 uint8 pixels that the net sees of one frame.

    `crop_slip` repeats a slip of the released layer, which cuts only mirrored clips and squeezes the others whole into
    the crop's size.
    """
    size = settings["crop"]
    if clip.mirror:
        image = mirrored(image, settings["modality"])
    elif settings["crop_slip"]:
        return cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return image[clip.row : clip.row + size, clip.column : clip.column + size]


def blob(pixels: np.ndarray, settings, out: np.ndarray) -> None:
    """Writes pixels (..., H, W, 3) uint8 BGR as Caffe wants them, (..., 3, H, W) float32 less the channel means, times
    `scale`, into `out`."""
    np.subtract(
        np.moveaxis(pixels, -1, -3), np.asarray(settings["mean"], np.float32)[:, None, None], out=out, dtype=np.float32
    )
    if settings["scale"] != 1:
        out *= np.float32(settings["scale"])


def crops(image: np.ndarray, size: int, modality: str, mirror: bool) -> np.ndarray:
    """Four corners, centre, and (where labels survive a mirror) the same five mirrored: (5 or 10, size, size, 3)
    uint8."""
    bottom, right = image.shape[0] - size, image.shape[1] - size
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    five = [image[r : r + size, c : c + size] for r, c in corners]
    return np.stack(five + [mirrored(piece, modality) for piece in five] if mirror else five)
