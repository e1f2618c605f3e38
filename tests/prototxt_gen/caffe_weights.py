"""Runs inside a child Python that has pycaffe: what Caffe really copies from weight files, and what it trains.

caffe_weights.py load JOBS      JOBS: a JSON list of [net, weights]; each in a process of its own, since Caffe ends
                                its process at a clash. A JSON line a job: layer -> the means of its blobs, or null
caffe_weights.py train JOBS     the same of [solver]: blob or layer -> sums of its arrays after a step of training
caffe_weights.py moved SOLVER ITERATIONS        layer -> whether training changed any of its weights
caffe_weights.py snapshot SOLVER ITERATIONS     trains, and snapshots as the solver says
"""

import json
import os
import sys
import tempfile

import caffe


def means(path, weights):
    net = caffe.Net(path, caffe.TEST, weights=weights)
    return {name: [float(blob.data.mean()) for blob in blobs] for name, blobs in net.params.items()}


def trained(path):
    solver = caffe.get_solver(path)
    solver.step(1)
    net = solver.net
    arrays = {name: [blob] for name, blob in net.blobs.items()}
    arrays |= {f"layer {name}": blobs for name, blobs in net.params.items()}
    return {
        name: [[*blob.data.shape, float(blob.data.sum()), float((blob.data**2).sum())] for blob in blobs]
        for name, blobs in arrays.items()
    }


def moved(solver, iterations):
    solver = caffe.get_solver(solver)
    before = {name: [blob.data.copy() for blob in blobs] for name, blobs in solver.net.params.items()}
    solver.step(int(iterations))
    after = solver.net.params
    print(
        json.dumps({name: any(bool((a.data != b).any()) for a, b in zip(after[name], before[name])) for name in before})
    )


def each(job_file, work):
    for job in json.load(open(job_file)):
        with tempfile.TemporaryFile("w+") as answer:
            child = os.fork()
            if not child:
                answer.write(json.dumps(work(*job)))
                answer.flush()
                os._exit(0)
            stopped = os.waitpid(child, 0)[1] != 0
            answer.seek(0)
            print("null" if stopped else answer.read(), flush=True)


def snapshot(solver, iterations):
    solver = caffe.get_solver(solver)
    solver.step(int(iterations))
    solver.snapshot()


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command in ("snapshot", "moved"):
        {"snapshot": snapshot, "moved": moved}[command](*arguments)
    else:
        each(*arguments, {"load": means, "train": trained}[command])
