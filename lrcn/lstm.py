"""What an LSTM does, step by step: its gates, its cell and its hidden state, recomputed from the weights by the
equations of Caffe's LSTMLayer (paper, section 3), and held against what Caffe computed.

    i, f, o = sigmoid(W_x x_t + W_s s + W_h (cont_t h_{t-1}) + b)        g = tanh(the same, its rows)
    c_t = cont_t f c_{t-1} + i g                                        h_t = o tanh(c_t)

Rows of the weights go by gate in the order i, f, o, g. cont_t is 0 where a sequence begins. s: a static input, which
some nets have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prototxt_gen import SpecError
from prototxt_gen.caffe_pb2 import LayerParameter, NetParameter
from prototxt_gen.weights import read_layer

MOST_UNITS = 16  # of a layer, in a picture
# The largest relative error of a factor in a matrix product, by a GPU's precision; sums are float32's in either.
ROUNDING_OF_FACTORS = {"fp32": 0.0, "tf32": 2.0**-11}
ROUNDING_OF_SUMS = 2.0**-24


@dataclass(frozen=True)
class Weights:
    """x (4H, D), b (4H,), h (4H, H), and static (4H, S) where the layer has a static input."""

    x: np.ndarray
    b: np.ndarray
    h: np.ndarray
    static: np.ndarray | None = None

    @classmethod
    def read(cls, path: Path, layer: str) -> Weights:
        """Those of a layer in a .caffemodel, float64. SpecError where it holds no LSTM of this name."""
        blobs = [blob.astype(np.float64) for blob in read_layer(path, layer)]
        if len(blobs) not in (3, 4):
            raise SpecError(f"{path}: layer '{layer}' has {len(blobs)} arrays, and an LSTM 3, or 4 with a static input")
        x, b, *static, h = blobs
        rows = b.size
        others = [each.reshape(rows, -1) for each in static]
        return cls(x.reshape(rows, -1), b.ravel(), h.reshape(rows, -1), *others)

    @property
    def units(self) -> int:
        return self.h.shape[1]


@dataclass(frozen=True)
class Gates:
    """T steps of H units, each (T, H): input gate i, forget gate f, output gate o, candidate g, cell c, hidden h."""

    input: np.ndarray
    forget: np.ndarray
    output: np.ndarray
    candidate: np.ndarray
    cell: np.ndarray
    hidden: np.ndarray


@dataclass(frozen=True)
class Unrolled:
    """What the LSTM `layer` did in T `steps`, which have names; weight (H,): what each unit said for the answer, in the
    scores' measure, or for a layer below the last, how much the layer above heard of it. apart: how far Caffe's hidden
    state lies from the equations' at most."""

    layer: str
    steps: Sequence[str]
    gates: Gates
    weight: np.ndarray
    apart: float

    def foremost(self, most: int = MOST_UNITS) -> list[int]:
        """The units whose weight is largest, for the answer or against it; those most for it first."""
        largest = np.argsort(-abs(self.weight), kind="stable")[:most]
        return [int(unit) for unit in sorted(largest, key=lambda unit: -self.weight[unit])]

    def drawable(self, most: int = MOST_UNITS) -> dict[str, Any]:
        """{"layer", "steps", "units", "weight": [...], and "input", "forget", "output", "candidate", "cell", "hidden":
        (units, steps) rounded to 3 digits} of the foremost units, ready for JSON."""
        units = self.foremost(most)
        rounded = {name: np.round(values[:, units].T, 3).tolist() for name, values in vars(self.gates).items()}
        weight = np.round(self.weight[units], 4).tolist()
        return {"layer": self.layer, "steps": [*self.steps], "units": units, "weight": weight} | rounded

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by LAYER_WHAT, float32 (T, H), for an .npz."""
        values = vars(self.gates) | {"weight": self.weight}
        return {f"{self.layer}_{name}": each.astype(np.float32) for name, each in values.items()}


def blobs(net: NetParameter) -> list[str]:
    """The blobs of a deploy net that `unroll` reads: what its LSTMs read and their hidden states."""
    names = [blob for layer in _lstms(net) for blob in (*_bottoms(layer), layer.top[0])]
    return list(dict.fromkeys(names))


def unroll(
    net: NetParameter,
    path: Path,
    values: Mapping[str, np.ndarray],
    steps: Sequence[str],
    answers: Sequence[int],
    precision: str = "fp32",
) -> list[Unrolled]:
    """Each LSTM of a deploy net, the lowest first.

    path: the net's .caffemodel. values: of Caffe's `blobs` of one stream, (T, ...), a static input (S,); the stream
    begins at their first step. answers: at each step the class, or word, whose score counts: a row of the layer above
    the last LSTM. precision: a GPU's. SpecError, one line, where Caffe's hidden state is not the equations'.
    """
    lstms = _lstms(net)
    read = {layer.name: Weights.read(path, layer.name) for layer in lstms}
    unrolled = []
    for at, layer in enumerate(lstms):
        x, cont, *others = (values[name] for name in _bottoms(layer))
        x, static = x.reshape(len(x), -1), others[0].ravel() if others else None
        gates = run(x, cont.ravel(), read[layer.name], static)
        apart = float(abs(gates.hidden - values[layer.top[0]].reshape(gates.hidden.shape)).max())
        limit = tolerance(x, read[layer.name], static, precision)
        if not apart <= limit:
            raise SpecError(
                f"{path}: {layer.name}: Caffe's hidden state is not the equations': {apart:.2g} apart, where rounding "
                f"explains {limit:.2g}; are these the weights of {net.name}?"
            )
        if at + 1 < len(lstms):
            weight = abs(gates.hidden).mean(0) * np.linalg.norm(read[lstms[at + 1].name].x, axis=0)
        else:
            weight = contributions(gates.hidden, read_layer(path, _classifier(net, layer))[0], answers)
        unrolled.append(Unrolled(layer.name, steps, gates, weight, apart))
    return unrolled


def contributions(hidden: np.ndarray, classifier: np.ndarray, answers: Sequence[int]) -> np.ndarray:
    """What each unit (H,) adds to the answer's score, more than to the mean of all scores, in the mean over the steps:
    hidden (T, H), the classifier's weights (classes, H), an answer a step."""
    classifier = classifier.reshape(-1, hidden.shape[1]).astype(np.float64)
    return (hidden * (classifier[np.asarray(answers)] - classifier.mean(0))).mean(0)


