import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from data_prep import DataError, flow, frames, stills
from data_prep.dataset import Dataset
from data_prep.frames import VideoFile
from tests.shared import UCF101_FRAMES, needs

from .videofiles import prepare_small, write_ucf101, write_video


def names(lines):
    return sorted(line.split()[0] for line in lines.read_text().splitlines())


def test_a_folder_of_videos_becomes_a_dataset(folder, tmp_path):
    said = []
    prepare_small(folder, None, tmp_path / "d", workers=1, progress=lambda *args: said.append(args))
    held = Dataset(tmp_path / "d")
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
    assert {("frames", 8, 8), ("flow", 8, 8)} < set(said)
    assert any(what.startswith("flow: 44 images, 0 of them blank") and not total for what, _, total in said)


def test_stored_images_are_the_videos_frames_and_their_flow(folder, tmp_path):
    prepare_small(folder, None, tmp_path / "d")
    held, images = Dataset(tmp_path / "d"), list(VideoFile(folder / "Run/v_Run_3.avi", None))

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
        prepare_small(folder, None, tmp_path / str(workers), workers=workers)
    for part in ("frames", "flow"):
        assert contents(tmp_path / "1" / part) == contents(tmp_path / "3" / part)
    for file in ("videos.tsv", "train1.txt", "test1.txt", "dataset.json"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "3" / file).read_bytes()


def test_a_finished_dataset_is_left_as_it_is(folder, tmp_path):
    out = prepare_small(folder, None, tmp_path / "d")
    before = os.stat(out / "frames/data.mdb").st_mtime_ns
    prepare_small(folder, None, tmp_path / "d")
    assert os.stat(out / "frames/data.mdb").st_mtime_ns == before
    with pytest.raises(DataError, match="other settings .*height"):
        prepare_small(folder, None, tmp_path / "d", workers=1, height=48, width=48)


