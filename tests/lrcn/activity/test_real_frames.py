"""Real frames of twelve videos of UCF-101, where they lie beside the checkout: from the frames to a training net of the
published size, and to fc6 features of its CNN."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from data_prep import features
from data_prep.dataset import Dataset
from data_prep.videos import prepare_folder
from lrcn import engine
from netspecs import catalogue
from prototxt_gen import to_text
from prototxt_gen.part import part_for
from tests.commands import lrcn
from tests.shared import UCF101_FRAMES, needs
from tests.weights import write_weights

pytestmark = [pytest.mark.engine, needs(UCF101_FRAMES)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    (folder / "videos").mkdir()
    (folder / "videos" / "ApplyEyeMakeup").symlink_to(UCF101_FRAMES)
    return prepare_folder(folder / "videos", None, folder / "data")


STEP = """
import json, sys, caffe
solver = caffe.get_solver(sys.argv[1])
net = solver.net
before = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
solver.step(1)
print(json.dumps({
    "shapes": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
    "loss": float(net.blobs["loss"].data), "labels": sorted(set(net.blobs["label"].data.tolist())),
    "range": [float(net.blobs["data"].data.min()), float(net.blobs["data"].data.max())],
    "learned": sorted(name for name, blobs in net.params.items()
                      if any((blob.data != old).any() for blob, old in zip(blobs, before[name])))}))
"""


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_the_published_training_net_builds_and_steps(data, tmp_path, modality):
    files = catalogue.get(f"activity/lrcn-fc6-{modality}").files(videos=3, data=str(data), workers=2)
    solver = files["solver"]
    del solver.test_iter[:], solver.test_state[:]
    solver.test_interval, solver.snapshot, solver.net = 0, 0, str(tmp_path / "net.prototxt")
    solver.snapshot_after_train = False
    (tmp_path / "net.prototxt").write_text(to_text(files["train_test"]))
    (tmp_path / "solver.prototxt").write_text(to_text(solver))
    done = subprocess.run(
        [sys.executable, "-c", STEP, str(tmp_path / "solver.prototxt")],
        capture_output=True,
        text=True,
        env=engine.find().environment(),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    shapes = found["shapes"]
    assert (shapes["data"], shapes["fc6"], shapes["fc6-reshape"]) == ([48, 3, 227, 227], [48, 4096], [16, 3, 4096])
    assert (shapes["lstm1"], shapes["fc8-final"]) == ([16, 3, 256], [16, 3, 101])
    assert abs(found["loss"] - math.log(101)) < 0.2 and found["labels"] == [0.0]
    assert -130 <= found["range"][0] < -20 and 20 < found["range"][1] <= 152
    assert {"conv1", "fc6", "lstm1", "fc8-final"} <= set(found["learned"])


def test_fc6_of_the_published_net_is_extracted(data, tmp_path):
    net = catalogue.get("activity/lrcn-fc6-rgb").files()["deploy"]
    (tmp_path / "deploy.prototxt").write_text(to_text(net))
    weights = write_weights(tmp_path / "hybrid.caffemodel", part_for(net, "fc6", "hybrid").net)
    done = lrcn(
        "prepare",
        "features",
        "--data",
        data,
        "--net",
        tmp_path / "deploy.prototxt",
        "--mean",
        *catalogue.get("activity/lrcn-fc6-rgb").mean(),
        "--weights",
        weights,
        "--out",
        tmp_path / "out",
        "--frames",
        "4",
        "--videos",
        "3",
    )
    assert done.returncode == 0, done.stderr
    features.check_features(tmp_path / "out")
    for part in ("train", "test"):
        x, y, _ = features.read_sequences(tmp_path / "out", part)
        assert x.shape == (len(Dataset(data).videos(1, part)), 4, 4096)
        assert (x >= 0).all() and (x == 0).any() and np.ptp(x, axis=1).any()  # after the ReLU
