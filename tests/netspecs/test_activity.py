"""The activity nets and solvers say what the authors' files say (facts: the release, and Table 1 of the paper)."""

import json

import pytest

from netspecs import catalogue
from prototxt_gen import SpecError, filter_net
from prototxt_gen import caffe_pb2 as pb

MODALITIES = ["rgb", "flow"]
SINGLE = [f"activity/single-frame-{m}" for m in MODALITIES]
LRCN_FC6 = [f"activity/lrcn-fc6-{m}" for m in MODALITIES]
LRCN = LRCN_FC6 + [f"activity/lrcn-fc7-{m}" for m in MODALITIES]

# layer -> (type, bottoms, tops, a few facts of its block)
HYBRID = {
    "conv1": ("Convolution", "data", "conv1", dict(num_output=96, kernel_size=[7], stride=[2], pad=[], group=1)),
    "relu1": ("ReLU", "conv1", "conv1", {}),
    "pool1": ("Pooling", "conv1", "pool1", dict(pool=0, kernel_size=3, stride=2)),
    "norm1": ("LRN", "pool1", "norm1", dict(local_size=5, alpha=1e-4, beta=0.75)),
    "conv2": ("Convolution", "norm1", "conv2", dict(num_output=384, kernel_size=[5], stride=[2], pad=[], group=2)),
    "relu2": ("ReLU", "conv2", "conv2", {}),
    "pool2": ("Pooling", "conv2", "pool2", dict(pool=0, kernel_size=3, stride=2)),
    "norm2": ("LRN", "pool2", "norm2", dict(local_size=5, alpha=1e-4, beta=0.75)),
    "conv3": ("Convolution", "norm2", "conv3", dict(num_output=512, kernel_size=[3], stride=[], pad=[1], group=1)),
    "relu3": ("ReLU", "conv3", "conv3", {}),
    "conv4": ("Convolution", "conv3", "conv4", dict(num_output=512, kernel_size=[3], stride=[], pad=[1], group=2)),
    "relu4": ("ReLU", "conv4", "conv4", {}),
    "conv5": ("Convolution", "conv4", "conv5", dict(num_output=384, kernel_size=[3], stride=[], pad=[1], group=2)),
    "relu5": ("ReLU", "conv5", "conv5", {}),
    "pool5": ("Pooling", "conv5", "pool5", dict(pool=0, kernel_size=3, stride=2)),
    "fc6": ("InnerProduct", "pool5", "fc6", dict(num_output=4096, axis=1)),
    "relu6": ("ReLU", "fc6", "fc6", {}),
}
FC7 = {
    "fc7": ("InnerProduct", "fc6", "fc7", dict(num_output=4096, axis=1)),
    "relu7": ("ReLU", "fc7", "fc7", {}),
    "drop7": ("Dropout", "fc7", "fc7", dict(dropout_ratio=0.5)),
}
SINGLE_FRAME_NET = {
    **HYBRID,
    "drop6": ("Dropout", "fc6", "fc6", dict(dropout_ratio=0.5)),
    **FC7,
    "fc8-ucf": ("InnerProduct", "fc7", "fc8-ucf", dict(num_output=101, axis=1)),
    "loss": ("SoftmaxWithLoss", "fc8-ucf label", "loss", dict(axis=1)),
    "accuracy": ("Accuracy", "fc8-ucf label", "accuracy", dict(axis=1)),
}
LRCN_NET = {
    **HYBRID,
    "drop6": ("Dropout", "fc6", "fc6", dict(dropout_ratio=0.9)),
    "reshape-data": ("Reshape", "fc6", "fc6-reshape", {}),
    "reshape-label": ("Reshape", "label", "reshape-label", {}),
    "reshape-cm": ("Reshape", "clip_markers", "reshape-cm", {}),
    "lstm1": ("LSTM", "fc6-reshape reshape-cm", "lstm1", dict(num_output=256)),
    "lstm1-drop": ("Dropout", "lstm1", "lstm1-drop", dict(dropout_ratio=0.5)),
    "fc8-final": ("InnerProduct", "lstm1-drop", "fc8-final", dict(num_output=101, axis=2)),
    "loss": ("SoftmaxWithLoss", "fc8-final reshape-label", "loss", dict(axis=2)),
    "accuracy": ("Accuracy", "fc8-final reshape-label", "accuracy", dict(axis=2)),
}
BLOCKS = {
    "Convolution": "convolution_param",
    "Pooling": "pooling_param",
    "LRN": "lrn_param",
    "Dropout": "dropout_param",
    "InnerProduct": "inner_product_param",
    "LSTM": "recurrent_param",
    "SoftmaxWithLoss": "softmax_param",
    "Accuracy": "accuracy_param",
}


