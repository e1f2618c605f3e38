"""Every kind of finding, by example, on the line that is to blame; and nothing found where nothing is wrong."""

import tempfile
from pathlib import Path

import cv2
import h5py
import lmdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspecs import catalogue
from prototxt_gen import SpecError, to_text
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.check import Hooks, check
from tests.prototxt_gen.strategies import nets

# Sound in both phases. The markers @... in the tests below replace a line of it, so that line numbers stay.
NET = """\
name: "captions"
layer {
  name: "data" type: "DummyData" top: "words" top: "cont" top: "image" top: "target"
  dummy_data_param {
    shape { dim: 4 dim: 3 } shape { dim: 4 dim: 3 } shape { dim: 3 dim: 2 dim: 9 dim: 9 } shape { dim: 4 dim: 3 }
    data_filler { value: 10 } data_filler { value: 1 } data_filler { } data_filler { value: 10 }
  }
}
layer {
  name: "conv"
  type: "Convolution"
  bottom: "image"
  top: "conv"
  convolution_param {
    num_output: 4
    kernel_size: 3
    group: 2
    weight_filler { type: "xavier" }
  }
}
layer {
  name: "embed" type: "Embed" bottom: "words" top: "embedded"
  embed_param {
    input_dim: 11
    num_output: 6
  }
}
layer {
  name: "lstm" type: "LSTM"
  bottom: "embedded"
  bottom: "cont"
  bottom: "conv"
  top: "lstm"
  recurrent_param { num_output: 7 }
}
layer {
  name: "predict" type: "InnerProduct"
  bottom: "lstm"
  top: "predict"
  inner_product_param {
    num_output: 11
    axis: 2
  }
}
layer {
  name: "loss" type: "SoftmaxWithLoss"
  bottom: "predict"
  bottom: "target"
  top: "loss"
  softmax_param { axis: 2 }
}
"""

SOLVER = """\
net: "net"
base_lr: 0.1
lr_policy: "step"
gamma: 0.5
stepsize: 100
max_iter: 1000
momentum: 0.9
test_iter: 5
test_interval: 100
snapshot: 500
snapshot_prefix: "snap"
"""


def checked(folder, text, **options):
    (folder / "file").write_text(text)
    return check(folder / "file", folder=folder, **options)


def found(folder, text, **options):
    return [(finding.line, finding.message) for finding in checked(folder, text, **options).findings]


def replaced(text, old, new):
    assert text.count(old) == 1, f"{text.count(old)} times {old}"
    return text.replace(old, new)


def test_nothing_is_found_where_nothing_is_wrong(tmp_path):
    assert found(tmp_path, NET) == found(tmp_path, NET, phase="TRAIN") == []
    (tmp_path / "net").write_text(NET)
    assert found(tmp_path, SOLVER) == []
    assert found(tmp_path, "") == [(1, "no layer is built: Caffe has nothing to run")]