def _lstms(net: NetParameter) -> list[LayerParameter]:
    return [layer for layer in net.layer if layer.type == "LSTM"]


def _bottoms(layer: LayerParameter) -> list[str]:
    """Sequence, markers and, if there is one, the static input; not the state, where it is exposed."""
    state = 2 if layer.recurrent_param.expose_hidden else 0
    return [*layer.bottom][: len(layer.bottom) - state]


def _classifier(net: NetParameter, last: LayerParameter) -> str:
    """The layer that makes scores of the last LSTM's hidden state, a dropout between them or not."""
    reads = last.top[0]
    for layer in net.layer:
        if reads in layer.bottom and layer.type == "Dropout":
            reads = layer.top[0]
        elif reads in layer.bottom and layer.type == "InnerProduct":
            return layer.name
    raise SpecError(f"{net.name}: no InnerProduct reads {last.name}")


def run(x: np.ndarray, cont: np.ndarray, weights: Weights, static: np.ndarray | None = None) -> Gates:
    """The equations, over x (T, D) with markers cont (T,) and the static input (S,); from a state of zeros."""
    constant = weights.b if static is None or weights.static is None else weights.b + weights.static @ static
    hidden = cell = np.zeros(weights.units)
    steps = []
    for x_t, cont_t in zip(x.astype(np.float64), cont, strict=True):
        sums = weights.x @ x_t + constant + weights.h @ (cont_t * hidden)
        i, f, o, g = sums.reshape(4, weights.units)
        i, f, o, g = _sigmoid(i), _sigmoid(f), _sigmoid(o), np.tanh(g)
        cell = cont_t * f * cell + i * g
        hidden = o * np.tanh(cell)
        steps.append((i, f, o, g, cell, hidden))
    return Gates(*(np.stack(values) for values in zip(*steps)))


def tolerance(x: np.ndarray, weights: Weights, static: np.ndarray | None = None, precision: str = "fp32") -> float:
    """How far Caffe's float32 hidden state may lie from the equations' over x (T, D).

    What goes into a gate is a sum of K products. Each of its additions is off by up to 2^-24 of what it has come to,
    which is no more than the sum M of the products' absolute values, to either side: sqrt(K) M 2^-24 in all. Factors
    that are rounded first (TF32) add their part to each product, to either side too. No gate's slope is above 1; T
    steps add up.
    """
    parts = [(weights.x, abs(x)), (weights.h, np.ones((len(x), weights.units)))]
    if static is not None and weights.static is not None:
        parts.append((weights.static, abs(static)[None]))
    products = sum(values @ abs(w).T for w, values in parts) + abs(weights.b)
    squares = sum(values**2 @ (w**2).T for w, values in parts)
    summands = sum(w.shape[1] for w, _ in parts) + 1
    of_sums = np.sqrt(summands) * products.max() * ROUNDING_OF_SUMS
    of_factors = 4 * np.sqrt(squares.max()) * ROUNDING_OF_FACTORS[precision]
    return float(len(x) * (of_sums + of_factors))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * z))
