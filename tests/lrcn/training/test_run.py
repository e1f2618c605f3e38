"""A run's folder: how far it is, what it was trained with, whose it is; and runs of an earlier lrcn."""

import json
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from lrcn.activity import clip_settings
from lrcn.engine.cards import Card
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.training.job import open_job
from lrcn.training.run import Kept, Run, TrainError, identity_of, is_at_work_in, runs_in
from netspecs import catalogue
from prototxt_gen import SpecError, caffe_pb2, to_text
from prototxt_gen.shapes import infer
from tests.commands import lrcn, refused
from tests.datasets import make_dataset
from tests.lrcn.training.small_nets import set_options, small_table1, write_finished, write_snapshot

LRCN = catalogue.get("activity/lrcn-fc6-flow")
SINGLE = "activity/single-frame-flow"
OPTIONS = set_options(small_table1("single-frame-flow"))


# ---- how far it is -----------------------------------------------------------------------------------------


def test_the_last_whole_snapshot_counts(tmp_path):
    run = Run(tmp_path)
    assert run.done == 0
    write_snapshot(tmp_path, 20)
    write_snapshot(tmp_path, 100)
    assert run.done == 100
    write_snapshot(tmp_path, 120, whole=False)  # cut off within a field, or before the last
    assert run.done == 100
    write_snapshot(tmp_path, 140, net=False)
    assert run.done == 100
    state = caffe_pb2.SolverState(iter=160)
    run.snapshot(160).with_suffix(".solverstate").write_bytes(state.SerializeToString())
    run.snapshot(160).write_bytes(run.snapshot(100).read_bytes())
    assert run.done == 100


def test_what_is_no_run_and_what_has_not_ended_say_so(dataset, tmp_path):
    run = Run(tmp_path / "run")
    assert (run.done, run.iterations, run.finished, run.note, run.curve()) == (0, None, False, None, [])
    for asked in ("weights", "settings", "variant"):
        with pytest.raises(TrainError, match="run: holds no training; run `lrcn train` first"):
            assert getattr(run, asked)
    job = open_job("activity/single-frame-rgb", dataset, tmp_path, settings={"backbone": "tiny", "crop": 20})
    [training] = job.trainings
    write_finished(run.folder, training.files)
    assert run.finished and run.weights == run.snapshot(5000) and run.iterations == 5000
    run.snapshot(5000).unlink()
    write_snapshot(run.folder, 4000)
    assert run.done == 4000 and not run.finished
    with pytest.raises(TrainError, match="run: not trained to iteration 5000 yet; run `lrcn train` first"):
        assert run.weights
    (run.folder / "stage.json").write_text('{"variant": 3')
    with pytest.raises(TrainError, match=r"stage.json: damaged \(.*\); give `lrcn train` again"):
        assert run.settings


def test_a_state_is_whole_with_its_last_field_alone(tmp_path):
    """However it is cut off."""
    write_snapshot(tmp_path, 300)
    path = Run(tmp_path).snapshot(300).with_suffix(".solverstate")
    content = path.read_bytes()
    assert Run(tmp_path).done == 300
    for end in range(len(content)):
        path.write_bytes(content[:end])
        assert Run(tmp_path).done == 0, end
    path.write_bytes(content + content[:3])  # not what Caffe writes
    assert Run(tmp_path).done == 0


# ---- runs of an earlier lrcn -------------------------------------------------------------------------------


def write_earlier(training, folder, settings=None):
    """run.json and stage.json as lrcn wrote them when a run was known by its paths, of a run that has ended; the data
    set lay in `folder`."""
    run, dataset = training.run, training.dataset
    write_finished(run.folder, training.files, training.net.rows)
    identity = {
        "data_set": dataset.description,
        "solver": to_text(training.files["solver"]),
        "train_test": to_text(training.files["train_test"]).replace(str(dataset.folder), folder),
        "weights": None,
    }
    assert folder in identity["train_test"]
    (run.folder / "run.json").write_text(json.dumps(identity, indent=1, sort_keys=True) + "\n")
    settings = (settings or training.settings) | {"data": folder}
    stage = {"variant": training.variant.name, "settings": settings}
    stage |= {"classes": dataset.classes, "fps": None, "flow": None}
    (run.folder / "stage.json").write_text(json.dumps(stage, indent=1) + "\n")


