"""`lrcn evaluate` on small captioners and a language model, trained in Caffe: every number held against a plain
computation of it."""

import dataclasses
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep import vocabulary
from data_prep.dataset import Dataset
from data_prep.whole_files import write_json
from lrcn import engine
from lrcn.engine.compute import Compute
from lrcn.report.page import write_report
from lrcn.sentences import caption_files, captions, examples, retrieval
from lrcn.sentences import metrics as language_metrics
from lrcn.sentences.captioner import Captioner
from lrcn.sentences.captions import CaptionSearch, activations, evaluate_captions
from lrcn.sentences.evaluate import part_images
from lrcn.sentences.language_model import perplexity
from lrcn.sentences.neighbours import Neighbours
from lrcn.sentences.readable import readable
from lrcn.trained_net import digest
from lrcn.training.run import Run
from lrcn.training.trained import writer
from netspecs import catalogue
from prototxt_gen import to_text
from prototxt_gen.weights import read_weights
from tests.commands import lrcn, no_java, refused
from tests.datasets import COLOURS
from tests.lrcn.sentences.small_nets import REPLAY, write_variant_weights
from tests.rounding import rounding, summands
from tests.weights import weights

pytestmark = pytest.mark.engine

SIZES = {"units": 12, "embedding": 10, "backbone": "tiny", "crop": 32, "height": 40, "width": 40, "fc8": 8}
SMALL = [
    "--set",
    *(f"{name}={value}" for name, value in SIZES.items()),
    "type=Adam",
    "base_lr=0.02",
    "lr_policy=fixed",
    "test_iter=1",
    "loss_weight=1",
    "max_iter=8",
    "snapshot=8",
    "test_interval=8",
    "cnn_lr=1",
]
SPEAKS = [*SMALL[:3], *SMALL[8:-1]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pictures of three colours with captions of all kinds, and their truth."""
    folder, rng = tmp_path_factory.mktemp("captions"), np.random.default_rng(0)
    entries, images = [], {}
    for number in range(30):
        colour, path = list(COLOURS)[number % 3], folder / f"{number:03d}.png"
        noisy = np.full((40, 50, 3), COLOURS[colour]) + rng.integers(-80, 80, (40, 50, 3))
        cv2.imwrite(str(path), np.clip(noisy, 0, 255).astype(np.uint8))
        captions = [
            f"One {colour} square lies on a {rng.choice(['table', 'floor'])}.",
            f"{colour}",
            'chó \t"con"',
            "square " * 200,
        ][: int(rng.integers(1, 5))]
        entries.append(
            {"image": path.name, "captions": captions, "split": ["train", "train", "val", "test", "test"][number % 5]}
        )
        images[str(path)] = {"colour": colour}
    (folder / "captions.json").write_text(json.dumps(entries))
    done = lrcn(
        "prepare",
        "captions",
        "--captions",
        folder / "captions.json",
        "--out",
        folder / "data",
        "--streams",
        10,
        "--steps",
        9,
        "--min-count",
        2,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    write_json(
        folder / "data" / "truth.json", {"phrases": {"colour": {name: name for name in COLOURS}}, "images": images}
    )
    return folder / "data"


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Two captioners trained a little from a random CNN, and evaluated: the folder, the CNN, what was said."""
    folder = tmp_path_factory.mktemp("runs")
    sizes = {name: value for name, value in SIZES.items() if name not in ("units", "embedding")}
    cnn = write_variant_weights(
        folder / "cnn.caffemodel", "caption/lrcn-1u", {"units": 3, "embedding": 3, **sizes}, size=0.1
    )
    said = {}
    for name in ("caption/lrcn-2f", "caption/lrcn-1u"):
        options = [name, "--data", data, "--out", folder / "run", "--weights", cnn]
        done = lrcn("train", *options, *SMALL)
        assert done.returncode == 0, done.stderr
        said[name] = lrcn("evaluate", *options, "--retrieval-images", 7, **no_java(folder / name))
        assert said[name].returncode == 0, said[name].stderr
    return folder / "run", cnn, said


def test_the_rows_of_both_nets_and_of_their_neighbours(run, data):
    folder, cnn, said = run
    results = json.loads((folder / "results.json").read_text())
    assert results["task"] == "caption" and results["seed"] == 1701 and results["engine"] == engine.find().info()
    described = json.loads((data / "dataset.json").read_text())
    assert results["dataset"] == {
        "name": "captions",
        "part": "test",
        **described["splits"]["test"],
        "vocabulary": described["vocabulary"],
    }
    assert results["evaluation"]["beam"] == 1 and results["evaluation"]["retrieval_images"] == 7
    neighbours = {f"1nn-{blob}{of}" for blob in ("fc7", "fc8") for of in ("", "-finetuned")}
    assert set(results["models"]) == {"lrcn-2f", "lrcn-1u"} | neighbours
    for name in neighbours:
        row = results["models"][name]
        assert "retrieval" not in row and row["cnn"] == ("lrcn-1u, finetune" if "tuned" in name else cnn.name)
    assert results["models"]["1nn-fc8"]["weights"] == digest(cnn)
    text = said["caption/lrcn-1u"]
    assert text.stderr.count("METEOR was not computed") == 1 and "1nn-fc8 is left out" not in text.stderr
    assert (
        "percent of captions that are true of" in text.stdout
        and "Table 2" in text.stdout
        and "published" not in text.stdout
    )
    assert cv2.imread(str(folder / "captions.png")).std() > 10
    assert lrcn("compare", folder / "results.json").stdout.count("published on COCO 2014: another data set") == 2


def test_the_report_of_them_leaves_nothing_out(run, tmp_path):
    """Both captioners' numbers, and the captions of the net that was evaluated last, untrue ones marked."""
    assert write_report([run[0]], tmp_path / "report.html") == []
    page = (tmp_path / "report.html").read_text()
    models = json.loads((run[0] / "results.json").read_text())["models"]
    assert all(f"<b>{100 * row['generation']['BLEU-4']:.0f}</b>" in page for row in models.values())
    shown = json.loads((run[0] / "examples.json").read_text())["images"]
    assert shown and all(each["jpeg"] in page for each in shown)
    untrue = sum(not caption["truth"]["colour"] for each in shown for caption in each["captions"].values())
    assert page.count('<span class="wrong" title="wrong">') == untrue > 0


@pytest.mark.parametrize("name", ["lrcn-2f", "lrcn-1u"])
def test_every_number_of_a_net_follows_from_its_captions_and_scores(run, data, name):
    folder, *_ = run
    row = json.loads((folder / "results.json").read_text())["models"][name]
    images = [image for image in json.loads((data / "captions.json").read_text())["images"] if image["split"] == "test"]
    said = caption_files.read_results(folder / f"captions_{name}.json")
    assert list(said) == [image["file"].rsplit("/", 1)[1] for image in images]
    expected = language_metrics.score(said, caption_files.read_references(data / "captions.json", "test"), meteor=False)
    assert {key: row["generation"][key] for key in expected if key != "notes"} == pytest.approx(
        {key: value for key, value in expected.items() if key != "notes"}
    )
    files = {image["file"].rsplit("/", 1)[1]: image["file"] for image in images}
    colours = json.loads((data / "truth.json").read_text())["images"]
    true = [
        {word for word in caption.lower().strip(".").split() if word in COLOURS} == {colours[files[key]]["colour"]}
        for key, caption in said.items()
    ]
    assert row["truth"] == {
        "colour": pytest.approx(np.mean(true), abs=1e-6),
        "all": pytest.approx(np.mean(true), abs=1e-6),
    }

    net = writer(folder, "caption", name)
    assert row["weights"] == digest(net.weights) and net.training == row["stage"] == "finetune"
    with Captioner.of(net, Compute()) as captioner:
        fc8 = captioner.image_features([cv2.imread(image["file"]) for image in images])
        assert [best[0].text for best in captioner.beam(fc8)] == list(said.values())
        beams = captioner.beam(fc8, examples.BEAM, examples.BEAM)
        texts = [vocabulary.split(caption) for image in images[:7] for caption in image["captions"]]
        owners = [number for number, image in enumerate(images[:7]) for _ in image["captions"]]
        ranks = retrieval.retrieve(captioner, fc8[:7], texts, owners)[1]
    assert row["retrieval"] == ranks.results()
    places = (folder / f"{name}-finetune" / "retrieval_test" / "retrieval_captions.tsv").read_text().splitlines()[1:]
    assert [int(line.split("\t")[1]) for line in places] == ranks.images.tolist()
    if name == "lrcn-1u":
        assert_examples(folder, name, [image["file"] for image in images], said, beams, ranks)
    usual = ["--run", folder, "--model", name, "--out", folder / "x"]
    described = lrcn("caption", images[0]["file"], *usual, "--gates", "--json")
    [entry] = json.loads(described.stdout)["images"]
    [caption] = entry["captions"]
    assert caption["caption"] == next(iter(said.values()))
    assert Path(entry["gates"]).read_bytes().startswith(b"\x89PNG")
    with np.load(Path(entry["gates"]).with_suffix(".npz")) as arrays:
        assert arrays["words"].tolist() == [*caption["words"], *["<EOS>"] * caption["finished"]]
        np.testing.assert_allclose(arrays["log_probs"], caption["log_probs"])
        hidden = [values for name, values in arrays.items() if name.endswith("hidden")]
        assert len(hidden) == int(name[5])  # lrcn-2f
        assert {len(values) for values in hidden} == {len(caption["log_probs"])}
    refused(lrcn("caption", images[0]["file"], *usual, "--gates", "--coco-json", "x.json"), "--gates", "--coco-json")


def assert_examples(folder, name, files, said, beams, ranks):
    """Of the one net that was evaluated last; the beam here is of all images at once, there of the examples."""
    found = json.loads((folder / "examples.json").read_text())
    assert {image["file"] for image in found["images"]} == set(files)  # fewer than are shown at most
    for image in found["images"]:
        [(net, one)] = image["captions"].items()
        due = beams[files.index(image["file"])]
        assert net == name and one["caption"] == readable(said[image["name"]])
        assert [text for _, text in one["beams"]] == [readable(each.text) for each in due]
        assert [value for value, _ in one["beams"]] == pytest.approx([each.log_prob for each in due], abs=1e-3)
        assert (one["words"][-1][0] == "<EOS>") == (not said[image["name"]].endswith("..."))
        assert all(0 < probability <= 1 for _, probability in one["words"])
    inside = [layers for image in found["images"] for layers in [image["captions"][name].get("gates")] if layers]
    assert len(inside) == 2 and {len(layers) for layers in inside} == {int(name[5])}  # LSTMs of lrcn-2f
    worst = {"caption_to_image": ranks.images.max(), "image_to_caption": ranks.captions.max()}
    assert {direction: queries[-1]["rank"] for direction, queries in found["retrieval"].items()} == worst


def test_neighbours_are_the_nearest_by_fc7_and_fc8_of_either_cnn(run, data):
    folder, cnn, _ = run
    entries = json.loads((data / "captions.json").read_text())["images"]
    parts = {part: [image for image in entries if image["split"] == part] for part in ("train", "test")}
    net = writer(folder, "caption", "lrcn-1u")
    held = {
        layer.name: [np.array(blob.data).reshape(blob.shape.dim) for blob in layer.blobs]
        for layer in read_message(net.weights).layer
        if layer.name == "fc8"
    }
    with Captioner.of(net, Compute()) as captioner:
        seen = {
            part: captioner.activations(captioner.cut([cv2.imread(image["file"]) for image in images]), ("fc7", "fc8"))
            for part, images in parts.items()
        }
    products = seen["test"]["fc7"][:, None] * held["fc8"][0]
    tolerance = rounding(products.shape[-1], np.abs(products).max())
    np.testing.assert_allclose(seen["test"]["fc8"], products.sum(-1) + held["fc8"][1], rtol=0, atol=tolerance)
    products = summands(net.variant.files(**net.settings)["deploy_images"])
    kept = {}
    for part in parts:
        with np.load(folder / "lrcn-1u-finetune" / f"features_{part}" / "0000000.npz") as held:
            kept[part] = {blob: held[blob].astype(float) for blob in ("fc7", "fc8")}
    for blob in ("fc7", "fc8"):
        for part in parts:
            tolerance = rounding(products, np.abs(seen[part][blob]).max())
            np.testing.assert_allclose(kept[part][blob], seen[part][blob], rtol=0, atol=tolerance)
        far = np.linalg.norm(kept["test"][blob][:, None] - kept["train"][blob], axis=2)
        expected = [parts["train"][at]["captions"][0] for at in far.argmin(1)]
        assert list(caption_files.read_results(folder / f"captions_1nn-{blob}-finetuned.json").values()) == expected
        row = json.loads((folder / "results.json").read_text())["models"][f"1nn-{blob}-finetuned"]["generation"]
        nearest = {image["file"]: parts["train"][at]["captions"] for image, at in zip(parts["test"], far.argmin(1))}
        references = {image["file"]: image["captions"] for image in parts["test"]}
        each = [
            language_metrics.score({key: (texts * 5)[turn] for key, texts in nearest.items()}, references, meteor=False)
            for turn in range(row["averaged"])
        ]
        assert len(each) == max(map(len, nearest.values())) > 1
        assert row["BLEU-4"] == pytest.approx(np.mean([scores["BLEU-4"] for scores in each]))
    with np.load(folder / "neighbours" / "features_test" / "0000000.npz") as kept:
        assert np.abs(kept["fc7"] - seen["test"]["fc7"]).max() > 1e-3  # by the CNN before its training
        assert kept["fc7"].shape == seen["test"]["fc7"].shape


def read_message(path):
    from prototxt_gen import caffe_pb2

    assert read_weights(path)
    return caffe_pb2.NetParameter.FromString(path.read_bytes())


def test_without_weights_the_frozen_stage_has_the_cnn_up_to_fc7(run, data):
    folder, *_ = run
    before = caption_files.read_results(folder / "captions_1nn-fc7.json")
    done = lrcn(
        "evaluate", "caption/lrcn-1u", "--data", data, "--out", folder, "--retrieval-images", 7, **no_java(folder / "y")
    )
    assert done.returncode == 0, done.stderr
    assert "1nn-fc8 is left out" in done.stderr and "--weights" in done.stderr
    assert json.loads((folder / "results.json").read_text())["models"]["1nn-fc7"]["cnn"] == "frozen in lrcn-1u"
    assert caption_files.read_results(folder / "captions_1nn-fc7.json") == before


def test_a_call_that_was_cut_off_goes_on(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr(captions, "BLOCK", 4)
    monkeypatch.setattr(language_metrics, "_meteor", lambda results, truths: (None, ""))
    folder, dataset = tmp_path / "net", Dataset(data)
    folder.mkdir()
    trained = writer(run[0], "caption", "lrcn-2f")
    net = dataclasses.replace(trained, folder=folder)

    class Cut(Exception):
        pass

    def cut_at(what, count):
        def tell(said, done, total):
            if what in said and done >= count:
                raise Cut

        return tell

    def kept():
        return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    def evaluated(net, progress=lambda what, done, total: None):
        return evaluate_captions(dataset, [net], tmp_path, CaptionSearch(), Neighbours(), Compute(progress=progress))

    before = {}
    for what, count in (("features of test", 8), ("lrcn-2f: captions", 12), ("features of train", 8), ("metrics", 0)):
        with pytest.raises(Cut):
            evaluated(net, cut_at(what, count))
        assert before.items() <= kept().items() and len(kept()) > len(before)  # nothing is made twice
        before = kept()
    found = evaluated(net)
    assert kept().keys() - before.keys() == {folder / "beams_test.json"} and before.items() <= kept().items()
    before = kept()
    assert evaluated(net) == found and kept() == before
    (tmp_path / "other").mkdir()
    assert evaluated(dataclasses.replace(trained, folder=tmp_path / "other")) == found

    # weights of before fine-tuning
    other = evaluated(dataclasses.replace(net, weights=Run(run[0] / "lrcn-2f").weights))
    assert other["models"]["lrcn-2f"]["weights"] != found["models"]["lrcn-2f"]["weights"]
    assert not before.keys() & {
        path for path, when in kept().items() if before.get(path) == when and path.suffix in (".npz", ".json")
    }


def test_features_of_many_images_come_in_blocks(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr(captions, "BLOCK", 5)
    images = part_images(Dataset(data), "test")
    net = writer(run[0], "caption", "lrcn-1u")
    with Captioner.of(net, Compute()) as captioner:
        found = activations(captioner, images, ("fc8",), tmp_path / "kept", {})["fc8"]
        assert len(list((tmp_path / "kept").glob("*.npz"))) == 3
        whole = captioner.activations(captioner.cut(cv2.imread(image.file) for image in images), ("fc7", "fc8"))
        products = summands(net.variant.files(**net.settings)["deploy_images"])
        tolerance = rounding(products, max(np.abs(rows).max() for rows in whole.values()))
        np.testing.assert_allclose(found, whole["fc8"], rtol=0, atol=tolerance)
        assert np.abs(found[5:] - whole["fc8"][:-5]).max() > 20 * tolerance  # another image has other features


def test_other_parts_and_beams_lie_beside(run, data):
    folder, *_ = run
    before = (folder / "results.json").read_bytes()
    done = lrcn(
        "evaluate",
        "caption/lrcn-2f",
        "--data",
        data,
        "--out",
        folder,
        "--retrieval-images",
        0,
        "--part",
        "val",
        "--beam",
        3,
        "--no-neighbours",
        **no_java(folder / "z"),
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "results.json").read_bytes() == before and "Table 2" not in done.stdout
    results = json.loads((folder / "results_val_beam3.json").read_text())
    assert set(results["models"]) == {"lrcn-2f"} and "retrieval" not in results["models"]["lrcn-2f"]
    assert len(caption_files.read_results(folder / "captions_lrcn-2f_val_beam3.json")) == 6
    done = lrcn(
        "evaluate",
        "caption/lrcn-2f",
        "--data",
        data,
        "--out",
        folder,
        "--retrieval-images",
        7,
        "--stages",
        "train",
        "--no-neighbours",
        **no_java(folder / "w"),
    )
    assert done.returncode == 0, done.stderr
    models = json.loads((folder / "results.json").read_text())["models"]
    assert models.items() >= json.loads(before)["models"].items()
    assert models["lrcn-2f-train"]["weights"] == digest(Run(folder / "lrcn-2f").weights)


def test_what_cannot_be_evaluated_is_refused_in_one_line(run, data, tmp_path):
    folder, cnn, _ = run
    shutil.copytree(folder, tmp_path / "run")
    trained = ["caption/lrcn-2f", "--data", data, "--out", tmp_path / "run"]
    refused(lrcn("evaluate", *trained, *SMALL, "max_iter=9"), "trained with max_iter=8, not max_iter=9")
    refused(lrcn("evaluate", "caption/lrcn-4f", *trained[1:]), "lrcn-4f", "lrcn train")
    refused(lrcn("evaluate", *trained, "--weights", tmp_path / "none.caffemodel"), "none.caffemodel")
    words = vocabulary.read(data / "vocabulary.txt")
    (tmp_path / "run" / "lrcn-2f-finetune" / "vocabulary.txt").write_text("\n".join(words[:-1]) + "\n")
    refused(
        lrcn("evaluate", *trained),
        f"made for a vocabulary of {len(words)} words",
        f"this one has {len(words) - 1} words",
    )
    refused(lrcn("caption", tmp_path / "x.jpg", "--run", tmp_path / "run", "--net", "caption/lrcn-2f"), "--run")
    refused(lrcn("caption", tmp_path / "x.jpg", "--run", tmp_path / "run", "--model", "lrcn-2g"), "lrcn-2g", "lrcn-1u")
    refused(lrcn("caption", tmp_path / "x.jpg", "--run", tmp_path), "no trained captioner")
    refused(lrcn("caption", tmp_path / "x.jpg"), "--run")
    refused(lrcn("caption", tmp_path / "x.jpg", "--run", tmp_path / "run"), "x.jpg", "no such file")


def test_a_picture_that_went_away_is_named(run, data):
    image = next(
        image["file"]
        for image in json.loads((data / "captions.json").read_text())["images"]
        if image["split"] == "test"
    )
    shutil.move(image, image + ".away")
    try:
        refused(lrcn("evaluate", "caption/lrcn-2f", "--data", data, "--out", run[0]), image, "no such image")
    finally:
        shutil.move(image + ".away", image)


PROBABILITIES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import caffe
from replay import next_word
net = caffe.Net(sys.argv[2], sys.argv[3], caffe.TEST)
print(json.dumps([[next_word(net, {}, words[:t])[word] for t, word in enumerate([*words, 0])]
                  for words in json.loads(sys.argv[4])]))
"""


def test_perplexity_is_that_of_the_nets_probabilities(data, tmp_path):
    options = ["lm/lstm-lm", "--data", data, "--out", tmp_path]
    assert lrcn("train", *options, *SPEAKS).returncode == 0
    done = lrcn("evaluate", *options)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results_lm.json").read_text())
    found = results["models"]["lstm-lm"]["perplexity"]
    assert set(found) == {"val", "test"} and results["task"] == "lm"
    words = vocabulary.read(data / "vocabulary.txt")
    captions = [
        [words.index(word) + 1 if word in words else 1 for word in vocabulary.split(caption)]
        for image in json.loads((data / "captions.json").read_text())["images"]
        if image["split"] == "val"
        for caption in image["captions"]
    ]
    carried = catalogue.get("lm/lstm-lm").files(vocabulary=len(words) + 1, deploy_streams=1, units=12, embedding=10)
    (tmp_path / "carried.prototxt").write_text(to_text(carried["deploy"]))
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            PROBABILITIES,
            REPLAY.parent,
            tmp_path / "carried.prototxt",
            Run(tmp_path / "lstm-lm").weights,
            json.dumps([each for each in captions if len(each) < 100]),
        ],
        capture_output=True,
        text=True,
        env=engine.find().environment() | {"GLOG_minloglevel": "2"},
    )
    assert said.returncode == 0, said.stderr[-2000:]
    short = [log_prob for each in json.loads(said.stdout) for log_prob in each]
    with Captioner.of(Run(tmp_path / "lstm-lm").net(), Compute()) as captioner:
        texts = [[words[word - 1] for word in each] for each in captions]
        again = perplexity(captioner, [each for each in texts if len(each) < 100])
        steps = max(len(each) for each in captions if len(each) < 100)
        trained = weights(Run(tmp_path / "lstm-lm").weights)
        largest = max(max(map(abs, blob)) for blobs in trained.values() for blob in blobs)
        tolerance = rounding(summands(carried["deploy"], steps), largest)  # of the logarithm
        assert again["perplexity"] == pytest.approx(math.exp(-np.mean(short)), rel=tolerance)
        assert perplexity(captioner, texts) == pytest.approx(found["val"])
    assert found["val"] == {
        "perplexity": pytest.approx(found["val"]["perplexity"]),
        "captions": len(captions),
        "words": sum(map(len, captions)),
        "unknown": sum(word == 1 for each in captions for word in each),
    }
    assert lrcn("evaluate", *options, "--part", "test").returncode == 0
    assert "lstm-lm" in lrcn("compare", tmp_path / "results_lm.json").stdout