@pytest.mark.parametrize(
    "old, new, line, said",
    [
        ("    group: 2", "    gruop: 2", 17, "ConvolutionParameter has no field 'gruop'; did you mean 'group'?"),
        ("    group: 2", "    pad: -1", 17, "-1"),
        ('name: "captions"', 'name: "captions', 1, ""),
        (
            '  type: "Convolution"',
            '  type: "Convolutoin"',
            11,
            "no layer type 'Convolutoin'; did you mean 'Convolution'?",
        ),
        ('  bottom: "image"', '  bottom: "imgae"', 12, "no layer makes its bottom 'imgae'; did you mean 'image'?"),
        ('  bottom: "image"', '  bottom: "lstm"', 12, "layer 'lstm' makes it, further down"),
        ('  bottom: "cont"', '  bottom: "cnt"', 31, "no layer makes its bottom 'cnt'; did you mean 'cont'?"),
        ('  top: "conv"', '  top: "cont"', 13, "layer 'data' makes the top 'cont' already"),
        ("    group: 2", "    group: 3", 17, "group 3 does not divide"),
        ("    kernel_size: 3", "    kernel_size: 12", 16, "kernel"),
        ('{ type: "xavier" }', '{ type: "xavir" }', 18, "no filler 'xavir'; did you mean 'xavier'?"),
        (
            "shape { dim: 4 dim: 3 } shape { dim: 4 dim: 3 } shape",
            "shape { dim: 4 dim: 3 } shape { dim: 5 dim: 3 } shape",
            30,
            "'cont' 5 steps of 3",
        ),
        (
            "shape { dim: 4 dim: 3 } shape { dim: 4 dim: 3 } shape",
            "shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } shape",
            30,
            "'cont' 4 steps of 2",
        ),
        ("    axis: 2", "    axis: 3", 42, "axis 3 is out of range"),
        ("  softmax_param { axis: 2 }", "  softmax_param { axis: 1 }", 47, "labels"),
        ("    input_dim: 11", "    input_dim: 12", 24, "it embeds 12 words, and 'predict' predicts 11"),
        (
            "data_filler { value: 10 } data_filler { value: 1 }",
            "data_filler { value: 11 } data_filler { value: 1 }",
            24,
            "'words' of layer 'data' reaches 11, but its input_dim is 11: it takes 0 to 10",
        ),
        (
            "data_filler { } data_filler { value: 10 }",
            "data_filler { } data_filler { value: 11 }",
            48,
            "'target' of layer 'data' reaches 11, but 'predict' has 11 classes: it takes 0 to 10",
        ),
        ("data_filler { } data_filler { value: 10 }", "data_filler { } data_filler { value: -1 }", 48, "reaches -1"),
    ],
)
def test_what_is_wrong_in_a_net_is_found_where_it_stands(tmp_path, old, new, line, said):
    lines = found(tmp_path, replaced(NET, old, new))
    assert lines, "nothing found"
    assert any(at == line and said in message for at, message in lines), lines


def test_the_labels_that_a_loss_ignores_may_be_any(tmp_path):
    text = replaced(NET, "data_filler { } data_filler { value: 10 }", "data_filler { } data_filler { value: -1 }")
    assert (
        found(
            tmp_path,
            replaced(text, "softmax_param { axis: 2 }", "softmax_param { axis: 2 } loss_param { ignore_label: -1 }"),
        )
        == []
    )


def test_all_unknown_fields_are_told_at_once(tmp_path):
    text = NET.replace("kernel_size", "kernal_size").replace('name: "lstm"', 'nmae: "lstm"')
    assert {
        (16, "ConvolutionParameter has no field 'kernal_size'; did you mean 'kernel_size'?"),
        (29, "LayerParameter has no field 'nmae'; did you mean 'name'?"),
    } < set(found(tmp_path, text))


def test_required_fields(tmp_path):
    clip = 'layer { name: "c" type: "Clip" bottom: "conv" top: "c" clip_param {\n min: 1 } }\n'
    assert (52, "clip_param needs a value for max") in found(tmp_path, NET + clip)


V1 = """\
name: "old"
input: "data"
input_dim: 2 input_dim: 3 input_dim: 9 input_dim: 9
layers {
  name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  convolution_param {
    num_output: 4
    kernel_size: 3 } }
layers { name: "fc" type: INNER_PRODUCT bottom: "conv" top: "fc"
  blobs_lr: 1
  blobs_lr: 2
  inner_product_param { num_output: 5 } }
"""


def test_old_formats_are_checked_as_caffe_upgrades_them_at_their_own_lines(tmp_path):
    assert found(tmp_path, V1) == []
    assert found(tmp_path, V1.replace("kernel_size: 3", "kernel_size: 30"))[0][0] == 8
    ((line, said),) = found(tmp_path, V1.replace("blobs_lr: 2", "blobs_lr: 2 blobs_lr: 3"))
    assert line == 10 and "it has 2 weights, and param is given 3 times" in said
    (line, said), *_ = found(tmp_path, V1.replace("INNER_PRODUCT", "INNERPRODUCT"))
    assert line == 9 and "has no value 'INNERPRODUCT'; did you mean 'INNER_PRODUCT'?" in said
    ((line, said),) = found(tmp_path, V1 + "layer { name: 'r' type: 'ReLU' bottom: 'fc' top: 'fc' }\n")
    assert line == 13 and "'layer' and 'layers' cannot stand in one file" in said


