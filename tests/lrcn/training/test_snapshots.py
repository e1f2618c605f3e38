"""Snapshots: which are whole, however they were damaged, and which is gone on from; weights that a run was given."""

import hashlib
import json
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrcn.training.run import Run, TrainError
from prototxt_gen import caffe_pb2
from tests.lrcn.training.small_nets import small_run, write_snapshot
from tests.weights import write_layers


@pytest.fixture
def run(tmp_path):
    """With whole snapshots of iterations 2 and 4, its last, whose checksums are noted."""
    run = small_run(tmp_path / "run", 2, 4)
    for iteration in (2, 4):
        run.snapshots.seal(iteration)
    return run


def begun(run):
    """The iteration that is gone on from, and what is told of."""
    told = []
    return run.begin_from(lambda line, done, total: told.append(line)), told


def test_checksums_are_those_of_sha256sum(run):
    run.snapshots.seal(4)
    lines = run.snapshots.sums(4).read_text().splitlines()
    files = [run.snapshot(4), run.snapshots.state(4)]
    assert lines == [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in files]
    assert not subprocess.run(
        ["sha256sum", "--check", "--quiet", run.snapshots.sums(4).name], cwd=files[0].parent
    ).returncode


def flip(content, at):
    return content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "nothing but zeros": lambda content: bytes(len(content)),
    "a page of zeros": lambda content: content[:300] + bytes(200) + content[500:],
    "one bit": lambda content: flip(content, len(content) // 2),
    "more at its end": lambda content: content + content[:50],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".caffemodel", ".solverstate"])
def test_a_damaged_snapshot_is_passed_over_and_told_of(run, damage, suffix):
    path = run.snapshot(4).with_suffix(suffix)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    iteration, told = begun(run)
    assert iteration == 2 and len(told) == 1 and told[0].startswith(f"{path}: ") and "iteration 4 is passed" in told[0]
    if suffix == ".caffemodel":
        with pytest.raises(TrainError, match=r"net_iter_4\.caffemodel: .*; `lrcn train` makes it again$"):
            assert run.net()


@pytest.mark.parametrize("damage", ["empty", "half", "one byte short", "nothing but zeros"])
def test_without_a_checksum_it_has_to_fill_its_net(run, damage):
    """A snapshot of a process that was killed, or of an earlier lrcn."""
    run.snapshots.sums(4).unlink()
    assert begun(run) == (4, []) and run.snapshots.sums(4).exists()
    run.snapshots.sums(4).unlink()
    run.snapshot(4).write_bytes(DAMAGES[damage](run.snapshot(4).read_bytes()))
    assert begun(run)[0] == 2


def test_it_has_the_layers_and_shapes_of_its_net(run):
    rows = small_run(run.folder.with_name("other"), units=7).rows
    run.snapshots.sums(4).unlink()
    write_layers(run.snapshot(4), rows)  # of another net, whole
    iteration, [told] = begun(run)
    assert iteration == 2 and "layer lstm1 of its net: blob" in told
    write_layers(run.snapshot(4), [row for row in run.rows if row.layer.name != "fc8-final"])
    iteration, [told] = begun(run)
    assert iteration == 2 and "layer fc8-final of its net: the file has no such layer" in told
    with pytest.raises(TrainError, match="layer fc8-final of its net"):
        assert run.weights


def test_it_is_of_the_iteration_that_its_name_says(run):
    for path in run.snapshots.folder.glob("net_iter_2.*"):  # renamed, checksums and all
        path.with_name(path.name.replace("_2.", "_4.")).write_bytes(path.read_bytes())
    iteration, [told] = begun(run)
    assert iteration == 2 and "net_iter_4.solverstate: is of iteration 2, whatever its name says" in told
    with pytest.raises(TrainError, match="not trained to iteration 4 yet"):
        assert run.weights


def test_of_several_damaged_ones_all_are_told_of(run):
    for iteration in (2, 4):
        run.snapshot(iteration).write_bytes(b"")
    iteration, told = begun(run)
    assert iteration == 0 == run.done and ["iteration 4" in told[0], "iteration 2" in told[1]] == [True, True]
    write_snapshot(run.folder, 1, rows=run.rows)
    assert begun(run)[0] == 1


