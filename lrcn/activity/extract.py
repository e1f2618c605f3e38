"""The activations of one blob of a Caffe net over the frames of a prepared data set, extracted once: a features data
set, which trains an LSTM in minutes where the CNN before it stays as it is.

Of the net only what the blob depends on is built, for pictures alone and for as many at a time as memory allows, so
that any deploy net will do: a single frame's, an LRCN's, another task's.

A blob holds what the last layer that writes it left there. In the paper's nets, in CaffeNet and in VGG-16 the ReLUs
work in place, so `fc6` and `fc7` are the activations after the ReLU, as the LSTM of the whole net reads them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import Message

from data_prep import DataError, checksums, room, shards
from data_prep.children import python
from data_prep.dataset import Dataset
from data_prep.features import Gathered, output_folder, write_part
from data_prep.whole_files import write_json, write_text
from data_prep.workers import Counted, Progress, Work, cores
from lrcn.activity.groups import ROWS, Images, count, gather, groups_of
from lrcn.activity.listed import Extraction, Listed, identity, places
from lrcn.engine.compute import Compute
from lrcn.engine.elsewhere import Terms, check_begun, traits
from lrcn.engine.process import Caffe
from lrcn.engine.scratch import Scratch
from lrcn.pixels import Transform
from lrcn.trained_net import check_same, digest
from netspecs import catalogue
from prototxt_gen import SpecError, parse, to_text
from prototxt_gen.part import Part, check_weights, part_for
from prototxt_gen.text import Source

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


# ---- the data set ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Features:
    """What a features data set is, but for its rows and their origin.

    settings: what tells it from others. sizes, blob: what dataset.json says of the sequences, and of the blob, whose
    rows have `size` values.
    """

    settings: dict[str, Any]
    sizes: dict[str, Any]
    blob: dict[str, Any]
    size: int
    modality: str
    extraction: Extraction
    listed: Listed

    def recipe(self) -> dict[str, Any]:
        """Ready for JSON, for `read`."""
        more = {"kind": "features", "extraction": vars(self.extraction), "listed": self.listed.described()}
        return vars(self) | more

    @classmethod
    def read(cls, recipe: Mapping[str, Any]) -> Features:
        values, extraction = dict(recipe), Extraction(**recipe["extraction"])
        del values["kind"]
        listed = Listed.read(recipe["listed"], recipe["modality"], extraction)
        return cls(**values | {"extraction": extraction, "listed": listed})

    def sizes_of(self, groups: list[Images]) -> dict[str, int]:
        """First video of each group -> bytes of its rows."""
        return {group[0][0]: 4 * self.size * count([group]) for group in groups}


def extract(
    dataset: Dataset,
    net: DeployNet,
    weights: Path,
    out: Path,
    extraction: Extraction = Extraction(),
    compute: Compute | None = None,
    work: Work = Work(),
) -> Path:
    """Makes the features data set `out`, float32, of every list of a prepared data set; or a shard of it, which has
    every so many-th group of videos. A call after one that was cut off goes on.

    work: a crew's workers run Caffe each, on the terms of `compute`, and read data set and weights under the same
    paths; without a crew its `workers` read frames for the Caffe of this machine. Raises SpecError, DataError,
    CaffeError.
    """
    out, compute, modality = output_folder(out), compute or Compute(), net.transform.modality
    dataset.check(modality)
    part = net.part(extraction.blob, weights)
    listed = Listed.of(dataset, modality, extraction)
    crops = 1 if extraction.crops == "centre" else 10 if dataset.mirror else 5
    together = max(1, min(BATCH, BATCH_BYTES // max(part.bytes_a_row, 1)) // crops)
    pixels = {key: getattr(net.transform, key) for key in ("modality", "mean", "scale", "height", "width")}
    settings = {
        "data": identity(dataset, modality, listed),
        "net": to_text(part.net),
        "weights": digest(weights),
        **vars(extraction),
        "shown": pixels,
        "together": together,
    }
    blob = {"blob": part.blob, "written_by": part.written_by, "rectified": part.rectified}
    features = Features(settings, _sizes(dataset, extraction), blob, part.size, modality, extraction, listed)
    job = pixels | {
        "data": str(dataset.folder.resolve()),
        "mirror": dataset.mirror and extraction.crops != "centre",
        "crops": extraction.crops,
        "count": crops,
        "together": together,
        "weights": str(Path(weights).resolve()),
        "crop": part.crop,
        "input": part.input,
        "blob": part.blob,
    }
    caffe = _Extractor(job, to_text(part.deploy(together * crops)), part.size, extraction, settings)
    origin = {"net": net.name, "weights": str(weights), "crops": extraction.crops, "engine": compute.engine.info()}
    origin |= {"gpu": compute.about()}

    def fill(folder: Path, images: Images) -> None:
        for remark in _remarks(net, part, listed, modality):
            compute.progress(remark, 0, 0)
        caffe.fill(folder, images, compute, work)

    if work.shard:
        _make_shard(out, features, origin, fill, compute, work)
    else:
        _make(out, features, origin, fill, compute.progress)
    return out


Fill = Callable[[Path, Images], None]  # writes the rows of these images into a folder, `groups.ROWS`
Tell = Callable[[int, int], None]  # how many images are done, of how many


def _make(out: Path, features: Features, origin: dict[str, Any], fill: Fill, progress: Progress) -> None:
    """The data set, of rows that `fill` writes. origin: of the rows."""
    extraction, listed, modality = features.extraction, features.listed, features.modality
    with checksums.new_data_set(out, features.settings) as folder:
        if folder is None:
            return
        need = 4 * features.size * listed.rows(extraction.frames)
        room.check(out, need, "the activations", progress, room.taken(folder.rglob("*")))
        fill(folder / "work", listed.images())
        rows = np.memmap(folder / "work" / ROWS, np.float32, "r").reshape(-1, features.size)
        _write_lists(folder, out, rows, listed, extraction, modality)
        del rows
        shutil.rmtree(folder / "work")
        about = {"modality": modality, "feature_size": features.size, "skipped": len(listed.left_out)}
        about |= {"extracted": origin | features.blob, "prepared": features.settings}
        write_json(folder / "dataset.json", features.sizes | about)


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


def _write_lists(
    folder: Path, out: Path, rows: np.ndarray, listed: Listed, extraction: Extraction, modality: str
) -> None:
    """Writes each list's HDF5 files and its sequences, and the videos that were left out."""
    images = listed.images()
    for split, part in listed.lists:
        which = listed.sequences_of(split, part)
        x, labels = Gathered(rows, places(images, which)), np.array([video.label for video, _ in which])
        write_part(folder, out, f"{part}{split}", x, labels, extraction.videos, extraction.seed)
        lines = [f"{video.name}\t{video.label}\t{numbers[0]}\n" for video, numbers in which]
        write_text(folder / f"{part}{split}_sequences.tsv", "video\tlabel\tfirst\n" + "".join(lines))
    if listed.left_out:
        lines = [f"{name}\tno image of {modality}\n" for name in listed.left_out]
        write_text(folder / "skipped.tsv", "video\treason\n" + "".join(lines))


