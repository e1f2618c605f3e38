"""What `--engine docker` mounts."""

import inspect
import os
import pwd
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep.whole_files import write_json, write_text
from lrcn.commands import experiment
from lrcn.engine import EngineError
from lrcn.engine.mounts import Bind, binds, gathered, is_private, named_by
from tests.datasets import SENTENCES

SEMANTICS = {"kind": "semantics", "slots": 1, "slot_words": 1, "frames": 0, "feature_size": 0}


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


def test_what_is_named_may_be_a_link(here):
    (here / "link").symlink_to(here / "data")
    (here / "out").symlink_to(here / "runs" / "a")
    assert binds(["link"], ["out"]) == [
        Bind(f"{here}/data", f"{here}/data"),
        Bind(f"{here}/data", f"{here}/link"),
        Bind(f"{here}/runs/a", f"{here}/out", True),
        Bind(f"{here}/runs/a", f"{here}/runs/a", True),
    ]


def test_links_that_stay_within_what_is_mounted_need_nothing(here):
    (here / "data" / "sub").mkdir()
    (here / "data" / "sub" / "up").symlink_to("../../data")  # leads back to where it came from
    (here / "data" / "weights").symlink_to(here / "weights.caffemodel")
    (here / "data" / "gone").symlink_to(here / "nothing")
    assert [bind.source for bind in binds(["data", "weights.caffemodel"])] == [
        f"{here}/data",
        f"{here}/weights.caffemodel",
    ]


@pytest.mark.parametrize("place", ["elsewhere", "elsewhere/deep", "elsewhere/file", "/", "/etc/passwd", "/dev/null"])
@pytest.mark.parametrize("out", [False, True])
def test_links_that_lead_out_are_refused(here, place, out):
    """Whatever they name, of what is read and of what is written, at any depth, and through links of links."""
    (here / "elsewhere" / "file").touch()
    inner = here / "data" / "sub"
    inner.mkdir()
    (here / "second").symlink_to(here / place)
    (inner / "x").symlink_to(here / "second")
    with pytest.raises(EngineError, match=f"^{inner}/x: leads to /.*, and a container is shown no more than"):
        binds(*([], ["data"]) if out else [["data"]])


def test_an_lmdb_on_another_disk_is_read_and_no_more_of_its_folder(here):
    big = here / "elsewhere"
    for name in ("data.mdb", "lock.mdb", "letters.txt"):
        (big / name).touch()
    (here / "data" / "frames").symlink_to(big)
    (here / "data" / "flow").mkdir()
    (here / "data" / "flow" / "data.mdb").symlink_to(big / "data.mdb")
    assert binds(["data"], ["runs/a"]) == [
        Bind(f"{here}/data", f"{here}/data"),
        Bind(f"{big}/data.mdb", f"{big}/data.mdb"),
        Bind(f"{big}/lock.mdb", f"{big}/lock.mdb"),
        Bind(f"{here}/runs/a", f"{here}/runs/a", True),
    ]
    with pytest.raises(EngineError, match="(frames|data.mdb): leads to"):  # nor is it written
        binds([], ["data"])
    (big / "data.mdb").unlink()
    (big / "data.mdb").symlink_to(here / "weights.caffemodel")
    with pytest.raises(EngineError, match="leads to"):
        binds(["data"])


def test_sockets_and_pipes_are_no_containers_business(here, monkeypatch):
    (here / "runs" / "a" / "deep").mkdir()
    with socket.socket(socket.AF_UNIX) as open_socket:
        monkeypatch.chdir(here / "runs" / "a" / "deep")
        open_socket.bind("s")  # its whole path would be too long
        monkeypatch.chdir(here)
    for asked in ((["runs"], []), ([], ["runs/a"])):
        with pytest.raises(EngineError, match="deep/s: a socket, a pipe or a device"):
            binds(*asked)
    assert binds(["runs/a/deep/s"]) == []
    os.mkfifo(here / "data" / "pipe")
    with pytest.raises(EngineError, match="pipe: a socket, a pipe or a device"):
        binds(["data"])


@pytest.mark.parametrize("path", ["/usr", "/run", "/var/run", "/proc/self", "/dev", "/sys/kernel", "/"])
def test_folders_of_the_system_are_refused(here, path):
    (here / "link").symlink_to(path)
    for each in (path, here / "link"):
        for asked in (([each], []), ([], [each])):
            with pytest.raises(EngineError, match=f"^{each}: a folder of the system"):
                binds(*asked)


def test_many_files_become_few_folders():
    files = [f"/data/pictures/{number % 10}/{number}.jpg" for number in range(1000)]
    assert gathered(files, 20) == [f"/data/pictures/{number}" for number in range(10)]
    assert gathered([*files, "/runs/a"], 5) == ["/data/pictures", "/runs/a"]
    assert gathered(["/a", "/b", "/c"], 2) == ["/a", "/b", "/c"]  # never the whole machine


