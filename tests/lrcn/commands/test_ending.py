"""How the program ends on signals: at whichever moment of its start they come, in one line, without a traceback."""

import os
import signal
import subprocess
import sys

import pytest

# Sends a signal to the program when it begins to import a module.
AT_IMPORT = """
import os, sys
from lrcn.__main__ import main
module, number = sys.argv.pop(1), int(sys.argv.pop(1))
def look(event, arguments):
    if event == "import" and arguments[0] == module:
        os.kill(os.getpid(), number)
sys.addaudithook(look)
main()
"""
ENDS = {
    signal.SIGINT: (130, "lrcn: interrupted; the same command goes on from here"),
    signal.SIGTERM: (143, "lrcn: terminated; the same command goes on from here"),
    signal.SIGHUP: (129, "lrcn: hung up; the same command goes on from here"),
}


def ended_at(program, *arguments, number=signal.SIGINT):
    """The program with a signal that it sends itself: (exit code, what it says without blank lines)."""

    def heed():  # whoever runs tests in the background has Ctrl-C ignored
        for each in ENDS:
            signal.signal(each, signal.SIG_DFL)

    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    return done.returncode, "\n".join(filter(None, done.stderr.splitlines()))


@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
@pytest.mark.parametrize("module", ["lrcn.cli", "click.parser", "google.protobuf", "prototxt_gen.shapes"])
def test_a_signal_while_modules_are_imported(module, number):
    assert ended_at(AT_IMPORT, module, int(number), "nets", "show", "lm/lstm-lm") == ENDS[number]


AT_EXIT = """
import atexit, os, signal
from lrcn.__main__ import main
atexit.register(os.kill, os.getpid(), signal.SIGINT)
main()
"""


def test_ctrl_c_when_the_command_is_done():
    assert ended_at(AT_EXIT, "--version") == ENDS[signal.SIGINT]


IN_A_FINALIZER = """
import gc, os, signal, sys
from lrcn import signals
class Thing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
with signals.ending_in_order():
    try:
        Thing()
        signal.pause()
    except KeyboardInterrupt:
        sys.exit("heard")
"""


def test_a_ctrl_c_that_python_drops_is_heard_again():
    assert ended_at(IN_A_FINALIZER) == (1, "heard")


def test_who_is_begun_to_ignore_ctrl_c_does():
    program = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); exec({AT_IMPORT!r})"
    assert ended_at(program, "lrcn.cli", int(signal.SIGINT), "--version") == (0, "")


TERMINATED = """
import os, signal
from lrcn.commands import experiments
from lrcn.engine.scratch import Scratch
def work(name):
    with Scratch() as folder:
        assert os.listdir(os.environ["TMPDIR"]) == [folder.name]
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
experiments.show.callback = work
from lrcn.__main__ import main
main()
"""


def test_temporary_folders_go_with_the_command_that_is_terminated(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert ended_at(TERMINATED, "experiments", "show", "demo") == ENDS[signal.SIGTERM]
    assert not os.listdir(tmp_path)


AT_FIRST = """
import os, sys
def look(event, arguments):
    if event == "import" and arguments[0] == "lrcn.signals":
        os.kill(os.getpid(), 2)
sys.addaudithook(look)
from lrcn.__main__ import main
main()
"""


def test_ctrl_c_before_the_program_can_tell_of_it():
    assert ended_at(AT_FIRST, "--version") == (-signal.SIGINT, "")
