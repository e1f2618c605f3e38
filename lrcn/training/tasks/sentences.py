"""What the tasks that write sentences share: captioners, descriptions of videos, language models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.dataset import Dataset
from data_prep.vocabulary import read as read_words
from lrcn.engine.code import revision
from lrcn.engine.compute import Compute
from lrcn.results.formats import measured_text
from lrcn.sentences.evaluate import write_results
from lrcn.trained_net import TrainedNet, check_whole, files_of, trained_on
from lrcn.training.tasks import Evaluation, Task
from lrcn.training.workspace import Training, Workspace
from prototxt_gen import SpecError


class SentenceTask(Task):
    """A data set of sentences decides how many words there are, and how the sentences lie side by side."""

    def sizes_of_sentences(self, dataset: Dataset) -> dict[str, Any]:
        return {name: dataset.description[name] for name in ("vocabulary", "steps", "streams")}

    def check_given(self, training: Training, weights: Path, vocabulary: Path | None) -> None:
        files = training.variant.files(**training.settings)
        nets = [files[name] for name in ("deploy", "deploy_images") if name in files]
        check_whole(nets, weights, training.settings["vocabulary"])
        here = training.dataset.folder / "vocabulary.txt"
        if vocabulary is None:
            raise SpecError(f"{weights}: its words are needed: give --vocabulary, the file that it was trained with")
        if read_words(vocabulary) != read_words(here):
            raise SpecError(
                f"{vocabulary}: other words than those of {here}, or in another order; prepare the data set with "
                f"--vocabulary {vocabulary}"
            )

    def about_data(self, dataset: Dataset) -> dict[str, Any]:
        return {"data_set": dataset.name, "extracted": dataset.description.get("extracted")}

    def extent(self, dataset: Dataset, splits: Sequence[int]) -> str:
        return f"{dataset.description['vocabulary']} words"

    def batch(self, training: Training) -> str:
        settings, solver = training.settings, training.files["solver"]
        text = f"{settings['streams']} x {settings['steps']} words"
        return text + (f" x {solver.iter_size}" if solver.iter_size > 1 else "")

    def written(
        self, work: Workspace, nets: Sequence[TrainedNet], measured: dict[str, Any], path: Path, compute: Compute
    ) -> Evaluation:
        """results.json of what was measured of nets, with who measured it."""
        about = {"task": nets[-1].variant.task, "experiment": work.experiment.name, **measured}
        about |= {"engine": compute.engine.info(), "gpu": compute.about(), "trained_on": trained_on(nets)}
        about |= {"data_set": work.dataset.identity(), "seed": nets[-1].seed, "git": revision()}
        about |= {"weights": files} if (files := files_of(nets)) else {}
        return write(path, about)


def write(path: Path, results: dict[str, Any]) -> Evaluation:
    """Writes results.json; rows that lie there already, of the same evaluation, stay."""
    whole = write_results(path, results)
    return Evaluation(whole, path, measured_text(whole), results.get("notes", []))
