"""Worker processes that make arrays for a process that runs Caffe.

They are Python processes of their own and share one block of memory with Caffe's: OpenCV's and HDF5's libraries inside
Caffe would clash with those of the Python wheels, and Caffe never lets go of Python's lock, so threads would stand
still. They end with their standard input, so they never outlive Caffe, however it ends.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import signal
import subprocess
import sys
import weakref
from contextlib import suppress

import numpy as np

from data_prep.children import python

# glibc else gives the memory of an image back to the system and asks for it again, image by image, which costs a worker
# a tenth of its time. Bytes.
KEEPING_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


ON_CORRUPT, SKIP = "LRCN_ON_CORRUPT", "skip"  # what the data layer does about a damaged image: else it stops
PASSED_OVER = "lrcn-passed-over: "  # begins a line of Caffe's log that names one


class LoaderError(RuntimeError):
    """One line that names the file that could not be read."""


class Crew:
    """`count` processes of a module that fill `slots`, float32 (number, *shape), in shared memory.

    Orders go to the workers by turns, in whose module `serve` carries them out.
    """

    def __init__(self, module: str, settings: dict, count: int, number: int, shape: tuple[int, ...]):
        memory = os.memfd_create(module)
        os.ftruncate(memory, 4 * number * int(np.prod(shape)))
        self.slots = _slots(memory, number, shape)
        # Inside the caffe tool sys.executable is a guess; whoever began Caffe says which Python it is.
        executable = os.environ.get("LRCN_PYTHON", sys.executable)
        sizes = json.dumps([number, *shape])
        command = python(module, memory, sizes, json.dumps(settings), executable=executable)
        self.workers = [  # pipes without buffers here: `has_done` asks the pipe itself
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[memory],
                bufsize=0,
                env=os.environ | KEEPING_MEMORY,
            )
            for _ in range(count)
        ]
        os.close(memory)
        self.passed_over: dict[str, None] = {}  # lines, each once
        self.asked = self.done = 0
        weakref.finalize(self, _end, self.workers)

    def ask(self, name: str, *order) -> int:
        """Gives an order, values ready for JSON, to the next worker. name: of what is read, for the user where it goes
        wrong. Returns the order's number."""
        worker = self.workers[self.asked % len(self.workers)]
        with suppress(BrokenPipeError):  # its end is reported where its answer is missed
            worker.stdin.write(json.dumps([name, *order]).encode() + b"\n")
        self.asked += 1
        return self.asked - 1

    def wait(self, number: int) -> None:
        """Waits until the order of this number is done, and all before it. LoaderError says what failed."""
        while self.done <= number:
            self._take_answer()

    def has_done(self, number: int) -> bool:
        """Whether the order of this number is done, and all before it; as `wait`, without waiting."""
        while self.done <= number:
            pipe = self._next_to_answer().stdout
            if not select.select([pipe.fileno()], [], [], 0)[0]:
                return False
            self._take_answer()
        return True

    def _next_to_answer(self) -> subprocess.Popen:
        return self.workers[self.done % len(self.workers)]

    def _take_answer(self) -> None:
        worker = self._next_to_answer()
        answer = worker.stdout.readline()
        if not answer:
            raise LoaderError(f"a loader process {_end_in_words(worker.wait())}")
        self.done += 1
        trouble, passed_over = json.loads(answer)
        for line in passed_over:
            print(f"{PASSED_OVER}{line}", file=sys.stderr, flush=True)
            self.passed_over[line] = None
        if trouble:
            raise LoaderError(trouble)


def _end_in_words(status: int) -> str:
    if -status in (signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT):
        return f"was ended by {signal.Signals(-status).name}; is the data set damaged? `lrcn verify` tells"
    return f"ended with status {status}; is memory short?"


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


def serve(begin) -> None:
    """The worker's side: `begin(settings, slots)` gives the function that carries out an order, and may give what it
    passed over, a line each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for Caffe, which then ends its workers
    try:
        number, *shape = json.loads(sys.argv[2])
        carry_out = begin(json.loads(sys.argv[3]), _slots(int(sys.argv[1]), number, shape))
        for line in sys.stdin:
            name, *order = json.loads(line)
            trouble, passed_over = "", None
            try:
                passed_over = carry_out(*order)
            except ValueError as error:  # made for the user
                trouble = str(error)
            except Exception as error:
                trouble = f"{name}: {type(error).__name__}: {error}"
            print(json.dumps([trouble, passed_over or []]), flush=True)
    except BrokenPipeError:
        os._exit(0)  # Caffe is gone, and nobody is there to be told
