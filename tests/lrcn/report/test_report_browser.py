"""The report in Chromium, on a phone and on a desk, by day and by night."""

import numpy as np
import pytest

from lrcn.report.page import write_report
from tests.browser import WIDTHS, opened

from . import outcomes

CLASSES = ["ApplyEyeMakeup", "Clockwise", "CounterClockwise", "Jump_Rope"]
LONG = "a_class_of_a_very_long_name_that_nobody_would_want_to_read_to_its_end"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    runs = folder / "runs"
    classes = [*CLASSES, LONG, "עברית", *(f"Class{n}" for n in range(24))]
    outcomes.write(runs / "trial", outcomes.activity_results(classes, 200), outcomes.activity_examples(classes))
    outcomes.write(runs / "small", outcomes.activity_results(CLASSES) | {"experiment": "small"})
    outcomes.write_run(runs / "trial" / "lrcn-fc6-rgb", units=32)
    captions = outcomes.caption_examples(f"một con mèo {LONG}", ["a <b>cat</b> & a dog", "喵" * 60])
    outcomes.write(runs / "captions", outcomes.caption_results(), captions)
    (runs / "broken").mkdir()
    (runs / "broken" / "results.json").write_text("{")
    write_report([runs], folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_reader_sees_it_whole(chromium, page, width, dark):
    with opened(chromium, page, width=width, dark=dark) as tab:
        assert tab.faults() == []
        tab.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert tab.faults() == []


def places(tab, name: str) -> list[float]:
    """Where the rows of the classes stand, from the top, in the first matrix that is open."""
    rows = tab.page.locator("details[open] .matrix").first.locator("text[data-r]").all()
    return [row.bounding_box()["y"] for row in rows]


def test_a_matrix_is_sorted_and_enlarged(chromium, page):
    with opened(chromium, page) as tab:
        matrix = tab.page.locator(
            "#run-1 details[open] .matrix, section:has(h2:text-is('trial')) details[open] .matrix"
        ).last
        rows = matrix.locator("text[data-r]")
        names = rows.evaluate_all("all => all.map(each => each.lastElementChild.textContent)")

        def order() -> list[str]:
            tops = rows.evaluate_all("all => all.map(each => each.getBoundingClientRect().top)")
            return [names[n] for n in np.argsort(tops, kind="stable")]

        assert order() == names
        matrix.locator("select").select_option("by name")
        assert order() == sorted(names, key=str.lower) != names
        before = matrix.locator("svg").bounding_box()["width"]
        matrix.get_by_role("button", name="larger").click()
        assert matrix.locator("svg").bounding_box()["width"] == pytest.approx(1.5 * before, rel=0.01)
        assert tab.faults() == []


def test_cells_go_with_their_classes(chromium, page):
    with opened(chromium, page) as tab:
        matrix = tab.page.locator("details[open] .matrix").first
        matrix.locator("select").select_option("worst first")
        apart = matrix.evaluate(
            """matrix => {
              const at = (selector) => matrix.querySelector(selector).getBoundingClientRect();
              return [...matrix.querySelectorAll("g[data-r][data-c] rect")].map((cell) => {
                const {r, c} = cell.parentElement.dataset, box = cell.getBoundingClientRect();
                const row = at(`text[data-r="${r}"]`), column = at(`g[data-c="${c}"] text`);
                return Math.max(Math.abs((row.top + row.bottom - box.top - box.bottom) / 2),
                  Math.abs((column.left + column.right - box.left - box.right) / 2));
              });
            }"""
        )
        assert len(apart) > 3 and max(apart) < 6  # pixels, of cells of 28


def test_on_paper_everything_is_unfolded(chromium, page):
    with opened(chromium, page) as tab:
        tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert tab.page.locator("main > section > details:not([open])").count() == 0
        tab.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert tab.page.locator("main > section > details:not([open])").count() > 0
        tab.page.emulate_media(media="print")
        assert tab.page.locator("nav").first.is_hidden()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_paper_nothing_is_cut_off_or_dark(chromium, page, dark):
    with opened(chromium, page, width=718, dark=dark) as tab:  # of A4 between its margins
        tab.page.emulate_media(media="print")
        tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert tab.faults() == []
        assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        sides = tab.page.locator(".matrix svg").evaluate_all(
            "all => all.map(each => [each.clientWidth, each.viewBox.baseVal.width])"
        )
        assert all(shown <= drawn + 1 for shown, drawn in sides)  # a matrix of four classes does not fill a page


def test_a_phone_shows_the_answers_and_whose_a_number_is(chromium, page):
    with opened(chromium, page, width=390) as tab:
        answers = tab.page.locator("[aria-label^='answers for']").first
        assert answers.evaluate("each => each.scrollWidth - each.clientWidth") <= 1  # no sideways scroll within
        table = tab.page.locator(".scroll:has(> .paper)").first
        model = table.locator("th[scope=row]").first
        before = model.bounding_box()["x"]
        assert table.evaluate("each => { each.scrollLeft = 1e6; return each.scrollLeft; }") > 0
        assert model.bounding_box()["x"] == pytest.approx(before, abs=1)
