"""What Matplotlib goes by."""

import os
import subprocess
import sys

import pytest

# How a picture's letters and ground come out, and where its caches lie.
PROGRAM = """
import os
from lrcn.results.plotting import matplotlib
rc = matplotlib().rcParams
print(rc["axes.facecolor"], rc["text.usetex"], matplotlib().get_configdir(), os.path.exists("matplotlibrc"))
"""
SETTINGS = [b"axes.facecolor: red\ntext.usetex: True\n", b"axes.facecolor: \xff\n", b"nonsense\n"]


def told(folder, **environment):
    command = [sys.executable, "-c", PROGRAM]
    own = {"HOME": str(folder), **environment}
    rest = {name: value for name, value in os.environ.items() if name not in ("MPLCONFIGDIR", "XDG_CONFIG_HOME")}
    done = subprocess.run(command, cwd=folder, env=rest | own, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_in_the_current_folder_are_nobodys(settings, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(settings)
    assert told(tmp_path) == ["white", "False", str(tmp_path / ".config" / "matplotlib"), "True"]


def test_settings_of_the_user(tmp_path):
    folder = tmp_path / ".config" / "matplotlib"
    folder.mkdir(parents=True)
    (folder / "matplotlibrc").write_bytes(SETTINGS[0])
    assert told(tmp_path) == ["red", "True", str(folder), "False"]


def test_a_home_that_is_not_there(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "home").touch()
    *_, place, _ = told(tmp_path, HOME=str(tmp_path / "home"), TMPDIR=str(scratch))
    assert place.startswith(f"{scratch}/lrcn-") and not os.listdir(scratch)
