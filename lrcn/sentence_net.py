"""Caffe's side of `lrcn.captioner`: `python -m lrcn.sentence_net JOB.json` holds the nets and answers orders, a JSON
line each on standard input, arrays in files. A process of its own, because Caffe ends the one it runs in when something
is wrong, and its libraries clash with those of the Python wheels.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import numpy as np

from lrcn import decoding
from lrcn.workers import MESSAGE


class WordNet:
    """A deploy net of one step with exposed states, as `lrcn.decoding` goes through it; of any number of streams."""

    def __init__(self, net):
        self.net, self.features = net, None
        self.states = sorted(name.removesuffix("_h_0") for name in net.blobs if name.endswith("_h_0"))

    def __call__(self, words: np.ndarray, rows: np.ndarray | None, images: np.ndarray) -> np.ndarray:
        blobs, streams = self.net.blobs, len(words)
        # Before the inputs are given their new size, which may move them.
        kept = {f"{name}_{state}_0": 0 if rows is None else blobs[f"{name}_{state}_T"].data[0, rows]
                for name in self.states for state in "hc"}
        given = {"input_sentence": words[None], "cont_sentence": 0 if rows is None else 1, **kept}
        if self.features is not None:
            given["image_features"] = self.features[images]
        for name, value in given.items():
            shape = list(blobs[name].shape)
            shape[0 if name == "image_features" else 1] = streams
            blobs[name].reshape(*shape)
            blobs[name].data[...] = value
        self.net.forward(end="predict")
        return blobs["predict"].data[0]


def run(job: dict, orders, answer) -> None:
    import caffe

    (caffe.set_mode_cpu if job["gpu"] is None else caffe.set_mode_gpu)()
    if job["gpu"] is not None:
        caffe.set_device(job["gpu"])
    word_net = WordNet(caffe.Net(job["words"], job["weights"], caffe.TEST))
    image_net = None
    for line in orders:
        order = json.loads(line)
        if order["do"] == "features":
            image_net = image_net or caffe.Net(job["images"], job["weights"], caffe.TEST)
            found = {"features": _features(image_net, np.load(order["images"]))}
        else:
            features = np.load(order["features"]) if order["features"] else None
            if order["do"] == "score":
                word_net.features = features
                found = {"scores": decoding.score(word_net, order["count"], order["captions"], job["streams"],
                                                  tell=lambda done, total: answer({"done": done, "total": total}))}
            else:
                found = _sentences(word_net, order, features, job["streams"], answer)
        np.savez(order["out"], **found)
        answer({"out": order["out"]})


def _sentences(net: WordNet, order: dict, features: np.ndarray | None, streams: int, answer) -> dict:
    """`decoding.Found` of all images, as many at a time as there are streams for."""
    parts, count, sampled = [], order["count"], order["do"] == "sample"
    together = max(1, streams // order["n" if sampled else "width"])
    for first in range(0, count, together):
        size = min(together, count - first)
        net.features = None if features is None else features[first:first + size]
        if sampled:
            part = decoding.sample(net, size, order["n"], order["length"], order["temperature"], order["seed"], first)
        else:
            part = decoding.beam(net, size, order["width"], order["length"])
        parts.append(part)
        answer({"done": first + size, "total": count})
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in decoding.Found._fields}


def _features(net, images: np.ndarray) -> np.ndarray:
    """fc8 (N, D) of images or activations (N, ...)."""
    name = net.inputs[0]
    net.blobs[name].reshape(*images.shape)
    net.blobs[name].data[...] = images
    net.forward()
    return net.blobs["fc8"].data.reshape(len(images), -1).copy()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the captioner, which then ends this process
    try:
        run(json.loads(Path(sys.argv[1]).read_text()), sys.stdin, lambda line: print(json.dumps(line), flush=True))
    except (ValueError, OSError) as error:
        sys.exit(f"{MESSAGE}{error}")
