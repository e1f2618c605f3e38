"""What reaches a terminal of names that would steer it, or that its encoding lacks; and names that are not UTF-8."""

import io
import json
import os
import subprocess
import sys

import pytest

from lrcn.commands.terminal import Escaping, beneath
from tests.commands import LRCN, lrcn, refused

STEERING = "\x1b]0;x\x07 \x9b31m \u202ebackwards\u2066 \x7f \r over"
NAMED = "é 読む 👩‍🔬"


def written(text, encoding):
    raw = io.BytesIO()
    stream = Escaping(io.TextIOWrapper(raw, encoding=encoding, newline="\n"))
    assert stream.write(text) == len(text)
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_json_document_is_the_same_in_every_encoding(encoding):
    document = {STEERING: [NAMED, "\ud800 half"]}
    text = written(json.dumps(document, ensure_ascii=False), encoding)
    assert json.loads(text) == document
    assert not set(text) & {"\x1b", "\x9b", "\u202e", "\u2066", "\x7f", "\r"}


def test_lines_and_letters_stay():
    assert written(f"{NAMED}\n\tb\n", "utf-8") == f"{NAMED}\n\tb\n"


def test_a_message_that_quotes_a_long_value_is_short_and_keeps_its_mend(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/classInd.txt").write_text(f"{'1' * 1_000_000} A\n")
    call = lrcn("prepare", "ucf101", "--videos", tmp_path, "--splits", tmp_path / "lists", "--out", tmp_path / "out")
    refused(call, "classInd.txt:1: not `1 Class`: '1111", "take the file from ucfTrainTestlist")
    assert len(call.stderr) < 3000


def test_what_steers_the_terminal_goes_beneath():
    below = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert beneath(Escaping(below)) is below and beneath(below) is below


@pytest.fixture
def odd_net(tmp_path):
    path = tmp_path / "net\x1b[31m.prototxt"
    path.write_text(
        'layer { name: "d\\033[31m" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }\n'
        'layer { name: "ip\\342\\200\\256\\302\\233" type: "Tanh" bottom: "data" top: "t" }\n'
    )
    return path


@pytest.mark.parametrize("environment", [{}, {"PYTHONIOENCODING": "ascii"}], ids=["utf-8", "ascii"])
def test_names_in_tables_documents_and_messages(odd_net, environment):
    table = lrcn("nets", "show", odd_net, **environment)
    assert r"d\u001b[31m" in table.stdout and r"ip\u202e\u009b" in table.stdout
    document = lrcn("nets", "show", odd_net, "--json", **environment)
    assert [layer["name"] for layer in json.loads(document.stdout)["layers"]] == ["d\x1b[31m", "ip\u202e\x9b"]
    message = lrcn("nets", "show", odd_net.with_name("none\x1b\n\u202e"), **environment)
    refused(message, r"none\u001b\n\u202e: no such file")
    assert "\x1b" not in table.stdout + document.stdout + message.stderr


def test_progress_names_on_one_line():
    program = r"from lrcn.commands.common import Progress; Progress()('a\x1b[31m\nb', 1, 2)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=os.environ | {"LRCN_BARS": "60"}, capture_output=True, text=True)
    assert r"a\u001b[31m\nb: 1/2" in done.stderr and "\x1b[31m" not in done.stderr


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        ("nets list | true; exit ${PIPESTATUS[0]}", (0, "")),
        ("nets list >/dev/full", (2, "lrcn: standard output: No space left on device\n")),
        ("nets list >&-", (0, "")),
        ("nets list 2>&- >/dev/null", (0, "")),
        ("nets list <&- >&- 2>&-", (0, "")),
    ],
)
def test_output_that_nobody_takes(command, ends):
    done = subprocess.run(["bash", "-c", f"'{LRCN}' {command}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == ends


def test_a_file_does_not_take_the_number_of_a_stream_that_is_closed():
    program = (
        "import os, sys; from lrcn.__main__ import _open_standard_streams; _open_standard_streams(); "
        "print(1, file=sys.stdout, flush=True); print(2, file=sys.stderr); sys.stdin.read() == '' and "
        "sys.exit(os.open(os.devnull, os.O_RDONLY))"
    )
    command = f"'{sys.executable}' -c \"{program}\" <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", command]).returncode > 2


def test_a_name_that_is_not_utf8(tmp_path):
    folder = os.fsencode(tmp_path) + b"/d\xff"
    os.mkdir(folder)
    refused(lrcn("nets", "show", os.fsdecode(folder) + "/net"), r"d\udcff/net: a name that is not UTF-8; rename it")
    refused(lrcn("nets", "list", cwd=folder), "the current folder, ", r"d\udcff: a name that is not UTF-8; rename it")
    assert lrcn("--version", cwd=folder).returncode == 0
    refused(lrcn("caffe", "info", LRCN_CACHE=os.fsdecode(folder)), r"LRCN_CACHE ", r"d\udcff: a name that is not UTF-8")


def test_the_current_folder_is_gone(tmp_path):
    command = f"mkdir gone; cd gone; rmdir ../gone; exec '{LRCN}' nets list"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    refused(done, "the current folder is gone; change to another")
