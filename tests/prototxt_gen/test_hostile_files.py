"""Files that are no files, weights that promise more than they hold: refused in one line, and nothing else is read."""

import os
from pathlib import Path

import pytest

from prototxt_gen import SpecError, parse
from prototxt_gen.check import check
from prototxt_gen.shapes import infer
from prototxt_gen.weights import binary_of_hdf5, check_finite, plan, read_layer, read_weights
from tests.prototxt_gen import hostile_weights

NET = parse(
    "input: 'x' input_dim: 1 input_dim: 3 input_dim: 1 input_dim: 1\n"
    "layer { name: 'fc' type: 'InnerProduct' bottom: 'x' top: 'y' "
    "inner_product_param { num_output: 2 bias_term: false } }"
)


def refused(call, path):
    with pytest.raises(SpecError) as error:
        call()
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 800
    return str(error.value)


@pytest.mark.parametrize("make", hostile_weights.HDF5.values(), ids=hostile_weights.HDF5)
def test_hdf5_that_leads_elsewhere_or_holds_something_else(make, tmp_path):
    path = tmp_path / "w.caffemodel.h5"
    make(path)
    refused(lambda: read_weights(path), path)


def test_hdf5_of_745_gib_is_described_and_not_read(tmp_path):
    path = tmp_path / "w.caffemodel.h5"
    hostile_weights.huge_hdf5(path)
    assert [entry.status for entry in plan(NET, read_weights(path), "TEST").entries] == ["clash"]
    for call in check_finite, lambda path: read_layer(path, "fc"):
        assert "LRCN_MAX_GIB" in refused(lambda call=call: call(path), path)
    assert "2 GiB" in refused(lambda: binary_of_hdf5(path), path)


@pytest.mark.parametrize("blob", hostile_weights.BINARY.values(), ids=hostile_weights.BINARY)
def test_binary_weights_whose_values_are_not_as_many_as_their_shape_says(blob, tmp_path):
    path = tmp_path / "w.caffemodel"
    hostile_weights.binary(path, **blob)
    assert [entry.status for entry in plan(NET, read_weights(path), "TEST").entries] == ["clash"]
    refused(lambda: read_layer(path, "fc"), path)


def test_blobs_of_more_axes_than_caffe_s(tmp_path):
    hostile_weights.binary(tmp_path / "w.caffemodel", data=[1], shape={"dim": [1] * 33})
    assert "33 axes" in refused(lambda: read_weights(tmp_path / "w.caffemodel"), tmp_path)


def no_files(folder):
    """Paths that name no regular file."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "circle").symlink_to("circle")
    return ["pipe", "/dev/zero", "folder", "circle", "x" * 5000, "a\0b"]


def test_weights_that_are_no_file(tmp_path):
    for number, name in enumerate(no_files(tmp_path)[:-2]):
        hdf5 = tmp_path / f"{number}.h5"
        hdf5.symlink_to(tmp_path / name)
        for path in tmp_path / name, hdf5:
            refused(lambda path=path: read_weights(path), path)


DATA = {
    "HDF5Data": "hdf5_data_param { batch_size: 1 source: '%s' }",
    "ImageData": "image_data_param { batch_size: 1 source: '%s' }",
    "WindowData": "window_data_param { batch_size: 1 source: '%s' } transform_param { crop_size: 1 }",
    "Data": "data_param { batch_size: 1 source: '%s' backend: LMDB }",
    "ImageData with a mean": "image_data_param { batch_size: 1 source: 'list' } transform_param { mean_file: '%s' }",
}


@pytest.mark.parametrize("kind", DATA)
def test_data_that_are_no_file(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = no_files(tmp_path)
    (tmp_path / "list").write_text("pipe 0\n")
    (tmp_path / "named").write_text("\n".join(names[:4]))
    for name in [*names, "named"]:
        block = DATA[kind] % name.replace("\0", "\\000")
        net = f"layer {{ name: 'd' type: '{kind.split()[0]}' top: 'x' top: 'y' {block} }}\n"
        Path("net.prototxt").write_text(net)
        assert infer(parse(net), "TEST").blobs.keys() == {"x", "y"}
        assert check("net.prototxt").findings or kind == "WindowData", name  # of which it is not said


def test_a_prototxt_beyond_all_nets_is_not_read(tmp_path):
    with open(tmp_path / "net.prototxt", "wb") as file:
        file.truncate(10**10)  # of holes
    assert "10,000,000,000 bytes" in refused(lambda: parse(tmp_path / "net.prototxt"), tmp_path)
    for name in no_files(tmp_path)[1:4]:
        path = tmp_path / name
        refused(lambda path=path: parse(path), path)
