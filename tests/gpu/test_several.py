"""`lrcn train --gpu 0,1`, end to end, through Caffe's NCCL: two emulated GPUs train as one does, go on, and end,
together. A card shows one rank of it."""

import os
import signal
import subprocess
import sys

import pytest

from lrcn import engine
from lrcn.training.run import Run
from tests.commands import killed, lrcn, refused
from tests.datasets import make_dataset
from tests.gpu import test_training
from tests.rounding import rounding
from tests.weights import furthest, weights

pytestmark = pytest.mark.engine

NO_NCCL = "this engine's sources have no NCCL; BVLC's have (LRCN_TEST_CAFFE=FOLDER takes them for the emulated GPU)"
# Weights change by much more than rounding
LEARNING = {"base_lr": 0.05, "lr_policy": "fixed", "snapshot": 2, "test_interval": 2}


def frames(folder, **changes):
    sizes = {"batch": 4, "videos": 2, "lstm_init": 0.5}
    return test_training.frames(folder, "rgb", reader="lmdb", **sizes, **changes)


def captions(folder, **changes):
    return test_training.captions(folder, init=0.5, **changes)


# For a task without anything drawn: whole pictures, not mirrored, and no dropout
PLAIN = {
    frames: {"height": 20, "width": 20, "mirror": False, "drop6": 0.0, "drop7": 0.0, "lstm_drop": 0.0},
    captions: {"drop6": 0.0, "drop7": 0.0},  # the pictures are of one colour
}


@pytest.fixture(scope="module")
def two(emulated):
    """What `lrcn` is told of two GPUs."""
    if not emulated.engine.gpu["nccl"]:
        pytest.skip(NO_NCCL)
    return emulated.environment | {"LRCN_EMULATED_GPUS": "2"}


def trained(task, out, gpu, environment):
    done = lrcn(*task[0], "--gpu", gpu, "--out", out, **environment)
    assert done.returncode == 0, done.stderr
    return Run(out / task[1])


def losses_of_tests(run):
    """Those of the whole test batches, which the first GPU computes."""
    return [[row[name] for name in row if name.startswith("test") and "loss" in name] for row in run.curve()]


@pytest.mark.parametrize("kind", [frames, captions])
def test_two_gpus_train_as_one_does(kind, two, tmp_path):
    task = kind(tmp_path, **PLAIN[kind], **LEARNING)
    one, both = (trained(task, tmp_path / gpu, gpu, two) for gpu in ("0", "0,1"))
    near = rounding(6 * 1000, 1)  # six steps, in each some hundred products for a weight
    assert furthest(one.weights, both.weights) < near < furthest(one.weights, one.snapshot(2)) / 10
    due = losses_of_tests(one)
    assert losses_of_tests(both) == [pytest.approx(each, abs=near) for each in due] and sum(map(bool, due)) >= 3
    assert [len(each["gpu"]["cards"]) for each in both.devices] == [2]


@pytest.mark.parametrize("kind", [frames, captions])
def test_a_killed_training_ends_with_the_weights_of_an_uninterrupted_one(kind, two, tmp_path):
    """With dropout, of which each GPU draws its own."""
    task = kind(tmp_path)
    whole = trained(task, tmp_path / "whole", "0,1", two)
    test_training.take_algorithms(tmp_path / "whole", tmp_path / "killed")
    assert killed(12, *task[0], "--gpu", "0,1", "--out", tmp_path / "killed", **two) == -signal.SIGKILL
    assert 0 < Run(tmp_path / "killed" / task[1]).done < 6
    assert weights(trained(task, tmp_path / "killed", "0,1", two).weights) == weights(whole.weights)


RANK_DIES = """
import sys
from lrcn.commands.common import Progress
from lrcn.engine.ranks import Ranks
begin, told, begun = Ranks.__init__, Progress.__call__, []

def begin_and_keep(self, *arguments):
    begin(self, *arguments)
    begun.append(self)

def tell(self, what, done, total):
    if done == 4:
        begun[-1].others[0].process.kill()
    told(self, what, done, total)

Ranks.__init__, Progress.__call__ = begin_and_keep, tell
from lrcn.cli import main
main()
"""


def test_where_one_gpu_fails_all_end(two, tmp_path):
    """Caffe alone would wait for it for ever."""
    command, _ = captions(tmp_path, max_iter=100000, snapshot=100000)
    program = [sys.executable, "-c", RANK_DIES, *map(str, command), "--gpu", "0,1", "--out", tmp_path / "out"]
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ | two)
    refused(done, "Caffe ended with signal 9", "rank1-from-")


ONE_RANK = """
import shutil, sys
from pathlib import Path
from lrcn import engine
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.training import train
from lrcn.training.run import Run
from tests.lrcn.training.small_nets import small
dataset, tool, rank = map(Path, sys.argv[1:])
files = small(dataset)[1]
compute = Compute(engine.find(cuda=True, nccl=True), Gpu())
for folder, share in ((tool, None), (rank, files["train_test"])):
    run = Run(folder)
    if share:  # of convolutions; tried out anew, others may be faster
        shutil.copy(Run(tool).algorithms, run.algorithms)
    with run.locked():
        train.train(run, files, compute, share=share)
"""


def test_one_rank_trains_as_the_tool_does(device, tmp_path):
    """To the bit, dropout and all: what NCCL adds up are the gradients of one."""
    made = device.engine if device.is_emulated else engine.find(cuda=True, nccl=True)
    if not made.gpu["nccl"]:
        pytest.skip(NO_NCCL)
    folders = tool, rank = tmp_path / "tool", tmp_path / "rank"
    for folder in folders:
        folder.mkdir()
    program = [sys.executable, "-c", ONE_RANK, make_dataset(tmp_path / "data"), *folders]
    done = subprocess.run(program, env=os.environ | device.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert weights(Run(rank).snapshot(20)) == weights(Run(tool).snapshot(20))