def test_old_layers_within_a_solver_are_passed_over_by_caffe(tmp_path):
    (tmp_path / "net").write_text(NET)
    solver = SOLVER.replace('net: "net"', 'net_param { layers { name: "x" type: RELU } }')
    ((line, said),) = found(tmp_path, solver)
    assert line == 1 and "Caffe passes over the old 'layers'" in said


def test_what_only_a_gpu_runs(tmp_path):
    pool = (
        'layer { name: "p" type: "Pooling" bottom: "image" top: "p"\n'
        "  pooling_param { kernel_size: 2 pool: STOCHASTIC } }\n"
    )
    ((line, said),) = found(tmp_path, NET + pool)
    assert line == 53 and "STOCHASTIC runs on a GPU only" in said
    (tmp_path / "net").write_text(NET + pool)
    assert found(tmp_path, SOLVER + "solver_mode: GPU\n") == []
    assert found(tmp_path, SOLVER + "solver_mode: CPU\n")[0][0] == 53


# ---- states ----

STAGES = """\
layer { name: "data" type: "DummyData" top: "x" top: "label" dummy_data_param { shape: [{ dim: [4, 5] }, { dim: 4 }] }
  include { phase: TRAIN } }
layer { name: "data" type: "DummyData" top: "x" top: "label" dummy_data_param { shape: [{ dim: [2, 5] }, { dim: 2 }] }
  include { phase: TEST stage: "on-val" } }
layer { name: "data" type: "DummyData" top: "x" top: "label" dummy_data_param { shape: [{ dim: [2, 5] }, { dim: 3 }] }
  include { phase: TEST stage: "on-train" } }
layer { name: "y" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "z" type: "InnerProduct" bottom: "w" top: "z" inner_product_param { num_output: 3 }
  include { stage: "wide" } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y"
  bottom: "label" top: "loss" }
"""


def test_a_net_alone_is_checked_in_the_states_that_its_rules_leave_open(tmp_path):
    """Stages that exclude each other, or that one must have, are no fault; what any sound state shows is."""
    lines = found(tmp_path, STAGES)
    assert [line for line, _ in lines] == [8, 10]
    assert "no layer makes its bottom 'w'" in lines[0][1]
    assert "on-train" in lines[1][1] and "on-val" not in lines[1][1]


def test_a_phase_that_no_rule_names_need_not_do(tmp_path):
    deploy = (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [6, 5] } } }\n'
        'layer { name: "r" type: "Reshape" bottom: "x" top: "r" reshape_param { shape { dim: [3, 2, 5] } }\n'
        "  include { phase: TEST } }\n"
        'layer { name: "p" type: "Softmax"\n  bottom: "r" top: "p" }\n'
    )
    assert (said := checked(tmp_path, deploy)).findings == [] and said.states == ["TEST"]
    assert [line for line, _ in found(tmp_path, deploy, phase="TRAIN")] == [5]
    assert [line for line, _ in found(tmp_path, replaced(deploy, 'bottom: "r"', 'bottom: "s"'))] == [5]
    for rule in "include { phase: TRAIN }", "exclude { phase: TEST }":
        lines = found(tmp_path, deploy + f'layer {{ name: "s" type: "Silence" bottom: "r" {rule} }}\n')
        assert [line for line, _ in lines] == [5, 6]


def test_a_phase_without_data_is_none_unless_a_rule_names_it(tmp_path):
    trains = STAGES[: STAGES.index("layer {", 9)] + STAGES[STAGES.index('layer { name: "y"') :]
    trains = replaced(trains, ' bottom: "w"', ' bottom: "x"')
    assert (said := checked(tmp_path, trains)).findings == [] and said.states == ["TRAIN", "TRAIN with wide"]
    tests = 'layer { name: "acc" type: "Accuracy" bottom: "y" bottom: "label" top: "acc" include { phase: TEST } }\n'
    lines = found(tmp_path, trains + tests)
    assert lines and all("rules leave it out there" in said or "makes its bottom 'y'" in said for _, said in lines)


