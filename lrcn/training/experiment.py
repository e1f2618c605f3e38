"""Experiments as data: which nets are trained in which order, from whose weights, with which settings.

An experiment is a TOML file, one of those in `experiments/` or the user's own:

    about = "a line for `lrcn experiments`"
    kind = "frames"             # of data set: frames, features, captions or semantics
    data = "data/demo"          # where it is looked for without --data; data/NAME by default
    weights = "ILSVRC-2012"     # must be given (--weights), or refused (--from-scratch); "none": has no use for them
    extends = "demo"            # settings and stages of another experiment, before its own; FILE.toml: beside this one

    [settings]                  # set otherwise than published, in every net that has the setting
    [settings."activity/lrcn-*"]            # and in these nets alone

    [[stages]]                  # trained in this order
    net = "activity/lrcn-fc6-rgb"           # {layer} and {modality} are the data set's, of kind features
    start = "single-frame-rgb"  # the folder of the stage whose weights it starts from
    start_at = 90000            # from its snapshot of this iteration; from its end by default
    score_at = 50000            # `lrcn evaluate` takes this iteration's snapshot; the last one by default
    name = "again"              # its own folder, where one net is trained more than once; the net's name by default
    data = "stills"             # trained on this folder, seen from the data set's, once for all splits; not evaluated
    settings = { max_iter = 300 }
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from netspecs import catalogue
from netspecs.variant import Variant
from prototxt_gen import SpecError, nearest
from readers.toml_files import read_toml

FOLDER = Path(__file__).parent / "experiments"
KEYS = {"about": str, "kind": str, "data": str, "weights": str, "extends": str, "settings": dict, "stages": list}
STAGE_KEYS = {"net": str, "start": str, "start_at": int, "score_at": int, "name": str, "data": str, "settings": dict}
TAKES: dict[type, str] = {
    str: "text",
    int: "an iteration, a whole number from 1",
    dict: "a table",
    list: "tables, each under a line [[stages]]",
}
MOST_EXTENDED = 20  # files one after the other
KINDS = {  # of data sets, and how they are made
    "frames": "videos: `lrcn prepare ucf101` or videos",
    "features": "activations of videos: `lrcn prepare features`",
    "captions": "captions: `lrcn prepare captions`, coco or flickr30k",
    "semantics": "what a CRF says of videos, with sentences: `lrcn prepare tacos`",
}
_FOLDER = re.compile(r"(?![.]{0,2}$)[^/\x00-\x1f\x7f]+")  # beside which no other is written to
ILSVRC, NONE = "ILSVRC-2012", "none"  # what `weights` may say


@dataclass(frozen=True)
class Stage:
    """One net to train: its name in the catalogue, what is set otherwise than published, the folder of the stage whose
    weights it starts from, the data set of its own that it is pretrained on, and its folder's name if not the net's.
    start_at, score_at: the iterations whose snapshots it starts from, of the other stage, and is scored by; the last
    ones where they are None."""

    net: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: str | None = None
    data: str | None = None
    name: str | None = None
    start_at: int | None = None
    score_at: int | None = None

    @property
    def variant(self) -> Variant:
        return catalogue.get(self.net)

    @property
    def folder(self) -> str:
        return self.name or self.variant.short_name

    @property
    def training(self) -> str | None:
        """Which of a net's trainings it is, as `lrcn train --stages` names it; None where a net has one only."""
        return str(self.settings.get("stage", "train")) if self.variant.editions == "stage" else None