def test_lists_of_ones_own(folder, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classes.txt").write_text("Run\nJump\n")
    for split in (1, 2):
        (lists / f"train{split}.txt").write_text(f"Run/v_Run_{split}.avi 0\nJump/v_Jump_0 1\n")
        (lists / f"test{split}.txt").write_text("Jump/v_Jump_3.avi 1\n")
    held = Dataset(prepare_small(folder, lists, tmp_path / "d"))
    assert held.classes == ["Run", "Jump"] and held.description["splits"] == [1, 2]
    assert sorted(v.name for v in held.videos(2, "train")) == ["v_Jump_0", "v_Run_2"]


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("classes.txt", "Jump\nRun\nSwim\n", "classes.txt: class Swim has no folder"),
        ("classes.txt", "Jump\n", "classes.txt: class Run is not in the class list"),
        ("train1.txt", "Run/v_Run_9 1\n", "train1.txt:1: Run/v_Run_9 is not in"),
        ("train1.txt", "Run/v_Run_1 0\n", "train1.txt:1: Run has label 0 here, 1 by"),
        ("train1.txt", "v_Run_1 0\n", "train1.txt:1: not `Class/video label`"),
        ("classes.txt", "Jump\nJump\nRun\n", "classes.txt: class Jump is in it twice"),
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
        prepare_small(folder, lists, tmp_path / "d")
    assert "\n" not in str(caught.value) and not any(p.name.startswith("d") for p in tmp_path.iterdir())


LINES = {
    "suffixes": "{c}/{v}.avi {n}",
    "frames": "{c}/{v} 30 {n}",
    "frames and suffixes": "{c}/{v}.avi 30 {n}",
    "tabs": "{c}/{v}.avi\t{n}",
    "commas": "{c}/{v}.avi,{n}",
    "frames and commas": "{c}/{v}, 30, {n}",
    "whole paths": "/data/hmdb/{c}/{v}.avi {n}",
    "backslashes": "{c}\\{v}.avi {n}",
    "folders' slashes": "/data/rawframes/{c}/{v}/ 30 {n}",
    "other case": "{C}/{V}.AVI {n}",
    "blanks around": "  {c}/{v}.avi  {n}  ",
}


@pytest.mark.parametrize("form", LINES)
@pytest.mark.parametrize(
    "mark, end", [("", "\n"), ("\ufeff", "\r\n")], ids=["plain", "with a byte order mark and line ends of Windows"]
)
def test_lists_as_others_write_them(folder, tmp_path, form, mark, end):
    odd = "v Run 3 30"  # a name with blanks that ends in numbers
    (folder / "Run/v_Run_3.avi").rename(folder / f"Run/{odd}.avi")
    lists, line = tmp_path / "lists", LINES[form] + end
    lists.mkdir()
    for name, members in {
        "train1.txt": [("Run", odd, 1), ("Jump", "v_Jump_2", 0), ("Run", "v_Run_1", 1)],
        "test1.txt": [("Jump", "v_Jump_0", 0), ("Run", "v_Run_0", 1)],
    }.items():
        lines = "".join(line.format(c=c, C=c.upper(), v=v, V=v.upper(), n=n) for c, v, n in members)
        (lists / name).write_bytes((mark + lines).encode())
    (lists / "classes.txt").write_bytes((mark + f"Jump{end}RUN{end}").encode())
    held = Dataset(prepare_small(folder, lists, tmp_path / "d", algorithm=None))
    assert {(v.name, v.label) for v in held.videos(1, "train")} == {(odd, 1), ("v_Jump_2", 0), ("v_Run_1", 1)}
    assert [(v.name, v.label) for v in held.videos(1, "test")] == [("v_Jump_0", 0), ("v_Run_0", 1)]


def test_names_that_differ_in_case_alone(folder, tmp_path):
    lists = own_lists(tmp_path / "lists", train1="Run/v_Run_1 1\n", test1="Jump/v_JUMP_0 0\n")
    write_video(folder / "Jump/V_Jump_0.avi")
    with pytest.raises(DataError, match="test1.txt:1: v_JUMP_0 may be V_Jump_0 or v_Jump_0, which differ in case"):
        prepare_small(folder, lists, tmp_path / "d", algorithm=None)
    (lists / "test1.txt").write_text("Jump/v_Jump_0 0\n")
    held = Dataset(prepare_small(folder, lists, tmp_path / "d", algorithm=None))
    assert [v.name for v in held.videos(1, "test")] == ["v_Jump_0"]


def test_videos_in_training_and_test_are_counted(folder, tmp_path):
    lists, said = tmp_path / "lists", []
    lists.mkdir()
    (lists / "train1.txt").write_text("Jump/v_Jump_1 0\nRun/v_Run_1 1\n")
    (lists / "test1.txt").write_text("Jump/v_Jump_1 0\nRun/v_Run_2 1\n")
    prepare_small(folder, lists, tmp_path / "d", algorithm=None, progress=lambda what, *_: said.append(what))
    assert "test1: 1 videos, as v_Jump_1, are in train1 too; they test no learning" in said


def test_a_class_without_videos_in_a_list_is_named(folder, tmp_path):
    lists = own_lists(
        tmp_path / "lists", train1="Run/v_Run_1 1\nRun/v_Run_2 1\n", test1="Jump/v_Jump_0 0\nRun/v_Run_0 1"
    )
    said = []
    prepare_small(folder, lists, tmp_path / "d", algorithm=None, progress=lambda what, *_: said.append(what))
    assert [what for what in said if "no video of" in what] == ["train1: no video of Jump, which nets will not learn"]


def test_a_class_all_of_whose_test_videos_are_skipped_is_named(folder, tmp_path):
    lists = own_lists(
        tmp_path / "lists", train1="Run/v_Run_1 1\nJump/v_Jump_2 0\n", test1="Jump/v_Jump_0 0\nRun/v_Run_0 1\n"
    )
    (folder / "Jump/v_Jump_0.avi").write_bytes(b"broken")
    said = []
    options = {"algorithm": None, "skip_unreadable": True}
    prepare_small(folder, lists, tmp_path / "d", progress=lambda what, *_: said.append(what), **options)
    assert [what for what in said if "no video of" in what] == ["test1: no video of Jump, which will have no accuracy"]


@pytest.mark.parametrize(
    "line", ["Run/v_Run_1", "v_Run_1 30 1", "Run/v_Run_1 one", "Run/ 1", "Run/v_Run_1 99999999999"]
)
def test_a_line_that_is_no_line_of_a_list(folder, tmp_path, line):
    lists = own_lists(tmp_path / "lists", train1=f"{line}\n", test1="Jump/v_Jump_0 0\n")
    with pytest.raises(DataError, match="train1.txt:1: not `Class/video label`, nor `Class/video frames label`: "):
        prepare_small(folder, lists, tmp_path / "d", algorithm=None)


def test_a_folder_without_videos(tmp_path):
    (tmp_path / "v" / "Run").mkdir(parents=True)
    (tmp_path / "v" / "Run" / "notes.txt").write_text("none")
    for root, message in ((tmp_path / "v", "no videos in it"), (tmp_path / "w", "no such folder")):
        with pytest.raises(DataError, match=message):
            prepare_small(root, None, tmp_path / "d")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "frames, keep, message", [(0, 1, "no frames"), (40, 0.5, "truncated"), (5, 0.001, "not a readable video")]
)
def test_a_bad_video_is_named_and_once_replaced_all_is_well(folder, tmp_path, workers, frames, keep, message):
    bad = write_video(folder / "Run" / "v_Run_3.avi", frames)
    bad.write_bytes(bad.read_bytes()[: int(bad.stat().st_size * keep)])
    with pytest.raises(DataError, match=f"v_Run_3.avi: .*{message}") as caught:
        prepare_small(folder, None, tmp_path / "d", workers=workers)
    assert "\n" not in str(caught.value) and not (tmp_path / "d").exists()
    write_video(bad, 6)
    assert Dataset(prepare_small(folder, None, tmp_path / "d", workers=workers)).index["v_Run_3"].frames == 6


