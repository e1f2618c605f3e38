"""A GPU's LSTM against the paper's equations, and against Caffe's own net of small layers."""

import subprocess
import sys

import numpy as np
import pytest

from tests.gpu.test_layers import lstms
from tests.netspecs.conftest import WORKER
from tests.netspecs.lstm_check import check, draw_case

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("way", ["fused", "unrolled"])
@pytest.mark.parametrize("static", [False, True], ids=["plain", "static"])
def test_a_gpu_s_lstm_is_the_paper_s(device, static, way, tmp_path):
    def on_gpu(*arguments):
        environment = device.engine.environment() | {"CAFFE_ON": "gpu", "LRCN_LSTM": way, "GLOG_minloglevel": "2"}
        command = [sys.executable, WORKER, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]

    check(draw_case(static), on_gpu, tmp_path)


def test_the_fused_lstm_is_the_unrolled_one(device, tmp_path):
    """To 1e-6 of the largest value, forward and backward, state and markers included."""
    cases = list(lstms())
    fused, _ = device.passes("gpu", cases, tmp_path / "fused", LRCN_LSTM="fused")
    unrolled, _ = device.passes("gpu", cases, tmp_path / "unrolled", LRCN_LSTM="unrolled")
    for case, found, due in zip(cases, fused, unrolled, strict=True):
        for one, other in zip(found, due, strict=True):
            for name in other:
                atol = 1e-6 * max(1, abs(other[name]).max())
                np.testing.assert_allclose(one[name], other[name], rtol=0, atol=atol, err_msg=f"{case.name} {name}")
