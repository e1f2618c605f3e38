"""The command line, stopped at a moment that is a number: the N-th thing that it did.

    python stopped.py COUNTS N SIGNAL WHOM ARGUMENT...

COUNTS: a file in which is written, at the end, how many things it did. N: the one before which the signal comes; 0 for
none. WHOM: "self", or "group" for all its processes. What counts is what Python tells an audit hook of files, folders
and processes, and every report of progress: the work, as it advances, whatever time it takes.
"""

import os
import signal
import sys
from importlib.metadata import entry_points

COUNTED = {
    "open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.listdir", "os.scandir", "os.link",
    "subprocess.Popen", "os.posix_spawn", "tempfile.mkdtemp", "tempfile.mkstemp", "mmap.__new__", "fcntl.flock",
}  # fmt: skip


IMPORTS = 20  # of which one counts: there are many, and little work between them


def main() -> None:
    counts, number, name, whom = sys.argv[1:5]
    sys.argv[:] = ["lrcn", *sys.argv[5:]]
    del sys.path[0]  # the tests' own folder
    [script] = entry_points(group="console_scripts", name="lrcn")
    lrcn = script.load()
    me, left, done, imports, telling = os.getpid(), int(number), 0, 0, False

    def happened() -> None:
        nonlocal done
        if os.getpid() != me:  # a forked child's
            return
        done += 1
        if done == left:
            (os.killpg if whom == "group" else os.kill)(me, getattr(signal, name))

    def hear(event: str, arguments) -> None:
        nonlocal imports, telling
        if event == "import":
            imports += 1
            if not telling and hasattr(sys.modules.get("lrcn.commands.common"), "Progress"):
                telling = True
                _tell_progress(sys.modules["lrcn.commands.common"].Progress, happened)
            if imports % IMPORTS == 0:
                happened()
        elif event in COUNTED and not str(arguments[0]).endswith((".py", ".pyc", ".so", "__pycache__")):
            happened()

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.addaudithook(hear)
    try:
        lrcn()
    finally:
        with open(counts, "w") as file:
            file.write(str(done))


def _tell_progress(progress, happened) -> None:
    told = progress.__call__

    def tell(self, what, done, total):
        happened()
        told(self, what, done, total)

    progress.__call__ = tell


if __name__ == "__main__":
    main()
