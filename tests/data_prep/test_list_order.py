"""A training batch must see many classes: the order of lists, of every preparation, and how it is counted."""

import itertools
import json
import re
from collections import Counter

import h5py
import numpy as np
import pytest

from data_prep import DataError, demo, features
from data_prep.dataset import Dataset
from data_prep.list_order import ListOrder, classes_per_batch, classes_per_random_batch

from .videofiles import prepare_small, prepare_small_ucf101, write_ucf101

CLASSES = ("Box", "Dive", "Jump", "Run", "Swim", "Walk")


def counted(labels, batch):
    """As a reader does it: batch after batch, round and round, until a batch begins with the first label again."""
    stream, sizes = itertools.cycle(labels), []
    while not sizes or (len(sizes) * batch) % len(labels):
        sizes.append(len(set(itertools.islice(stream, batch))))
    return np.mean(sizes)


def test_classes_of_batches_are_counted_as_a_reader_meets_them():
    random = np.random.default_rng(4)
    for _ in range(300):
        labels = random.integers(0, 5, random.integers(1, 25)).tolist()
        batch = int(random.integers(1, 40))
        assert classes_per_batch(labels, batch) == pytest.approx(counted(labels, batch))


def test_the_expectation_is_the_mean_over_all_orders():
    labels = "aaabbcd"
    for batch in (1, 2, 3, 5, 7, 9):
        orders = [counted(order, batch) for order in itertools.permutations(labels)]
        assert classes_per_random_batch(labels, batch) == pytest.approx(np.mean(orders))


def test_ucf101s_first_training_list_as_it_is_and_shuffled():
    """9,537 videos of 101 classes, about 94 each, 24 a batch: sorted 1.24 classes, shuffled about 21.5."""
    labels = sorted(k % 101 for k in range(9537))
    assert classes_per_batch(labels, 24) == pytest.approx(1.24, abs=0.01)
    assert classes_per_random_batch(labels, 24) == pytest.approx(21.5, abs=0.05)
    lists = ListOrder(1701).of({"train1.txt": labels})
    assert sorted(lists["train1.txt"]) == labels
    assert classes_per_batch(lists["train1.txt"], 24) == pytest.approx(21.5, abs=0.2)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Six classes of ten videos, lists that go class by class."""
    return write_ucf101(tmp_path_factory.mktemp("ucf"), CLASSES, groups=5, frames=1)


def prepare(archive, out, remarks=None, **settings):
    def progress(what, done, total):
        if remarks is not None and not total:
            remarks.append(what)

    return Dataset(prepare_small_ucf101(archive, out, **{"progress": progress} | settings))


def listed(path):
    """Names of the videos of a list, whether an official or a prepared one."""
    return re.findall(r"/(v_\w+)", path.read_text())


def classes(path, batch=6):
    return counted([name.split("_")[1] for name in listed(path)], batch)


def test_ucf101s_training_lists_are_shuffled_and_its_test_lists_are_not(archive, tmp_path):
    remarks = []
    prepare(archive, tmp_path / "d", remarks, split="all")
    order = "training lists: 48, 48, 48 videos in a random order of seed 1701; --keep-order leaves them as they are"
    assert order in remarks
    orders = set()
    for split in (1, 2, 3):
        official, written = archive / f"lists/trainlist0{split}.txt", tmp_path / f"d/train{split}.txt"
        assert Counter(listed(written)) == Counter(listed(official)) and len(listed(official)) == 48
        assert classes(official) < 2 and classes(written) > 3.5  # of 4.2 in the mean over all orders
        assert listed(tmp_path / f"d/test{split}.txt") == listed(archive / f"lists/testlist0{split}.txt")
        orders.add(tuple(name.split("_")[1] for name in listed(written)))
    assert len(orders) == 3


def test_the_seed_alone_decides_on_the_order(archive, tmp_path):
    for name, seed in (("a", 1701), ("b", 1701), ("c", 5)):
        assert prepare(archive, tmp_path / name, order=ListOrder(seed)).description["seed"] == seed
    a, b, c = (listed(tmp_path / name / "train1.txt") for name in "abc")
    assert a == b != c and sorted(a) == sorted(c)
    with pytest.raises(DataError, match="seed -1: give"):
        ListOrder(-1)


def test_the_order_can_be_kept(archive, tmp_path):
    remarks = []
    prepare(archive, tmp_path / "d", remarks, order=ListOrder(keep=True))
    assert listed(tmp_path / "d/train1.txt") == listed(archive / "lists/trainlist01.txt")
    assert "training lists: 48 videos in the given order" in remarks


def as_before(data):
    """Makes of a data set prepared with its order kept what a version that knew no other order left."""
    path = data / "dataset.json"
    description = json.loads(path.read_text())
    del description["prepared"]["keep_order"]
    description["seed"] = description["prepared"]["seed"] = None
    path.write_text(json.dumps(description))


def test_a_data_set_prepared_before_is_known_again_and_says_how_to_mend_its_order(archive, tmp_path):
    remarks, path = [], tmp_path / "d/train1.txt"
    prepare(archive, tmp_path / "d", order=ListOrder(keep=True))
    as_before(tmp_path / "d")
    before, frames = path.read_text(), (tmp_path / "d/frames/data.mdb").stat().st_mtime_ns
    prepare(archive, tmp_path / "d", remarks, split="2")  # a new split is shuffled, and no word is lost on the first
    assert remarks == [] and classes(tmp_path / "d/train2.txt") > 3.5
    prepare(archive, tmp_path / "d", remarks)
    assert path.read_text() == before  # nets may have been trained on it
    assert remarks == [
        f"{path}: left in the order that it has ({classes_per_batch(sorted(CLASSES * 8), 24):.1f} classes in 24 videos"
        f" in a row, {classes_per_random_batch(CLASSES * 8, 24):.1f} at random); to have it written anew, remove it and"
        " run the same command again"
    ]
    path.unlink()
    prepare(archive, tmp_path / "d")
    prepare(archive, tmp_path / "e", split="all")
    for split in (1, 2):
        assert (tmp_path / f"d/train{split}.txt").read_bytes() == (tmp_path / f"e/train{split}.txt").read_bytes()
    assert (tmp_path / "d/frames/data.mdb").stat().st_mtime_ns == frames


def test_what_was_begun_before_goes_on(archive, tmp_path):
    """The frames of a preparation that was cut off are not decoded again because the order of lists is another now."""
    whole = prepare(archive, tmp_path / "whole", order=ListOrder(keep=True))
    as_before(tmp_path / "whole")
    settings = json.loads((tmp_path / "whole/dataset.json").read_text())["prepared"]
    (tmp_path / "d.partial").mkdir()
    (tmp_path / "d.partial/preparing.json").write_text(json.dumps(settings))
    (whole.folder / "frames").rename(tmp_path / "d.partial/frames")
    decoded = []
    prepare(archive, tmp_path / "d", progress=lambda what, done, total: what == "frames" and decoded.append(done))
    assert decoded == [60] and classes(tmp_path / "d/train1.txt") > 3.5


def own_lists(folder, archive):
    """train1.txt and test1.txt of one's own, class by class."""
    folder.mkdir()
    for part in ("train", "test"):
        names = listed(archive / f"lists/{part}list01.txt")
        lines = [f"{name.split('_')[1]}/{name} {CLASSES.index(name.split('_')[1])}\n" for name in names]
        (folder / f"{part}1.txt").write_text("".join(lines))
    return folder


