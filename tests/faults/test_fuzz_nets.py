"""Nets, solvers, weights and settings, damaged; `make fuzz` tries more."""

import pytest

from tests.faults.fuzz import CASES, campaign
from tests.faults.inputs import NETS


@pytest.mark.slow
@pytest.mark.parametrize("reader", NETS)
def test_a_damaged_input_is_refused_in_one_line_or_taken(program, reader):
    tally = campaign(program, reader, range(CASES), seed=1)
    assert not tally.failures, "\n".join(map(str, tally.failures))
