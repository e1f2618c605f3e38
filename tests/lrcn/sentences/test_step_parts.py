"""A captioner's step in parts: the same as the LSTMs' equations over whole sentences, and how many rows each part has;
in NumPy in place of Caffe."""

import numpy as np
import pytest

from lrcn.sentences.step_net import BEFORE, IMAGES, PREFIXES, PRODUCTS, STREAMS, WORDS, StepNet
from lrcn.sentences.step_parts import parts_of
from netspecs import catalogue
from tests import numpy_lstm
from tests.lrcn.sentences.small_nets import NETS

OUTPUTS, FC8 = 6, 5


class Blob:
    def __init__(self, shape):
        self.reshape(*shape)

    def reshape(self, *shape):
        self.data = np.zeros(shape, np.float32)

    @property
    def shape(self):
        return self.data.shape


class Net:
    """A net of the layers that parts are of. rows: how many each of its passes had."""

    def __init__(self, net, weights):
        self.layers, self.weights, self.rows = list(net.layer), weights, []
        inputs = [layer for layer in self.layers if layer.type == "Input"]
        self.inputs = [layer.top[0] for layer in inputs]
        read = {bottom for layer in self.layers for bottom in layer.bottom}
        self.outputs = [top for layer in self.layers for top in layer.top if top not in read]
        self.blobs = {layer.top[0]: Blob(layer.input_param.shape[0].dim) for layer in inputs}
        for layer in self.layers:
            self.blobs |= {top: Blob((1, 1, 1)) for top in layer.top if top not in self.blobs}
        self.forward()
        self.rows.clear()

    def forward(self):
        first = self.blobs[self.inputs[0]].shape
        self.rows.append(first[1] if len(first) != 2 or self.inputs[0] == "input_sentence" else first[0])
        for layer in self.layers:
            values = [self.blobs[bottom].data for bottom in layer.bottom]
            for top, value in zip(layer.top, self.computed(layer, values)):
                self.blobs[top].data = value.astype(np.float32)

    def computed(self, layer, values):
        if layer.type == "Input":
            return []
        if layer.type == "Embed":
            return [self.weights["embedding"][values[0].astype(int)]]
        if layer.type == "InnerProduct":
            weight, *bias = self.weights[layer.name]
            return [values[0] @ weight.T + sum(bias)]
        if layer.type == "Eltwise":
            assert len({value.shape for value in values}) == 1
            return [sum(values)]
        assert layer.type == "LSTMUnit"
        c, gates, cont = values
        i, f, o, g = np.split(gates, 4, -1)
        c = cont[..., None] * numpy_lstm.sigmoid(f) * c + numpy_lstm.sigmoid(i) * np.tanh(g)
        return [c, numpy_lstm.sigmoid(o) * np.tanh(c)]


class Whole:
    """Random weights of a step net, and what it says after a sentence, all of it gone through anew."""

    def __init__(self, step):
        rng, size = np.random.default_rng(5), {}
        self.step, self.lstms = step, [layer for layer in step.layer if layer.type == "LSTM"]
        self.embedding = rng.normal(size=(OUTPUTS, 7))
        size["embedded_input_sentence"] = 7
        self.weights = {"embedding": self.embedding}
        for layer in self.lstms:
            units, statics = layer.recurrent_param.num_output, len(layer.bottom) - 4
            shapes = [(4 * units, size[layer.bottom[0]]), (4 * units,), *[(4 * units, FC8)] * statics]
            blobs = [rng.normal(0, 0.7, shape) for shape in [*shapes, (4 * units, units)]]
            self.weights[layer.name] = blobs
            products = {f"{layer.name}_{name}": blobs[which] for name, which in PRODUCTS.items()}
            self.weights |= {name: each for name, each in products.items() if statics or not name.endswith("static")}
            size[layer.top[0]] = units
        self.weights["predict"] = [rng.normal(size=(OUTPUTS, units)), rng.normal(size=OUTPUTS)]

    def scores(self, words, image):
        values = self.embedding[[0, *words]][:, None]
        markers = np.ones((len(values), 1))
        markers[0] = 0
        for layer in self.lstms:
            x, b, *static, h = self.weights[layer.name]
            seen = image[None] if static else None
            values = numpy_lstm.forward(values, markers, numpy_lstm.Weights(x, b, h, *static), seen)
        weight, bias = self.weights["predict"]
        return values[-1, 0] @ weight.T + bias


