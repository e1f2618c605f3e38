"""Runs inside a child Python that has pycaffe: Caffe ends its process on a net that it does not like.

caffe_worker.py build FILE:PHASE:STAGE,... ...  a JSON line a net: blob -> shape, layer -> weights' shapes, the loss
caffe_worker.py lstm FILE IN.npz OUT.npz        forward and backward of a net whose one output is `lstm1`
caffe_worker.py gradients FILE IN.npz OUT.npz   forward and backward of a training net: in, inputs, and weights as
                                                LAYER:NUMBER; out, its outputs and the gradients of the weights
caffe_worker.py features FILE                   one training pass; a JSON line: what data and label hold after it
caffe_worker.py solve FILE ITERATIONS           steps a solver; a JSON line: the loss after each step

CAFFE_ON=gpu in the environment: on a GPU.
"""

import json
import os
import sys

import caffe
import numpy as np


def build(*nets):
    for path, phase, stages in (net.split(":") for net in nets):
        net = caffe.Net(path, caffe.TRAIN if phase == "TRAIN" else caffe.TEST, stages=stages.split(","))
        out = net.forward()
        if phase == "TRAIN":
            net.backward()
        print(
            json.dumps(
                {
                    "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
                    "weights": {name: [list(blob.data.shape) for blob in blobs] for name, blobs in net.params.items()},
                    "loss": sum(float(out[name]) for name in out if name.endswith("loss")),
                }
            ),
            flush=True,
        )


def lstm(path, inputs, outputs):
    net = caffe.Net(path, caffe.TEST)
    given = dict(np.load(inputs))
    for name in net.inputs:
        net.blobs[name].data[...] = given[name]
    for index, blob in enumerate(net.params["lstm1"]):
        blob.data[...] = given[f"weights{index}"]
    net.forward()
    found = {"lstm1": net.blobs["lstm1"].data.copy()}
    net.blobs["lstm1"].diff[...] = given["lstm1_diff"]
    net.backward()
    for name in net.inputs:
        found[f"{name}_diff"] = net.blobs[name].diff.copy()
    for index, blob in enumerate(net.params["lstm1"]):
        found[f"weights{index}_diff"] = blob.diff.copy()
    np.savez(outputs, **found)


def gradients(path, inputs, outputs):
    net = caffe.Net(path, caffe.TRAIN)
    given = dict(np.load(inputs))
    for name in net.inputs:
        net.blobs[name].data[...] = given[name]
    weights = {f"{layer}:{number}": blob for layer, blobs in net.params.items() for number, blob in enumerate(blobs)}
    for name, blob in weights.items():
        blob.data[...] = given[name]
    found = net.forward()
    net.backward()
    np.savez(outputs, **found, **{name: blob.diff for name, blob in weights.items()})


def features(path):
    net = caffe.Net(path, caffe.TRAIN)
    net.forward()
    print(json.dumps({name: net.blobs[name].data.tolist() for name in ("data", "label")}))


def solve(path, iterations):
    solver = caffe.get_solver(path)
    losses = []
    for _ in range(int(iterations)):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    print(json.dumps(losses))


if __name__ == "__main__":
    if os.environ.get("CAFFE_ON") == "gpu":
        caffe.set_mode_gpu()
    commands = {"build": build, "lstm": lstm, "gradients": gradients, "features": features, "solve": solve}
    commands[sys.argv[1]](*sys.argv[2:])
