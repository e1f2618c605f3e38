"""The engine: real Caffe, built once into a cache, found again, run, and named in every result.

`build` makes one from BVLC's repository, from the `brocolli-caffe` sdist or from a folder, by the recipe in
docker/caffe; `find` returns the one that fits this Python, machine and recipe. `process.Caffe` runs it.

The Dockerfile builds Caffe before any package is there, with these names and the files that they come from alone: those
need nothing beyond Python itself.
"""

from lrcn.engine.engines import Cuda, Engine, EngineError, cache, find
from lrcn.engine.recipe import build

__all__ = ["Cuda", "Engine", "EngineError", "build", "cache", "find"]
