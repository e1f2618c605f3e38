"""The activations of one blob of a Caffe net over the frames of a prepared data set, extracted once: a features data
set, which trains an LSTM in minutes where the CNN before it stays as it is.

Of the net only what the blob depends on is built, for pictures alone and for as many at a time as memory allows, so
that any deploy net will do: a single frame's, an LRCN's, another task's.

A blob holds what the last layer that writes it left there. In the paper's nets, in CaffeNet and in VGG-16 the ReLUs
work in place, so `fc6` and `fc7` are the activations after the ReLU, as the LSTM of the whole net reads them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import Message

from data_prep import DataError, room
from data_prep.dataset import Dataset, Video, list_text
from data_prep.features import Gathered, output_folder, write_part
from data_prep.whole_files import new_folder, write_json, write_text
from data_prep.workers import Counted
from lrcn.activity.sampler import clip_images, clip_starts, image_range
from lrcn.engine.compute import Compute
from lrcn.engine.process import Caffe
from lrcn.pixels import Transform
from lrcn.trained_net import digest
from netspecs import catalogue
from prototxt_gen import SpecError, parse, to_text
from prototxt_gen.part import Part, check_weights, part_for
from prototxt_gen.text import Source

STRIDE = 8  # between clips, as videos are classified
SIZE = (240, 320)  # published: smaller frames are enlarged to this
BATCH = 64  # pictures a forward pass, at most
BATCH_BYTES = 1 << 30  # of activations, about


@dataclass(frozen=True)
class DeployNet:
    """A deploy net, and how it sees pixels. name: a variant's, or its file."""

    name: str
    message: Message
    transform: Transform

    def part(self, blob: str, weights: Path) -> Part:
        """What of the net makes `blob`. SpecError where the blob, the pixels or the weights do not fit."""
        part, transform = part_for(self.message, blob, self.name), self.transform
        if part.crop > min(transform.height, transform.width):
            raise SpecError(
                f"{self.name}: reads {part.crop}x{part.crop} pixels, and smaller frames are enlarged only to"
                f" {transform.height}x{transform.width}; give --size HEIGHT WIDTH"
            )
        check_weights(part, weights, self.name)
        return part


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


# ---- which net, and how it sees pixels ---------------------------------------------------------------------


def source(
    net: str | Source,
    dataset: Dataset,
    modality: str | None = None,
    settings: Mapping[str, Any] | None = None,
    mean: Sequence[float] | None = None,
    scale: float | None = None,
    size: Sequence[int] | None = None,
) -> DeployNet:
    """A deploy net's file, or a variant's deploy net. Of a file that was read, what its `lacking` names is passed over.

    How a variant sees pixels follows from its `settings`, on this data set. Of a file the mean is given; scale and size
    are given, or as published. Raises SpecError, DataError.
    """
    if dataset.kind != "frames":
        raise DataError(f"{dataset.folder}: holds {dataset.kind}, no frames; give a data set of videos")
    if isinstance(net, Source) or Path(net).is_file() or net.endswith(".prototxt"):
        name = net.name if isinstance(net, Source) else net
        if settings:
            raise SpecError(f"--set is for a net of the catalogue; {name} is a file, whose net stays as it is")
        if mean is None:
            published = {m: catalogue.get(f"activity/lrcn-fc6-{m}").mean() for m in ("rgb", "flow")}
            means = " or ".join(f"{' '.join(f'{value:g}' for value in published[m])} ({m})" for m in published)
            raise SpecError(
                f"{name}: does not say less which mean it sees pixels; give --mean BLUE GREEN RED, published: {means}"
            )
        height, width = size or SIZE
        transform = Transform(height, width, list(mean), 1.0 if scale is None else scale, modality=modality or "rgb")
        return DeployNet(name, net.message if isinstance(net, Source) else parse(Path(net)), transform)
    variant = catalogue.get(net)
    if variant.task != "activity":
        raise SpecError(f"{net}: only activity/* read the frames of videos; of another net give the deploy net's file")
    for option, value in {"--mean": mean, "--scale": scale, "--size": size}.items():
        if value is not None:
            raise SpecError(f"{option} is for a net's file; how {net} sees pixels follows from its settings (--set)")
    if modality not in (None, variant.modality):
        raise SpecError(
            f"{net} reads {variant.modality}: leave --modality {modality} out, or name the net that reads it"
        )
    settings = settings or variant.settings()
    if settings["backbone"] == "features":
        raise SpecError(f"{net}: backbone features has no CNN to extract from; name another with --set backbone=...")
    return DeployNet(net, variant.files(**settings)["deploy"], Transform.of(variant, settings))


