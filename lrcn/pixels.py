"""What becomes of an image's pixels before a net reads them; nowhere else are pixels cut, mirrored, scaled or less a
mean.

Images are BGR uint8, (height, width, 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from data_prep import CORRUPT, CorruptImage
from data_prep.store import first_number
from readers.images import decode_whole

if TYPE_CHECKING:  # loader processes begin sooner without
    from data_prep.dataset import Dataset
    from netspecs.variant import Variant


@dataclass(frozen=True)
class Transform:
    """How a net sees pixels: of an image of height x width a square of side `crop`, perhaps mirrored where labels
    survive a mirror (`mirror`), less `mean` (blue, green, red), times `scale`.

    crop: 0 where the net's own input says it. modality: "flow" is mirrored as flow, unless `negate` is False.
    crop_slip: a slip of the released layer, which cuts only mirrored clips and squeezes the others whole into the
    crop's size.
    """

    height: int
    width: int
    mean: Sequence[float]
    scale: float = 1.0
    crop: int = 0
    mirror: bool = False
    modality: str | None = None
    crop_slip: bool = False
    negate: bool = True

    @classmethod
    def of(cls, variant: Variant, settings: Mapping[str, Any]) -> Transform | None:
        """How a variant with these settings sees pixels; None where it reads none."""
        mean = variant.mean(**settings)
        return None if mean is None else cls.read({**settings, "mean": mean, "modality": variant.modality})

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Transform:
        """From what is known of it among other settings: a variant's, ClipData's, a job's."""
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})

    # ---- sizes ----

    def enlarged(self, image: np.ndarray) -> np.ndarray:
        """The image; one smaller than height x width is enlarged to that, as released for frames."""
        return self.resized(image) if image.shape[0] < self.height or image.shape[1] < self.width else image

    def resized(self, image: np.ndarray) -> np.ndarray:
        """The image at height x width, as Caffe's ImageData makes it."""
        if image.shape[:2] == (self.height, self.width):
            return image
        return cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    # ---- mirrors and crops: (crop, crop, 3) uint8 ----

    def mirrored(self, image: np.ndarray) -> np.ndarray:
        """The image seen in a mirror. Flow to the left becomes flow to the right: x, the red channel, is negated (255 -
        x)."""
        image = cv2.flip(image, 1)
        if self.modality == "flow" and self.negate:
            image = cv2.absdiff(image, (0, 0, 255, 0))  # |x - 255| is 255 - x
        return image

    def window(self, image: np.ndarray, row: int, column: int) -> np.ndarray:
        return image[row : row + self.crop, column : column + self.crop]

    def centre(self, image: np.ndarray) -> np.ndarray:
        return self.window(image, (image.shape[0] - self.crop) // 2, (image.shape[1] - self.crop) // 2)

    def cut(self, image: np.ndarray, row: int, column: int, mirror: bool) -> np.ndarray:
        """What training sees of a frame: the window of the frame, or of the mirrored frame."""
        if mirror:  # only what is seen is mirrored
            return self.mirrored(self.window(image, row, image.shape[1] - self.crop - column))
        if self.crop_slip:
            return cv2.resize(image, (self.crop, self.crop), interpolation=cv2.INTER_LINEAR)
        return self.window(image, row, column)

    def crops(self, image: np.ndarray) -> list[np.ndarray]:
        """Four corners, centre, and (where labels survive a mirror) these five mirrored: 5 or 10."""
        bottom, right = image.shape[0] - self.crop, image.shape[1] - self.crop
        corners = [self.window(image, row, column) for row in (0, bottom) for column in (0, right)]
        five = [*corners, self.centre(image)]
        return five + [self.mirrored(crop) for crop in five] if self.mirror else five

    def released_middle(self, image: np.ndarray) -> np.ndarray:
        """What the release's scripts show a captioner of an image: the middle 227/256 of either side, so that its
        proportions are lost only in the resizing to the crop that comes after; VGG-16's too, which reads 224. Where
        images are resized to another height in training, the middle crop/height of either side."""
        share = 227 / 256 if self.height == 256 else self.crop / self.height
        top, left = (int(side * (1 - share) / 2 + 0.5) for side in image.shape[:2])
        middle = image[top : image.shape[0] - top, left : image.shape[1] - left]
        return cv2.resize(middle.astype(np.float32), (self.crop, self.crop), interpolation=cv2.INTER_LINEAR)

    # ---- what Caffe is given ----

    def blob(self, pixels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Pixels (H, W, 3) -> (3, H, W) float32 less the mean, times the scale; in `out`, if given."""
        planes = np.empty((3, *pixels.shape[:2]), pixels.dtype)
        cv2.split(pixels, list(planes))  # NumPy takes twice as long for pixels whose channels lie side by side
        if out is None:
            out = np.empty(planes.shape, np.float32)
        out[...] = planes
        out -= np.asarray(self.mean, np.float32)[:, None, None]
        if self.scale != 1:
            out *= np.float32(self.scale)
        return out

    def image(self, blob: np.ndarray) -> np.ndarray:
        """The pixels (H, W, 3) uint8 that `blob` made this (3, H, W) of: for people to look at."""
        pixels = blob / self.scale + np.asarray(self.mean, np.float32)[:, None, None]
        return np.ascontiguousarray(pixels.round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def decode(content: bytes, name: str) -> np.ndarray:
    """The image. CorruptImage names one that does not decode, or of which anything is missing."""
    return decode_whole(content, name, CorruptImage, CORRUPT)


def read(dataset: Dataset, modality: str, video: str, number: int, passed_over: list[str] | None = None) -> np.ndarray:
    """An image of a data set. DataError names one that is missing, CorruptImage one that is damaged.

    passed_over: where this is a list, the nearest image of the video that is whole stands in place of a damaged one,
    the earlier of two, and the list has a line more; an error remains where the video has none.
    """
    try:
        return _read(dataset, modality, video, number)
    except CorruptImage as error:
        if passed_over is None:
            raise CorruptImage(f"{error}; `train` and `evaluate` go on without it with --on-corrupt skip") from None
        for other in _nearest(number, range(first_number(modality), dataset.index[video].frames + 1)):
            with suppress(CorruptImage):
                image = _read(dataset, modality, video, other)
                passed_over.append(f"{modality} image {number} of {video} is damaged, {other} stands in its place")
                return image
        raise


def _read(dataset: Dataset, modality: str, video: str, number: int) -> np.ndarray:
    return decode(dataset.jpeg(modality, video, number), f"{dataset.folder}: {modality} image {number} of {video}")


def _nearest(number: int, numbers: range) -> list[int]:
    return sorted((other for other in numbers if other != number), key=lambda other: (abs(other - number), other))
