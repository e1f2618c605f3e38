"""The solvers: their settings, the published values, and the function that writes one."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from google.protobuf.message import Message

from netspecs.sources import COCO, Field, File, Ours, Sourced
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


def of_solver(field: str) -> Field:
    """The source of what the solver's file says."""
    return Field("solver", field)


SETTINGS = {
    "net": Setting(
        "train_test.prototxt",
        text,
        "the net's file, as the solver's file names it",
        Ours("a net has a folder of its own"),
    ),
    "type": Setting(
        "SGD", one_of("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"), "the method", of_solver("type")
    ),
    "base_lr": Setting(0.001, number(), "learning rate at the start", of_solver("base_lr")),
    "lr_policy": Setting("step", one_of(*POLICIES), "how the learning rate falls", of_solver("lr_policy")),
    "gamma": Setting(0.1, number(), "factor of the learning rate at each step", of_solver("gamma")),
    "stepsize": Setting(10000, whole(), "iterations a step", of_solver("stepsize")),
    "stepvalue": Setting([], sizes, "iterations at which lr_policy multistep steps", of_solver("stepvalue")),
    "power": Setting(1.0, number(), "exponent of lr_policy inv and poly", Ours("no solver of the release has these")),
    "max_iter": Setting(30000, whole(), "iterations", of_solver("max_iter")),
    "iter_size": Setting(1, whole(), "batches whose gradients make one iteration", of_solver("iter_size")),
    "momentum": Setting(0.9, number(0, 1), "momentum", of_solver("momentum")),
    "weight_decay": Setting(0.005, number(), "L2 weight decay", of_solver("weight_decay")),
    "clip_gradients": Setting(
        -1.0, number(-1), "L2 norm that the gradients are clipped to; negative for none", of_solver("clip_gradients")
    ),
    "average_loss": Setting(1, whole(), "iterations that the displayed loss is the mean of", of_solver("average_loss")),
    "test_iter": Setting(100, whole(0), "batches a test; 0 for no tests", of_solver("test_iter[0]")),
    "test_interval": Setting(100, whole(), "iterations between tests", of_solver("test_interval")),
    "display": Setting(20, whole(0), "iterations between lines of the log", of_solver("display")),
    "snapshot": Setting(5000, whole(0), "iterations between snapshots; 0 for one at the end", of_solver("snapshot")),
    "snapshot_prefix": Setting(
        "snapshots", text, "what a snapshot's file name begins with", of_solver("snapshot_prefix")
    ),
    "solver_mode": Setting("GPU", one_of("GPU", "CPU"), "where it runs", of_solver("solver_mode")),
    "device_id": Setting(0, whole(0), "which GPU", of_solver("device_id")),
}

# What the authors' solver files say, where it is not what SETTINGS has. Activity recognition, by family and modality:
ACTIVITY: dict[tuple[str, str], dict[str, Any]] = {
    ("single-frame", "rgb"): dict(
        stepsize=3000, max_iter=5000, test_iter=75, snapshot_prefix="snapshots_singleFrame_RGB"
    ),
    ("single-frame", "flow"): dict(
        stepsize=20000,
        max_iter=50000,
        test_iter=75,
        snapshot_prefix="snapshots_singleFrame_flow",
        device_id=Sourced(0, Ours("which GPU is the machine's matter; the released solver says 1")),
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
_PREFIX = Ours("the released solvers' names, without their folder")
OF_SENTENCES = SETTINGS | {"snapshot_prefix": SETTINGS["snapshot_prefix"]._replace(source=_PREFIX)}
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


# Of VGG-16's, what is the same in all stages.
UNTESTED = dict(
    test_iter=Sourced(0, Field("solver", "test_iter", [])),
    test_interval=Sourced(1000, Ours("as CaffeNet's; without tests nothing reads it")),
)


def caption_released(architecture: str, backbone: str, stage: str) -> dict[str, File]:
    """The authors' files of a captioner's training: one net, with stages for each architecture, and the solvers of
    LRCN-2f, of which `train` has one for 1u and 2u too."""
    vgg = ".vgg" if backbone == "vgg16" else ""
    buffer = ".buffer_50" if vgg and stage.startswith("finetune") else ""
    own = {"1u": "lrcn_solver.single_layer", "2u": "lrcn_solver.unfactored"}.get(architecture)
    if own and stage == "train" and not vgg:
        solver, instead = own, ""
    else:
        solver = {
            "train": f"lrcn_solver{vgg}",
            "from-lm": "lrcn_solver.vgg" if vgg else "lrcn_solver.from_lm",
            "finetune": f"lrcn_finetune_solver{vgg}",
            "finetune-trainval": f"lrcn_finetune_solver{vgg}.trainval",
        }[stage]
        instead = f"LRCN-{architecture}'s was not released; as LRCN-2f" if architecture != "2f" else ""
        if vgg and stage == "from-lm":
            instead = "no VGG-16 from a language model was released; as without one"
    of_2f = "" if architecture == "2f" and not vgg else "LRCN-2f's on CaffeNet alone was released"
    return dict(
        net=File(
            f"{COCO}/lrcn{vgg}{buffer}.prototxt", "LRCN-4f was not released; as 2f" if architecture == "4f" else ""
        ),
        solver=File(f"{COCO}/{solver}.prototxt", instead),
        deploy=File(f"{COCO}/lrcn_word_to_preds.deploy.prototxt", of_2f),
    )


def published(table: Mapping[str, Setting], values: Mapping[str, Any]) -> dict[str, Setting]:
    """`table` with the published `values` as defaults, which may be `Sourced`."""
    return {
        name: setting._replace(**value._asdict()) if isinstance(value, Sourced) else setting._replace(default=value)
        for name, setting in table.items()
        for value in [values.get(name, setting.default)]
    }


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
