"""One net trained by several processes, in real Caffe on CPUs, where Python stands in for NCCL: what comes out, and how
they end."""

import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from lrcn import engine
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.engine.process import CaffeError
from lrcn.training import train
from lrcn.training.run import Run
from netspecs import catalogue
from prototxt_gen import to_text
from tests.lrcn.training.cpu_ranks import on_cpus
from tests.lrcn.training.small_nets import small
from tests.rounding import rounding, summands
from tests.weights import weights

pytestmark = pytest.mark.engine

SIZES = {"drop6": 0.0, "drop7": 0.0, "lstm_drop": 0.0, "max_iter": 10, "base_lr": 0.01, "lstm_init": 0.5}


def training(dataset, folder, several=None, tell=None, **changes):
    """Trains a small LRCN of 4 videos a batch, by this many processes where there is an engine for several."""
    files = small(dataset, videos=4, **SIZES, **changes)[1]
    compute, share = Compute(), None
    if several:
        compute = Compute(several, Gpu((0, 1)))
        share = small(dataset, videos=2, **SIZES, **changes)[1]["train_test"]
    if tell:
        compute = Compute(compute.engine, compute.gpu, tell)
    run = Run(folder)
    with run.locked():
        return train.train(run, files, compute, share=share)


def furthest(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    return max(float(np.abs(np.subtract(a, b)).max()) for name in one for a, b in zip(one[name], other[name]))


def test_two_processes_train_as_one_does(dataset, tmp_path):
    """They draw the clips of its batches, half each, and average their gradients; a killed run goes on as they."""
    several = on_cpus(tmp_path)
    one = training(dataset, tmp_path / "one")
    two = training(dataset, tmp_path / "two", several)
    first = training(dataset, tmp_path / "first", max_iter=0) if False else Run(tmp_path / "one").snapshot(5)
    net = small(dataset, videos=4, **SIZES)[1]["deploy"]
    near = rounding(10 * summands(net), 4)
    assert furthest(one, two) < near < furthest(one, first) / 10
    assert Run(tmp_path / "two").curve()[-1]["iteration"] == 10
    assert not (tmp_path / "two" / "ranks").exists()
    again = tmp_path / "again"
    training(dataset, again, several, max_iter=5)
    assert weights(training(dataset, again, several)) == weights(two)
