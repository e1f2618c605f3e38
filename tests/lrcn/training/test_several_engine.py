"""One net trained by several processes, in real Caffe on CPUs, where Python stands in for NCCL: what comes out, and how
they end."""

import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from data_prep import features
from data_prep.dataset import Dataset
from lrcn import engine
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.engine.process import CaffeError
from lrcn.training import train
from lrcn.training.job import settings_of
from lrcn.training.run import Run
from netspecs import catalogue
from prototxt_gen import to_text
from prototxt_gen.states import filter_net
from tests.datasets import make_dataset
from tests.lrcn.training.cpu_ranks import on_cpus
from tests.lrcn.training.small_nets import SMALL_CLIPS, small
from tests.rounding import rounding, summands
from tests.weights import furthest, weights

pytestmark = pytest.mark.engine

SIZES = {"drop6": 0.0, "drop7": 0.0, "lstm_drop": 0.0, "max_iter": 10, "base_lr": 0.01, "lstm_init": 0.5}


def training(dataset, folder, several=None, tell=None, **changes):
    """Trains a small LRCN of 4 videos a batch, by this many processes where there is an engine for several."""
    changes = SIZES | changes
    files = small(dataset, videos=4, **changes)[1]
    compute, share = Compute(), None
    if several:
        compute = Compute(several, Gpu((0, 1)))
        share = small(dataset, videos=2, **changes)[1]["train_test"]
    if tell:
        compute = Compute(compute.engine, compute.gpu, tell)
    run = Run(folder)
    with run.locked():
        return train.train(run, files, compute, share=share)


def test_two_processes_train_as_one_does(dataset, tmp_path, monkeypatch):
    """They draw the clips of its batches, half each, and average their gradients. One that goes on gives the same."""
    several = on_cpus(tmp_path, monkeypatch)
    one = training(dataset, tmp_path / "one")
    two = training(dataset, tmp_path / "two", several, test_interval=4)
    near = rounding(10 * summands(small(dataset, videos=4, **SIZES)[1]["deploy"]), 4)
    assert furthest(one, two) < near < furthest(one, Run(tmp_path / "one").snapshot(5)) / 10
    tested = [row["iteration"] for row in Run(tmp_path / "two").curve() if "test accuracy" in row]
    assert tested == [0, 4, 8, 10]  # at the end too
    assert not (tmp_path / "two" / "ranks").exists()
    training(dataset, tmp_path / "again", several, max_iter=5)  # with another interval of tests
    assert weights(training(dataset, tmp_path / "again", several)) == weights(two)


@pytest.mark.parametrize("rank", [0, 1])
def test_where_one_process_fails_all_end_and_its_reason_is_told(dataset, tmp_path, monkeypatch, rank):
    there = alive(tmp_path)
    several = on_cpus(tmp_path, monkeypatch, DIES=f"{rank} 7")
    with pytest.raises(CaffeError, match="^frame 3 cannot be read$"):
        training(dataset, tmp_path / "run", several)
    assert Run(tmp_path / "run").done == 5
    assert os.read(there, 1) == b""


def test_ctrl_c_leaves_a_snapshot_and_nobody(dataset, tmp_path, monkeypatch):
    def tell(name, done, total):
        if done == 2:
            raise KeyboardInterrupt

    there = alive(tmp_path)
    several = on_cpus(tmp_path, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        training(dataset, tmp_path / "run", several, tell, max_iter=100000, snapshot=100000, display=1)
    assert Run(tmp_path / "run").done >= 2
    assert os.read(there, 1) == b""


KILLED = """
import os, signal, sys
from pathlib import Path
import pytest
from tests.lrcn.training.cpu_ranks import on_cpus
from tests.lrcn.training.test_several_engine import training
dataset, folder = map(Path, sys.argv[1:])

def tell(name, done, total):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

training(dataset, folder / "run", on_cpus(folder, pytest.MonkeyPatch()), tell, max_iter=100000, snapshot=100000)
"""


def test_nobody_stays_behind_a_parent_that_is_killed(dataset, tmp_path):
    there = alive(tmp_path)
    process = subprocess.run([sys.executable, "-c", KILLED, dataset, tmp_path])
    assert process.returncode == -signal.SIGKILL
    os.set_blocking(there, True)
    assert os.read(there, 1) == b""


def alive(folder):
    """What is at its end once no process is alive that trains by an engine of this folder."""
    os.mkfifo(folder / "alive")
    return os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)


