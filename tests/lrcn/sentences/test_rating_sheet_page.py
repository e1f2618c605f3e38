"""The rating sheet as raters have it: in a browser, by mouse and by keyboard."""

import json

import cv2
import numpy as np
import pytest

from lrcn.sentences import rating_sheet
from tests.browser import WIDTHS, opened, window

HOSTILE = "</script><img src=x onerror=alert(1)> \u202e " + "word" * 60
SYSTEMS = {
    "good": {"0.jpg": "a dog , wet .", "1.jpg": "a cat", "2.jpg": "a cow"},
    "bad": {"0.jpg": "a dog dog", "1.jpg": "A cat.", "2.jpg": "A cow."},
    "odd": {"0.jpg": HOSTILE, "1.jpg": "a cart", "2.jpg": "a cow ."},
}
BEST = ["good", "odd", "bad"]  # the order of a rater who knows


def make(folder, seed=1701):
    """A sheet of three images, with three lines, two and one."""
    for k in range(3):
        assert cv2.imwrite(str(folder / f"{k}.jpg"), np.random.default_rng(k).integers(0, 256, (60, 90, 3), np.uint8))
    files, draw = rating_sheet.ImageFiles(folder=folder), rating_sheet.Draw(seed=seed)
    rating_sheet.write_sheet(SYSTEMS, folder / f"out{seed}", files=files, draw=draw)
    return folder / f"out{seed}/sheet/index.html"


@pytest.fixture
def page_file(tmp_path):
    return make(tmp_path)


def rank_of(page_file, image, row):
    """That of a rater who knows: the place of the line's best system among the lines."""
    entry = json.loads((page_file.parent.parent / "key.json").read_text())["images"][f"{image + 1:04d}"]
    lines = [min(map(BEST.index, names)) for names in entry["systems"]]
    return sorted(lines).index(lines[row]) + 1


def radio(page, criterion, row, value):
    return page.get_by_role("group", name=criterion).nth(row).get_by_role("radio", name=str(value))


def chosen(page):
    """[[rank or None of each caption] of each criterion] as the page shows them."""
    return page.evaluate(
        """() => [0, 1, 2].map((column) => [...document.querySelectorAll(`fieldset[data-column="${column}"]`)]
        .map((field) => Number(field.querySelector("input:checked")?.value) || null))"""
    )


def save(page, act):
    with page.expect_download() as download:
        act()
    path = download.value.path().with_suffix(".json")
    download.value.save_as(path)
    return path


def fully_rated(page_file, answers):
    """Whether the answers make the table of a rater who knows: (the mean ranks, how many rows are unfinished)."""
    found = rating_sheet.collect([page_file.parent.parent / "key.json", answers])
    assert found["rows"] == [3, 3, 3] and found["unfinished"] == [0, 0, 0]
    return found["ratings"]


# good is 1, 1.5 (with bad, of one line) and 2 (with both); odd 2, 3, 2; bad 3, 1.5, 2
TABLE = {"good": [4.5 / 3] * 3, "odd": [7 / 3] * 3, "bad": [6.5 / 3] * 3}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_can_be_read(chromium, page_file, width, dark):
    with opened(chromium, page_file, width, dark) as tab:
        for _ in range(3):
            assert tab.faults() == []
            tab.page.get_by_role("button", name="Next").click(force=True)
        for caption in tab.page.locator("li p").all():  # nothing stands a letter a line
            assert caption.bounding_box()["width"] > width / 3
        tab.page.locator("#unfinished").click()
        radio(tab.page, "grammar", 1, 2).click()
        boxes = [tab.page.locator("fieldset").nth(column).bounding_box() for column in range(3)]
        assert len({box["x" if width < 600 else "y"] for box in boxes}) == 1  # stacked, or beside each other
        assert tab.faults() == []
        tab.page.emulate_media(media="print")
        assert tab.faults() == []
        assert not tab.page.locator("#next, #save").first.is_visible() and tab.page.locator("#picture").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_ranking_by_mouse_with_a_closed_tab_in_the_middle(chromium, page_file, width):
    with window(chromium, width, served=True) as show:
        tab = show(page_file)
        page = tab.page
        assert page.evaluate("document.activeElement.id") == "rater"
        page.get_by_label("Your name").fill("Thu Hà")
        for criterion in rating_sheet.CRITERIA:
            for row in range(3):
                radio(page, criterion, row, rank_of(page_file, 0, row)).click()
        right = [[rank_of(page_file, 0, row) for row in range(3)]] * 3
        assert chosen(page) == right
        radio(page, "grammar", 1, right[1][1]).click()  # once more takes it back
        assert chosen(page)[1][1] is None
        radio(page, "grammar", 1, right[1][1]).click()
        page.get_by_role("button", name="Next").click()
        radio(page, "relevance", 0, 2).click()
        beside = show(page_file)
        kept_of(beside, '"relevance":[2,null]')
        for each in (page, beside.page):
            each.close()

        tab = show(page_file)
        page = tab.page
        assert page.get_by_label("Your name").input_value() == "Thu Hà"
        assert (
            page.locator("#where").inner_text() == "Image 2 of 3;"
            and page.locator("#done").inner_text() == "2 finished (1 with nothing to rank)."
        )
        assert chosen(page)[2] == [2, None]
        page.reload()
        page.get_by_role("button", name="Previous").click()
        assert chosen(page) == right
        page.get_by_role("button", name="First unfinished").click()
        for criterion in rating_sheet.CRITERIA:
            for row in range(2):
                value = rank_of(page_file, 1, row)
                if (criterion, row, value) != ("relevance", 0, 2):
                    radio(page, criterion, row, value).click()
        page.get_by_role("button", name="Next").click()
        assert "nothing to rank" in page.locator("#notice").inner_text()
        answers = save(page, page.get_by_role("button", name="Save answers").click)
        assert json.loads(answers.read_text())["rater"] == "Thu Hà" and tab.faults() == []
        for system, means in fully_rated(page_file, answers).items():
            assert means == pytest.approx(TABLE[system])


