"""A job: an experiment on a data set, opened, planned, trained and evaluated.

job = open_job("demo-video", data="data/demo/semantics", out="runs/demo-video")
print(job.plan())
job.train()
evaluations = job.evaluate()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from data_prep import DataError, store
from data_prep.dataset import Dataset
from lrcn.engine import EngineError
from lrcn.engine.cards import cards
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.engine.side_by_side import at_most, lanes, shares, side_by_side
from lrcn.released.weights import weights_file
from lrcn.trained_net import TrainedNet
from lrcn.training import beside, disk, plan, pretrained, starting
from lrcn.training import experiment as experiments
from lrcn.training.board import Board, place_of
from lrcn.training.experiment import KINDS, Experiment, Stage
from lrcn.training.memory import Memory, check_cards
from lrcn.training.run import Kept, Run, TrainError, at_work_in, runs_in
from lrcn.training.share import share_of
from lrcn.training.tasks import Evaluation, Task, task_of
from lrcn.training.train import train
from lrcn.training.workspace import Start, Training, Workspace
from netspecs import catalogue
from netspecs.variant import file_prefix
from prototxt_gen import SpecError, nearest

BoardOf = Callable[[Training], AbstractContextManager[Board | None]]
DEMO = ("data", "demo")  # where the demo's data sets lie


@dataclass(frozen=True)
class Job(Workspace):
    """A workspace opened by `open_job`, with what is done in it.

    files: weights from elsewhere, by the name of their net, which are evaluated in place of runs; vocabulary: of those
    that write sentences.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    vocabulary: Path | None = None

    @property
    def task(self) -> Task:
        """What the experiment is for: the task of its last net."""
        return _task(self.experiment)

    @property
    def modalities(self) -> set[str]:
        """ "rgb", "flow": the images of videos that its nets look at; activations are none."""
        if self.dataset.kind != "frames":
            return set()
        return {str(stage.variant.modality) for stage in self.experiment.stages if not stage.data}

    @cached_property
    def trainings(self) -> list[Training]:
        """What there is to train, in order. DataError, SpecError where data set, settings and nets do not fit."""
        made = []
        for stage, split, run in self.runs():
            dataset = self.data_of(stage)
            _check_kind(stage, dataset)
            task_of(stage.variant).check_data(stage, dataset, split)
            made.append(self._training(stage, split, run))
        return made

    def _training(self, stage: Stage, split: int, run: Run) -> Training:
        dataset = self.data_of(stage)
        settings = _settings(stage, dataset, split, self.changes.get(stage.net, {}))
        return Training(stage, split, dataset, run, settings, stage.variant.files(**settings))

    # ---- training ------------------------------------------------------------------------------------------------

    def check_start(self, start: Start = Start(), dry_run: bool = False, resume: bool = True) -> list[str]:
        """What files of weights fill, a line each. Refuses what cannot be trained from where it would start; dry_run:
        what cannot even be planned. resume False: were all to begin anew. Raises SpecError, TrainError."""
        weights, name, given = start.weights, self.experiment.name, self.given(start, resume)
        if self.files:
            raise SpecError(f"{next(iter(self.files.values()))}: is evaluated in place of a training; open another job")
        if not resume:
            self._check_apart(start)
        if start.vocabulary and not any("vocabulary" in self._stage(each).variant.table for each in given):
            raise SpecError(f"--vocabulary {start.vocabulary}: goes with --trained, of sentences; leave it out")
        for folder, file in self._files_of(start).items():
            before = self._before(folder)
            task_of(before.variant).check_given(before, file, start.vocabulary)
        to_do = [each for each in self.trainings if each.stage.folder not in given]
        if weights and start.from_scratch:
            raise SpecError("--weights and --from-scratch: give one of them")
        if weights and not any(task_of(each.variant).reads_pixels for each in to_do):
            raise SpecError(f"--weights {weights}: {name} has no CNN to start from them; leave it out")
        if weights and not any(weights in starting.files_of(each, start, given) for each in to_do):
            taken = ", ".join(f"{folder} ({path})" for folder, path in given.items())
            raise SpecError(
                f"--weights {weights}: nothing starts from them beside what is given: {taken}; leave it out"
            )
        here = {stage.folder for stage in self.experiment.stages} | given.keys()
        for stage, split, _ in self.runs():
            run = self.start_of(stage, split)
            if run and stage.start not in here and stage.start_at:
                run.weights_at(stage.start_at)
            elif run and stage.start not in here and not run.finished:
                raise TrainError(
                    f"{run.folder}: no net trained to its end is there, from which {stage.training or stage.folder} "
                    "starts; add its training to --stages, or give the --out where it lies, or --trained FILE"
                )
        self._check_iterations(to_do, resume)
        _check_databases(to_do)
        filled = starting.filled_by(self, to_do, start, given)
        if not (dry_run or weights):
            remark = self._random_cnn(to_do, given)
            if self.is_long and remark and not start.from_scratch:
                raise SpecError(f"{name}: {pretrained.NEEDED}")
        return filled

    def _check_iterations(self, to_do: Sequence[Training], resume: bool) -> None:
        """SpecError where a stage would start from, or be scored by, a snapshot that no training makes; TrainError
        where one was removed."""
        settings = {each.stage.folder: each.settings for each in to_do}
        for each in to_do if resume else ():
            done = each.run.done
            for removed in (n for n in self.needed(each.stage) if n <= done and not each.run.snapshot(n).exists()):
                raise TrainError(
                    f"{each.run.folder}: its snapshot of iteration {removed}, which {self.experiment.name} takes, was "
                    "removed (--keep); train it again with --fresh, or with another --out"
                )
        for stage in self.experiment.stages:
            for key, folder, iteration in (
                ("start_at", stage.start, stage.start_at),
                ("score_at", stage.folder, stage.score_at),
            ):
                if iteration is None or folder not in settings:
                    continue
                last = settings[folder]["max_iter"]
                step = settings[folder]["snapshot"] or last
                if iteration > last or (iteration % step and iteration != last):
                    raise SpecError(
                        f"{stage.folder}: {key} = {iteration}: {folder} leaves a snapshot every {step} iterations, the "
                        f"last at {last}; name one of these, or set its snapshot"
                    )

    def _check_apart(self, start: Start) -> None:
        """SpecError where a file that is started from lies in a run that is to begin anew, and would go with it."""
        for file in filter(None, [start.weights, *self._files_of(start).values()]):
            for _, _, run in self.runs():
                if Path(file).resolve().is_relative_to(run.folder.resolve()):
                    raise SpecError(f"{file}: lies in {run.folder}, which --fresh empties; copy it elsewhere first")

    def given(self, start: Start, resume: bool = True) -> dict[str, Path]:
        """The files of stages that are not trained here: the user's, and those that an earlier call took, which resume
        False forgets, by the stage's folder. SpecError where it is not clear which stage a file is of."""
        taken = {stage.folder: run.given for stage, _, run in self.runs() if run.given and resume}
        given = {folder: path for folder, path in taken.items() if path} | self._files_of(start)
        if given and len(self.splits) > 1:
            raise SpecError(f"{next(iter(given.values()))}: a net is of one split; give --split 1, 2 or 3")
        return given

    def _files_of(self, start: Start) -> dict[str, Path]:
        """The user's files of stages, by the stage's folder."""
        known = list(dict.fromkeys(stage.start for stage in self.experiment.stages if stage.start))
        files: dict[str, Path] = {}
        for value in start.trained:
            which, equals, file = value.partition("=")
            if not equals or Path(value).exists():
                which, file = (known[0] if len(known) == 1 else ""), value
            if not known:
                raise SpecError(f"--trained {value}: no net of {self.experiment.name} starts from another")
            if which not in known:
                raise SpecError(
                    f"--trained {value}: name the stage that it is of, STAGE=FILE, one of {', '.join(known)}"
                    f"{nearest(which, known)}"
                )
            if which in files:
                raise SpecError(f"--trained {value}: {which} is given already, {files[which]}; leave one of them out")
            files[which] = weights_file(file)
        return files

    def _take(self, folder: str, weights: Path, resume: bool) -> None:
        """Makes a file of weights the run of a stage, as if it were trained here."""
        before = self._before(folder)
        with before.run.locked():
            if not resume:
                before.run.clear()
            before.run.take(weights, before.dataset.identity(before.variant.modality, before.split))
            self._keep(before)

    def _before(self, folder: str) -> Training:
        """The stage of a folder, which others start from."""
        stage, split = self._stage(folder), self.splits[0]
        return self._training(stage, split, self.run_of(stage, split))

    def _stage(self, folder: str) -> Stage:
        """The stage of a folder that one of the experiment's starts from, or is."""
        for stage in self.experiment.stages:
            if stage.folder == folder:
                return stage
        after = next(stage for stage in self.experiment.stages if stage.start == folder)
        before = task_of(after.variant).stage_before(after)
        assert before is not None  # an experiment's stages start from others of it, or of the task's
        return before

    def _random_cnn(self, to_do: Sequence[Training], given: Mapping[str, Path]) -> str | None:
        with_cnn = [folder for folder in given if task_of(self._stage(folder).variant).reads_pixels]
        return self.task.random_cnn(self, to_do, with_cnn)

    def _keep(self, training: Training) -> None:
        about = {"classes": training.dataset.classes, **task_of(training.variant).about_data(training.dataset)}
        training.run.keep(training.variant, training.settings, about, training.dataset.folder)

    def plan(
        self,
        start: Start = Start(),
        resume: bool = True,
        gpu: Gpu | None = None,
        trial_in: Compute | None = None,
        keep: int | None = None,
        jobs: int | None = None,
    ) -> str:
        """What `train` will do, in words; with `trial_in`, after a few iterations of every net there."""
        given = self.given(start, resume)
        to_do = [each for each in self.trainings if each.stage.folder not in given]
        try:
            remark = self._random_cnn(to_do, given)
        except TrainError as error:  # the plan is to say it, not to fail of it
            remark = str(error)
        return plan.of_trainings(self, to_do, plan.Manner(start, resume, gpu, given, remark, keep, jobs), trial_in)

    def check_disk(
        self,
        start: Start = Start(),
        resume: bool = True,
        keep: int | None = None,
        jobs: int | None = None,
        gpu: Gpu | None = None,
    ) -> None:
        """TrainError where what `train` writes cannot fit on the disk."""
        given = self.given(start, resume)
        to_do = [each for each in self.trainings if each.stage.folder not in given]
        whole, fewer = [plan.disks(self, to_do, start, given, each) for each in (keep, disk.FEW)]
        disk.check(self.out, whole, fewer, at_most(beside.parts(self, to_do, resume), jobs, gpu is not None))

    def train(
        self,
        start: Start = Start(),
        resume: bool = True,
        compute: Compute | None = None,
        keep: int | None = None,
        tensorboard: Path | str | None = None,
        jobs: int | None = None,
    ) -> list[Run]:
        """Trains every net that is not trained yet; one that was cut off goes on. Gives their runs. resume False: all
        begin anew. keep: so many of the last snapshots of each net stay, and those that its stages start at or are
        scored at; None: all. tensorboard: a folder for event files. jobs: so many at a time, of those that do not wait
        for each other, as `side_by_side` has it. Raises SpecError, DataError, EngineError, TrainError, CaffeError."""
        filled = self.check_start(start, resume=resume)
        self.check_disk(start, resume, keep, jobs, compute.gpu if compute else None)
        compute, given = compute or Compute(), self.given(start, resume)
        to_do = [each for each in self.trainings if each.stage.folder not in given]
        lane = lanes(compute, jobs)[0]
        lane.check_together()
        shared = {each.run.folder: share_of(each, lane.gpu) for each in to_do}
        if compute.gpu:
            for share in shared.values():
                if not (resume and share.run.finished):
                    check_cards(share.run.folder.name, Memory.of(share), compute.gpu, cards())
        for training in to_do:
            if not (resume and training.run.finished):
                task_of(training.variant).check_order(training, self.changes.get(training.stage.net, {}))
        for line in filled:
            compute.progress(line, 0, 0)
        if not (start.weights or start.from_scratch) and (remark := self._random_cnn(to_do, given)):
            compute.progress(f"no --weights: {remark}", 0, 0)
        files = self._files_of(start)
        for folder, file in given.items():
            if folder in files or self._before(folder).run.note is None:  # taken by a call that was cut off
                self._take(folder, file, resume)
        about = self.plan(start, resume, compute.gpu, jobs=jobs) if tensorboard else ""
        # all of them now: what they note of this `out` is one file, which two at a time would write
        folders = [each.run.folder for each in to_do]
        boards = {each: place_of(Path(tensorboard), self.out, each) for each in folders} if tensorboard else {}
        board_of = partial(self._board, boards, about)
        for training in to_do:
            beside.threads_of(training, resume, None if compute.gpu else compute.progress)

        def train_one(training: Training, compute: Compute) -> None:
            kept = Kept(keep, self.needed(training.stage))
            self._train(training, shared[training.run.folder], start, resume, compute, kept, board_of)

        with at_work_in(self.out):
            side_by_side(beside.parts(self, to_do, resume, train_one), compute, jobs)
        return [training.run for training in self.trainings]

    def _train(
        self,
        training: Training,
        share: Training,
        start: Start,
        resume: bool,
        compute: Compute,
        kept: Kept,
        board_of: BoardOf,
    ) -> None:
        """Trains one net. share: what each of several GPUs has of it."""
        run, before, task = training.run, self.start_of(training.stage, training.split), task_of(training.variant)
        starting_weights = task.starting_weights(
            before.weights_at(training.stage.start_at) if before else None, start.weights
        )
        with run.locked():
            if not resume:
                run.clear()
            identity = training.identity(starting_weights) | compute.manner
            run.claim(identity, training.settings, training.dataset.description)
            self._keep(training)
            own = None if share is training else share.files["train_test"]
            with board_of(training) as board:
                train(run, training.files_here(), compute, starting_weights, own, kept, board)

    @contextmanager
    def _board(self, places: Mapping[Path, Path], about: str, training: Training) -> Iterator[Board | None]:
        """What TensorBoard is to show of a training, whose place is by its run's folder in `places`, empty where it is
        to show nothing; about: the plan of all."""
        if not places:
            yield None
            return
        with Board(places[training.run.folder]) as board:
            board.text("plan", about)
            board.settings(training.variant.name, training.settings)
            yield board

    def trained(self, stage: Stage, split: int = 1) -> TrainedNet:
        if stage.net not in self.files:
            return super().trained(stage, split)
        dataset, folder = self.data_of(stage), self.run_of(stage, split).folder
        settings = _settings(stage, dataset, split, self.changes.get(stage.net, {}))
        folder.mkdir(parents=True, exist_ok=True)
        return TrainedNet.of_file(stage.net, self.files[stage.net], folder, settings, dataset.classes, self.vocabulary)

    # ---- evaluation ----------------------------------------------------------------------------------------------

    def evaluate(self, compute: Compute | None = None, jobs: int | None = None, **options: Any) -> list[Evaluation]:
        """Scores the trained nets and writes results.json and its like into `out`. jobs: so many nets at a time, as
        `side_by_side` has it. options: fields of the task's `Options`. Raises TrainError, CaffeError, DataError,
        EngineError."""
        compute = compute or Compute()
        gpu = compute.gpu
        if gpu and len(shares(gpu, jobs)[0].numbers) > 1:
            count = len(gpu.numbers)
            raise EngineError(
                f"--gpu {gpu}: a net is evaluated on one GPU; name one, or give each its own, --jobs {count}"
            )
        evaluations = self.task.evaluate(self, self.task.Options(**options), compute, jobs)
        rows = options.get("rows") or self.experiment.rows()
        notes = [
            f"{each.folder}: scored at iteration {each.score_at}, not at its end"
            for each in self.experiment.stages
            if each.score_at and each.variant.row in rows and each.net not in self.files
        ]
        return [replace(evaluation, notes=[*evaluation.notes, *notes]) for evaluation in evaluations]


