"""Weights from anywhere, without a run: videos classified, images captioned, sentences drawn, data sets scored."""

import json
import shutil

import numpy as np
import pytest

from data_prep.dataset import Dataset
from lrcn.activity import score
from netspecs import catalogue
from prototxt_gen import caffe_pb2
from tests.commands import lrcn, no_java, prepare, refused
from tests.datasets import write_captions
from tests.lrcn.sentences.small_nets import write_variant_weights, write_vocabulary
from tests.lrcn.training.small_nets import OF_TINY, SMALL_TABLE1, TINY, set_options
from tests.weights import in_old_format, write_weights

pytestmark = pytest.mark.engine
NETS = [f"activity/{row}-{modality}" for row in ("single-frame", "lrcn-fc6") for modality in ("rgb", "flow")]


def settings_of(name):
    table = catalogue.get(name).table
    return {key: value for key, value in SMALL_TABLE1.items() if key in table}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """{net: random weights}, as files of now, with blobs of four sizes, and of 2014."""
    folder, made = tmp_path_factory.mktemp("weights"), {}
    for number, name in enumerate(NETS):
        variant = catalogue.get(name)
        net = variant.files(classes=3, height=24, width=32, **settings_of(name))["deploy"]
        made[name] = write_weights(folder / f"{variant.short_name}.caffemodel", net, seed=number)
    in_old_format(made[NETS[1]], made[NETS[1]])
    in_old_format(made[NETS[2]], made[NETS[2]], v1=True)
    return made


@pytest.fixture(scope="module")
def videos(dataset, tmp_path_factory):
    """Two videos as folders of frames, in a folder; and a file of their classes."""
    folder = tmp_path_factory.mktemp("videos")
    of = Dataset(dataset)
    for name in ("v_00", "v_01"):
        (folder / name).mkdir()
        for number in range(1, 9):
            (folder / name / f"{number:03d}.png").write_bytes(of.jpeg("rgb", name, number))
    (folder / "classInd.txt").write_text("1 one\n2 two\n3 three\n")
    return folder


