"""Trained nets of video description against a data set's sentences: what `lrcn evaluate video/*` does (Table 5).

OUT/captions_NAME.json          the sentences, in COCO's results format
OUT/examples.json               videos with what is said of them (lrcn/sentences/examples.py)
OUT/NET/sentences_PART.json     the sentences with their log probabilities
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.captions import Image
from data_prep.dataset import Dataset, described_images
from data_prep.whole_files import write_json
from lrcn.engine.compute import Compute
from lrcn.engine.side_by_side import Part, side_by_side
from lrcn.sentences import examples, metrics, video_inputs
from lrcn.sentences.captioner import Caption, Captioner
from lrcn.sentences.evaluate import (
    Search,
    digest_of_captions,
    digest_of_words,
    extent,
    measure,
    part_images,
    sentences,
    titled,
)
from lrcn.trained_net import TrainedNet, digest, threads_of

PAIR = ("object", "motion")  # truths that are reported together too: what a video shows, whatever else is said of it


def evaluate_videos(
    dataset: Dataset, nets: Sequence[TrainedNet], out: Path, search: Search, compute: Compute, jobs: int | None = None
) -> dict[str, Any]:
    """{"dataset", "evaluation", "models", "notes"} of results.json: a sentence of each video against all of its own,
    and by level of detail where there are several ("by_detail": {detail: metrics}). jobs: so many nets at a time, as
    `side_by_side` has it.

    Raises DataError, SpecError, CaffeError.
    """
    videos = part_images(dataset, search.part)
    parts = [Part(partial(_describe, dataset, videos, net, search), threads_of(net)) for net in nets]
    said = dict(zip([net.row for net in nets], side_by_side(parts, compute, jobs)))
    models = {net.row: {"weights": digest(net.weights)} for net in nets}
    captions = {row: [each.text for each in found] for row, found in said.items()}
    measured, notes = measure(dataset, videos, captions, search, out, compute.progress, [PAIR])
    by_detail, notes_by_detail = _by_detail(dataset, videos, captions, search.tokens)
    chosen = examples.Chosen.of(dataset, videos, said, search.tokens)
    write_json(out / f"examples{search.suffix}.json", examples.of_videos(dataset, chosen, said))
    return {
        "dataset": extent(dataset, search.part, videos),
        "evaluation": search.description,
        "models": {row: models[row] | measured[row] | by_detail.get(row, {}) for row in models},
        "notes": list(dict.fromkeys(notes + notes_by_detail)),
    }


def _describe(
    dataset: Dataset, videos: Sequence[Image], net: TrainedNet, search: Search, compute: Compute
) -> list[Caption]:
    """A net's sentence of each video."""
    inputs = video_inputs.of_dataset(dataset, net.variant, net.settings, [video.file for video in videos])
    identity = {"weights": digest(net.weights), "videos": digest_of_captions(videos)}
    identity |= {"given": _digest_of_inputs(inputs), "words": digest_of_words(net)}
    with Captioner.of(net, compute) as captioner:
        progress = titled(compute.progress, net.row)
        return sentences(captioner, inputs, search, net.folder, identity, progress)


def _digest_of_inputs(inputs: np.ndarray | Mapping[str, np.ndarray]) -> str:
    arrays = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    return hashlib.sha1(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def _by_detail(
    dataset: Dataset, videos: Sequence[Image], captions: Mapping[str, Sequence[str]], tokens: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """{row: {"by_detail": {level of detail: metrics}}} where the data set has several levels, else nothing; and notes
    for the user."""
    details = {each["file"]: each["detail"] for each in described_images(dataset.folder)}
    levels = sorted({details[video.file] for video in videos})
    measured: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for row, texts in captions.items() if len(levels) > 1 else ():
        by_level = {}
        for level in levels:
            numbers = [number for number, video in enumerate(videos) if details[video.file] == level]
            scores = metrics.score(
                {number: texts[number] for number in numbers},
                {number: videos[number].captions for number in numbers},
                tokens,
            )
            notes += scores.pop("notes")
            by_level[level or "other"] = scores
        measured[row] = {"by_detail": by_level}
    return measured, notes
