"""What Caffe would copy from a weight file into a net, as `weights` foretells it; Caffe agrees in the engine's test."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prototxt_gen import SpecError, parse
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.weights import Blob, check_finite, plan, read_weights, start
from tests.prototxt_gen.weight_files import CASES, FC, LEARNING, LEARNING_NET, NET, PARAMETERS, blob, field, write


def statuses(found):
    return {entry.layer: entry.status for entry in found.entries}


@pytest.mark.parametrize("case", CASES)
def test_each_layer_s_fate(case, tmp_path):
    kind, layers, expected = CASES[case]
    found = statuses(plan(parse(NET), read_weights(write(tmp_path, kind, layers))))
    afresh = dict.fromkeys(["conv", "fc", "twin", "half", "fc-final"], "initialised afresh")
    assert found == afresh | expected


def test_the_shapes_of_both_sides_and_the_reason_are_said(tmp_path):
    found = plan(parse(NET), read_weights(write(tmp_path, "binary", {"fc-final": [(3, 5), (3,)], "fc8": [(9, 5)]})))
    entries = {entry.layer: entry for entry in found.entries}
    assert (entries["fc-final"].net, entries["fc-final"].file) == ([(2, 5), (2,)], [(3, 5), (3,)])
    assert entries["fc-final"].why == "blob 0 is 2x5 in the net, 3x5 in the file"
    assert (entries["fc8"].net, entries["fc8"].file) == (None, [(9, 5)])
    assert entries["conv"].why == "the file has no such layer"
    assert [entry.layer for entry in found.clashes] == ["fc-final"]


def test_the_share_counts_shared_weights_once(tmp_path):
    whole = plan(parse(NET), read_weights(write(tmp_path, *CASES["whole"][:2])))
    assert (whole.copied, whole.parameters) == (PARAMETERS, PARAMETERS)
    twin = plan(parse(NET), read_weights(write(tmp_path, "binary", {"twin": FC})))
    assert (twin.copied, twin.parameters) == (5 * 64 + 5, PARAMETERS)
    entries = {entry.layer: entry for entry in twin.entries}
    assert entries["fc"].why == "shared with layer twin"
    assert "in part shared with layer twin" in entries["half"].why


def test_of_layers_of_one_name_the_first_is_filled_or_from_hdf5_the_last(tmp_path):
    net = parse(NET.replace("'conv' type", "'fc-final' type"))
    for kind, filled, rest in ("binary", 0, 1), ("h5", 1, 0):
        shapes = [(4, 3, 3, 3), (4,)] if kind == "binary" else [(2, 5), (2,)]
        found = plan(net, read_weights(write(tmp_path, kind, {"fc-final": shapes})))
        entries = [entry for entry in found.entries if entry.layer == "fc-final"]
        assert [entries[filled].status, entries[rest].status] == ["copied", "initialised afresh"]
        assert "Caffe fills only the" in entries[rest].why


def test_what_is_in_depends_on_phase_and_stages(tmp_path):
    net = parse(NET.replace("name: 'fc-final'", "name: 'fc-final' include { phase: TEST stage: 's' }"))
    weights = read_weights(write(tmp_path, "binary", {"fc-final": [(2, 5), (2,)]}))
    assert statuses(plan(net, weights))["fc-final"] == "ignored"
    assert statuses(plan(net, weights, "TEST", ["s"]))["fc-final"] == "copied"


def test_weights_behind_an_unknown_shape_are_not_guessed(tmp_path):
    net = parse(NET.replace("type: 'Input'", "type: 'Python' python_param { module: 'm' layer: 'l' }"))
    weights = read_weights(write(tmp_path, *CASES["whole"][:2]))
    assert statuses(plan(net, weights))["conv"] == "not known"
    assert statuses(plan(net, weights, inputs={"data": (2, 3, 6, 6)})) == CASES["whole"][2]


def test_a_training_s_start_names_what_is_filled_and_what_stays_as_it_is(tmp_path):
    net = parse(LEARNING_NET)
    path = write(tmp_path, "binary", {"before": [(4, 4), (4,)], "frozen": [(4, 5), (4,)], "fc8": FC})
    found = start(net, path)
    assert (found.filled, found.unused, found.unknown) == (["before"], ["fc8"], [])
    assert found.clashing == {"frozen": "blob 0 is 4x4 in the net, 4x5 in the file"}
    assert found.random == ["after", "aside", "bias", "norm", "norm-fixed", "free", "shared"]
    assert set(found.frozen) == {layer for layer, learns in LEARNING.items() if not learns} - {"before"}


def test_a_frozen_layer_that_only_enlarges_needs_no_weights(tmp_path):
    up = "layer { name: 'up' type: 'Deconvolution' bottom: 'conv' top: 'up' param { lr_mult: 0 } convolution_param {"
    up += " num_output: 4 group: 4 kernel_size: 4 stride: 2 bias_term: false weight_filler { type: '%s' } } }"
    path = write(tmp_path, "binary", {"fc8": FC})
    assert "up" not in start(parse(NET + up % "bilinear"), path).frozen
    assert "up" in start(parse(NET + up % "xavier"), path).frozen


@pytest.mark.parametrize(
    "stages, layers, frozen", [(["cold"], {"conv": [(4, 3, 3, 3), (4,)]}, []), (["cold"], {}, ["conv"]), ([], {}, [])]
)
def test_what_is_frozen_depends_on_the_stages(tmp_path, stages, layers, frozen):
    conv = "name: 'conv' type: 'Convolution' include { %s } "
    cold = NET.replace("name: 'conv' type: 'Convolution'", conv % "stage: 'cold'" + "param { lr_mult: 0 } " * 2)
    warm = next(line for line in NET.split("layer ") if "'conv' type" in line)
    warm = warm.replace("name: 'conv' type: 'Convolution'", conv % "not_stage: 'cold'")
    net = parse(cold.replace("layer { name: 'relu'", f"layer {warm} layer {{ name: 'relu'") + LOSS)
    assert start(net, write(tmp_path, "binary", {"fc8": FC, **layers}), stages).frozen == frozen


LOSS = """
layer { name: 'all' type: 'Concat' bottom: ['fc', 'twin', 'half', 'fc-final'] top: 'all' }
layer { name: 'loss' type: 'Reduction' bottom: 'all' top: 'loss' loss_weight: 1 }
"""

SHAPES = st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=3)


@given(st.lists(st.tuples(st.text(max_size=5), SHAPES), min_size=1), st.booleans(), st.booleans())
def test_the_reader_reads_what_protobuf_wrote(tmp_path_factory, layers, double, diffs):
    net = pb.NetParameter(name="x")
    net.layer.add(name="data", type="Input").input_param.shape.add(dim=[1, -1])
    for name, shapes in layers:
        layer = net.layer.add(name=name, type="InnerProduct", top=["y"], loss_weight=[1.5])
        for shape in shapes:
            made = layer.blobs.add(shape=pb.BlobShape(dim=shape))
            (made.double_data if double else made.data).extend([0.5] * int(np.prod(shape)))
            if diffs:
                made.diff.extend([1, 2])
    path = tmp_path_factory.getbasetemp() / "drawn.caffemodel"
    path.write_bytes(net.SerializeToString())
    assert read_weights(path).layers == [
        ("data", []),
        *((name, [Blob(tuple(shape), False, int(np.prod(shape))) for shape in shapes]) for name, shapes in layers),
    ]


def test_numbers_written_one_by_one_are_counted_too(tmp_path):
    made = b"\x2d\0\0\x80\x3f" * 6 + field(7, b"\x08\x02\x08\x03")  # data and dims unpacked
    path = tmp_path / "old.caffemodel"
    path.write_bytes(field(100, field(1, b"fc") + field(7, made)))
    assert read_weights(path).layers == [("fc", [Blob((2, 3), False, 6)])]


def bytes_read() -> int:
    """What this process has read in all, as Linux counts it."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


