"""A captioner's fc7 over the images of a data set of captions: `lrcn prepare features --data CAPTIONS`."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import merge
from data_prep.dataset import Dataset
from data_prep.workers import Shard, Work
from lrcn import engine
from lrcn.pixels import Transform
from lrcn.sentences import features as caption_features
from lrcn.sentences import image_net
from lrcn.trained_net import TrainedNet
from lrcn.training.job import settings_of
from netspecs import catalogue
from prototxt_gen import caffe_pb2
from tests.commands import lrcn, refused
from tests.datasets import content, write_captions
from tests.lrcn.training.small_nets import CNN, OF_TINY, SMALL_SENTENCES, TINY, segments, train_files
from tests.rounding import rounding, summands

PIXEL = 151 * 0.02  # the largest less its mean, scaled; weights as `trained` draws them keep values about that size

READ = """
import sys, json, caffe
net = caffe.Net(sys.argv[1], caffe.TEST, stages=["freeze-convnet", sys.argv[3]], weights=sys.argv[2])
losses = []
for _ in range(4):
    net.forward()
    losses.append([float(net.blobs["cross_entropy_loss"].data), net.blobs["fc8"].data.tolist()])
print("RESULT" + json.dumps(losses))
"""


def losses(net, weights, stage):
    done = subprocess.run(
        [sys.executable, "-c", READ, net, weights, stage],
        capture_output=True,
        text=True,
        cwd="/",
        env=engine.find().environment(),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.split("RESULT")[1])


def products():
    """On the way from a picture to a word, over all steps: for `rounding`."""
    sizes = {name: json.loads(value) for name, _, value in (one.partition("=") for one in SMALL_SENTENCES[1:3])}
    files = catalogue.get("caption/lrcn-2f").files(vocabulary=20, deploy_streams=1, **TINY, **sizes)
    return summands(files["deploy_images"]) + summands(files["deploy"], 9)


def rows(folder, part):
    """fc7 of every caption, in the order of the lists."""
    out = []
    for path in (folder / f"{part}_images.txt").read_text().split():
        with h5py.File(path) as file:
            out.append(file["fc7"][()])
            assert out[-1].dtype == np.float32
    return np.concatenate(out)


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    """Captions of 24 images of noise, larger than the net reads them."""
    folder = tmp_path_factory.mktemp("captions")
    write_captions(folder / "raw", 24)
    for number, path in enumerate(sorted((folder / "raw").glob("*.png"))):
        assert cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 256, (50, 60, 3), np.uint8))
    done = lrcn(
        "prepare",
        "captions",
        "--captions",
        folder / "raw/captions.json",
        "--out",
        folder / "data",
        "--streams",
        10,
        "--steps",
        9,
    )
    assert done.returncode == 0, done.stderr
    return folder / "data"


@pytest.fixture(scope="module")
def trained(captions, tmp_path_factory):
    """The net of a captioner on images, and weights for it, those of the CNN drawn at random."""
    out, random = tmp_path_factory.mktemp("trained"), np.random.default_rng(0)
    cnn = train_files(segments(Dataset(captions), "caption/lrcn-1u", max_iter=1, crop=32), out / "cnn")
    done = lrcn(
        "train",
        "caption/lrcn-2f",
        "--data",
        captions,
        "--out",
        out,
        "--stages",
        "train",
        "--weights",
        cnn,
        *SMALL_SENTENCES,
        *OF_TINY,
        "max_iter=2",
        "snapshot=2",
        "test_interval=2",
        "mirror=false",
    )  # Caffe mirrors in testing too
    assert done.returncode == 0, done.stderr
    net = caffe_pb2.NetParameter.FromString((out / "lrcn-2f/snapshots/net_iter_2.caffemodel").read_bytes())
    for layer in net.layer:
        for blob in layer.blobs if layer.name in CNN else ():
            blob.data[:] = random.normal(0, 1 / np.sqrt(np.prod(blob.shape.dim[1:])), len(blob.data))
    (out / "w.caffemodel").write_bytes(net.SerializeToString())
    return out / "lrcn-2f/train_test.prototxt", out / "w.caffemodel"


def prepare(data, weights, out, *more):
    return lrcn(
        "prepare",
        "features",
        "--data",
        data,
        "--net",
        "caption/lrcn-2f",
        "--weights",
        weights,
        "--out",
        out,
        *more,
        "--set",
        *OF_TINY,
    )


@pytest.mark.engine
def test_the_net_on_features_is_the_net_on_images(captions, trained, tmp_path):
    net, weights = trained
    done = prepare(captions, weights, tmp_path / "fc7", "--views", 0)
    assert done.returncode == 0, done.stderr
    made = Dataset(tmp_path / "fc7").description
    assert made["feature_size"] == 8 and made["extracted"]["blob"] == "fc7" and made["kind"] == "captions"
    done = lrcn(
        "train",
        "caption/lrcn-2f",
        "--data",
        tmp_path / "fc7",
        "--out",
        tmp_path / "runs",
        *SMALL_SENTENCES,
        "fc8=8",
        "max_iter=4",
        "snapshot=4",
        "test_interval=2",
    )
    assert done.returncode == 0, done.stderr
    tolerance = rounding(products(), PIXEL)
    for stage in ("test-on-train", "test-on-val"):
        ours = losses(tmp_path / "runs/lrcn-2f/train_test.prototxt", weights, stage)
        theirs = losses(net, weights, stage)
        for (loss, fc8), (due, due_fc8) in zip(ours, theirs, strict=True):
            assert loss == pytest.approx(due, abs=tolerance)
            np.testing.assert_allclose(fc8, due_fc8, rtol=0, atol=tolerance)
        assert len({round(loss, 6) for loss, _ in theirs}) > 1 and np.ptp(theirs[0][1], axis=0).max() > 0.01


@pytest.mark.engine
def test_views_by_turns_again_and_after_an_interruption(captions, trained, tmp_path, monkeypatch):
    data, weights = captions, trained[1]
    done = prepare(data, weights, tmp_path / "fc7", "--views", 3)
    assert done.returncode == 0, done.stderr
    files = [line.rsplit(" ", 1)[0] for line in (data / "train_images.txt").read_text().splitlines()]
    held, seen = rows(tmp_path / "fc7", "train"), {}
    assert len(held) == len(files)
    for file, row in zip(files, held, strict=True):
        seen.setdefault(file, []).append(row)
    for each in seen.values():
        assert all(np.array_equal(row, each[k % 3]) for k, row in enumerate(each))
        assert len(each) < 3 or len({row.tobytes() for row in each}) == 3
    npy, names = np.load(tmp_path / "fc7/val_fc7.npy"), (tmp_path / "fc7/val_fc7.txt").read_text().splitlines()
    asked = [line.rsplit(" ", 1)[0] for line in (data / "val_images.txt").read_text().splitlines()]
    assert set(names) == set(asked) and len(names) == len(npy)
    assert np.array_equal(rows(tmp_path / "fc7", "val"), npy[[names.index(file) for file in asked]])
    for part in ("train", "val"):
        assert (tmp_path / f"fc7/{part}_captions.txt").read_text() == (data / f"{part}_captions.txt").read_text()

    variant = catalogue.get("caption/lrcn-2f")
    net = TrainedNet(variant, settings_of("caption/lrcn-2f", Dataset(data), TINY), weights, tmp_path)
    real, calls = image_net.ImageNet.activations, []

    def cut_off(self, *given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *given)

    monkeypatch.setattr(caption_features, "IMAGES", 5)
    monkeypatch.setattr(image_net.ImageNet, "activations", cut_off)
    for _ in range(2):
        try:
            caption_features.extract(Dataset(data), net, tmp_path / "again", caption_features.Extraction(views=3))
        except KeyboardInterrupt:
            assert json.loads((tmp_path / "again.partial" / "work" / "done.json").read_text()) == {"images": 10}
            with open(tmp_path / "again.partial" / "work" / "rows.f32", "ab") as file:
                file.write(b"half a row")
    assert len(calls) == 6
    for part in ("train", "val"):
        tolerance = rounding(products(), PIXEL)
        again, once = rows(tmp_path / "again", part), rows(tmp_path / "fc7", part)
        np.testing.assert_allclose(again, once, rtol=0, atol=tolerance)
        assert np.ptp(once, axis=0).max() > 20 * tolerance  # another image, or view, has other values
    assert not list(Path(tmp_path / "again").rglob("work"))


class Elsewhere:
    """A crew whose jobs are sent, each to a worker that is this process."""

    def results(self, function, jobs, alone):
        return ((job, function(pickle.loads(pickle.dumps(job)))) for job in jobs)


@pytest.mark.engine
def test_shards_and_a_crew_make_what_one_run_makes(captions, trained, tmp_path, monkeypatch):
    data, name = Dataset(captions), "caption/lrcn-2f"
    net = TrainedNet(catalogue.get(name), settings_of(name, data, TINY), trained[1], tmp_path)
    monkeypatch.setattr(caption_features, "IMAGES", 10)  # three blocks

    def extract(out, **work):
        caption_features.extract(data, net, tmp_path / out, caption_features.Extraction(views=2), work=Work(**work))
        return content(tmp_path / out)

    whole = extract("whole")
    assert extract("crew", crew=Elsewhere()) == whole
    for number in (3, 1, 4, 2):
        extract("shards", shard=Shard(number, 4))
    merge.merge(tmp_path / "shards", others={caption_features.KIND: caption_features.merge_shards})
    assert extract("shards") == whole  # it is there


def test_what_cannot_be_extracted_is_refused(captions, tmp_path):
    data, some = captions, tmp_path / "w.caffemodel"
    some.write_bytes(b"")
    refused(prepare(data, some, tmp_path / "a", "--blob", "fc6"), "--blob fc6")
    refused(prepare(data, some, tmp_path / "a"), "w.caffemodel: an empty file")
    refused(
        lrcn("prepare", "features", "--data", data, "--net", "lm/lstm-lm", "--weights", some, "--out", tmp_path / "a"),
        "lm/lstm-lm: is not a net that describes images",
    )


@given(st.integers(0, 5), st.integers(0, 4), st.booleans(), st.integers(4, 9))
@settings(max_examples=30)
def test_views_are_crops_of_the_image_mirrored_or_not(number, views, mirror, side):
    image = np.random.default_rng(number).integers(0, 256, (9, 10, 3), np.uint8)
    transform = Transform(height=9, width=10, crop=side, mean=[104, 117, 123], scale=0.5, mirror=mirror)
    found = caption_features.views_of(image, number, views, transform, 1)
    pixels = np.moveaxis((image - np.array([104, 117, 123], np.float32)) * np.float32(0.5), -1, 0)
    crops = [pixels[:, y : y + side, x : x + side] for y in range(10 - side) for x in range(11 - side)]
    crops += [crop[:, :, ::-1] for crop in crops] if mirror else []
    assert len(found) == max(views, 1)
    assert all(any(np.array_equal(view, crop) for crop in crops) for view in found)
    if not views:
        top, left = (9 - side) // 2, (10 - side) // 2
        assert np.array_equal(found[0], pixels[:, top : top + side, left : left + side])
    again = caption_features.views_of(image, number, views, transform, 1)
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