def train_net(name, **settings):
    return filter_net(catalogue.get(name).files(**settings)["train_test"], "TRAIN")


def test_net(name, **settings):
    return filter_net(catalogue.get(name).files(**settings)["train_test"], "TEST", ["test-on-test"])


test_net.__test__ = False


def layer(net, name) -> pb.LayerParameter:
    (found,) = (layer for layer in net.layer if layer.name == name)
    return found


def weights_and_biases(net):
    return [
        (layer.name, getattr(layer, BLOCKS[layer.type]), list(layer.param))
        for layer in net.layer
        if layer.type in ("Convolution", "InnerProduct", "LSTM")
    ]


@pytest.mark.parametrize("build", [train_net, test_net])
@pytest.mark.parametrize(
    "name, expected", [*((name, SINGLE_FRAME_NET) for name in SINGLE), *((name, LRCN_NET) for name in LRCN_FC6)]
)
def test_layers_are_the_authors_in_their_order(build, name, expected):
    net = build(name)
    assert [layer.name for layer in net.layer] == ["data", *expected]
    for found, (kind, bottoms, tops, facts) in zip(net.layer[1:], expected.values(), strict=True):
        assert (found.type, " ".join(found.bottom), " ".join(found.top)) == (kind, bottoms, tops), found.name
        for field, value in facts.items():
            told = getattr(getattr(found, BLOCKS[kind]), field)
            told = list(told) if isinstance(value, list) else told
            assert told == pytest.approx(value, rel=1e-6), (found.name, field)


@pytest.mark.parametrize("name", SINGLE + LRCN)
def test_weights_start_and_learn_as_released(name):
    for layer_name, block, params in weights_and_biases(train_net(name)):
        rates = [(spec.lr_mult, spec.decay_mult) for spec in params]
        weights, bias = block.weight_filler, block.bias_filler
        if layer_name == "lstm1":
            assert rates == []
            assert (weights.type, weights.min, weights.max) == ("uniform", pytest.approx(-0.01), pytest.approx(0.01))
            assert (bias.type, bias.value) == ("constant", 0)
        elif layer_name.startswith("fc8"):
            assert rates == [(10, 1), (20, 0)]
            assert (weights.type, weights.std) == ("gaussian", pytest.approx(0.01))
            assert (bias.type, bias.value) == ("constant", 0)
        else:
            assert rates == [(1, 1), (2, 0)]
            assert (weights.type, weights.std) == ("gaussian", pytest.approx(0.01))
            assert (bias.type, bias.value) == ("constant", pytest.approx(0.1))


@pytest.mark.parametrize(
    "name, released",
    [
        ("activity/single-frame-rgb", "singleFrame_RGB"),
        ("activity/single-frame-flow", "singleFrame_flow"),
        ("activity/lrcn-fc6-rgb", "lstm_joints"),
        ("activity/lrcn-fc6-flow", "lstm_joints"),
    ],
)
def test_net_names(name, released):
    assert catalogue.get(name).files()["train_test"].name == released


@pytest.mark.parametrize("name", LRCN_FC6)
@pytest.mark.parametrize("build, videos", [(train_net, 24), (test_net, 3)])
def test_clips_are_16_frames_of_24_or_3_videos(name, build, videos):
    net = build(name)
    assert layer(net, "reshape-data").reshape_param.shape.dim == [16, videos, 4096]
    assert layer(net, "reshape-label").reshape_param.shape.dim == [16, videos]
    assert layer(net, "reshape-cm").reshape_param.shape.dim == [16, videos]


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_fc7_variant_reads_fc7_and_is_else_the_fc6_one(modality):
    fc6, fc7 = train_net(f"activity/lrcn-fc6-{modality}"), train_net(f"activity/lrcn-fc7-{modality}")
    names = [layer.name for layer in fc6.layer]
    cut = names.index("reshape-data")
    assert [layer.name for layer in fc7.layer] == names[:cut] + list(FC7) + names[cut:]
    assert (list(layer(fc7, "reshape-data").bottom), list(layer(fc7, "lstm1").bottom)) == (
        ["fc7"],
        ["fc7-reshape", "reshape-cm"],
    )


# ---- data --------------------------------------------------------------------------------------------------


def clip_settings(net):
    data = layer(net, "data")
    assert (data.type, data.python_param.module, data.python_param.layer) == ("Python", "lrcn.clip_data", "ClipData")
    return json.loads(data.python_param.param_str)


