"""`python -m lrcn.engine.start_weights FILE...`, in a run's folder: the snapshot of iteration 0 of segment.prototxt's
solver, with the weights of these .caffemodel files, later ones over earlier. Runs in pycaffe.

The derivative's `caffe train` takes --weights and forgets them; a snapshot of iteration 0 that holds them is what every
Caffe takes. A layer whose shape differs (the classifier of other classes) keeps its random weights, where Caffe itself
would break off; standard error says so of each.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import caffe
from caffe.proto import caffe_pb2

from lrcn.engine.caffe_side import telling_the_user

FITTING = ".start.caffemodel.lrcn-new"  # what of a file fits, in passing; no file of the user's is called so


def main(paths: list[str]) -> None:
    solver = caffe.get_solver("segment.prototxt")
    shapes = {name: [list(blob.data.shape) for blob in blobs] for name, blobs in solver.net.params.items()}
    for path in paths:
        net = caffe_pb2.NetParameter.FromString(Path(path).read_bytes())
        for layers in net.layer, net.layers:  # files of 2014 have `layers`
            taken = [layer for layer in layers if _taken(_described(layer), shapes, path)]
            copies = [type(layer).FromString(layer.SerializeToString()) for layer in taken]
            del layers[:]
            layers.extend(copies)
        Path(FITTING).write_bytes(net.SerializeToString())
        solver.net.copy_from(FITTING)
    solver.snapshot()
    os.unlink(FITTING)


def _described(layer):
    """What has a layer's name and blobs: in the oldest files of all a `layer` within each of the `layers`."""
    return layer.layer if layer.DESCRIPTOR.name == "V1LayerParameter" and layer.HasField("layer") else layer


def _taken(layer, shapes_of: dict[str, list[list[int]]], path: str) -> bool:
    """Whether the weights of this layer of a file are for the blobs of the net's; says so where there are any."""
    shapes = shapes_of.get(layer.name)
    if not shapes or not layer.blobs:
        return False
    fits = len(shapes) == len(layer.blobs) and all(map(_fits, layer.blobs, shapes))
    fate = "taken from" if fits else "of another shape, not taken from"
    print(f"{layer.name}: weights {fate} {path}", file=sys.stderr)
    return fits


def _fits(blob, shape: list[int]) -> bool:
    if (len(blob.double_data) or len(blob.data)) != math.prod(shape):
        return False
    if blob.HasField("shape"):
        return list(blob.shape.dim) == shape
    # Files of 2014 have blobs of four sizes, counted from the end.
    return [blob.num, blob.channels, blob.height, blob.width] == [1] * (4 - len(shape)) + shape


if __name__ == "__main__":
    with telling_the_user():
        main(sys.argv[1:])
