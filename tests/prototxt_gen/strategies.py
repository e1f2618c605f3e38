"""Hypothesis strategies: random nets, from the schema's descriptors and from the NetSpec layer, and their texts."""

from hypothesis import strategies as st

from prototxt_gen import LAYER_TYPES, NetSpec
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.fields import is_message, is_repeated
from prototxt_gen.text import scalar_text

WORDS = st.text("abcxyz0189_-/. ", min_size=1, max_size=8)
SCALARS = {
    "int32": st.integers(-9, 99),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 99),
    "bool": st.booleans(),
    "string": WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    "bytes": st.binary(max_size=6),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
}
TYPE_NAMES = {1: "double", 2: "float", 3: "int64", 5: "int32", 8: "bool", 9: "string", 12: "bytes", 13: "uint32"}

# Fields that say what another field says too; the tests of the diff write them by hand.
DOUBLED = {
    "ConcatParameter.concat_dim",
    "SliceParameter.slice_dim",
    "LossParameter.normalize",
    "NetParameter.layers",
    "SolverParameter.solver_type",
    *(f"DummyDataParameter.{name}" for name in ("num", "channels", "height", "width")),
    *(
        f"{block}.{size}_{axis}"
        for block in ("ConvolutionParameter", "PoolingParameter")
        for size in ("kernel", "stride", "pad")
        for axis in "hw"
    ),
}


def key(field):
    return f"{field.containing_type.name}.{field.name}"


def scalars(field):
    """Values that `field` can hold."""
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return SCALARS[TYPE_NAMES[field.type]]


def other_than(field, value):
    return scalars(field).filter(lambda drawn: drawn != value)


@st.composite
def filled(draw, kind, depth=2):
    """A message of `kind` with a few fields set; no fields of `DOUBLED`, no arrays."""
    message = kind()
    fields = [
        field
        for field in kind.DESCRIPTOR.fields
        if key(field) not in DOUBLED
        and (depth or not is_message(field))
        and (field.message_type is None or field.message_type.name not in ("BlobProto", "NetParameter"))
    ]
    some = draw(st.lists(st.sampled_from(fields), unique_by=lambda field: field.name, max_size=5)) if fields else []
    for field in some:
        values = filled(getattr(pb, field.message_type.name), depth - 1) if is_message(field) else scalars(field)
        if is_repeated(field):
            getattr(message, field.name).extend(draw(st.lists(values, min_size=1, max_size=3)))
        elif is_message(field):
            getattr(message, field.name).CopyFrom(draw(values))
        else:
            setattr(message, field.name, draw(values))
    if kind is pb.ClipParameter:  # the one message with required fields
        message.min, message.max = draw(scalars(kind.DESCRIPTOR.fields_by_name["min"])), 6
    return message


@st.composite
def rules(draw):
    stages = st.lists(st.sampled_from(["factored", "2-layer", "test-on-val"]), max_size=2)
    rule = pb.NetStateRule(stage=draw(stages), not_stage=draw(stages))
    if draw(st.booleans()):
        rule.phase = draw(st.sampled_from([pb.TRAIN, pb.TEST]))
    return rule


@st.composite
def nets(draw, most=6):
    """A net of layers of any type with their own blocks filled at random: Caffe reads it, but would hardly build it.

    Names are unlike one another, but for pairs of a name whose rules keep them apart.
    """
    net = pb.NetParameter(name=draw(WORDS))
    blobs = ["data"]
    for index in range(draw(st.integers(0, most))):
        type_ = draw(st.sampled_from(sorted(LAYER_TYPES)))
        layer = net.layer.add(name=f"{draw(WORDS)}{index}", type=type_, top=[f"blob{index}"])
        layer.bottom.extend(draw(st.lists(st.sampled_from(blobs), max_size=2)))
        blobs += layer.top
        if LAYER_TYPES[type_] and draw(st.integers(0, 3)):
            block = getattr(layer, LAYER_TYPES[type_])
            block.CopyFrom(draw(filled(type(block))))
            if type_ in ("Scale", "PReLU"):  # without one they start from another value than an empty one says
                block.filler.SetInParent()
        for at in range(draw(st.integers(0, 2))):
            spec = layer.param.add(lr_mult=draw(scalars(pb.ParamSpec.DESCRIPTOR.fields_by_name["lr_mult"])))
            spec.name = draw(st.sampled_from(["", f"shared{index}{at}"]))
        if draw(st.booleans()):
            layer.loss_param.CopyFrom(draw(filled(pb.LossParameter)))
        if draw(st.booleans()) and type_ != "HDF5Data":
            layer.transform_param.CopyFrom(draw(filled(pb.TransformationParameter)))
        if draw(st.booleans()):
            getattr(layer, draw(st.sampled_from(["include", "exclude"]))).extend(draw(st.lists(rules(), max_size=2)))
        if draw(st.integers(0, 4)) == 0:
            del layer.include[:], layer.exclude[:]
            layer.include.add(phase=pb.TRAIN)
            twin = net.layer.add()
            twin.CopyFrom(layer)
            twin.include[0].phase = pb.TEST
    return net