@pytest.fixture
def earlier(dataset, tmp_path):
    """A single-frame net's training, and a run of it that an earlier lrcn left."""
    job = open_job(SINGLE, dataset, tmp_path, settings=small_table1("single-frame-flow"))
    [training] = job.trainings
    write_earlier(training, "/of/old/noise")
    return training


def test_a_run_of_an_earlier_lrcn_is_the_same_run_wherever_it_and_its_data_lay(earlier, dataset, tmp_path):
    run, content = earlier.run, earlier.run.snapshot(4).read_bytes()
    assert earlier.files["train_test"].layer[0].type == "Python"  # whose settings hold the data set's folder
    done = lrcn("train", SINGLE, "--data", dataset, "--out", tmp_path, *OPTIONS)
    assert done.returncode == 0 and "0/4" not in done.stderr, done.stderr
    assert run.snapshot(4).read_bytes() == content
    assert "/of/old/noise" not in (run.folder / "run.json").read_text()  # it is today's now
    assert run.settings["data"] == str(dataset)


def test_settings_that_were_not_there_yet_have_their_defaults_and_those_that_are_gone_do_not_count(earlier, tmp_path):
    fewer = {name: value for name, value in earlier.settings.items() if name not in ("workers", "deploy_clips")}
    write_earlier(earlier, "/of/old/noise", fewer | {"of_tomorrow": 3})
    net = earlier.run.net()
    assert "of_tomorrow" not in net.settings and net.settings["workers"] == net.variant.defaults["workers"] != 2
    assert net.settings["fc7"] == 8 and net.classes == earlier.dataset.classes
    assert net.weights == earlier.run.snapshot(4)
    assert [run.folder for run in runs_in(tmp_path)] == [earlier.run.folder]
    assert [run.folder for run in runs_in(earlier.run.folder)] == [earlier.run.folder]


def test_a_run_of_an_earlier_lrcn_on_another_data_set_is_not_taken_for_this_one(earlier, dataset, tmp_path):
    other = make_dataset(tmp_path / "other", videos=9)
    again = ("--data", other, "--out", tmp_path, *OPTIONS)
    (other / "dataset.json").write_text((dataset / "dataset.json").read_text().replace('"noise"', '"other"'))
    refused(lrcn("train", SINGLE, *again), "holds a run that differs in its data set; choose")
    refused(lrcn("evaluate", SINGLE, *again), "was trained on another data set than")


