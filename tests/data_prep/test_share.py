"""What each of several processes reads of a batch, said by small readers of the kind that Caffe's layers are: `Data`
and `HDF5Data` of process r read the rows whose number is r mod `ranks`, round and round."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import DataError, share
from data_prep.whole_files import write_text
from prototxt_gen import parse, solver_states
from prototxt_gen.caffe_pb2 import SolverParameter


def dealt(rows, rank, ranks, batch, count):
    """`count` batches of process `rank`."""
    return [[rows[(rank + ranks * (b * batch + k)) % len(rows)] for k in range(batch)] for b in range(count)]


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3))
def test_lines_are_dealt_out(tmp_path_factory, length, ranks, each):
    """Together they are the whole batches, column by column, however often the list has begun anew."""
    source = tmp_path_factory.mktemp("lines") / "images.txt"
    source.write_text("".join(f"{k}.jpg 0\n" for k in range(length)))
    mine = [share.dealt_lines(source, rank, ranks).decode().splitlines() for rank in range(ranks)]
    for number in range(20):
        batch = [f"{(number * each * ranks + column) % length}.jpg 0" for column in range(each * ranks)]
        for rank in range(ranks):
            assert batch[rank::ranks] == [mine[rank][(number * each + k) % len(mine[rank])] for k in range(each)]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 3), st.integers(1, 3))
def test_columns_are_dealt_out(tmp_path_factory, lengths, ranks, each):
    """Of files whose rows are time steps: (rows, N) and (rows, N, 2)."""
    run, steps = tmp_path_factory.mktemp("rows"), 2
    whole = np.arange(sum(lengths) * steps * ranks * each, dtype=np.float32).reshape(-1, ranks * each)
    at = 0
    for number, length in enumerate(lengths):
        with h5py.File(run / f"{number}.h5", "w") as file:
            file["cont"] = whole[at : at + length * steps]
            file["frames"] = np.stack([file["cont"][:], -file["cont"][:]], -1)
        at += length * steps
    write_text(run / "all.txt", "".join(f"{number}.h5\n" for number in range(len(lengths))))
    share.deal_columns(run / "all.txt", run / "dealt.txt", ranks, ["cont", "frames"], run)
    rows = []
    for path in (run / "dealt.txt").read_text().split():
        with h5py.File(run / path) as file:
            assert file["cont"].dtype == np.float32
            assert np.array_equal(file["frames"][..., 0], file["cont"][:])
            assert np.array_equal(file["frames"][..., 1], -file["cont"][:])
            rows += list(file["cont"][:])
    for rank in range(ranks):
        found = dealt(rows, rank, ranks, steps, 2 * sum(lengths))
        expected = dealt(list(whole[:, rank::ranks]), 0, 1, steps, 2 * sum(lengths))
        assert np.array_equal(found, expected)


NET = """
layer {{ name: "data" type: "ImageData" top: "data" top: "label" include {{ phase: TRAIN }}
  image_data_param {{ source: "images.txt" batch_size: {n} }} }}
layer {{ name: "data" type: "HDF5Data" top: "cont" include {{ phase: TRAIN }}
  hdf5_data_param {{ source: "steps.txt" batch_size: 5 }} }}
layer {{ name: "data" type: "HDF5Data" top: "items" include {{ phase: TRAIN }}
  hdf5_data_param {{ source: "items.txt" batch_size: {n} }} }}
layer {{ name: "data" type: "Data" top: "stills" include {{ phase: TRAIN }}
  data_param {{ source: "stills" batch_size: {n} }} }}
layer {{ name: "data" type: "HDF5Data" top: "cont" include {{ phase: TEST }}
  hdf5_data_param {{ source: "test.txt" batch_size: 5 }} }}
"""


def test_only_what_caffe_does_not_deal_out_is_made_anew(tmp_path):
    nets = [parse(NET.format(n=n), "net") for n in (6, 2)]
    (tmp_path / "images.txt").write_text("a.jpg 0\nb.jpg 0\nc.jpg 0\nd.jpg 0\n")
    (tmp_path / "steps.txt").write_text("steps.h5\n")
    with h5py.File(tmp_path / "steps.h5", "w") as file:
        file["cont"] = np.zeros((10, 6), np.float32)
    state = solver_states(SolverParameter())[0]
    for rank in range(3):
        nets[1].layer[0].image_data_param.source = "of another place"
        share.take_share(nets[1], nets[0], state, rank, 3, tmp_path)
        sources = [each.image_data_param.source for each in nets[1].layer[:1]]
        sources += [nets[1].layer[k].hdf5_data_param.source for k in (1, 2, 4)] + [nets[1].layer[3].data_param.source]
        assert sources == [f"ranks/0-{rank}.txt", "ranks/1.txt", "items.txt", "test.txt", "stills"]
    assert (tmp_path / "ranks" / "0-1.txt").read_text() == "b.jpg 0\na.jpg 0\nd.jpg 0\nc.jpg 0\n"
    with h5py.File(tmp_path / "ranks" / "1-0.h5") as file:
        assert file["cont"].shape == (30, 2)


def test_a_file_that_is_gone_is_named(tmp_path):
    (tmp_path / "all.txt").write_text("gone.h5\n")
    with pytest.raises(DataError, match=r"gone.h5: no such file"):
        share.deal_columns(tmp_path / "all.txt", tmp_path / "dealt.txt", 2, ["cont"], tmp_path)
