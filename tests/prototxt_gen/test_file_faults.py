"""What is wrong with the files that layers name, by example; and nothing where nothing is wrong."""

import re

import h5py
import lmdb
import numpy as np
import pytest

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import parse
from prototxt_gen.check import check
from prototxt_gen.file_faults import data_faults, naming_faults
from tests.prototxt_gen.bad_files import HDF5, MEANS, hdf5_net, image_net, write_images


def messages(text):
    (layer,) = [layer for layer in parse(text).layer if not layer.bottom]
    return [message for _, message in (*naming_faults(layer), *data_faults(layer))]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", HDF5)
def test_hdf5_files_hold_what_caffe_reads(case, here):
    make, _, said = HDF5[case]
    make(here)
    found = messages(hdf5_net())
    assert len(found) == len(said)
    for message, words in zip(found, said):
        assert words in message and "\n" not in message
    (here / "net").write_text(hdf5_net())
    check("net")  # never a traceback


@pytest.mark.parametrize("case", MEANS)
def test_means_are_of_the_pictures_shape(case, here):
    make, _, said = MEANS[case]
    write_images(here)
    make(here / "mean")
    found = messages(image_net("mean_file: 'mean'"))
    assert [said in message for message in found] == ([True] if said else [])
    (here / "net").write_text(image_net("mean_file: 'mean'"))
    assert [finding.line for finding in check("net").findings] == ([2] if said else [])


def test_a_mean_of_resized_pictures_and_of_a_database(here):
    write_images(here)
    MEANS["another size"][0](here / "mean")
    resized = image_net("mean_file: 'mean'").replace("batch_size", "new_height: 256 new_width: 256 batch_size")
    assert messages(resized) == []
    with lmdb.open(str(here / "db")) as database, database.begin(write=True) as transaction:
        transaction.put(b"0", pb.Datum(channels=1, height=256, width=256, data=b"x").SerializeToString())
    (message,) = messages(
        "layer { name: 'd' type: 'Data' top: 'x' transform_param { mean_file: 'mean' }"
        " data_param { source: 'db' backend: LMDB batch_size: 1 } }"
    )
    assert "has 3 channels, and the pictures have 1" in message


@pytest.mark.parametrize(
    "content, said",
    [
        ("0.png 1\n1.png 0\n", []),
        ("0.png 1\n1.png 0", []),
        ("0.png 1\n\n1.png 0\n", ["line 2: Caffe takes '' for an image without a name"]),
        ("0.png\n1.png 0\n", ["line 1: Caffe takes '0.png' for an image of label 0: no label"]),
        ("0.png 0\n1.png 1 \n", ["line 2: Caffe takes '1.png 1 ' for an image of label 0, for", "'1.png 1', which is"]),
        ("0.png cat\n1.png dog\n", ["'0.png cat', and 1 more lines like it for an image of label 0, for the label is"]),
        ("0.png\t1\n", ["no label stands behind a blank", "which is not there"]),
        ("0.png 1\nnone.png 0\n", ["lists 'none.png', which is not there"]),
        ("\ufeff0.png 1\n", ["begins with a byte order mark, which Caffe takes for a part of its first name"]),
        ("", ["lists no image"]),
        ("\n\n", ["lists no image"]),
    ],
)
def test_lists_of_images_have_a_name_and_a_label_a_line(content, said, here):
    write_images(here)
    (here / "images.txt").write_bytes(content.encode())
    found = messages(image_net())
    assert len(found) == len(said) and all(words in message for words, message in zip(said, found)), found


def test_lists_in_utf_16_are_named(here):
    write_images(here)
    for name, text in ("images.txt", image_net()), ("files.txt", hdf5_net()):
        (here / name).write_bytes("0.png 1\n".encode("utf-16"))
        assert [f"'{name}' cannot be read as a list: {name}: saved as UTF-16" in one for one in messages(text)] == [
            True
        ]


def test_only_blanks_of_ascii_part_the_names_of_a_list(here):
    """As std::istream has it: U+2028 and a no-break space, copied from a page, are of a name."""
    with h5py.File("a.h5", "w") as file:
        file["data"] = file["label"] = np.zeros(4, "f4")
    net = hdf5_net()
    (source,) = re.findall(r'source: ["\'](.*?)["\']', net)
    for blank, is_blank in (
        ("\n", True),
        ("\f", True),
        ("\r", True),
        ("\u2028", False),
        ("\u00a0", False),
        ("\x1c", False),
    ):
        (here / source).write_bytes(f"a.h5{blank}a.h5{blank}".encode())
        assert any("there is no such file" in message for message in messages(net)) is not is_blank, repr(blank)