@pytest.mark.parametrize("net", ["activity/lrcn-fc6-rgb", "activity/single-frame-rgb"])
def test_caffe_deals_out_rows(tmp_path, monkeypatch, net):
    """LMDBs and HDF5 files, where the engine has what makes BVLC's data layers skip the rows of other processes."""
    several = on_cpus(tmp_path, monkeypatch)
    has = [sys.executable, "-c", "import caffe; caffe.set_solver_count"]
    if subprocess.run(has, env=engine.find().environment(), capture_output=True).returncode:
        pytest.skip("this engine's data layers know of no other processes; BVLC's do")
    sizes = {"units": 5, "videos": 4} if "lrcn" in net else {"batch": 4, "test_batch": 2}
    changes = sizes | {name: SIZES[name] for name in ("drop6", "max_iter", "base_lr")}
    if "lrcn" in net:
        data = features.prepare_npz(write_npz(tmp_path / "made.npz"), tmp_path / "features", videos=4)
        changes |= {"lstm_drop": 0.0}
    else:  # nothing is drawn: whole pictures, not mirrored
        data = make_dataset(tmp_path / "frames", height=20, width=20)
        changes |= {"reader": "lmdb", "drop7": 0.0, "mirror": False, **{name: SMALL_CLIPS[name] for name in PIXELS}}
    changes |= {"test_iter": 1, "test_interval": 3, "snapshot": 5, "display": 1, "lr_policy": "fixed"}
    chosen = settings_of(net, Dataset(data), changes)
    found = []
    for gpu in (None, Gpu((0, 1))):
        [name] = [name for name in ("videos", "batch") if name in sizes]
        share = catalogue.get(net).files(**chosen | {name: 2})["train_test"] if gpu else None
        run = Run(tmp_path / ("two" if gpu else "one"))
        with run.locked():
            compute = Compute(several, gpu) if gpu else Compute()
            found.append(train.train(run, catalogue.get(net).files(**chosen), compute, share=share))
    assert furthest(*found) < rounding(1e4, 4) < furthest(found[0], Run(tmp_path / "one").snapshot(5)) / 10


PIXELS = ("backbone", "widths", "fc6", "fc7", "crop", "workers")


def write_npz(path):
    rng = np.random.default_rng(0)
    parts = {f"x_{part}": rng.normal(0, 1, (n, 3, 6)).astype(np.float32) for part, n in (("tr", 10), ("te", 4))}
    labels = {f"y_{part}": np.arange(n) % 2 for part, n in (("tr", 10), ("te", 4))}
    np.savez(path, **parts, **labels, classes=np.array(["a", "b"]))
    return path


# ---- what several processes compute -------------------------------------------------------------------------


SHARED = """
import sys, caffe, numpy as np
folder, steps = sys.argv[1], int(sys.argv[2])
caffe.set_random_seed(1)
one = caffe.get_solver(f"{folder}/both.prototxt")
solver, other = caffe.get_solver(f"{folder}/share0.prototxt"), caffe.Net(f"{folder}/share1_net.prototxt", caffe.TRAIN)
for name, blobs in one.net.params.items():
    for blob, mine in zip(blobs, solver.net.params[name]):
        mine.data[...] = blob.data
losses = []

def average():
    for name, blobs in solver.net.params.items():
        for mine, its in zip(blobs, other.params[name]):
            its.data[...], its.diff[...] = mine.data, 0
    other.forward()
    other.backward()
    losses.append((solver.net.blobs[LOSS].data + other.blobs[LOSS].data) / 2)
    for name, blobs in solver.net.params.items():
        for mine, its in zip(blobs, other.params[name]):
            mine.diff[...] = (mine.diff + its.diff) / 2

LOSS = "cross_entropy_loss"
solver.add_callback(lambda: None, average)
solver.step(steps)
one.step(steps)

def weights(net):
    return np.concatenate([blob.data.ravel() for blobs in net.params.values() for blob in blobs])

np.savez(f"{folder}/out.npz", shared=weights(solver.net), one=weights(one.net), losses=losses)
"""


def test_shares_with_words_of_unlike_number_give_what_iter_size_gives(tmp_path):
    """Each share's loss is the mean over its own words, however many those are, and the gradient is the mean of theirs:
    as where one process takes the shares one after the other (iter_size 2). Gradients are clipped after that; Caffe's
    iter_size clips their sum, so its bound is twice as high here."""
    steps, streams, batches = 4, 3, 5
    rng = np.random.default_rng(0)
    shape = batches, 2, steps, streams
    rows = {
        "fc7": rng.normal(0, 1, (batches, 2, streams, 6)),
        "cont_sentence": np.broadcast_to(np.arange(steps)[:, None] > 0, shape),
        "input_sentence": rng.integers(0, 7, shape),
        "target_sentence": np.where(np.arange(shape[1])[:, None, None] * 3 + rng.integers(0, 3, shape) > 2, -1, 3),
    }
    rows["target_sentence"][:, 1, 0] = rng.integers(0, 7, (batches, streams))  # a word in each share at least
    valid = (rows["target_sentence"] >= 0).sum((2, 3))
    assert (valid[:, 0] != valid[:, 1]).all()
    for name, chosen in (("both", slice(None)), ("share0", [0]), ("share1", [1])):
        write_captioner(tmp_path, name, {key: values[:, chosen] for key, values in rows.items()}, streams, steps)
    program = [sys.executable, "-c", SHARED, tmp_path, str(batches)]
    done = subprocess.run(program, env=engine.find().environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "out.npz") as out:
        spread = np.abs(out["one"] - out["shared"]).max()
        assert spread < rounding(batches * 50, 2) and len(set(out["losses"].ravel().tolist())) == batches


def write_captioner(folder, name, rows, streams, steps):
    """NAME.prototxt, a solver, with its net and what that reads. rows: (batches, n, ...), n of `streams` an iteration;
    fc7 (.., streams, 6), sentences (.., steps, streams)."""
    sizes = {"units": 5, "embedding": 5, "fc8": 4, "vocabulary": 7, "feature_size": 6, "drop7": 0.0, "init": 0.5}
    solving = {
        "base_lr": 0.1,
        "clip_gradients": 0.5 * rows["fc7"].shape[1],
        "max_iter": 100,
        "display": 0,
        "snapshot": 0,
    }
    batch = {"backbone": "features", "stage": "finetune", "streams": streams, "steps": steps}
    files = catalogue.get("caption/lrcn-2f").files(
        **sizes, **solving, **batch, iter_size=rows["fc7"].shape[1], data=str(folder / name)
    )
    (folder / name).mkdir()
    for what, keys in (("images", ["fc7"]), ("captions", list(rows)[1:])):
        with h5py.File(folder / name / f"{what}.h5", "w") as file:
            for key in keys:
                values = rows[key]
                file[key] = values.reshape(-1, *values.shape[3:]).astype(np.float32)
        (folder / name / f"train_{what}.txt").write_text(f"{folder / name / what}.h5\n")
    solver = files["solver"]
    solver.ClearField("net")
    for field in ("test_iter", "test_interval", "test_state"):
        solver.ClearField(field)
    solver.train_net = str(folder / f"{name}_net.prototxt")
    net = filter_net(files["train_test"], "TRAIN", solver.train_state.stage)
    (folder / f"{name}_net.prototxt").write_text(to_text(net))
    (folder / f"{name}.prototxt").write_text(to_text(solver))
