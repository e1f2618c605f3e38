"""Caffe's sources, fetched once into the cache: BVLC's repository at one commit, or the sdist of a derivative."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from data_prep.synced import put
from lrcn.engine.engines import SOURCE_FOLDERS, EngineError, Progress, cache, lock

BVLC_COMMIT = "9b891540183ddc834a02b2bd81b31afae71b2153"
BVLC_URL = "https://github.com/BVLC/caffe.git"
PYPI_NAME, PYPI_VERSION = "brocolli-caffe", "9.0.2"
PYPI_SHA256 = "c6410cc60bdd6db685d441b66be7df05410f8850ac88d6b75d48ef9b2315c08a"

REACH_SECONDS = 20  # how long `auto` waits for GitHub to answer
FETCH_SECONDS = 900


def pinned_version(source: str) -> str:
    return BVLC_COMMIT if source == "bvlc" else f"{PYPI_NAME} {PYPI_VERSION} sha256:{PYPI_SHA256}"


def fetch(source: str, report: Progress) -> Path:
    """The unpacked, checked sources of bvlc or pypi, fetched once."""
    stamp = BVLC_COMMIT if source == "bvlc" else PYPI_SHA256
    tree = cache() / "sources" / f"{source}-{stamp[:16]}"
    with lock(tree.with_name(tree.name + ".lock"), report):
        if not tree.is_dir():
            for left in tree.parent.glob(tree.name + ".*/"):  # by a call that was killed
                shutil.rmtree(left, ignore_errors=True)
            download = _fetch_bvlc if source == "bvlc" else _fetch_pypi
            with tempfile.TemporaryDirectory(dir=tree.parent, prefix=tree.name + ".") as work:
                report(f"fetching Caffe's sources ({source})", 0, 0)
                _unpack(download(Path(work)), Path(work) / "tree")
                put(Path(work) / "tree", tree)
    return tree


def _fetch_bvlc(work: Path) -> Path:
    """An archive of BVLC_COMMIT. Git names a commit by the hash of its content, so what has that name is it."""
    if not shutil.which("git"):
        raise EngineError("git is missing: apt-get install git")
    repository = work / "repository"
    git = ["git", "--git-dir", str(repository)]
    for command, seconds in (
        (["git", "ls-remote", BVLC_URL, "HEAD"], REACH_SECONDS),
        (["git", "init", "--quiet", "--bare", str(repository)], REACH_SECONDS),
        ([*git, "fetch", "--quiet", "--depth", "1", BVLC_URL, BVLC_COMMIT], FETCH_SECONDS),
    ):
        status, output = call(command, seconds)
        if status:
            raise EngineError(f"Caffe's sources cannot be fetched from {BVLC_URL} ({last_line(output)})")
    status, output = call([*git, "rev-parse", "FETCH_HEAD"], REACH_SECONDS)
    if output.strip() != BVLC_COMMIT:
        raise EngineError(f"{BVLC_URL} sent {output.strip()} in place of commit {BVLC_COMMIT}: refused")
    archive = work / "caffe.tar"
    status, output = call([*git, "archive", "-o", str(archive), BVLC_COMMIT, *SOURCE_FOLDERS], FETCH_SECONDS)
    if status:
        raise EngineError(f"git cannot unpack commit {BVLC_COMMIT} ({last_line(output)})")
    return archive


def _fetch_pypi(work: Path) -> Path:
    """The pinned sdist. pip checks the hash before it opens the archive (it runs a setup.py to read it); then we."""
    wanted = work / "requirements.txt"
    wanted.write_text(f"{PYPI_NAME}=={PYPI_VERSION} --hash=sha256:{PYPI_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    status, output = call(
        [*pip, "download", "--no-deps", "--no-binary", PYPI_NAME, "--dest", str(work), "-r", str(wanted)], FETCH_SECONDS
    )
    if "DO NOT MATCH THE HASHES" in output:
        raise EngineError(f"the sdist of {PYPI_NAME} {PYPI_VERSION} has not the pinned sha256 {PYPI_SHA256}: refused")
    archives = list(work.glob("*.tar.gz"))
    if status or len(archives) != 1:
        raise EngineError(f"{PYPI_NAME} {PYPI_VERSION} cannot be fetched with pip ({last_line(output)})")
    _check_sha256(archives[0], PYPI_SHA256)
    return archives[0]


def _check_sha256(path: Path, expected: str) -> None:
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != expected:
        raise EngineError(f"{path.name} has sha256 {actual} in place of {expected}: refused")


def _unpack(archive: Path, tree: Path) -> None:
    """The parts of a Caffe archive that the recipe reads, without a folder that the archive puts around them."""
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts
            if not set(parts[:1]) & set(SOURCE_FOLDERS):
                parts = parts[1:]
            if parts[:1] and parts[0] in SOURCE_FOLDERS and ".." not in parts and member.isfile():
                path = tree.joinpath(*parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tar.extractfile(member).read())


def call(
    command: list[str], seconds: float | None, watch: Callable[[], None] | None = None, **environment: str
) -> tuple[int, str]:
    """Run a command that asks nothing; (exit status, all that it printed). Past its time it is ended, children too.

    watch: called twice a second while it runs. environment: what it sees besides this process's.
    """
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **environment}
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
        try:
            while watch and process.poll() is None:
                watch()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.5)
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = 1
            print(f"no answer in {seconds} s", file=output)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return status, output.read()


def last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no word of why"])[-1].strip()
