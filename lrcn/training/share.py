"""Trainings on several GPUs: what each has of the net."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.share import MADE, take_share
from data_prep.whole_files import write_text
from lrcn.engine.device import Gpu
from lrcn.training.tasks import task_of
from lrcn.training.workspace import Training
from prototxt_gen import SpecError, caffe_pb2, parse, solver_states, to_text

MADE_FOR_RANKS = rf"{MADE}|(net|solver)-[0-9]+\.prototxt"  # the files in a run's folder `ranks`


def share_of(training: Training, gpu: Gpu | None) -> Training:
    """The training with as much of each batch as one of these GPUs has. SpecError where they cannot share it."""
    count = len(gpu.numbers) if gpu else 1
    if count == 1:
        return training
    name = task_of(training.variant).batch_setting(training)
    whole = training.settings[name]
    if whole % count:
        raise SpecError(
            f"--gpu {gpu}: {training.run.folder.name} has {name}={whole} in a batch, which {count} GPUs cannot share "
            f"evenly; give another number of GPUs, or --set {name}=..."
        )
    settings = training.settings | {name: whole // count}
    return replace(training, settings=settings, files=training.variant.files(**settings))


def write_solvers(folder: Path, solver: Any, net: Any, ranks: int) -> list[str]:
    """Writes, for each process, the solver of a segment and its training net; gives the solvers' files.

    solver: of one process that trains alone, in `folder`, where its net lies. net: the train_test net of a share.
    """
    whole: Any = parse(folder / solver.net)
    files = []
    for rank in range(ranks):
        mine, own = caffe_pb2.NetParameter(), caffe_pb2.SolverParameter()
        mine.CopyFrom(net)
        own.CopyFrom(solver)
        take_share(mine, whole, solver_states(solver, whole)[0], rank, ranks, folder)
        own.ClearField("net")
        own.train_net = f"ranks/net-{rank}.prototxt"
        if own.iter_size > 1:  # else a layer's sum is averaged while the next batch's gradients are added to it
            own.layer_wise_reduce = False
        if rank == 0:
            own.test_net.extend([solver.net] * len(own.test_iter))
        else:  # the first alone tests, and says and keeps how far they are
            for field in ("test_iter", "test_interval", "test_state", "snapshot", "display"):
                own.ClearField(field)
        write_text(folder / own.train_net, to_text(mine))
        files.append(f"ranks/solver-{rank}.prototxt")
        write_text(folder / files[-1], to_text(own))
    return files
