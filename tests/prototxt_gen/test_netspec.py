"""Specs become the layers that were written, in the order written; what makes no sense is refused with the mend."""

import numpy as np
import pytest

from prototxt_gen import NetSpec, SpecError, parse, to_text
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import layers as L
from prototxt_gen import params as P


@pytest.fixture
def n():
    net = NetSpec("small")
    net.data, net.label = L.Input(ntop=2, shape=[[2, 3, 8, 8], [2]])
    return net


def test_a_net_comes_out_as_written(n):
    n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=3, param=[dict(lr_mult=1), dict(lr_mult=2, decay_mult=0)])
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n["fc8-ucf"] = L.InnerProduct(n.relu1, num_output=5, weight_filler=P.Filler(type="gaussian", std=0.01))
    n["fc8-reshape"] = L.Reshape(n["fc8-ucf"], name="reshape-data", shape=[2, -1])
    n.loss = L.SoftmaxWithLoss(n["fc8-reshape"], n.label, loss_weight=20, axis=1, loss_param=dict(ignore_label=-1))
    n.silence = L.Silence(n.label, ntop=0)

    assert n.to_proto() == parse("""
        name: "small"
        layer { name: "data" type: "Input" top: "data" top: "label"
                input_param { shape { dim: [2, 3, 8, 8] } shape { dim: 2 } } }
        layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
                param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
                convolution_param { num_output: 4 kernel_size: 3 } }
        layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
        layer { name: "fc8-ucf" type: "InnerProduct" bottom: "conv1" top: "fc8-ucf"
                inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.01 } } }
        layer { name: "reshape-data" type: "Reshape" bottom: "fc8-ucf" top: "fc8-reshape"
                reshape_param { shape { dim: [2, -1] } } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8-reshape" bottom: "label" top: "loss" loss_weight: 20
                loss_param { ignore_label: -1 } softmax_param { axis: 1 } }
        layer { name: "silence" type: "Silence" bottom: "label" }""")


def test_layers_of_one_name_are_kept_apart_by_rules(n):
    n.x = L.Power(n.data, scale=2, include=P.NetStateRule(phase="TRAIN"))
    n.x = L.Power(n.data, scale=3, include=dict(phase="TEST", stage="a"))
    first, second = n.to_proto().layer[1:]
    assert (first.name, list(first.top), first.include[0].phase) == ("x", ["x"], pb.TRAIN)
    assert (second.name, list(second.top), list(second.include[0].stage)) == ("x", ["x"], ["a"])


def test_enums_go_by_name_and_by_number(n):
    by_name, by_number = L.Pooling(n.data, pool="AVE"), L.Pooling(n.data, pool=P.Pooling.AVE)
    assert by_name.layer.param == by_number.layer.param
    assert by_name.layer.param.pooling_param.pool == pb.PoolingParameter.AVE


def test_to_proto_is_a_copy(n):
    n.to_proto().layer[0].name = "changed"
    assert n.to_proto().layer[0].name == "data"


def wrong_bottom(n):
    n.ip = L.InnerProduct("data", num_output=1)


def unnamed_bottom(n):
    n.ip = L.InnerProduct(L.ReLU(n.data), num_output=1)


def twice(n):
    n.conv1 = L.ReLU(n.data)
    n.conv1 = L.ReLU(n.data, include=dict(phase="TEST"))


def unnamed_top(n):
    n.a = L.Slice(n.data, ntop=2)[0]
    n.to_proto()


def tuple_as_top(n):
    n.a = L.Slice(n.data, ntop=2)


