"""Captions, sentences, features, and their data sets, damaged; `make fuzz` tries more."""

import pytest

from tests.faults.fuzz import CASES, campaign
from tests.faults.inputs import SENTENCES


@pytest.mark.slow
@pytest.mark.parametrize("reader", SENTENCES)
def test_a_damaged_input_is_refused_in_one_line_or_taken(program, reader):
    tally = campaign(program, reader, range(CASES), seed=1)
    assert not tally.failures, "\n".join(map(str, tally.failures))
