"""Which videos are for training and which for testing, where no lists say so: a seeded draw, a share of each class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep import DataError


@dataclass(frozen=True)
class Draw:
    """How videos are divided. Errors: DataError.

    test_share: how many of each class are for testing, 0 to 1; at least one is. group_by: a regular expression. Videos
    in whose names it matches the same text are a group, of one scene or person say, and all of them are for training
    or all for testing, whatever their classes are. None: each video is a group of its own.
    """

    test_share: float = 0.25
    group_by: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise DataError(f"--test-share {self.test_share}: not between 0 and 1; give 0.25, say")
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise DataError(f"--group-by {self.group_by!r}: not a regular expression: {error}") from None

    def lists(self, classes: Mapping[str, Sequence[str]], seed: int) -> dict[str, list[str]]:
        """train1.txt and test1.txt, as names of videos. classes: their names, by class. Errors: DataError."""
        random = np.random.default_rng(seed)
        groups = {video: self._group(video) for videos in classes.values() for video in videos}
        tests: set[str] = set()  # groups
        for videos in classes.values():
            sizes = Counter(groups[video] for video in videos)
            of_class, lacking = list(sizes), max(1, round(self.test_share * len(videos)))
            lacking -= sum(size for group, size in sizes.items() if group in tests)
            for place in random.permutation(len(of_class)):
                group = of_class[place]
                if lacking > 0 and group not in tests:
                    tests.add(group)
                    lacking -= sizes[group]
        lists: dict[str, list[str]] = {"train1.txt": [], "test1.txt": []}
        for class_name, videos in classes.items():
            if all(groups[video] in tests for video in videos):
                raise DataError(self._undivided(class_name, videos))
            for video in videos:
                lists["test1.txt" if groups[video] in tests else "train1.txt"].append(video)
        random.shuffle(lists["train1.txt"])  # a part of the draw: by its lists a data set drawn earlier is known again
        return lists

    def _group(self, video: str) -> str:
        if self.group_by is None:
            return video
        match = re.search(self.group_by, video)
        if match is None:
            raise DataError(
                f"--group-by {self.group_by!r}: matches nothing in the name {video}; rename it or give lists"
            )
        return match[0]

    def _undivided(self, class_name: str, videos: Sequence[str]) -> str:
        if len(videos) == 1:
            return f"class {class_name}: one video cannot be divided into train and test; add videos or give lists"
        what = f"all {len(videos)} videos were drawn for testing"
        mend = "give a smaller --test-share, more groups, or lists" if self.group_by else "give a smaller --test-share"
        return f"class {class_name}: {what}; {mend}"
