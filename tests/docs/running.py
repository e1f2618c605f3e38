"""Runs the blocks of a page as they would be pasted, in a folder that looks like a fresh checkout, and in an
environment that has nothing of the caller's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from functools import cache
from pathlib import Path

from lrcn.engine import engines
from tests.docs import stand_ins
from tests.docs.pages import ROOT, Block

NOT_COPIED = shutil.ignore_patterns(".*_cache", ".venv", ".git", ".hypothesis", "__pycache__", "build", "data", "runs")
# Targets of make are named, not made; what `git clone` gives is a copy of the checkout.
SHIMS = {
    "make": 'exec env PATH="${PATH#*:}" make -n "$@"\n',
    "git": """[ "$1" = clone ] || exec env PATH="${PATH#*:}" git "$@"
to=${3:-$(basename "$2" .git)}
mkdir "$to"
for each in *; do [ "$each" = "$to" ] || cp -r "$each" "$to"; done
ln -s "$PWD/.venv" "$to/.venv"
""",
}
# Beside the `lrcn` of small nets: METEOR takes six seconds of the processor to start, for each evaluation.
JAVA = "#!/bin/sh\necho 'left out on pages' >&2\nexit 1\n"
PROGRAM = '#!{python}\nimport sys\nfrom {module} import main\nif __name__ == "__main__":\n    sys.exit(main())\n'
# before the first line of a block, and in it, so that lines are counted as they stand there
TRAP = """trap 'echo "$LINENO $BASH_COMMAND" > "$PAGE_FAILED"; unset PAGE_FAILED' ERR; """


class Failed(AssertionError):
    """A block that ended with another exit code than 0."""


class Checkout:
    """FOLDER/lrcn, where a page's blocks run, with FOLDER/home and FOLDER/tmp."""

    def __init__(self, folder: Path):
        self.folder, self.made = folder / "lrcn", set[str]()
        shutil.copytree(ROOT, self.folder, ignore=NOT_COPIED)
        for name in ("home/.cache/lrcn", "tmp", "bin"):
            (folder / name).mkdir(parents=True)
        if (built := engines.cache() / "engines").is_dir():
            (folder / "home/.cache/lrcn/engines").symlink_to(built)
        self._write_environment()
        for name, text in SHIMS.items():
            _write_program(folder / "bin" / name, f"#!/bin/sh\n{text}")
        _write_program(folder / "small" / "lrcn", self._program("tests.docs.small"))
        _write_program(folder / "small" / "java", JAVA)

    def _write_environment(self) -> None:
        """.venv, with the packages of the one that runs the tests, and this checkout in place of that."""
        environment = self.folder / ".venv"
        venv.create(environment, with_pip=False, symlinks=True)
        packages = next(environment.glob("lib/python*/site-packages"))
        (packages / "lrcn-tests.pth").write_text(f"{self.folder}\n{sysconfig.get_path('purelib')}\n")
        for path in Path(sys.executable).parent.iterdir():
            own = environment / "bin" / path.name
            if path.is_file() and not own.exists() and (text := path.read_bytes()).startswith(b"#!"):
                first, _, rest = text.partition(b"\n")
                _write_program(own, f"#!{self.python}\n".encode() + rest if b"python" in first else text)
        (environment / "ready").touch()

    @property
    def python(self) -> Path:
        return self.folder / ".venv/bin/python"

    def _program(self, module: str) -> str:
        return PROGRAM.format(python=self.python, module=module)

    def run(self, block: Block) -> None:
        """Raises Failed."""
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code, encoding="utf-8")
        for name in block.on:
            if name not in self.made:
                self.made.add(name)
                stand_ins.make(name, self.folder)
        if block.is_run:
            self._run(block)

    def _run(self, block: Block) -> None:
        failed = self.folder.parent / "failed"
        failed.unlink(missing_ok=True)
        command = [self.python, "-c", block.code] if block.language == "python" else ["bash", "-ec", TRAP + block.code]
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.folder,
            env=environment(self.folder, bool(block.on)) | {"PAGE_FAILED": str(failed)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode:
            line, what = 1, block.code.strip()
            if failed.exists():
                number, _, what = failed.read_text().strip().partition(" ")
                line = int(number)
            where = f"{block.page}:{block.line + line - 1}"
            raise Failed(f"{where}: exit code {done.returncode}\n{what}\n\n{done.stdout[-6000:]}")


def _write_program(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o755)


def environment(folder: Path, on: bool = False) -> dict[str, str]:
    """What blocks in a checkout find. on: they have stand-ins, and with them the `lrcn` of small nets."""
    usual = [each for each in os.environ["PATH"].split(os.pathsep) if Path(each) != Path(sys.executable).parent]
    beside = folder.parent
    programs = [beside / "bin", *([beside / "small"] if on else []), folder / ".venv/bin", *usual]
    return {
        "PATH": os.pathsep.join(map(str, programs)),
        "HOME": str(beside / "home"),
        "TMPDIR": str(beside / "tmp"),
        "LANG": "C.UTF-8",
        "PIP_NO_INDEX": "1",
    }


@cache
def is_here(need: str) -> bool:
    """Whether a thing that blocks need is on this machine."""
    command = {
        "docker": ["docker", "version"],
        "compose": ["sh", "-c", "docker version && docker compose version"],
        "buildah": ["buildah", "images", "--quiet", "lrcn:cpu"],  # an image that `make docker` has made with it
        "gpu": ["nvidia-smi", "-L"],
    }[need]
    return bool(shutil.which(command[0])) and subprocess.run(command, capture_output=True).returncode == 0
