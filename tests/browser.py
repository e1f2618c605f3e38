"""Pages as a reader's browser has them: Debian's Chromium, driven by Playwright, without a network.

    def test_a_page(chromium, tmp_path):
        with opened(chromium, tmp_path / "index.html", width=390) as tab:
            tab.page.get_by_role("button", name="Next").click()
            assert tab.faults() == []

`chromium` is a fixture (tests/conftest.py); where there is no Chromium or no Playwright, tests that ask for it are
skipped with the reason. `tab.page` is Playwright's page. `tab.faults()` names, a line each, what is wrong with the page
as it stands: errors on the console, requests that failed, anything asked of a network, dialogs that nobody
expected, missing pictures, sideways scroll, text without contrast (WCAG 2 AA).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (390, 1440)  # pixels: a phone, a desk
LONGEST = 120_000  # milliseconds until what never comes is given up; nothing is waited for that is there
SERVED = "http://page.test/"  # no network: what is asked of it is read from disk
OFFLINE = re.compile(rf"^(?!file:|data:|blob:|about:|{SERVED})")


@pytest.fixture(scope="session")
def chromium():
    """Playwright's Browser."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not here: pip install -e '.[test]'")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser is here, none of {', '.join(NAMES)}: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


@contextmanager
def opened(chromium, path: Path, width: int = WIDTHS[1], dark: bool = False, **more) -> Iterator[Tab]:
    """A page from disk in a window of its own. more: of Playwright's new_context."""
    with window(chromium, width, dark, **more) as show:
        yield show(path)


@contextmanager
def window(chromium, width: int = WIDTHS[1], dark: bool = False, served: bool = False, **more):
    """A function that opens a page from disk in a new tab; the tabs share what pages keep in the browser. served: as if
    a server had the pages, for tests of what is kept: now and then Chromium gives a page of a file: address that is
    opened again an empty storage of its own."""
    scheme = "dark" if dark else "light"
    settings = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "offline": True} | more
    context = chromium.new_context(**settings)
    context.set_default_timeout(LONGEST)
    context.route(OFFLINE, lambda route: route.abort())
    context.route(f"{SERVED}**", lambda route: route.fulfill(path=unquote(urlsplit(route.request.url).path)))

    def show(path: Path) -> Tab:
        tab = Tab(context.new_page())
        file = Path(path).resolve().as_uri()
        tab.page.goto(file.replace("file:///", SERVED) if served else file)
        return tab

    try:
        yield show
    finally:
        context.close()


class Tab:
    """A page, and what was heard of it. replies: to the dialogs to come, True for OK; to others it is Cancel, and they
    are faults."""

    def __init__(self, page):
        self.page = page
        self.heard: list[str] = []
        self.replies: list[bool] = []
        page.on("console", lambda line: line.type == "error" and self.heard.append(f"console: {line.text}"))
        page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        page.on("requestfailed", lambda request: self.heard.append(f"failed: {_short(request.url)}"))
        page.on("request", lambda request: OFFLINE.match(request.url) and self._network(request.url))
        page.on("websocket", lambda socket: self._network(socket.url))
        page.on("dialog", self._answer)

    def _network(self, address: str) -> None:
        self.heard.append(f"network: {_short(address)}")

    def _answer(self, dialog) -> None:
        if dialog.type == "alert" or not self.replies:
            self.heard.append(f"dialog: {dialog.message}")
        if self.replies and self.replies.pop(0):
            dialog.accept()
        else:
            dialog.dismiss()

    def faults(self) -> list[str]:
        """What was wrong so far, and what is wrong with the page as it stands."""
        return [*self.heard, *self.page.evaluate(PICTURES), *self.page.evaluate(SIDEWAYS), *self.page.evaluate(FAINT)]


def _short(address: str) -> str:
    return address if len(address) < 200 else address[:200] + "..."


PICTURES = """async () => {
  const sources = [...document.images].filter((image) => image.getAttribute("src") || image.srcset)
    .map((image) => [image.currentSrc || image.src, image.alt])
    .concat([...document.querySelectorAll("svg image")].map((image) => [image.href.baseVal, ""]));
  const missing = await Promise.all(sources.map(async ([source, words]) => {
    const picture = new Image();  // lazy ones are seen too
    picture.src = source;
    await picture.decode().catch(() => null);
    return picture.naturalWidth > 0 ? [] : ["missing picture: " + source.slice(0, 200) + " " + words];
  }));
  return missing.flat();
}"""

