"""Caffe's own upgrade of old layer formats, and what it makes of ours: the same nets, field by field."""

import json
import subprocess
import sys

import pytest

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import parse, to_text
from tests.prototxt_gen.old_nets import OLD_NETS, write_data

pytestmark = pytest.mark.engine

SAVE = """
import caffe, json, sys
for path, phase, out in json.load(open(sys.argv[1])):
    caffe.Net(path, getattr(caffe, phase)).save(out)
"""
PHASES = ("TRAIN", "TEST")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(name, phase, "old" | "new") -> the net that Caffe saved when given the old text, or ours of today."""
    from lrcn import engine

    folder = tmp_path_factory.mktemp("old")
    write_data(folder)
    jobs = {}
    for number, (name, text) in enumerate(OLD_NETS.items()):
        for age, content in ("old", text), ("new", to_text(parse(text))):
            (folder / f"{number}-{age}.prototxt").write_text(content)
            for phase in PHASES:
                jobs[name, phase, age] = [f"{number}-{age}.prototxt", phase, f"{number}-{age}-{phase}.caffemodel"]
    (folder / "jobs.json").write_text(json.dumps(list(jobs.values())))
    environment = engine.find().environment() | {"GLOG_minloglevel": "2", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SAVE, "jobs.json"], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {key: pb.NetParameter.FromString((folder / job[2]).read_bytes()) for key, job in jobs.items()}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", OLD_NETS)
def test_caffe_builds_the_same_of_both(name, phase, built):
    old, new = (built[name, phase, age] for age in ("old", "new"))
    assert old.layer and [layer.name for layer in old.layer] == [layer.name for layer in new.layer]
    for a, b in zip(old.layer, new.layer):
        for layer in a, b:  # an empty block says nothing; Caffe's upgrade leaves some behind
            for block in "transform_param", "image_data_param", "data_param":
                if layer.HasField(block) and not getattr(layer, block).ListFields():
                    layer.ClearField(block)
        assert a == b, a.name