def test_the_weights_of_an_iteration_are_those_of_its_whole_snapshot(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(TrainError, match="has no snapshot of iteration 5; run `lrcn train` first"):
        run.weights_at(5)
    write_finished(tmp_path, LRCN.files(max_iter=20))
    write_snapshot(tmp_path, 5)
    assert run.weights_at(5) == run.snapshot(5) and run.weights_at(None) == run.weights == run.snapshot(20)
    with pytest.raises(TrainError, match="has no snapshot of iteration 10, only of 5, 20$"):
        run.weights_at(10)
    write_snapshot(tmp_path, 25, whole=False)
    with pytest.raises(TrainError, match="no snapshot of iteration 25"):
        run.weights_at(25)


def snapshots(run):
    """The iterations of which there is a .caffemodel, and of which a .solverstate."""
    return [
        sorted(int(path.stem.split("_")[-1]) for path in run.folder.glob(f"snapshots/*.{kind}"))
        for kind in ("caffemodel", "solverstate")
    ]


def test_the_last_snapshots_stay_and_those_that_are_needed(tmp_path):
    run = Run(tmp_path)
    for iteration in range(0, 60, 10):
        write_snapshot(tmp_path, iteration)
    write_snapshot(tmp_path, 60, whole=False)  # Caffe was cut off: it writes that one anew
    write_snapshot(tmp_path, 70, net=False)
    run.thin(run.done, Kept(3, {10}))
    assert snapshots(run) == [[10, 30, 40, 50, 60], [10, 30, 40, 50, 60, 70]] and run.done == 50
    run.thin(run.done, Kept(1))
    assert snapshots(run) == [[50, 60], [50, 60, 70]] and run.done == 50
    run.thin(run.done, Kept(2))
    assert run.done == 50 and run.weights_at(50) == run.snapshot(50)
    with pytest.raises(SpecError, match="keep=0: .* give 1 or more"):
        Kept(0)


@pytest.mark.parametrize("killed_at", range(6))
def test_a_call_that_is_killed_while_it_removes_leaves_a_run_that_goes_on(tmp_path, monkeypatch, killed_at):
    """Before each of the six files that are to go."""
    run, gone, unlink = Run(tmp_path), [], Path.unlink
    for iteration in (5, 10, 15, 20, 25):
        write_snapshot(tmp_path, iteration)

    def killed(path, missing_ok=False):
        if len(gone) == killed_at:
            raise KeyboardInterrupt
        gone.append(path)
        unlink(path, missing_ok)

    with monkeypatch.context() as until:
        until.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            run.thin(run.done, Kept(1, {15}))
    assert run.done == 25 and run.weights_at(15) == run.snapshot(15)
    assert set(snapshots(run)[1]) <= set(snapshots(run)[0])  # no state without its weights
    run.thin(run.done, Kept(1, {15}))
    assert snapshots(run) == [[15, 25]] * 2


# ---- whose it is -------------------------------------------------------------------------------------------


def identity(data="/a/data", weights=None, data_set="digest", **changes):
    """The settings and the identity of a small run on no data set."""
    settings = LRCN.settings(**small_table1("lrcn-fc6-flow") | {"data": data} | changes)
    return settings, identity_of(LRCN.files(**settings), [], data_set) | {"weights": weights}


def test_a_run_is_the_same_whichever_version_of_lrcn_goes_on_with_it():
    """The headers of written nets name the version; what a run is known by has none."""
    _, known = identity()
    assert not any(line.startswith("#") for name in ("solver", "train_test") for line in known[name].splitlines())
    assert version("lrcn") not in json.dumps(known)


def claimed(folder, settings, identity):
    run = Run(folder)
    run.folder.mkdir(exist_ok=True)
    run.claim(identity, settings)
    run.keep(LRCN, settings, {"classes": ["a", "b"]}, folder)
    return run


def test_the_same_run_elsewhere_is_the_same(tmp_path):
    run = claimed(tmp_path / "run", *identity())
    write_snapshot(run.folder, 2)
    moved = run.folder.rename(tmp_path / "moved")
    claimed(moved, *identity("/elsewhere", workers=7))  # who reads the clips changes nothing
    assert Run(moved).done == 2 and Run(moved).settings["data"] == "/elsewhere"


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"units": 9}, r"differs in units \(5 there, 9 here\); choose"),
        ({"base_lr": 0.5, "videos": 2}, r"differs in .*videos \(3 there, 2 here\).*base_lr \(0.001 there, 0.5 here\)"),
        ({"weights": "other"}, "differs in the weights that it started from; choose"),
        ({"weights": "other", "workers": 7}, "differs in the weights that it started from; choose"),
        ({"data_set": "other"}, "differs in its data set; choose"),
        ({"data_set": "other", "units": 9}, r"differs in its data set, units \(5 there, 9 here\); choose"),
    ],
)
def test_another_run_is_refused_with_what_differs(tmp_path, changes, said):
    run = claimed(tmp_path / "run", *identity())
    write_snapshot(run.folder, 2)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    with pytest.raises(TrainError, match=said) as error:
        claimed(run.folder, *identity(**changes))
    assert "--fresh to begin anew" in str(error.value) and "\n" not in str(error.value)
    assert before == {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


def test_a_run_goes_on_in_the_precision_that_it_began_with(tmp_path, monkeypatch):
    """On whatever device: a run of an earlier lrcn, and one on the CPU, are of fp32."""
    settings, mark = identity()
    monkeypatch.setattr("lrcn.engine.compute.cards", lambda: [Card(n, "", "9.0", "", "13.0", 0) for n in range(2)])
    cuda = SimpleNamespace(gpu={"toolkit": "13.0.88", "architectures": ["90"]})
    ways = {"cpu": None, "gpu": Gpu((1,), workspace=8), "tf32": Gpu(precision="tf32"), "fast": Gpu(fast=True)}
    marks = {name: mark | Compute(cuda, gpu).manner for name, gpu in ways.items()}
    assert marks["cpu"] == marks["gpu"] == mark
    run = claimed(tmp_path / "run", settings, mark)
    write_snapshot(run.folder, 2)
    with pytest.raises(TrainError, match=r"differs in precision \(fp32 there, tf32 here\); choose another --out"):
        claimed(run.folder, settings, marks["tf32"])
    with pytest.raises(TrainError, match=r"differs in units \(5 there, 9 here\), fast \(False there, True here\); ch"):
        claimed(run.folder, *(identity(units=9)[0], identity(units=9)[1] | {"fast": True}))
    run.clear()
    claimed(run.folder, settings, marks["tf32"])
    write_snapshot(run.folder, 2)
    claimed(run.folder, settings, marks["tf32"])
    with pytest.raises(TrainError, match=r"differs in precision \(tf32 there, fp32 here\)"):
        claimed(run.folder, settings, marks["cpu"])


def test_what_a_run_was_trained_on_is_noted_by_stretches(tmp_path):
    run, card = Run(tmp_path), {"cards": [{"name": "NVIDIA H200", "capability": "9.0"}], "precision": "fp32"}
    assert run.devices == []
    for start, gpu in ((0, None), (10, None), (20, card), (30, None)):
        run.note_device(start, gpu)
    expected = [{"from": 0, "gpu": None}, {"from": 20, "gpu": card}, {"from": 30, "gpu": None}]
    assert run.devices == expected
    run.note_device(20, card)  # what came after iteration 20 was lost
    assert run.devices == expected[:2]
    run.note_device(0, card)
    assert run.devices == [{"from": 0, "gpu": card}]
    run.clear()
    assert run.devices == []
    (tmp_path / "devices.json").write_text("3")
    assert run.devices == []


def test_before_any_snapshot_a_corrected_run_takes_the_place(tmp_path):
    """What its weights were at iteration 0 is nothing to lose."""
    run = claimed(tmp_path / "run", *identity())
    (run.folder / "logs").mkdir()
    (run.folder / "logs" / "from-0000000.log").write_text("of the first try")
    write_snapshot(run.folder, 0)
    write_snapshot(run.folder, 2, net=False)
    settings, corrected = identity(units=9)
    claimed(run.folder, settings, corrected)
    assert json.loads((run.folder / "run.json").read_text()) == corrected and run.settings["units"] == 9
    assert not [*run.folder.glob("snapshots/*"), *run.folder.glob("logs/*")]


def test_weights_whose_state_is_damaged_are_not_thrown_away_for_other_settings(tmp_path):
    run = claimed(tmp_path / "run", *identity())
    write_snapshot(run.folder, 2, whole=False)
    content = run.snapshot(2).read_bytes()
    assert run.done == 0
    with pytest.raises(TrainError, match=r"differs in units .*--fresh"):
        claimed(run.folder, *identity(units=9))
    assert run.snapshot(2).read_bytes() == content


def test_the_same_run_before_any_snapshot_keeps_what_it_has(tmp_path):
    run = claimed(tmp_path / "run", *identity())
    write_snapshot(run.folder, 0)
    claimed(run.folder, *identity())
    assert run.snapshot(0).exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", "{}", '{"train_test": 3}', '{"train_test": "layer {"}', "\xff"]
)
def test_a_mark_that_is_damaged_is_named(tmp_path, content):
    run = claimed(tmp_path / "run", *identity())
    (run.folder / "run.json").write_text(content, encoding="latin-1")
    write_snapshot(run.folder, 2)
    with pytest.raises(
        TrainError, match=r"^\S*run.json: damaged \(.*\); put back what it was, or begin anew with `lrcn train --f"
    ):
        claimed(run.folder, *identity())
    assert run.snapshot(2).exists()
    run.snapshots.remove(2)  # nothing is lost then
    claimed(run.folder, *identity())
    assert json.loads((run.folder / "run.json").read_text()) == identity()[1]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "3",
        "[]",
        "{}",
        "[" * 9999,
        '{"variant": 3, "settings": {}, "classes": []}',
        '{"variant": "activity/x"}',
    ],
)
def test_a_note_that_is_damaged_is_named_and_written_anew(ended, content):
    note = (ended.folder / "stage.json").read_text()
    (ended.folder / "stage.json").write_text(content)
    assert ended.note is None and ended.finished  # as its solver has it
    for asked in (lambda: ended.settings, lambda: ended.variant, lambda: ended.net()):
        with pytest.raises(TrainError, match=r"stage.json: .*; give `lrcn train` again, which writes it$"):
            asked()
    settings, mark = identity()
    claimed(ended.folder, settings, mark)
    assert (ended.folder / "stage.json").read_text() == note and ended.net().weights == ended.snapshot(4)


