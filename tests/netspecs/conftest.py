import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("caffe_worker.py")


@pytest.fixture(scope="session")
def in_caffe():
    """`in_caffe(command, *arguments)` -> what caffe_worker.py prints; `check=False` -> the CompletedProcess."""
    from lrcn import engine

    environment = engine.find().environment()
    environment["GLOG_minloglevel"] = "2"

    def run(*arguments, check=True):
        command = [sys.executable, WORKER, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if not check:
            return done
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run
