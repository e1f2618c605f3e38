"""Files of weights that lead elsewhere, promise what they do not hold, or hold something else."""

import os

import h5py
import numpy as np

from prototxt_gen import caffe_pb2 as pb

HUGE = 200_000_000_000  # values: 745 GiB of float32


def _layer(file):
    return file.create_group("data").create_group("fc")


def _outside(path):
    other = path.with_name("other.h5")
    with h5py.File(other, "w") as file:
        file["0"] = np.zeros((2, 3), np.float32)
    return other


def external_layer(path):
    _outside(path)
    with h5py.File(path, "w") as file:
        file.create_group("data")["fc"] = h5py.ExternalLink("other.h5", "/")


def external_data(path):
    _outside(path)
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink("other.h5", "/")


def external_pipe(path):
    os.mkfifo(path.with_name("pipe"))  # whoever opens it waits for good
    with h5py.File(path, "w") as file:
        _layer(file)["0"] = h5py.ExternalLink("pipe", "/0")


def external_behind_soft(path):
    _outside(path)
    with h5py.File(path, "w") as file:
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/")
        _layer(file)["0"] = h5py.SoftLink("/elsewhere/0")


def soft_circle(path):
    with h5py.File(path, "w") as file:
        layer = _layer(file)
        layer["0"], layer["1"] = h5py.SoftLink("/data/fc/1"), h5py.SoftLink("0")


def dangling(path):
    with h5py.File(path, "w") as file:
        _layer(file)["0"] = h5py.SoftLink("/nowhere")


def virtual(path):
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource(_outside(path), "0", (2, 3))
    with h5py.File(path, "w") as file:
        _layer(file).create_virtual_dataset("0", layout)


def external_storage(path):
    path.with_name("raw").write_bytes(bytes(24))
    with h5py.File(path, "w") as file:
        _layer(file).create_dataset("0", (2, 3), "f4", external="raw")


def references(path):
    with h5py.File(path, "w") as file:
        layer = _layer(file)
        layer.create_dataset("0", data=[layer.ref], dtype=h5py.ref_dtype)


def compound(path):
    with h5py.File(path, "w") as file:
        _layer(file)["0"] = np.zeros(3, [("a", "f4"), ("b", "i4")])


def a_group_within(path):
    with h5py.File(path, "w") as file:
        _layer(file).create_group("0")


def a_number_that_is_none(path):
    with h5py.File(path, "w") as file:
        _layer(file)["\u00b2"] = np.zeros(3, np.float32)


HDF5 = {
    make.__name__: make
    for make in (
        external_layer,
        external_data,
        external_pipe,
        external_behind_soft,
        soft_circle,
        dangling,
        virtual,
        external_storage,
        references,
        compound,
        a_group_within,
        a_number_that_is_none,
    )
}


def huge_hdf5(path):
    """Weights of 745 GiB in a file of a few kB: nothing is stored of them."""
    with h5py.File(path, "w") as file:
        _layer(file).create_dataset("0", (HUGE,), "f4", chunks=(1 << 20,), fillvalue=1)


def binary(path, **blob):
    net = pb.NetParameter()
    net.layer.add(name="fc").blobs.add(**blob)
    path.write_bytes(net.SerializeToString())


BINARY = {
    "a shape of 745 GiB": {"data": [1], "shape": {"dim": [HUGE]}},
    "sizes below 0": {"data": [1], "shape": {"dim": [-1, -1]}},
    "sizes whose product overflows": {"data": [1], "shape": {"dim": [2**62] * 32}},
    "fewer values than its shape": {"data": [1, 2, 3], "shape": {"dim": [2, 2]}},
    "more values than its shape": {"data": [1, 2, 3], "shape": {"dim": [2]}},
    "no values": {"shape": {"dim": [2]}},
    "four old sizes": {"data": [1], "num": 2**31 - 1, "channels": 2**31 - 1, "height": -1, "width": 1},
}
