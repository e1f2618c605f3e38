"""Shapes, weights, arithmetic and memory against numbers worked out by hand, and what the notes and problems say."""

import h5py
import lmdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prototxt_gen import LAYER_TYPES, NetSpec, SpecError, parse
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import layers as L
from prototxt_gen.layer_rules import COUNTS, RULES, count
from prototxt_gen.shapes import DATA_TYPES, infer
from tests.prototxt_gen.smallnets import BAD, CLIP, GOOD, IMAGE, STATIC, VECTORS, layer, net


def problems(found):
    return [str(problem) for problem in found.problems]


def test_every_layer_type_is_covered():
    assert COUNTS.keys() == LAYER_TYPES.keys()
    assert RULES.keys() | set(DATA_TYPES) == LAYER_TYPES.keys()


def caffenet():
    """Krizhevsky's net as Caffe has it, from 10 crops of 227x227 to 1000 classes."""
    n = NetSpec("caffenet")
    n.data = L.Input(shape=[10, 3, 227, 227])
    below = n.data
    for name, outputs, kernel, pad, stride, group, pooled in [
        ("1", 96, 11, 0, 4, 1, True),
        ("2", 256, 5, 2, 1, 2, True),
        ("3", 384, 3, 1, 1, 1, False),
        ("4", 384, 3, 1, 1, 2, False),
        ("5", 256, 3, 1, 1, 2, True),
    ]:
        n[f"conv{name}"] = L.Convolution(
            below, num_output=outputs, kernel_size=kernel, pad=pad, stride=stride, group=group
        )
        n[f"relu{name}"] = L.ReLU(n[f"conv{name}"], in_place=True)
        below = n[f"conv{name}"]
        if pooled:
            n[f"pool{name}"] = L.Pooling(below, kernel_size=3, stride=2)
            below = n[f"pool{name}"]
    for name, outputs in ("fc6", 4096), ("fc7", 4096), ("fc8", 1000):
        n[name] = L.InnerProduct(below, num_output=outputs)
        below = n[name]
    return n.to_proto()


def test_caffenet():
    found = infer(caffenet(), "TEST")
    assert not found.problems and not found.notes
    assert found.parameters == 60_965_224  # as published
    assert [found.blobs[f"conv{i}"][2:] for i in range(1, 6)] == [(55, 55), (27, 27), (13, 13), (13, 13), (13, 13)]
    assert [found.blobs[f"pool{i}"][2:] for i in (1, 2, 5)] == [(27, 27), (13, 13), (6, 6)]
    assert found.macs == 10 * (
        105_415_200 + 223_948_800 + 149_520_384 + 112_140_288 + 74_760_192 + 37_748_736 + 16_777_216 + 4_096_000
    )
    values = (
        3 * 227**2
        + 96 * 55**2
        + 96 * 27**2
        + 256 * 27**2
        + 256 * 13**2
        + 2 * 384 * 13**2
        + 256 * 13**2
        + 256 * 6**2
        + 2 * 4096
        + 1000
    )
    assert found.activation_bytes == 4 * 10 * values
    in_place = 96 * 55**2 + 256 * 27**2 + 2 * 384 * 13**2 + 256 * 13**2
    assert found.logged_bytes == 4 * 10 * (values + in_place)


def test_vgg_16():
    n = NetSpec("vgg16")
    n.data = L.Input(shape=[1, 3, 224, 224])
    below = n.data
    for block, (outputs, layers) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for index in range(1, layers + 1):
            n[f"conv{block}_{index}"] = below = L.Convolution(below, num_output=outputs, kernel_size=3, pad=1)
        n[f"pool{block}"] = below = L.Pooling(below, kernel_size=2, stride=2)
    for name, outputs in ("fc6", 4096), ("fc7", 4096), ("fc8", 1000):
        n[name] = below = L.InnerProduct(below, num_output=outputs)
    found = infer(n.to_proto(), "TEST")
    assert found.parameters == 138_357_544  # as published
    assert found.macs == 15_470_264_320
    assert found.blobs["pool5"] == (1, 512, 7, 7)


