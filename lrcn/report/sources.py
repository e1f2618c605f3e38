"""What a report is made of: folders with runs and results, read as they are, whoever left them and however whole.

What cannot be read is left out, and told in one line. Every text is made fit to be shown: a letter that would change
what stands around it, or that no file can hold, becomes U+FFFD.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep import DataError
from lrcn.results import compare
from lrcn.results.compare import ResultsError
from lrcn.results.lettering import plain
from lrcn.sentences.rating_sheet import collect, is_ratings
from lrcn.training.run import Run, runs_in
from readers.json_files import read_json

Tell = Callable[[str], None]


@dataclass
class Outcome:
    """A folder with runs, results of `lrcn evaluate`, and examples, any of them."""

    folder: Path
    runs: list[Run] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    examples: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The experiment's, and the split's where it is not the first."""
        first = self.results[0] if self.results else {}
        name, split = first.get("experiment"), first.get("dataset", {}).get("split", 1)
        own = fit(name if isinstance(name, str) and name else self.folder.name)
        return own if split in (1, None) else f"{own}, split {split}"


@dataclass
class Sources:
    """All of them, ratings of captions by people, and what was left out, a line each."""

    outcomes: list[Outcome]
    ratings: dict[str, Any] | None
    left_out: list[str]

    @property
    def results(self) -> list[dict[str, Any]]:
        return [results for outcome in self.outcomes for results in outcome.results]


def read(paths: Sequence[Path]) -> Sources:
    """What lies at these paths: folders of runs, folders of such folders, a run alone, files of results, answers of
    rating sheets and their key. Raises ResultsError where nothing is there that can be shown."""
    left_out: list[str] = []
    outcomes: dict[Path, Outcome] = {}
    rated: list[Path] = []
    for path in paths:
        if path.is_file():
            if is_ratings(path):
                rated.append(path)
                continue
            outcome = outcomes.setdefault(path.parent.resolve(), Outcome(path.parent))
            outcome.results.append(fit(compare.read(path)))  # one that is named must be readable
            outcome.examples = outcome.examples or _examples(path, left_out.append)
        elif path.is_dir():
            for folder in _folders(path):
                if folder.resolve() not in outcomes:
                    outcomes[folder.resolve()] = _outcome(folder, left_out.append)
        else:
            raise ResultsError(f"{path}: no such folder of runs, nor a file of results")
    ratings = _ratings(rated, left_out.append)
    whole = [each for each in outcomes.values() if each.runs or each.results]
    if not whole and not ratings:
        where = ", ".join(map(str, paths))
        none = f"{where}: no runs and no results there; `lrcn train` and `lrcn evaluate` make them"
        raise ResultsError(left_out[0] if left_out else none)
    return Sources(whole, ratings, left_out)


def fit(value: Any) -> Any:
    """The same value with texts that can be shown; numbers that are none as None."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {fit(str(key)): fit(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [fit(each) for each in value]
    return value


def _folders(top: Path) -> list[Path]:
    """The folders of runs at or below `top`: itself, those of its experiments, and those of their splits."""
    if (top / "stage.json").exists():  # a run alone
        return [top]
    found = []
    for folder in [top, *sorted(each for each in top.iterdir() if each.is_dir())]:
        if runs_in(folder) and not (folder / "stage.json").exists():
            found.append(folder)
        elif _results_in(folder):
            found.append(folder)
        if folder != top:
            found += [each for each in sorted(folder.glob("split[0-9]*")) if each.is_dir()]
    return list(dict.fromkeys(found))


def _results_in(folder: Path) -> list[Path]:
    """Its files of results, those of all models first. A pipe, whose other end nobody may have, is none."""
    files = [path for path in folder.glob("results*.json") if not path.is_fifo()]
    return sorted(files, key=lambda path: (len(path.name), path.name))


def _outcome(folder: Path, tell: Tell) -> Outcome:
    outcome = Outcome(folder, runs_in(folder))
    for path in _results_in(folder):
        try:
            outcome.results.append(fit(compare.read(path)))
            outcome.examples = outcome.examples or _examples(path, tell)
        except (ResultsError, OSError) as error:
            tell(fit(str(error)))
    return outcome


def _examples(results: Path, tell: Tell) -> dict[str, Any] | None:
    """What `lrcn evaluate` wrote beside a file of results: results_ENDING.json has examples_ENDING.json."""
    path = results.with_name(results.name.replace("results", "examples", 1))
    try:
        if not path.is_file() or path == results:
            return None
        compare.check_size(path)
        return fit(read_json(path, dict[str, Any], ResultsError, "not the examples that `lrcn evaluate` writes"))
    except (ResultsError, OSError) as error:
        tell(fit(str(error)))
    return None


def _ratings(paths: Sequence[Path], tell: Tell) -> dict[str, Any] | None:
    if not paths:
        return None
    try:
        return fit(collect(paths))
    except DataError as error:
        tell(fit(str(error)))
    return None