def hmdb_lists(folder, archive):
    folder.mkdir()
    for name in CLASSES:
        use = {video: 1 if "_g01_" not in video else 2 for video in listed(archive / "lists/trainlist02.txt")}
        lines = [f"{video}.avi {number}\n" for video, number in use.items() if f"_{name}_" in video]
        (folder / f"{name}_test_split1.txt").write_text("".join(lines))
    return folder


@pytest.mark.parametrize("lists", [own_lists, hmdb_lists, None])
def test_lists_of_a_folder_of_videos_are_shuffled_too(archive, tmp_path, lists):
    source, remarks = lists and lists(tmp_path / "lists", archive), []
    settings = {"algorithm": None, "progress": lambda what, *_: remarks.append(what)}
    prepare_small(archive / "videos", source, tmp_path / "d", **settings)
    prepare_small(archive / "videos", source, tmp_path / "e", order=ListOrder(keep=True), **settings)
    shuffled, kept = listed(tmp_path / "d/train1.txt"), listed(tmp_path / "e/train1.txt")
    assert shuffled != kept and sorted(shuffled) == sorted(kept) and classes(tmp_path / "d/train1.txt") > 3.5
    assert (tmp_path / "d/test1.txt").read_text() == (tmp_path / "e/test1.txt").read_text()
    assert any(re.match("training lists: \\d+ videos in a random order of seed 1701; --keep", line) for line in remarks)
    if source:
        assert classes(tmp_path / "e/train1.txt") < 2


def test_the_demos_lists_are_official_and_go_through_the_same_door():
    official = demo.official_lists(demo.plans(1701, 40, 10))
    assert list(official) == [f"{part}{split}.txt" for split in (1, 2, 3) for part in ("train", "test")]
    written = ListOrder(1701).of(official)
    for name, videos in official.items():
        classes_of = [video.split("_")[1] for video in videos]
        assert classes_of == sorted(classes_of) and Counter(written[name]) == Counter(videos)
        if name.startswith("train"):
            assert counted(classes_of, 24) < 3
            assert counted([video.split("_")[1] for video in written[name]], 24) > 7
        else:
            assert written[name] == videos


@pytest.mark.parametrize("kind", ["stills", "kinds"])
def test_the_demos_single_images_come_in_a_random_order(tmp_path, kind):
    stills = Dataset(demo.write_stills(tmp_path / kind, count=256))
    labels = [video.label for video in stills.videos(1, "train")]
    assert counted(labels, 24) > 0.9 * classes_per_random_batch(labels, 24)


def test_sequences_of_features_are_shuffled(tmp_path):
    labels = np.repeat(np.arange(6), 8)
    arrays = {"x_tr": np.zeros((48, 2, 3), np.float32), "y_tr": labels, "x_te": np.zeros((6, 2, 3), np.float32)}
    np.savez(tmp_path / "f.npz", **arrays, y_te=np.arange(6), classes=np.array(CLASSES))
    features.prepare_npz(tmp_path / "f.npz", tmp_path / "d", videos=6)
    with h5py.File(tmp_path / "d/train1_000.h5") as file:
        rows = file["label"][::2]
    assert rows.shape == (8, 6) and Counter(rows.ravel()) == Counter(labels)
    assert np.mean([len(set(row)) for row in rows]) > 3.5
