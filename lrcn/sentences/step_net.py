"""A net that says the next word, in Caffe, in the parts that `step_parts` makes of it: what several streams have in
common is computed once. Runs in Caffe's process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lrcn.sentences import decoding

WORDS, IMAGES, PREFIXES, STREAMS = "step_words", "step_images", "step_prefixes", "step_streams"
BEFORE = {PREFIXES: f"{PREFIXES}_before", STREAMS: f"{STREAMS}_before"}
PARTS = (WORDS, IMAGES, *BEFORE, *BEFORE.values())
PRODUCTS = {"x": slice(0, 2), "static": slice(2, 3), "h": slice(-1, None)}  # which of an LSTM's blobs each has
WORD_BYTES = 64 << 20  # of what is made of words and kept


class StepNet:
    """A net that says the next word, in its parts (`step_parts`), as `decoding` goes through it; of any number of
    streams. What several streams have in common is computed once: of their words, their images, their beginnings.

    reader: an encoder-decoder's deploy net, whole, that writes one step; it takes the first, after all it reads.
    features: {blob: (N, ...)}, what the net reads of each image; a reader's, time second: it has a step more than they
    have, in which a word is written.
    """

    def __init__(self, parts: Mapping, reader=None):
        self.parts, self.reader = parts, reader
        self.makers = {blob: name for name, net in parts.items() for blob in net.blobs if blob not in net.inputs}
        lstms = {blob.removesuffix("_c_0"): net for net in parts.values() for blob in net.inputs if blob[-4:] == "_c_0"}
        # By the part that has it, the blobs in which an LSTM's states are after a step.
        self.after = {f"{lstm}_h": (net, lstm) for lstm, net in lstms.items()}
        self.after |= {f"{lstm}_c": (net, f"{lstm}_c_T") for lstm, net in lstms.items()}
        [of_word] = parts[WORDS].outputs
        size, outputs = parts[WORDS].blobs[of_word].shape[-1], parts[self.makers["predict"]].blobs["predict"].shape[-1]
        self.of_words = np.empty((min(WORD_BYTES // (4 * size), outputs), size), np.float32)
        self.known, self.row_of_word, self.of_word = 0, np.full(outputs, -1), of_word
        self.features = {}

    @property
    def features(self) -> Mapping[str, np.ndarray]:
        return self._features

    @features.setter
    def features(self, features: Mapping[str, np.ndarray]) -> None:
        self._features, self.seen = features, None

    def __call__(self, words: np.ndarray, rows: np.ndarray | None, images: np.ndarray) -> np.ndarray:
        if rows is None and self.reader is not None:
            return self._read(images)
        if rows is None:
            rows, self.prefixes = np.zeros(len(words), np.intp), np.zeros(1, np.intp)
            sizes = {name: net.blobs[blob].shape[-1] for name, (net, blob) in self.after.items()}
            self.states = {name: np.zeros((1, size), np.float32) for name, size in sizes.items()}
        beginnings = self.prefixes[rows] * len(self.row_of_word) + words
        _, firsts, prefixes = np.unique(beginnings, return_index=True, return_inverse=True)
        at, rows_before = self._rows_of(words), {PREFIXES: self.prefixes[rows[firsts]], STREAMS: rows}
        places = {(WORDS, PREFIXES): at[firsts], (WORDS, STREAMS): at, (PREFIXES, STREAMS): prefixes}
        places["features", STREAMS] = images
        if IMAGES in self.parts:
            places[IMAGES, STREAMS] = self._look_at(images)
        for part, before in ((part, before) for part, before in rows_before.items() if part in self.parts):
            distinct, places[BEFORE[part], part] = np.unique(before, return_inverse=True)
            self._run(BEFORE[part], len(distinct), distinct, places)
            self._run(part, len(before), before, places)
        self.prefixes = prefixes
        self.states = {name: net.blobs[blob].data[0].copy() for name, (net, blob) in self.after.items()}
        predicted = self._made("predict")
        return predicted if self.makers["predict"] == STREAMS else predicted[prefixes]

    def _run(self, part: str, count: int, before: np.ndarray, places: Mapping) -> None:
        """A part of `count` rows. before: which row of the states each goes on from; places: (part, part) -> which row
        of the first part each row of the second has."""
        net = self.parts[part]
        for name in net.inputs:
            blob, is_feature = net.blobs[name], self.reader is None and name in self.features
            shape = list(blob.shape)
            shape[0 if is_feature else 1] = count
            blob.reshape(*shape)
            if name == "cont_sentence":
                blob.data[...] = 1  # what begins does so from states of 0
            elif is_feature:
                blob.data[...] = self.features[name][places["features", part]]
            elif name.endswith("_0"):
                np.take(self.states[name.removesuffix("_0")], before, 0, out=blob.data[0], mode="clip")
            else:  # "clip" needs no buffer
                np.take(self._made(name), places[self.makers[name], part], 0, out=blob.data[0], mode="clip")
        net.forward()

    def _made(self, blob: str) -> np.ndarray:
        """What a part made last: (rows, D)."""
        if blob == self.of_word:
            return self.of_words
        values = self.parts[self.makers[blob]].blobs[blob].data
        return values.reshape(-1, values.shape[-1])

    def _rows_of(self, words: np.ndarray) -> np.ndarray:
        """Which rows of `of_words` are these words'; those that it has not are made."""
        distinct = np.unique(words)
        new = distinct[self.row_of_word[distinct] < 0]
        if self.known + len(new) > len(self.of_words):
            self.known, new = 0, distinct
            self.row_of_word[:] = -1
            if len(distinct) > len(self.of_words):
                self.of_words = np.empty((len(distinct), self.of_words.shape[1]), np.float32)
        if len(new):
            net = self.parts[WORDS]
            net.blobs["input_sentence"].reshape(1, len(new))
            net.blobs["input_sentence"].data[0] = new
            net.forward()
            self.row_of_word[new] = np.arange(self.known, self.known + len(new))
            self.of_words[self.known : self.known + len(new)] = net.blobs[self.of_word].data[0]
            self.known += len(new)
        return self.row_of_word[words]

    def _look_at(self, images: np.ndarray) -> np.ndarray:
        """Which rows of what was made of images are these images'; it is made where it is of others."""
        distinct, which = np.unique(images, return_inverse=True)
        if self.seen is None or not np.array_equal(distinct, self.seen):
            net, self.seen = self.parts[IMAGES], distinct
            for name in net.inputs:
                net.blobs[name].reshape(len(distinct), *self.features[name].shape[1:])
                net.blobs[name].data[...] = self.features[name][distinct]
            net.forward()
        return which

    def _read(self, images: np.ndarray) -> np.ndarray:
        """Softmax inputs of the first word, each image read once, however many streams are of it."""
        distinct, which = np.unique(images, return_inverse=True)
        inputs = dict.fromkeys([f"{name}_0" for name in self.after], 0) | {"input_sentence": 0}
        for name, values in self.features.items():
            values = np.moveaxis(values[distinct], 1, 0)
            steps = self.reader.blobs[name].shape[0] - len(values)
            writing = np.full((steps, *values.shape[1:]), 1 if name == "cont_sentence" else 0, values.dtype)
            inputs[name] = np.concatenate([values, writing])
        _fill(self.reader, inputs, len(distinct))
        self.reader.forward(end="predict")
        self.states = {name: self.reader.blobs[f"{name}_T"].data[0][which] for name in self.after}
        self.prefixes = np.arange(len(images))
        return self.reader.blobs["predict"].data[-1][which]


