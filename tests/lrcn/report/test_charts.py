"""What a chart draws is what its numbers are."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from lrcn.report import charts
from lrcn.report.charts import Axis, Line
from lrcn.report.matrix import confusion
from lrcn.results.numbers import Number, share

AXES = Axis("frame"), Axis("percent", 0, 100)


def drawing(markup) -> ElementTree.Element:
    """The SVG of a chart, as a parser of XML has it."""
    return ElementTree.fromstring(re.search(r"<svg class=\"drawing\".*?</svg>", str(markup), re.DOTALL)[0])


def points(svg) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in svg.find("polyline").get("points").split()]


def test_a_line_goes_where_its_numbers_are():
    svg = drawing(charts.lines([Line("a", [1, 2, 5], [0, 50, 100], "#000000")], *AXES))
    (x1, y1), (x2, y2), (x3, y3) = points(svg)
    assert (x2 - x1) / (x3 - x1) == pytest.approx(1 / 4, abs=0.01)
    assert (y1 - y2) / (y1 - y3) == pytest.approx(1 / 2, abs=0.01)  # up is more
    texts = list(svg.iter("text"))
    hundred = next(each for each in texts if each.text == "100")
    assert float(hundred.get("y")) - 4 == pytest.approx(y3, abs=0.2)


def test_the_numbers_behind_a_chart_are_all_there():
    made = charts.lines([Line("a", [1, 2], [0.25, 0.5], "#000000"), Line("b", [2, 3], [1, 2], "#111111")], *AXES)
    rows = re.findall(r"<tr>(.*?)</tr>", str(made))
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]
    assert cells == [["frame", "a", "b"], ["1", "0.25", ""], ["2", "0.5", "1"], ["3", "", "2"]]


def test_what_is_no_number_is_left_out_and_nothing_is_drawn_of_nothing():
    nothing = [float("nan"), None, float("inf")]
    assert charts.lines([Line("a", [1, 2, 3], nothing, "#000000")], *AXES) == ""
    assert len(points(drawing(charts.lines([Line("a", [1, 2, 3], [1, None, 3], "#000000")], *AXES)))) == 2
    assert charts.lines([], *AXES) == "" and charts.bars([], {}) == "" and charts.heat([], [], "h", 0, 1) == ""


def test_long_lines_are_thinned_and_keep_their_ends():
    svg = drawing(charts.lines([Line("a", range(100_001), range(100_001), "#000000")], Axis("x"), Axis("y")))
    drawn = points(svg)
    assert len(drawn) <= charts.MOST_POINTS + 1
    assert drawn[0][0] == pytest.approx(charts.LEFT) and drawn[-1][0] == pytest.approx(charts.WIDTH - charts.RIGHT)


@pytest.mark.parametrize("low, high", [(0, 1), (0, 100), (-3.2, 7.7), (0.001, 0.0013), (0, 12345), (5, 5.5)])
def test_ticks_are_round_and_within(low, high):
    marks = charts.ticks(low, high)
    assert 2 <= len(marks) <= 8 and low <= marks[0] + 1e-9 and marks[-1] <= high + 1e-9
    assert len({round(b - a, 9) for a, b in zip(marks, marks[1:])}) == 1
    assert all(len(f"{mark:g}") <= 7 for mark in marks)


def test_bars_are_as_long_as_their_shares():
    svg = drawing(
        charts.bars(
            [("a", {"x": share(25.0, 200), "y": Number(100.0)}), ("b", {"y": share(0.0, 10)})],
            {"x": "#000000", "y": "#111111"},
        )
    )
    widths = [float(bar.get("width")) for bar in svg.iter("rect")]
    assert widths[0] / widths[1] == pytest.approx(1 / 4, abs=0.01) and len(widths) == 3
    assert [each.text for each in svg.iter("text") if each.get("class") == "small"][-4:] == [
        "25.0",
        "100.00",
        "none",
        "0",
    ]


def test_a_bar_has_the_line_of_its_interval():
    svg = drawing(charts.bars([("a", {"x": share(25.0, 200)})], {"x": "#000000"}))
    [bar], [path] = svg.iter("rect"), svg.iter("path")
    begin, end = re.fullmatch(r"M([\d.]+) [\d.]+v6m0-3H([\d.]+)m0-3v6", path.get("d")).groups()
    low, high = ((float(each) - float(bar.get("x"))) / float(bar.get("width")) * 25 for each in (begin, end))
    assert (low, high) == pytest.approx(share(25.0, 200).interval, abs=0.05)


def test_a_heat_map_has_a_cell_a_number_and_the_more_the_darker():
    svg = drawing(charts.heat([[0, 0.5], [1, float("nan")]], ["1", "2"], "input", 0, 1))
    cells = {path.get("fill"): path.get("d").count("M") for path in svg.iter("path")}
    assert sum(cells.values()) == 3 and "#ffffff" in cells
    assert len(cells) == 3


def test_texts_are_escaped():
    nasty = '</svg><script>alert("1")</script>'
    for made in (
        charts.lines([Line(nasty, [1], [1], "#000000")], Axis(nasty), Axis(nasty), {nasty: 0.5}),
        charts.bars([(nasty, {nasty: share(5.0, 20)})], {nasty: "#000000"}, nasty),
        charts.heat([[1]], [nasty], nasty, 0, 1) + charts.steps_axis([nasty]),
        confusion([[1]], [nasty], nasty),
    ):
        assert "<script" not in made and "&lt;" in made


def test_a_matrix_shows_every_pair_and_its_orders_are_of_all_classes():
    counts = np.array([[3, 1, 0], [0, 0, 0], [2, 0, 2]])
    made = str(confusion(counts.tolist(), ["b", "a", "c"], "net"))
    tips = re.findall(r"<title>(\w) taken for (\w): (\d+) of (\d+) videos", made)
    assert sorted(tips) == [("b", "a", "1", "4"), ("b", "b", "3", "4"), ("c", "b", "2", "4"), ("c", "c", "2", "4")]
    assert "a (none)" in made
    orders = re.search(r'data-orders="(.*?)"', made)[1].replace("&#34;", '"')
    orders = json.loads(orders)
    assert all(sorted(order) == [0, 1, 2] for order in orders.values())
    assert orders["by name"] == [1, 0, 2] and orders["worst first"] == [2, 0, 1]


@pytest.mark.parametrize(
    "counts", [[[1]], [[1, 2]], [[1, -1], [0, 1]], [[float("inf"), 0], [0, 1]], "no", [["a", "b"]] * 2]
)
def test_what_is_no_matrix_of_the_classes_is_refused(counts):
    with pytest.raises((ValueError, TypeError)):
        confusion(counts, ["a", "b"], "net")


@pytest.mark.parametrize("low, high", [(0, 0.00025), (0, 70_000), (0.0002, 0.0012), (0, 123_456)])
def test_what_stands_at_an_axis_has_its_place(low, high):
    """Neither over the axis' title nor beyond the edge; a digit is at most 0.64 em wide."""
    svg = drawing(charts.lines([Line("a", [low, high], [low, high], "#000000")], Axis("x"), Axis("y")))
    for each in (each for each in svg.iter("text") if each.get("class") == "small"):
        wide, x = 0.64 * 10.5 * len(each.text), float(each.get("x"))
        left, right = (x - wide, x) if each.get("text-anchor") == "end" else (x - wide / 2, x + wide / 2)
        assert left > (12 if each.get("text-anchor") == "end" else 0) and right < charts.WIDTH
