"""Images found by their captions and captions by their images (paper, Table 2), by a trained captioner.

As the authors rank: a caption's score under an image is the log probability of its words (not of its end) less the
logarithm of its mean probability over all images, so that captions that are likely anyhow do not come first everywhere.
Of an image's several captions the one that is found first counts.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep import DataError
from data_prep.whole_files import write_bytes, write_json, write_text
from data_prep.workers import Counted, no_progress
from lrcn.engine.compute import Progress
from lrcn.sentences.captioner import Captioner
from readers.npz import read_npy

RECALLS = (1, 5, 10)
TOGETHER = 500  # captions scored at once
QUERIES, HITS = 8, 5  # of examples: so many each way, with so many of what comes first
BLOCK = 1 << 22  # scores that are worked on at once


@dataclass(frozen=True)
class Ranks:
    """From 1: by image, the place of the first caption that is its own among all captions; by caption, the place of its
    image among all images."""

    captions: np.ndarray
    images: np.ndarray

    def results(self) -> dict[str, dict]:
        """{"image_to_caption": {"R@1": percent, "R@5", "R@10", "median_rank", "mean_rank", "of"}, "caption_to_image":
        the same}; `of`: among how many."""
        return {
            "image_to_caption": _summary(self.captions, len(self.images)),
            "caption_to_image": _summary(self.images, len(self.captions)),
        }


def _summary(ranks: np.ndarray, of: int) -> dict[str, float]:
    return {
        **{f"R@{k}": round(100 * float((ranks <= k).mean()), 4) for k in RECALLS},
        "median_rank": float(np.median(ranks)),
        "mean_rank": float(ranks.mean()),
        "of": of,
    }


def retrieve(
    captioner: Captioner,
    features: np.ndarray,
    captions: Sequence[Sequence[str]],
    owners: Sequence[int],
    progress: Progress = no_progress,
    folder: Path | None = None,
) -> tuple[np.ndarray, Ranks]:
    """Normalised scores (images, captions) float64, and ranks. features: fc8 (N, D) of the images; captions: the words
    of each; owners: the number of its image, from 0; folder: in which the scores of some hundred captions at a time are
    kept, and read by a call that goes on. DataError as `rank` has it, CaffeError where Caffe fails.

    The net's predictions are there for a few hundred captions at a time; what is kept is a number a pair (1,000 images
    and 5,000 captions: 40 MB).
    """
    _check(len(features), len(captions), owners)
    indices = [captioner.indices(words) for words in captions]
    order = sorted(range(len(indices)), key=indices.__getitem__)  # those that begin alike go through the net together
    scores, pairs = np.empty((len(features), len(captions))), len(features) * len(captions)
    for first in range(0, len(order), TOGETHER):
        block = order[first : first + TOGETHER]
        path = folder / f"scores_{first:06d}.npy" if folder else None
        if path and path.exists() and (before := _scores(path, (len(features), len(block)))) is not None:
            scores[:, block] = before
            continue
        scores[:, block] = captioner.score(
            features,
            [indices[caption] for caption in block],
            lambda what, done, total, first=first: progress(
                Counted(what, "pairs"), len(features) * first + done, pairs
            ),
        )
        if path:
            content = io.BytesIO()
            np.save(content, scores[:, block])
            write_bytes(path, content.getvalue())
    normalise(scores)
    return scores, rank(scores, owners)


def _scores(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """What an earlier call kept; None where it was damaged since."""
    try:
        scores = read_npy(path, DataError)
    except DataError:
        return None
    return scores if scores.shape == shape and scores.dtype == np.float64 else None


def normalise(scores: np.ndarray) -> None:
    """Log probabilities (images, captions) less the logarithm of each caption's mean probability, in place.

    Exact where the authors' exponentials would be nought: the log probability of a long caption may be below -745.
    """
    for first, last in _blocks(scores.shape[1], scores.shape[0]):
        block = scores[:, first:last]
        highest = block.max(0)
        block -= highest + np.log(np.exp(block - highest).mean(0))


def rank(scores: np.ndarray, owners: Sequence[int]) -> Ranks:
    """Ranks by scores (images, captions), high ones first; of equal scores the first in order comes first. owners:
    which image each caption is of.

    DataError where an image has no caption, an owner is no image, or a score is not a number.
    """
    images, captions = scores.shape
    owners = _check(images, captions, owners)
    by_caption = np.empty(captions, np.int64)
    for first, last in _blocks(captions, images):
        block = scores[:, first:last]
        if np.isnan(block).any():
            raise DataError("a score is not a number")
        own = block[owners[first:last], np.arange(last - first)]
        earlier = np.arange(images)[:, None] < owners[first:last]
        by_caption[first:last] = 1 + ((block > own) | ((block == own) & earlier)).sum(0)
    by_image = np.empty(images, np.int64)
    order = np.argsort(owners, kind="stable")
    of_image = np.split(order, np.cumsum(np.bincount(owners, minlength=images))[:-1])
    for image, own in enumerate(of_image):
        best = own[scores[image, own].argmax()]  # of equals the first
        above = scores[image] > scores[image, best]
        by_image[image] = 1 + above.sum() + (scores[image, :best] == scores[image, best]).sum()
    return Ranks(by_image, by_caption)


def queries(scores: np.ndarray, ranks: Ranks) -> dict[str, list[dict[str, Any]]]:
    """Examples by normalised scores (images, captions): {"caption_to_image": [{"query": a caption's number, "rank": as
    `Ranks` has it, "top": [[an image's number, score], ...]}, ...], "image_to_caption": the other way round}; from 0,
    spread evenly from the best rank to the worst, the first in order of equals."""
    return {
        "caption_to_image": [_query(caption, ranks.images, scores[:, caption]) for caption in _spread(ranks.images)],
        "image_to_caption": [_query(image, ranks.captions, scores[image]) for image in _spread(ranks.captions)],
    }


def _spread(ranks: np.ndarray) -> list[int]:
    order = np.argsort(ranks, kind="stable")
    places = np.linspace(0, len(order) - 1, min(QUERIES, len(order))).round().astype(int)
    return order[places].tolist()


def _query(number: int, ranks: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    best = np.argsort(-scores, kind="stable")[:HITS].tolist()
    return {
        "query": number,
        "rank": int(ranks[number]),
        "top": [[each, round(float(scores[each]), 4)] for each in best],
    }


def write(
    folder: Path, ranks: Ranks, images: Sequence[str], captions: Sequence[Sequence[str]], owners: Sequence[int]
) -> None:
    """In `folder`: retrieval.json, the results; retrieval_images.tsv and retrieval_captions.tsv, the rank of each.
    images: their files; captions, owners: as `retrieve` has them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(
        folder / "retrieval_images.tsv",
        "image\trank\n" + "".join(f"{image}\t{rank}\n" for image, rank in zip(images, ranks.captions)),
    )
    write_text(
        folder / "retrieval_captions.tsv",
        "image\trank\tcaption\n"
        + "".join(
            f"{images[owner]}\t{rank}\t{' '.join(words)}\n"
            for owner, rank, words in zip(owners, ranks.images, captions)
        ),
    )
    write_json(folder / "retrieval.json", ranks.results())


def _blocks(columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """The first column and the last, which is not of it, of blocks of about BLOCK values."""
    step = max(1, BLOCK // max(rows, 1))
    for first in range(0, columns, step):
        yield first, min(first + step, columns)


def _check(images: int, captions: int, owners: Sequence[int]) -> np.ndarray:
    """The owners (captions,) int64. DataError where an image has no caption, or an owner is no image."""
    owners = np.asarray(owners, np.int64)
    if owners.shape != (captions,):
        raise DataError(f"{len(owners)} owners for {captions} captions: give one each")
    if captions and not 0 <= owners.min() <= owners.max() < images:
        raise DataError(
            f"a caption is of image {owners.max() if owners.max() >= images else owners.min()}, and there "
            f"are {images}, from 0 on"
        )
    if missing := images - len(np.unique(owners)):
        raise DataError(f"{missing} of {images} images have no caption; leave them out")
    return owners