def test_the_data_layer_s_settings_are_complete():
    assert clip_settings(train_net("activity/lrcn-fc6-rgb", data="/ucf", seed=3, workers=2)) == {
        "data": "/ucf",
        "list": "train1.txt",
        "modality": "rgb",
        "videos": 24,
        "frames": 16,
        "crop": 227,
        "height": 240,
        "width": 320,
        "mirror": True,
        "crop_slip": False,
        "mean": [103.939, 116.779, 123.68],
        "scale": 1.0,
        "order": "list",
        "seed": 3,
        "workers": 2,
    }


@pytest.mark.parametrize(
    "name, build, expected",
    [
        ("activity/lrcn-fc6-rgb", test_net, dict(list="test1.txt", videos=3, frames=16)),
        ("activity/lrcn-fc6-flow", train_net, dict(list="train1.txt", modality="flow", mean=[128, 128, 128])),
        ("activity/single-frame-flow", test_net, dict(list="test1.txt", videos=128, frames=1, modality="flow")),
    ],
)
def test_what_each_data_layer_reads(name, build, expected):
    assert expected.items() <= clip_settings(build(name)).items()


def test_single_rgb_frames_come_from_a_shuffled_lmdb_through_caffe_s_own_layer():
    for build, part in (train_net, "train"), (test_net, "test"):
        data = layer(build("activity/single-frame-rgb", data="/ucf", split=2, scale=0.5, batch=7, test_batch=7), "data")
        assert (data.type, data.data_param.source, data.data_param.batch_size, data.data_param.backend) == (
            "Data",
            f"/ucf/stills_{part}2",
            7,
            pb.DataParameter.LMDB,
        )
        transform = data.transform_param
        assert (transform.mirror, transform.crop_size, transform.scale) == (True, 227, 0.5)
        assert list(transform.mean_value) == pytest.approx([103.939, 116.779, 123.68])
    clips = clip_settings(train_net("activity/single-frame-rgb", reader="clips"))
    assert clips.items() >= dict(list="train1.txt", videos=128, frames=1).items()


def test_flow_is_not_read_by_caffe_s_own_layer():
    with pytest.raises(SpecError, match="reader=lmdb does not know flow"):
        train_net("activity/single-frame-flow", reader="lmdb")


def test_settings_reach_the_data_layer():
    shuffled = dict(order="shuffle", split=3, crop_slip=True, mean_slip=True, mirror=False)
    train = clip_settings(train_net("activity/lrcn-fc6-rgb", **shuffled))
    assert train == train | dict(
        order="shuffle", list="train3.txt", crop_slip=True, mirror=False, mean=[103.939, 116.779, 128.68]
    )
    assert clip_settings(test_net("activity/lrcn-fc6-rgb", **shuffled))["order"] == "list"  # tests repeat


@pytest.mark.parametrize("name, tops", [(SINGLE[0], ["data", "label"]), (LRCN[0], ["data", "label", "clip_markers"])])
def test_tops_and_rules_of_the_data_layers(name, tops):
    train, test = (found for found in catalogue.get(name).files()["train_test"].layer if found.name == "data")
    assert list(train.top) == list(test.top) == tops
    assert list(train.include) == [pb.NetStateRule(phase=pb.TRAIN)]
    assert list(test.include) == [pb.NetStateRule(phase=pb.TEST, stage=["test-on-test"])]


# ---- features ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, layers",
    [
        (SINGLE[0], "data reshape-data reshape-label silence drop6 fc7 relu7 drop7 fc8-ucf loss accuracy"),
        ("activity/lrcn-fc6-rgb", "data drop6 lstm1 lstm1-drop fc8-final loss accuracy"),
        ("activity/lrcn-fc7-rgb", "data drop6 fc7 relu7 drop7 lstm1 lstm1-drop fc8-final loss accuracy"),
    ],
)
def test_features_stand_in_for_the_cnn(name, layers):
    for build, part in (train_net, "train"), (test_net, "test"):
        net = build(name, backbone="features", data="/f", split=2)
        assert " ".join(layer.name for layer in net.layer) == layers
        data = layer(net, "data")
        assert (data.type, list(data.top)) == ("HDF5Data", ["data", "label", "clip_markers"])
        assert data.hdf5_data_param == pb.HDF5DataParameter(source=f"/f/{part}2_features.txt", batch_size=16)
        assert layer(net, "loss").loss_param.ignore_label == layer(net, "accuracy").accuracy_param.ignore_label == -1
        assert list(layer(net, "drop6").top) == ["drop6"]  # the input blob stays what the file says


