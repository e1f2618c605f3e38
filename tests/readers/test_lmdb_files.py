"""LMDBs that were cut, damaged or never any: one line, and never a signal."""

import os
import random
import subprocess
import sys

import lmdb
import pytest

from readers.lmdb_files import check_lmdb, close_lmdb, open_lmdb, read_records

PAGE = 4096


class Told(ValueError):
    """What a caller asks for."""


def write(folder, records, **options):
    """In three transactions, so that there are free pages."""
    with lmdb.open(str(folder), map_size=1 << 26, sync=False, **options) as database:
        for part in range(3):
            with database.begin(write=True) as transaction:
                for key, value in records[part::3]:
                    transaction.put(key, value)


def some(count, size):
    """Records whose values are of `size` bytes or of a few."""
    draw = random.Random(count)
    return [(b"v_%04d.%04d.jpg" % (i * 7 % 50, i), draw.randbytes(draw.choice([20, size]))) for i in range(count)]


@pytest.mark.parametrize("count, size", [(1, 20), (90, 900), (200, 9000), (3000, 30)])
def test_a_whole_lmdb_is_read_as_it_is(tmp_path, count, size):
    records = some(count, size)
    write(tmp_path / "db", records)
    assert check_lmdb(tmp_path / "db", Told) == count
    assert list(read_records(tmp_path / "db", Told)) == sorted(records)
    with open_lmdb(tmp_path / "db", Told).begin() as transaction:
        assert all(transaction.get(key) == value for key, value in records)
    close_lmdb(tmp_path / "db")


def test_after_removals_too(tmp_path):
    records = some(600, 3000)
    write(tmp_path, records)
    with lmdb.open(str(tmp_path), map_size=1 << 26) as database, database.begin(write=True) as transaction:
        assert all(transaction.delete(key) for key, _ in records[::2])
    assert list(read_records(tmp_path, Told)) == sorted(records[1::2])


def test_other_kinds_of_lmdb_have_an_honest_answer(tmp_path):
    write(tmp_path / "empty", [])
    assert check_lmdb(tmp_path / "empty", Told) == 0 and list(read_records(tmp_path / "empty", Told)) == []
    write(tmp_path / "alone", some(30, 50), subdir=False)
    assert list(read_records(tmp_path / "alone", Told)) == sorted(some(30, 50))
    with lmdb.open(str(tmp_path / "named"), max_dbs=2) as database:
        with database.begin(write=True) as transaction:
            transaction.put(b"1", b"in the database named", db=database.open_db(b"x", transaction))
    assert [key for key, _ in read_records(tmp_path / "named", Told)] == [b"x"]
    for flags, why in (
        (4, r"has several values a key \(MDB_DUPSORT\)"),
        (2, r"of a kind that is not read \(flags 0x2\)"),
    ):
        content = bytearray((tmp_path / "alone").read_bytes())
        for meta in (0, PAGE):
            content[meta + 92] = flags  # of the main database, in MDB_meta
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(Told, match=f"other: .*{why}"):
            check_lmdb(tmp_path / "other", Told)


def test_what_is_no_lmdb_is_said(tmp_path):
    for content in (b"", b"text", bytes(3 * PAGE)):
        (tmp_path / "data.mdb").write_bytes(content)
        with pytest.raises(Told, match=r"data\.mdb: no LMDB.*; copy it anew") as caught:
            open_lmdb(tmp_path, Told)
        assert "\n" not in str(caught.value)
    os.remove(tmp_path / "data.mdb")
    with pytest.raises(Told, match=r"data\.mdb: no such file; look again"):
        open_lmdb(tmp_path, Told, "look again")
    os.mkfifo(tmp_path / "data.mdb")  # at which whoever opens it would wait
    with pytest.raises(Told, match="no file, a folder or a device"):
        open_lmdb(tmp_path, Told)


def test_a_pipe_a_cut_and_a_page_astray(tmp_path):
    write(tmp_path, some(90, 9000))
    file = tmp_path / "data.mdb"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(Told, match=f"is cut off, it had {len(whole)} bytes and has {len(whole) - 1}"):
        open_lmdb(tmp_path, Told, tree=False)
    leaf = next(at for at in range(2 * PAGE, len(whole), PAGE) if whole[at + 10] == 2)
    for at, words in ((10, "is damaged"), (12, "is damaged"), (16, "is damaged")):  # flags, lower, first node
        damaged = bytearray(whole)
        for place in range(leaf, len(whole), PAGE):  # whichever pages are the newest
            if whole[place + 10] == 2:
                damaged[place + at] ^= 0x81
        file.write_bytes(damaged)
        with pytest.raises(Told, match=words):
            open_lmdb(tmp_path, Told)


def test_a_file_that_became_another_is_read_anew(tmp_path):
    write(tmp_path / "db", some(10, 20))
    first = open_lmdb(tmp_path / "db", Told)
    assert open_lmdb(tmp_path / "db", Told, tree=False) is first
    write(tmp_path / "other", some(40, 20))
    os.replace(tmp_path / "other/data.mdb", tmp_path / "db/data.mdb")
    assert open_lmdb(tmp_path / "db", Told).stat()["entries"] == 40
    with open(tmp_path / "db/data.mdb", "r+b") as cut:
        cut.truncate(3 * PAGE)
    with pytest.raises(Told, match="is cut off"):
        open_lmdb(tmp_path / "db", Told)
    close_lmdb(tmp_path / "db")


CASES = 60  # of each way to damage a file; `make fuzz` tries more
FUZZ = """
import os, random, sys
from readers.lmdb_files import close_lmdb, read_records

source, place, first, last = *sys.argv[1:3], *map(int, sys.argv[3:])
whole = open(source, "rb").read()
for case in range(first, last):
    draw, content = random.Random(case), bytearray(whole)
    at = draw.randrange(len(whole))
    kind = case % 5
    if kind == 0:
        del content[at:]
    elif kind == 1:
        for _ in range(draw.choice([1, 3, 30])):
            content[draw.randrange(len(whole))] = draw.randrange(256)
    elif kind == 2:
        content[at : at + 100] = bytes(len(content[at : at + 100]))
    elif kind == 3:
        content[draw.choice([0, 4096]) + draw.randrange(160)] ^= 1 << draw.randrange(8)
    else:
        content[at // 4096 * 4096 + draw.randrange(90)] ^= 1 << draw.randrange(8)
    with open(place, "wb") as file:
        file.write(content)
    print(case, file=sys.stderr, flush=True)
    try:
        print(sum(len(value) for _, value in read_records(place, ValueError)))
    except ValueError as error:
        assert "\\n" not in str(error) and place in str(error)
        print("told")
    os.unlink(place)
"""


def test_no_damage_ends_the_process(tmp_path):
    """A process of its own reads damaged files, one after the other; it would not live through a bad one."""
    write(tmp_path, some(120, 5000))
    command = [sys.executable, "-c", FUZZ, tmp_path / "data.mdb", tmp_path / "damaged.mdb", "0", str(5 * CASES)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-300:]
    answers = done.stdout.split()
    assert len(answers) == 5 * CASES and answers.count("told") > CASES
