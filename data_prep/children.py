"""Python processes that this one begins, and where they import from.

`python -m MODULE`, and `python -c` by which multiprocessing begins its own, first look into the folder that they are
begun in: a json.py of the user's, or of a run that was copied from elsewhere, would be executed. From 3.11 on `-P`
keeps them from it; taking the entry away before anything is imported does so in every Python.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NOT_FROM_HERE = 'import sys; sys.path[:1] == [""] and sys.path.pop(0); '
_MODULE = _NOT_FROM_HERE + 'import runpy; runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)'
# What fails, or is cleared away, because the parent was killed is nobody's news.
_UNHEARD = (
    "import os, warnings; told, warned = sys.excepthook, warnings.showwarning; "
    "sys.excepthook = lambda *what: os.getppid() == {0} and told(*what); "
    "warnings.showwarning = lambda *what, **where: os.getppid() == {0} and warned(*what, **where); "
)


def python(module: str, *arguments: object, executable: str = sys.executable) -> list[str]:
    """The command for `python -m MODULE ARGUMENTS` that imports nothing from the folder that it is begun in."""
    return [executable, "-c", _MODULE, module, *map(str, arguments)]


def python_program(text: str, *arguments: object) -> list[str]:
    """The same for `python -c TEXT ARGUMENTS`."""
    return [sys.executable, "-c", _NOT_FROM_HERE + text, *map(str, arguments)]


def absolute(path: str) -> list[str]:
    """The entries of a search path, as PYTHONPATH's, that name the same folder wherever they are read. An empty one,
    as in `PYTHONPATH=$PYTHONPATH:/mine`, is the current folder to Python."""
    return [entry for entry in path.split(os.pathsep) if os.path.isabs(entry)]


@contextmanager
def multiprocessing_safely() -> Iterator[None]:
    """Within it multiprocessing begins its workers, and what tracks their resources, as `python` has it."""
    from multiprocessing import util  # heavier than what imports this module

    spawn = util.spawnv_passfds
    begin = _NOT_FROM_HERE + _UNHEARD.format(os.getpid())

    def spawn_safely(path: str, command: list[str], descriptors: object) -> int:
        program = command.index("-c") + 1
        command[program] = begin + command[program]
        return spawn(path, command, descriptors)

    util.spawnv_passfds = spawn_safely
    try:
        yield
    finally:
        util.spawnv_passfds = spawn
