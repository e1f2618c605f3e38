"""How far apart two right computations of the same numbers may lie.

BLAS adds up in an order of its own, which differs with the processor's kernels and their fused multiply-adds, with the
number of threads, with the size of a batch and with a row's place in it. So numbers that Caffe or BLAS computed are
compared by `rounding`, never to the bit; but where one process does the very same again on the same machine, and where
no BLAS is involved, they are the same bits.
"""

import numpy as np

from prototxt_gen.layer_rules import count
from prototxt_gen.shapes import infer


def rounding(summands: float, largest: float, dtype=np.float32) -> float:
    """The absolute tolerance of a sum of so many numbers, of which none is larger than `largest` in absolute value.

    A running sum of n numbers of either sign grows as sqrt(n) * largest, and each of its n additions is off by up to
    eps / 2 of what it has come to: roundings of either sign, which come to n * largest * eps / 5 in the standard
    deviation; two orders of summation differ by not much more. The tolerance, n * largest * eps, is four of these where
    all numbers are as large as the largest, and many where few are. (Higham, Accuracy and Stability of Numerical
    Algorithms, 4.2, has what could be but is not: n times as much.) What is added up in several layers or steps, one
    after the other, counts with all its summands, of which `largest` is the largest anywhere on the way.
    """
    return summands * largest * float(np.finfo(dtype).eps)


def summands(net, steps: int = 1, phase: str = "TEST") -> float:
    """How many products come to one value at the end of a net, those of each layer added: what `rounding` takes.

    A recurrent layer has them at each of its time steps, and a net that carries its state from call to call in each of
    `steps` calls.
    """
    total = 0.0
    for row in infer(net, phase).rows:
        if row.macs:
            top = row.tops[0]
            total += row.macs / count(top) * (top[0] if row.layer.type in ("LSTM", "RNN", "Recurrent") else 1)
    assert total, "no layer of the net has products, or its inputs have no shapes"
    return steps * total
