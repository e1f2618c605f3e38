"""Caffe's sources, fetched once into the cache: BVLC's repository at one commit, or the sdist of a derivative."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from data_prep.children import absolute, python
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
    repository = work.absolute() / "repository"
    git = ["git", "--git-dir", str(repository)]
    for command, seconds in (
        (["git", "ls-remote", BVLC_URL, "HEAD"], REACH_SECONDS),
        (["git", "init", "--quiet", "--bare", str(repository)], REACH_SECONDS),
        ([*git, "fetch", "--quiet", "--depth", "1", BVLC_URL, BVLC_COMMIT], FETCH_SECONDS),
    ):
        status, output = call(command, seconds, folder=work)  # git goes by the .git of the folder that it runs in
        if status:
            raise EngineError(f"Caffe's sources cannot be fetched from {BVLC_URL} ({last_line(output)})")
    status, output = call([*git, "rev-parse", "FETCH_HEAD"], REACH_SECONDS, folder=work)
    if output.strip() != BVLC_COMMIT:
        raise EngineError(f"{BVLC_URL} sent {output.strip()} in place of commit {BVLC_COMMIT}: refused")
    archive = work.absolute() / "caffe.tar"
    pack = [*git, "archive", "-o", str(archive), BVLC_COMMIT, *SOURCE_FOLDERS]
    status, output = call(pack, FETCH_SECONDS, folder=work)
    if status:
        raise EngineError(f"git cannot unpack commit {BVLC_COMMIT} ({last_line(output)})")
    return archive


def _fetch_pypi(work: Path) -> Path:
    """The pinned sdist, of which nothing is run. pip asks an archive for its name by running its setup.py, with a
    setuptools that it fetches for that: here a build backend of ours answers, in an environment that is not isolated.
    """
    metadata = f"Metadata-Version: 2.1\nName: {PYPI_NAME}\nVersion: {PYPI_VERSION}\n"
    folder = f"{PYPI_NAME.replace('-', '_')}-{PYPI_VERSION}.dist-info"
    stand_in = work / "stand-in" / "setuptools"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").touch()
    (stand_in / "build_meta.py").write_text(_BACKEND.format(folder=folder, metadata=metadata))
    options = ["--no-binary", PYPI_NAME, "--use-pep517", "--no-build-isolation"]
    pin, modules = (PYPI_NAME, PYPI_VERSION, PYPI_SHA256), str(stand_in.parent.resolve())
    return pip_download(pin, options, work, FETCH_SECONDS, PYTHONPATH=modules)


_BACKEND = """\
import os


class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        os.mkdir(os.path.join(metadata_directory, {folder!r}))
        with open(os.path.join(metadata_directory, {folder!r}, "METADATA"), "w") as file:
            file.write({metadata!r})
        return {folder!r}
"""


def pip_download(
    pin: tuple[str, str, str],
    options: list[str],
    work: Path,
    seconds: float | None = None,
    watch: Callable[[], None] | None = None,
    **environment: str,
) -> Path:
    """A package's one file, in `work`, from the index that pip is set up with. pin: its name, version and sha256, which
    pip checks before it opens the file, and we check after. Its dependencies stay where they are.

    Raises EngineError: no such file, another hash; OSError: a full disk.
    """
    name, version, sha256 = pin
    requirements, files = work / "requirements.txt", work / "files"
    files.mkdir()
    requirements.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
    paths = [environment.get("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(entry for path in paths for entry in absolute(path))
    command = python("pip", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "download")
    command += ["--no-deps", "--require-hashes", "--progress-bar", "off", *options]
    status, output = call([*command, "--dest", str(files), "-r", str(requirements)], seconds, watch, **environment)
    if "DO NOT MATCH THE HASHES" in output:
        raise EngineError(f"{name} {version} has not the pinned sha256 {sha256}: refused")
    if "No space left on device" in output:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    archives = list(files.iterdir())
    if status or len(archives) != 1:
        raise EngineError(f"{name} {version} cannot be fetched with pip ({last_line(output)})")
    check_sha256(archives[0], sha256)
    return archives[0]


def check_sha256(path: Path, expected: str) -> None:
    """Raises EngineError where a file has another sha256 than this."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
    if sha256.hexdigest() != expected:
        raise EngineError(f"{path.name} has sha256 {sha256.hexdigest()} in place of {expected}: refused")


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
    command: list[str],
    seconds: float | None,
    watch: Callable[[], None] | None = None,
    folder: Path | None = None,
    **environment: str,
) -> tuple[int, str]:
    """Run a command that asks nothing; (exit status, all that it printed). Past its time it is ended, children too.

    watch: called twice a second while it runs. folder: in which it runs, here by default. environment: what it sees
    besides this process's.
    """
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **environment}
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
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
