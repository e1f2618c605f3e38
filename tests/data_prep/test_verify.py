"""Data sets held against their checksums: what was damaged is named, and nothing else."""

import os
import shutil

import lmdb
import pytest

from data_prep import CorruptImage, DataError, checksums, flow, store
from data_prep.dataset import Dataset
from data_prep.verify import verify
from data_prep.workers import Work
from prototxt_gen import caffe_pb2
from tests.damaged import damage, records, without_checksums

from .videofiles import files_of, prepare_small, write_classes

ALONE = Work(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("made")
    return prepare_small(write_classes(place / "videos", 4), None, place / "d")


@pytest.fixture
def data(made, tmp_path):
    return shutil.copytree(made, tmp_path / "d")


def bad(verdict):
    return [(fault.where, fault.what) for fault in verdict.faults]


def test_a_whole_data_set_is_whole_wherever_it_lies(data, tmp_path):
    os.rename(data, tmp_path / "moved")
    before = files_of(tmp_path / "moved")
    verdict = verify(tmp_path / "moved", ALONE)
    index = Dataset(tmp_path / "moved").index.values()
    assert (bad(verdict), verdict.remarks, verdict.strangers) == ([], [], [])
    frames = sum(video.frames for video in index)
    assert verdict.checked["frames"] == frames and verdict.checked["flow"] == frames - len(index)
    assert verdict.checked["stills_train1"] + verdict.checked["stills_test1"] == frames
    assert files_of(tmp_path / "moved") == before


@pytest.mark.parametrize("with_sums", [True, False])
def test_a_bad_record_is_named_in_each_lmdb(data, with_sums):
    if not with_sums:
        without_checksums(data)
    still = next(key for key in records(data / "stills_train1") if key.endswith(b"v_Jump_2.0003.jpg"))
    damage(data / "stills_train1", still)
    assert bad(verify(data, ALONE)) == [(f"{data / 'stills_train1'}: {still.decode()}", "is not as it was written")]
    if with_sums:  # a bit in the middle of a JPEG is mostly another picture; nobody could tell
        damage(data / "frames", b"v_Run_1.0002.jpg")
        damage(data / "flow", b"flow_image_v_Run_0.0004.jpg")
        verdict = verify(data, ALONE)
        assert {where.rpartition(": ")[2] for where, _ in bad(verdict)} == {
            "v_Run_1.0002.jpg",
            "flow_image_v_Run_0.0004.jpg",
            still.decode(),
        }
        assert "`lrcn prepare flow" in next(f.mend for f in verdict.faults if "flow_image" in f.where)


def test_the_data_layer_names_a_bad_record_too(data):
    damage(data / "frames", b"v_Run_1.0002.jpg")
    held = Dataset(data)
    assert held.jpeg("rgb", "v_Run_1", 1)
    with pytest.raises(CorruptImage, match=r"frames: v_Run_1\.0002\.jpg is not as it was written; `lrcn verify`"):
        held.jpeg("rgb", "v_Run_1", 2)


def test_files_that_are_gone_changed_or_strange(data):
    (data / "train1.txt").write_bytes((data / "train1.txt").read_bytes()[:-1] + b" ")
    os.remove(data / "skipped.tsv")
    (data / "notes.txt").write_text("mine")
    verdict = verify(data, ALONE)
    assert bad(verdict) == [
        (str(data / "skipped.tsv"), "is gone"),
        (str(data / "train1.txt"), "is not as it was written"),
    ]
    assert verdict.strangers == ["notes.txt"]
    (data / "checksums.tsv").write_text("file\tbytes\tblake2b\ntrain1.txt\n")
    assert "is not as it was written" in str(verify(data, ALONE).faults[0])


def test_one_of_an_earlier_lrcn_is_read(data):
    without_checksums(data)
    verdict = verify(data, ALONE)
    assert bad(verdict) == [] and "frames: no checksums: made by an earlier lrcn; images were decoded instead" in (
        verdict.remarks
    )
    store.close_reader(data / "frames")
    with lmdb.open(str(data / "frames"), map_size=1 << 28) as database, database.begin(write=True) as transaction:
        datum = caffe_pb2.Datum.FromString(transaction.get(b"v_Run_1.0002.jpg"))
        datum.data = datum.data[:-40]
        transaction.put(b"v_Run_1.0002.jpg", datum.SerializeToString())
        transaction.delete(b"v_Run_1.0003.jpg")
        transaction.put(b"v_Run_2.0001.jpg", b"\x0a\xff")
    said = dict(bad(verify(data, ALONE)))
    assert said[f"{data / 'frames'}: v_Run_1.0003.jpg"] == "is gone"
    assert said[f"{data / 'frames'}: v_Run_1.0002.jpg"] == "is damaged (Premature end of JPEG file)"
    assert said[f"{data / 'frames'}: v_Run_2.0001.jpg"] == "is damaged (no record of an image)"


def test_a_damaged_lmdb_is_one_line(data):
    os.truncate(data / "frames/data.mdb", 20_000)
    [fault] = [fault for fault in verify(data, ALONE).faults if "/frames" in fault.where]
    assert fault.where == str(data / "frames/data.mdb") and fault.what.startswith("is cut off, it had")


def test_checksums_are_the_same_whatever_came_first(made, tmp_path):
    videos = made.parent / "videos"
    later = prepare_small(videos, None, tmp_path / "d", algorithm=None)
    with open(later / "frames" / checksums.NAME) as file:
        assert file.readline().startswith("video\tcrc32\t")
    flow.prepare_flow(later, work=ALONE)
    for name in ("frames", "flow"):
        assert (later / name / checksums.NAME).read_bytes() == (made / name / checksums.NAME).read_bytes()
    assert bad(verify(later, ALONE)) == []
    # as a run leaves it that is killed before dataset.json has its new checksum
    with checksums.changing(later, "dataset.json"):
        cut_off = checksums.of_files(later)
    assert "dataset.json" not in cut_off and "train1.txt" in cut_off
    flow.prepare_flow(later, "farneback", replace=True, work=ALONE)
    assert bad(verify(later, ALONE)) == []


def test_records_that_an_earlier_lrcn_stored_get_checksums_too(made, tmp_path):
    shutil.copytree(made / "frames", tmp_path / "frames")
    due = (tmp_path / "frames" / checksums.NAME).read_bytes()
    without_checksums(tmp_path)
    (tmp_path / "frames" / checksums.JOURNAL).write_text("v_Run_0\tabc")  # a line that was cut off
    with store.ImageWriter(tmp_path, "rgb"):
        pass
    assert (tmp_path / "frames" / checksums.NAME).read_bytes() == due
    assert not (tmp_path / "frames" / checksums.JOURNAL).exists()


def test_no_data_set(tmp_path):
    with pytest.raises(DataError, match="no prepared dataset"):
        verify(tmp_path)