# ---- which frames ------------------------------------------------------------------------------------------


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
        lists = {
            (split, part): dataset.videos(split, part)
            for split in dataset.description.get("splits", [1])
            for part in ("train", "test")
        }
        videos = {video.name: video for listed in lists.values() for video in listed}
        by_video = {
            name: sequences(video, modality, extraction.frames, extraction.clips) for name, video in videos.items()
        }
        lists = {key: [video for video in listed if by_video[video.name]] for key, listed in lists.items()}
        for (split, part), listed in lists.items():
            if not listed:
                raise DataError(f"{dataset.folder}: no video of {part}{split}.txt has an image of {modality}")
        return cls(
            lists,
            {name: of_video for name, of_video in by_video.items() if of_video},
            [name for name, of_video in by_video.items() if not of_video],
        )

    def rows(self, frames: int) -> int:
        """How many rows of activations lie on the disk: those of all images while they are computed, and those of every
        list's sequences of so many frames."""
        of_lists = sum(len(self.sequences[video.name]) for listed in self.lists.values() for video in listed)
        return sum(map(len, self.images().values())) + frames * of_lists

    def images(self) -> dict[str, list[int]]:
        """The numbers of each video's images, each once."""
        return {name: sorted(set().union(*of_video)) for name, of_video in self.sequences.items()}