@pytest.mark.parametrize("name", ["v_Run_1 .avi", "v_Run_1\u00a0.avi", "v_Run_1\x85.avi", "v_Run\n1.avi", "v\r1.avi"])
def test_names_that_no_list_could_hold(folder, tmp_path, name):
    (folder / "Run/v_Run_1.avi").rename(folder / "Run" / name)
    with pytest.raises(DataError, match="rename it") as caught:
        prepare_small(folder, None, tmp_path / "d")
    assert len(str(caught.value).splitlines()) == 1
    (folder / "Run" / name).unlink()
    (folder / "Run").rename(folder / "\ufeffRun")
    with pytest.raises(DataError, match="begins with a mark; rename it"):
        prepare_small(folder, None, tmp_path / "d")


def test_two_videos_of_one_name(folder, tmp_path):
    write_video(folder / "Run" / "v_Jump_1.avi")
    with pytest.raises(DataError, match="v_Jump_1.avi: has the name of"):
        prepare_small(folder, None, tmp_path / "d")


def test_non_ascii_names_and_a_one_frame_video(folder, tmp_path):
    write_video(folder / "Run" / "v_chạy bộ.avi", frames=1)
    held = Dataset(prepare_small(folder, None, tmp_path / "d"))
    assert held.jpeg("rgb", "v_chạy bộ", 1)[:2] == b"\xff\xd8" and held.index["v_chạy bộ"].images("flow") == 0
    held.check("flow")


PREPARE = """
import multiprocessing, os, signal, sys
from data_prep import store, videos
store.COMMIT_BYTES = 20000
put, left = store.put, int(sys.argv[3])
def put_and_die(environment, items, *more):
    global left
    left -= len(items)
    put(environment, items, *more)
    if left <= 0:
        print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
store.put = put_and_die
options = videos.FrameOptions(height=120, width=160)
videos.prepare_folder(sys.argv[1], None, sys.argv[2], options, work=videos.Work(2))
"""


