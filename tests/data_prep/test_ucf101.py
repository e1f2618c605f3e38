import re
import shutil

import pytest

from data_prep import DataError, ucf101
from data_prep.dataset import Dataset, Video

from .videofiles import prepare_small_ucf101 as prepare
from .videofiles import write_ucf101, write_video


@pytest.fixture
def archive(tmp_path):
    return write_ucf101(tmp_path / "ucf")


def test_videos_and_official_lists_become_a_dataset(archive, tmp_path):
    held = Dataset(prepare(archive, tmp_path / "d", split="all"))
    assert held.classes == ["Jump", "Run", "Walk"] and held.mirror and held.name == "ucf101"
    assert held.description["splits"] == [1, 2, 3] and held.description["skipped"] == 0
    assert len(held.index) == 24 and held.index["v_Walk_g03_c02"] == Video("v_Walk_g03_c02", "Walk", 2, 8)
    held.check("rgb")
    for split in (1, 2, 3):
        assert {video.name[-7:-4] for video in held.videos(split, "test")} == {f"g0{split}"}
        assert len(held.videos(split, "train")) == 18
        assert {p.name for p in (tmp_path / "d").glob(f"stills_*{split}")} == {
            f"stills_train{split}",
            f"stills_test{split}",
        }
    # test lists are in the official order
    assert [v.name for v in held.videos(1, "test")[:3]] == ["v_Jump_g01_c01", "v_Jump_g01_c02", "v_Run_g01_c01"]
    assert (tmp_path / "d/skipped.tsv").read_text() == "file\treason\n"
    with pytest.raises(DataError, match="has no flow; make it with `lrcn prepare flow --data"):
        held.check("flow")


def test_videos_all_in_one_folder_give_the_same(archive, tmp_path, contents):
    prepare(archive, tmp_path / "d")
    for path in (archive / "videos").rglob("*.avi"):
        shutil.move(path, archive / "videos" / path.name)
    prepare(archive, tmp_path / "e")
    for part in ("frames", "stills_train1", "stills_test1"):
        assert contents(tmp_path / "d" / part) == contents(tmp_path / "e" / part)
    for file in ("videos.tsv", "train1.txt", "test1.txt", "dataset.json"):
        assert (tmp_path / "d" / file).read_bytes() == (tmp_path / "e" / file).read_bytes()


def test_a_split_can_be_added_later(archive, tmp_path, contents):
    prepare(archive, tmp_path / "all", split="all")
    prepare(archive, tmp_path / "d", split="2")
    assert Dataset(tmp_path / "d").description["splits"] == [2]
    assert not (tmp_path / "d/train1.txt").exists() and not (tmp_path / "d/stills_train1").exists()
    before = (tmp_path / "d/frames/data.mdb").stat().st_mtime_ns
    prepare(archive, tmp_path / "d", split="all")
    assert (tmp_path / "d/frames/data.mdb").stat().st_mtime_ns == before
    for part in ("train1", "test3"):
        assert contents(tmp_path / "d" / f"stills_{part}") == contents(tmp_path / "all" / f"stills_{part}")
        assert (tmp_path / f"d/{part}.txt").read_bytes() == (tmp_path / f"all/{part}.txt").read_bytes()
    assert (tmp_path / "d/dataset.json").read_bytes() == (tmp_path / "all/dataset.json").read_bytes()


def test_videos_that_cannot_be_read_leave_the_lists_and_are_named(archive, tmp_path):
    said = []
    cut = archive / "videos/Run/v_Run_g01_c01.avi"
    write_video(cut, 40)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (archive / "videos/Walk/v_Walk_g02_c02.avi").write_bytes(b"no video" * 100)
    held = Dataset(prepare(archive, tmp_path / "d", workers=2, progress=lambda *a: said.append(a)))
    assert len(held.index) == 22 and held.description["skipped"] == 2
    held.check("rgb")
    lines = (tmp_path / "d/skipped.tsv").read_text().splitlines()
    assert lines[0] == "file\treason" and lines[2] == "Walk/v_Walk_g02_c02.avi\tnot a readable video"
    assert re.fullmatch(r"Run/v_Run_g01_c01.avi\ttruncated, \d+ of 40 frames can be decoded", lines[1])
    assert "v_Run_g01_c01" not in (tmp_path / "d/test1.txt").read_text() and len(held.videos(1, "test")) == 5
    assert any(what.startswith("skipped: 2 of 24 videos") and not total for what, _, total in said)