def extract(
    dataset: Dataset,
    net: DeployNet,
    weights: Path,
    out: Path,
    extraction: Extraction = Extraction(),
    compute: Compute | None = None,
    workers: int = 2,
) -> Path:
    """Makes the features data set `out`, float32, of every list of a prepared data set. A call after one that was cut
    off goes on. Raises SpecError, DataError, CaffeError."""
    out, compute, modality = output_folder(out), compute or Compute(), net.transform.modality
    dataset.check(modality)
    part = net.part(extraction.blob, weights)
    listed = Listed.of(dataset, modality, extraction)
    crops = 1 if extraction.crops == "centre" else 10 if dataset.mirror else 5
    together = max(1, min(BATCH, BATCH_BYTES // max(part.bytes_a_row, 1)) // crops)
    pixels = {key: getattr(net.transform, key) for key in ("modality", "mean", "scale", "height", "width")}
    settings = {
        "data": _identity(dataset, modality, listed.lists),
        "net": to_text(part.net),
        "weights": digest(weights),
        **vars(extraction),
        "shown": pixels,
        "together": together,
    }
    with new_folder(out, settings) as folder:
        if folder is None:
            return out
        need = 4 * part.size * listed.rows(extraction.frames)
        room.check(out, need, "the activations", compute.progress, room.taken(folder.rglob("*")))
        for remark in _remarks(net, part, listed, modality):
            compute.progress(remark, 0, 0)
        job = pixels | {
            "data": str(dataset.folder.resolve()),
            "mirror": dataset.mirror and extraction.crops != "centre",
            "crops": extraction.crops,
            "count": crops,
            "together": together,
            "workers": workers,
            "weights": str(Path(weights).resolve()),
        }
        rows = _compute_rows(folder / "work", job, part, listed.images(), compute)
        _write_lists(folder, out, rows, listed, extraction, modality)
        del rows
        shutil.rmtree(folder / "work")
        origin = {"net": net.name, "weights": str(weights), "crops": extraction.crops, "engine": compute.engine.info()}
        origin |= {
            "gpu": compute.about(),
            "blob": part.blob,
            "written_by": part.written_by,
            "rectified": part.rectified,
        }
        about = {"modality": modality, "feature_size": part.size, "skipped": len(listed.left_out)}
        about |= {"extracted": origin, "prepared": settings}
        write_json(folder / "dataset.json", _sizes(dataset, extraction) | about)
    return out


def _remarks(net: DeployNet, part: Part, listed: Listed, modality: str) -> Iterator[str]:
    if listed.left_out:
        yield f"left out, having no image of {modality}: {', '.join(listed.left_out)}"
    yield (
        f"{net.name}: {part.blob} is what {', then '.join(part.written_by)} left there: {part.size} values a frame, "
        f"{'after' if part.rectified else 'not after'} a ReLU"
    )


def _sizes(dataset: Dataset, extraction: Extraction) -> dict[str, Any]:
    """What dataset.json says as other data sets' do, and of the sequences."""
    return {
        "name": dataset.name,
        "kind": "features",
        "classes": dataset.classes,
        "mirror": dataset.mirror,
        "splits": dataset.description.get("splits", [1]),
        "frames": extraction.frames,
        "clips": extraction.clips,
        "videos": extraction.videos,
        "seed": extraction.seed,
    }


def _compute_rows(
    work: Path, job: dict[str, Any], part: Part, images: dict[str, list[int]], compute: Compute
) -> np.ndarray:
    """Has Caffe compute the activations (all images, D), video after video; they lie in a file in the folder `work`."""
    job = job | {"crop": part.crop, "input": part.input, "blob": part.blob} | compute.device
    work.mkdir(exist_ok=True)
    write_text(work / "deploy.prototxt", to_text(part.deploy(job["together"] * job["count"])))
    write_text(work / "job.json", json.dumps(job | {"videos": list(images.items())}))
    log = work / "caffe.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lrcn.activity.activations", work / "job.json"]
    with Caffe(compute, command, log, talks=True) as caffe:
        for line in caffe.lines():
            compute.progress(Counted(f"{part.blob}: frames", "frames"), *map(int, line.split()))
    return np.memmap(work / "rows.f32", np.float32, "r").reshape(-1, part.size)


def _write_lists(
    folder: Path, out: Path, rows: np.ndarray, listed: Listed, extraction: Extraction, modality: str
) -> None:
    """Writes each list's HDF5 files and its sequences, and the videos that were left out."""
    images = listed.images()
    for (split, part), videos in listed.lists.items():
        which = [
            (video, numbers)
            for video in videos
            for numbers in (listed.sequences[video.name] if part == "test" else _distinct(listed.sequences[video.name]))
        ]
        x, labels = Gathered(rows, _places(images, which)), np.array([video.label for video, _ in which])
        write_part(folder, out, f"{part}{split}", x, labels, extraction.videos, extraction.seed)
        lines = [f"{video.name}\t{video.label}\t{numbers[0]}\n" for video, numbers in which]
        write_text(folder / f"{part}{split}_sequences.tsv", "video\tlabel\tfirst\n" + "".join(lines))
    if listed.left_out:
        lines = [f"{name}\tno image of {modality}\n" for name in listed.left_out]
        write_text(folder / "skipped.tsv", "video\treason\n" + "".join(lines))


def _places(images: dict[str, list[int]], which: list[tuple[Video, list[int]]]) -> np.ndarray:
    """The rows (S, T) of sequences in a file that holds these images of video after video."""
    begins = dict(zip(images, np.cumsum([0, *map(len, images.values())])))
    return np.array([begins[video.name] + np.searchsorted(images[video.name], one) for video, one in which])


def _distinct(sequences: list[list[int]]) -> list[list[int]]:
    return [list(numbers) for numbers in dict.fromkeys(map(tuple, sequences))]


def _identity(dataset: Dataset, modality: str, lists) -> str:
    """What tells this data set's frames and lists from others'."""
    prepared = dataset.description.get("flow" if modality == "flow" else "prepared")
    digest = hashlib.sha256(json.dumps([prepared, dataset.classes, dataset.mirror], sort_keys=True).encode())
    digest.update((dataset.folder / "videos.tsv").read_bytes())
    for key, listed in lists.items():
        digest.update(f"{key}\n{list_text(listed)}".encode())
    return digest.hexdigest()
