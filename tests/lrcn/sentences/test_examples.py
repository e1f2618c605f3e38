"""Examples of an evaluation, by hand, without a net."""

import base64
import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import tacos
from data_prep.dataset import Dataset
from data_prep.snippets import Snippet
from data_prep.whole_files import write_json
from lrcn.sentences import examples, metrics, retrieval
from lrcn.sentences.captioner import Caption
from lrcn.sentences.evaluate import part_images

COLOURS = ("red", "green", "blue", "grey")


def caption(text, probability=0.5, finished=True):
    words = text.split()
    return Caption(words, [math.log(probability)] * (len(words) + finished))


@pytest.fixture
def dataset(tmp_path):
    """Four wide images, of which it is known what is true."""
    entries, truths = [], {}
    for number, colour in enumerate(COLOURS):
        file = str(tmp_path / f"{number}.png")
        assert cv2.imwrite(file, np.full((60, 700, 3), 50 * number, np.uint8))
        texts = [f"a {colour} dog runs on grass", f"the dog is {colour}"]
        entries.append({"file": file, "split": "test", "captions": texts})
        truths[file] = {"colour": colour}
    write_json(tmp_path / "captions.json", {"images": entries})
    write_json(tmp_path / "dataset.json", {"name": "small", "kind": "captions"})
    phrases = {"colour": {colour: colour for colour in COLOURS}}
    write_json(tmp_path / "truth.json", {"phrases": phrases, "images": truths})
    return Dataset(tmp_path)


def side(encoded):
    return max(cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR).shape)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=40))
def test_the_best_the_worst_and_the_first_are_chosen(scores):
    chosen = examples.choose(scores)
    kinds = {why: [number for number, each in chosen.items() if each == why] for why in ("best", "worst", "first")}
    assert len(chosen) == min(len(scores), 24) and max(map(len, kinds.values())) <= 8
    assert (
        sorted((scores[k] for k in kinds["best"]), reverse=True) == sorted(scores, reverse=True)[: len(kinds["best"])]
    )
    assert [scores[k] for k in kinds["worst"]] == sorted(scores)[: len(kinds["worst"])]
    others = [number for number in range(len(scores)) if number not in kinds["best"] + kinds["worst"]]
    assert kinds["first"] == others[:8]


def test_metrics_of_each_have_the_mean_of_all():
    captions = {k: f"a {colour} dog runs on the grass" for k, colour in enumerate(COLOURS)}
    references = {k: [f"a {colour} dog is on grass", "a dog runs"][: k + 1] for k, colour in enumerate(COLOURS[::-1])}
    each, whole = metrics.score_each(captions, references), metrics.score(captions, references, meteor=False)
    for name in ("CIDEr", "ROUGE-L"):
        assert np.mean([scores[name] for scores in each.values()]) == pytest.approx(whole[name])
    assert len({scores["CIDEr"] for scores in each.values()}) > 1
    alone = metrics.score({0: captions[0]}, {0: references[0]}, meteor=False)
    assert each[0]["BLEU-4"] == pytest.approx(alone["BLEU-4"])


def test_queries_go_from_the_best_rank_to_the_worst():
    scores = np.array([[5.0, 1.0, 3.0, 4.0, 0.0], [9.0, 2.0, 1.0, 5.0, 7.0], [6.0, 0.0, 2.0, 1.0, 8.0]])
    found = retrieval.queries(scores, retrieval.rank(scores, [0, 0, 1, 1, 2]))
    assert [(each["query"], each["rank"]) for each in found["image_to_caption"]] == [(0, 1), (2, 1), (1, 3)]
    assert found["image_to_caption"][0]["top"] == [[0, 5.0], [3, 4.0], [2, 3.0], [1, 1.0], [4, 0.0]]
    assert [each["rank"] for each in found["caption_to_image"]] == [1, 1, 2, 3, 3]
    assert found["caption_to_image"][3] == {"query": 0, "rank": 3, "top": [[1, 9.0], [2, 6.0], [0, 5.0]]}
    many = np.random.default_rng(0).normal(size=(50, 50))
    ranks = retrieval.rank(many, range(50))
    shown = [each["rank"] for each in retrieval.queries(many, ranks)["caption_to_image"]]
    assert len(shown) == 8 and shown == sorted(shown) and shown[-1] == ranks.images.max()
    assert shown[0] == ranks.images.min()


