"""Jobs in real Caffe, at tiny sizes: what a user may leave out, give again, correct and move."""

import json
import shutil
import subprocess
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_prep.dataset import Dataset, list_text
from lrcn import engine
from lrcn.activity import score
from lrcn.engine.compute import Compute
from lrcn.engine.process import CaffeError
from lrcn.training import experiment, job
from lrcn.training.board import tag
from lrcn.training.job import Start, open_job
from lrcn.training.run import Run, TrainError
from prototxt_gen import SpecError, caffe_pb2, parse, to_text
from tests.commands import lrcn, prepare, refused
from tests.datasets import make_dataset, write_snippets
from tests.lrcn.training.event_files import scalars
from tests.lrcn.training.small_nets import set_options, small_table1, train_small
from tests.weights import weights

pytestmark = pytest.mark.engine

SINGLE, LRCN = "activity/single-frame-flow", "activity/lrcn-fc6-flow"
SMALL = small_table1("single-frame-flow", "lrcn-fc6-flow")
OPTIONS = set_options(SMALL)
SINGLE_ALONE = small_table1("single-frame-flow")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set and LRCN-fc6 on its flow, trained and evaluated; moved by who takes a copy of it."""
    folder = tmp_path_factory.mktemp("job")
    make_dataset(folder / "data")
    opened = open_job(LRCN, folder / "data", folder / "runs", settings=SMALL)
    opened.train()
    opened.evaluate()
    return folder


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of it that lies elsewhere: of its paths none is true any more."""
    folder = tmp_path / "there"
    shutil.copytree(trained, folder)
    for note in folder.glob("runs/*/*.json"):
        assert str(trained) in note.read_text() or note.name in ("run.json", "devices.json")
    return folder


def content(folder, pattern="*"):
    return {path: path.read_bytes() for path in folder.rglob(pattern) if path.is_file()}


# ---- what was set is not asked again -----------------------------------------------------------------------


def test_evaluation_needs_no_setting_again_and_names_what_clashes(trained):
    out = trained / "runs"
    before = json.loads((out / "results.json").read_text())
    [again] = open_job(LRCN, trained / "data", out).evaluate()
    assert again.results["models"] == before["models"] and set(before["models"]) == {"single-frame", "lrcn-fc6"}
    open_job(LRCN, trained / "data", out, settings=SMALL | {"workers": 1}).evaluate()  # as given, or it changes nothing
    for settings, said in (
        ({"units": 64}, "lrcn-fc6-flow: was trained with units=5, not units=64; leave that out"),
        ({SINGLE: {"seed": 3}}, "single-frame-flow: was trained with seed=1701, not seed=3; leave that out"),
    ):
        with pytest.raises(TrainError) as error:
            open_job(LRCN, trained / "data", out, settings=settings).evaluate()
        assert said in str(error.value) and "\n" not in str(error.value)


def test_without_data_it_is_the_set_that_the_runs_were_trained_on(trained, tmp_path):
    done = lrcn("evaluate", LRCN, "--out", trained / "runs", cwd=tmp_path)
    assert done.returncode == 0 and "lrcn-fc6" in done.stdout, done.stderr
    refused(lrcn("evaluate", LRCN, "--out", tmp_path / "none", cwd=tmp_path), "data/activity-lrcn-fc6-flow")
    assert not list(tmp_path.iterdir())


def test_runs_on_another_data_set_are_not_evaluated_on_this_one(trained, tmp_path):
    other = make_dataset(tmp_path / "other", videos=9)
    said = lrcn("evaluate", LRCN, "--data", other, "--out", trained / "runs")
    refused(said, "single-frame-flow: was trained on another data set than", str(other), "--data")
    refused(lrcn("train", LRCN, "--data", other, "--out", trained / "runs", *OPTIONS), "differs in its data set")


# ---- moved -------------------------------------------------------------------------------------------------


