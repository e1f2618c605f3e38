"""Where Caffe computes: what is passed on to whoever runs it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_prep.workers import Progress, no_progress
from lrcn.engine import Engine, EngineError, blas, find
from lrcn.engine.cards import cards, misfit
from lrcn.engine.crew import ON_CORRUPT, SKIP
from lrcn.engine.device import NAMES, PRECISIONS, Gpu

__all__ = ["Compute", "Progress"]


@dataclass(frozen=True)
class Compute:
    """An engine, the GPUs, None for the CPU, and who is told how far the work is.

    The engine by default: for GPUs one that was built for them; for the CPU whichever was built last. threads: of the
    BLAS; None leaves them to it, which takes all cores. ends: once set, work is interrupted as by Ctrl-C. on_corrupt:
    what is done about a damaged image of a video: "stop", or "skip", by which the nearest whole one of the video stands
    in its place, and the log says so. EngineError where a GPU is not there or the engine does not compute on it.
    """

    engine: Engine = None
    gpu: Gpu | None = None
    progress: Progress = no_progress
    threads: int | None = None
    ends: threading.Event | None = None
    on_corrupt: str = "stop"

    def __post_init__(self) -> None:
        if not isinstance(self.gpu, Gpu | None):
            raise TypeError(f"Compute: gpu={self.gpu!r}: takes a Gpu of lrcn.engine.device, Gpu((0,)), or None")
        if self.engine is None:
            object.__setattr__(self, "engine", _engine_for(self.gpu))
        if self.gpu:
            _check(self.engine, self.gpu)

    @property
    def device(self) -> dict[str, Any]:
        """What a job says of it to the program that runs Caffe, and what tells its results from another device's."""
        gpu, skip = self.gpu, {"on_corrupt": SKIP} if self.on_corrupt == SKIP else {}
        return ({"gpu": gpu.number, "precision": gpu.precision, "fast": gpu.fast} if gpu else {"gpu": None}) | skip

    @property
    def manner(self) -> dict[str, Any]:
        """How it computes that is not as usual, which a training keeps from its begin to its end."""
        gpu = self.gpu or Gpu()
        unusual = {"precision": gpu.precision} if gpu.precision != PRECISIONS[0] else {}
        return unusual | ({"fast": True} if gpu.fast else {})

    def about(self) -> dict[str, Any] | None:
        """What results say of the GPUs, ready for JSON: "cards" (name, capability), "driver", "cuda", "cudnn",
        "precision", "deterministic". None for the CPU."""
        if not self.gpu:
            return None
        here, made = {card.number: card for card in cards()}, self.engine.gpu or {}
        known = [here[number] for number in self.gpu.numbers if number in here]
        return {
            "cards": [{"name": card.name, "capability": card.capability} for card in known],
            "driver": known[0].driver if known else "",
            "cuda": made.get("toolkit"),
            "cudnn": made.get("cudnn"),
            "precision": self.gpu.precision,
            "deterministic": not self.gpu.fast,
        }

    def keeping(self, algorithms: Path | None) -> Compute:
        """With this file of a GPU's algorithms."""
        return replace(self, gpu=replace(self.gpu, algorithms=algorithms)) if self.gpu else self

    @property
    def blas_threads(self) -> int | None:
        """How many threads the BLAS has: as the user's environment says, or as `threads` does; None for those that it
        takes by itself."""
        return blas.chosen() or self.threads

    def check_ends(self) -> None:
        """KeyboardInterrupt where the work is to end."""
        if self.ends is not None and self.ends.is_set():
            raise KeyboardInterrupt

    def check_together(self) -> None:
        """EngineError where the engine cannot train one net on all of the GPUs."""
        if self.gpu and len(self.gpu.numbers) > 1 and not self.engine.gpu["nccl"]:
            raise EngineError(
                f"--gpu {self.gpu}: this Caffe engine ({self.engine.source}) trains on one GPU at a time; `lrcn caffe "
                "build --cuda --nccl --source bvlc` makes one for several; or give each net its own, --jobs "
                f"{len(self.gpu.numbers)}"
            )

    def environment(self) -> dict[str, str]:
        """os.environ for a process that runs Caffe here."""
        inherited = {name: value for name, value in self.engine.environment().items() if name not in NAMES}
        threads = {blas.VARIABLE: str(self.blas_threads)} if self.blas_threads else {}
        return inherited | (self.gpu.environment() if self.gpu else {}) | threads | {ON_CORRUPT: self.on_corrupt}


def _engine_for(gpu: Gpu | None) -> Engine:
    if gpu is None:
        return find()
    try:
        return find(cuda=True, nccl=len(gpu.numbers) > 1)
    except EngineError as error:
        raise EngineError(f"--gpu {gpu}: {error}, or leave --gpu out") from None


def _check(engine: Engine, gpu: Gpu) -> None:
    """Raises EngineError, one line, where `engine` cannot compute on these GPUs."""
    if not engine.gpu:
        raise EngineError(
            f"--gpu {gpu}: this Caffe engine ({engine.source}) computes on the CPU alone; `lrcn caffe build --cuda` "
            "makes one for GPUs, or leave --gpu out"
        )
    here = cards()
    if not here:
        raise EngineError(f"--gpu {gpu}: no NVIDIA card or driver on this machine; leave --gpu out")
    for number in gpu.numbers:
        if number >= len(here):
            names = ", ".join(f"{card.number} ({card.name})" for card in here)
            raise EngineError(f"--gpu {gpu}: this machine has GPU {names}")
        if reason := misfit(engine.gpu["toolkit"], engine.gpu["architectures"], here[number]):
            raise EngineError(
                f"--gpu {gpu}: this Caffe engine does not run on {here[number].name}: {reason}; `lrcn caffe build "
                "--cuda` makes another (--cuda system, --archs)"
            )
