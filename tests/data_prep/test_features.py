import io
import json
import pickle
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from data_prep import DataError, features
from data_prep.dataset import Dataset
from data_prep.workers import Work


def archive(path, train=10, test=7, length=3, size=4, labels=3, **changes):
    random = np.random.default_rng(0)
    held = {
        "x_tr": random.normal(size=(train, length, size)).astype(np.float16),
        "y_tr": np.arange(train) % labels,
        "x_te": random.normal(size=(test, length, size)).astype(np.float16),
        "y_te": np.arange(test) % labels,
        "classes": np.array([f"C{i}" for i in range(labels)]),
    } | changes
    np.savez(path, **{key: value for key, value in held.items() if value is not None})
    return held


def files(out, part):
    opened = [h5py.File(line, "r") for line in (out / f"{part}1_features.txt").read_text().splitlines()]
    return [{key: file[key][...] for key in file} for file in opened]


@pytest.mark.parametrize("file_bytes", [1, 3 * 4 * 4 * 4 * 2, 1 << 20])
def test_rows_are_time_major_and_no_file_ends_within_a_batch(tmp_path, file_bytes, monkeypatch):
    given = archive(tmp_path / "f.npz")
    monkeypatch.setattr(features, "FILE_BYTES", file_bytes)
    out = features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", videos=4)
    for part, short in (("train", "tr"), ("test", "te")):
        parts = files(out, part)
        assert (
            len(parts)
            == {1: 3 if part == "train" else 2, 3 * 4 * 4 * 4 * 2: 2 if part == "train" else 1, 1 << 20: 1}[file_bytes]
        )
        for file in parts:
            assert file["data"].shape[1:] == (4, 4) and len(file["data"]) % 3 == 0
            assert all(file[key].dtype == np.float32 for key in ("data", "label", "clip_markers"))
            for row in range(len(file["data"])):
                batch, t = divmod(row, 3)
                for stream, video in enumerate(file["video"][batch]):
                    assert file["clip_markers"][row, stream] == (t > 0)
                    if video >= 0:
                        np.testing.assert_array_equal(file["data"][row, stream], given[f"x_{short}"][video, t])
                        assert file["label"][row, stream] == given[f"y_{short}"][video]
                    else:
                        assert file["label"][row, stream] == -1 and not file["data"][row, stream].any()


def test_train_is_topped_up_by_going_round_and_test_is_padded(tmp_path):
    archive(tmp_path / "f.npz")
    out = features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", videos=4)
    train, test = (np.concatenate([file["video"].ravel() for file in files(out, part)]) for part in ("train", "test"))
    assert (
        sorted(train[:10]) == list(range(10))
        and list(train[10:]) == list(train[:2])
        and list(train[:10]) != list(range(10))
    )
    assert list(test) == [0, 1, 2, 3, 4, 5, 6, -1]
    described = json.loads((out / "dataset.json").read_text())
    assert (
        described["kind"],
        described["frames"],
        described["feature_size"],
        described["videos"],
        described["classes"],
    ) == ("features", 3, 4, 4, ["C0", "C1", "C2"])


def test_a_batch_larger_than_the_set(tmp_path):
    archive(tmp_path / "f.npz", train=3, test=2)
    out = features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", videos=8)
    assert files(out, "train")[0]["video"].shape == (1, 8) and set(files(out, "train")[0]["video"].ravel()) == {0, 1, 2}
    assert features.read_sequences(out, "train")[0].shape == (3, 3, 4)