def test_the_hybrid_net_s_first_maps():
    """227 - 7 over 2, and 1: 111; pooled, rounded up: 55. Then (55 - 5) / 2 + 1 = 26, pooled 13."""
    found = infer(
        net(
            dict(x=(1, 3, 227, 227)),
            layer("Convolution", "x", "c1", num_output=96, kernel_size=7, stride=2),
            layer("Pooling", "c1", "p1", kernel_size=3, stride=2),
            layer("Convolution", "p1", "c2", num_output=384, kernel_size=5, stride=2, group=2),
            layer("Pooling", "c2", "p2", kernel_size=3, stride=2),
        )
    )
    assert [found.blobs[name][2] for name in ("c1", "p1", "c2", "p2")] == [111, 55, 26, 13]
    assert found.rows[1].weights == [(96, 3, 7, 7), (96,)]
    assert found.rows[3].weights == [(384, 48, 5, 5), (384,)]
    assert found.rows[3].macs == 26 * 26 * 384 * 48 * 25


def test_lstm():
    """5 steps of 3 streams; gates 4 * 7: of the input, of the static input, of the state."""
    row = infer(net(STATIC, layer("LSTM", "x cm s", "h", num_output=7))).rows[-1]
    assert row.weights == [(28, 4), (28,), (28, 4), (28, 7)]
    assert row.parameters == 112 + 28 + 112 + 196
    assert row.macs == 3 * (5 * 28 * 4 + 28 * 4 + 5 * 28 * 7)
    rnn = infer(net(CLIP, layer("RNN", "x cm", "h", num_output=7))).rows[-1]
    assert rnn.weights == [(7, 4), (7,), (7, 7), (7, 7), (7,)]


def unrolled_lstm(steps, streams, units, inputs, static):
    """The paper's LSTM, step by step, as layers of a net: what Caffe's LSTM layer is inside."""

    def product(bottom, top, name, **fields):
        return layer(
            "InnerProduct", bottom, top, num_output=4 * units, param=[dict(name=name)], bias_term=False, **fields
        )

    times = range(1, steps + 1)
    blobs = dict(x=(steps, streams, inputs), cm=(steps, streams), h0=(1, streams, units), c0=(1, streams, units))
    layers = [
        layer("InnerProduct", "x", "Wx", num_output=4 * units, axis=2),
        layer("Slice", "cm", " ".join(f"cm{t}" for t in times), axis=0),
        layer("Slice", "Wx", " ".join(f"Wx{t}" for t in times), axis=0),
    ]
    if static:
        blobs["s"] = (streams, static)
        layers += [product("s", "Ws_flat", "s"), layer("Reshape", "Ws_flat", "Ws", shape=[1, streams, 4 * units])]
    for t in times:
        layers += [
            layer("Scale", f"h{t - 1} cm{t}", f"masked{t}", axis=0),
            product(f"masked{t}", f"Wh{t}", "h", axis=2),
            layer("Eltwise", f"Wh{t} Wx{t}" + " Ws" * bool(static), f"gates{t}"),
            layer("LSTMUnit", f"c{t - 1} gates{t} cm{t}", f"c{t} h{t}"),
        ]
    layers += [
        layer("Concat", " ".join(f"h{t}" for t in times), "h", axis=0),
        layer("Reduction", "h", "loss", loss_weight=1),
    ]
    return net(blobs, *layers), sum(count(shape) for shape in blobs.values())


@pytest.mark.parametrize("static", [0, 30])
def test_an_lstm_holds_what_its_steps_hold(static):
    steps, streams, units, inputs = 12, 5, 64, 48
    apart, data = unrolled_lstm(steps, streams, units, inputs, static)
    blobs = dict(x=(steps, streams, inputs), cm=(steps, streams), **(dict(s=(streams, static)) if static else {}))
    whole = infer(
        net(
            blobs, layer("LSTM", " ".join(blobs), "h", num_output=units), layer("Reduction", "h", "loss", loss_weight=1)
        )
    )
    apart = infer(apart)
    assert not apart.problems and apart.parameters == whole.parameters and apart.macs == whole.macs

    def inside(found, data):
        return found.training_bytes() - 4 * (3 * found.parameters + data)

    assert inside(whole, sum(map(count, blobs.values()))) == pytest.approx(inside(apart, data), rel=0.02)


def test_shared_weights_count_once():
    found = infer(GOOD["lstms that share"])
    assert [row.shared for row in found.rows[-2:]] == [[False] * 3, [True] * 3]
    assert found.parameters == found.rows[-2].parameters == found.rows[-1].parameters
    assert found.rows[-1].own_parameters == 0


