"""What is said before a training starts: which stages, from which weights, how much memory, how long."""

from pathlib import Path

import pytest

from data_prep.dataset import Dataset
from lrcn.training import experiments, plan
from lrcn.training.experiments import Stage
from lrcn.training.train import TrainError
from netspecs import catalogue
from prototxt_gen import SpecError, caffe_pb2

LOG = """\
I1121 23:59:50.000000  7 solver.cpp:48] Initializing solver from parameters:
I1121 23:59:52.000000  7 solver.cpp:218] Iteration 0 (0 iter/s, 1s/1 iters), loss = 3
I1121 23:59:52.500000  7 solver.cpp:330] Iteration 1, Testing net (#0)
I1121 23:59:53.500000  7 solver.cpp:397]     Test net output #0: accuracy = 0.5
I1121 23:59:53.600000  7 solver.cpp:397]     Test net output #1: loss = 1 (* 1 = 1 loss)
I1121 23:59:57.000000  7 solver.cpp:218] Iteration 1 (0.2 iter/s, 5s/1 iters), loss = 2
I1121 23:59:57.000000  7 solver.cpp:237]     Train net output #0: loss = 2 (* 1 = 2 loss)
I1121 23:59:58.000000  7 solver.cpp:330] Iteration 2, Testing net (#0)
I1121 23:59:59.000000  7 solver.cpp:397]     Test net output #0: accuracy = 0.5
I1122 00:00:02.000000  7 solver.cpp:218] Iteration 2 (0.2 iter/s, 5s/1 iters), loss = 1
"""


def test_pace_by_hand_across_midnight():
    """The first iteration does not count; of 5 seconds between two, a test took 1.1, then 1."""
    assert plan.cycles(LOG) == [pytest.approx((3.9, 1.1)), pytest.approx((4.0, 1.0))]
    found = plan.pace(LOG)
    assert (found.iteration, found.test) == pytest.approx((3.95, 1.05)) and not found.least


def test_pace_without_tests():
    assert plan.cycles("\n".join(line for line in LOG.splitlines() if "Test" not in line)) == [
        pytest.approx((5, 0)),
        pytest.approx((5, 0)),
    ]
    with pytest.raises(TrainError, match="no-trial"):
        plan.pace("nothing\n")


def test_durations_and_sizes_in_words():
    assert [plan.duration(s) for s in (40, 600, 8640, 4 * 86400)] == ["40 s", "10 min", "2.4 h", "4.0 days"]
    assert [plan.size(n) for n in (512, 3 << 20, 5 << 30)] == ["0.5 KiB", "3.0 MiB", "5.0 GiB"]


def made(name, done=0, start="weights", folder="out", **settings):
    stage = Stage(name)
    settings = catalogue.get(name).settings(**settings)
    return plan.step(stage, Path(folder) / stage.folder, settings, catalogue.get(name).files(**settings), done, start)


def test_a_published_stage_in_numbers():
    step = made("activity/lrcn-fc6-rgb")
    assert (step.iterations, step.batch) == (30000, "24 x 16 frames")
    assert step.tests == 301 * 100  # 100 batches at iterations 0, 100, ..., 30000
    step.pace = plan.Pace(2.0, 0.5)
    assert step.seconds == 60000 + 15050
    # 384 frames through the hybrid net: the data alone are 226 MiB, and conv1's blobs ten times that
    assert 5 << 30 < step.train_bytes < 20 << 30
    rest = made("activity/lrcn-fc6-rgb", done=10000)
    assert rest.tests == 200 * 100 and made("activity/lrcn-fc6-rgb", done=30000).seconds == 0
    assert made("activity/single-frame-rgb").batch == "128 frames"


def test_adam_keeps_twice_what_sgd_does():
    sgd, adam = (made("activity/lrcn-fc6-rgb", backbone="tiny", type=kind) for kind in ("SGD", "Adam"))
    net = catalogue.get("activity/lrcn-fc6-rgb").files(backbone="tiny")["train_test"]
    from prototxt_gen.shapes import infer

    assert (
        adam.train_bytes - sgd.train_bytes
        == 4
        * infer(net, inputs=catalogue.get("activity/lrcn-fc6-rgb").input_shapes(backbone="tiny")["train"]).parameters
    )


def test_the_plan_in_words(dataset):
    steps = [
        made("activity/single-frame-rgb", start="hybrid"),
        made("activity/lrcn-fc6-rgb", 30000, "single-frame-rgb"),
    ]
    steps[0].pace = plan.Pace(3.0, 1.0)
    text = plan.text("activity/table1", Dataset(dataset), [1], Path("out"), steps, "CPU")
    lines = text.splitlines()
    assert lines[0] == "activity/table1 on noise: 3 classes, split 1, on the CPU, into out"
    single, lrcn = (next(line for line in lines if line.startswith(name)) for name in ("single", "lrcn"))
    assert single.split()[:5] == ["single-frame-rgb", "5000", "128", "frames", "hybrid"]
    assert single.endswith("5.2 h")  # 5000 x 3 s, 51 tests of 75 batches of 1 s: 18825 s
    assert "30000 (done)" in lrcn and lrcn.endswith("none")
    assert any(line.startswith("time: 5.2 h in all") for line in lines)
    steps[0].pace = plan.Pace(3.0, 1.0, least=True)
    assert "time: at least 5.2 h" in plan.text("x", Dataset(dataset), [1], Path("out"), steps, "CPU")
    steps[0].pace = None
    assert "time: not measured" in plan.text("x", Dataset(dataset), [1], Path("out"), steps, "CPU")


