"""Caffe's side of a `Captioner`: `python -m lrcn.sentences.sentence_net JOB.json` holds the nets and answers orders, a
JSON line each on standard input, arrays in files. A process of its own, because Caffe ends the one it runs in when
something is wrong, and its libraries clash with those of the Python wheels.

JOB.json: {"nets": {"step", "images", "reader": prototxt files, those there are}, "weights", "gpu", "streams"}.
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


class StepNet:
    """A deploy net of one step with exposed states, as `decoding` goes through it; of any number of streams.

    reader: an encoder-decoder's deploy net, whole, that writes one step; it takes the first, after all it reads.
    features: {blob: (N, ...)}, what the net reads of each image; a reader's, time second: it has a step more than they
    have, in which a word is written.
    """

    def __init__(self, net, reader=None):
        self.net, self.reader, self.features = net, reader, {}
        states = [name.removesuffix("_h_0") for name in net.blobs if name.endswith("_h_0")]
        self.states = [f"{name}_{state}" for name in sorted(states) for state in "hc"]
        self.last_states: dict[str, np.ndarray] = {}  # in which the last step left its streams

    def __call__(self, words: np.ndarray, rows: np.ndarray | None, images: np.ndarray) -> np.ndarray:
        if rows is None and self.reader is not None:
            return self._read(images)
        inputs = {"input_sentence": words[None], "cont_sentence": 0 if rows is None else 1}
        inputs |= {f"{name}_0": 0 if rows is None else self.last_states[name][rows] for name in self.states}
        static = self.features if self.reader is None else {}
        inputs |= {name: values[images] for name, values in static.items()}
        return self._step(self.net, inputs, len(words), static)

    def unroll(self, words: list[int], image: int, blobs: list[str]) -> dict[str, np.ndarray]:
        """{blob: (T, ...)} while the net says these words of an image, of static inputs (S,)."""
        steps: dict[str, list[np.ndarray]] = {blob: [] for blob in blobs}
        for t, word in enumerate([decoding.END, *words[:-1]]):
            self(np.array([word]), np.array([0]) if t else None, np.array([image]))
            for blob in blobs:
                steps[blob].append(self.net.blobs[blob].data.copy())
        statics = {blob: values[0].ravel() for blob, values in steps.items() if blob in self.features}
        return {blob: np.concatenate(values) for blob, values in steps.items()} | statics

    def _read(self, images: np.ndarray) -> np.ndarray:
        """Softmax inputs of the first word, each image read once, however many streams are of it."""
        distinct, which = np.unique(images, return_inverse=True)
        inputs = dict.fromkeys([f"{name}_0" for name in self.states], 0) | {"input_sentence": 0}
        for name, values in self.features.items():
            values = np.moveaxis(values[distinct], 1, 0)
            steps = self.reader.blobs[name].shape[0] - len(values)
            writing = np.full((steps, *values.shape[1:]), 1 if name == "cont_sentence" else 0, values.dtype)
            inputs[name] = np.concatenate([values, writing])
        scores = self._step(self.reader, inputs, len(distinct), {})
        self.last_states = {name: state[which] for name, state in self.last_states.items()}
        return scores[which]

    def _step(self, net, inputs: Mapping, streams: int, static: Mapping) -> np.ndarray:
        """Softmax inputs (streams, vocabulary) of the net's last step. static: inputs without time."""
        for name, values in inputs.items():
            shape = list(net.blobs[name].shape)
            shape[0 if name in static else 1] = streams
            net.blobs[name].reshape(*shape)
            net.blobs[name].data[...] = values
        net.forward(end="predict")
        self.last_states = {name: net.blobs[f"{name}_T"].data[0].copy() for name in self.states}
        return net.blobs["predict"].data[-1]


class Nets:
    """The nets of a job, and how each kind of order is carried out: arrays to be saved, by name.

    answer: called with what the captioner is told meanwhile.
    """

    def __init__(self, job: Mapping, answer):
        use_device(job["gpu"])
        self.job, self.answer = job, answer
        step, reader = (self._open(name) if name in job["nets"] else None for name in ("step", "reader"))
        self.step = StepNet(step, reader) if step else None
        self.images = None  # opened by the first order that needs it

    def _open(self, name: str):
        import caffe

        return caffe.Net(self.job["nets"][name], self.job["weights"], caffe.TEST)

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
        self.step.features = _features(order)
        return {
            f"{number}/{blob}": values
            for number, words in enumerate(order["sentences"])
            for blob, values in self.step.unroll(words, number, order["blobs"]).items()
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
