"""The `cpu` image: what is in it, and that it trains and evaluates as the engine of this machine does."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from lrcn import engine
from tests.commands import LRCN
from tests.docker.engines import call
from tests.shared import ROOT

pytestmark = pytest.mark.engine
STRANGER = os.getuid() or 54321  # of root's files none would tell; this user neither machine nor image knows
SMALL = ["--rows", "lrcn-fc6", "--set", "max_iter=100", "--set", "display=1", "--set", "test_interval=50"]


def test_dockerfile_is_lint_free():
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint is not in the environment: no wheel of it for this machine")
    assert call([linter, "-c", ROOT / ".hadolint.yaml", ROOT / "docker" / "Dockerfile"]).stdout == ""


def test_image_says_what_it_holds(box, image):
    said = json.loads(box.run(image, "lrcn", "caffe", "info", "--json").stdout)
    assert said["source"] in ("bvlc", "pypi", "folder") and "-march=native" not in said["flags"] and not said["cuda"]
    config = box.labels(image)
    assert '"lrcn.caffe.source"' in config and "CPU_ONLY" in config and "Healthcheck" in config


def test_image_has_no_compiler_and_no_superuser(box, image):
    found = box.run(image, "sh", "-c", "command -v cc gcc g++ cmake ninja nvcc git; id -u")
    assert found.stdout.split() == ["1000"]


def test_health_check_trains(box, image):
    done = box.run(image, "lrcn", "caffe", "check")
    assert done.returncode == 0 and "trains a small LRCN" in done.stderr, done.stderr


def engine_of(run):
    """What `lrcn caffe info` says, however it is run."""
    done = run("lrcn", "caffe", "info", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_image_trains_the_demo_as_this_machine_does(box, image, tmp_path_factory):
    """Data from a read-only folder, runs to a folder of the caller's: the same losses, to the last digit printed, as
    an engine of this machine with the same flags. (It lies in a cache of its own, so that no other test finds it.)"""
    folder = tmp_path_factory.mktemp("image")
    data, out, here = folder / "made" / "demo", folder / "out", folder / "here"
    for path in (data.parent, out):
        path.mkdir()
        os.chown(path, STRANGER, STRANGER)
    # The image knows nothing of what BLAS is told here.
    own = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    own["LRCN_CACHE"] = str(engine.cache() / "portable")
    its = engine_of(lambda *command: box.run(image, *command))
    built = call([LRCN, "caffe", "build", "--portable", "--source", its["source"]], env=own)
    assert built.returncode == 0, built.stderr
    made = box.run(image, "lrcn", "prepare", "demo", "--out", data, write=[data.parent], user=STRANGER)
    assert made.returncode == 0, made.stderr
    train = ["lrcn", "train", "demo", "--data", data, *SMALL, "--out"]
    inside = box.run(image, *train, out, read=[data], write=[out], user=STRANGER)
    assert inside.returncode == 0, inside.stderr
    evaluate = ["lrcn", "evaluate", "demo", "--data", data, *SMALL, "--out", out]
    done = box.run(image, *evaluate, read=[data], write=[out], user=STRANGER)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "results.json").read_text())["engine"]["root"].startswith("/opt/caffe")
    made = [path for parent in (data.parent, out) for path in parent.rglob("*")]
    assert {path.stat().st_uid for path in made} == {STRANGER}

    outside = call([LRCN, *train[1:], here], env=own)
    assert outside.returncode == 0, outside.stderr

    mine = engine_of(lambda *command: call([LRCN, *command[1:]], env=own))
    for name in ("blas", "compiler"):
        if its[name] != mine[name]:
            pytest.skip(f"the losses are not compared: {name} is {its[name]} in the image and {mine[name]} here")
    curves = sorted(path.relative_to(out) for path in out.glob("*/curve.csv"))
    assert {curve.parent.name for curve in curves} > {"single-frame-rgb", "lrcn-fc6-rgb", "lrcn-fc6-flow"}
    for curve in curves:
        assert len((out / curve).read_text().splitlines()) > 100
        assert (out / curve).read_text() == (here / curve).read_text(), curve
    shutil.rmtree(folder, ignore_errors=True)  # hundreds of megabytes
