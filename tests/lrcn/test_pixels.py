"""Pixels as the net sees them, held against plain NumPy, against properties, and against pycaffe."""

import dataclasses
import io
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep import CorruptImage
from lrcn import engine, pixels
from lrcn.pixels import Transform
from netspecs import catalogue

RGB = Transform(height=24, width=32, crop=20, mean=[0, 0, 0], mirror=True, modality="rgb")
FLOW = dataclasses.replace(RGB, modality="flow")


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def test_cut_without_mirror_is_the_window(image):
    assert np.array_equal(RGB.cut(image, 3, 5, False), image[3:23, 5:25])


def test_cut_with_mirror_is_the_window_of_the_mirrored_frame(image):
    window = RGB.cut(image, 3, 5, True)
    for row, column in ((0, 0), (7, 19), (19, 2)):
        assert np.array_equal(window[row, column], image[3 + row, 31 - (5 + column)])


def test_mirrored_flow_negates_x_alone(image):
    window, plain = FLOW.cut(image, 3, 5, True), RGB.cut(image, 3, 5, True)
    assert np.array_equal(window[..., :2], plain[..., :2])
    assert np.array_equal(window[..., 2].astype(int), 255 - plain[..., 2].astype(int))


def test_crop_slip_squeezes_what_is_not_mirrored(image):
    slip = dataclasses.replace(RGB, crop_slip=True)
    assert np.array_equal(slip.cut(image, 3, 5, True), RGB.cut(image, 3, 5, True))
    squeezed = slip.cut(image, 3, 5, False)
    assert squeezed.shape == (20, 20, 3)
    assert abs(squeezed.mean() - image.mean()) < 3 and abs(squeezed[..., 0].mean() - image[..., 0].mean()) < 4


def test_blob_is_channels_first_less_the_mean_times_the_scale(image):
    transform = dataclasses.replace(RGB, mean=[103.939, 116.779, 123.68])
    blob = transform.blob(image)
    assert blob.shape == (3, 24, 32) and blob.dtype == np.float32
    for channel, mean in enumerate((103.939, 116.779, 123.68)):
        assert np.allclose(blob[channel], image[..., channel].astype(float) - mean, atol=1e-4)
    assert np.array_equal(transform.image(blob), image)
    out = np.empty((2, 3, 24, 32), np.float32)
    made = dataclasses.replace(transform, scale=0.02).blob(image, out[1])
    assert made.base is out and np.allclose(out[1], 0.02 * blob, atol=1e-6)
    assert np.array_equal(dataclasses.replace(transform, scale=0.02).image(made), image)
    assert np.array_equal(dataclasses.replace(transform, scale=2).blob(image), 2 * blob)


@pytest.mark.parametrize("scale", [1.0, 0.017])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_blob_is_rounded_as_single_precision_rounds(dtype, scale):
    """Every grey level, of pixels as they lie in a larger image: the difference rounded once, and the product once."""
    mean = [103.939, 116.779, 128.68]
    wide = np.random.default_rng(2).permutation(np.arange(3 * 256) % 256).reshape(16, 16, 3).astype(dtype)
    expected = [
        [[np.float32(wide[r, c, k]) - np.float32(mean[k]) for c in range(3, 15)] for r in range(1, 14)]
        for k in range(3)
    ]
    expected = np.array(expected, np.float32) * np.float32(scale)
    made = dataclasses.replace(RGB, mean=mean, scale=scale).blob(wide[1:14, 3:15])
    assert made.dtype == np.float32 and np.array_equal(made, expected)


def test_the_centre_is_caffes(image):
    """As Caffe's data layers in testing: (size - crop) / 2, rounded down."""
    odd = dataclasses.replace(RGB, crop=19)
    assert np.array_equal(odd.centre(image), image[2:21, 6:25])
    assert np.array_equal(odd.crops(image)[4], image[2:21, 6:25])


def test_corners_are_the_images_own(image):
    corners = image[:20, :20], image[:20, 12:], image[4:, :20], image[4:, 12:]
    assert np.array_equal(np.stack(RGB.crops(image)[:4]), np.stack(corners))


