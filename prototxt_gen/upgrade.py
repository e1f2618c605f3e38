"""The layer formats that Caffe retired, made into today's, as Caffe does whenever it loads a file.

`layers { type: CONVOLUTION blobs_lr: 1 }` (V1, of 2014) and `layers { layer { type: "conv" } }` (V0, of 2013) become
`layer { type: "Convolution" param { lr_mult: 1 } }`; `input:` with its sizes becomes an Input layer. Source: BVLC
Caffe's upgrade_proto.cpp.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from google.protobuf.message import Message

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.fields import is_message, is_repeated
from prototxt_gen.netspec import LAYER_TYPES

Place: TypeAlias = tuple[str | int, ...]  # of a field in a message: ("layer", 3, "bottom", 0)
V1: TypeAlias = pb.V1LayerParameter
V0: TypeAlias = pb.V0LayerParameter

_FOLDED = {type_.lower(): type_ for type_ in LAYER_TYPES} | {"softmaxloss": "SoftmaxWithLoss", "none": ""}
_V1_TYPES = {number: _FOLDED[name.replace("_", "").lower()] for name, number in pb.V1LayerParameter.LayerType.items()}

# V0's types that are not the V1 name in small letters; and those that are.
_V0_NAMES = {"conv": "CONVOLUTION", "images": "IMAGE_DATA", "innerproduct": "INNER_PRODUCT", "pool": "POOLING"} | {
    name.lower(): name
    for name in (
        "ACCURACY BNLL CONCAT DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA HDF5_OUTPUT IM2COL INFOGAIN_LOSS LRN "
        "MULTINOMIAL_LOGISTIC_LOSS RELU SIGMOID SOFTMAX SOFTMAX_LOSS SPLIT TANH WINDOW_DATA"
    ).split()
}
_V0_TYPES = {name: _V1_TYPES[pb.V1LayerParameter.LayerType.Value(value)] for name, value in _V0_NAMES.items()}

# V0's fields under the names of today, where those are others. All else is called alike.
_V0_FIELDS = {
    "batchsize": "batch_size",
    "biasterm": "bias_term",
    "cropsize": "crop_size",
    "det_bg_threshold": "bg_threshold",
    "det_context_pad": "context_pad",
    "det_crop_mode": "crop_mode",
    "det_fg_fraction": "fg_fraction",
    "det_fg_threshold": "fg_threshold",
    "kernelsize": "kernel_size",
    "meanfile": "mean_file",
    "shuffle_images": "shuffle",
}
_TRANSFORM = ("scale", "mean_file", "crop_size", "mirror")
_TRANSFORMED = ("Data", "ImageData", "WindowData")  # whose own block once held these four
_PER_BLOB = {  # lists with one item a weight -> the field of its ParamSpec
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}


class CannotUpgrade(Exception):
    """What Caffe refuses in an old file: the place of the field that is to blame, and why."""

    def __init__(self, place: Place, reason: str):
        super().__init__(reason)
        self.place, self.reason = place, reason


class Upgrade:
    """A net that holds `layers` alone, with `layer` in their place: `net` is changed.

    A layer keeps as its type what the old format does not have; `types`: layer's number -> such a type of V1, which the
    message itself cannot hold. `place` says where a field of the old text stands now. Raises CannotUpgrade.
    """

    def __init__(self, net: pb.NetParameter, types: Mapping[int, str] | None = None):
        self.old = list(net.layers)
        self.types, self.is_v0 = dict(types or {}), any(layer.HasField("layer") for layer in self.old)
        self.numbers: dict[int, int] = {}  # of an old layer -> of the new one
        pads = self._pads() if self.is_v0 else {}
        for number, old in enumerate(self.old):
            if old.layer.type != "padding":
                self.numbers[number] = len(net.layer)
                new = net.layer.add()
                self._v0_layer(number, old, new, pads.get(number)) if self.is_v0 else self._v1_layer(number, old, new)
        net.ClearField("layers")
        for name in ("state", "input_shape", "debug_info") if self.is_v0 else ():  # Caffe forgets them
            net.ClearField(name)

    def place(self, old: Place) -> Place:
        """Where a field of the old text stands now."""
        if len(old) < 2 or old[0] != "layers" or old[1] not in self.numbers:
            return old
        number, inner = int(old[1]), old[2:]
        block = LAYER_TYPES.get(self._type(number)) or ""
        if inner[:1] == ("layer",):
            inner = inner[2:]
            if inner:
                name = _V0_FIELDS.get(str(inner[0]), str(inner[0]))
                holder = "transform_param" if name in _TRANSFORM else block
                of_block = holder and name in getattr(pb.LayerParameter(), holder).DESCRIPTOR.fields_by_name
                inner = (holder, 0, name, *inner[1:]) if of_block else (name, *inner[1:])
        if inner[:1] == (block,) and inner[2:3] and inner[2] in _TRANSFORM and block.endswith("data_param"):
            inner = ("transform_param", 0, *inner[2:])
        if inner and inner[0] in _PER_BLOB:
            inner = ("param", inner[1], _PER_BLOB[str(inner[0])], 0)
        return ("layer", self.numbers[number], *inner)

    def _type(self, number: int) -> str:
        """A layer's type by its name of today."""
        old = self.old[number]
        if number in self.types:
            return self.types[number]
        if not self.is_v0:
            return _V1_TYPES[old.type]
        return _V0_TYPES.get(old.layer.type, old.layer.type)

    # ---- V1 ----

    def _v1_layer(self, number: int, old: V1, new: pb.LayerParameter) -> None:
        if old.HasField("type") or number in self.types:
            new.type = self._type(number)
        for field, value in old.ListFields():
            if field.name != "type" and field.name not in _PER_BLOB:
                _put(new, field.name, value)
        _per_blob(old, new)
        block = LAYER_TYPES.get(new.type)
        if new.type in _TRANSFORMED and block:
            of_block = getattr(new, block)
            for name in _TRANSFORM:
                if of_block.HasField(name):
                    setattr(new.transform_param, name, getattr(of_block, name))
                    of_block.ClearField(name)

    # ---- V0 ----

    def _v0_layer(self, number: int, connection: V1, new: pb.LayerParameter, pad: int | None) -> None:
        if not connection.HasField("layer"):
            raise CannotUpgrade(
                ("layers", number),
                "of a file in which other 'layers' hold a 'layer { }', Caffe forgets what this one says: write all in "
                "one of the two formats",
            )
        old, new.type = connection.layer, self._type(number)
        _put(new, "bottom", connection.bottom)
        _put(new, "top", connection.top)
        block = None if new.type == "Im2col" else LAYER_TYPES.get(new.type)  # Caffe forgets what an im2col says
        for field, value in old.ListFields():
            name = _V0_FIELDS.get(field.name, field.name)
            if name in ("name", "blobs") or name == block == "hdf5_output_param":
                _put(new, name, value)
            elif name in _TRANSFORM:
                _put(new.transform_param, name, value)
            elif block and name != "type" and name not in _PER_BLOB and (name, block) != ("shuffle", "hdf5_data_param"):
                _put(getattr(new, block), name, value)  # what the type does not have, Caffe leaves out
        _per_blob(old, new)
        if pad is not None and block:
            getattr(new, block).ClearField("pad")
            _put(getattr(new, block), "pad", pad)

    def _pads(self) -> dict[int, int]:
        """The padding of layers that read from a layer of type "padding", and their bottoms set to what that reads."""
        pads: dict[int, int] = {}
        makers: dict[str, V1] = {}
        for number, layer in enumerate(self.old):
            for index, name in enumerate(layer.bottom):
                maker = makers.get(name)
                if maker is None or maker.layer.type != "padding":
                    continue
                alone = len(layer.bottom) == len(maker.bottom) == len(maker.top) == 1
                if layer.layer.type not in ("conv", "pool") or not alone:
                    raise CannotUpgrade(
                        ("layers", number, "bottom", index),
                        "only a conv or a pool layer of one bottom reads from a padding layer",
                    )
                pads[number], layer.bottom[index] = maker.layer.pad, maker.bottom[0]
            makers.update(dict.fromkeys(layer.top, layer))
        return pads


