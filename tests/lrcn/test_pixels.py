"""Pixels as the net sees them, held against plain NumPy and against properties."""

import cv2
import numpy as np
import pytest

from lrcn import pixels
from lrcn.activity.sampler import Clip

SETTINGS = {"modality": "rgb", "crop": 20, "crop_slip": False}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def clip(**changes):
    return Clip(**{"video": "v", "label": 0, "first": 1, "row": 3, "column": 5, "mirror": False, **changes})


def test_cut_without_mirror_is_the_window(image):
    assert np.array_equal(pixels.cut(image, clip(), SETTINGS), image[3:23, 5:25])


def test_cut_with_mirror_is_the_window_of_the_mirrored_frame(image):
    window = pixels.cut(image, clip(mirror=True), SETTINGS)
    for row, column in ((0, 0), (7, 19), (19, 2)):
        assert np.array_equal(window[row, column], image[3 + row, 31 - (5 + column)])


def test_mirrored_flow_negates_x_alone(image):
    window = pixels.cut(image, clip(mirror=True), {**SETTINGS, "modality": "flow"})
    plain = pixels.cut(image, clip(mirror=True), SETTINGS)
    assert np.array_equal(window[..., :2], plain[..., :2])
    assert np.array_equal(window[..., 2].astype(int), 255 - plain[..., 2].astype(int))


def test_crop_slip_squeezes_what_is_not_mirrored(image):
    slip = {**SETTINGS, "crop_slip": True}
    assert np.array_equal(pixels.cut(image, clip(mirror=True), slip), pixels.cut(image, clip(mirror=True), SETTINGS))
    squeezed = pixels.cut(image, clip(), slip)
    assert squeezed.shape == (20, 20, 3)
    assert abs(squeezed.mean() - image.mean()) < 3 and abs(squeezed[..., 0].mean() - image[..., 0].mean()) < 4


def test_blob_is_channels_first_less_the_mean(image):
    out = np.empty((3, 24, 32), np.float32)
    pixels.blob(image, {"mean": [103.939, 116.779, 123.68], "scale": 1.0}, out)
    assert np.allclose(out[0], image[..., 0].astype(float) - 103.939, atol=1e-4)
    assert np.allclose(out[2], image[..., 2].astype(float) - 123.68, atol=1e-4)


def test_ten_crops_cover_corners_and_centre(image):
    ten = pixels.crops(image, 20, "rgb", True)
    assert ten.shape == (10, 20, 20, 3)
    assert (
        np.array_equal(ten[0], image[:20, :20])
        and np.array_equal(ten[3], image[4:, 12:])
        and np.array_equal(ten[4], image[2:22, 6:26])
    )
    assert np.array_equal(ten[5:], ten[:5, :, ::-1])
    assert len(pixels.crops(image, 20, "rgb", False)) == 5


def test_small_frames_are_enlarged_and_rubbish_is_named(image):
    jpeg = cv2.imencode(".png", image)[1].tobytes()
    assert pixels.decode(jpeg, "x", 24, 32).shape == (24, 32, 3)
    assert pixels.decode(jpeg, "x", 48, 64).shape == (48, 64, 3)
    with pytest.raises(ValueError, match="frame 7 of v_Jump"):
        pixels.decode(b"not an image", "frame 7 of v_Jump", 24, 32)
    with pytest.raises(ValueError, match="frame 8"):
        pixels.decode(b"", "frame 8", 24, 32)
