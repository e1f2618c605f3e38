"""ClipData's batches held, to the bit before the mean is subtracted, against another account of what the released
Python layer does with the same random draws.

The account below is written from the facts of the release and from nothing of lrcn: lists of RGB arrays in, a batch
out. Two things are not the release's. It breaks off where a video is too short for a clip; there, here as in lrcn, the
clip starts at the first image and repeats the last. And it resizes with scikit-image on floats, we
with OpenCV on bytes; that the two agree to a grey level is a test of its own.
"""

import json
import subprocess
import sys
from itertools import cycle

import cv2
import numpy as np
import pytest
import skimage.transform
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from data_prep import store
from data_prep.dataset import Dataset, Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from lrcn import engine
from lrcn.activity.clip_loader import Loader, _begin
from lrcn.activity.sampler import Sampler
from prototxt_gen import caffe_pb2, to_text
from tests.datasets import clip_settings

SIZE, CROP = (24, 32), 19  # published: (240, 320), 227
SIZES = [(24, 32), (26, 34), (18, 40), (30, 25), (12, 16)]  # as stored; some must be enlarged
LENGTHS = [40, 17, 16, 15, 6, 2, 23]


class ReleasedLayer:
    """The layer's state is where it stands in the list. `frames[video]`: arrays (H, W, 3) RGB uint8, the first image of
    RGB numbered 1, of flow 2."""

    def __init__(self, listed, frames, videos, length, size, crop, flow, slip):
        self.turn = cycle(listed)  # at the list's end it goes on with the first video
        self.frames, self.videos, self.length = frames, videos, length
        self.size, self.crop, self.flow, self.slip = size, crop, flow, slip

    def batch(self, uniform):
        """data (T * N, 3, crop, crop), label, clip_markers; `uniform` gives the next draw from [0, 1)."""
        clips = []
        for _ in range(self.videos):
            name, label = next(self.turn)
            top = int(uniform() * (self.size[0] - self.crop))
            left = int(uniform() * (self.size[1] - self.crop))
            flip = uniform() >= 0.5
            clips.append((label, [self.look(image, top, left, flip) for image in self.clip(name, uniform())]))
        data, label, markers = [], [], []
        for t in range(self.length):  # time-major: all clips' first frames, then all second ones
            for clip_label, images in clips:
                data.append(images[t])
                label.append(clip_label)
                markers.append(0 if t == 0 else 1)
        return np.array(data), np.array(label), np.array(markers)

    def clip(self, name, draw):
        images = self.frames[name]
        by_number = dict(enumerate(images, 2 if self.flow else 1))
        start = int(draw * (len(images) - self.length)) + 2
        if len(images) < self.length or start + self.length - 1 > max(by_number):  # where the release breaks off
            start = min(by_number)
        return [by_number[min(start + t, max(by_number))] for t in range(self.length)]

    def look(self, image, top, left, flip):
        if image.shape[0] < self.size[0] or image.shape[1] < self.size[1]:
            image = resize(image, *self.size)
        if flip:
            image = np.flip(image, 1).copy()
            if self.flow:
                image[:, :, 0] = 255 - image[:, :, 0]  # what went to the left goes to the right
        if flip or not self.slip:
            image = image[top : top + self.crop, left : left + self.crop]
        else:
            image = resize(image, self.crop, self.crop)
        return np.stack([image[:, :, 2], image[:, :, 1], image[:, :, 0]])


def resize(image, height, width):
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """(data set folder, {"rgb": {video: RGB arrays}, "flow": ...}), of many sizes and lengths, stored without loss."""
    folder, rng = tmp_path_factory.mktemp("reference") / "data", np.random.default_rng(3)
    folder.mkdir()
    index = [Video(f"v_{v}", f"class{v % 3}", v % 3, length) for v, length in enumerate(LENGTHS)]
    held = {"rgb": {}, "flow": {}}
    for modality, arrays in held.items():
        with store.ImageWriter(folder, modality) as writer:
            for v, video in enumerate(index):
                shape = (video.images(modality), *SIZES[v % len(SIZES)], 3)
                arrays[video.name] = list(rng.integers(0, 256, shape, dtype=np.uint8))
                encoded = [cv2.imencode(".png", image[:, :, ::-1])[1].tobytes() for image in arrays[video.name]]
                writer.add(video.name, video.label, encoded, *shape[1:3])
    write_text(folder / "videos.tsv", index_text(index))
    write_json(
        folder / "dataset.json",
        {"name": "reference", "kind": "frames", "mirror": True, "classes": ["class0", "class1", "class2"]},
    )
    return folder, held


def both(videos, listed, modality, slip, count, length, seed, **changes):
    """The settings, and the other account of the same layer; the list file is written."""
    folder, held = videos
    index = Dataset(folder).index
    write_text(folder / "drawn.txt", list_text([index[name] for name in listed]))
    settings = clip_settings(
        folder,
        list="drawn.txt",
        modality=modality,
        videos=count,
        frames=length,
        crop=CROP,
        height=SIZE[0],
        width=SIZE[1],
        crop_slip=slip,
        mean=[0.0, 0.0, 0.0],
        seed=seed,
        **changes,
    )
    return settings, ReleasedLayer(
        [(name, index[name].label) for name in listed],
        held[modality],
        count,
        length,
        SIZE,
        CROP,
        modality == "flow",
        slip,
    )