@pytest.mark.parametrize("content", ["", "max_iter: ", "max_iter: 0", "\xff", "}"])
def test_a_solver_that_is_damaged_ends_no_training(ended, content):
    """An empty one would be at its end after no iteration."""
    (ended.folder / "solver.prototxt").write_text(content, encoding="latin-1")
    assert ended.iterations == 4 and ended.finished
    ended.snapshots.remove(4)
    assert not ended.finished
    (ended.folder / "stage.json").unlink()
    assert ended.iterations is None and not ended.finished


@pytest.mark.parametrize("content", ["", "{", "[3]", '[{"from": "x", "gpu": null}]', '[{"from": 2}]', "[" * 9999])
def test_devices_that_are_damaged_are_not_known(ended, content):
    (ended.folder / "devices.json").write_text(content)
    assert ended.devices == [] and ended.threads is None
    ended.note_device(2, None, 3)
    assert ended.devices == [{"from": 2, "gpu": None, "threads": 3}]


def test_a_lock_with_anything_in_it_is_a_lock(ended):
    (ended.folder / "lock").write_bytes(b"\xff\xfe")
    assert is_at_work_in(ended.folder) is None
    with ended.locked():
        assert is_at_work_in(ended.folder) is True
    assert is_at_work_in(ended.folder) is False


