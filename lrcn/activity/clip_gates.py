"""What a net's LSTM does in one clip of a video: which clip, what the scoring in Caffe keeps of it, and its gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep import DataError
from lrcn import lstm
from lrcn.activity.evaluate import STRIDE
from lrcn.activity.sampler import clip_images, clip_starts, image_range
from lrcn.engine.compute import Compute
from lrcn.lstm import Unrolled
from lrcn.trained_net import TrainedNet


@dataclass(frozen=True)
class ClipGates:
    """The centre crop of one clip: the numbers of its images, the scores (T, classes) after each, the LSTM."""

    images: Sequence[int]
    scores: np.ndarray
    lstm: Unrolled


def has_lstm(net: TrainedNet) -> bool:
    return net.variant.reads == "clips"


def clip_of(modality: str | None, frames: int, length: int, number: int | None = None) -> list[int]:
    """The numbers of the images of the clip `number`, from 1, of a video of so many frames, by default of the middle
    one; empty where there is none, as where flow has no image. DataError where there are fewer."""
    first, last = image_range(modality, frames)
    starts = sorted(set(clip_starts(last - first + 1, length, STRIDE)))
    if number is not None and number > len(starts):
        raise DataError(f"has {len(starts)} clip{'s' * (len(starts) != 1)} of {length} frames, and no clip {number}")
    if not starts:
        return []
    return clip_images(first + starts[len(starts) // 2 if number is None else number - 1], length, last)


def of_job(net: TrainedNet, clips: Sequence[Sequence[int]]) -> dict[str, Any]:
    """What the job of a scoring says so that it keeps what the LSTM does in a clip, numbers of images, of each
    video."""
    blobs = [*lstm.blobs(net.variant.files(**net.settings)["deploy"]), "probs"]
    return {"states": {"blobs": blobs, "first": [clip[0] if clip else None for clip in clips]}}


def clip_gates(
    net: TrainedNet, states: Mapping[str, np.ndarray], images: Sequence[int], answer: int, compute: Compute
) -> ClipGates | None:
    """Of what a scoring kept of one video; None where it kept nothing. answer: the class that the units are weighed
    by. SpecError where Caffe's hidden state is not the equations'."""
    if not states:
        return None
    precision = compute.gpu.precision if compute.gpu else "fp32"
    deploy, steps = net.variant.files(**net.settings)["deploy"], [str(number) for number in images]
    [unrolled] = lstm.unroll(deploy, net.weights, states, steps, [answer] * len(steps), precision)
    return ClipGates(images, states["probs"], unrolled)
