"""Measures and the comparison, held against counts made by hand and against the paper's own figures."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn import compare
from lrcn.evaluate import measure, measure_model
from lrcn.published import TABLE1

CLASSES = ["a", "b", "c"]


def test_measure_counts_by_hand():
    labels = np.array([0, 0, 1, 2, 2, 2])
    answers = np.array([0, 1, 1, 2, 0, 2])
    measured = measure(np.eye(3)[answers], labels, CLASSES)
    assert measured["accuracy"] == pytest.approx(66.67)
    assert measured["per_class"] == {"a": 50.0, "b": 100.0, "c": 66.67}
    assert measured["confusion"] == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


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
    text = compare.table1([compare.read(path)])
    measured, published = text.split("published on", 1)
    assert "demo: 3 classes, 6 test videos" in measured and "seed 7" in measured
    assert [line.split() for line in measured.splitlines() if "lrcn-fc6" in line] == [
        ["lrcn-fc6", "91.25", "88.00", "-", "-"]
    ]
    assert ["lrcn-fc6", "71.12", "76.95", "81.97", "82.92"] in [line.split() for line in published.splitlines()]
    assert "UCF-101" in published


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
