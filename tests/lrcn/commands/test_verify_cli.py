"""`lrcn verify` at the command line: data sets and runs, whole and damaged."""

import json
import os
import re
import shutil

import pytest

from data_prep import store
from lrcn.training.job import open_job
from lrcn.training.run import identity_of
from prototxt_gen import to_text
from tests.commands import lrcn, refused
from tests.damaged import damage
from tests.lrcn.training.small_nets import small_table1, write_snapshot
from tests.weights import write_weights


@pytest.fixture
def data(dataset, tmp_path):
    store.close_reader(dataset / "frames")
    return shutil.copytree(dataset, tmp_path / "data")


@pytest.fixture
def run(dataset, tmp_path):
    """What a training of a small net leaves, as far as it is looked at."""
    settings = small_table1("single-frame-rgb")
    [training] = open_job("activity/single-frame-rgb", dataset, tmp_path / "runs", settings=settings).trainings
    run = training.run
    run.folder.mkdir(parents=True)
    run.claim(identity_of(training.files, [], "a data set"), training.settings)
    run.keep(training.variant, training.settings, {"classes": ["a", "b", "c"]}, dataset)
    for name, message in training.files.items():
        (run.folder / f"{name}.prototxt").write_text(to_text(message))
    for iteration in (2, 4):
        write_snapshot(run.folder, iteration)
        write_weights(run.snapshot(iteration), training.files["deploy"])
        run.snapshots.seal(iteration)
    return run


def verdicts(folder):
    done = lrcn("verify", folder, "--json")
    return done.returncode, json.loads(done.stdout)["verified"]


def test_a_data_set_whole_and_damaged(data):
    done = lrcn("verify", data)
    assert done.returncode == 0 and f"{data}: data set of frames, whole (" in done.stdout, done.stderr
    assert "120 frames, 114 flow" in done.stdout and "no checksums: made by an earlier lrcn" in done.stdout
    damage(data / "frames", b"v_03.0007.jpg")
    done = lrcn("verify", data)
    assert done.returncode == 1 and done.stdout.startswith(f"{data}: data set of frames, 1 bad (")
    assert f"{data}/frames: v_03.0007.jpg: is not as it was written; remove {data} and give" in done.stdout
    code, [verdict] = verdicts(data)
    assert code == 1 and not verdict["whole"] and verdict["faults"][0]["where"] == f"{data}/frames: v_03.0007.jpg"


def test_a_run_whole_and_damaged(run, tmp_path):
    assert verdicts(tmp_path / "runs") == (
        0,
        [
            {
                "folder": str(run.folder),
                "kind": "run",
                "whole": True,
                "faults": [],
                "remarks": [],
                "strangers": [],
                "checked": {"prototxt files": 3, "snapshots": 2},
            }
        ],
    )
    content = bytearray(run.snapshot(2).read_bytes())
    content[-9] ^= 1  # of a weight
    run.snapshot(2).write_bytes(content)
    os.truncate(run.snapshots.state(4), 20)
    (run.snapshots.folder / "notes").write_text("mine")
    (run.folder / "stage.json").write_text("{}")
    solver = run.folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("max_iter: 4", "max_iter: 5"))
    (tmp_path / "runs" / "results.json").write_text("[]")
    code, [of_run, of_results] = verdicts(tmp_path / "runs")
    said = {fault["where"].rpartition("/")[2]: fault["what"] for fault in of_run["faults"]}
    snapshots = {"net_iter_2.caffemodel", "net_iter_4.solverstate"}
    assert code == 1 and said.keys() == {"stage.json", "solver.prototxt"} | snapshots
    assert said["solver.prototxt"] == "is not the one that was trained, by run.json"
    assert said["net_iter_2.caffemodel"].startswith("is not as it was written")
    assert of_run["strangers"] == ["snapshots/notes"] and len(of_results["faults"]) == 1


@pytest.mark.parametrize(
    "damaged, mend", [(2, "remove net_iter_2.*: .* iteration 4, which is whole"), (4, "`lrcn train` makes what comes")]
)
def test_what_mends_a_snapshot_depends_on_whether_a_later_one_is_whole(run, damaged, mend):
    os.truncate(run.snapshot(damaged), 20)
    code, [of_run] = verdicts(run.folder)
    [fault] = of_run["faults"]
    assert code == 1 and re.match(mend, fault["mend"])
    if damaged == 2:
        for path in run.snapshots.folder.glob("net_iter_2.*"):
            path.unlink()
        assert verdicts(run.folder)[0] == 0


def test_what_is_neither_is_refused(tmp_path):
    refused(lrcn("verify", tmp_path / "none"), "none: no such folder")
    refused(lrcn("verify", tmp_path), "holds no data set, run or results")
