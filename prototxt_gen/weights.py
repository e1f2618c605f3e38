"""What Caffe would do with a weight file: which layers it would fill, leave as initialised, or stop at.

Only the shapes in a file are read. A .caffemodel is a NetParameter whose arrays are nearly all of its bytes; protobuf
would read and copy them all, so the few bytes between them are walked here instead: 500 MB take milliseconds. That
also reads the two retired layer formats (V0, V1), which the schema leaves out, where CaffeNet and VGG-16 came in them.
"""

import codecs
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.errors import SpecError, shortened
from prototxt_gen.layer_rules import MAX_AXES
from prototxt_gen.shapes import FLOAT, NetShapes, Row, Shape, infer
from readers import printable

COPIED, AFRESH, CLASH, IGNORED, UNKNOWN = "copied", "initialised afresh", "clash", "ignored", "not known"

# Field numbers of a layer's name and blobs; V1LayerParameter and V0LayerParameter as in BVLC's caffe.proto.
_LAYER = {name: pb.LayerParameter.DESCRIPTOR.fields_by_name[name].number for name in ("name", "blobs")}
_V1, _V0 = {"name": 4, "blobs": 6}, {"name": 1, "blobs": 50}
_NET_LAYER, _NET_LAYERS, _V1_LAYER = pb.NetParameter.DESCRIPTOR.fields_by_name["layer"].number, 2, 1
_BLOB = {number: described.name for number, described in pb.BlobProto.DESCRIPTOR.fields_by_number.items()}
_LEGACY = "num", "channels", "height", "width"
_MOST_BYTES = 2**31 - 2**20  # of a message; the names and shapes of layers take some of them
_MEND = "name a net's weights, a .caffemodel or .caffemodel.h5"
_MEND_HDF5 = "Caffe takes a file for HDF5 whose name ends in .h5"


@dataclass(frozen=True)
class Blob:
    """An array in a weight file. `legacy`: its shape is the four sizes that blobs once had, counted from the end."""

    shape: Shape
    legacy: bool
    values: int  # how many it holds
    # where they lie in a .caffemodel: byte, number, NumPy's type
    packed: tuple[tuple[int, int, str], ...] = field(default=(), compare=False, repr=False)

    def fits(self, shape: Shape) -> bool:
        """Whether Caffe takes it for a weight of this shape (`Blob::ShapeEquals`)."""
        if self.legacy:
            return len(shape) <= 4 and (1,) * (4 - len(shape)) + tuple(shape) == self.shape
        return tuple(shape) == self.shape


Layers: TypeAlias = list[tuple[str, list[Blob | None]]]  # of a file, in its order: name, blobs


@dataclass(frozen=True)
class Weights:
    """A weight file: (name, blobs) of its layers, in its order; None for a shared blob that an HDF5 file leaves out."""

    path: str
    layers: Layers
    hdf5: bool


@dataclass(frozen=True)
class Entry:
    """What becomes of one layer of the net; or, IGNORED, of one that the file alone has."""

    layer: str
    type: str  # "" where the file alone has it
    status: str
    net: list[Shape] | None  # the weights' shapes in the net; None: not known
    file: list[Shape | None] | None  # and in the file; None: no such layer
    why: str = ""


@dataclass
class Plan:
    """What Caffe would do, layer by layer; `copied` of `parameters` would come from the file, shared ones counted once.

    With a clash Caffe stops, and copies nothing.
    """

    entries: list[Entry]
    parameters: int = 0
    copied: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def clashes(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.status == CLASH]


@dataclass(frozen=True)
class Start:
    """With what the layers of a net would start to train from a weight file: their names, in the net's order."""

    path: str
    filled: list[str]
    random: list[str]  # as their fillers make them, where they are not `clashing`
    clashing: dict[str, str]  # layer -> why Caffe stops at it
    unused: list[str]  # layers that the file alone has
    unknown: list[str]  # layers whose weights have no known shape
    frozen: list[str]  # of the random and the clashing ones those that learn nothing, and so would stay as they are


def read_weights(path: str | Path) -> Weights:
    """The shapes in a .caffemodel of any of Caffe's formats, or a .caffemodel.h5: as Caffe does, `.h5` says which.

    Raises SpecError, one line, for what is neither or is cut off.
    """
    path = Path(path)
    if not os.path.isfile(path):  # a pipe would have it wait, a device never end
        raise SpecError(f"{path}: {'not a file' if os.path.exists(path) else 'no such file'}; {_MEND}")
    if path.name.endswith(".h5"):
        return Weights(str(path), _read_hdf5(path), True)
    try:
        with open(path, "rb") as file:
            _refuse_others(path, file.read(4096))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return Weights(str(path), _read_binary(path, data), False)
    except OSError as error:
        raise SpecError(f"{path}: {(error.strerror or str(error)).lower()}; {_MEND}") from None


