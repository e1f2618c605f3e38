"""Data sets that were damaged on their way."""

import lmdb

from data_prep import checksums, store


def records(folder):
    """All that an LMDB holds, read by nothing of ours."""
    store.close_reader(folder)
    with lmdb.open(str(folder), readonly=True, lock=False) as database, database.begin() as transaction:
        return dict(transaction.cursor())


def damage(folder, key):
    """Flips a bit in the middle of a record, wherever it lies in the file: pages of before are still there."""
    value = records(folder)[key]
    damaged, file = bytearray(value), folder / "data.mdb"
    damaged[len(value) // 2] ^= 4
    file.write_bytes(file.read_bytes().replace(value, damaged))


def without_checksums(folder):
    """The data set as an earlier lrcn made it."""
    for name in store.MODALITIES.values():
        store.close_reader(folder / name)
    for path in folder.rglob(checksums.NAME):
        path.unlink()
    return folder