def test_training_memory():
    """By hand: two inner products with a loss, of which data and label have no gradients."""
    made = net(
        dict(x=(4, 5), l=(4,)),
        layer("InnerProduct", "x", "a", num_output=6),
        layer("ReLU", "a", "a", name="r"),
        layer("InnerProduct", "a", "b", num_output=3),
        layer("SoftmaxWithLoss", "b l", "loss"),
    )
    found = infer(made)
    weights = 5 * 6 + 6 + 6 * 3 + 3
    data, gradients, softmax = 20 + 4 + 24 + 12 + 1, 24 + 12 + 1, 12
    assert found.training_bytes() == 4 * (3 * weights + data + gradients + softmax)
    assert found.training_bytes(history=2) == found.training_bytes() + 4 * weights
    frozen = infer(
        net(
            dict(x=(4, 5), l=(4,)),
            layer("InnerProduct", "x", "b", num_output=3, param=[dict(lr_mult=0)] * 2),
            layer("SoftmaxWithLoss", "b l", "loss"),
        )
    )
    assert [row.backward for row in frozen.rows] == [False] * 4
    assert not any(row.backward for row in infer(caffenet()).rows)  # no loss: nothing runs backward


def test_a_blob_that_two_read_has_two_gradients():
    def made(readers):
        return net(
            VECTORS,
            layer("InnerProduct", "x", "a", num_output=5),
            *(layer("EuclideanLoss", "a y", f"loss{i}") for i in range(readers)),
        )

    one, two, three = (infer(made(readers)).training_bytes() for readers in (1, 2, 3))
    loss = 4 * (1 + 1 + 20)  # a loss, its gradient, the difference that it keeps
    assert three - two == loss + 4 * 20
    assert two - one == loss + 2 * 4 * 20


@pytest.mark.parametrize("name", BAD)
def test_a_problem_is_one_line_at_a_layer(name):
    found = infer(BAD[name], "TRAIN")
    assert found.problems
    for problem in found.problems:
        assert problem.message and "\n" not in problem.message
        assert BAD[name].layer[problem.index]
        top, _, _ = problem.field.partition(".")
        assert top in ("", *pb.LayerParameter.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(
    "name, said",
    [
        ("group", "group 4 does not divide the 6 channels of its bottom, 2x6x9x7"),
        ("kernel too large", "its kernel, 9x9, does not fit its padded input, 9x7"),
        ("filler", "there is no filler 'gausian'; did you mean 'gaussian'?"),
        ("unknown type", "there is no layer type 'Relu'; did you mean 'ReLU'?"),
        ("bottom from further down", "no layer makes its bottom 'w'; layer 'w' makes it, further down: move it up"),
        ("lstm, markers", "'x' has 5 steps of 3 streams, and the clip markers 'cm' 3 steps of 5: T and N must agree"),
        ("accuracy, labels", "takes 4 labels with its classes on axis 1, and 'label', 5, holds 5"),
        ("in place under another reader", "it computes in place on 'x', which another layer or the loss reads too"),
        ("reshape, wrong count", "its bottom, 2x6x9x7, holds 756 values, and 5x5 would hold 25"),
    ],
)
def test_problems_say_what_is_wrong(name, said):
    assert any(said in text for text in problems(infer(BAD[name], "TRAIN")))


@pytest.mark.parametrize("name", GOOD)
def test_a_sound_net_has_no_problem(name):
    """What Caffe makes of them, test_shapes_engine says."""
    for phase in "TRAIN", "TEST":
        found = infer(GOOD[name], phase)
        assert not found.problems and not found.unknown


def test_half_a_stride():
    """Caffe's stride_w is 0 where it is not given; a derivative gives it 1, so no engine is asked."""
    assert problems(infer(net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=3, stride_h=2))))


def test_after_a_problem_nothing_follows():
    found = infer(
        net(
            IMAGE,
            layer("Pooling", "x", "p"),
            layer("InnerProduct", "p", "f", num_output=3),
            layer("ReLU", "f", "f", name="r"),
            layer("Softmax", "f", "s", axis=7),
        )
    )
    assert len(found.problems) == 1 and found.problems[0].index == 1
    assert found.unknown == ["p", "f", "s"]
    assert found.rows[2].weights is None and found.rows[2].parameters is None and found.parameters == 0


def test_rules_choose_the_layers_and_indices_stay():
    made = net(
        VECTORS,
        layer("TanH", "x", "z", include=dict(phase="TRAIN")),
        layer("Sigmoid", "x", "z", include=dict(phase="TEST", stage="s")),
    )
    assert [row.index for row in infer(made, "TRAIN").rows] == [0, 1, 2]
    assert [row.index for row in infer(made, "TEST", ["s"]).rows] == [0, 1, 3]
    assert len(infer(made, "TEST").rows) == 2
    made.state.stage.append("s")  # a net can bring stages of its own
    assert len(infer(made, "TEST").rows) == 3
    with pytest.raises(SpecError, match="TRIAN"):
        infer(made, "TRIAN")
    made.layer[2].include[0].min_level = 2
    assert len(infer(made, "TRAIN", level=1).rows) == 2 and len(infer(made, "TRAIN", level=2).rows) == 3
    assert len(infer(made).rows) == 2  # in training, and at level 0
    made.layer[2].exclude.add(phase="TEST")
    [problem] = infer(made, "TRAIN", level=2).problems
    assert (problem.index, problem.field) == (2, "exclude") and "include" in str(problem)


