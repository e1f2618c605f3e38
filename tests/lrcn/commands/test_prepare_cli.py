"""`lrcn prepare ucf101`, `flow`, `stills` and `videos` at the command line."""

import json

import cv2
import numpy as np
import pytest

from data_prep import store
from data_prep.dataset import Dataset
from data_prep.workers import VIDEOS, Counted
from tests.commands import lrcn, prepare, refused


def video(path, frames=12, seed=0):
    """A texture that moves 2 pixels a frame."""
    texture = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 15, (64, 48))
    for t in range(frames):
        writer.write(np.roll(texture, 2 * t, axis=1))
    writer.release()


@pytest.fixture
def archive(tmp_path):
    """Two classes of four groups under UCF-101's names, and two splits."""
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Jump\n2 Run\n")
    for number, name in enumerate(f"{c}/v_{c}_g{g:02d}_c01.avi" for c in ("Jump", "Run") for g in range(1, 5)):
        video(tmp_path / "UCF-101" / name, seed=number)
        for split in (1, 2):
            part = "test" if f"_g{split:02d}" in name else "train"
            with open(lists / f"{part}list{split:02d}.txt", "a") as file:
                file.write(name + (f" {1 + (number > 3)}\n" if part == "train" else "\n"))
    return tmp_path


def ucf101(archive, *options):
    return prepare(
        "ucf101",
        "--videos",
        archive / "UCF-101",
        "--splits",
        archive / "ucfTrainTestlist",
        "--out",
        archive / "data",
        "--size",
        48,
        64,
        *options,
    )


