"""Videos, images, lists, and what data sets hold, damaged; `make fuzz` tries more."""

import pytest

from tests.faults.fuzz import failures
from tests.faults.inputs import KINDS


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS["videos"])
def test_a_damaged_input_is_refused_in_one_line_or_taken(program, kind):
    assert failures(program, KINDS["videos"][kind]) == []
