"""`--engine docker` with the real image and a real daemon: whose the files are, how it is ended and goes on, and what
it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lrcn.engine import EngineError
from lrcn.engine.container import LABEL, connect
from lrcn.training.run import Run
from tests.commands import LRCN
from tests.datasets import make_dataset
from tests.shared import ROOT

pytestmark = pytest.mark.engine
STRANGER = os.getuid() or 54321  # as whom the caller calls; Docker's socket is open to him by the group of it


@pytest.fixture(scope="module", autouse=True)
def daemon():
    try:
        return connect()
    except EngineError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def here():
    """A folder of the caller's with a data set; not one of pytest's, which are for root alone where root runs it."""
    folder = Path(tempfile.mkdtemp(prefix="lrcn-caller-"))
    make_dataset(folder / "data", videos=4, frames=8, height=60, width=80)
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{STRANGER}:{STRANGER}", folder], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def begin(here, image):
    """Begins `lrcn ...` as the caller in his folder."""
    group = [os.stat("/var/run/docker.sock").st_gid] if os.path.exists("/var/run/docker.sock") else []
    as_caller = {"user": STRANGER, "group": STRANGER, "extra_groups": group} if os.getuid() == 0 else {}
    try:
        subprocess.run([LRCN, "--version"], check=True, capture_output=True, cwd=here, **as_caller)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip(f"{LRCN} lies where nobody but its owner may run it")

    def start(*arguments, **environment):
        return subprocess.Popen(
            [LRCN, *map(str, arguments), "--image", image],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(here), "PYTHONDONTWRITEBYTECODE": "1", **environment},
            **as_caller,
        )

    return start


@pytest.fixture
def run(begin):
    def to_the_end(*arguments, **environment):
        child = begin(*arguments, **environment)
        out, err = child.communicate()
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)

    return to_the_end


@pytest.fixture
def nothing_is_left(daemon):
    yield
    callers = [each["Labels"][LABEL].split()[1] for each in daemon.containers(all=True, filters={"label": LABEL})]
    assert all(Path("/proc", caller).exists() for caller in callers)  # another's may be at work


def train(iterations, out, *more):
    """The small single-frame net."""
    return [
        "train",
        "activity/single-frame-rgb",
        "--data",
        "data",
        "--out",
        out,
        "--set",
        "backbone=tiny",
        f"max_iter={iterations}",
        "snapshot=20",
        "display=5",
        "test_interval=1000",
        "videos=4",
        *more,
        "--engine",
        "docker",
    ]


def refused(done, *said):
    assert done.returncode == 2 and done.stderr.strip().count("\n") == 0, done.stderr
    for words in said:
        assert words in done.stderr


def end_at_snapshot(child, folder, after, number):
    """Signals a training once it has made a snapshot after that one; gives its exit code and what it said."""
    while Run(folder).done <= after and child.poll() is None:
        time.sleep(0.1)
    child.send_signal(number)
    said = child.communicate()[1]
    return child.returncode, said


def test_a_run_is_the_callers_and_goes_on_however_it_is_ended(begin, here, daemon, nothing_is_left):
    command, folder, reached = train(5000, "runs/one"), here / "runs" / "one" / "single-frame-rgb", 0
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        code, said = end_at_snapshot(begin(*command), folder, reached, number)
        if number == signal.SIGKILL:  # its container ends by itself
            while daemon.containers(filters={"label": LABEL}):
                time.sleep(0.1)
            assert code == -signal.SIGKILL
        else:
            assert code == 130 and said.count("interrupted; the same command goes on from here") == 1, said
        assert "Traceback" not in said and reached < Run(folder).done < 5000
        reached = Run(folder).done
    assert {path.stat().st_uid for path in (here / "runs").rglob("*")} == {STRANGER}


def test_a_run_can_write_to_its_own_folder_alone(begin, here, daemon, nothing_is_left):
    child, own = begin(*train(5000, "runs/three")), []
    while not own:
        assert child.poll() is None
        own = [
            each
            for each in daemon.containers(filters={"label": LABEL})
            if each["Labels"][LABEL].endswith(f" {child.pid}")
        ]
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    child.communicate()
    assert {mount["Destination"]: mount["RW"] for mount in own[0]["Mounts"]} == {
        f"{here}/data": False,
        f"{here}/runs/three": True,
    }
    assert own[0]["HostConfig"]["NetworkMode"] == "none"


def test_training_and_evaluation_leave_the_data_alone(run, here, nothing_is_left):
    before = {path: path.stat().st_mtime_ns for path in (here / "data").rglob("*")}
    done = run(*train(40, "runs/two"))
    assert done.returncode == 0, done.stderr
    done = run("evaluate", *train(40, "runs/two")[1:])
    assert done.returncode == 0, done.stderr
    results = json.loads((here / "runs" / "two" / "results.json").read_text())
    assert results["engine"]["root"].startswith("/opt/") and results["dataset"]["name"] == "noise"
    assert before == {path: path.stat().st_mtime_ns for path in (here / "data").rglob("*")}
    again = run(*train(40, "runs/two"))
    assert again.returncode == 0 and "0/40" not in again.stderr  # all was done
    assert not {path.stat().st_uid for path in (here / "runs").rglob("*")} - {STRANGER}


def test_refusals_are_one_line_and_leave_nothing(run, here, nothing_is_left):
    if not shutil.which("nvidia-container-runtime"):
        refused(run(*train(20, "runs/no"), "--gpu", "0"), "--gpu 0: containers have no GPU here")
    refused(run(*train(20, "runs/no"), DOCKER_HOST="unix:///nonexistent"), "no daemon answers there")
    refused(run(*train(20, "runs/no"), "--data", "gone"), "gone: no prepared dataset")
    refused(run("evaluate", *train(20, "runs/no")[1:]), "runs/no/single-frame-rgb: holds no training")
    refused(run("caption", "gone.jpg", "--run", "gone", "--engine", "docker"), "gone: holds no trained captioner")
    refused(run("describe", "gone", "--run", "/usr", "--engine", "docker"), "/usr: a folder of the system")
    assert not (here / "runs" / "no").exists()


def test_an_image_that_is_not_there_or_of_older_code(here, image, tmp_path, nothing_is_left):
    def call(name, root=ROOT):
        return subprocess.run(
            [sys.executable, "-c", "from lrcn.cli import main; main()", *train(20, tmp_path / "no"), "--image", name],
            cwd=here,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )

    refused(call("lrcn:never-built"), "image lrcn:never-built: not here", "`make docker`")
    for name in ("lrcn", "readers", "netspecs", "prototxt_gen", "data_prep", "docker"):
        shutil.copytree(ROOT / name, tmp_path / "newer" / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "newer" / "lrcn" / "cli.py").open("a") as file:
        file.write("# newer\n")
    refused(call(image, tmp_path / "newer"), f"image {image}: was built from other code", "`make docker`")
    assert not (tmp_path / "no").exists()
