"""Random mutants of sound nets and solvers: what Caffe refuses, `check` has said; what it has not, Caffe runs."""

import random
from collections import Counter

import h5py
import numpy as np
import pytest

from netspecs import catalogue
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import solver_states, to_text
from prototxt_gen.check import check
from tests.netspecs.small_nets import EVERY, deployed, small, with_inputs
from tests.prototxt_gen.mutants import mutant, solver_mutant
from tests.prototxt_gen.smallnets import GOOD, layer

pytestmark = pytest.mark.engine

SEED = 1701

# What is found although this Caffe runs it. The first four stop upstream's Caffe, whose sources check them; the others
# run in any Caffe, and learn nothing or something else than the net says.
DELIBERATE = [
    "its bottoms must have one shape",
    "does not fit its first",
    "give stride_h and stride_w both",
    "are statistics",
    "in place, but makes",
    "it embeds",
    "dropout_ratio is the share",
    "it takes 0 to",
    "no layer is built",
    "max_iter must be",
    "iter_size must be",
    "average_loss must be",
    "test_iter must be",
    "must not be below 0",
    "base_lr must be",
    "momentum must",
    "momentum2 must",
    "by gamma",
    "needs gamma",
    "needs power",
    "divides by stepsize",
    "needs stepvalue",
    "must rise",
    "divides by delta",
    "clip_gradients: 0",
    "there is no folder",
    "regularization_type",
    "with snapshot goes snapshot_prefix",  # BVLC's Caffe makes a prefix up, the sdist stops
]


def catalogue_nets():
    """(net, phase, stages) of every variant, small and with inputs that need no files."""
    found = []
    for name, choice in EVERY:
        settings, variant = small(name, **choice), catalogue.get(name)
        files = variant.files(**settings)
        net = with_inputs(files["train_test"], variant.input_shapes(**settings))
        found += [(net, pb.Phase.Name(state.phase), tuple(state.stage)) for state in solver_states(files["solver"])]
        found += [(net, "TEST", ()) for net in deployed(name, settings).values()]
    return found


def hdf5_nets(folder):
    """A net whose words and labels are in files, for data that mutants find too short, too wide or out of range."""
    with h5py.File(folder / "data.h5", "w") as file:
        file["words"] = np.arange(24, dtype="float32").reshape(12, 2) % 5
        file["label"] = np.arange(24, dtype="float32").reshape(12, 2) % 4
    (folder / "list.txt").write_text(f"{folder / 'data.h5'}\n")
    net = pb.NetParameter(
        layer=[
            layer("HDF5Data", top="words label", name="data", source=str(folder / "list.txt"), batch_size=4),
            layer("Embed", "words", "embedded", input_dim=5, num_output=3, weight_filler=dict(type="uniform")),
            layer("InnerProduct", "embedded", "scores", num_output=5, axis=2, weight_filler=dict(type="xavier")),
            layer("SoftmaxWithLoss", "scores label", "loss", axis=2),
        ]
    )
    return [(net, phase, ()) for phase in ("TRAIN", "TEST")] * 10


def compared(jobs, found, caffe_s, words):
    """No clean one is refused; and the few that are found though they run are found on purpose."""
    refused = ["refused" in made for made in caffe_s]
    missed = [
        f"{how}: {made['refused']}" for how, said, made in zip(words, found, caffe_s) if not said and "refused" in made
    ]
    assert missed == []
    alarms = [
        (how, [finding.message for finding in said])
        for how, said, stopped in zip(words, found, refused)
        if said and not stopped
    ]
    unexplained = [(how, said) for how, said in alarms if not any(rule in text for rule in DELIBERATE for text in said)]
    assert unexplained == []
    assert sum(refused) > 0.2 * len(jobs)  # the mutants are neither all harmless
    assert sum(not said for said in found) > 0.2 * len(jobs)  # nor all hopeless
    return Counter(rule for _, said in alarms for rule in DELIBERATE if any(rule in text for text in said)), len(alarms)


@pytest.mark.parametrize("source, count", [("small nets", 500), ("the catalogue", 250), ("files", 100)])
def test_mutant_nets(source, count, in_caffe, tmp_path):
    rng = random.Random(SEED)
    bases = {
        "small nets": lambda: [(net, phase, ()) for net in GOOD.values() for phase in ("TRAIN", "TRAIN", "TEST")],
        "the catalogue": catalogue_nets,
        "files": lambda: hdf5_nets(tmp_path),
    }[source]()
    jobs, words, found = [], [], []
    for number in range(count):
        base, phase, stages = rng.choice(bases)
        net, how = mutant(base, rng)
        (tmp_path / f"{number}.prototxt").write_text(to_text(net))
        jobs.append((net, phase, stages))
        words.append(f"{number}, {base.name or base.layer[-1].type} in {phase}: {how}")
        found.append(check(tmp_path / f"{number}.prototxt", phase, stages).findings)
    kinds, alarms = compared(jobs, found, in_caffe(jobs), words)
    assert alarms <= 0.1 * count, kinds


def test_mutant_nets_alone(in_caffe, tmp_path):
    """Asked about no state, `check` says which ones it looked at: Caffe runs a clean net in all of them."""
    rng = random.Random(SEED)
    jobs, words = [], []
    for number in range(150):
        name = rng.choice(list(GOOD))
        net, how = mutant(GOOD[name], rng)
        (tmp_path / f"{number}.prototxt").write_text(to_text(net))
        checked = check(tmp_path / f"{number}.prototxt")
        for state in [] if checked.findings else checked.states:
            phase, _, stages = state.partition(" with ")
            jobs.append((net, phase, stages.split(", ") if stages else []))
            words.append(f"{number}, {name} in {state}: {how}")
    assert len(jobs) >= 100
    assert [f"{how}: {made['refused']}" for how, made in zip(words, in_caffe(jobs)) if "refused" in made] == []


def test_mutant_solvers(in_caffe, tmp_path):
    rng = random.Random(SEED)
    net = pb.NetParameter()
    for phase, rule in (pb.TRAIN, {}), (pb.TEST, dict(not_stage=["factored"])), (pb.TEST, dict(stage=["factored"])):
        net.layer.append(layer("DummyData", top="x label", shape=[(4, 5), (4,)], include=[dict(phase=phase, **rule)]))
    net.layer.append(layer("InnerProduct", "x", "y", num_output=3, weight_filler=dict(type="xavier")))
    net.layer.append(layer("SoftmaxWithLoss", "y label", "loss"))
    (tmp_path / "net").write_text(to_text(net))
    solver = pb.SolverParameter(
        net=str(tmp_path / "net"),
        base_lr=0.1,
        lr_policy="step",
        gamma=0.1,
        stepsize=10,
        max_iter=2,
        momentum=0.9,
        weight_decay=0.01,
        test_iter=[1, 2],
        test_interval=1,
        snapshot=100,
        snapshot_prefix="here",
        display=1,
        solver_mode=pb.SolverParameter.CPU,
        test_state=[dict(stage=["factored"]), dict()],
    )
    jobs, words, found = [], [], []
    for number in range(250):
        changed, how = solver_mutant(solver, rng)
        (tmp_path / f"{number}.prototxt").write_text(to_text(changed))
        jobs.append((to_text(changed), "SOLVE", ()))
        words.append(how)
        found.append(check(tmp_path / f"{number}.prototxt", folder=tmp_path).findings)
    kinds, alarms = compared(jobs, found, in_caffe(jobs), words)
    assert alarms <= 0.2 * len(jobs), kinds
