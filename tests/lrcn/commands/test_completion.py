"""What a shell offers on TAB, by click's own classes and by a real Bash; `python -m lrcn`."""

import os
import pty
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import get_completion_class

from lrcn.cli import cli, spread_settings
from lrcn.released.data_sets import DATA_SETS
from lrcn.released.weights import RELEASES
from lrcn.training import experiment
from netspecs import catalogue
from tests.commands import LRCN, refused


@pytest.fixture
def offered(monkeypatch):
    """(type, value) of what the shell is offered after these words, the last of which is begun."""

    def offer(*words, shell="bash"):
        monkeypatch.setenv("COMP_WORDS", " ".join(["lrcn", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)) if shell == "bash" else words[-1])
        answer = get_completion_class(shell)(cli, {}, "lrcn", "_LRCN_COMPLETE").complete()
        return [tuple(line.split("\t")[0].split(",", 1)) for line in answer.splitlines()]

    return offer


def plain(items):
    return [value for kind, value in items if kind == "plain"]


def test_experiments_and_nets(offered):
    every = [*experiment.names(), *catalogue.names()]
    assert plain(offered("train", "")) == every
    assert plain(offered("train", "demo-t")) == ["demo-table1"]
    assert offered("train", "my")[0] == ("file", "my")  # a file of one's own
    assert plain(offered("evaluate", "caption/r")) == ["caption/results", "caption/rating-sheet"]
    assert plain(offered("experiments", "show", "demo-t")) == ["demo-table1"]
    assert plain(offered("nets", "write", "lm/lstm-lm", "video/d")) == ["video/decoder-max", "video/decoder-prob"]
    for words in (
        ("nets", "show"),
        ("nets", "weights"),
        ("caption", "--net"),
        ("classify", "--net"),
        ("prepare", "features", "--net"),
    ):
        assert plain(offered(*words, "lm/")) == ["lm/lstm-lm"], words


def test_settings_with_their_published_values(offered):
    for command in (("nets", "write"), ("nets", "show"), ("train",)):
        assert plain(offered(*command, "caption/lrcn-2f", "--set", "uni")) == ["units=1000"], command
        assert plain(offered(*command, "activity/lrcn-fc6-rgb", "--set", "uni")) == ["units=256"], command
    assert "crop=227" in plain(offered("train", "activity/table1", "--set", ""))
    assert plain(offered("train", "nowhere.toml", "--set", "beam")) == []
    assert plain(offered("nets", "show", "nowhere.prototxt", "--set", "uni")) == ["units="]  # they differ


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_one_setting_after_another(offered, shell):
    first = ["units", "=", "512"] if shell == "bash" else ["units=512"]  # Bash takes words apart at "="
    net = ["nets", "show", "caption/lrcn-2f", "--set"]
    assert plain(offered(*net, *first, "strea", shell=shell)) == ["streams=100"]
    assert plain(offered(*net, *first, *first, "strea", shell=shell)) == ["streams=100"]
    assert plain(offered(*net, *first, "--js", shell=shell)) == ["--json"]
    assert plain(offered(*net, *first, "--json", "--lev", shell=shell)) == ["--level"]


def test_released_weights_and_data_sets(offered, monkeypatch, tmp_path):
    monkeypatch.setenv("LRCN_WEIGHTS", str(tmp_path))
    assert plain(offered("weights", "fetch", "")) == list(RELEASES)
    assert plain(offered("weights", "list", "caffenet", "v")) == ["vgg16"]
    assert plain(offered("data", "list", "")) == list(DATA_SETS)
    assert offered("train", "demo", "--weights", "") == [("file", "")]
    (tmp_path / "hybrid.caffemodel").touch()
    for words in (("train", "demo", "--weights"), ("evaluate", "demo", "--model"), ("nets", "weights", "lm/lstm-lm")):
        assert offered(*words, "") == [("file", ""), ("plain", "hybrid")], words  # those that are here


def test_runs_and_logs(offered):
    assert "watch" in plain(offered("wa")) and "analyze" in plain(offered("ana"))
    assert offered("watch", "ru") == [("dir", "ru")] and offered("analyze", "lo") == [("file", "lo")]
    assert offered("train", "demo", "--tensorboard", "t") == [("dir", "t")]


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_a_real_bash(tmp_path):
    keyboard = (
        f'PATH={LRCN.parent}:$PATH; eval "$(_LRCN_COMPLETE=bash_source lrcn)"\nlrcn data list uc\t --json >said\nexit\n'
    )
    process, terminal = pty.fork()
    if not process:
        os.chdir(tmp_path)
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    os.write(terminal, keyboard.encode())
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:  # the terminal's end
        pass
    os.waitpid(process, 0)
    os.close(terminal)
    assert '"name": "ucf101"' in (tmp_path / "said").read_text()


def test_python_m_lrcn(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('the user has a json.py')")

    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "lrcn", *arguments], cwd=tmp_path, capture_output=True, text=True)

    refused(run("weights", "list", "cafenet"), "did you mean 'caffenet'")
    assert "caffenet: BVLC" in run("weights", "list", "caffenet").stdout


@pytest.mark.parametrize("first", [["--set", "units=512"], ["--set=units=512"]])
def test_several_settings_after_one_set_however_it_is_spelt(first):
    def read(*words):
        context = cli.get_command(None, "nets").commands["show"].make_context("show", spread_settings(list(words)))
        return context.params["changes"]

    assert read("lm/lstm-lm", *first, "streams=50") == ("units=512", "streams=50")
    assert read(*first, "streams=50", "--json", "lm/lstm-lm") == ("units=512", "streams=50")
    assert read("lm/lstm-lm", *first, "--set=streams=50", "steps=9") == ("units=512", "streams=50", "steps=9")
