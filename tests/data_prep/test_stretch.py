"""What Caffe's own layers read next, said by small readers of the kind that they are."""

import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import DataError, stills, store, stretch
from data_prep.dataset import Dataset
from data_prep.whole_files import write_text
from prototxt_gen import caffe_pb2, parse
from tests.datasets import make_dataset


def write_rows(folder, lengths, streams=2):
    """HDF5 files of rows numbered on from file to file, and their list: `rows.txt`."""
    first = 0
    for number, length in enumerate(lengths):
        with h5py.File(folder / f"batch_{number}.h5", "w") as file:
            rows = np.arange(first, first + length, dtype=np.float32)
            file["cont"] = np.repeat(rows[:, None], streams, axis=1)
            file["target"] = -file["cont"][:]
            file["buffer_size"] = np.array([streams])
        first += length
    write_text(folder / "rows.txt", "".join(f"{folder}/batch_{k}.h5\n" for k in range(len(lengths))))
    return folder / "rows.txt"


def read_round(source, run, batch, count):
    """`count` batches as HDF5Data reads them: row by row, file by file, round and round."""
    rows = []
    for path in source.read_text().split():
        with h5py.File(run / path, "r") as file:
            assert np.array_equal(file["target"][:], -file["cont"][:]) and file["cont"].dtype == np.float32
            rows += file["cont"][:, 0].tolist()
    return [[rows[(number * batch + k) % len(rows)] for k in range(batch)] for number in range(count)]


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4), batch=st.integers(1, 5), first=st.integers(0, 60))
def test_rows_go_on_with_the_batch_that_is_due(tmp_path_factory, lengths, batch, first):
    run = tmp_path_factory.mktemp("rows")
    source = write_rows(run, lengths)
    (run / "stretch").mkdir()
    stretch.rotate_rows(source, run / "stretch" / "0.txt", first * batch, ["cont", "target"], run)
    assert read_round(run / "stretch" / "0.txt", run, batch, 9) == read_round(source, run, batch, first + 9)[first:]
    made = sorted((run / "stretch").glob("*.h5"))
    assert len(made) in (0, 2)  # the one file that is cut, and no other is copied


@given(
    lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1), min_size=1),
    first=st.integers(0, 100),
    ended=st.booleans(),
)
def test_lines_go_on_with_the_image_that_is_due(tmp_path_factory, lines, first, ended):
    source = tmp_path_factory.mktemp("lines") / "images.txt"
    source.write_bytes(("\n".join(f"{line} 0" for line in lines) + "\n" * ended).encode())
    turned = stretch.rotated_lines(source, first).decode().split("\n")[:-1]
    assert turned == [f"{lines[(first + k) % len(lines)]} 0" for k in range(len(lines))]


def test_a_stretch_of_images_goes_round_and_holds_no_image_twice(tmp_path):
    source = stills.folder(Dataset(make_dataset(tmp_path / "noise", videos=3, frames=3)), "train")

    def held(folder):
        with store.reader(folder).begin() as stored:
            return [value for _, value in stored.cursor()]

    images = held(source)
    for number, (first, count) in enumerate(((0, 3), (2, 3), (len(images) - 1, 4), (3 * len(images) + 1, 1000))):
        stretch.copy_images(source, tmp_path / str(number), first, count)
        at = first % len(images)
        assert held(tmp_path / str(number)) == (images[at:] + images[:at])[:count]


NET = """
layer { name: "data" type: "ImageData" top: "image" top: "label" include { phase: TRAIN not_stage: "trainval" }
        image_data_param { source: "images.txt" batch_size: 2 } }
layer { name: "data" type: "HDF5Data" top: "cont" top: "target" include { phase: TRAIN not_stage: "trainval" }
        hdf5_data_param { source: "rows.txt" batch_size: 3 } }
layer { name: "data" type: "HDF5Data" top: "cont" top: "target" include { phase: TRAIN stage: "trainval" }
        hdf5_data_param { source: "other.txt" batch_size: 3 } }
layer { name: "data" type: "HDF5Data" top: "cont" top: "target" include { phase: TEST stage: "test-on-train" }
        hdf5_data_param { source: "rows.txt" batch_size: 3 } }
layer { name: "shuffled" type: "ImageData" top: "b" top: "c"
        image_data_param { source: "images.txt" batch_size: 2 shuffle: true } }
"""


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "a run"  # a blank would end a path in an HDF5 list
    folder.mkdir()
    write_rows(folder, [4, 5])
    write_text(folder / "rows.txt", "batch_0.h5\nbatch_1.h5\n")
    write_text(folder / "images.txt", "".join(f"{k}.jpg 0\n" for k in range(5)))
    return folder


def test_only_layers_of_the_training_at_hand_are_changed(run):
    net = parse(NET)
    assert stretch.begin_at(net, caffe_pb2.NetState(phase=caffe_pb2.TRAIN), 2, 4, run)
    sources = [layer.image_data_param.source or layer.hdf5_data_param.source for layer in net.layer]
    assert sources == ["stretch/0.txt", "stretch/1.txt", "other.txt", "rows.txt", "images.txt"]
    assert (run / sources[0]).read_text().split("\n")[0] == "4.jpg 0"
    assert read_round(run / sources[1], run, 3, 2) == [[6, 7, 8], [0, 1, 2]]
    assert " " not in (run / sources[1]).read_text()
    before = set(os.listdir(run / "stretch"))
    again = parse(NET)
    assert stretch.begin_at(again, caffe_pb2.NetState(phase=caffe_pb2.TRAIN), 3, 4, run)  # 9 rows: the first again
    assert read_round(run / "stretch" / "1.txt", run, 3, 1) == [[0, 1, 2]]
    assert set(os.listdir(run / "stretch")) < before  # nothing is left of the last one


def test_a_net_of_the_projects_own_layer_stays_as_it_is(run):
    net = parse('layer { name: "clips" type: "Python" top: "data" python_param { module: "m" layer: "l" } }')
    assert not stretch.begin_at(net, caffe_pb2.NetState(phase=caffe_pb2.TRAIN), 2, 4, run)
    assert not (run / "stretch").exists()


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda run: (run / "rows.txt").unlink(), "rows.txt"),
        (lambda run: (run / "rows.txt").write_text("\n"), "is empty"),
        (lambda run: (run / "batch_1.h5").write_bytes(b"no HDF5"), "batch_1.h5"),
        (lambda run: (run / "images.txt").unlink(), "images.txt"),
    ],
)
def test_broken_data_is_said_in_one_line(run, spoil, said):
    spoil(run)
    with pytest.raises(DataError, match=said) as caught:
        stretch.begin_at(parse(NET), caffe_pb2.NetState(phase=caffe_pb2.TRAIN), 2, 4, run)
    assert "\n" not in str(caught.value)