def test_weights_that_are_needed_are_described_without_invention():
    lines = "\n".join(plan.needed_weights())
    assert "caffe_imagenet_hyb2_wr_rc_solver_sqrt_iter_310000: hybrid, 60.2 %" in lines
    assert "no checksum was published" in lines and "--from-scratch" in lines
    # BVLC's model card; its file has 243.9 MB
    assert "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46" in lines and "about 244 MB" in lines
    assert "backbone=caffenet" in lines


def caffemodel(path, **layers):
    net = caffe_pb2.NetParameter()
    for name, shapes in layers.items():
        layer = net.layer.add(name=name)
        for shape in shapes:
            blob = layer.blobs.add()
            blob.shape.dim.extend(shape)
            count = 1
            for side in shape:
                count *= side
            blob.data.extend([0.0] * count)
    path.write_bytes(net.SerializeToString())
    return path


def test_given_weights_are_held_against_the_net(tmp_path):
    variant, stage = catalogue.get("activity/single-frame-rgb"), Stage("activity/single-frame-rgb")
    small = dict(backbone="tiny", reader="clips")
    files, inputs = variant.files(**small), variant.input_shapes(**small)["train"]
    fits = caffemodel(tmp_path / "a.caffemodel", conv1=[(16, 3, 5, 5), (16,)], conv2=[(1, 16, 3, 3), (1,)])
    said = "\n".join(plan.given_weights(fits, stage, files, inputs))
    assert "takes conv1\n" in said and "conv2 (of another shape in the file)" in said and "fc8-ucf" in said
    strange = caffemodel(tmp_path / "b.caffemodel", other=[(3,)])
    with pytest.raises(TrainError, match="b.caffemodel: holds no layer that fits"):
        plan.given_weights(strange, stage, files, inputs)


def test_table_1_is_trained_in_the_order_of_its_starts():
    stages = experiments.stages("activity/table1")
    assert [(stage.folder, stage.start) for stage in stages] == [
        ("single-frame-rgb", None),
        ("single-frame-flow", None),
        ("lrcn-fc6-rgb", "single-frame-rgb"),
        ("lrcn-fc6-flow", "single-frame-flow"),
        ("lrcn-fc7-rgb", "single-frame-rgb"),
        ("lrcn-fc7-flow", "single-frame-flow"),
    ]
    assert not any(stage.settings for stage in stages)  # as published


@pytest.mark.parametrize("experiment", experiments.EXPERIMENTS)
def test_every_stage_starts_from_one_before_it(experiment):
    seen = set()
    for stage in experiments.stages(experiment):
        assert stage.start is None or stage.start in seen
        seen.add(stage.folder)


def test_rows_bring_what_they_start_from():
    assert [stage.folder for stage in experiments.stages("demo-table1", ["lrcn-fc7"])] == [
        "pretrain-rgb",
        "single-frame-rgb",
        "single-frame-flow",
        "lrcn-fc7-rgb",
        "lrcn-fc7-flow",
    ]
    assert [s.folder for s in experiments.stages("activity/table1", ["single-frame"])] == [
        "single-frame-rgb",
        "single-frame-flow",
    ]
    with pytest.raises(SpecError, match="no row 'lrcn-fc8'.*did you mean 'lrcn-fc"):
        experiments.stages("activity/table1", ["lrcn-fc8"])
    with pytest.raises(SpecError, match="demo has no row 'lrcn-fc7'"):
        experiments.stages("demo", ["lrcn-fc7"])


def test_splits_lie_apart_and_share_what_comes_before_the_videos():
    stage, stills = Stage("activity/lrcn-fc6-rgb"), Stage("activity/single-frame-rgb", pretrain="stills")
    assert experiments.place("out", stage, 1) == Path("out/lrcn-fc6-rgb")
    assert experiments.place("out", stage, 3) == Path("out/split3/lrcn-fc6-rgb")
    assert experiments.place("out", stills, 3) == Path("out/pretrain-rgb")


def test_frames_without_stills_of_their_own_are_read_by_the_projects_layer(dataset, tmp_path):
    stage = Stage("activity/single-frame-rgb", {"backbone": "tiny", "crop": 20})
    assert experiments.settings(stage, Dataset(dataset), 1)["reader"] == "lmdb"
    assert experiments.settings(stage, Dataset(dataset), 2)["reader"] == "clips"  # no stills of split 2 here
