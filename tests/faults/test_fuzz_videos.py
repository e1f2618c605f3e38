"""Videos, images, lists, and what data sets hold, damaged; `make fuzz` tries more."""

import pytest

from tests.faults.fuzz import CASES, campaign
from tests.faults.inputs import KINDS


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS["videos"])
def test_a_damaged_input_is_refused_in_one_line_or_taken(program, kind):
    readers = KINDS["videos"][kind]
    for reader in readers:
        tally = campaign(program, reader, range(CASES // len(readers)), seed=1)
        assert not tally.failures, "\n".join(map(str, tally.failures))
