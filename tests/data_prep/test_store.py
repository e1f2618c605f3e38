import json
import os

import lmdb
import pytest

from data_prep import DataError, store
from data_prep.checksums import new_data_set
from data_prep.dataset import Dataset, Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from prototxt_gen import caffe_pb2


def fill(folder, videos, modality="rgb"):
    with store.ImageWriter(folder, modality) as writer:
        for name, images in videos.items():
            writer.add(name, 3, images, 40, 48)


def test_images_are_caffe_datums_under_the_authors_names(tmp_path, contents):
    fill(tmp_path, {"v_Run_1": [b"one", b"two"]})
    fill(tmp_path, {"v_Run_1": [b"flow"]}, "flow")
    assert sorted(contents(tmp_path / "frames")) == [b"v_Run_1.0001.jpg", b"v_Run_1.0002.jpg"]
    assert list(contents(tmp_path / "flow")) == [b"flow_image_v_Run_1.0002.jpg"]
    datum = caffe_pb2.Datum.FromString(contents(tmp_path / "frames")[b"v_Run_1.0002.jpg"])
    assert (datum.channels, datum.height, datum.width, datum.label, datum.encoded, datum.data) == (
        3,
        40,
        48,
        3,
        True,
        b"two",
    )


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 100])
def test_count_finds_the_last_image(tmp_path, count):
    fill(tmp_path, {"a": [b"x"] * count, "a.0": [b"y"] * 5})
    with store.ImageWriter(tmp_path, "rgb") as writer:
        assert (writer.count("a"), writer.count("a.0"), writer.count("b")) == (count, 5, 0)


def test_the_map_grows_by_itself(tmp_path, monkeypatch, contents):
    monkeypatch.setattr(store, "FIRST_MAP", 1 << 16)
    big = [os.urandom(100_000) for _ in range(10)]
    fill(tmp_path, {"v": big})
    assert len(contents(tmp_path / "frames")) == 10


def test_a_video_is_stored_whole_or_not_at_all(tmp_path, contents):
    with pytest.raises(KeyboardInterrupt):
        with store.ImageWriter(tmp_path, "rgb") as writer:
            writer.add("a", 0, [b"x"] * 3, 1, 1)
            writer.commit()
            writer.add("b", 0, [b"x"] * 3, 1, 1)
            raise KeyboardInterrupt
    assert {name.split(b".")[0] for name in contents(tmp_path / "frames")} == {b"a"}


@pytest.fixture
def dataset(tmp_path):
    """Two videos of 3 and 2 frames, with flow."""
    videos = [Video("v_a", "Jump", 0, 3), Video("v b", "Run", 1, 2)]
    fill(tmp_path, {v.name: [f"{v.name} {i}".encode() for i in range(1, v.frames + 1)] for v in videos})
    fill(tmp_path, {v.name: [b"flow"] * (v.frames - 1) for v in videos}, "flow")
    write_text(tmp_path / "videos.tsv", index_text(videos))
    write_text(tmp_path / "train1.txt", list_text(videos[::-1]))
    write_text(tmp_path / "test1.txt", list_text(videos[:1]))
    write_json(
        tmp_path / "dataset.json",
        {"name": "t", "kind": "frames", "classes": ["Jump", "Run"], "mirror": True, "height": 40, "width": 48},
    )
    return tmp_path


def test_dataset_reads_what_was_written(dataset):
    held = Dataset(dataset)
    assert (held.name, held.kind, held.classes, held.mirror, held.height, held.width) == (
        "t",
        "frames",
        ["Jump", "Run"],
        True,
        40,
        48,
    )
    assert [v.name for v in held.videos(1, "train")] == ["v b", "v_a"]
    assert held.jpeg("rgb", "v b", 2) == b"v b 2" and held.jpeg("flow", "v_a", 3) == b"flow"
    assert [held.index["v_a"].images(m) for m in ("rgb", "flow")] == [3, 2]
    held.check("rgb")
    held.check("flow")


def test_two_readers_of_one_folder_live_in_one_process(dataset):
    assert Dataset(dataset).jpeg("rgb", "v_a", 1) == Dataset(str(dataset) + "/").jpeg("rgb", "v_a", 1)


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        ("train1.txt", "Run/v b 1", "Run/v b", "train1.txt:1: not `Class/video label`"),
        ("train1.txt", "Run/v b 1", "Run/v c 1", "train1.txt:1: video v c is not in videos.tsv"),
        ("train1.txt", "Run/v b 1", "Run/v b 0", "v b is Run 0 here but Run 1"),
        ("train1.txt", "Run/v b 1\nJump/v_a 0\n", "", "train1.txt: names no video"),
        ("videos.tsv", "Run\t1", "Run\t0", "videos.tsv:3: not"),
        ("videos.tsv", "Run\t1\t2", "Run\t1\t0", "videos.tsv:3: not"),
        ("videos.tsv", "Run\t1\t2", "Run\t1\t3", r"lacks v b.0003.jpg"),
        ("videos.tsv", "Jump\t0\t3", "Jump\t0\t2", "holds 5 images where videos.tsv counts 4"),
        ("dataset.json", '"kind"', '"sort"', "dataset.json: object missing required field kind"),
        ("dataset.json", "{", "", "dataset.json: cannot be read"),
    ],
)
def test_contradictions_are_named(dataset, file, old, new, message):
    path = dataset / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message) as caught:
        held = Dataset(dataset)
        held.read_list("train1.txt")
        held.check("rgb")
    assert "\n" not in str(caught.value)


