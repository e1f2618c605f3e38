"""The pages as a site: built, and read, without a network."""

import html
import os
import re
import subprocess
import sys

import pytest

from tests.browser import opened
from tests.docs import pages
from tests.docs.pages import ROOT

pytest.importorskip("material", reason="mkdocs-material is not here: make docs")
UNSHARE = ["unshare", "--map-root-user", "--net"]
SITE = {"README.md": "index", "benchmarks/README.md": "benchmarks"}  # a page -> its name in the site


def name(page):
    return SITE.get(page) or page.removeprefix("docs/").removesuffix(".md").lower()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site. Where a process may have no network of its own, proxies that nobody answers for stand in
    the way."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    alone = UNSHARE if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0 else []
    proxies = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https", "all")}
    environment = os.environ | proxies | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([*alone, *build], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def article(site, page):
    text = (site / f"{name(page)}.html").read_text(encoding="utf-8")
    return re.search(r"<article.*?</article>", text, re.S)[0]


def count(text):
    """How often there is what a page is made of."""
    return {tag: len(re.findall(rf"<{tag}[ >]", text)) for tag in ("h1", "h2", "h3", "li", "table", "td", "pre", "img")}


def test_every_page_is_there_with_all_its_parts(site):
    """As another reader of Markdown has them, one of GitHub's kind: a list that one of the two takes for a paragraph is
    found so."""
    mistune = pytest.importorskip("mistune")
    read = mistune.create_markdown(plugins=["table"])
    for page in pages.names():
        text = "\n".join(pages.lines(page))
        ours = re.sub(r"<table class=\"highlighttable\">.*?</table>", "<pre>", article(site, page), flags=re.S)
        assert count(ours) == count(read(text)), page


def test_the_notebook_is_a_page(site):
    text = html.unescape(re.sub(r"<[^>]+>", "", article(site, "docs/tour.md")))
    assert "import" in text and (site / "tour_files").is_dir()


def test_nothing_is_asked_of_a_network(site):
    for path in [*site.glob("*.html"), *site.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"?([^\"\s>]+)", text)
        loaded += re.findall(r"<link[^>]+rel=\"?(?:stylesheet|preload|icon|preconnect)[^>]*href=\"?([^\"\s>]+)", text)
        loaded += re.findall(r"url\([\"']?([^\"')]+)", text)
        assert not [each for each in loaded if re.match(r"(https?:)?//", each)], path.name


@pytest.mark.parametrize("dark", [False, True])
def test_pages_on_a_phone_and_at_a_desk(site, chromium, dark):
    """Nothing is cut off or faint, and only code and tables scroll sideways, by themselves."""
    for page in pages.names():
        for width in (390, 1280) if page == "README.md" else (390,):
            with opened(chromium, site / f"{name(page)}.html", width=width, dark=dark) as tab:
                assert tab.faults() == [], (page, width)


def test_search_finds_a_page_from_disk(site, chromium):
    with opened(chromium, site / "index.html") as tab:
        tab.page.get_by_placeholder("Search").click()
        tab.page.get_by_placeholder("Search").press_sequentially("dropout")
        results = tab.page.locator(".md-search-result__item")
        results.first.wait_for()
        assert "dropout" in results.first.inner_text().lower() and tab.heard == []
