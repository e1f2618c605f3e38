"""Caffe's LSTM layer held against the paper's equations in NumPy, wherever it computes."""

import numpy as np

from prototxt_gen import NetSpec, to_text
from prototxt_gen import layers as L
from tests.numpy_lstm import Weights, forward, numerical_gradient
from tests.rounding import rounding

T, N, D, S, H = 7, 3, 5, 4, 6


def draw_case(static: bool) -> dict:
    """Random inputs (T, N, D), weights large enough to bend the gates, and markers that restart in mid-sequence."""
    rng = np.random.default_rng(1701)
    markers = (rng.random((T, N)) < 0.7).astype(float)
    markers[0] = 0
    markers[3, 1] = 0
    assert 0 < markers[1:].sum() < (T - 1) * N

    def draw(*shape):
        return rng.uniform(-1, 1, shape).astype(np.float32).astype(float)  # what float32 holds too

    return dict(
        x=draw(T, N, D),
        markers=markers,
        static=draw(N, S) if static else None,
        weights=Weights(draw(4 * H, D), draw(4 * H), draw(4 * H, H), draw(4 * H, S) if static else None),
        projection=draw(T, N, H),
    )


def caffe_s(case, in_caffe, tmp_path) -> dict[str, np.ndarray]:
    """Caffe's outputs, and its gradients of sum(h * projection)."""
    n = NetSpec("lstm")
    n.data = L.Input(shape=[T, N, D])
    n.clip_markers = L.Input(shape=[T, N])
    bottoms = [n.data, n.clip_markers]
    if case["static"] is not None:
        n.static = L.Input(shape=[N, S])
        bottoms.append(n.static)
    n.lstm1 = L.LSTM(*bottoms, num_output=H)
    net = n.to_proto()
    net.force_backward = True
    (tmp_path / "net.prototxt").write_text(to_text(net))

    order = [case["weights"].x, case["weights"].b, case["weights"].static, case["weights"].h]
    given = {f"weights{i}": value for i, value in enumerate(value for value in order if value is not None)}
    given |= dict(data=case["x"], clip_markers=case["markers"], lstm1_diff=case["projection"])
    if case["static"] is not None:
        given["static"] = case["static"]
    np.savez(tmp_path / "in.npz", **given)
    in_caffe("lstm", tmp_path / "net.prototxt", tmp_path / "in.npz", tmp_path / "out.npz")
    found = dict(np.load(tmp_path / "out.npz"))
    names = ["x", "b", "static", "h"] if case["static"] is not None else ["x", "b", "h"]
    return found | {f"W_{name}": found[f"weights{i}_diff"] for i, name in enumerate(names)}


def check(case, in_caffe, tmp_path):
    """Outputs, clip markers, static input and gradients. in_caffe: as the fixture of this name."""
    found = caffe_s(case, in_caffe, tmp_path)

    def outputs():
        return forward(case["x"], case["markers"], case["weights"], case["static"])

    def loss():
        return (outputs() * case["projection"]).sum()

    # What is added up, at each of T steps: inputs, states and weights, all in -1..1.
    reads = D + H + (S if case["static"] is not None else 0)
    np.testing.assert_allclose(found["lstm1"], outputs(), rtol=0, atol=rounding(T * reads, 1))
    arrays = {"data_diff": case["x"], "W_x": case["weights"].x, "W_b": case["weights"].b, "W_h": case["weights"].h}
    if case["static"] is not None:
        arrays |= {"static_diff": case["static"], "W_static": case["weights"].static}
    for name, array in arrays.items():
        due = numerical_gradient(loss, array)
        # forward and backward, and over all steps and streams
        atol = rounding(2 * T * reads + T * N, abs(due).max())
        np.testing.assert_allclose(found[name], due, rtol=0, atol=atol, err_msg=name)
