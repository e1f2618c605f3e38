"""Image description (paper, section 5; Tables 2 to 4): captioners, trained in stages."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep import DataError
from data_prep.captions import check_captions
from data_prep.dataset import Dataset
from lrcn.engine.code import revision
from lrcn.engine.compute import Compute
from lrcn.released.weights import RELEASES
from lrcn.sentences import captions
from lrcn.sentences.captions import CaptionSearch
from lrcn.sentences.neighbours import Cnn, Neighbours
from lrcn.training import pretrained
from lrcn.training.experiment import Experiment, Stage
from lrcn.training.run import Run, TrainError
from lrcn.training.tasks import Evaluation
from lrcn.training.tasks.sentences import SentenceTask, write
from lrcn.training.workspace import Training, Workspace
from netspecs import catalogue
from netspecs.variant import Variant
from prototxt_gen import SpecError, nearest

LANGUAGE_MODEL = "lm/lstm-lm"
# A captioner's trainings in their order -> those whose weights each starts from, the published one first.
STARTS: dict[str, tuple[str, ...]] = {
    "train": (),
    "from-lm": (LANGUAGE_MODEL,),
    "finetune": ("train", "from-lm"),
    "finetune-trainval": ("finetune",),
}
USUAL = ("train", "finetune")
VGG16 = RELEASES["vgg16"].file
FROZEN = ("train", "from-lm")  # these leave the CNN as it is


class Caption(SentenceTask):
    """Captions with images, or with a CNN's activations in their place, which do for a frozen CNN."""

    Options = CaptionSearch
    kinds = ("captions",)
    chooses = ("stages", "rows")
    reads_pixels = True

    def stages(self, variant: Variant, trainings: Sequence[str], out: Path) -> list[Stage]:
        """The trainings that are named, train and finetune by default, each from the one that it starts from: of two
        the one that is named too, else the one that lies trained in `out`, else the published one."""
        for training in trainings:
            if training not in STARTS:
                raise SpecError(
                    f"--stages: {variant.name} has no stage '{training}', only {', '.join(STARTS)}"
                    f"{nearest(training, STARTS)}"
                )
        trainings = trainings or USUAL
        if {*FROZEN, "finetune"} <= set(trainings):
            raise SpecError(
                f"--stages {','.join(trainings)}: finetune starts from one of train and from-lm; name one of them, "
                "and the other with another --out"
            )
        stages = [Stage(LANGUAGE_MODEL)] if "from-lm" in trainings else []
        for training in [each for each in STARTS if each in trainings]:
            starts = [folder_of(variant, before) for before in STARTS[training]]
            here = [start for start in starts if any(start == stage.folder for stage in stages)]
            there = [start for start in starts if Run(out / start).begun]
            start = next(iter([*here, *there, *starts]), None)
            name = None if training == "train" else folder_of(variant, training)
            stages.append(Stage(variant.name, {"stage": training}, start, name=name))
        return stages

    def stage_before(self, stage: Stage) -> Stage | None:
        if stage.start == folder_of(stage.variant, LANGUAGE_MODEL):
            return Stage(LANGUAGE_MODEL)
        trainings = (each for each in STARTS if folder_of(stage.variant, each) == stage.start)
        training = next(trainings, None)
        return Stage(stage.net, {"stage": training}, name=stage.start) if training else None

    def fit(self, experiment: Experiment, dataset: Dataset, trainings: Sequence[str]) -> Experiment:
        """On activations all but fine-tuning, which trains the CNN."""
        if "feature_size" not in dataset.description:
            return experiment
        kept = tuple(each for each in experiment.stages if not (each.training or "").startswith("finetune"))
        if trainings and kept != experiment.stages:
            raise DataError(
                f"{dataset.folder}: holds a CNN's activations, and finetune trains the CNN; give --data the "
                "captions with images, and the same --out"
            )
        return replace(experiment, stages=kept)

    def check_data(self, stage: Stage, dataset: Dataset, split: int) -> None:
        check_captions(dataset, "images", "trainval" if stage.training == "finetune-trainval" else "train")

    def sizes(self, stage: Stage, dataset: Dataset, split: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
        sizes = self.sizes_of_sentences(dataset)
        if "feature_size" in dataset.description:
            if chosen.get("backbone", "features") != "features":
                raise SpecError(
                    f"{dataset.folder}: holds activations, and backbone={chosen['backbone']} reads images; "
                    "leave that setting out, or give --data the captions with images"
                )
            sizes |= {"backbone": "features", "feature_size": dataset.description["feature_size"]}
        elif chosen.get("backbone") == "features":
            raise SpecError(
                f"{dataset.folder}: holds images, and backbone=features reads activations, as `lrcn prepare features` "
                "makes them; leave that setting out"
            )
        # VGG-16's two batches of 50 captions an iteration are one of 100, where the data set has them so.
        published = stage.variant.settings(**stage.settings)
        if published["iter_size"] > 1:
            sizes["iter_size"] = max(1, published["iter_size"] * published["streams"] // sizes["streams"])
        return sizes

    def decided(self, dataset: Dataset) -> Sequence[str]:
        return (*super().decided(dataset), "feature_size")

    def starting_weights(self, start: Path | None, weights: Path | None) -> list[Path]:
        """The user's CNN, and over it what the stage starts from: a language model's, or the training before."""
        return [each for each in (weights, start) if each]

    def random_cnn(self, work: Workspace, trainings: Sequence[Training], with_cnn: Container[str] = ()) -> str | None:
        here = {each.stage.folder: each for each in trainings}
        for each in trainings:
            stage, features = each.stage, each.settings.get("backbone") == "features"
            if stage.variant.task != "caption":
                continue
            if stage.start in with_cnn:
                has_cnn = True
            elif stage.start in here:
                has_cnn = here[stage.start].variant.task != "lm"
            else:
                note = Run(work.out / stage.start).note if stage.start else None
                has_cnn = note is not None and (features or note["settings"].get("backbone", "features") != "features")
            if has_cnn:
                continue
            if not features and stage.training in FROZEN:
                # As published, frozen layers have no fillers: Caffe leaves them 0, and the net sees nothing.
                name = "vgg16" if each.settings["backbone"] == "vgg16" else "caffenet"
                raise TrainError(
                    f"{stage.folder} trains on a frozen CNN, whose weights must be given: `lrcn weights fetch {name}`, "
                    f"then --weights {name}"
                )
            what = "fc8" if features else "its CNN"
            return f"{stage.folder}: {what} starts from random weights; the paper's starts from ILSVRC-2012 weights"
        return None

    def usual_weights(self, training: Training) -> list[str]:
        if training.settings["backbone"] == "vgg16":
            return [f"  the paper's   {VGG16.name}: `lrcn weights fetch vgg16`, then --weights vgg16"]
        return [f"  the paper's   {pretrained.CAFFENET.describe()}"]

    def evaluate(
        self, work: Workspace, options: CaptionSearch, compute: Compute, jobs: int | None = None
    ) -> list[Evaluation]:
        """Describes the images of a part, finds images by captions and captions by images, and sets nearest neighbours
        beside: results.json, captions_NAME.json, captions.png, examples.json."""
        last = {stage.net: stage for stage in work.experiment.stages if stage.training}
        nets = [work.trained(stage) for stage in last.values()]
        neighbours = Neighbours(first_cnn(work, options.weights)) if options.neighbours else None
        measured = captions.evaluate_captions(work.dataset, nets, work.out, options, neighbours, compute, jobs)
        if neighbours and "1nn-fc8" not in measured["models"]:
            left_out = "1nn-fc8 is" if neighbours.cnn else "1nn-fc7 and 1nn-fc8 are"
            measured["notes"].append(
                f"{left_out} left out: they need the CNN as it was before training; give it as --weights FILE"
            )
        path = work.out / f"results{options.suffix}.json"
        return [self.written(work, nets, measured, path, compute)]


def folder_of(variant: Variant, training: str) -> str:
    """The folder of a captioner's training (lrcn-2f, lrcn-2f-finetune), or of the language model before it."""
    if training in catalogue.names():
        return catalogue.get(training).short_name
    return variant.short_name if training == "train" else f"{variant.short_name}-{training}"


def first_cnn(work: Workspace, weights: Path | None) -> Cnn | None:
    """The CNN before it was trained on captions: the user's weights, or what it was pretrained as, or that of a
    training that left it as it was up to fc7. None where there is none of these."""
    if weights:
        return Cnn(weights, captions.BLOBS, weights.name)
    for stage in work.experiment.stages:
        if stage.data:
            return Cnn(work.trained(stage).weights, captions.BLOBS, stage.folder)
    for stage in work.experiment.stages:
        run = work.run_of(stage)
        if stage.training in FROZEN and run.note and (net := run.net()).settings["backbone"] != "features":
            return Cnn(net.weights, ("fc7",), f"frozen in {stage.folder}")
    return None


def score_results(results: Path, references: Path, out: Path, part: str | None, tokens: str, name: str) -> Evaluation:
    """Scores captions from elsewhere, in COCO's results format, against COCO's annotations or a prepared captions.json:
    the row `name` of OUT/results.json. Raises DataError."""
    measured = captions.score_results(results, references, part, name, tokens)
    about = {"task": "caption", "experiment": "caption/results", **measured}
    return write(out / "results.json", about | {"engine": None, "seed": None, "git": revision()})


TASK = Caption()
