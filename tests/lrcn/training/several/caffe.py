"""In pycaffe's place, for `lrcn.engine.rank` where there is no GPU: the engine's own pycaffe on the CPU, with an NCCL
class of Python's, whose processes send their gradients to rank 0 through a socket and take the mean from there.

REAL_CAFFE: the folder of pycaffe. NCCL_ID: a library with `ncclGetUniqueId`. What an engine of the sdist lacks for
several processes is made up, but for the dealing out of rows by its data layers. ALIVE: a pipe's file that each process
holds open, where there is one. DIES: "RANK ITERATION", where a process ends as a loader's fault has it.
"""

import os
import socket
import struct
import sys
from types import SimpleNamespace

import numpy as np

del sys.modules["caffe"]  # this one
sys.path.insert(0, os.environ["REAL_CAFFE"])

import caffe  # noqa: E402

alive = os.open(os.environ["ALIVE"], os.O_WRONLY) if os.path.exists(os.environ["ALIVE"]) else None
caffe._caffe.__file__ = os.environ["NCCL_ID"]
real_solver, told = caffe.get_solver, {"ranks": 1, "rank": 0}
real_counts = getattr(caffe, "set_solver_count", None), getattr(caffe, "set_solver_rank", None)


def set_solver_count(count):
    told["ranks"] = count
    if real_counts[0]:
        real_counts[0](count)


def set_solver_rank(rank):
    told["rank"] = rank
    if real_counts[1]:
        real_counts[1](rank)


class Solver:
    """A solver that takes an NCCL, and knows its parameters."""

    def __init__(self, file):
        with open(file) as text:
            [last] = [line.split()[1] for line in text if line.startswith("max_iter:")]
        self.solver, self.param = real_solver(file), SimpleNamespace(max_iter=int(last), layer_wise_reduce=False)

    def __getattr__(self, name):
        return getattr(self.solver, name)

    def add_callback(self, first, then=None):
        if then is None:
            self.solver.add_callback(lambda: die(self.solver.iter), first.average)
        else:
            self.solver.add_callback(first, then)


def die(iteration):
    if os.environ.get("DIES") == f"{told['rank']} {iteration}":
        print("lrcn-error: frame 3 cannot be read", file=sys.stderr, flush=True)
        os._exit(1)


class NCCL:
    def __init__(self, solver, identity):
        assert len(identity) == 128, identity
        self.blobs = [blob for blobs in solver.net.params.values() for blob in blobs]
        address = f"\0lrcn-{identity.hex()[-60:]}"
        if told["rank"] == 0:
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(address)
                listening.listen()
                self.peers = sorted(
                    (connected for connected, _ in (listening.accept() for _ in range(told["ranks"] - 1))),
                    key=lambda peer: struct.unpack("i", receive(peer, 4)),
                )
        else:
            peer = socket.socket(socket.AF_UNIX)
            while peer.connect_ex(address):
                pass
            peer.sendall(struct.pack("i", told["rank"]))
            self.peers = [peer]

    def bcast(self):
        self._through(lambda blob: blob.data, lambda mine, others: mine)

    def average(self):
        self._through(lambda blob: blob.diff, lambda mine, others: sum(others, mine) / np.float32(told["ranks"]))

    def _through(self, part, combine):
        arrays = [part(blob) for blob in self.blobs]
        mine = np.concatenate([array.ravel() for array in arrays])
        if told["rank"]:
            self.peers[0].sendall(mine.tobytes())
            mine = np.frombuffer(receive(self.peers[0], mine.nbytes), np.float32)
        else:
            others = [np.frombuffer(receive(peer, mine.nbytes), np.float32) for peer in self.peers]
            mine = combine(mine, others)
            for peer in self.peers:
                peer.sendall(mine.tobytes())
        at = 0
        for array in arrays:
            array[...] = mine[at : at + array.size].reshape(array.shape)
            at += array.size


def receive(peer, count):
    content = b""
    while len(content) < count:
        piece = peer.recv(count - len(content))
        if not piece:
            print("F1127 01:02:03.4 9 parallel.cpp:1] Check failed: result == ncclSuccess", file=sys.stderr, flush=True)
            os._exit(134)
        content += piece
    return content


caffe.set_device = lambda number: None
caffe.set_mode_gpu = caffe.set_mode_cpu
caffe.set_solver_count, caffe.set_solver_rank = set_solver_count, set_solver_rank
caffe.set_multiprocess = getattr(caffe, "set_multiprocess", lambda yes: None)
caffe.get_solver, caffe.NCCL = Solver, NCCL