def draws(settings, index):
    """The draws of batch `index`, one by one, in the order in which the layer takes them."""
    return iter(np.random.default_rng([settings["seed"], index]).random(4 * settings["videos"])).__next__


@effort(max_examples=150)
@given(
    listed=st.lists(st.integers(0, len(LENGTHS) - 1), min_size=1, unique=True),
    modality=st.sampled_from(["rgb", "flow"]),
    slip=st.booleans(),
    count=st.integers(1, 9),
    length=st.integers(1, 16),
    seed=st.integers(0, 2**32),
    batches=st.integers(1, 4),
)
def test_every_batch_is_the_released_layers(videos, listed, modality, slip, count, length, seed, batches):
    """What a loader's worker writes, against the account: pixels to the bit, labels, order, wrapping round."""
    settings, other = both(videos, [f"v_{v}" for v in listed], modality, slip, count, length, seed)
    sampler = Sampler(Dataset(settings["data"]).read_list("drawn.txt"), settings)
    slots = np.full((1, length, count, 3, CROP, CROP), np.nan, np.float32)
    make = _begin(settings, slots)
    for index in range(batches):
        clips = sampler.batch(index)
        for v, clip in enumerate(clips):
            make(0, v, *vars(clip).values())
        data, label, _ = other.batch(draws(settings, index))
        np.testing.assert_array_equal(slots[0].reshape(data.shape), data)
        assert [clip.label for clip in clips] * length == list(label)


@given(
    height=st.integers(4, 30),
    width=st.integers(4, 30),
    frames=st.integers(17, 400),
    draw=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 4),
)
def test_the_extremes_of_the_draws_stay_within(height, width, frames, draw):
    """Not only what a generator happens to give: any draw, 0 and all but 1 among them."""
    settings = {"modality": "rgb", "frames": 16, "crop": 4, "height": height, "width": width, "mirror": True}
    clip = Sampler([], settings).clip(Video("v", "c", 0, frames), draw)
    assert (clip.row, clip.column) == (int(draw[0] * (height - 4)), int(draw[1] * (width - 4)))
    assert clip.mirror == (draw[2] >= 0.5) and clip.first == int(draw[3] * (frames - 16)) + 2
    assert 2 <= clip.first <= frames - 15


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_the_loaders_processes_give_the_same(videos, modality):
    settings, other = both(videos, ["v_6", "v_1", "v_3", "v_0"], modality, False, 3, 16, 77, workers=2)
    loader = Loader(Sampler(Dataset(settings["data"]).read_list("drawn.txt"), settings), settings)
    for index in range(5):
        data, labels = next(loader)
        due, label, _ = other.batch(draws(settings, index))
        np.testing.assert_array_equal(data.reshape(due.shape), due)
        assert list(np.tile(labels, 16)) == list(label)


FORWARD = """
import sys, numpy as np, caffe
net, found = caffe.Net(sys.argv[1], caffe.TRAIN), []
for _ in range(3):
    net.forward()
    found.append({top: net.blobs[top].data.copy() for top in ("data", "label", "clip_markers")})
np.savez(sys.argv[2], **{top: [one[top] for one in found] for top in found[0]})
"""


@pytest.mark.engine
@pytest.mark.parametrize("modality, slip", [("rgb", False), ("rgb", True), ("flow", False), ("flow", True)])
def test_the_layer_in_caffe_gives_the_released_tops(videos, tmp_path, modality, slip):
    settings, other = both(videos, ["v_0", "v_4", "v_6", "v_2"], modality, slip, 3, 16, 1701)
    net = caffe_pb2.NetParameter()
    layer = net.layer.add(name="data", type="Python", top=["data", "label", "clip_markers"])
    layer.python_param.module, layer.python_param.layer = "lrcn.clip_data", "ClipData"
    layer.python_param.param_str = json.dumps(settings)
    (tmp_path / "net.prototxt").write_text(to_text(net))
    done = subprocess.run(
        [sys.executable, "-c", FORWARD, str(tmp_path / "net.prototxt"), str(tmp_path / "found.npz")],
        env=engine.find().environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    for index in range(3):
        for top, due in zip(("data", "label", "clip_markers"), other.batch(draws(settings, index))):
            np.testing.assert_array_equal(found[top][index], due)


@given(
    seed=st.integers(0, 99),
    height=st.integers(20, 60),
    width=st.integers(20, 60),
    new=st.tuples(st.integers(19, 64), st.integers(19, 64)),
)
def test_opencv_resizes_bytes_as_scikit_image_does_floats(seed, height, width, new):
    """To a grey level. (Not at the border of enlarged pictures, where the release's mixes in black.)"""
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    theirs = 255 * skimage.transform.resize(image / 255, new, order=1, mode="edge", anti_aliasing=False)
    assert np.abs(resize(image, *new) - theirs).max() <= 1.001
