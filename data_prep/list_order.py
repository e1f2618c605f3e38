"""In which order a training list names its videos. Nets that go by the list (`order=list`, as released) see in a batch
what stands in a row there: of a list that goes class by class, one class or two, and nothing is learnt.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep import DataError

VIDEOS = 24  # a batch of the published activity nets


def check_seed(seed: int) -> None:
    """Errors: DataError."""
    if seed < 0:
        raise DataError(f"seed {seed}: give a whole number from 0 on")


@dataclass(frozen=True)
class ListOrder:
    """The order of training lists: a random one that hangs on the seed, the split and the list alone, or, with `keep`,
    the one in which they are given. Test lists keep theirs. Errors: DataError for a seed below 0.
    """

    seed: int = 1701
    keep: bool = False

    def __post_init__(self):
        check_seed(self.seed)

    def of(self, lists: dict[str, list[str]]) -> dict[str, list[str]]:
        """The lists ("train1.txt", "test1.txt", ... -> names of videos) in their order."""
        ordered = dict(lists)
        for name, videos in lists.items():
            if name.startswith("train") and not self.keep:
                split = int(name.removeprefix("train").removesuffix(".txt"))
                order = np.random.default_rng([self.seed, split]).permutation(len(videos))
                ordered[name] = [videos[place] for place in order]
        return ordered

    def remark(self, lists: dict[str, list[str]]) -> str:
        """What to tell the user of it."""
        counts = ", ".join(str(len(videos)) for name, videos in lists.items() if name.startswith("train"))
        order = "the given order" if self.keep else f"a random order of seed {self.seed}"
        return f"training lists: {counts} videos in {order}"


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
