"""Shards are compared with what one run makes; they are cut off by SIGKILL."""

import json
import os
import shutil
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_prep import DataError, captions, flow, merge, shards, store, workers
from data_prep.workers import Shard, Work
from tests.data_prep.videofiles import files_of, prepare_small, prepare_small_ucf101, write_classes, write_ucf101


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = write_ucf101(tmp_path_factory.mktemp("archive"), clips=1)
    (folder / "videos/Run/v_Run_g04_c01.avi").write_bytes(b"no video" * 99)  # skipped
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("videos"), 3)


def in_shards(prepare, numbers, count):
    for number in numbers:
        prepare(Shard(number, count))


def shard_of_ucf101(archive, out):
    return lambda shard: prepare_small_ucf101(archive, out, "all", shard=shard)


def test_shards_in_any_order_make_what_one_run_makes(archive, tmp_path):
    whole = prepare_small_ucf101(archive, tmp_path / "whole", "all")
    out = tmp_path / "d"
    in_shards(shard_of_ucf101(archive, out), [3, 1, 4, 2, 1, 5], 5)
    assert not out.exists()
    merge.merge(out)
    assert files_of(out) == files_of(whole)
    assert len(list((tmp_path / "d.shards").iterdir())) == 5  # nothing is removed unasked
    merge.merge(out, remove=True)
    assert files_of(out) == files_of(whole) and not (tmp_path / "d.shards").exists()


def test_shards_of_videos_have_their_flow(videos, tmp_path):
    whole = prepare_small(videos, None, tmp_path / "whole")
    out = tmp_path / "d"
    in_shards(lambda shard: prepare_small(videos, None, out, shard=shard), range(1, 9), 8)  # of six videos
    merge.merge(out)
    assert files_of(out) == files_of(whole)


def test_the_flow_of_a_data_set_in_shards(videos, tmp_path):
    whole = prepare_small(videos, None, tmp_path / "whole", algorithm=None)
    out = shutil.copytree(whole, tmp_path / "d")
    in_shards(lambda shard: flow.prepare_flow(out, "farneback", work=Work(1, shard=shard)), [2, 1], 2)
    flow.prepare_flow(whole, "farneback", work=Work(1))
    merge.merge(out)
    assert files_of(out) == files_of(whole)
    other = prepare_small(videos, None, tmp_path / "other", algorithm=None, height=20)
    with pytest.raises(DataError, match=r"other: is not the data set that the shards in .*d\.flow-shards are of"):
        merge.merge(other, [tmp_path / "d.flow-shards"])


