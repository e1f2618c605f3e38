"""Which code runs: what a result says of it, and what tells an image's from the caller's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = ("readers", "netspecs", "prototxt_gen", "data_prep", "lrcn")
REVISION = "LRCN_REVISION"  # told to the command in a container, whose code is the caller's: the caller's revision
_HERE = Path(__file__).resolve().parents[2]


def revision() -> str | None:
    """The git revision of this lrcn, with "+" where files differ from it. None where it is no checkout, or there is no
    git."""
    if REVISION in os.environ:
        return os.environ[REVISION] or None
    if not (_HERE / ".git").exists() or not shutil.which("git"):
        return None
    command = ["git", "-C", _HERE, "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    answer = subprocess.run(command, capture_output=True, text=True)
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def digest(root: Path = _HERE) -> str:
    """What tells one lrcn's code from another's, in a checkout or where it is installed: a hash of the packages'
    files."""
    sha256 = hashlib.sha256()
    others = root / "lrcn" / "recipe", root / "lrcn" / "benchmarks"  # in a wheel alone: one makes Caffe, the others run
    files = [
        path
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not any(map(path.is_relative_to, others))
    ]
    for path in sorted(files):
        content = path.read_bytes()
        sha256.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return sha256.hexdigest()
