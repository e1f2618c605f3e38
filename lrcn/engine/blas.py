"""How many threads of OpenBLAS a net gains from on the CPU, and how Caffe's process is told.

A second thread costs the moment in which the threads find each other, at every product of matrices. Nets of small
products take as long with two as with one, and the second takes its core from another training that could run there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator

from data_prep.workers import cores
from prototxt_gen.shapes import NetShapes, Row

VARIABLE = "OPENBLAS_NUM_THREADS"  # the project's own layers for the CPU go by it too
EACH = 4e6  # multiply-adds of a product that a thread has at least, where it pays


def chosen() -> int | None:
    """The threads that the user asks for by VARIABLE; None where it is not set, or no number."""
    value = os.environ.get(VARIABLE, "")
    return int(value) if value.isdecimal() and int(value) else None


def threads_for(nets: Iterable[NetShapes]) -> int:
    """How many threads pay on this machine for all of these nets: as many as have EACH of every product, those that are
    less than a third of all arithmetic aside."""
    products = sorted(product for net in nets for row in net.rows for product in _products(row))
    passed, whole = 0.0, sum(size * number for size, number in products)
    for size, number in products:
        passed += size * number
        if passed >= whole / 3:
            return max(1, min(cores(), int(size / EACH)))
    return 1


def _products(row: Row) -> Iterator[tuple[float, int]]:
    """(multiply-adds of each, number) of the products of matrices in a layer's forward pass."""
    if not row.macs or not row.tops or row.tops[0] is None:
        return
    kind, top = row.layer.type, row.tops[0]
    if kind in ("Convolution", "Deconvolution"):  # Caffe multiplies image by image, and group by group
        number = top[0] * row.layer.convolution_param.group
        yield row.macs / number, number
    elif kind in ("LSTM", "RNN") and row.weights:  # what it reads all at once, what it carries on step by step
        steps, streams = top[0], math.prod(top[1:-1])
        for number, weights in enumerate(shape for shape in row.weights if len(shape) == 2):
            size = float(steps * streams * math.prod(weights))
            yield (size, 1) if number == 0 else (size / steps, steps)
    else:
        yield float(row.macs), 1
