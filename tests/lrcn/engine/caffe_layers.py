"""Runs inside a child Python that has pycaffe: `caffe_layers.py IN.pickle OUT.pickle`.

IN: a list of {"net": text, "weights": {layer: [array]}, "passes": [{blob: array}], "gradients": [{blob: array}]}. Each
net makes its passes, forward and backward; OUT: for each net and pass what its blobs ("blob"), their gradients
("blob'") and those of the weights ("layer 0'") then are. The weights' gradients are added to from pass to pass.
"""

import pickle
import sys
import tempfile

import caffe


def run(case):
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(case["net"])
        file.flush()
        net = caffe.Net(file.name, caffe.TRAIN)
    for layer, arrays in case["weights"].items():
        for blob, array in zip(net.params[layer], arrays, strict=True):
            blob.data[...] = array
    for inputs, gradients in zip(case["passes"], case["gradients"], strict=True):
        for name, array in inputs.items():
            net.blobs[name].reshape(*array.shape)
            net.blobs[name].data[...] = array
        net.forward()
        for name, array in gradients.items():
            net.blobs[name].diff[...] = array
        net.backward()
        blobs = {name: blob.data.copy() for name, blob in net.blobs.items()}
        blobs |= {f"{name}'": blob.diff.copy() for name, blob in net.blobs.items()}
        for layer in net.params:
            blobs |= {f"{layer} {i}'": blob.diff.copy() for i, blob in enumerate(net.params[layer])}
        yield blobs


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        cases = pickle.load(file)
    with open(sys.argv[2], "wb") as file:
        pickle.dump([list(run(case)) for case in cases], file)