def test_old_inputs_become_a_layer():
    found = infer(GOOD["old input dims"], "TEST")
    assert found.blobs["x"] == (2, 3, 4, 5) and found.rows[0].index is None and found.rows[0].layer.type == "Input"
    two = pb.NetParameter(input=["x", "y"], input_dim=[2, 3, 4, 5, 6, 7, 8, 9])
    assert infer(two).blobs == dict(x=(2, 3, 4, 5), y=(6, 7, 8, 9)) and infer(two).rows[0].layer.name == "input"
    short = pb.NetParameter(input=["x", "y"], input_dim=[2, 3, 4, 5])
    [problem] = infer(short).problems
    assert (problem.index, problem.field) == (None, "input_dim") and "2 inputs take as many input_shape" in str(problem)
    del short.input_dim[:]
    short.input_shape.add(dim=[2, 3])
    assert infer(short).problems[0].field == "input_shape"


# ---- data layers -------------------------------------------------------------------------------------------


def test_inputs_set_the_tops_of_data_layers(tmp_path):
    made = net(
        {}, layer("HDF5Data", top="x cm", source="nowhere", batch_size=5), layer("LSTM", "x cm", "h", num_output=7)
    )
    found = infer(made)
    assert not found.problems and found.unknown == ["x", "cm", "h"]
    assert any("nowhere is not here" in note for note in found.notes)
    assert any("--input cm=" in note for note in found.notes)
    found = infer(made, inputs=CLIP)
    assert not found.notes and found.blobs["h"] == (5, 3, 7)
    part = infer(made, inputs=dict(x=(5, 3, 4)))
    assert part.blobs["x"] == (5, 3, 4) and part.unknown == ["cm", "h"]


def test_hdf5_data_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("a.h5", "w") as file:
        file["x"], file["cm"], file["short"] = [[[0.0] * 4] * 3] * 10, [[0.0] * 3] * 10, [0.0] * 9
    (tmp_path / "list.txt").write_text("a.h5\nb.h5\n")
    found = infer(net({}, layer("HDF5Data", top="x cm", source="list.txt", batch_size=5)))
    assert found.blobs == dict(x=(5, 3, 4), cm=(5, 3)) and not found.notes
    for tops, said in ("x y", "no dataset 'y'"), ("x short", "as many rows"):
        assert said in problems(infer(net({}, layer("HDF5Data", top=tops, source="list.txt", batch_size=5))))[0]
    (tmp_path / "a.h5").write_text("no HDF5")
    assert infer(net({}, layer("HDF5Data", top="x", source="list.txt", batch_size=5))).unknown == ["x"]


def test_databases_and_images_are_looked_at(tmp_path):
    import cv2
    import numpy as np
    from PIL import Image

    with lmdb.open(str(tmp_path / "db")) as database, database.begin(write=True) as transaction:
        transaction.put(b"0", pb.Datum(channels=2, height=9, width=7, data=b"x").SerializeToString())
    data = layer("Data", top="x l", source=str(tmp_path / "db"), backend="LMDB", batch_size=5)
    assert infer(net({}, data)).blobs == dict(x=(5, 2, 9, 7), l=(5,))
    data.transform_param.crop_size = 6
    assert infer(net({}, data)).blobs["x"] == (5, 2, 6, 6)
    data.transform_param.crop_size = 8
    assert "larger than the images' width of 7" in problems(infer(net({}, data)))[0]

    cv2.imwrite(str(tmp_path / "a b.png"), np.zeros((8, 9, 3), np.uint8))
    (tmp_path / "list.txt").write_text("a b.png 3\n")
    images = layer("ImageData", top="x l", source=str(tmp_path / "list.txt"), root_folder=f"{tmp_path}/", batch_size=4)
    assert infer(net({}, images)).blobs == dict(x=(4, 3, 8, 9), l=(4,))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, as Caffe reads it
    Image.new("RGB", (9, 8)).save(tmp_path / "a b.png", exif=exif)
    assert infer(net({}, images)).blobs["x"] == (4, 3, 9, 8)
    images.image_data_param.is_color = False
    images.image_data_param.new_height = images.image_data_param.new_width = 20
    assert infer(net({}, images)).blobs["x"] == (4, 1, 20, 20)