@pytest.mark.parametrize("part, short", [("train", "tr"), ("test", "te")])
def test_read_sequences_gives_every_video_once_in_its_place(tmp_path, part, short, monkeypatch):
    given = archive(tmp_path / "f.npz")
    monkeypatch.setattr(features, "FILE_BYTES", 1)
    out = features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", videos=4)
    features.check_features(out)
    x, y, names = features.read_sequences(out, part)
    np.testing.assert_array_equal(x, given[f"x_{short}"])
    np.testing.assert_array_equal(y, given[f"y_{short}"])
    assert x.dtype == np.float32 and len(set(names)) == len(x)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x_tr": None}, "has no array x_tr"),
        ({"x_tr": np.zeros((10, 4), np.float32)}, r"x_tr has shape \(10, 4\)"),
        ({"x_tr": np.zeros((0, 3, 4), np.float32)}, r"x_tr has shape \(0, 3, 4\)"),
        ({"x_tr": np.zeros((10, 3, 4), int)}, "x_tr has shape .* of int64"),
        ({"y_tr": np.zeros(9, int)}, r"y_tr has shape \(9,\)"),
        ({"y_tr": np.zeros(10)}, "y_tr has shape .* of float64"),
        ({"y_te": np.full(7, 3)}, "y_te holds label 3; labels go from 0 to 2"),
        ({"y_te": np.full(7, -1)}, "y_te holds label -1"),
        ({"x_te": np.zeros((7, 3, 5), np.float32)}, "they must agree"),
        ({"x_te": np.full((7, 3, 4), np.nan, np.float32)}, "x_te holds values that are not finite"),
        ({"x_te": np.full((7, 3, 4), 1e39)}, "x_te holds values that are not finite in float32"),
        ({"classes": np.array("C")}, r"classes has shape \(\)"),
        ({"classes": np.array(["a", "b", "a"])}, "classes holds 'a' twice"),
        ({"classes": np.array(["a", "", "b"])}, "classes holds ''; give each class a name of one line"),
        ({"classes": np.array(["a", "b\nc", "d"])}, r"classes holds 'b\\nc'; give each class a name of one line"),
        ({"classes": np.array(["a", "b", "\ud800"])}, r"classes holds '\\ud800'; give"),
        ({"classes": np.array([b"\xff", b"b", b"c"])}, "classes are not UTF-8"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, changes, message):
    archive(tmp_path / "f.npz", **changes)
    with pytest.raises(DataError, match="f.npz: .*" + message) as caught:
        features.prepare_npz(tmp_path / "f.npz", tmp_path / "d")
    assert "\n" not in str(caught.value) and [p.name for p in tmp_path.iterdir()] == ["f.npz"]


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "no such file or directory"),
        (b"", "an empty file"),
        (b"PK\x03\x04 and no more", "a cut .npz file"),
        (b"# lrcn\n\nLong-term Recurrent", "not an .npz file"),
        (pickle.dumps({"x_tr": 1}), "not an .npz file"),
        (npy(np.zeros(3)), r"one array \(.npy\), not several \(.npz\)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5, not an .npz file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ],
)
def test_what_is_no_npz_file_is_called_what_it_is(tmp_path, content, message):
    if content is not None:
        (tmp_path / "f.npz").write_bytes(content)
    with pytest.raises(DataError, match=f"f.npz: {message}.*; name ") as caught:
        features.prepare_npz(tmp_path / "f.npz", tmp_path / "d")
    assert "pickle" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"classes": np.array(["a", "b", "c"], object)},
            "classes: no readable array .Python's objects, .*texts by dtype=str",
        ),
        (
            {"x_tr": np.array([np.zeros((3, 4)), None], object)},
            "x_tr: no readable array .Python's objects, .* one shape",
        ),
    ],
)
def test_arrays_of_pythons_objects_are_not_unpickled(tmp_path, changes, message):
    archive(tmp_path / "f.npz", **changes)
    with pytest.raises(DataError, match=f"f.npz: {message}"):
        features.prepare_npz(tmp_path / "f.npz", tmp_path / "d")


@pytest.mark.parametrize("member", [b"no array", npy(np.zeros(3))[:30], npy(np.zeros(3)).replace(b"descr", b"de(cr")])
def test_a_damaged_array_is_named(tmp_path, member):
    archive(tmp_path / "f.npz", x_te=None)
    with zipfile.ZipFile(tmp_path / "f.npz", "a") as file:
        file.writestr("x_te.npy", member)
    with pytest.raises(DataError, match="f.npz: x_te: no readable array .*; name the file that holds"):
        features.prepare_npz(tmp_path / "f.npz", tmp_path / "d")


