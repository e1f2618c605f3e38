"""Text says what the message says, reads as people write it, and is the same to the byte every time."""

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from prototxt_gen import SpecError, parse, to_text
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.fields import is_message, is_repeated
from prototxt_gen.text import KINDS, read

SCALARS = {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "bool": st.booleans(),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    "bytes": st.binary(max_size=12),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
}
TYPE_NAMES = {1: "double", 2: "float", 3: "int64", 5: "int32", 8: "bool", 9: "string", 12: "bytes", 13: "uint32"}


@st.composite
def messages(draw, kind, depth=3):
    """Any message of `kind` with a few fields set, to some depth; none of the layer formats that reading upgrades."""
    message = kind()
    fields = [field for field in kind.DESCRIPTOR.fields if depth or not is_message(field)]
    fields = [field for field in fields if field.full_name != pb.NetParameter.DESCRIPTOR.full_name + ".layers"]
    some = st.lists(st.sampled_from(fields), unique_by=lambda field: field.name, max_size=5) if fields else st.just([])
    for field in draw(some):
        if is_message(field):
            values = messages(getattr(pb, field.message_type.name), depth - 1)
        elif field.enum_type is not None:
            values = st.sampled_from([value.number for value in field.enum_type.values])
        else:
            values = SCALARS[TYPE_NAMES[field.type]]
        if is_repeated(field):
            getattr(message, field.name).extend(draw(st.lists(values, min_size=1, max_size=3)))
        elif is_message(field):
            getattr(message, field.name).CopyFrom(draw(values))
        else:
            setattr(message, field.name, draw(values))
    if kind is pb.ClipParameter:  # the one message with required fields
        message.min, message.max = 0, 6
    return message


@settings(deadline=None)  # a busy machine is no fault of the writer's
@given(messages(pb.NetParameter))
def test_any_net_survives_our_text(net):
    assert parse(to_text(net)) == net


@settings(deadline=None)  # a busy machine is no fault of the writer's
@given(messages(pb.SolverParameter))
def test_any_solver_reads_the_same_from_our_text_and_from_protobuf_s_own(solver):
    ours = text_format.Parse(to_text(solver), pb.SolverParameter())
    assert ours == solver == text_format.Parse(text_format.MessageToString(solver), pb.SolverParameter())


@settings(deadline=None)  # a busy machine is no fault of the writer's
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_read_back_to_the_bit_in_as_few_digits_as_can_be(value):
    """As NumPy's shortest; within nine, for no float32 needs more."""
    written = to_text(pb.SolverParameter(base_lr=value)).removeprefix("base_lr: ").strip()
    single = np.float32(value)
    assert np.float32(written) == single
    if single == 0 or 1e-6 <= abs(single) < 1e9:
        assert written == np.format_float_positional(single, unique=True, trim="-")
    else:
        assert written == np.format_float_scientific(single, unique=True, trim="-", exp_digits=2)
    assert len(written.split("e")[0].strip("-").replace(".", "").strip("0")) <= 9