def test_one_that_was_made_again_is_whole(run):
    content = run.snapshot(4).read_bytes()
    run.snapshot(4).write_bytes(content[:-1])
    assert begun(run)[0] == 2
    run.snapshot(4).write_bytes(content)
    assert begun(run) == (4, [])


def test_checksums_that_are_damaged_count_for_none(run):
    for content in (b"", b"\xff\xfe", b"abc  net_iter_4.caffemodel\n"):
        run.snapshots.sums(4).write_bytes(content)
        assert begun(run) == (4, [])


@pytest.mark.parametrize(
    "name",
    [
        "net_iter_.solverstate",
        "net_iter_5x.caffemodel",
        "net_iter_-1.solverstate",
        "net_iter_007.solverstate",
        "net_iter_٣.solverstate",
        "net_iter_9.solverstate/",
        f"net_iter_{'9' * 5000}"[:200] + ".solverstate",
        "notes.txt",
    ],
)
def test_what_has_other_names_there_is_nobody_s(run, name):
    path = run.folder / "snapshots" / name
    path.mkdir() if name.endswith("/") else path.write_bytes(run.snapshots.state(4).read_bytes())
    assert begun(run) == (4, []) and run.done == 4 and run.finished and run.weights == run.snapshot(4)
    run.clear()
    assert path.exists() and list(path.parent.iterdir()) == [path]


def test_what_was_written_while_caffe_was_at_work_is_sealed_and_nothing_else(run):
    before = run.snapshots.stamps()
    run.snapshots.sums(2).unlink()
    write_snapshot(run.folder, 3, rows=run.rows)
    write_snapshot(run.folder, 5, whole=False, rows=run.rows)
    run.snapshots.seal_new(before)
    assert [run.snapshots.sums(each).exists() for each in (2, 3, 5)] == [False, True, False]


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_change_of_a_sealed_snapshot_goes_unseen(run, data):
    path = data.draw(st.sampled_from([run.snapshot(4), run.snapshots.state(4)]))
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        path.write_bytes(flip(whole, data.draw(st.integers(0, len(whole) - 1))))
    assert run.fault(4)
    path.write_bytes(whole)
    assert run.fault(4) is None


# ---- weights that were given -------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_that_were_given_are_as_they_were(run, tmp_path, damage):
    taken = Run(tmp_path / "taken")
    taken.folder.mkdir()
    taken.take(run.snapshot(4), "digest")
    assert taken.weights.read_bytes() == run.snapshot(4).read_bytes()
    taken.given.write_bytes(DAMAGES[damage](taken.given.read_bytes()))
    with pytest.raises(TrainError, match=r"given\.caffemodel: .*; `lrcn train --fresh` takes it anew$"):
        assert taken.weights


def test_given_weights_without_a_checksum_are_read_all_the_same(run, tmp_path):
    """Of an earlier lrcn."""
    taken = Run(tmp_path / "taken")
    taken.folder.mkdir()
    taken.take(run.snapshot(4), "digest")
    (taken.folder / "given.sha256").unlink()
    assert taken.weights == taken.given
    taken.given.write_bytes(caffe_pb2.NetParameter(name="nothing").SerializeToString())
    with pytest.raises(TrainError, match="holds no layers"):
        assert taken.weights


def test_snapshots_without_a_word_of_whose_they_are_are_nobodys(run):
    """As in a run that was half copied: they may be of another data set, or other settings."""
    before = (run.folder / "run.json").read_text()
    for damage in (lambda path: path.unlink(), lambda path: path.symlink_to("nowhere")):
        damage(run.folder / "run.json")
        with pytest.raises(TrainError, match=r"run\.json: is gone, and snapshots are there; put back what it was"):
            run.claim(json.loads(before), {})
        with pytest.raises(TrainError, match=r"run\.json: is gone; put back what it was"):
            run.check_data(None, "flow", 1)
    (run.folder / "run.json").unlink()
    (run.folder / "run.json").write_text(before)
    run.claim(json.loads(before), {})
