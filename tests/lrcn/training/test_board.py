"""Event files for TensorBoard, read back by a reader of our own: one curve however often a training was cut off."""

import json
import resource
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from data_prep import DataError
from data_prep.whole_files import write_text
from lrcn.engine.compute import Compute
from lrcn.training import board, job
from lrcn.training.board import Board, place_of, show_evaluation, tag
from lrcn.training.follower import Follower
from lrcn.training.logs import entries_of
from lrcn.training.run import Run, TrainError, split_folder
from lrcn.training.tasks import Evaluation
from lrcn.training.workspace import Start
from tests.lrcn.training.caffe_logs import log_of
from tests.lrcn.training.event_files import events, scalars, texts
from tests.lrcn.training.small_nets import write_snapshot


def go_on(run: Run, folder: Path, begin: int, end: int, last: int = 15, lines=None) -> None:
    """As a call of `lrcn train` that goes on from snapshot `begin` to `end`, or as far as `lines` of the log go."""
    with Board(folder) as writer:
        follower = Follower(run, last, run.done, lambda *_: None, writer)
        for first in range(begin, end, 5):
            text = log_of(first, first + 5)
            with (run.folder / "logs" / f"from-{first:07d}.log").open("a") as log:
                log.write("".join(text.splitlines(keepends=True)[:lines]))
            follower.follow(text.splitlines()[:lines], first + 5)
            if lines is None:
                write_snapshot(run.folder, first + 5)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run" / "logs").mkdir(parents=True)
    return Run(tmp_path / "run")


WHOLE = {
    "loss/smoothed": [(iteration, round(iteration / 10, 5)) for iteration in range(16)],
    "accuracy/train": [(iteration, 0.25) for iteration in range(15)],
    "learning_rate": [(iteration, 0.01) for iteration in range(15)],
    "accuracy/test": [(iteration, 0.5) for iteration in (0, 5, 10, 15)],
}


def test_a_training_in_pieces_is_one_curve_however_often_it_was_cut_off(run, tmp_path):
    board = tmp_path / "tb"
    go_on(run, board, 0, 5)
    go_on(run, board, 5, 10, lines=8)  # killed in this piece
    assert scalars(board)["loss/smoothed"][-1] == (6, 0.6)
    go_on(run, board, 5, 15)
    assert scalars(board) == WHOLE
    go_on(run, board, 15, 15)  # which was at its end
    assert scalars(board) == WHOLE
    clocks = {
        event.step: event.wall_time
        for event in events(board)
        for value in event.summary.value
        if value.tag == "loss/smoothed"
    }
    assert clocks[14] - clocks[0] == 14  # the log's, not the writer's


def test_the_splits_of_a_net_that_are_trained_side_by_side_are_told_apart(tmp_path):
    told = []
    for split in (1, 2):
        (folder := split_folder(tmp_path, split) / "lrcn-fc6-rgb" / "logs").mkdir(parents=True)
        follower = Follower(Run(folder.parent), 5, 0, lambda what, done, total: told.append(str(what)))
        follower.follow(log_of(0, 5).splitlines(), 5)
    assert len(told) == 10 and {*told} == {"lrcn-fc6-rgb", "split2/lrcn-fc6-rgb"}


def test_what_was_written_before_the_end_of_a_call_that_failed_is_there(run, tmp_path):
    with Board(tmp_path / "tb") as board, pytest.raises(TrainError, match="diverged"):
        Follower(run, 15, run.done, lambda *_: None, board).follow(
            log_of(0, 5, lambda i: "nan" if i == 3 else 1).splitlines(), 5
        )
    assert scalars(tmp_path / "tb")["loss/smoothed"] == [(0, 1), (1, 1), (2, 1)]


def test_a_full_disk_ends_the_curve_and_not_the_training(run, tmp_path):
    told = []
    with Board(tmp_path / "tb") as board:
        follower = Follower(run, 15, run.done, lambda what, done, total: told.append((str(what), done, total)), board)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, limits[1]))  # no file grows over 400 bytes
        try:
            follower.follow(log_of(0, 15).splitlines(), 15)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    [remark] = [what for what, _, total in told if not total]
    assert remark.startswith(f"trains on without --tensorboard: {tmp_path / 'tb'}: no space left")
    assert [done for _, done, total in told if total] == list(range(15))
    go_on(run, tmp_path / "tb", 0, 15)  # where there is room again
    assert scalars(tmp_path / "tb") == WHOLE