def prepare_until(folder, out, images):
    """Killed once so many images are stored in the two LMDBs; says which workers it had."""
    command = [sys.executable, "-c", PREPARE, str(folder), str(out), str(images)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 40, 90])
def test_kill_9_and_the_same_command_again(folder, tmp_path, contents, after):
    """Killed once so many images are stored; the second run ends with what an uninterrupted one gives."""
    for i in range(4):
        write_video(folder / "Run" / f"v_Run_{i}.avi", 15)
    whole = prepare_small(folder, None, tmp_path / "whole", workers=1, height=120, width=160)
    killed = prepare_until(folder, tmp_path / "cut", after)
    workers = killed.stdout.split()
    assert killed.returncode == -signal.SIGKILL and len(workers) == 2, killed.stderr
    assert not (tmp_path / "cut").exists()
    # Workers do not outlive their parent: they hold its standard output, to whose end `run` has read.
    again = prepare_until(folder, tmp_path / "cut", 10**9)
    assert again.stderr == "" and again.returncode == 0
    for part in ("frames", "flow"):
        assert contents(tmp_path / "cut" / part) == contents(whole / part)
    for file in ("videos.tsv", "train1.txt", "test1.txt", "dataset.json"):
        assert (tmp_path / "cut" / file).read_bytes() == (whole / file).read_bytes()


CUT = """
import os, signal, sys, threading, time
from data_prep import flow, store, ucf101, videos
store.COMMIT_BYTES = 8000
kind, folder, out, after = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
begun = 0.0
def progress(*_):
    global begun
    if after and not begun:
        threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL)).start()
    begun = begun or time.monotonic()
work = videos.Work(2, progress)
if kind == "videos":
    videos.prepare_folder(folder, None, out, videos.FrameOptions(60, 80, fps=20, skip_unreadable=True), work=work)
else:
    archive = ucf101.Archive(folder + "/videos", folder + "/lists", subset=True)
    ucf101.prepare_ucf101(archive, out, "all", videos.FrameOptions(60, 80, fps=30), work=work)
    flow.prepare_flow(out, "farneback", work=work)
print(time.monotonic() - begun, flush=True)
os._exit(0)
"""


def prepare_in_child(kind, folder, out, after=0.0):
    """Killed so many seconds after its first progress; the exit code, and the seconds that a whole run worked."""
    child = subprocess.run(
        [sys.executable, "-c", CUT, kind, str(folder), str(out), str(after)], stdout=subprocess.PIPE, text=True
    )
    return child.returncode, float(child.stdout or 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["videos", "ucf101"])
def test_kill_9_at_random_moments(tmp_path, contents, kind):
    """Each run goes on where the one before was killed; in the end there is what a single run leaves, to the byte."""
    folder = write_ucf101(tmp_path / "ucf", clips=1, frames=10)
    (folder / "videos/Run/v_Run_g04_c01.avi").write_bytes(b"no video" * 99)
    videos = folder if kind == "ucf101" else folder / "videos"
    code, seconds = prepare_in_child(kind, videos, tmp_path / "whole")
    assert code == 0
    random, kills = np.random.default_rng(int(time.time())), 0
    while kills < 5:
        code, _ = prepare_in_child(kind, videos, tmp_path / "cut", random.uniform(0.001, seconds))
        kills += code == -signal.SIGKILL
        if code == 0:  # it was done before it could be killed
            shutil.rmtree(tmp_path / "cut")
        else:
            assert code == -signal.SIGKILL
    assert prepare_in_child(kind, videos, tmp_path / "cut")[0] == 0
    files = {
        str(path.relative_to(tmp_path / "whole"))
        for path in (tmp_path / "whole").rglob("*")
        if path.is_file() and path.suffix != ".mdb"
    }
    assert {"dataset.json", "skipped.tsv", "train1.txt", "stills_test1/stills.json"} < files
    assert files == {
        str(path.relative_to(tmp_path / "cut"))
        for path in (tmp_path / "cut").rglob("*")
        if path.is_file() and path.suffix != ".mdb"
    }
    for file in files:
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    databases = [path.parent.name for path in (tmp_path / "whole").rglob("data.mdb")]
    assert len(databases) == (8 if kind == "ucf101" else 4)
    for name in databases:
        assert contents(tmp_path / "cut" / name) == contents(tmp_path / "whole" / name)
    assert Dataset(tmp_path / "cut").description["skipped"] == 1
    assert not list(tmp_path.rglob("*.partial"))


