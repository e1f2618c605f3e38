"""Activity recognition (paper, section 4.1; Table 1): videos are classified, by single frames and by LRCN."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from data_prep.dataset import Dataset
from data_prep.features import check_features
from data_prep.list_order import classes_per_batch, classes_per_random_batch
from data_prep.whole_files import write_json
from lrcn.activity import evaluate as measures
from lrcn.activity import score
from lrcn.activity.evaluate import Scoring
from lrcn.activity.examples import examples
from lrcn.engine.code import revision
from lrcn.engine.compute import Compute
from lrcn.engine.process import passed_over
from lrcn.engine.side_by_side import Part, side_by_side
from lrcn.results.formats import measured_text
from lrcn.trained_net import TrainedNet, check_filled, files_of, threads_of, trained_on
from lrcn.training import pretrained
from lrcn.training.experiment import NONE, Experiment, Stage
from lrcn.training.run import TrainError, split_folder
from lrcn.training.tasks import Evaluation, Task
from lrcn.training.workspace import Training, Workspace
from netspecs.variant import Variant
from prototxt_gen import SpecError


@dataclass(frozen=True)
class TableScoring(Scoring):
    """rows: of Table 1, these alone."""

    rows: Sequence[str] = ()


class Activity(Task):
    """Videos as frames, or as activations in place of the CNN."""

    Options = TableScoring
    kinds = ("frames", "features")
    chooses = ("split", "rows")
    reads_pixels = True
    weights_option = "weights"

    def stages(self, variant: Variant, trainings: Sequence[str], out: Path) -> list[Stage]:
        """An LRCN after the single-frame net of its modality, as published."""
        stages = super().stages(variant, trainings, out)
        if variant.reads == "frames":
            return stages
        single = Stage(f"{variant.task}/single-frame-{variant.modality}")
        return [single, Stage(variant.name, start=single.folder)]

    def fit(self, experiment: Experiment, dataset: Dataset, trainings: Sequence[str]) -> Experiment:
        if dataset.kind != "features":
            return experiment
        return experiment.on_features(extracted_layer(dataset), dataset.description.get("modality", "rgb"))

    def check_data(self, stage: Stage, dataset: Dataset, split: int) -> None:
        if dataset.kind == "features":
            check_features(dataset.folder, split=split)
        else:
            dataset.check(str(stage.variant.modality))

    def sizes(self, stage: Stage, dataset: Dataset, split: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
        common = {"classes": len(dataset.classes), "split": split}
        if dataset.kind == "features":
            return common | {
                "backbone": "features",
                "given": extracted_layer(dataset),
                "feature_size": dataset.description["feature_size"],
                "frames": dataset.description["frames"],
                **({"videos": dataset.description["videos"]} if "videos" in dataset.description else {}),
            }
        stills = (dataset.folder / f"stills_train{split}").is_dir()  # a data set of an earlier lrcn has none
        if chosen.get("backbone") == "features":
            raise SpecError(
                f"{dataset.folder}: holds frames, and backbone=features reads activations, as `lrcn prepare features` "
                "makes them; leave that setting out"
            )
        mirror = chosen.get("mirror", dataset.mirror)
        return common | {
            "height": dataset.height,
            "width": dataset.width,
            "mirror": dataset.mirror,
            "deploy_crops": 10 if mirror else 5,
            **({} if stills else {"reader": "clips"}),
        }

    def decided(self, dataset: Dataset) -> Sequence[str]:
        """Of activations all. Frames are as they lie there, and those of labels that do not survive a mirror are not
        mirrored."""
        if dataset.kind == "features":
            return ("backbone", "given", "feature_size", "frames", "videos", "classes")
        return ("height", "width", "deploy_crops", "classes", *([] if dataset.mirror else ["mirror"]))

    def about_data(self, dataset: Dataset) -> dict[str, Any]:
        return {name: dataset.description.get(name) for name in ("fps", "flow")}

    def check_order(self, training: Training, changes: Mapping[str, Any]) -> None:
        """A list that goes class by class teaches nothing: a batch must see many classes, and the published nets take
        the videos in the list's order."""
        settings, dataset = training.settings, training.dataset
        if settings["order"] != "list" or "order" in changes or "order" in training.stage.settings:
            return
        if dataset.kind != "frames" or settings.get("reader") == "lmdb":  # the others are shuffled when they are made
            return
        labels = [video.label for video in dataset.videos(training.split, "train")]
        batch = settings["batch"] if training.stage.variant.reads == "frames" else settings["videos"]
        here, shuffled = classes_per_batch(labels, batch), classes_per_random_batch(labels, batch)
        if here < shuffled / 2:
            raise TrainError(
                f"{dataset.folder}/train{training.split}.txt: goes class by class, so that {batch} videos in its order"
                f" are of {here:.1f} classes ({shuffled:.1f} in a shuffled one) and {training.stage.folder} would learn"
                " nothing; give --set order=shuffle, or order=list to train all the same"
            )

    def starting_weights(self, start: Path | None, weights: Path | None) -> list[Path]:
        """The single-frame net's; else the user's, ILSVRC-2012's in the paper."""
        first = start or weights
        return [first] if first else []

    def random_cnn(self, work: Workspace, trainings: Sequence[Training], with_cnn: Container[str] = ()) -> str | None:
        if work.dataset.kind == "features" or work.experiment.weights == NONE or all(t.stage.start for t in trainings):
            return None
        return "the first nets start from random weights; the paper's start from ILSVRC-2012 weights"

    def usual_weights(self, training: Training) -> list[str]:
        return pretrained.needed_weights()

    def extent(self, dataset: Dataset, splits: Sequence[int]) -> str:
        return f"{len(dataset.classes)} classes, split {', '.join(map(str, splits))}"

    def batch_setting(self, training: Training) -> str:
        single = training.stage.variant.reads == "frames" and training.settings["backbone"] != "features"
        return "batch" if single else "videos"

    def batch(self, training: Training) -> str:
        settings = training.settings
        if self.batch_setting(training) == "batch":
            return f"{settings['batch']} frames"
        return f"{settings['videos']} x {settings['frames']} frames"

    def evaluate(
        self, work: Workspace, options: TableScoring, compute: Compute, jobs: int | None = None
    ) -> list[Evaluation]:
        """Classifies the test videos of each split: results.json and its tables and pictures lie in the split's
        folder."""
        rows = options.rows or work.experiment.rows()
        stages = [each for each in work.experiment.stages if not each.data and each.variant.row in rows]
        nets = {split: self._fitting(work, stages, split) for split in work.splits}  # before any is scored
        every = [net for split in work.splits for net in nets[split][0]]
        parts = [Part(partial(measures.score_net, net, scoring=options), threads_of(net)) for net in every]
        paths = dict(zip((net.folder for net in every), side_by_side(parts, compute, jobs)))
        return [self._of_split(work, split, *nets[split], paths, options, compute) for split in work.splits]

    def _fitting(self, work: Workspace, stages: Sequence[Stage], split: int) -> tuple[list[TrainedNet], list[str]]:
        """The trained nets, and notes on those left out: a net that was given, to start from, may have another's
        classifier."""
        nets, notes = [], []
        for stage in stages:
            net = work.trained(stage, split)
            try:
                if work.run_of(stage, split).given:
                    check_filled([net.variant.files(**net.settings)["deploy"]], net.weights, len(net.classes))
                nets.append(net)
            except SpecError as error:
                notes.append(f"{stage.folder} is left out: {error}")
        if not nets:
            raise TrainError("; ".join(notes))
        return nets, notes

    def _of_split(
        self,
        work: Workspace,
        split: int,
        nets: Sequence[TrainedNet],
        notes: Sequence[str],
        paths: Mapping[Path, Path],
        options: TableScoring,
        compute: Compute,
    ) -> Evaluation:
        """paths: of the files of scores, by the folders of the nets."""
        scores: dict[str, dict[str, Any]] = {}
        hits: dict[str, dict[str, Any]] = {}
        for net in nets:
            path, modality = paths[net.folder], str(net.variant.modality)
            scores.setdefault(net.variant.row, {})[modality] = score.load(path)
            hits.setdefault(net.variant.row, {})[modality] = score.load_hits(path)
        dataset, folder = work.dataset, split_folder(work.out, split)
        labels, ending = measures.test_labels(dataset, split), options.ending
        summary = measures.summarise(scores, hits, labels, dataset.classes, options.frames)
        about = {"name": dataset.name, "classes": dataset.classes, "test_videos": len(labels), "split": split}
        measures.write_reports(summary, about, folder, ending)
        results = {
            "task": "activity",
            "experiment": work.experiment.name,
            "dataset": about,
            "data_set": dataset.identity(split=split),
            "evaluation": options.description,
            "engine": compute.engine.info(),
            "gpu": compute.about(),
            "trained_on": trained_on(nets),
            **({"passed_over": damaged} if (damaged := _passed_over(nets, paths)) else {}),
            "seed": next((net.seed for net in nets if net.seed is not None), None),
            "git": revision(),
            **({"weights": files} if (files := files_of(nets)) else {}),
            **summary,
        }
        write_json(folder / f"results{ending}.json", results)
        more: list[str] = []
        if not ending:  # of the published evaluation
            with_threads = replace(compute, threads=max(map(threads_of, nets)))
            shown, more = examples(dataset, split, nets, scores, labels, options, with_threads)
            write_json(folder / "examples.json", shown)
        return Evaluation(results, folder / f"results{ending}.json", measured_text(results), [*notes, *more])


def _passed_over(nets: Sequence[TrainedNet], paths: Mapping[Path, Path]) -> dict[str, dict[str, int]]:
    """{net: {"training", "test"}}: in the place of how many damaged images others were shown (--on-corrupt skip); of
    those nets of which it was any. paths: of the files of scores, by the folders of the nets."""
    counts = {}
    for net in nets:
        logs = sorted(net.folder.glob("logs/from-*.log")) if net.seed is not None else []
        damaged = {"training": len(passed_over(logs)), "test": len(score.load_passed_over(paths[net.folder]))}
        if any(damaged.values()):
            counts[net.folder.name] = damaged
    return counts


def extracted_layer(dataset: Dataset) -> str:
    """Whose activations a features data set holds: fc6 or fc7; others take the place of fc6."""
    return "fc7" if dataset.description.get("extracted", {}).get("blob") == "fc7" else "fc6"


TASK = Activity()
