"""The part of a deploy net that one of its blobs depends on: to extract activations of pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prototxt_gen import SpecError, caffe_pb2, filter_net, nearest
from prototxt_gen.shapes import infer, show
from prototxt_gen.weights import AFRESH, plan, read_weights


@dataclass(frozen=True)
class Part:
    """What a net must compute for one blob: `net` reads pictures (rows, 3, crop, crop) as `input`, and its `blob` has
    one row of `size` values a picture."""

    net: caffe_pb2.NetParameter
    input: str
    blob: str
    crop: int
    size: int
    written_by: list[str]  # "fc6 (InnerProduct)", then what changes it in place: "relu6 (ReLU)"
    bytes_a_row: int

    @property
    def rectified(self) -> bool:
        return self.written_by[-1].endswith("(ReLU)")

    def deploy(self, rows: int) -> caffe_pb2.NetParameter:
        """The net for this many pictures at a time."""
        made = caffe_pb2.NetParameter()
        made.CopyFrom(self.net)
        made.layer[0].input_param.shape[0].dim[0] = rows
        return made


def part_for(net: caffe_pb2.NetParameter, blob: str, name: str) -> Part:
    """The part of a deploy net that makes `blob`. Raises SpecError, one line that begins with `name`, for a blob that
    is not there, that needs more than pictures, or has not one row for each of them."""
    layers = _with_input_layers(filter_net(net, "TEST"))
    if not any(blob in layer.top for layer in layers):
        known = {top for layer in layers for top in layer.top}
        hint = nearest(blob, known) or "; `lrcn nets show` names its blobs"
        raise SpecError(f"{name}: has no blob '{blob}'{hint}")
    needed, kept = {blob}, []
    for layer in reversed(layers):
        if needed.intersection(layer.top):
            kept.insert(0, layer)
            needed.update(layer.bottom)
    for orphan in sorted(needed - {top for layer in kept for top in layer.top}):
        raise SpecError(
            f"{name}: blob '{blob}' comes from '{orphan}', which no layer makes; give a deploy net, which"
            " takes pictures by an Input layer"
        )
    inputs = [layer for layer in kept if not layer.bottom]
    for layer in inputs:
        if layer.type != "Input":
            raise SpecError(
                f"{name}: blob '{blob}' comes from layer '{layer.name}' ({layer.type}), which reads data of"
                " its own; give a deploy net, which takes pictures by an Input layer"
            )
    if len(inputs) != 1:
        given = ", ".join(layer.top[0] for layer in inputs)
        raise SpecError(
            f"{name}: blob '{blob}' needs the inputs {given}; only a blob that pictures alone make can be"
            " extracted, as fc6"
        )
    shape = tuple(inputs[0].input_param.shape[0].dim) if inputs[0].input_param.shape else ()
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
        raise SpecError(f"{name}: its input {inputs[0].top[0]} is {show(shape)}; pictures are rows x 3 x side x side")
    kept.remove(inputs[0])
    alone = caffe_pb2.NetParameter(name=net.name, layer=[inputs[0], *kept])
    writers = [f"{layer.name} ({layer.type})" for layer in alone.layer if blob in layer.top]
    made = Part(alone, inputs[0].top[0], blob, shape[2], 0, writers, 0)
    for rows in (3, 7):  # two numbers that no net is made for tell what follows the rows from what is fixed
        found = infer(made.deploy(rows), "TEST")
        for problem in found.problems:
            layer = "" if problem.index is None else f"layer '{alone.layer[problem.index].name}': "
            raise SpecError(f"{name}: with {rows} pictures, for which blob '{blob}' is asked: {layer}{problem}")
        held = found.blobs[blob]
        if not held or held[0] != rows:
            raise SpecError(
                f"{name}: blob '{blob}' has not one row a frame: for {rows} pictures it is {show(held)};"
                " name one that has, as fc6"
            )
    bytes_a_row = sum(row.activation_bytes or 0 for row in found.rows) // rows
    return Part(alone, inputs[0].top[0], blob, shape[2], int(np.prod(held[1:])), writers, bytes_a_row)


def _with_input_layers(net: caffe_pb2.NetParameter) -> list[caffe_pb2.LayerParameter]:
    """The layers, with an Input layer for each input, old `input:` fields included."""
    layers = list(net.layer)
    if net.input:
        first = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
        first.input_param.shape.extend(net.input_shape)
        for at in range(0, len(net.input_dim) - 3, 4):
            first.input_param.shape.add(dim=net.input_dim[at : at + 4])
        layers.insert(0, first)
    single = []
    for layer in layers:
        if layer.type != "Input":
            single.append(layer)
            continue
        shapes = layer.input_param.shape
        for at, top in enumerate(layer.top):
            one = caffe_pb2.LayerParameter(name=layer.name if len(layer.top) == 1 else top, type="Input", top=[top])
            one.input_param.shape.extend(shapes[at : at + 1] if len(shapes) > 1 else shapes)
            single.append(one)
    return single


def check_weights(part: Part, weights, name: str) -> None:
    """Refuses a weight file that does not fill every layer before the blob. Raises SpecError."""
    entries = plan(part.deploy(1), read_weights(weights), "TEST")
    for entry in entries.clashes:
        raise SpecError(f"{weights}: does not fit {name}: layer '{entry.layer}': {entry.why}")
    missing = [entry.layer for entry in entries.entries if entry.status == AFRESH]
    if missing:
        raise SpecError(
            f"{weights}: has no weights for {', '.join(missing)} of {name}, on which blob '{part.blob}'"
            " depends; give the .caffemodel that was trained for this net"
        )
