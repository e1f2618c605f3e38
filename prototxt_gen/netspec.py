"""Nets written as Python, in the manner of Caffe's own NetSpec.

    n = NetSpec("lstm_joints")
    n.data = L.Input(shape=(1, 3, 227, 227))
    n.conv1 = L.Convolution(n.data, num_output=96, kernel_size=7, stride=2)
    n.relu1 = L.ReLU(n.conv1, in_place=True)                       # layer relu1, blob conv1
    n["fc8-final"] = L.InnerProduct(n.conv1, num_output=101)       # names that are no Python names
    n["fc6-reshape"] = L.Reshape(n.fc6, name="reshape-data", ...)  # a layer named unlike its top
    net = n.to_proto()

Layers come out in the order in which they were assigned. Two things differ from Caffe's NetSpec: a layer may be
assigned again under the same names when both carry include or exclude rules (one `data` for TRAIN, one for TEST), and a
misspelt field, enum value or layer type is refused at once, with the nearest right one.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.errors import SpecError, nearest
from prototxt_gen.fields import fill

_BLOCKS = {
    field.message_type.name.removesuffix("Parameter"): field.name
    for field in pb.LayerParameter.DESCRIPTOR.fields
    if field.message_type is not None and field.message_type.name.endswith("Parameter")
}
_NO_TYPES = {"Transformation", "Loss", "Recurrent"}  # blocks that several types read; no layer type is called so

# The layer types that Caffe registers under a name that no message of the schema has, and the block that each reads.
# The schema does not say this; a test holds the whole list against the types that the engine registers.
_OTHER_TYPES: dict[str, str | None] = {
    "AbsVal": None,
    "BatchReindex": None,
    "BNLL": None,
    "Deconvolution": "convolution_param",
    "EuclideanLoss": None,
    "Filter": None,
    "Im2col": "convolution_param",
    "LSTM": "recurrent_param",
    "LSTMUnit": None,
    "MultinomialLogisticLoss": None,
    "RNN": "recurrent_param",
    "SigmoidCrossEntropyLoss": "sigmoid_param",
    "Silence": None,
    "SoftmaxWithLoss": "softmax_param",
    "Split": None,
}

# Layer type -> the name of its own parameter block in LayerParameter, None where it has none.
LAYER_TYPES: dict[str, str | None] = {
    **{name: block for name, block in _BLOCKS.items() if name not in _NO_TYPES},
    **_OTHER_TYPES,
}


# The fields that every layer has, less those given otherwise: by the function, its positions and the names assigned to.
_SHARED_FIELDS = {field.name for field in pb.LayerParameter.DESCRIPTOR.fields} - {"type", "bottom", "top"}


class Top:
    """An output of a layer: what other layers take as their bottom. `blob` is its name once it is assigned to a net."""

    def __init__(self, layer: "Layer", blob: str | None = None):
        self.layer = layer
        self.blob = blob


class Layer:
    """One layer: its LayerParameter, and the tops that are yet to be named."""

    def __init__(self, type_: str, bottoms: tuple[Top, ...], ntop: int, in_place: bool, fields: dict[str, Any]):
        self.param = pb.LayerParameter(type=type_)
        block = LAYER_TYPES[type_]
        own = getattr(self.param, block).DESCRIPTOR.fields_by_name if block else {}
        for name in fields:
            if name not in _SHARED_FIELDS and name not in own:
                raise SpecError(f"a {type_} layer has no field '{name}'{nearest(name, [*_SHARED_FIELDS, *own])}")
        try:
            fill(self.param, {name: value for name, value in fields.items() if name in _SHARED_FIELDS})
            inner = {name: value for name, value in fields.items() if name not in _SHARED_FIELDS}
            if block and inner:
                fill(getattr(self.param, block), inner)
        except SpecError as error:
            raise SpecError(f"{type_}: {error}") from None
        for bottom in bottoms:
            if not isinstance(bottom, Top):
                raise SpecError(f"{type_}: a bottom must be the top of another layer, not {bottom!r}")
            if bottom.blob is None:
                raise SpecError(f"{type_}: its bottom, a {bottom.layer.param.type} layer, has no name: assign it first")
            self.param.bottom.append(bottom.blob)
        if in_place and (len(bottoms) != 1 or ntop != 1):
            raise SpecError(f"{type_}: in place means one bottom and one top")
        self.tops = tuple(Top(self, bottoms[0].blob if in_place else None) for _ in range(ntop))


class _Layers:
    """`L.Convolution(bottom, ..., field=value)`: every layer type that Caffe registers, as a function.

    Positional arguments are bottoms. `ntop` is the number of tops (1; several come back as a tuple; with 0 the layer
    itself comes back). `in_place=True` writes the bottom. `name` names the layer where it is not called like its first
    top. Other keywords are fields: of LayerParameter (`param`, `include`, `loss_weight`, `loss_param`, ...) or of the
    type's own block (`num_output` of `convolution_param`).
    """

    def __getattr__(self, type_: str) -> Callable[..., Any]:
        if type_.startswith("__"):
            raise AttributeError(type_)
        if type_ not in LAYER_TYPES:
            raise SpecError(f"Caffe has no layer type '{type_}'{nearest(type_, LAYER_TYPES)}")

        def make(*bottoms: Top, ntop: int = 1, in_place: bool = False, **fields: Any) -> Layer | Top | tuple[Top, ...]:
            layer = Layer(type_, bottoms, ntop, in_place, fields)
            return layer if ntop == 0 else layer.tops[0] if ntop == 1 else layer.tops

        make.__name__ = type_
        return make

    def __dir__(self) -> list[str]:
        return sorted(LAYER_TYPES)


class _Params:
    """`P.Pooling.MAX`, `P.Filler(type="gaussian", std=0.01)`, `P.NetStateRule(phase="TEST")`: the schema's messages.

    A message may be called by its name with or without "Parameter". Called, it makes one from plain values, checked.
    """

    def __getattr__(self, name: str) -> "_Maker":
        if name.startswith("__"):
            raise AttributeError(name)
        messages = pb.DESCRIPTOR.message_types_by_name
        for full in (name + "Parameter", name):
            if full in messages:
                return _Maker(getattr(pb, full))
        raise SpecError(f"Caffe has no message '{name}'{nearest(name, messages)}")


class _Maker:
    """One message of the schema: its enum values as attributes, itself as a function of its fields."""

    def __init__(self, message: type[Message]):
        self._message = message

    def __call__(self, **values: Any) -> Any:
        return fill(self._message(), values)

    def __getattr__(self, name: str) -> int:
        values = self._message.DESCRIPTOR.enum_values_by_name
        if name not in values:
            raise SpecError(f"{self._message.DESCRIPTOR.name} has no value '{name}'{nearest(name, values)}")
        return values[name].number


layers = _Layers()
params = _Params()


class NetSpec:
    """A net that is being written; `to_proto()` gives the NetParameter. See the module's docstring."""

    _net: pb.NetParameter
    _tops: dict[str, Top]  # name given in the spec -> Top
    _layers: list[Layer]  # assigned, in order

    def __init__(self, name: str = ""):
        self.__dict__.update(_net=pb.NetParameter(name=name) if name else pb.NetParameter(), _tops={}, _layers=[])

    def __setitem__(self, name: str, made: Top | Layer) -> None:
        if not isinstance(made, (Top, Layer)):
            raise SpecError(f"n['{name}'] takes one top, not {made!r}: a layer of several tops takes as many names")
        layer = made if isinstance(made, Layer) else made.layer
        if all(layer is not known for known in self._layers):
            if not layer.param.name:
                layer.param.name = name
            self._refuse_second(layer)
            self._layers.append(layer)
        if isinstance(made, Top):
            if made.blob is None:
                made.blob = name
            self._tops[name] = made

    def __getitem__(self, name: str) -> Top:
        if name not in self._tops:
            raise SpecError(f"net '{self._net.name}' has no blob or layer '{name}' yet{nearest(name, self._tops)}")
        return self._tops[name]

    def __setattr__(self, name: str, made: Top | Layer) -> None:
        self[name] = made

    def __getattr__(self, name: str) -> Top:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: str) -> bool:
        return name in self._tops

    def _refuse_second(self, layer: Layer) -> None:
        """Two layers of one name are meant only when their rules keep them apart."""
        for known in self._layers:
            if known.param.name == layer.param.name and not (_has_rules(known) and _has_rules(layer)):
                raise SpecError(
                    f"net '{self._net.name}' has two layers '{layer.param.name}': "
                    "rename one, or give both an include rule"
                )

    def to_proto(self) -> pb.NetParameter:
        """The NetParameter: a copy, the layers in the order in which they were assigned."""
        net = pb.NetParameter()
        net.CopyFrom(self._net)
        for layer in self._layers:
            blobs = [top.blob for top in layer.tops if top.blob is not None]
            if len(blobs) < len(layer.tops):
                raise SpecError(f"layer '{layer.param.name}': name all of its {len(layer.tops)} tops")
            param = net.layer.add()
            param.CopyFrom(layer.param)
            param.top.extend(blobs)
        return net


def _has_rules(layer: Layer) -> bool:
    return bool(layer.param.include or layer.param.exclude)
