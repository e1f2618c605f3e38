"""What `--engine docker` mounts."""

from pathlib import Path

import pytest

from data_prep.whole_files import write_json, write_text
from lrcn.commands import experiment
from lrcn.engine import EngineError
from lrcn.engine.mounts import Bind, binds, gathered, named_by


def test_everything_is_mounted_at_its_own_path(here):
    assert binds(["data", "weights.caffemodel", "gone"], ["runs/a"]) == [
        Bind(f"{here}/data", f"{here}/data"),
        Bind(f"{here}/runs/a", f"{here}/runs/a", True),
        Bind(f"{here}/weights.caffemodel", f"{here}/weights.caffemodel"),
    ]


def test_a_folder_within_a_mounted_one_needs_a_mount_where_it_is_written_to(here):
    run, inner = Bind(f"{here}/runs/a", f"{here}/runs/a"), f"{here}/runs/a/classified"
    assert binds(["runs/a", inner]) == [run]
    assert binds(["runs/a"], [inner]) == [run, Bind(inner, inner, True)]
    assert binds([inner], ["runs/a"]) == [run._replace(writable=True), Bind(inner, inner)]
    assert binds(["runs/a"], ["runs/a"]) == [run._replace(writable=True)]


def test_what_links_lead_to_is_mounted_too(here):
    (here / "link").symlink_to(here / "data")
    (here / "data" / "1.jpg").symlink_to("../elsewhere/deep/1.jpg")
    assert binds(["link"]) == [
        Bind(f"{here}/data", f"{here}/data"),
        Bind(f"{here}/elsewhere/deep/1.jpg", f"{here}/elsewhere/deep/1.jpg"),
        Bind(f"{here}/data", f"{here}/link"),
    ]
    (here / "data" / "round").symlink_to(here)  # leads back to where it came from
    assert Bind(str(here), str(here)) in binds(["link"])


def test_folders_of_the_system_are_refused(here):
    with pytest.raises(EngineError, match="^/usr: a folder of the system"):
        binds(["/usr"])
    (here / "data" / "all").symlink_to("/")
    assert binds(["data"]) == [Bind(f"{here}/data", f"{here}/data")]


def test_many_files_become_few_folders():
    files = [f"/data/pictures/{number % 10}/{number}.jpg" for number in range(1000)]
    assert gathered(files, 20) == [f"/data/pictures/{number}" for number in range(10)]
    assert gathered([*files, "/runs/a"], 5) == ["/data/pictures", "/runs/a"]
    assert gathered(["/a", "/b", "/c"], 2) == ["/a", "/b", "/c"]  # never the whole machine


def test_what_a_data_set_names_is_mounted(here):
    data = here / "captions"
    data.mkdir()
    write_json(data / "dataset.json", {"name": "c", "kind": "captions"})
    write_json(data / "captions.json", {"images": [{"file": f"{here}/elsewhere/2.jpg"}, {"file": "word"}]})
    write_text(data / "train_images.txt", f"{here}/elsewhere/deep/1.jpg 0\n" * 3)
    write_text(data / "train_captions.txt", f"{here}/data/batch_0.h5\n")
    write_text(data / "vocabulary.txt", "<unk>\n/usr/bin/x\n")
    assert named_by(data) == [f"{here}/data", f"{here}/elsewhere", f"{here}/elsewhere/deep"]
    write_json(data / "dataset.json", {"name": "c", "kind": "semantics", "features": f"{here}/f.h5"})
    assert f"{here}/f.h5" in named_by(data)


def test_what_a_command_fills_is_mounted_writable():
    options = {"experiment": "caption/results", "out": None, "tensorboard": Path("events")}
    assert experiment.mounts(options) == ([], [Path("runs/caption-results"), Path("events")])
    assert experiment.mounts(options | {"out": Path("o"), "tensorboard": None}) == ([], [Path("o")])
