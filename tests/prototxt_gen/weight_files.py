"""Weight files of every format that Caffe reads, and a small net with cases of both, for the tests of `weights`."""

import h5py
import numpy as np

from prototxt_gen import caffe_pb2 as pb

VALUE, START = 7.0, 0.5  # what the files hold; what the net's fillers give

FILLERS = f"weight_filler {{ value: {START} }} bias_filler {{ value: {START} }}"
SHARED = "param { name: 'w' } param { name: 'b' }"
NET = f"""
layer {{ name: 'data' type: 'Input' top: 'data' input_param {{ shape {{ dim: [2, 3, 6, 6] }} }} }}
layer {{ name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
        convolution_param {{ num_output: 4 kernel_size: 3 {FILLERS} }} }}
layer {{ name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' }}
layer {{ name: 'fc' type: 'InnerProduct' bottom: 'conv' top: 'fc' {SHARED}
        inner_product_param {{ num_output: 5 {FILLERS} }} }}
layer {{ name: 'twin' type: 'InnerProduct' bottom: 'conv' top: 'twin' {SHARED}
        inner_product_param {{ num_output: 5 {FILLERS} }} }}
layer {{ name: 'half' type: 'InnerProduct' bottom: 'conv' top: 'half' param {{ name: 'w' }}
        inner_product_param {{ num_output: 5 {FILLERS} }} }}
layer {{ name: 'fc-final' type: 'InnerProduct' bottom: 'fc' top: 'fc-final'
        inner_product_param {{ num_output: 2 {FILLERS} }} }}
"""
PARAMETERS = 4 * 27 + 4 + 5 * 64 + 5 + 5 + 2 * 5 + 2

CONV, FC, FINAL = [(4, 3, 3, 3), (4,)], [(5, 64), (5,)], [(2, 5), (2,)]
WHOLE = {"conv": CONV, "relu": [], "fc": FC, "twin": FC, "half": FC, "fc-final": FINAL}

# case -> (format, layers of the file, {layer: status}); a shape may be said as the four sizes of old ("legacy", ...),
# or with a number of values that is not its own ("holding", n, ...). What is not named is "initialised afresh".
ALL = dict.fromkeys(["conv", "fc", "twin", "half", "fc-final"], "copied")
CASES = {
    "whole": ("binary", WHOLE, ALL),
    "one layer": ("binary", {"fc-final": FINAL}, {"fc-final": "copied"}),
    "another layer": ("binary", {"conv": CONV, "fc8": FINAL}, {"conv": "copied", "fc8": "ignored"}),
    "other shape": ("binary", {"fc-final": [(3, 5), (3,)]}, {"fc-final": "clash"}),
    "same count, other shape": ("binary", {"fc-final": [(5, 2), (2,)]}, {"fc-final": "clash"}),
    "no bias": ("binary", {"conv": CONV[:1]}, {"conv": "clash"}),
    "a blob more": ("binary", {"conv": [*CONV, (4,)]}, {"conv": "clash"}),
    "no blobs": ("binary", {"conv": []}, {"conv": "clash"}),
    "blobs for a layer without": ("binary", {"relu": [(1,)]}, {"relu": "clash"}),
    "too few values": ("binary", {"conv": [("holding", 5, 4, 3, 3, 3), (4,)]}, {"conv": "clash"}),
    "the owner of shared weights": ("binary", {"fc": FC}, {"fc": "copied", "twin": "copied"}),
    "a sharer of them": ("binary", {"twin": FC}, {"fc": "copied", "twin": "copied"}),
    "legacy shapes": (
        "binary",
        {
            "conv": [("legacy", 4, 3, 3, 3), ("legacy", 1, 1, 1, 4)],
            "fc": [("legacy", 1, 1, 5, 64), ("legacy", 1, 1, 1, 5)],
        },
        {"conv": "copied", "fc": "copied", "twin": "copied"},
    ),
    "legacy shapes from the front": (
        "binary",
        {"fc": [("legacy", 5, 64, 1, 1), ("legacy", 5, 1, 1, 1)]},
        {"fc": "clash"},
    ),
    "v1": (
        "v1",
        {"conv": [("legacy", 4, 3, 3, 3), ("legacy", 1, 1, 1, 4)], "fc8": FINAL},
        {"conv": "copied", "fc8": "ignored"},
    ),
    "v1 that clashes": ("v1", {"conv": [("legacy", 4, 3, 5, 5), ("legacy", 1, 1, 1, 4)]}, {"conv": "clash"}),
    "v0": ("v0", {"fc-final": [("legacy", 1, 1, 2, 5), ("legacy", 1, 1, 1, 2)]}, {"fc-final": "copied"}),
    "hdf5": ("h5", WHOLE, ALL),
    "hdf5 without shared blobs": (
        "h5",
        {"fc": FC, "twin": [], "half": [None, (5,)], "conv": CONV},
        {"fc": "copied", "twin": "copied", "half": "copied", "conv": "copied"},
    ),
    "hdf5 without a blob": ("h5", {"conv": [None, (4,)]}, {"conv": "clash"}),
    "hdf5 of another net": ("h5", {"fc8": FINAL, "conv": CONV}, {"fc8": "ignored", "conv": "copied"}),
}

