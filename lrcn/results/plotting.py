"""Matplotlib, which goes by its user's settings: by none of the folder that lrcn is called in, where it looks first."""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

from lrcn.engine.scratch import Scratch

SETTINGS = "matplotlibrc"  # beside other things, which programs it starts


@cache
def matplotlib() -> ModuleType:
    """The package, to be called before any part of it is imported. Where its user's home has no place for its settings
    and caches, they go to a folder that the next command sweeps if this one is killed."""
    if not os.environ.get("MPLCONFIGDIR") and not _has_places():
        scratch = Scratch()
        atexit.register(scratch.close)
        os.environ["MPLCONFIGDIR"] = str(scratch.path)
    with _nothing_here():
        return importlib.import_module("matplotlib")


def _has_places() -> bool:
    """Whether its user's home has one for its settings and one for its caches."""
    for name, place in ("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"):
        try:
            folder = Path(os.environ.get(name) or f"~/{place}").expanduser() / "matplotlib"
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError):  # RuntimeError: a user who is not known here
            return False
        if not os.access(folder, os.W_OK):
            return False
    return True


@contextmanager
def _nothing_here() -> Iterator[None]:
    """Within it there is no SETTINGS in the current folder."""
    exists = os.path.exists
    os.path.exists = lambda path: path != SETTINGS and exists(path)
    try:
        yield
    finally:
        os.path.exists = exists