def test_a_list_of_which_nothing_can_be_read(archive, tmp_path):
    for path in (archive / "videos").rglob("*g01_c*.avi"):
        path.write_bytes(b"no video" * 100)
    with pytest.raises(DataError, match=r"test1.txt: none of its videos can be read; .*g01_c01.avi .*not a readable"):
        prepare(archive, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        ("classInd.txt", "2 Run", "3 Run", r"classInd.txt:2: not `2 Class`: '3 Run'"),
        ("classInd.txt", "2 Run", "2 Jump", r"classInd.txt:2: class Jump is there twice"),
        ("classInd.txt", "3 Walk\n", "", r"trainlist01.txt:13: class Walk is not in classInd.txt"),
        ("trainlist01.txt", "Run/v_Run_g02_c01.avi 2", "Run/v_Run_g02_c01.avi 1", "trainlist01.txt:7: Run has label 1"),
        ("trainlist01.txt", "Run/v_Run_g02_c01.avi 2", "Run/v_Run_g02_c01.avi", "trainlist01.txt:7: not `Class/video"),
        ("trainlist01.txt", "Run/v_Run_g02_c01.avi", "v_Run_g02_c01.avi", "trainlist01.txt:7: not `Class/video.avi"),
        ("trainlist02.txt", "v_Run_g03_c01", "v_Run_g01_c01", r"list02.txt:9: v_Run_g01_c01 is in line 7 too"),
        ("testlist01.txt", "v_Run_g01_c02", "v_Run_g01_c01", r"testlist01.txt:4: v_Run_g01_c01 is in line 3 too"),
        ("testlist01.txt", "v_Run_g01_c02", "v_Run_g02_c02", r"list01.txt:4: v_Run_g02_c02 is a training video too"),
        ("testlist01.txt", "v_Run_g01_c02", "v_Run_g02_c07", r"list01.txt:4: group g02 of Run is in training too .*:8"),
        ("testlist01.txt", "v_Run_g01_c02", "v_Run_7", r"list01.txt:4: v_Run_7 is not named v_Class_gGG_cCC"),
        ("testlist03.txt", "Run/v_Run_g03_c02", "Jump/v_Run_g03_c02", "v_Run_g03_c02 is .* here but .* make them"),
    ],
)
def test_lists_that_contradict_themselves(archive, tmp_path, file, old, new, message):
    change(archive / "lists" / file, old, new)
    with pytest.raises(DataError, match=message) as caught:
        prepare(archive, tmp_path / "d")
    assert "\n" not in str(caught.value) and ";" in str(caught.value)
    assert not list(tmp_path.glob("d*"))


@pytest.mark.parametrize(
    "missing, split, message",
    [
        ("classInd.txt", "1", "classInd.txt: no such file; --splits names"),
        ("testlist02.txt", "1", "testlist02.txt: no such file"),
        ("t*list02.txt", "2", "no trainlist02.txt and testlist02.txt in it.*another split [(]1, 3[)]"),
        ("t*list02.txt", "all", "no trainlist02.txt and testlist02.txt in it"),
        ("t*list*.txt", "1", "no trainlist01.txt and testlist01.txt in it"),
    ],
)
def test_lists_that_are_not_there(archive, tmp_path, missing, split, message):
    for path in (archive / "lists").glob(missing):
        path.unlink()
    with pytest.raises(DataError, match=message):
        prepare(archive, tmp_path / "d", split=split)


def test_all_videos_are_demanded_unless_a_subset_is_asked_for(archive, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="3 classes and 24 videos, where UCF-101 has 101 and 13320.*--subset"):
        prepare(archive, tmp_path / "d", subset=False)
    monkeypatch.setattr(ucf101, "CLASSES", 3)
    monkeypatch.setattr(ucf101, "VIDEOS", 24)
    prepare(archive, tmp_path / "whole", subset=False)
    shutil.rmtree(archive / "videos" / "Jump")
    (archive / "videos/Run/v_Run_g04_c01.avi").unlink()
    with pytest.raises(DataError, match=r"9 of the 24 listed .* not there, first Jump/v_Jump_g02_c01 .*--subset"):
        prepare(archive, tmp_path / "d", subset=False)
    said = []
    held = Dataset(prepare(archive, tmp_path / "d", progress=lambda *a: said.append(a)))
    assert held.classes == ["Jump", "Run", "Walk"] and len(held.index) == 15  # labels stay the official ones
    assert {video.label for video in held.videos(1, "train")} == {1, 2}
    assert ("9 of the 24 listed videos are not there and left out (--subset)", 0, 0) in said


def rename(archive, old, new, files):
    """The archive's or its lists' spelling of a name."""
    if files:
        for path in sorted((archive / "videos").rglob("*"), reverse=True):
            path.rename(path.with_name(path.name.replace(old, new)))
        return
    for path in (archive / "lists").iterdir():
        if path.name != "classInd.txt" or "_" not in old:
            path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("files", [True, False], ids=["the archive", "the lists"])