def test_a_large_file_is_not_read_whole(tmp_path):
    path = tmp_path / "large.caffemodel"
    count = 2**27  # half a gigabyte of weights, sparse on the disk
    shape = pb.BlobProto(shape=pb.BlobShape(dim=[2, count // 2])).SerializeToString()

    def start(number, size):
        return field(number, b"\0" * size)[:-size]  # tag and length

    data_head = start(5, 4 * count)
    blob_size = len(shape) + len(data_head) + 4 * count
    layer_head = field(1, b"fc") + start(7, blob_size)
    with open(path, "wb") as file:
        file.write(start(100, len(layer_head) + blob_size) + layer_head + shape + data_head)
        file.truncate(file.tell() + 4 * count)
    before = bytes_read()
    assert read_weights(path).layers == [("fc", [Blob((2, count // 2), False, count)])]
    assert bytes_read() - before < 100_000


def whole_file(folder):
    return write(folder, *CASES["whole"][:2]).read_bytes()


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("net.caffemodel", lambda whole: whole[: len(whole) // 2], "cut off"),
        ("net.caffemodel", lambda whole: b"", "an empty file"),
        ("net.caffemodel", lambda whole: b"\x89PNG\r\n\x1a\n\0\0\0", "not a .caffemodel"),
        ("net.caffemodel", lambda whole: b"\x0a\x03net", "holds no layers"),
        ("net.prototxt", lambda whole: NET.encode(), "a text file; a .caffemodel is expected"),
        ("net.caffemodel", lambda whole: b"\x89HDF\r\n\x1a\n", "only where its name ends in .h5"),
        ("net.caffemodel.h5", lambda whole: whole, "no readable HDF5 file"),
        ("net.caffemodel", lambda whole: whole + field(2, field(4, b"old")), "both 'layer' and 'layers'"),
        ("net.prototxt", lambda whole: b"\xef\xbb\xbf" + NET.encode(), "a text file; a .caffemodel is expected"),
        ("net.caffemodel", lambda whole: NET.encode("utf-16"), "a text file; a .caffemodel is expected"),
        ("net.caffemodel", lambda whole: b"404: Not Found", "a text file; a .caffemodel is expected"),
        ("net.caffemodel", lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        ("net.caffemodel", lambda whole: gzip.compress(whole), "a file of gzip"),
        ("net.caffemodel", lambda whole: pb.SolverState(iter=3).SerializeToString(), "the .caffemodel beside it"),
        ("mean.binaryproto", lambda whole: pb.BlobProto(num=1).SerializeToString(), "a mean's .binaryproto"),
        ("net.solverstate", lambda whole: pb.SolverState(iter=3, learned_net="x").SerializeToString(), "caffemodel"),
    ],
)
def test_what_is_no_weight_file_is_refused_in_one_line(tmp_path, name, content, said):
    whole = whole_file(tmp_path)
    path = tmp_path / name
    path.write_bytes(content(whole))
    with pytest.raises(SpecError) as refused:
        read_weights(path)
    assert str(refused.value).startswith(f"{path}: ") and said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_files_and_foreign_hdf5_are_named(tmp_path):
    with pytest.raises(SpecError, match="none.caffemodel: no such file"):
        read_weights(tmp_path / "none.caffemodel")
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(SpecError, match="features.h5: holds no group 'data'"):
        read_weights(tmp_path / "features.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data/fc/weights"] = np.zeros(3)
    with pytest.raises(SpecError, match="layer 'fc' holds something else"):
        read_weights(tmp_path / "other.h5")
    for name, value in ("text", ["a"]), ("null", h5py.Empty("f")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data/fc/0"] = value
        with pytest.raises(SpecError, match=f"{name}.h5: ") as refused:
            read_weights(tmp_path / f"{name}.h5")
        assert "\n" not in str(refused.value)
    with h5py.File(tmp_path / "state.solverstate.h5", "w") as file:
        file["history/0"] = np.zeros(3)
    with pytest.raises(SpecError, match="give the .caffemodel.h5 beside it"):
        read_weights(tmp_path / "state.solverstate.h5")


@given(st.integers(0, 10**6), st.data())
def test_no_cut_or_spoilt_file_ends_in_anything_but_an_answer_or_one_line(tmp_path_factory, cut, data):
    whole = pb.NetParameter(layer=[pb.LayerParameter(name="fc", blobs=[blob((2, 3)), blob((2,))])]).SerializeToString()
    spoilt = bytearray(whole[: cut % (len(whole) + 1)])
    if spoilt:
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "spoilt.caffemodel"
    path.write_bytes(spoilt)
    try:
        read_weights(path)
    except SpecError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("form", ["caffemodel", "double", "h5"])
def test_values_that_are_no_numbers_are_found(tmp_path, form):
    for value, layer in ((1.0, None), (np.nan, "b"), (-np.inf, "b")):
        values = np.array([0.5, value, 2.0])
        path = tmp_path / ("w.caffemodel.h5" if form == "h5" else "w.caffemodel")
        if form == "h5":
            with h5py.File(path, "w") as file:
                file["data/a/0"], file["data/b/0"] = np.ones(2), values
        else:
            net = pb.NetParameter()
            for name, data in (("a", np.ones(2)), ("b", values)):
                net.layer.add(name=name).blobs.add(**{"double_data" if form == "double" else "data": data})
            path.write_bytes(net.SerializeToString())
        if layer is None:
            check_finite(path)
        else:
            with pytest.raises(SpecError, match=f"layer '{layer}' holds nan or inf"):
                check_finite(path)
