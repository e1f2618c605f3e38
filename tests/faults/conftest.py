"""What the tests of faults share. They are several files because a core takes a file at a time."""

import pytest

from tests.faults.program import Program


@pytest.fixture(scope="module")
def program():
    with Program() as running:
        yield running
