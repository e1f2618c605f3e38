"""Commands that are stopped and given again; `make kills` stops each more often."""

import pytest

from tests.faults.kills import CHAIN, COMMANDS, campaign

SOME = [pytest.param(name, marks=[pytest.mark.engine] if command.engine else []) for name, command in COMMANDS.items()]


@pytest.mark.slow
@pytest.mark.parametrize("command", SOME)
def test_a_command_that_is_stopped_ends_with_the_same_bytes_when_given_again(command):
    tally = campaign(command, CHAIN, seed=1)
    assert not tally.faults, "\n".join(f"{kind}: {words}" for kind, words in tally.faults)
