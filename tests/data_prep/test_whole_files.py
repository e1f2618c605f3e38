"""Files appear whole or not at all, and only where a file may be; JSON says what Python's says, and a matrix has a line
a row."""

import errno
import fcntl
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError
from data_prep.whole_files import (
    beside,
    check_folder,
    check_ours,
    copy,
    locked,
    new_folder,
    read_json,
    sweep,
    write_bytes,
    write_json,
)

NUMBERS = st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(
    NUMBERS | st.none() | st.booleans() | st.text() | st.sampled_from(["[\n 1\n]", "[1,\n2]", '"[\n', "\\", "]"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(NUMBERS, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_whatever_is_written_is_read_again(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == read_json(path, object) == value
    assert "".join(text.split()) == "".join(json.dumps(value, indent=1, ensure_ascii=False).split())


def test_a_matrix_has_a_line_a_row_and_all_else_is_indented(tmp_path):
    write_json(tmp_path / "r.json", {"confusion": [[3, 0, 1], [0, -2.5e-07, None]], "classes": ["a", "b"], "none": []})
    assert (tmp_path / "r.json").read_text().splitlines() == [
        "{",
        ' "confusion": [',
        "  [3, 0, 1],",
        "  [0, -2.5e-07, null]",
        " ],",
        ' "classes": [',
        '  "a",',
        '  "b"',
        " ],",
        ' "none": []',
        "}",
    ]


def test_a_folder_that_takes_no_file_is_named_before_anything_is_computed(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    check_folder(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match="file/folder: .*file is a file, not a folder; name another"):
        check_folder(tmp_path / "file" / "folder")
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may write anywhere
    with pytest.raises(DataError, match="new/folder: .* is not yours to write to; name another"):
        check_folder(tmp_path / "new" / "folder")


def test_a_pipe_stays_a_pipe(tmp_path):
    """As a device does: root's /dev/null was a file for all, once it had been renamed over."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "source").write_bytes(b"x")
    for write in (lambda path: write_bytes(path, b"x"), lambda path: copy(tmp_path / "source", path)):
        with pytest.raises(DataError, match="pipe: a device or a pipe, not a file; name a file"):
            write(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pipe", "source"]


def test_a_standard_stream_stays_where_it_leads(tmp_path):
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    with pytest.raises(DataError, match="a device or a pipe"):
        write_bytes(tmp_path / "stdout", b"x")
    assert os.readlink(tmp_path / "stdout") == "/proc/self/fd/1"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="page.html: there is no folder .*none; make it, or name another"):
        write_bytes(tmp_path / "none" / "page.html", b"x")


def test_nothing_half_written_stays(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_bytes(tmp_path / "taken", b"x")
    with pytest.raises(DataError, match="cannot be written"):
        copy(tmp_path / "gone", tmp_path / "new")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("error, raised", [(OSError("no medium"), DataError), (KeyboardInterrupt(), KeyboardInterrupt)])
def test_what_is_not_written_whole_leaves_nothing_and_the_old_file(tmp_path, error, raised):
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(raised), beside(tmp_path / "a") as new:
        new.write_bytes(b"ha")
        raise error
    with pytest.raises(DataError, match="a: cannot be written .*nowhere"):
        copy(tmp_path / "nowhere", tmp_path / "a")
    assert [each.name for each in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"old"


def test_a_whole_folder_on_a_read_only_disk(tmp_path, monkeypatch):
    def refuse(path, missing_ok=False):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    settings = {"seed": 1}
    with new_folder(tmp_path / "d", settings) as folder:
        write_json(folder / "dataset.json", {"prepared": settings})
    monkeypatch.setattr(Path, "unlink", refuse)
    with new_folder(tmp_path / "d", settings) as folder:
        assert folder is None


def test_files_beside_that_are_the_users_stay(tmp_path):
    """Whatever is called as a file that is written, with an ending of somebody else's."""
    for name in ("a.json.new", "a.json.part", "a.json.tmp", "lock"):
        (tmp_path / name).write_text("mine")
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(KeyError), beside(tmp_path / "a.json") as new:
        new.write_text("half")
        raise KeyError
    assert read_json(tmp_path / "a.json") == {"a": 1}
    names = {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != "a.json"}
    assert names == dict.fromkeys(("a.json.new", "a.json.part", "a.json.tmp", "lock"), "mine")


def test_two_that_write_the_same_file_write_each_their_own(tmp_path):
    with beside(tmp_path / "a") as one:
        one.write_text("one, longer")
        with beside(tmp_path / "a") as other:
            other.write_text("other")
        assert (tmp_path / "a").read_text() == "other" and one.read_text() == "one, longer"
    assert (tmp_path / "a").read_text() == "one, longer"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_call_was_writing_is_taken_over(tmp_path):
    with beside(tmp_path / "a") as new:
        left = new
    left.write_text("left by a call that was killed")
    with beside(tmp_path / "a") as new:
        assert new == left and new.read_text() == ""
        new.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_names_as_long_as_a_disk_takes(tmp_path):
    name = "\u1ec5" * 85  # 255 bytes
    write_bytes(tmp_path / name, b"whole")
    assert (tmp_path / name).read_bytes() == b"whole"


def test_a_link_is_replaced_and_what_it_named_stays(tmp_path):
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "a").symlink_to("elsewhere")
    write_bytes(tmp_path / "a", b"ours")
    assert (tmp_path / "elsewhere").read_text() == "mine" and (tmp_path / "a").read_text() == "ours"


@pytest.mark.parametrize("name", ["lock", "notes.txt", "frames/data.mdb", "preparation"])
def test_a_partial_folder_that_no_call_of_ours_began_is_left(tmp_path, name):
    mine = tmp_path / "d.partial" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(DataError, match="d.partial: holds files of someone else"), new_folder(tmp_path / "d", {}):
        raise AssertionError
    assert mine.read_text() == "mine" and not (tmp_path / "d").exists()


def test_what_other_settings_left_goes_but_not_what_its_links_name(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "d", {"size": 1}) as folder:
        (folder / "frames").symlink_to(elsewhere)
        raise KeyboardInterrupt
    with new_folder(tmp_path / "d", {"size": 2}) as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["lock", "preparing.json"]
        write_json(folder / "dataset.json", {"prepared": {"size": 2}})
    assert (elsewhere / "mine.txt").read_text() == "mine"


def test_a_folder_may_be_a_link(tmp_path):
    """To a folder on another disk, empty or not there yet."""
    for name in ("there", "not_there"):
        (tmp_path / "there").mkdir(exist_ok=True)
        (tmp_path / f"link_{name}").symlink_to(tmp_path / name)
        with new_folder(tmp_path / f"link_{name}", {}) as folder:
            write_json(folder / "dataset.json", {"prepared": {}})
        assert (tmp_path / f"link_{name}").is_symlink() and (tmp_path / name / "dataset.json").is_file()


def test_a_folder_is_emptied_by_its_mark_alone(tmp_path):
    names = ["making.json", "data.mdb"]
    check_ours(tmp_path / "none", names[:1], names)
    (tmp_path / "lock").touch()
    (tmp_path / "data.mdb").write_text("a database of the user's")
    with pytest.raises(DataError, match="data.mdb: was not made by this command, which is to empty .*; move it"):
        check_ours(tmp_path, names[:1], names)
    write_json(tmp_path / "making.json", {})
    check_ours(tmp_path, names[:1], names)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="notes.txt: was not made by this command"):
        check_ours(tmp_path, names[:1], names)


def test_what_is_swept_goes_by_its_name_and_the_rest_stays(tmp_path):
    for name in ("s/0/data.mdb", "s/0.txt", "s/.1.txt.lrcn-new", "s/notes.txt", "s/7/letters.txt", "gone/3/data.mdb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for folder in ("s", "gone", "never"):
        sweep(tmp_path / folder, r"[0-9]+(/data\.mdb|\.txt)")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        *("s", "s/7", "s/7/letters.txt", "s/notes.txt")
    ]


def test_two_that_fill_a_folder(tmp_path):
    with new_folder(tmp_path / "d", {}) as folder:
        with pytest.raises(DataError, match="d.partial: another run is preparing it"), new_folder(tmp_path / "d", {}):
            raise AssertionError
        write_json(folder / "dataset.json", {"prepared": {}})
    with open(tmp_path / "d" / "dataset.json") as file:  # and nobody holds anything afterwards
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_folder_that_another_run_puts_into_its_place_as_it_is_locked(tmp_path, monkeypatch):
    partial, lock = tmp_path / "partial", fcntl.flock

    def lock_late(*arguments):
        partial.rename(tmp_path / "whole")
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with pytest.raises(DataError, match="partial: another run has just prepared it; run the same command again$"):
        with locked(partial):
            raise AssertionError("it is not ours")
