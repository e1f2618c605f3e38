"""Every activity net, built and run by Caffe itself at small sizes: shapes as documented, training as solved."""

import json

import h5py
import numpy as np
import pytest

from netspecs import catalogue
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import to_text

pytestmark = pytest.mark.engine

T, N, TEST_N, CLASSES, D = 4, 3, 2, 5, 12
SMALL = {
    "hybrid": dict(widths=[4, 6, 8, 8, 6], fc6=10, fc7=9, crop=227),
    "tiny": dict(fc6=10, fc7=9, crop=56),
    "features": dict(feature_size=D, fc7=9),
}
LAST_MAPS = {"hybrid": ("pool5", [6, 6, 6]), "tiny": ("conv3", [48, 7, 7])}  # what fc6 reads


def settings(name, backbone):
    batch = dict(batch=T * N, test_batch=T * TEST_N) if "single" in name else dict(test_videos=TEST_N, units=7)
    return dict(backbone=backbone, classes=CLASSES, frames=T, videos=N, deploy_crops=2, **SMALL[backbone], **batch)


def with_inputs(net, shapes):
    """The data layers replaced by DummyData of the same names, rules and tops, which needs no files."""
    for layer in net.layer:
        if layer.type in ("Python", "HDF5Data"):
            phase = "TRAIN" if layer.include[0].phase == pb.TRAIN else "TEST"
            layer.type = "DummyData"
            layer.ClearField("python_param")
            layer.ClearField("hdf5_data_param")
            for top in layer.top:
                layer.dummy_data_param.shape.add(dim=shapes[phase][top])
                filler = dict(type="gaussian", std=1) if top == "data" else dict(type="constant", value=1)
                layer.dummy_data_param.data_filler.add(**filler)
    return net


def data_shapes(backbone, videos):
    if backbone == "features":
        return dict(data=[T, videos, D], label=[T, videos], clip_markers=[T, videos])
    crop = SMALL[backbone]["crop"]
    return dict(data=[T * videos, 3, crop, crop], label=[T * videos], clip_markers=[T * videos])


STATES = {"train": "TRAIN:", "test": "TEST:test-on-test", "deploy": "TEST:"}


@pytest.fixture(scope="module")
def built(in_caffe, tmp_path_factory):
    """(name, backbone, "train" | "test" | "deploy") -> what Caffe made of it: one process builds and runs them all."""
    nets = {}
    for name in catalogue.names():
        for backbone in SMALL:
            files = catalogue.get(name).files(**settings(name, backbone))
            shapes = {"TRAIN": data_shapes(backbone, N), "TEST": data_shapes(backbone, TEST_N)}
            folder = tmp_path_factory.mktemp("net")
            (folder / "train_test").write_text(to_text(with_inputs(files["train_test"], shapes)))
            (folder / "deploy").write_text(to_text(files["deploy"]))
            for part, state in STATES.items():
                nets[name, backbone, part] = f"{folder / ('deploy' if part == 'deploy' else 'train_test')}:{state}"
    done = in_caffe("build", *nets.values(), check=False)
    results = dict(zip(nets, map(json.loads, done.stdout.splitlines()), strict=False))  # fewer where it stopped
    assert done.returncode == 0, f"Caffe stopped after {list(results)[-1:]}: {done.stderr[-2000:]}"
    return results


