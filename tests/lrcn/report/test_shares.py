"""The picture that `lrcn compare --chart` draws."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from lrcn.report import shares
from lrcn.results import compare
from tests.browser import opened
from tests.commands import lrcn

SVG = "{http://www.w3.org/2000/svg}"


def classified(**accuracies):
    """Results of 200 videos: {model: accuracy of RGB}."""
    return {
        "task": "activity",
        "seed": 1,
        "dataset": {"name": "small & <made>", "classes": ["a", "b"], "test_videos": 200, "split": 1},
        "models": {model: {"rgb": {"accuracy": value, "videos": 200}} for model, value in accuracies.items()},
    }


def described(**truths):
    return {
        "task": "caption",
        "seed": 1,
        "dataset": {"name": "pictures", "part": "test", "images": 50, "captions": 250},
        "models": {model: {"truth": {"size": 0.9, "all": value}} for model, value in truths.items()},
    }


def drawn(*results):
    return ElementTree.fromstring(shares.svg(compare.tables(list(results))))


def bars(svg):
    """(words, width) of each bar."""
    return [(rect[0].text, float(rect.get("width"))) for rect in svg.iter(f"{SVG}rect") if len(rect)]


def test_it_draws_table_1_and_what_is_wholly_true():
    svg = drawn(classified(**{"single-frame": 15.0, "lrcn-fc6": 60.0}), described(**{"lrcn-2f": 0.3, "1nn-fc7": 0.1}))
    (frame, short), (lrcn_fc6, long), (caption, half), (near, least) = bars(svg)
    assert frame.startswith("RGB, single frame: 15.0 %, 30 of 200, 95 % interval 10.7 to 20.6")
    assert lrcn_fc6.startswith("RGB, LRCN-fc6: 60.0 %, 120 of 200")
    assert caption.startswith("LRCN-2f, all: 30 %, 15 of 50") and near.startswith("1NN-fc7, all: 10 %, 5 of 50")
    assert [short / long, least / half] == pytest.approx([1 / 4, 1 / 3], abs=0.01)
    assert len(list(svg.iter(f"{SVG}path"))) == 4
    words = " ".join(text.text for text in svg.iter(f"{SVG}text"))
    assert (
        "small & <made>" in words
        and "single frame" in words
        and "Percent of captions that are true in every slot" in words
    )


def test_nothing_to_draw_is_said(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(described() | {"models": {"lrcn-2f": {}}}))
    done = lrcn("compare", tmp_path / "results.json", "--chart", tmp_path / "shares.svg")
    assert done.returncode == 2 and "nothing to draw" in done.stderr and not (tmp_path / "shares.svg").exists()
    done = lrcn("compare", tmp_path / "results.json", "--chart", tmp_path / "results.json")
    assert done.returncode == 2 and "ends in .svg" in done.stderr


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_read_on_light_and_on_dark(chromium, tmp_path, dark):
    """As text of a page, for whose contrast the browser's own colours count."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps(classified(**{"single-frame": 15.0, "lrcn-fc6": 99.0})))
    done = lrcn("compare", path, "--chart", tmp_path / "pictures" / "shares.svg")
    assert done.returncode == 0 and not done.stderr
    drawing = (tmp_path / "pictures" / "shares.svg").read_text()
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html><meta name=viewport content='width=device-width'>{drawing}")
    with opened(chromium, tmp_path / "page.html", width=700, dark=dark) as tab:
        assert tab.faults() == []
