"""Event files for TensorBoard, written by tensorboardX: DIR/NAME-OF-OUT/RUN of a training, .../evaluation of results.

A folder's events are those of the last call: what an earlier one wrote is replaced by the whole of it, so that no point
stands there twice however often a training was cut off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from data_prep import DataError

if TYPE_CHECKING:
    from lrcn.training.tasks import Evaluation

_MARK = ".lrcn"  # ends the names of our event files
_FLUSH_SECONDS = 2  # a training that is watched is to be seen
_EXAMPLES = 20  # captions of each net that are shown


class Board:
    """Writes into `folder` what TensorBoard shows; a context manager, which writes it to its end. DataError where the
    folder cannot be written to."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob(f"events.out.tfevents.*{_MARK}"):
                old.unlink()
            # purge_step tells a TensorBoard that is looking on to forget what it has read
            self._writer = SummaryWriter(str(folder), purge_step=0, flush_secs=_FLUSH_SECONDS, filename_suffix=_MARK)
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error.strerror}); give another --tensorboard") from None

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(self, iteration: int, column: str, value: float, clock: float | None = None) -> None:
        """A number of a log's column; clock: when it was measured, in seconds since 1970."""
        self._writer.add_scalar(tag(column), value, iteration, clock)

    def text(self, name: str, text: str) -> None:
        """A text as it stands, whatever it holds."""
        self._writer.add_text(name, "\n".join(f"    {line}" for line in text.splitlines()), 0)  # a block of Markdown's

    def settings(self, net: str, settings: Mapping[str, Any]) -> None:
        """What a net is trained with."""
        width = max(map(len, settings), default=0)
        lines = [f"{name:{width}}  {json.dumps(value)}" for name, value in settings.items()]
        self.text("settings", "\n".join([net, "", *lines]))

    def evaluation(self, evaluation: Evaluation) -> None:
        """The table of what was measured, its pictures, and captions as text."""
        import cv2

        self.text("results", evaluation.text)
        for path in evaluation.files("*.png"):
            if (image := cv2.imread(str(path))) is not None:
                self._writer.add_image(_clean(path.stem), image[..., ::-1], 0, dataformats="HWC")
        for path in evaluation.files("captions_*.json"):
            captions = json.loads(path.read_text(encoding="utf-8"))[:_EXAMPLES]
            self.text(_clean(path.stem), "\n".join(f"{each['image_id']}: {each['caption']}" for each in captions))


def place_of(folder: Path, out: Path, place: Path) -> Path:
    """Where in `folder` the events of a folder within `out` lie: several --out may share one."""
    return folder / out.resolve().name / place.resolve().relative_to(out.resolve())


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