# ---- what is set again -------------------------------------------------------------------------------------


@pytest.fixture
def ended(tmp_path):
    """A run that has come to its end."""
    settings, mark = identity()
    run = claimed(tmp_path / "run", settings, mark)
    files, inputs = LRCN.files(**settings), LRCN.input_shapes(**settings)["train"]
    net = infer(files["train_test"], "TRAIN", inputs=inputs, python=clip_settings.top_shapes)
    write_finished(run.folder, files, net.rows)
    return run


def test_settings_may_be_given_again_and_those_that_change_no_training_otherwise(ended):
    again = ended.net({"units": 5, "workers": 1, "deploy_clips": 3})
    assert (again.settings["workers"], again.settings["deploy_clips"]) == (1, 3)
    assert again.weights == ended.snapshot(4) and ended.net().settings["workers"] == 2


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"units": 64}, "was trained with units=5, not units=64; leave that out, or name another --out"),
        ({"max_iter": 8, "workers": 2}, "was trained with max_iter=4, not max_iter=8;"),
        ({"seed": 3, "crop": 16}, "was trained with seed=1701, crop=20, not seed=3, crop=16;"),
    ],
)
def test_settings_that_clash_are_named(ended, changes, said):
    with pytest.raises(TrainError) as error:
        ended.net(changes)
    assert str(error.value).startswith(f"{ended.folder}: {said}")
