"""The LSTM's equations, by hand; against Caffe's layer they are held wherever they are used (`unroll`, in the tests of
captions and of `lrcn classify --gates`)."""

import json
import math

import numpy as np
import pytest

from lrcn import lstm
from lrcn.lstm import Unrolled, Weights
from netspecs import catalogue
from prototxt_gen import SpecError, caffe_pb2
from prototxt_gen.weights import read_layer
from tests.rounding import rounding

# The sums behind i, f, o, g that make them 3/4, 1/2, 1/4 and 1/2.
SUMS = np.array([math.log(3), 0, -math.log(3), math.atanh(0.5)])
EPS = rounding(4, 2, float)


def one_unit(x=0.0, h=0.0, static=None):
    """A unit whose gates are as above where nothing else speaks."""
    return Weights(np.full((4, 1), x), SUMS, np.full((4, 1), h), None if static is None else np.full((4, 1), static))


def test_gates_go_by_the_order_of_caffe_and_the_cell_adds_up():
    gates = lstm.run(np.zeros((3, 1)), np.array([0, 1, 0]), one_unit())
    for name, value in {"input": 0.75, "forget": 0.5, "output": 0.25, "candidate": 0.5}.items():
        np.testing.assert_allclose(getattr(gates, name), np.full((3, 1), value), rtol=0, atol=EPS)
    cells = [0.375, 0.5 * 0.375 + 0.375, 0.375]  # forgotten by half, then at a new beginning altogether
    np.testing.assert_allclose(gates.cell[:, 0], cells, rtol=0, atol=EPS)
    np.testing.assert_allclose(gates.hidden[:, 0], [0.25 * math.tanh(cell) for cell in cells], rtol=0, atol=EPS)


@pytest.mark.parametrize("weights, static", [(one_unit(x=1), None), (one_unit(static=2), np.array([0.5]))])
def test_input_and_static_input_move_every_gate(weights, static):
    """Both add 1 to each sum."""
    gates = lstm.run(np.ones((1, 1)), np.zeros(1), weights, static)
    assert gates.forget.item() == pytest.approx(1 / (1 + math.exp(-1)), abs=EPS)
    assert gates.input.item() == pytest.approx(3 * math.e / (1 + 3 * math.e), abs=EPS)
    assert gates.candidate.item() == pytest.approx(math.tanh(SUMS[3] + 1), abs=EPS)


def test_the_hidden_state_before_is_heard_where_the_sequence_goes_on():
    gates = lstm.run(np.zeros((3, 1)), np.array([0, 1, 0]), one_unit(h=4))
    before = 0.25 * math.tanh(0.375)
    expected = [0.5, 1 / (1 + math.exp(-4 * before)), 0.5]
    np.testing.assert_allclose(gates.forget[:, 0], expected, rtol=0, atol=EPS)


def test_units_that_say_more_for_the_answer_than_for_others_come_first():
    hidden = np.array([[1.0, -1.0, 0.5, 0], [1, 1, 0.5, 0]])
    classifier = np.array([[2, 0, -4, 9], [0, 2, 0, 9], [1, 1, 1, 9]], np.float32)  # its mean: 1, 1, -1, 9
    #  answer 0 at the first step, 1 at the second
    weight = lstm.contributions(hidden, classifier, [0, 1])
    np.testing.assert_allclose(
        weight, [(1 - 1) / 2, (1 + 1) / 2, (-1.5 + 0.5) / 2, 0], rtol=0, atol=rounding(8, 4, float)
    )
    unrolled = Unrolled("lstm1", ["a", "b"], lstm.Gates(*[hidden] * 6), np.array([0.1, 3, -2, 0]), 0.0)
    assert unrolled.foremost(3) == [1, 0, 2]
    drawable = unrolled.drawable(2)
    assert drawable["units"] == [1, 2] and drawable["steps"] == ["a", "b"] and drawable["weight"] == [3, -2]
    assert drawable["hidden"] == [[-1, 1], [0.5, 0.5]] == drawable["input"]
    assert json.loads(json.dumps(drawable)) == drawable
    assert unrolled.arrays()["lstm1_cell"].shape == (2, 4) and unrolled.arrays()["lstm1_cell"].dtype == np.float32


# ---- a net's LSTMs -----------------------------------------------------------------------------------------