@pytest.mark.parametrize(
    "folder", ["/home/u{}", "/home/u/d{}", os.path.join("/root", "d{}"), "/mnt/d{}", "/disk/d{}", "/u{}"]
)
def test_folders_that_hold_others_files_stand_for_none(folder):
    folders = [folder.format(number) for number in range(100)]
    assert gathered(folders) == sorted(folders)
    two = sorted(f"{each}/{name}/x" for each in folders for name in "ab")
    assert gathered(two) == two  # folders above would still be too many: no more is shown than is named
    if "u{}" not in folder:
        assert gathered(f"{each}/{name}/x" for each in folders for name in "abc") == sorted(folders)
    with pytest.raises(EngineError, match="300 files and folders, and a container is given 256 at most; bring them"):
        gathered([folder.format(number) for number in range(300)])


def test_what_a_data_set_names_is_mounted(here):
    data = here / "captions"
    data.mkdir()
    write_json(data / "dataset.json", SENTENCES)
    images = [{"file": file, "split": "train", "captions": []} for file in (f"{here}/elsewhere/2.jpg", "word")]
    write_json(data / "captions.json", {"images": images})
    write_text(data / "train_images.txt", f"{here}/elsewhere/deep/1.jpg 0\n" * 3)
    write_text(data / "train_captions.txt", f"{here}/data/batch_0.h5\n")
    write_text(data / "vocabulary.txt", "<unk>\n/usr/bin/x\n")
    assert named_by(data) == [f"{here}/data", f"{here}/elsewhere", f"{here}/elsewhere/deep"]
    write_json(data / "dataset.json", SENTENCES | SEMANTICS | {"features": f"{here}/f.h5"})
    assert f"{here}/f.h5" in named_by(data)


@pytest.mark.parametrize("place", ["", ".ssh", ".ssh/keys", "..", ".config/x"])
@pytest.mark.parametrize("link", [False, True])
def test_a_data_set_names_no_home_and_nothing_hidden_in_one(here, monkeypatch, place, link):
    home = here / "homes" / "u"
    (home / place).mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    folder = home / place
    if link:
        (here / "innocent").symlink_to(folder)
        folder = here / "innocent"
    write_json(here / "data" / "dataset.json", SENTENCES)
    write_text(here / "data" / "train_images.txt", f"{folder}/id_rsa 0\n")
    with pytest.raises(EngineError, match="data: names files in .*, which a container is not shown; bring them"):
        named_by(here / "data")


@pytest.mark.parametrize(
    "path", ["/usr/lib/python3", "/run/user/0", "/var/run", "/etc/ssl", "/dev", "/proc/1", "/root", "/home", "/home/u"]
)
def test_what_is_the_systems_or_somebodys_is_private(path):
    assert is_private(path) and is_private(os.path.dirname(path))
    for data in (
        "/home/u/data",
        os.path.join("/root", "data"),
        "/data",
        "/dev/shm/data",
        "/run/media/u/disk/data",
        "/mnt/disk/data",
    ):
        assert not is_private(data)


def test_a_home_is_its_owners_wherever_it_lies_and_whatever_leads_to_it(tmp_path, monkeypatch):
    home = tmp_path / "disk" / "u"
    home.mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    who = SimpleNamespace(pw_dir=str(tmp_path / "link"))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {os.getuid(): who}[number])
    for named in home, tmp_path / "link":
        assert is_private(str(named)) and is_private(f"{named}/.ssh") and not is_private(f"{named}/data")
    assert gathered([str(home / f"{number}") for number in range(2)], most=1) == [f"{home}/0", f"{home}/1"]


def test_more_folders_within_one_another_than_calls_can_be(here):
    (here / "data").joinpath(*["d"] * 300).mkdir(parents=True)
    most = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        assert binds(["data"]) == [Bind(f"{here}/data", f"{here}/data")]
    finally:
        sys.setrecursionlimit(most)


def test_a_database_that_is_hidden_in_a_home_is_not_shown(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    hidden = here / ".hidden"
    hidden.mkdir()
    (hidden / "data.mdb").touch()
    (here / "data" / "frames").symlink_to(hidden)
    with pytest.raises(EngineError, match=f"frames: leads to {hidden}, and a container is shown no more"):
        binds(["data"])


def test_a_user_who_is_not_known_here(monkeypatch):
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert is_private("/home/u") and not is_private("/data")


def test_what_was_fetched_lies_hidden_and_is_read(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("LRCN_CACHE", str(here / ".cache" / "lrcn"))
    assert not is_private(f"{here}/.cache/lrcn/weights") and is_private(f"{here}/.cache/other")


def test_what_a_command_fills_is_mounted_writable():
    options = {"experiment": "caption/results", "out": None, "tensorboard": Path("events")}
    assert experiment.mounts(options) == ([], [Path("runs/caption-results"), Path("events")])
    assert experiment.mounts(options | {"out": Path("o"), "tensorboard": None}) == ([], [Path("o")])