LIMITED = """
import resource, sys
from data_prep import DataError, store, videos
store.COMMIT_BYTES = 20000
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    videos.prepare_folder(sys.argv[1], None, sys.argv[2], videos.FrameOptions(120, 160), work=videos.Work(1))
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
    prepare_small(folder, None, tmp_path / "d", **settings)
    prepare_small(folder, None, tmp_path / "e", **settings)
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
        prepare_small(folder, None, full_disk / "d", workers=1, height=240, width=320)
    assert not (full_disk / "d").exists()


def cut_into_images(video, folder, name="i_{:d}.jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(VideoFile(video, None), 1):
        (folder / name.format(number)).write_bytes(frames.encode_jpeg(image))
    return folder


def test_folders_of_images_in_folders_of_classes(folder, tmp_path, contents):
    """Frames cut beforehand give what the video files give."""
    prepare_small(folder, None, tmp_path / "d")
    for video in folder.rglob("*.avi"):
        cut_into_images(video, tmp_path / "cut" / video.parent.name / video.stem)
    (tmp_path / "cut/Run/poster.jpg").write_bytes(b"not of a video")
    prepare_small(tmp_path / "cut", None, tmp_path / "e", workers=2)
    for part in ("frames", "flow", "stills_train1"):
        assert contents(tmp_path / "d" / part) == contents(tmp_path / "e" / part)
    assert (tmp_path / "d/videos.tsv").read_text() == (tmp_path / "e/videos.tsv").read_text()


def test_images_beside_the_frames_are_left_out_with_a_word(folder, tmp_path, contents):
    said = []
    for video in folder.rglob("*.avi"):
        place = cut_into_images(video, tmp_path / "cut" / video.parent.name / video.stem, "img_{:05d}.jpg")
        shutil.copytree(tmp_path / "cut", tmp_path / "tsn", dirs_exist_ok=True)
        for axis in "xy":
            shutil.copy(
                place / "img_00001.jpg", tmp_path / f"tsn/{video.parent.name}/{video.stem}/flow_{axis}_00001.jpg"
            )
    for name in ("cut", "tsn"):
        prepare_small(tmp_path / name, None, tmp_path / f"of_{name}", progress=lambda what, *_: said.append(what))
    assert contents(tmp_path / "of_cut/frames") == contents(tmp_path / "of_tsn/frames")
    (line,) = [what for what in said if "images beside their frames" in what]
    assert line.startswith("8 videos have other images") and line.endswith("flow_x_00001.jpg")


@pytest.mark.parametrize("skip", [False, True])
def test_a_folder_of_several_series_is_refused_before_anything_is_made(folder, tmp_path, skip):
    place = cut_into_images(folder / "Run/v_Run_3.avi", tmp_path / "cut/Run/v_Run_3", "left_{:04d}.jpg")
    cut_into_images(folder / "Run/v_Run_3.avi", place, "right_{:04d}.jpg")
    cut_into_images(folder / "Run/v_Run_2.avi", tmp_path / "cut/Run/v_Run_2")
    with pytest.raises(DataError, match=r"v_Run_3: its images .* left_0001.jpg ... left_0008.jpg \(8\) or right_0001"):
        prepare_small(tmp_path / "cut", None, tmp_path / "d", skip_unreadable=skip)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", folder.name]


def own_lists(folder, **files):
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("images", [False, True])
def test_videos_without_folders_of_classes_get_them_from_lists(folder, tmp_path, images):
    for video in list(folder.rglob("*.avi")):
        if images:
            cut_into_images(video, tmp_path / "flat" / video.stem)
        else:
            (tmp_path / "flat").mkdir(exist_ok=True)
            video.rename(tmp_path / "flat" / video.name)
    lists = own_lists(tmp_path / "lists", train1="Run/v_Run_1 0\nJump/v_Jump_3 1\n", test1="Jump/v_Jump_0 1\n")
    held = Dataset(prepare_small(tmp_path / "flat", lists, tmp_path / "d"))
    assert held.classes == ["Run", "Jump"]
    assert {v.name: (v.label, v.frames) for v in held.index.values()} == {
        "v_Run_1": (0, 6),
        "v_Jump_0": (1, 5),
        "v_Jump_3": (1, 8),
    }
    held.check("flow")
    for lists, message in (
        (None, "lie in no folders of classes; name their classes in lists"),
        (own_lists(tmp_path / "b", train1="Run/v_Run_9 0\n", test1="Jump/v_Jump_0 1\n"), "Run/v_Run_9 is not in"),
        (own_lists(tmp_path / "c", train1="Run/v_Run_1 1\n", test1="Jump/v_Jump_0 2\n"), "labels are not 0, 1, 2"),
        (own_lists(tmp_path / "e", train1="Run/v_Run_1 0\n", test1="Jump/v_Jump_0 0\n"), "label 0 is .* before"),
    ):
        with pytest.raises(DataError, match=message):
            prepare_small(tmp_path / "flat", lists, tmp_path / "f")


def test_hmdb51s_lists(folder, tmp_path):
    lists = own_lists(
        tmp_path / "lists",
        Jump_test_split1="v_Jump_0.avi 1 \nv_Jump_1.avi 2 \nv_Jump_2.avi 0 \n",
        Run_test_split1="v_Run_0.avi 2\nv_Run_3.avi 1\n",
    )
    (lists / "._Run_test_split1.txt").write_bytes(b"\0\5\x16\7")  # which a Mac writes beside
    held = Dataset(prepare_small(folder, lists, tmp_path / "d"))
    assert sorted(v.name for v in held.videos(1, "train")) == ["v_Jump_0", "v_Run_3"]
    assert [v.name for v in held.videos(1, "test")] == ["v_Jump_1", "v_Run_0"]
    (lists / "Run_test_split1.txt").write_text("v_Run_0.avi 3\n")
    with pytest.raises(DataError, match="Run_test_split1.txt:1: not `video use`"):
        prepare_small(folder, lists, tmp_path / "e")


def test_official_lists_of_ucf101_are_sent_to_their_command(folder, tmp_path):
    lists = own_lists(tmp_path / "lists", trainlist01="Run/v_Run_1.avi 1\n")
    with pytest.raises(DataError, match="no train1.txt .*lrcn prepare ucf101"):
        prepare_small(folder, lists, tmp_path / "d")


def test_a_video_twice_in_a_list(folder, tmp_path):
    lists = own_lists(tmp_path / "lists", train1="Run/v_Run_1 1\nRun/v_Run_1 1\n", test1="Jump/v_Jump_1 0\n")
    with pytest.raises(DataError, match="train1.txt: video v_Run_1 is in it 2 times"):
        prepare_small(folder, lists, tmp_path / "d")


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_videos_can_be_left_out(folder, tmp_path, workers):
    (folder / "Run/v_Run_2.avi").write_bytes(b"no video" * 99)
    cut_into_images(folder / "Run/v_Run_1.avi", folder / "Run/v_Run_7")
    (folder / "Run/v_Run_7/i_3.jpg").write_bytes(b"no image")
    data = prepare_small(folder, None, tmp_path / "d", workers=workers, skip_unreadable=True)
    held = Dataset(data)
    assert len(held.index) == 7 and held.description["skipped"] == 2
    assert (data / "skipped.tsv").read_text().splitlines()[1:] == [
        "Run/v_Run_2.avi\tnot a readable video",
        "Run/v_Run_7\ti_3.jpg: not an image of a kind that is read",
    ]
    assert len(held.videos(1, "train") + held.videos(1, "test")) == 7


def test_non_ascii_names_of_files_and_classes(folder, tmp_path):
    (folder / "Run").rename(folder / "Löb løb 走")
    for number, path in enumerate(sorted((folder / "Löb løb 走").iterdir())):
        path.rename(path.with_name(f"v_走る {number} #[é]!.avi"))
    data = prepare_small(folder, None, tmp_path / "ü d", workers=2)
    held = Dataset(data)
    assert held.classes == ["Jump", "Löb løb 走"]
    assert {v.class_name for v in held.videos(1, "train")} == {"Jump", "Löb løb 走"}
    assert held.jpeg("flow", "v_走る 2 #[é]!", 2)[:2] == b"\xff\xd8"
    lists = own_lists(tmp_path / "lists", train1="Löb løb 走/v_走る 1 #[é]!.avi 1\n", test1="Jump/v_Jump_1 0\n")
    held = Dataset(prepare_small(folder, lists, tmp_path / "e"))
    assert [v.name for v in held.videos(1, "train")] == ["v_走る 1 #[é]!"]
    stills.folder(held, "train")


def test_a_name_that_is_not_utf_8(folder, tmp_path):
    (folder / "Run/v_Run_1.avi").rename(os.fsdecode(os.fsencode(folder / "Run") + b"/v_\xe9.avi"))
    with pytest.raises(DataError, match=r"v_.udce9.avi': its name is not UTF-8; rename"):
        prepare_small(folder, None, tmp_path / "d")


def test_what_a_mac_and_others_write_beside_is_no_video_and_no_class(folder, tmp_path):
    (folder / "Run/._v_Run_1.avi").write_bytes(b"resource fork")
    for hidden in (".ipynb_checkpoints/x", "__MACOSX/Run/y", "Run/.thumbs", "Run/@eaDir", ".Trash/a/b"):
        (folder / hidden).mkdir(parents=True)
        cv2.imwrite(str(folder / hidden / "1.jpg"), np.zeros((8, 8, 3), np.uint8))
    dataset = Dataset(prepare_small(folder, None, tmp_path / "d", algorithm=None))
    assert len(dataset.index) == 8 and dataset.classes == ["Jump", "Run"]


def test_videos_that_lie_deeper_are_named(folder, tmp_path):
    folder.rename(tmp_path / "train")
    (tmp_path / "kinetics").mkdir()
    (tmp_path / "train").rename(tmp_path / "kinetics/train")
    with pytest.raises(DataError, match=r"kinetics: no videos in it; .* for each class, where there is train/\w+/v_"):
        prepare_small(tmp_path / "kinetics", None, tmp_path / "d")


def test_what_is_stored_wrong_is_found_at_the_end(folder, tmp_path, monkeypatch):
    from data_prep import videos

    monkeypatch.setattr(videos, "_frames_job", lambda job: ([b"\xff\xd8 broken"] * 3, 3, 3))
    with pytest.raises(DataError, match="frames: v_.*jpg does not decode to 40x48"):
        prepare_small(folder, None, tmp_path / "d")


@needs(UCF101_FRAMES)
def test_real_frames_without_a_class_level(tmp_path):
    """Twelve videos of UCF-101, cut into i_0001.jpg and so on."""
    names = sorted(path.name for path in UCF101_FRAMES.iterdir())[:4]
    lists = own_lists(
        tmp_path / "lists", train1=f"a/{names[0]} 0\nb/{names[1]} 1\n", test1=f"a/{names[2]} 0\nb/{names[3]} 1\n"
    )
    held = Dataset(prepare_small(UCF101_FRAMES, lists, tmp_path / "d", height=60, width=80))
    held.check("flow")
    assert [v.frames for v in held.index.values()] == [
        len(list((UCF101_FRAMES / name).glob("*.jpg"))) for name in names
    ]
    assert held.description["flow"]["images"] == sum(v.frames - 1 for v in held.index.values())
