"""A run: the folder of one net's training.

RUN/run.json                the run's identity: prototxt without paths, digests of starting weights and data set
RUN/stage.json              what is trained: variant, settings, and what is known of the data set
RUN/*.prototxt              the nets and the solver, which `caffe` alone can load in this folder
RUN/snapshots/              net_iter_N.caffemodel and .solverstate, and the checksums of both
RUN/given.caffemodel        the weights of a net that was trained elsewhere, in place of all of that but the first two;
                            given.sha256: its checksum
RUN/algorithms.txt          the algorithms of convolutions that a GPU tried out and chose; of the second of several GPUs
                            algorithms-1.txt, and so on
RUN/devices.json            what it was trained on, from which iteration on
RUN/logs/                   Caffe's, from-N.log from iteration N on
RUN/lock                    locked by the process that trains here, with the mark of its machine
RUN/curve.csv, curve.png    loss and accuracy by iteration
"""

from __future__ import annotations

import fcntl
import json
import platform
import posixpath
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from data_prep.dataset import Dataset
from data_prep.whole_files import copy, write_bytes, write_json, writing
from data_prep.workers import Progress
from lrcn.activity import clip_settings
from lrcn.results import curves
from lrcn.trained_net import TrainedNet, digest
from lrcn.training import checksums
from lrcn.training.logs import LogFiles
from lrcn.training.records import DEVICES, MARK, NOTE, Mark, Note, Stretch
from lrcn.training.snapshots import MODEL, STATE, SUMS, Filling, Snapshots, misfit
from netspecs import catalogue
from netspecs.variant import Variant
from prototxt_gen import SpecError, caffe_pb2, parse, to_text
from prototxt_gen.weights import binary_of_hdf5, plan
from readers.json_files import parse_json, read_json

Files = Mapping[str, Any]  # a variant's: "train_test", "deploy", ... NetParameter, "solver" SolverParameter
VOCABULARIES = ("vocabulary.txt", "slot_vocabulary.txt")
DIFFERENCES = {  # of two runs' identities, in words
    "weights": "the weights that it started from",
    "solver": "its solver",
    "train_test": "its net",
    "data_set": "its data set",
}


Kind = TypeVar("Kind")
_DRAWING = threading.Lock()  # Matplotlib draws for one thread at a time
MARK_MEND = "put back what it was, or begin anew with `lrcn train --fresh`"
LOOKS = 5  # in a row that find a lock taken by one that trains, and not by one that looks on
USUAL = {"precision": "fp32", "fast": False}  # how it computes, of which an identity says what is otherwise


@dataclass(frozen=True)
class Kept:
    """The snapshots of a run that stay: so many of the `last`, all for None, and those of the iterations `always`.
    SpecError for less than one."""

    last: int | None = None
    always: Collection[int] = ()

    def __post_init__(self) -> None:
        if self.last is not None and self.last < 1:
            raise SpecError(f"keep={self.last}: the last snapshot stays, to go on from; give 1 or more")


class TrainError(RuntimeError):
    """A run that cannot start, go on or be used; one line for the user."""


