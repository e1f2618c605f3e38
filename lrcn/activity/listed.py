"""Which frames of a prepared data set features are extracted of: sequences of every video of its lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data_prep import DataError
from data_prep.dataset import Dataset, Video, list_text
from lrcn.activity.groups import Images
from lrcn.activity.sampler import clip_images, clip_starts, image_range

STRIDE = 8  # between clips, as videos are classified


@dataclass(frozen=True)
class Extraction:
    """What is extracted: `blob`, a row (D,) a frame, in sequences of `frames`.

    clips: clips of consecutive frames in place of evenly spaced ones; in training each once, in testing as released,
    where the last counts more than once. crops: "centre", or "ten-mean", the mean over the ten crops (five where labels
    do not survive a mirror) that videos are classified by. videos: of a training batch, whose order follows from
    `seed`.
    """

    blob: str = "fc6"
    frames: int = 16
    clips: bool = False
    crops: str = "centre"
    videos: int = 24
    seed: int = 1701


def sequences(video: Video, modality: str, frames: int, clips: bool) -> list[list[int]]:
    """The image numbers of a video's sequences: one of `frames` evenly spaced ones from the first to the last image
    (some twice where there are fewer); or clips of consecutive ones at stride 8, as videos are classified, the last
    images in every clip for which `frames` do not remain. [] where there is no image."""
    first, last = image_range(modality, video.frames)
    images = last - first + 1
    if images < 1:
        return []
    if clips:
        return [
            [first + i for i in clip_images(start, frames, images - 1)] for start in clip_starts(images, frames, STRIDE)
        ]
    if frames == 1:
        return [[first + (images - 1) // 2]]
    gaps = frames - 1
    return [[first + (2 * t * (images - 1) + gaps) // (2 * gaps) for t in range(frames)]]


@dataclass(frozen=True)
class Listed:
    """The videos of every list (split, "train" or "test") of which there are images, the image numbers of their
    sequences by the video's name, and the names of those left out."""

    lists: dict[tuple[int, str], list[Video]]
    sequences: dict[str, list[list[int]]]
    left_out: list[str]

    @classmethod
    def of(cls, dataset: Dataset, modality: str, extraction: Extraction) -> Listed:
        """Errors: DataError where a list has no video with an image."""
        lists = {
            (split, part): dataset.videos(split, part)
            for split in dataset.description.get("splits", [1])
            for part in ("train", "test")
        }
        listed = cls._of_lists(lists, modality, extraction)
        for (split, part), videos in listed.lists.items():
            if not videos:
                raise DataError(f"{dataset.folder}: no video of {part}{split}.txt has an image of {modality}")
        return listed

    @classmethod
    def _of_lists(cls, lists: dict[tuple[int, str], list[Video]], modality: str, extraction: Extraction) -> Listed:
        videos = {video.name: video for listed in lists.values() for video in listed}
        by_video = {
            name: sequences(video, modality, extraction.frames, extraction.clips) for name, video in videos.items()
        }
        return cls(
            {key: [video for video in listed if by_video[video.name]] for key, listed in lists.items()},
            {name: of_video for name, of_video in by_video.items() if of_video},
            [name for name, of_video in by_video.items() if not of_video],
        )

    def described(self) -> dict[str, Any]:
        """Ready for JSON, for `read`."""
        videos = {video.name: list(vars(video).values()) for listed in self.lists.values() for video in listed}
        lists = [[split, part, [video.name for video in listed]] for (split, part), listed in self.lists.items()]
        return {"videos": videos, "lists": lists, "left_out": self.left_out}

    @classmethod
    def read(cls, described: Mapping[str, Any], modality: str, extraction: Extraction) -> Listed:
        videos = {name: Video(*values) for name, values in described["videos"].items()}
        lists = {(split, part): [videos[name] for name in names] for split, part, names in described["lists"]}
        return replace(cls._of_lists(lists, modality, extraction), left_out=described["left_out"])

    def rows(self, frames: int) -> int:
        """How many rows of activations lie on the disk: those of all images while they are computed, and those of every
        list's sequences of so many frames."""
        of_lists = sum(len(self.sequences[video.name]) for listed in self.lists.values() for video in listed)
        return sum(len(numbers) for _, numbers in self.images()) + frames * of_lists

    def images(self) -> Images:
        """The numbers of each video's images, each once."""
        return [(name, sorted(set().union(*of_video))) for name, of_video in self.sequences.items()]

    def sequences_of(self, split: int, part: str) -> list[tuple[Video, list[int]]]:
        """A list's videos, each as often as it has sequences, with the numbers of its images; in training each sequence
        once."""
        return [
            (video, numbers)
            for video in self.lists[split, part]
            for numbers in (self.sequences[video.name] if part == "test" else _distinct(self.sequences[video.name]))
        ]


def places(images: Images, which: list[tuple[Video, list[int]]]) -> np.ndarray:
    """The rows (S, T) of sequences in a file that holds these images of video after video."""
    numbers = dict(images)
    begins = dict(zip(numbers, np.cumsum([0, *map(len, numbers.values())])))
    return np.array([begins[video.name] + np.searchsorted(numbers[video.name], one) for video, one in which])


def _distinct(sequences: list[list[int]]) -> list[list[int]]:
    return [list(numbers) for numbers in dict.fromkeys(map(tuple, sequences))]


def identity(dataset: Dataset, modality: str, listed: Listed) -> str:
    """What tells this data set's frames and lists from others'."""
    prepared = dataset.description.get("flow" if modality == "flow" else "prepared")
    digest = hashlib.sha256(json.dumps([prepared, dataset.classes, dataset.mirror], sort_keys=True).encode())
    digest.update((dataset.folder / "videos.tsv").read_bytes())
    for key, videos in listed.lists.items():
        digest.update(f"{key}\n{list_text(videos)}".encode())
    return digest.hexdigest()