@pytest.mark.parametrize("width", WIDTHS)
def test_ranking_by_keyboard_alone(chromium, page_file, width):
    with opened(chromium, page_file, width) as tab:
        page, keyboard = tab.page, tab.page.keyboard

        def group():
            return page.evaluate("[...Object.values(document.activeElement.closest('fieldset').dataset)].map(Number)")

        keyboard.type("Anna Z")
        assert not page.locator("#large").is_visible()  # a z of the name enlarges nothing
        keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "enlarge"
        keyboard.press("Tab")
        assert group() == [0, 0]
        assert page.evaluate("getComputedStyle(document.activeElement.nextElementSibling).outlineStyle") == "solid"
        for key, due in [
            ("ArrowDown", [1, 0]),
            ("ArrowRight", [1, 1]),
            ("ArrowUp", [0, 1]),
            ("ArrowUp", [0, 1]),
            ("Tab", [0, 2]),
            ("Shift+Tab", [0, 1]),
            ("ArrowLeft", [0, 0]),
        ]:
            keyboard.press(key)
            assert group() == due
        assert chosen(page) == [[None] * 3] * 3  # moving ranks nothing
        keyboard.press("9")
        assert page.locator("#notice").inner_text() == "A rank is a number from 1 to 3." and group() == [0, 0]
        keyboard.press("2")
        assert group() == [1, 0]
        keyboard.press("ArrowUp")
        keyboard.press("Backspace")
        assert chosen(page) == [[None] * 3] * 3 and group() == [0, 0]
        for rank in "231":
            keyboard.press(rank)
        assert group() == [0, 1]
        for due in ([2, 0], [1, 0], [0, 0], [0, 0]):  # Backspace goes back, and stays at the first
            keyboard.press("Backspace")
            assert group() == due
        assert chosen(page) == [[None] * 3] * 3
        page.locator("#rater").focus()
        keyboard.press("Enter")
        assert group() == [0, 0]
        for image, rows in enumerate((3, 2)):
            for _ in rating_sheet.CRITERIA:
                for row in range(rows):
                    keyboard.press(str(rank_of(page_file, image, row)))
            assert page.evaluate("document.activeElement.id") == "next"
            keyboard.press("Enter")
        assert page.locator("#done").inner_text() == "3 finished (1 with nothing to rank): save the answers."
        page.locator("#save").focus()
        answers = save(page, lambda: keyboard.press("Enter"))
        assert tab.faults() == []
        for system, means in fully_rated(page_file, answers).items():
            assert means == pytest.approx(TABLE[system])
        keyboard.press("PageUp")
        assert page.locator("#where").inner_text() == "Image 2 of 3;" and None not in chosen(page)[0]