def test_captions_whose_images_were_looked_at_in_shards(tmp_path):
    images = []
    for number in range(10):
        path = tmp_path / f"{number}.png"
        path.write_bytes(cv2.imencode(".png", np.full((8, 8, 3), number, np.uint8))[1].tobytes())
        split = ("train", "train", "val", "test")[number % 4]
        images.append(captions.Image(str(path), split, [f"a dog runs {number}", " . "]))
    (tmp_path / "7.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    options = captions.SentenceOptions(min_count=1, streams=2)

    def prepare(out, shard=None):
        return captions.prepare("dogs", images, out, options, skip_unreadable=True, work=Work(1, shard=shard))

    out = tmp_path / "d"
    in_shards(lambda shard: prepare(out, shard), [2, 3, 1], 3)
    merge.merge(out)
    merged = files_of(out)
    shutil.rmtree(out)  # the lists name the folder that they are in
    assert files_of(prepare(out)) == merged


def test_what_is_missing_is_named(archive, tmp_path):
    out, place = tmp_path / "d", tmp_path / "d.shards"
    with pytest.raises(DataError, match=r"d\.shards: no shards in it"):
        merge.merge(out)
    in_shards(shard_of_ucf101(archive, out), [2, 5], 7)
    (place / "6-of-7.partial").mkdir()
    with pytest.raises(
        DataError, match=r"of its 7 shards there are not: 1, 3 to 4, 6 to 7 \(6 cut off or not yet done\)"
    ):
        merge.merge(out)
    in_shards(shard_of_ucf101(archive, out), [1], 2)
    with pytest.raises(DataError, match=r"d\.shards: holds shards of 2 and of 7"):
        merge.merge(out)


def test_shards_from_several_folders(archive, tmp_path):
    whole = prepare_small_ucf101(archive, tmp_path / "whole", "all")
    in_shards(shard_of_ucf101(archive, tmp_path / "here"), [1], 2)
    in_shards(shard_of_ucf101(archive, tmp_path / "there"), [2], 2)
    merge.merge(tmp_path / "d", [tmp_path / "here.shards", tmp_path / "there.shards"])
    assert files_of(tmp_path / "d") == files_of(whole)


def test_a_merge_looks_at_no_folder_that_is_called_like_a_video(archive, tmp_path, monkeypatch):
    in_shards(shard_of_ucf101(archive, tmp_path / "d"), [1], 1)
    here, remarks = tmp_path / "v_Jump_g01_c01.avi", []
    here.mkdir()
    for name in ("1.jpg", "2.jpg", "cover.jpg"):
        (here / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    merge.merge(tmp_path / "d", work=Work(1, lambda what, *_: remarks.append(what)))
    assert not [remark for remark in remarks if "cover.jpg" in remark]


def test_shards_that_do_not_go_together(archive, tmp_path, monkeypatch):
    out, place = tmp_path / "d", tmp_path / "d.shards"
    in_shards(shard_of_ucf101(archive, out), [1], 2)
    monkeypatch.setitem(workers.versions(), "numpy", "0.1")
    in_shards(shard_of_ucf101(archive, out), [2], 2)
    with pytest.raises(DataError, match=r"2-of-2: was made by numpy 0\.1 where .* is due"):
        merge.merge(out)
    monkeypatch.undo()
    shutil.rmtree(place / "2-of-2")
    prepare_small_ucf101(archive, out, "all", shard=Shard(2, 2), fps=12)
    with pytest.raises(DataError, match="2-of-2: was made of another input, or with other settings"):
        merge.merge(out)
    assert not out.exists()


def test_a_shard_whose_images_were_changed(archive, tmp_path):
    out, place = tmp_path / "d", tmp_path / "d.shards"
    in_shards(shard_of_ucf101(archive, out), [1, 2], 2)
    mark = json.loads((place / "2-of-2/shard.json").read_text())
    video = next(iter(mark["results"]["frames"]))
    jpeg = store.read_jpeg(store.reader(place / "2-of-2/frames"), "rgb", video, 2)
    stored = place / "2-of-2/frames/data.mdb"
    content = stored.read_bytes()
    assert content.count(jpeg) == 1
    stored.write_bytes(content.replace(jpeg, jpeg.replace(b"\xff\xd9", b"\xff\xd8")))
    with pytest.raises(DataError, match=rf"2-of-2: the images of {video} are not as they were written"):
        merge.merge(out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["shard.json", "recipe.json", "frames/data.mdb"])
@pytest.mark.parametrize("cut", ["gone", "empty", "half"])
def test_a_shard_of_which_a_file_was_cut(archive, tmp_path, name, cut):
    out, file = tmp_path / "d", tmp_path / "d.shards/2-of-2" / name
    in_shards(shard_of_ucf101(archive, out), [1, 2], 2)
    if cut == "gone":
        file.unlink()
    else:
        os.truncate(file, file.stat().st_size // 2 if cut == "half" else 0)
    with pytest.raises(DataError, match=r"d\.shards/2-of-2.*; remove it and prepare that shard again"):
        merge.merge(out)
    if name == "shard.json":
        with pytest.raises(DataError, match=r"d\.shards/2-of-2.*; remove it and prepare that shard again"):
            in_shards(shard_of_ucf101(archive, out), [2], 2)
    shutil.rmtree(tmp_path / "d.shards/2-of-2")
    in_shards(shard_of_ucf101(archive, out), [2], 2)
    merge.merge(out)


def test_a_shard_under_anothers_name(archive, tmp_path):
    out, place = tmp_path / "d", tmp_path / "d.shards"
    in_shards(shard_of_ucf101(archive, out), [1, 2], 3)
    shutil.copytree(place / "2-of-3", place / "3-of-3")
    with pytest.raises(DataError, match=r"3-of-3: is a copy of shard 2/3 under another name"):
        merge.merge(out)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("gone", [[], ["1-of-2"], ["1-of-2", "2-of-2"]])
def test_a_removal_that_was_cut_off_goes_on(archive, tmp_path, gone, named):
    out, place = tmp_path / "d", tmp_path / "d.shards"
    in_shards(shard_of_ucf101(archive, out), [1, 2], 2)
    merge.merge(out)
    before = files_of(out)
    for name in ("1-of-2", "2-of-2"):
        if name in gone:
            shutil.rmtree(place / name)
    if len(gone) < 2:  # and the next had only got its other name
        (place / "2-of-2").rename(place / "2-of-2.lrcn-removed")
    merge.merge(out, [place / "1-of-2", place / "2-of-2"] if named else (), remove=True)
    assert files_of(out) == before and not any(place.glob("*"))


def test_shards_that_are_named_themselves_and_copies(archive, tmp_path):
    whole = prepare_small_ucf101(archive, tmp_path / "whole", "all")
    out, place = tmp_path / "d", tmp_path / "d.shards"
    in_shards(shard_of_ucf101(archive, out), [1, 2], 2)
    shutil.copytree(place / "1-of-2", tmp_path / "copies/1-of-2")
    (place / "2-of-2/mine.txt").write_text("of the user\n")
    merge.merge(out, [place / "1-of-2", place / "2-of-2", tmp_path / "copies"], remove=True)
    assert files_of(out) == files_of(whole)
    assert files_of(place) == {"2-of-2/mine.txt": b"of the user\n"} and not (tmp_path / "copies").exists()


def test_a_copy_of_another_shard_is_not_passed_over(archive, tmp_path):
    out = tmp_path / "d"
    in_shards(shard_of_ucf101(archive, out), [1, 2], 2)
    prepare_small_ucf101(archive, tmp_path / "other", "all", shard=Shard(1, 2), fps=12)
    with pytest.raises(DataError, match=r"other\.shards/1-of-2: was made of another input"):
        merge.merge(out, [tmp_path / "d.shards", tmp_path / "other.shards"])


def test_a_shard_of_other_settings_is_there(archive, tmp_path):
    in_shards(shard_of_ucf101(archive, tmp_path / "d"), [1], 2)
    with pytest.raises(DataError, match="1-of-2: was made of another input, or with other settings, than this run"):
        prepare_small_ucf101(archive, tmp_path / "d", "all", shard=Shard(1, 2), fps=12)


def test_no_room_for_what_shards_become(archive, tmp_path, monkeypatch):
    out = tmp_path / "d"
    in_shards(shard_of_ucf101(archive, out), [1, 2], 2)
    monkeypatch.setattr(shards.room, "free", lambda place: 1000)
    with pytest.raises(DataError, match="no space left for the data set"):
        merge.merge(out)
    assert not (tmp_path / "d.partial").exists()


def test_a_shard_is_made_by_one_at_a_time(archive, tmp_path):
    out = tmp_path / "d"
    with shards.making(out, Shard(1, 2), {"kind": "videos"}):
        with pytest.raises(DataError, match=r"1-of-2\.partial: another run is preparing it"):
            prepare_small_ucf101(archive, out, "all", shard=Shard(1, 2))


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "a/b", "1/4/5", "-1/4"])
def test_what_names_no_shard(text):
    with pytest.raises(DataError, match=f"--shard {text}: give K/N"):
        shards.parse(text)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_every_item_is_of_one_shard(count):
    items = list(range(7))
    parts = [Shard(number, count).of(items) for number in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == items and max(map(len, parts)) - min(map(len, parts)) <= 1


KILLED = """
import os, signal, sys
from data_prep import store
from data_prep.merge import merge
from data_prep.workers import Shard
from tests.data_prep.videofiles import prepare_small_ucf101
from pathlib import Path
store.COMMIT_BYTES = 8000
put, left = store.put, int(sys.argv[3])
def put_and_die(*arguments):
    global left
    put(*arguments)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
store.put = put_and_die
if sys.argv[4:]:
    prepare_small_ucf101(Path(sys.argv[1]), sys.argv[2], "all", workers=2, shard=Shard(int(sys.argv[4]), 2))
else:
    merge(sys.argv[2])
"""


@pytest.mark.slow
def test_shards_and_merges_that_were_killed_go_on(archive, tmp_path):
    whole = prepare_small_ucf101(archive, tmp_path / "whole", "all")
    out = tmp_path / "d"

    def code(after, *shard):
        command = [sys.executable, "-c", KILLED, str(archive), str(out), str(after), *map(str, shard)]
        return subprocess.run(command, env=os.environ | {"PYTHONPATH": os.getcwd()}).returncode

    assert code(1, 1) == -signal.SIGKILL
    with pytest.raises(DataError, match=r"1 to 2 \(1 cut off or not yet done\)"):
        merge.merge(out)
    assert [code(0, 1), code(0, 2)] == [0, 0]
    assert code(1) == code(3) == -signal.SIGKILL and not out.exists()  # in the middle of merging
    assert code(0) == 0
    differing = {name for name, content in files_of(out).items() if content != files_of(whole)[name]}
    assert all(name.endswith("data.mdb") for name in differing)  # pages lie as they were committed
    for name in (path.parent.name for path in whole.glob("*/data.mdb")):
        with store.reader(out / name).begin() as one, store.reader(whole / name).begin() as other:
            assert list(one.cursor()) == list(other.cursor())
