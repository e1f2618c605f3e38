"""What Caffe computes on: GPUs, and how they compute; None stands for the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lrcn.engine.engines import EngineError

PRECISIONS = ("fp32", "tf32")
WORKSPACE = 1024  # MiB that a convolution's algorithm may take beside its blobs
MOST_WORKSPACE = 1 << 20  # more than any card has
# In the environment of Caffe's process; the last is for tests and benchmarks.
NAMES = ("LRCN_PRECISION", "LRCN_FAST", "LRCN_WORKSPACE", "LRCN_ALGORITHMS", "LRCN_LSTM")


@dataclass(frozen=True)
class Gpu:
    """GPUs by number; what uses one only takes the first.

    precision: of matrix products and convolutions, fp32, or tf32 whose factors have 10 bits after the point. fast: any
    algorithm, also those that add in no fixed order, so that two runs differ. workspace: MiB that a convolution's
    algorithm may take. algorithms: the file in which the algorithms are kept that were tried out and chosen, so that a
    process that goes on computes with the same; None: they are not kept. EngineError where a value is none of these.
    """

    numbers: tuple[int, ...] = (0,)
    precision: str = PRECISIONS[0]
    fast: bool = False
    workspace: int = WORKSPACE
    algorithms: Path | None = None

    def __post_init__(self) -> None:
        fit = {
            "numbers": isinstance(self.numbers, tuple)
            and len(set(self.numbers)) == len(self.numbers) > 0
            and all(isinstance(number, int) and number >= 0 for number in self.numbers),
            "precision": self.precision in PRECISIONS,
            "workspace": isinstance(self.workspace, int) and 0 < self.workspace <= MOST_WORKSPACE,
        }
        for name in (name for name in fit if not fit[name]):
            raise EngineError(
                f"Gpu: {name}={getattr(self, name)!r}: takes numbers=(0,) or (0, 1), precision "
                f"{' or '.join(PRECISIONS)}, workspace of 1 to {MOST_WORKSPACE} MiB"
            )

    @property
    def number(self) -> int:
        """The first, of which there is always one."""
        return self.numbers[0]

    @property
    def name(self) -> str:
        """ "GPU 0", "GPUs 0 and 1", with what is not as usual."""
        *others, last = map(str, self.numbers)
        which = f"GPUs {', '.join(others)} and {last}" if others else f"GPU {last}"
        otherwise = [*([self.precision] if self.precision != PRECISIONS[0] else []), *(["fast"] if self.fast else [])]
        return ", ".join([which, *otherwise])

    def __str__(self) -> str:
        """As --gpu takes it."""
        return ",".join(map(str, self.numbers))

    def alone(self, place: int) -> Gpu:
        """One of them, with a file of algorithms of its own: each tries them out for itself."""
        file = self.algorithms
        if file and place:
            file = file.with_name(f"{file.stem}-{place}{file.suffix}")
        return replace(self, numbers=(self.numbers[place],), algorithms=file)

    def environment(self) -> dict[str, str]:
        """What Caffe's process is told of it."""
        algorithms = {"LRCN_ALGORITHMS": str(self.algorithms.resolve())} if self.algorithms else {}
        fast = {"LRCN_FAST": "1"} if self.fast else {}
        return {"LRCN_PRECISION": self.precision, "LRCN_WORKSPACE": str(self.workspace), **fast, **algorithms}