def plan(
    net: pb.NetParameter,
    weights: Weights,
    phase: int | str = "TRAIN",
    stages: Iterable[str] = (),
    level: int = 0,
    **known: Any,
) -> Plan:
    """What `Net::CopyTrainedLayersFrom` would do with `weights` in the net that Caffe builds for this state.

    Layers are matched by name. Of several layers of one name Caffe fills the first (from HDF5: the last). `known` is
    what `infer` is told of inputs and Python layers.
    """
    return _Match(infer(net, phase, tuple(stages), level, **known), weights).plan()


def start(net: pb.NetParameter, path: str | Path, stages: Iterable[str] = (), level: int = 0, **known: Any) -> Start:
    """What a training of `net` (phase TRAIN, these stages) would start with, were it given the weight file at `path`.

    The rules are those of `plan`. A layer learns nothing where each `lr_mult` of it is 0, or no gradient comes to it.
    Raises SpecError, one line that begins with
    `path`, for what is no weight file.
    """
    match = _Match(infer(net, "TRAIN", tuple(stages), level, **known), read_weights(path))
    entries = match.plan().entries
    names = {
        status: list(dict.fromkeys(entry.layer for entry in entries if entry.status == status))
        for status in (COPIED, AFRESH, CLASH, IGNORED, UNKNOWN)
    }
    learning = match.learning()
    unfilled = [entry for entry in entries if entry.status in (AFRESH, CLASH)]
    return Start(
        str(path),
        names[COPIED],
        names[AFRESH],
        {entry.layer: entry.why for entry in entries if entry.status == CLASH},
        names[IGNORED],
        names[UNKNOWN],
        list(dict.fromkeys(each.layer for each in unfilled if each.layer not in learning)),
    )


class _Match:
    """Which layer of a net each layer of a weight file fills. Layers are meant by their place in the net."""

    def __init__(self, shapes: NetShapes, weights: Weights):
        self.shapes, self.rows, self.weights = shapes, shapes.rows, weights
        self.target: dict[str, int] = {}  # of the layers of a name the one that Caffe fills
        for at, row in enumerate(self.rows):
            if weights.hdf5 or row.layer.name not in self.target:
                self.target[row.layer.name] = at
        self.sources: dict[int, list[list[Blob | None]]] = {}
        for name, blobs in weights.layers:
            if name in self.target:
                self.sources.setdefault(self.target[name], []).append(blobs)
        self.stops = {at: self._stop(at) for at in self.sources}
        self.filled: dict[object, str] = {}  # a weight -> the layer whose part of the file fills it
        for at, sources in self.sources.items():
            for index in range(0 if self.stops[at] else len(self.rows[at].weights or ())):
                if any(blob is not None for blobs in sources for blob in blobs[index : index + 1]):
                    self.filled.setdefault(self._key(at, index), self.rows[at].layer.name)

    def plan(self) -> Plan:
        plan = Plan([], notes=[*self.shapes.notes, *(problem.message for problem in self.shapes.problems)])
        counted = set()
        for at, row in enumerate(self.rows):
            if row.weights == [] and not any(self.sources.get(at, [])):
                continue
            plan.entries.append(self._entry(at, row))
            for index, shape in enumerate(row.weights or ()):
                key = self._key(at, index)
                if key not in counted:
                    counted.add(key)
                    plan.parameters += prod(shape)
                    plan.copied += prod(shape) * (key in self.filled)
        plan.entries += [
            Entry(name, "", IGNORED, None, _shapes(blobs), "the net has no such layer")
            for name, blobs in self.weights.layers
            if name not in self.target and blobs
        ]
        return plan

    def learning(self) -> set[str]:
        """The layers that change while the net trains, and those that a filler alone makes what they are to stay."""
        learned: set[object] = set()
        fixed: set[object] = set()
        keys = {
            at: [self._key(at, index) for index in range(len(row.weights or ()))] for at, row in enumerate(self.rows)
        }
        for at, row in enumerate(self.rows):
            rates = [spec.lr_mult for spec in row.layer.param]
            rates += [float(row.layer.type != "BatchNorm")] * (len(keys[at]) - len(rates))
            learned.update(key for key, rate in zip(keys[at], rates) if rate and row.backward)
            fixed.update(key for key, rate in zip(keys[at], rates) if not rate)
        return {
            row.layer.name
            for at, row in enumerate(self.rows)
            if learned.difference(fixed).intersection(keys[at])
            or row.layer.type == "BatchNorm"
            and not row.layer.batch_norm_param.use_global_stats  # it averages what it sees
            or row.layer.convolution_param.weight_filler.type == "bilinear"  # it enlarges, as it is made
        }

    def _key(self, at: int, index: int) -> object:
        """A weight, under the name that other layers may share it by."""
        specs = self.rows[at].layer.param
        return specs[index].name or (at, index) if index < len(specs) else (at, index)

    def _stop(self, at: int) -> str:
        """Why Caffe would stop at this layer; "" where it copies what the file has of it."""
        row = self.rows[at]
        if row.weights is None:
            return ""
        clashes = (_clash(row.weights, row.shared, blobs, self.weights.hdf5) for blobs in self.sources[at])
        return next(filter(None, clashes), "")

    def _entry(self, at: int, row: Row) -> Entry:
        sources = self.sources.get(at, [])

        def entry(status: str, why: str = "") -> Entry:
            file = _shapes(sources[-1]) if sources else None
            return Entry(row.layer.name, row.layer.type, status, row.weights, file, why)

        if row.weights is None:
            return entry(UNKNOWN, "what this layer reads has no known shape")
        if sources:
            return entry(CLASH, self.stops[at]) if self.stops[at] else entry(COPIED)
        keys = [self._key(at, index) for index in range(len(row.weights))]
        givers = dict.fromkeys(self.filled[key] for key in keys if key in self.filled)
        if all(key in self.filled for key in keys):
            return entry(COPIED, f"shared with layer {', '.join(givers)}")
        missing = self._missing(at)
        if givers:
            missing += f"; in part shared with layer {', '.join(givers)}, which is copied"
        return entry(AFRESH, missing)

    def _missing(self, at: int) -> str:
        """Why nothing of the file is this layer's."""
        other = self.target[self.rows[at].layer.name]
        if other != at and other in self.sources:
            return f"Caffe fills only the {'last' if self.weights.hdf5 else 'first'} layer of this name"
        return "the file has no such layer"