def test_classes_may_be_bytes(tmp_path):
    archive(tmp_path / "f.npz", classes=np.array([b"up", "nh\u1ea3y".encode(), b"down"]))
    assert Dataset(features.prepare_npz(tmp_path / "f.npz", tmp_path / "d")).classes == ["up", "nh\u1ea3y", "down"]


def test_classes_without_videos_are_named(tmp_path):
    archive(tmp_path / "f.npz", y_te=np.array([0, 0, 2, 2, 0, 0, 2]))
    said = []
    features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", work=Work(1, lambda what, *_: said.append(what)))
    assert said == ["test1: no video of C1, which will have no accuracy"]


def test_a_path_that_caffe_would_cut_at_a_blank(tmp_path):
    archive(tmp_path / "f.npz")
    with pytest.raises(DataError, match="without blanks"):
        features.prepare_npz(tmp_path / "f.npz", tmp_path / "my data")


def spoil(file, key, change):
    held = file[key][...]
    del file[key]
    if change is not None:
        file[key] = change(held)


def double_first_marker(markers):
    markers[0, 0] = 1
    return markers


@pytest.mark.parametrize(
    "key, change, message",
    [
        ("data", lambda d: d[:, :3], r"data has shape \(6, 3, 4\)"),
        ("data", lambda d: d[:5], r"data has shape \(5, 4, 4\)"),
        ("data", lambda d: d.reshape(len(d), -1), r"data has shape \(6, 16\)"),
        ("data", lambda d: d.astype(np.float64), "data is float64"),
        ("data", lambda d: d * np.nan, "not finite"),
        ("label", lambda d: d[:, 0], r"label has shape \(6,\)"),
        ("label", lambda d: d + 7, "a label that changes"),
        ("label", lambda d: np.arange(d.size, dtype=np.float32).reshape(d.shape) % 3, "a label that changes"),
        ("clip_markers", double_first_marker, "clip_markers must be 0"),
        ("clip_markers", None, "has no dataset clip_markers"),
    ],
)
def test_hdf5_of_wrong_shape_or_content_is_named(tmp_path, key, change, message):
    archive(tmp_path / "f.npz")
    out = features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", videos=4)
    with h5py.File(out / "test1_000.h5", "r+") as file:
        spoil(file, key, change)
    features.check_features(out, "train")
    with pytest.raises(DataError, match="test1_000.h5: .*" + message) as caught:
        features.check_features(out)
    assert "\n" not in str(caught.value)


def test_lost_lists_files_and_cut_files_are_named(tmp_path):
    archive(tmp_path / "f.npz")
    out = features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", videos=4)
    path = out / "test1_000.h5"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="test1_000.h5: no readable HDF5 file"):
        features.read_sequences(out)
    path.unlink()
    with pytest.raises(DataError, match="test1_features.txt: names .*test1_000.h5, which is not there"):
        features.check_features(out)
    with pytest.raises(DataError, match="test2_features.txt: no such list"):
        features.read_sequences(out, "test", 2)


def test_a_batch_that_no_blob_can_hold(tmp_path):
    x = np.broadcast_to(np.float32(0), (2, 1000, 1000))  # a view: no memory
    with pytest.raises(DataError, match="more elements than Caffe takes"):
        features.write_sequences(tmp_path, "train1", x, np.zeros(2, int), np.zeros((1, 3000), int))


LIMITED = """
import resource, sys
from data_prep import DataError, features
from data_prep.workers import Work
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    features.prepare_npz(sys.argv[1], sys.argv[2], videos=4)
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [50, 3000, 30000])
def test_no_space_left(tmp_path, limit):
    """A limit on files' sizes stands for the full disk."""
    archive(tmp_path / "f.npz", train=40, size=100)
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "f.npz"), str(tmp_path / "d"), str(limit)],
        capture_output=True,
        text=True,
    )
    assert "no space left" in result.stdout and result.stdout.count("\n") == 1 and not result.stderr
    assert not (tmp_path / "d").exists()
    features.check_features(features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", videos=4))
