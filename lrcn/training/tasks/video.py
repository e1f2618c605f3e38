"""Video description (paper, section 6; Table 5): what a CRF says of a video in, or activations of its frames; a
sentence out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from data_prep.dataset import Dataset
from data_prep.tacos import check_semantics
from lrcn.engine.compute import Compute
from lrcn.sentences.evaluate import Search
from lrcn.sentences.videos import evaluate_videos
from lrcn.training.experiment import Stage
from lrcn.training.tasks import Evaluation
from lrcn.training.tasks.sentences import SentenceTask

if TYPE_CHECKING:
    from lrcn.training.job import Job

SIZES = ("slots", "slot_words", "frames", "feature_size")


class Video(SentenceTask):
    """Snippets with slots, or with activations of frames."""

    Options = Search
    kinds = ("semantics",)
    chooses = ("rows",)

    def check_data(self, stage: Stage, dataset: Dataset, split: int) -> None:
        check_semantics(dataset, "frames" if stage.variant.reads == "activations" else "slots")

    def sizes(self, stage: Stage, dataset: Dataset, split: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        return self.sizes_of_sentences(dataset) | {name: dataset.description[name] for name in SIZES}

    def evaluate(self, job: Job, options: Search, compute: Compute) -> list[Evaluation]:
        """Describes the videos of a part, against their own sentences and the truth where it is known: results.json and
        captions_NAME.json."""
        nets = [job.trained(stage) for stage in job.experiment.stages]
        measured = evaluate_videos(job.dataset, nets, job.out, options, compute)
        path = job.out / f"results{options.suffix}.json"
        return [self.written(job, "video", measured, path, compute)]


TASK = Video()