def test_two_outs_of_one_name_do_not_write_over_one_another(tmp_path):
    first, second = tmp_path / "a" / "demo", tmp_path / "b" / "demo"
    for out in (first, second):
        (out / "net").mkdir(parents=True)
    place = place_of(tmp_path / "tb", first, first / "net")
    assert place == tmp_path / "tb" / "demo" / "net" == place_of(tmp_path / "tb", first, first / "net")
    with pytest.raises(DataError, match="holds the curves of .*a/demo, not of .*b/demo; give another --tensorboard"):
        place_of(tmp_path / "tb", second, second / "net")
    first.rename(tmp_path / "moved")
    assert place_of(tmp_path / "tb", second, second / "net") == place


def test_trainings_side_by_side_do_not_write_what_their_places_share(dataset, tmp_path, monkeypatch):
    """That is written before they begin: two at a time would take the file from under each other."""
    sizes, met, shown = {"backbone": "tiny", "crop": 20, "max_iter": 4}, threading.Barrier(2), []
    opened = job.open_job("activity/table1", dataset, tmp_path / "out", rows=["single-frame"], settings=sizes)

    def train(run, files, compute, weights, own, kept, curves):
        shown.append(run.folder.name)
        met.wait()

    def write(path, text):
        assert threading.current_thread() is threading.main_thread()
        write_text(path, text)

    monkeypatch.setattr(job, "train", train)
    monkeypatch.setattr(board, "write_text", write)
    engine = SimpleNamespace(environment=dict, gpu=None)
    opened.train(Start(from_scratch=True), compute=Compute(engine), tensorboard=tmp_path / "tb", jobs=2)
    assert sorted(shown) == sorted(each.name for each in (tmp_path / "tb" / "out").glob("single-*")) and len(shown) == 2


def test_a_board_leaves_the_files_of_others_and_texts_stand_as_they_are(tmp_path):
    other = tmp_path / "events.out.tfevents.1.host"
    other.write_bytes(b"")
    for _ in range(2):
        with Board(tmp_path) as board:
            board.settings("caption/lrcn-2f", {"units": 512, "name": "<b>|"})
            board.text("plan", "a <script>\n  b")
    assert other.exists() and len(list(tmp_path.iterdir())) == 2
    written = {name.removesuffix("/text_summary"): text for name, text in texts(tmp_path).items()}
    assert written["plan"] == "    a <script>\n      b"  # a block of code in Markdown
    assert 'units  512\n    name   "<b>|"' in written["settings"]
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file: cannot be written"):
        Board(tmp_path / "file")


def test_an_evaluation_s_pictures_and_captions(tmp_path):
    out = tmp_path / "runs" / "demo"
    out.mkdir(parents=True)
    for name in ("confusion_a.png", "confusion_a_last.png"):
        cv2.imwrite(str(out / name), np.full((4, 6, 3), (255, 0, 0), np.uint8))
    (out / "broken.png").write_bytes(b"no picture")
    for name in ("results.json", "results_last.json"):
        (out / name).write_text("{}")
    (out / "captions_lrcn-2f.json").write_text(json.dumps([{"image_id": 7, "caption": "a ‮dog | cat"}]))
    show_evaluation(tmp_path / "tb", out, Evaluation({}, out / "results.json", "Table 3"))
    place = tmp_path / "tb" / "demo" / "evaluation"
    images = {
        v.tag: v.image for event in events(place) for v in event.summary.value if v.WhichOneof("value") == "image"
    }
    [(name, image)] = images.items()
    assert name == "confusion_a" and (image.height, image.width) == (4, 6)
    decoded = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert (decoded == (255, 0, 0)).all()  # blue is blue
    assert Counter(name.split("/")[0] for name in texts(place)) == {"results": 1, "captions_lrcn-2f": 1}
    show_evaluation(tmp_path / "tb", out, Evaluation({}, out / "results_last.json", "Table 3"))
    assert (tmp_path / "tb" / "demo" / "evaluation_last").is_dir()


@pytest.mark.parametrize(
    "column, name",
    [
        ("loss", "loss/smoothed"),
        ("test cross_entropy_loss", "cross_entropy_loss/test"),
        ("test #1 loss1/top-1", "loss1_top-1/test_1"),
        ("test-on-train accuracy[1]", "accuracy_1_/test-on-train"),
    ],
)
def test_names_in_tensorboard(column, name):
    assert tag(column) == name


def test_entries_of_the_log_above_are_as_caffe_writes_them():
    assert [entry.kind for entry in entries_of(log_of(0, 1).splitlines())][:6] == [
        "begins",
        "testing",
        "test",
        "loss",
        "train",
        "lr",
    ]