SIZES = {"units": 5, "embedding": 4, "vocabulary": 7, "fc8": 3, "backbone": "features", "feature_size": 6}
SHAPES = {  # of lrcn-2f: the image goes into the second, as a static input
    "lstm1": [(20, 4), (20,), (20, 5)],
    "lstm2": [(20, 5), (20,), (20, 3), (20, 5)],
    "predict": [(7, 5), (7,)],
}


@pytest.fixture
def net():
    return catalogue.get("caption/lrcn-2f").files(**SIZES, deploy_streams=1, deploy_state="exposed")["deploy"]


@pytest.fixture
def weights(tmp_path):
    made, rng = caffe_pb2.NetParameter(), np.random.default_rng(0)
    for name, shapes in SHAPES.items():
        layer = made.layer.add(name=name)
        for shape in shapes:
            layer.blobs.add(data=rng.uniform(-1, 1, math.prod(shape))).shape.dim.extend(shape)
    (tmp_path / "net.caffemodel").write_bytes(made.SerializeToString())
    return tmp_path / "net.caffemodel"


@pytest.fixture
def values(weights):
    """What a Caffe that computes as the equations say would hold of 6 steps."""
    rng, cont = np.random.default_rng(1), np.array([0, 1, 1, 1, 1, 1.0])
    x, image = rng.uniform(-1, 1, (6, 4)).astype(np.float32), rng.uniform(-1, 1, 3).astype(np.float32)
    below = lstm.run(x, cont, Weights.read(weights, "lstm1")).hidden.astype(np.float32)
    above = lstm.run(below, cont, Weights.read(weights, "lstm2"), image).hidden.astype(np.float32)
    return {
        "embedded_input_sentence": x[:, None],
        "cont_sentence": cont[:, None],
        "lstm1": below[:, None],
        "lstm2": above[:, None],
        "image_features": image,
    }


def test_a_net_says_which_blobs_are_read(net, values):
    assert set(lstm.blobs(net)) == set(values)  # the exposed states are not


def test_both_lstms_are_unrolled_the_lowest_first(net, weights, values):
    below, above = lstm.unroll(net, weights, values, list("abcdef"), [1, 2, 3, 4, 5, 0])
    assert (below.layer, above.layer) == ("lstm1", "lstm2") and above.gates.cell.shape == (6, 5)
    assert max(below.apart, above.apart) < 2**-23  # float32 of a number below 1
    predict = read_layer(weights, "predict")[0]
    np.testing.assert_allclose(above.weight, lstm.contributions(above.gates.hidden, predict, [1, 2, 3, 4, 5, 0]))
    heard = np.linalg.norm(read_layer(weights, "lstm2")[0], axis=0)
    np.testing.assert_allclose(below.weight, abs(values["lstm1"][:, 0]).mean(0) * heard, rtol=1e-5)


@pytest.mark.parametrize("blob", ["lstm1", "lstm2"])
def test_another_hidden_state_than_the_equations_is_refused(net, weights, values, blob):
    values[blob] = values[blob] + np.float32(1e-3) * (np.arange(6) == 4)[:, None, None]
    with pytest.raises(SpecError, match=f"{blob}: Caffe's hidden state is not the equations'.* apart"):
        lstm.unroll(net, weights, values, list("abcdef"), [0] * 6)
    values[blob] = np.full_like(values[blob], np.nan)
    with pytest.raises(SpecError, match=f"{blob}: Caffe's"):
        lstm.unroll(net, weights, values, list("abcdef"), [0] * 6)


def test_factors_that_are_rounded_first_are_allowed_for(weights, values):
    x, image = values["lstm1"][:, 0], values["image_features"]
    read = Weights.read(weights, "lstm2")
    fp32, tf32 = (lstm.tolerance(x, read, image, precision) for precision in ("fp32", "tf32"))
    assert 0 < fp32 < 1e-4 < tf32 < 0.1
    rounded = Weights(*(tf32_of(each) for each in (read.x, read.b, read.h, read.static)))
    cont = values["cont_sentence"][:, 0]
    apart = abs(
        lstm.run(tf32_of(x), cont, rounded, tf32_of(image)).hidden - lstm.run(x, cont, read, image).hidden
    ).max()
    assert fp32 < apart < tf32


def tf32_of(values):
    """With 10 bits behind the point, as TF32 holds factors."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2**11) / 2**11, exponent)


def test_what_is_no_lstm_is_said(weights):
    with pytest.raises(SpecError, match="layer 'predict' has 2 arrays, and an LSTM 3"):
        Weights.read(weights, "predict")
    with pytest.raises(SpecError, match="has no weights for lstm9"):
        Weights.read(weights, "lstm9")
