"""Nets of the catalogue at sizes that train in no time, and their runs."""

import json
import math
import os
import signal

from data_prep.dataset import Dataset
from lrcn.activity import clip_settings
from lrcn.engine.compute import Compute
from lrcn.training import train
from lrcn.training.job import settings_of
from lrcn.training.run import Run, identity_of
from netspecs import catalogue
from prototxt_gen import caffe_pb2, to_text
from prototxt_gen.shapes import infer
from tests.weights import write_layers

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
# What makes all nets of Table 1 that small, and trains them in no time.
SMALL_TABLE1 = {
    "backbone": "tiny",
    "widths": [4, 4, 4],
    "fc6": 8,
    "fc7": 8,
    "crop": 20,
    "batch": 6,
    "test_batch": 4,
    "videos": 3,
    "test_videos": 2,
    "units": 5,
    "frames": 4,
    "test_iter": 1,
    "test_interval": 2,
    "snapshot": 2,
    "max_iter": 4,
    "display": 1,
    "deploy_clips": 2,
    "workers": 2,
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
    """The settings and files of a small net on video frames."""
    sizes = {"batch": 6, "test_batch": 4} if "single" in variant else {"videos": 3, "test_videos": 2, "units": 5}
    settings = catalogue.get(variant).settings(**{**SMALL_CLIPS, **sizes, "data": str(dataset), **changes})
    return settings, catalogue.get(variant).files(**settings)


def segments(data, variant, **changes):
    """The files of a small net of sentences in segments of 3 iterations, the data's end lying amid one of them."""
    tiny = TINY | {"crop": 20} if variant.startswith("caption") and "feature_size" not in data.description else {}
    stage = {"stage": "finetune"} if variant.startswith("caption") else {}
    sizes = {
        "units": 6,
        "embedding": 6,
        "max_iter": 20,
        "snapshot": 3,
        "test_interval": 4,
        "test_iter": 1,
        "display": 1,
        "type": "Adam",
    }
    return catalogue.get(variant).files(**settings_of(variant, data, stage | tiny | sizes | changes))


def small_table1(*nets):
    """Those of SMALL_TABLE1 that one of these nets of activity/* has."""
    known = [catalogue.get(f"activity/{net}").table for net in nets]
    return {name: value for name, value in SMALL_TABLE1.items() if any(name in table for table in known)}


def set_options(settings):
    """As `lrcn` takes them."""
    return ["--set", *(f"{name}={json.dumps(value)}" for name, value in settings.items())]


# ---- runs --------------------------------------------------------------------------------------------------


def train_files(files, folder, weights=(), until=math.inf, **more):
    """Trains a net in a folder; gives its last .caffemodel. Where it hears of iteration `until`, it kills itself. more:
    which snapshots stay."""

    def tell(name, done, total):
        if done >= until:
            os.kill(os.getpid(), signal.SIGKILL)

    run = Run(folder)
    with run.locked():
        return train.train(run, files, Compute(progress=tell), weights, **more)


def train_small(dataset, folder, variant="activity/lrcn-fc6-rgb", weights=(), fresh=False, **changes):
    """Trains a `small` net in a folder as a job does; gives the trained net."""
    settings, files = small(dataset, variant, **changes)
    run = Run(folder)
    with run.locked():
        if fresh:
            run.clear()
        run.claim(identity_of(files, weights, "small"), settings)
        run.keep(catalogue.get(variant), settings, {"classes": Dataset(dataset).classes}, dataset)
        train.train(run, files, Compute(), weights)
    return run.net()


def write_snapshot(folder, iteration, whole=True, net=True, rows=()):
    """A snapshot as Caffe leaves it: whole, cut off within its state, or without its .caffemodel. rows: of the net,
    as `infer` has them; a net of one layer without weights by default."""
    state = caffe_pb2.SolverState(iter=iteration, current_step=0)
    state.history.add().data.extend([1.0] * 10)
    content = state.SerializeToString()
    path = Run(folder).snapshot(iteration)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".solverstate").write_bytes(content if whole else content[:-1])
    if net and rows:
        write_layers(path, rows)
    elif net:
        made = caffe_pb2.NetParameter()
        made.layer.add(name="data")
        path.write_bytes(made.SerializeToString())


def small_run(folder, *iterations, net="lrcn-fc6-flow", **changes):
    """A run of a small net of activity/* on no data set, with snapshots of these iterations; `rows`: of its net, as
    `infer` has them."""
    run, variant = Run(folder), catalogue.get(f"activity/{net}")
    settings = variant.settings(**small_table1(net) | {"data": "/a/data"} | changes)
    files, inputs = variant.files(**settings), variant.input_shapes(**settings)["train"]
    run.folder.mkdir(parents=True)
    run.claim(identity_of(files, [], "digest"), settings)
    run.keep(variant, settings, {"classes": ["a", "b", "c"], "fps": None, "flow": None}, folder)
    run.rows = infer(files["train_test"], "TRAIN", inputs=inputs, python=clip_settings.top_shapes).rows
    for iteration in iterations:
        write_snapshot(folder, iteration, rows=run.rows)
    return run


def write_finished(folder, files, rows=()):
    """What is left of a run that has come to its end, as far as it is asked for that. rows: as in `write_snapshot`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "solver.prototxt").write_text(to_text(files["solver"]))
    write_snapshot(folder, files["solver"].max_iter, rows=rows)
