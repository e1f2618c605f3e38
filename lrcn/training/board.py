"""Event files for TensorBoard, written by tensorboardX: DIR/NAME-OF-OUT/RUN of a training, .../evaluation of results.

A folder's events are those of the last call: what an earlier one wrote is replaced by the whole of it, so that no point
stands there twice however often a training was cut off.

Each event is written when a call returns. tensorboardX's SummaryWriter has a thread for that, which a full disk ends,
and whoever writes then waits for it for ever.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from data_prep import DataError
from data_prep.whole_files import write_text, writing
from lrcn.results.lettering import plain

if TYPE_CHECKING:
    from lrcn.training.tasks import Evaluation

_MARK = ".lrcn"  # ends the names of our event files
_OUT = "lrcn-out.txt"  # in DIR/NAME-OF-OUT: which --out that is
_EXAMPLES = 20  # captions of each net that are shown


class Board:
    """Writes into `folder` what TensorBoard shows; a context manager, which closes the file. Each method raises
    DataError where that cannot be written."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self._folder = folder
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob(f"events.out.tfevents.*{_MARK}"):
                old.unlink()
            self._writer = EventsWriter(str(folder / "events"), _MARK)
        # tells a TensorBoard that is looking on to forget what it has read
        self._write(step=0, session_log=SessionLog(status=SessionLog.START))

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # of an event that `_write` has told could not be written
            self._writer.close()

    def add(self, iteration: int, column: str, value: float, clock: float | None = None) -> None:
        """A number of a log's column; clock: when it was measured, in seconds since 1970."""
        from tensorboardX import summary

        self._write(step=iteration, wall_time=clock, summary=summary.scalar(tag(column), value))

    def text(self, name: str, text: str) -> None:
        """A text as it stands, whatever it holds."""
        from tensorboardX import summary

        block = "\n".join(f"    {line}" for line in text.splitlines())  # of Markdown's
        self._write(step=0, summary=summary.text(name, block))

    def settings(self, net: str, settings: Mapping[str, Any]) -> None:
        """What a net is trained with."""
        width = max(map(len, settings), default=0)
        lines = [f"{name:{width}}  {json.dumps(value)}" for name, value in settings.items()]
        self.text("settings", "\n".join([net, "", *lines]))

    def evaluation(self, evaluation: Evaluation) -> None:
        """The table of what was measured, its pictures, and captions as text."""
        import cv2
        from tensorboardX import summary

        self.text("results", evaluation.text)
        for path in evaluation.files("*.png"):
            if (image := cv2.imread(str(path))) is not None:
                picture = summary.image(_clean(path.stem), image[..., ::-1], dataformats="HWC")
                self._write(step=0, summary=picture)
        for path in evaluation.files("captions_*.json"):
            captions = json.loads(path.read_text(encoding="utf-8"))[:_EXAMPLES]
            self.text(_clean(path.stem), "\n".join(f"{each['image_id']}: {each['caption']}" for each in captions))

    def _write(self, wall_time: float | None = None, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with writing(self._folder):
            self._writer.write_event(Event(wall_time=time.time() if wall_time is None else wall_time, **content))
            self._writer.flush()


def place_of(folder: Path, out: Path, place: Path) -> Path:
    """Where in `folder` the events of a folder within `out` lie: several --out may share one. DataError where those of
    another --out of the same name lie there."""
    mine, note = str(out.resolve()), folder / out.resolve().name / _OUT
    other = note.read_text(errors="replace") if note.exists() else mine
    if other != mine and os.path.exists(other):  # else it was moved, or is gone
        raise DataError(f"{note.parent}: holds the curves of {plain(other)}, not of {mine}; give another --tensorboard")
    with writing(note):
        note.parent.mkdir(parents=True, exist_ok=True)
        if not note.exists() or other != mine:
            write_text(note, mine)
    return note.parent / place.resolve().relative_to(mine)


def show_evaluation(folder: Path, out: Path, evaluation: Evaluation) -> None:
    """Writes what TensorBoard shows of an evaluation. folder: of event files; out: of the runs. Raises DataError."""
    name = evaluation.path.stem.replace("results", "evaluation")
    with Board(place_of(folder, out, evaluation.path.parent) / name) as board:
        board.evaluation(evaluation)


def tag(column: str) -> str:
    """What a log's column is called in TensorBoard, where what stands before a slash is one group: "loss/test"."""
    if column in ("loss", "lr"):
        return {"loss": "loss/smoothed", "lr": "learning_rate"}[column]
    kind, _, output = column.rpartition(" ")
    return f"{_clean(output)}/{_clean(kind)}"


def _clean(name: str) -> str:
    """With those letters alone that a tag may have."""
    return re.sub(r"[^-\w.]+", "_", name, flags=re.ASCII)