@dataclass(frozen=True)
class Experiment:
    """What a TOML file says; `weights`: ILSVRC, NONE or None, which leaves it to the user."""

    name: str
    stages: tuple[Stage, ...]
    kinds: tuple[str, ...]
    about: str = ""
    data: str | None = None
    weights: str | None = None

    @property
    def data_folder(self) -> Path:
        """Where its data set is looked for."""
        return Path(self.data or Path("data") / self.name.replace("/", "-"))

    @property
    def out_folder(self) -> Path:
        """Where its runs lie."""
        return Path("runs") / self.name.replace("/", "-")

    def rows(self) -> list[str]:
        """The rows of the paper's tables that its nets are, in the order of training."""
        return list(dict.fromkeys(stage.variant.row for stage in self.stages if not stage.data))

    def of_rows(self, rows: Sequence[str]) -> Experiment:
        """The stages of these rows alone, with those that they start from. SpecError for a row that is not there."""
        for row in rows:
            if row not in self.rows():
                raise SpecError(
                    f"{self.name} has no row '{row}', only {', '.join(self.rows())}{nearest(row, self.rows())}"
                )
        return self._only([stage for stage in self.stages if stage.variant.row in rows])

    def of_trainings(self, trainings: Sequence[str]) -> Experiment:
        """These trainings of its captioners alone; what they start from, if it is not named, must be trained already.
        SpecError for one that is not there."""
        there = list(dict.fromkeys(stage.training for stage in self.stages if stage.training))
        if not there:
            raise SpecError(f"--stages {','.join(trainings)}: captioners are trained in stages; {self.name} has none")
        for training in trainings:
            if training not in there:
                hint = nearest(training, there)
                raise SpecError(f"--stages: {self.name} has no stage '{training}', only {', '.join(there)}{hint}")
        kept = self._only([stage for stage in self.stages if stage.training in trainings]).stages
        return replace(self, stages=tuple(stage for stage in kept if stage.training in (None, *trainings)))

    def _only(self, wanted: Sequence[Stage]) -> Experiment:
        folders = {stage.folder for stage in wanted}
        for stage in reversed(self.stages):
            if stage.folder in folders and stage.start:
                folders.add(stage.start)
        return replace(self, stages=tuple(stage for stage in self.stages if stage.folder in folders))

    def on_features(self, layer: str, modality: str) -> Experiment:
        """With {layer} and {modality} in the nets' names filled in: fc6 or fc7, rgb or flow."""
        stages = (replace(each, net=_on_features(each.net, layer, modality)) for each in self.stages)
        return replace(self, stages=tuple(stages))


# ---- the files ---------------------------------------------------------------------------------------------


def names() -> list[str]:
    """The experiments that come with lrcn."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.toml"))


def path_of(name: str) -> Path:
    """The file of an experiment: one of `names`, or a file of the user's, NAME.toml. SpecError where there is none."""
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise SpecError(f"{name}: no such file; `lrcn experiments show demo` prints one to begin with")
        return Path(name)
    if name in catalogue.names() and name not in names():
        raise SpecError(
            f"{name}: a net of the catalogue, not an experiment with a file; `lrcn experiments` names those"
        )
    if name not in names():
        known = [*names(), *catalogue.names()]
        raise SpecError(
            f"there is no experiment or net '{name}'"
            + (nearest(name, known) or f"; the experiments are {', '.join(names())}")
        )
    return FOLDER / f"{name}.toml"


def read(name: str) -> Experiment:
    """The experiment of a file (`path_of`). SpecError, one line, for one that makes no sense."""
    path = path_of(name)
    values = _values(path)
    stages = [_stage(path, number, values["kind"], each) for number, each in enumerate(values["stages"], 1)]
    common = [(pattern, table) for part in values["settings"] for pattern, table in _tables(part)]
    _check_settings(path, common, stages)
    folders: list[str] = []
    for number, stage in enumerate(stages):
        stages[number] = stage = replace(stage, settings=_shared(common, stage.net) | dict(stage.settings))
        folder = stage.name or stage.net.split("/")[-1]
        if folder in folders:
            raise SpecError(f"{path}: two stages have the folder {folder}; give one of them a name")
        if stage.start and stage.start not in folders:
            raise SpecError(
                f"{path}: stage {folder} starts from {stage.start}, which no stage before it is"
                f"{nearest(stage.start, folders)}"
            )
        folders.append(folder)
    return Experiment(
        path.stem if name.endswith(".toml") else name,
        tuple(stages),
        (values["kind"],),
        values.get("about", ""),
        values.get("data"),
        values.get("weights"),
    )


