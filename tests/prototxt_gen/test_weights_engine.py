"""Caffe itself loads the weight files: it copies what `weights` says it copies, and stops where that says it would."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prototxt_gen import parse
from prototxt_gen.weights import plan, read_weights
from tests.prototxt_gen.weight_files import CASES, LEARNING, LEARNING_NET, NET, START, VALUE, write

pytestmark = pytest.mark.engine

WORKER = Path(__file__).with_name("caffe_weights.py")


@pytest.fixture(scope="module")
def caffe():
    from lrcn import engine

    return engine.find()


@pytest.fixture(scope="module")
def run(caffe):
    environment = caffe.environment() | {"GLOG_minloglevel": "2", "OPENBLAS_NUM_THREADS": "1"}

    def run(*arguments, cwd=None):
        done = subprocess.run(
            [sys.executable, WORKER, *map(str, arguments)], env=environment, cwd=cwd, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture(scope="module")
def loaded(run, tmp_path_factory):
    """case -> layer -> the means of its blobs after Caffe loaded the case's file; None where Caffe stopped."""
    jobs = {}
    for case, (kind, layers, _) in CASES.items():
        folder = tmp_path_factory.mktemp("case")
        (folder / "net.prototxt").write_text(NET)
        jobs[case] = [str(folder / "net.prototxt"), str(write(folder, kind, layers))]
    file = tmp_path_factory.mktemp("jobs") / "jobs.json"
    file.write_text(json.dumps(list(jobs.values())))
    return dict(zip(jobs, map(json.loads, run("load", file).splitlines()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_caffe_does_as_foretold(case, loaded):
    fates = CASES[case][2]
    if "clash" in fates.values():
        assert loaded[case] is None
        return
    for layer, blobs in loaded[case].items():
        held = [VALUE if fates.get(layer) == "copied" else START] * len(blobs)
        if layer == "half" and fates.get("fc") == "copied":
            held[0] = VALUE  # the weight that it shares with fc; its bias is its own
        assert blobs == pytest.approx(held), layer


SOLVER = "net: 'net.prototxt' base_lr: 0.01 lr_policy: 'fixed' snapshot_prefix: 'made' solver_mode: CPU max_iter: 9\n"
TRAINED = """
layer { name: 'data' type: 'DummyData' top: 'data' top: 'label'
        dummy_data_param { shape { dim: [4, 6] } shape { dim: 4 }
                           data_filler { type: 'gaussian' } data_filler { value: 1 } } }
layer { name: 'fc' type: 'InnerProduct' bottom: 'data' top: 'fc' param { name: 'w' }
        inner_product_param { num_output: 6 } }
layer { name: 'twin' type: 'InnerProduct' bottom: 'fc' top: 'twin' param { name: 'w' }
        inner_product_param { num_output: 6 } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'twin' bottom: 'label' top: 'loss' }
"""


@pytest.mark.parametrize(
    "form, name", [("BINARYPROTO", "made_iter_2.caffemodel"), ("HDF5", "made_iter_2.caffemodel.h5")]
)
def test_a_snapshot_of_caffe_s_own_fits_its_net(form, name, run, tmp_path):
    (tmp_path / "net.prototxt").write_text(TRAINED)
    (tmp_path / "solver.prototxt").write_text(SOLVER + f"snapshot_format: {form}\n")
    run("snapshot", "solver.prototxt", 2, cwd=tmp_path)
    found = plan(parse(tmp_path / "net.prototxt"), read_weights(tmp_path / name))
    assert {entry.layer: entry.status for entry in found.entries} == {"fc": "copied", "twin": "copied"}
    assert found.copied == found.parameters == 36 + 6 + 6
    (tmp_path / "jobs.json").write_text(json.dumps([[str(tmp_path / "net.prototxt"), str(tmp_path / name)]]))
    assert json.loads(run("load", tmp_path / "jobs.json")) is not None


def test_what_is_said_to_stay_as_it_is_does_not_change_in_training(run, tmp_path):
    (tmp_path / "net.prototxt").write_text(LEARNING_NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    moved = json.loads(run("moved", "solver.prototxt", 3, cwd=tmp_path))
    assert moved == LEARNING
