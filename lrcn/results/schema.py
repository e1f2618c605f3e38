"""What results.json holds, as far as tables and words are made of it: kinds and ranges, task by task.

What a field may be without is left out by an earlier lrcn, or where it was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**53)]
Split = Annotated[int, Meta(ge=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Portion = Annotated[float, Meta(ge=0, le=1)]
Score = Annotated[float, Meta(ge=0, le=100)]  # CIDEr alone is above 1, and 10 at most


@dataclass
class Card:
    name: str


@dataclass
class Gpu:
    """Of `Compute.about`."""

    precision: str
    deterministic: bool
    cards: list[Card] | None = None


@dataclass
class Stretch:
    """Of a training, on one device."""

    gpu: Gpu | None


@dataclass
class Engine:
    source: str


@dataclass
class Data:
    name: str
    images: Count | None = None
    captions: Count | None = None
    part: str = ""
    vocabulary: Count = 0
    split: Split = 1


@dataclass
class Evaluation:
    """Of what is said of it; the rest is of any kind."""

    strides: list[int] = field(default_factory=list)
    retrieval_images: Count = 0
    retrieval_captions: Count = 0


@dataclass
class Results:
    """Of any task, also of one that the paper has not."""

    task: str
    dataset: Data
    models: dict[str, dict[str, Any]]
    experiment: str | None = None
    evaluation: Evaluation = field(default_factory=Evaluation)
    engine: Engine | None = None
    gpu: Gpu | None = None
    seed: int | None = None
    weights: dict[str, Any] = field(default_factory=dict)
    trained_on: dict[str, list[Stretch]] = field(default_factory=dict)
    passed_over: dict[str, dict[str, Count]] = field(default_factory=dict)


# ---- activity ----------------------------------------------------------------------------------------------


@dataclass
class Videos:
    name: str
    classes: list[str]
    test_videos: Count
    split: Split


@dataclass
class Accuracy:
    accuracy: Percent | None = None
    videos: Count | None = None


@dataclass
class Classified:
    dataset: Videos
    models: dict[str, dict[str, Accuracy | None]]


# ---- sentences ---------------------------------------------------------------------------------------------


@dataclass
class Part:
    part: str
    images: Count
    captions: Count


Ranks = TypedDict(
    "Ranks",
    {
        "R@1": Percent | None,
        "R@5": Percent | None,
        "R@10": Percent | None,
        "median_rank": Annotated[float, Meta(ge=1)] | None,
    },
)


class Ranked(Ranks, total=False):
    """Of one direction; `of`: among how many."""

    of: Count | None


@dataclass
class Retrieval:
    caption_to_image: Ranked
    image_to_caption: Ranked


Generation = TypedDict(
    "Generation",
    {
        "images": Count | None,
        "BLEU-1": Score | None,
        "BLEU-2": Score | None,
        "BLEU-3": Score | None,
        "BLEU-4": Score | None,
        "METEOR": Score | None,
        "ROUGE-L": Score | None,
        "CIDEr": Score | None,
    },
    total=False,
)


@dataclass
class Spoken:
    """What was measured of a model's sentences."""

    retrieval: Retrieval | None = None
    generation: Generation | None = None
    by_detail: dict[str, Generation] = field(default_factory=dict)
    truth: dict[str, Portion] | None = None


@dataclass
class Described:
    dataset: Part
    models: dict[str, Spoken]


@dataclass
class Perplexity:
    perplexity: float | None
    captions: Count
    words: Count


@dataclass
class Predicted:
    perplexity: dict[str, Perplexity]


@dataclass
class Modelled:
    models: dict[str, Predicted]


OF_TASK: dict[str, type] = {"activity": Classified, "caption": Described, "video": Described, "lm": Modelled}
