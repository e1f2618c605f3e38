"""`lrcn nets show`: which net it shows, in which state, and what it says."""

import json

import pytest

from lrcn.activity import clip_settings
from lrcn.commands import net_table
from netspecs import catalogue
from prototxt_gen import SpecError, to_text
from prototxt_gen import caffe_pb2 as pb
from tests.commands import lrcn, refused


def document(*arguments):
    done = lrcn("nets", "show", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tops(shown):
    return {name: shape for layer in shown["layers"] for name, shape in layer["tops"]}


def test_a_name_is_its_training_net_as_its_solver_trains_it():
    shown = document("caption/lrcn-2f", "--set", "streams=8", "units=16")
    assert (shown["phase"], shown["stages"]) == ("TRAIN", ["freeze-convnet", "factored", "2-layer"])
    assert tops(shown)["lstm2"] == [20, 8, 16]
    assert shown["totals"]["training_bytes"] > shown["totals"]["activation_bytes"] > 0
    assert not shown["problems"] and not shown["unknown"]
    tested = document("caption/lrcn-2f", "--phase", "test")
    assert tested["stages"][-1] == "test-on-train" and tested["totals"]["training_bytes"] is None
    assert "accuracy" in tops(tested)


def test_a_name_s_other_nets():
    assert tops(document("activity/lrcn-fc6-rgb", "--deploy"))["probs"] == [16, 10, 101]
    assert "fc8" in tops(document("caption/lrcn-1u", "--part", "deploy_images"))
    refused(lrcn("nets", "show", "caption/lrcn-1u", "--part", "deploy_image"), "did you mean 'deploy_images'?")


@pytest.fixture
def written(tmp_path):
    files = catalogue.get("activity/lrcn-fc6-rgb").files(videos=2, test_videos=1, frames=3)
    for kind in "train_test", "deploy":
        (tmp_path / kind).write_text(to_text(files[kind]))
    return tmp_path


def test_a_file_s_python_layer_says_its_shapes(written):
    shown = document(written / "train_test")
    assert shown["phase"] == "TRAIN"
    assert tops(shown)["data"] == [6, 3, 227, 227] and tops(shown)["lstm1"] == [3, 2, 256]
    assert tops(document(written / "train_test", "--phase", "TEST", "--stage", "test-on-test"))["lstm1"] == [3, 1, 256]
    assert document(written / "deploy")["phase"] == "TEST"


def test_what_is_not_known_is_said_with_the_mend(tmp_path):
    net = pb.NetParameter()
    net.layer.add(name="data", type="HDF5Data", top=["words"]).hdf5_data_param.batch_size = 20
    net.layer.add(name="flat", type="Flatten", bottom=["words"], top=["flat"])
    (tmp_path / "net").write_text(to_text(net))
    done = lrcn("nets", "show", tmp_path / "net")
    assert done.returncode == 0 and "words ?" in done.stdout and "--input words=" in done.stdout
    assert tops(document(tmp_path / "net", "--input", "words=20,3,4"))["flat"] == [20, 12]
    refused(lrcn("nets", "show", tmp_path / "net", "--input", "word=3"), "did you mean 'words'?")
    refused(lrcn("nets", "show", tmp_path / "net", "--input", "flat=3"), "no data layer")
    refused(lrcn("nets", "show", tmp_path / "net", "--input", "words"), "data=24,3,227,227")


def test_problems_are_shown_with_their_layer(tmp_path):
    (tmp_path / "net").write_text('layer { name: "a" type: "Relu" bottom: "x" top: "y" }')
    done = lrcn("nets", "show", tmp_path / "net")
    assert "problem: layer 'a': no layer makes its bottom 'x'" in done.stdout
    assert "did you mean 'ReLU'?" in done.stdout


def test_the_table_adds_up():
    chosen = net_table.choose("activity/single-frame-rgb", None, {"batch": 4}, None, [])
    found = net_table.look(chosen)
    text = net_table.as_text(chosen, found)
    lines = text.splitlines()
    assert lines[0] == "activity/single-frame-rgb, TRAIN"
    assert len(lines) >= 3 + len(found.rows) + 2
    assert f"{sum(row.parameters for row in found.rows):,} parameters" in lines[-1]
    assert "conv1 4x96x111x111" in text and "14,208" in text
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_diagrams_are_written(suffix, tmp_path):
    out = tmp_path / "drawings" / f"net.{suffix}"
    assert lrcn("nets", "show", "lm/lstm-lm", "--diagram", out).returncode == 0
    assert out.stat().st_size > 5000
    refused(lrcn("nets", "show", "lm/lstm-lm", "--diagram", tmp_path / "net.gif"), ".svg or .png")
    refused(lrcn("nets", "show", out, "--diagram", out), f"{out}: is a file that this command reads")
    refused(lrcn("nets", "show", "lm/lstm-lm", "--brief"), "--brief: goes with --diagram")
    assert list(out.parent.iterdir()) == [out]


def test_bad_usage_is_one_line(written):
    refused(lrcn("nets", "show", "caption/lrcn-2f-vgg"), "did you mean 'caption/lrcn-2f-vgg16'?")
    refused(lrcn("nets", "show", written / "deploy", "--deploy"), "is a file")
    refused(lrcn("nets", "show", written / "deploy", "--set", "units=3"), "is a file")
    refused(lrcn("nets", "show", "caption/lrcn-2f", "--set", "unit=3"), "did you mean 'units'?")


def test_clip_data_tells_its_shapes_without_caffe():
    files = catalogue.get("activity/single-frame-flow").files(batch=5)
    (layer,) = [it for it in files["train_test"].layer if it.type == "Python" and it.include[0].phase == pb.TRAIN]
    assert clip_settings.top_shapes(layer) == [(5, 3, 227, 227), (5,)]
    layer.python_param.param_str = "[]"
    with pytest.raises(ValueError, match="JSON object"):
        clip_settings.top_shapes(layer)
    layer.python_param.layer = "Other"
    assert clip_settings.top_shapes(layer) is None


@pytest.mark.parametrize("text", ["x", "x=", "x=0", "x=a,b", "=3", "x=3,-1"])
def test_inputs_that_make_no_sense(text):
    with pytest.raises(SpecError, match="--input"):
        net_table.read_input(text)


def test_inputs_that_do():
    assert net_table.read_input("cont_sentence=20,100") == ("cont_sentence", (20, 100))
    assert net_table.read_input("x=2x3") == ("x", (2, 3))
