"""Caffe's log, read: curves, of lrcn's own and of anybody's. The lines are as BVLC's and the derivative's are."""

import json
import math
import os
import subprocess
from datetime import datetime, timedelta

import pytest

from lrcn.training import analysis, logs
from lrcn.training.logs import Curve, LogFiles, entries_of
from lrcn.training.run import Run, TrainError
from tests.commands import lrcn, refused

LOG = """I1121 06:00:00.000001    99 solver.cpp:330] Iteration 0, Testing net (#0)
I1121 06:00:00.000002    99 solver.cpp:397]     Test net output #0: accuracy = 0.125
I1121 06:00:00.000003    99 solver.cpp:397]     Test net output #1: loss = 2.1 (* 1 = 2.1 loss)
I1121 06:00:00.000004    99 solver.cpp:218] Iteration 0 (0 iter/s, 0.1s/20 iters), loss = 2.0794
I1121 06:00:00.000005    99 solver.cpp:237]     Train net output #0: accuracy = 0.25
I1121 06:00:00.000006    99 sgd_solver.cpp:105] Iteration 0, lr = 0.001
I1121 06:00:01.000004    99 solver.cpp:218] Iteration 20, loss = 1.5e-02
I1121 06:00:01.000005    99 solver.cpp:237]     Train net output #0: accuracy = 1
"""
# Of another's training: GoogLeNet's three losses, two test nets, an output of two numbers; begun, gone on with the day
# after from a snapshot before its last line, and diverged.
SOLVER = """I0102 10:00:00.000000 7 solver.cpp:44] Initializing solver from parameters:
test_iter: 1
I0102 10:00:00.000001 7 solver.cpp:279] Solving GoogleNet
"""
OTHERS = (
    SOLVER
    + """I0102 10:00:00.5 7 solver.cpp:330] Iteration 0, Testing net (#0)
I0102 10:00:01.0 7 solver.cpp:397]     Test net output #0: loss1/loss1 = 6.9 (* 0.3 = 2.07 loss)
I0102 10:00:01.0 7 solver.cpp:397]     Test net output #1: per_class = 0.5
I0102 10:00:01.0 7 solver.cpp:397]     Test net output #2: per_class = 0.25
I0102 10:00:01.0 7 solver.cpp:330] Iteration 0, Testing net (#1)
I0102 10:00:02.0 7 solver.cpp:397]     Test net output #0: top-1_Accuracy = 0.001
I0102 10:00:02.0 7 solver.cpp:218] Iteration 0 (-nan iter/s, 0s/40 iters), loss = 11
I0102 10:00:12.0 7 solver.cpp:218] Iteration 40 (4 iter/s, 10s/40 iters), loss = 10
I0102 10:00:22.0 7 solver.cpp:218] Iteration 80 (4 iter/s, 10s/40 iters), loss = 9
"""
    + SOLVER.replace("I0102 10", "I0103 08")
    + """I0103 08:00:05.0 7 solver.cpp:218] Iteration 40 (0 iter/s, 0s/40 iters), loss = 10.5
I0103 08:00:25.0 7 solver.cpp:218] Iteration 60 (1 iter/s, 20s/20 iters), loss = -nan
"""
)


def curve_of(text):
    curve = Curve()
    for entry in entries_of(text.splitlines()):
        curve.add(entry)
    return curve


def test_curve_has_a_row_an_iteration_and_the_later_run_wins(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "from-0000000.log").write_text(LOG)
    (tmp_path / "logs" / "from-0000020.log").write_text(
        "I1121 06:00:02.0 99 solver.cpp:218] Iteration 20 (1 iter/s, 1s/20 iters), loss = 0.5\n"
    )
    zero, twenty = Run(tmp_path).curve()
    assert zero == {
        "iteration": 0,
        "test accuracy": 0.125,
        "test loss": 2.1,
        "loss": 2.0794,
        "train accuracy": 0.25,
        "lr": 0.001,
    }
    assert twenty == {"iteration": 20, "loss": 0.5, "train accuracy": 1.0}
    Run(tmp_path).draw_curve()
    assert (tmp_path / "curve.csv").read_text().splitlines()[0].startswith("iteration,")
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_a_log_of_others(tmp_path):
    curve = curve_of(OTHERS)
    assert curve.columns == [
        "test loss1/loss1",
        "test per_class",
        "test per_class[1]",
        "test #1 top-1_Accuracy",
        "loss",
    ]
    assert curve.points("loss")[:2] == [(0, 11.0), (40, 10.5)] and 80 not in curve.rows  # which was done again
    assert math.isnan(curve.measured["loss"]) and curve.best("loss") == (40, 10.5)
    assert curve.seconds == pytest.approx(22 + 25)  # the night does not count
    assert curve.rate == pytest.approx((80 + 20) / (20 + 20)) and curve.rate_now == pytest.approx(1)
    assert curve_of(OTHERS.replace("\n", "\r\n")).rows[40] == curve.rows[40]
    assert math.isnan(curve_of("Iteration 7, loss = -1.#IND\n").measured["loss"])  # Windows' nan
    assert curve_of(f"Iteration {'9' * 5000}, loss = 1\nno clock: Iteration 7, loss = 1.2.3\n").columns == ["loss"]


