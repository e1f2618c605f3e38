"""Video description (paper, section 6; Table 5): what a CRF says of a video in, or activations of its frames; a
sentence out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.dataset import Dataset
from data_prep.tacos import check_semantics
from lrcn.engine.compute import Compute
from lrcn.sentences.evaluate import Search
from lrcn.sentences.videos import evaluate_videos
from lrcn.training.experiment import Stage
from lrcn.training.tasks import Evaluation
from lrcn.training.tasks.sentences import SentenceTask
from lrcn.training.workspace import Workspace

SIZES = ("slots", "slot_words", "frames", "feature_size")


class Video(SentenceTask):
    """Snippets with slots, or with activations of frames."""

    Options = Search
    kinds = ("semantics",)
    chooses = ("rows",)

    def check_data(self, stage: Stage, dataset: Dataset, split: int) -> None:
        check_semantics(dataset, "frames" if stage.variant.reads == "activations" else "slots")

    def sizes(self, stage: Stage, dataset: Dataset, split: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return self.sizes_of_sentences(dataset) | {name: dataset.description[name] for name in SIZES}

    def decided(self, dataset: Dataset) -> Sequence[str]:
        return (*super().decided(dataset), *SIZES)

    def evaluate(self, work: Workspace, options: Search, compute: Compute, jobs: int | None = None) -> list[Evaluation]:
        """Describes the videos of a part, against their own sentences and the truth where it is known: results.json,
        captions_NAME.json, examples.json."""
        nets = [work.trained(stage) for stage in work.experiment.stages]
        measured = evaluate_videos(work.dataset, nets, work.out, options, compute, jobs)
        path = work.out / f"results{options.suffix}.json"
        return [self.written(work, nets, measured, path, compute)]


TASK = Video()
