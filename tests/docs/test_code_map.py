"""What the map of the code names is there, and its order of imports is the one that is checked."""

import ast
import re

import pytest

from readers.toml_files import read_toml
from tests.docs.test_pages import ROOT

PAGE = (ROOT / "docs" / "code.md").read_text(encoding="utf-8")
STEPS = re.findall(r"`([\w/]+\.py)`: `([\w.]+)`", PAGE)


@pytest.mark.parametrize("file, name", STEPS, ids=lambda value: value)
def test_each_function_of_a_step_is_in_its_file(file, name):
    nodes = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for part in name.split("."):
        named = [node for node in nodes if getattr(node, "name", None) == part]
        assert named, f"{file} defines no {name}"
        nodes = getattr(named[0], "body", [])


def test_the_steps_are_of_a_training_and_an_evaluation():
    assert len(STEPS) >= 25 and {"open_job", "ClipData", "Activity.evaluate"} <= {name for _, name in STEPS}


def test_each_file_and_folder_is_there():
    paths = re.findall(r"`((?:[\w.]+/)+[\w.]*)`", PAGE)
    assert len(paths) > 60
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_package_stands_in_the_map():
    packages = {path.parent.relative_to(ROOT) for path in ROOT.glob("*/__init__.py")}
    packages |= {path.parent.relative_to(ROOT) for path in ROOT.glob("lrcn/*/__init__.py")}
    assert [str(each) for each in packages if f"`{each}/`" not in PAGE and str(each) != "lrcn"] == []


def test_the_levels_are_those_that_lint_checks():
    [rule] = read_toml(ROOT / "pyproject.toml", dict, ValueError)["tool"]["importlinter"]["contracts"]
    levels = re.findall(r"^\| (\d+) \| ((?:`[\w.]+`(?:, )?)+) \|$", PAGE, re.M)
    said = [set(re.findall(r"`([\w.]+)`", modules)) for _, modules in levels]
    assert said == [set(layer.split(" | ")) for layer in rule["layers"]]
    assert [int(level) for level, _ in levels] == list(range(len(said), 0, -1))