def test_what_a_screen_reader_says(chromium, page_file):
    with opened(chromium, page_file) as tab:
        page = tab.page
        said = page.locator("main").aria_snapshot()
        captions = page.locator("li p").all_inner_texts()
        order = ["Image 1, which the captions describe: enlarge"]
        for caption in captions:
            order += [caption[:15], "correctness", "grammar", "relevance"]
        at = -1
        for text in [*order, "First unfinished"]:  # in the order of the page
            at = said.index(text, at + 1)
        described = page.get_by_role("group", name="grammar").nth(1).get_attribute("aria-describedby")
        assert described == "caption-1"
        assert page.locator("#caption-1").get_attribute("dir") == "auto"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_picture_can_be_enlarged(chromium, page_file, width):
    with opened(chromium, page_file, width) as tab:
        page, large = tab.page, tab.page.locator("#large")
        for begin, end in [
            (page.locator("#enlarge").click, lambda: page.keyboard.press("Escape")),
            (lambda: page.keyboard.press("z"), page.locator("#small").click),
            (lambda: page.keyboard.press("Enter"), lambda: page.keyboard.press("Escape")),
        ]:
            begin()
            assert large.is_visible() and page.locator("#enlarged").bounding_box()["width"] == width
            assert tab.faults() == []
            end()
            assert not large.is_visible() and page.evaluate("document.activeElement.id") == "enlarge"


def kept_of(tab, text):
    """Waits until a tab finds in the browser's storage what another has written there; a page that is opened again
    before may miss it."""
    tab.page.wait_for_function("text => Object.values(localStorage).some((kept) => kept.includes(text))", arg=text)


def test_two_sheets_do_not_mix_and_one_begins_anew_when_asked(chromium, tmp_path):
    with window(chromium, served=True) as show:
        one, other = show(make(tmp_path)), show(make(tmp_path, seed=3))
        one.page.get_by_label("Your name").fill("Anna")
        other.page.get_by_label("Your name").fill("Bình")
        radio(one.page, "correctness", 0, 3).click()
        radio(other.page, "correctness", 0, 1).click()
        kept_of(one, '"correctness":[1')
        kept_of(other, '"correctness":[3')
        for tab in (one, other):
            tab.page.reload()
        one.replies = [False]
        one.page.get_by_role("button", name="Begin anew").click()
        assert chosen(one.page)[0][0] == 3 and chosen(other.page)[0][0] == 1
        one.replies = [True]
        one.page.get_by_role("button", name="Begin anew").click()
        kept_of(other, '"rater":""')
        for tab in (one, other):
            tab.page.reload()
        assert chosen(one.page)[0][0] is None and one.page.get_by_label("Your name").input_value() == ""
        assert chosen(other.page)[0][0] == 1 and other.page.get_by_label("Your name").input_value() == "Bình"
        assert one.faults() == other.faults() == []


def test_the_same_sheet_in_two_tabs_is_one(chromium, page_file):
    with window(chromium, served=True) as show:
        one, other = show(page_file), show(page_file)
        radio(one.page, "correctness", 0, 3).click()
        other.page.wait_for_function("document.querySelector('input:checked')")
        radio(other.page, "grammar", 0, 2).click()
        one.page.wait_for_function("document.querySelectorAll('input:checked').length === 2")
        one.page.reload()
        assert [ranks[0] for ranks in chosen(one.page)] == [3, 2, None]


def test_without_a_store_it_works_and_says_so(chromium, page_file, tmp_path):
    with window(chromium) as show:
        whole = show(page_file).page
        whole.get_by_label("Your name").fill("Anna")
        radio(whole, "grammar", 2, 1).click()
        answers = save(whole, whole.get_by_role("button", name="Save answers").click)
        no_store = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })"
        whole.context.add_init_script(no_store)
        tab = show(page_file)
        page = tab.page
        assert page.locator("#unkept").is_visible() and chosen(page) == [[None] * 3] * 3
        page.get_by_role("button", name="Save answers").click()
        assert page.locator("#notice").inner_text() == "Fill in your name or initials first."
        page.locator("#load").set_input_files(answers)
        page.wait_for_function("document.querySelector('input:checked')")
        assert chosen(page)[1] == [None, None, 1] and page.get_by_label("Your name").input_value() == "Anna"
        radio(page, "grammar", 0, 2).click()
        later = save(page, page.get_by_role("button", name="Save answers").click)
        assert json.loads(later.read_text())["answers"]["0001"]["grammar"] == [2, None, 1]
        (tmp_path / "x.json").write_text("{")
        page.locator("#load").set_input_files(tmp_path / "x.json")
        page.wait_for_function("document.getElementById('notice').textContent === 'x.json holds no answers.'")
        assert tab.faults() == []


def test_a_picture_that_is_gone_is_named(chromium, page_file):
    (page_file.parent / "images/0001.jpg").unlink()
    with opened(chromium, page_file) as tab:
        notice = tab.page.locator("#notice")
        notice.filter(has_text="The picture images/0001.jpg is not there").wait_for()
        assert any("missing picture" in line for line in tab.faults())
