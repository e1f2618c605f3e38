"""Several processes of Caffe's that train one net together, a GPU each."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.children import python
from lrcn.engine.compute import Compute
from lrcn.engine.process import Batches, Caffe, CaffeError


class Ranks(Caffe):
    """To whoever follows it, it is the process of rank 0, which tests and writes snapshots; the others go with it. A
    context manager, which ends all of them."""

    def __init__(
        self, compute: Compute, solvers: Sequence[str], state: str | None, log: Path, folder: Path, first_batch: int
    ) -> None:
        """Begins one process a GPU of `compute` in `folder`, each with its file of `solvers`, all from the snapshot
        `state`. log: of rank 0; the others' lie beside it. first_batch: with which the project's data layers begin."""
        self.others: list[Caffe] = []

        def how(rank: int) -> tuple[Compute, list[str], Batches]:
            gpu = compute.gpu.alone(rank)
            command = python("lrcn.engine.rank", gpu, solvers[rank], *filter(None, [state]))
            return replace(compute, gpu=gpu), command, Batches(first_batch, rank, len(solvers))

        alone, command, batches = how(0)
        super().__init__(alone, command, log, folder, batches, talks=True)
        try:
            for rank in range(1, len(solvers)):
                alone, command, batches = how(rank)
                beside = log.with_name(f"rank{rank}-{log.name}")
                self.others.append(Caffe(alone, command, beside, folder, batches, talks=True))
            if not (identity := self.process.stdout.readline()):
                raise self.failure()
            for other in self.others:
                other.tell(identity.strip())
        except BaseException:
            self.close()
            raise

    def close(self) -> int | None:
        status = super().close()
        for other in self.others:
            other.close()
        return status

    def running(self) -> bool:
        """Whether rank 0 is; it is ended where another has failed, for which it would wait for ever."""
        if any(other.process.poll() for other in self.others):
            self.process.kill()
        return super().running()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)
        while self.running():
            time.sleep(0.05)

    def failure(self) -> CaffeError:
        """Why they have ended: what one of them says, rather than that it was ended, or that NCCL misses another."""
        failures = [*(other.failure() for other in self.others if other.process.poll()), super().failure()]
        return min(failures, key=_far_from_the_reason)


def _far_from_the_reason(failure: CaffeError) -> int:
    line = str(failure)
    return 2 if "nccl" in line.lower() else 1 if line.startswith("Caffe ended with") else 0