class Run:
    """The run in `folder`, which need not be there yet."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    # ---- what it is --------------------------------------------------------------------------------------------

    @property
    def note(self) -> Note | None:
        """stage.json; None where there is none that can be read."""
        try:
            return self.read_note()
        except TrainError:
            return None

    @property
    def begun(self) -> bool:
        """Whether something says what is trained here, be it damaged."""
        return (self.folder / NOTE).exists()

    @property
    def variant(self) -> Variant:
        return catalogue.get(self.read_note()["variant"])

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it is trained with. TrainError where it does not say."""
        note = self.read_note()
        table = catalogue.get(note["variant"]).table  # an earlier lrcn's may have a setting more
        return {name: value for name, value in note["settings"].items() if name in table}

    def read_note(self) -> Note:
        """stage.json. TrainError where there is none, or none that can be read."""
        if not self.begun:
            raise TrainError(f"{self.folder}: holds no training; run `lrcn train` first")
        path, mend = self.folder / NOTE, "give `lrcn train` again, which writes it"
        note = _read(path, Note, mend)
        if note["variant"] not in catalogue.names():
            raise TrainError(f"{path}: {note['variant']!r} is no net of the catalogue; {mend}")
        return note

    def keep(self, variant: Variant, settings: Mapping[str, Any], about_data: Mapping[str, Any], data: Path) -> None:
        """Writes what is trained here, and copies of the data set's vocabularies, so that the net can be used without
        the data set."""
        for name in VOCABULARIES:
            if (data / name).exists():
                write_bytes(self.folder / name, (data / name).read_bytes())
        write_json(self.folder / NOTE, {"variant": variant.name, "settings": settings, **about_data})

    # ---- how far it is -----------------------------------------------------------------------------------------

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.folder / "snapshots")

    def snapshot(self, iteration: int) -> Path:
        """The .caffemodel of an iteration, there or not."""
        return self.snapshots.model(iteration)

    @property
    def given(self) -> Path | None:
        """The weights of a net that was trained elsewhere; None where it is trained here."""
        path = self.folder / "given.caffemodel"
        return path if path.exists() else None

    @property
    def algorithms(self) -> Path:
        """The file in which a GPU's algorithms are kept, there or not."""
        return self.folder / "algorithms.txt"

    @property
    def devices(self) -> list[dict[str, Any]]:
        """What it was trained on, stretch by stretch: {"from": iteration, "gpu": `Compute.about`, None for the CPU}, on
        the CPU "threads" of the BLAS besides, where they are known; [] where that was not noted."""
        try:
            return [dict(each) for each in _read(self.folder / DEVICES, list[Stretch], "")]
        except TrainError:
            return []

    @property
    def threads(self) -> int | None:
        """Of the BLAS, as it was trained last; None where that was not noted."""
        stretches = self.devices
        return stretches[-1].get("threads") if stretches else None

    def note_device(self, start: int, gpu: Mapping[str, Any] | None, threads: int | None = None) -> None:
        """Notes what it is trained on from iteration `start` on."""
        stretches = [each for each in self.devices if each["from"] < start]
        now = {"gpu": gpu} | ({"threads": threads} if threads and gpu is None else {})
        if not stretches or {"from": stretches[-1]["from"], **now} != stretches[-1]:
            stretches.append({"from": start, **now})
        write_json(self.folder / DEVICES, stretches)

    @property
    def done(self) -> int:
        """The iteration of the last snapshot whose files are whole by their form, 0 where there is none."""
        return self.snapshots.last

    def begin_from(self, progress: Progress) -> int:
        """The iteration of the last snapshot that is whole, of which all is read; 0 where there is none. progress: is
        told of those after it."""
        for iteration in reversed(self.snapshots.iterations(STATE)):
            if not iteration:
                continue
            if why := self.fault(iteration):
                progress(f"{why}; the snapshot of iteration {iteration} is passed over", 0, 0)
            else:
                if not self.snapshots.sums(iteration).exists():
                    self.snapshots.seal(iteration)
                return iteration
        return 0

    def fault(self, iteration: int) -> str | None:
        """Why an iteration's snapshot is none to go on from, in a line; None of a whole one. Reads all of it."""
        return self.snapshots.fault(iteration, self._filling())

    def _filling(self) -> Filling | None:
        """What weights fill of the net that is trained here; None where it does not say which that is."""
        try:
            settings = self.variant.settings(**self.settings)
            files, inputs = self.variant.files(**settings), self.variant.input_shapes(**settings)["train"]
        except (TrainError, SpecError):
            return None
        stages, python = files["solver"].train_state.stage, clip_settings.top_shapes
        return lambda weights: plan(files["train_test"], weights, "TRAIN", stages, inputs=inputs, python=python)

    def thin(self, done: int, kept: Kept) -> None:
        """Removes the snapshots before iteration `done`, the last whole one's, but for those that are `kept`.

        The one that is gone on from is on the disk by then. What a killed call leaves of another looks like no whole
        one; the next call removes the rest.
        """
        if kept.last is None:
            return
        snapshots = self.snapshots
        whole = [each for each in snapshots.iterations(STATE) if each <= done]
        old = [
            each
            for each in snapshots.iterations()
            if each < done and each not in whole[-kept.last :] and each not in kept.always
        ]
        if old:
            snapshots.sync(done)
        for iteration in old:
            snapshots.remove(iteration)

    @property
    def iterations(self) -> int | None:
        """The iterations that it is to have; None where neither its settings nor its solver say."""
        note = self.note
        if note and type(last := note["settings"].get("max_iter")) is int and last > 0:
            return last
        try:
            solver: Any = parse(self.folder / "solver.prototxt", "solver")
        except (SpecError, OSError):
            return None
        return int(solver.max_iter) or None

    @property
    def finished(self) -> bool:
        if self.given:
            return True
        last = self.iterations
        return last is not None and self.done >= last

    @property
    def weights(self) -> Path:
        """The .caffemodel that it ended with, or was given, of which all is read. TrainError where it has not ended,
        and where the file is damaged."""
        if self.given:
            why = misfit(self.given, None)
            if checksums.differs(self.given.with_suffix(SUMS), self.given):
                why = f"{self.given}: is not as it was written, by its checksum in given{SUMS}"
            if why:
                raise TrainError(f"{why}; `lrcn train --fresh` takes it anew")
            return self.given
        last = self.iterations
        if last is None:
            self.read_note()
            raise TrainError(f"{self.folder}: holds no training; run `lrcn train` first")
        self._check_whole(last)
        if self.done < last:
            raise TrainError(f"{self.folder}: not trained to iteration {last} yet; run `lrcn train` first")
        return self.snapshot(last)

    def _check_whole(self, iteration: int) -> None:
        """TrainError where an iteration's .caffemodel is there, and damaged."""
        if self.snapshot(iteration).exists() and (
            why := self.snapshots.fault(iteration, self._filling(), with_state=False)
        ):
            later = any(each > iteration for each in self.snapshots.iterations(STATE))
            mend = "train it again with --fresh, or another --out" if later else "`lrcn train` makes it again"
            raise TrainError(f"{why}; {mend}")

    def weights_at(self, iteration: int | None) -> Path:
        """The .caffemodel of an iteration; for None, and of a net that was given, `weights`. TrainError where it has no
        whole snapshot of it."""
        if iteration is None or self.given:
            return self.weights
        self._check_whole(iteration)
        if not self.snapshot(iteration).exists() or self.done < iteration:
            there = self.snapshots.iterations(MODEL)
            raise TrainError(
                f"{self.folder}: has no snapshot of iteration {iteration}"
                + (f", only of {', '.join(map(str, there))}" if there else "; run `lrcn train` first")
            )
        return self.snapshot(iteration)

    def net(self, changes: Mapping[str, Any] | None = None, at: int | None = None) -> TrainedNet:
        """The net that it ended with, or had at an iteration. changes: settings that the user gives again; they may be
        others where they change neither the net that was trained nor its solver.

        Raises TrainError where the training has not come so far, and where a setting clashes with it.
        """
        note, weights = self.read_note(), self.weights_at(at)
        return TrainedNet(
            self.variant,
            self._with(changes or {}),
            weights,
            self.folder,
            note["classes"],
            self.folder / VOCABULARIES[0],
            note.get("fps"),
            note.get("flow"),
            note["settings"].get("stage"),
            None if self.given else note["settings"].get("seed"),
            self.algorithms,
            self.devices,
        )

    def _with(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        mine = self.variant.settings(**self.settings)
        changed = self.variant.settings(**self.settings | dict(changes))
        nets = [_trained_by(self.variant.files(**settings)) for settings in (mine, changed)]
        clashing = [name for name in changes if changed[name] != mine[name]]
        if nets[0] != nets[1] and clashing:
            asked, trained = (", ".join(f"{name}={each[name]}" for name in clashing) for each in (changed, mine))
            raise TrainError(
                f"{self.folder}: was trained with {trained}, not {asked}; leave that out, or name another --out"
            )
        return changed

    # ---- whose it is -------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training here. TrainError where one does."""
        with at_work_in(self.folder, fcntl.LOCK_EX):
            yield

    def clear(self) -> None:
        """Forgets the training: snapshots, logs, identity, weights that it was given."""
        for iteration in self.snapshots.iterations():
            self.snapshots.remove(iteration)
        logs, given = ("logs/from-*.log", "logs/evaluate.log"), ("given.caffemodel", f"given{SUMS}")
        for pattern in (*logs, *given, MARK, "algorithms*.txt", DEVICES):
            for old in filter(Path.is_file, self.folder.glob(pattern)):
                old.unlink()

    def take(self, weights: Path, data_set: Any) -> None:
        """Takes the weights of a net that was trained elsewhere. data_set: the identity of the one that it is used on.
        TrainError where another training has left something."""
        identity = {"weights": digests([weights]), "data_set": data_set}
        before = self._mark()
        if self._has_learnt() or (self.given and before != identity):
            raise TrainError(
                f"{self.folder}: holds {'other given weights' if self.given else 'a training'}; choose another --out, "
                "or --fresh to begin anew"
            )
        if not self.given:
            self.clear()
            write_json(self.folder / MARK, identity)  # first: weights that lie here are those that it tells of
            here = self.folder / "given.caffemodel"
            if weights.name.endswith(".h5"):
                write_bytes(here, binary_of_hdf5(weights))
            else:
                copy(weights, here)
            checksums.write(here.with_suffix(SUMS), [here])

    def claim(
        self, identity: Mapping[str, Any], settings: Mapping[str, Any], description: Mapping[str, Any] | None = None
    ) -> None:
        """Marks the folder as this run's, or refuses where another, or one with other settings, has left a snapshot
        there: TrainError. description: of the data set, which an earlier lrcn noted in place of its identity."""
        try:
            before = self._mark()
        except TrainError:
            if self._has_learnt():
                raise
            self.clear()  # nothing is lost
            before = None
        if before is None and self._has_learnt():
            raise TrainError(f"{self.folder / MARK}: is gone, and snapshots are there; {MARK_MEND}")
        if before is not None:
            there, mine = dict(before), json.loads(json.dumps(dict(identity)))
            if isinstance(described := before["data_set"], dict):
                mine["data_set"] = {name: (description or {}).get(name) for name in described}
            differing = sorted(name for name in there.keys() | mine.keys() if there.get(name) != mine.get(name))
            if differing and not self._has_learnt():  # it failed before there was anything to lose
                self.clear()
            elif differing:
                computed = [
                    f"{name} ({there.get(name, usual)} there, {mine.get(name, usual)} here)"
                    for name, usual in USUAL.items()
                    if name in differing
                ]
                what = [DIFFERENCES.get(name, name) for name in differing if name not in USUAL]
                if {"solver", "train_test"} & set(differing) and (others := self._other_settings(settings)):
                    what = [DIFFERENCES[name] for name in ("weights", "data_set") if name in differing] + [others]
                what += computed
                raise TrainError(
                    f"{self.folder}: holds a run that differs in {', '.join(what)}; choose another --out, or --fresh "
                    "to begin anew"
                )
        write_json(self.folder / MARK, identity)

    def _mark(self) -> Mark | None:
        """run.json without the paths that an earlier lrcn wrote; None where there is none. Of given weights it has no
        net. TrainError where it cannot be read."""
        path = self.folder / MARK
        if not path.exists():
            return None
        mark, mend = _read(path, Mark, MARK_MEND), MARK_MEND
        if "train_test" not in mark and mark.keys() != {"weights", "data_set"}:
            raise TrainError(f"{path}: damaged (it lacks train_test); {mend}")
        if "train_test" in mark:
            try:
                mark["train_test"] = to_text(without_paths(parse(mark["train_test"])))
            except ValueError as error:
                raise TrainError(f"{path}: damaged (its train_test: {error}); {mend}") from None
        return mark

    def _has_learnt(self) -> bool:
        """Whether weights lie there, even of a snapshot that is not whole, but for those that the run began with."""
        return any(self.snapshots.iterations(MODEL))

    def check_data(self, dataset: Dataset, modality: str | None, split: int) -> None:
        """TrainError where the run was trained on another data set."""
        mark = self._mark()
        if mark is None:
            raise TrainError(f"{self.folder / MARK}: is gone; {MARK_MEND}")
        noted = mark["data_set"]
        if isinstance(noted, dict):
            same = all(dataset.description.get(name) == value for name, value in noted.items())
        else:
            same = noted == dataset.identity(modality, split)
        if not same:
            where = self.settings.get("data")
            raise TrainError(
                f"{self.folder}: was trained on another data set than {dataset.folder}"
                + (f", which lay in {where}" if where and Path(where).resolve() != dataset.folder.resolve() else "")
                + "; give that with --data, or train on this one, with another --out"
            )

    def _other_settings(self, settings: Mapping[str, Any]) -> str:
        """The settings that differ from the run's, in words."""
        mine = note["settings"] if (note := self.note) else {}
        names = [name for name in settings if name in mine and name != "data" and settings[name] != mine[name]]
        return ", ".join(f"{name} ({mine[name]} there, {settings[name]} here)" for name in names)

    # ---- its curve ---------------------------------------------------------------------------------------------

    @property
    def log(self) -> LogFiles:
        """Caffe's logs, to be read from their beginning."""
        return LogFiles(folder=self.folder)

    def curve(self) -> list[dict[str, float]]:
        """What Caffe's logs say, a row an iteration: iteration, lr, loss (smoothed as Caffe prints it), and `train
        NAME`, `test NAME` per net output; of nets that are tested on the training data too, `test-on-train NAME`."""
        return self.log.update().table

    def draw_curve(self) -> None:
        """Writes curve.csv and curve.png from the logs."""
        curve = self.log.update()
        curve.write_csv(self.folder / "curve.csv")
        with _DRAWING:
            curves.of_training(curve.table, self.folder.name, self.folder / "curve.png")


def _read(path: Path, kind: type[Kind], mend: str) -> Kind:
    """What an earlier call wrote. TrainError where it cannot be read, or is of another kind."""
    try:
        return read_json(path, kind, ValueError)
    except ValueError as error:
        why = str(error).removeprefix(f"{path}: ").split("; ")[0]
        raise TrainError(f"{path}: damaged ({why}); {mend}") from None


# ---- who is at work ----------------------------------------------------------------------------------------


@contextmanager
def at_work_in(folder: Path, kind: int = fcntl.LOCK_SH) -> Iterator[None]:
    """Lets whoever looks on see that somebody trains in a folder. kind: whether others may too, LOCK_SH, or not,
    LOCK_EX. TrainError where they may not, and one does."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / "lock").open("a")
    with opened as lock:
        for attempt in range(LOOKS + 1):  # one that looks on holds the lock too, for a moment
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == LOOKS:
                    raise TrainError(
                        f"{folder}: another training is at work there; wait for it or choose another --out"
                    ) from None
                time.sleep(0.05)
        with writing(folder / "lock"):
            lock.truncate(0)
            lock.write(_this_system())
            lock.flush()
        yield


def is_at_work_in(folder: Path) -> bool | None:
    """Whether a process of this system, in a container of it or not, trains in a folder; None where the last that did
    was of another system, whose lock on a network's disk may not be seen here."""
    try:
        with (folder / "lock").open(errors="replace") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return None if lock.read() not in ("", _this_system()) else False
    except OSError:
        return False


def _this_system() -> str:
    """What tells this machine, since it was last started, from others; its containers are told the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return platform.node()


# ---- the runs of a folder ----------------------------------------------------------------------------------


def runs_in(folder: Path | str) -> list[Run]:
    """The runs in a folder, or the one that it is, by name."""
    notes = [*Path(folder).glob(f"*/{NOTE}"), *Path(folder).glob(NOTE)]
    return [Run(place) for place in sorted(note.parent for note in notes if note.is_file())]


def results_in(runs: Path) -> list[Path]:
    """The results that `lrcn evaluate` left in a folder of `--out`s, of all splits."""
    patterns = ("*/results.json", "*/split*/results.json", "*/results_lm.json")
    return sorted(path for pattern in patterns for path in Path(runs).glob(pattern))


def split_folder(out: Path | str, split: int) -> Path:
    """Where the runs and results of a split lie: OUT itself for split 1, OUT/split2, OUT/split3."""
    return Path(out) if split == 1 else Path(out) / f"split{split}"


# ---- identity ----------------------------------------------------------------------------------------------


def identity_of(files: Files, weights: Sequence[Path], data_set: Any) -> dict[str, Any]:
    """What makes a run this run and no other, wherever it and its data set lie: JSON-able."""
    return {"weights": digests(weights), "data_set": data_set, **_trained_by(files)}


def _trained_by(files: Files) -> dict[str, str]:
    return {"solver": to_text(files["solver"]), "train_test": to_text(without_paths(files["train_test"]))}


def without_paths(net: Any) -> caffe_pb2.NetParameter:
    """A copy of a net whose data layers name their files as they lie in the data set's folder, whoever reads them: the
    number of processes that read clips changes nothing."""
    bare = caffe_pb2.NetParameter()
    bare.CopyFrom(net)
    for layer in bare.layer:
        for param in (layer.data_param, layer.image_data_param, layer.hdf5_data_param):
            if param.source:
                param.source = posixpath.basename(param.source)
        if layer.python_param.layer == "ClipData":
            with suppress(SpecError):  # what is no JSON is of no net of ours, and stays as it is
                settings = parse_json(layer.python_param.param_str, layer.name, dict[str, Any], SpecError)
                layer.python_param.param_str = json.dumps(settings | {"data": "", "workers": 1}, sort_keys=True)
    return bare


def digests(weights: Sequence[Path]) -> str | list[str] | None:
    """What stands for the weights that a run starts from: one file's digest by itself."""
    every = [digest(path) for path in weights]
    return every if len(every) > 1 else every[0] if every else None