def test_examples_of_images(dataset):
    images = part_images(dataset, "test")
    captions = {
        "right": [caption(f"a {colour} dog runs on grass") for colour in COLOURS],
        "wrong": [caption("a red dog , wet", 0.25, finished=colour != "grey") for colour in COLOURS],
    }
    chosen = examples.Chosen.of(dataset, images, captions, "plain")
    assert chosen.best == "right" and sorted(chosen.why) == [0, 1, 2, 3]
    beams = {net: [[texts[k], caption("a dog", 0.1)] for k in chosen.why] for net, texts in captions.items()}
    scores = np.array([[3.0, 1, 0, 0], [4, 2, 0, 0]])  # of the first two images and their captions
    queries = retrieval.queries(scores, retrieval.rank(scores, [0, 0, 1, 1]))
    inside = [{"layer": "lstm1", "steps": ["a"]}]
    said = examples.Found(captions, beams, {chosen.extremes[0]: inside}, queries)
    found = json.loads(json.dumps(examples.of_images(dataset, chosen, said)))
    assert found["task"] == "caption" and len(found["images"]) == 4
    grey = next(image for image in found["images"] if image["name"] == "3.png")
    assert grey["file"] == images[3].file and grey["references"] == images[3].captions
    assert grey["truth"] == {"colour": "grey"} and side(grey["jpeg"]) == 320
    right, wrong = grey["captions"]["right"], grey["captions"]["wrong"]
    assert right["caption"] == "A grey dog runs on grass." and wrong["caption"] == "A red dog, wet..."
    assert right["words"][-2:] == [["grass", 0.5], ["<EOS>", 0.5]] and wrong["words"][-1] == ["wet", 0.25]
    assert right["truth"] == {"colour": True} and wrong["truth"] == {"colour": False}
    assert right["beams"] == [
        [pytest.approx(7 * math.log(0.5), abs=1e-4), "A grey dog runs on grass."],
        [pytest.approx(3 * math.log(0.1), abs=1e-4), "A dog."],
    ]
    assert right["metrics"].keys() == {"CIDEr", "BLEU-4", "ROUGE-L"} and right["metrics"]["BLEU-4"] == 1
    assert wrong["metrics"]["CIDEr"] < right["metrics"]["CIDEr"]

    by_caption = {each["query"]: each for each in found["retrieval"]["caption_to_image"]}
    assert by_caption["a red dog runs on grass"] == {
        "model": "right",
        "query": "a red dog runs on grass",
        "image": "0.png",
        "rank": 2,
        "top": [["1.png", 4.0, False], ["0.png", 3.0, True]],
    }
    of_second = next(each for each in found["retrieval"]["image_to_caption"] if each["query"] == "1.png")
    assert of_second["rank"] == 3 and of_second["top"][2] == ["a green dog runs on grass", 0.0, True]
    assert set(found["jpegs"]) == {"0.png", "1.png"} and all(side(each) == 160 for each in found["jpegs"].values())
    [worst] = [image for image in found["images"] if "gates" in image["captions"]["right"]]
    assert worst["why"] == "worst" and worst["captions"]["right"]["gates"] == inside
    assert all("gates" not in image["captions"]["wrong"] for image in found["images"])
    assert "retrieval" not in examples.of_images(dataset, chosen, examples.Found(captions, beams))


def test_without_truth_nothing_is_said_of_it(dataset):
    (dataset.folder / "truth.json").unlink()
    images, captions = part_images(dataset, "test"), {"net": [caption("a dog")] * 4}
    chosen = examples.Chosen.of(dataset, images, captions, "plain")
    found = examples.of_images(dataset, chosen, examples.Found(captions, {"net": [captions["net"]] * 4}))
    assert all("truth" not in image and "truth" not in image["captions"]["net"] for image in found["images"])


def test_examples_of_videos(tmp_path):
    import h5py

    snippets = [
        Snippet("v1", "test", {"object": (["cat", "dog"], [0.25, 0.75]), "way": (["up"], [1.0])}, ["a dog"], ""),
        Snippet("v2", "test", {"object": (["dog", "cat"], [0.00001, 0.99])}, ["a cat"], ""),
    ]
    words = tacos.SlotVocabulary.build(snippets)
    likeliest, probabilities, _ = words.encode(snippets)
    with h5py.File(tmp_path / "semantics.h5", "w") as file:
        file["id"], file["map"], file["probabilities"] = ["v1", "v2"], likeliest, probabilities
    (tmp_path / "slot_vocabulary.txt").write_text(words.text())
    entries = [{"file": each.id, "split": "test", "captions": each.sentences} for each in snippets]
    write_json(tmp_path / "captions.json", {"images": entries})
    write_json(tmp_path / "dataset.json", {"name": "small", "kind": "semantics", "slots": 2})
    dataset = Dataset(tmp_path)
    captions = {"net": [caption("a dog"), caption("a dog")]}
    chosen = examples.Chosen.of(dataset, part_images(dataset, "test"), captions, "plain")
    one, two = json.loads(json.dumps(examples.of_videos(dataset, chosen, captions)))["videos"]
    assert (one["name"], one["why"], one["references"]) == ("v1", "best", ["a dog"])
    assert one["slots"] == {"object": {"dog": 0.75, "cat": 0.25}, "way": {"up": 1.0}}
    assert list(one["slots"]["object"]) == ["dog", "cat"] and two["slots"]["object"] == {"cat": 0.99}
    assert one["sentences"]["net"]["sentence"] == "A dog." and one["sentences"]["net"]["words"][-1] == ["<EOS>", 0.5]
    (tmp_path / "dataset.json").unlink()
    write_json(tmp_path / "dataset.json", {"name": "small", "kind": "semantics", "slots": 0})
    found = examples.of_videos(Dataset(tmp_path), chosen, captions)["videos"]
    assert all("slots" not in video for video in found)