def test_tests_on_training_data_are_told_from_tests(tmp_path):
    """As the solver's stages have it, which a log begins with; a net's own stages come after."""
    solver = """I1121 06:00:00.0 9 solver.cpp:44] Initializing solver from parameters:
test_state {
  stage: "factored"
  stage: "test-on-train"
}
test_state {
  stage: "test-on-val"
}
I1121 06:00:00.0 9 net.cpp:51] Initializing net from parameters:
state {
  stage: "test-on-train"
}
"""
    tests = "".join(
        f"I1121 06:00:01.0 9 solver.cpp:330] Iteration 0, Testing net (#{number})\n"
        f"I1121 06:00:01.0 9 solver.cpp:397]     Test net output #0: accuracy = {value}\n"
        for number, value in enumerate((0.5, 0.25))
    )
    curve = curve_of(solver + tests)
    assert curve.rows == {0: {"test-on-train accuracy": 0.5, "test accuracy": 0.25}}
    assert curve.tests[0] == "test accuracy" == next(iter(curve.headline))
    assert curve_of(tests).rows == {0: {"test accuracy": 0.5, "test #1 accuracy": 0.25}}


@pytest.mark.parametrize(
    "line, time",
    [
        ("I20240229 23:59:59.250000 7 a.cpp:1] Iteration 0, loss = 1", datetime(2024, 2, 29, 23, 59, 59, 250000)),
        ("E0101 00:00:00 7 a.cpp:1] x", "01-01 00:00:00"),
        ("2024-01-01T00:00:00Z I1231 23:59:59.5 7 a.cpp:1] x", "12-31 23:59:59"),
        ("I0229 00:00:00.0 7 a.cpp:1] x", "02-29 00:00:00"),  # of a leap year
        ("I1341 00:00:00.0 7 a.cpp:1] x", None),
        ("I0101 25:00:00.0 7 a.cpp:1] x", None),
        ("no glog's", None),
    ],
)
def test_glog_s_clocks(line, time):
    clock = logs.clock(line)
    if time is None:
        assert clock is None
    elif isinstance(time, str):
        assert (
            datetime.fromtimestamp(clock).strftime("%m-%d %H:%M:%S") == time
            and clock < datetime.now().timestamp() + 86400
        )
    else:
        assert clock == time.timestamp()


def test_a_log_that_says_no_year_goes_on_over_today_s_date():
    """And over a new year's: of the years before, in which it was written, nothing is known."""
    for middle in (datetime.now(), datetime(2021, 1, 1)):
        days = [middle + timedelta(days=days) for days in (-3, 0, 3)]
        lines = [f"I{day:%m%d} 12:00:00.0 7 a.cpp:1] Iteration {number}, loss = 1" for number, day in enumerate(days)]
        assert curve_of("\n".join(lines)).seconds == pytest.approx(6 * 86400, abs=3600)  # an hour of summer time


@pytest.mark.parametrize(
    "name, best",
    [
        ("test loss3/top-5", (20, 0.9)),
        ("test #1 acc@1", (20, 0.9)),
        ("test top-5_error", (0, 0.1)),
        ("test cross_entropy_loss", (0, 0.1)),
        ("test detection_eval", None),
    ],
)
def test_the_best_of_an_output_is_what_its_name_says(name, best):
    assert Curve({0: {name: 0.1}, 20: {name: 0.9}}).best(name) == best


def test_a_log_is_read_on_while_it_grows_and_anew_where_it_was_begun_anew(tmp_path):
    log = tmp_path / "logs" / "from-0000000.log"
    log.parent.mkdir()
    read = LogFiles(folder=tmp_path)
    assert read.update().rows == {}
    log.write_text(LOG[:-20])  # amid a line
    assert read.update().rows[20] == {"loss": 0.015}
    log.write_text(LOG)
    assert read.update().rows[20] == {"loss": 0.015, "train accuracy": 1.0}
    log.write_text(LOG[: LOG.index("Iteration 20")])
    assert 20 not in read.update().rows
    log.unlink()
    assert read.update().rows == {}