@pytest.mark.parametrize("name", NETS)
def test_steps_are_those_of_whole_sentences_and_nothing_is_computed_twice(name):
    sizes = NETS[name] | {"vocabulary": OUTPUTS, "deploy_streams": 1, "deploy_state": "exposed"}
    whole = Whole(catalogue.get(name).files(**sizes)["deploy"])
    parts = {part: Net(net, whole.weights) for part, net in parts_of(whole.step).items()}
    step, rng = StepNet(parts), np.random.default_rng(1)
    images = np.repeat(np.arange(3), 4) if IMAGES in parts else np.zeros(12, int)
    step.features = {"image_features": rng.normal(size=(3, FC8))} if IMAGES in parts else {}
    said, known = [()] * len(images), set()
    words, rows = np.zeros(len(images), int), None
    for _ in range(6):
        found = step(words, rows, images)
        for which, (sentence, image) in enumerate(zip(said, images)):
            features = step.features["image_features"][image] if IMAGES in parts else None
            np.testing.assert_allclose(found[which], whole.scores(sentence, features), rtol=1e-4, atol=1e-5)
        known |= set(words.tolist())
        lowest = PREFIXES if PREFIXES in parts else STREAMS
        assert sum(parts[WORDS].rows) == len(known)
        assert parts[lowest].rows[-1] == (len(set(said)) if lowest == PREFIXES else len(said))
        if rows is not None and STREAMS in parts:
            assert parts[BEFORE[STREAMS]].rows[-1] == len(set(rows.tolist()))
        # Of each image's four, some go on several times, some not; all images may say the same.
        rows = np.repeat(np.arange(3), 4) * 4 + rng.integers(0, 4, 12)
        words = rng.integers(0, OUTPUTS, 12)
        said = [(*said[row], int(word)) for row, word in zip(rows, words)]
    if IMAGES in parts:
        assert parts[IMAGES].rows == [3]
        step(words[:4], rows[:4], images[4:8])
        assert parts[IMAGES].rows == [3, 1]


def test_what_is_made_of_words_is_kept_within_bounds():
    """Of six words four fit."""
    sizes = NETS["lm/lstm-lm"] | {"vocabulary": OUTPUTS, "deploy_streams": 1, "deploy_state": "exposed"}
    whole = Whole(catalogue.get("lm/lstm-lm").files(**sizes)["deploy"])
    step = StepNet({part: Net(net, whole.weights) for part, net in parts_of(whole.step).items()})
    step.of_words = step.of_words[:4]
    for words in ([1, 2], [3, 4], [4, 5], [5, 0, 1, 2, 3]):
        found = step(np.array(words), None, np.zeros(len(words), int))
        expected = [
            numpy_lstm.forward(whole.embedding[[word]][:, None], np.zeros((1, 1)), lstm(whole))[0, 0] for word in words
        ]
        weight, bias = whole.weights["predict"]
        np.testing.assert_allclose(found, np.array(expected) @ weight.T + bias, rtol=1e-4, atol=1e-5)
        assert len(step.of_words) in (4, 5)


def lstm(whole):
    x, b, h = whole.weights["lstm1"]
    return numpy_lstm.Weights(x, b, h)


def test_an_encoder_decoder_s_beginnings_depend_on_what_it_read():
    step = catalogue.get("video/encoder-decoder-max").files(
        deploy_steps=1, deploy_streams=1, deploy_state="exposed", deploy_part="decoder"
    )["deploy"]
    assert set(parts_of(step, reads_first=True)) == {WORDS, STREAMS, BEFORE[STREAMS]}
    assert PREFIXES in parts_of(step)
