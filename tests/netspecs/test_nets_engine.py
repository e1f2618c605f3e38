"""Every net, built and run by Caffe itself at small sizes: shapes as said and documented, training as solved."""

import json
import math

import h5py
import numpy as np
import pytest

from netspecs import catalogue
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import solver_states, to_text
from prototxt_gen.shapes import infer
from tests.netspecs.small_nets import CLASSES, EVERY, IDS, TEST_N, D, N, T, deployed, small, with_inputs

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def built(in_caffe, tmp_path_factory):
    """(index in EVERY, state) -> what Caffe made of it: one process builds and runs them all.

    A state is "deploy", "word by word" (T = 1, the LSTM's state exposed) or that of the solver's nets by number.
    """
    nets = {}
    for index, (name, choice) in enumerate(EVERY):
        settings, variant = small(name, **choice), catalogue.get(name)
        files = variant.files(**settings)
        folder = tmp_path_factory.mktemp("net")
        (folder / "net").write_text(to_text(with_inputs(files["train_test"], variant.input_shapes(**settings))))
        for number, state in enumerate(solver_states(files["solver"])):
            nets[index, number] = f"{folder / 'net'}:{pb.Phase.Name(state.phase)}:{','.join(state.stage)}"
        for part, net in deployed(name, settings).items():
            (folder / part).write_text(to_text(net))
            nets[index, part] = f"{folder / part}:TEST:"
    done = in_caffe("build", *nets.values(), check=False)
    results = dict(zip(nets, map(json.loads, done.stdout.splitlines()), strict=False))  # fewer where it stopped
    last = [(IDS[index], state) for index, state in results][-1:]
    assert done.returncode == 0, f"Caffe stopped after {last}: {done.stderr[-2000:]}"
    return results


@pytest.mark.parametrize("index", range(len(EVERY)), ids=IDS)
def test_caffe_builds_every_net_in_every_state_with_the_shapes_we_say(index, built):
    name, choice = EVERY[index]
    variant, settings = catalogue.get(name), small(name, **choice)
    files, shapes = variant.files(**settings), variant.input_shapes(**settings)

    def compare(found, said):
        assert said.problems == []
        named = {blob: list(shape) for blob, shape in said.blobs.items()}
        assert {blob: shape for blob, shape in found["blobs"].items() if blob in named} == named
        weights = {row.layer.name: [list(shape) for shape in row.weights] for row in said.rows if row.weights}
        assert found["weights"] == weights
        assert said.parameters == sum(math.prod(shape) for layer in found["weights"].values() for shape in layer)

    states = solver_states(files["solver"])
    for number, state in enumerate(states):
        part = "train" if state.phase == pb.TRAIN else "test"
        found = built[index, number]
        compare(found, infer(files["train_test"], state.phase, state.stage, inputs=shapes[part]))
        assert math.isfinite(found["loss"]) and found["loss"] > 0
        for blob, shape in shapes[part].items():
            assert found["blobs"][blob] == list(shape)
    for part, net in deployed(name, settings).items():
        compare(built[index, part], infer(net, "TEST"))
    trained = built[index, 0]["weights"]
    for part in deployed(name, settings):  # so that trained weights fit
        assert built[index, part]["weights"].items() <= trained.items()
    for number in range(len(states)):
        assert built[index, number]["weights"] == trained


def find(name, state, built, **chosen):
    """What Caffe made of a variant with these choices."""
    (index,) = (i for i, (known, choice) in enumerate(EVERY) if known == name and chosen.items() <= choice.items())
    return built[index, state]["blobs"]


def test_the_shapes_are_the_documented_ones(built):
    clips = find("activity/lrcn-fc6-rgb", 0, built, backbone="hybrid", split=1)
    assert (clips["data"], clips["pool5"], clips["fc6"]) == ([T * N, 3, 227, 227], [T * N, 6, 6, 6], [T * N, 10])
    assert (clips["lstm1"], clips["fc8-final"], clips["loss"]) == ([T, N, 7], [T, N, CLASSES], [])
    assert find("activity/lrcn-fc6-rgb", 1, built, backbone="hybrid", split=1)["lstm1"] == [T, TEST_N, 7]
    assert find("activity/lrcn-fc6-rgb", "deploy", built, backbone="hybrid", split=1)["probs"] == [T, 2, CLASSES]
    assert find("activity/lrcn-fc6-rgb", "step", built, backbone="tiny")["lstm1_h_T"] == [1, 2, 7]
    assert find("activity/single-frame-flow", "deploy", built, backbone="features")["probs"] == [T * N, CLASSES]
    words = find("caption/lrcn-4f", 0, built, backbone="caffenet", stage="train")
    assert (words["fc8"], words["lstm4"], words["predict"]) == ([N, 8], [T, N, 7], [T, N, 11])
    assert find("caption/lrcn-2f", "deploy_images", built, backbone="vgg16")["fc8"] == [2, 8]
    video = find("video/encoder-decoder-max", 0, built)
    assert (video["slots"], video["sequence"], video["predict"]) == ([2, N], [2 + T, N, 6], [2 + T, N, 11])


# A kernel of 5 on 4 pixels passes Caffe's rounding, hence 3.
@pytest.mark.parametrize(
    "backbone, least, refused, last",
    [("hybrid", 49, 48, "pool5"), ("caffenet", 39, 38, "pool5"), ("tiny", 5, 3, "conv3")],
)
def test_the_least_crop_is_the_least(backbone, least, refused, last, in_caffe, tmp_path):
    net = catalogue.get("activity/single-frame-rgb").files(
        **small("activity/single-frame-rgb", backbone=backbone) | dict(crop=least)
    )["deploy"]
    (tmp_path / "least").write_text(to_text(net))
    assert json.loads(in_caffe("build", f"{tmp_path / 'least'}:TEST:"))["blobs"][last][2:] == [1, 1]
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
    files = catalogue.get(name).files(data=str(folder), **small(name, backbone="features"))
    (folder / "net").write_text(to_text(files["train_test"]))
    read = json.loads(in_caffe("features", folder / "net"))
    np.testing.assert_allclose(read["data"], data[:T], rtol=1e-6)
    np.testing.assert_array_equal(read["label"], label[:T])


@pytest.mark.parametrize("name", ["activity/single-frame-rgb", "activity/lrcn-fc6-rgb"])
def test_caffe_s_solver_takes_the_solver_and_learns(name, feature_files, in_caffe):
    folder, *_ = feature_files
    chosen = small(name, backbone="features") | dict(
        drop6=0,
        drop7=0,
        base_lr=0.02,
        lr_policy="fixed",
        max_iter=60,
        test_iter=2,
        test_interval=30,
        snapshot=0,
        snapshot_prefix=str(folder / "snapshot"),
        solver_mode="CPU",
        net=str(folder / "net"),
        data=str(folder),
    )
    files = catalogue.get(name).files(**chosen)
    (folder / "net").write_text(to_text(files["train_test"]))
    (folder / "solver").write_text(to_text(files["solver"]))
    losses = json.loads(in_caffe("solve", folder / "solver", 60))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])