@pytest.mark.parametrize(
    "value, written",
    [
        (0.0001, "0.0001"),
        (1, "1"),
        (0.1, "0.1"),
        (0.005, "0.005"),
        (-0.08, "-0.08"),
        (103.939, "103.939"),
        (0, "0"),
        (16777216, "16777216"),
        (1e-8, "1e-08"),
        (1e30, "1e+30"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_look_as_people_write_them(value, written):
    assert to_text(pb.SolverParameter(base_lr=value)) == f"base_lr: {written}\n"


def test_the_look_of_a_file():
    net = pb.NetParameter(name="lstm_joints")
    layer = net.layer.add(name="data", type="Python", top=["data", "label"])
    layer.include.add(phase=pb.TEST, stage=["test-on-test"])
    layer.python_param.module = "lrcn.clip_data"
    layer.python_param.param_str = '{"crop": 227}'
    layer = net.layer.add(name="fc6", type="InnerProduct", bottom=["data"], top=["fc6"])
    layer.param.add(lr_mult=2, decay_mult=0)
    layer.inner_product_param.num_output = 4096
    layer.inner_product_param.weight_filler.type = "gaussian"
    layer.inner_product_param.weight_filler.std = 0.01

    assert (
        to_text(net, header="LRCN\n\nfor a test")
        == """\
# LRCN
#
# for a test
name: "lstm_joints"
layer {
  name: "data"
  type: "Python"
  top: "data"
  top: "label"
  include { phase: TEST stage: "test-on-test" }
  python_param {
    module: "lrcn.clip_data"
    param_str: '{"crop": 227}'
  }
}
layer {
  name: "fc6"
  type: "InnerProduct"
  bottom: "data"
  top: "fc6"
  param { lr_mult: 2 decay_mult: 0 }
  inner_product_param {
    num_output: 4096
    weight_filler { type: "gaussian" std: 0.01 }
  }
}
"""
    )


def test_a_file_is_read_by_path_and_by_name(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text("base_lr: 0.5  # fast\n")
    assert parse(path, "solver") == parse(str(path), "solver") == pb.SolverParameter(base_lr=0.5)


@pytest.mark.parametrize(
    "content, said",
    [
        ("layer {\n  nmae: 'x'\n}", ":2: LayerParameter has no field 'nmae'; did you mean 'name'?"),
        ("layer {\n  pooling_param { pool: MOX }\n}", ":2: "),
        ("layer {\n  name: 'x'\n", ":"),
        ("name: 'x'\nname: 'y'", ":2: "),
        ("input_dim: 3000000000", ":1: "),
        ("strange { " * 9999 + "} " * 9999, ":1: its messages stand too deep within one another"),
        ("\nname: '" + "\\'" * 60000, ":2: 'name: "),
    ],
)
def test_a_bad_file_is_named_with_the_line(tmp_path, content, said):
    path = tmp_path / "net.prototxt"
    path.write_text(content)
    with pytest.raises(SpecError) as refused:
        parse(path)
    assert f"{path}{said}" in str(refused.value)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_what_is_no_text_file_is_named(tmp_path):
    weights = tmp_path / "net.caffemodel"
    weights.write_bytes(b"\x0a\x04\xff\xfe\x00\x80")
    with pytest.raises(SpecError, match="net.caffemodel: not a text file"):
        parse(weights)
    with pytest.raises(SpecError, match="nowhere.prototxt: no such file"):
        parse("nowhere.prototxt")


PLACED = """\
name: "a # { b" # c {
layer { name: 'x'
  nmae: "y" 'z', type: "Convolution";
  bottom: ["a",
    "b"]
  convolution_param <
    kernel_size: [3,
      4] kernel_size: 5
    flow { a: [1, {b: 2}] q: -3 }
    stride: 2
  >
}
flag: true
layer: { name: "second" include: [{phase: TEST},
  {phase: TRAIN}] }
"""


@pytest.mark.parametrize(
    "path, line",
    [
        (["name"], 1),
        (["layer", 0], 2),
        (["layer", 0, "type"], 3),
        (["layer", 0, "bottom"], 4),
        (["layer", 0, "bottom[1]"], 5),
        (["layer", 0, "convolution_param"], 6),
        (["layer", 0, "convolution_param.kernel_size"], 7),
        (["layer", 0, "convolution_param.kernel_size[2]"], 8),
        (["layer[0].convolution_param.stride"], 10),
        (["layer", 0, "convolution_param.pad"], 6),
        (["layer", 0, "top"], 2),
        (["layer", 1, "include.phase"], 14),
        (["layer", 1, "include[1].phase"], 15),
        (["layer", 7], 1),
        ([], 1),
    ],
)
def test_every_field_has_its_line(path, line):
    assert read(PLACED).line(*path) == line


def test_unknown_fields_can_be_set_apart():
    unknown = []
    net = parse(PLACED, unknown=unknown)
    assert list(net.layer[0].convolution_param.kernel_size) == [3, 4, 5] and net.layer[1].name == "second"
    assert [(it.path, it.field, it.text, it.line) for it in unknown] == [
        (("layer", 0), "nmae", "nmae: \"y\" 'z'", 3),
        (("layer", 0, "convolution_param", 0), "flow", "flow { a: [1, {b: 2}] q: -3 }", 9),
        ((), "flag", "flag: true", 13),
    ]
    assert unknown[0].message == "LayerParameter has no field 'nmae'; did you mean 'name'?"
    with pytest.raises(SpecError, match="text:3: LayerParameter has no field 'nmae'"):
        parse(PLACED)


@settings(deadline=None)
@given(messages(pb.NetParameter))
def test_any_net_s_layers_and_fields_are_where_they_are_written(net):
    text = to_text(net)
    lines, found = text.split("\n"), read(text)
    assert not found.unknown
    for path, line in found.places.items():
        assert path[-2] in lines[line - 1]
    starts = [number for number, line in enumerate(lines, 1) if line.startswith("layer {")]
    assert [found.line("layer", index) for index in range(len(net.layer))] == starts


@pytest.mark.parametrize(
    "text, kind",
    [
        ("name: 'x'\nlayer { }", "net"),
        ("input: 'x'\ninput_dim: 1", "net"),
        ("layers { type: DATA }", "net"),
        ("\n", "net"),
        ("net: 'x'\nbase_lr: 1", "solver"),
        ("nte: 'x'\nbase_lr: 1\nlr_policy: 'step'", "solver"),
        ("net_param { layer { } layer { } name: 'x' }", "solver"),
        ("layer { nmae: 'x' } lyaer { }", "net"),
    ],
)
def test_a_net_is_told_from_a_solver(text, kind):
    assert isinstance(read(text, None).message, KINDS[kind])


@given(st.text(st.sampled_from("ab:{}<>[],;'\"# \n-1.x"), max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        read(text + "\n", None)
    except SpecError as error:
        assert "\n" not in str(error)
