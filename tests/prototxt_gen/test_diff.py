"""What counts as a difference between two nets or solvers, and what does not: rule by rule, and on random nets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prototxt_gen import SpecError, parse, to_text
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.diff import _PRESENCE, FORK_ONLY, Difference, differences, file_differences
from prototxt_gen.fields import is_message, is_repeated
from tests.prototxt_gen.strategies import DOUBLED, filled, key, nets, other_than, shuffled_text, specs


def lines(a, b, kind="net", **state):
    return [str(found) for found in differences(parse(a + "\n", kind), parse(b + "\n", kind), **state)]


def layer(body, type_="ReLU", name="a"):
    return f"\nlayer {{ name: '{name}' type: '{type_}' {body} }}\n"


def conv(body):
    return layer(f"convolution_param {{ num_output: 4 {body} }}", "Convolution", "conv1")


def pool(body):
    return layer(f"pooling_param {{ {body} }}", "Pooling", "pool1")


BOTH_INPUTS = "input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } shape { dim: 2 } }"
RELU = layer("bottom: 'data' top: 'data'", name="relu1")

SAME = {
    "order of fields": (layer("bottom: 'x' top: 'y'"), "layer { top: 'y' type: 'ReLU' bottom: 'x' name: 'a' }"),
    "comments": (layer("# a remark\n"), layer("")),
    "spellings": (layer("include { phase: TRAIN }"), layer("include: < phase: 0 >")),
    "a default": (layer("relu_param { negative_slope: 0 engine: DEFAULT }"), layer("")),
    "a default in a filler": (conv("weight_filler { type: 'constant' value: 0 }"), conv("")),
    "no default, what it reads as": (layer("recurrent_param { num_output: 0 }"), layer("recurrent_param { }")),
    "digits of a float": (
        layer("dropout_param { dropout_ratio: 0.1 }"),
        layer("dropout_param { dropout_ratio: 1.0e-1 }"),
    ),
    "more digits than a float has": (
        layer("dropout_param { dropout_ratio: 0.1 }"),
        layer("dropout_param { dropout_ratio: 0.10000000149 }"),
    ),
    "nan": (layer("power_param { scale: nan }"), layer("power_param { scale: nan }")),
    "square kernel by height and width": (conv("kernel_size: 3"), conv("kernel_h: 3 kernel_w: 3")),
    "stride by height and width": (conv("stride: 2"), conv("stride_h: 2 stride_w: 2")),
    "no stride": (conv(""), conv("stride_h: 1 stride_w: 1 pad_h: 0 pad_w: 0")),
    "no pad, stride, dilation": (conv(""), conv("pad: 0 stride: 1 dilation: 1")),
    "a number an axis": (
        conv("kernel_size: 3 pad: 1 stride: 2"),
        conv("kernel_size: 3 kernel_size: 3 pad: 1 pad: 1 stride: 2 stride: 2"),
    ),
    "an axis left out": (conv("pad_h: 1"), conv("pad_h: 1 pad_w: 0")),
    "axes that differ": (conv("kernel_size: 3 kernel_size: 5"), conv("kernel_h: 3 kernel_w: 5")),
    "pooling's height and width": (
        pool("kernel_size: 3 stride: 2"),
        pool("kernel_h: 3 kernel_w: 3 stride_h: 2 stride_w: 2"),
    ),
    "pooling's pad": (pool("pad_h: 0 pad_w: 0"), pool("")),
    "trailing params": (conv(""), conv("} param {} param { lr_mult: 1 decay_mult: 1")),
    "a missing second param": (layer("param { lr_mult: 0 }"), layer("param { lr_mult: 0 } param { }")),
    "batch norm's three params": (
        layer("param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }", "BatchNorm"),
        layer("", "BatchNorm"),
    ),
    "batch norm's three params, whatever they say": (
        layer("param { decay_mult: 0 } " * 3, "BatchNorm"),
        layer("", "BatchNorm"),
    ),
    "batch norm learns nothing": (layer("param { lr_mult: 0 }", "BatchNorm"), layer("", "BatchNorm")),
    "a loss weighs 1": (layer("loss_weight: 1", "SoftmaxWithLoss"), layer("", "SoftmaxWithLoss")),
    "another layer weighs 0": (layer("top: 'x' loss_weight: 0", "Accuracy"), layer("top: 'x'", "Accuracy")),
    "an empty rule": (layer("include {}"), layer("")),
    "a rule twice": (layer("include { phase: TEST } include { phase: TEST }"), layer("include { phase: TEST }")),
    "order of rules": (
        layer("include { stage: 'a' } include { stage: 'b' }"),
        layer("include { stage: 'b' } include { stage: 'a' }"),
    ),
    "order of stages": (layer("include { stage: 'a' stage: 'b' }"), layer("include { stage: 'b' stage: 'a' }")),
    "a phase excluded": (layer("include { phase: TRAIN }"), layer("exclude { phase: TEST }")),
    "a stage excluded": (layer("include { not_stage: 's' }"), layer("exclude { stage: 's' }")),
    "both phases": (layer("include { phase: TRAIN } include { phase: TEST }"), layer("")),
    "levels": (layer("include { min_level: 3 }"), layer("exclude { max_level: 2 }")),
    "inputs of four dims": (
        "input: 'data' input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5" + RELU,
        layer("top: 'data' input_param { shape { dim: [2, 3, 4, 5] } }", "Input", "data") + RELU,
    ),
    "inputs with shapes": (
        "input: 'x' input: 'y' input_shape { dim: 2 dim: 3 dim: 4 dim: 5 } input_shape { dim: 2 }",
        layer(f"top: 'x' top: 'y' {BOTH_INPUTS}", "Input"),
    ),
    "an input a layer": (
        "input: 'x' input: 'y' input_shape { dim: 2 dim: 3 } input_shape { dim: 2 dim: 3 }",
        layer("top: 'x' input_param { shape { dim: [2, 3] } }", "Input", "x")
        + layer("top: 'y' input_param { shape { dim: [2, 3] } }", "Input", "y"),
    ),
    "inputs in one layer or in two": (
        layer("top: 'x' top: 'y' input_param { shape { dim: 2 } }", "Input"),
        layer("top: 'x' input_param { shape { dim: 2 } }", "Input", "x")
        + layer("top: 'y' input_param { shape { dim: 2 } }", "Input", "y"),
    ),
    "one shape for all": (
        layer("top: 'x' top: 'y' input_param { shape { dim: 2 } shape { dim: 2 } }", "Input"),
        layer("top: 'x' top: 'y' input_param { shape { dim: 2 } }", "Input"),
    ),
    "an input further down": (
        "input: 'data' input_dim: [2, 3, 4, 5]" + RELU + RELU.replace("relu1", "relu2"),
        RELU
        + layer("top: 'data' input_param { shape { dim: [2, 3, 4, 5] } }", "Input", "in")
        + RELU.replace("relu1", "relu2"),
    ),
    "concat_dim": (layer("concat_param { concat_dim: 2 }", "Concat"), layer("concat_param { axis: 2 }", "Concat")),
    "slice_dim": (layer("slice_param { slice_dim: 2 }", "Slice"), layer("slice_param { axis: 2 }", "Slice")),
    "normalize": (
        layer("loss_param { normalize: false }", "SoftmaxWithLoss"),
        layer("loss_param { normalization: BATCH_SIZE }", "SoftmaxWithLoss"),
    ),
    "one loss normalises by the batch": (
        layer("loss_param { normalization: BATCH_SIZE }", "SigmoidCrossEntropyLoss"),
        layer("", "SigmoidCrossEntropyLoss"),
    ),
    "summing with ones": (
        layer("bottom: 'x' bottom: 'y' eltwise_param { coeff: 1 coeff: 1 }", "Eltwise"),
        layer("bottom: 'x' bottom: 'y'", "Eltwise"),
    ),
    "scale starts from 1": (layer("scale_param { filler { value: 1 } }", "Scale"), layer("", "Scale")),
    "prelu starts from 1/4": (layer("prelu_param { filler { value: 0.25 } }", "PReLU"), layer("", "PReLU")),
    "dummy data's four sizes": (
        layer("top: 'x' dummy_data_param { num: 2 channels: 3 height: 4 width: 5 }", "DummyData"),
        layer("top: 'x' dummy_data_param { shape { dim: [2, 3, 4, 5] } data_filler { } }", "DummyData"),
    ),
    "one mean for all channels": (
        layer("transform_param { mean_value: 128 mean_value: 128 mean_value: 128 }"),
        layer("transform_param { mean_value: 128 }"),
    ),
    "sharers learn as the one says that says it": (
        layer("param { name: 'w' lr_mult: 2 }") + layer("param { name: 'w' }", name="b"),
        layer("param { name: 'w' }") + layer("param { name: 'w' lr_mult: 2 }", name="b"),
    ),
}
SAME_SOLVERS = {
    "defaults": ("base_lr: 0.1 iter_size: 1 solver_mode: GPU", "solver_mode: 1 base_lr: 0.10"),
    "type": ("solver_type: ADAGRAD", "type: 'AdaGrad'"),
    "the phase that is meant": ("train_state { phase: TRAIN stage: 'x' }", "train_state { stage: 'x' }"),
    "empty test states": ("test_iter: 1 test_iter: 2 test_state {} test_state { level: 0 }", "test_iter: [1, 2]"),
    "order of stages": ("train_state { stage: 'x' stage: 'y' }", "train_state { stage: 'y' stage: 'x' }"),
}


@pytest.mark.parametrize("rule", SAME)
def test_what_means_the_same_is_no_difference(rule):
    a, b = SAME[rule]
    assert lines(a, b) == lines(b, a) == []


@pytest.mark.parametrize("rule", SAME_SOLVERS)
def test_solvers_that_mean_the_same(rule):
    a, b = SAME_SOLVERS[rule]
    assert lines(a, b, "solver") == lines(b, a, "solver") == []


# (A, B, the line), and back with the two sides exchanged
DIFFERENT = {
    "a number": (conv("stride: 2"), conv("stride: 4"), "layer conv1: convolution_param.stride: 2 -> 4"),
    "against a default": (layer("lrn_param { alpha: 2 }"), layer(""), "layer a: lrn_param.alpha: 2 -> 1 (default)"),
    "against nothing": (
        layer("embed_param { num_output: 2 }"),
        layer(""),
        "layer a: embed_param.num_output: 2 -> (absent)",
    ),
    "an enum": (pool("pool: AVE"), pool(""), "layer pool1: pooling_param.pool: AVE -> MAX (default)"),
    "text": (
        layer("data_param { source: 'x y' }"),
        layer("data_param { source: 'x' }"),
        'layer a: data_param.source: "x y" -> x',
    ),
    "empty text": (
        layer("python_param { module: 'm' }"),
        layer("python_param { module: '' }"),
        'layer a: python_param.module: m -> ""',
    ),
    "a list": (layer("bottom: 'x' bottom: 'y'"), layer("bottom: 'y' bottom: 'x'"), "layer a: bottom: x, y -> y, x"),
    "a weight for too few tops": (
        layer("top: 'x' top: 'y' loss_weight: 0"),
        layer("top: 'x' top: 'y'"),
        "layer a: loss_weight: 0 -> (absent)",
    ),
    "sharers that rules keep apart": tuple(
        layer("include { stage: 'x' } param { name: 'w' lr_mult: 2 }")
        + layer(f"include {{ stage: 'y' }} param {{ name: 'w' {more} }}", name="b")
        for more in ("lr_mult: 2", "")
    )
    + ("layer b: param[0].lr_mult: 2 -> 1 (default)",),
    "an axis that Caffe takes for 0": (
        conv("pad_w: 1"),
        conv("pad: 1"),
        "layer conv1: convolution_param.pad_h: 0 -> 1",
    ),
    "levels above": (layer("include { max_level: 5 }"), layer(""), "layer a: include: { max_level: 5 } -> (absent)"),
    "levels below": (layer("include { min_level: -5 }"), layer(""), "layer a: include: { min_level: -5 } -> (absent)"),
    "an ignored label of accuracy": (
        layer("accuracy_param { ignore_label: 0 }"),
        layer(""),
        "layer a: accuracy_param.ignore_label: 0 -> (absent)",
    ),
    "a matrix": (
        layer("infogain_loss_param { source: '' }"),
        layer(""),
        'layer a: infogain_loss_param.source: "" -> (absent)',
    ),
    "a mean": (
        layer("transform_param { mean_file: '' }"),
        layer(""),
        'layer a: transform_param.mean_file: "" -> (absent)',
    ),
    "tiles": (layer("tile_param { tiles: 0 }"), layer(""), "layer a: tile_param.tiles: 0 -> (absent)"),
    "an ignored label": (
        layer("loss_param { ignore_label: 0 }"),
        layer(""),
        "layer a: loss_param.ignore_label: 0 -> (absent)",
    ),
    "global statistics": (
        layer("batch_norm_param { use_global_stats: false }", "BatchNorm"),
        layer("", "BatchNorm"),
        "layer a: batch_norm_param.use_global_stats: false -> (absent)",
    ),
    "arg max over all": (
        layer("argmax_param { axis: 0 }", "ArgMax"),
        layer("", "ArgMax"),
        "layer a: argmax_param.axis: 0 -> (absent)",
    ),
    "a param's place": (
        layer("param { } param { lr_mult: 2 }"),
        layer("param { } param { lr_mult: 3 }"),
        "layer a: param[1].lr_mult: 2 -> 3",
    ),
    "a param more": (layer("param { lr_mult: 2 }"), layer(""), "layer a: param[0].lr_mult: 2 -> 1 (default)"),
    "a loss's weight": (
        layer("loss_weight: 20", "SoftmaxWithLoss"),
        layer("", "SoftmaxWithLoss"),
        "layer a: loss_weight: 20 -> (absent)",
    ),
    "one axis of two": (
        conv("kernel_h: 3 kernel_w: 5"),
        conv("kernel_size: 3"),
        "layer conv1: convolution_param.kernel_w: 5 -> 3",
    ),
    "an axis more": (
        conv("kernel_size: 3 kernel_size: 5"),
        conv("kernel_size: 3"),
        "layer conv1: convolution_param.kernel_size: 3, 5 -> 3",
    ),
    "pooling's one axis": (
        pool("stride_h: 2 stride_w: 3 kernel_size: 3"),
        pool("stride: 2 kernel_size: 3"),
        "layer pool1: pooling_param.stride_w: 3 -> 2",
    ),
    "a shape": (
        layer("reshape_param { shape { dim: [16, 24, -1] } }"),
        layer("reshape_param { shape { dim: [16, 3, -1] } }"),
        "layer a: reshape_param.shape: (16, 24, -1) -> (16, 3, -1)",
    ),
    "scale starts from 0": (
        layer("scale_param { filler { } }", "Scale"),
        layer("", "Scale"),
        "layer a: scale_param.filler.value: 0 (default) -> 1",
    ),
    "type": (layer(""), layer("", "TanH"), "layer a: type: ReLU -> TanH"),
    "phase": (layer("phase: TRAIN"), layer(""), "layer a: phase: TRAIN -> (absent)"),
    "a rule": (
        layer("include { phase: TRAIN }"),
        layer("include { phase: TEST stage: 'x' }"),
        'layer a: include: { phase: TRAIN } -> { phase: TEST stage: "x" }',
    ),
    "a rule more": (layer("include { phase: TEST }"), layer(""), "layer a: include: { phase: TEST } -> (absent)"),
    "an exclude rule": (
        layer("exclude { stage: 'x' }"),
        layer("exclude { stage: 'y' }"),
        'layer a: exclude: { stage: "x" } -> { stage: "y" }',
    ),
    "an impossible transformation": (
        layer("transform_param { }", "HDF5Data"),
        layer("", "HDF5Data"),
        "layer a: transform_param: { } -> (absent)",
    ),
    "the net's name": ("name: 'x'", "name: 'y'", "net: name: x -> y"),
    "the net's state": ("state { phase: TEST }", "", "net: state.phase: TEST -> (absent)"),
    "an input's shape": (
        "input: 'data' input_dim: [2, 3, 4, 5]",
        layer("top: 'data' input_param { shape { dim: [2, 3, 4, 6] } }", "Input", "data"),
        "input data: shape: (2, 3, 4, 5) -> (2, 3, 4, 6)",
    ),
    "order of inputs": (
        "input: 'x' input: 'y' input_dim: [1, 1, 1, 1, 1, 1, 1, 1]",
        "input: 'y' input: 'x' input_dim: [1, 1, 1, 1, 1, 1, 1, 1]",
        "net: inputs: x, y -> y, x",
    ),
    "a shape of several": (
        layer("top: 'x' top: 'y' input_param { shape { dim: 2 } }", "Input"),
        layer("top: 'x' top: 'y' input_param { shape { dim: 2 } shape { dim: 3 } }", "Input"),
        "layer a: input_param.shape[1]: (2) -> (3)",
    ),
    "a name": (layer("bottom: 'x' top: 'y'"), layer("bottom: 'x' top: 'y'", name="b"), "layer a: name: a -> b"),
}


@pytest.mark.parametrize("rule", DIFFERENT)
def test_what_counts_is_said_in_one_line(rule):
    a, b, line = DIFFERENT[rule]
    assert lines(a, b) == [line]
    (back,) = differences(parse(b + "\n"), parse(a + "\n"))
    (there,) = differences(parse(a + "\n"), parse(b + "\n"))
    assert (back.what, back.left, back.right) == (there.what, there.right, there.left)


@pytest.mark.parametrize(
    "a, b, line",
    [
        ("stepsize: 1", "stepsize: 2", "solver: stepsize: 1 -> 2"),
        ("clip_gradients: 5", "", "solver: clip_gradients: 5 -> -1 (default)"),
        ("net: 'a.prototxt'", "net: 'b.prototxt'", "solver: net: a.prototxt -> b.prototxt"),
        ("net: ''", "", 'solver: net: "" -> (absent)'),
        ("test_iter: 25 test_iter: 25", "test_iter: 25", "solver: test_iter: 25, 25 -> 25"),
        ("test_state { stage: 'x' }", "test_state { stage: 'y' }", "solver: test_state[0].stage: x -> y"),
        ("test_state { stage: 'x' }", "", 'solver: test_state[0]: { stage: "x" } -> (absent)'),
        ("train_state { phase: TEST }", "", "solver: train_state.phase: TEST -> (absent)"),
        (
            "net_param { layer { name: 'a' type: 'ReLU' } }",
            "net_param { layer { name: 'a' type: 'TanH' } }",
            "solver net_param, layer a: type: ReLU -> TanH",
        ),
        ("net_param { }", "", "solver: net_param: 0 layers -> (absent)"),
    ],
)
def test_solvers_differ_field_by_field(a, b, line):
    assert lines(a, b, "solver") == [line]
    assert len(lines(b, a, "solver")) == 1


def chain(*names):
    return "".join(layer(f"bottom: '{name}' top: '{name}'", name=name) for name in names)


def test_a_layer_in_one_side_only_leaves_the_others_alone():
    assert lines(chain("a", "b", "c"), chain("a", "c")) == ["layer b: only in A: ReLU b -> b"]
    assert lines(chain("a", "c"), chain("a", "b", "c")) == ["layer b: only in B: ReLU b -> b"]
    assert lines(chain("b"), chain("a", "b")) == ["layer a: only in B: ReLU a -> a"]


def test_a_moved_layer_is_said_once():
    assert lines(chain("a", "b", "c", "d"), chain("a", "c", "d", "b")) == ["layer b: moved: after a -> after d"]
    assert lines(chain("a", "b", "c", "d"), chain("d", "a", "b", "c")) == ["layer d: moved: after c -> first"]


def test_what_one_side_has_alone_comes_where_it_stands():
    assert lines(chain("a", "b", "d", "f"), chain("a", "c", "d", "e")) == [
        "layer c: only in B: ReLU c -> c",
        "layer b: only in A: ReLU b -> b",
        "layer e: only in B: ReLU e -> e",
        "layer f: only in A: ReLU f -> f",
    ]


def data(phase, batch, extra=""):
    rule = f"include {{ phase: {phase} {extra} }}"
    return layer(f"top: 'data' {rule} data_param {{ batch_size: {batch} }}", "Data", "data")


def test_layers_of_one_name_are_matched_by_their_rules_whatever_their_order():
    a, b = data("TRAIN", 8) + data("TEST", 2), data("TEST", 2) + data("TRAIN", 9)
    assert lines(data("TRAIN", 8) + data("TEST", 2), data("TRAIN", 9) + data("TEST", 2)) == [
        "layer data [TRAIN]: data_param.batch_size: 8 -> 9"
    ]
    assert [line for line in lines(a, b) if "moved" not in line] == [
        "layer data [TRAIN]: data_param.batch_size: 8 -> 9"
    ]
    on, off = (data("TRAIN", 8) + data("TEST", 2, rule) for rule in ("stage: 'x'", "not_stage: 'x'"))
    assert lines(on, off) == [
        'layer data [TEST, x]: include: { phase: TEST stage: "x" } -> { phase: TEST not_stage: "x" }'
    ]
    assert lines(data("TRAIN", 8) + data("TEST", 2), data("TRAIN", 8)) == ["layer data [TEST]: only in A: Data -> data"]


def test_layers_of_one_name_without_rules_are_counted():
    assert lines(chain("a", "a"), chain("a") + layer("bottom: 'a' top: 'b'")) == ["layer a (ReLU) #2: top: a -> b"]
    images, words = (data("TRAIN", 8).replace("'Data'", kind) for kind in ("'ImageData'", "'HDF5Data'"))
    assert lines(images + words, images + words.replace("batch_size: 8", "batch_size: 9")) == [
        "layer data [TRAIN] (HDF5Data): data_param.batch_size: 8 -> 9"
    ]


def test_with_a_phase_the_nets_are_those_that_caffe_builds():
    a = data("TRAIN", 8) + data("TEST", 2, "stage: 'x'") + chain("a")
    b = layer("top: 'data' data_param { batch_size: 8 }", "Data", "data") + chain("a")
    assert lines(a, b, phase="TRAIN") == []
    assert lines(a, b, phase="TEST") == ["layer data: only in B: Data -> data"]
    assert lines(a, b, phase="TEST", stages=["x"]) == ["layer data: data_param.batch_size: 2 -> 8"]
    assert lines(layer("phase: TRAIN"), layer(""), phase="TRAIN") == []
    assert len(lines(layer("phase: TRAIN"), layer(""), phase="TEST")) == 1


def test_a_net_is_not_compared_with_a_solver():
    with pytest.raises(SpecError, match="two nets or two solvers"):
        differences(pb.NetParameter(), pb.SolverParameter())
    with pytest.raises(SpecError, match="for nets"):
        differences(pb.SolverParameter(), pb.SolverParameter(), phase="TRAIN")


@pytest.fixture
def files(tmp_path):
    def write(**texts):
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        return [tmp_path / name for name in texts]

    return write


def test_fields_of_a_fork_are_differences_of_their_own(files):
    flow = layer("transform_param { mirror: true %s }", "ImageData", "data")
    fork = flow % "flow: true  # theirs\n" + layer("rnn_param { x: 1 y: [1, 2] }", name="b")
    mine = flow % "" + layer("", name="b")
    a, b = files(mine=mine, fork=fork)
    assert list(map(str, file_differences(a, b))) == [
        f"layer data: transform_param.flow: (absent) -> true, {FORK_ONLY}",
        f"layer b: rnn_param: (absent) -> {{ x: 1 y: [1, 2] }}, {FORK_ONLY}",
    ]
    assert file_differences(b, a)[0] == Difference("layer data", "transform_param.flow", "true", None, FORK_ONLY)
    assert file_differences(b, b) == []
    a, b = files(a="base_lr: 1", b="base_lr: 1\nshare_cnn: true")
    assert list(map(str, file_differences(a, b))) == [f"solver: share_cnn: (absent) -> true, {FORK_ONLY}"]


def test_fork_fields_are_laid_to_the_layer_that_has_them_after_filtering(files):
    fork = data("TRAIN", 8) + data("TEST", 2).replace("data_param {", "data_param { flow: 1")
    a, b = files(a=data("TRAIN", 8) + data("TEST", 2), b=fork)
    assert file_differences(a, b, "TRAIN") == []
    assert [str(it) for it in file_differences(a, b, "TEST")] == [
        f"layer data: data_param.flow: (absent) -> 1, {FORK_ONLY}"
    ]


def test_retired_formats_are_compared_as_caffe_upgrades_them(files):
    old, new = files(
        old="layers { name: 'a' type: INNER_PRODUCT bottom: 'x' top: 'y' blobs_lr: 2 weight_decay: 0 strange: 1 }",
        new="layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'y' param { lr_mult: 2 decay_mult: 0 }"
        " strange: 1 }",
    )
    assert file_differences(old, new) == []
    (other,) = files(other=Path(new).read_text().replace("strange: 1", "").replace("lr_mult: 2", "lr_mult: 3"))
    assert [str(one) for one in file_differences(old, other)] == [
        "layer a: param[0].lr_mult: 2 -> 3",
        "layer a: strange: 1 -> (absent), a field that upstream Caffe does not have",
    ]


def test_both_formats_in_one_and_unlike_kinds_are_refused_in_one_line(files):
    both, new, solver = files(
        both="layer { name: 'x' }\nlayers { name: 'a' type: RELU }", new=chain("a"), solver="base_lr: 1"
    )
    with pytest.raises(SpecError, match="both:2: 'layer' and 'layers' cannot stand in one file"):
        file_differences(new, both)
    with pytest.raises(SpecError, match="solver is a solver and .*new a net"):
        file_differences(solver, new)


def test_rules_of_both_kinds_are_refused_where_a_phase_asks_for_them(files):
    a, b = files(a=chain("a"), b=layer("include { phase: TRAIN } exclude { stage: 's' }"))
    assert len(file_differences(a, b)) == 3
    with pytest.raises(SpecError, match="b: layer 'a' has include and exclude rules"):
        file_differences(a, b, "TRAIN")


# ---- random nets ------------------------------------------------------------------------------------------


@given(nets() | specs())
def test_random_specs_survive_write_parse_diff(net):
    assert differences(net, parse(to_text(net))) == differences(net, net) == []


@given(filled(pb.SolverParameter))
def test_random_solvers_survive_write_parse_diff(solver):
    assert differences(solver, parse(to_text(solver), "solver")) == []


@given(nets() | specs(), st.randoms(use_true_random=False))
def test_the_order_and_spelling_of_fields_change_nothing(net, random):
    assert differences(net, parse(shuffled_text(net, random) + "\n")) == []


def scalar_fields(message):
    """(path, message, field) of every single scalar, set or not, of a message and of those that are set in it."""
    for field in message.DESCRIPTOR.fields:
        if is_message(field) and field.message_type.name not in ("NetStateRule", "BlobShape", "BlobProto"):
            if is_repeated(field):
                inner = [(f"{field.name}[{at}]", one) for at, one in enumerate(getattr(message, field.name))]
            else:
                inner = [(field.name, getattr(message, field.name))] if message.HasField(field.name) else []
            for name, one in inner:
                yield from ((f"{name}.{path}", *rest) for path, *rest in scalar_fields(one))
        elif not is_message(field) and not is_repeated(field) and key(field) not in DOUBLED:
            yield field.name, message, field


@given(nets() | specs(), st.data())
def test_one_scalar_changed_is_one_difference_at_its_path(net, data):
    changed = pb.NetParameter()
    changed.CopyFrom(net)
    some = data.draw(st.sampled_from([changed, *changed.layer]))
    if some is changed:
        places = [(path, *rest) for path, *rest in scalar_fields(some) if not path.startswith("layer[")]
    else:
        # the type says what other fields mean by default
        places = [(path, *rest) for path, *rest in scalar_fields(some) if path != "type"]
    path, message, field = data.draw(st.sampled_from(places))
    setattr(message, field.name, data.draw(other_than(field, getattr(message, field.name))))
    (found,) = differences(net, changed)
    assert found.what == path
    (back,) = differences(changed, net)
    assert (back.what, back.left, back.right) == (path, found.right, found.left)


@given(filled(pb.SolverParameter), st.data())
def test_one_scalar_of_a_solver_changed_is_one_difference(solver, data):
    changed = pb.SolverParameter()
    changed.CopyFrom(solver)
    places = [
        place
        for place in scalar_fields(changed)
        if not place[0].endswith("_state.phase") and not place[0].startswith("test_state")
    ]  # a phase has other defaults there
    path, message, field = data.draw(st.sampled_from(places))
    setattr(message, field.name, data.draw(other_than(field, getattr(message, field.name))))
    assert [found.what for found in differences(solver, changed)] == [path]


@given(nets() | specs(), st.data())
def test_defaults_written_out_change_nothing(net, data):
    explicit = pb.NetParameter()
    explicit.CopyFrom(net)
    places = [
        (message, field)
        for path, message, field in scalar_fields(explicit)
        if key(field) not in _PRESENCE
        and not message.HasField(field.name)
        and not (field.name == "normalization" and "SigmoidCrossEntropyLoss" in {one.type for one in net.layer})
    ]
    for message, field in data.draw(st.lists(st.sampled_from(places), max_size=9)):
        setattr(message, field.name, field.default_value)
    assert differences(net, explicit) == differences(explicit, net) == []


@given(nets(), st.data())
def test_a_layer_taken_out_is_one_difference(net, data):
    fewer = pb.NetParameter()
    fewer.CopyFrom(net)
    if net.layer and len({one.name for one in net.layer}) == len(net.layer):
        at = data.draw(st.integers(0, len(net.layer) - 1))
        if net.layer[at].type != "Input":
            del fewer.layer[at]
            assert [found.what for found in differences(net, fewer)] == ["only in A"]
            assert [found.what for found in differences(fewer, net)] == ["only in B"]


@given(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8), st.randoms(use_true_random=False))
def test_layers_in_another_order_are_only_moved_and_as_few_as_can_be(names, random):
    other = names[:]
    random.shuffle(other)
    found = differences(
        *(pb.NetParameter(layer=[pb.LayerParameter(name=name) for name in order]) for order in (names, other))
    )
    assert {it.what for it in found} <= {"moved"}
    kept = [name for name in names if f"layer {name}" not in {it.where for it in found}]
    assert kept == [name for name in other if name in kept]
    runs = [0] * len(other)  # the longest run that rises, by the textbook
    for j, name in enumerate(other):
        runs[j] = 1 + max((runs[i] for i in range(j) if names.index(other[i]) < names.index(name)), default=0)
    assert len(kept) == max(runs, default=0)


def test_the_net_s_own_state_is_not_asked_for_where_one_is_given():
    assert lines("state { phase: TEST stage: 'x' }" + layer("include { stage: 'x' }"), layer(""), phase="TRAIN") == []
