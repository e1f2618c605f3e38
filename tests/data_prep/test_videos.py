import contextlib
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from data_prep import DataError, flow, store
from data_prep.frames import VideoFile
from data_prep.videos import prepare_folder

from .videofiles import write_video

SMALL = {"height": 40, "width": 48}


def names(lines):
    return sorted(line.split()[0] for line in lines.read_text().splitlines())


def test_a_folder_of_videos_becomes_a_dataset(folder, tmp_path):
    said = []
    prepare_folder(folder, None, tmp_path / "d", workers=1, progress=lambda *args: said.append(args), **SMALL)
    held = store.Dataset(tmp_path / "d")
    assert held.classes == ["Jump", "Run"] and held.mirror and (held.height, held.width) == (40, 48)
    assert {v.name: (v.label, v.frames) for v in held.index.values()} == {
        f"v_{c}_{i}": (label, 5 + i) for label, c in enumerate(("Jump", "Run")) for i in range(4)
    }
    held.check("rgb")
    held.check("flow")
    assert names(tmp_path / "d/train1.txt") + names(tmp_path / "d/test1.txt") and not set(
        names(tmp_path / "d/train1.txt")
    ) & set(names(tmp_path / "d/test1.txt"))
    assert [len(held.videos(1, part)) for part in ("train", "test")] == [6, 2]
    assert said[-1] == ("flow", 8, 8) and ("frames", 8, 8) in said


def test_stored_images_are_the_videos_frames_and_their_flow(folder, tmp_path):
    prepare_folder(folder, None, tmp_path / "d", workers=1, **SMALL)
    held, images = store.Dataset(tmp_path / "d"), list(VideoFile(folder / "Run/v_Run_3.avi", None))

    def stored(modality, number):
        return cv2.imdecode(np.frombuffer(held.jpeg(modality, "v_Run_3", number), np.uint8), cv2.IMREAD_COLOR)

    for number, image in enumerate(images, 1):
        assert np.abs(stored("rgb", number).astype(int) - image).mean() < 2
    greys = [cv2.cvtColor(stored("rgb", number), cv2.COLOR_BGR2GRAY) for number in (3, 4)]
    due = flow.encode(flow.estimator("dis")(*greys))
    assert np.abs(stored("flow", 4).astype(int) - due).mean() < 2
    # the bright square moves 2 pixels to the right: red (channel 2) is x, 128 + 32, green (channel 1) is y
    assert np.abs(np.median(stored("flow", 4)[12:18, 12:18, 1:], axis=(0, 1)) - [128, 160]).max() <= 6


def test_any_number_of_workers_gives_the_same(folder, tmp_path, contents):
    for workers in (1, 3):
        prepare_folder(folder, None, tmp_path / str(workers), workers=workers, **SMALL)
    for part in ("frames", "flow"):
        assert contents(tmp_path / "1" / part) == contents(tmp_path / "3" / part)
    for file in ("videos.tsv", "train1.txt", "test1.txt", "dataset.json"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "3" / file).read_bytes()


def test_a_finished_dataset_is_left_as_it_is(folder, tmp_path):
    out = prepare_folder(folder, None, tmp_path / "d", workers=1, **SMALL)
    before = os.stat(out / "frames/data.mdb").st_mtime_ns
    prepare_folder(folder, None, tmp_path / "d", workers=1, **SMALL)
    assert os.stat(out / "frames/data.mdb").st_mtime_ns == before
    with pytest.raises(DataError, match="other settings .*height"):
        prepare_folder(folder, None, tmp_path / "d", workers=1, height=48, width=48)


def test_lists_of_ones_own(folder, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classes.txt").write_text("Run\nJump\n")
    for split in (1, 2):
        (lists / f"train{split}.txt").write_text(f"Run/v_Run_{split}.avi 0\nJump/v_Jump_0 1\n")
        (lists / f"test{split}.txt").write_text("Jump/v_Jump_3.avi 1\n")
    held = store.Dataset(prepare_folder(folder, lists, tmp_path / "d", workers=1, **SMALL))
    assert held.classes == ["Run", "Jump"] and held.description["splits"] == [1, 2]
    assert [v.name for v in held.videos(2, "train")] == ["v_Run_2", "v_Jump_0"]


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("classes.txt", "Jump\nRun\nSwim\n", "classes.txt: class Swim has no folder"),
        ("classes.txt", "Jump\n", "classes.txt: class Run is not in the class list"),
        ("train1.txt", "Run/v_Run_9 1\n", "train1.txt:1: Run/v_Run_9 is not in"),
        ("train1.txt", "Run/v_Run_1 0\n", "train1.txt:1: Run has label 0 here, 1 by"),
        ("train1.txt", "v_Run_1 0\n", "train1.txt:1: not `Class/video label`"),
        ("test1.txt", None, "test1.txt is missing or empty"),
    ],
)
def test_lists_that_disagree_with_the_folder(folder, tmp_path, file, text, message):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train1.txt").write_text("Run/v_Run_1 1\n")
    (lists / "test1.txt").write_text("Jump/v_Jump_1 0\n")
    (lists / file).write_text(text) if text else (lists / file).unlink()
    with pytest.raises(DataError, match=message) as caught:
        prepare_folder(folder, lists, tmp_path / "d", **SMALL)
    assert "\n" not in str(caught.value) and not any(p.name.startswith("d") for p in tmp_path.iterdir())


