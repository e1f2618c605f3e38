"""A run's folder against its own checksums: its snapshots, what it says of itself, and what was measured with it.

Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from data_prep import DataError
from data_prep.verify import Fault, Verdict, data_sets_in
from data_prep.verify import verify as verify_data_set
from data_prep.workers import Counted, Work
from lrcn.results.compare import ResultsError
from lrcn.results.compare import read as read_results
from lrcn.training.records import DEVICES, MARK, Stretch
from lrcn.training.run import Run, TrainError, without_paths
from prototxt_gen import SpecError, parse, to_text
from readers.json_files import read_json
from readers.npz import open_npz
from readers.text import read_text

AGAIN = "`lrcn train` makes what comes after the last whole one again"
OLD = "remove net_iter_{}.*: `lrcn train` goes on from that of iteration {}, which is whole; --fresh makes all anew"
SCORE_AGAIN = "remove it and give `lrcn evaluate` again"


def verify(folder: Path, work: Work = Work()) -> list[Verdict]:
    """All data sets and runs in a folder, which may be one itself. Errors: DataError where there is none."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name a data set, a run, or a folder of runs")
    data_sets, results = data_sets_in(folder), sorted(folder.rglob("results*.json"))
    runs = [Run(note.parent) for note in sorted(folder.rglob("stage.json")) if note.is_file()]
    if not (data_sets or runs or results):
        cut_off = " (its preparation was cut off; `lrcn prepare` goes on)" if folder.suffix == ".partial" else ""
        raise DataError(f"{folder}: holds no data set, run or results{cut_off}; name a folder that does")
    verdicts = [verify_data_set(each, work) for each in data_sets]
    verdicts += [_of_run(run, work) for run in runs]
    if results:
        verdicts.append(_of_results(folder, results))
    return verdicts


def _of_results(folder: Path, paths: list[Path]) -> Verdict:
    verdict = Verdict(folder, "results", checked={"files": len(paths)})
    for path in paths:
        _add(verdict, path, partial(read_results, path), SCORE_AGAIN)
    return verdict


def _add(verdict: Verdict, path: Path, look: Callable[[], Any], mend: str) -> Any:
    """Adds a fault where looking at a file raises one. Gives what it saw."""
    try:
        return look()
    except (DataError, SpecError, TrainError, ResultsError, OSError) as error:
        what = str(error).removeprefix(f"{path}: ").partition("; ")[0]
        verdict.faults.append(Fault(str(path), what, mend))
        return None


def _of_run(run: Run, work: Work) -> Verdict:
    verdict = Verdict(run.folder, "run")
    again = f"give its `lrcn train` again, or remove {run.folder} and train anew"
    note = run.folder / "stage.json"
    _add(verdict, note, run.read_note, again)
    mark, devices = run.folder / MARK, run.folder / DEVICES
    if mark.exists():
        _check_nets(verdict, run, mark, again)
    else:
        verdict.faults.append(Fault(str(mark), "is gone", again))
    if devices.exists():
        _add(verdict, devices, lambda: read_json(devices, list[Stretch], DataError), again)
    _check_weights(verdict, run, work)
    for path in _measured(run.folder):
        _add(verdict, path, partial(_read_measured, path), SCORE_AGAIN)
    return verdict


def _check_nets(verdict: Verdict, run: Run, mark: Path, again: str) -> None:
    """The prototxt files are those that the run's identity tells of."""
    identity = _add(verdict, mark, lambda: read_json(mark, dict[str, Any], DataError), again)
    looked_at = 0
    for name in ("train_test", "deploy", "solver"):
        path, is_net = run.folder / f"{name}.prototxt", name != "solver"
        if not path.exists():
            if identity and name in identity:
                verdict.faults.append(Fault(str(path), "is gone", again))
            continue
        looked_at += 1
        message = _add(verdict, path, partial(parse, path, "net" if is_net else "solver"), again)
        due = (identity or {}).get(name)
        if message is None or not isinstance(due, str):
            continue
        if to_text(without_paths(message) if is_net else message) != (_bare(due) if is_net else due):
            verdict.faults.append(Fault(str(path), f"is not the one that was trained, by {MARK}", again))
    verdict.checked["prototxt files"] = looked_at


def _bare(net: str) -> str:
    """The text of a net without paths; an earlier lrcn noted it with them."""
    try:
        return to_text(without_paths(parse(net, "net")))
    except SpecError:
        return net


def _check_weights(verdict: Verdict, run: Run, work: Work) -> None:
    snapshots = run.snapshots
    every, whole, sealed = snapshots.iterations(), -1, 0
    for done, iteration in enumerate(reversed(every), 1):
        sealed += snapshots.sums(iteration).exists()
        if why := run.fault(iteration):
            where, _, what = why.partition(": ")
            mend = AGAIN if whole < 0 else OLD.format(iteration, whole)
            verdict.faults.append(Fault(where, what.partition("; ")[0], mend))
        else:
            whole = max(whole, iteration)
        work.progress(Counted(f"{run.folder.name}: snapshots", "snapshots"), done, len(every))
    if run.given:
        _add(verdict, run.given, lambda: run.weights, "`lrcn train --fresh` takes them anew")
    verdict.checked["snapshots"] = len(every)
    if len(every) > sealed:
        verdict.remarks.append(
            f"{len(every) - sealed} of {len(every)} snapshots have no checksums: made by an earlier lrcn, or Caffe was"
            " killed; they were read instead"
        )
    known = {path.name for each in every for path in (snapshots.model(each), snapshots.state(each))}
    known |= {snapshots.sums(each).name for each in every}
    if snapshots.folder.is_dir():
        verdict.strangers += sorted(
            f"snapshots/{path.name}" for path in snapshots.folder.iterdir() if path.name not in known
        )


def _measured(folder: Path) -> Iterator[Path]:
    """What `lrcn evaluate` left beside a net, logs, and copies of vocabularies."""
    yield from sorted(path for path in folder.iterdir() if re.search(r"\.(npz|json|txt|csv)$", path.name))
    yield from sorted(folder.glob("logs/*.log"))


def _read_measured(path: Path) -> None:
    if path.suffix == ".npz":
        with open_npz(path, DataError) as arrays:
            for name in arrays:
                arrays[name]
    elif path.suffix == ".json":
        if path.name not in (MARK, DEVICES, "stage.json"):
            read_json(path, object, DataError)
    elif path.suffix == ".log":
        path.read_bytes()
    else:
        read_text(path, DataError)