@pytest.mark.parametrize("backbone", SMALL)
@pytest.mark.parametrize("name", catalogue.names())
def test_caffe_builds_every_net_with_the_documented_shapes(name, backbone, built):
    single = "single" in name
    for part, videos in ("train", N), ("test", TEST_N):
        blobs, loss = built[name, backbone, part]["blobs"], built[name, backbone, part]["loss"]
        inputs = data_shapes(backbone, videos)
        for top in inputs.keys() & blobs.keys():  # the single-frame net of pixels has no clip_markers
            assert blobs[top] == inputs[top]
        if backbone != "features":
            last, maps = LAST_MAPS[backbone]
            assert blobs[last] == [T * videos, *maps]
            assert blobs["fc6"] == [T * videos, 10]
        if single:
            assert blobs["fc8-ucf"] == [T * videos, CLASSES]
        else:
            assert blobs["lstm1"] == [T, videos, 7]
            assert blobs["fc8-final"] == [T, videos, CLASSES]
        assert blobs["loss"] == blobs["accuracy"] == []
        assert 0 < loss < 10

    deploy = built[name, backbone, "deploy"]
    streams = N if backbone == "features" else 2  # crops * clips
    assert deploy["blobs"]["probs"] == ([T * streams, CLASSES] if single else [T, streams, CLASSES])
    for part in "train", "test":  # so that trained weights fit
        assert deploy["weights"] == built[name, backbone, part]["weights"]


# A kernel of 5 on 4 pixels passes Caffe's rounding, hence 3.
@pytest.mark.parametrize("backbone, least, refused", [("hybrid", 49, 48), ("tiny", 5, 3)])
def test_the_least_crop_is_the_least(backbone, least, refused, in_caffe, tmp_path):
    net = catalogue.get("activity/single-frame-rgb").files(**settings("single", backbone) | dict(crop=least))["deploy"]
    (tmp_path / "least").write_text(to_text(net))
    assert json.loads(in_caffe("build", f"{tmp_path / 'least'}:TEST:"))["blobs"][LAST_MAPS[backbone][0]][2:] == [1, 1]
    for dim in (2, 3):
        net.layer[0].input_param.shape[0].dim[dim] = refused
    (tmp_path / "less").write_text(to_text(net))
    assert in_caffe("build", f"{tmp_path / 'less'}:TEST:", check=False).returncode != 0


@pytest.fixture
def feature_files(tmp_path):
    """Two batches of N sequences in one file, class told by the mean; the last sequence is padding, labelled -1."""
    rng = np.random.default_rng(1701)
    label = np.repeat(rng.integers(0, CLASSES, 2 * N).reshape(2, 1, N), T, axis=1).reshape(2 * T, N)
    data = rng.normal(size=(2 * T, N, D)) + 3 * np.eye(CLASSES, D)[label]
    label[T:, -1] = -1
    markers = np.tile((np.arange(T) > 0)[:, None], (2, N))
    for part in "train", "test":
        with h5py.File(tmp_path / f"{part}.h5", "w") as file:
            for name, array in dict(data=data, label=label, clip_markers=markers).items():
                file[name] = array.astype("float32")
        (tmp_path / f"{part}1_features.txt").write_text(f"{tmp_path / part}.h5\n")
    return tmp_path, data, label


@pytest.mark.parametrize("name", ["activity/single-frame-rgb", "activity/lrcn-fc6-rgb", "activity/lrcn-fc7-rgb"])
def test_features_are_read_time_major_and_left_whole(name, feature_files, in_caffe):
    folder, data, label = feature_files
    files = catalogue.get(name).files(data=str(folder), **settings(name, "features"))
    (folder / "net").write_text(to_text(files["train_test"]))
    read = json.loads(in_caffe("features", folder / "net"))
    np.testing.assert_allclose(read["data"], data[:T], rtol=1e-6)
    np.testing.assert_array_equal(read["label"], label[:T])


@pytest.mark.parametrize("name", ["activity/single-frame-rgb", "activity/lrcn-fc6-rgb"])
def test_caffe_s_solver_takes_the_solver_and_learns(name, feature_files, in_caffe):
    folder, *_ = feature_files
    chosen = settings(name, "features") | dict(
        drop6=0, drop7=0, base_lr=0.02, lr_policy="fixed", max_iter=60, test_iter=2, test_interval=30, snapshot=0,
        snapshot_prefix=str(folder / "snapshot"), solver_mode="CPU", net=str(folder / "net"), data=str(folder))
    files = catalogue.get(name).files(**chosen)
    (folder / "net").write_text(to_text(files["train_test"]))
    (folder / "solver").write_text(to_text(files["solver"]))
    losses = json.loads(in_caffe("solve", folder / "solver", 60))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])
