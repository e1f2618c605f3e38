"""The part of a net that a blob depends on, and what is refused."""

import pytest

from netspecs import catalogue
from prototxt_gen import SpecError, parse
from prototxt_gen.part import check_weights, part_for
from tests.prototxt_gen.frame_net import CROP, FC6, NET
from tests.weights import write_weights


def test_only_what_the_blob_depends_on_is_built():
    part = part_for(parse(NET), "fc6", "net")
    assert [layer.name for layer in part.net.layer] == ["data", "conv1", "relu1", "fc6", "relu6"]
    assert (part.input, part.crop, part.size) == ("data", CROP, FC6)
    assert part.written_by == ["fc6 (InnerProduct)", "relu6 (ReLU)"] and part.rectified
    assert not part_for(parse(NET), "raw", "net").rectified
    assert part_for(parse(NET), "conv1", "net").size == 4 * 8 * 8


def test_old_input_fields_will_do():
    layers = NET[NET.index('layer { name: "conv1"') : NET.index('layer { name: "markers"')]
    old = 'input: "data" input_dim: 10 input_dim: 3 input_dim: 20 input_dim: 20\n' + layers
    assert part_for(parse(old), "fc6", "net").deploy(5).layer[0].input_param.shape[0].dim == [5, 3, 20, 20]


def test_a_net_of_2014_will_do():
    old = """input: "data" input_dim: 10 input_dim: 3 input_dim: 20 input_dim: 20
        layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
                 convolution_param { num_output: 4 kernel_size: 5 stride: 2 } }
        layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
        layers { name: "fc6" type: INNER_PRODUCT bottom: "conv1" top: "fc6" inner_product_param { num_output: 6 } }
        layers { name: "relu6" type: RELU bottom: "fc6" top: "fc6" }
        layers { name: "fc7" type: INNER_PRODUCT bottom: "fc6" top: "fc7" inner_product_param { num_output: 6 } }"""
    part, new = part_for(parse(old), "fc6", "net"), part_for(parse(NET), "fc6", "net")
    assert (part.written_by, part.size, part.crop) == (new.written_by, new.size, new.crop)
    assert list(part.deploy(5).layer)[1:] == list(new.deploy(5).layer)[1:]


@pytest.mark.parametrize(
    "name, settings",
    [
        ("activity/lrcn-fc6-rgb", {}),
        ("activity/single-frame-flow", {}),
        ("activity/lrcn-fc7-rgb", {"backbone": "vgg16"}),
    ],
)
def test_the_published_nets_have_fc6_after_the_relu(name, settings):
    part = part_for(catalogue.get(name).files(**settings)["deploy"], "fc6", name)
    assert part.size == 4096 and part.rectified


@pytest.mark.parametrize(
    "blob, said",
    [
        ("fc66", "has no blob 'fc66'; did you mean 'fc6'?"),
        ("probabilities", "has no blob 'probabilities'; `lrcn nets show` names its blobs"),
        ("fixed", "with 3 pictures, for which blob 'fixed' is asked: layer 'fixed': "),
        ("lstm1", "needs the inputs data, clip_markers; only a blob that pictures alone make"),
        ("flat", "has not one row a frame: for 3 pictures it is "),
        ("clip_markers", "its input clip_markers is "),
    ],
)
def test_blobs_that_cannot_be_extracted_are_named(blob, said):
    with pytest.raises(SpecError) as caught:
        part_for(parse(NET), blob, "deploy.prototxt")
    assert str(caught.value).startswith("deploy.prototxt: ") and said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_training_net_is_refused():
    net = catalogue.get("activity/lrcn-fc6-flow").files(data="d")["train_test"]
    with pytest.raises(SpecError, match=r"comes from 'data', which no layer makes; give a deploy net"):
        part_for(net, "fc6", "net")
    for layer in net.layer:
        layer.ClearField("include")
    with pytest.raises(SpecError, match=r"comes from layer 'data' \(Python\).*give a deploy net"):
        part_for(net, "fc6", "net")


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"fc6": [(7, 256), (7,)]}, "small.caffemodel: does not fit net: layer 'fc6': blob 0 is 6x256 in the net"),
        ({"conv1": None, "fc6": None}, "small.caffemodel: has no weights for conv1, fc6 of net"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, changes, said):
    path = write_weights(tmp_path / "small.caffemodel", parse(NET), **changes)
    with pytest.raises(SpecError) as caught:
        check_weights(part_for(parse(NET), "fc6", "net"), path, "net")
    assert said in str(caught.value)