def test_a_folder_without_videos(tmp_path):
    (tmp_path / "v" / "Run").mkdir(parents=True)
    (tmp_path / "v" / "Run" / "notes.txt").write_text("none")
    for root, message in ((tmp_path / "v", "no videos in it"), (tmp_path / "w", "no such folder")):
        with pytest.raises(DataError, match=message):
            prepare_folder(root, None, tmp_path / "d")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "frames, keep, message", [(0, 1, "no frames"), (40, 0.5, "truncated"), (5, 0.001, "not a readable video")]
)
def test_a_bad_video_is_named_and_once_replaced_all_is_well(folder, tmp_path, workers, frames, keep, message):
    bad = write_video(folder / "Run" / "v_Run_3.avi", frames)
    bad.write_bytes(bad.read_bytes()[: int(bad.stat().st_size * keep)])
    with pytest.raises(DataError, match=f"v_Run_3.avi: .*{message}") as caught:
        prepare_folder(folder, None, tmp_path / "d", workers=workers, **SMALL)
    assert "\n" not in str(caught.value) and not (tmp_path / "d").exists()
    write_video(bad, 6)
    assert (
        store.Dataset(prepare_folder(folder, None, tmp_path / "d", workers=workers, **SMALL)).index["v_Run_3"].frames
        == 6
    )


def test_two_videos_of_one_name(folder, tmp_path):
    write_video(folder / "Run" / "v_Jump_1.avi")
    with pytest.raises(DataError, match="v_Jump_1.avi: has the name of"):
        prepare_folder(folder, None, tmp_path / "d", **SMALL)


def test_non_ascii_names_and_a_one_frame_video(folder, tmp_path):
    write_video(folder / "Run" / "v_chạy bộ.avi", frames=1)
    held = store.Dataset(prepare_folder(folder, None, tmp_path / "d", workers=1, **SMALL))
    assert held.jpeg("rgb", "v_chạy bộ", 1)[:2] == b"\xff\xd8" and held.index["v_chạy bộ"].images("flow") == 0
    held.check("flow")


PREPARE = """
import sys
from data_prep import store, videos
store.COMMIT_BYTES = 20000
videos.prepare_folder(sys.argv[1], None, sys.argv[2], workers=2, height=120, width=160)
"""


def start(folder, out, **options):
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(folder), str(out)], stderr=subprocess.PIPE, text=True, **options
    )


def stored(partial):
    """How many images the two LMDBs hold, seen from outside while they are written."""
    import lmdb

    counts = []
    for part in ("frames", "flow"):
        with contextlib.suppress(lmdb.Error):
            with lmdb.open(str(partial / part), readonly=True, lock=True, create=False) as environment:
                counts.append(environment.stat()["entries"])
    return sum(counts)


@pytest.mark.parametrize("after", [1, 40, 90])
def test_kill_9_and_the_same_command_again(folder, tmp_path, contents, after):
    """Killed once so many images are stored; the second run ends with what an uninterrupted one gives."""
    for i in range(4):
        write_video(folder / "Run" / f"v_Run_{i}.avi", 15)
    whole = prepare_folder(folder, None, tmp_path / "whole", workers=1, height=120, width=160)
    process = start(folder, tmp_path / "cut")
    deadline = time.monotonic() + 60
    while process.poll() is None and stored(tmp_path / "cut.partial") < after and time.monotonic() < deadline:
        time.sleep(0.002)
    workers = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
    assert not (tmp_path / "cut").exists()
    deadline = time.monotonic() + 10
    while any(
        os.path.exists(f"/proc/{pid}") and b"multiprocessing" in open(f"/proc/{pid}/cmdline", "rb").read()
        for pid in workers
    ):
        assert time.monotonic() < deadline, "workers outlive a killed parent"
        time.sleep(0.05)
    again = start(folder, tmp_path / "cut")
    assert again.communicate()[1] == "" and again.returncode == 0
    for part in ("frames", "flow"):
        assert contents(tmp_path / "cut" / part) == contents(whole / part)
    for file in ("videos.tsv", "train1.txt", "test1.txt", "dataset.json"):
        assert (tmp_path / "cut" / file).read_bytes() == (whole / file).read_bytes()


LIMITED = """
import resource, sys
from data_prep import DataError, store, videos
store.COMMIT_BYTES = 20000
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    videos.prepare_folder(sys.argv[1], None, sys.argv[2], workers=1, height=120, width=160)
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [300, 30_000, 100_000])
def test_no_space_left(folder, tmp_path, contents, limit):
    """A limit on files' sizes stands for the full disk; with room made, the same call goes on."""
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder), str(tmp_path / "d"), str(limit)], capture_output=True, text=True
    )
    assert "no space left" in result.stdout and result.stdout.count("\n") == 1 and not result.stderr
    assert not (tmp_path / "d").exists()
    settings = {"workers": 1, "height": 120, "width": 160}
    prepare_folder(folder, None, tmp_path / "d", **settings)
    prepare_folder(folder, None, tmp_path / "e", **settings)
    assert all(contents(tmp_path / "d" / part) == contents(tmp_path / "e" / part) for part in ("frames", "flow"))


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 400 kB, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(folder, full_disk):
    with pytest.raises(DataError, match="no space left.*; free some"):
        prepare_folder(folder, None, full_disk / "d", workers=1, height=240, width=320)
    assert not (full_disk / "d").exists()