OVERSAMPLE = """
import sys, numpy as np, caffe.io
np.save(sys.argv[2], caffe.io.oversample([np.load(sys.argv[1])], (227, 227)))
"""


@pytest.mark.engine
def test_the_ten_crops_are_pycaffes(tmp_path):
    """`caffe.io.oversample`, at the published sizes: both leave an odd number of pixels beside the centre."""
    image = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    np.save(tmp_path / "image.npy", image)
    command = [sys.executable, "-c", OVERSAMPLE, str(tmp_path / "image.npy"), str(tmp_path / "crops.npy")]
    done = subprocess.run(command, env=engine.find().environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ten = Transform(240, 320, mean=[0, 0, 0], crop=227, mirror=True, modality="rgb").crops(image)
    assert np.array_equal(np.stack(ten), np.load(tmp_path / "crops.npy"))


def test_without_mirrors_there_are_five_crops_and_flow_is_mirrored_as_flow(image):
    ten, five = FLOW.crops(image), dataclasses.replace(FLOW, mirror=False).crops(image)
    assert np.array_equal(np.stack(ten[:5]), np.stack(five))
    mirrored = np.stack(five)[:, :, ::-1].copy()
    mirrored[..., 2] = 255 - mirrored[..., 2]
    assert np.array_equal(np.stack(ten[5:]), mirrored)


def test_small_frames_are_enlarged_and_images_resized(image):
    assert RGB.enlarged(image) is image and RGB.resized(image) is image
    large = dataclasses.replace(RGB, height=48, width=64)
    assert large.enlarged(image).shape == (48, 64, 3)
    wide = np.zeros((30, 90, 3), np.uint8)
    for large_enough in wide, np.zeros((24, 90, 3), np.uint8), np.zeros((30, 32, 3), np.uint8):
        assert RGB.enlarged(large_enough) is large_enough
    for too_small in np.zeros((23, 90, 3), np.uint8), np.zeros((30, 31, 3), np.uint8):
        assert RGB.enlarged(too_small).shape == (24, 32, 3)
    assert RGB.resized(wide).shape == (24, 32, 3)


def test_images_are_decoded_and_rubbish_is_named(image):
    assert np.array_equal(pixels.decode(cv2.imencode(".png", image)[1].tobytes(), "x"), image)
    with pytest.raises(ValueError, match="frame 7 of v_Jump"):
        pixels.decode(b"not an image", "frame 7 of v_Jump")
    with pytest.raises(ValueError, match="frame 8"):
        pixels.decode(b"", "frame 8")
    dataset = SimpleNamespace(folder="data", jpeg=lambda modality, video, number: b"no image")
    with pytest.raises(ValueError, match="^data: flow image 3 of v_Jump: "):
        pixels.read(dataset, "flow", "v_Jump", 3)


def jpeg(image, *options):
    return cv2.imencode(".jpg", image, options)[1].tobytes()


def pillow(image, mode="RGB", **options):
    """A JPEG as Pillow writes it."""
    written = io.BytesIO()
    Image.fromarray(image[..., ::-1]).convert(mode).save(written, "JPEG", **options)
    return written.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen turned to the right
    return exif


FILES = {
    "4:2:0": jpeg,
    "4:4:4": lambda image: jpeg(image, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    "4:2:2": lambda image: jpeg(image, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
    "4:4:0": lambda image: jpeg(image, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440),
    "the worst quality": lambda image: jpeg(image, cv2.IMWRITE_JPEG_QUALITY, 1),
    "the best quality": lambda image: jpeg(image, cv2.IMWRITE_JPEG_QUALITY, 100),
    "progressive": lambda image: jpeg(image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "grey": lambda image: jpeg(image[..., 0]),
    "CMYK": lambda image: pillow(image, "CMYK"),
    "to be turned": lambda image: pillow(image, exif=turned()),
    "cut off in its header": lambda image: jpeg(image)[:200],
    "cut off": lambda image: jpeg(image)[:-300],
    "cut off at its end": lambda image: jpeg(image)[:-1],
    "with something behind it": lambda image: jpeg(image) + b"more",
    "damaged": lambda image: jpeg(image)[:1000] + bytes(40) + jpeg(image)[1040:],
    "PNG": lambda image: cv2.imencode(".png", image)[1].tobytes(),
}


@pytest.mark.parametrize("what", FILES)
def test_a_frame_has_the_pixels_that_opencv_gives(what):
    """Whichever decoder is asked first: as a file is prepared, drawn and read elsewhere, by OpenCV. It makes up what a
    damaged file lacks, or does not, as its version is; here such a file is named."""
    noise = np.random.default_rng(3).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    file = FILES[what](cv2.GaussianBlur(noise, (0, 0), 1.5))
    due = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    if what.startswith(("cut off", "damaged")):
        with pytest.raises(CorruptImage, match="frame 5"):
            pixels.decode(file, "frame 5")
    else:
        assert due.shape == ((131, 97, 3) if what == "to be turned" else (97, 131, 3))
        assert np.array_equal(pixels.decode(file, "frame 5"), due)


def test_an_image_that_claims_to_be_larger_than_memory_is_named(image):
    file = bytearray(jpeg(image))
    begin = file.index(b"\xff\xc0") + 5
    file[begin : begin + 4] = b"\xff\xdc\xff\xdc"
    with pytest.raises(CorruptImage, match="frame 5: says that it is 65500 x 65500 pixels"):
        pixels.decode(bytes(file), "frame 5")


def test_a_variant_says_how_it_sees_pixels():
    flow = catalogue.get("activity/lrcn-fc6-flow")
    assert Transform.of(flow, flow.settings(crop_slip=True, scale=0.5)) == Transform(
        240, 320, [128, 128, 128], scale=0.5, crop=227, mirror=True, modality="flow", crop_slip=True
    )
    caption = catalogue.get("caption/lrcn-2f")
    assert Transform.of(caption, caption.settings(mirror=False)) == Transform(256, 256, [104, 117, 123], crop=227)
    assert Transform.of(caption, caption.settings(backbone="features")) is None
    assert Transform.of(catalogue.get("lm/lstm-lm"), {}) is None


@pytest.mark.parametrize(
    "name, settings, mean",
    [
        ("activity/single-frame-rgb", {}, (103.939, 116.779, 123.68)),
        ("activity/single-frame-rgb", {"mean_slip": True}, (103.939, 116.779, 128.68)),
        ("activity/lrcn-fc7-flow", {}, (128, 128, 128)),
        ("caption/lrcn-4f", {}, (104, 117, 123)),
    ],
)
def test_blue_green_and_red_are_less_their_own_means(name, settings, mean):
    variant = catalogue.get(name)
    transform = Transform.of(variant, variant.settings(**settings))
    blob = transform.blob(np.full((1, 1, 3), 255, np.uint8))
    assert np.allclose(blob.ravel(), 255 - np.array(mean), atol=1e-4)


@pytest.mark.parametrize(("height", "crop", "share"), [(256, 227, 227 / 256), (256, 224, 227 / 256), (40, 32, 0.8)])
def test_images_to_describe_are_cut_as_the_released_scripts_cut_them(height, crop, share):
    """The middle of either side of a ramp, whatever the image's proportions, and resized as a ramp would be."""
    rows, columns = 400, 300
    image = np.stack(np.broadcast_arrays(np.arange(columns) / 2, np.arange(rows)[:, None] / 2, 7), -1).astype(
        np.float32
    )
    cut = Transform(height=height, width=height, crop=crop, mean=[0, 0, 0]).released_middle(image)
    assert cut.shape == (crop, crop, 3) and (cut[..., 2] == 7).all()
    for axis, side in ((0, columns), (1, rows)):
        edge = int(side * (1 - share) / 2 + 0.5)
        width = (side - 2 * edge) / crop  # of a pixel of the cut, in the image's
        middles = (edge - 0.5 + width * (np.arange(crop) + 0.5)) / 2
        line = cut[0, :, 0] if axis == 0 else cut[:, 0, 1]
        inside = slice(2, crop - 2)  # at the very edge a resized image repeats its last pixel
        assert np.allclose(line[inside], middles[inside], atol=0.02)