def test_runs_and_data_that_were_moved_are_trained_evaluated_and_used_there(trained, copied, tmp_path):
    """Neither may lie where it was: the first place is made unreadable by another name."""
    away = trained.rename(trained.with_name("away"))
    try:
        data, runs = copied / "data", copied / "runs"
        scores = {path.parent.name: score.load(path) for path in runs.glob("*/scores.npz")}
        for path in runs.glob("*/scores.npz"):
            path.unlink()
        done = lrcn("evaluate", LRCN, "--data", data, "--out", runs)  # whose notes still name the first place
        assert done.returncode == 0 and len(scores) == 2, done.stderr
        for name, expected in scores.items():
            assert np.array_equal(score.load(runs / name / "scores.npz"), expected), name
        before = content(runs, "net_iter_*") | content(runs, "from-*.log")
        done = lrcn("train", LRCN, "--data", data, "--out", runs, *OPTIONS)
        assert done.returncode == 0 and "/4" not in done.stderr, done.stderr  # no iteration is told of
        assert content(runs, "net_iter_*") | content(runs, "from-*.log") == before
        frames = tmp_path / "frames"
        frames.mkdir()
        for number in range(1, 9):
            jpeg = Dataset(data).jpeg("rgb", "v_00", number)
            (frames / f"{number:04d}.png").write_bytes(jpeg)
        done = lrcn("classify", frames, "--run", runs, "--json", "--out", tmp_path / "pictures")
        assert done.returncode == 0 and json.loads(done.stdout)["model"] == "lrcn-fc6", done.stderr
    finally:
        away.rename(trained)
    assert str(trained) not in "".join(path.read_text() for path in runs.glob("*/stage.json"))


def test_a_run_that_was_cut_off_goes_on_where_it_was_moved_to(copied):
    data, runs = copied / "data", copied / "runs"
    run = Run(runs / "lrcn-fc6-flow")
    whole = weights(run.weights)
    model = run.snapshot(4)
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])  # beside a state that is whole
    assert run.done == 2
    refused(lrcn("evaluate", LRCN, "--data", data, "--out", runs), "net_iter_4.caffemodel: ", "`lrcn train` makes it")
    open_job(LRCN, data, runs, settings=SMALL).train()
    assert weights(run.weights) == whole
    assert str(data) in (run.folder / "train_test.prototxt").read_text()


# ---- side by side ------------------------------------------------------------------------------------------


def test_side_by_side_they_learn_what_they_learn_one_after_the_other(dataset, tmp_path, monkeypatch):
    """To the bit. Each begins only when the other is there too."""
    settings = small_table1("single-frame-rgb", "single-frame-flow") | {"snapshot": 4}
    begin, met = job.train, threading.Barrier(2)

    def trained(out, jobs):
        opened = open_job("activity/table1", dataset, tmp_path / out, rows=["single-frame"], settings=settings)
        return opened.train(Start(from_scratch=True), jobs=jobs)

    one_by_one = trained("one", 1)
    monkeypatch.setattr(job, "train", lambda *arguments: (met.wait(), begin(*arguments))[1])
    both = trained("two", 2)
    assert [run.folder.name for run in both] == ["single-frame-rgb", "single-frame-flow"]
    assert [weights(run.weights) for run in both] == [weights(run.weights) for run in one_by_one]


# ---- corrected ---------------------------------------------------------------------------------------------


def test_what_diverged_before_its_first_snapshot_is_given_again_corrected(dataset, tmp_path):
    """With weights to start from, too, though these stand in a snapshot of iteration 0."""
    start = Start(train_small(dataset, tmp_path / "start", "activity/single-frame-flow", max_iter=1).weights)
    settings = SINGLE_ALONE | {"base_lr": 1e30, "snapshot": 4, "fc6": 8}
    with pytest.raises(TrainError, match="diverged; give a lower --set base_lr"):
        open_job(SINGLE, dataset, tmp_path / "runs", settings=settings).train(start)
    assert Run(tmp_path / "runs" / "single-frame-flow").snapshot(0).exists()
    [run] = open_job(SINGLE, dataset, tmp_path / "runs", settings=settings | {"base_lr": 0.001}).train(start)
    assert run.finished and run.settings["base_lr"] == 0.001
    assert [row["iteration"] for row in run.curve() if "loss" in row] == [0, 1, 2, 3, 4]
    with pytest.raises(TrainError, match=r"differs in base_lr \(0.001 there, 0.002 here\)"):  # it has something to lose
        open_job(SINGLE, dataset, tmp_path / "runs", settings=settings | {"base_lr": 0.002}).train(start)