@st.composite
def specs(draw, most=5):
    """A net written with NetSpec that Caffe builds in every phase: an image, layers that keep it one, and a loss."""
    n = NetSpec(draw(st.sampled_from(["net", "hyphen-ated"])))
    batch, size, classes = draw(st.integers(1, 3)), draw(st.integers(12, 20)), draw(st.integers(2, 5))
    n.data, n.label = L.DummyData(ntop=2, shape=[(batch, 3, size, size), (batch,)])
    top = n.data
    for index in range(draw(st.integers(1, most))):
        name = f"{draw(st.sampled_from(['a', 'b-', 'c_']))}{index}"
        made = draw(st.sampled_from(["conv", "pool", "relu", "lrn", "drop", "scale", "power", "tanh"]))
        filler = P.Filler(type="gaussian", std=draw(st.sampled_from([0.01, 0.1])))
        n[name] = {
            "conv": lambda: L.Convolution(
                top,
                num_output=draw(st.integers(1, 4)),
                kernel_size=draw(st.integers(1, 2)),
                weight_filler=filler,
                param=[dict(lr_mult=1), dict(lr_mult=2, decay_mult=0)],
            ),
            "pool": lambda: L.Pooling(top, kernel_size=2, stride=1, pool=draw(st.sampled_from(["MAX", "AVE"]))),
            "relu": lambda: L.ReLU(top, in_place=index > 0),
            "lrn": lambda: L.LRN(top, local_size=draw(st.sampled_from([3, 5])), alpha=1e-4),
            "drop": lambda: L.Dropout(top, dropout_ratio=draw(st.sampled_from([0.1, 0.5, 0.9]))),
            "scale": lambda: L.Scale(top, bias_term=draw(st.booleans())),
            "power": lambda: L.Power(top, scale=draw(st.sampled_from([0.5, 2]))),
            "tanh": lambda: L.TanH(top),
        }[made]()
        top = n[name]
    n["fc-final"] = L.InnerProduct(top, num_output=classes, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n["fc-final"], n.label)
    if draw(st.booleans()):
        n.accuracy = L.Accuracy(n["fc-final"], n.label, include=dict(phase="TEST"))
    return n.to_proto()


def shuffled_text(message, random, indent=""):
    """`message` as text with its fields in any order, in any of the spellings that people use."""
    groups = []
    for field, values in message.ListFields():
        for value in values if is_repeated(field) else [values]:
            if is_message(field):
                opening, closing = random.choice([("{", "}"), ("<", ">")])
                between = random.choice(["", ": ", " ", ":"])
                text = f"{field.name}{between}{opening}\n{shuffled_text(value, random, indent + ' ')}{indent}{closing}"
            elif field.enum_type is not None and random.random() < 0.3:
                text = f"{field.name}: {value}"
            else:
                text = f"{field.name}:{random.choice(['', ' '])}{scalar_text(field, value)}"
            groups.append((field.name, text))
    names = [name for name, _ in groups]
    random.shuffle(names)  # the items of one list keep their order
    lists = {name: iter([text for other, text in groups if other == name]) for name in names}
    remarks = ["", "  # a remark", "  # layer { }", "\n\n"]
    return "".join(f"{indent}{next(lists[name])}{random.choice(remarks)}\n" for name in names)
