"""Every net of the catalogue at small sizes, trained for 20 iterations: the losses on a GPU are those on the CPU."""

import json

import numpy as np
import pytest

from netspecs import catalogue
from prototxt_gen import to_text
from tests.netspecs.small_nets import small, with_inputs

pytestmark = pytest.mark.engine

ITERATIONS = 20
# Each variant on the backbone that costs least, and each backbone once.
NETS = [(name, {"backbone": "tiny"} if "backbone" in catalogue.get(name).table else {}) for name in catalogue.names()]
NETS += [
    ("activity/single-frame-rgb", {"backbone": "hybrid", "crop": 51}),
    ("activity/lrcn-fc6-flow", {"backbone": "caffenet", "crop": 51}),
    ("activity/lrcn-fc7-rgb", {"backbone": "features"}),
    ("caption/lrcn-2f", {"backbone": "caffenet", "crop": 51, "stage": "finetune"}),
    ("caption/lrcn-1u", {"backbone": "features", "stage": "train"}),
    ("caption/lrcn-4f-vgg16", {"backbone": "vgg16", "stage": "train"}),
]
IDS = [" ".join([name, *(value for value in choice.values() if isinstance(value, str))]) for name, choice in NETS]
# What rounding has come to, relative to the first loss: it is learnt from, and grows from step to step.
TOLERANCES = 1e-5 * np.array([1] * 5 + [10] * 5 + [100] * 10)


def write(folder, name, choice):
    """A training without test nets, files or dropout, whose random numbers are not the GPU's own; its solver's path."""
    variant, settings = catalogue.get(name), small(name, **choice)
    files = variant.files(**settings)
    net, solver = with_inputs(files["train_test"], variant.input_shapes(**settings)), files["solver"]
    for layer in net.layer:
        if layer.type == "Dropout":
            layer.type = "Power"  # to the first; dropout draws from the numbers of DummyData on the CPU alone
            layer.ClearField("dropout_param")
    for field in "test_iter", "test_state", "test_interval", "snapshot", "display":
        solver.ClearField(field)
    solver.net, solver.random_seed, solver.snapshot_after_train = "net.prototxt", 1701, False
    (folder / "net.prototxt").write_text(to_text(net))
    (folder / "solver.prototxt").write_text(to_text(solver))
    return folder / "solver.prototxt"


@pytest.fixture(scope="module")
def both(device, tmp_path_factory):
    """The losses of each of NETS on the CPU and on the GPU."""
    solvers = [write(tmp_path_factory.mktemp("net"), *net) for net in NETS]
    done = {mode: device.call(mode, "losses", ITERATIONS, *solvers, GLOG_minloglevel="1") for mode in ("cpu", "gpu")}
    losses = {mode: [json.loads(line) for line in each.stdout.splitlines()] for mode, each in done.items()}
    return losses["cpu"], losses["gpu"], done["gpu"].stderr


@pytest.mark.parametrize("index", range(len(NETS)), ids=IDS)
def test_losses_are_those_of_the_cpu(index, both):
    on_cpu, on_gpu, log = both
    assert index < len(on_gpu), f"the GPU's process ended before or at {IDS[index]}: {log[-2000:]}"
    due, found = np.array(on_cpu[index]), np.array(on_gpu[index])
    assert np.isfinite(due).all() and due.std() > 0.01 * due[0], "there is something to learn"
    assert (abs(found - due) <= TOLERANCES * due[0]).all(), np.round(abs(found - due) / due[0], 8)
