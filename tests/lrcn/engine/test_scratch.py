"""Folders in $TMPDIR: each process's own, and swept where one was killed."""

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from lrcn.engine import EngineError
from lrcn.engine.scratch import MARK, PREFIX, Scratch, is_scratch

PROGRAM = """
import sys
import tempfile
from lrcn.engine.scratch import Scratch
with Scratch() as folder:
    (folder / "large").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def at_work(folder):
    """Another process that has a folder there, and its path."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    return process, process.stdout.readline().strip()


def test_what_a_killed_process_left_goes_and_what_others_have_stays(temporary):
    killed, left = at_work(temporary)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    alive, others = at_work(temporary)  # it sweeps too
    assert not os.path.exists(left)
    for name in f"{PREFIX}mine", "lrcn-demo":  # no mark of ours is in them
        (temporary / name).mkdir()
        (temporary / name / "result").write_text("")
    (temporary / f"{PREFIX}begun").mkdir()  # killed before it was marked
    (temporary / f"{PREFIX}link").symlink_to(temporary / "lrcn-demo")
    with Scratch() as folder:
        mine = {f"{PREFIX}mine", "lrcn-demo", f"{PREFIX}link", os.path.basename(others)}
        assert set(os.listdir(temporary)) == mine | {folder.name}
        assert is_scratch(folder / "log") and not is_scratch(temporary / "log")
    assert set(os.listdir(temporary)) == mine
    alive.communicate()
    assert set(os.listdir(temporary)) == mine - {os.path.basename(others)}


def test_a_folder_that_is_swept_before_it_is_marked_is_made_anew(temporary, monkeypatch):
    made, make = [], tempfile.mkdtemp

    def swept_once(**where):
        made.append(make(**where))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr("tempfile.mkdtemp", swept_once)
    with Scratch() as folder:
        assert str(folder) == made[1] and (folder / MARK).exists()


def test_a_temporary_folder_whose_name_is_not_utf8(temporary, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "d\udcff"))
    with pytest.raises(EngineError, match="^TMPDIR .*not UTF-8; rename it, or name another$"):
        Scratch()
