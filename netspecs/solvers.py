"""The solvers: their settings, the published values, and the function that writes one."""

from collections.abc import Mapping, Sequence
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

# What the authors' solver files say, where it is not what SETTINGS has. Activity recognition, by family and modality:
ACTIVITY: dict[tuple[str, str], dict[str, Any]] = {
    ("single-frame", "rgb"): dict(
        stepsize=3000, max_iter=5000, test_iter=75, snapshot_prefix="snapshots_singleFrame_RGB"
    ),
    ("single-frame", "flow"): dict(
        stepsize=20000, max_iter=50000, test_iter=75, snapshot_prefix="snapshots_singleFrame_flow"
    ),
    ("lrcn", "rgb"): dict(
        stepsize=10000, max_iter=30000, clip_gradients=5, average_loss=1000, snapshot_prefix="snapshots_lstm_RGB"
    ),
    ("lrcn", "flow"): dict(
        stepsize=20000, max_iter=70000, clip_gradients=15, average_loss=1000, snapshot_prefix="snapshots_lstm_flow"
    ),
}

# Image description, by stage; the language model; VIDEO is ours: no solver of that task was released.
SENTENCES = dict(
    gamma=0.5,
    stepsize=20000,
    max_iter=110000,
    weight_decay=0,
    clip_gradients=10,
    average_loss=100,
    test_iter=25,
    test_interval=1000,
    display=1,
)
LANGUAGE_MODEL = SENTENCES | dict(base_lr=0.1, snapshot_prefix="lstm_lm")
VIDEO = SENTENCES | dict(base_lr=0.01, snapshot_prefix="lrcn_video")
_TRAIN = SENTENCES | dict(base_lr=0.01)
_FINETUNE = SENTENCES | dict(base_lr=0.001, max_iter=50000, clip_gradients=25)
CAPTION: dict[str, dict[str, Any]] = {
    "train": _TRAIN,
    "from-lm": _TRAIN,
    "finetune": _FINETUNE,
    "finetune-trainval": _FINETUNE | dict(stepsize=40000, max_iter=100000),
}
# VGG-16 is fine-tuned on 50 images at a time, two batches an iteration, and never tested while it trains.
CAPTION_VGG: dict[str, dict[str, Any]] = {
    "train": dict(test_iter=0),
    "from-lm": dict(test_iter=0),
    "finetune": dict(test_iter=0, streams=50, iter_size=2, snapshot=2500),
    "finetune-trainval": dict(test_iter=0, streams=50, iter_size=2),
}


def caption_stages(architecture: str, backbone: str) -> dict[str, dict[str, Any]]:
    """Stage -> the settings that come with it, as the authors trained LRCN-2f."""
    model = {"2f": "lrcn", "1u": "lrcn_single_layer", "2u": "lrcn_unfactored"}.get(architecture, f"lrcn_{architecture}")
    vgg, of_vgg = ("_vgg", CAPTION_VGG) if backbone == "vgg16" else ("", {})
    names = {
        "train": model + vgg,
        "from-lm": f"{model}_from_lm{vgg}",
        "finetune": f"{model}_finetune{vgg}",
        "finetune-trainval": f"{model}_finetune{vgg}_trainval",
    }
    return {
        stage: values | of_vgg.get(stage, {}) | dict(snapshot_prefix=names[stage]) for stage, values in CAPTION.items()
    }


def published(table: Mapping[str, Setting], values: Mapping[str, Any]) -> dict[str, Setting]:
    """`table` with the published `values` as defaults."""
    return {name: setting._replace(default=values.get(name, setting.default)) for name, setting in table.items()}


def solver(s: SimpleNamespace, test_states: Sequence[Message], train_state: Message | None = None) -> Message:
    """The SolverParameter of settings `s`, tested in each of `test_states` for `test_iter` batches."""
    batches = [s.test_iter] * len(test_states)
    tests = dict(test_state=list(test_states), test_iter=batches, test_interval=s.test_interval)
    return P.Solver(
        net=s.net,
        train_state=train_state,
        **(tests if s.test_iter else {}),
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
