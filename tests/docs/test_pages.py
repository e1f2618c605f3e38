"""What the pages show is run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep import demo
from lrcn.commands.classify import classify
from lrcn.commands.evaluate import evaluate
from lrcn.training import experiment
from netspecs import catalogue

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.engine
@pytest.mark.slow
def test_the_ten_lines_of_python_train_and_evaluate(tmp_path):
    [program] = blocks("docs/python.md", "python")
    assert len(program.splitlines()) <= 10
    demo.prepare(tmp_path / "data" / "demo", sizes=demo.Sizes(20, 5, 0, 32))
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    plan, _, table = done.stdout.partition("Table 5")
    assert re.search(r"^decoder-prob +100 +50 x 21 words +random weights", plan, re.M)
    assert "measured on demo videos, test: 40 videos, 200 sentences, beam 5" in table
    shown, bleu = re.search(r"decoder-prob(?: +[\d.]+){3} +([\d.]+)", table)[1], float(table.splitlines()[-1])
    assert float(shown) == pytest.approx(100 * bleu, abs=0.5) and 0 < bleu < 1
    assert (tmp_path / "runs" / "short" / "results_beam5.json").is_file()


def test_the_differences_are_settings_and_experiments_that_there_are():
    page = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    settings = re.findall(r"(?<![\w-])([a-z]\w+)=([\w.]+)`", page)
    assert len(settings) >= 9
    for name, value in settings:
        nets = [variant for variant in catalogue.variants() if name in variant.table]
        assert nets and all(variant.settings(**{name: value}) for variant in nets), name
    for name in "activity/table1-released", "caption/vgg16-released":
        assert name in page and name in experiment.names()
    known = {option for command in (evaluate, classify) for each in command.params for option in each.opts}
    assert {"--mean-slip", "--flow-negation"} <= known & set(re.findall(r"--[a-z-]+", page))


def test_pictures_of_the_pages_are_there_and_small():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    found = [
        (page.parent / each).relative_to(ROOT)
        for page in pages
        for each in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text(encoding="utf-8"))
    ]
    assert {Path("docs/pictures/classify.gif")} < set(found)
    assert set(found) == {each.relative_to(ROOT) for each in (ROOT / "docs/pictures").iterdir()}
    assert all((ROOT / each).stat().st_size < 500_000 for each in found)
