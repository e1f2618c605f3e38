"""Our caffe.proto against its compiled module, and against the schema of the engine itself."""

import ast
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from prototxt_gen import LAYER_TYPES
from prototxt_gen import caffe_pb2 as pb
from tests.shared import ROOT

# Where the PyPI derivative (brocolli-caffe 9.0.2) departs from BVLC's schema, BVLC's wins. It lacks:
PYPI_LACKS = {
    "ClipParameter",
    "LayerParameter.clip_param",  # two layer types younger than its branching off
    "SwishParameter",
    "LayerParameter.swish_param",
    "InfogainLossParameter.axis",
    "PoolingParameter.RoundMode",
    "PoolingParameter.round_mode",  # it has a flag `ceil_mode` under the same number
    "SolverParameter.weights",
    "SolverParameter.layer_wise_reduce",  # their numbers hold its detection settings
}
PYPI_LACKS_TYPES = {"Clip", "Swish"}

# It has a default of 1 here; BVLC has none, and its code takes an absent stride as 1.
PYPI_DIFFERS = {"ConvolutionParameter.stride_h", "ConvolutionParameter.stride_w"}

# It adds, in messages that we have (whole messages of its own, for detection and segmentation, aside):
PYPI_ADDS = {
    "BatchNormParameter.bias_filler",
    "BatchNormParameter.do_all_reduce",
    "BatchNormParameter.use_alpha_beta",
    "BatchNormParameter.weight_filler",
    "ConvolutionParameter.height_group",
    "ConvolutionParameter.width_group",
    "PoolingParameter.ceil_mode",
    "SolverParameter.ap_version",
    "SolverParameter.eval_type",
    "TransformationParameter.crop_h",
    "TransformationParameter.crop_w",
    "TransformationParameter.emit_constraint",
    "TransformationParameter.noise_param",
    "TransformationParameter.old_resize_param",
    "V1LayerParameter.batch_norm_param",
    "V1LayerParameter.bn_param",
} | {
    f"LayerParameter.{block}_param"
    for block in (
        "annotated_data",
        "bilinear_interpolate",
        "bn",
        "detection_evaluate",
        "detection_output",
        "hardsigmoid",
        "inception",
        "max_unpool",
        "multibox_loss",
        "norm",
        "pad",
        "permute",
        "pixelshuffle",
        "prior_box",
        "proposal",
        "psroi_pooling",
        "relu6",
        "resize",
        "unsqueeze",
        "upsample",
        "video_data",
    )
}


def described(proto: FileDescriptorProto) -> dict[str, tuple]:
    """`Message.field`, `Message.Enum.VALUE` -> all that must agree; the package's name aside."""
    facts = {}

    def short(type_name: str) -> str:
        return type_name.removeprefix(f".{proto.package}.")

    def default(field) -> str:
        """protoc and the runtime print the same float with different numbers of digits."""
        is_float = field.type == FieldDescriptorProto.TYPE_FLOAT and field.default_value
        return str(np.float32(field.default_value)) if is_float else field.default_value

    def enum(prefix: str, enum_type) -> None:
        facts[prefix + enum_type.name] = ("enum", *sorted((value.name, value.number) for value in enum_type.value))

    def message(prefix: str, message_type) -> None:
        facts[prefix + message_type.name] = ("message",)
        for field in message_type.field:
            facts[f"{prefix}{message_type.name}.{field.name}"] = (
                field.number,
                FieldDescriptorProto.Type.Name(field.type),
                short(field.type_name),
                FieldDescriptorProto.Label.Name(field.label),
                default(field),
                field.options.packed,
            )
        for inner in message_type.enum_type:
            enum(f"{prefix}{message_type.name}.", inner)
        for inner in message_type.nested_type:
            message(f"{prefix}{message_type.name}.", inner)

    for message_type in proto.message_type:
        message("", message_type)
    for enum_type in proto.enum_type:
        enum("", enum_type)
    return facts


def compiled(proto_file, folder) -> dict[str, tuple]:
    out = folder / "descriptors"
    subprocess.run(["protoc", f"-I{proto_file.parent}", f"--descriptor_set_out={out}", proto_file.name], check=True)
    return read_descriptors(out)


def read_descriptors(path) -> dict[str, tuple]:
    return described(FileDescriptorSet.FromString(path.read_bytes()).file[0])


def parent(name: str) -> str:
    return name.rpartition(".")[0]


def ours() -> dict[str, tuple]:
    proto = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(proto)
    return described(proto)


@pytest.mark.skipif(not shutil.which("protoc"), reason="protoc is not installed")
def test_the_module_is_what_protoc_makes_of_the_file(tmp_path):
    proto_file = ROOT / "prototxt_gen" / "caffe.proto"
    assert compiled(proto_file, tmp_path) == ours()


@pytest.mark.engine
def test_every_message_field_and_enum_is_the_engine_s():
    from lrcn import engine

    caffe = engine.find()
    if caffe.source == "folder":
        pytest.skip("only the pinned sources are known field by field")
    mine, theirs = ours(), read_descriptors(caffe.root / "python" / "caffe" / "proto" / "caffe.desc")
    lacks, differs, adds = (PYPI_LACKS, PYPI_DIFFERS, PYPI_ADDS) if caffe.source == "pypi" else (set(), set(), set())

    assert {name for name in mine.keys() - theirs.keys() if parent(name) in theirs or "." not in name} == lacks
    assert {name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]} == differs
    assert {name for name in theirs.keys() - mine.keys() if parent(name) in mine} == adds


@pytest.mark.engine
def test_the_layer_types_are_those_the_engine_registers():
    from lrcn import engine

    caffe = engine.find()
    code = "import caffe, json; print(json.dumps(list(caffe.layer_type_list())))"
    done = subprocess.run([sys.executable, "-c", code], env=caffe.environment(), check=True, stdout=subprocess.PIPE)
    registered = set(json.loads(done.stdout))

    assert LAYER_TYPES.keys() - registered == (PYPI_LACKS_TYPES if caffe.source == "pypi" else set())
    if caffe.source == "bvlc":  # the derivative adds dozens
        assert registered - LAYER_TYPES.keys() == set()


def test_the_stub_names_what_the_schema_has():
    """caffe_pb2.pyi, by which mypy knows the messages: every message, field and value of an enum, and no other."""
    tree = ast.parse((ROOT / "prototxt_gen" / "caffe_pb2.pyi").read_text())

    def names(body):
        fields = {node.target.id for node in body if isinstance(node, ast.AnnAssign)}
        return {name for name in fields if not name.endswith("_FIELD_NUMBER")}

    messages = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert messages.keys() == {*pb.DESCRIPTOR.message_types_by_name, *pb.DESCRIPTOR.enum_types_by_name}
    for name, message in pb.DESCRIPTOR.message_types_by_name.items():
        values = {value for enum in message.enum_types for value in enum.values_by_name}
        assert names(messages[name].body) == {*message.fields_by_name, *values}, name
        inner = {node.name for node in messages[name].body if isinstance(node, ast.ClassDef)}
        assert inner == {*message.enum_types_by_name}, name
    assert names(tree.body) - {"DESCRIPTOR"} == set(pb.Phase.keys())