@pytest.mark.parametrize(
    "type_, fields, field, said",
    [
        ("", {}, "type", "it has no type"),
        ("Input", {}, "input_param.shape", "it has no shape"),
        ("HDF5Data", dict(transform_param=dict(scale=2)), "transform_param", "HDF5Data transforms nothing"),
        ("HDF5Data", dict(batch_size=0), "hdf5_data_param.batch_size", "must be set, to 1 or more"),
        ("Data", dict(batch_size=0), "data_param.batch_size", "batch_size"),
        ("ImageData", dict(batch_size=0, new_height=9, new_width=9), "image_data_param.batch_size", "batch_size"),
        ("ImageData", dict(new_height=1), "image_data_param.new_height", "both, or neither"),
        ("ImageData", dict(new_width=1), "image_data_param.new_height", "both, or neither"),
        ("WindowData", {}, "transform_param.crop_size", "crop_size must be set, to 1 or more"),
        ("WindowData", dict(batch_size=0, transform_param=dict(crop_size=6)), "window_data_param.batch_size", "batch"),
    ],
)
def test_what_a_data_layer_lacks_is_said_at_its_field(type_, fields, field, said):
    if type_ in ("", "Input"):
        given = pb.LayerParameter(name="data", type=type_, top=["x"])
    else:
        given = layer(type_, top="x l", **dict(source="away", batch_size=5) | fields)
    [problem] = infer(net({}, given)).problems
    assert (problem.index, problem.field) == (0, field) and said in str(problem)


def test_ones_are_enough():
    for made in (
        layer("HDF5Data", top="x", source="away", batch_size=1),
        layer("ImageData", top="x l", source="away", batch_size=1, new_height=1, new_width=1),
        layer("WindowData", top="x l", source="away", batch_size=1, transform_param=dict(crop_size=1)),
    ):
        assert not infer(net({}, made)).problems


def test_data_that_is_not_here_is_noted():
    found = infer(net({}, layer("Data", top="x", source="away", batch_size=5, transform_param=dict(crop_size=6))))
    assert found.blobs["x"] == (5, 3, 6, 6) and "3 channels" in found.notes[0]
    found = infer(
        net({}, layer("WindowData", top="x l", source="away", batch_size=5, transform_param=dict(crop_size=6)))
    )
    assert found.blobs == dict(x=(5, 3, 6, 6), l=(5,))
    assert infer(net({}, layer("ImageData", top="x l", source="away"))).unknown == ["x"]
    found = infer(net({}, layer("MemoryData", top="x l", batch_size=5, channels=2, height=3, width=4)))
    assert found.blobs == dict(x=(5, 2, 3, 4), l=(5,))


def test_python_layers_are_asked_for():
    made = net({}, layer("Python", top="x y", module="m", layer="Read"))
    assert infer(made).unknown == ["x", "y"]
    assert infer(made, python=lambda it: [(3, 4), (3,)]).blobs == dict(x=(3, 4), y=(3,))
    assert "gives 1 tops, and 2 are named" in problems(infer(made, python=lambda it: [(3, 4)]))[0]

    def refuses(it):
        raise ValueError("param_str is not JSON")

    assert problems(infer(made, python=refuses)) == ["param_str is not JSON"]


def test_neither_the_net_changes_nor_is_anything_raised():
    for made in (*GOOD.values(), *BAD.values()):
        before = made.SerializeToString()
        infer(made, "TEST")
        assert made.SerializeToString() == before


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.data())
def test_reshape_keeps_the_values(shape, data):
    """Any split of the axes of a blob, with one of them to be worked out, holds what the blob holds."""
    end = data.draw(st.integers(0, len(shape)))
    start = data.draw(st.integers(0, end))
    found = infer(net(dict(x=shape), layer("Reshape", "x", "y", shape=[-1], axis=start, num_axes=end - start)))
    assert not found.problems
    middle = 1
    for size in shape[start:end]:
        middle *= size
    assert found.blobs["y"] == (*shape[:start], middle, *shape[end:])


@given(st.binary(max_size=60))
def test_any_message_is_taken(data):
    """Whatever a net says, it is answered, not raised."""
    try:
        made = pb.NetParameter.FromString(data)
    except Exception:
        return
    infer(made, "TEST")


def test_a_parsed_net():
    made = parse('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }')
    assert infer(made, "TEST").blobs == {"x": (2, 3)}