# ---- deploy ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, shapes",
    [
        (SINGLE[0], dict(data=[160, 3, 227, 227])),
        (LRCN_FC6[0], dict(data=[160, 3, 227, 227], clip_markers=[160, 1, 1, 1])),
    ],
)
def test_deploy_takes_16_frames_of_10_crops(name, shapes):
    net = catalogue.get(name).files()["deploy"]
    assert {found.name: list(found.input_param.shape[0].dim) for found in net.layer if found.type == "Input"} == shapes


@pytest.mark.parametrize("name", SINGLE + LRCN)
@pytest.mark.parametrize("backbone", ["hybrid", "tiny", "features"])
def test_deploy_has_the_trained_layers_and_no_dropout(name, backbone):
    files = catalogue.get(name).files(backbone=backbone)
    trained = weights_and_biases(filter_net(files["train_test"], "TRAIN"))
    assert weights_and_biases(files["deploy"]) == trained
    assert not any(found.type == "Dropout" for found in files["deploy"].layer)
    probs = files["deploy"].layer[-1]
    assert (probs.name, probs.type, list(probs.top)) == ("probs", "Softmax", ["probs"])
    assert probs.softmax_param.axis == (1 if "single" in name else 2)


def test_deploy_lrcn_is_the_release_s():
    net = catalogue.get("activity/lrcn-fc6-rgb").files(deploy_clips=2)["deploy"]
    assert net.name == "Hyb2Net-LSTM"
    assert layer(net, "reshape-data").reshape_param.shape.dim == [16, 20, 4096]
    assert layer(net, "reshape-cm").reshape_param.shape.dim == [16, 20]


# ---- solvers -----------------------------------------------------------------------------------------------

COMMON = dict(
    base_lr=0.001,
    momentum=0.9,
    weight_decay=0.005,
    lr_policy="step",
    gamma=0.1,
    snapshot=5000,
    display=20,
    random_seed=1701,
    test_interval=100,
    net="train_test.prototxt",
    solver_mode=pb.SolverParameter.GPU,
)


@pytest.mark.parametrize(
    "name, facts",
    [
        ("activity/single-frame-rgb", dict(stepsize=3000, max_iter=5000, test_iter=[75])),
        ("activity/single-frame-flow", dict(stepsize=20000, max_iter=50000, test_iter=[75])),
        (
            "activity/lrcn-fc6-rgb",
            dict(stepsize=10000, max_iter=30000, test_iter=[100], clip_gradients=5, average_loss=1000),
        ),
        (
            "activity/lrcn-fc6-flow",
            dict(stepsize=20000, max_iter=70000, test_iter=[100], clip_gradients=15, average_loss=1000),
        ),
    ],
)
def test_solvers_are_the_authors(name, facts):
    solver = catalogue.get(name).files()["solver"]
    for field, value in {**COMMON, **facts}.items():
        told = getattr(solver, field)
        assert (list(told) if isinstance(value, list) else told) == pytest.approx(value), field
    assert list(solver.test_state) == [pb.NetState(stage=["test-on-test"])]
    for field in {"clip_gradients", "average_loss"} - facts.keys():
        assert not solver.HasField(field)
    assert not solver.HasField("type")  # SGD, Caffe's default


def test_a_solver_without_tests():
    solver = catalogue.get("activity/lrcn-fc6-rgb").files(test_iter=0)["solver"]
    assert not (solver.test_iter or solver.test_state or solver.HasField("test_interval"))


def test_a_solver_by_another_policy_and_method():
    solver = catalogue.get("activity/lrcn-fc6-rgb").files(
        type="Adam", lr_policy="multistep", stepvalue="100,200", solver_mode="CPU", iter_size=2
    )["solver"]
    assert (solver.type, list(solver.stepvalue), solver.iter_size) == ("Adam", [100, 200], 2)
    assert solver.solver_mode == pb.SolverParameter.CPU and not solver.HasField("stepsize")


def test_given_fc7_goes_where_fc7_would_go():
    single = train_net("activity/single-frame-flow", backbone="features", given="fc7")
    assert [layer.name for layer in single.layer] == [
        "data",
        "reshape-data",
        "reshape-label",
        "silence",
        "drop7",
        "fc8-ucf",
        "loss",
        "accuracy",
    ]
    clips = train_net("activity/lrcn-fc7-rgb", backbone="features", given="fc7")
    assert [layer.name for layer in clips.layer][:3] == ["data", "drop7", "lstm1"]
    assert layer(clips, "lstm1").bottom[0] == "drop7"
    assert "fc7" in [layer.name for layer in train_net("activity/lrcn-fc7-rgb", backbone="features").layer]
    with pytest.raises(SpecError, match="given=fc7 has nothing for an LSTM after fc6"):
        train_net("activity/lrcn-fc6-rgb", backbone="features", given="fc7")
