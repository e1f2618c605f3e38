import json
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from data_prep import DataError, room, stills, store
from data_prep.dataset import Dataset
from data_prep.whole_files import write_json
from prototxt_gen import caffe_pb2

from .videofiles import FEATURES, prepare_small


@pytest.fixture
def dataset(folder, tmp_path):
    return Dataset(prepare_small(folder, None, tmp_path / "d", algorithm=None))


def names(values):
    return [key[9:].decode() for key in sorted(values)]


def test_every_frame_of_a_list_once_in_a_shuffled_order(dataset, contents):
    for part in ("train", "test"):
        held = contents(stills.folder(dataset, part))
        videos = dataset.videos(1, part)
        due = [f"{v.name}.{number:04d}.jpg" for v in videos for number in range(1, v.frames + 1)]
        assert [key[:9] for key in sorted(held)] == [b"%08d_" % i for i in range(len(due))]
        assert sorted(names(held)) == sorted(due) and names(held) != due
        frames = contents(dataset.folder / "frames")
        assert all(value == frames[key[9:]] for key, value in held.items())
        labels = {v.name: v.label for v in videos}
        for key, value in held.items():
            assert caffe_pb2.Datum.FromString(value).label == labels[key[9:].decode().rpartition(".0")[0]]


def test_every_third_frame(dataset, contents):
    stills.write_stills(dataset, every=3)
    due = {f"{v.name}.{n:04d}.jpg" for v in dataset.videos(1, "train") for n in range(1, v.frames + 1, 3)}
    held = names(contents(stills.folder(dataset, "train")))
    assert set(held) == due and len(held) == len(due) < 30
    stills.write_stills(dataset)
    assert len(contents(stills.folder(dataset, "train"))) == sum(v.frames for v in dataset.videos(1, "train"))
    with pytest.raises(DataError, match="every 0: give 1"):
        stills.write_stills(dataset, every=0)


def test_the_seed_decides_the_order_and_splits_differ(dataset, contents):
    first = contents(stills.folder(dataset, "train"))
    before = (stills.folder(dataset, "train") / "data.mdb").stat().st_mtime_ns
    stills.write_stills(dataset)
    assert (stills.folder(dataset, "train") / "data.mdb").stat().st_mtime_ns == before
    stills.write_stills(dataset, seed=3)
    assert contents(stills.folder(dataset, "train")) != first
    stills.write_stills(dataset)
    assert contents(stills.folder(dataset, "train")) == first


def test_stills_that_are_not_there_say_what_makes_them(dataset):
    with pytest.raises(DataError, match="stills_train2: not there; make it with `lrcn prepare stills .* --split 2"):
        stills.folder(dataset, "train", 2)


def test_what_holds_no_frames_is_refused(tmp_path):
    write_json(tmp_path / "dataset.json", FEATURES)
    with pytest.raises(DataError, match="holds features, not frames"):
        stills.write_stills(Dataset(tmp_path))


def test_too_little_room_is_said_before_anything_is_written(dataset, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match="no space left for the stills.*--every K"):
        stills.write_stills(dataset, seed=9)
    assert not list(dataset.folder.glob("*.partial"))


CUT = """
import os, sys
from data_prep import stills, store
from data_prep.dataset import Dataset
store.COMMIT_BYTES = 3000
left = int(sys.argv[2])
def progress(what, done, total):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
stills.write_stills(Dataset(sys.argv[1]), seed=5, progress=progress)
"""


def test_kill_9_between_any_two_commits_and_again(dataset, contents):
    stills.write_stills(dataset, seed=5)
    whole = {part: contents(stills.folder(dataset, part)) for part in stills.PARTS}
    for part in stills.PARTS:
        store.close_reader(stills.folder(dataset, part))
    stills.write_stills(dataset, seed=6)
    # each run gets one commit further than it found things, so that it ends only if runs go on
    codes = []
    while len(codes) < 60 and (not codes or codes[-1]):
        codes.append(subprocess.run([sys.executable, "-c", CUT, str(dataset.folder), "2"]).returncode)
    assert codes[-1] == 0 and codes[:-1] == [-9] * (len(codes) - 1) and len(codes) > 5
    for part in stills.PARTS:
        store.close_reader(stills.folder(dataset, part))
        assert contents(stills.folder(dataset, part)) == whole[part]
    assert not list(dataset.folder.glob("*.partial"))


def test_what_another_order_left_half_done_is_not_mixed_in(dataset, contents):
    before = contents(stills.folder(dataset, "train"))
    assert subprocess.run([sys.executable, "-c", CUT, str(dataset.folder), "4"]).returncode == -9
    assert (dataset.folder / "stills_train1.partial" / "data.mdb").exists()
    stills.write_stills(dataset, seed=7)
    after = contents(stills.folder(dataset, "train"))
    assert sorted(names(after)) == sorted(names(before)) and names(after) != names(before)


READ = """
import json, sys
from lrcn import engine
engine.find().activate()
import caffe, numpy as np
net = caffe.Net(sys.argv[1], caffe.TRAIN)
images, labels = [], []
for _ in range(int(sys.argv[2])):
    net.forward()
    images.append(net.blobs["data"].data.copy())
    labels.append(net.blobs["label"].data.copy())
np.savez(sys.argv[3], images=np.concatenate(images), labels=np.concatenate(labels))
"""


@pytest.mark.engine
def test_caffes_own_data_layer_reads_them(dataset, tmp_path):
    """The same pixels as OpenCV decodes, with the right labels, in the keys' order."""
    place = stills.folder(dataset, "train")
    with store.reader(place).begin() as transaction:
        held = dict(transaction.cursor())
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data" type: "Data" top: "data" top: "label"\n'
        f'  data_param {{ source: "{place}" backend: LMDB batch_size: 4 }} }}\n'
    )
    batches = len(held) // 4
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "net.prototxt"), str(batches), str(tmp_path / "read.npz")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    read = np.load(tmp_path / "read.npz")
    assert batches >= 8 and len(read["labels"]) == 4 * batches
    for image, label, key in zip(read["images"], read["labels"], sorted(held)):
        datum = caffe_pb2.Datum.FromString(held[key])
        due = cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_COLOR)
        assert (image.transpose(1, 2, 0) == due).all() and label == datum.label
    assert len(set(read["labels"])) == 2


def test_the_note_tells_what_they_were_made_with(dataset):
    note = json.loads((stills.folder(dataset, "test") / stills.NOTE).read_text())
    assert (note["every"], note["seed"]) == (1, 1701)
    assert note["images"] == sum(v.frames for v in dataset.videos(1, "test"))


@pytest.mark.parametrize("place", ["stills_train1", "stills_train1.partial"])
@pytest.mark.parametrize("name", ["notes.txt", "data.mdb"])
def test_a_folder_of_the_users_under_their_name_is_left(dataset, place, name):
    mine = dataset.folder / place / name
    if place == "stills_train1" and name == "data.mdb":
        (dataset.folder / place / stills.NOTE).unlink()  # no mark of ours: it may be anyone's
    else:
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")
    before = mine.read_bytes()
    with pytest.raises(DataError, match=f"{place}/{name}: was not made by this command, which is to empty"):
        stills.write_stills(dataset, every=2)
    assert mine.read_bytes() == before
