"""`lrcn watch`: how trainings stand, from their files; and what `lrcn train` says at its end."""

import fcntl
import json
import math
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

from lrcn.training import run as runs
from lrcn.training import standing
from lrcn.training.run import Run, TrainError, at_work_in, is_at_work_in
from lrcn.training.standing import Watched, outcome_text, spark
from tests.commands import LRCN, lrcn, refused
from tests.lrcn.training.caffe_logs import log_of
from tests.lrcn.training.small_nets import write_snapshot

NOTE = {"variant": "activity/single-frame-rgb", "settings": {"units": 1}, "classes": []}


def write_run(folder, last=15, snapshots=(), logs=()):
    (folder / "logs").mkdir(parents=True)
    (folder / "stage.json").write_text(json.dumps(NOTE))
    (folder / "solver.prototxt").write_text(f"max_iter: {last}\n")
    for iteration in snapshots:
        write_snapshot(folder, iteration)
    for number, text in enumerate(logs):
        (folder / "logs" / f"from-{5 * number:07d}.log").write_text(text)
    return Run(folder)


def standing_of(folder):
    [one] = Watched(folder).look()
    return one


def test_states_of_a_training(tmp_path):
    half = log_of(0, 5)
    run = write_run(tmp_path / "half", snapshots=[5], logs=[half])
    with run.locked():
        now = standing_of(run.folder)
    assert (now.state, now.iteration, now.iterations, now.snapshot) == ("training", 5, 15, 5)
    assert (now.rate, now.left, now.taken) == (1, 10, 5) and now.measured["test accuracy"] == 0.5
    after = standing_of(run.folder)
    assert (after.state, after.left, after.reason) == ("stopped", None, standing.UNTOLD)
    finished = write_run(tmp_path / "whole", 5, [5], [half])
    assert standing_of(finished.folder).weights == finished.snapshot(5)
    assert standing_of(write_run(tmp_path / "none").folder).state == "not begun"
    given = write_run(tmp_path / "given")
    (given.folder / "given.caffemodel").write_bytes(b"")
    assert standing_of(given.folder).state == "given"


@pytest.mark.parametrize(
    "ending, reason",
    [
        (
            "F20260101 00:00:05.0 7 a.cpp:44] Check failed: no such thing\n",
            "Caffe stopped at a.cpp:44: Check failed: no such thing",
        ),
        ("lrcn-error: v_\x1b[2J: image 1 is broken\n", "v_\ufffd[2J: image 1 is broken"),
        ("I20260101 00:00:05.0 7 a.cpp:44] Optimization stopped early.\n", "interrupted"),
        ("I20260101 00:00:05.0 7 a.cpp:44] Iteration 6, loss = nan\n", "the loss is nan: training has diverged"),
    ],
)
def test_why_a_training_stopped(tmp_path, ending, reason):
    """By what its last process wrote, and not by what one before it did."""
    run = write_run(tmp_path / "run", logs=[log_of(0, 5) + ending])
    assert reason in standing_of(run.folder).reason and reason in Watched(run.folder).text(None)
    (run.folder / "logs" / "from-0000005.log").write_text(log_of(5, 9))
    assert standing_of(run.folder).reason == standing.UNTOLD
    with (run.folder / "logs" / "from-0000005.log").open("a") as log:
        log.write(ending + log_of(5, 8))
    assert standing_of(run.folder).reason == standing.UNTOLD


def test_why_one_of_several_gpus_stopped(tmp_path):
    """The first says that NCCL misses another, which says why."""
    fatal = "F20260101 00:00:05.0 7 nccl.cpp:44] Check failed: NCCL error\n"
    run = write_run(tmp_path / "run", logs=[log_of(0, 5) + fatal])
    (run.folder / "logs" / "rank1-from-0000000.log").write_text("lrcn-error: frame 3 cannot be read\n")
    assert standing_of(run.folder).reason == "frame 3 cannot be read"


