"""Evaluation of sentences without Caffe: what is true, whose caption, captions from elsewhere, and Tables 2, 3 and
5."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError
from data_prep.dataset import Dataset
from data_prep.whole_files import write_json
from lrcn.results import compare, formats
from lrcn.sentences import caption_files, metrics, truth
from lrcn.sentences.captioner import Caption
from lrcn.sentences.captions import activations, score_results
from lrcn.sentences.evaluate import (
    Described,
    Search,
    check_files,
    claim,
    digest_of_content,
    kept,
    note_contents,
    part_images,
    write_results,
)
from lrcn.sentences.java import java
from tests.commands import lrcn, no_java, refused
from tests.shared import PUBLISHED_RESULTS, needs

PHRASES = {
    "object": {"cat": "cat", "bike": "bike", "motorcycle": "motor bike"},
    "place": {"left": "on the left", "right": "on the right"},
}


# ---- truth -------------------------------------------------------------------------------------------------


def test_truth_by_hand(tmp_path):
    write_json(
        tmp_path / "truth.json",
        {
            "phrases": PHRASES,
            "images": {
                "a.jpg": {"object": "cat", "place": "left"},
                "b.jpg": {"object": "motorcycle", "place": "right"},
            },
        },
    )
    known = truth.read(tmp_path)
    assert known.holds("a.jpg", "A CAT, on the left!") == {"object": True, "place": True}
    assert known.holds("a.jpg", "Cats on the left of a bike.") == {"object": False, "place": True}
    assert known.holds("a.jpg", "a cat and a bike on the left and on the right") == {"object": False, "place": False}
    assert known.holds("b.jpg", "a motor bike on the right") == {"object": True, "place": True}
    assert known.holds("b.jpg", "a motor bike and a bike on the right") == {"object": False, "place": True}
    assert known.holds("b.jpg", "") == {"object": False, "place": False}
    assert known.measure({"a.jpg": "cat on the left", "b.jpg": "a cat on the right", "unknown.jpg": "x"}) == {
        "object": 0.5,
        "place": 1.0,
        "all": 0.5,
    }
    assert known.measure({"unknown.jpg": "cat"}) == {}
    said = {"a.jpg": "cat on the right", "b.jpg": "a motor bike on the right"}
    assert known.measure(said, [("object", "place"), ("object", "motion")]) == {
        "object": 1.0,
        "place": 0.5,
        "object+place": 0.5,
        "all": 0.5,
    }


@given(*(st.sampled_from(sorted(PHRASES[slot])) for slot in ("object", "object", "place", "place")))
def test_a_caption_is_true_if_it_says_what_is_so(said, is_so, where, is_where):
    known = truth.Truth(PHRASES, {"x": {"object": is_so, "place": is_where}})
    caption = f"One {PHRASES['object'][said]} lies {PHRASES['place'][where]}."
    assert known.holds("x", caption) == {"object": said == is_so, "place": where == is_where}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"phrases": {}, "images": {"a": {"object": "cat"}}}',
        '{"phrases": 3',
        '{"phrases": {"object": {"cat": 3}}, "images": {}}',
    ],
)
def test_what_is_no_truth_is_named(tmp_path, text):
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(DataError, match="truth.json") as error:
        truth.read(tmp_path)
    assert "\n" not in str(error.value)
    assert truth.read(tmp_path / "nowhere") is None


# ---- images ------------------------------------------------------------------------------------------------


def data_set(folder, images):
    folder.mkdir()
    write_json(
        folder / "captions.json",
        {"images": [{"file": file, "split": split, "captions": captions} for file, split, captions in images]},
    )
    write_json(folder / "dataset.json", {"name": "small", "kind": "captions", "images": True})
    return Dataset(folder)


def test_parts_and_their_files(tmp_path):
    dataset = data_set(tmp_path / "data", [("/gone/a.jpg", "train", ["x"]), (str(tmp_path / "b.jpg"), "val", ["y"])])
    assert [image.file for image in part_images(dataset, "train")] == ["/gone/a.jpg"]
    with pytest.raises(DataError, match="no images of test, only of train, trainval, val; give --part val"):
        part_images(dataset, "test")
    (tmp_path / "b.jpg").touch()
    check_files(part_images(dataset, "val"))
    with pytest.raises(DataError, match=r"/gone/a.jpg: no such image any more \(1 of 1 are gone\)"):
        check_files(part_images(dataset, "train"))
    for captions, said in (("x", "captions: a list is due, not 'x'"), ([3], r"captions.0.: a text is due, not 3")):
        write_json(dataset.folder / "captions.json", {"images": [{"file": "a", "split": "val", "captions": captions}]})
        with pytest.raises(DataError, match=f"captions.json: at images.0..{said}"):
            part_images(dataset, "val")
    write_json(dataset.folder / "captions.json", {"images": [{"file": 3}]})
    with pytest.raises(DataError, match="captions.json"):
        part_images(dataset, "val")


# ---- captions from elsewhere -------------------------------------------------------------------------------

ODD = {
    "empty.jpg": "",
    "long.jpg": "run " * 200,
    "one.jpg": "chó",
    "vi.jpg": "Một con chó đang chạy.",
    "odd.jpg": 'a "dog"\truns\n',
    "dots.jpg": "...",
}


@pytest.fixture
def odd(tmp_path):
    """Captions of all kinds, and references of a prepared data set with one image more."""
    data_set(
        tmp_path / "data",
        [
            (f"/somewhere/{name}", "test", [text or "x", "một con chó chạy"])
            for name, text in (ODD | {"more.jpg": "a dog"}).items()
        ],
    )
    caption_files.write_results(tmp_path / "said.json", ODD)
    return tmp_path


def test_captions_of_all_kinds_are_scored(odd):
    done = lrcn(
        "evaluate",
        "caption/results",
        "--results",
        odd / "said.json",
        "--data",
        odd / "data",
        "--part",
        "test",
        "--name",
        "theirs",
        "--out",
        odd / "out",
        cwd=odd,
        **no_java(odd),
    )
    assert done.returncode == 0, done.stderr
    assert "METEOR was not computed" in done.stderr and "6 of the 7 images" in done.stderr
    results = json.loads((odd / "out" / "results.json").read_text())
    row = results["models"]["theirs"]["generation"]
    assert results["dataset"] == {"name": "small", "part": "test", "images": 6, "captions": 12}
    expected = metrics.score(ODD, {key: [text or "x", "một con chó chạy"] for key, text in ODD.items()}, meteor=False)
    assert {name: row[name] for name in expected if name != "notes"} == pytest.approx(
        {name: value for name, value in expected.items() if name != "notes"}
    )
    assert 0 < row["BLEU-4"] < 1 and row["METEOR"] is None
    assert ["theirs", f"{100 * row['BLEU-1']:.0f}"] in [line.split()[:2] for line in done.stdout.splitlines()]
    compared = lrcn("compare", odd / "out" / "results.json")
    assert compared.returncode == 0 and "small, test: 6 images, 12 captions" in compared.stdout
    assert ["lrcn", "66.86", "48.92"] in [
        line[:3] for line in lines(compared.stdout)
    ] and "Table 1" not in compared.stdout


@pytest.mark.slow
@pytest.mark.skipif(not java(), reason="needs Java")
def test_odd_captions_leave_meteor_and_the_treebank_whole(odd):
    found = score_results(odd / "said.json", odd / "data" / "captions.json", "test", "theirs", "ptb")
    row = found["models"]["theirs"]["generation"]
    assert 0 < row["METEOR"] < 1 and 0 < row["BLEU-1"] <= 1 and found["evaluation"] == {"tokens": "ptb"}
    again = score_results(odd / "said.json", odd / "data" / "captions.json", "test", "theirs", "ptb")
    assert again["models"] == found["models"]  # the one Java program gives the same a second time


def test_what_cannot_be_scored_is_refused_in_one_line(odd):
    def said(*arguments, **environment):
        return lrcn("evaluate", "caption/results", "--out", odd / "out", *arguments, cwd=odd, **environment)

    references, results = ("--references", odd / "data" / "captions.json"), ("--results", odd / "said.json")
    refused(said(*results), "--references")
    refused(said(*references), "--results")
    refused(said(*results, *references, "--part", "val"), "captions.json", "split val")
    refused(said(*results, "--references", odd / "none.json"), "none.json")
    refused(said("--results", odd / "data" / "captions.json", *references), "captions.json", "image_id")
    refused(said(*results, *references, "--tokens", "ptb", **no_java(odd)), "Java")
    refused(said(*results, *references, "--beam", 3), "--beam means nothing to caption/results")
    (odd / "bare.json").write_text(json.dumps({"images": [{"file": "a", "split": "test", "captions": [""]}]}))
    (odd / "a.json").write_text('[{"image_id": "a", "caption": "a dog"}]')
    refused(said("--results", odd / "a.json", "--references", odd / "bare.json"), "bare.json: no reference of the 1")
    (odd / "said.json").write_text("[]")
    refused(said(*results, *references), "said.json", "no caption")
    (odd / "said.json").write_text('[{"image_id": 7, "caption": "x"}]')
    refused(said(*results, *references), "image 7 has no references")
    assert not (odd / "out").exists()


def test_options_of_another_task_are_refused(tmp_path):
    for arguments, option in (
        (["demo", "--beam", 3], "--beam"),
        (["caption/lrcn-2f", "--stride", 3], "--stride"),
        (["lm/lstm-lm", "--retrieval-images", 0], "--retrieval-images"),
        (["caption/lrcn-2f", "--results", "x"], "--results"),
        (["activity/table1", "--tokens", "ptb"], "--tokens"),
    ):
        refused(lrcn("evaluate", *arguments, cwd=tmp_path), option, "means nothing to", arguments[0])
    refused(lrcn("evaluate", "caption/lrcn-2g", cwd=tmp_path), "did you mean")


# ---- the file and the tables -------------------------------------------------------------------------------


def results_of(seed=7, task="caption", part="test", **models):
    return {
        "task": task,
        "experiment": "caption/lrcn-2f",
        "seed": seed,
        "engine": {"source": "pypi"},
        "git": None,
        "dataset": {"name": "small", "part": part, "images": 9, "captions": 45, "vocabulary": 12},
        "evaluation": {"beam": 5, "length": 50, "tokens": "plain", "retrieval_images": 4, "retrieval_captions": 20},
        "models": models,
    }


def row(bleu=0.25, recall=40.0, **more):
    ways = {
        way: {"R@1": recall, "R@5": 60.0, "R@10": 80.0, "median_rank": 2.5, "mean_rank": 4.0, "of": 20}
        for way in compare.DIRECTIONS
    }
    generation = dict.fromkeys(compare.GENERATION, bleu) | {"METEOR": None, "CIDEr": 1.5}
    return {"stage": "finetune", "generation": generation, "retrieval": ways, **more}


def lines(text):
    return [line.split() for line in text.splitlines()]


def test_what_numbers_are_of_is_said_whole():
    results = results_of()
    said = "small, test: 9 images, 45 captions, beam 5, seed 7, Caffe as brocolli-caffe from PyPI"
    assert compare.sentences_on(results) == said
    assert (
        compare.sentences_on(results, "retrieval_")
        == "small, test: 4 images, 20 captions, seed 7, Caffe as brocolli-caffe from PyPI"
    )
    results["evaluation"]["tokens"] = "ptb"
    assert compare.sentences_on(results) == said.replace("beam 5", "beam 5, tokens ptb")
    assert "tokens" not in compare.sentences_on(results, "retrieval_")
    bare = results_of(seed=None, part="all", task="video") | {"engine": None}
    del bare["evaluation"]
    assert compare.sentences_on(bare) == "small: 9 videos, 45 sentences"
    activity = {"seed": 7, "engine": {"source": "bvlc"}}
    assert compare.conditions(activity) == "seed 7, BVLC's Caffe"
    otherwise = activity | {"evaluation": {"frames": "last", "strides": [4, 8]}}
    assert compare.conditions(otherwise) == "seed 7, BVLC's Caffe, last frame of each clip, stride 4 and 8"


def test_damaged_images_that_were_passed_over_are_said():
    counts = {"lrcn-fc6-rgb": {"training": 2, "test": 0}, "lrcn-fc6-flow": {"training": 3, "test": 1}}
    assert compare.damaged_in_words([{"passed_over": {}}, {}]) == ""
    said = ", 5 damaged images passed over in training, 1 damaged image passed over in test"
    assert compare.damaged_in_words([{"passed_over": counts}, {}]) == said
    data = {"name": "small", "classes": ["a", "b"], "test_videos": 4, "split": 1}
    models = {"lrcn-fc6": {"rgb": {"accuracy": 50.0}}}
    one = {"task": "activity", "experiment": "x", "dataset": data, "models": models, "seed": 7, "passed_over": counts}
    assert compare.measured_on(one).endswith("split 1, seed 7" + said)
    others = [one | {"dataset": data | {"split": 2}, "passed_over": {}}, one | {"seed": 8}]
    for other, over in zip(others, ("splits 1-2", "seeds 7, 8")):
        on = {row.on for row in compare.tables([one, other])[0].rows if over in row.on}
        assert on and all("5 damaged images" in each or "10 damaged images" in each for each in on), on


def on(precision="fp32", deterministic=True):
    card = {"name": "NVIDIA H200", "capability": "9.0"}
    return {"cards": [card], "driver": "580.1", "precision": precision, "deterministic": deterministic}


def test_what_gpus_did_otherwise_is_said():
    """Of the evaluation, and of any stretch of a training."""

    def said(gpu, *trained):
        stretches = [{"from": 10 * number, "gpu": each} for number, each in enumerate(trained)]
        results = results_of() | {"gpu": gpu, "trained_on": {"lrcn-2f": stretches}}
        activity = {"seed": 7, "engine": {"source": "pypi"}, "gpu": gpu, "trained_on": {"lrcn-fc6": stretches}}
        words = compare.sentences_on(results).split("from PyPI")[1]
        assert compare.conditions(activity) == "seed 7, Caffe as brocolli-caffe from PyPI" + words
        return words

    assert said(None, None) == said(on(), on()) == said(on(), None) == ""
    assert said(on("tf32"), on()) == ", evaluated in tf32"
    assert said(None, on("tf32", False)) == ", trained in tf32, trained with algorithms that are not deterministic"
    assert said(None, on(), None) == ", trained on several devices in turn"


def test_only_seeds_that_gpus_computed_alike_are_averaged():
    def trained(seed, gpu):
        return results_of(seed, **{"lrcn-2f": row()}) | {"gpu": on(), "trained_on": {"a": [{"from": 0, "gpu": gpu}]}}

    assert len(compare.seed_groups([trained(1, on()), trained(2, on())])) == 1
    assert len(compare.seed_groups([trained(1, on()), trained(2, on("tf32"))])) == 2


def test_numbers_are_kept_whole():
    net = row(bleu=1 / 3, recall=200 / 3, truth={"object": 2 / 3, "all": 1 / 7})
    results = results_of(**{"lrcn-2f": net})
    key = "lrcn-2f", ""
    assert compare.generation(results)[key]["BLEU-1"].measured == 33.333333
    assert compare.retrieval(results)[key]["caption_to_image R@1"].measured == 66.666667
    truth = {slot: number.measured for slot, number in compare.truths(results)[key].items()}
    assert truth == {"object": 66.666667, "all": 14.285714}


def test_tables_2_and_3_set_measured_beside_published(tmp_path):
    measured = results_of(
        **{
            "lrcn-2f": row(truth={"object": 0.97, "place": 0.5, "all": 0.48}),
            "1nn-fc7": {"generation": row()["generation"]},
        }
    )
    text = formats.text([table for table in compare.tables([measured]) if table.measured])
    second, third = text.split("\nTable 3:")
    assert "Table 1" not in text and "Table 5" not in text
    assert ["lrcn-2f", *["40", "60", "80", "2.5"] * 2] in lines(second) and "1nn-fc7" not in second
    assert "small, test: 4 images, 20 captions" in second and "small, test: 9 images, 45 captions, beam 5" in third
    assert ["1nn-fc7", "25", "25", "25", "25", "-", "25", "150"] in lines(third)
    assert ["lrcn-2f", "17.5", "40.3", "50.8", "9", "23.6", "46.6", "58.3", "7"] in lines(second)
    assert ["1nn-fc7", "46.23", "26.39", "15.07", "8.73", "-", "-", "-"] in lines(third)
    third, truth = third.split("Beside Table 3: percent of captions that are true")
    assert lines(truth).index(["object", "place", "all"]) < lines(truth).index(["lrcn-2f", "97", "50", "48"])
    (tmp_path / "results.json").write_text(json.dumps(measured))
    assert compare.read(tmp_path / "results.json") == measured


def test_files_of_all_tasks_are_compared_in_one_run(tmp_path):
    activity = {
        "experiment": "demo",
        "seed": 7,
        "engine": {"source": "pypi"},
        "dataset": {"name": "demo", "classes": ["a"], "test_videos": 6, "split": 1},
        "models": {"lrcn-fc6": {"rgb": {"accuracy": 91.25}}},
    }
    spoken = {
        "task": "lm",
        "experiment": "lm/lstm-lm",
        "seed": 7,
        "engine": {"source": "pypi"},
        "evaluation": {},
        "dataset": {"name": "small", "parts": ["val"], "vocabulary": 12},
        "models": {"lstm-lm": {"perplexity": {"val": {"perplexity": 21.5, "captions": 9, "words": 80}}}},
    }
    told = results_of(task="video", **{"decoder-prob": {"generation": row()["generation"]}})
    paths = []
    for name, results in (("a", activity), ("b", results_of(**{"lrcn-2f": row()})), ("c", spoken), ("d", told)):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(results))
    done = lrcn("compare", *paths)
    assert done.returncode == 0, done.stderr
    heads = ["Table 1:", "Table 2:", "Table 3:", "Table 5:", "Language models:"]
    assert sorted(heads, key=done.stdout.index) == heads
    assert ["lstm-lm", "21.5"] in [line[:2] for line in lines(done.stdout)]
    assert ["decoder-prob", "-", "-", "-", "28.8", "-", "-", "-"] in lines(done.stdout)
    document = json.loads(lrcn("compare", *paths, "--json").stdout)
    tables = {table["name"]: table for table in document["tables"]}
    assert list(tables) == ["table1", "table2", "table3", "table5", "perplexity"]
    first = {name: table["rows"][0]["numbers"] for name, table in tables.items()}
    assert first["table1"]["rgb"]["measured"] == 91.25 and first["table1"]["rgb"]["published"] == 71.12
    assert [number["measured"] for number in first["table2"].values()] == [40, 60, 80, 2.5, 40, 60, 80, 2.5]
    alone = [row["published_on"] for row in tables["table3"]["rows"] if row["numbers"]["BLEU-1"]["measured"] is None]
    assert alone == ["Flickr30k"] * 4 + ["COCO 2014"] * 2
    assert tables["table5"]["rows"][0]["model"] == "decoder-prob"
    assert first["perplexity"]["perplexity"]["measured"] == 21.5


def test_seeds_come_together_as_mean_and_spread():
    three = [
        results_of(seed, **{"lrcn-2f": row(bleu, recall)})
        for seed, bleu, recall in ((1, 0.2, 30.0), (2, 0.3, 40.0), (3, 0.25, 50.0))
    ]
    other = results_of(4, part="val", **{"lrcn-2f": row()})
    found = {table.name: table.rows for table in compare.tables([*three, other, three[0]])}
    [mean] = [row for row in found["table3"] if row.mean_over]
    numbers = [mean.numbers[name] for name in compare.GENERATION if name != "METEOR"]
    assert [number.measured for number in numbers] == [25, 25, 25, 25, 25, 150] and "METEOR" not in mean.numbers
    assert [number.spread for number in numbers] == [5, 5, 5, 5, 5, 0] and mean.on.endswith("mean of seeds 1, 2, 3")
    assert "truth3" not in found and mean.seeds == (1, 2, 3) and mean.mean_over == "seeds"
    [mean] = [row for row in found["table2"] if row.mean_over]
    recall = mean.numbers["caption_to_image R@1"]
    assert (recall.measured, recall.spread, recall.published) == (40, 10, 29.0)


def test_videos_come_together_by_level_of_detail_and_with_what_is_true():
    def of(seed, bleu, short, true):
        metrics = row()["generation"]
        return results_of(
            seed,
            "video",
            **{
                "decoder-prob": {
                    "generation": metrics | {"BLEU-4": bleu},
                    "truth": {"object+motion": true, "all": 0.25},
                    "by_detail": {"detailed": metrics, "short": metrics | {"BLEU-4": short}},
                }
            },
        )

    two = [of(1, 0.2, 0.3, 0.875), of(2, 0.4, 0.4, 0.9)]
    found = {table.name: table for table in compare.tables(two)}
    by_detail = {(row.seeds, row.detail): row.numbers["BLEU-4"] for row in found["table5"].rows if row.measured}
    assert "9 videos, 45 sentences" in found["table5"].rows[0].on and by_detail[(1,), "short"].measured == 30
    assert by_detail[(1,), ""].published == 28.8 and by_detail[(1,), "short"].published is None
    assert by_detail[(1, 2), ""].measured == 30 and by_detail[(1, 2), ""].spread == 14.142136
    assert by_detail[(1, 2), "short"].measured == 35 and by_detail[(1, 2), "short"].spread == 7.071068
    truth = {row.seeds: row.numbers for row in found["truth5"].rows}
    assert {slot: number.measured for slot, number in truth[2,].items()} == {"object+motion": 90, "all": 25}
    assert {slot: (n.measured, n.spread) for slot, n in truth[1, 2].items()} == {
        "object+motion": (88.75, 1.767767),
        "all": (25, 0),
    }
    text = lines(formats.text([found["table5"], found["truth5"]]))
    assert ["object+motion", "all"] in text and ["decoder-prob", "88", "25"] in text
    assert ["+-", "over", "the", "seeds", "2", "0"] in text and text.count(["short:"]) == 3
    half = of(3, 0.3, 0.3, 0.5)
    del half["models"]["decoder-prob"]["truth"], half["models"]["decoder-prob"]["by_detail"]
    [mean] = [row for row in compare.tables([*two, half])[-2].rows if row.mean_over]
    assert (mean.seeds, mean.detail, mean.numbers["BLEU-4"].measured) == ((1, 2, 3), "", 30)


def test_rows_stay_beside_new_ones_of_the_same_evaluation(tmp_path):
    path = tmp_path / "new" / "results.json"
    write_results(path, results_of(**{"lrcn-2f": row(0.1), "1nn-fc7": row(0.2)}))
    found = write_results(path, results_of(**{"lrcn-4f": row(0.3), "lrcn-2f": row(0.4)}))
    assert json.loads(path.read_text()) == found
    assert {name: each["generation"]["BLEU-4"] for name, each in found["models"].items()} == {
        "lrcn-4f": 0.3,
        "lrcn-2f": 0.4,
        "1nn-fc7": 0.2,
    }
    assert set(write_results(path, results_of(8, **{"lrcn-1u": row()}))["models"]) == {"lrcn-1u"}
    for damaged in ("{", "[" * 9999, "[]", '{"models": [1]}', '{"models": {"lrcn-2f": 3}}', "9" * 9999):
        path.write_text(damaged)
        assert set(write_results(path, results_of(**{"lrcn-1u": row()}))["models"]) == {"lrcn-1u"}


def test_rows_of_another_data_set_of_that_name_and_size_do_not_stay(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, results_of(**{"lrcn-2f": row()}))  # an earlier lrcn did not say which it is
    assert len(write_results(path, results_of(**{"lrcn-4f": row()}) | {"data_set": "one"})["models"]) == 2
    assert len(write_results(path, results_of(**{"lrcn-1u": row()}) | {"data_set": "one"})["models"]) == 3
    assert set(write_results(path, results_of(**{"1nn-fc7": row()}) | {"data_set": "other"})["models"]) == {"1nn-fc7"}


# ---- what is kept ------------------------------------------------------------------------------------------

CAPTIONS = [[Caption(["a", "dog"], [-0.5, -1.25, -0.125])]]


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"job": {"weights": "w"}}',
        '{"job": {"weights": "w"}, "sentences": [[{"words": 3}]]}',
        '{"job": {"weights": "w"}, "sentences": ' + "[" * 9999,
    ],
)
def test_sentences_that_were_damaged_are_searched_for_again(tmp_path, damage):
    searches = []

    def search():
        searches.append(1)
        return CAPTIONS

    path, identity = tmp_path / "sentences_test.json", {"weights": "w"}
    assert kept(path, identity, search) == kept(path, identity, search) == CAPTIONS and len(searches) == 1
    path.write_text(damage)
    assert kept(path, identity, search) == CAPTIONS and len(searches) == 2
    assert kept(path, identity, search) == CAPTIONS and len(searches) == 2
    assert kept(path, {"weights": "others"}, search) == CAPTIONS and len(searches) == 3


@pytest.mark.parametrize("note", ["", "[]", '{"weights": "others"}'])
def test_of_a_claimed_folder_nothing_goes_but_what_was_kept_there(tmp_path, note):
    folder = tmp_path / "features_test"
    claim(folder, {"weights": "w"})
    for name in ("0000000.npz", "scores_000500.npy", "retrieval.json", "holiday.jpg", "notes.txt"):
        (folder / name).touch()
    claim(folder, {"weights": "w"})
    assert len(list(folder.iterdir())) == 6
    (folder / "job.json").write_text(note)
    claim(folder, {"weights": "w"})
    assert sorted(path.name for path in folder.iterdir()) == ["holiday.jpg", "job.json", "notes.txt"]
    (folder / "job.json").rename(folder / "0000000.npz")
    with pytest.raises(
        DataError, match=r"0000000\.npz: was not made by this command, which would remove it; move it a"
    ):
        claim(folder, {"weights": "w"})
    assert (folder / "0000000.npz").exists()


class Means:
    """A net whose one activation of an image is its mean."""

    def __init__(self):
        self.seen = 0

    def cut(self, images, how):
        return images

    def activations(self, images, blobs, progress, count):
        means = np.array([[image.mean()] for image in images], np.float32)
        self.seen += len(means)
        return dict.fromkeys(blobs, means)


def test_activations_are_kept_of_the_images_that_are_there_now(tmp_path):
    """Others under the same names, as large as before, are other images."""
    net, folder = Means(), tmp_path / "features_test"

    def means(*values):
        for number, value in enumerate(values):
            (tmp_path / f"{number}.ppm").write_bytes(b"P6 2 2 255\n" + bytes([value]) * 12)
        images = [Described(f"{n}.ppm", "test", ["a"], tmp_path / f"{n}.ppm") for n in range(len(values))]
        return activations(net, images, ["fc8"], folder, {"weights": "w"})["fc8"].ravel().tolist()

    assert means(10, 20) == means(10, 20) == [10, 20] and net.seen == 2
    assert means(10, 30) == [10, 30] and net.seen == 4
    for damage in (b"", (folder / "0000000.npz").read_bytes()[:-30], b"P6"):
        (folder / "0000000.npz").write_bytes(damage)
        seen = net.seen
        assert means(10, 30) == [10, 30] and net.seen == seen + 2


def test_images_are_read_once_for_as_long_as_size_and_time_stay(tmp_path):
    paths, note, read = [tmp_path / f"{number}.jpg" for number in range(3)], tmp_path / "images_test.json", []
    for path in paths:
        path.write_bytes(path.name.encode())

    def digest():
        images = [Described(path.name, "test", ["a"], path) for path in paths]
        read.clear()
        note_contents(images, note, lambda what, done, total: read.append(done))
        return digest_of_content(images)

    first = digest()
    assert read == [1, 2, 3] and digest() == first and read == []
    times = paths[1].stat().st_atime_ns, paths[1].stat().st_mtime_ns + 1
    paths[1].write_bytes(b"2.jpg")
    os.utime(paths[1], ns=times)
    assert digest() != first and read == [2]
    for damage in (b"", b"[]", note.read_bytes()[:-9], b'{"0.jpg": [5, 1, "x"]}'):
        note.write_bytes(damage)
        assert digest() != first and read == [1, 2, 3]
    paths[2].unlink()
    with pytest.raises(DataError, match=r"2\.jpg: No such file.*; put the image back"):
        digest()


@pytest.mark.parametrize(
    "damage",
    [
        {"models": {"lrcn-2f": {"generation": 3}}},
        {"dataset": {"name": "x"}},
        {"models": {"lrcn-2f": {"retrieval": {"image_to_caption": {}}}}},
        {"models": []},
    ],
)
def test_a_file_of_sentences_that_is_not_whole_is_named(tmp_path, damage):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(results_of(**{"lrcn-2f": row()}) | damage))
    with pytest.raises(compare.ResultsError, match="r.json"):
        compare.read(path)


def test_other_evaluations_have_files_of_their_own():
    assert Search().suffix == "" and Search("val", beam=5).suffix == "_val_beam5"
    others = {"part": "train", "beam": 3, "length": 20, "tokens": "ptb"}
    assert len({Search(**{name: value}).suffix for name, value in others.items()} | {""}) == 5


@needs(PUBLISHED_RESULTS)
def test_published_rows_are_those_of_the_paper():
    from lrcn.results import published

    facts = json.loads(PUBLISHED_RESULTS.read_text())

    def rows(found):
        return {name.replace("_", "-"): tuple(values) for name, values in found.items()}

    second, third = facts["table2_retrieval"], facts["table3_generation_bleu_percent"]
    for on, key in (("Flickr30k", "flickr30k"), ("COCO 2014", "coco")):
        images, captions = (rows(second[f"{key}_{way}"]) for way in compare.DIRECTIONS)
        assert published.TABLE2[on] == {name: (images[name], captions[name]) for name in images}
    assert published.TABLE3 == {"Flickr30k": rows(third["flickr30k"]), "COCO 2014": rows(third["coco2014"])}
    assert set(published.TABLE4.values()) == {
        tuple(values) for values in facts["table4_human_rank_1_to_6_low_is_good"]["flickr_785_images"].values()
    }
    told = facts["table5_video_description_tacos_multilevel_bleu4_percent"]
    assert published.TABLE5 == {
        name.replace("lstm_", "").replace("decoder_crf", "decoder").replace("_", "-"): value
        for name, value in told.items()
    }
