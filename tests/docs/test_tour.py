"""The notebook runs on the demo's results, and is kept as it comes out there."""

import re

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from tests.docs import stand_ins, tour
from tests.docs.running import Checkout, environment

SAME = ("nets-list", "nets-text", "nets-diff", "nets-drawn")  # whatever was trained


@pytest.fixture
def kept():
    return nbformat.read(tour.PAGE, as_version=4)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """No kernel, and nothing else of Jupyter's, is the caller's."""
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / "jupyter" / name))
    return Checkout(tmp_path)


def kinds(cell):
    """Of what a cell puts out: the streams, and the kinds of pictures and values."""
    return [(each.output_type, each.get("name") or sorted(each.data)) for each in cell.outputs]


@pytest.mark.engine
@pytest.mark.slow
def test_every_cell_runs_and_puts_out_what_is_kept(checkout, kept):
    stand_ins.make("demo", checkout.folder)
    ran = tour.run(checkout.folder / "docs", environment(checkout.folder))
    cells = [each for each in ran.cells if each.cell_type == "code"]
    before = {each.id: each for each in kept.cells}
    assert [each.id for each in cells if kinds(each) != kinds(before[each.id])] == []
    assert [each.id for each in cells if each.id in SAME and each.outputs != before[each.id].outputs] == []


def test_without_the_demo_the_first_cell_says_so_in_a_line(checkout):
    with pytest.raises(CellExecutionError) as caught:
        tour.run(checkout.folder / "docs", environment(checkout.folder))
    assert caught.value.evalue == (
        "not here: data/demo, runs/demo, runs/demo-captions; type `make demo` in the checkout, then run this again"
    )


def test_it_is_kept_as_one_run_from_top_to_bottom_and_small(kept):
    cells = [each for each in kept.cells if each.cell_type == "code"]
    assert [each.execution_count for each in cells] == list(range(1, len(cells) + 1))
    assert all(not each.metadata for each in kept.cells)
    outputs = [output for each in cells for output in each.outputs]
    assert {each.output_type for each in outputs} == {"stream", "display_data", "execute_result"}
    assert {each.name for each in outputs if each.output_type == "stream"} == {"stdout"}
    texts = [each.get("text") or each.data["text/plain"] for each in outputs]
    assert not [each for each in texts if re.search(r"(?<![\w.])/\w+/|\b0x[0-9a-f]{6}|\d s\b", each)]
    assert tour.PAGE.stat().st_size < 600_000
