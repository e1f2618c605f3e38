"""`python -m lrcn.engine.rank GPU SOLVER [STATE]`, in a run's folder: one of the processes that train a net together, a
GPU each, from a solver's state on. Runs in pycaffe; `ranks.Ranks` begins it.

Each computes the gradients of its share of a batch, and Caffe's NCCL class averages them; rank 0 tests, writes
snapshots and says how far it is. Rank 0 says the id by which they find each other on standard output, the others read
it from standard input.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

import caffe

from lrcn.engine.caffe_side import telling_the_user

ID_BYTES = 128  # NCCL_UNIQUE_ID_BYTES


class Interrupted(Exception):
    """Ctrl-C, at the begin of an iteration."""


def main(gpu: int, file: str, state: str | None = None) -> None:
    rank, ranks = int(os.environ["LRCN_RANK"]), int(os.environ["LRCN_RANKS"])
    interrupted = _listen(rank)
    caffe.set_device(gpu)
    caffe.set_mode_gpu()
    caffe.set_solver_count(ranks)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)  # else Caffe refuses layers in Python
    identity = _identity(rank)
    solver = caffe.get_solver(file)
    if state:
        solver.restore(state)
    nccl = caffe.NCCL(solver, identity)
    nccl.bcast()
    if solver.param.layer_wise_reduce:
        solver.net.after_backward(nccl)
    solver.add_callback(nccl)
    if rank:
        solver.step(solver.param.max_iter - solver.iter)
        return
    solver.add_callback(lambda: _stop(interrupted), lambda: None)
    try:
        solver.solve()
    except Interrupted:
        solver.snapshot()
        os._exit(0)  # to leave NCCL in order takes all, and the others wait for the next iteration


def _listen(rank: int) -> list[int]:
    """Ctrl-C is for rank 0, which ends the others, and there for the begin of an iteration: a list to be looked at."""
    heard: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN if rank else lambda number, frame: heard.append(number))
    return heard


def _stop(interrupted: list[int]) -> None:
    if interrupted:
        raise Interrupted


def _identity(rank: int) -> bytes:
    """What the processes know each other by. Made by the library itself: pycaffe's own `new_uid` ends at the first
    zero byte (BVLC's pull request 6661)."""
    if rank:
        return bytes.fromhex(sys.stdin.readline())
    made = ctypes.create_string_buffer(ID_BYTES)
    if status := ctypes.CDLL(caffe._caffe.__file__).ncclGetUniqueId(made):
        raise ValueError(f"NCCL begins no training on several GPUs (error {status}); NCCL_DEBUG=INFO makes it say more")
    print(made.raw.hex(), flush=True)
    return made.raw


if __name__ == "__main__":
    with telling_the_user():
        main(int(sys.argv[1]), *sys.argv[2:])
