"""The command line, stopped at a moment that is a number: the N-th thing that it did.

    python stopped.py COUNTS N SIGNAL WHOM ARGUMENT...

COUNTS: a file in which is written, at the end, how many things it did. N: the one before which the signal comes; 0 for
none. WHOM: "self", or "group" for all its processes. What counts is what Python tells an audit hook of files, folders
and processes, and every report of progress: the work, as it advances, whatever time it takes.
"""

import os
import signal
import sys

COUNTED = {
    "open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.listdir", "os.scandir", "os.link",
    "subprocess.Popen", "os.posix_spawn", "tempfile.mkdtemp", "tempfile.mkstemp", "mmap.__new__", "fcntl.flock",
}  # fmt: skip


def main() -> None:
    counts, number, name, whom = sys.argv[1:5]
    sys.argv[1:5] = []
    del sys.path[0]  # the tests' own folder
    sys.argv[0] = "lrcn"
    me, left, done = os.getpid(), int(number), 0

    def happened(event: str) -> None:
        nonlocal done
        if os.getpid() != me:  # a forked child's
            return
        done += 1
        if done == left:
            (os.killpg if whom == "group" else os.kill)(me, getattr(signal, name))

    def hear(event: str, arguments) -> None:
        if event in COUNTED and not str(arguments[0]).endswith((".py", ".pyc", ".so", "__pycache__")):
            happened(event)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.addaudithook(hear)
    from lrcn.cli import main as lrcn
    from lrcn.commands.common import Progress

    told = Progress.__call__

    def tell(self, what, so_far, total):
        happened("progress")
        told(self, what, so_far, total)

    Progress.__call__ = tell
    try:
        lrcn()
    finally:
        with open(counts, "w") as file:
            file.write(str(done))


if __name__ == "__main__":
    main()