def _check_databases(trainings: Sequence[Training]) -> None:
    """DataError for an LMDB that Caffe's own Data layer would read, and that would end it with a signal."""
    for training in trainings:
        for layer in training.files["train_test"].layer:
            place = training.run.folder / layer.data_param.source
            if layer.type == "Data" and (place / "data.mdb").exists():
                store.reader(place)


def open_job(
    name: str,
    data: Path | str | None = None,
    out: Path | str | None = None,
    *,
    split: int | str = 1,
    rows: Sequence[str] = (),
    trainings: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    weights: Sequence[str] = (),
    vocabulary: Path | None = None,
) -> Job:
    """Opens an experiment: one of lrcn's, a TOML file, or a net of the catalogue with what it starts from.

    data, out: the prepared data set and where the runs lie; by default as the experiment says, or where the runs in
    `out` were trained. split: 1, 2, 3 or "all". rows: of the paper's tables, to leave out others. trainings: of
    captioners. settings: over the experiment's, for all nets or in a dictionary under one net's name. weights: files
    that are to be evaluated in place of runs, "NET=FILE", or FILE of the one net; vocabulary: of those that write
    sentences.

    Raises SpecError for what does not exist, DataError for a data set that does not fit.
    """
    experiment, out_folder = _experiment(name, rows, trainings, out)
    settings = dict(settings or {})
    if any("stage" in each for each in (settings, *settings.values()) if isinstance(each, Mapping)) and any(
        stage.training for stage in experiment.stages
    ):
        raise SpecError("stage: a captioner's trainings are named by --stages, as train,finetune")
    dataset = Dataset(data or _usual_data(experiment, out_folder))
    experiment = _fitting(experiment, dataset, trainings)
    files = _files(name, experiment, weights)
    splits = _splits(experiment, dataset, split)
    if files:
        experiment, out_folder = _of_files(experiment, files, trainings, vocabulary, out)
        if len(splits) > 1:  # a net of one split has seen the test videos of the others
            raise SpecError(f"{next(iter(files.values()))}: a net is of one split; give --split 1, 2 or 3")
    changes = catalogue.share_out(settings, dict.fromkeys(stage.net for stage in experiment.stages))
    for stage in experiment.stages:
        if changes[stage.net] and not stage.data:
            _check_kind(stage, dataset)
            _sizes(stage, dataset, 1, changes[stage.net])
    return Job(experiment, dataset, out_folder, splits, changes, files, vocabulary)


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


