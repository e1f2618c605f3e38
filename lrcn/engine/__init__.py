"""The engine: real Caffe, built once into a cache, found again, run, and named in every result.

`build` makes one from BVLC's repository, from the `brocolli-caffe` sdist or from a folder, by the recipe in
docker/caffe; `find` returns the one that fits this Python, machine and recipe. `process.Caffe` runs it.

The Dockerfile builds Caffe before any package is there, with these names and the files that they come from alone: those
need nothing beyond Python itself.
"""

from typing import TYPE_CHECKING

from lrcn.engine.engines import Cuda, Engine, EngineError, cache, find

if TYPE_CHECKING:
    from lrcn.engine.recipe import build

__all__ = ["Cuda", "Engine", "EngineError", "build", "cache", "find"]


def __getattr__(name: str):
    if name == "build":  # downloads and archives, which few commands need
        from lrcn.engine.recipe import build

        return build
    raise AttributeError(f"module 'lrcn.engine' has no attribute '{name}'")
