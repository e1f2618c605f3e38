"""Trained language models against a data set's sentences: what `lrcn evaluate lm/*` does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep import vocabulary
from data_prep.dataset import Dataset
from lrcn.engine.compute import Compute, Progress
from lrcn.sentences.captioner import Captioner
from lrcn.sentences.evaluate import part_images, titled
from lrcn.trained_net import TrainedNet, digest


def perplexity(
    captioner: Captioner, captions: Sequence[Sequence[str]], progress: Progress | None = None
) -> dict[str, float]:
    """{"perplexity", "captions", "words", "unknown"} of captions, the words of each: exp(-L / (words + captions)),
    where L is the sum of the natural logarithms of the probabilities of all words and of each caption's end. `unknown`:
    how many of the words the vocabulary has not, which count as <unk>. CaffeError where Caffe fails."""
    indices = [captioner.indices(words) for words in captions]
    log_probs = captioner.score(None, [[*words, 0] for words in indices], progress, -math.inf)[0]
    words = sum(map(len, indices))
    return {
        "perplexity": float(np.exp(-math.fsum(log_probs) / (words + len(indices)))),
        "captions": len(indices),
        "words": words,
        "unknown": sum(word == 1 for words in indices for word in words),
    }


def evaluate_language_model(
    dataset: Dataset, parts: Sequence[str], net: TrainedNet, compute: Compute
) -> dict[str, Any]:
    """{"dataset", "evaluation", "models"} of results_lm.json: perplexity by part. Raises DataError, SpecError,
    CaffeError."""
    captions = {
        part: [vocabulary.split(caption) for image in part_images(dataset, part) for caption in image.captions]
        for part in parts
    }
    with Captioner.of(net, compute) as captioner:
        by_part = {
            part: perplexity(captioner, texts, titled(compute.progress, part)) for part, texts in captions.items()
        }
    return {
        "dataset": {"name": dataset.name, "parts": list(parts), "vocabulary": dataset.description["vocabulary"]},
        "evaluation": {},
        "models": {net.row: {"weights": digest(net.weights), "perplexity": by_part}},
    }