def _files(name: str, experiment: Experiment, weights: Sequence[str]) -> dict[str, Path]:
    """{net: file} of "NET=FILE", a net by its name in the catalogue or without the task's, or by its row where that has
    one net only; or of FILE where the experiment is one net's. SpecError, one line, for others."""
    nets = list(dict.fromkeys(stage.net for stage in experiment.stages if not stage.data))
    files: dict[str, Path] = {}
    for value in weights:
        which, equals, file = value.partition("=")
        if not equals or Path(value).exists():
            which, file = name, value
        meant = [net for net in nets if which in (net, catalogue.get(net).short_name, catalogue.get(net).row)]
        if len(meant) != 1:
            short = [catalogue.get(net).short_name for net in meant or nets]
            what = "is of several nets" if meant else f"names no net of {experiment.name}"
            raise SpecError(f"{value}: {what}; give NET=FILE, NET one of {', '.join(short)}{nearest(which, short)}")
        if meant[0] in files:
            raise SpecError(f"{value}: {meant[0]} has weights already, {files[meant[0]]}; leave one of them out")
        files[meant[0]] = weights_file(file)
    return files


def _of_files(
    experiment: Experiment, files: Mapping[str, Path], trainings: Sequence[str], vocabulary: Path | None, out: Any
) -> tuple[Experiment, Path]:
    """The nets that files are given of, and where their results go. SpecError, TrainError where something is amiss."""
    last = {stage.net: stage for stage in experiment.stages if stage.net in files}
    if trainings:
        raise SpecError(f"--stages {','.join(trainings)}: a file of weights is of no stage; leave it out")
    if vocabulary is None and (net := next((net for net in files if "vocabulary" in catalogue.get(net).table), None)):
        raise SpecError(
            f"{files[net]}: its words are needed: give --vocabulary, the vocabulary.txt it was trained with"
        )
    folder = Path(out) if out else experiment.out_folder.with_name(f"{experiment.out_folder.name}-weights")
    if runs := runs_in(folder):
        raise TrainError(
            f"{folder}: holds the run {runs[0].folder.name}, whose results these would overwrite; give another --out"
        )
    stages = tuple(replace(stage, start=None) for stage in last.values())
    return replace(experiment, stages=stages), folder


