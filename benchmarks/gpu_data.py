"""The Caffe Python layer `Drawn`: data drawn once and left where they are, so that a net's own speed can be measured.

DummyData draws anew in each iteration whatever is not constant, and on constants a GPU computes faster than on pixels.

    python_param { module: "gpu_data"  layer: "Drawn"  param_str: "[[SHAPE, KIND, LIMIT], ...]" }

One triple a top. KIND: "normal", of that standard deviation; "uniform", below the limit; "whole", numbers below it;
"marks", 0 in the first row (one row in so many, for tops of one axis) and 1 in all others.
"""

import json

import caffe
import numpy as np


class Drawn(caffe.Layer):
    def setup(self, bottom, top):
        random = np.random.RandomState(1701)
        for i, (shape, kind, limit) in enumerate(json.loads(self.param_str)):
            top[i].reshape(*shape)
            top[i].data[...] = _draw(random, shape, kind, limit)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


def _draw(random, shape, kind, limit):
    if kind == "normal":
        return limit * random.standard_normal(shape)
    if kind == "uniform":
        return limit * random.random_sample(shape)
    if kind == "whole":
        return random.randint(limit, size=shape)
    marks = np.ones(shape)
    marks[: limit if len(shape) == 1 else 1] = 0
    return marks
