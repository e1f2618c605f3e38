"""GPUs as the command line names them, and what Caffe's process is told of them; no GPU is needed."""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from lrcn.commands.options import gpu_options
from lrcn.engine import EngineError, compute
from lrcn.engine.caffe_side import use_device
from lrcn.engine.cards import Card
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from tests.commands import lrcn, refused


def engine(cuda=True, nccl=True):
    made = {"toolkit": "13.0.88", "cudnn": "9.13.0", "nccl": nccl, "architectures": ["90"]}
    return SimpleNamespace(source="bvlc", gpu=made if cuda else None, environment=lambda: dict(os.environ))


@pytest.fixture(autouse=True)
def cards(monkeypatch):
    here = [Card(number, f"card {number}", "9.0", "580.95.05", "13.0", 1 << 37) for number in range(4)]
    monkeypatch.setattr(compute, "cards", lambda: here)


def read(*arguments, several=False):
    """The Gpu that a command is given, or what it says to refuse."""
    taken = []

    @click.command()
    @gpu_options(several)
    def command(gpu):
        taken.append(gpu)

    done = CliRunner().invoke(command, arguments)
    assert (done.exit_code == 0) == bool(taken)
    return taken[0] if taken else done.output.splitlines()[-1]


def test_options_become_one_value():
    assert read() is None
    assert read("--gpu", "3") == Gpu((3,)) == Gpu((3,), "fp32", False, 1024)
    assert read("--fast", "--workspace", "64", "--gpu", "0", "--precision", "tf32") == Gpu((0,), "tf32", True, 64)
    assert read("--gpu", "2,0", several=True) == Gpu((2, 0))


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--precision", "tf32"], "--precision tf32: is for GPUs; give --gpu N"),
        (["--precision", "fp32"], "--precision fp32: is for GPUs; give --gpu N"),
        (["--fast"], "--fast: is for GPUs; give --gpu N"),
        (["--workspace", "8"], "--workspace 8: is for GPUs; give --gpu N"),
        (["--gpu", "0,1"], "this command computes on one GPU"),
        (["--gpu", "first"], "first: it takes a GPU's number"),
        (["--gpu", "-1"], "-1: it takes a GPU's number"),
        (["--gpu", "0", "--precision", "fp16"], "fp16"),
    ],
)
def test_what_goes_with_no_gpu_is_refused(arguments, said):
    assert said in read(*arguments)


def test_one_of_several_gpus_is_named_once():
    assert "1,0,1: names a GPU twice" in read("--gpu", "1,0,1", several=True)
    assert "0,: it takes a GPU's number, 0 or several, 0,1" in read("--gpu", "0,", several=True)


def test_the_program_refuses_in_one_line():
    for command in (["train", "demo"], ["evaluate", "demo"], ["caption", "1.jpg"], ["sample"], ["caffe", "check"]):
        refused(lrcn(*command, "--precision", "tf32"), "--precision tf32: is for GPUs")


def test_what_caffe_is_told(tmp_path, monkeypatch):
    """Nothing that the user's own environment has of these names is heard."""
    for name in ("LRCN_FAST", "LRCN_ALGORITHMS", "LRCN_PRECISION"):
        monkeypatch.setenv(name, "1")

    def told(gpu):
        environment = Compute(engine(), gpu).environment()
        assert environment["PATH"] == os.environ["PATH"]
        return {name: value for name, value in environment.items() if name.startswith("LRCN_") and name[5] in "PFWA"}

    assert told(None) == {}
    assert told(Gpu()) == {"LRCN_PRECISION": "fp32", "LRCN_WORKSPACE": "1024"}
    monkeypatch.chdir(tmp_path)
    kept = Compute(engine(), Gpu((1,), "tf32", True, 64)).keeping(Path("algorithms.txt"))
    assert told(kept.gpu) == {
        "LRCN_PRECISION": "tf32",
        "LRCN_WORKSPACE": "64",
        "LRCN_FAST": "1",
        "LRCN_ALGORITHMS": str(tmp_path / "algorithms.txt"),
    }
    assert Compute(engine()).keeping(tmp_path / "algorithms.txt").gpu is None


@pytest.mark.parametrize(
    "values",
    [
        {"numbers": ()},
        {"numbers": (0, 0)},
        {"numbers": (-1,)},
        {"numbers": 0},
        {"precision": "fp16"},
        {"workspace": 0},
        {"workspace": 1 << 21},
    ],
)
def test_values_that_no_gpu_has_are_refused(values):
    [(name, value)] = values.items()
    with pytest.raises(EngineError, match=f"^Gpu: {name}={re.escape(repr(value))}: takes "):
        Gpu(**values)


def test_a_number_is_no_gpu():
    """As lrcn took it before; 0 would be the CPU."""
    with pytest.raises(TypeError, match=r"gpu=0: takes a Gpu of lrcn.engine.device, Gpu\(\(0,\)\), or None"):
        Compute(engine(), 0)


def test_a_cpu_engine_takes_no_gpu():
    assert Compute(engine(cuda=False)).device == {"gpu": None}
    one = engine(nccl=False)
    assert Compute(one, Gpu((1,), "tf32")).device == {"gpu": 1, "precision": "tf32", "fast": False}
    with pytest.raises(EngineError, match="^--gpu 0,1: .*`lrcn caffe build --cuda --nccl --source bvlc`"):
        Compute(one, Gpu((0, 1))).check_together()
    Compute(one, Gpu((0,))).check_together()
    with pytest.raises(EngineError, match="^--gpu 2,3: .*build --cuda"):
        Compute(engine(cuda=False), Gpu((2, 3)))


def test_what_results_say_of_a_gpu():
    assert Compute(engine()).about() is None
    assert Compute(engine(), Gpu((2, 0), "tf32", True)).about() == {
        "cards": [{"name": "card 2", "capability": "9.0"}, {"name": "card 0", "capability": "9.0"}],
        "driver": "580.95.05",
        "cuda": "13.0.88",
        "cudnn": "9.13.0",
        "precision": "tf32",
        "deterministic": False,
    }
    assert Compute(engine(), Gpu()).about()["deterministic"] is True


def test_each_of_several_keeps_algorithms_of_its_own(tmp_path):
    two = Gpu((3, 1), "tf32", True, 8, tmp_path / "algorithms.txt")
    assert two.alone(0) == Gpu((3,), "tf32", True, 8, tmp_path / "algorithms.txt")
    assert two.alone(1) == Gpu((1,), "tf32", True, 8, tmp_path / "algorithms-1.txt")
    assert Gpu((3, 1)).alone(1) == Gpu((1,))


def test_names():
    assert [gpu.name for gpu in (Gpu(), Gpu((0, 1)), Gpu((0, 1, 4), "tf32", True))] == [
        "GPU 0",
        "GPUs 0 and 1",
        "GPUs 0, 1 and 4, tf32, fast",
    ]


def test_a_process_on_one_gpu_begins_nothing_on_the_first(monkeypatch):
    """Caffe begins on the device that is set; its mode alone makes it begin, on GPU 0."""
    calls = []
    caffe = SimpleNamespace(set_device=calls.append, set_mode_gpu=lambda: calls.append("begin"))
    monkeypatch.setitem(sys.modules, "caffe", caffe)
    use_device(3)
    assert calls == [3, "begin"]
