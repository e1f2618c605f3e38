import json
import re
import subprocess
import sys
import time
from collections import Counter

import cv2
import h5py
import numpy as np
import pytest

from data_prep import DataError, demo
from data_prep.dataset import Dataset
from data_prep.workers import Work

FEW = demo.Sizes(videos_per_class=2, test_videos_per_class=1, pictures=30)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return demo.prepare(tmp_path_factory.mktemp("demo") / "d", 5, FEW, Work(2))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_is_a_whole_dataset_that_does_not_survive_a_mirror(made):
    held = Dataset(made)
    held.check("rgb")
    held.check("flow")
    assert held.kind == "frames" and held.mirror is False and held.description["seed"] == 5
    assert held.classes == sorted(held.classes) and len(held.classes) == 8
    train, test = held.videos(1, "train"), held.videos(1, "test")
    assert Counter(v.label for v in train) == dict.fromkeys(range(8), 2) and Counter(
        v.label for v in test
    ) == dict.fromkeys(range(8), 1)
    assert not {v.name.rsplit("_", 1)[0] for v in train} & {v.name.rsplit("_", 1)[0] for v in test}  # no group in both
    assert all(18 <= v.frames <= 21 for v in train + test)


def test_video_files_are_real_and_hold_the_frames(made):
    held = Dataset(made)
    for video in held.videos(1, "test"):
        capture = cv2.VideoCapture(str(made / "videos" / video.class_name / f"{video.name}.avi"))
        good, image = capture.read()
        assert good and image.shape == (64, 80, 3) and capture.get(cv2.CAP_PROP_FRAME_COUNT) == video.frames
        stored = cv2.imdecode(np.frombuffer(held.jpeg("rgb", video.name, 1), np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(stored.astype(int) - image).mean() < 3


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(made, tmp_path, contents):
    same = demo.prepare(tmp_path / "same", 5, FEW, Work(1))
    other = demo.prepare(tmp_path / "other", 6, FEW, Work(1))
    for part in ("frames", "flow"):
        assert contents(made / part) == contents(same / part) != contents(other / part)
    files = ["train1.txt", "videos.tsv", "semantics.jsonl", "pictures/captions.json", "pictures/000007.jpg"]
    for file in files:
        assert (made / file).read_bytes() == (same / file).read_bytes() != (other / file).read_bytes()


def test_lists_of_before_stay_as_they_are(made):
    """Earlier versions put training and test lists in another random order; nets may have been trained on them."""
    lists = {path: path.read_text() for path in made.glob("t*1.txt")}
    assert len(lists) == 2
    for path, text in lists.items():
        path.write_text("".join(reversed(text.splitlines(keepends=True))))
    before = {path.relative_to(made): path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}
    demo.prepare(made, 5, FEW, Work(2))
    after = {path.relative_to(made): path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}
    for path, text in lists.items():
        path.write_text(text)
    assert before == after


def test_a_demo_that_was_moved_is_whole_where_it_is_now(made, tmp_path):
    before = {path.relative_to(made): path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}
    moved = made.rename(tmp_path / "moved")
    try:
        demo.prepare(moved, 5, FEW, Work(2))
        after = {path.relative_to(moved): path.stat().st_mtime_ns for path in moved.rglob("*") if path.is_file()}
        pictures = Dataset(moved / "captions")
        truths = json.loads((moved / "captions/truth.json").read_text())["images"]
        assert before == after and {pictures.located(file).parent for file in truths} == {moved / "pictures"}
    finally:
        moved.rename(made)


def overlap(a, b):
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def test_train_and_test_share_no_pixel_of_any_photograph():
    truths = [plan.truth()[0] for plan in demo.plans(1, 30, 15)] + [
        {"split": part, **demo._still(1, part, n)[0]} for part in ("train", "val", "test") for n in range(40)
    ]
    for what in ("object", "background"):
        for name in demo.WORDS[what]:
            crops = {
                part: {tuple(t[f"{what}_crop"]) for t in truths if t[what] == name and (t["split"] == "test") == part}
                for part in (True, False)
            }
            assert crops[True] and crops[False]
            assert not any(overlap(a, b) for a in crops[True] for b in crops[False])


def test_every_region_lies_in_its_photograph():
    for photograph in [*demo.OBJECTS.values(), *demo.BACKGROUNDS.values()]:
        height, width = demo._photograph(photograph.file).shape[:2]
        for left, top, right, bottom in (photograph.train, photograph.test):
            assert 0 <= left < right <= width and 0 <= top < bottom <= height


def turning(path):
    steps = np.diff(path[:, :2], axis=0)
    return np.sign(steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0])  # +1 is clockwise, y points down


def test_the_object_moves_as_its_class_says():
    for plan in demo.plans(2, 10, 5):
        path = plan.truth()[1]
        x, y, size = path[15] - path[0]
        size = path[15, 2] / path[0, 2]
        if plan.class_name in ("Clockwise", "CounterClockwise"):
            assert (turning(path) == (1 if plan.class_name == "Clockwise" else -1)).all()
            assert np.ptp(path[:16, 0]) >= 9 and np.ptp(path[:16, 1]) >= 9 and size == 1
        elif plan.class_name.startswith("Zoom"):
            assert (size if plan.class_name == "ZoomIn" else 1 / size) > 1.6 and x == y == 0
        else:
            expected = {"Left": (-1, 0), "Right": (1, 0), "Up": (0, -1), "Down": (0, 1)}[plan.class_name]
            along, across = x * expected[0] + y * expected[1], x * expected[1] + y * expected[0]
            assert along >= 20 and across == 0 and size == 1


def test_the_drawn_object_is_where_the_truth_says_and_stands_out():
    for plan in demo.plans(3, 1, 1):
        truth, path, _ = plan.truth()
        images = plan.frames()
        for image, (x, y, diameter) in list(zip(images, path))[::9]:
            difference = np.abs(image - demo._backdrop(truth, 13.0, False)).max(axis=2)
            rows, columns = np.nonzero(cv2.blur(difference, (3, 3)) > 35)
            inside = diameter / 2 <= min(x, y, 80 - x, 64 - y)
            if inside:
                assert abs(columns.mean() - x) < 2 and abs(rows.mean() - y) < 2
                assert 0.5 < len(rows) / (np.pi * diameter**2 / 4) < 1.4


def test_a_single_frame_says_nothing_of_the_class():
    """The best guess from place and size in a frame, learnt as a histogram on 4,000 videos, is right little more often
    than chance (1 in 8).
    """

    def cells(path):
        scaled = np.stack([(path[:, 0] - 14) / 52, (path[:, 1] - 6) / 52, np.log(path[:, 2] / 12) / np.log(3)], axis=1)
        return tuple(np.clip((scaled * 6).astype(int), 0, 5).T)

    counts = np.full((8, 6, 6, 6), 1.0)
    for number in range(4000):
        np.add.at(
            counts[number % 8], cells(demo._path(np.random.default_rng([0, number]), demo.CLASSES[number % 8])[0]), 1
        )
    posterior = counts / counts.sum(axis=(1, 2, 3), keepdims=True)
    posterior /= posterior.sum(axis=0)
    frame, video = [], []
    for number in range(800):
        scores = posterior[
            (slice(None), *cells(demo._path(np.random.default_rng([1, number]), demo.CLASSES[number % 8])[0]))
        ]
        frame += list(scores.argmax(axis=0) == number % 8)
        video.append(scores.mean(axis=1).argmax() == number % 8)
    assert np.mean(frame) < 0.18 and np.mean(video) < 0.30


def test_captions_are_five_different_true_sentences(made):
    entries = json.loads((made / "pictures/captions.json").read_text())
    assert Counter(entry["split"] for entry in entries) == {"train": 24, "val": 3, "test": 3}
    for entry in entries:
        slots, truth = entry["truth"]["slots"], entry["truth"]
        assert len(set(entry["captions"])) == 5
        for caption in entry["captions"]:
            words = set(re.findall(r"\w+", caption.lower()))
            assert {slots["object"], slots["size"], slots["place"]} <= words
            assert not words & (set(demo.OBJECTS) | set(demo.SIZES) | set(demo.PLACES)) - {
                slots["object"],
                slots["size"],
                slots["place"],
            }
        assert (
            demo._size_word(truth["diameter"]) == slots["size"]
            and demo._place_word(truth["x"], truth["y"]) == slots["place"]
        )
        image = cv2.imread(str(made / "pictures" / entry["image"]))
        assert image.shape == (64, 80, 3)


def test_sentences_about_videos_name_the_motion():
    for plan in demo.plans(4, 2, 0):
        slots = plan.truth()[0]["slots"]
        said = demo.sentences(slots)
        assert slots["motion"] == plan.class_name and len(set(said)) == 5
        assert all(
            demo.MOTIONS[plan.class_name] in sentence and slots["object"] in sentence and slots["place"] in sentence
            for sentence in said
        )


def test_probabilities_are_calibrated_but_for_the_prior(tmp_path):
    demo.write_semantics(tmp_path / "s.jsonl", demo.plans(4, 100, 0))
    entries = lines(tmp_path / "s.jsonl")
    assert len(entries) == 800
    gained = []
    for slot, words in demo.WORDS.items():
        held = [entry["slots"][slot] for entry in entries]
        assert all(each["words"] == words for each in held)
        probabilities = np.array([each["probabilities"] for each in held])
        truth = np.array([words.index(each["truth"]) for each in held])
        assert (abs(probabilities.sum(1) - 1) < 1e-4).all()
        right = probabilities.argmax(1) == truth
        assert 0.75 < right.mean() < 0.97
        assert truth[~right].mean() > truth.mean() + 0.3  # wrong where a word seldom met is true
        odds = probabilities * np.arange(1, len(words) + 1) ** demo.FAVOUR
        odds /= odds.sum(1, keepdims=True)
        without = odds.argmax(1) == truth
        gained.append(without.mean() - right.mean())
        if slot != "place":  # all are as likely
            assert abs(without.mean() - odds.max(1).mean()) < 0.04  # as sure as it is right
    assert min(gained) > -0.005 and np.mean(gained) > 0.01


def test_videos_semantics_are_a_dataset_that_says_what_is_true(made):
    held, entries = Dataset(made / "semantics"), lines(made / "semantics.jsonl")
    assert held.kind == "semantics" and held.description["slot_names"] == list(demo.WORDS)
    told = json.loads((made / "semantics" / "truth.json").read_text())
    assert told["images"] == {
        entry["video"]: {slot: entry["slots"][slot]["truth"] for slot in demo.WORDS} for entry in entries
    }
    assert told["phrases"]["motion"] == demo.MOTIONS and told["phrases"]["place"]["left"] == "on the left"
    described = {each["file"]: each for each in json.loads((made / "semantics/captions.json").read_text())["images"]}
    for entry in entries:
        one = described[entry["video"]]
        assert [caption.lower() for caption in one["captions"]] == [said.lower() for said in entry["sentences"]]
        assert (one["split"] == "test") == (entry["split"] == "test")
    groups = {}
    for entry in entries:
        groups.setdefault(entry["group"], set()).add(described[entry["video"]]["split"])
    assert all(len(parts) == 1 for parts in groups.values())
    sizes = held.description["splits"]
    assert sum(sizes[part]["snippets"] for part in ("train", "val", "test")) == len(entries)


@pytest.mark.parametrize(
    "sizes", [{"videos_per_class": 0}, {"test_videos_per_class": 0}, {"pictures": -1}, {"stills": 15}]
)
def test_senseless_sizes(sizes):
    with pytest.raises(
        DataError, match=f"{next(iter(sizes))} {next(iter(sizes.values()))}.*give at least 1, 1, 0 and 16"
    ):
        demo.Sizes(**sizes)


def test_a_senseless_seed(tmp_path):
    with pytest.raises(DataError, match="seed -1: give"):
        demo.prepare(tmp_path / "d", -1)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_takes_no_video_is_named(tmp_path):
    code = (
        "import resource, sys\nfrom data_prep import DataError, demo\nresource.setrlimit(resource.RLIMIT_FSIZE, (9000,"
        " 9000))\ntry:\n demo.prepare(sys.argv[1], sizes=demo.Sizes(1, 1, 0), work=demo.Work(1))"
        "\nexcept DataError as error:\n print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path / "d")], capture_output=True, text=True)
    assert "avi: no space left" in result.stdout and not (tmp_path / "d").exists()


PREPARE = "import sys\nfrom data_prep import demo\ndemo.prepare(sys.argv[1], 5, demo.Sizes(2, 1, 30), demo.Work(2))"


@pytest.mark.slow
@pytest.mark.parametrize("sight", ["videos/Up", "pictures/000010.jpg", "flow/data.mdb"])
def test_kill_9_and_the_same_command_again(made, tmp_path, contents, sight):
    """Killed once `sight` is there, in each stage; the second run ends with what an uninterrupted one gives."""
    process = subprocess.Popen([sys.executable, "-c", PREPARE, str(tmp_path / "d")])
    while process.poll() is None and not (tmp_path / "d.partial" / sight).exists():
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -9 and not (tmp_path / "d").exists()
    subprocess.run([sys.executable, "-c", PREPARE, str(tmp_path / "d")], check=True)
    for part in ("frames", "flow"):
        assert contents(made / part) == contents(tmp_path / "d" / part)
    files = {path.relative_to(made) for path in made.rglob("*") if path.is_file() and path.suffix != ".mdb"}
    assert files == {
        path.relative_to(tmp_path / "d")
        for path in (tmp_path / "d").rglob("*")
        if path.is_file() and path.suffix != ".mdb"
    }
    assert all(same(made, tmp_path / "d", file) for file in files)


def same(one, other, file):
    """The same bytes but for the folder's own name, and for hashes of paths: of images in captions' HDF5 files, of all
    that was read in their dataset.json."""
    if file.suffix == ".h5":
        with h5py.File(one / file) as a, h5py.File(other / file) as b:
            return all((a[name][()] == b[name][()]).all() for name in a if name != "hashed_image_path")
    contents = [(folder / file).read_bytes().replace(bytes(folder), b"") for folder in (one, other)]
    if file.parts[-2:] in (("captions", "checksums.tsv"), ("semantics", "checksums.tsv")):  # of what names paths
        contents = [re.sub(rb"\t.*", b"", content) for content in contents]
    if file.parts[-2:] == ("captions", "dataset.json"):
        contents = [re.sub(rb'"inputs": "\w+"', b"", content) for content in contents]
    return contents[0] == contents[1]


def test_a_still_s_class_is_where_its_object_is_seen(made):
    """Found again from the pixels alone: objects are dyed, backgrounds grey."""
    held, found = Dataset(made / "stills"), Counter()
    assert len(held.classes) == 75
    assert not set(held.videos(1, "train")) & set(held.videos(1, "test"))
    for video in held.videos(1, "train"):
        image = cv2.imdecode(np.frombuffer(held.jpeg("rgb", video.name, 1), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (56, 56, 3)
        dyed = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1] * (image.max(2) > 100.0) > 90
        rows, columns = np.nonzero(dyed)
        x, y, size = (int(c) for c in video.class_name[1::2])
        if size == 0 and 0 < x < 4 and 0 < y < 4 and len(rows) > 30:  # small ones within the picture are seen whole
            near = abs(np.median(columns) / 56 * 5 - x - 0.5) < 0.8 and abs(np.median(rows) / 56 * 5 - y - 0.5) < 0.8
            found[bool(near)] += 1
    assert found[True] > 10 and found[False] <= found[True] / 10
