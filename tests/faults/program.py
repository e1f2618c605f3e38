"""The command line, called many times over in children of a server, and what is asked of every call."""

import json
import os
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GIB = 1 << 30
ROOM = 4 * GIB  # of address space, that a call may ask for
MOST = 3 * GIB // 2  # bytes of memory that a call may take; LRCN_MAX_GIB promises 1 GiB for any one thing
SECONDS = 120  # after which a call hangs: no measure, a guard
# What no call here is to need: an engine, a home, more than one thread
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LRCN_MAX_GIB": "1",
    "LRCN_MAX_PIXELS": "4000000",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/nowhere",  # no Java, no Docker, no Git
}


@dataclass(frozen=True)
class Outcome:
    """A call that has ended; `faults` says what of it is wrong."""

    code: int | None
    signal: str | None
    hung: bool
    memory: int
    left: bool
    stdout: bytes
    stderr: bytes

    def faults(self, codes=(0, 2)) -> dict[str, str]:
        """{kind: in words}, {} where all is well. codes: exit codes that the command may have."""
        said, told = _text(self.stderr), _text(self.stdout)
        found = {}
        if self.hung:
            return {"hang": f"no end after {SECONDS} s"}
        if self.signal or "worker process was ended from outside" in said:
            found["signal"] = self.signal or "a worker process"
        if "Traceback (most recent call last)" in said:
            found["traceback"] = said.strip().splitlines()[-1][:300]
            if "MemoryError" in found["traceback"]:
                found["memory"] = "MemoryError"
        elif self.signal is None and self.code not in codes:
            found["words"] = f"exit code {self.code}: {said[-300:]}"
        elif self.code == 2 and (trouble := one_line(said)):
            found["words"] = f"{trouble}: {said[-300:]!r}"
        elif odd := control_characters(said + told):
            found["words"] = f"{odd} printed raw"
        if self.memory > MOST:
            found["memory"] = f"{self.memory / GIB:.2f} GiB"
        if self.left:
            found["lost"] = "a process is left"
        return found


def one_line(said: str) -> str:
    """What is wrong with the standard error of a call that refuses; "" where it ends in one line of ours."""
    lines = said.split("\n")
    if sum(line.startswith("lrcn: ") for line in lines) != 1:
        return "not one line `lrcn: ...`"
    if lines[-1] or not lines[-2].startswith("lrcn: "):
        return "more follows the line `lrcn: ...`"
    return f"{odd} printed raw" if (odd := control_characters(said)) else ""


def control_characters(text: str) -> str:
    """The first character that a terminal obeys, or that is half of one; "" where there is none."""
    for letter in text:
        if letter not in "\n\t" and unicodedata.category(letter) in ("Cc", "Cs"):
            return f"U+{ord(letter):04X}"
    return ""


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


class Program:
    """A server and its calls; a context manager."""

    def __enter__(self):
        command = [sys.executable, "-c", "import sys; from tests.faults.server import serve; del sys.path[0]; serve()"]
        single = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.server = subprocess.Popen(command, cwd=ROOT, text=True, env=single, **pipes)
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()

    def __call__(self, folder: Path, arguments, **environment: str) -> Outcome:
        """`lrcn ARGUMENTS` in `folder`; arguments: texts, in which what is no UTF-8 are surrogates."""
        own = {"HOME": f"{folder}/home", "LRCN_CACHE": f"{folder}/home/cache", "TMPDIR": f"{folder}/tmp"}
        order = {
            "arguments": [os.fsencode(each).decode("latin-1") for each in map(str, arguments)],
            "folder": str(folder),
            "environment": ENVIRONMENT | own | environment,
            "room": ROOM,
            "seconds": SECONDS,
        }
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline())
        streams = {name: (folder / name).read_bytes() for name in ("stdout", "stderr")}
        return Outcome(**answer, **streams)