def test_weights_that_are_not_there_leave_nothing_and_are_given_again(dataset, tmp_path):
    command = ["train", SINGLE, "--data", dataset, "--out", tmp_path / "runs", *set_options(SINGLE_ALONE), "--weights"]
    refused(
        lrcn(*command, tmp_path / "gone.caffemodel"), "gone.caffemodel: no such file", "--weights takes a .caffemodel"
    )
    assert not (tmp_path / "runs").exists()
    weights_there = train_small(dataset, tmp_path / "start", SINGLE, max_iter=1).weights
    assert lrcn(*command, weights_there).returncode == 0


def test_a_net_that_caffe_refused_is_given_again_corrected(dataset, tmp_path):
    settings = SINGLE_ALONE | {"stepvalue": [], "gamma": 0.1, "lr_policy": "of-tomorrow"}
    with pytest.raises((CaffeError, SpecError), match="of-tomorrow"):
        open_job(SINGLE, dataset, tmp_path, settings=settings).train()
    [run] = open_job(SINGLE, dataset, tmp_path, settings=SINGLE_ALONE).train()
    assert run.finished


# ---- by hand -----------------------------------------------------------------------------------------------


def test_the_files_of_a_run_are_loaded_by_caffe_alone_in_its_folder(copied):
    """As who knows Caffe would: the tool in the run's folder, on its solver with an iteration and the processor set."""
    caffe, folder = engine.find(), copied / "runs" / "lrcn-fc6-flow"
    open_job(
        LRCN, copied / "data", copied / "runs", settings=SMALL
    ).train()  # so that it names the data as they lie now
    solver = parse(folder / "solver.prototxt", "solver")
    assert solver.net == "train_test.prototxt"
    solver.max_iter, solver.solver_mode, solver.snapshot_prefix = 1, caffe_pb2.SolverParameter.CPU, "by_hand"
    (folder / "by_hand.prototxt").write_text(to_text(solver))
    start = folder / "snapshots" / "net_iter_4.caffemodel"
    for command in (
        ["train", "-solver", "by_hand.prototxt", "-weights", start.relative_to(folder)],
        ["test", "-model", "train_test.prototxt", "-weights", start, "-stage", "test-on-test", "-iterations", "1"],
    ):
        done = subprocess.run(
            [str(part) for part in [caffe.caffe, *command]],
            cwd=folder,
            env=caffe.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert "loss = " in done.stderr
    assert (folder / "by_hand_iter_1.caffemodel").exists()


# ---- classes a batch ---------------------------------------------------------------------------------------


@pytest.fixture
def by_class(tmp_path):
    """30 videos of five classes whose training list goes class by class, six of each: as UCF-101's own lists do."""
    folder = make_dataset(tmp_path / "data", videos=30, frames=6, classes=5)
    videos = sorted(Dataset(folder).videos(1, "train"), key=lambda video: video.label)
    assert Counter(video.label for video in videos) == dict.fromkeys(range(5), 6)
    (folder / "train1.txt").write_text(list_text(videos))
    return folder


def test_a_list_that_goes_class_by_class_is_refused_where_it_teaches_nothing(by_class, tmp_path):
    def trained(out, *settings):
        where = ["--data", by_class, "--out", tmp_path / out]
        return lrcn("train", SINGLE, *where, *set_options(SINGLE_ALONE), *settings)

    refused(
        trained("runs"),
        f"{by_class}/train1.txt: goes class by class",
        "6 videos in its order are of 1.0 classes (3.",  # 5 (1 - (4/5)^6) = 3.7, less as no video is drawn twice
        "single-frame-flow would learn nothing",
        "--set order=shuffle, or order=list to train all the same",
    )
    assert not (tmp_path / "runs").exists()
    assert trained("shuffled", "order=shuffle").returncode == 0
    by_list = trained("listed", "order=list")
    assert by_list.returncode == 0, by_list.stderr
    again = trained("listed")  # it is trained: nothing is to be learnt any more
    assert again.returncode == 0 and "/4" not in again.stderr, again.stderr
    assert "order=shuffle" in trained("listed", "--fresh").stderr


def test_what_is_shuffled_when_it_is_prepared_is_not_asked(by_class, tmp_path):
    """Caffe's own layer reads single frames of RGB from stills, which are in a random order."""
    settings = small_table1("single-frame-rgb")
    [run] = open_job("activity/single-frame-rgb", by_class, tmp_path / "runs", settings=settings).train()
    assert run.finished and run.settings["reader"] == "lmdb"
    with pytest.raises(TrainError, match="goes class by class"):
        open_job(
            "activity/single-frame-rgb", by_class, tmp_path / "clips", settings=settings | {"reader": "clips"}
        ).train()


# ---- from Python -------------------------------------------------------------------------------------------


def test_the_lines_of_the_manual_of_jobs_are_run(tmp_path, monkeypatch, capsys):
    """As they stand, on snippets made here; the nets are trained for few iterations."""
    monkeypatch.chdir(tmp_path)
    write_snippets(tmp_path)
    data = Path("data/demo/semantics")
    done = prepare("tacos", "--snippets", "set.jsonl", "--out", tmp_path / data, "--streams", 16, "--steps", 8)
    assert done.returncode == 0, done.stderr
    few = {"max_iter": 4, "test_iter": 1, "test_interval": 4, "snapshot": 4, "units": 6, "embedding": 6}
    read = experiment.read

    def shortened(name):
        whole = read(name)
        stages = [job.replace(stage, settings=stage.settings | few) for stage in whole.stages]
        return job.replace(whole, stages=tuple(stages))

    monkeypatch.setattr(experiment, "read", shortened)
    lines = job.__doc__.split("\n\n")[1]
    assert len(lines.splitlines()) <= 10
    names = {"open_job": open_job}
    exec(lines, names)
    [evaluation] = names["evaluations"]
    assert set(evaluation.results["models"]) == {"encoder-decoder-max", "decoder-max", "decoder-prob"}
    assert evaluation.path.resolve() == tmp_path / "runs" / "demo-video" / "results.json"
    assert "demo-video on set" in capsys.readouterr().out and "Table 5" in evaluation.text


def test_progress_and_results_of_a_job_reach_python(dataset, tmp_path):
    told = []
    compute = Compute(progress=lambda what, done, total: told.append((what, done, total)))
    opened = open_job(SINGLE, dataset, tmp_path, settings=SINGLE_ALONE)
    [run] = opened.train(compute=compute, tensorboard=str(tmp_path / "events"))
    assert ("single-frame-flow", 3, 4) in told and any("random weights" in what for what, _, total in told if not total)
    what, done, total = [each for each in told if each[2]][-1]
    measured = {name: run.curve()[-1][name] for name in ("loss", "test accuracy")}
    assert (what.unit, what.measured, done, total) == ("iterations", measured, 4, 4)
    shown = scalars(tmp_path / "events" / tmp_path.name / "single-frame-flow")
    for column in ("loss", "lr", "test accuracy", "train loss"):
        points = [(row["iteration"], pytest.approx(row[column], abs=1e-5)) for row in run.curve() if column in row]
        assert shown[tag(column)] == points
    [evaluation] = opened.evaluate(compute, frames="last")
    assert evaluation.path == tmp_path / "results_last.json" and evaluation.results["engine"] == engine.find().info()
    assert opened.trained(run and opened.experiment.stages[0]).weights == run.weights