def test_a_training_of_another_machine_is_at_work_while_its_log_is_fresh(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", logs=[log_of(0, 5)])
    monkeypatch.setattr(runs, "_this_system", lambda: "another")
    with run.locked():
        pass  # whose lock is not seen over there
    monkeypatch.undo()
    assert standing_of(run.folder).state == "training elsewhere"
    old = time.time() - 10 * standing.FRESH
    os.utime(run.folder / "logs" / "from-0000000.log", (old, old))
    assert standing_of(run.folder).state == "stopped"


def test_one_that_looks_on_keeps_nobody_from_training(tmp_path, monkeypatch):
    """It holds the lock while it asks: whoever wants to train then tries again."""
    waits = []
    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        monkeypatch.setattr(
            runs, "time", SimpleNamespace(sleep=lambda _: waits.append(fcntl.flock(lock, fcntl.LOCK_UN)))
        )
        with Run(tmp_path).locked():
            assert len(waits) == 1 and is_at_work_in(tmp_path)
            monkeypatch.setattr(runs, "time", SimpleNamespace(sleep=waits.append))
            with pytest.raises(TrainError, match="another training is at work"), Run(tmp_path).locked():
                pass
    assert len(waits) == 1 + runs.LOOKS and is_at_work_in(tmp_path) is False
    with at_work_in(tmp_path), at_work_in(tmp_path):  # splits, a GPU each
        assert is_at_work_in(tmp_path)


def test_watch_says_how_all_trainings_of_a_folder_stand(tmp_path):
    write_run(tmp_path / "runs" / "b-first", 5, [5], [log_of(0, 5)])
    later = write_run(tmp_path / "runs" / "split2" / "a-later", logs=[log_of(0, 5).replace("I20260101", "I20260102")])
    with later.locked():
        done = lrcn("watch", "runs", cwd=tmp_path)
        told = json.loads(lrcn("watch", "runs", "--json", cwd=tmp_path).stdout)["trainings"]
    _, first, second = done.stdout.splitlines()
    assert first.split()[:3] == ["b-first", "finished", "5/5"]
    assert second.split()[:9] == "split2/a-later training 5/15 0.5 accuracy 50 % about 10".split()
    assert [(each["name"], each["state"], each["snapshot"]) for each in told] == [
        ("b-first", "finished", 5),
        ("split2/a-later", "training", None),
    ]
    for columns in (40, 60, 80, 120):
        lines = Watched(tmp_path / "runs").text(columns).splitlines()
        assert columns < 60 or max(map(len, lines)) <= columns
    refused(lrcn("watch", tmp_path), "holds no training")


def test_watch_draws_on_a_terminal_until_nobody_trains(tmp_path):
    run = write_run(tmp_path / "net", logs=[log_of(0, 5)])
    mine, its = pty.openpty()
    with run.locked():
        command = [LRCN, "watch", run.folder]
        watching = subprocess.Popen(command, stdout=its, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.close(its)
        screen = b""
        while screen.count(b"loss of net") < 2:
            screen += os.read(mine, 1 << 16)
        write_snapshot(run.folder, 15)
    try:
        while piece := os.read(mine, 1 << 16):
            screen += piece
    except OSError:  # it is gone
        pass
    assert watching.wait() == 0 and watching.stderr.read() == b""
    os.close(mine)
    frames = re.split(rb"\x1b\[J", screen)[1:]
    assert b"training" in frames[0] and b"\xe2\x96\x88" in frames[0] and b"finished" in frames[-1]


def test_a_long_reason_is_drawn_over_as_a_whole(tmp_path):
    """On a terminal of 60 columns, where it takes several rows."""
    write_run(tmp_path / "runs" / "a", logs=[log_of(0, 5) + f"lrcn-error: {'folder/' * 20} is not there\n"])
    run = write_run(tmp_path / "runs" / "b", logs=[log_of(0, 5)])
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", 24, 60, 0, 0))
    with run.locked():
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        watching = subprocess.Popen([LRCN, "watch", tmp_path / "runs"], stdout=its, env=environment)
        os.close(its)
        screen = b""
        while not (back := re.search(rb"\x1b\[(\d+)A", screen)):
            screen += os.read(mine, 1 << 16)
        watching.send_signal(signal.SIGINT)
    with suppress(OSError):  # it is gone
        while os.read(mine, 1 << 16):
            pass
    assert watching.wait() == 0
    os.close(mine)
    first = screen.split(b"\x1b[J")[1].split(b"\x1b")[0].decode().split("\r\n")[:-1]
    assert int(back[1]) == sum(max(1, math.ceil(len(line) / 60)) for line in first) > len(first)


def test_spark():
    assert spark([0, 7], 10) == "▁█" and spark([5, 5, 5], 10) == "▁▁▁" and spark([], 5) == ""
    assert spark([1, float("nan"), 0], 9) == "█ ▁" and len(spark(range(1000), 20)) == 20


def test_the_outcome_of_a_training_in_words(tmp_path):
    run = write_run(tmp_path / "net", 5, [5], [log_of(0, 5)])
    head, line = outcome_text([standing_of(run.folder)], None).splitlines()
    assert line.split() == ["net", "5", "0.5", "accuracy", "50", "%", "5", "s", str(run.snapshot(5))]
