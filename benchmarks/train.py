"""What `lrcn train` costs around Caffe: the same net, iterations, tests and snapshots by `lrcn train`, and by the bare
`caffe train` on the same prototxt.

    python benchmarks/train.py [--iterations 120] [--batch 32]

The net is the published single-frame net, RGB, read by ClipData from JPEG frames that are cut from a photograph; a
snapshot in the middle and one at the end. `lrcn train` is all of it, from its start to its table. What it costs is
seconds, however long the training is: a few at its beginning and end, and at each snapshot, where a process of Caffe's
ends and the next reads the snapshot.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from clips import HEIGHT, WIDTH, stored, windows
from rows import Row, in_turn, main, quietly

from data_prep.children import python
from data_prep.whole_files import read_json, write_json, write_text
from lrcn.engine.compute import Compute
from lrcn.training.job import open_job
from prototxt_gen import caffe_pb2, to_text

NET = "activity/single-frame-rgb"


def settings(asked: argparse.Namespace) -> dict[str, object]:
    half = max(1, asked.iterations // 2)
    return {
        "batch": asked.batch,
        "test_batch": asked.batch,
        "reader": "clips",
        "max_iter": asked.iterations,
        "snapshot": half,
        "test_interval": half,
        "test_iter": 1,
    }


def measure(asked: argparse.Namespace) -> list[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = to_learn(stored(windows(), folder / "data"), HEIGHT, WIDTH)
        seconds = in_turn(lambda: ours(data, folder, asked), lambda: bare(data, folder, asked), 1)
    what = f"lrcn train, {NET.split('/')[1]}, {asked.iterations} iterations of {asked.batch} frames, two snapshots"
    against, ratio = "caffe train, same prototxt", seconds[0] / seconds[1]
    return [Row(what, seconds[0], "s", against, seconds[1], ratio, "at most 1.02")]


def to_learn(data: Path, height: int, width: int) -> Path:
    """With what `lrcn train` asks of a data set: a second class, sizes, tests, here on the videos themselves."""
    description = read_json(data / "dataset.json")
    description |= {"classes": ["any", "other"], "height": height, "width": width, "splits": [1]}
    write_json(data / "dataset.json", description)
    write_text(data / "test1.txt", (data / "train1.txt").read_text())
    return data


def ours(data: Path, folder: Path, asked: argparse.Namespace) -> None:
    words = [f"{name}={value}" for name, value in settings(asked).items()]
    command = python("lrcn", "train", NET, "--data", data, "--out", folder / "lrcn", "--from-scratch")
    quietly([*command, "--no-trial", "--set", *words])


def bare(data: Path, folder: Path, asked: argparse.Namespace) -> None:
    [training] = open_job(NET, data, folder / "bare", settings=settings(asked)).trainings
    solver, run = training.files["solver"], folder / "bare"
    run.mkdir()
    solver.net, solver.snapshot_prefix = "train_test.prototxt", "net"
    solver.solver_mode = caffe_pb2.SolverParameter.CPU
    for name, message in training.files_here().items():
        (run / f"{name}.prototxt").write_text(to_text(message))
    compute = Compute()
    command = [compute.engine.caffe, "train", "--solver=solver.prototxt"]
    quietly(command, cwd=run, env=compute.environment())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--iterations", type=int, default=120)
    parser.add_argument("--batch", type=int, default=32, help="frames an iteration")
    main(measure, parser)
