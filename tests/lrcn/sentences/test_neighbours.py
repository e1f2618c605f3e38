"""The nearest neighbours of Table 3: by plain distances, and by a CNN of other classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.sentences import neighbours
from lrcn.sentences.neighbours import Cnn, cnn_net
from lrcn.trained_net import TrainedNet
from netspecs import catalogue
from prototxt_gen import SpecError
from prototxt_gen.shapes import infer
from tests.lrcn.sentences.small_nets import write_variant_weights


@given(st.integers(0, 10**6), st.sampled_from(neighbours.DISTANCES), st.integers(1, 30), st.integers(0, 9))
def test_nearest_is_nearest(seed, distance, count, asked):
    rng = np.random.default_rng(seed)
    train, test = rng.normal(size=(count, 4)), rng.normal(size=(asked, 4))
    for row, at in zip(test, neighbours.nearest_images(train, test, distance), strict=True):
        far = (
            np.linalg.norm(train - row, axis=1)
            if distance == "euclidean"
            else (1 - train @ row / np.linalg.norm(train, axis=1) / np.linalg.norm(row))
        )
        assert at == far.argmin()


@pytest.mark.parametrize("distance", neighbours.DISTANCES)
def test_nearest_in_parts_is_nearest(monkeypatch, distance):
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 3, (40, 4)), rng.integers(0, 3, (9, 4))  # many are equally near
    whole = neighbours.nearest_images(train, test, distance)
    for block in (1, 30, 100):
        monkeypatch.setattr(neighbours, "BLOCK", block)
        assert (neighbours.nearest_images(train, test, distance) == whole).all()


def test_nearest_captions():
    train = np.array([[1.0, 0], [10, 0.1], [0, 0]])
    captions = [["one", "another"], ["two"], ["three"]]
    assert neighbours.nearest_captions(train, captions, [[2, 0], [9, 0], [0, 0]]) == captions
    assert neighbours.nearest_captions(train, captions, [[2, 0.02]], "cosine") == [["two"]]
    with pytest.raises(SpecError, match="did you mean 'cosine'"):
        neighbours.nearest_images(train, train, "cosinus")
    with pytest.raises(SpecError, match="for 3 rows"):
        neighbours.nearest_captions(train, captions[:2], train)
    with pytest.raises(SpecError, match=r"\(3, 2\)"):
        neighbours.nearest_images(train, train[:, :1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_near_to_nothing(value):
    good, bad = np.eye(3), np.eye(3)
    bad[1, 2] = value
    with pytest.raises(SpecError, match="features to look in: row 1 has NaN or infinity"):
        neighbours.nearest_images(bad, good)
    with pytest.raises(SpecError, match="features to look for: row 1 has NaN or infinity"):
        neighbours.nearest_images(good, bad)


def test_a_cnn_of_other_classes_gives_its_own_fc8(tmp_path):
    sizes = {"backbone": "tiny", "units": 9, "embedding": 7, "vocabulary": 13}
    variant = catalogue.get("caption/lrcn-2f")
    net = TrainedNet(variant, variant.settings(**sizes, fc8=5), tmp_path / "x", tmp_path)
    other = write_variant_weights(
        tmp_path / "other.caffemodel", variant.name, {k: v for k, v in sizes.items() if k != "vocabulary"} | {"fc8": 6}
    )
    found, blobs = cnn_net(net, Cnn(other, ("fc7", "fc8"), "other"))
    assert blobs == ("fc7", "fc8") and infer(found, "TEST").blobs["fc8"][-1] == 6
    same = write_variant_weights(
        tmp_path / "same.caffemodel", variant.name, {k: v for k, v in sizes.items() if k != "vocabulary"} | {"fc8": 5}
    )
    assert cnn_net(net, Cnn(same, ("fc7", "fc8"), "same"))[1] == ("fc7", "fc8")
    assert cnn_net(net, Cnn(same, ("fc7",), "frozen"))[1] == ("fc7",)
    single = {"backbone": "tiny", "classes": 4, "fc6": 128, "fc7": 128}
    found, blobs = cnn_net(
        net,
        Cnn(
            write_variant_weights(tmp_path / "ucf.caffemodel", "activity/single-frame-rgb", single),
            ("fc7", "fc8"),
            "its classifier is called fc8-ucf",
        ),
    )
    assert blobs == ("fc7", "fc8") and infer(found, "TEST").blobs["fc8"][-1] == 4
    bare = write_variant_weights(tmp_path / "bare.caffemodel", "activity/lrcn-fc7-rgb", single)
    found, blobs = cnn_net(net, Cnn(bare, ("fc7", "fc8"), "no classifier of images"))
    assert blobs == ("fc7",) and "fc8" not in infer(found, "TEST").blobs
