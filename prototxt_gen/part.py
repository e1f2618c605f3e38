"""The part of a deploy net that one of its blobs depends on: to extract activations of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from prototxt_gen import SpecError, caffe_pb2, filter_net, nearest
from prototxt_gen.shapes import infer, show
from prototxt_gen.upgrade import input_layer
from prototxt_gen.weights import AFRESH, plan, read_weights


@dataclass(frozen=True)
class Part:
    """What a net must compute for one blob: `net` reads pictures (rows, 3, crop, crop) as `input`, and its `blob` has
    one row of `size` values a picture; `written_by` names the layer that makes it and those that change it in place."""

    net: caffe_pb2.NetParameter
    input: str
    blob: str
    crop: int
    size: int
    written_by: list[str]  # "fc6 (InnerProduct)", "relu6 (ReLU)"
    bytes_a_row: int

    @property
    def rectified(self) -> bool:
        return self.written_by[-1].endswith("(ReLU)")

    def deploy(self, rows: int) -> caffe_pb2.NetParameter:
        """The net for this many pictures at a time."""
        net = caffe_pb2.NetParameter()
        net.CopyFrom(self.net)
        net.layer[0].input_param.shape[0].dim[0] = rows
        return net


def part_for(net: caffe_pb2.NetParameter, blob: str, name: str) -> Part:
    """The part of a deploy net that makes `blob`. Raises SpecError, one line that begins with `name`, for a blob that
    is not there, that needs more than pictures, or has not one row for each of them."""
    layers = _needed_for(blob, _with_input_layers(filter_net(net, "TEST")), name)
    pictures, crop = _pictures(layers, blob, name)
    alone = caffe_pb2.NetParameter(
        name=net.name, layer=[pictures, *(layer for layer in layers if layer is not pictures)]
    )
    writers = [f"{layer.name} ({layer.type})" for layer in alone.layer if blob in layer.top]
    part = Part(alone, pictures.top[0], blob, crop, 0, writers, 0)
    size, bytes_a_row = _row(part, name)
    return replace(part, size=size, bytes_a_row=bytes_a_row)


def _needed_for(blob: str, layers: list[caffe_pb2.LayerParameter], name: str) -> list[caffe_pb2.LayerParameter]:
    """The layers that `blob` depends on."""
    tops = {top for layer in layers for top in layer.top}
    if blob not in tops:
        hint = nearest(blob, tops) or "; `lrcn nets show` names its blobs"
        raise SpecError(f"{name}: has no blob '{blob}'{hint}")
    needed = {blob}
    kept: list[caffe_pb2.LayerParameter] = []
    for layer in reversed(layers):
        if needed.intersection(layer.top):
            kept.insert(0, layer)
            needed.update(layer.bottom)
    for orphan in sorted(needed - {top for layer in kept for top in layer.top}):
        raise SpecError(
            f"{name}: blob '{blob}' comes from '{orphan}', which no layer makes; give a deploy net, which"
            " takes pictures by an Input layer"
        )
    return kept


def _pictures(layers: list[caffe_pb2.LayerParameter], blob: str, name: str) -> tuple[caffe_pb2.LayerParameter, int]:
    """The one Input layer among them, which takes pictures, and their side."""
    inputs = [layer for layer in layers if not layer.bottom]
    for layer in inputs:
        if layer.type != "Input":
            raise SpecError(
                f"{name}: blob '{blob}' comes from layer '{layer.name}' ({layer.type}), which reads data of"
                " its own; give a deploy net, which takes pictures by an Input layer"
            )
    if len(inputs) != 1:
        tops = ", ".join(layer.top[0] for layer in inputs)
        raise SpecError(
            f"{name}: blob '{blob}' needs the inputs {tops}; only a blob that pictures alone make can be"
            " extracted, as fc6"
        )
    shape = tuple(inputs[0].input_param.shape[0].dim) if inputs[0].input_param.shape else ()
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
        raise SpecError(f"{name}: its input {inputs[0].top[0]} is {show(shape)}; pictures are rows x 3 x side x side")
    return inputs[0], shape[2]


def _row(part: Part, name: str) -> tuple[int, int]:
    """The values of the part's blob a picture, and the bytes of all activations a picture."""
    size = 0
    for rows in (3, 7):  # two numbers that no net is made for tell what follows the rows from what is fixed
        shapes = infer(part.deploy(rows), "TEST")
        for problem in shapes.problems:
            layer = "" if problem.index is None else f"layer '{part.net.layer[problem.index].name}': "
            raise SpecError(f"{name}: with {rows} pictures, for which blob '{part.blob}' is asked: {layer}{problem}")
        shape = shapes.blobs[part.blob]
        if not shape or shape[0] != rows:
            raise SpecError(
                f"{name}: blob '{part.blob}' has not one row a frame: for {rows} pictures it is {show(shape)};"
                " name one that has, as fc6"
            )
        size = math.prod(shape[1:])
    return size, sum(row.activation_bytes or 0 for row in shapes.rows) // rows


def _with_input_layers(net: caffe_pb2.NetParameter) -> list[caffe_pb2.LayerParameter]:
    """The layers, with an Input layer of its own for each input, old `input:` fields included."""
    layers = []
    for layer in filter(None, [input_layer(net), *net.layer]):
        layers += _one_a_top(layer) if layer.type == "Input" else [layer]
    return layers


def _one_a_top(layer: caffe_pb2.LayerParameter) -> list[caffe_pb2.LayerParameter]:
    """An Input layer as one for each of its tops; a single shape is for all."""
    single, shapes = [], layer.input_param.shape
    for at, top in enumerate(layer.top):
        name = layer.name if len(layer.top) == 1 else top
        single.append(caffe_pb2.LayerParameter(name=name, type="Input", top=[top]))
        single[-1].input_param.shape.extend(shapes[at : at + 1] if len(shapes) > 1 else shapes)
    return single


def check_weights(part: Part, weights: str | Path, name: str) -> None:
    """Refuses a weight file that does not fill every layer before the blob. Raises SpecError."""
    fit = plan(part.deploy(1), read_weights(weights), "TEST")
    for entry in fit.clashes:
        raise SpecError(f"{weights}: does not fit {name}: layer '{entry.layer}': {entry.why}")
    missing = [entry.layer for entry in fit.entries if entry.status == AFRESH]
    if missing:
        raise SpecError(
            f"{weights}: has no weights for {', '.join(missing)} of {name}, on which blob '{part.blob}'"
            " depends; give the .caffemodel that was trained for this net"
        )