def test_ucf101_then_flow_then_another_split(archive):
    data = archive / "data"
    (archive / "UCF-101/Run/v_Run_g04_c01.avi").write_bytes(b"no video" * 90)
    done = ucf101(archive, "--subset", "--every", 2, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "frames: video 8/8" in done.stderr and "stills train1" in done.stderr and f"{data} is whole" in done.stderr
    assert "skipped: 1 of 8 videos, listed in skipped.tsv; first Run/v_Run_g04_c01.avi (not a read" in done.stderr
    held = Dataset(data)
    assert held.description["fps"] == 30 and held.index["v_Run_g01_c01"].frames == 23  # 12 at 15 a second
    with store.reader(data / "stills_test1").begin() as transaction:
        assert transaction.stat()["entries"] == 2 * 12

    done = prepare("flow", "--data", data, "--algorithm", "farneback")
    assert done.returncode == 0, done.stderr
    assert "flow: 154 images, 77 of them blank (the frame repeats the one before)" in done.stderr
    Dataset(data).check("flow")
    refused(prepare("flow", "--data", data), "already has flow, made by farneback", "--replace")

    assert ucf101(archive, "--subset", "--every", 2, "--split", 2).returncode == 0
    assert Dataset(data).description["splits"] == [1, 2] and Dataset(data).description["flow"]
    done = prepare("stills", "--data", data, "--split", 2)
    assert done.returncode == 0, done.stderr
    store.close_reader(data / "stills_test2")
    with store.reader(data / "stills_test2").begin() as transaction:
        assert transaction.stat()["entries"] == 2 * 23


def test_ucf101_refuses_in_one_line(archive):
    refused(ucf101(archive), "2 classes and 8 videos, where UCF-101 has 101 and 13320", "--subset")
    (archive / "UCF-101/Run/v_Run_g04_c01.avi").unlink()
    refused(ucf101(archive), "1 of the 8 listed videos are not there, first Run/v_Run_g04_c01", "--subset")
    refused(ucf101(archive, "--subset", "--split", 3), "no trainlist03.txt")
    refused(ucf101(archive, "--split", 4), "--split")
    refused(ucf101(archive, "--fps", 0), "--fps")
    refused(ucf101(archive, "--subset", "--workers", 0), "--workers")
    (archive / "ucfTrainTestlist/classInd.txt").unlink()
    refused(ucf101(archive), "classInd.txt: no such file")
    assert not list(archive.glob("data*"))


def test_flow_from_images_made_elsewhere(archive):
    data, images = archive / "data", archive / "flow"
    assert ucf101(archive, "--subset", "--fps", 15).returncode == 0
    refused(prepare("flow", "--data", data, "--images", images), "flow: no such folder")
    images.mkdir()
    refused(prepare("flow", "--data", data, "--images", images), "lacks flow_image_v_Jump_g01_c01.0002.jpg")
    for name in Dataset(data).index:
        for number in range(2, 13):
            cv2.imwrite(str(images / f"flow_image_{name}.{number:04d}.jpg"), np.full((48, 64, 3), 130, np.uint8))
    assert prepare("flow", "--data", data, "--images", images).returncode == 0
    assert json.loads((data / "dataset.json").read_text())["flow"]["images"] == 88


def test_flow_from_images_of_x_and_y(archive):
    data, images = archive / "data", archive / "flow"
    assert ucf101(archive, "--subset", "--fps", 15).returncode == 0
    for name, video in Dataset(data).index.items():
        (images / name).mkdir(parents=True)
        for number in range(1, video.frames):
            for axis, level in (("x", 179), ("y", 128)):  # 15 * 51 / 127.5 pixels to the right
                cv2.imwrite(str(images / name / f"flow_{axis}_{number:05d}.jpg"), np.full((48, 64), level, np.uint8))
    done = prepare("flow", "--data", data, "--images", images, "--flow-bound", 15)
    assert done.returncode == 0 and "-15 to 15 pixels (--flow-bound)" in done.stderr
    image = cv2.imdecode(np.frombuffer(Dataset(data).jpeg("flow", name, 3), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(image.mean((0, 1)) - [128 + 96, 128, 128 + 96]).max() < 2


def test_flow_and_stills_of_no_data_set(tmp_path):
    for command in ("flow", "stills"):
        refused(prepare(command, "--data", tmp_path / "none"), "no prepared dataset")


def test_own_videos_with_an_unreadable_one(archive):
    videos = archive / "UCF-101"
    (videos / "Run/v_Run_g02_c01.avi").write_bytes(b"no video" * 90)
    options = ["--videos", videos, "--out", archive / "own", "--size", 48, 64, "--flow", "none", "--workers", 1]
    refused(prepare("videos", *options), "v_Run_g02_c01.avi: not a readable video")
    done = prepare("videos", *options, "--skip-unreadable")
    assert done.returncode == 0, done.stderr
    assert "skipped: 1 of 8 videos" in done.stderr
    assert (archive / "own/skipped.tsv").read_text() == "file\treason\nRun/v_Run_g02_c01.avi\tnot a readable video\n"
    assert Dataset(archive / "own").description["flow"] is None


def test_own_videos_divided_by_groups_then_a_plan_of_small_nets(archive):
    small = ["--videos", archive / "UCF-101", "--size", 64, 80]
    options = [*small, "--out", archive / "own", "--test-share", 0.5, "--group-by", "_g0[0-9]"]
    done = prepare("videos", *options, "--workers", 1)
    assert done.returncode == 0, done.stderr
    groups = [{video.name[-7:-4] for video in Dataset(archive / "own").videos(1, part)} for part in ("train", "test")]
    assert list(map(len, groups)) == [2, 2] and not groups[0] & groups[1]
    assert lrcn("train", "small", "--data", archive / "own", "--dry-run").returncode == 0
    refused(
        lrcn("train", "demo", "--data", archive / "own", "--dry-run"),
        f"{archive}/own: no folder stills in it, on which demo pretrains pretrain-rgb; ",
        "`small` for videos of your own",
    )
    for option in (("--test-share", 0.5), ("--group-by", "g")):
        with_lists = prepare("videos", *small, "--out", archive / "other", "--lists", archive, *option)
        refused(with_lists, "--test-share and --group-by: say how lists are drawn; leave them out with --lists")
    refused(prepare("videos", *small, "--out", archive / "other", "--group-by", "("), "not a regular expression")


def told(capsys, monkeypatch, clock, reports):
    """What is printed where there is no terminal, of reports at the times of a clock."""
    from lrcn.commands import common

    times = iter(clock)
    monkeypatch.setattr(common.time, "monotonic", lambda: next(times))
    progress = common.Progress()
    for report in reports:
        progress(*report)
    return capsys.readouterr().err.splitlines()


def test_progress_estimates_the_time_left(capsys, monkeypatch):
    """Of a run that goes on at 40 of 100."""
    reports = [("frames", done, 100) for done in (40, 60, 80, 100)]
    assert told(capsys, monkeypatch, [100.0, 110.0, 130.0, 150.0], reports) == [
        "frames: 40/100",
        "frames: 60/100, 2.0/s, about 20 s left",
        "frames: 80/100, 1.3/s, about 15 s left",
        "frames: 100/100, 1.2/s, 50 s in all",
    ]


def test_progress_names_what_is_counted_and_measured(capsys, monkeypatch):
    def iterations(done, **measured):
        return (
            Counted("lrcn-2f", "iterations", {name.replace("_", " "): value for name, value in measured.items()}),
            done,
            1000,
        )

    reports = [iterations(0), iterations(400, loss=0.8734, test_accuracy=0.634), (Counted("flow", "videos"), 0, 2)]
    reports += [("a remark", 0, 0), (VIDEOS, 1, 200), ("wheels (MB)", 2, 9), (Counted("caffenet", "MiB"), 3, 7)]
    assert told(capsys, monkeypatch, [0.0, 40.0, 41.0, 42.0, 43.0, 44.0], reports) == [
        "lrcn-2f: iteration 0/1000",
        "lrcn-2f: iteration 400/1000, loss 0.873, test accuracy 63 %, 10.0 iterations/s, about 60 s left",
        "flow: video 0/2",
        "a remark",
        "videos: 1/200",
        "wheels (MB): 2/9",
        "caffenet: 3/7 MiB",
    ]


def test_progress_is_not_silent_for_hours(capsys, monkeypatch):
    reports = [("frames", done, 1000) for done in (1, 2, 3, 4)]
    lines = told(capsys, monkeypatch, [0.0, 100.0, 3600.0, 3700.0], reports)
    assert lines == ["frames: 1/1000", "frames: 3/1000, 0.001/s, about 20.8 days left"]


@pytest.mark.parametrize(
    "columns, text",
    [
        (120, "lrcn-2f: iteration 400/1000, loss 0.873, test accuracy 63 %, 10.0 iterations/s, about 60 s left"),
        (80, "lrcn-2f: iteration 400/1000, loss 0.873, test accuracy 63 %, 60 s left"),
        (60, "lrcn-2f: iteration 400/1000, loss 0.873, 60 s left"),
        (48, "lrcn-2f: iteration 400/1000, 60 s left"),
        (20, "lrcn-2f: iteration 400/1000"),
    ],
)
def test_what_stands_beside_a_bar_is_what_fits(columns, text):
    from lrcn.commands import common

    what = Counted("lrcn-2f", "iterations", {"loss": 0.8734, "test accuracy": 0.63})
    assert common.beside_bar(common.progress_in_words(what, (0, 400, 1000), 40.0), columns) == text


def test_shards_and_their_merge(archive):
    for shard in ("2/2", "1/2"):
        done = ucf101(archive, "--subset", "--shard", shard, "--workers", 2)
        assert done.stderr.rstrip().endswith(f"data.shards/{shard.replace('/', '-of-')} is whole")
    assert not (archive / "data").exists()
    merged = prepare("merge", archive / "data", "--remove-shards")
    assert merged.stderr.rstrip().endswith("data is whole")
    assert len(Dataset(archive / "data").index) == 8 and not (archive / "data.shards").exists()


def test_who_is_to_work_is_said_once(archive):
    refused(prepare("merge", archive / "data"), "data.shards: no shards in it")
    refused(
        ucf101(archive, "--workers", 2, "--executor", "dask:host:1"),
        "--workers uses this machine, --executor a cluster",
    )
    refused(ucf101(archive, "--subset", "--shard", "3/2"), "--shard 3/2: give K/N")
    refused(ucf101(archive, "--subset", "--executor", "ray"), "--executor ray: give dask:ADDRESS")
    refused(ucf101(archive, "--subset", "--shard", ""), "--shard : give K/N")  # a variable that is not set
    refused(ucf101(archive, "--subset", "--executor", ""), "--executor : give dask:ADDRESS")
