"""JSON as lrcn writes it: it says what Python's says, and a matrix has a line a row."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError
from data_prep.whole_files import beside, copy, read_json, write_bytes, write_json

NUMBERS = st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(
    NUMBERS | st.none() | st.booleans() | st.text() | st.sampled_from(["[\n 1\n]", "[1,\n2]", '"[\n', "\\", "]"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(NUMBERS, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_whatever_is_written_is_read_again(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == read_json(path) == value
    assert "".join(text.split()) == "".join(json.dumps(value, indent=1, ensure_ascii=False).split())


def test_a_matrix_has_a_line_a_row_and_all_else_is_indented(tmp_path):
    write_json(tmp_path / "r.json", {"confusion": [[3, 0, 1], [0, -2.5e-07, None]], "classes": ["a", "b"], "none": []})
    assert (tmp_path / "r.json").read_text().splitlines() == [
        "{",
        ' "confusion": [',
        "  [3, 0, 1],",
        "  [0, -2.5e-07, null]",
        " ],",
        ' "classes": [',
        '  "a",',
        '  "b"',
        " ],",
        ' "none": []',
        "}",
    ]


@pytest.mark.parametrize("error, raised", [(OSError("no medium"), DataError), (KeyboardInterrupt(), KeyboardInterrupt)])
def test_what_is_not_written_whole_leaves_nothing_and_the_old_file(tmp_path, error, raised):
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(raised), beside(tmp_path / "a") as new:
        new.write_bytes(b"ha")
        raise error
    with pytest.raises(DataError, match="a: cannot be written .*nowhere"):
        copy(tmp_path / "nowhere", tmp_path / "a")
    assert [each.name for each in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"old"