def test_a_missing_frame_or_lmdb_is_named(dataset):
    held = Dataset(dataset)
    with pytest.raises(DataError, match="lacks v_a.0009.jpg"):
        held.jpeg("rgb", "v_a", 9)
    os.remove(dataset / "flow" / "data.mdb")
    with pytest.raises(DataError, match=r"flow/data\.mdb: no such file"):
        held.check("flow")


def test_an_lmdb_that_was_cut_is_named(dataset):
    file = dataset / "frames/data.mdb"
    store.close_reader(dataset / "frames")
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(
        DataError, match=r"frames/data\.mdb: is cut off, it had [0-9]+ bytes and has [0-9]+; copy it anew"
    ):
        Dataset(dataset).check("rgb")


def test_what_lmdb_says_of_a_record_is_one_line(dataset):
    with pytest.raises(DataError, match=r"frames: a record is damaged \(wrong page\); `lrcn verify`"):
        with store.reading(dataset / "frames"):
            raise lmdb.CorruptedError("wrong page")  # as newer ones do, where an older one looks at no such page


def test_a_folder_that_is_not_whole_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="no prepared dataset"):
        Dataset(tmp_path / "d")
    (tmp_path / "d.partial").mkdir()
    with pytest.raises(DataError, match="cut off; run `lrcn prepare` again"):
        Dataset(tmp_path / "d")


def prepare(out, settings, fail=False):
    with new_data_set(out, settings) as folder:
        if folder is None:
            return "there"
        found = (folder / "work").exists()
        (folder / "work").write_text("x")
        if fail:
            raise DataError("bad input")
        write_json(folder / "dataset.json", {"prepared": settings})
        return "went on" if found else "began"


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "sub" / "d"
    with pytest.raises(DataError, match="bad input"):
        prepare(out, {"seed": 1}, fail=True)
    assert not out.exists()
    assert prepare(out, {"seed": 1}) == "went on"
    assert sorted(os.listdir(out)) == ["checksums.tsv", "dataset.json", "work"] and os.listdir(out.parent) == ["d"]
    assert prepare(out, {"seed": 1}) == "there"
    with pytest.raises(DataError, match=r"other settings \(seed\)"):
        prepare(out, {"seed": 2})


def test_what_other_settings_left_is_begun_anew(tmp_path):
    with pytest.raises(DataError):
        prepare(tmp_path / "d", {"seed": 1}, fail=True)
    assert prepare(tmp_path / "d", {"seed": (2,)}) == "began"


def test_files_of_others_are_not_touched(tmp_path):
    (tmp_path / "d.partial").mkdir()
    (tmp_path / "d.partial" / "thesis.tex").write_text("dear")
    with pytest.raises(DataError, match="thesis.tex"):
        prepare(tmp_path / "d", {})
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "thesis.tex").write_text("dear")
    with pytest.raises(DataError, match="is no dataset"):
        prepare(tmp_path / "e", {})
    assert (tmp_path / "d.partial" / "thesis.tex").read_text() == (tmp_path / "e" / "thesis.tex").read_text() == "dear"


def test_two_preparations_of_one_folder_do_not_mix(tmp_path):
    with new_data_set(tmp_path / "d", {}) as folder:
        with pytest.raises(DataError, match="another run"):
            prepare(tmp_path / "d", {})
        write_json(folder / "dataset.json", {"prepared": {}})
    assert prepare(tmp_path / "d", {}) == "there"
    assert json.loads((tmp_path / "d" / "dataset.json").read_text()) == {"prepared": {}}


def test_a_run_cut_off_just_after_the_renaming_is_tidied_up(tmp_path):
    prepare(tmp_path / "d", {"seed": 1})
    (tmp_path / "d" / "lock").write_text("")
    (tmp_path / "d" / "preparing.json").write_text("{}")
    assert prepare(tmp_path / "d", {"seed": 1}) == "there"
    assert sorted(os.listdir(tmp_path / "d")) == ["checksums.tsv", "dataset.json", "work"]


@pytest.mark.parametrize(
    ("now", "known"), [([103.939, 1.0], True), ([103.94, 1.0], False), ([103.939], False), ("103.939", False)]
)
def test_numbers_that_went_through_float32_are_the_same_settings(tmp_path, now, known):
    """Caffe's own layers hold a mean of 103.939 as float32; an earlier lrcn noted it from there."""
    with new_data_set(tmp_path / "d", {"shown": {"mean": [103.93900299072266, 1]}}) as folder:
        write_json(folder / "dataset.json", {"prepared": {"shown": {"mean": [103.93900299072266, 1]}}})
    if known:
        with new_data_set(tmp_path / "d", {"shown": {"mean": now}}) as folder:
            assert folder is None
    else:
        with pytest.raises(DataError, match="other settings"), new_data_set(tmp_path / "d", {"shown": {"mean": now}}):
            pass
