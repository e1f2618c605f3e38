"""The language model that a captioner may start from (released with the paper's code): sentences without images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_prep.captions import check_captions
from data_prep.dataset import Dataset
from data_prep.tacos import check_semantics
from lrcn.engine.compute import Compute
from lrcn.sentences.language_model import evaluate_language_model
from lrcn.trained_net import threads_of
from lrcn.training.experiment import Stage
from lrcn.training.tasks import Evaluation
from lrcn.training.tasks.sentences import SentenceTask
from lrcn.training.workspace import Workspace


@dataclass(frozen=True)
class Perplexity:
    """part: of the sentences; val and test by default."""

    part: str | None = None


class LanguageModel(SentenceTask):
    """The sentences of captions, or of videos."""

    Options = Perplexity
    kinds = ("captions", "semantics")

    def check_data(self, stage: Stage, dataset: Dataset, split: int) -> None:
        check = check_captions if dataset.kind == "captions" else check_semantics
        check(dataset, "sentences")

    def sizes(self, stage: Stage, dataset: Dataset, split: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return self.sizes_of_sentences(dataset)

    def evaluate(
        self, work: Workspace, options: Perplexity, compute: Compute, jobs: int | None = None
    ) -> list[Evaluation]:
        """Perplexity: results_lm.json."""
        parts = (
            [options.part]
            if options.part
            else [each for each in ("val", "test") if each in work.dataset.description["splits"]]
        )
        net = work.trained(work.experiment.stages[-1])
        alone = replace(compute, threads=threads_of(net))
        measured = evaluate_language_model(work.dataset, parts, net, alone)
        return [self.written(work, [net], measured, work.out / "results_lm.json", compute)]


TASK = LanguageModel()