def _clash(shapes: list[Shape], shared: list[bool], blobs: list[Blob | None], hdf5: bool) -> str:
    """Why Caffe would stop at these blobs; "" where it copies them. shapes, shared: of the weights in the net."""
    count = sum(blob is not None for blob in blobs)
    if len(blobs) > len(shapes) or count < len(shapes) and not hdf5:
        return f"the net's layer has {_blobs(len(shapes))}, the file's {_blobs(count)}"
    for index, shape in enumerate(shapes):
        blob = blobs[index] if index < len(blobs) else None
        if blob is None:
            if not shared[index]:  # a shared one is filled by its owner
                return f"the file's layer lacks blob {index}"
        elif not blob.fits(shape):
            return f"blob {index} is {shape_text(shape)} in the net, {shape_text(blob.shape)} in the file"
        elif blob.values != prod(shape):
            return f"blob {index} has {prod(shape)} values in the net, {blob.values} in the file"
    return ""


def _shapes(blobs: list[Blob | None]) -> list[Shape | None]:
    return [None if blob is None else blob.shape for blob in blobs]


def _blobs(count: int) -> str:
    return "1 blob" if count == 1 else f"{count or 'no'} blobs"


def shape_text(shape: Shape) -> str:
    """ "96x3x7x7"; "a scalar" for ()."""
    return "x".join(map(str, shape)) or "a scalar"


# ---- files ------------------------------------------------------------------------------------------------


def _read_hdf5(path: Path) -> Layers:
    from readers.hdf5 import open_hdf5

    with open_hdf5(path, SpecError, _MEND_HDF5) as file:
        return _hdf5_layers(path, file)


def _hdf5_layers(path: Path, file: Any) -> Layers:
    import h5py

    from readers.hdf5 import dataset, member

    data = member(file, "data")
    if not isinstance(data, h5py.Group):
        state = "; give the .caffemodel.h5 beside it" if "history" in list(file) else ""
        raise SpecError(f"{path}: holds no group 'data': not the weights of a net{state}")
    layers: Layers = []
    for name in data:
        group = member(data, name)
        indices = list(group) if isinstance(group, h5py.Group) else []
        datasets: dict[str, Any] = {index: dataset(group, index) for index in indices}
        known = all(one is not None and one.dtype.kind in "fiu" for one in datasets.values())
        if not (
            isinstance(group, h5py.Group) and known and all(re.fullmatch("0|[1-9][0-9]{0,2}", it) for it in indices)
        ):
            raise SpecError(
                f"{path}: layer '{printable(name)}' holds something else than numbers in the datasets 0, 1, ..."
            )
        blobs: list[Blob | None] = [None] * (1 + max(map(int, indices), default=-1))
        for index, one in datasets.items():
            blobs[int(index)] = Blob(tuple(one.shape), False, one.size)
        layers.append((name, blobs))
    return layers


