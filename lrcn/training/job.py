"""A job: an experiment on a data set, opened, planned, trained and evaluated.

job = open_job("demo-video", data="data/demo/semantics", out="runs/demo-video")
print(job.plan())
job.train()
evaluations = job.evaluate()
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from data_prep import DataError
from data_prep.dataset import Dataset
from data_prep.moved import lists_of_run
from lrcn.engine.compute import Compute
from lrcn.trained_net import TrainedNet
from lrcn.training import experiment as experiments
from lrcn.training import plan, pretrained
from lrcn.training.experiment import ILSVRC, Experiment, Stage
from lrcn.training.run import Files, Run, TrainError, identity_of, split_folder
from lrcn.training.tasks import PREPARED, Evaluation, Task, task_of
from lrcn.training.train import train
from netspecs import catalogue
from prototxt_gen import SpecError, caffe_pb2


@dataclass(frozen=True)
class Training:
    """A stage of one split: its data set, its run, and what its net is made of."""

    stage: Stage
    split: int
    dataset: Dataset
    run: Run
    settings: dict[str, Any]
    files: Files

    @property
    def task(self) -> Task:
        return task_of(self.stage.variant)

    def identity(self, weights: Sequence[Path]) -> dict[str, Any]:
        """What makes its run this run, starting from these weights, and no other."""
        return identity_of(self.files, weights, self.dataset.identity(self.stage.variant.modality, self.split))

    def files_here(self) -> Files:
        """Its nets and solver, which read the data set where it lies now."""
        net = caffe_pb2.NetParameter()
        net.CopyFrom(self.files["train_test"])
        lists_of_run(net, self.dataset, self.run.folder)
        return {**self.files, "train_test": net}


@dataclass(frozen=True)
class Start:
    """What the first nets start from: a .caffemodel, which the first net of each modality takes, and a captioner's CNN
    in every training; or, by the user's wish, random weights where the paper starts from ILSVRC-2012's."""

    weights: Path | None = None
    from_scratch: bool = False


@dataclass(frozen=True)
class Job:
    """An experiment opened by `open_job`; `splits` of the data set; `changes`: the settings that the user sets, by
    net."""

    experiment: Experiment
    dataset: Dataset
    out: Path
    splits: Sequence[int]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """What the experiment is for: the task of its last net."""
        return _task(self.experiment)

    def runs(self) -> Iterator[tuple[Stage, int, Run]]:
        """Each stage of each split and its run, in the order of training. What is pretrained is for all splits."""
        for split in self.splits:
            for stage in self.experiment.stages:
                if not stage.data:
                    yield stage, split, Run(split_folder(self.out, split) / stage.folder)
                elif split == self.splits[0]:
                    yield stage, 1, Run(self.out / stage.folder)

    @cached_property
    def trainings(self) -> list[Training]:
        """What there is to train, in order. DataError, SpecError where data set, settings and nets do not fit."""
        made = []
        for stage, split, run in self.runs():
            dataset = stage_data(stage, self.dataset)
            _check_kind(stage, dataset)
            task_of(stage.variant).check_data(stage, dataset, split)
            settings = _settings(stage, dataset, split, self.changes.get(stage.net, {}))
            made.append(Training(stage, split, dataset, run, settings, stage.variant.files(**settings)))
        return made

    # ---- training ------------------------------------------------------------------------------------------------

    @property
    def is_long(self) -> bool:
        """Whether it is worth while to look at the plan first."""
        return self.experiment.weights == ILSVRC

    def check_start(self, start: Start = Start(), dry_run: bool = False) -> None:
        """Refuses what cannot be trained from where it would start; dry_run: what cannot even be planned. Raises
        SpecError, TrainError."""
        weights, name = start.weights, self.experiment.name
        if weights and start.from_scratch:
            raise SpecError("--weights and --from-scratch: give one of them")
        if weights and not any(each.task.reads_pixels for each in self.trainings):
            raise SpecError(f"--weights {weights}: {name} has no CNN to start from them; leave it out")
        here = {stage.folder for stage in self.experiment.stages}
        for stage, split, _ in self.runs():
            run = self._start(stage, split)
            if run and stage.start not in here and not run.finished:
                raise TrainError(
                    f"{run.folder}: no net trained to its end is there, from which {stage.training or stage.folder} "
                    "starts; add its training to --stages, or give the --out where it lies"
                )
        if dry_run or weights:
            return
        if self.is_long and not start.from_scratch:
            raise SpecError(f"{name}: {pretrained.NEEDED}")
        self.task.random_cnn(self)

    def plan(
        self, start: Start = Start(), resume: bool = True, gpu: int | None = None, trial_in: Compute | None = None
    ) -> str:
        """What `train` will do, in words; with `trial_in`, after a few iterations of every net there."""
        return plan.of_job(self, start, resume, gpu, trial_in)

    def train(self, start: Start = Start(), resume: bool = True, compute: Compute | None = None) -> list[Run]:
        """Trains every net that is not trained yet; one that was cut off goes on. Gives their runs. resume False: all
        begin anew. Raises SpecError, DataError, TrainError, CaffeError."""
        self.check_start(start)
        compute = compute or Compute()
        for training in self.trainings:
            if not (resume and training.run.finished):
                training.task.check_order(training, self.changes.get(training.stage.net, {}))
        if not (start.weights or start.from_scratch) and (remark := self.task.random_cnn(self)):
            compute.progress(f"no --weights: {remark}", 0, 0)
        for training in self.trainings:
            run, before = training.run, self._start(training.stage, training.split)
            starting = training.task.starting_weights(training, before.weights if before else None, start.weights)
            with run.locked():
                if not resume:
                    run.clear()
                run.claim(training.identity(starting), training.settings, training.dataset.description)
                about = {"classes": training.dataset.classes, **training.task.about_data(training.dataset)}
                run.keep(training.stage.variant, training.settings, about, training.dataset.folder)
                train(run, training.files_here(), compute, starting)
        return [training.run for training in self.trainings]

    def _start(self, stage: Stage, split: int) -> Run | None:
        """The run that a stage starts from."""
        if not stage.start:
            return None
        for other, of_split, run in self.runs():
            if other.folder == stage.start and (other.data or of_split == split):
                return run
        return Run(split_folder(self.out, split) / stage.start)

    # ---- evaluation ----------------------------------------------------------------------------------------------

    def trained(self, stage: Stage, split: int = 1) -> TrainedNet:
        """The trained net of a stage. TrainError where it is not trained to its end, was trained on other data, or
        otherwise than the user says."""
        run = Run((self.out if stage.data else split_folder(self.out, split)) / stage.folder)
        dataset = stage_data(stage, self.dataset)
        net = run.net(self.changes.get(stage.net))
        run.check_data(dataset.folder, dataset.identity(stage.variant.modality, split), dataset.description)
        return replace(net, settings=dict(net.settings) | {"data": str(dataset.folder.resolve())})

    def evaluate(self, compute: Compute | None = None, **options: Any) -> list[Evaluation]:
        """Scores the trained nets and writes results.json and its like into `out`. options: fields of the task's
        `Options`. Raises TrainError, CaffeError, DataError."""
        return self.task.evaluate(self, self.task.Options(**options), compute or Compute())


def open_job(
    name: str,
    data: Path | str | None = None,
    out: Path | str | None = None,
    *,
    split: int | str = 1,
    rows: Sequence[str] = (),
    trainings: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Job:
    """Opens an experiment: one of lrcn's, a TOML file, or a net of the catalogue with what it starts from.

    data, out: the prepared data set and where the runs lie; by default as the experiment says, or where the runs in
    `out` were trained. split: 1, 2, 3 or "all". rows: of the paper's tables, to leave out others. trainings: of
    captioners. settings: over the experiment's, for all nets or in a dictionary under one net's name.

    Raises SpecError for what does not exist, DataError for a data set that does not fit.
    """
    experiment, out_folder = _experiment(name, rows, trainings, out)
    settings = dict(settings or {})
    if any("stage" in each for each in (settings, *settings.values()) if isinstance(each, Mapping)) and any(
        stage.training for stage in experiment.stages
    ):
        raise SpecError("stage: a captioner's trainings are named by --stages, as train,finetune")
    folder = Path(data) if data else experiment.data_folder
    if not data and not folder.exists():
        folder = _trained_on(experiment, out_folder) or folder
    dataset = Dataset(folder)
    experiment = _fitting(experiment, dataset, trainings)
    changes = catalogue.share_out(settings, dict.fromkeys(stage.net for stage in experiment.stages))
    return Job(experiment, dataset, out_folder, _splits(experiment, dataset, split), changes)


def _experiment(
    name: str, rows: Sequence[str], trainings: Sequence[str], out: Path | str | None
) -> tuple[Experiment, Path]:
    """What is to be trained, and where the runs lie."""
    if _is_net(name):
        variant = catalogue.get(name)
        task = task_of(variant)
        experiment = Experiment(name, (Stage(name),), task.kinds)
        out = Path(out) if out else experiment.out_folder
        if rows:
            raise SpecError(f"--rows {','.join(rows)}: an experiment has rows; {name} is one net")
        return replace(experiment, stages=tuple(task.stages(variant, trainings, out))), out
    experiment = experiments.read(name)
    if rows:
        experiment = experiment.of_rows(rows)
    if trainings:
        experiment = experiment.of_trainings(trainings)
    return experiment, Path(out) if out else experiment.out_folder


def _trained_on(experiment: Experiment, out: Path) -> Path | None:
    """The data set that the last of the runs in `out` was trained on, where that still lies there."""
    note = Run(out / experiment.stages[-1].folder).note if "{" not in experiment.stages[-1].net else None
    folder = Path(note["settings"].get("data", "")) if note else None
    return folder if folder and (folder / "dataset.json").exists() else None


def _fitting(experiment: Experiment, dataset: Dataset, trainings: Sequence[str]) -> Experiment:
    """The experiment on what the data set holds. DataError where it is of another kind."""
    if dataset.kind not in experiment.kinds:
        raise DataError(
            f"{dataset.folder}: holds {dataset.kind}; {experiment.name} trains on {PREPARED[experiment.kinds[0]]}"
        )
    return _task(experiment).fit(experiment, dataset, trainings)


def task_named(name: str) -> Task:
    """What an experiment, or a net of the catalogue, is for. SpecError where there is no such one."""
    return task_of(catalogue.get(name)) if _is_net(name) else _task(experiments.read(name))


def _is_net(name: str) -> bool:
    return name in catalogue.names() and name not in experiments.names()


def _task(experiment: Experiment) -> Task:
    return task_of(experiment.on_features("fc6", "rgb").stages[-1].variant)


def _splits(experiment: Experiment, dataset: Dataset, split: int | str) -> list[int]:
    splits = dataset.description.get("splits", [1])
    there = splits if isinstance(splits, list) else [1]  # of sentences, it says how many each part has
    wanted = there if split == "all" else [int(split)]
    if not set(wanted) <= set(there):
        raise DataError(
            f"{dataset.folder}: has no split {split}, only {', '.join(map(str, there))}; prepare the data set with it"
        )
    return wanted


def settings_of(net: str, dataset: Dataset, changes: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a net of the catalogue on a data set, `changes` of the user's over them. Raises SpecError, and
    DataError for a data set of a kind that it does not take."""
    stage = Stage(net)
    _check_kind(stage, dataset)
    return _settings(stage, dataset, 1, catalogue.share_out(changes, [net])[net])


def _check_kind(stage: Stage, dataset: Dataset) -> None:
    """DataError for a data set of a kind that a stage's net does not take."""
    if dataset.kind not in (kinds := task_of(stage.variant).kinds):
        raise DataError(f"{dataset.folder}: holds {dataset.kind}; {stage.net} trains on {PREPARED[kinds[0]]}")


def _settings(stage: Stage, dataset: Dataset, split: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The published values, then the data set's, the stage's, and the user's."""
    sizes = {"data": str(dataset.folder.resolve())} | task_of(stage.variant).sizes(stage, dataset, split, changes)
    known = {name: value for name, value in sizes.items() if name in stage.variant.table}
    return stage.variant.settings(**known | dict(stage.settings) | dict(changes))


def stage_data(stage: Stage, dataset: Dataset) -> Dataset:
    """What a stage is trained on: the data set, or the one of its own that it is pretrained on."""
    return Dataset(Path(os.path.abspath(dataset.folder / stage.data))) if stage.data else dataset