@pytest.mark.parametrize(
    "write, said",
    [
        (lambda n: L.Convolutoin(n.data), "no layer type 'Convolutoin'; did you mean 'Convolution'?"),
        (lambda n: L.Convolution(n.data, numoutput=1), "no field 'numoutput'; did you mean 'num_output'?"),
        (lambda n: L.Convolution(n.data, inclde=dict(phase=0)), "no field 'inclde'; did you mean 'include'?"),
        (lambda n: L.LSTM(n.data, weight_filler=dict(tpye="x")), "has no field 'tpye'; did you mean 'type'?"),
        (lambda n: L.Silence(n.data, ntop=0, num_output=3), "a Silence layer has no field 'num_output'"),
        (lambda n: L.Pooling(n.data, pool="MXA"), "PoolingParameter.pool cannot be 'MXA', only MAX, AVE, STOCHASTIC"),
        (lambda n: P.Pooling.MXA, "no value 'MXA'; did you mean 'MAX'?"),
        (lambda n: P.Poling, "no message 'Poling'"),
        (lambda n: L.Convolution(n.data, num_output=-1), "num_output cannot be -1: it takes a whole number from 0"),
        (lambda n: L.Convolution(n.data, num_output=2.5), "num_output cannot be 2.5"),
        (lambda n: L.Convolution(n.data, num_output=True), "num_output cannot be True"),
        (lambda n: L.Convolution(n.data, bias_term=1), "bias_term cannot be 1: it takes True or False"),
        (lambda n: L.Python(n.data, module=3), "module cannot be 3: it takes text"),
        (
            lambda n: L.Convolution(n.data, weight_filler="xavier"),
            "takes the fields of a FillerParameter, not 'xavier'",
        ),
        (lambda n: L.ReLU(n.data, n.label, in_place=True), "in place means one bottom and one top"),
        (lambda n: n.dta, "no blob or layer 'dta' yet; did you mean 'data'?"),
        (wrong_bottom, "a bottom must be the top of another layer, not 'data'"),
        (unnamed_bottom, "its bottom, a ReLU layer, has no name"),
        (twice, "two layers 'conv1': rename one, or give both an include rule"),
        (unnamed_top, "layer 'a': name all of its 2 tops"),
        (tuple_as_top, "n['a'] takes one top"),
    ],
)
def test_nonsense_is_refused_with_the_mend(n, write, said):
    with pytest.raises(SpecError) as refused:
        write(n)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_text_keeps_an_empty_block(n):
    n.a = L.Power(n.data, power_param={})
    assert n.to_proto().layer[1].HasField("power_param")
    assert parse(to_text(n.to_proto())) == n.to_proto()


@pytest.mark.parametrize(
    "shape", [(np.int64(4), np.int32(5)), np.array([4, 5]), np.ones((4, 5)).shape, [np.uint8(4), 5], np.array([[4, 5]])]
)
def test_shapes_of_numpy_are_shapes(shape):
    n = NetSpec()
    n.data = L.Input(shape=shape)
    assert to_text(n.to_proto()) == to_text(_with_shape([4, 5]))


def _with_shape(shape):
    n = NetSpec()
    n.data = L.Input(shape=shape)
    return n.to_proto()


def test_values_of_numpy_are_taken_as_python_s():
    n, m = NetSpec(), NetSpec()
    for spec, i, f, b, s, many in (
        (n, np.int64, np.float32, np.bool_, np.str_, np.array),
        (m, int, float, bool, str, list),
    ):
        spec.data = L.Input(shape=(2, 3, 9, 9))
        spec.conv = L.Convolution(
            spec.data,
            name=s("named"),
            num_output=i(4),
            kernel_size=many([3, 5]),
            bias_term=b(False),
            weight_filler=dict(type=s("gaussian"), std=f(0.5)),
            param=[dict(lr_mult=f(2), name=s("w"))],
            loss_weight=many([0.5]),
            propagate_down=many([True]),
        )
        spec.pool = L.Pooling(spec.conv, pool=i(1), kernel_size=i(2), global_pooling=b(False))
        spec.flat = L.Reshape(spec.pool, shape=many([0, -1]), loss_weight=f(0.25))
        spec.state = L.DummyData(shape=[many([1, 2]), many([3])], data_filler=P.Filler(value=f(0.5)))
    assert n.to_proto() == m.to_proto()


@pytest.mark.parametrize("value", [np.float64(2.5), np.bool_(True), np.array([1, 2]), np.str_("4")])
def test_values_of_numpy_are_refused_as_python_s(value):
    n = NetSpec()
    n.data = L.Input(shape=(2, 3))
    with pytest.raises(SpecError, match="num_output cannot be"):
        L.InnerProduct(n.data, num_output=value)
