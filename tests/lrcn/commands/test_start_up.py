"""What is imported before a command has anything to do: a user who asks for help, or presses TAB, waits for it."""

import os
import subprocess
import sys

import pytest

HEAVY = {"numpy", "cv2", "h5py", "matplotlib", "PIL", "skimage", "tqdm", "jinja2", "docker", "multiprocessing"}
PROGRAM = """
import atexit, sys
sys.argv[0] = "lrcn"
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from lrcn.cli import main
main()
"""


def imported(*arguments, **environment):
    """(What the program says, the modules that it has imported at its end.)"""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, set(done.stderr.splitlines()[-1].split())


def typed(words):
    """The environment in which Bash asks what may follow these words."""
    return {"_LRCN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["--help"], {}, "classify"),
        (["prepare", "--help"], {}, "ucf101"),
        (["evaluate", "--help"], {}, "--stride"),
        (["--version"], {}, "lrcn, version"),
        ([], typed("lrcn tr"), "train"),
    ],
)
def test_help_and_commands_to_complete_need_click_alone(arguments, environment, says):
    said, modules = imported(*arguments, **environment)
    assert says in said
    assert not modules & (HEAVY | {"google.protobuf", "netspecs"})


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["nets", "list"], {}, "caption/lrcn-2f"),
        (["nets", "show", "lm/lstm-lm"], {}, "lstm1"),
        (["experiments"], {}, "demo-captions"),
        ([], typed("lrcn train dem"), "demo-video"),
        ([], typed("lrcn nets show vid"), "video/decoder-prob"),
    ],
)
def test_nets_and_experiments_need_no_arrays_and_no_images(arguments, environment, says):
    said, modules = imported(*arguments, **environment)
    assert says in said and "click" in modules
    assert not modules & HEAVY
