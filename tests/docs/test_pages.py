"""What the pages show is run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep import demo

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
    assert float(shown) == pytest.approx(100 * bleu, abs=0.005) and 0 < bleu < 1
    assert (tmp_path / "runs" / "short" / "results_beam5.json").is_file()
