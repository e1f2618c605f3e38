"""The program called as a user calls it, and what it says when it refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

LRCN = Path(sys.executable).with_name("lrcn")


def lrcn(*arguments, cwd=None, **environment):
    """COLUMNS, which parallel tests have from whoever runs them, is not handed on."""
    usual = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(
        [LRCN, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=usual | environment
    )


KILLED = """
import os, signal, sys
from lrcn.commands.common import Progress
told, reports = Progress.__call__, int(sys.argv.pop(1))
def tell(self, what, done, total):
    global reports
    reports -= bool(total)
    if not reports:
        os.kill(os.getpid(), signal.SIGKILL)
    told(self, what, done, total)
Progress.__call__ = tell
from lrcn.cli import main
main()
"""


def killed(reports: int, *arguments, **environment) -> int:
    """The exit code of the program where it is killed (SIGKILL) at so many reports of its progress, however fast it is;
    what works for it goes on until it sees that."""
    command = [sys.executable, "-c", KILLED, str(reports), *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, env=os.environ | environment).returncode


def prepare(*arguments):
    return lrcn("prepare", *arguments)


def refused(done, *said):
    """One line on stderr that begins with the program's name (after the progress, if any), exit code 2, no
    traceback."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert lines[-1].startswith("lrcn: ") and "Traceback" not in done.stderr
    assert sum(line.startswith("lrcn: ") for line in lines) == 1
    for words in said:
        assert words in lines[-1]


def no_java(folder):
    """A PATH with git alone, if that: METEOR takes seconds to start, and tests can do without."""
    (folder / "bin").mkdir(parents=True)
    if git := shutil.which("git"):
        (folder / "bin" / "git").symlink_to(git)
    return {"PATH": str(folder / "bin")}
