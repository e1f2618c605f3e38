"""What `--engine docker` hands on to a container, how it tells its code from an image's, and what it refuses, without a
daemon."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from data_prep.whole_files import write_json
from lrcn.cli import cli
from lrcn.engine import code, container
from lrcn.engine.device import Gpu
from tests.commands import lrcn
from tests.datasets import SENTENCES

# ---- from the command line ---------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """What a command asks of `container.run`, which does nothing here."""
    found = []
    monkeypatch.setattr(container, "run", lambda *arguments: found.append(arguments) or 7)
    return found


def test_commands_hand_on_what_was_typed_and_what_it_reads_and_fills(here, asked):
    typed = ["classify", "--run", "runs/a", "weights.caffemodel", "--engine", "docker", "--gpu", "1"]
    assert CliRunner().invoke(cli, typed, standalone_mode=False).return_value == 7
    arguments, reads, writes, image, gpu = asked.pop()
    assert arguments == typed and (image, gpu) == (None, Gpu((1,)))
    assert sorted(map(str, reads)) == ["runs/a", "weights.caffemodel"] and writes == [Path("runs/a/classified")]

    CliRunner().invoke(
        cli, ["caption", "1.jpg", "2.jpg", "--run", "r", "--engine=docker", "--image", "mine"], standalone_mode=False
    )
    _, reads, writes, image, _ = asked.pop()
    assert list(map(str, reads)) == ["1.jpg", "2.jpg", "r"] and image == "mine"
    assert list(map(str, writes)) == ["r/captioned"]

    coco = ["caption", "images", "--run", "r", "--coco-json", str(here / "out" / "r.json"), "--engine=docker"]
    CliRunner().invoke(cli, coco, standalone_mode=False)
    _, reads, writes, *_ = asked.pop()
    assert list(map(str, reads)) == ["images", "r"] and writes == [here / "out"]

    CliRunner().invoke(cli, ["describe", "crf.jsonl", "--run", "r", "--engine", "docker"], standalone_mode=False)
    assert asked.pop()[1:3] == (["crf.jsonl", Path("r")], [])


def test_experiments_fill_their_usual_folders(here, asked):
    (here / "data" / "lm-lstm-lm").mkdir()
    write_json(here / "data" / "lm-lstm-lm" / "dataset.json", SENTENCES)
    for command in ("train", "evaluate"):
        CliRunner().invoke(cli, [command, "lm/lstm-lm", "--engine", "docker"], standalone_mode=False)
        _, reads, writes, _, _ = asked.pop()
        assert reads == [Path("data/lm-lstm-lm")] and writes == [Path("runs/lm-lstm-lm")]
    CliRunner().invoke(
        cli,
        ["evaluate", "caption/results", "--results", "r.json", "--references", "c.json", "--engine", "docker"],
        standalone_mode=False,
    )
    _, reads, writes, _, _ = asked.pop()
    assert list(map(str, reads)) == ["r.json", "c.json"] and writes == [Path("runs/caption-results")]


def test_weights_from_elsewhere_go_along(here, asked):
    (here / "data" / "lm-lstm-lm").mkdir()
    write_json(here / "data" / "lm-lstm-lm" / "dataset.json", SENTENCES)
    for name in ("lm.caffemodel", "words.txt"):
        (here / name).write_text("x")
    model = ["--model", "lstm-lm=lm.caffemodel", "--vocabulary", "words.txt", "--engine", "docker"]
    CliRunner().invoke(cli, ["evaluate", "lm/lstm-lm", *model], standalone_mode=False)
    _, reads, writes, *_ = asked.pop()
    assert {Path("lm.caffemodel"), Path("words.txt"), Path("data/lm-lstm-lm")} == set(reads)
    assert writes == [Path("runs/lm-lstm-lm-weights")]
    (here / "cnn.caffemodel").write_text("x")  # a captioner's CNN, for the nearest neighbours
    data = ["--data", "data/lm-lstm-lm", "--weights", "cnn.caffemodel"]
    model[1] = "lm.caffemodel"
    for whose in ([], model[:4]):
        evaluate = ["evaluate", "caption/lrcn-2f", *data, *whose, "--engine", "docker"]
        CliRunner().invoke(cli, evaluate, standalone_mode=False)
        assert Path("cnn.caffemodel") in asked.pop()[1]


def test_a_path_that_would_not_be_heard_is_refused():
    done = CliRunner().invoke(cli, ["classify", "1.avi", "2.avi", "--run", "a", "--run=b"])
    assert done.exit_code == 2 and "--run: takes one path, and is given more than once" in done.output
    done = CliRunner().invoke(cli, ["train", "demo", "--out", "a", "--data", "b", "--out", "a"])
    assert done.exit_code == 2 and "--out: takes one path" in done.output


def test_image_without_docker_is_refused(asked):
    done = CliRunner().invoke(cli, ["describe", "x", "--run", "r", "--image", "y"], standalone_mode=False)
    assert isinstance(done.exception, click.UsageError) and "--engine docker" in str(done.exception) and not asked


# ---- the code ----------------------------------------------------------------------------------------------


def test_an_image_of_other_code_is_refused():
    told = {container.CODE: "0" * 64, container.IMAGE: "lrcn:cuda"}
    done = lrcn("train", "demo", "--engine", "docker", **told)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "image lrcn:cuda" in done.stderr and "`make docker-cuda`" in done.stderr


@pytest.mark.parametrize("at_start", [signal.SIG_DFL, signal.SIG_IGN], ids=["heeds Ctrl-C", "ignores Ctrl-C"])
def test_the_command_ends_when_its_caller_is_gone(at_start):
    """In the container; the caller holds its standard input. Whatever began the daemon may have ignored Ctrl-C."""
    program = """
