"""The code that docs/adding.md adds is what it says that it is. That it runs, in Caffe too, test_pages_run.py tries."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.running import Checkout

PAGE = "docs/adding.md"
CHANGE = re.compile(r"^cat >> .*?\nEND\n|^sed -i .*?\n", re.M | re.S)
WRITTEN = """
import json
from netspecs import catalogue
from prototxt_gen.shapes import infer

def parameters(name, **settings):
    variant = catalogue.get(name)
    files, inputs = variant.files(**settings), variant.input_shapes(**settings)["train"]
    shapes = infer(files["train_test"], "TRAIN", files["solver"].train_state.stage, inputs=inputs)
    return {row.layer.name: row.parameters for row in shapes.rows if row.parameters}

print(json.dumps([
    parameters("caption/lrcn-3f", backbone="features"),
    parameters("activity/single-frame-flow", backbone="zf"),
    parameters("bigram/bigram"),
]))
"""


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A checkout with all that the page adds to the code, and the files that have changed in it."""
    checkout = Checkout(tmp_path_factory.mktemp("adding"))
    before = {path: path.read_bytes() for path in checkout.folder.rglob("*.py")}
    for block in pages.blocks(PAGE):
        code = "".join(CHANGE.findall(block.code))
        if block.file or code:
            checkout.run(replace(block, code=block.code if block.file else code, on=()))
    return checkout, [path for path in checkout.folder.rglob("*.py") if before.get(path) != path.read_bytes()]


def run(checkout, *command):
    done = subprocess.run([*map(str, command)], cwd=checkout.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_in_the_files_that_the_page_names(changed):
    checkout, files = changed
    text = "\n".join(pages.lines(PAGE))
    names = [path.relative_to(checkout.folder).as_posix() for path in files]
    assert len(names) == 12 and [name for name in names if name not in text] == []


def test_it_is_written_as_ours(changed):
    checkout, files = changed
    for rule in ("check", "--quiet"), ("format", "--check", "--diff", "--quiet"):
        run(checkout, Path(sys.executable).with_name("ruff"), *rule, *files)


def test_its_nets_are_what_they_are_called(changed):
    """Parameters, counted by hand."""
    checkout, _ = changed
    three, zf, bigram = json.loads(run(checkout, checkout.python, "-c", WRITTEN))
    units, words, image = 512, 1000, 1000
    gates = 4 * units
    assert [three[f"lstm{number}"] for number in (1, 2, 3)] == [
        gates * (words + units + 1),
        gates * (units + image + units + 1),
        gates * (units + units + 1),
    ]
    assert three["predict"] == 8801 * (units + 1) and "lstm4" not in three
    convolutions = [(96, 3, 7), (256, 96, 5), (384, 256, 3), (384, 384, 3), (256, 384, 3)]
    assert [zf[f"conv{number}"] for number in range(1, 6)] == [
        out * (channels * kernel**2 + 1) for out, channels, kernel in convolutions
    ]
    assert zf["fc6"] == 4096 * (256 * 6 * 6 + 1)
    assert bigram == {"embedding": 8801 * 1000, "predict": 8801 * 1001}
