"""Nets, solvers, weights, what they read, settings and engines, damaged; `make fuzz` tries more."""

import pytest

from tests.faults.fuzz import failures
from tests.faults.inputs import KINDS


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS["nets"])
def test_a_damaged_input_is_refused_in_one_line_or_taken(program, kind):
    assert failures(program, KINDS["nets"][kind]) == []
