"""A run's snapshots.

RUN/snapshots/net_iter_N.caffemodel     Caffe's: the weights
RUN/snapshots/net_iter_N.solverstate    Caffe's: what its solver goes on from
RUN/snapshots/net_iter_N.sha256         ours: the checksums of both, once both are on the disk

Caffe takes an empty .caffemodel for that of a net without weights, and says nothing. So a snapshot counts as far as its
files have their form: both go to their ends, as far as their fields say. Whoever starts from one, or evaluates it, asks
for its `fault`, which reads all of it: its checksums, and whether it fills the net. A snapshot without checksums, of a
process that was killed, or of an earlier lrcn, has to fill the net alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data_prep.synced import sync
from lrcn.training import checksums
from prototxt_gen import SpecError, caffe_pb2
from prototxt_gen.weights import COPIED, IGNORED, UNKNOWN, Plan, Weights, read_weights

MODEL, STATE, SUMS = ".caffemodel", ".solverstate", ".sha256"
_OURS = re.compile(r"net_iter_(0|[1-9][0-9]{0,9})\.(caffemodel|solverstate|sha256)")
_LAYERS = {caffe_pb2.NetParameter.LAYER_FIELD_NUMBER, 2}  # 2: `layers`, as files of 2014 have them
_ITERATION = caffe_pb2.SolverState.ITER_FIELD_NUMBER
_LAST_OF_STATE = caffe_pb2.SolverState.CURRENT_STEP_FIELD_NUMBER

Filling = Callable[[Weights], Plan]  # what a file of weights fills of the net


@dataclass(frozen=True)
class Snapshots:
    """Those in a folder, which need not be there yet. What has other names there is nobody's."""

    folder: Path

    def model(self, iteration: int) -> Path:
        """The .caffemodel of an iteration, there or not."""
        return self.folder / f"net_iter_{iteration}{MODEL}"

    def state(self, iteration: int) -> Path:
        return self.model(iteration).with_suffix(STATE)

    def sums(self, iteration: int) -> Path:
        return self.model(iteration).with_suffix(SUMS)

    def iterations(self, suffix: str = "") -> list[int]:
        """Of which there are files, or files of this suffix."""
        names = (_OURS.fullmatch(path.name) for path in self.folder.glob(f"net_iter_*{suffix}") if path.is_file())
        return sorted({int(match[1]) for match in names if match})

    @property
    def last(self) -> int:
        """The iteration of the last whose files have their form, 0 where there is none."""
        return next(filter(self.has_form, reversed(self.iterations(STATE))), 0)

    def has_form(self, iteration: int) -> bool:
        """Whether both files go to their ends, and are of this iteration. Caffe writes the state last, and
        `current_step` last of it."""
        return _has_layers(self.model(iteration)) and self._iteration_of(iteration) == iteration

    def _iteration_of(self, iteration: int) -> int | None:
        """The iteration that the state in a file of this one says; None where it does not go to its end."""
        fields = _fields(self.state(iteration))
        return dict(fields).get(_ITERATION, 0) if [number for number, _ in fields[-1:]] == [_LAST_OF_STATE] else None

    def fault(self, iteration: int, filling: Filling | None, with_state: bool = True) -> str | None:
        """Why the snapshot of an iteration is none to start from; None of a whole one. Reads all of it. filling: what
        weights fill of its net, where that is known. with_state: whether its solver is to go on."""
        model, state = self.model(iteration), self.state(iteration)
        if with_state and not self.has_form(iteration):
            path = model if not _has_layers(model) else state
            if path == state and (other := self._iteration_of(iteration)) is not None:
                return f"{path}: is of iteration {other}, whatever its name says"
            return f"{path}: is cut off or damaged" if path.exists() else f"{path}: is gone"
        for path in (model, state) if with_state else (model,):
            if checksums.differs(self.sums(iteration), path):
                return f"{path}: is not as it was written, by its checksum in {self.sums(iteration).name}"
        return misfit(model, filling)

    def seal(self, iteration: int) -> None:
        """Brings the files of a snapshot to the disk and notes their checksums."""
        checksums.write(self.sums(iteration), [self.model(iteration), self.state(iteration)])

    def seal_new(self, before: dict[str, tuple[int, int]]) -> None:
        """The same of all those that were written since the folder had these `stamps`."""
        now = self.stamps()
        for iteration in self.iterations(STATE):
            name = self.state(iteration).name
            if now.get(name) != before.get(name) and self.has_form(iteration):
                self.seal(iteration)

    def stamps(self) -> dict[str, tuple[int, int]]:
        """By the names of files what changes where they are written anew."""
        stats = {path.name: path.stat() for path in self.folder.glob("net_iter_*") if path.is_file()}
        return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}

    def remove(self, iteration: int) -> None:
        """The state goes first, so that what a killed call leaves looks like no whole snapshot."""
        for path in (self.state(iteration), self.model(iteration), self.sums(iteration)):
            path.unlink(missing_ok=True)

    def sync(self, iteration: int) -> None:
        """It is on the disk, before others go."""
        sync(self.model(iteration), self.state(iteration), self.folder)


def misfit(path: Path, filling: Filling | None) -> str | None:
    """Why a file of weights is none of its net's; None where it is one."""
    try:
        weights = read_weights(path)
        for entry in filling(weights).entries if filling else ():
            if entry.status not in (COPIED, IGNORED, UNKNOWN):
                return f"{path}: layer {entry.layer} of its net: {entry.why}"
    except SpecError as error:
        return str(error)
    return None


def _has_layers(path: Path) -> bool:
    return not _LAYERS.isdisjoint(number for number, _ in _fields(path))


def _fields(path: Path) -> list[tuple[int, int]]:
    """The fields of a message in a file, in order: of each its number, and its value or how many bytes it has; none
    where it does not end with a field. What they hold, hundreds of MB of a large net, is stepped over."""
    fields: list[tuple[int, int]] = []
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            while file.tell() < size:
                tag = _varint(file)
                if not tag >> 3 or tag & 7 not in (0, 2):  # Caffe's have numbers, text and messages alone
                    return []
                value = _varint(file)
                fields.append((tag >> 3, value))
                if tag & 7 == 2:
                    file.seek(min(value, size + 1), os.SEEK_CUR)
            return fields if file.tell() == size else []
    except OSError:
        return []


def _varint(file: BinaryIO) -> int:
    """A number of protobuf's; of one that is cut off, what is there, after which nothing more is."""
    value = shift = 0
    while (byte := file.read(1)) and shift < 70:
        value |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            return value
    file.seek(1, os.SEEK_END)  # past the end, where a whole message does not come to
    return value
