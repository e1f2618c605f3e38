"""Experiments as TOML files: those that come with lrcn, the user's own, and what is refused of them."""

import json
import re

import numpy as np
import pytest

from lrcn.trained_net import digest
from lrcn.training import experiment
from lrcn.training.job import open_job
from lrcn.training.run import runs_in
from netspecs import catalogue
from prototxt_gen import SpecError
from tests.commands import lrcn, refused
from tests.lrcn.training.small_nets import SMALL_TABLE1
from tests.weights import weights

TABLES = {"Table 1": "activity/table1", "Tables 2 and 3": "demo-captions", "Table 5": "demo-video"}
OWN = """\
about = "two single-frame nets and an LRCN"
kind = "frames"

[settings]
%s

[settings."activity/lrcn-*"]
units = 7

[[stages]]
net = "activity/single-frame-rgb"

[[stages]]
name = "again"
net = "activity/single-frame-rgb"
start = "single-frame-rgb"
settings = { base_lr = 0.0, max_iter = 2 }

[[stages]]
net = "activity/lrcn-fc6-rgb"
start = "again"
"""


@pytest.fixture
def own(tmp_path):
    """my.toml of nets that train in no time."""
    path = tmp_path / "my.toml"
    settings = [f"{name} = {json.dumps(value)}" for name, value in SMALL_TABLE1.items() if name != "units"]
    path.write_text(OWN % "\n".join(settings))
    return path


# ---- those of lrcn -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", experiment.names())
def test_every_experiment_of_lrcn_is_read_and_its_nets_made(name):
    opened = experiment.read(name)
    assert opened.name == name and opened.about and opened.data_folder.parts[0] == "data"
    for stage in opened.on_features("fc6", "rgb").stages:
        files = stage.variant.files(**stage.settings)
        for setting, value in stage.settings.items():
            if hasattr(files["solver"], setting) and setting not in ("type", "test_iter"):
                assert getattr(files["solver"], setting) == pytest.approx(value), setting


def test_the_demos_settings_are_those_that_it_was_measured_with():
    """Each kind of net has the settings under its pattern over those for all, and its own over both."""
    by_folder = {stage.folder: stage.settings for stage in experiment.read("demo-table1").stages}
    assert by_folder["pretrain-rgb"]["batch"] == 64 and "units" not in by_folder["pretrain-rgb"]
    assert {folder: settings["units"] for folder, settings in by_folder.items() if "units" in settings} == {
        f"lrcn-{layer}-{modality}": 128 for layer in ("fc6", "fc7") for modality in ("rgb", "flow")
    }
    assert by_folder["single-frame-rgb"]["base_lr"] == 0.0001 and "base_lr" not in by_folder["pretrain-rgb"]
    assert by_folder["lrcn-fc6-flow"]["max_iter"] == by_folder["lrcn-fc7-flow"]["max_iter"] == 300
    assert all(settings["type"] == "Adam" and "order" not in settings for settings in by_folder.values())


def test_experiments_are_listed_with_what_they_are_for():
    done = lrcn("experiments")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and [line.split()[0] for line in lines] == [*experiment.names(), "NET"]
    for table, name in TABLES.items():
        assert table in next(line for line in lines if line.split()[0] == name)


def test_a_file_that_is_shown_reads_as_the_same_experiment(tmp_path):
    for name in experiment.names():
        done = lrcn("experiments", "show", name)
        assert done.returncode == 0, done.stderr
        (tmp_path / "my.toml").write_text(done.stdout)
        mine, theirs = experiment.read(str(tmp_path / "my.toml")), experiment.read(name)
        assert (mine.stages, mine.kinds, mine.weights) == (theirs.stages, theirs.kinds, theirs.weights)
        assert mine.name == "my" and mine.out_folder.as_posix() == "runs/my"
    refused(lrcn("experiments", "show", "dmeo"), "there is no experiment or net 'dmeo'; did you mean 'demo'?")
    refused(lrcn("experiments", "show", "activity/lrcn-fc6-rgb"), "activity/lrcn-fc6-rgb: a net of the catalogue")


# ---- the user's own ----------------------------------------------------------------------------------------


