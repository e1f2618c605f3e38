"""A process in which Caffe runs, with small programs in Caffe's place."""

import os
import signal
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest

from lrcn.engine.process import Batches, Caffe, CaffeError, explain
from lrcn.engine.scratch import Scratch

# What `Caffe` asks of a Compute
ENGINE = SimpleNamespace(environment=lambda: {**os.environ, "PYTHONUNBUFFERED": "1"}, check_ends=lambda: None)


def begin(program: str, log, **options) -> Caffe:
    return Caffe(ENGINE, [sys.executable, "-c", textwrap.dedent(program)], log, **options)


def test_why_caffe_stopped():
    assert (
        explain(
            ["x", "lrcn-error: frame 3 of v_Jump: not readable", "F1121 06:00:00.1 9 a.cpp:1] Check failed"], -6, "log"
        )
        == "frame 3 of v_Jump: not readable"
    )
    line = explain(
        [
            "I1121 fine",
            "F1121 06:00:00.000001    99 insert_splits.cpp:29] Unknown bottom blob 'fc9'",
            "*** Check failure stack trace: ***",
        ],
        -6,
        "l.log",
    )
    assert "Unknown bottom blob 'fc9'" in line and "insert_splits.cpp:29" in line and "l.log" in line
    snapshot = "F1121 06:00:00.1 9 io.cpp:77] Check failed: proto.SerializeToOstream(&output) "
    assert (
        "io.cpp:77: Check failed" in (line := explain([snapshot], -6, "l.log"))
        and "is the disk full? free some" in line
    )
    assert explain(["nothing"], -9, "l.log").startswith("Caffe ended with signal 9, as where memory is short; see what")
    assert "memory" not in explain(["nothing"], -11, "l.log")


def test_a_card_that_is_full_is_told_with_what_takes_less():
    line = explain(
        ["F1121 06:00:00.1 9 syncedmem.cpp:71] Check failed: error == cudaSuccess (2 vs. 0)  out of memory"],
        -6,
        "l.log",
    )
    assert "out of memory; give a smaller batch by --set, a smaller --workspace, or a GPU" in line and "l.log" in line


def test_a_log_is_followed_line_by_line_and_says_why_caffe_ended(tmp_path):
    log = tmp_path / "log"
    log.write_text("lrcn-error: of an earlier process\n")
    program = """
        import os, sys
        print("first", file=sys.stderr)
        sys.stderr.write("sec")
        sys.stderr.write("ond\\nF1121 06:00:00.1 9 a.cpp:1] Check failed: no end of this line")
        os._exit(3)
    """
    with begin(program, log) as caffe:
        lines = caffe.log_lines()
        assert [next(lines), next(lines)] == ["first", "second"]
        with pytest.raises(CaffeError, match=r"^Caffe stopped at a.cpp:1: Check failed: no end of this line \(log: "):
            next(lines)
    assert caffe.close() == 3
    assert log.read_text().startswith("lrcn-error: of an earlier process\nfirst\nsecond\n")


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("import sys; sys.exit('why\\n\\n')", "Caffe ended with status 1; it said last: why"),
        ("import sys; sys.exit(3)", "Caffe ended with status 3, and said nothing"),
        (
            "import sys; sys.exit('F1121 06:00:00.1 9 a.cpp:1] Check failed: x')",
            "Caffe stopped at a.cpp:1: Check failed: x",
        ),
        (
            "import sys; sys.exit('F1121 06:00:00.1 9 data_transformer.cpp:1] Check failed: x')",
            "Caffe stopped at data_transformer.cpp:1: Check failed: x; is an image of the data set damaged? `lrcn"
            " verify` tells",
        ),
    ],
)
def test_no_log_is_named_that_is_gone_when_its_name_is_read(program, line):
    with Scratch() as folder, pytest.raises(CaffeError) as raised, begin(program, folder / "log") as caffe:
        caffe.wait()
    assert str(raised.value) == line


def test_a_conversation_goes_on_after_each_answer(tmp_path):
    program = """
        import sys
        for line in sys.stdin:
            if line == "end\\n":
                sys.exit("lrcn-error: no more")
            print("progress")
            print("heard", line.strip())
    """
    with begin(program, tmp_path / "log", talks=True) as caffe:
        for word in "one", "two":
            caffe.tell(word)
            lines = caffe.lines()
            assert [next(lines), next(lines)] == ["progress", f"heard {word}"]
            lines.close()
        caffe.tell("end")
        for _ in range(2):
            with pytest.raises(CaffeError, match="^no more$"):
                list(caffe.lines())
            caffe.tell("is anybody there?")
    with begin(program, tmp_path / "log", talks=True) as caffe:
        assert caffe.running()
    assert not caffe.running() and caffe.process.returncode == -signal.SIGKILL


def test_caffe_runs_in_its_folder_with_what_its_data_layers_go_by(tmp_path):
    program = """
        import os, sys
        print(os.getcwd(), os.environ["LRCN_FIRST_ITERATION"], os.environ["LRCN_PYTHON"], sep="\\n")
    """
    with begin(program, tmp_path / "log", folder=tmp_path, batches=Batches(40), talks=True) as caffe:
        assert list(caffe.lines()) == [str(tmp_path), "40", sys.executable]


def test_an_interrupted_caffe_is_waited_for(tmp_path):
    program = """
        import signal, sys
        print("ready", file=sys.stderr)
        signal.sigwait([signal.SIGINT])
        print("a snapshot", file=sys.stderr)
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # the child inherits it
    try:
        with begin(program, tmp_path / "log") as caffe:
            next(caffe.log_lines())
            caffe.interrupt()
            assert caffe.close() == 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert (tmp_path / "log").read_text() == "ready\na snapshot\n"


PARENT = """
import os, sys
from types import SimpleNamespace
from lrcn.engine.process import Caffe

engine = SimpleNamespace(environment=lambda: dict(os.environ), check_ends=lambda: None)
child = "import signal, sys; fifo = open(sys.argv[1], 'w'); print('begun', file=fifo, flush=True); signal.pause()"
with Caffe(engine, [sys.executable, "-c", child, sys.argv[1]], sys.argv[2]) as caffe:
    caffe.wait()
"""


def test_caffe_ends_with_a_parent_that_is_killed(tmp_path):
    os.mkfifo(tmp_path / "fifo")  # Caffe holds it open for as long as it lives
    process = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "fifo", tmp_path / "log"])
    with open(tmp_path / "fifo") as fifo:
        assert fifo.readline() == "begun\n"
        process.kill()
        assert fifo.read() == ""
    process.wait()
