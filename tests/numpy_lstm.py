"""The LSTM of the paper's section 3, in NumPy and float64: what Caffe's layer is held against.

    i_t = sigmoid(W_xi x_t + W_hi h_{t-1} + b_i)          f, o likewise
    g_t = tanh(W_xg x_t + W_hg h_{t-1} + b_g)
    c_t = f_t * c_{t-1} + i_t * g_t
    h_t = o_t * tanh(c_t)

A clip marker of 0 says that a sequence begins at this step: h_{t-1} and c_{t-1} count as 0 there, 1 carries them on.
Weights are stacked by gate in the order i, f, o, g, as Caffe stores them.
"""

from typing import NamedTuple

import numpy as np


class Weights(NamedTuple):
    """W_x (4H, D), b (4H,), W_h (4H, H), and W_static (4H, S) where there is a static input."""

    x: np.ndarray
    b: np.ndarray
    h: np.ndarray
    static: np.ndarray | None = None


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x: np.ndarray, markers: np.ndarray, weights: Weights, static: np.ndarray | None = None) -> np.ndarray:
    """x (T, N, D), markers (T, N), static (N, S) -> h (T, N, H)."""
    units = weights.h.shape[1]
    h = c = np.zeros((x.shape[1], units))
    outputs = []
    for x_t, marker in zip(x, markers, strict=True):
        carried = marker[:, None]
        z = x_t @ weights.x.T + weights.b + (carried * h) @ weights.h.T
        if static is not None:
            z = z + static @ weights.static.T
        i, f, o = (sigmoid(z[:, gate * units : (gate + 1) * units]) for gate in range(3))
        g = np.tanh(z[:, 3 * units :])
        c = carried * f * c + i * g
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


def numerical_gradient(loss, array: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """d loss() / d array by central differences, one element at a time; `array` is changed and put back."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        kept = array[index]
        array[index] = kept + step
        above = loss()
        array[index] = kept - step
        below = loss()
        array[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient
