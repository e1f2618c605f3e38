"""The solvers of processes that train one net together."""

import pytest

from lrcn.training.share import write_solvers
from prototxt_gen import NetSpec, caffe_pb2, parse, to_text
from prototxt_gen import layers as L


@pytest.mark.parametrize("iter_size", [1, 2])
def test_gradients_are_averaged_once_an_iteration(iter_size, tmp_path):
    """Layer by layer, while the layers before it still compute; of several batches an iteration once at its end, for
    what is being averaged must not be added to."""
    n = NetSpec("net")
    n.data = L.Input(shape=[2, 3])
    (tmp_path / "net.prototxt").write_text(to_text(n.to_proto()))
    solver = caffe_pb2.SolverParameter(net="net.prototxt", iter_size=iter_size, test_iter=[1], test_interval=5)
    files = write_solvers(tmp_path, solver, n.to_proto(), 2)
    assert len(files) == 2
    for rank, file in enumerate(files):
        written = parse(tmp_path / file, "solver")
        assert written.layer_wise_reduce == (iter_size == 1)
        assert written.iter_size == iter_size and bool(written.test_iter) == (rank == 0)
