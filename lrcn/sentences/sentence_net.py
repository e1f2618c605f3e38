"""Caffe's side of a `Captioner`: `python -m lrcn.sentences.sentence_net JOB.json` holds the nets and answers orders, a
JSON line each on standard input, arrays in files. A process of its own, because Caffe ends the one it runs in when
something is wrong, and its libraries clash with those of the Python wheels.

JOB.json: {"nets": {"step" and its parts, "images", "reader": prototxt files, those there are}, "weights", "gpu",
"streams"}.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lrcn.engine.caffe_side import telling_the_user, use_device
from lrcn.sentences import decoding
from lrcn.sentences.step_net import PARTS, PRODUCTS, StepNet, unroll


class Nets:
    """The nets of a job, and how each kind of order is carried out: arrays to be saved, by name.

    answer: called with what the captioner is told meanwhile.
    """

    def __init__(self, job: Mapping, answer):
        use_device(job["gpu"])
        self.job, self.answer = job, answer
        self.step = StepNet(self._parts(), self._open("reader")) if "step" in job["nets"] else None
        self.images = None  # opened by the first order that needs it

    def _open(self, name: str):
        """The net of that name with its weights; None where there is none."""
        import caffe

        path = self.job["nets"].get(name)
        return caffe.Net(path, self.job["weights"], caffe.TEST) if path else None

    def _parts(self) -> dict:
        """The parts of the step net, with its weights; the layers that are called as in it share them."""
        import caffe

        whole = self._open("step")
        parts = {name: caffe.Net(path, caffe.TEST) for name, path in self.job["nets"].items() if name in PARTS}
        for part in parts.values():
            part.share_with(whole)
            for layer in part.params.keys() - whole.params.keys():
                lstm, _, product = layer.rpartition("_")
                for blob, weights in zip(part.params[layer], [*whole.params[lstm]][PRODUCTS[product]]):
                    blob.data[...] = weights.data
        return parts

    def activations(self, order: Mapping) -> dict[str, np.ndarray]:
        """{blob: (N, D)} of images or activations (N, ...)."""
        self.images = self.images or self._open("images")
        net, images = self.images, np.load(order["images"])
        [name] = net.inputs
        net.blobs[name].reshape(*images.shape)
        net.blobs[name].data[...] = images
        net.forward()
        return {blob: net.blobs[blob].data.reshape(len(images), -1).copy() for blob in order["blobs"]}

    def score(self, order: Mapping) -> dict[str, np.ndarray]:
        """{"scores": (N, captions)}."""
        self.step.features = _features(order)
        captions, streams, floor = order["captions"], self.job["streams"], order["floor"]
        return {"scores": decoding.score(self.step, order["count"], captions, streams, floor, self._tell)}

    def beam(self, order: Mapping) -> dict[str, np.ndarray]:
        """`decoding.Sentences` of all images."""
        return self._sentences(
            order, order["width"], lambda size, first: decoding.beam(self.step, size, order["width"], order["length"])
        )

    def sample(self, order: Mapping) -> dict[str, np.ndarray]:
        """`decoding.Sentences` of all images."""
        n, length, temperature, seed = (order[name] for name in ("n", "length", "temperature", "seed"))
        return self._sentences(
            order, n, lambda size, first: decoding.sample(self.step, size, n, length, temperature, seed, first)
        )

    def unroll(self, order: Mapping) -> dict[str, np.ndarray]:
        """{"NUMBER/BLOB": (T, ...)} of each image while the net says the sentence that the order has for it."""
        net, features = self._open("step"), _features(order)
        return {
            f"{number}/{blob}": values
            for number, words in enumerate(order["sentences"])
            for blob, values in unroll(
                net, {name: each[number] for name, each in features.items()}, words, order["blobs"]
            ).items()
        }

    def _sentences(self, order: Mapping, each: int, decode) -> dict[str, np.ndarray]:
        """What `decode` gives of all images, as many at a time as there are streams for, `each` an image."""
        parts, count, features = [], order["count"], _features(order)
        together = max(1, self.job["streams"] // each)
        for first in range(0, count, together):
            size = min(together, count - first)
            self.step.features = {name: values[first : first + size] for name, values in features.items()}
            parts.append(decode(size, first))
            self._tell(first + size, count)
        return {name: np.concatenate([getattr(part, name) for part in parts]) for name in decoding.Sentences._fields}

    def _tell(self, done: int, total: int) -> None:
        self.answer({"done": done, "total": total})


def _features(order: Mapping) -> dict[str, np.ndarray]:
    """What the step net reads of each image; of a language model nothing."""
    return dict(np.load(order["features"])) if order["features"] else {}


def run(job: Mapping, orders, answer) -> None:
    """Carries out orders, JSON lines {"do", "out", ...}, and answers each by the file OUT that holds its arrays."""
    nets = Nets(job, answer)
    carry_out = {name: getattr(nets, name) for name in ("activations", "score", "beam", "sample", "unroll")}
    for line in orders:
        order = json.loads(line)
        np.savez(order["out"], **carry_out[order["do"]](order))
        answer({"out": order["out"]})


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the captioner, which then ends this process
    with telling_the_user():
        run(json.loads(Path(sys.argv[1]).read_text()), sys.stdin, lambda line: print(json.dumps(line), flush=True))
