"""In which order a training list names its videos. Nets that go by the list (`order=list`, as released) see in a batch
what stands in a row there: of a list that goes class by class, one class or two, and nothing is learnt.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from data_prep import DataError

VIDEOS = 24  # a batch of the published activity nets


def check_seed(seed: int) -> None:
    """Errors: DataError."""
    if seed < 0:
        raise DataError(f"seed {seed}: give a whole number from 0 on")


def in_random_order(lists: dict[str, list[str]], seed: int) -> dict[str, list[str]]:
    """The lists ("train1.txt", "test1.txt", ... -> names of videos), the training lists in a random order that hangs on
    the seed, the split and the list alone; test lists as they are.
    """
    ordered = dict(lists)
    for name, videos in lists.items():
        if name.startswith("train"):
            split = int(name.removeprefix("train").removesuffix(".txt"))
            ordered[name] = [videos[k] for k in np.random.default_rng([seed, split]).permutation(len(videos))]
    return ordered


def order_remark(lists: dict[str, list[str]], seed: int | None) -> str:
    """What to tell the user of the training lists' order; seed None: they are as they were given."""
    counts = ", ".join(str(len(videos)) for name, videos in lists.items() if name.startswith("train"))
    return (
        f"training lists: {counts} videos in {'the given order' if seed is None else f'a random order of seed {seed}'}"
    )


def classes_per_batch(labels: Sequence[Hashable], batch: int) -> float:
    """How many different labels a batch has on average, where batches of `batch` are taken from the list one after the
    other, round and round.

    It is exact: the mean over the batches until one begins with the first label again.
    """
    count = len(labels)
    step = math.gcd(count, batch)  # batches begin at all multiples of it, each as often
    last = {label: place - count for place, label in enumerate(labels)}  # its last place in the round before
    seen = 0
    for place, label in enumerate(labels):
        # The label is new to a batch that begins at most `reach - 1` places before this one.
        reach = min(place - last[label], batch)
        seen += math.ceil((reach - place % step) / step)  # such beginnings
        last[label] = place
    return seen / (count // step)


def classes_per_random_batch(labels: Sequence[Hashable], batch: int) -> float:
    """The expectation of `classes_per_batch` over all orders of the list: exact, by the hypergeometric distribution."""
    count, batch = len(labels), min(batch, len(labels))
    ways = math.comb(count, batch)
    return sum(1 - math.comb(count - members, batch) / ways for members in Counter(labels).values())
