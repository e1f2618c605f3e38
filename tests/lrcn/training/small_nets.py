"""Nets of the catalogue at sizes that train in no time."""

from lrcn.training import experiments
from lrcn.training.experiments import Stage
from netspecs import catalogue

SMALL_CLIPS = {
    "backbone": "tiny",
    "widths": [4, 4, 4],
    "fc6": 8,
    "fc7": 8,
    "crop": 20,
    "height": 24,
    "width": 32,
    "classes": 3,
    "workers": 2,
    "display": 1,
    "deploy_clips": 2,
    "frames": 4,
    "test_iter": 1,
    "test_interval": 5,
    "snapshot": 5,
    "max_iter": 20,
}
SMALL_SENTENCES = [
    "--set",
    "units=24",
    "embedding=24",
    "type=Adam",
    "base_lr=0.02",
    "lr_policy=fixed",
    "test_iter=1",
    "loss_weight=1",
    "display=5",
]
# A captioner of a CNN that trains in no time
TINY = {"backbone": "tiny", "widths": "4,4,4", "crop": 32, "height": 40, "width": 40, "fc6": 8, "fc7": 8, "fc8": 8}
OF_TINY = [f"{name}={value}" for name, value in TINY.items()]
CNN = ("conv1", "conv2", "conv3", "fc6", "fc7", "fc8")


def small(dataset, variant="activity/lrcn-fc6-rgb", **changes):
    sizes = {"batch": 6, "test_batch": 4} if "single" in variant else {"videos": 3, "test_videos": 2, "units": 5}
    settings = catalogue.get(variant).settings(**{**SMALL_CLIPS, **sizes, "data": str(dataset), **changes})
    return settings, catalogue.get(variant).files(**settings)


def segments(data, variant, **changes):
    """A small net of `variant` in segments of 3 iterations, the data's end lying amid one of them."""
    stage = Stage(variant, {"stage": "finetune"} if variant.startswith("caption") else {})
    sizes = {
        "units": 6,
        "embedding": 6,
        "max_iter": 20,
        "snapshot": 3,
        "test_interval": 4,
        "test_iter": 1,
        "display": 1,
        "type": "Adam",
        **changes,
    }
    tiny = TINY | {"crop": 20} if variant.startswith("caption") and "feature_size" not in data.description else {}
    settings = experiments.settings(stage, data, 1, {**tiny, **sizes})
    return catalogue.get(variant).files(**settings)
