"""How much is free, and what surely does not fit."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from data_prep import DataError, captions, features, flow, room
from data_prep.captions import Image
from data_prep.dataset import Dataset

from .videofiles import prepare_small


@pytest.fixture
def disk(monkeypatch):
    """Sets how much is free; what `shutil` says is not asked."""

    def set_free(count):
        monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=count))

    return set_free


def remarks():
    said = []
    return said, lambda text, done, total: said.append(text)


def test_free_is_asked_of_the_nearest_folder_that_is_there(tmp_path):
    assert room.free(tmp_path / "not" / "there") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    (tmp_path / "file").write_bytes(bytes(100_000))
    (tmp_path / "sparse").write_bytes(b"")
    with open(tmp_path / "sparse", "r+b") as file:
        file.truncate(1 << 30)
    assert 100_000 <= room.taken([*tmp_path.iterdir(), tmp_path / "gone"]) < 200_000
    assert [room.words(n) for n in (92.13e9, 310e6, 12.58e6, 4000, 0)] == [
        "92.1 GB",
        "310 MB",
        "12.6 MB",
        "4 kB",
        "0 kB",
    ]


def test_what_surely_does_not_fit_is_refused_and_what_may_not_is_said(disk, tmp_path):
    said, tell = remarks()
    disk(10e9)
    room.check(tmp_path, 5e9, "the frames", tell)
    room.check(tmp_path, 11e9, "the frames", tell)
    room.check(tmp_path, 50e9, "the frames", tell, there=45e9)
    room.check(tmp_path, 50e6, "the frames", tell)  # not worth a word
    assert said == [
        "disk: the frames take about 5.0 GB more, of 10.0 GB free",
        "disk: the frames take about 11.0 GB more, of 10.0 GB free, which may be too little",
        "disk: the frames take about 5.0 GB more, of 10.0 GB free",
    ]
    with pytest.raises(
        DataError, match="no space left for the frames, which need about 13.0 GB, and 10.0 GB are free; "
    ):
        room.check(tmp_path, 13e9, "the frames", tell)


def test_an_estimate_grows_with_what_is_written(disk, tmp_path):
    """100 pieces of weight 2, a tenth as heavy as it turns out later; as much again is made of them."""
    said, tell = remarks()
    disk(3.5e9)
    growing = room.Growing(tmp_path, "it", 100, 200, 2, tell)
    for _ in range(8):
        growing.add(2, 10_000_000)
    assert said == ["disk: it take about 1.9 GB more, of 3.5 GB free"]
    with pytest.raises(DataError, match="no space left for it"):
        for _ in range(92):
            growing.add(2, 100_000_000)
    assert growing.pieces == 16 and len(said) == 1
    few = room.Growing(tmp_path, "it", 3, 3, 1, tell)
    with pytest.raises(DataError):
        few.add(1, 5_000_000_000)


def test_videos_that_do_not_fit_are_refused_after_the_first(folder, tmp_path, disk):
    disk(1000)
    with pytest.raises(DataError, match="d.partial: no space left for the frames and what is made of them"):
        prepare_small(folder, None, tmp_path / "d", workers=1)
    assert not (tmp_path / "d").exists()
    disk(1e12)
    prepare_small(folder, None, tmp_path / "d", workers=1)
    written = sum(path.stat().st_blocks * 512 for path in (tmp_path / "d").rglob("data.mdb"))
    dataset = Dataset(tmp_path / "d")
    disk(1000)
    with pytest.raises(DataError, match="no space left for the images of flow"):
        flow.prepare_flow(dataset.folder, "farneback", replace=True)
    assert written < 1e8


def test_captions_and_activations_are_known_before_anything_is_written(tmp_path, disk):
    disk(1000)
    images = [Image(f"{n}.jpg", part, ["a dog runs"] * 5) for n, part in enumerate(["train"] * 8 + ["val"] * 2)]
    with pytest.raises(DataError, match="no space left for the captions"):
        captions.prepare("small", images, tmp_path / "c", with_images=False)
    arrays = {f"x_{part}": np.ones((6, 4, 500), np.float32) for part in ("tr", "te")}
    arrays |= {f"y_{part}": np.arange(6) % 2 for part in ("tr", "te")}
    np.savez(tmp_path / "a.npz", classes=np.array(["a", "b"]), **arrays)
    with pytest.raises(
        DataError, match=r"no space left for the activations, which need about 9\d kB, and 1 kB are free"
    ):
        features.prepare_npz(tmp_path / "a.npz", tmp_path / "a", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]  # nothing was begun, nothing is left
    disk(1e9)
    options = captions.SentenceOptions(min_count=1, streams=2)
    captions.prepare("small", images, tmp_path / "c", options, with_images=False)
    written = sum(path.stat().st_size for path in (tmp_path / "c").rglob("*.h5"))
    assert 0.2 * written < captions.room_of(50, options.steps) < 5 * written
