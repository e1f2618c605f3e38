"""What comes from elsewhere: held against its pin, of which nothing is run, and unpacked within its folder."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from lrcn.engine import EngineError, sources

SETUP = "open({mark!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='brocolli-caffe', version='9.0.2')\n"


def _add(tar: tarfile.TarFile, name: str, content: str = "text", **more) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in more.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content.encode()) if member.isreg() else None)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that is all the index there is; gives what puts the sdist into it, and pins it."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def publish(files: dict[str, str]) -> Path:
        archive = folder / f"{sources.PYPI_NAME}-{sources.PYPI_VERSION}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in files.items():
                _add(tar, f"{sources.PYPI_NAME}-{sources.PYPI_VERSION}/{name}", content)
        monkeypatch.setattr(sources, "PYPI_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
        return archive

    return publish


def _fetched(work: Path) -> Path:
    work.mkdir()
    return sources._fetch_pypi(work)


def test_nothing_of_an_sdist_is_run_and_nothing_else_is_fetched(index, tmp_path):
    """pip would run its setup.py, with a setuptools from the index, which has none here."""
    mark = tmp_path / "mark"
    archive = index({"setup.py": SETUP.format(mark=str(mark)), "src/caffe/net.cpp": "text"})
    fetched = _fetched(tmp_path / "work")
    assert fetched.read_bytes() == archive.read_bytes() and not mark.exists()


def test_what_lies_in_the_current_folder_is_not_imported_by_pip(index, tmp_path, monkeypatch):
    index({"setup.py": ""})
    here, mark = tmp_path / "here", tmp_path / "mark"
    here.mkdir()
    for name in ("pip", "runpy", "json", "setuptools"):
        (here / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", ".:")
    assert _fetched(tmp_path / "work").is_file() and not mark.exists()


def test_an_sdist_that_is_another_than_the_pinned_is_refused_unopened(index, tmp_path):
    """One byte more: pip refuses it, and where pip would not, we do."""
    archive = index({"setup.py": ""})
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(EngineError, match="brocolli-caffe 9.0.2 has not the pinned sha256 [0-9a-f]{64}: refused"):
        _fetched(tmp_path / "work")
    with pytest.raises(EngineError, match="has sha256 [0-9a-f]{64} in place of [0-9a-f]{64}: refused"):
        sources.check_sha256(archive, sources.PYPI_SHA256)


def test_a_package_that_the_index_lacks_is_one_line(index, tmp_path):
    with pytest.raises(EngineError, match=r"^brocolli-caffe 9\.0\.2 cannot be fetched with pip \(.*\)$"):
        _fetched(tmp_path / "work")


def test_links_and_paths_out_of_an_archive_are_passed_over(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    archive, tree = tmp_path / "caffe.tar", tmp_path / "a" / "tree"
    with tarfile.open(archive, "w") as tar:
        _add(tar, "src", "", type=tarfile.SYMTYPE, linkname=str(outside))
        _add(tar, "caffe/src/link", "", type=tarfile.SYMTYPE, linkname=str(outside))
        _add(tar, "caffe/src/hard", "", type=tarfile.LNKTYPE, linkname="/etc/hostname")
        _add(tar, "caffe/src/pipe", "", type=tarfile.FIFOTYPE)
        for name in (f"{outside}/src/one", "/src/two", "src/../../../three", "caffe/src/../../../../four"):
            _add(tar, name)
        _add(tar, "caffe/src/link/five")
        _add(tar, "caffe/src/net.cpp", "text", mode=0o6777)
    sources._unpack(archive, tree)
    inside = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if not path.is_dir()}
    assert inside == {"src/two", "src/link/five", "src/net.cpp"}
    assert not [path for path in tree.rglob("*") if path.is_symlink()]
    assert not (tree / "src" / "net.cpp").stat().st_mode & 0o6111
    assert {path.name for path in tmp_path.iterdir()} == {"outside", "caffe.tar", "a"}
    assert not list(outside.iterdir()) and [path.name for path in (tmp_path / "a").iterdir()] == ["tree"]


def test_git_does_not_go_by_the_current_folder(tmp_path, monkeypatch):
    """A repository's settings say which program an address stands for."""
    here, mark = tmp_path / "here", tmp_path / "mark"
    subprocess.run(["git", "init", "--quiet", str(here)], check=True)
    for name, value in {
        "protocol.ext.allow": "always",
        f"url.ext::sh -c touch% {mark}.insteadOf": sources.BVLC_URL,
    }.items():
        subprocess.run(["git", "-C", str(here), "config", name, value], check=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext")  # and so no network
    (tmp_path / "work").mkdir()
    with pytest.raises(EngineError, match="cannot be fetched"):
        sources._fetch_bvlc(tmp_path / "work")
    assert not mark.exists()
