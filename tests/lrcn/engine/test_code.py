"""How lrcn tells its code from another's."""

import subprocess
import sys
import zipfile

import pytest

from lrcn.engine import code
from tests.shared import ROOT


def git(*arguments) -> str:
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True).stdout.strip()


def test_the_revision_is_the_commit_that_is_checked_out(monkeypatch):
    monkeypatch.delenv(code.REVISION, raising=False)
    commit = git("rev-parse", "HEAD")
    assert code.revision() == (commit + "+" * bool(git("diff", "HEAD", "--name-only")) if commit else None)


def test_in_a_container_the_revision_is_the_callers(monkeypatch):
    monkeypatch.setenv(code.REVISION, "0123abc+")
    assert code.revision() == "0123abc+"
    monkeypatch.setenv(code.REVISION, "")
    assert code.revision() is None


def test_lrcn_installed_within_another_checkout_has_no_revision_of_its_own(monkeypatch, tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    monkeypatch.delenv(code.REVISION, raising=False)
    monkeypatch.setattr(code, "_HERE", tmp_path / "venv" / "site-packages")
    assert code.revision() is None


def test_an_installed_lrcn_has_the_digest_of_its_checkout(tmp_path):
    pytest.importorskip("hatchling")
    source = tmp_path / "source"
    names = git("ls-files", "-co", "--exclude-standard").split()
    for name in names:
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    if not names:
        pytest.skip("this is no checkout")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(tmp_path / "built")
    assert (tmp_path / "built" / "lrcn" / "recipe").is_dir()
    assert code.digest(tmp_path / "built") == code.digest(source) == code.digest()
    (tmp_path / "built" / "lrcn" / "sentences" / "templates" / "new.html").write_text("x")
    assert code.digest(tmp_path / "built") != code.digest()
