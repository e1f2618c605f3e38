"""Python processes that are begun in a folder full of modules with the names of others."""

import os
import subprocess
import sys
from multiprocessing import util

import pytest

from data_prep import workers
from data_prep.children import absolute, multiprocessing_safely, python, python_program
from tests.trap import trap


@pytest.fixture
def trapped(tmp_path, monkeypatch):
    told = trap(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    assert not told.exists(), told.read_text()


def test_the_traps_work(tmp_path):
    told = trap(tmp_path)
    subprocess.run([sys.executable, "-m", "json.tool"], stdin=subprocess.DEVNULL, cwd=tmp_path)
    assert "json" in told.read_text().split()


@pytest.mark.usefixtures("trapped")
def test_a_module_of_ours_is_the_main_one_and_has_its_arguments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    (folder / "ours.py").write_text("import json, sys; print(__name__, json.dumps(sys.argv))")
    done = subprocess.run(
        python("ours", 1, folder / "a b"),
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f'__main__ ["{folder}/ours.py", "1", "{folder}/a b"]'


@pytest.mark.usefixtures("trapped")
def test_modules_of_others(monkeypatch):
    assert subprocess.run(python("pip", "--version"), capture_output=True, text=True).stdout.startswith("pip ")


@pytest.mark.usefixtures("trapped")
def test_a_program_of_ours():
    command = python_program("import json, sys; print(sys.argv, sys.path)", "a b")
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("['-c', 'a b'] [") and "''" not in printed


def found(name):
    return __import__(name).__file__, sys.path


@pytest.mark.usefixtures("trapped")
def test_workers():
    with workers.Processes(2) as crew:
        for _, (file, path) in crew.results(found, ["json", "numpy", "socket"]):
            assert not file.startswith(os.getcwd()) and os.getcwd() not in path and "" not in path


@pytest.mark.parametrize("alive", [True, False])
def test_what_fails_in_a_worker_whose_parent_was_killed_is_told_nobody(monkeypatch, alive):
    monkeypatch.setattr(util, "spawnv_passfds", lambda path, command, descriptors: command)
    with multiprocessing_safely():
        command = util.spawnv_passfds("", [sys.executable, "-c", "warnings.warn('w'); raise FileNotFoundError"], ())
    if not alive:
        command = ["sh", "-c", '"$@"; exit $?', "sh", *command]  # another parent than this one
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert [words in done.stderr for words in ("FileNotFoundError", "UserWarning: w")] == [alive, alive]


def test_entries_of_a_search_path_that_name_the_current_folder():
    assert absolute(":/mine::lib:.:/other:") == ["/mine", "/other"] and absolute("") == []
