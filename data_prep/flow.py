"""Optical flow and its images (paper, section 4.1; `create_flow_images_LRCN.m` of the release).

The released script computes the flow of Brox et al. 2004 with a MATLAB binary. The default here is DIS (Kroeger et al.
2016) followed by OpenCV's `VariationalRefinement`, which minimises an energy of that family: brightness constancy,
gradient constancy, smoothness, each robust.
"""

from __future__ import annotations

import cv2
import numpy as np

from data_prep import DataError

SCALE, ZERO = 16, 128  # grey levels a pixel of motion, and the level of no motion
# alpha, delta and gamma weigh smoothness, colour constancy and gradient constancy; the values are OpenCV's own, named
# here because results rest on them.
REFINEMENT = {"Alpha": 20.0, "Delta": 5.0, "Gamma": 10.0, "FixedPointIterations": 5, "SorIterations": 5, "Omega": 1.6}


def _dis():
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    refinement = cv2.VariationalRefinement.create()
    for name, value in REFINEMENT.items():
        getattr(refinement, "set" + name)(value)
    return lambda first, second: refinement.calc(first, second, dis.calc(first, second, None))


def _farneback():
    farneback = cv2.FarnebackOpticalFlow.create()
    return lambda first, second: farneback.calc(first, second, None)


def _tvl1():
    if not hasattr(cv2, "optflow"):
        raise DataError(
            "flow algorithm tvl1: this OpenCV has no optflow module; install opencv-contrib-python-headless"
        )
    tvl1 = cv2.optflow.DualTVL1OpticalFlow_create()
    return lambda first, second: tvl1.calc(first, second, None)


ALGORITHMS = {"dis": _dis, "farneback": _farneback, "tvl1": _tvl1}


def description(name: str) -> dict:
    """What `dataset.json` says of the flow."""
    if name not in ALGORITHMS:
        raise DataError(f"flow algorithm {name!r}: not known; choose one of {', '.join(ALGORITHMS)}")
    return {"algorithm": name, "scale": SCALE, "zero": ZERO} | ({"refinement": REFINEMENT} if name == "dis" else {})


def estimator(name: str = "dis"):
    """A function of two consecutive grey uint8 images (H, W) that gives the flow (H, W, 2) float32: x to the right, y
    down, in pixels.
    """
    description(name)
    return ALGORITHMS[name]()


def encode(flow: np.ndarray) -> np.ndarray:
    """The flow image of `flow` (H, W, 2): x * 16 + 128, y * 16 + 128, magnitude * 16 + 128, each clipped to 0..255,
    rounded.

    The authors' file has red = x, green = y, blue = magnitude. The array is OpenCV's BGR, so x is channel 2, y channel
    1, magnitude channel 0. Motion beyond 8 pixels a frame is clipped.
    """
    magnitude = np.hypot(flow[..., 0], flow[..., 1])
    levels = np.stack([magnitude, flow[..., 1], flow[..., 0]], axis=-1) * SCALE + ZERO
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def decode(image: np.ndarray) -> np.ndarray:
    """The flow (H, W, 2) float32 of a BGR flow image; exact to 1/32 pixel where nothing was clipped (before JPEG)."""
    return (image[..., [2, 1]].astype(np.float32) - ZERO) / SCALE
