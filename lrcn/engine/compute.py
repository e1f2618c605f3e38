"""Where Caffe computes: what is passed on to whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data_prep.workers import no_progress
from lrcn.engine import Engine, EngineError, find
from lrcn.engine.cards import cards, misfit

Progress = Callable[[str, int, int], None]  # (what, done, total); (remark, 0, 0) is a remark


@dataclass(frozen=True)
class Compute:
    """An engine, the number of a GPU, None for the CPU, and who is told how far the work is.

    The engine by default: for a GPU one that was built for them; for the CPU whichever was built last. EngineError
    where the GPU is not there or the engine does not compute on it.
    """

    engine: Engine = None
    gpu: int | None = None
    progress: Progress = no_progress

    def __post_init__(self) -> None:
        if self.engine is None:
            object.__setattr__(self, "engine", _engine_for(self.gpu))
        if self.gpu is not None:
            _check(self.engine, self.gpu)


def _engine_for(gpu: int | None) -> Engine:
    if gpu is None:
        return find()
    try:
        return find(cuda=True)
    except EngineError as error:
        raise EngineError(f"--gpu {gpu}: {error}, or leave --gpu out") from None


def _check(engine: Engine, gpu: int) -> None:
    """Raises EngineError, one line, where `engine` cannot compute on this GPU."""
    if not engine.cuda:
        raise EngineError(
            f"--gpu {gpu}: this Caffe engine ({engine.source}) computes on the CPU alone; `lrcn caffe build --cuda` "
            "makes one for GPUs, or leave --gpu out"
        )
    here = cards()
    if not here:
        raise EngineError(f"--gpu {gpu}: no NVIDIA card or driver on this machine; leave --gpu out")
    if gpu >= len(here):
        names = ", ".join(f"{card.number} ({card.name})" for card in here)
        raise EngineError(f"--gpu {gpu}: this machine has GPU {names}")
    if reason := misfit(engine.gpu["toolkit"], engine.gpu["architectures"], here[gpu]):
        raise EngineError(
            f"--gpu {gpu}: this Caffe engine does not run on {here[gpu].name}: {reason}; `lrcn caffe build --cuda` "
            "makes another (--cuda system, --archs)"
        )