def test_a_net_alone_in_the_state_asked_for(tmp_path):
    assert found(tmp_path, STAGES, phase="train") == []
    assert found(tmp_path, STAGES, phase="TEST", stages=["on-val"]) == []
    assert [line for line, _ in found(tmp_path, STAGES, phase="TEST", stages=["wide", "on-val"])] == [8]
    lines = found(tmp_path, STAGES, phase="TEST")
    assert any(line == 7 and "layer 'data' does, and its rules leave it out" in said for line, said in lines)
    with pytest.raises(SpecError, match="no phase 'TRIAN'; did you mean|no phase 'TRIAN', only"):
        found(tmp_path, STAGES, phase="TRIAN")


def test_a_solver_s_net_is_checked_in_the_solver_s_states(tmp_path):
    (tmp_path / "net").write_text(STAGES)
    assert found(tmp_path, SOLVER + 'test_state { stage: "on-val" }\n') == []
    findings = check(_written(tmp_path, SOLVER + 'test_state { stage: "on-train" }\n'), folder=tmp_path).findings
    assert [(finding.path, finding.line) for finding in findings] == [(str(tmp_path / "net"), 10)]
    ((line, said),) = found(tmp_path, SOLVER + 'test_state {\n  stage: "on-vl"\n}\n')
    assert line == 12
    assert said == (
        f"no data layer of {tmp_path / 'net'} is built in TEST with on-vl: "
        "no rule names 'on-vl'; did you mean 'on-val'?"
    )


def test_a_test_net_s_weights_must_be_the_training_net_s(tmp_path):
    (tmp_path / "net").write_text(STAGES.replace("[{ dim: [2, 5] }, { dim: 2 }]", "[{ dim: [2, 6] }, { dim: 2 }]"))
    ((line, said),) = found(tmp_path, SOLVER + 'test_state { stage: "on-val" }\n')
    assert line == 12 and "layer 'y' has the weights 3x6, 3 in TEST with on-val and 3x5, 3 in training" in said


def _written(folder, text):
    (folder / "solver").write_text(text)
    return folder / "solver"


# ---- solvers ----


@pytest.mark.parametrize(
    "old, new, line, said",
    [
        ("max_iter: 1000", "max_itre: 1000", 6, "SolverParameter has no field 'max_itre'; did you mean 'max_iter'?"),
        ('net: "net"', 'net: "nte"', 1, "net: there is no 'nte'; did you mean 'net'?"),
        ('net: "net"', 'test_net: "net"', 1, "names no net to train"),
        ('net: "net"', 'net: "net" train_net: "net"', 1, "both name the net to train"),
        ('net: "net"', 'train_net: "net"', 8, "it has 1 test_iter for 0 test nets"),
        ('"step"', '"stpe"', 3, "no lr_policy 'stpe'; did you mean 'step'?"),
        ('lr_policy: "step"', "", 1, "lr_policy must be set"),
        ("stepsize: 100", "stepsize: 0", 5, "stepsize"),
        ("gamma: 0.5", "", 1, "gamma"),
        ("base_lr: 0.1", "base_lr: -0.1", 2, "base_lr must be above 0"),
        ("max_iter: 1000", "max_iter: 0", 6, "max_iter must be 1 or more"),
        ("momentum: 0.9", "momentum: 1.9", 7, "between 0 and 1"),
        ("momentum: 0.9", 'momentum: 0.9 type: "AdaGrad"', 7, "AdaGrad takes no momentum"),
        ("momentum: 0.9", 'type: "Adma"', 7, "no solver type 'Adma'; did you mean 'Adam'?"),
        ("momentum: 0.9", 'type: "SGD" solver_type: SGD', 7, "keep type alone"),
        ("momentum: 0.9", 'type: "RMSProp" rms_decay: 1', 7, "rms_decay must lie between 0 and 1"),
        ("momentum: 0.9", 'type: "Adam" momentum2: 1', 7, "momentum2"),
        ("momentum: 0.9", 'type: "Adam" delta: 0', 7, "delta"),
        ("momentum: 0.9", "iter_size: 0", 7, "iter_size"),
        ("momentum: 0.9", "average_loss: 0", 7, "average_loss"),
        ("momentum: 0.9", "weight_decay: -1", 7, "weight_decay"),
        ("momentum: 0.9", "clip_gradients: 0", 7, "clip_gradients: 0"),
        ("momentum: 0.9", 'regularization_type: "L3"', 7, "only L1 and L2"),
        ("momentum: 0.9", 'weights: "nowhere.caffemodel"', 7, "there is no 'nowhere.caffemodel'"),
        ("test_iter: 5", "test_iter: 0", 8, "test_iter must be 1 or more"),
        ("test_iter: 5", "test_iter: 5 test_state { } test_state { }", 8, "it has 2 test_state for 1 test_iter"),
        ("test_interval: 100", "", 8, "test_interval"),
        ("snapshot: 500", "snapshot: -1", 10, "snapshot must not be below 0"),
        ('snapshot_prefix: "snap"', "", 10, "with snapshot goes snapshot_prefix"),
        ('snapshot_prefix: "snap"', 'snapshot_prefix: "nowhere/snap"', 11, "there is no folder 'nowhere'"),
        ("stepsize: 100", "stepvalue: 4\nstepvalue: 3", 5, "must rise"),
    ],
)
def test_what_is_wrong_in_a_solver_is_found_where_it_stands(tmp_path, old, new, line, said):
    (tmp_path / "net").write_text(NET)
    text = replaced(SOLVER, old, new)
    if "rise" in said:
        text = text.replace('"step"', '"multistep"')
    lines = found(tmp_path, text)
    assert any(at == line and said in message for at, message in lines), lines