def test_names_that_no_file_can_have_are_not_there(here):
    net, name = hdf5_net(), 300 * "x"
    (source,) = re.findall(r'source: ["\'](.*?)["\']', net)
    assert [f"there is no '{name}'" in message for message in messages(net.replace(source, name))] == [True]
    (here / source).write_text(name)
    assert [f"lists '{name}': there is no such file" in message for message in messages(net)] == [True]
    (here / "folder.h5").mkdir()
    (here / source).write_text("folder.h5")
    assert ["no HDF5 file (folder.h5: not a file" in message for message in messages(net)] == [True]


def put(folder, *values):
    with lmdb.open(str(folder), map_size=2**20) as database, database.begin(write=True) as transaction:
        for key, value in enumerate(values):
            transaction.put(b"%d" % key, value)


DATABASE = "layer { name: 'd' type: 'Data' top: 'x' data_param { source: 'db' batch_size: 1 %s } }"


def test_databases_hold_pictures(here):
    net = DATABASE % "backend: LMDB"
    assert "there is no 'db'" in messages(net)[0]
    (here / "db").mkdir()
    assert "db/data.mdb: no such file" in messages(net)[0]
    put(here / "db")
    assert "db: an empty database" in messages(net)[0]
    put(here / "db", b"\x0a\xff\xff")
    assert "no Datum" in messages(net)[0]
    datum = pb.Datum(channels=3, height=40, width=40, data=bytes(4800))
    put(here / "db", *[datum.SerializeToString()] * 50)
    with lmdb.open(str(here / "db"), readonly=True):  # by this process: no fault of the file's
        assert messages(net) == []
    assert messages(net) == []
    (message,) = messages(DATABASE % "")
    assert "'db' is an LMDB, not a LEVELDB (the default): set backend: LMDB" in message
    (message,) = messages(net.replace("'db'", "'db/data.mdb'"))
    assert "'db/data.mdb' is a file, and Caffe wants the folder of a database" in message
    with open(here / "db" / "data.mdb", "r+b") as file:
        file.truncate(50_000)
    assert "db/data.mdb: is cut off" in messages(net)[0]


PYTHON = "layer { name: 'd' type: 'Python' top: 'x' python_param { module: '%s' layer: '%s' } }"


@pytest.mark.parametrize(
    "module, layer, said",
    [
        ("mine", "Mine", ""),
        ("mine", "Other", "'mine.py' defines no 'Other'"),
        ("mien", "Mine", "there is no Python module 'mien' here nor on PYTHONPATH; did you mean 'mine'?"),
        ("mine.py", "Mine", "'mine.py' is no name of a Python module: set 'mine'"),
        ("lib/mine", "Mine", "'lib/mine' is no name of a Python module"),
        ("package.inner", "Inner", ""),
        ("package.none", "Inner", "there is no module 'package.none'"),
        ("elsewhere", "Borrowed", ""),
        ("broken", "Any", ""),
        ("beside", "Borrowed", ""),
        ("json", "JSONDecoder", ""),
        ("lrcn.clip_data", "ClipData", ""),
    ],
)
def test_python_layers_are_looked_for_and_not_imported(module, layer, said, here, monkeypatch):
    (here / "mine.py").write_text("raise SystemExit('foreign code ran')\nclass Mine: pass\n")
    (here / "package").mkdir()
    (here / "package" / "inner.py").write_text("from mine import Mine as Inner\n")
    (here / "path").mkdir()
    (here / "path" / "elsewhere.py").write_text("from mine import *\n")
    (here / "beside").mkdir()  # a folder that hides no module of the name
    (here / "path" / "beside.py").write_text("class Borrowed: pass\n")
    (here / "lrcn").write_text("")
    (here / "broken.py").write_text("class (\n")
    monkeypatch.setenv("PYTHONPATH", str(here / "path"))
    found = messages(PYTHON % (module, layer))
    assert [said in message for message in found] == ([True] if said else []), found