def _values(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What a file says, with what it extends: "settings" is a list of tables, the extended ones first."""
    values = read_toml(path, dict[str, Any], SpecError)
    _check_keys(f"{path}", values, KEYS)
    if values.get("weights", NONE) not in (ILSVRC, NONE):
        raise SpecError(f'{path}: weights = "{values["weights"]}": it takes "{ILSVRC}" or "{NONE}"')
    base: dict[str, Any] = {"settings": [], "stages": []}
    if "extends" in values:
        extended = _extended(path, values.pop("extends"))
        if extended.resolve() in (path.resolve(), *above):
            raise SpecError(f"{path}: extends {extended}, which extends it")
        if len(above) == MOST_EXTENDED:
            raise SpecError(f"{path}: extends {extended}, as {MOST_EXTENDED} files before it do; write them as one")
        base = _values(extended, (path.resolve(), *above))
    whole = base | values
    whole["settings"] = [*base["settings"], values.get("settings", {})]
    whole["stages"] = [*base["stages"], *values.get("stages", [])]
    if not whole["stages"]:
        raise SpecError(f"{path}: has no [[stages]]; each names a net, as `lrcn experiments show demo` has it")
    if whole.get("kind") not in KINDS:
        raise SpecError(f'{path}: kind = "{whole.get("kind", "")}": it takes one of {", ".join(KINDS)}')
    return whole


def _extended(path: Path, name: str) -> Path:
    """The file of the experiment that the one in `path` extends."""
    try:
        return path_of(str(path.parent / name) if name.endswith(".toml") else name)
    except SpecError as error:
        raise SpecError(f'{path}: extends = "{name}": {error}') from None


def _stage(path: Path, number: int, kind: str, values: Any) -> Stage:
    where = f"{path}: stage {number}"
    _check_keys(where, values, STAGE_KEYS)
    if "net" not in values:
        raise SpecError(f"{where}: names no net; `lrcn nets list` has their names")
    net = values["net"]
    if "{" in net and kind != "features":
        raise SpecError(f"{where}: {net}: {{layer}} and {{modality}} are of data sets of kind features")
    try:
        known = _settings_of(net)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
    for name in values.get("settings", {}):
        if name not in known:
            raise SpecError(f"{where}: {net} has no setting '{name}'{nearest(name, known)}")
    if not _FOLDER.fullmatch(values.get("name", "own")):
        raise SpecError(f"{where}: name = {values['name']!r}: it takes the name of a folder of its own")
    if "start_at" in values and "start" not in values:
        raise SpecError(
            f"{where}: start_at = {values['start_at']} is of the stage that it starts from; name that: start"
        )
    return Stage(**values)


def _check_keys(where: str, values: Any, known: Mapping[str, type]) -> None:
    if not isinstance(values, dict):
        raise SpecError(f"{where}: not a table; write [[stages]] above it")
    for key, value in values.items():
        if key not in known:
            raise SpecError(f"{where}: has no use for '{key}'{nearest(key, known)}")
        if not isinstance(value, known[key]) or (isinstance(value, int) and (value is True or value < 1)):
            raise SpecError(f"{where}: {key} = {value!r}: it takes {TAKES[known[key]]}")


def _tables(settings: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """[settings] as (pattern of nets' names, its settings), what is for all nets first."""
    common = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    return [("*", common), *((name, value) for name, value in settings.items() if isinstance(value, dict))]


def _shared(tables: Sequence[tuple[str, dict[str, Any]]], net: str) -> dict[str, Any]:
    """Those of the tables' settings that a net has."""
    known = _settings_of(net)
    return {
        name: value
        for pattern, table in tables
        if fnmatchcase(net, pattern)
        for name, value in table.items()
        if name in known
    }


def _settings_of(net: str) -> Mapping[str, Any]:
    return catalogue.get(_on_features(net, "fc6", "rgb")).table


def _on_features(net: str, layer: str, modality: str) -> str:
    return net.replace("{layer}", layer).replace("{modality}", modality)


def _check_settings(path: Path, tables: Sequence[tuple[str, dict[str, Any]]], stages: Sequence[Stage]) -> None:
    """SpecError for a pattern that no net matches, and for a setting that none of its nets has."""
    for pattern, table in tables:
        nets = [stage.net for stage in stages if fnmatchcase(stage.net, pattern)]
        if not nets and table:
            raise SpecError(f'{path}: [settings."{pattern}"] is for no net of its stages')
        for name in table:
            known = {setting for net in nets for setting in _settings_of(net)}
            if name not in known:
                raise SpecError(
                    f"{path}: no setting '{name}' in {' and '.join(dict.fromkeys(nets))}{nearest(name, known)}"
                )