SIDEWAYS = """() => {
  const root = document.documentElement, width = root.clientWidth;
  if (root.scrollWidth <= width) return [];
  const inside = (each) => each !== document.body && (getComputedStyle(each).overflowX !== "visible"
    || inside(each.parentElement));  // what scrolls by itself
  const over = [...document.body.querySelectorAll("*")].filter(
    (each) => each.getBoundingClientRect().right > width && !inside(each.parentElement));
  const names = over.slice(-3).map((each) => each.tagName.toLowerCase() + (each.id && "#" + each.id));
  return ["sideways scroll: " + root.scrollWidth + " pixels in " + width + ", by " + names.join(", ")];
}"""

# Colours as the canvas reads them, whatever they are written in; backgrounds are those of the elements around a text,
# and of the shapes beneath it in its drawing. What has a picture or a gradient behind it is not judged.
FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true }), read = {};
  const colour = (text) => {
    if (!(text in read)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      read[text] = [r, g, b, a / 255];
    }
    return read[text];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const faded = ([r, g, b, a], by) => [r, g, b, a * by];
  const light = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((value) => value / 255).map(
      (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const probe = document.createElement("div");
  probe.style.cssText = "background-color: Canvas; display: none";
  document.documentElement.append(probe);
  const sheet = colour(getComputedStyle(probe).backgroundColor);
  probe.remove();
  const shapes = new Map();  // of a drawing: each shape, and where it is
  const beneath = (svg, element, x, y) => {
    if (!shapes.has(svg)) {
      const drawn = [...svg.querySelectorAll("rect, circle, ellipse, polygon, path")];
      shapes.set(svg, drawn.map((shape) => [shape, shape.getBoundingClientRect()]));
    }
    return shapes.get(svg).filter(([shape, box]) =>
      x >= box.left && x <= box.right && y >= box.top && y <= box.bottom &&
      shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING &&
      shape.isPointInFill(new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse()))
    ).map(([shape]) => {
      const style = getComputedStyle(shape);
      return style.fill === "none" ? [0, 0, 0, 0] : faded(colour(style.fill), style.fillOpacity * style.opacity);
    });
  };
  const background = (element, x, y) => {
    const layers = [], svg = element.closest("svg");
    if (svg && element !== svg) layers.push(...beneath(svg, element, x, y).reverse());
    for (let each = element; each; each = each.parentElement) {
      const style = getComputedStyle(each);
      if (style.backgroundImage !== "none") return null;
      layers.push(colour(style.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reduceRight((under, layer) => over(layer, under), sheet);
  };
  const faults = new Map();
  const judge = (element, box, text, style, said) => {
    const behind = background(element, box.left + box.width / 2, box.top + box.height / 2);
    if (!behind) return;
    let opacity = 1;
    for (let each = element; each; each = each.parentElement) opacity *= getComputedStyle(each).opacity;
    const ink = over(faded(colour(said), opacity), behind), found = contrast(ink, behind);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (found >= (large ? 3 : 4.5)) return;
    const key = [ink, behind].join();
    if (!faults.has(key)) faults.set(key, "contrast " + found.toFixed(2) + ": " + text.trim().slice(0, 40)
      + " (" + element.tagName.toLowerCase() + ", " + said + ")");
  };
  const visible = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !visible(element) || element.closest(":disabled, [aria-disabled=true]")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = [...range.getClientRects()].find((each) => each.width > 1 && each.height > 1);
    if (!box) continue;
    const style = getComputedStyle(element);
    judge(element, box, node.data, style, element.closest("svg text") ? style.fill : style.color);
  }
  const textless = ["checkbox", "radio", "range", "color"];
  for (const element of document.querySelectorAll("input, textarea, select")) {
    if (!visible(element) || element.disabled || textless.includes(element.type)) continue;
    const style = getComputedStyle(element, element.value ? null : "::placeholder");
    const text = element.value || element.placeholder;
    if (text) judge(element, element.getBoundingClientRect(), text, style, style.color);
  }
  return [...faults.values()];
}"""
