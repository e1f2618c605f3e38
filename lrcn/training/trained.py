"""The trained nets that `lrcn train` left in an --out: for whoever uses them without the experiment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lrcn.results.published import TABLE1_ROWS
from lrcn.trained_net import TrainedNet, check_filled
from lrcn.training.run import Run, TrainError, runs_in, split_folder
from lrcn.training.tasks.caption import STARTS
from netspecs import catalogue
from prototxt_gen import nearest

MODALITIES = ("rgb", "flow")
USUAL = {"activity": "lrcn-fc6", "caption": "lrcn-2f", "video": "decoder-prob", "lm": "lstm-lm"}
WANTED = {
    "activity": "net that classifies videos",
    "caption": "captioner",
    "video": "net that describes videos",
    "lm": "language model",
}
COMMANDS = {
    "activity": "`lrcn classify VIDEO --run {}`",
    "caption": "`lrcn caption IMAGE --run {}`",
    "video": "`lrcn describe FILE --run {}`",
    "lm": "`lrcn sample --run {}`",
}


def classifiers(out: Path | str, split: int = 1, row: str | None = None) -> dict[str, TrainedNet]:
    """{"rgb": net, "flow": net} of a row of Table 1, of those that are trained. row: lrcn-fc6, or what is there, by
    default. TrainError where there is none, or not such a one; SpecError where it was given with another classifier."""
    folder = split_folder(out, split)
    runs = {run.folder.name: run for run in _finished(runs_in(folder))}
    there = [each for each in TABLE1_ROWS if any(f"{each}-{modality}" in runs for modality in MODALITIES)]
    if not there:
        raise _none(folder, "activity")
    row = _chosen(folder, row, there, USUAL["activity"], there[-1])
    nets = {each: runs[f"{row}-{each}"] for each in MODALITIES if f"{row}-{each}" in runs}
    for run in nets.values():
        if run.settings["backbone"] == "features":
            raise TrainError(f"{run.folder}: reads activations computed beforehand, not videos; name a run on frames")
        if run.given:
            check_filled([run.variant.files(**run.settings)["deploy"]], run.given, len(run.net().classes))
    return {modality: run.net() for modality, run in nets.items()}


def single_frames(out: Path | str, split: int, modalities: Iterable[str]) -> dict[str, TrainedNet]:
    """The single-frame nets of these modalities, to be shown beside an LRCN; none where one of them is not trained."""
    runs = {run.folder.name: run for run in runs_in(split_folder(out, split)) if run.finished}
    names = {modality: f"single-frame-{modality}" for modality in modalities}
    if not set(names.values()) <= runs.keys() or any(runs[name].given for name in names.values()):
        return {}
    return {modality: runs[name].net() for modality, name in names.items()}


def writer(out: Path | str, task: str, name: str | None = None) -> TrainedNet:
    """The net of a task, "caption", "video" or "lm", that its last training left. name: lrcn-2f, decoder-prob, or what
    is there, by default. TrainError where there is none, or not such a one."""
    runs: dict[str, Run] = {}
    damaged = [run for run in runs_in(out) if run.note is None]
    for run in _finished(runs_in(out)):
        note = run.note
        if note and note["variant"] in [variant.name for variant in catalogue.variants(task)]:
            other = runs.get(short := run.variant.short_name)
            if other is None or _turn(other) < _turn(run):
                runs[short] = run
    if damaged and name not in runs:
        damaged[0].read_note()
    if not runs:
        raise _none(Path(out), task)
    run = runs[_chosen(Path(out), name, list(runs), USUAL[task], next(iter(runs)))]
    if run.settings.get("backbone") == "features":
        raise TrainError(f"{run.folder}: reads activations computed beforehand, not images; name a run on images")
    return run.net()


def _none(folder: Path, task: str) -> TrainError:
    """That a folder holds no net of a task, and what it holds in its place."""
    others = [run for run in runs_in(folder) if run.note]
    if not others:
        return TrainError(
            f"{folder}: holds no trained {WANTED[task]}; name the --out of `lrcn train {task}/...`, and give that "
            "command again if it is of an earlier lrcn"
        )
    names = ", ".join(dict.fromkeys(run.variant.name for run in others))
    # A CNN that captioners start from is an activity net under a name of its own, which `classify` does not take.
    tasks = [
        run.variant.task
        for run in others
        if run.variant.task != "activity" or run.folder.name == run.variant.short_name
    ]
    uses = " or ".join(COMMANDS[each].format(folder) for each in dict.fromkeys(tasks))
    return TrainError(f"{folder}: holds no {WANTED[task]} but {names}" + (f"; {uses} is for these" if uses else ""))


def _finished(runs: list[Run]) -> list[Run]:
    """Those that are trained to their end; all where none is, of which each says so itself."""
    return [run for run in runs if run.finished] or runs


def _turn(run: Run) -> int:
    """How late in a captioner's trainings it comes."""
    return list(STARTS).index(run.settings.get("stage", "train"))


def _chosen(folder: Path, name: str | None, there: list[str], usual: str, default: str) -> str:
    name = name or (usual if usual in there else default)
    if name not in there:
        raise TrainError(f"{folder}: has no {name}, only {', '.join(there)}{nearest(name, there)}")
    return name
