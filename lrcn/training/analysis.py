"""Curves of several trainings beside one another: of lrcn's runs, and of anybody's logs of Caffe."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.whole_files import write_text
from lrcn.results import curves
from lrcn.results.lettering import plain
from lrcn.results.tables import aligned, duration, value_in_words
from lrcn.training.logs import OF_RUN, Curve, LogFiles
from lrcn.training.run import TrainError, runs_in


def read(paths: Sequence[Path | str]) -> dict[str, Curve]:
    """The curves of logs, of runs, and of folders of runs, by name: a run's own, a file's, with its folder where two
    have one. TrainError where one of the paths holds no log of a training."""
    found: dict[Path, LogFiles] = {place: log for path in map(Path, paths) for place, log in _logs(path)}
    short = [place.name for place in found]
    named = {str(place) if short.count(place.name) > 1 else place.name: log for place, log in found.items()}
    return {plain(name): log.curve for name, log in named.items()}


def _logs(path: Path) -> Iterator[tuple[Path, LogFiles]]:
    """The logs at a path, read, each with the folder or file that it is called by."""
    if not path.is_dir():
        yield path, _read(path, LogFiles(path))
        return
    folders = [run.folder for run in runs_in(path)] if not any(path.glob(OF_RUN)) else [path]
    begun = [folder for folder in folders if any(folder.glob(OF_RUN))]
    if not begun:
        raise TrainError(f"{path}: holds no run with logs; give a run's folder, one of runs, or a log of Caffe's")
    for folder in begun:
        yield folder.resolve() if folder == Path() else folder, _read(folder, LogFiles(folder=folder))


def _read(path: Path, log: LogFiles) -> LogFiles:
    try:
        curve = log.update()
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({error.strerror})") from None
    if not curve.rows:
        raise TrainError(f"{path}: is no log of a training in Caffe: no line says 'Iteration N, loss = ...'")
    return log


def document(curves_by_name: Mapping[str, Curve]) -> dict[str, Any]:
    """What curves come to, ready for JSON: {"trainings": [{"name", "iterations", "loss", "tests" by column, ...}]}, of
    loss and tests {"last", "last_at", "best", "best_at"}; "seconds" by the log's clock, breaks left out; "processes",
    of which each began or went on. null for what is not known, or no number."""
    return {"trainings": [{"name": name} | _summary(curve) for name, curve in curves_by_name.items()]}


def _summary(curve: Curve) -> dict[str, Any]:
    return {
        "iterations": curve.iteration,
        "loss": _extremes(curve, "loss") if "loss" in curve.columns else None,
        "tests": {name: _extremes(curve, name) for name in curve.tests},
        "learning_rate": _number(curve.measured.get("lr", math.nan)),
        "seconds": round(curve.seconds, 3) or None,
        "iterations_per_second": curve.rate,
        "processes": len(curve.sittings),
    }


def _extremes(curve: Curve, name: str) -> dict[str, Any]:
    (last_at, last), (best_at, best) = curve.points(name)[-1], curve.best(name) or (None, None)
    return {"last": _number(last), "last_at": last_at, "best": best, "best_at": best_at}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def text(curves_by_name: Mapping[str, Curve]) -> str:
    """A table, a row a curve."""
    titles = ("", "iterations", "last loss", "best loss", "last test", "best test", "taken", "iterations/s")
    rows = []
    for name, curve in curves_by_name.items():
        test = curve.tests[0] if curve.tests else None
        rows.append(
            (
                name,
                str(curve.iteration),
                _last(curve, "loss"),
                _best(curve, "loss"),
                f"{test.removeprefix('test ')} {_last(curve, test)} at {curve.points(test)[-1][0]}" if test else "-",
                _best(curve, test) if test else "-",
                duration(curve.seconds) if curve.seconds else "-",
                f"{curve.rate:.3g}" if curve.rate else "-",
            )
        )
    return "\n".join(aligned([titles, *rows]))


def _last(curve: Curve, name: str) -> str:
    return value_in_words(name, curve.measured[name]) if name in curve.measured else "-"


def _best(curve: Curve, name: str) -> str:
    best = curve.best(name)
    return f"{value_in_words(name, best[1])} at {best[0]}" if best else "-"


def write_points(curves_by_name: Mapping[str, Curve], path: Path) -> None:
    """All points as CSV, a row an iteration of a curve: "training", "iteration", "clock" (seconds since 1970) and each
    column that any of them has. The file appears whole."""
    columns = dict.fromkeys(name for curve in curves_by_name.values() for name in curve.columns)
    out = io.StringIO()
    table = csv.DictWriter(out, ["training", "iteration", "clock", *columns], lineterminator="\n")
    table.writeheader()
    for name, curve in curves_by_name.items():
        for row in curve.table:
            table.writerow({"training": name, "clock": curve.clocks.get(int(row["iteration"]), ""), **row})
    write_text(path, out.getvalue())


def draw(curves_by_name: Mapping[str, Curve], path: Path) -> None:
    """A picture of all; of one, with what was measured in training too."""
    if len(curves_by_name) == 1:
        [(name, curve)] = curves_by_name.items()
        curves.of_training(curve.table, name, path)
    else:
        curves.of_trainings({name: curve.table for name, curve in curves_by_name.items()}, "Trainings", path)
