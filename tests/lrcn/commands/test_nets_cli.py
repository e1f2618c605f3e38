"""The commands `lrcn nets ...`: what they print, and with which exit code."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from netspecs import catalogue
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.text import read
from tests.commands import lrcn, refused
from tests.datasets import clip_settings

# ---- nets diff and nets weights ----

RELU = "layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'y' include { phase: TRAIN } }\n"


def write(folder, **texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.prototxt").write_text(text)
    return folder


def test_diff_says_nothing_of_files_that_mean_the_same(tmp_path):
    other = "layer: < type: 'ReLU' name: 'a'  # the same\n top: 'y' bottom: 'x' exclude { phase: TEST } >\n"
    write(tmp_path, a=RELU, b=other)
    done = lrcn("nets", "diff", "a.prototxt", "b.prototxt", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_diff_prints_a_line_a_difference(tmp_path):
    write(tmp_path, a=RELU, b=RELU.replace("'ReLU'", "'ELU' elu_param { alpha: 2 }"))
    done = lrcn("nets", "diff", "a.prototxt", "b.prototxt", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["layer a: type: ReLU -> ELU", "layer a: elu_param.alpha: 1 (default) -> 2"]
    done = lrcn("nets", "diff", "a.prototxt", "b.prototxt", "--json", cwd=tmp_path)
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert not said["same"] and [row["what"] for row in said["differences"]] == ["type", "elu_param.alpha"]
    assert said["differences"][0] == {"where": "layer a", "what": "type", "left": "ReLU", "right": "ELU", "remark": ""}


def test_diff_compares_what_caffe_would_build(tmp_path):
    write(tmp_path, a=RELU, b=RELU.replace("TRAIN", "TRAIN stage: 's'"))
    assert lrcn("nets", "diff", "a.prototxt", "b.prototxt", cwd=tmp_path).returncode == 1
    done = lrcn("nets", "diff", "a.prototxt", "b.prototxt", "--phase", "TRAIN", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "layer a: only in A: ReLU x -> y\n")
    for state in ["--phase", "TEST"], ["--phase", "train", "--stage", "s", "--stage", "t"]:
        assert lrcn("nets", "diff", "a.prototxt", "b.prototxt", *state, cwd=tmp_path).returncode == 0


def test_diff_of_folders_goes_by_file(tmp_path):
    solver = "base_lr: 0.1\nstepsize: %d\n"
    write(tmp_path / "a" / "x", net=RELU, solver=solver % 1)
    write(tmp_path / "b" / "x", net=RELU, solver=solver % 2)
    write(tmp_path / "a", old=RELU)
    write(tmp_path / "b", new=RELU)
    done = lrcn("nets", "diff", "a", "b", "--phase", "TRAIN", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "only in A: old.prototxt",
        "only in B: new.prototxt",
        "x/solver.prototxt:",
        "  solver: stepsize: 1 -> 2",
    ]
    said = json.loads(lrcn("nets", "diff", "a", "b", "--json", cwd=tmp_path).stdout)
    assert (said["only_in_a"], said["only_in_b"]) == (["old.prototxt"], ["new.prototxt"])
    assert [(row["file"], row["where"]) for row in said["differences"]] == [("x/solver.prototxt", "solver")]
    assert lrcn("nets", "diff", "a", "a", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["net.prototxt", "solver.prototxt"], "net.prototxt is a net and solver.prototxt a solver"),
        (["net.prototxt", "none.prototxt"], "none.prototxt"),
        (["net.prototxt", "folder"], "two files or two folders"),
        (["folder", "folder"], "no .prototxt in folder"),
        (["net.prototxt", "old.prototxt"], "old.prototxt:2: 'layer' and 'layers' cannot stand in one file"),
        (["net.prototxt", "bad.prototxt"], "bad.prototxt:2: "),
        (["net.prototxt", "net.prototxt", "--stage", "s"], "--phase"),
        (["net.prototxt", "weights.caffemodel"], "weights.caffemodel: not a text file"),
    ],
)
def test_diff_refuses_bad_input_in_one_line(arguments, said, tmp_path):
    write(
        tmp_path,
        net=RELU,
        solver="base_lr: 1\n",
        old="layers { name: 'a' type: RELU }\nlayer { name: 'b' }\n",
        bad="name: 'x'\nlayer { type: }\n",
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "weights.caffemodel").write_bytes(b"\x0a\x02\0\xff\xfe")
    refused(lrcn("nets", "diff", *arguments, cwd=tmp_path), said)


IMAGE = "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: [1, 3, 8, 8] } } }\n"
CONV = IMAGE + (
    "layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'"
    " convolution_param { num_output: 2 kernel_size: 3 } }\n"
)


def trained(path, *shapes):
    net = pb.NetParameter()
    net.layer.add(
        name="conv",
        blobs=[pb.BlobProto(shape=pb.BlobShape(dim=shape), data=np.zeros(int(np.prod(shape)))) for shape in shapes],
    )
    path.write_bytes(net.SerializeToString())


def test_weights_says_layer_by_layer_what_is_copied(tmp_path):
    write(tmp_path, net=CONV + CONV.replace(IMAGE, "").replace("name: 'conv'", "name: 'conv2'"))
    trained(tmp_path / "net.caffemodel", (2, 3, 3, 3), (2,))
    done = lrcn("nets", "weights", "net.prototxt", "net.caffemodel", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["conv", "copied", "2x3x3x3,", "2"],
        ["conv2", "initialised", "afresh", "2x3x3x3,", "2", "(the", "file", "has", "no", "such", "layer)"],
        ["copied:", "56", "of", "112", "parameters", "(50.0", "%)"],
    ]
    said = json.loads(lrcn("nets", "weights", "net.prototxt", "net.caffemodel", "--json", cwd=tmp_path).stdout)
    assert (said["copied"], said["parameters"], said["clashes"]) == (56, 112, 0)
    assert said["layers"][0] == {
        "layer": "conv",
        "type": "Convolution",
        "status": "copied",
        "why": "",
        "net": [[2, 3, 3, 3], [2]],
        "file": [[2, 3, 3, 3], [2]],
    }


def test_weights_that_clash_are_no(tmp_path):
    write(tmp_path, net=CONV)
    trained(tmp_path / "net.caffemodel", (2, 3, 5, 5), (2,))
    done = lrcn("nets", "weights", "net.prototxt", "net.caffemodel", cwd=tmp_path)
    assert done.returncode == 1
    assert "blob 0 is 2x3x3x3 in the net, 2x3x5x5 in the file" in done.stdout
    assert done.stdout.splitlines()[-1] == "Caffe would stop at 1 clash and copy nothing"


def test_weights_go_into_a_net_of_the_catalogue_as_it_is_set(tmp_path):
    net = pb.NetParameter()
    net.layer.add(name="fc6", blobs=[pb.BlobProto(shape=pb.BlobShape(dim=[7]), data=[0] * 7)])
    net.layer.add(name="fc9", blobs=[pb.BlobProto(shape=pb.BlobShape(dim=[7]), data=[0] * 7)])
    (tmp_path / "net.caffemodel").write_bytes(net.SerializeToString())
    done = lrcn(
        "nets", "weights", "activity/lrcn-fc6-rgb", "net.caffemodel", "--set", "units=512", "--json", cwd=tmp_path
    )
    assert done.returncode == 1
    layers = {row["layer"]: row for row in json.loads(done.stdout)["layers"]}
    assert layers["lstm1"]["net"] == [[2048, 4096], [2048], [2048, 512]]
    assert [layers[name]["status"] for name in ("fc6", "fc9", "lstm1")] == ["clash", "ignored", "initialised afresh"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["net.caffemodel", "net.prototxt"], "net.caffemodel: not a text file"),
        (["net.prototxt", "net.prototxt"], "net.prototxt: a text file; a .caffemodel is expected here"),
        (["net.prototxt", "cut.caffemodel"], "cut off"),
        (["net.prototxt", "none.caffemodel"], "none.caffemodel"),
        (["none.prototxt", "net.caffemodel"], "none.prototxt: no such file"),
    ],
)
def test_weights_refuses_bad_input_in_one_line(arguments, said, tmp_path):
    write(tmp_path, net=CONV)
    trained(tmp_path / "net.caffemodel", (2, 3, 3, 3), (2,))
    (tmp_path / "cut.caffemodel").write_bytes((tmp_path / "net.caffemodel").read_bytes()[:100])
    refused(lrcn("nets", "weights", *arguments, cwd=tmp_path), said)


# ---- list and write ----------------------------------------------------------------------------------------


def test_all_is_every_edition_and_the_same_twice(tmp_path):
    for out in "once", "twice":
        assert lrcn("nets", "write", "--all", "--out", tmp_path / out).returncode == 0
    once, twice = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.prototxt")}
        for folder in (tmp_path / "once", tmp_path / "twice")
    )
    assert once == twice
    folders = {str(path.parent) for path in once}
    assert {
        "activity/single-frame-rgb",
        "activity/lrcn-fc7-flow/split-3",
        "caption/lrcn-4f-vgg16/finetune-trainval",
        "caption/lrcn-1u/from-lm",
        "lm/lstm-lm",
        "video/decoder-prob",
    } <= folders
    assert len(folders) == 6 * 3 + 8 * 4 + 1 + 4
    for folder in folders:
        assert {path.stem for path in once if str(path.parent) == folder} >= {"train_test", "deploy", "solver"}


def test_the_published_files_lie_under_their_names_and_say_what_is_left_out(tmp_path):
    assert lrcn("nets", "write", "--published", "--out", tmp_path).returncode == 0
    assert len(list(tmp_path.rglob("*.prototxt"))) == 26
    flow = (tmp_path / "LRCN_activity_recognition" / "train_test_singleFrame_flow.prototxt").read_text()
    header = [line for line in flow.splitlines() if line.startswith("#")]
    assert any("fork" in line for line in header) and any("min_height" in line for line in header)
    assert "fork" not in (tmp_path / "coco_caption" / "lrcn.prototxt").read_text()
    refused(lrcn("nets", "write", "--published", "--set", "units=3", "--out", tmp_path), "--set")


def test_settings_from_a_toml_file_and_several_after_one_set(tmp_path):
    (tmp_path / "small.toml").write_text('units = 32\nvideos = 5\n["lm/lstm-lm"]\nvocabulary = 77\n')
    done = lrcn(
        "nets",
        "write",
        "activity/lrcn-fc6-rgb",
        "lm/lstm-lm",
        "--config",
        "small.toml",
        "--set",
        "videos=8",
        "steps=9",
        "--out",
        "nets",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lrcn_net = (tmp_path / "nets" / "activity" / "lrcn-fc6-rgb" / "train_test.prototxt").read_text()
    assert "shape { dim: 16 dim: 8 dim: 4096 }" in lrcn_net and "num_output: 32" in lrcn_net
    language_model = (tmp_path / "nets" / "lm" / "lstm-lm" / "train_test.prototxt").read_text()
    assert "input_dim: 77" in language_model and "batch_size: 9" in language_model


def test_a_vocabulary_s_words_and_the_end_of_a_sentence_are_what_a_net_says(tmp_path):
    (tmp_path / "vocabulary.txt").write_text("<unk>\ncon\nchó\nmèo\n", encoding="utf-8")
    words = ["--vocabulary", "vocabulary.txt"]
    done = lrcn("nets", "write", "caption/lrcn-2f", "lm/lstm-lm", *words, "--out", "nets", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for net in "caption/lrcn-2f", "lm/lstm-lm":
        for name in "train_test", "deploy":
            layers = {it.name: it for it in read(tmp_path / "nets" / net / f"{name}.prototxt").message.layer}
            assert layers["predict"].inner_product_param.num_output == 5
            assert layers["embedding"].embed_param.input_dim == 5
    shown = json.loads(lrcn("nets", "show", "lm/lstm-lm", "--deploy", *words, "--json", cwd=tmp_path).stdout)
    assert ["probs", [1, 1, 5]] in shown["layers"][-1]["tops"]
    (tmp_path / "set.toml").write_text('["lm/lstm-lm"]\nvocabulary = 77\n')
    write = ["nets", "write", "lm/lstm-lm", "--out", "other", *words]
    refused(lrcn(*write, "--set", "vocabulary=9", cwd=tmp_path), "the setting vocabulary is given too")
    refused(lrcn(*write, "--config", "set.toml", cwd=tmp_path), "the setting vocabulary is given too")
    refused(lrcn("nets", "write", "activity/lrcn-fc6-rgb", *write[3:], cwd=tmp_path), "no setting 'vocabulary'")
    (tmp_path / "vocabulary.txt").write_text("con\nchó\n", encoding="utf-8")
    refused(lrcn(*write, cwd=tmp_path), "vocabulary.txt: not a vocabulary", "its first line")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "text, said",
    [
        ("units = ", "cannot be read as TOML"),
        ("unitz = 3", "did you mean 'units'?"),
        ('["lm/lstm-ml"]\nunits = 3', "did you mean 'lm/lstm-lm'?"),
        ('["lm/lstm-lm"]\nunitz = 3', "did you mean 'units'?"),
        ("units = " + "[" * 5000, "too many brackets or dots"),
        ("units = " + "9" * 5000, "a number of thousands of digits"),
        ("units = 0x" + "F" * 5000, "a number of thousands of digits"),
        ("units = nan", "units=nan makes no sense"),
        ('"a\\u001b[31m" = 1', "b[31m' in lm/lstm-lm"),
    ],
    ids=str,
)
def test_a_wrong_toml_file_is_refused(tmp_path, text, said):
    (tmp_path / "wrong.toml").write_text(text)
    refused(lrcn("nets", "write", "lm/lstm-lm", "--config", "wrong.toml", "--out", "nets", cwd=tmp_path), said)
    assert not (tmp_path / "nets").exists()


@pytest.mark.parametrize("value", ["[" * 60_000, "9" * 5000, '{"a": 1, "a": 2}', "a\nb", "\x1b[31m"], ids=ascii)
def test_no_value_of_a_setting_breaks_the_line(value, tmp_path):
    for name in "units", "data":
        done = lrcn("nets", "write", "lm/lstm-lm", "--out", "nets", f"--set={name}={value}", cwd=tmp_path)
        if done.returncode:
            refused(done, "makes no sense")
            assert len(done.stderr) < 800
        assert not set(done.stdout + done.stderr) & {"\x1b"}


HOSTILE = """
layer { name: "a\\033[31m" type: "Input" top: "x\\nx" input_param { shape { dim: 1 } } }
layer { name: "\\302\\233b" type: "R\\033eLU" bottom: "y\\033]0;t\\007" top: "\\342\\200\\256z" }
layer { name: "c" type: "Python" top: "p" python_param { module: "\\033" } }
solver_\x1b: 1
"""


def test_what_a_net_holds_is_no_order_to_the_terminal(tmp_path):
    (tmp_path / "net.prototxt").write_text(HOSTILE.replace("solver_\x1b: 1\n", ""))
    (tmp_path / "no.prototxt").write_text(HOSTILE)
    for command in ("show net.prototxt", "check net.prototxt", "show net.prototxt --diagram d.svg", "show no.prototxt"):
        done = lrcn("nets", *command.split(), cwd=tmp_path)
        assert "Traceback" not in done.stderr
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.stdout + done.stderr), command
    ElementTree.parse(tmp_path / "d.svg")
    (tmp_path / "other.prototxt").write_text("layer { name: 'x' type: 'Input' top: 'y' }")
    done = lrcn("nets", "diff", "net.prototxt", "other.prototxt", cwd=tmp_path)
    assert done.returncode == 1 and len(done.stdout.split("\n")) < 12
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.stdout)


def test_the_list_shows_task_place_parameters_and_inputs():
    done = lrcn("nets", "list", "--task", "caption")
    lines = done.stdout.splitlines()
    assert len(lines) == 9 and lines[0].split() == ["name", "task", "paper", "parameters", "inputs"]
    refused(lrcn("nets", "list", "--task", "captions"), "it takes one of activity, caption, lm, video")
    line = next(line for line in lines if line.startswith("caption/lrcn-2f "))
    for words in "caption", "Tables 2 and 3, LRCN-2f", "98.58 M", "data 100x3x227x227", "input_sentence 20x100":
        assert words in line
    settings = lrcn("nets", "list", "caption/lrcn-2f").stdout
    assert "vocabulary=8801" in settings and "stage=train" in settings
    refused(lrcn("nets", "list", "caption/lrcn-3f"), "did you mean")


# ---- nets check ----

FINE = """\
layer { name: "data" type: "DummyData" top: "x" top: "label"
  dummy_data_param { shape { dim: 4 dim: 5 } shape { dim: 4 } } }
