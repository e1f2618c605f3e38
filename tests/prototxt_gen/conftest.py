import json
import subprocess
import sys
from pathlib import Path

import pytest

from prototxt_gen import to_text

BUILDER = Path(__file__).with_name("caffe_builder.py")


@pytest.fixture(scope="session")
def in_caffe(tmp_path_factory):
    """`in_caffe([(net, phase, stages), ...])` -> for each what caffe_builder.py says of it; one process for all."""
    from lrcn import engine

    environment = engine.find().environment()
    environment |= {"GLOG_minloglevel": "2", "OPENBLAS_NUM_THREADS": "1"}

    def build(nets):
        folder = tmp_path_factory.mktemp("nets")
        jobs = []
        for number, (net, phase, stages) in enumerate(nets):
            (folder / f"{number}.prototxt").write_text(net if isinstance(net, str) else to_text(net))
            jobs.append([str(folder / f"{number}.prototxt"), phase, list(stages)])
        (folder / "jobs.json").write_text(json.dumps(jobs))
        done = subprocess.run(
            [sys.executable, BUILDER, folder / "jobs.json"], env=environment, cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return [json.loads(line) for line in done.stdout.splitlines()]

    return build
