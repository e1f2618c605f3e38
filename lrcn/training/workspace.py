"""Where an experiment meets its data set and its runs: what is trained on what, in which folder."""

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
from lrcn.activity import clip_settings
from lrcn.trained_net import TrainedNet
from lrcn.training.experiment import ILSVRC, Experiment, Stage
from lrcn.training.run import Files, Run, identity_of, split_folder
from netspecs.variant import Variant
from prototxt_gen import caffe_pb2
from prototxt_gen.shapes import NetShapes, infer


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
    def variant(self) -> Variant:
        return self.stage.variant

    @cached_property
    def net(self) -> NetShapes:
        """What Caffe makes of its training net."""
        solver, inputs = self.files["solver"], self.variant.input_shapes(**self.settings)["train"]
        stages = solver.train_state.stage
        return infer(self.files["train_test"], "TRAIN", stages, inputs=inputs, python=clip_settings.top_shapes)

    def identity(self, weights: Sequence[Path]) -> dict[str, Any]:
        """What makes its run this run, starting from these weights, and no other."""
        return identity_of(self.files, weights, self.dataset.identity(self.variant.modality, self.split))

    def files_here(self) -> Files:
        """Its nets and solver, which read the data set where it lies now."""
        net = caffe_pb2.NetParameter()
        net.CopyFrom(self.files["train_test"])
        lists_of_run(net, self.dataset, self.run.folder)
        return {**self.files, "train_test": net}


@dataclass(frozen=True)
class Start:
    """What the first nets start from: a .caffemodel, which the first net of each modality takes, and a captioner's CNN
    in every training; or, by the user's wish, random weights where the paper starts from ILSVRC-2012's.

    trained: stages that are not trained here but given, as "STAGE=FILE", a stage by its folder, or FILE of the one
    stage that is started from. vocabulary: the vocabulary.txt that a given stage was trained with.
    """

    weights: Path | None = None
    from_scratch: bool = False
    trained: Sequence[str] = ()
    vocabulary: Path | None = None


@dataclass(frozen=True)
class Workspace:
    """An experiment, its data set, the folder of its runs, and which splits of the data set are meant; `changes`: the
    settings that the user sets, by net."""

    experiment: Experiment
    dataset: Dataset
    out: Path
    splits: Sequence[int]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_long(self) -> bool:
        """Whether it is worth while to look at the plan first."""
        return self.experiment.weights == ILSVRC

    def data_of(self, stage: Stage) -> Dataset:
        """The data set that a stage is trained on: the experiment's, or one of the stage's own. Errors: DataError."""
        if not stage.data:
            return self.dataset
        folder = Path(os.path.abspath(self.dataset.folder / stage.data))
        if not folder.exists():
            raise DataError(
                f"{self.dataset.folder}: no folder {stage.data} in it, on which {self.experiment.name} pretrains"
                f" {stage.folder}; `lrcn experiments` lists others, `small` for videos of your own"
            )
        return Dataset(folder)

    def run_of(self, stage: Stage, split: int = 1) -> Run:
        """The run of a stage; what is pretrained is for all splits."""
        return Run((self.out if stage.data else split_folder(self.out, split)) / stage.folder)

    def runs(self) -> Iterator[tuple[Stage, int, Run]]:
        """Each stage of each split and its run, in the order of training."""
        for split in self.splits:
            for stage in self.experiment.stages:
                if not stage.data:
                    yield stage, split, self.run_of(stage, split)
                elif split == self.splits[0]:
                    yield stage, 1, self.run_of(stage)

    def name_of(self, run: Run) -> str:
        """What a run is called among those of `out`: "lrcn-fc6-rgb", "split2/lrcn-fc6-rgb"."""
        return str(run.folder.relative_to(self.out))

    def start_of(self, stage: Stage, split: int) -> Run | None:
        """The run that a stage starts from."""
        if not stage.start:
            return None
        other = next((each for each in self.experiment.stages if each.folder == stage.start), None)
        return self.run_of(other, split) if other else Run(split_folder(self.out, split) / stage.start)

    def needed(self, stage: Stage) -> set[int]:
        """The iterations of a stage at which others start from it, or it is scored."""
        starts = {each.start_at for each in self.experiment.stages if each.start == stage.folder}
        return {each for each in {*starts, stage.score_at} if each is not None}

    def trained(self, stage: Stage, split: int = 1) -> TrainedNet:
        """The trained net of a stage, to be used on the data set. TrainError where it is not trained to where it is
        scored, its end, was trained on another data set, or otherwise than the user says."""
        run, dataset = self.run_of(stage, split), self.data_of(stage)
        net = run.net(self.changes.get(stage.net), stage.score_at)
        run.check_data(dataset, stage.variant.modality, split)
        return replace(net, settings=dict(net.settings) | {"data": str(dataset.folder.resolve())})
