"""How fast captions are made: beam 5 by `Captioner`, which carries the LSTMs' states from word to word for all
images and beams at once, against replaying every prefix of every beam through the net before each word.

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

from data_prep.vocabulary import UNKNOWN
from lrcn.engine.compute import Compute
from lrcn.sentences.captioner import Captioner
from lrcn.sentences.deploy_nets import DeployNets
from netspecs import catalogue
from prototxt_gen import caffe_pb2, to_text
from prototxt_gen.shapes import infer

REPLAY = Path(__file__).resolve().parents[1] / "tests" / "lrcn" / "sentences" / "replay.py"


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


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=20)
    options.add_argument("--replayed", type=int, default=2, help="images for the slow way, a turn each")
    options.add_argument("--length", type=int, default=12)
    options.add_argument("--width", type=int, default=5)
    options.add_argument("--units", type=int, default=1000)
    options.add_argument("--vocabulary", type=int, default=8801)
    given = options.parse_args()
    compute, name = Compute(), "caption/lrcn-2f"
    changes = {"units": given.units, "vocabulary": given.vocabulary}
    net = catalogue.get(name).files(deploy_streams=1, **changes)["deploy"]
    words = [UNKNOWN, *(f"w{n}" for n in range(2, given.vocabulary))]
    fc8 = np.random.default_rng(0).normal(0, 2, (given.images, 1000)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        weights = folder / "random.caffemodel"
        write_weights(weights, net)
        (folder / "carried.prototxt").write_text(to_text(net))
        exposed = catalogue.get(name).files(deploy_streams=1, deploy_state="exposed", **changes)["deploy"]
        ours, theirs = [], []
        with Captioner(DeployNets(exposed), weights, words, compute) as captioner:
            captioner.beam(fc8[:1], given.width, given.width, 2)  # the net is built
            for turn in range(given.replayed):
                begun = time.perf_counter()
                captions = captioner.beam(fc8, given.width, given.width, given.length)
                ours.append((time.perf_counter() - begun) / len(fc8))
                np.save(folder / "fc8.npy", fc8[turn : turn + 1])
                slow = json.loads(
                    subprocess.run(
                        [
                            sys.executable,
                            REPLAY,
                            folder / "carried.prototxt",
                            weights,
                            folder / "fc8.npy",
                            str(given.width),
                            str(given.length),
                        ],
                        env=compute.engine.environment() | {"GLOG_minloglevel": "2"},
                        capture_output=True,
                        text=True,
                        check=True,
                    ).stdout
                )
                theirs.append(slow["seconds"])
                for said, sentence in zip(captions[turn], slow["sentences"], strict=True):
                    assert captioner.indices(said.words) + [0] * said.finished == [word for word, _ in sentence]
                    np.testing.assert_allclose(said.log_probs, [gain for _, gain in sentence], atol=1e-4)
    carried, replayed = 1 / statistics.median(ours), 1 / statistics.median(theirs)
    print(
        f"beam {given.width}, {given.length} words, {given.units} units, {given.vocabulary} words known, "
        f"{compute.engine.blas.split(' ')[0]} {compute.engine.blas.split(' ')[1]}"
    )
    print(
        f"carried, {given.images} images at once: {carried:.2f} captions a second "
        f"({', '.join(f'{1 / each:.2f}' for each in ours)})"
    )
    print(
        f"replayed, one image at a time:  {replayed:.4f} captions a second "
        f"({', '.join(f'{1 / each:.4f}' for each in theirs)})"
    )
    print(f"ratio {carried / replayed:.1f}; at least 20 is demanded; the sentences are the same")


if __name__ == "__main__":
    main()
