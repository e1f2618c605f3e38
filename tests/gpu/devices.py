"""The GPUs that tests run on: an emulated one, and a real card where there is one."""

import pickle
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from lrcn import engine
from lrcn.engine.cards import cards
from prototxt_gen import to_text
from tests.emulated_gpu import engine as emulated

WORKER = Path(__file__).with_name("caffe_worker.py")


@dataclass(frozen=True)
class Device:
    engine: engine.Engine
    environment: dict = field(default_factory=dict)  # for `lrcn`, so that it takes this engine
    is_emulated: bool = False

    def call(self, mode, command, *arguments, **environment):
        """caffe_worker.py in this engine, on its GPU or on the CPU; the CompletedProcess. LRCN_* of the caller's own
        environment is not handed on."""
        usual = {name: value for name, value in self.engine.environment().items() if not name.startswith("LRCN_")}
        return subprocess.run(
            [sys.executable, WORKER, mode, command, *map(str, arguments)],
            env=usual | {"GLOG_minloglevel": "0", "OPENBLAS_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
        )

    def passes(self, mode, cases, folder, check=True, **environment):
        """What each case's passes give, and Caffe's log; fewer cases where Caffe ended and `check` is False."""
        folder.mkdir(parents=True, exist_ok=True)
        path_in, path_out = folder / "in.pickle", folder / "out.pickle"
        path_in.write_bytes(pickle.dumps([case.for_caffe() for case in cases]))
        path_out.write_bytes(b"")
        done = self.call(mode, "passes", path_in, path_out, **environment)
        results = []
        with path_out.open("rb") as file:
            while file.peek(1):
                results.append(pickle.load(file))
        if check:
            assert done.returncode == 0, f"{cases[len(results)].name}: {done.stderr[-3000:]}"
        return results, done.stderr


@dataclass
class Case:
    """A net of one layer or few, and how it is run."""

    name: str
    net: object  # NetParameter
    passes: list  # of {input: array}
    summands: float  # that come to one value, forward or backward: what `rounding` takes
    phase: str = "TEST"
    backward: tuple = ()  # blobs whose gradients are drawn; without any and with `loss` False there is no way back
    loss: bool = False
    differentiable: tuple = ()  # inputs of which the gradient is looked at

    def for_caffe(self):
        self.net.force_backward = bool(self.differentiable)
        return {
            "net": to_text(self.net),
            "phase": self.phase,
            "passes": [{name: np.asarray(value, np.float32) for name, value in each.items()} for each in self.passes],
            "backward": self.backward or (("loss",) if self.loss else ()),
            "differentiable": self.differentiable,
        }


def emulated_gpu() -> Device:
    if lacking := [program for program in ("cmake", "ninja", "c++") if not shutil.which(program)]:
        pytest.skip(f"the engine with the emulated GPU cannot be built: no {', '.join(lacking)}")
    try:
        made = emulated.build()
    except emulated.NotBuilt as error:
        pytest.fail(f"the engine with the emulated GPU is not built: {error}")
    return Device(made, emulated.environment(made), True)


def real_card() -> Device:
    if not cards():
        pytest.skip("no NVIDIA card or driver on this machine")
    try:
        return Device(engine.find(cuda=True))
    except engine.EngineError as error:
        pytest.skip(str(error))
