"""Caffe's side of a `Captioner`: `python -m lrcn.sentences.sentence_net JOB.json` holds the nets and answers orders, a
JSON line each on standard input, arrays in files. A process of its own, because Caffe ends the one it runs in when
something is wrong, and its libraries clash with those of the Python wheels.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import numpy as np

from lrcn.engine.caffe_side import telling_the_user, use_device
from lrcn.sentences import decoding


class WordNet:
    """A deploy net of one step with exposed states, as `decoding` goes through it; of any number of streams.

    reader: an encoder-decoder's deploy net, whole, that writes one step; it takes the first, after all it reads.
    features: {blob: (N, ...)}, what is given of each image; a reader's, time second: it has a step more than is given,
    in which a word is written.
    """

    def __init__(self, net, reader=None):
        self.net, self.reader, self.features = net, reader, {}
        states = [name.removesuffix("_h_0") for name in net.blobs if name.endswith("_h_0")]
        self.states = [f"{name}_{state}" for name in sorted(states) for state in "hc"]
        self.left: dict[str, np.ndarray] = {}  # the states in which the last step left its streams

    def __call__(self, words: np.ndarray, rows: np.ndarray | None, images: np.ndarray) -> np.ndarray:
        if rows is None and self.reader is not None:
            return self._read(images)
        given = {"input_sentence": words[None], "cont_sentence": 0 if rows is None else 1}
        given |= {f"{name}_0": 0 if rows is None else self.left[name][rows] for name in self.states}
        static = self.features if self.reader is None else {}
        given |= {name: value[images] for name, value in static.items()}
        return self._step(self.net, given, len(words), static)

    def _read(self, images: np.ndarray) -> np.ndarray:
        once, at = np.unique(images, return_inverse=True)
        given = dict.fromkeys([f"{name}_0" for name in self.states], 0) | {"input_sentence": 0}
        for name, value in self.features.items():
            value = np.moveaxis(value[once], 1, 0)
            more = self.reader.blobs[name].shape[0] - len(value)
            last = np.full((more, *value.shape[1:]), 1 if name == "cont_sentence" else 0, value.dtype)
            given[name] = np.concatenate([value, last])
        scores = self._step(self.reader, given, len(once), {})
        self.left = {name: state[at] for name, state in self.left.items()}
        return scores[at]

    def _step(self, net, given: dict, streams: int, static) -> np.ndarray:
        """Softmax inputs (streams, vocabulary) of the net's last step. static: inputs without time."""
        for name, value in given.items():
            shape = list(net.blobs[name].shape)
            shape[0 if name in static else 1] = streams
            net.blobs[name].reshape(*shape)
            net.blobs[name].data[...] = value
        net.forward(end="predict")
        self.left = {name: net.blobs[f"{name}_T"].data[0].copy() for name in self.states}
        return net.blobs["predict"].data[-1]


def run(job: dict, orders, answer) -> None:
    import caffe

    use_device(job["gpu"])
    nets = {
        name: caffe.Net(job[name], job["weights"], caffe.TEST) if job[name] else None for name in ("words", "reader")
    }
    word_net = WordNet(nets["words"], nets["reader"]) if job["words"] else None
    image_net = None
    for line in orders:
        order = json.loads(line)
        if order["do"] == "features":
            image_net = image_net or caffe.Net(job["images"], job["weights"], caffe.TEST)
            found = _features(image_net, np.load(order["images"]), order["blobs"])
        else:
            features = dict(np.load(order["features"])) if order["features"] else {}
            if order["do"] == "score":
                word_net.features = features
                found = {
                    "scores": decoding.score(
                        word_net,
                        order["count"],
                        order["captions"],
                        job["streams"],
                        order["floor"],
                        tell=lambda done, total: answer({"done": done, "total": total}),
                    )
                }
            else:
                found = _sentences(word_net, order, features, job["streams"], answer)
        np.savez(order["out"], **found)
        answer({"out": order["out"]})


def _sentences(net: WordNet, order: dict, features: dict[str, np.ndarray], streams: int, answer) -> dict:
    """`decoding.Found` of all images, as many at a time as there are streams for."""
    parts, count, sampled = [], order["count"], order["do"] == "sample"
    together = max(1, streams // order["n" if sampled else "width"])
    for first in range(0, count, together):
        size = min(together, count - first)
        net.features = {name: value[first : first + size] for name, value in features.items()}
        if sampled:
            part = decoding.sample(net, size, order["n"], order["length"], order["temperature"], order["seed"], first)
        else:
            part = decoding.beam(net, size, order["width"], order["length"])
        parts.append(part)
        answer({"done": first + size, "total": count})
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in decoding.Found._fields}


def _features(net, images: np.ndarray, blobs: list[str]) -> dict[str, np.ndarray]:
    """{blob: (N, D)} of images or activations (N, ...)."""
    name = net.inputs[0]
    net.blobs[name].reshape(*images.shape)
    net.blobs[name].data[...] = images
    net.forward()
    return {name: net.blobs[name].data.reshape(len(images), -1).copy() for name in blobs}


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the captioner, which then ends this process
    with telling_the_user():
        run(json.loads(Path(sys.argv[1]).read_text()), sys.stdin, lambda line: print(json.dumps(line), flush=True))