@pytest.mark.engine
def test_a_file_of_the_users_own_is_trained(own, dataset, tmp_path):
    done = lrcn("train", "my.toml", "--data", dataset, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = tmp_path / "runs" / "my"
    assert [run.folder.name for run in runs_in(runs)] == ["again", "lrcn-fc6-rgb", "single-frame-rgb"]
    job = open_job(str(own), dataset, runs)
    single, again, recurrent = (run for _, _, run in job.runs())
    assert [run.iterations for run in (single, again, recurrent)] == [4, 2, 4]
    assert recurrent.settings["units"] == 7 and weights(again.weights) == weights(single.weights)
    start = weights(recurrent.snapshot(0))
    assert start["conv1"] == weights(single.weights)["conv1"]
    done = lrcn("evaluate", "my.toml", "--data", dataset, "--rows", "lrcn-fc6", cwd=tmp_path)
    assert done.returncode == 0 and "lrcn-fc6" in done.stdout and (runs / "results.json").exists(), done.stderr


@pytest.mark.engine
def test_a_stage_starts_from_and_is_scored_by_a_snapshot_before_the_end(own, dataset, tmp_path):
    text = own.read_text().replace('start = "single-frame-rgb"', 'start = "single-frame-rgb"\nstart_at = 2')
    own.write_text(text + "score_at = 2\n")
    planned = lrcn("train", "my.toml", "--data", dataset, "--dry-run", cwd=tmp_path)
    assert "single-frame-rgb at 2" in planned.stdout, planned.stderr
    job = open_job(str(own), dataset, tmp_path / "runs")
    job.train()
    single, again, recurrent = (run for _, _, run in job.runs())
    assert weights(again.snapshot(0)) == weights(single.snapshot(2)) != weights(single.weights)
    assert job.trained(job.experiment.stages[2]).weights == recurrent.snapshot(2)
    [evaluation] = job.evaluate(rows=["lrcn-fc6"])
    assert evaluation.notes == ["lrcn-fc6-rgb: scored at iteration 2, not at its end"]
    scored = np.load(recurrent.folder / "scores.npz")["job"].item()
    assert digest(recurrent.snapshot(2)) in scored and digest(recurrent.weights) not in scored


def test_a_snapshot_that_no_training_makes_is_refused_before_any(own, dataset, tmp_path):
    said = {
        "start_at = 3": "again: start_at = 3: single-frame-rgb leaves a snapshot every 2 iterations, the last at 4;",
        "start_at = 6": "again: start_at = 6: single-frame-rgb leaves a snapshot every 2 iterations, the last at 4;",
    }
    text = own.read_text()
    for key, words in said.items():
        own.write_text(text.replace('start = "single-frame-rgb"', f'start = "single-frame-rgb"\n{key}'))
        for more in [], ["--dry-run"]:
            refused(lrcn("train", own, "--data", dataset, "--out", tmp_path / "runs", *more), words)
    own.write_text(text + "score_at = 1\n")
    refused(
        lrcn("train", own, "--data", dataset, "--out", tmp_path / "runs"), "lrcn-fc6-rgb: score_at = 1: lrcn-fc6-rgb"
    )
    assert not (tmp_path / "runs").exists()


def test_the_release_starts_and_scores_where_its_scripts_do():
    """finetune_lrcn.vgg.sh and classify_video.py name the snapshots of these iterations."""
    train, finetune = experiment.read("caption/vgg16-released").stages
    assert (finetune.start, finetune.start_at, finetune.training) == (train.folder, 90000, "finetune")
    table1 = {stage.folder: stage for stage in experiment.read("activity/table1-released").stages}
    assert {name: stage.score_at for name, stage in table1.items() if stage.score_at} == {"lrcn-fc6-flow": 50000}
    for stage, iteration in (train, 90000), (table1["lrcn-fc6-flow"], 50000):
        solver = stage.variant.files(**stage.settings)["solver"]
        assert iteration % solver.snapshot == 0 and iteration < solver.max_iter
    slips = [stage.settings for name, stage in table1.items() if name.startswith("lrcn")]
    assert slips == [dict(crop_slip=True, mean_slip=True)] * 2


def test_a_file_extends_another_with_its_settings_over_it(own, tmp_path):
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "more.toml"
    path.write_text("""
        extends = "../my.toml"
        about = "a flow net more"
        settings = { max_iter = 9 }
        [[stages]]
        net = "activity/single-frame-flow"
    """)
    more = experiment.read(str(path))
    assert [stage.folder for stage in more.stages] == ["single-frame-rgb", "again", "lrcn-fc6-rgb", "single-frame-flow"]
    assert [stage.settings["max_iter"] for stage in more.stages] == [9, 2, 9, 9]
    assert more.kinds == ("frames",) and more.about == "a flow net more" and more.stages[2].settings["units"] == 7
    path.write_text('extends = "demo"\nsettings = { units = 9 }\n')
    assert experiment.read(str(path)).data_folder == experiment.read("demo").data_folder
    assert {stage.settings.get("units") for stage in experiment.read(str(path)).stages} == {None, 9}


# ---- refusals ----------------------------------------------------------------------------------------------

STAGE = '\n[[stages]]\nnet = "activity/single-frame-rgb"\n'
FRAMES = 'kind = "frames"\n'


@pytest.mark.parametrize(
    "text, said",
    [
        ("kind = frames", "cannot be read as TOML"),
        ("a." * 5000 + "b = 1", "too many brackets or dots within another"),
        ("a = " + "[" * 5000, "too many brackets or dots within another"),
        (b"\xff\xfe", "saved as UTF-16, not UTF-8; save it as UTF-8"),
        (FRAMES + "abuot = 'x'" + STAGE, "has no use for 'abuot'; did you mean 'about'?"),
        (FRAMES + "about = 3" + STAGE, "about = 3: it takes text"),
        (FRAMES + "stages = 'demo'", "stages = 'demo': it takes tables, each under a line [[stages]]"),
        (FRAMES + "stages = ['demo']", "stage 1: not a table"),
        (FRAMES, "has no [[stages]]"),
        (STAGE, 'kind = "": it takes one of frames, features, captions, semantics'),
        ("kind = 'frame'" + STAGE, 'kind = "frame": it takes one of frames'),
        (FRAMES + "weights = 'mine'" + STAGE, 'weights = "mine": it takes "ILSVRC-2012" or "none"'),
        (FRAMES + STAGE + "strat = 'x'", "stage 1: has no use for 'strat'; did you mean 'start'?"),
        (FRAMES + STAGE + "start = 'x'\nstart_at = 'end'", "start_at = 'end': it takes an iteration, a whole number"),
        (FRAMES + STAGE + "score_at = 0", "stage 1: score_at = 0: it takes an iteration, a whole number from 1"),
        (FRAMES + STAGE + "score_at = true", "stage 1: score_at = True: it takes an iteration"),
        (
            FRAMES + STAGE + "start_at = 5",
            "stage 1: start_at = 5 is of the stage that it starts from; name that: start",
        ),
        (FRAMES + STAGE + "settings = 3", "stage 1: settings = 3: it takes a table"),
        (FRAMES + STAGE + "name = '../x'", "stage 1: name = '../x': it takes the name of a folder"),
        (FRAMES + STAGE + "name = '..'", "stage 1: name = '..': it takes the name of a folder"),
        (FRAMES + "[[stages]]\nname = 'x'", "stage 1: names no net"),
        (FRAMES + "[[stages]]\nnet = 'activity/single-frame-rbg'", "did you mean 'activity/single-frame-rgb'?"),
        (FRAMES + "[[stages]]\nnet = 'activity/lrcn-{layer}-rgb'", "{layer} and {modality} are of data sets of kind"),
        ("kind = 'features'\n[[stages]]\nnet = 'activity/lrcn-{layr}-rgb'", "stage 1: "),
        (FRAMES + STAGE + STAGE, "two stages have the folder single-frame-rgb; give one of them a name"),
        (
            FRAMES + STAGE + "start = 'single-frame-rbg'\nname = 'x'",
            "stage x starts from single-frame-rbg, which no stage before it is",
        ),
        (
            FRAMES + STAGE + STAGE + "name = 'again'\nstart = 'single-frame-rbg'",
            "starts from single-frame-rbg, which no stage before it is; did you mean 'single-frame-rgb'?",
        ),
        (FRAMES + "[settings]\nunits = 3" + STAGE, "no setting 'units' in activity/single-frame-rgb"),
        (FRAMES + "[settings]\nbatc = 3" + STAGE, "no setting 'batc'"),
        (FRAMES + STAGE + "settings = { batc = 3 }", "activity/single-frame-rgb has no setting 'batc'; did you mean"),
        (FRAMES + "[settings.'activity/lrcn-*']\nunits = 3" + STAGE, "is for no net of its stages"),
        (FRAMES + "[settings.'activity/*']\nunits = 3" + STAGE, "no setting 'units'"),
        ("extends = 'dmeo'", "did you mean 'demo'?"),
        ("extends = 'video/decoder-max'", "video/decoder-max: a net of the catalogue, not an experiment"),
        ("extends = 'gone.toml'", "gone.toml: no such file"),
        ("extends = 'my.toml'", "my.toml, which extends it"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line_with_the_files_name(tmp_path, text, said):
    path = tmp_path / "my.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as error:
        experiment.read(str(path))
    assert str(error.value).startswith(f"{path}: ") and said in str(error.value) and "\n" not in str(error.value)


def test_files_that_extend_each_other_are_refused(tmp_path):
    for name, other in (("one", "two"), ("two", "deep/../one")):
        (tmp_path / f"{name}.toml").write_text(f'extends = "{other}.toml"')
    (tmp_path / "deep").mkdir()
    with pytest.raises(SpecError, match=r"two.toml: extends .*one.toml, which extends it"):
        experiment.read(str(tmp_path / "one.toml"))


def test_refusals_reach_the_user_whatever_is_asked(dataset, tmp_path):
    (tmp_path / "my.toml").write_text(FRAMES + STAGE + "settings = { batc = 3 }")
    for command in (["train", "my.toml"], ["evaluate", "my.toml"], ["train", "my.toml", "--dry-run"]):
        refused(lrcn(*command, "--data", dataset, cwd=tmp_path), "my.toml: stage 1: ", "did you mean 'batch'?")
    refused(lrcn("train", "gone.toml", cwd=tmp_path), "gone.toml: no such file; `lrcn experiments show demo`")
    (tmp_path / "my.toml").write_text(FRAMES + "[[stages]]\nnet = 'caption/lrcn-2f'")
    refused(
        lrcn("train", "my.toml", "--data", dataset, cwd=tmp_path), "holds frames; caption/lrcn-2f trains on captions"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["my.toml"]


def test_the_manual_of_the_file_names_all_that_it_takes():
    manual = experiment.__doc__
    for key in (*experiment.KEYS, *experiment.STAGE_KEYS):
        assert re.search(rf"^    \[*{key}\b", manual, re.M), key
    assert set(re.findall(r"net = \"([^\"]+)\"", manual)) <= set(catalogue.names())