# ---- the rows ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Extractor:
    """Caffe's work. job: what `activations` reads, but for videos and devices. deploy: the net's text. size: of a row.
    settings: of the features, which tell the data set and the weights."""

    job: Mapping[str, Any]
    deploy: str
    size: int
    extraction: Extraction
    settings: Mapping[str, Any]

    def fill(self, folder: Path, images: Images, compute: Compute, work: Work) -> None:
        """Writes the rows of these images into a folder: by a crew, or by the Caffe of this machine. Errors: DataError
        where some are there that were computed otherwise."""
        check_begun(folder, traits(compute))
        tell = _counting(self.job["blob"], compute.progress)
        if work.crew is None:
            self.run(folder, images, compute, work.workers or cores(), tell)
            return
        terms = Terms.of(compute)

        def rows_of(groups: list[Images]) -> Iterator[bytes]:
            jobs = [_Group(self, terms, group) for group in groups]
            return (rows for _, rows in work.crew.results(_rows_of_group, jobs, alone=True))

        gather(folder, self.size, groups_of(images), rows_of, tell)

    def run(self, folder: Path, images: Images, compute: Compute, workers: int, tell: Tell) -> None:
        """Has Caffe compute them here; `workers` processes read frames for it."""
        write_text(folder / "deploy.prototxt", self.deploy)
        job = {**self.job, "workers": workers, **compute.device, "videos": images}
        write_text(folder / "job.json", json.dumps(job))
        log = folder / "caffe.log"
        log.unlink(missing_ok=True)
        command = python("lrcn.activity.activations", folder / "job.json")
        with Caffe(compute, command, log, talks=True) as caffe:
            for line in caffe.lines():
                tell(*map(int, line.split()))

    def check_input(self) -> None:
        """Errors: DataError where the weights or the data set are others than they were elsewhere."""
        check_same(Path(self.job["weights"]), self.settings["weights"])
        dataset, modality = Dataset(self.job["data"]), self.job["modality"]
        if identity(dataset, modality, Listed.of(dataset, modality, self.extraction)) != self.settings["data"]:
            raise DataError(f"{dataset.folder}: is not the same as where the work is given out; bring the same there")


def _counting(blob: str, progress: Progress) -> Tell:
    return lambda done, total: progress(Counted(f"{blob}: frames", "frames"), done, total)


@dataclass(frozen=True)
class _Group:
    """Work for one of a crew."""

    extractor: _Extractor
    terms: Terms
    images: Images


def _rows_of_group(asked: _Group) -> bytes:
    """The rows of a group's images, by the Caffe of the machine on which this is called. Errors: DataError."""
    with asked.terms.kept() as compute, Scratch() as folder:
        asked.extractor.check_input()
        asked.extractor.run(folder, asked.images, compute, asked.terms.threads, lambda done, total: None)
        return (folder / ROWS).read_bytes()


# ---- shards ------------------------------------------------------------------------------------------------


def _make_shard(
    out: Path, features: Features, origin: dict[str, Any], fill: Fill, compute: Compute, work: Work
) -> None:
    """Every so many-th group."""
    groups = work.shard.of(groups_of(features.listed.images()))
    with shards.making(out, work.shard, features.recipe(), traits(compute)) as part:
        if part is None:
            return
        sizes = features.sizes_of(groups)
        room.check(out, sum(sizes.values()), "the activations", compute.progress, room.taken(part.folder.rglob("*")))
        fill(part.folder / "work", [video for group in groups for video in group])
        part.finish({"origin": origin, "pieces": shards.sums(part.folder / "work" / ROWS, sizes)})


def merge_shards(whole: shards.Whole, out: Path, work: Work = Work()) -> Path:
    """`extract` with the rows that shards have. Errors: DataError where they are not as they were written."""
    out, features = output_folder(out), Features.read(whole.recipe)

    def rows_of(groups: list[Images]) -> Iterator[bytes]:
        return shards.read_pieces(whole, f"work/{ROWS}", features.sizes_of(groups))

    def fill(folder: Path, images: Images) -> None:
        check_begun(folder, whole.engine)
        gather(folder, features.size, groups_of(images), rows_of, _counting(features.blob["blob"], work.progress))

    _make(out, features, whole.results[whole.places[0]]["origin"], fill, work.progress)
    return out