def _fill(net, inputs: Mapping, streams: int, static: Sequence[str] = ()) -> None:
    """Gives a net its inputs, whose second dimension is streams; of those without time, `static`, the first."""
    for name, values in inputs.items():
        shape = list(net.blobs[name].shape)
        shape[0 if name in static else 1] = streams
        net.blobs[name].reshape(*shape)
        net.blobs[name].data[...] = values


def unroll(net, features: Mapping, words: Sequence[int], blobs: Sequence[str]) -> dict[str, np.ndarray]:
    """{blob: (T, ...)} of a deploy net of one step with exposed states, whole, while it says these words; of static
    inputs, features {blob: (S,)}, (S,)."""
    steps: dict[str, list[np.ndarray]] = {blob: [] for blob in blobs}
    states = {name.removesuffix("_0"): 0 for name in net.blobs if name.endswith(("_h_0", "_c_0"))}
    for t, word in enumerate([decoding.END, *words[:-1]]):
        inputs = {"input_sentence": word, "cont_sentence": min(t, 1), **features}
        _fill(net, inputs | {f"{name}_0": values for name, values in states.items()}, 1, list(features))
        net.forward(end="predict")
        states = {name: net.blobs[f"{name}_T"].data.copy() for name in states}
        for blob in blobs:
            steps[blob].append(net.blobs[blob].data.copy())
    statics = {blob: values[0].ravel() for blob, values in steps.items() if blob in features}
    return {blob: np.concatenate(values) for blob, values in steps.items()} | statics
