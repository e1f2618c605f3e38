"""Where Caffe computes: what is passed on to whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from data_prep.workers import no_progress
from lrcn import engine

Progress = Callable[[str, int, int], None]  # (what, done, total); (remark, 0, 0) is a remark


@dataclass(frozen=True)
class Compute:
    """An engine (the one in the cache by default), the number of a GPU, None for the CPU, and who is told how far the
    work is. EngineError for a GPU and an engine without CUDA."""

    engine: engine.Engine = field(default_factory=lambda: engine.find())
    gpu: int | None = None
    progress: Progress = no_progress

    def __post_init__(self) -> None:
        if self.gpu is not None and not self.engine.cuda:
            raise engine.EngineError(
                f"--gpu {self.gpu}: this Caffe engine ({self.engine.source}) computes on the CPU alone; `lrcn caffe "
                "build --cuda` makes one for GPUs, or leave --gpu out"
            )
