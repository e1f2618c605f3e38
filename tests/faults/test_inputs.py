"""The tables of what is tried."""

from tests.faults.inputs import KINDS, READERS


def test_every_reader_is_among_the_kinds_once():
    every = [reader for kinds in KINDS.values() for readers in kinds.values() for reader in readers]
    assert sorted(every) == sorted(READERS)
