"""Trained language models against a data set's sentences: what `lrcn evaluate lm/*` does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from data_prep import vocabulary
from data_prep.workers import no_progress
from lrcn.engine.compute import Compute
from lrcn.sentences.captioner import Captioner
from lrcn.sentences.evaluate import part_images, titled
from lrcn.trained_net import TrainedNet, digest


def perplexity(captioner: Captioner, texts: Sequence[Sequence[str]], progress=no_progress) -> dict:
    """{"perplexity", "captions", "words", "unknown"} of captions, the words of each: exp(-L / (words + captions)),
    where L is the sum of the natural logarithms of the probabilities of all words and of each caption's end. `unknown`:
    how many of the words the vocabulary has not, which count as <unk>."""
    indices = [captioner.indices(text) for text in texts]
    total = captioner.score(None, [[*words, 0] for words in indices], progress, -math.inf)[0]
    words = sum(map(len, indices))
    return {
        "perplexity": float(np.exp(-math.fsum(total) / (words + len(indices)))),
        "captions": len(indices),
        "words": words,
        "unknown": sum(word == 1 for words in indices for word in words),
    }


def evaluate_language_model(dataset, parts: Sequence[str], net: TrainedNet, compute: Compute) -> dict:
    """{"dataset", "evaluation", "models"} of results_lm.json: perplexity by part."""
    captions = {
        part: [vocabulary.split(caption) for image in part_images(dataset, part) for caption in image.captions]
        for part in parts
    }
    with Captioner.of(net, compute.engine, compute.gpu) as captioner:
        by_part = {
            part: perplexity(captioner, texts, titled(compute.progress, part)) for part, texts in captions.items()
        }
    return {
        "dataset": {"name": dataset.name, "parts": list(parts), "vocabulary": dataset.description["vocabulary"]},
        "evaluation": {},
        "models": {net.row: {"weights": digest(net.weights), "perplexity": by_part}},
    }