def check_finite(path: str | Path) -> None:
    """Reads all values of a weight file. SpecError, one line, where one of them is no number, or infinite."""
    import numpy as np

    weights = read_weights(path)
    for name, blobs in weights.layers:
        for index, blob in enumerate(blobs):
            if not all(np.isfinite(values).all() for values in _values(weights, name, index, blob)):
                raise SpecError(f"{path}: layer '{name}' holds nan or inf, as of a training that diverged")


def read_layer(path: str | Path, layer: str) -> list[Any]:
    """The blobs of a layer in a weight file, float32 arrays of the shapes that they have there. SpecError, one line,
    where the file has no such layer, or shares a blob of it with another."""
    import numpy as np

    weights = read_weights(path)
    blobs = next((blobs for name, blobs in weights.layers if name == layer and blobs), None)
    if blobs is None or None in blobs:
        raise SpecError(f"{path}: has no weights for {layer}; give the .caffemodel that was trained for this net")
    arrays = []
    for index, blob in enumerate(blobs):
        pieces = [np.ravel(piece).astype(np.float32) for piece in _values(weights, layer, index, blob)]
        values = np.concatenate([*pieces, np.empty(0, np.float32)])
        if blob is None or len(values) != prod(blob.shape) or min(blob.shape, default=0) < 0:
            shape = "" if blob is None else f" of {shortened(shape_text(blob.shape))}"
            raise SpecError(f"{path}: blob {index}{shape} of layer '{layer}' holds {len(values):,} values; {_MEND}")
        arrays.append(values.reshape(blob.shape))
    return arrays


def _values(weights: Weights, name: str, index: int, blob: Blob | None) -> Iterator[Any]:
    """The values of a blob, in pieces. SpecError for one that is larger than the bounds allow."""
    import numpy as np

    if blob is None:
        return
    if weights.hdf5:
        from readers.hdf5 import open_hdf5, read_array

        with open_hdf5(weights.path, SpecError, _MEND_HDF5) as file:
            yield read_array(file, f"data/{name}/{index}", weights.path, SpecError)
        return
    for at, count, kind in blob.packed:
        yield np.fromfile(weights.path, kind, count, offset=at)


def binary_of_hdf5(path: Path) -> bytes:
    """The weights of a .caffemodel.h5 as a .caffemodel, blob for blob. SpecError as `read_weights`, and for what is
    larger than a .caffemodel can be."""
    weights, net = read_weights(path), pb.NetParameter()
    if sum(blob.values for _, blobs in weights.layers for blob in blobs if blob) * FLOAT >= _MOST_BYTES:
        raise SpecError(f"{path}: holds more than the 2 GiB that protobuf takes in a .caffemodel; {_MEND}")
    for name, blobs in weights.layers:
        layer = net.layer.add(name=name)
        for index, blob in enumerate(blobs):
            if blob is None:
                raise SpecError(f"{path}: layer '{name}' shares blob {index}; save the net as a .caffemodel")
            [values] = _values(weights, name, index, blob)
            layer.blobs.add(data=values.ravel()).shape.dim.extend(blob.shape)
    return bytes(net.SerializeToString())


