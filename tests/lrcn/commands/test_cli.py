"""What a user meets at the command line: one line and exit code 2 for every bad input, and nothing half-written."""

import json
import os
import signal
import subprocess
import time

import cv2
import h5py
import numpy as np
import pytest

from lrcn import engine
from lrcn.training.run import Run
from tests.commands import LRCN, lrcn, refused


def video(path, frames=12):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 12, (64, 48))
    for t in range(frames):
        writer.write(np.full((48, 64, 3), 10 * t, np.uint8))
    writer.release()
    return path


@pytest.fixture
def videos(tmp_path):
    """Two classes of two videos."""
    for name in ("Jump/v_Jump_g01", "Jump/v_Jump_g02", "Run/v_Run_g01", "Run/v_Run_g02"):
        video(tmp_path / "videos" / f"{name}.avi")
    return tmp_path / "videos"


def test_good_videos_are_prepared(videos, tmp_path):
    done = lrcn("prepare", "videos", "--videos", videos, "--out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "data" / "dataset.json").read_text())["classes"] == ["Jump", "Run"]


@pytest.mark.parametrize("kind", ["unreadable", "truncated", "no frames"])
def test_bad_videos_are_named(videos, tmp_path, kind):
    bad = videos / "Run" / "v_Run_g02.avi"
    whole = bad.read_bytes()
    if kind == "no frames":
        video(bad, frames=0)
    else:
        bad.write_bytes(b"this is no video" * 100 if kind == "unreadable" else whole[: len(whole) // 2])
    refused(lrcn("prepare", "videos", "--videos", videos, "--out", tmp_path / "data"), "v_Run_g02.avi")
    assert not (tmp_path / "data").exists()
    bad.write_bytes(whole)
    assert lrcn("prepare", "videos", "--videos", videos, "--out", tmp_path / "data").returncode == 0


def test_a_folder_without_videos(tmp_path):
    (tmp_path / "empty" / "Class").mkdir(parents=True)
    refused(lrcn("prepare", "videos", "--videos", tmp_path / "empty", "--out", tmp_path / "data"), "empty", "no videos")
    refused(lrcn("prepare", "videos", "--videos", tmp_path / "nowhere", "--out", tmp_path / "data"), "nowhere")
    assert not (tmp_path / "data").exists() and not (tmp_path / "data.partial").exists()


def test_lists_and_folder_that_disagree(videos, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classes.txt").write_text("Jump\nWalk\n")
    (lists / "train1.txt").write_text("Jump/v_Jump_g01 0\n")
    (lists / "test1.txt").write_text("Jump/v_Jump_g02 0\n")
    refused(lrcn("prepare", "videos", "--videos", videos, "--lists", lists, "--out", tmp_path / "data"), "classes.txt")
    (lists / "classes.txt").write_text("Jump\nRun\n")
    (lists / "test1.txt").write_text("Run/v_Run_g09 1\n")
    refused(
        lrcn("prepare", "videos", "--videos", videos, "--lists", lists, "--out", tmp_path / "data"),
        "test1.txt",
        "v_Run_g09",
    )
    assert not (tmp_path / "data").exists()


def features(path, videos=6, frames=4, size=5, classes=2, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "x_tr": rng.normal(size=(videos, frames, size)),
        "y_tr": np.arange(videos) % classes,
        "x_te": rng.normal(size=(videos, frames, size)),
        "y_te": np.arange(videos) % classes,
        "classes": np.array(["a", "b"]),
    }
    np.savez(path, **{**arrays, **changes})
    return path


@pytest.mark.parametrize(
    "changes",
    [{"x_tr": np.zeros((6, 4))}, {"y_te": np.zeros(5, int)}, {"y_tr": np.full(6, 7)}, {"x_te": np.zeros((6, 3, 5))}],
)
def test_features_of_the_wrong_shape(tmp_path, changes):
    refused(
        lrcn("prepare", "features", "--npz", features(tmp_path / "f.npz", **changes), "--out", tmp_path / "data"),
        "f.npz",
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.engine
def test_hdf5_of_the_wrong_shape_is_refused_before_caffe_starts(tmp_path):
    assert (
        lrcn(
            "prepare", "features", "--npz", features(tmp_path / "f.npz"), "--out", tmp_path / "data", "--videos", 2
        ).returncode
        == 0
    )
    file = next((tmp_path / "data").glob("train*.h5"))
    with h5py.File(file, "a") as content:
        labels = content["label"][:]
        del content["label"]
        content["label"] = labels[:-1]
    refused(lrcn("train", "features", "--data", tmp_path / "data", "--out", tmp_path / "runs"), file.name)
    assert not (tmp_path / "runs").exists()


def test_no_engine(dataset, tmp_path):
    done = lrcn(
        "train",
        "activity/single-frame-rgb",
        "--data",
        dataset,
        "--out",
        tmp_path / "runs",
        "--set",
        "backbone=tiny",
        "--set",
        "crop=20",
        LRCN_CACHE=str(tmp_path / "cache"),
    )
    refused(done, "lrcn caffe build")
    refused(lrcn("caffe", "info", LRCN_CACHE=str(tmp_path / "cache")), "lrcn caffe build")
    assert not (tmp_path / "runs").exists()


@pytest.mark.engine
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_no_space_left_while_training(dataset, tmp_path):
    """Snapshots do not fit; with more room the same command ends as if nothing had been."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no mounts in this container")
    try:
        small = [
            "train",
            "activity/single-frame-rgb",
            "--data",
            dataset,
            "--out",
            disk / "runs",
            *(
                word
                for setting in (
                    "backbone=tiny",
                    "crop=20",
                    "batch=4",
                    "test_batch=4",
                    "test_iter=1",
                    "fc6=64",
                    "fc7=64",
                    "max_iter=4",
                    "snapshot=2",
                    "display=1",
                    "height=24",
                    "width=32",
                )
                for word in ("--set", setting)
            ),
        ]
        refused(lrcn(*small))
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        done = lrcn(*small)
        assert done.returncode == 0, done.stderr
        assert (disk / "runs" / "single-frame-rgb" / "snapshots" / "net_iter_4.caffemodel").exists()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["nets", "write", "activity/lrcn-fc6-rbg", "--out", "x"], "lrcn-fc6-rgb"),
        (["nets", "write", "activity/lrcn-fc6-rgb", "--out", "x", "--set", "unitz=5"], "units"),
        (["nets", "write", "activity/lrcn-fc6-rgb", "--out", "x", "--set", "units=-5"], "units"),
        (["nets", "write", "--out", "x"], "nets list"),
        (["train", "demmo"], "demmo"),
        (["train", "demo", "--data", "nowhere"], "nowhere"),
        (["compare"], "no results"),
        (["compare", "nowhere.json"], "nowhere.json"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_bad_usage(tmp_path, arguments, said):
    refused(lrcn(*arguments, cwd=tmp_path), said)
    assert not list(tmp_path.iterdir())


def test_a_setting_that_no_net_has_is_refused(dataset, tmp_path):
    for command in ("train", "evaluate"):
        said = lrcn(command, "demo", "--data", dataset, "--set", "untis=5", cwd=tmp_path)
        refused(said, "no setting 'untis'", "did you mean 'units'")
    assert not list(tmp_path.iterdir())


def test_written_nets_say_where_they_are_from(tmp_path):
    done = lrcn(
        "nets", "write", "activity/lrcn-fc6-rgb", "activity/single-frame-flow", "--out", tmp_path, "--set", "classes=51"
    )
    assert done.returncode == 0, done.stderr
    for name in ("lrcn-fc6-rgb", "single-frame-flow"):
        for kind in ("train_test", "deploy", "solver"):
            text = (tmp_path / "activity" / name / f"{kind}.prototxt").read_text()
            assert text.startswith("#") and "Table 1" in text.splitlines()[0]
    assert "num_output: 51" in (tmp_path / "activity" / "lrcn-fc6-rgb" / "deploy.prototxt").read_text()


def test_json_is_one_document(tmp_path):
    nets = json.loads(lrcn("nets", "list", "--json").stdout)
    assert {"activity/lrcn-fc6-rgb", "activity/lrcn-fc7-flow"} <= {net["name"] for net in nets}
    assert next(net for net in nets if net["name"] == "activity/lrcn-fc6-rgb")["settings"]["units"] == 256


@pytest.mark.engine
def test_from_videos_to_the_table(videos, tmp_path):
    """The whole way, small: frames, flow, training in two stages, evaluation, comparison."""
    size = [
        "--set",
        "backbone=tiny",
        "--set",
        "height=48",
        "--set",
        "width=64",
        "--set",
        "crop=40",
        "--set",
        "batch=4",
        "--set",
        "test_batch=4",
        "--set",
        "videos=2",
        "--set",
        "test_videos=1",
        "--set",
        "frames=4",
        "--set",
        "units=4",
        "--set",
        "max_iter=4",
        "--set",
        "test_iter=1",
        "--set",
        "display=1",
    ]
    assert lrcn("prepare", "videos", "--videos", videos, "--size", 48, 64, "--out", tmp_path / "data").returncode == 0
    for net in ("activity/lrcn-fc6-rgb", "activity/lrcn-fc6-flow"):
        for command, settings in (("train", size), ("evaluate", [])):
            done = lrcn(command, net, "--data", tmp_path / "data", "--out", tmp_path / net, *settings)
            assert done.returncode == 0, done.stderr
        results = json.loads((tmp_path / net / "results.json").read_text())
        assert results["engine"]["source"] == engine.find().source and results["seed"] == 1701
        assert set(results["models"]) == {"single-frame", "lrcn-fc6"}
        assert list((tmp_path / net).glob("confusion_lrcn-fc6_*.png"))
    done = lrcn("compare", tmp_path / net / "results.json")
    assert done.returncode == 0 and "published on UCF-101" in done.stdout and "2 classes, 2 test videos" in done.stdout
    again = lrcn("train", net, "--data", tmp_path / "data", "--out", tmp_path / net, *size, "--seed", 5)
    refused(again, "differs in seed (1701 there, 5 here)")
    evaluated = ("evaluate", net, "--data", tmp_path / "data", "--out")
    assert lrcn(*evaluated, tmp_path / net, *size).returncode == 0  # the settings given again
    refused(lrcn(*evaluated, tmp_path / net, "--seed", 5), "trained with seed=1701, not seed=5")
    refused(lrcn(*evaluated, tmp_path / "none"), "lrcn train")


def _heed_sigint():
    """Whatever started the tests in the background may have had Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.engine
def test_ctrl_c_keeps_what_was_done(dataset, tmp_path):
    """Of two trainings side by side: each Caffe makes a snapshot where it stands; the same command goes on from there,
    with the threads that it had."""
    settings = ["backbone=tiny", "crop=20", "height=24", "width=32", "batch=4", "test_iter=0", "fc6=8", "fc7=8"]
    settings += ["reader=clips", "max_iter=3000", "display=1", "snapshot=3000"]
    command = [
        LRCN,
        "train",
        "activity/table1",
        "--rows",
        "single-frame",
        "--from-scratch",
        "--no-trial",
        "--jobs",
        "2",
    ]
    command += ["--data", dataset, "--out", tmp_path, "--set", *settings]
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=_heed_sigint
    )
    runs = [Run(tmp_path / f"single-frame-{modality}") for modality in ("rgb", "flow")]
    logs = [run.folder / "logs" / "from-0000000.log" for run in runs]
    while not all(log.exists() and "Iteration 50," in log.read_text().replace(" (", ",") for log in logs):
        assert running.poll() is None
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)  # what a terminal does
    errors = running.communicate()[1]
    assert running.returncode == 130 and errors.strip().splitlines()[-1].startswith("lrcn: interrupted"), errors
    assert sum(line.startswith("lrcn: ") for line in errors.splitlines()) == 1 and "Traceback" not in errors
    done = [run.done for run in runs]
    assert all(50 <= each < 3000 for each in done)
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    for run, before in zip(runs, done):
        assert (run.folder / "logs" / f"from-{before:07d}.log").exists() and run.done == 3000
        assert run.devices == [{"from": 0, "gpu": None, "threads": 1}]  # of so small a net
    assert again.stderr.index(str(runs[0].snapshot(3000))) < again.stderr.index(str(runs[1].snapshot(3000)))