# ---- lrcn analyze ------------------------------------------------------------------------------------------


def test_analyze_sets_logs_beside_one_another(tmp_path):
    run = tmp_path / "runs" / "net"
    (run / "logs").mkdir(parents=True)
    (run / "logs" / "from-0000000.log").write_text(LOG)
    (tmp_path / "others.log").write_text(OTHERS)
    done = lrcn("analyze", "runs/net", "others.log", "--out", "a.png", "--csv", "a.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    head, net, others = done.stdout.splitlines()
    assert net.split() == "net 20 0.015 0.015 at 20 accuracy 12 % at 0 12 % at 0 1 s 20".split()
    assert "nan" in others and "10.5 at 40" in others
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("net,0,")
    told = json.loads(lrcn("analyze", "others.log", "--json", cwd=tmp_path).stdout)["trainings"][0]
    assert told["loss"] == {"last": None, "last_at": 60, "best": 10.5, "best_at": 40} and told["processes"] == 2


@pytest.mark.parametrize(
    "content, said", [(b"no log\n", "is no log"), (b"\x00\xff" * 999, "is no log"), (None, "No such file")]
)
def test_what_is_no_log_is_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "x.log").write_bytes(content)
    with pytest.raises(TrainError, match=f"x.log: .*{said}"):
        analysis.read([tmp_path / "x.log"])


def test_analyze_refuses_in_one_line(tmp_path):
    refused(lrcn("analyze", tmp_path, "--out", tmp_path / "a.png"), "holds no run with logs")
    assert not list(tmp_path.iterdir())


def test_analyze_draws_what_it_can_and_reads_pipes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", 'cat > "$0"', tmp_path / "pipe"], stdin=subprocess.PIPE, text=True) as writer:
        writer.stdin.write(LOG)
        writer.stdin.close()
        done = lrcn("analyze", "pipe", "--out", "new/a.PDF", cwd=tmp_path)
    assert done.returncode == 0 and "0.015 at 20" in done.stdout
    assert (tmp_path / "new" / "a.PDF").read_bytes()[:4] == b"%PDF"
    for name in ("a.txt", "a", "a.svg"):
        refused(lrcn("analyze", "x.log", "--out", name, cwd=tmp_path), f"{name}: ends in neither .png nor .pdf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "pipe"]


def test_curves_are_called_by_what_tells_them_apart(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "net" / "logs").mkdir(parents=True)
        (tmp_path / name / "net" / "logs" / "from-0000000.log").write_text(LOG)
    (tmp_path / "a" / "net" / "stage.json").write_text("{}")
    (tmp_path / "x\x1b[2J.log").write_text(LOG)
    names = list(analysis.read([tmp_path / "a", tmp_path / "b" / "net", tmp_path / "x\x1b[2J.log"]))
    assert names == [f"{tmp_path}/a/net", f"{tmp_path}/b/net", "x\ufffd[2J.log"]


def test_pictures_of_whatever_a_log_holds(tmp_path):
    """Numbers that are none, more outputs than there are colours, no test, one point."""
    many = "".join(f"I0101 00:00:00.0 7 a.cpp:1]     Train net output #{n}: $x_{n}$ = {n}\n" for n in range(9))
    logs = {"a": OTHERS, "b": LOG + many, "c": "I0101 00:00:00.0 7 a.cpp:1] Iteration 0, loss = inf\n"}
    for number, named in enumerate(({"a": logs["a"]}, {"b": logs["b"]}, {"c": logs["c"]}, logs)):
        analysis.draw({name: curve_of(text) for name, text in named.items()}, tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_log_that_never_ends_or_goes_back_and_forth(tmp_path):
    refused(lrcn("analyze", "/dev/zero", cwd=tmp_path), "/dev/zero: cannot be read (a device, which may never end)")
    there = [f"Iteration {i}, loss = {i}" for i in range(20)]
    back = [f"Iteration {i}, loss = {10 * i}" for _ in range(3) for i in (19, 18)]
    (tmp_path / "a.log").write_text("\n".join([*there, "x" * 200_000, *back, ""]))
    curve = LogFiles(tmp_path / "a.log").update()
    assert curve.points("loss") == [*((i, i) for i in range(18)), (18, 180)]
    assert curve.measured == {"loss": 180} and len(curve.sittings) == 4