layer {
  name: "y" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param {
    num_output: 3
  }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" include { phase: TRAIN } }
"""


def test_check_prints_file_line_and_mend(tmp_path):
    write(tmp_path, fine=FINE, bad=FINE.replace("num_output", "num_outputs").replace('"label" top', '"labels" top'))
    done = lrcn("nets", "check", "fine.prototxt", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "fine.prototxt: no mistakes in TRAIN, TEST\n")
    done = lrcn("nets", "check", "fine.prototxt", "bad.prototxt", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert "bad.prototxt:6: InnerProductParameter has no field 'num_outputs'; did you mean 'num_output'?" in lines
    assert any(line.startswith("bad.prototxt:9: ") and "did you mean 'label'?" in line for line in lines)
    assert all(line.startswith("bad.prototxt:") for line in lines)
    found = json.loads(lrcn("nets", "check", "bad.prototxt", "--json", cwd=tmp_path).stdout)
    assert {"path", "line", "message", "about_data"} == set(found[0]) and len(found) == len(lines)


def test_check_takes_the_state_and_the_folder(tmp_path):
    write(tmp_path, net=FINE.replace('bottom: "label"', 'bottom: "labels"'))
    assert lrcn("nets", "check", "net.prototxt", "--phase", "TRAIN", cwd=tmp_path).returncode == 1
    assert lrcn("nets", "check", "net.prototxt", "--phase", "TEST", cwd=tmp_path).returncode == 0
    write(tmp_path / "run", net=FINE)
    write(tmp_path, solver='net: "net.prototxt"\nbase_lr: 1\nlr_policy: "fixed"\nmax_iter: 9\n')
    assert lrcn("nets", "check", "solver.prototxt", cwd=tmp_path).returncode == 1
    assert lrcn("nets", "check", "solver.prototxt", "--folder", "run", cwd=tmp_path).returncode == 0


def test_check_of_written_nets_as_the_pages_have_it(tmp_path):
    assert (
        lrcn("nets", "write", "caption/lrcn-2f", "activity/lrcn-fc6-rgb", "--out", "nets", cwd=tmp_path).returncode == 0
    )
    solvers = [f"nets/{net}/solver.prototxt" for net in ("caption/lrcn-2f", "activity/lrcn-fc6-rgb")]
    done = lrcn("nets", "check", *solvers, "--no-data", cwd=tmp_path)
    captions, clips = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (0, "") and captions.startswith(
        f"{solvers[0]}: no mistakes in TRAIN with "
    )
    shapes = "the shapes of cont_sentence, input_sentence, target_sentence"
    assert captions.endswith(
        f"; paths count from nets/caption/lrcn-2f; not looked at, as only data tell them: {shapes}"
    )
    assert clips.endswith("TRAIN, TEST with test-on-test; paths count from nets/activity/lrcn-fc6-rgb")

    done = lrcn("nets", "check", *solvers, cwd=tmp_path)
    assert done.returncode == 1 and "there is no 'train_images.txt'" in done.stdout
    assert done.stderr == "8 of 8 are about the data that the nets read: --no-data leaves them out\n"
    found = json.loads(lrcn("nets", "check", solvers[0], "--json", cwd=tmp_path).stdout)
    assert len(found) == 6 and all(finding["about_data"] for finding in found)


def test_check_refuses_what_is_no_prototxt(tmp_path):
    refused(lrcn("nets", "check", "nowhere.prototxt", cwd=tmp_path), "nowhere.prototxt", "no such file")
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\x02\0\xff\xfe")
    refused(lrcn("nets", "check", "net.caffemodel", cwd=tmp_path), "not a text file")
    write(tmp_path, net=FINE)
    refused(lrcn("nets", "check", "net.prototxt", "--stage", "x", cwd=tmp_path), "--phase")


def test_check_knows_the_clip_layer_and_the_classes_of_its_lists(tmp_path, dataset):
    settings = json.dumps(clip_settings(dataset))
    text = (
        "layer { name: 'data' type: 'Python' top: 'x' top: 'label'\n python_param { module: 'lrcn.clip_data' "
        f"layer: 'ClipData' param_str: '{settings}' }} }}\n" + FINE[FINE.index("layer {\n") :]
    )
    write(tmp_path, net=text)
    assert lrcn("nets", "check", "net.prototxt", cwd=tmp_path).returncode == 0
    for old, new, line, said in [
        ("num_output: 3", "num_output: 2", 9, "'label' of layer 'data' reaches 2, but 'y' has 2 classes"),
        (str(dataset), "nowhere", 2, "nowhere"),
        ('"crop"', '"corp"', 2, "did you mean 'crop'?"),
    ]:
        write(tmp_path, net=text.replace(old, new))
        done = lrcn("nets", "check", "net.prototxt", cwd=tmp_path)
        assert done.returncode == 1
        rows = done.stdout.splitlines()
        assert any(row.startswith(f"net.prototxt:{line}: ") and said in row for row in rows), rows


# ---- explain -----------------------------------------------------------------------------------------------


def test_explain_says_where_a_value_comes_from():
    done = lrcn("nets", "explain", "activity/lrcn-fc6-flow", "clip_gradients")
    assert done.returncode == 0 and done.stdout.splitlines() == [
        "activity/lrcn-fc6-flow: Table 1, LRCN-fc6, flow",
        f"  {'clip_gradients=15.0':<36} release: LRCN_activity_recognition/lstm_solver_flow.prototxt: clip_gradients",
    ]
    every = lrcn("nets", "explain", "caption/lrcn-2f", "--set", "stage=finetune", "units=512").stdout.splitlines()
    known = json.loads(lrcn("nets", "list", "caption/lrcn-2f", "--json").stdout)[0]["settings"]
    assert [line.split("=")[0].strip() for line in every[1:]] == list(known)
    place = "release: coco_caption/lrcn.prototxt: lstm1.recurrent_param.num_output"
    assert f"  {'units=512':<36} set; published 1000, {place}" in every
    assert any("max_iter=50000" in line and "lrcn_finetune_solver.prototxt" in line for line in every)


def test_explain_as_json():
    [row] = json.loads(lrcn("nets", "explain", "activity/lrcn-fc7-rgb", "drop7", "--json").stdout)
    assert row == {
        "setting": "drop7",
        "value": 0.5,
        "published": 0.5,
        "cause": "",
        "kind": "ours",
        "where": "neither release nor paper has it for LRCN-fc7; as the single-frame net that it starts from",
        "file": None,
        "field": None,
    }


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["activity/lrcn-fc6-rbg"], "did you mean 'activity/lrcn-fc6-rgb'?"),
        (["activity/lrcn-fc6-rgb", "unit"], "activity/lrcn-fc6-rgb has no setting 'unit'; did you mean 'units'?"),
        (["activity/lrcn-fc6-rgb", "--set", "units=0"], "units=0"),
    ],
)
def test_explain_refuses_what_is_not_there(arguments, said):
    refused(lrcn("nets", "explain", *arguments), said)


def test_write_explains_beside_the_values(tmp_path):
    done = lrcn("nets", "write", "lm/lstm-lm", "--explain", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    solver = (tmp_path / "lm" / "lstm-lm" / "solver.prototxt").read_text()
    assert "base_lr: 0.1  # lstm_lm_solver.prototxt\n" in solver
    refused(lrcn("nets", "write", "--published", "--explain", "--out", tmp_path), "--explain")


FORK = """\
layer { name: "data" type: "FramesData" top: "data" frames_param { side: 8 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: MOX kernel_size: 2 } }
layer { name: "rev" type: "Reverse" bottom: "fc" top: "rev" }
"""


def test_show_draws_nets_of_forks_and_names_what_only_they_have(tmp_path):
    write(tmp_path, net=FORK)
    done = lrcn("nets", "show", "net.prototxt", "--input", "data=4,3,8,8", cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "rev Reverse rev ? ? ? ?" in lines
    assert "fc InnerProduct fc 4x2 386 1.54 k 32 B" in lines
    for problem in (
        "net.prototxt:1: LayerParameter has no field 'frames_param'",
        "net.prototxt:3: PoolingParameter.pool has no value 'MOX'; did you mean 'MAX'?",
        "layer 'data': there is no layer type 'FramesData'",
        "layer 'rev': there is no layer type 'Reverse'",
    ):
        assert any(line.startswith(f"problem: {problem}") for line in lines), problem
    lenient = lrcn("nets", "show", "net.prototxt", "--lenient", cwd=tmp_path).stdout
    assert "problem:" not in lenient and lenient.count("note: passed over: ") == 4


def test_what_only_forks_have_is_passed_over_where_asked(tmp_path):
    write(tmp_path, a=FORK, b=FORK.replace("frames_param { side: 8 }", ""), weights="")
    done = lrcn("nets", "check", "a.prototxt", cwd=tmp_path)
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 4
    done = lrcn("nets", "check", "a.prototxt", "--lenient", cwd=tmp_path)
    assert done.returncode == 0 and not done.stdout
    assert done.stderr.count("passed over: a.prototxt:") == 4
    assert lrcn("nets", "diff", "a.prototxt", "b.prototxt", cwd=tmp_path).returncode == 1
    done = lrcn("nets", "diff", "a.prototxt", "b.prototxt", "--lenient", cwd=tmp_path)
    assert done.returncode == 0 and "passed over: a.prototxt:1: " in done.stderr
    net = pb.NetParameter(layer=[pb.LayerParameter(name="fc", blobs=[pb.BlobProto(shape=pb.BlobShape(dim=[2, 5]))])])
    (tmp_path / "net.caffemodel").write_bytes(net.SerializeToString())
    refused(lrcn("nets", "weights", "a.prototxt", "net.caffemodel", cwd=tmp_path), "a.prototxt:1: ", "--lenient")
    done = lrcn("nets", "weights", "a.prototxt", "net.caffemodel", "--lenient", cwd=tmp_path)
    assert done.returncode == 0 and "passed over: a.prototxt:1: " in done.stderr


def test_show_tells_of_a_solver_and_of_its_net(tmp_path):
    write(tmp_path / "sub", net=FINE)
    write(
        tmp_path / "sub",
        solver='net: "sub/net.prototxt"\nbase_lr: 0.5\nlr_policy: "fixed"\nstrange: 1\ntrain_state { stage: "s" }\n',
    )
    for folder in tmp_path, tmp_path / "sub":  # where the path counts from, and elsewhere
        path = (tmp_path / "sub" / "solver.prototxt").relative_to(folder)
        done = lrcn("nets", "show", path, cwd=folder)
        assert done.returncode == 0 and not done.stderr
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        assert lines[0] == f"{path}, a solver" and "base_lr 0.5" in lines and 'train_state stage: "s"' in lines
        assert any(line.endswith("net.prototxt, TRAIN, s") for line in lines)
        assert any(line.startswith(f"problem: {path}:4: SolverParameter has no field 'strange'") for line in lines)
    shown = json.loads(lrcn("nets", "show", "sub/solver.prototxt", "--json", cwd=tmp_path).stdout)
    assert shown["solver"]["fields"]["base_lr"] == 0.5 and shown["layers"]
    (tmp_path / "sub" / "net.prototxt").unlink()
    done = lrcn("nets", "show", "sub/solver.prototxt", cwd=tmp_path)
    assert done.returncode == 0 and "note: its net 'sub/net.prototxt' is not here" in done.stdout


@pytest.mark.parametrize(
    "content, said",
    [
        (b"\xef\xbb\xbf" + RELU.encode(), "net.prototxt:1: begins with a byte order mark, at which Caffe stops"),
        (RELU.encode("utf-16"), "net.prototxt: saved as UTF-16"),
        (RELU.encode("utf-16-le"), "net.prototxt: saved as UTF-16"),
        (b"# Andr\xe9\n" + RELU.encode(), "net.prototxt:1: not UTF-8"),
    ],
)
def test_encodings_that_caffe_does_not_read_are_named(content, said, tmp_path):
    (tmp_path / "net.prototxt").write_bytes(content)
    refused(lrcn("nets", "show", "net.prototxt", cwd=tmp_path), said)


@pytest.mark.parametrize("columns", [1, 40, 80, 120, 200, None])
def test_the_list_of_nets_keeps_its_columns_apart_at_any_width(columns, tmp_path):
    environment = {} if columns is None else {"COLUMNS": str(columns)}
    text = lrcn("nets", "list", cwd=tmp_path, **environment).stdout
    words = text.split()
    variants = catalogue.variants()
    for variant in variants:  # each cell stands alone
        assert variant.name in words and variant.task in words
    if columns is None:
        assert len(text.splitlines()) == 1 + len(variants)
    elif columns >= 40:
        assert max(map(len, text.splitlines())) <= columns
    for name in "video/encoder-decoder-frames", "activity/lrcn-fc6-rgb":
        for command in "list", "explain":
            text = lrcn("nets", command, name, cwd=tmp_path, **environment).stdout
            for setting, value in catalogue.get(name).defaults.items():
                assert f"{setting}={json.dumps(value)}".replace('"', "") in " ".join(text.split())
            if (columns or 0) >= 80:
                assert max(map(len, text.splitlines())) <= columns
            assert " ".join(catalogue.get(name).help["seed"].split()) in " ".join(text.split()) or command == "explain"


def test_write_keeps_files_that_were_edited(tmp_path):
    def wrote(*options):
        return lrcn("nets", "write", "lm/lstm-lm", "--out", "nets", *options, cwd=tmp_path)

    path = tmp_path / "nets" / "lm" / "lstm-lm" / "solver.prototxt"
    assert wrote().returncode == 0
    as_published = path.read_text()
    assert wrote("--set", "units=8", "base_lr=0.5").returncode == 0  # unedited: written anew
    assert "base_lr: 0.5" in path.read_text()
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))  # as other systems check files out
    assert wrote().returncode == 0 and path.read_text() == as_published
    for edited in (
        as_published.replace("momentum: 0.9", "momentum: 0.8"),
        "# mine\n" + as_published,
        as_published.replace("# unedited", "# not unedited") + "iter_size: 2\n",
        "base_lr: 1\n",
        "",
    ):
        path.write_text(edited)
        other = path.with_name("deploy.prototxt")
        other.unlink(missing_ok=True)
        refused(wrote("--set", "units=8"), "nets/lm/lstm-lm/solver.prototxt", "--force")
        assert path.read_text() == edited and not other.exists()
    path.write_bytes(b"\xff\xfe")
    refused(wrote(), "solver.prototxt")
    assert wrote("--force").returncode == 0 and path.read_text() == as_published
    path.write_text(
        "# a header of before\n" + "".join(line for line in as_published.splitlines(True) if line[0] != "#")
    )
    assert wrote().returncode == 0 and path.read_text() == as_published
    refused(lrcn("nets", "write", "lm/lstm-lm", "--out", path / "nets"), f"{path}/nets/lm/lstm-lm: Not a directory")


@pytest.mark.parametrize(
    "content, said",
    [
        ("unist = 3", "wrong.toml: no setting 'unist' in lm/lstm-lm; did you mean 'units'?"),
        ("units = 'many'", "wrong.toml: lm/lstm-lm: units=many makes no sense"),
        ("['lm/lstm-lm']\nunist = 3", "wrong.toml: lm/lstm-lm has no setting 'unist'"),
        ("['lm/lstm-ml']\nunits = 3", "wrong.toml: there is no net 'lm/lstm-ml'"),
        ("units", "wrong.toml: cannot be read as TOML"),
    ],
)
def test_what_is_wrong_in_a_config_is_said_with_the_file(content, said, tmp_path):
    (tmp_path / "wrong.toml").write_text(content)
    for command in (["show", "lm/lstm-lm"], ["write", "lm/lstm-lm", "--out", "nets"], ["explain", "lm/lstm-lm"]):
        refused(lrcn("nets", *command, "--config", "wrong.toml", cwd=tmp_path), said)
    (tmp_path / "wrong.toml").write_text("units = 'many'")
    done = lrcn("nets", "show", "lm/lstm-lm", "--config", "wrong.toml", "--set=unist=8", cwd=tmp_path)
    refused(done, "lrcn: no setting 'unist'")
    assert lrcn("nets", "show", "lm/lstm-lm", "--config", "wrong.toml", "--set=units=8", cwd=tmp_path).returncode == 0
