"""The baseline 1NN of Table 3: of each image the captions of the training image nearest by a CNN's fc7 or fc8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrcn.trained_net import TrainedNet
from prototxt_gen import SpecError, nearest
from prototxt_gen.caffe_pb2 import NetParameter
from prototxt_gen.weights import AFRESH, CLASH, plan, read_weights

DISTANCES = ("euclidean", "cosine")
BLOCK = 1 << 22  # distances at once


@dataclass(frozen=True)
class Cnn:
    """Weights of a CNN before its training here: a file, the blobs of it that count, and words on what it is."""

    weights: Path
    blobs: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class Neighbours:
    """The baseline of Table 3: captions of the nearest training images. cnn: by this one, as it was before; None where
    it is not known. By a fine-tuned net's they are always."""

    cnn: Cnn | None = None


def cnn_net(reference: TrainedNet, cnn: Cnn) -> tuple[NetParameter, tuple[str, ...]]:
    """The net that reads images with another CNN's weights, cut as `reference` sees them, and the blobs that it gives.
    Its fc8 is the file's classifier, whatever that is called and however many classes it has; without one, no fc8."""
    net = reference.variant.files(**reference.settings)["deploy_images"]
    entries = plan(net, read_weights(cnn.weights), "TEST").entries
    unfit = {entry.layer for entry in entries if entry.status in (AFRESH, CLASH)}
    if "fc8" in unfit and "fc8" in cnn.blobs:
        fc8 = next(layer for layer in net.layer if layer.name == "fc8")
        width = next(entry.net[0][-1] for entry in entries if entry.layer == "fc8")  # of fc7, which it reads
        classifier = next(
            (entry for entry in entries if entry.layer.startswith("fc8") and entry.file and entry.file[0][-1] == width),
            None,
        )
        if classifier is None:
            net.layer.remove(fc8)
        else:
            fc8.name, fc8.inner_product_param.num_output = classifier.layer, classifier.file[0][-2]
            unfit.remove("fc8")
    return net, tuple(blob for blob in cnn.blobs if blob not in unfit)


def nearest_images(train: np.ndarray, test: np.ndarray, distance: str = "euclidean") -> np.ndarray:
    """For each row of test (N, D) the row of train (M, D), fc7 or fc8 of images, that is nearest: (N,) int64, of equals
    the first. The paper does not say by which distance. SpecError for other shapes and distances, and for features that
    are not finite, which are near to nothing."""
    if distance not in DISTANCES:
        raise SpecError(
            f"there is no distance '{distance}', only {' and '.join(DISTANCES)}{nearest(distance, DISTANCES)}"
        )
    train, test = np.asarray(train), np.asarray(test, np.float64)
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1] or not len(train):
        raise SpecError(f"features of {train.shape} to look in and {test.shape} to look for: give (M, D) and (N, D)")
    _check_finite(test, "look for")
    least, rows = np.full(len(test), np.inf), np.zeros(len(test), np.int64)
    step = max(1, BLOCK // max(len(test), train.shape[1]))
    for first in range(0, len(train), step):  # float64 a part at a time: fc7 of all of COCO is 1.3 GB in float32
        part = train[first : first + step].astype(np.float64)
        _check_finite(part, "look in", first)
        if distance == "cosine":
            norms = np.linalg.norm(part, axis=1, keepdims=True)
            distances = -test @ (part / np.where(norms > 0, norms, 1)).T
        else:
            distances = (part**2).sum(1) / 2 - test @ part.T
        nearest_rows = distances.argmin(1)
        nearer = distances[np.arange(len(test)), nearest_rows] < least
        least[nearer] = distances[nearer, nearest_rows[nearer]]
        rows[nearer] = first + nearest_rows[nearer]
    return rows


def _check_finite(features: np.ndarray, what: str, first: int = 0) -> None:
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise SpecError(
            f"features to {what}: row {first + int(finite.argmin())} has NaN or infinity, as of a net that diverged; "
            "give other weights, or --no-neighbours"
        )


def nearest_captions(
    train: np.ndarray, captions: Sequence[Sequence[str]], test: np.ndarray, distance: str = "euclidean"
) -> list[Sequence[str]]:
    """For each test image, of features (N, D), all captions of the nearest training image, of features (M, D). The
    paper averages BLEU over them. SpecError where an image has no caption, and as `nearest_images`."""
    if len(captions) != len(train) or not all(captions):
        raise SpecError(f"{len(captions)} images' captions for {len(train)} rows: give one or more for each")
    return [captions[row] for row in nearest_images(train, test, distance)]
