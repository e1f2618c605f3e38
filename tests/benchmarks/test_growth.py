"""How cost grows: points, slopes, and the page that shows them; nothing is timed here."""

import sys

import pytest

from tests.shared import ROOT


@pytest.fixture
def growth(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield __import__("growth")
    sys.modules.pop("growth")


def points(*triples):
    return [{"size": size, "seconds": seconds, "peak": peak} for size, seconds, peak in triples]


def test_a_slope_is_the_exponent_between_the_last_two_points(growth):
    quadratic = points((1, 99, 1), (10, 0.5, 80), (100, 50, 80))
    assert growth.slope(quadratic, "seconds") == pytest.approx(2) and growth.slope(quadratic, "peak") == 0


def test_the_page_has_plots_and_a_row_of_each(growth, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "growth.md").write_text(f"before\n{growth.BEGIN}\nold\n{growth.END}\nbehind\n")
    measured = {"of": "videos", "slopes": {"seconds": 1.25, "peak": 0}, "points": points((10, 1, 30), (1000, 316, 30))}
    machine = {"processor": "a processor", "cores": 2, "load": 0.5, "date": "2026-11-27T00:00:00+00:00"}
    growth.write_page({"machine": machine, "growth": {"loading": measured}}, tmp_path)
    page = (tmp_path / "growth.md").read_text()
    assert "| loading | videos | 10, 1,000 | 1, 316 | 30, 30 | 1.25 | 0.00 |" in page
    assert page.startswith("before\n") and page.endswith("behind\n") and "old" not in page
    assert "2 cores, load 0.5" in page
    assert "loading" in (tmp_path / "pictures" / "growth-videos.svg").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evaluation", "comparison", "captions", "loading", "start", "preparation"])
def test_what_grows_can_be_measured(growth, tmp_path, name):
    """The work itself, of the least size; how long it takes is no matter."""
    growth.GROWTH[name][2](tmp_path, 10)()
