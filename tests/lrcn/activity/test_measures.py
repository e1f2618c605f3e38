"""Measures and the comparison, held against counts made by hand and against the paper's own figures."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.activity.evaluate import (
    Scoring,
    fusion_sweep,
    measure,
    measure_model,
    most_confused,
    over_time,
    summarise,
    write_reports,
)
from lrcn.results import compare, confusion, formats
from lrcn.results.numbers import Number
from lrcn.results.published import TABLE1

CLASSES = ["a", "b", "c"]


def about(classes, labels):
    return {"name": "demo", "classes": classes, "test_videos": len(labels), "split": 1}


def test_measure_counts_by_hand():
    labels = np.array([0, 0, 1, 2, 2, 2])
    answers = np.array([0, 1, 1, 2, 0, 2])
    measured = measure(np.eye(3)[answers], labels, CLASSES)
    assert measured["accuracy"] == pytest.approx(66.67)
    assert measured["per_class"] == {"a": 50.0, "b": 100.0, "c": 66.67}
    assert json.dumps(measured["confusion"]) == "[[1, 1, 0], [0, 1, 0], [1, 0, 2]]" and measured["videos"] == 6


def test_a_class_without_videos_has_no_accuracy(tmp_path, monkeypatch):
    labels, answers = np.array([0, 0, 2]), np.array([0, 1, 2])
    summary = summarise({"single-frame": {"rgb": np.eye(3)[answers][:, None]}}, {}, labels, CLASSES)
    measured = summary["models"]["single-frame"]["rgb"]
    assert measured["per_class"] == {"a": 50.0, "b": None, "c": 100.0} and measured["accuracy"] == pytest.approx(66.67)
    figures = []
    monkeypatch.setattr(confusion, "save", lambda figure, path, vector: figures.append(figure))
    write_reports(summary, about(CLASSES, labels), tmp_path)
    lines = (tmp_path / "per_class.tsv").read_text().splitlines()
    assert lines == ["class\tvideos\tsingle-frame rgb", "a\t2\t50.0", "b\t0\t-", "c\t1\t100.0"]
    axes = figures[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b (no video)", "c"]
    percent = {text.get_position(): text.get_text() for text in axes.texts if text.get_text().isdigit()}
    row_of_a, row_of_c = ["50", "50", "0"], ["0", "0", "100"]  # and none of b
    assert percent == {(x, y): each for y, row in ((0, row_of_a), (2, row_of_c)) for x, each in enumerate(row)}


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_confusion_holds_every_video_once(videos, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, videos)
    measured = measure(rng.random((videos, 3)), labels, CLASSES)
    assert np.array(measured["confusion"]).sum(1).tolist() == np.bincount(labels, minlength=3).tolist()


def test_the_second_average_leans_on_flow():
    # RGB is sure of class 0 by 0.3, flow of class 1 by 0.2: with 1/2 RGB wins, with 1/3 flow.
    rgb, flow = np.array([[[0.65, 0.35, 0.0]]]), np.array([[[0.4, 0.6, 0.0]]])
    measured = measure_model({"rgb": rgb, "flow": flow}, np.array([1]), CLASSES)
    assert {name: m["accuracy"] for name, m in measured.items()} == {
        "rgb": 0,
        "flow": 100,
        "average_1/2_1/2": 0,
        "average_1/3_2/3": 100,
    }
    assert set(measure_model({"rgb": rgb}, np.array([1]), CLASSES)) == {"rgb"}


def test_scores_are_averaged_over_the_frames_before_the_answer():
    # two frames say class 1 narrowly, one says class 0 with certainty
    probs = np.array([[[0.49, 0.51], [0.49, 0.51], [1.0, 0.0]]])
    assert measure_model({"rgb": probs}, np.array([0]), ["a", "b"])["rgb"]["accuracy"] == 100


def test_the_last_frame_alone():
    probs = np.array([[[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]])
    found = {frames: measure_model({"rgb": probs}, np.array([1]), ["a", "b"], frames) for frames in ("mean", "last")}
    assert found["mean"]["rgb"]["accuracy"] == 0 and found["last"]["rgb"]["accuracy"] == 100


def test_most_confused_pairs_by_hand():
    assert most_confused([[5, 2, 0], [1, 3, 0], [2, 2, 4]], CLASSES) == [
        {"class": "a", "answer": "b", "videos": 2, "percent": 28.57},
        {"class": "c", "answer": "a", "videos": 2, "percent": 25.0},
        {"class": "c", "answer": "b", "videos": 2, "percent": 25.0},
        {"class": "b", "answer": "a", "videos": 1, "percent": 25.0},
    ]
    assert len(most_confused([[0, 2, 1], [1, 3, 1], [2, 2, 4]], CLASSES, most=2)) == 2
    assert most_confused(np.eye(3, dtype=int).tolist(), CLASSES) == []
    assert len(most_confused(np.ones((5, 5), int), list("abcde"))) == 10  # of 20 pairs


TWO = {  # two videos of classes 0 and 1, two frames
    "rgb": np.array([[[0.4, 0.6], [0.8, 0.2]], [[0.3, 0.7], [0.6, 0.4]]]),
    "flow": np.array([[[0.5, 0.5], [0.7, 0.3]], [[0.9, 0.1], [0.1, 0.9]]]),
}


def test_accuracy_over_time_by_hand():
    found = over_time(TWO, np.array([0, 1]), {"rgb": np.array([50.0, 25.0])})
    assert found["rgb"] == {"video": [50.0, 50.0], "clip": [50.0, 25.0]}
    assert found["flow"] == {"video": [50.0, 100.0]}
    # frame 1, halves: video 0 [.45, .55] wrong, video 1 [.6, .4] wrong; frame 2: both right
    assert found["average_1/2_1/2"] == {"video": [0.0, 100.0]}
    third = over_time({"rgb": np.repeat(TWO["rgb"], 2, 1)[:, :3]}, np.array([0, 1]), {"rgb": np.array([100 / 3] * 3)})
    assert third["rgb"] == {"video": [50.0] * 3, "clip": [33.33] * 3}


def test_the_fusion_sweep_by_hand():
    """At the last frame, video 1 has p 0.6 + (1 - p) 0.1 for class 0: wrong from p = 0.8; video 0 is always right."""
    sweep = fusion_sweep(TWO, np.array([0, 1]), "last")
    assert sweep["rgb_weight"] == pytest.approx(np.arange(21) / 20)
    assert [a for p, a in zip(sweep["rgb_weight"], sweep["accuracy"]) if abs(p - 0.8) > 0.01] == [100] * 16 + [50] * 4


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_sweep_ends_at_its_two_modalities(videos, seed):
    rng = np.random.default_rng(seed)
    scores = {m: rng.random((videos, 4, 3)) for m in ("rgb", "flow")}
    labels = rng.integers(0, 3, videos)
    sweep, measured = fusion_sweep(scores, labels)["accuracy"], measure_model(scores, labels, CLASSES)
    assert (sweep[0], sweep[10], sweep[20]) == tuple(
        measured[column]["accuracy"] for column in ("flow", "average_1/2_1/2", "rgb")
    )


def test_reports_are_tables_and_pictures(tmp_path):
    scores = {"single-frame": {m: probs[:, :1] for m, probs in TWO.items()}, "lrcn-fc6": TWO}
    hits = {"lrcn-fc6": {"rgb": np.array([50.0, 25.0])}}
    found = summarise(scores, hits, np.array([0, 1]), ["a", "b"])
    assert set(found["over_time"]) == {"lrcn-fc6"} and set(found["fusion"]) == set(scores)
    labels, classes = np.array([0, 1]), ["a", "b"]
    for frames in "mean", "last":
        summary = summarise(scores, hits, labels, classes, frames)
        assert summary["models"] == {model: measure_model(of, labels, classes, frames) for model, of in scores.items()}
        assert summary["fusion"] == {model: fusion_sweep(of, labels, frames) for model, of in scores.items()}
        assert summary["over_time"]["lrcn-fc6"] == over_time(TWO, labels, hits["lrcn-fc6"])
    assert summary["fusion"]["lrcn-fc6"] != found["fusion"]["lrcn-fc6"]  # by the last frame and by their mean
    json.dumps(found)  # what results.json carries
    write_reports(found, about(classes, labels), tmp_path, "_x")
    rows = [line.split("\t") for line in (tmp_path / "per_class_x.tsv").read_text().splitlines()]
    assert rows[0][:4] == ["class", "videos", "single-frame rgb", "single-frame flow"]
    assert rows[2] == ["b", "1", "100.0", "0.0", "0.0", "0.0", "100.0", "0.0", "100.0", "100.0"]
    assert "lrcn-fc6\trgb\tclip\t2\t25.0" in (tmp_path / "over_time_x.tsv").read_text()
    assert "lrcn-fc6\t0.5\t" in (tmp_path / "fusion_x.tsv").read_text()
    for name, heads in {
        "confused": "model\tcolumn\tclass\tanswer\tvideos\tpercent",
        "over_time": "model\tcolumn\tof\tframe\tpercent",
        "fusion": "model\trgb_weight\tpercent",
    }.items():
        assert (tmp_path / f"{name}_x.tsv").read_text().splitlines()[0] == heads
    for name in "over_time_x", "fusion_x", "confusion_lrcn-fc6_rgb_x", "confusion_single-frame_average_12_12_x":
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert not list(tmp_path.glob("*.part"))


def test_files_of_another_evaluation_have_names_of_their_own():
    assert Scoring().ending == Scoring("mean", [8, 8]).ending == ""
    assert Scoring(strides=[8, 4]).ending == "_stride4-8" and Scoring("last").ending == "_last"
    assert Scoring("last", [16]).ending == "_stride16_last"
    assert Scoring(mean_slip=True, flow_negation="never").ending == "_mean-slip_never"


def of_split(split, seed=7, **accuracies):
    return {
        "task": "activity",
        "experiment": "demo",
        "seed": seed,
        "engine": {"source": "pypi"},
        "dataset": {"name": "demo", "classes": CLASSES, "test_videos": 6, "split": split},
        "models": {
            model: {column: {"accuracy": value} for column, value in columns.items()}
            for model, columns in accuracies.items()
        },
    }


def first_table(*all_results):
    return compare.tables(all_results)[0]


def test_splits_come_together_as_mean_and_spread():
    three = [
        of_split(split, **{"lrcn-fc6": {"rgb": rgb, "flow": 50.0}, "single-frame": {"rgb": 10.0}})
        for split, rgb in ((2, 80.0), (1, 70.0), (3, 75.0))
    ]
    mean, single = (
        next(row for row in first_table(*three).rows if row.mean_over == "splits" and row.model == model)
        for model in ("lrcn-fc6", "single-frame")
    )
    assert "mean of splits 1-3, seed 7" in mean.on and mean.splits == (1, 2, 3) and mean.seeds == (7,)
    assert [(n.measured, n.spread) for n in map(mean.numbers.get, ("rgb", "flow"))] == [(75.0, 5.0), (50.0, 0.0)]
    assert single.numbers["flow"] == Number(None, 72.19) and mean.published_on == "UCF-101, mean of splits 1-3"
    assert mean.numbers["rgb"].difference == round(75 - 68.19, 2) and not mean.same_data
    text = formats.text([first_table(*three)])
    spread = [line.split() for line in text.splitlines() if "over the splits" in line]
    assert spread[0] == ["+-", "over", "the", "splits", "0", "-", "-", "-"]
    assert spread[1] == ["+-", "over", "the", "splits", "5", "0", "-", "-"]


def test_only_like_results_are_averaged():
    one, other = of_split(1, **{"lrcn-fc6": {"rgb": 1.0}}), of_split(2, 8, **{"lrcn-fc6": {"rgb": 2.0}})
    last = of_split(2, **{"lrcn-fc6": {"rgb": 2.0}}) | {"evaluation": {"frames": "last", "strides": [8]}}
    assert not any(row.mean_over for row in first_table(one, other, last, one).rows)
    assert "last frame of each clip" in first_table(last).rows[0].on
    more = of_split(3, **{"lrcn-fc6": {"rgb": 3.0}, "lrcn-fc7": {"rgb": 3.0}})
    [mean] = [row for row in first_table(one, more).rows if row.mean_over]
    assert "mean of splits 1, 3" in mean.on and mean.model == "lrcn-fc6"
    [mean] = [row for row in first_table(one, of_split(1, 8, **{"lrcn-fc6": {"rgb": 4.0}})).rows if row.mean_over]
    assert (mean.mean_over, mean.seeds) == ("seeds", (7, 8)) and mean.on.endswith("mean of seeds 7, 8")
    assert mean.numbers["rgb"].measured == 2.5 and mean.published_on == "UCF-101, split 1"


@pytest.mark.parametrize(
    "name, classes, splits, published_on, same",
    [
        ("ucf101", 101, [1], "UCF-101, split 1", True),
        ("UCF-101", 101, [1], "UCF-101, split 1", True),
        ("ucf101", 101, [2], "UCF-101, split 1", False),
        ("ucf101", 3, [1], "UCF-101, split 1", False),
        ("demo", 101, [1], "UCF-101, split 1", False),
        ("ucf101", 101, [3, 1, 2], "UCF-101, mean of splits 1-3", True),
        ("ucf101", 101, [1, 3], "UCF-101, mean of splits 1-3", False),
    ],
)
def test_a_row_says_which_published_numbers_stand_in_it(name, classes, splits, published_on, same):
    measured = [of_split(split, **{"lrcn-fc6": {"rgb": 70.0}, "lrcn-fc7": {"rgb": 70.0}}) for split in splits]
    for results in measured:
        results["dataset"] |= {"name": name, "classes": [f"class {n}" for n in range(classes)]}
    rows = first_table(*measured).rows
    of_whole = [row for row in rows if row.measured and bool(row.mean_over) == (len(splits) > 1)]
    assert [row.published_on for row in of_whole] == [published_on, *[published_on] * (len(splits) == 1)] + [None] * (
        len(splits) > 1
    )
    assert of_whole[0].same_data == same
    alone = {(row.published_on, row.model) for row in rows if not row.measured}
    assert ((published_on, "lrcn-fc6") in alone) != same  # what was measured on other data was not measured
    assert ("UCF-101, mean of splits 1-3", "single-frame") in alone


def results(tmp_path, **models):
    path = tmp_path / "results.json"
    path.write_text(
        json.dumps(
            {
                "experiment": "demo",
                "dataset": {"name": "demo", "classes": CLASSES, "test_videos": 6, "split": 1},
                "engine": {"source": "pypi"},
                "seed": 7,
                "git": None,
                "models": models,
            }
        )
    )
    return path


def test_table_puts_measured_beside_published_and_says_which_data(tmp_path):
    path = results(tmp_path, **{"lrcn-fc6": {"rgb": {"accuracy": 91.25}, "flow": {"accuracy": 88.0}}})
    text = formats.text([first_table(compare.read(path))])
    measured, alone = text.split("published on UCF-101, split 1, not measured here")
    assert "measured on demo: 3 classes, 6 test videos" in measured and "seed 7" in measured
    assert "published on UCF-101, split 1: another data set (*)" in measured
    lines = [line.split() for line in measured.splitlines()]
    at = lines.index(["lrcn-fc6", "91", "88", "-", "-"])  # of 6 videos
    assert lines[at + 1][:3] == ["95", "%", "interval"]
    assert lines[at + 2] == ["published", "*", "71.12", "76.95", "81.97", "82.92"]
    assert lines[at + 3] == ["difference", "*", "+20", "+11", "-", "-"]
    assert ["lrcn-fc6", "71.12", "76.95", "81.97", "82.92"] in [line.split() for line in alone.splitlines()]
    alone = formats.measured_text(compare.read(path))
    assert ["lrcn-fc6", "91", "88", "-", "-"] in [line.split() for line in alone.splitlines()]
    assert "71.12" not in alone and "published" not in alone and "difference" not in alone


def test_table_1_says_what_the_paper_does():
    split1, mean = TABLE1["split 1"], TABLE1["mean of splits 1-3"]
    assert split1["lrcn-fc6"] == (71.12, 76.95, 81.97, 82.92) and mean["lrcn-fc6"] == (68.19, 77.46, 80.62, 82.66)
    assert split1["single-frame"] == (69.00, 72.20, 75.71, 79.04) and mean["single-frame"] == (
        67.70,
        72.19,
        75.87,
        78.84,
    )
    assert split1["lrcn-fc7"] == (70.68, 69.36, 79.01, 80.51) and "lrcn-fc7" not in mean


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": {}, "dataset": 3}', '{"models": {}'])
def test_a_file_that_holds_no_results_is_named(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(compare.ResultsError, match="r.json"):
        compare.read(path)
    with pytest.raises(compare.ResultsError, match="nowhere.json"):
        compare.read(tmp_path / "nowhere.json")
