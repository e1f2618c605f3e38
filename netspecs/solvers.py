"""The solvers: their settings, the published values, and the function that writes one."""

from types import SimpleNamespace
from typing import Any

from google.protobuf.message import Message

from netspecs.variant import Setting, number, one_of, sizes, text, whole
from prototxt_gen import SpecError
from prototxt_gen import params as P

# Learning rate policy -> the settings that it reads; Caffe ignores the others, and the file leaves them out.
POLICIES = {
    "fixed": (),
    "step": ("gamma", "stepsize"),
    "multistep": ("gamma", "stepvalue"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
}

SETTINGS = {
    "net": Setting("train_test.prototxt", text, "the net's file, as the solver's file names it"),
    "type": Setting("SGD", one_of("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"), "the method"),
    "base_lr": Setting(0.001, number(), "learning rate at the start"),
    "lr_policy": Setting("step", one_of(*POLICIES), "how the learning rate falls"),
    "gamma": Setting(0.1, number(), "factor of the learning rate at each step"),
    "stepsize": Setting(10000, whole(), "iterations a step"),
    "stepvalue": Setting([], sizes, "iterations at which lr_policy multistep steps"),
    "power": Setting(1.0, number(), "exponent of lr_policy inv and poly"),
    "max_iter": Setting(30000, whole(), "iterations"),
    "iter_size": Setting(1, whole(), "batches whose gradients make one iteration"),
    "momentum": Setting(0.9, number(0, 1), "momentum"),
    "weight_decay": Setting(0.005, number(), "L2 weight decay"),
    "clip_gradients": Setting(-1.0, number(-1), "L2 norm that the gradients are clipped to; negative for none"),
    "average_loss": Setting(1, whole(), "iterations that the displayed loss is the mean of"),
    "test_iter": Setting(100, whole(0), "batches a test; 0 for no tests"),
    "test_interval": Setting(100, whole(), "iterations between tests"),
    "display": Setting(20, whole(0), "iterations between lines of the log"),
    "snapshot": Setting(5000, whole(0), "iterations between snapshots; 0 for one at the end"),
    "snapshot_prefix": Setting("snapshots", text, "what a snapshot's file name begins with"),
    "solver_mode": Setting("GPU", one_of("GPU", "CPU"), "where it runs"),
    "device_id": Setting(0, whole(0), "which GPU"),
}

# What the authors' solver files say, by family and modality.
PUBLISHED: dict[tuple[str, str], dict[str, Any]] = {
    ("single-frame", "rgb"): dict(stepsize=3000, max_iter=5000, test_iter=75,
                                  snapshot_prefix="snapshots_singleFrame_RGB"),
    ("single-frame", "flow"): dict(stepsize=20000, max_iter=50000, test_iter=75,
                                   snapshot_prefix="snapshots_singleFrame_flow"),
    ("lrcn", "rgb"): dict(stepsize=10000, max_iter=30000, clip_gradients=5, average_loss=1000,
                          snapshot_prefix="snapshots_lstm_RGB"),
    ("lrcn", "flow"): dict(stepsize=20000, max_iter=70000, clip_gradients=15, average_loss=1000,
                           snapshot_prefix="snapshots_lstm_flow"),
}


def solver(s: SimpleNamespace, test_states: tuple[Message, ...]) -> Message:
    """The SolverParameter of settings `s`, tested in each of `test_states` for `test_iter` batches."""
    tests = dict(test_state=list(test_states), test_iter=[s.test_iter] * len(test_states),
                 test_interval=s.test_interval) if s.test_iter else {}
    return P.Solver(
        net=s.net,
        **tests,
        type=_unless(s.type, "SGD"),
        base_lr=s.base_lr,
        lr_policy=s.lr_policy,
        **{name: getattr(s, name) for name in POLICIES[s.lr_policy]},
        max_iter=s.max_iter,
        iter_size=_unless(s.iter_size, 1),
        momentum=s.momentum,
        weight_decay=s.weight_decay,
        clip_gradients=s.clip_gradients if s.clip_gradients >= 0 else None,
        display=s.display,
        average_loss=_unless(s.average_loss, 1),
        snapshot=s.snapshot,
        snapshot_prefix=s.snapshot_prefix,
        solver_mode=s.solver_mode,
        device_id=s.device_id,
        random_seed=s.seed,
    )


def check(s: SimpleNamespace) -> None:
    """SpecError where solver settings clash."""
    if s.lr_policy == "multistep" and not s.stepvalue:
        raise SpecError("lr_policy=multistep steps at the iterations of stepvalue, which is empty: set it")


def _unless(value: Any, default: Any) -> Any:
    """None, which leaves the field out, where `value` is Caffe's own default: the authors' files leave these out."""
    return None if value == default else value