def _usual_data(experiment: Experiment, out: Path) -> Path:
    """Where an experiment's data set lies if nobody says. DataError where it does not."""
    folder = experiment.data_folder
    if not folder.exists():
        folder = _trained_on(experiment, out) or folder
    if not folder.exists():
        made = "`lrcn prepare demo` makes it" if folder.parts[:2] == DEMO else KINDS[experiment.kinds[0]]
        raise DataError(f"{folder}: no such folder, where {experiment.name} looks for its data set: {made}")
    return folder


def _trained_on(experiment: Experiment, out: Path) -> Path | None:
    """The data set that the last of the runs in `out` was trained on, where that still lies there."""
    note = Run(out / experiment.stages[-1].folder).note if "{" not in experiment.stages[-1].net else None
    folder = Path(str(note["settings"].get("data", ""))) if note else None
    return folder if folder and (folder / "dataset.json").exists() else None


def _fitting(experiment: Experiment, dataset: Dataset, trainings: Sequence[str]) -> Experiment:
    """The experiment on what the data set holds. DataError where it is of another kind."""
    if dataset.kind not in experiment.kinds:
        raise DataError(
            f"{dataset.folder}: holds {dataset.kind}; {experiment.name} trains on {KINDS[experiment.kinds[0]]}"
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
        raise DataError(f"{dataset.folder}: holds {dataset.kind}; {stage.net} trains on {KINDS[kinds[0]]}")


def _settings(stage: Stage, dataset: Dataset, split: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The published values, then the data set's, the stage's, and the user's."""
    sizes, own = _sizes(stage, dataset, split, changes), dict(stage.settings)
    others = {name: value for name, value in (sizes | own).items() if name not in changes}
    return stage.variant.settings(**others, **changes)  # by the user's names, which know their file


def _sizes(stage: Stage, dataset: Dataset, split: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the data set decides. SpecError where the user, or the stage, sets one otherwise."""
    variant, task = stage.variant, task_of(stage.variant)
    own = {name: value for name, value in stage.settings.items() if name not in changes}
    named = {name: f"the {name}={value} of {stage.folder}'s settings" for name, value in own.items()} | {
        name: f"{file_prefix(name) or '--set '}{name}={value}" for name, value in changes.items()
    }
    for name, value in (*own.items(), *changes.items()):
        if name in ("data", "split"):
            raise SpecError(f"{named[name]}: give --{name} {value} in its place")
    chosen = {name: variant.read(name, value) for name, value in (*own.items(), *changes.items())}
    sizes = {"data": str(dataset.folder.resolve())} | task.sizes(stage, dataset, split, chosen)
    for name, value in chosen.items():
        if name in sizes and name in task.decided(dataset) and value != sizes[name]:
            raise SpecError(
                f"{dataset.folder}: has {name}={sizes[name]}, which {named[name]} does not change; leave it out, or "
                "prepare the data set so"
            )
    return {name: value for name, value in sizes.items() if name in variant.table}
