"""What is said before a training starts: which stages, from which weights, how much memory, how long."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep import room
from data_prep.dataset import Dataset
from data_prep.whole_files import write_json
from lrcn.engine import blas
from lrcn.engine.cards import Card
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.results import tables
from lrcn.training import beside, disk, experiment, memory, plan, pretrained
from lrcn.training.disk import Disk
from lrcn.training.experiment import Stage
from lrcn.training.job import open_job
from lrcn.training.memory import Memory
from lrcn.training.run import Run, TrainError
from lrcn.training.share import share_of
from lrcn.training.tasks import task_of
from lrcn.training.workspace import Start, Training
from netspecs import catalogue
from prototxt_gen import SpecError, caffe_pb2
from prototxt_gen.shapes import infer
from tests.lrcn.training.small_nets import write_finished, write_snapshot

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
    assert [tables.duration(s) for s in (40, 600, 8640, 4 * 86400)] == ["40 s", "10 min", "2.4 h", "4.0 days"]
    assert [memory.size(n) for n in (512, 3 << 20, 5 << 30)] == ["0.5 KiB", "3.0 MiB", "5.0 GiB"]


def training(name, **settings):
    """Of a net by itself, on no data set."""
    stage = Stage(name)
    settings = stage.variant.settings(**settings)
    return Training(stage, 1, None, Run(Path("out") / stage.folder), settings, stage.variant.files(**settings))


def test_a_published_stage_in_numbers():
    lrcn = training("activity/lrcn-fc6-rgb")
    step = plan.step(lrcn, 0, "weights")
    assert (step.iterations, task_of(lrcn.variant).batch(lrcn)) == (30000, "24 x 16 frames")
    assert step.tests == 301 * 100  # 100 batches at iterations 0, 100, ..., 30000
    assert step.seconds is None
    step.pace = plan.Pace(2.0, 0.5)
    assert step.seconds == 60000 + 15050
    # 384 frames through the hybrid net: the data alone are 226 MiB, and conv1's blobs ten times that
    assert 5 << 30 < step.memory.training < 20 << 30
    assert plan.step(lrcn, 10000, "weights").tests == 200 * 100 and plan.step(lrcn, 30000, "weights").seconds == 0
    assert plan.step(training("activity/lrcn-fc6-rgb", max_iter=350), 0, "weights").tests == 5 * 100  # at 350 too
    single = training("activity/single-frame-rgb")
    assert task_of(single.variant).batch(single) == "128 frames"


def test_adam_keeps_twice_what_sgd_does():
    variant = catalogue.get("activity/lrcn-fc6-rgb")
    sgd, adam = (plan.step(training(variant.name, backbone="tiny", type=kind), 0, "") for kind in ("SGD", "Adam"))
    inputs = variant.input_shapes(backbone="tiny")["train"]
    parameters = infer(variant.files(backbone="tiny")["train_test"], inputs=inputs).parameters
    assert adam.memory.training - sgd.memory.training == 4 * parameters


def test_a_published_training_takes_of_the_disk_what_its_snapshots_do():
    """60 million weights of a hybrid net to fc6, and an LSTM of 256 units; a snapshot each 5,000 of 30,000."""
    lrcn = training("activity/lrcn-fc6-rgb")
    whole, few = Disk.of(lrcn, None, (), True), Disk.of(lrcn, 2, {5000, 10000}, True)
    net = infer(lrcn.files["train_test"], inputs=lrcn.variant.input_shapes(**lrcn.settings)["train"])
    assert whole.snapshot == 8 * net.parameters and (whole.snapshots, whole.beside) == (7, 0)
    assert (few.snapshots, few.beside) == (4, 1) and few.total < whole.total == whole.left
    assert Disk.of(training("activity/lrcn-fc6-rgb", type="Adam"), 9, (), False).snapshot == 12 * net.parameters
    assert (
        Disk.of(training("activity/lrcn-fc6-rgb", max_iter=12000), 9, (), False).snapshots == 3
    )  # 5,000, 10,000, 12,000
    assert whole.logs < 0.001 * whole.total


def test_the_plan_says_disk_and_a_training_that_cannot_fit_is_refused(dataset, tmp_path, monkeypatch):
    settings = {"backbone": "tiny", "crop": 20, "snapshot": 10, "max_iter": 100}
    job = open_job("activity/single-frame-flow", dataset, tmp_path / "out", settings=settings)
    [training] = job.trainings
    whole = disk.total([Disk.of(training, None, (), False)])
    few = disk.total([Disk.of(training, disk.FEW, (), False)])
    assert 3 * few < whole
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=whole))
    job.check_disk()
    [line] = [line for line in job.plan().splitlines() if line.startswith("disk: ")]
    assert f"about {room.words(whole)} in {tmp_path / 'out'}, all snapshots of each net" in line
    assert "--keep 2 leaves about" in line and "too little" not in line
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=few))
    job.check_disk(keep=2)
    with pytest.raises(TrainError, match=f"out: the training needs about {room.words(whole)} of disk.*give --keep 2 "):
        job.train()
    assert "too little" in job.plan() and "too little" not in job.plan(keep=2)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=0))
    with pytest.raises(TrainError, match="0 kB are free; free some, or give an --out on another disk"):
        job.check_disk(keep=1)
    write_snapshot(training.run.folder, 50)
    (training.run.folder / "snapshots" / "net_iter_50.caffemodel").write_bytes(bytes(whole))
    job.check_disk()  # what lies there is not written again


def test_a_snapshot_that_was_removed_is_missed_before_anything_is_trained(three_stages):
    job, run = three_stages
    job.check_start()
    run.snapshot(5000).unlink()
    with pytest.raises(TrainError, match="its snapshot of iteration 5000, which .* takes, was removed"):
        job.check_start()
    job.check_start(resume=False)


@pytest.fixture
def three_stages(dataset, tmp_path):
    """A job whose last stage starts from a snapshot amid another's training, which is done, and that one's run."""
    own = tmp_path / "own.toml"
    settings = 'settings = {backbone = "tiny", crop = 20, max_iter = 10000}'
    stage = f'[[stages]]\nnet = "activity/single-frame-flow"\n{settings}\n'
    again = 'name = "again"\nstart = "first"\nstart_at = 5000\n'
    own.write_text(f'kind = "frames"\n{stage}name = "first"\n{stage}{again}')
    job = open_job(str(own), dataset, tmp_path / "out")
    training = job.trainings[0]
    assert job.needed(training.stage) == {5000} and not job.needed(job.trainings[1].stage)
    write_finished(training.run.folder, training.files)
    write_snapshot(training.run.folder, 5000)
    caffemodel(training.run.snapshot(5000), conv1=[(16, 3, 5, 5), (16,)])
    return job, training.run


GIB = 2**30
MEASURED = {  # GiB on an H200 without tests, on data made up: with Caffe's own convolutions, and with cuDNN's
    ("activity/lrcn-fc6-rgb", "train"): (9.78, 10.4),
    ("activity/single-frame-rgb", "train"): (4.31, 5.0),
    ("caption/lrcn-2f", "train"): (3.3, None),
    ("caption/lrcn-2f", "finetune"): (3.7, None),
    ("video/decoder-prob", "train"): (1.8, None),
}


@pytest.mark.parametrize("net, stage", MEASURED)
def test_the_estimate_is_what_a_gpu_took(net, stage):
    """To 3 %; and with cuDNN, whose workspace is bounded, the estimate is above by 7 % at most."""
    known = Memory.of(training(net, **({"stage": stage} if "caption" in net else {})))
    im2col, cudnn = MEASURED[net, stage]
    assert (known.training + memory.CUDA_BYTES) / GIB == pytest.approx(im2col, rel=0.03)
    without_tests = known.total(Gpu()) - known.tests - known.ahead
    assert (without_tests - known.training - memory.CUDA_BYTES) == (0 if "video" in net else GIB)
    if cudnn:
        assert cudnn < without_tests / GIB < 1.07 * cudnn


def test_memory_in_words():
    known = Memory(8 * GIB, GIB, GIB, True)
    here = [Card(0, "small", "7.5", "580", "13.0", 8 * GIB), Card(1, "large", "9.0", "580", "13.0", 80 * GIB)]
    assert known.total(None) == 9 * GIB and known.total(Gpu((1,), workspace=512)) == round(11.2 * GIB)
    [line] = memory.in_words(9 * GIB, None, [])
    assert line.startswith("memory: 9.0 GiB at most, ") and "CUDA" not in line
    first, small, large = memory.in_words(11 * GIB, Gpu((0, 1)), here)
    assert first.startswith("memory: 11.0 GiB at most on each GPU, ") and "up to 1.0 GiB of workspace" in first
    assert small == "  GPU 0: small, 8.0 GiB, which may be too little" and large == "  GPU 1: large, 80.0 GiB"
    assert memory.in_words(GIB, Gpu((1, 5)), here)[1:] == [large, "  GPU 5: not on this machine"]
    memory.check_cards("net", Memory(8 * GIB, GIB, 0, True), Gpu((0,)), here)  # 0.9 of 8.7 GiB may do
    with pytest.raises(TrainError, match="small"):
        memory.check_cards("net", known, Gpu((0,)), here)  # 0.9 of 9.7, what is read ahead included, does not
    with pytest.raises(TrainError, match=r"^--gpu 1,0: GPU 0 \(small\) has 8.0 GiB of memory, and net takes 18.7 GiB"):
        memory.check_cards("net", Memory(16 * GIB, GIB, 0, True), Gpu((1, 0)), here)
    memory.check_cards("net", Memory(16 * GIB, 0, 0, True), Gpu((1,)), here)


def test_gpus_share_a_batch_evenly(dataset, tmp_path):
    job = open_job("activity/lrcn-fc6-rgb", dataset, tmp_path / "out", settings={"backbone": "tiny", "crop": 20})
    single, lrcn = job.trainings
    assert share_of(lrcn, None) is lrcn and share_of(lrcn, Gpu((3,))) is lrcn
    assert share_of(lrcn, Gpu((0, 1, 2))).settings["videos"] == 8
    assert share_of(single, Gpu((0, 1))).settings["batch"] == 64
    assert share_of(single, Gpu((0, 1))).files["solver"] == single.files["solver"]
    with pytest.raises(SpecError, match=r"^--gpu 0,1,2: single-frame-rgb has batch=128 .* 3 GPUs cannot share"):
        job.plan(gpu=Gpu((0, 1, 2)))
    shares = share_of(lrcn, Gpu((0, 1))).files["train_test"], lrcn.files["train_test"]
    assert [each.name for each in shares[0].layer] == [each.name for each in shares[1].layer]


def test_a_training_goes_on_with_the_threads_that_it_had(dataset, tmp_path, monkeypatch):
    """Where the machine has them; one that was begun without a note of them has as many as pay."""
    job = open_job("activity/lrcn-fc6-rgb", dataset, tmp_path / "out", settings={"backbone": "tiny", "crop": 20})
    training, told = job.trainings[0], []
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    monkeypatch.setattr(beside, "cores", lambda: 4)
    run = training.run
    run.folder.mkdir(parents=True)

    def threads(resume=True):
        told.clear()
        return beside.threads_of(training, resume, lambda what, done, total: told.append(what))

    write_json(run.folder / "devices.json", [{"from": 0, "gpu": None}])  # of an earlier lrcn
    assert threads() == 1 and run.threads is None
    run.note_device(5, None, 3)
    assert run.devices == [{"from": 0, "gpu": None}, {"from": 5, "gpu": None, "threads": 3}]
    assert (threads(), threads(resume=False), told) == (3, 1, [])
    monkeypatch.setattr(beside, "cores", lambda: 2)
    assert threads() == 2
    assert told[0].startswith(
        "single-frame-rgb goes on with 2 threads of the BLAS, where it had 3: this machine has no"
    )
    monkeypatch.setenv(blas.VARIABLE, "7")
    assert threads() == 7 and f"{blas.VARIABLE} says so" in told[0]


def test_the_plan_says_how_many_are_trained_at_a_time(dataset, tmp_path, monkeypatch):
    """A chain alone takes as long as its parts, whoever has time; RGB and flow take as long as the longer."""
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    monkeypatch.setattr("lrcn.engine.side_by_side.cores", lambda: 2)
    monkeypatch.setattr(plan, "trial", lambda files, compute: plan.Pace(3.0, 1.0))
    sizes = {"backbone": "tiny", "crop": 20, "max_iter": 5000, "test_iter": 0}

    def lines(name, jobs=None, **more):
        job = open_job(name, dataset, tmp_path / "out", settings=sizes, **more)
        planned = job.plan(Start(from_scratch=True), jobs=jobs, trial_in=Compute(engine=SimpleNamespace()))
        return [line for line in planned.splitlines() if line.startswith(("jobs: ", "time: "))]

    both = lines("activity/table1", rows=["single-frame"])
    assert both[0] == "jobs: up to 2 trainings at a time, of 1 thread of the BLAS each"
    assert both[1].startswith("time: 4.2 h in all")  # 5000 x 3 s
    one = lines("activity/table1", 1, rows=["single-frame"])
    assert one[0].startswith("jobs: one training at a time") and one[1].startswith("time: 8.3 h in all")


@pytest.mark.parametrize("jobs, gpu, due", [(None, None, 2), (1, None, 1), (None, Gpu(), 1), (2, Gpu((0, 1)), 2)])
def test_the_disk_is_counted_for_as_many_as_are_at_work_at_a_time(dataset, tmp_path, monkeypatch, jobs, gpu, due):
    """On the CPU as many as have cores; on a GPU one, whatever cores there are."""
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    monkeypatch.setattr("lrcn.engine.side_by_side.cores", lambda: 8)
    counts = []
    monkeypatch.setattr(disk, "check", lambda out, whole, fewer, at_once: counts.append(at_once))
    sizes = {"backbone": "tiny", "crop": 20}
    job = open_job("activity/table1", dataset, tmp_path / "out", settings=sizes, rows=["single-frame"])
    job.check_disk(Start(from_scratch=True), jobs=jobs, gpu=gpu)
    assert counts == [due]


def test_the_plan_in_words(dataset, tmp_path, monkeypatch):
    """Of two nets the second is trained; a trial gives the first 3 s an iteration, and 1 s a batch of a test."""
    sizes = {"backbone": "tiny", "crop": 20}
    job = open_job("activity/lrcn-fc6-rgb", dataset, tmp_path / "out", settings=sizes)
    write_finished(job.trainings[1].run.folder, job.trainings[1].files)

    def planned(pace=None, resume=True):
        monkeypatch.setattr(plan, "trial", lambda files, compute: pace)
        return job.plan(resume=resume, trial_in=pace and Compute(engine=SimpleNamespace())).splitlines()

    def row(lines, name):
        return next(line for line in lines if line.startswith(name))

    lines = planned(plan.Pace(3.0, 1.0))
    where = tmp_path / "out"
    assert lines[0] == f"activity/lrcn-fc6-rgb on noise: 3 classes, split 1, on the CPU, into {where}"
    assert row(lines, "single").split()[:6] == ["single-frame-rgb", "5000", "128", "frames", "random", "weights"]
    assert row(lines, "single").endswith("5.2 h")  # 5000 x 3 s, 51 tests of 75 batches of 1 s: 18825 s
    assert row(lines, "lrcn").split()[:7] == "lrcn-fc6-rgb 30000 (done) 24 x 16 frames".split()
    assert "single-frame-rgb" in row(lines, "lrcn").split()[7:] and row(lines, "lrcn").endswith("none")
    assert row(lines, "time: 5.2 h in all")
    assert row(planned(plan.Pace(3.0, 1.0, least=True)), "time: at least 5.2 h")
    assert row(planned(), "time: not measured")
    assert "(done)" not in row(planned(resume=False), "lrcn")
    assert any("random weights" in line for line in lines if line.startswith("weights: none"))


def test_weights_that_are_needed_are_described_without_invention():
    lines = "\n".join(pretrained.needed_weights())
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


def test_the_plan_says_what_the_users_weights_fill(dataset, tmp_path):
    fits = caffemodel(tmp_path / "a.caffemodel", conv1=[(16, 3, 5, 5), (16,)])
    sizes = {"backbone": "tiny", "crop": 20}
    job = open_job("activity/lrcn-fc6-rgb", dataset, tmp_path / "out", settings=sizes)
    lines = job.plan(Start(fits)).splitlines()
    starts = {line.split()[0]: line for line in lines if "frames" in line}
    assert "a.caffemodel" in starts["single-frame-rgb"] and "a.caffemodel" not in starts["lrcn-fc6-rgb"]
    assert any(line.startswith(f"weights: {fits}: ") for line in lines)
    assert any(line.strip() == "single-frame-rgb takes conv1 of a.caffemodel" for line in lines)


# ---- what is trained ---------------------------------------------------------------------------------------


def test_table_1_is_trained_in_the_order_of_its_starts():
    stages = experiment.read("activity/table1").stages
    assert [(stage.folder, stage.start) for stage in stages] == [
        ("single-frame-rgb", None),
        ("single-frame-flow", None),
        ("lrcn-fc6-rgb", "single-frame-rgb"),
        ("lrcn-fc6-flow", "single-frame-flow"),
        ("lrcn-fc7-rgb", "single-frame-rgb"),
        ("lrcn-fc7-flow", "single-frame-flow"),
    ]
    assert not any(stage.settings for stage in stages)  # as published


def test_rows_bring_what_they_start_from():
    def folders(name, *rows):
        return [stage.folder for stage in experiment.read(name).of_rows(rows).stages]

    assert folders("demo-table1", "lrcn-fc7") == [
        "pretrain-rgb",
        "single-frame-rgb",
        "single-frame-flow",
        "lrcn-fc7-rgb",
        "lrcn-fc7-flow",
    ]
    assert folders("activity/table1", "single-frame") == ["single-frame-rgb", "single-frame-flow"]
    with pytest.raises(SpecError, match="no row 'lrcn-fc8'.*did you mean 'lrcn-fc"):
        folders("activity/table1", "lrcn-fc8")
    with pytest.raises(SpecError, match="demo has no row 'lrcn-fc7', only single-frame, lrcn-fc6"):
        folders("demo", "lrcn-fc7")


@pytest.fixture
def three_splits(dataset, tmp_path):
    """The small data set with three splits, stills of the first alone."""
    folder = shutil.copytree(dataset, tmp_path / "three")
    for split in (2, 3):
        for part in ("train", "test"):
            shutil.copy(folder / f"{part}1.txt", folder / f"{part}{split}.txt")
    write_json(folder / "dataset.json", Dataset(folder).description | {"splits": [1, 2, 3]})
    return folder


def test_splits_lie_apart_and_share_what_comes_before_the_videos(three_splits, tmp_path):
    job = open_job("demo", three_splits, tmp_path / "out", split="all", rows=["single-frame"])
    assert [(run.folder.relative_to(tmp_path).as_posix(), split) for _, split, run in job.runs()] == [
        ("out/pretrain-rgb", 1),
        ("out/single-frame-rgb", 1),
        ("out/single-frame-flow", 1),
        ("out/split2/single-frame-rgb", 2),
        ("out/split2/single-frame-flow", 2),
        ("out/split3/single-frame-rgb", 3),
        ("out/split3/single-frame-flow", 3),
    ]


def test_another_split_begins_with_what_comes_before_the_videos(three_splits, dataset, tmp_path):
    shutil.copytree(dataset, three_splits / "stills")
    job = open_job("demo", three_splits, tmp_path / "out", split=2, rows=["single-frame"], settings={"crop": 20})
    assert job.check_start(dry_run=True) == []


def test_frames_without_stills_of_their_own_are_read_by_the_projects_layer(three_splits, tmp_path):
    sizes = {"backbone": "tiny", "crop": 20}
    job = open_job("activity/single-frame-rgb", three_splits, tmp_path / "out", split="all", settings=sizes)
    assert [each.settings["reader"] for each in job.trainings] == ["lmdb", "clips", "clips"]
