"""What tests/browser.py says of a page: nothing of a good one, a line of each thing that is wrong."""

import base64
import re

import cv2
import numpy as np
import pytest

from tests.browser import opened, window

PICTURE = base64.b64encode(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1]).decode()
GOOD = f"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Good</title>
<style>:root {{ color-scheme: light dark }} .dim {{ color: light-dark(#666, #999) }} .far {{ overflow: auto }}</style>
<body><p>Plain <span class="dim">and dim</span></p><p hidden style="color: white">unseen</p>
<img loading="lazy" style="margin-top: 9000px" alt="" src="data:image/png;base64,{PICTURE}"><img alt="">
<div class="far"><div style="width: 9000px">scrolls by itself</div></div>
<button disabled style="color: #eee">exempt</button>
<svg width="200" height="40"><rect width="200" height="40" fill="#034"/><text x="9" y="20" fill="#fff">on a shape</text>
<image width="4" height="4" href="data:image/png;base64,{PICTURE}"/></svg></body></html>"""


def faults(chromium, tmp_path, body, **more):
    (tmp_path / "page.html").write_text(body)
    with opened(chromium, tmp_path / "page.html", **more) as tab:
        return tab.faults()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wrong_with_a_good_page(chromium, tmp_path, width, dark):
    assert faults(chromium, tmp_path, GOOD, width=width, dark=dark) == []


@pytest.mark.parametrize(
    "wrong, said",
    [
        ('<img src="gone.png" alt="a dog">', r"missing picture: file://.*/gone\.png a dog"),
        ('<img src="data:image/png;base64,AAAA" alt="">', "missing picture: data:image/png;base64,AAAA "),
        ('<svg><image href="data:image/png;base64,AAAA"/></svg>', "missing picture: data:"),
        ('<p id="wide" style="width: 1500px">wide</p>', "sideways scroll: 15.. pixels in 1440, by p#wide"),
        ("<script>console.error('ours')</script>", "console: ours"),
        ("<script>null.x</script>", "error: .*null"),
        ("<script>Promise.reject(new Error('late'))</script>", "error: .*late"),
        ("<script>alert('hostile')</script>", "dialog: hostile"),
        ('<link rel="stylesheet" href="https://example.org/a.css">', "network: https://example.org/a.css"),
        ('<img src="http://127.0.0.1:9/x.png" alt="">', "network: http://127.0.0.1:9/x.png"),
        ('<p style="color: #777">faint</p>', r"contrast 4\.48: faint \(p, rgb\(119, 119, 119\)\)"),
        ('<p style="color: oklch(0.8 0 0)">faint</p>', "contrast .*: faint"),
        ('<p style="opacity: .4">faint</p>', "contrast .*: faint"),
        ('<div style="background: #000"><p style="color: #333">night</p></div>', "contrast .*: night"),
        ('<p style="font-size: 24px; color: #999">large</p>', r"contrast 2\.85: large"),
        ('<style>::placeholder { color: #ddd }</style><input placeholder="name">', "contrast .*: name"),
        ('<input value="typed" style="color: #ccc">', "contrast .*: typed"),
        (
            '<svg><rect width="99" height="99" fill="#024"/><text y="20" fill="#000">drawn</text></svg>',
            "contrast .*drawn",
        ),
    ],
)
def test_what_is_wrong_is_named(chromium, tmp_path, wrong, said):
    found = faults(chromium, tmp_path, GOOD.replace("</body>", f"{wrong}</body>"))
    assert any(re.search(said, line) for line in found), found


def test_large_text_needs_less_and_a_shape_behind_counts(chromium, tmp_path):
    good = '<p style="font-size: 24px; color: #888">large</p><svg><text y="20" fill="#000">drawn</text></svg>'
    assert faults(chromium, tmp_path, GOOD.replace("</body>", f"{good}</body>")) == []


def test_dialogs_are_answered_as_the_test_says_and_tabs_share_a_store(chromium, tmp_path):
    (tmp_path / "page.html").write_text(GOOD)
    with window(chromium) as show:
        tab = show(tmp_path / "page.html")
        tab.replies = [True, False]
        assert [tab.page.evaluate("confirm('sure?')") for _ in "123"] == [True, False, False]
        assert tab.faults() == ["dialog: sure?"]
        tab.page.evaluate("localStorage.setItem('a', 'kept')")
        assert show(tmp_path / "page.html").page.evaluate("localStorage.getItem('a')") == "kept"
    with opened(chromium, tmp_path / "page.html") as tab:
        assert tab.page.evaluate("localStorage.getItem('a')") is None
