"""How fast captions are made: beam 5 by `Captioner`, which carries the LSTMs' states from word to word for all images
and beams at once and computes once what they share, against replaying every prefix of every beam through the net before
each word.

    python benchmarks/beam.py [--images 20] [--replayed 2] [--length 12] [--width 5]

LRCN-2f at its published size (1000 units, 8801 words) with random weights, in the same run and on the same net. Such a
net hardly ever ends a sentence, so all are cut off at --length words: 12, the end included, is about what a caption of
COCO has; longer ones are worse for the replaying way. Both ways take turns, and their sentences are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rows import Row, main

from data_prep.vocabulary import UNKNOWN
from lrcn.engine.compute import Compute
from lrcn.sentences.captioner import Caption, Captioner
from lrcn.sentences.deploy_nets import DeployNets
from netspecs import catalogue
from prototxt_gen import caffe_pb2, to_text
from prototxt_gen.shapes import infer

REPLAY = Path(__file__).with_name("replay.py")
NET = "caption/lrcn-2f"


def write_weights(path: Path, net) -> None:
    """Uniform in -0.08 .. 0.08, as the published nets begin."""
    made, rng = caffe_pb2.NetParameter(), np.random.default_rng(1701)
    for row in infer(net, "TEST").rows:
        if row.weights:
            layer = made.layer.add(name=row.layer.name, type=row.layer.type)
            for shape in row.weights:
                blob = layer.blobs.add(data=rng.uniform(-0.08, 0.08, int(np.prod(shape))).astype(np.float32))
                blob.shape.dim.extend(shape)
    path.write_bytes(made.SerializeToString())


def replayed(folder: Path, fc8: np.ndarray, asked: argparse.Namespace, compute: Compute) -> dict:
    """{"sentences", "seconds"} of one image, fc8 (1, D), by the net and weights that lie in the folder."""
    np.save(folder / "fc8.npy", fc8)
    files = [folder / name for name in ("carried.prototxt", "random.caffemodel", "fc8.npy")]
    done = subprocess.run(
        [sys.executable, REPLAY, *files, str(asked.width), str(asked.length)],
        env=compute.engine.environment() | {"GLOG_minloglevel": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def compare(captioner: Captioner, captions: list[Caption], sentences: list[list[tuple[int, float]]]) -> None:
    """AssertionError where both ways do not say the same."""
    for caption, sentence in zip(captions, sentences, strict=True):
        assert captioner.indices(caption.words) + [0] * caption.finished == [word for word, _ in sentence]
        np.testing.assert_allclose(caption.log_probs, [gain for _, gain in sentence], atol=1e-4)


def measure(asked: argparse.Namespace) -> list[Row]:
    compute, changes = Compute(), {"units": asked.units, "vocabulary": asked.vocabulary, "deploy_streams": 1}
    net, exposed = (catalogue.get(NET).files(**changes, **more)["deploy"] for more in ({}, {"deploy_state": "exposed"}))
    words = [UNKNOWN, *(f"w{n}" for n in range(2, asked.vocabulary))]
    fc8 = np.random.default_rng(0).normal(0, 2, (asked.images, 1000)).astype(np.float32)
    carried, slow = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_weights(folder / "random.caffemodel", net)
        (folder / "carried.prototxt").write_text(to_text(net))
        with Captioner(DeployNets(exposed), folder / "random.caffemodel", words, compute) as captioner:
            captioner.beam(fc8[:1], asked.width, asked.width, 2)  # the nets are built
            for turn in range(asked.replayed):
                begun = time.perf_counter()
                captions = captioner.beam(fc8, asked.width, asked.width, asked.length)
                carried.append(len(fc8) / (time.perf_counter() - begun))
                answer = replayed(folder, fc8[turn : turn + 1], asked, compute)
                slow.append(1 / answer["seconds"])
                compare(captioner, captions[turn], answer["sentences"])
    what = f"beam {asked.width}, {asked.length} words, LRCN-2f, {asked.units} units, {asked.images} images at a time"
    one, other = statistics.median(carried), statistics.median(slow)
    return [Row(what, one, "captions/s", "every prefix replayed", other, one / other, "at least 120")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--replayed", type=int, default=2, help="images for the slow way, a turn each")
    parser.add_argument("--length", type=int, default=12)
    parser.add_argument("--width", type=int, default=5)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--vocabulary", type=int, default=8801)
    main(measure, parser)