def _per_blob(old: V1 | V0, new: pb.LayerParameter) -> None:
    """Lists of one item a weight, as a ParamSpec a weight."""
    for name, of_spec in _PER_BLOB.items():
        for index, value in enumerate(getattr(old, name, ())):
            while len(new.param) <= index:
                new.param.add()
            setattr(new.param[index], of_spec, value)


def _put(message: Message, name: str, value: Any) -> None:
    """Set a field, of the same kind as where the value comes from, or a list where that is a single one; nothing where
    the message has no such field."""
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        return
    if not is_repeated(field):
        getattr(message, name).CopyFrom(value) if is_message(field) else setattr(message, name, value)
    elif isinstance(value, (int, float, str)):
        getattr(message, name).append(value)
    else:
        getattr(message, name).extend(value)


def input_layer(net: pb.NetParameter) -> pb.LayerParameter | None:
    """The Input layer that Caffe puts before a net's layers for its `input:` fields; None where it has none."""
    if not net.input:
        return None
    layer = pb.LayerParameter(name="input", type="Input", top=net.input)
    if net.input_shape:
        layer.input_param.shape.extend(net.input_shape[: len(net.input)])
    else:
        for at in range(0, min(len(net.input_dim) - 3, 4 * len(net.input)), 4):
            layer.input_param.shape.add(dim=net.input_dim[at : at + 4])
    return layer
