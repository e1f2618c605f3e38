"""Where Caffe computes: what is passed on to whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.workers import no_progress
from lrcn import engine
from lrcn.engine.cards import cards
from lrcn.engine.device import NAMES, PRECISIONS, Gpu

Progress = Callable[[str, int, int], None]  # (what, done, total); (remark, 0, 0) is a remark


@dataclass(frozen=True)
class Compute:
    """An engine (the one in the cache by default), the GPUs, None for the CPU, and who is told how far the work is.
    EngineError for a GPU and an engine without CUDA."""

    engine: engine.Engine = field(default_factory=lambda: engine.find())
    gpu: Gpu | None = None
    progress: Progress = no_progress

    def __post_init__(self) -> None:
        if self.gpu and not self.engine.cuda:
            raise engine.EngineError(
                f"--gpu {self.gpu}: this Caffe engine ({self.engine.source}) computes on the CPU alone; `lrcn caffe "
                "build --cuda` makes one for GPUs, or leave --gpu out"
            )
        if self.gpu and len(self.gpu.numbers) > 1 and not (self.engine.info().get("gpu") or {}).get("nccl"):
            raise engine.EngineError(
                f"--gpu {self.gpu}: this Caffe engine ({self.engine.source}) trains on one GPU at a time; "
                "`lrcn caffe build --cuda --nccl --source bvlc` makes one for several"
            )

    @property
    def device(self) -> dict[str, Any]:
        """What a job says of it to the program that runs Caffe, and what tells its results from another device's."""
        gpu = self.gpu
        return {"gpu": gpu.number, "precision": gpu.precision, "fast": gpu.fast} if gpu else {"gpu": None}

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
        here, made = {card.number: card for card in cards()}, self.engine.info().get("gpu") or {}
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

    def environment(self) -> dict[str, str]:
        """os.environ for a process that runs Caffe here."""
        inherited = {name: value for name, value in self.engine.environment().items() if name not in NAMES}
        return inherited | (self.gpu.environment() if self.gpu else {})
