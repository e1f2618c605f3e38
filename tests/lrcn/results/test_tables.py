"""Cells in columns."""

from hypothesis import given
from hypothesis import strategies as st

from lrcn.results.tables import aligned

CELLS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=9)


def test_a_table():
    rows = [["net", "of", "parameters"], ["lrcn", "1", "56,112,357"], "note", ["single-frame", "", "3"]]
    assert aligned(rows, left=2, indent=" ") == [
        " net           of  parameters",
        " lrcn          1   56,112,357",
        "note",
        " single-frame               3",
    ]
    assert aligned([["a", "b"], ["c"]], least=(3, 4)) == ["a       b", "c"]
    assert aligned([["a", "b"], ["c", ""]], left=2) == ["a  b", "c"]
    assert aligned([]) == []


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1)))
def test_every_cell_stands_in_its_column(rows):
    lines = aligned(rows)
    at = 0
    for column, cells in enumerate(zip(*rows)):
        end = at + max(map(len, cells))
        for line, cell in zip(lines, cells):
            assert line[at:end].strip() == cell
            assert (line[at : at + len(cell)] if column == 0 else line[end - len(cell) : end]) == cell
            assert not line[end : end + 2].strip()
        at = end + 2
