"""The lines that docs/troubleshooting.md quotes are the program's own, word by word."""

import ast
import re
import sys

import pytest

from lrcn import cli
from tests.data_prep.videofiles import write_video
from tests.datasets import make_dataset
from tests.docs import pages

PAGE = "docs/troubleshooting.md"
OF_THE_SHELL = "lrcn: command not found"


def quoted():
    """The lines in the first column of the page's tables."""
    cells = (re.match(r"\| `([^`]+)` \|", line) for line in pages.lines(PAGE))
    return [cell[1] for cell in cells if cell and cell[1] != OF_THE_SHELL]


def messages(path):
    """The texts in a file of code, without what is put into them; once with words that stand there at times."""
    if path.suffix != ".py":
        yield re.sub(r"\s+", " ", re.sub(r"[\\\"]|\$\$?\([^)]*\)", "", path.read_text()))
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            for at_times in (False, True):
                yield "".join(_text(part, at_times) for part in node.values)


def _text(part, at_times):
    if isinstance(part, ast.Constant):
        return part.value
    value = part.value.body if at_times and isinstance(part.value, ast.IfExp) else None
    return str(value.value) if isinstance(value, ast.Constant) else ""


def sources():
    folders = ("lrcn", "data_prep", "prototxt_gen", "readers", "netspecs")
    return [pages.ROOT / "Makefile", *(path for name in folders for path in (pages.ROOT / name).rglob("*.py"))]


def test_what_is_quoted_are_words_of_the_program():
    texts = {path: list(messages(path)) for path in sources()}
    for quote in quoted():
        pieces = [piece for piece in (each.strip(" ():;,") for each in quote.split("...")) if len(piece) > 3]
        assert pieces, quote
        assert any(all(any(piece in message for message in inside) for piece in pieces) for inside in texts.values()), (
            f"no file of the program says: {quote}"
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set, and what makes bad ones."""
    folder = tmp_path_factory.mktemp("troubles")
    make_dataset(folder / "noise", frames=3, height=60, width=60)
    (folder / "empty").mkdir()
    for name in ("jump", "run"):
        write_video(folder / "one" / name / "a.avi", 4)
    (folder / "captions.csv").write_text("image,caption\na.jpg,a cat\n")
    return folder


TABLE1 = "train activity/table1 --data noise"
SIZES = "--set crop=50"
PROVOKED = {
    "there is no experiment or net '...'": "train demoo",
    "...: no such folder, where ... looks for its data set": "train demo",
    "...: no prepared dataset (no dataset.json)": "train demo --data empty",
    "...: holds ...; ... trains on ...": "train caption/lrcn-2f --data noise",
    "...: no videos in it; it must hold a folder of videos": "prepare videos --videos empty --out o",
    "...: one video cannot be divided into train and test": "prepare videos --videos one --out o",
    "...: has no column ...; line 1 must name ...": "prepare captions --captions captions.csv --images empty --out o",
    "no setting '...' in ...": "train demo --data noise --set unit=3",
    "...: has no split ...": "train demo --data noise --split 3",
    "...: it starts from ILSVRC-2012 weights": f"{TABLE1} {SIZES}",
    "...: not fetched: lrcn weights fetch ...": f"{TABLE1} {SIZES} --weights caffenet",
    "no results in runs/*/results.json": "compare",
    "no Caffe engine: run ...": "caffe info",
    "no Caffe engine for GPUs: run ...": "caffe info --cuda",
}


@pytest.mark.parametrize("quote", PROVOKED)
def test_a_line_is_said_as_it_is_quoted(quote, folder, monkeypatch):
    assert quote in quoted()
    monkeypatch.chdir(folder)
    for name in ("LRCN_CACHE", "LRCN_WEIGHTS"):
        monkeypatch.setenv(name, str(folder / "empty"))
    monkeypatch.setattr(sys, "argv", ["lrcn", *PROVOKED[quote].split()])
    status, line = cli._run()
    pattern = ".*".join(re.escape(piece) for piece in quote.split("..."))
    assert status == 2 and re.match(f"lrcn: {pattern}", line), line