@pytest.mark.parametrize(
    "old, new", [("v_Run_", "v_rUn_"), ("Run", "RUN"), ("Walk/", "walk/"), ("_g03_c01", "_G03_C01")]
)
def test_names_that_the_archive_spells_in_another_case_than_the_lists(archive, tmp_path, old, new, files):
    rename(archive, old, new, files)
    held = Dataset(prepare(archive, tmp_path / "d"))
    assert len(held.index) == 24 and len(held.videos(1, "train")) == 18 and len(held.videos(1, "test")) == 6
    there = {path.stem for path in (archive / "videos").rglob("*.avi")}
    assert set(held.index) == there, "the files' spelling"


def test_lists_that_spell_a_video_differently_mean_the_same(archive, tmp_path):
    change(archive / "lists/trainlist02.txt", "v_Run_g01_c01", "v_RUN_g01_c01")
    held = Dataset(prepare(archive, tmp_path / "d", split="all"))
    assert len(held.index) == 24 and "v_Run_g01_c01" in {video.name for video in held.videos(2, "train")}
    change(archive / "lists/testlist01.txt", "v_Walk_g01_c01", "v_WALK_g02_c01")
    with pytest.raises(DataError, match="testlist01.txt:5: v_WALK_g02_c01 is a training video too"):
        prepare(archive, tmp_path / "e")


def test_two_videos_that_differ_in_case_alone(archive, tmp_path):
    """Of two that are spelled otherwise than in the lists either may be meant; of one that is spelled so, it is."""
    rename(archive, "v_Run_g03_c01", "v_RUN_g03_c01", files=True)
    write_video(archive / "videos" / "run" / "v_run_g03_c01.avi")
    with pytest.raises(DataError, match=r"v_run_g03_c01.avi: .*v_RUN_g03_c01.avi is there too; remove one"):
        prepare(archive, tmp_path / "d")
    write_video(archive / "videos" / "Run" / "v_Run_g03_c01.avi")
    held = Dataset(prepare(archive, tmp_path / "d"))
    assert "v_Run_g03_c01" in held.index and len(held.index) == 24


def test_a_subset_names_the_classes_that_lose_all_their_videos(archive, tmp_path):
    shutil.rmtree(archive / "videos" / "Jump")
    for path in (archive / "videos").rglob("v_Walk_g01_*"):
        path.unlink()
    said = []
    prepare(archive, tmp_path / "d", progress=lambda what, *_: said.append(what))
    assert [what for what in said if "no video of" in what] == [
        "train1: no video of Jump, which nets will not learn",
        "test1: no video of Jump, Walk, which will have no accuracy",
    ]


FORMS = {
    "a byte order mark": lambda text: "\ufeff" + text,
    "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "no suffixes": lambda text: text.replace(".avi", ""),
    "frames": lambda text: text.replace(".avi", ".avi 164"),
    "frames and no suffixes": lambda text: text.replace(".avi", " 164"),
    "commas": lambda text: text.replace(" ", ","),
    "tabs": lambda text: text.replace(" ", "\t"),
    "whole paths": lambda text: re.sub(r"^(?=\w+/)", "/data/UCF-101/", text, flags=re.MULTILINE),
    "backslashes": lambda text: text.replace("/", "\\"),
}


@pytest.mark.parametrize("form", FORMS)
def test_lists_as_other_tools_write_them(archive, tmp_path, contents, form):
    prepare(archive, tmp_path / "due")
    for path in (archive / "lists").iterdir():
        if "frames" not in form or path.name.startswith("trainlist"):
            path.write_bytes(FORMS[form](path.read_text()).encode())
    prepare(archive, tmp_path / "d")
    for name in ("train1.txt", "test1.txt", "videos.tsv"):
        assert (tmp_path / "d" / name).read_text() == (tmp_path / "due" / name).read_text()


def test_a_list_in_utf_16_is_called_so(archive, tmp_path):
    path = archive / "lists/trainlist01.txt"
    path.write_text(path.read_text(), encoding="utf-16")
    with pytest.raises(DataError, match="trainlist01.txt: saved as UTF-16, not UTF-8; save it as UTF-8"):
        prepare(archive, tmp_path / "d")


def test_a_subset_without_test_videos(archive, tmp_path):
    for path in (archive / "videos").rglob("*_g01_*"):
        path.unlink()
    with pytest.raises(DataError, match="no video of testlist01.txt is there"):
        prepare(archive, tmp_path / "d")


def test_a_video_in_two_places(archive, tmp_path):
    write_video(archive / "videos" / "v_Run_g01_c01.avi")
    with pytest.raises(DataError, match="v_Run_g01_c01.avi is there too; remove one"):
        prepare(archive, tmp_path / "d")


def test_labels_are_counted_from_nought(archive, tmp_path):
    prepare(archive, tmp_path / "d")
    assert (tmp_path / "d/test1.txt").read_text().splitlines()[::2] == [
        "Jump/v_Jump_g01_c01 0",
        "Run/v_Run_g01_c01 1",
        "Walk/v_Walk_g01_c01 2",
    ]
