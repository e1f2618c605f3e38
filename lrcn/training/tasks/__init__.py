"""A module for each task of the paper: which data it takes, which sizes the data set, whose weights it starts from, how
it is scored and shown. A new task is one more module here, named as its nets' task, with its `TASK`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.dataset import Dataset
from lrcn.engine.compute import Compute
from lrcn.training.experiment import Experiment, Stage
from lrcn.training.workspace import Training, Workspace
from netspecs.variant import Variant
from prototxt_gen import SpecError


@dataclass(frozen=True)
class Evaluation:
    """What `lrcn evaluate` measured: results.json, where it lies, a table of it, and what there is to remark."""

    results: Mapping[str, Any]
    path: Path
    text: str
    notes: Sequence[str] = ()

    def files(self, pattern: str) -> list[Path]:
        """The files of such names that were written with it: theirs end as its own does, as in "results_last.json"."""
        folder = self.path.parent
        endings = sorted((path.stem.removeprefix("results") for path in folder.glob("results*.json")), key=len)

        def ending(path: Path) -> str:
            return next(each for each in reversed(["", *endings]) if path.stem.endswith(each))

        mine = self.path.stem.removeprefix("results")
        return sorted(path for path in folder.glob(pattern) if ending(path) == mine)


@dataclass(frozen=True)
class NoOptions:
    """Of an evaluation that leaves nothing to choose."""


class Task:
    """What one kind of nets is for; `kinds` of data sets it takes, the usual one first."""

    Options: type[Any] = NoOptions  # of its evaluation; `lrcn evaluate` has an option for each of their fields
    kinds: tuple[str, ...]
    chooses: tuple[str, ...] = ()  # options that choose among its nets: split, rows, stages
    reads_pixels = False  # has a CNN, which `--weights` fills
    weights_option = "model"  # of `lrcn evaluate`, for a net from elsewhere

    def stages(self, variant: Variant, trainings: Sequence[str], out: Path) -> list[Stage]:
        """What is trained for one net of the catalogue, in order. trainings: those that the user names. out: where the
        runs lie, for what is started from and not named. SpecError for a training that is not there."""
        if trainings:
            raise SpecError(
                f"--stages {','.join(trainings)}: captioners are trained in stages; {variant.name} has none"
            )
        return [Stage(variant.name)]

    def stage_before(self, stage: Stage) -> Stage | None:
        """The stage that one starts from, where it is none of its experiment's."""
        return None

    def fit(self, experiment: Experiment, dataset: Dataset, trainings: Sequence[str]) -> Experiment:
        """The experiment on what the data set holds. trainings: those that the user names. DataError where they cannot
        be had with it."""
        return experiment

    def check_data(self, stage: Stage, dataset: Dataset, split: int) -> None:
        """DataError where the data set lacks what a stage reads."""

    def sizes(self, stage: Stage, dataset: Dataset, split: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that the data set decides. chosen: what the stage and the user set. SpecError where that does
        not go with the data set."""
        raise NotImplementedError

    def decided(self, dataset: Dataset) -> Sequence[str]:
        """The names of those of `sizes` that nobody can set otherwise: what lies in the data set's files is of them."""
        return ("vocabulary", "steps", "streams")

    def about_data(self, dataset: Dataset) -> dict[str, Any]:
        """What a run keeps of its data set in stage.json, beside "classes"."""
        return {}

    def check_order(self, training: Training, changes: Mapping[str, Any]) -> None:
        """TrainError where training on the data in their order would come to nothing."""

    def starting_weights(self, start: Path | None, weights: Path | None) -> list[Path]:
        """The files whose layers a training starts with, later ones over earlier. start: of the stage that it starts
        from. weights: the user's, a CNN's."""
        return [start] if start else []

    def check_given(self, training: Training, weights: Path, vocabulary: Path | None) -> None:
        """SpecError where weights that are given in place of a training are not of its net. vocabulary: the words that
        they were trained with."""

    def random_cnn(self, work: Workspace, trainings: Sequence[Training], with_cnn: Container[str] = ()) -> str | None:
        """What there is to say where a CNN starts from random weights, without any of the user's; None where none does.
        trainings: to be done. with_cnn: folders of stages that are given, CNN and all. TrainError where that trains
        nothing."""
        return None

    def usual_weights(self, training: Training) -> list[str]:
        """What can be given as `--weights` of a training, a line each."""
        return []

    def batch_setting(self, training: Training) -> str:
        """The name of the setting that says how many items a training batch has."""
        return "streams"

    def extent(self, dataset: Dataset, splits: Sequence[int]) -> str:
        """How much a data set holds, in words."""
        raise NotImplementedError

    def batch(self, training: Training) -> str:
        """A training batch in words: "100 x 20 words"."""
        raise NotImplementedError

    def evaluate(self, work: Workspace, options: Any, compute: Compute, jobs: int | None = None) -> list[Evaluation]:
        """Scores the trained nets and writes what was measured into the folder of the runs. options: its `Options`;
        jobs: so many nets at a time, as `side_by_side` has it. Raises TrainError, CaffeError, DataError."""
        raise NotImplementedError


def task_of(variant: Variant) -> Task:
    """The task of a net. SpecError where there is no module for it."""
    name = f"{__name__}.{variant.task}"
    if importlib.util.find_spec(name) is None:
        raise SpecError(
            f"{variant.name}: lrcn has no task '{variant.task}'; its module belongs into lrcn/training/tasks"
        )
    task: Task = importlib.import_module(name).TASK
    return task