import time
from lrcn.engine import container
container.begin()
print(flush=True)
while True:
    time.sleep(1)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, container.CODE: code.digest()},
        preexec_fn=lambda: signal.signal(signal.SIGINT, at_start),
    )
    child.stdout.readline()
    assert child.poll() is None
    child.stdin.close()
    assert child.wait() in (-signal.SIGINT, 130)


# ---- the daemon --------------------------------------------------------------------------------------------


def test_no_daemon_is_one_line(tmp_path, here):
    done = lrcn(
        "describe", here / "data/dataset.json", "--run", here, "--engine", "docker", DOCKER_HOST="unix:///nonexistent"
    )
    assert done.returncode == 2 and done.stderr.startswith("lrcn: DOCKER_HOST unix:///nonexistent")
    assert done.stderr.count("\n") == 1


class Daemon:
    """The few calls of docker.APIClient that a run makes. Ctrl-C comes as the container begins, which obeys or not,
    until a second signal has it killed."""

    def __init__(self, obeys=True):
        self.calls, self.obeys = [], obeys
        self.reading, self.writing = os.pipe()

    def version(self):
        return {}

    def info(self):
        return {"SecurityOptions": ["name=seccomp"]}

    def containers(self, **filters):
        return []

    def create_host_config(self, **settings):
        return settings

    def create_container(self, image, arguments, **settings):
        self.settings = settings
        return {"Id": "1"}

    def attach_socket(self, *arguments):
        return os.fdopen(self.reading, "rb", buffering=0)

    def start(self, container):
        os.write(self.writing, b"\x02\0\0\0\0\0\0\x06begun\n")
        signal.raise_signal(signal.SIGINT)

    def kill(self, container, number=signal.SIGKILL):
        self.calls.append(number)
        if self.obeys or number == signal.SIGKILL:
            os.close(self.writing)
        else:
            signal.raise_signal(signal.SIGTERM)

    def wait(self, container):
        return {"StatusCode": 130}

    def remove_container(self, container, **how):
        self.calls.append("removed")


@pytest.fixture
def heeded():
    """The handler of Ctrl-C, which whatever started the tests may have had ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_handed_on_and_a_second_kills(monkeypatch, tmp_path, capfd, heeded):
    daemon = Daemon()
    monkeypatch.setattr(container, "connect", lambda: daemon)
    assert container.run(["train"], [], [tmp_path / "a" / "b"]) == 130
    assert daemon.calls == [signal.SIGINT, "removed"] and not (tmp_path / "a").exists()
    host = daemon.settings["host_config"]
    assert (host["network_mode"], host["cap_drop"], host["read_only"]) == ("none", ["ALL"], True)
    assert "no-new-privileges" in host["security_opt"] and not {"privileged", "cap_add", "pid_mode"} & set(host)
    assert host["devices"] is None and host["device_requests"] is None
    assert daemon.settings["user"] == f"{os.getuid()}:{os.getgid()}"
    assert capfd.readouterr().err == "begun\n" and signal.getsignal(signal.SIGINT) is heeded

    stubborn = Daemon(obeys=False)
    monkeypatch.setattr(container, "connect", lambda: stubborn)
    with pytest.raises(KeyboardInterrupt):
        container.run(["train"], [], [])
    assert stubborn.calls == [signal.SIGINT, signal.SIGKILL, "removed"]


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with container.Signals() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.count == 0
            signal.raise_signal(signal.SIGTERM)
            assert signals.count == 1
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "said, line",
    [
        ('could not select device driver "" with capabilities: [[gpu]]', "--gpu 0: containers have no GPU here"),
        ('exec: "lrcn": executable file not found in $PATH', "image mine: does not run lrcn"),
        (json.dumps({"message": "no\nspace"}), "the container daemon refuses: no space"),
    ],
)
def test_what_the_daemon_says_becomes_one_line(said, line):
    explained = container._explain(said, "mine", Gpu())
    assert explained.startswith(line) and "\n" not in explained
