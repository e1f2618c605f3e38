"""Worker processes that make arrays for a process that runs Caffe.

They are Python processes of their own and share one block of memory with Caffe's: OpenCV's and HDF5's libraries inside
Caffe would clash with those of the Python wheels, and Caffe never lets go of Python's lock, so threads would stand
still. They end with their standard input, so they never outlive Caffe, however it ends.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import weakref
from contextlib import contextmanager

import numpy as np


class LoaderError(RuntimeError):
    """One line that names the file that could not be read."""


class Crew:
    """`count` processes `python -m MODULE` that fill `slots`, float32 (number, *shape), in shared memory.

    Orders go to a worker with `ask`, any JSON; each is answered once, in the order of asking.
    """

    def __init__(self, module: str, settings: dict, count: int, number: int, shape: tuple[int, ...]):
        memory = os.memfd_create(module)
        os.ftruncate(memory, 4 * number * int(np.prod(shape)))
        self.slots = _slots(memory, number, shape)
        # Inside the caffe tool sys.executable is a guess; `lrcn train` says which Python it is.
        command = [
            os.environ.get("LRCN_PYTHON", sys.executable),
            "-m",
            module,
            str(memory),
            json.dumps([number, *shape]),
            json.dumps(settings),
        ]
        self.workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[memory], text=True)
            for _ in range(count)
        ]
        os.close(memory)
        weakref.finalize(self, _end, self.workers)

    def ask(self, worker: int, order) -> None:
        try:
            print(json.dumps(order), file=self.workers[worker].stdin, flush=True)
        except BrokenPipeError:
            pass  # its end is reported where its answer is missed

    def wait(self, worker: int) -> None:
        """Waits until the oldest order is done that this worker has not answered yet. LoaderError says what failed."""
        answer = self.workers[worker].stdout.readline()
        if not answer:
            raise LoaderError(f"a loader process ended with status {self.workers[worker].wait()}; is memory short?")
        if json.loads(answer):
            raise LoaderError(json.loads(answer))


def _slots(memory: int, number: int, shape) -> np.ndarray:
    size = 4 * number * int(np.prod(shape))
    return np.frombuffer(mmap.mmap(memory, size), np.float32).reshape(number, *shape)


def _end(workers):
    for worker in workers:
        worker.stdin.close()
        worker.terminate()
    for worker in workers:
        worker.wait()
        worker.stdout.close()


@contextmanager
def naming(video: str):
    """Whatever goes wrong with a video, the user is to read its name."""
    try:
        yield
    except ValueError:
        raise  # made for the user already
    except Exception as error:
        raise ValueError(f"{video}: {type(error).__name__}: {error}") from error


def serve(begin) -> None:
    """The worker's side: `begin(settings, slots)` gives the function that carries out an order."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for Caffe, which then ends its workers
    try:
        number, *shape = json.loads(sys.argv[2])
        work = begin(json.loads(sys.argv[3]), _slots(int(sys.argv[1]), number, shape))
        for line in sys.stdin:
            trouble = ""
            try:
                work(json.loads(line))
            except Exception as error:
                trouble = str(error)
            print(json.dumps(trouble), flush=True)
    except BrokenPipeError:
        os._exit(0)  # Caffe is gone, and nobody is there to be told
