"""Files that layers name and Caffe stops at, or reads as something else: case -> (how to make it, whether Caffe itself
stops or None where that is not tried, what is said of it). For the tests of `data_faults`."""

import cv2
import h5py
import numpy as np

from prototxt_gen import caffe_pb2 as pb

ROWS = np.arange(24, dtype="float32").reshape(4, 6)


def _hdf5(*files):
    """A maker of HDF5 files 0.h5, 1.h5, ... of these datasets, and their list."""

    def make(folder):
        for number, datasets in enumerate(files):
            with h5py.File(folder / f"{number}.h5", "w") as file:
                for name, value in datasets.items():
                    if value is dict:
                        file.create_group(name)
                    elif isinstance(value, tuple):  # a shape that takes no place
                        file.create_dataset(name, value, "float32", chunks=(1, *value[1:]))
                    else:
                        file[name] = value
        (folder / "files.txt").write_text("".join(f"{number}.h5\n" for number in range(len(files))))

    return make


def _broken(content):
    def make(folder):
        (folder / "0.h5").write_bytes(content)
        (folder / "files.txt").write_text("0.h5\n")

    return make


LABELS = np.zeros(4, "int64")
HDF5 = {
    "sound": (_hdf5({"data": ROWS, "label": LABELS}), False, []),
    "two of one width": (_hdf5({"data": ROWS, "label": LABELS}, {"data": ROWS[:2], "label": LABELS[:2]}), False, []),
    "another kind of number": (
        _hdf5({"data": ROWS, "label": LABELS}, {"data": ROWS.astype("float64"), "label": LABELS.astype("uint8")}),
        False,
        [],
    ),
    "text": (_hdf5({"data": ROWS, "label": list("abcd")}), True, ["'label' holds text (H5T_STRING), at which Caffe"]),
    "bytes": (_hdf5({"data": ROWS, "label": np.array([b"a"] * 4)}), True, ["'label' holds text (H5T_STRING)"]),
    "booleans": (_hdf5({"data": ROWS, "label": LABELS == 0}), True, ["'label' holds booleans or names (H5T_ENUM)"]),
    "complex": (
        _hdf5({"data": ROWS + 1j, "label": LABELS}),
        True,
        ["'data' holds records or complex numbers (H5T_COMP"],
    ),
    "a single value": (_hdf5({"data": ROWS, "label": 3.0}), True, ["'label' is a single value"]),
    "nothing": (_hdf5({"data": ROWS, "label": h5py.Empty("f")}), True, ["it has no dataset 'label'"]),
    "a group": (_hdf5({"data": ROWS, "label": dict}), True, ["it has no dataset 'label'"]),
    "not there": (_hdf5({"data": ROWS}), True, ["it has no dataset 'label'"]),
    "no rows": (_hdf5({"data": ROWS[:0], "label": LABELS[:0]}), None, ["'data' has no rows", "'label' has no rows"]),
    "unlike rows": (_hdf5({"data": ROWS, "label": LABELS[:3]}), True, ["not as many rows: data 4, label 3"]),
    "another width": (
        _hdf5({"data": ROWS, "label": LABELS}, {"data": ROWS[:, :5], "label": LABELS}),
        False,
        ["lists '1.h5', whose 'data' is 4x5 where '0.h5' has 4x6: Caffe would read across rows"],
    ),
    "another rank": (
        _hdf5({"data": ROWS, "label": LABELS}, {"data": ROWS, "label": LABELS[:, None, None] + np.zeros((1, 2, 3))}),
        False,
        ["lists '1.h5', whose 'label' is 4x2x3 where '0.h5' has 4"],
    ),
    "too many values": (
        _hdf5({"data": (4, 2**29), "label": LABELS}),
        True,
        ["'data' is 4x536870912, 2,147,483,648 values"],
    ),
    "no HDF5": (_broken(b"0 1 2\n"), True, ["no HDF5 file"]),
    "empty": (_broken(b""), True, ["no HDF5 file"]),
}


def hdf5_net():
    return """layer { name: 'data' type: 'HDF5Data' top: 'data' top: 'label'
        hdf5_data_param { source: 'files.txt' batch_size: 2 } }
layer { name: 'out' type: 'InnerProduct' bottom: 'data' top: 'out' inner_product_param { num_output: 2 } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'out' bottom: 'label' top: 'loss' }"""


def _mean(shape, values=None, legacy=False):
    def make(path):
        blob = pb.BlobProto(data=[100.0] * (int(np.prod(shape)) if values is None else values))
        if legacy:
            blob.num, blob.channels, blob.height, blob.width = shape
        else:
            blob.shape.dim.extend(shape)
        path.write_bytes(blob.SerializeToString())

    return make


MEANS = {
    "sound": (_mean((1, 3, 40, 40)), False, ""),
    "legacy": (_mean((1, 3, 40, 40), legacy=True), False, ""),
    "three axes": (_mean((3, 40, 40)), True, "the mean 'mean' is 3x40x40; Caffe wants 1x3x40x40"),
    "one axis": (_mean((3,)), True, "is 3; Caffe wants 1 x channels x height x width"),
    "another size": (_mean((1, 3, 256, 256)), True, "is 256x256, and the pictures are 40x40"),
    "the crop's size": (_mean((1, 3, 32, 32)), True, "is 32x32, and the pictures are 40x40"),
    "grey": (_mean((1, 1, 40, 40)), True, "has 1 channel, and the pictures have 3"),
    "axes in another order": (_mean((1, 40, 40, 3)), True, "has 40 channels, and the pictures have 3"),
    "too few values": (_mean((1, 3, 40, 40), 5), True, "says that it is 1x3x40x40 and holds 5 values"),
    "zero length": (lambda path: path.write_bytes(b""), True, "holds no values"),
    "text": (lambda path: path.write_text("104 117 123\n"), True, "is no .binaryproto"),
    "NumPy": (lambda path: np.save(open(path, "wb"), np.zeros((3, 40, 40), "f4")), True, "is no .binaryproto"),
    "not there": (lambda path: None, True, "there is no 'mean'"),
}


def write_images(folder):
    """0.png and 1.png, 40x40, and their list images.txt."""
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 40, 3), number, np.uint8))
    (folder / "images.txt").write_text("0.png 1\n1.png 0\n")


def image_net(transform=""):
    return f"""layer {{ name: 'data' type: 'ImageData' top: 'data' top: 'label'
        transform_param {{ {transform} }}
        image_data_param {{ source: 'images.txt' batch_size: 2 }} }}
layer {{ name: 'out' type: 'InnerProduct' bottom: 'data' top: 'out' inner_product_param {{ num_output: 2 }} }}
layer {{ name: 'loss' type: 'SoftmaxWithLoss' bottom: 'out' bottom: 'label' top: 'loss' }}"""
