"""Runs inside a child Python that has pycaffe: builds nets, each in a process of its own, since Caffe ends its process
on a net that it does not like.

    caffe_builder.py JOBS    JOBS: a JSON list of [file, phase, stages]; a JSON line a net: what Caffe made of it

"SOLVE" as phase: the file is a solver's, which takes two steps.

A line holds blobs (name -> shape), weights (layer -> shapes), logged (values of all layers' tops, what Caffe's log
calls "Memory required for data"), learned (values of all weights, shared ones once) or, for a net that Caffe refused,
refused: what it said.
"""

import json
import math
import os
import sys
import tempfile

import caffe


def build(path, phase, stages):
    if phase == "SOLVE":
        caffe.get_solver(path).step(2)
        return {}
    net = caffe.Net(path, getattr(caffe, phase), stages=stages)
    tops = [net._blobs[i] for layer in range(len(net.layers)) for i in net._top_ids(layer)]
    weights = {name: [list(blob.data.shape) for blob in blobs] for name, blobs in net.params.items()}
    # A shared weight is one array, seen by each layer that shares it.
    learned = {blob.data.ctypes.data: blob.data.size for blobs in net.params.values() for blob in blobs}
    found = {
        "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
        "weights": weights,
        "learned": sum(learned.values()),
        "logged": sum(math.prod(blob.shape) for blob in tops),
    }
    net.forward()
    if phase == "TRAIN":
        net.backward()
    return found


def main(jobs):
    for job in json.load(open(jobs)):
        with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as said:
            child = os.fork()
            if not child:
                os.dup2(said.fileno(), 2)
                answer.write(json.dumps(build(*job)))
                answer.flush()
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            answer.seek(0)
            said.seek(0)
            lines = [line for line in said.read().splitlines() if line.strip()]
            checks = [line for line in lines if "Check failed" in line or line.startswith("F")] or lines[-1:]
            print(answer.read() if status == 0 else json.dumps({"refused": checks[:1], "status": status}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
