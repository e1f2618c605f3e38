"""`lrcn bench` and the rows that benchmarks print, with scripts that measure nothing."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from lrcn.cli import cli
from lrcn.results import benchmarks
from tests.commands import lrcn, refused
from tests.shared import ROOT

SCRIPT = '''"""{says}

More of it."""
import argparse, sys
sys.path.insert(0, {folder!r})
from rows import Row, main
def measure(asked):
    {does}
main(measure, argparse.ArgumentParser())
'''
REACHED = 'return [Row("frames read", 3952.4, "frames/s", "one process", 200.0, 19.762, "at least 13.6")]'
MISSED = (
    'return [Row("an iteration", 3.2, "s", "DummyData", 3.1, 1.0323, "at most 1.01"), Row("a beam", 2, "s", "x", 1, 2)]'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of benchmarks in place of ours; gives what writes one."""
    monkeypatch.setattr(benchmarks, "FOLDER", tmp_path)
    (tmp_path / "rows.py").write_text('"""Shared."""\n')
    (tmp_path / "gpu.py").write_text('"""Measures no ratio."""\nraise SystemExit("was run")\n')

    def write(name, does, says="What is measured. And how:"):
        (tmp_path / f"{name}.py").write_text(SCRIPT.format(says=says, folder=str(ROOT / "benchmarks"), does=does))

    return write


def bench(*arguments):
    done = CliRunner().invoke(cli, ["bench", *arguments], env={"COLUMNS": "200"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_all_run_in_turn_and_are_one_table_of_machine_and_date(folder):
    folder("loader", REACHED)
    folder("clips", MISSED)
    done = bench()
    assert done.exit_code == 1 and done.stderr.splitlines() == ["clips (1 of 2)", "loader (2 of 2)"]
    lines = done.stdout.splitlines()
    assert re.match(r"20\d\d-\d\d-\d\dT.*, load \d", lines[0]) and re.search(r"\d cores, \d+ GiB, Python 3", lines[1])
    table = lines[lines.index("") + 1 :]
    assert re.split("  +", table[0]) == list(benchmarks.TITLES)
    assert [re.split("  +", line.strip()) for line in table[1:]] == [
        ["clips", "an iteration", "3.2 s", "3.1 s", "1.032", "at most 1.01", "no", "DummyData"],
        ["clips", "a beam", "2 s", "1 s", "2", "-", "-", "x"],
        ["loader", "frames read", "3952 frames/s", "200 frames/s", "19.76", "at least 13.6", "yes", "one process"],
    ]


def test_one_by_name_as_json(folder):
    folder("loader", REACHED)
    folder("clips", "raise SystemExit('is not asked for')")
    done = bench("loader", "--json")
    document = json.loads(done.stdout)
    assert done.exit_code == 0
    [loader] = document["benchmarks"]
    assert loader["name"] == "loader" and loader["error"] is None and loader["load"] >= 0
    [row] = loader["rows"]
    assert (row["ratio"], row["goal"], row["reached"]) == (19.762, "at least 13.6", True)
    assert {"date", "processor", "cores", "memory", "python", "engine", "load"} == document["machine"].keys()


@pytest.mark.parametrize(
    "does, error",
    [
        ("raise SystemExit('ffmpeg: not installed')", "ffmpeg: not installed"),
        ("raise ValueError('no such clip')", "ValueError: no such clip"),
        ("from lrcn.engine import EngineError; raise EngineError('no Caffe engine')", "no Caffe engine"),
        ("import os; os._exit(3)", "ended with 3"),
        ("import os; print('5'); sys.stdout.flush(); os._exit(0)", "printed no JSON document of rows"),
    ],
    ids=["lacks something", "fails", "lacks Caffe", "dies", "prints something else"],
)
def test_one_that_fails_says_so_in_its_row_and_costs_no_other(folder, does, error):
    folder("a", does)
    folder("b", REACHED)
    done = bench()
    table = [re.split("  +", line.strip()) for line in done.stdout.splitlines()[-2:]]
    assert done.exit_code == 1
    assert table[0] == ["a", "did not run", *"-----", error] and table[1][0] == "b" and table[1][6] == "yes"


def test_an_interrupt_leaves_the_rows_that_there_are(folder):
    folder("a", REACHED)
    folder("b", "import os; os.kill(os.getppid(), 2); raise KeyboardInterrupt")
    folder("c", "raise SystemExit('was run')")
    done = bench()
    table = [re.split("  +", line.strip()) for line in done.stdout.splitlines()[-2:]]
    assert done.exit_code == 130
    assert table[0][0] == "a" and table[1] == ["b", "did not run", *"-----", "interrupted"]


def test_they_are_listed_with_what_they_measure(folder):
    folder("loader", "raise SystemExit('was run')", "How fast a loader\nreads. In turns.")
    done = bench("--list")
    assert done.exit_code == 0 and done.stdout.split("  ") == ["loader", "How fast a loader reads.\n"]


def test_an_unknown_name_is_refused_with_the_nearest():
    refused(lrcn("bench", "caption"), "caption: no such benchmark; did you mean 'captions'?")


@pytest.mark.parametrize(
    "ratio, goal, reached",
    [
        (2, "at least 2", True),
        (1.9, "at least 2", False),
        (1.02, "at most 1.02", True),
        (1.03, "at most 1.02", False),
        (9, "", None),
    ],
)
def test_a_goal_is_reached_from_its_side(ratio, goal, reached):
    assert benchmarks.Row("it", 1, "s", "other", 1, ratio, goal).reached is reached


def test_a_goal_in_other_words_is_refused():
    with pytest.raises(ValueError, match="at least"):
        benchmarks.Row("it", 1, "s", "other", 1, 1, ">= 2")


def test_ours_say_what_they_measure_and_show_their_options():
    """The first sentence of each, and --help, which measures nothing."""
    for name, says in benchmarks.scripts().items():
        assert says, name
        command = [sys.executable, ROOT / "benchmarks" / f"{name}.py", "--help"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and "--json" in done.stdout, (name, done.stderr)


@pytest.mark.engine
@pytest.mark.parametrize(
    "command",
    [
        "beam --images 1 --replayed 1 --length 2 --units 8 --vocabulary 50 --width 2",
        "loader --videos 2 --turns 1",
        "scoring --videos 1 --frames 17 --crop 67",
    ],
)
def test_ours_that_call_what_is_within_still_find_it(command, tmp_path):
    """Their folder alone is there, as in a wheel. Where they compare what both ways gave, it is the same."""
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    name, *options = command.split()
    done = subprocess.run(
        [sys.executable, tmp_path / "benchmarks" / f"{name}.py", *options, "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0 and json.loads(done.stdout)["rows"], done.stderr
