"""A process that has imported lrcn and forks itself for each call of the command line, which then takes milliseconds.

A child is as a new `lrcn` would be: it has its own arguments, folder, environment, standard streams and group of
processes, and no thread of the server's. What kills it, the server tells.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path

PACKAGES = ("readers", "prototxt_gen", "netspecs", "data_prep", "lrcn")
LIBRARIES = ("cv2", "h5py", "jinja2", "lmdb", "matplotlib.backends.backend_agg", "matplotlib.figure", "PIL.Image")
PATIENCE = 60  # seconds that what outlives its parent has to notice: no measure, a guard
CAFFES = ("lrcn.clip_data", "lrcn.engine.rank")  # modules that run in Caffe alone


def serve() -> None:
    """A line of JSON a call: {"arguments", "folder", "environment", "room", "seconds"}; a line of JSON as answer, as
    `_call` gives it. Ends with its standard input."""
    import_all()
    [script] = entry_points(group="console_scripts", name="lrcn")
    program = script.load()
    for line in sys.stdin:
        print(json.dumps(_call(program, **json.loads(line))), flush=True)


def import_all() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if module.name not in CAFFES and not module.name.endswith("__main__"):
                with suppress(ImportError):  # what is an extra's
                    importlib.import_module(module.name)
    sys.modules["cv2"].setNumThreads(1)
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()  # the children share these pages


def _call(program, arguments, folder, environment, room, seconds):
    """What became of one call: its exit code, or the signal that ended it; whether it was stopped after `seconds`; the
    memory that it took, in bytes, beyond the server's; and whether it left a process behind. room: bytes of address
    space that it may have beyond the server's."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os._exit(_run(program, arguments, folder, environment, room))
    number = os.pidfd_open(child)
    try:
        ended = bool(select.select([number], [], [], seconds)[0])
    finally:
        os.close(number)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    left = _end_group(child)
    return {
        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        "signal": signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None,
        "hung": not ended,
        "memory": max(0, usage.ru_maxrss * 1024 - _resident()),
        "left": left,
    }


def _run(program, arguments, folder, environment, room) -> int:
    """The child: calls the command line as the installed script does, and gives the exit code."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # that of this environment
    Path("tmp").mkdir(exist_ok=True)
    for number, name in enumerate((os.devnull, "stdout", "stderr")):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", errors=errors, closefd=False)
        for number, mode, errors in ((0, "r", "strict"), (1, "w", "strict"), (2, "w", "backslashreplace"))
    )
    limit = _address_space() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.fsync = lambda number: None  # nobody pulls a plug here, and it takes most of the time
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["lrcn", *map(os.fsdecode, map(_bytes, arguments))]
    code = 0
    try:
        program()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    with suppress(Exception):
        atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except ValueError:
        code = code or 120
    return code


def _bytes(argument: str) -> bytes:
    """An argument as it comes through JSON, in Latin-1: any bytes."""
    return argument.encode("latin-1")


def _end_group(leader: int) -> bool:
    """Whether any of a child's group of processes does not end with it; those are ended."""
    with suppress(ProcessLookupError):
        for _ in range(PATIENCE * 100):
            os.killpg(leader, 0)
            time.sleep(0.01)
        os.killpg(leader, signal.SIGKILL)
        return True
    return False


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
