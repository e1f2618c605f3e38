"""A command writes over no file that it reads."""

import pytest

from tests.commands import lrcn, refused

LOG = """\
I1127 10:00:00.000000  1 solver.cpp:239] Iteration 0 (0 iter/s, 0s/20 iters), loss = 2.3
I1127 10:00:00.000000  1 solver.cpp:258]     Train net output #0: loss = 2.3 (* 1 = 2.3 loss)
I1127 10:00:01.000000  1 solver.cpp:239] Iteration 20 (20 iter/s, 1s/20 iters), loss = 2.1
I1127 10:00:01.000000  1 solver.cpp:258]     Train net output #0: loss = 2.1 (* 1 = 2.1 loss)
"""


@pytest.mark.parametrize(
    "command",
    [
        ["analyze", "in.png", "--csv", "same"],
        ["analyze", "in.png", "--out", "in.png"],
        ["report", "in.png", "--out", "same"],
        ["evaluate", "caption/results", "--results", "results.json", "--references", "in.png", "--out", "."],
        ["evaluate", "caption/results", "--results", "in.png", "--references", "results.json", "--out", "."],
    ],
)
def test_what_is_read_is_not_written_over(tmp_path, command):
    """By whatever name: `same` is a link to the file, and results.json another."""
    (tmp_path / "in.png").write_text(LOG)
    for name in ("same", "results.json"):
        (tmp_path / name).symlink_to("in.png")
    refused(lrcn(*command, cwd=tmp_path), "is a file that this command reads; name another one to write")
    assert (tmp_path / "in.png").read_text() == LOG and (tmp_path / "same").is_symlink()


def test_what_is_not_read_is(tmp_path):
    (tmp_path / "log").write_text(LOG)
    (tmp_path / "points.csv").write_text("of an earlier call")
    assert lrcn("analyze", "log", "--csv", "points.csv", cwd=tmp_path).returncode == 0
    assert "2.1" in (tmp_path / "points.csv").read_text()


@pytest.mark.parametrize("command", ["prepare flow --data {}", "prepare stills --data {}", "train demo --data {}"])
@pytest.mark.parametrize("folder", [".", "/"])
def test_a_folder_without_a_name_of_its_own_is_no_data_set(tmp_path, command, folder):
    refused(lrcn(*command.format(folder).split(), cwd=tmp_path), f"{folder}: no prepared dataset")


def test_no_data_set_is_made_in_place_of_the_root():
    refused(lrcn("prepare", "demo", "--out", "/"), "/: is there already and is no dataset; name another folder")


def test_what_lies_where_a_data_set_is_made_is_not_taken_for_it(tmp_path):
    """A preparation of other settings, which was cut off, has left the folder: it is emptied for these."""
    mine = tmp_path / "out.partial" / "videos" / "A" / "a.avi"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    (tmp_path / "out.partial" / "preparing.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "out.partial" / "videos")
    for videos in ("out.partial/videos", "link"):
        done = lrcn("prepare", "videos", "--videos", videos, "--out", "out", cwd=tmp_path)
        refused(done, f"{videos}: lies in ", "where out is made; move it elsewhere")
    assert mine.read_text() == "mine"
