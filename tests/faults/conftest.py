"""What the tests of faults share."""

import pytest

from tests.faults.program import Program


@pytest.fixture(scope="module")
def program():
    with Program() as running:
        yield running