def test_a_solver_with_its_net_in_it(tmp_path):
    inline = "net_param {\n" + replaced(NET, "    group: 2", "    group: 3") + "}"
    lines = found(tmp_path, replaced(SOLVER, 'net: "net"', inline))
    assert [line for line, said in lines if "group 3 does not divide" in said] == [18]


def test_a_solver_whose_net_is_no_prototxt(tmp_path):
    (tmp_path / "net").write_text("name: 'x'\nlayer {")
    (finding,) = check(_written(tmp_path, SOLVER), folder=tmp_path).findings
    assert finding.path == str(tmp_path / "net") and finding.line == 2


# ---- files ----

HDF5 = """\
layer { name: "data" type: "HDF5Data" top: "x" top: "label"
  hdf5_data_param {
    source: "list.txt" batch_size: 4 } }
layer { name: "y" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y"
  bottom: "label" top: "loss" loss_param { ignore_label: -1 } }
"""
AFTER_DATA = HDF5[HDF5.index("layer", 9) :]


def hdf5(folder, name, **arrays):
    with h5py.File(folder / name, "w") as file:
        for dataset, array in arrays.items():
            file[dataset] = np.asarray(array, "float32")


def test_hdf5_data(tmp_path):
    ((line, said),) = found(tmp_path, HDF5)
    assert line == 3 and "there is no 'list.txt'" in said
    (tmp_path / "lists.txt").write_text("")
    assert "did you mean 'lists.txt'?" in found(tmp_path, HDF5)[0][1]

    (tmp_path / "list.txt").write_text("a.h5\nb.h5\n")
    hdf5(tmp_path, "a.h5", x=np.zeros((6, 5)), label=[0, 1, 2, 2, -1, 0])
    ((line, said),) = found(tmp_path, HDF5)
    assert line == 3 and "'list.txt' lists 'b.h5': there is no such file" in said

    hdf5(tmp_path, "b.h5", x=np.zeros((6, 5)), label=[0, 1, 2, 2, -1, 0])
    assert found(tmp_path, HDF5) == []
    hdf5(tmp_path, "b.h5", x=np.zeros((6, 5)), label=[0, 1, 2, 3, -1, 0])  # beyond, and in the second file only
    assert [line for line, said in found(tmp_path, HDF5) if "reaches 3, but 'y' has 3 classes" in said] == [6]
    hdf5(tmp_path, "b.h5", x=np.zeros((6, 5)))
    assert "it has no dataset 'label'" in found(tmp_path, HDF5)[0][1]
    hdf5(tmp_path, "b.h5", x=np.zeros((6, 5)), label=np.zeros(5))
    assert "have not as many rows" in found(tmp_path, HDF5)[0][1]
    (tmp_path / "b.h5").write_text("no HDF5")
    assert "no HDF5 file" in found(tmp_path, HDF5)[0][1]