def _refuse_others(path: Path, start: bytes) -> None:
    if not start:
        raise SpecError(f"{path}: an empty file; a .caffemodel is expected here")
    if start.startswith(b"version https://git-lfs"):
        raise SpecError(f"{path}: a pointer of Git LFS, not the file itself; `git lfs pull` fetches it")
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        raise SpecError(f"{path}: an HDF5 file; Caffe reads it as one only where its name ends in .h5")
    if start.startswith(b"\x08") or path.suffix == ".solverstate":
        raise SpecError(f"{path}: a .solverstate, or a mean's .binaryproto; give the .caffemodel beside it")
    for magic, kind in _ARCHIVES.items():
        if start.startswith(magic):
            raise SpecError(f"{path}: a file of {kind}; a .caffemodel is expected here")
    if not set(start) - set(b"\t\n\r") - set(range(32, 256)) or start.startswith(
        (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    ):
        raise SpecError(f"{path}: a text file; a .caffemodel is expected here, after the net's prototxt")


_ARCHIVES = {b"PK\3\4": "zip, or of PyTorch", b"\x1f\x8b": "gzip", b"\x93NUMPY": "NumPy", b"\x80": "Python's pickle"}


class _Cut(Exception):
    """Bytes that are no message: cut off, or of something else."""


def _read_binary(path: Path, data: mmap.mmap) -> Layers:
    layers: Layers = []
    retired: list[slice] = []
    try:
        for number, value in _fields(data, 0, len(data)):
            if number == _NET_LAYER and isinstance(value, slice):
                layers.append(_read_layer(data, value, _LAYER))
            elif number == _NET_LAYERS and isinstance(value, slice):
                retired.append(value)
        older = [(value, dict(_slices(data, value)).get(_V1_LAYER)) for value in retired]
        any_v0 = any(v0 for _, v0 in older)
        layers_v1 = [
            _read_layer(data, v0, _V0) if v0 else _read_layer(data, value, _V1)
            for value, v0 in older
            if v0 or not any_v0
        ]
    except _Cut as error:
        raise SpecError(f"{path}: not a .caffemodel, or cut off: {error}") from None
    if layers and layers_v1:
        raise SpecError(f"{path}: holds both 'layer' and 'layers', which Caffe refuses")
    if not layers and not layers_v1:
        raise SpecError(f"{path}: holds no layers: not a .caffemodel")
    return layers or layers_v1


def _slices(data: mmap.mmap, where: slice) -> Iterator[tuple[int, slice]]:
    return ((number, value) for number, value in _fields(data, where.start, where.stop) if isinstance(value, slice))


def _read_layer(data: mmap.mmap, where: slice, numbers: dict[str, int]) -> tuple[str, list[Blob | None]]:
    name = ""
    blobs: list[Blob | None] = []
    for number, value in _slices(data, where):
        if number == numbers["name"]:
            name = data[value].decode("utf-8", "replace")
        elif number == numbers["blobs"]:
            blobs.append(_read_blob(data, value))
    return name, blobs


def _read_blob(data: mmap.mmap, where: slice) -> Blob:
    shape: list[int] = []
    legacy: dict[str, int] = {}
    values = {"data": 0, "double_data": 0}
    packed: list[tuple[int, int, str]] = []
    for number, value in _fields(data, where.start, where.stop):
        name = _BLOB.get(number, "")
        if name in _LEGACY and isinstance(value, int):
            legacy[name] = value
        elif name in values:  # packed, or one by one as very old files have them
            size = 4 if name == "data" else 8
            count = (value.stop - value.start) // size if isinstance(value, slice) else 1
            values[name] += count
            if isinstance(value, slice):
                packed.append((value.start, count, f"<f{size}"))
        elif name == "shape" and isinstance(value, slice):
            for _, dim in _fields(data, value.start, value.stop):
                shape += [dim] if isinstance(dim, int) else _varints(data, dim)
    if len(shape) > MAX_AXES:
        raise _Cut(f"a blob of {len(shape)} axes ends at byte {where.stop}, and Caffe's have {MAX_AXES} at most")
    sizes = tuple(legacy.get(name, 0) for name in _LEGACY) if legacy else tuple(shape)
    return Blob(sizes, bool(legacy), values["double_data"] or values["data"], tuple(packed))


def _varints(data: mmap.mmap, where: slice) -> list[int]:
    values, at = [], where.start
    while at < where.stop:
        value, at = _varint(data, at, where.stop)
        values.append(value)
    return values


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int | slice]]:
    """(number, value) of a message's fields: a varint's value, or where the bytes of anything else lie."""
    while at < end:
        begun = at
        tag, at = _varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if not number or kind in (3, 4, 6, 7):  # groups are not Caffe's
            raise _Cut(f"byte {begun} begins no field")
        if kind == 0:
            value, at = _varint(data, at, end)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(data, at, end)
        else:
            size = 8 if kind == 1 else 4
        if at + size > end:
            raise _Cut(f"the field at byte {begun} goes on for {at + size - end} bytes after the end, byte {end}")
        if kind == 2:
            yield number, slice(at, at + size)
        else:
            yield number, int.from_bytes(data[at : at + size], "little")
        at += size


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A varint as a signed 64-bit number, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _Cut(f"the number before byte {end} has no end")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            value &= 2**64 - 1
            return (value - 2**64 if value >= 2**63 else value), at
    raise _Cut(f"no number at byte {at - 10}")
