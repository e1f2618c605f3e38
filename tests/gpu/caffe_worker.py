"""Runs inside a child Python that has pycaffe.

caffe_worker.py cpu|gpu passes IN.pickle OUT.pickle   each case: a net, what it is given in each of its passes, and what
                                                      comes out of each, appended to OUT as they are done
caffe_worker.py cpu|gpu losses SOLVER ITERATIONS ...  a JSON line a solver: the loss after each step
"""

import json
import os
import pickle
import sys
import tempfile

import caffe
import numpy as np

SEED = 1701


def passes(path_in, path_out):
    with open(path_in, "rb") as file:
        cases = pickle.load(file)
    with open(path_out, "wb") as file:
        for case in cases:
            pickle.dump([*run(case)], file)
            file.flush()


def run(case):
    """Yields for each pass everything that the net then holds: "data:BLOB", "diff:BLOB" of inputs, "weights:LAYER:N"
    and their gradients "gradient:LAYER:N"."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(case["net"])
        file.flush()
        caffe.set_random_seed(SEED)
        net = caffe.Net(file.name, getattr(caffe, case["phase"]))
    for inputs in case["passes"]:
        for name, values in inputs.items():
            net.blobs[name].reshape(*values.shape)
            net.blobs[name].data[...] = values
        net.reshape()
        net.clear_param_diffs()
        net.forward()
        found = {f"data:{name}": blob.data.copy() for name, blob in net.blobs.items()}
        if case["backward"]:
            rng = np.random.default_rng(SEED)
            for name in case["backward"]:
                net.blobs[name].diff[...] = rng.normal(size=net.blobs[name].data.shape)
            net.backward()
            found |= {f"diff:{name}": net.blobs[name].diff.copy() for name in case["differentiable"]}
        for layer, blobs in net.params.items():
            for number, blob in enumerate(blobs):
                found[f"weights:{layer}:{number}"] = blob.data.copy()
                found[f"gradient:{layer}:{number}"] = blob.diff.copy()
        yield found


def losses(iterations, *paths):
    for path in paths:
        os.chdir(os.path.dirname(path))
        solver = caffe.get_solver(path)
        found = []
        for _ in range(int(iterations)):
            solver.step(1)
            outputs = [name for name in solver.net.outputs if name.endswith("loss")]
            found.append(sum(float(solver.net.blobs[name].data) for name in outputs))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    mode, command, *arguments = sys.argv[1:]
    if mode == "gpu":
        caffe.set_mode_gpu()
        caffe.set_device(0)
    {"passes": passes, "losses": losses}[command](*arguments)
