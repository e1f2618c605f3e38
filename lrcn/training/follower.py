"""Follows the log of a training while Caffe writes it: tells whoever wants to know, and stops what has diverged."""

from __future__ import annotations

import math
from collections.abc import Iterable

from data_prep import DataError
from data_prep.workers import Counted
from lrcn.engine.compute import Progress
from lrcn.trained_net import name_of
from lrcn.training.board import Board
from lrcn.training.logs import Entry, entries_of, tests_of
from lrcn.training.run import Run, TrainError


class Follower:
    """Of a run, which has `done` iterations of `last`. progress is told of iterations, with loss and test beside them,
    `board`, where there is one, of all that is measured, what is in the logs already included."""

    def __init__(self, run: Run, last: int, done: int, progress: Progress, board: Board | None = None) -> None:
        self.run, self.last, self.progress, self.board = run, last, progress, board
        self.curve, self._followed = run.log.update(), False
        if board:
            for iteration, row in sorted(self.curve.rows.items()):
                if iteration < done or iteration == last:
                    for name, value in row.items():
                        self._show(Entry("", iteration, name, value, self.curve.clocks.get(iteration)))

    @property
    def lacks_last_test(self) -> bool:
        """Whether the logs tell of tests, but of none at the end."""
        return bool(self.curve.tests) and not tests_of(self.curve.rows.get(self.last, {}))

    def follow(self, lines: Iterable[str], end: int) -> None:
        """Follows a process of Caffe's to iteration `end`. Raises TrainError where the loss is no number."""
        self._followed = True
        for entry in entries_of(lines):
            self.curve.add(entry)
            if entry.kind == "loss":
                self._check(entry)
                if entry.iteration < self.last:
                    self._tell(entry.iteration)
            if entry.name and (entry.iteration < end or end == self.last):  # the next says it again
                self._show(entry)

    def finish(self) -> None:
        """Tells of the end, where it was not over before."""
        if self._followed:
            self._tell(self.last)

    def _tell(self, iteration: int) -> None:
        self.progress(Counted(name_of(self.run.folder), "iterations", self.curve.headline), iteration, self.last)

    def _show(self, entry: Entry) -> None:
        """On the board; a training is worth more than what is written of it there."""
        try:
            if self.board:
                self.board.add(entry.iteration, entry.name, entry.value, entry.clock)
        except DataError as error:
            self.progress(f"trains on without --tensorboard: {error}", 0, 0)
            self.board = None

    def _check(self, entry: Entry) -> None:
        if not math.isfinite(entry.value):
            raise TrainError(
                f"the loss is {entry.value} at iteration {entry.iteration}: training has diverged; give a lower "
                "--set base_lr=..."
            )
