"""Sentences from a net that says how likely each next word is: beam search, sampling, and the scores of given ones.

The net is a function `step(words, rows, images)`: the stream s goes on with the word words[s], from the state in which
stream rows[s] of the step before was left (rows None: all streams begin), under the image of index images[s]. It
returns softmax inputs (S, vocabulary). All streams of all images go through it at once, a word a step, and only those
that are not at their end: nothing is computed twice. Word 0 ends a sentence, and begins it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

END = 0
FLOOR = np.log(1e-12)  # the least log probability of a word in the authors' scores
TOGETHER = 20  # images whose captions are scored side by side at least, so that they share the beginnings of captions

Step = Callable[[np.ndarray, "np.ndarray | None", np.ndarray], np.ndarray]


class Sentences(NamedTuple):
    """Sentences (images, n), the likeliest of an image first: words and their log probabilities (images, n, length),
    of which the first `counts` (images, n) hold, the end included where there is one; 0: there is no such sentence."""

    words: np.ndarray
    log_probs: np.ndarray
    counts: np.ndarray


def beam(step: Step, images: int, width: int, length: int) -> Sentences:
    """Beam search as published: every open sentence grows by its `width` likeliest words, the `width` likeliest of all
    of an image's sentences are kept, ended ones among them, until all have ended or are `length` words long, the end
    included. Width 1 is the greedy choice."""
    which = np.arange(images)[:, None]
    words = np.zeros((images, width, length), np.int32)
    log_probs = np.zeros((images, width, length))
    counts = np.zeros((images, width), np.int32)
    totals = np.full((images, width), -np.inf)
    totals[:, 0] = 0
    going, rows = totals == 0, None
    for t in range(length):
        image, slot = np.nonzero(going)
        if not len(image):
            break
        scores = step(words[image, slot, t - 1] if t else np.zeros(images, np.int32), rows, image)
        best = _likeliest(scores, width)
        gains = np.take_along_axis(scores, best, 1) - _normaliser(scores)[:, None]
        branches = best.shape[1]
        # Candidates by beam and branch: an ended sentence is its own first branch, a place that is not taken none.
        candidates = np.full((images, width, branches), -np.inf)
        candidates[..., 0] = totals
        candidates[image, slot] = totals[image, slot, None] + gains
        candidates = candidates.reshape(images, -1)
        kept = np.argsort(-candidates, 1, kind="stable")[:, :width]
        totals = np.take_along_axis(candidates, kept, 1)
        parent, branch = np.divmod(kept, branches)

        stream = np.zeros((images, width), np.intp)
        stream[image, slot] = np.arange(len(image))
        stream = stream[which, parent]
        grown = going[which, parent] & (totals > -np.inf)
        words, log_probs, counts = words[which, parent], log_probs[which, parent], counts[which, parent]
        words[grown, t] = best[stream[grown], branch[grown]]
        log_probs[grown, t] = gains[stream[grown], branch[grown]]
        counts += grown
        going = grown & (words[..., t] != END)
        rows = stream[going]
    return Sentences(words, log_probs, np.where(totals > -np.inf, counts, 0))


def sample(
    step: Step, images: int, count: int, length: int, temperature: float, seed: int, first: int = 0
) -> Sentences:
    """`count` sentences an image, each word drawn from the softmax of `temperature` times its inputs (infinity: the
    likeliest word), the likeliest sentence first. Log probabilities are the net's own, at temperature 1.

    The draws follow from the seed and the image's number, from `first` on, whatever else is in the batch.
    """
    draws = np.concatenate([np.random.default_rng([seed, first + i]).random((count, length)) for i in range(images)])
    image = np.repeat(np.arange(images), count)
    words, log_probs = np.zeros((images * count, length), np.int32), np.zeros((images * count, length))
    counts = np.zeros(images * count, np.int32)
    going, rows = np.arange(images * count), None
    for t in range(length):
        if not len(going):
            break
        scores = step(words[going, t - 1] if t else words[going, 0], rows, image[going])
        if np.isinf(temperature):
            drawn = scores.argmax(1)
        else:
            heights = np.cumsum(np.exp(temperature * (scores - scores.max(1, keepdims=True)).astype(np.float64)), 1)
            drawn = (heights <= draws[going, t, None] * heights[:, -1:]).sum(1)
        words[going, t] = drawn
        log_probs[going, t] = scores[np.arange(len(going)), drawn] - _normaliser(scores)
        counts[going] += 1
        rows = np.flatnonzero(drawn != END)
        going = going[rows]
    order = np.argsort(-log_probs.sum(1).reshape(images, count), 1, kind="stable")
    at = np.arange(images)[:, None] * count + order
    return Sentences(words[at], log_probs[at], counts[at])


def score(
    step: Step,
    images: int,
    captions: Sequence[Sequence[int]],
    streams: int,
    floor: float = FLOOR,
    tell=lambda done, total: None,
) -> np.ndarray:
    """Log probabilities (images, captions) of given words, the end only where it is among them; of a word at least
    `floor`.

    Captions that begin alike go through the net together up to where they part. No more than about `streams` streams
    are open at once.
    """
    log_probs = np.zeros((images, len(captions)))
    order = sorted(range(len(captions)), key=lambda c: tuple(captions[c]))
    size = max(1, streams // min(images, TOGETHER))
    for begin in range(0, len(order), size):
        block = order[begin : begin + size]
        levels = _levels([captions[c] for c in block])
        widest = max((len(level.words) for level in levels), default=1)
        together = max(1, streams // widest)
        for first in range(0, images, together):
            part = np.arange(first, min(first + together, images))
            sums, before = np.zeros((len(part), len(block))), 0
            for level in levels:
                nodes, lanes = len(level.words), np.arange(len(part))[:, None]
                rows = (lanes * before + level.parents).ravel() if before else None
                scores = step(np.tile(level.words, len(part)), rows, np.repeat(part, nodes))
                at = lanes * nodes + level.nodes
                gains = scores[at, level.following] - _normaliser(scores)[at]
                sums[:, level.captions] += np.maximum(gains, floor)
                before = nodes
            log_probs[first : first + len(part), block] = sums
            tell(images * begin + len(block) * int(part[-1] + 1), images * len(order))
    return log_probs


class _Level(NamedTuple):
    """The t-th word of sorted captions: `captions` that have one, which of the distinct beginnings before it (`nodes`)
    each has, which word comes next (`following`); the last word of every beginning, and the beginning that this went on
    from."""

    captions: np.ndarray
    nodes: np.ndarray
    following: np.ndarray
    words: np.ndarray
    parents: np.ndarray


def _levels(captions: list[Sequence[int]]) -> list[_Level]:
    lengths = np.array([len(caption) for caption in captions])
    table = np.full((len(captions), lengths.max(initial=0)), -1, np.int64)
    for row, caption in zip(table, captions):
        row[: len(caption)] = caption
    levels, node = [], np.zeros(len(captions), np.intp)
    for t in range(table.shape[1]):
        longer = np.flatnonzero(lengths > t)
        beginnings = table[longer, :t]
        fresh = np.concatenate([[True], (beginnings[1:] != beginnings[:-1]).any(1)])
        firsts, parents = longer[fresh], node[longer[fresh]]
        node[longer] = np.cumsum(fresh) - 1
        words = table[firsts, t - 1] if t else np.array([END])
        levels.append(_Level(longer, node[longer], table[longer, t], words, parents))
    return levels


def _likeliest(scores: np.ndarray, count: int) -> np.ndarray:
    """Indices (S, count) of the highest scores (S, V), highest first."""
    if count == 1:
        return scores.argmax(1)[:, None]
    count = min(count, scores.shape[1])
    indices = np.argpartition(scores, -count, 1)[:, -count:]
    order = np.lexsort((indices, -np.take_along_axis(scores, indices, 1)), 1)
    return np.take_along_axis(indices, order, 1)


def _normaliser(scores: np.ndarray) -> np.ndarray:
    """The logarithm (S,) of what the softmax divides by. ValueError where scores are not finite."""
    highest = scores.max(1)
    total = highest + np.log(np.exp(scores - highest[:, None]).sum(1, dtype=np.float64))
    if not np.isfinite(total).all():
        raise ValueError("the net's predictions are not finite; are these its weights?")
    return total
