"""Embed's gradient adds up what a word was given in each of its places: on a GPU in the CPU's order, to the bit."""

import numpy as np
import pytest

from prototxt_gen import NetSpec
from prototxt_gen import layers as L
from tests.gpu.devices import Case

pytestmark = pytest.mark.engine


def test_the_sum_over_repeated_words_is_the_cpu_s_to_the_bit(device, tmp_path):
    """In one order of 20000: another would round otherwise somewhere."""
    rng = np.random.default_rng(1701)
    word = rng.integers(0, 7, (25, 80))
    n = NetSpec("embed")
    n.word = L.Input(shape=list(word.shape))
    n.out = L.Embed(n.word, input_dim=9, num_output=10, bias_term=False, loss_weight=1)
    case = Case("embed", n.to_proto(), [{"word": word}], word.size, backward=("out",))
    on_cpu, _ = device.passes("cpu", [case], tmp_path / "cpu")
    [[due]] = on_cpu
    assert due["gradient:out:0"][:7].all() and not due["gradient:out:0"][7:].any()
    for time in "once", "twice":
        [[found]], _ = device.passes("gpu", [case], tmp_path / time)
        np.testing.assert_array_equal(found["gradient:out:0"], due["gradient:out:0"])
