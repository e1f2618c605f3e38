"""What docs/python.md lists is there, under the names that it gives."""

import re
from importlib import import_module

import pytest

from tests.docs import pages

ROW = re.compile(r"\| (`.+`) \| `([\w.]+)` \| .+ \|$")  # | `Job.plan()` | `lrcn.training.job` | what it does |
ROWS = [match.groups() for line in pages.lines("docs/python.md") if (match := ROW.match(line))]


@pytest.mark.parametrize("objects, module", ROWS, ids=[row[0] for row in ROWS])
def test_the_objects_are_where_the_page_says(objects, module):
    for path in re.findall(r"`([\w.]+)[^`]*`", objects):
        found = import_module(module)
        for name in path.split("."):
            found = getattr(found, name) if hasattr(found, name) else import_module(f"{found.__name__}.{name}")


def test_every_row_is_read():
    assert len(ROWS) == sum(line.startswith("| `") for line in pages.lines("docs/python.md")) > 25
