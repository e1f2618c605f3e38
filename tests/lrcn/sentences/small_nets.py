"""Small nets of every kind that makes sentences: their sizes, words, weights and inputs."""

import numpy as np

from lrcn.trained_net import TrainedNet
from netspecs import catalogue
from prototxt_gen import caffe_pb2
from prototxt_gen.shapes import infer
from tests.shared import ROOT

REPLAY = ROOT / "benchmarks" / "replay.py"
WORDS = ["<unk>", "con", "chó", "trên", "cỏ", "a", "dog", "on", "grass", "$x$", '"', "runs"]
SMALL = {"units": 9, "embedding": 7}
GIVEN = {"backbone": "features", "feature_size": 6, "fc8": 5}
NETS = {
    name: SMALL | ({} if name.startswith("lm") else GIVEN)
    for name in [f"caption/lrcn-{architecture}" for architecture in ("1u", "2u", "2f", "4f")] + ["lm/lstm-lm"]
}


def write_variant_weights(path, name, changes, size=1.0, end=0.0):
    """Random weights of all of a net's layers, uniform in -size..size; `end` is added to the bias of the end."""
    sentences = {} if name.startswith("activity") else {"vocabulary": len(WORDS) + 1, "deploy_streams": 1}
    files = catalogue.get(name).files(**sentences, **changes)
    made, rng = caffe_pb2.NetParameter(), np.random.default_rng(3)
    for net in (files[kind] for kind in ("deploy", "deploy_images") if kind in files):
        for row in infer(net, "TEST").rows:
            layer = made.layer.add(name=row.layer.name, type=row.layer.type) if row.weights else None
            for shape in row.weights or ():
                blob = layer.blobs.add(data=rng.uniform(-size, size, int(np.prod(shape))))
                blob.shape.dim.extend(shape)
            if row.layer.name == "predict":
                layer.blobs[1].data[0] += end
    path.write_bytes(made.SerializeToString())
    return path


def write_vocabulary(path, words=WORDS):
    path.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    return path


def trained_net(name, weights, sizes, vocabulary=WORDS):
    """A net of the catalogue with these weights, its vocabulary beside them."""
    variant, path = catalogue.get(name), write_vocabulary(weights.with_suffix(".txt"), vocabulary)
    return TrainedNet(variant, variant.settings(**sizes), weights, weights.parent, vocabulary=path)


def features(count=4):
    return np.random.default_rng(1).normal(0, 1, (count, GIVEN["fc8"])).astype(np.float32)