def test_image_data(tmp_path):
    text = (
        'layer { name: "data" type: "ImageData" top: "x" top: "label" transform_param { crop_size: 8 }\n'
        '  image_data_param { source: "list.txt" root_folder: "images/" batch_size: 4 } }\n' + AFTER_DATA
    )
    assert "there is no 'list.txt'" in found(tmp_path, text)[0][1]
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a b.jpg").write_bytes(b"")
    (tmp_path / "list.txt").write_text("a b.jpg 0\nb.jpg 3\n")
    lines = found(tmp_path, text)
    assert [line for line, said in lines if "lists 'images/b.jpg', which is not there" in said] == [2]
    assert [line for line, said in lines if "'label' of layer 'data' reaches 3" in said] == [5]
    (tmp_path / "list.txt").write_text("a b.jpg 0\n")
    assert found(tmp_path, text) == []
    ((line, said),) = found(tmp_path, replaced(text, '"images/"', '"images"'))
    assert line == 2 and "Caffe adds no slash" in said


def test_data(tmp_path):
    text = (
        'layer { name: "data" type: "Data" top: "x" top: "label"\n'
        '  data_param { source: "db" batch_size: 2 backend: LMDB } }\n' + AFTER_DATA
    )
    ((line, said),) = found(tmp_path, text)
    assert line == 2 and "there is no 'db'" in said
    with lmdb.open(str(tmp_path / "db")) as database, database.begin(write=True) as transaction:
        for label in 0, 2, 4:
            datum = pb.Datum(channels=1, height=2, width=2, data=bytes(4), label=label)
            transaction.put(str(label).encode(), datum.SerializeToString())
    assert [line for line, said in found(tmp_path, text) if "'label' of layer 'data' reaches 4" in said] == [5]
    assert found(tmp_path, replaced(text, "num_output: 3", "num_output: 5")) == []


def test_paths_count_from_the_folder_where_caffe_is_run(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "net").write_text(NET)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run/solver").write_text(SOLVER)
    assert check("run/solver").findings == []
    (finding,) = check("run/solver", folder="run").findings
    assert str(finding) == "run/solver:1: net: there is no 'net'; paths count from the folder in which Caffe is run"
    with pytest.raises(SpecError, match="nowhere: no such"):
        check("run/solver", folder="nowhere")


def test_files_beside_the_prototxt_are_found_where_no_folder_is_given(tmp_path, monkeypatch):
    here, run = tmp_path, tmp_path / "run"
    run.mkdir()
    monkeypatch.chdir(here)
    (run / "net").write_text(IMAGES)
    (run / "solver").write_text(replaced(SOLVER, "test_iter: 5\ntest_interval: 100\n", ""))
    absent = check("run/solver")
    assert absent.folder == "run" and [(one.path, one.about_data) for one in absent.findings] == [("run/net", True)]
    (run / "list").write_text("0.png 1\n")
    cv2.imwrite(str(run / "0.png"), np.zeros((9, 9, 3), "uint8"))
    for file in "run/solver", "run/net", str(run / "net"):
        assert (found := check(file)).findings == [] and Path(found.folder) in (Path("run"), run)

    # where Caffe is run, as a --folder or as the place from which the solver's net is found, is what counts
    (run / "solver").write_text((run / "solver").read_text().replace('net: "net"', 'net: "run/net"'))
    (finding,) = check("run/solver").findings
    lies = (
        "there is no 'list', but one beside the prototxt: set 'run/list'; paths count from the folder in which Caffe is"
    )
    assert str(finding) == f"run/net:2: layer 'data': {lies} run" and finding.about_data
    (finding,) = check("run/net", folder=here).findings
    assert "one beside the prototxt: set 'run/list'" in finding.message
    (here / "list").write_text("run/0.png 1\n")  # as many here as there: it is the current folder
    assert (found := check("run/net")).findings == [] and found.folder == ""


