"""Weights as Caffe stores them (.caffemodel), written at random and read back."""

import numpy as np

from prototxt_gen import caffe_pb2
from prototxt_gen.shapes import infer


def write_weights(path, net, seed=0, **changes):
    """Random weights of a net as a .caffemodel; changes: a layer's blobs by their shapes, or None to leave it out."""
    return write_layers(path, infer(net, "TEST").rows, seed, **changes)


def write_layers(path, rows, seed=0, **changes):
    """The same of what Caffe makes of a net, the rows of `infer`."""
    made, rng = caffe_pb2.NetParameter(), np.random.default_rng(seed)
    for row in rows:
        shapes = changes.get(row.layer.name, row.weights)
        if shapes:
            layer = made.layer.add(name=row.layer.name, type=row.layer.type)
            for shape in shapes:
                blob = layer.blobs.add(data=rng.normal(0, 0.05, int(np.prod(shape))))
                blob.shape.dim.extend(shape)
    path.write_bytes(made.SerializeToString())
    return path


def weights(path):
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    return {layer.name: [list(blob.data) for blob in layer.blobs] for layer in net.layer if layer.blobs}


def furthest(one, other):
    """How far apart the weights of two files of the same layers lie at most."""
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    return max(float(np.abs(np.subtract(a, b)).max()) for name in one for a, b in zip(one[name], other[name]))


def in_old_format(path, out, v1=False, v0=False):
    """The same weights with blobs of four sizes, as files of before Caffe 1.0 have them; v1: in `layers`, as files of
    2014; v0: in a `layer` within each, as files of 2013."""
    net, old = caffe_pb2.NetParameter.FromString(path.read_bytes()), caffe_pb2.NetParameter()
    for layer in net.layer:
        if v0:
            made = old.layers.add().layer
            made.name, made.type = layer.name, {"Convolution": "conv"}.get(layer.type, "innerproduct")
        else:
            made = old.layers.add(name=layer.name) if v1 else old.layer.add(name=layer.name, type=layer.type)
        for blob in layer.blobs:
            sizes = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
            made.blobs.add(data=blob.data, **dict(zip(("num", "channels", "height", "width"), sizes)))
    out.write_bytes(old.SerializeToString())
    return out
