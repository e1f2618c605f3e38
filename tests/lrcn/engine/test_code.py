"""How lrcn tells its code from another's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the checkout as it is, but for its tests."""
    names = [name for name in git("ls-files", "-co", "--exclude-standard").split() if (ROOT / name).is_file()]
    if not names:
        pytest.skip("this is no checkout")
    folder = tmp_path_factory.mktemp("source")
    for name in names:
        if not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def installed(source, tmp_path_factory):
    """Where its wheel is installed."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "wheel"]
    subprocess.run(build, cwd=source, capture_output=True, check=True)
    [wheel] = (folder / "wheel").iterdir()
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--target",
        folder / "packages",
        wheel,
    ]
    subprocess.run(install, capture_output=True, check=True)
    return folder / "packages"


def test_an_installed_lrcn_has_the_digest_of_its_checkout(source, installed, tmp_path):
    assert code.digest(installed) == code.digest(source) == code.digest()
    changed = shutil.copytree(installed, tmp_path / "changed")
    (changed / "lrcn" / "sentences" / "templates" / "new.html").write_text("x")
    assert code.digest(changed) != code.digest()


def test_every_file_of_the_packages_is_installed_and_so_are_recipe_and_benchmarks(source, installed):
    names = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    names = [name for name in names if name.parts[0] in ("readers", "netspecs", "prototxt_gen", "data_prep", "lrcn")]
    assert {Path("prototxt_gen/caffe.proto"), Path("lrcn/sentences/templates/rating_sheet.html")} < set(names)
    for name in names:
        assert (installed / name).read_bytes() == (source / name).read_bytes(), name
    recipe = source / "docker" / "caffe"
    parts = [path.relative_to(recipe) for path in recipe.rglob("*") if path.is_file()]
    assert {Path("CMakeLists.txt"), Path("gpu/convolution.cu")} < set(parts)
    for part in parts:
        assert (installed / "lrcn" / "recipe" / part).read_bytes() == (recipe / part).read_bytes(), part
    for script in (source / "benchmarks").glob("*.py"):
        assert (installed / "lrcn" / "benchmarks" / script.name).read_bytes() == script.read_bytes(), script


CALL = """
import sys
from lrcn.cli import cli
status = cli(standalone_mode=False)
ours = ("readers", "netspecs", "prototxt_gen", "data_prep", "lrcn")
for name, module in sys.modules.items():
    if name.split(".")[0] in ours:
        print(module.__file__, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--help"], "prepare"),
        (["nets", "list"], "activity/lrcn-fc6-flow"),
        (["nets", "write", "lm/lstm-lm", "--out", "nets"], ""),
    ],
)
def test_an_installed_lrcn_works_far_from_its_checkout(installed, tmp_path, arguments, words):
    done = subprocess.run(
        [sys.executable, "-c", CALL, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    files = [line for line in done.stderr.splitlines() if line.endswith(".py")]
    assert len(files) > 3 and all(file.startswith(f"{installed}/") for file in files)