IMAGES = """\
layer { name: "data" type: "ImageData" top: "x" top: "label" transform_param { crop_size: 5 }
  image_data_param { source: "list" batch_size: 4 } include { phase: TRAIN } }
layer { name: "y" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" include { phase: TRAIN } }
"""
NO_FILES = {  # data that are not there, or not as Caffe wants them; and what is wrong all the same
    "images": (IMAGES, "num_output: 3", "num_outputs: 3"),
    "a mean": (replaced(IMAGES, "crop_size: 5", 'crop_size: 5 mean_file: "m"'), 'bottom: "label"', 'bottom: "lable"'),
    "hdf5": (
        replaced(IMAGES, "ImageData", "HDF5Data")
        .replace("image_data", "hdf5_data")
        .replace(" transform_param { crop_size: 5 }", ""),
        'source: "list"',
        "",
    ),
    "a database": (replaced(IMAGES, "ImageData", "Data").replace("image_data", "data"), "crop_size: 5", "crop_siez: 5"),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_data_can_be_left_out_and_nothing_else_is(kind, tmp_path):
    text, good, bad = NO_FILES[kind]
    whole = checked(tmp_path, text)
    assert whole.findings and all(finding.about_data for finding in whole.findings)
    without = checked(tmp_path, text, data=False)
    assert without.findings == [] and without.states == ["TRAIN"]
    assert without.unknown == (["x", "label"] if kind == "hdf5" else [])
    (tmp_path / "list").write_bytes(b"\0 no list")  # is not opened
    assert checked(tmp_path, text, data=False) == without
    findings = checked(tmp_path, replaced(text, good, bad), data=False).findings
    assert findings and not any(finding.about_data for finding in findings)


def test_without_data_constant_labels_and_missing_modules_are_still_found(tmp_path):
    lines = found(tmp_path, replaced(NET, "input_dim: 11", "input_dim: 10"), data=False)
    assert any(
        line == 24 and "'words' of layer 'data' reaches 10, but its input_dim is 10" in said for line, said in lines
    )
    text = 'layer { name: "data" type: "Python" top: "x" python_param { module: "nosuch" layer: "L" } }\n'
    ((line, said),) = found(tmp_path, text, data=False)
    assert line == 1 and "no Python module 'nosuch'" in said


def test_python_layers_are_asked_about_through_hooks(tmp_path):
    text = (
        'layer { name: "data" type: "Python" top: "x" top: "label" python_param { module: "json" layer: "L"\n'
        '  param_str: "?" } }\n' + AFTER_DATA
    )
    shapes = Hooks(lambda layer: [(4, 5), (4,)], lambda layer, top: [0, 7] if top == "label" else None)
    assert [line for line, said in found(tmp_path, text, hooks=shapes) if "reaches 7" in said] == [5]

    def refused(layer, top):
        raise SpecError("there is no data set here")

    lines = found(tmp_path, text, hooks=Hooks(shapes.shapes, refused))
    assert lines == [(2, "layer 'data': there is no data set here")]
    assert found(tmp_path, text) == []


@given(nets(), st.sampled_from([None, "TRAIN", "TEST"]))
def test_whatever_a_net_says_each_finding_is_a_line_of_it(net, phase):
    with tempfile.TemporaryDirectory() as folder:
        path, text = Path(folder, "net"), to_text(net)
        path.write_text(text)
        for finding in check(path, phase, folder=folder).findings:
            assert finding.path == str(path) and 1 <= finding.line <= text.count("\n")
            assert finding.message and "\n" not in str(finding)


def test_unreadable_files_are_errors(tmp_path):
    with pytest.raises(SpecError, match="no such file"):
        check(tmp_path / "nowhere")
    (tmp_path / "weights").write_bytes(b"\x0a\x03\xff\x00\xfe")
    with pytest.raises(SpecError, match="not a text file"):
        check(tmp_path / "weights")


@pytest.mark.parametrize("name", catalogue.names())
def test_the_catalogue_has_nothing_but_missing_sources(name, tmp_path):
    files = catalogue.get(name).files(net="train_test", snapshot_prefix="snap")
    for kind, message in files.items():
        (tmp_path / kind).write_text(to_text(message))
    for kind in files:
        findings = check(tmp_path / kind, folder=tmp_path).findings
        assert [str(finding) for finding in findings if "there is no '" not in finding.message] == []