# What learns, and what does not, in one net: layer -> whether a step of training changes it.
_IP = "inner_product_param { num_output: 4 weight_filler { type: 'gaussian' std: 0.1 } }"
LEARNING = {
    "free": True,
    "frozen": False,  # each lr_mult 0
    "bias": True,  # the bias learns
    "before": False,  # nothing is handed down to it
    "after": True,
    "aside": False,  # no loss depends on it
    "shared": True,  # its weight is free's, its bias is held
    "norm": True,  # it averages what it sees
    "norm-fixed": False,
}
_HELD = "param { lr_mult: 0 }"
LEARNING_NET = f"""
layer {{ name: 'data' type: 'DummyData' top: 'data' top: 'label'
        dummy_data_param {{ shape {{ dim: [5, 4] }} shape {{ dim: 5 }}
                           data_filler {{ type: 'gaussian' mean: 1 }} data_filler {{ value: 1 }} }} }}
layer {{ name: 'before' type: 'InnerProduct' bottom: 'data' top: 'before' {_IP} }}
layer {{ name: 'relu' type: 'ReLU' bottom: 'before' top: 'before' }}
layer {{ name: 'after' type: 'InnerProduct' bottom: 'before' top: 'after' propagate_down: false {_IP} }}
layer {{ name: 'aside' type: 'InnerProduct' bottom: 'before' top: 'aside' {_IP} }}
layer {{ name: 'frozen' type: 'InnerProduct' bottom: 'after' top: 'frozen' {_HELD} {_HELD} {_IP} }}
layer {{ name: 'bias' type: 'InnerProduct' bottom: 'frozen' top: 'bias' {_HELD} {_IP} }}
layer {{ name: 'norm' type: 'BatchNorm' bottom: 'bias' top: 'norm' }}
layer {{ name: 'norm-fixed' type: 'BatchNorm' bottom: 'norm' top: 'norm-fixed'
        batch_norm_param {{ use_global_stats: true }} }}
layer {{ name: 'free' type: 'InnerProduct' bottom: 'norm-fixed' top: 'free' param {{ name: 'w' }} {_IP} }}
layer {{ name: 'shared' type: 'InnerProduct' bottom: 'free' top: 'shared' param {{ name: 'w' }} {_HELD} {_IP} }}
layer {{ name: 'drop' type: 'Silence' bottom: 'aside' }}
layer {{ name: 'loss' type: 'SoftmaxWithLoss' bottom: 'shared' bottom: 'label' top: 'loss' }}
"""


def field(number, payload):
    """A length-delimited field, as protobuf writes it."""

    def varint(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)

    return varint(number << 3 | 2) + varint(len(payload)) + payload


def blob(shape):
    made = pb.BlobProto()
    count = None
    if shape[:1] == ("holding",):
        count, shape = shape[1], shape[2:]
    if shape[:1] == ("legacy",):
        shape = shape[1:]
        made.num, made.channels, made.height, made.width = shape
    else:
        made.shape.dim.extend(shape)
    made.data.extend([VALUE] * (int(np.prod(shape)) if count is None else count))
    return made


def write(folder, kind, layers):
    """A weight file of a case's layers."""
    if kind == "h5":
        path = folder / "net.caffemodel.h5"
        with h5py.File(path, "w") as file:
            for name, shapes in layers.items():
                group = file.require_group(f"data/{name}")
                for index, shape in enumerate(shapes):
                    if shape is not None:
                        group[str(index)] = np.full(shape, VALUE, "float32")
        return path
    path = folder / "net.caffemodel"
    if kind == "binary":
        net = pb.NetParameter(name="trained")
        for name, shapes in layers.items():
            net.layer.add(name=name, blobs=[blob(shape) for shape in shapes])
        path.write_bytes(net.SerializeToString())
    else:  # the numbers of V1LayerParameter and V0LayerParameter
        inner = []
        for name, shapes in layers.items():
            blobs = [blob(shape).SerializeToString() for shape in shapes]
            if kind == "v1":
                inner.append(field(4, name.encode()) + b"".join(field(6, one) for one in blobs))
            else:
                inner.append(
                    field(
                        1,
                        field(1, name.encode()) + field(2, b"innerproduct") + b"".join(field(50, one) for one in blobs),
                    )
                )
        path.write_bytes(field(1, b"trained") + b"".join(field(2, one) for one in inner))
    return path