def classify(*arguments, out):
    done = lrcn("classify", *arguments, "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_videos_are_classified_with_weights_from_anywhere(files, videos, dataset, tmp_path):
    """As with a run that holds the same weights."""
    sizes = set_options(settings_of(NETS[0]) | {"height": 24, "width": 32})
    two = [videos / "v_00", videos / "v_01", "--classes", videos / "classInd.txt", *sizes]
    fused = classify(
        *two, "--net", NETS[0], "--weights", files[NETS[0]], "--flow-weights", files[NETS[1]], out=tmp_path
    )
    assert fused["weights"] == {"rgb": str(files[NETS[0]]), "flow": str(files[NETS[1]])}
    video = fused["videos"][0]
    assert video["frames"] == 8 and {each["class"] for each in video["rgb"]} == {"one", "two", "three"}
    scores = {column: {each["class"]: each["score"] for each in video[column]} for column in ("rgb", "flow", "fused")}
    for name, value in scores["fused"].items():
        assert value == pytest.approx(scores["rgb"][name] / 3 + 2 * scores["flow"][name] / 3, abs=2e-6)

    one_way = set_options(settings_of(NETS[0]) | {"height": 24, "width": 32, "mirror": False})  # five crops, not ten
    alone = [videos / "v_00", "--classes", videos / "classInd.txt", *one_way]
    classify(*alone, "--net", NETS[0], "--weights", files[NETS[0]], out=tmp_path)

    options = ["--data", dataset, "--out", tmp_path / "run", *set_options(SMALL_TABLE1 | {"max_iter": 1})]
    train = lrcn("train", "activity/lrcn-fc6-rgb", *options, "--trained", files[NETS[0]])
    assert train.returncode == 0, train.stderr
    of_run = classify(videos / "v_00", "--run", tmp_path / "run", "--model", "single-frame", out=tmp_path)
    names = dict(zip(Dataset(dataset).classes, ("one", "two", "three")))
    for each in of_run["videos"][0]["rgb"]:
        assert each["score"] == pytest.approx(scores["rgb"][names[each["class"]]], abs=2e-6)


def test_what_does_not_fit_is_refused(files, videos, tmp_path):
    sizes = set_options(settings_of(NETS[2]) | {"height": 24, "width": 32})
    lrcn_net = [videos / "v_00", "--net", NETS[2], *sizes, "--out", tmp_path / "out"]
    fc7 = catalogue.get("activity/lrcn-fc7-rgb").files(
        classes=3, height=24, width=32, **settings_of("activity/lrcn-fc7-rgb")
    )
    of_fc7 = write_weights(tmp_path / "fc7.caffemodel", fc7["deploy"])
    spoilt = caffe_pb2.NetParameter.FromString(files[NETS[2]].read_bytes())  # in the format of 2014
    next(layer for layer in spoilt.layers if layer.name == "lstm1").blobs[0].data[0] = np.inf
    (infinite := tmp_path / "infinite.caffemodel").write_bytes(spoilt.SerializeToString())
    classes = ["--classes", videos / "classInd.txt"]
    (tmp_path / "four.txt").write_text("one\ntwo\nthree\nfour\n")
    for arguments, words in (
        ([*lrcn_net, "--weights", files[NETS[2]]], "--classes missing"),
        ([*lrcn_net, *classes, "--weights", files[NETS[0]]], "has no weights for lstm1, fc8-final"),
        ([*lrcn_net, *classes, "--weights", of_fc7], "fc7.caffemodel: holds fc7, which"),
        ([*lrcn_net, *classes, "--weights", infinite], "infinite.caffemodel: layer 'lstm1' holds nan or inf"),
        *(
            ([*lrcn_net, *classes, "--weights", files[NETS[2]], *unheard], f"{unheard[0]}: ")
            for unheard in (["--flow-negation", "never"], ["--rgb-weight", "0.5"], ["--split", "2"])
        ),
        (
            [*lrcn_net, "--classes", tmp_path / "four.txt", "--weights", files[NETS[2]]],
            "made for 3 classes; here there",
        ),
        ([*lrcn_net, *classes, "--weights", videos / "classInd.txt"], "classInd.txt: a text file"),
        ([videos / "v_00", "--net", "lm/lstm-lm", *classes, "--weights", files[NETS[2]]], "classifies no videos"),
        ([videos / "v_00", "--run", tmp_path, "--weights", files[NETS[2]]], "--run: holds net, weights and settings"),
        ([tmp_path, "--net", NETS[2], *sizes, *classes, "--weights", files[NETS[2]]], "holds no video, and no images"),
    ):
        refused(lrcn("classify", *arguments), words)
    assert not (tmp_path / "out").exists()


def test_a_data_set_is_scored_with_weights_from_anywhere(files, dataset, tmp_path):
    """With the release's mean as a net that was trained with it, and flow otherwise than without a word."""
    given = [f"--weights={name.split('/')[1]}={file}" for name, file in files.items()]
    sizes = set_options(SMALL_TABLE1)
    out = ["--data", dataset, "--out", tmp_path / "out"]
    slips = {"plain": [], "mean-slip": ["--mean-slip"], "rows-6-up": ["--flow-negation", "rows-6-up"]}
    results = {}
    for ending, options in slips.items():
        done = lrcn("evaluate", "activity/table1", *out, *given, *sizes, *options)
        assert done.returncode == 0 and "weights from files" in done.stdout, done.stderr
        name = "results.json" if ending == "plain" else f"results_{ending}.json"
        results[ending] = json.loads((tmp_path / "out" / name).read_text())
        assert set(results[ending]["models"]) == {"single-frame", "lrcn-fc6"} and results[ending]["seed"] is None
    assert results["plain"]["weights"]["lrcn-fc6-rgb"]["file"] == str(files[NETS[2]])

    def scores(folder, name, ending=""):
        return score.load(folder / name / f"scores{ending}.npz")

    slip = ["--data", dataset, "--out", tmp_path / "slip", *given, *set_options(SMALL_TABLE1 | {"mean_slip": True})]
    assert lrcn("evaluate", "activity/table1", *slip, "--rows", "lrcn-fc6").returncode == 0
    plain, changed = (scores(tmp_path / "out", "lrcn-fc6-rgb", ending) for ending in ("", "_mean-slip"))
    assert np.array_equal(changed, scores(tmp_path / "slip", "lrcn-fc6-rgb")) and not np.array_equal(plain, changed)
    for name in ("single-frame-flow", "lrcn-fc6-flow"):
        ways = [scores(tmp_path / "out", name, ending) for ending in ("", "_mean-slip", "_rows-6-up")]
        assert np.array_equal(ways[0], ways[1]) and not np.array_equal(ways[0], ways[2])


def test_one_file_is_not_a_net_of_every_split(files, dataset, tmp_path):
    several = tmp_path / "data"
    shutil.copytree(dataset, several)
    for part in ("train", "test"):
        shutil.copy(several / f"{part}1.txt", several / f"{part}2.txt")
    description = json.loads((several / "dataset.json").read_text())
    (several / "dataset.json").write_text(json.dumps(description | {"splits": [1, 2]}))
    own = ["--weights", files[NETS[2]], *set_options(settings_of(NETS[2])), "--out", tmp_path / "out"]
    refused(lrcn("evaluate", NETS[2], "--data", several, *own, "--split", "all"), "a net is of one split")
    assert lrcn("evaluate", NETS[2], "--data", several, *own, "--split", "2").returncode == 0


def test_weights_are_not_evaluated_where_runs_lie(files, dataset, tmp_path):
    options = ["--data", dataset, "--out", tmp_path / "run", *set_options(SMALL_TABLE1 | {"max_iter": 1})]
    assert lrcn("train", "activity/lrcn-fc6-rgb", *options, "--trained", files[NETS[0]]).returncode == 0
    own = ["--weights", files[NETS[2]], *set_options(settings_of(NETS[2]))]
    done = lrcn("evaluate", NETS[2], "--data", dataset, "--out", tmp_path / "run", *own)
    refused(done, "holds the run lrcn-fc6-rgb", "give another --out")
    own = ["--data", dataset, "--out", tmp_path / "other", *own]
    refused(lrcn("evaluate", NETS[2], *own, "--flow-negation", "never"), "--flow-negation: no net here looks at")
    refused(lrcn("evaluate", NETS[2], *own, "--seed", "3"), "--seed 3: selects a training")
    done = lrcn("evaluate", NETS[2], "--data", dataset, "--weights", "lrcn-fc6-rgb=")
    refused(done, "no name; --weights takes a .caffemodel")
    assert not (tmp_path / "other").exists()


# ---- sentences ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    write_captions(folder / "raw", 12)
    source = ["--captions", folder / "raw" / "captions.json", "--out", folder / "data"]
    assert prepare("captions", *source, "--streams", 4, "--steps", 9).returncode == 0
    words = write_vocabulary(folder / "words.txt")
    sizes = {"units": 9, "embedding": 7}
    captioner = write_variant_weights(folder / "2f.caffemodel", "caption/lrcn-2f", sizes | TINY | {"widths": [4, 4, 4]})
    model = write_variant_weights(folder / "lm.caffemodel", "lm/lstm-lm", sizes)
    return folder, captioner, model, words


def test_a_captioner_from_anywhere_is_evaluated_and_tuned(captions, tmp_path):
    folder, captioner, _, words = captions
    sizes = ["--set", "units=9", "embedding=7", *OF_TINY]
    model = ["--model", captioner, "--vocabulary", words, *sizes]
    out = ["--data", folder / "data", "--out", tmp_path / "out"]
    done = lrcn("evaluate", "caption/lrcn-2f", *out, *model, "--part", "val", **no_java(tmp_path))
    assert done.returncode == 0 and "1nn-fc7 and 1nn-fc8 are left out: they need the CNN" in done.stderr, done.stderr
    results = json.loads((tmp_path / "out" / "results_val.json").read_text())
    assert list(results["models"]) == ["lrcn-2f"] and {"generation", "retrieval"} <= set(results["models"]["lrcn-2f"])

    assert results["weights"]["lrcn-2f"]["file"] == str(captioner) and "weights from files" in done.stdout
    listed = json.loads((folder / "data" / "captions.json").read_text())["images"]
    images = [folder / "raw" / image["file"] for image in listed if image["split"] == "val"]
    net = ["--net", "caption/lrcn-2f", "--weights", captioner, "--vocabulary", words, *sizes]
    described = json.loads(lrcn("caption", *images, *net, "--json", "--out", tmp_path / "pictures").stdout)["images"]
    written = json.loads((tmp_path / "out" / "captions_lrcn-2f_val.json").read_text())
    spoken = [image["captions"][0] for image in described]
    texts = [" ".join(each["words"]) + ("." if each["finished"] else "...") for each in spoken]
    assert [entry["caption"] for entry in written] == [text[:1].upper() + text[1:] for text in texts]

    others = lrcn("train", "caption/lrcn-2f", *out[:2], "--stages", "finetune", "--trained", captioner, *sizes)
    refused(others, "2f.caffemodel: made for a vocabulary of 12 words")
    refused(lrcn("evaluate", "caption/lrcn-2f", *out, "--model", captioner, *sizes), "give --vocabulary")
    refused(lrcn("evaluate", "caption/lrcn-2f", *out, "--vocabulary", words), "--vocabulary: goes with --model")
    refused(lrcn("evaluate", "caption/lrcn-1u", *out, *model, "--part", "val"), "2f.caffemodel: ")


def test_sentences_are_drawn_from_a_language_model(captions):
    _, captioner, model, words = captions
    sizes = ["--set", "units=9", "embedding=7"]
    own = ["--weights", model, "--vocabulary", words, *sizes, "--json"]
    drawn = json.loads(lrcn("sample", *own, "--samples", 5, "--length", 6).stdout)["sentences"]
    assert len(drawn) == 5 and len({tuple(each["words"]) for each in drawn}) > 1
    assert [each["log_prob"] for each in drawn] == sorted((each["log_prob"] for each in drawn), reverse=True)
    for each in drawn:
        assert each["log_prob"] == pytest.approx(sum(each["log_probs"])) and len(each["words"]) <= 6
    again = json.loads(lrcn("sample", *own, "--samples", 5, "--length", 6).stdout)["sentences"]
    assert again == drawn
    greedy = json.loads(lrcn("sample", *own, "--samples", 3, "--temperature", "inf", "--length", 6).stdout)
    assert len({tuple(each["words"]) for each in greedy["sentences"]}) == 1
    refused(lrcn("sample", "--weights", model), "--vocabulary missing")
    refused(lrcn("sample", *own[:-1], "vocabulary=5"), "--set vocabulary: is the number of words")
    deeper = lrcn("sample", "--weights", captioner, "--vocabulary", words, *sizes)
    refused(deeper, "holds lstm2, which lstm_language_model has not")
