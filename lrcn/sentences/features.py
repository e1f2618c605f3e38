"""The fc7 of a captioner's CNN over the images of a data set of captions, extracted once: a data set of captions that
trains the LSTMs and fc8 in place of one with images, for as long as the CNN below fc8 is frozen.

    DATA/dataset.json                     as the captions' own; "feature_size" D, "extracted": net, weights, blob, views
    DATA/{train,val,test}_images.txt      HDF5 files of `fc7` (captions, D), a path a line, row k for caption k of ...
    DATA/{train,val,test}_captions.txt    ... the sentences' HDF5 files, which stay where they are
    DATA/{val,test}_fc7.npy               (images, D): a row an image, in the order of {val,test}_fc7.txt, a path a line
    DATA/vocabulary.txt, captions.json    the captions' own; truth.json too where there is one

Of a training image there are several views, each a crop and perhaps mirrored, drawn as Caffe's ImageData draws them;
its captions take them by turns. Other images have the crop of the middle, not mirrored (ImageData, asked to mirror,
mirrors in testing too). There is no trainval: that trains the CNN.
"""

from __future__ import annotations

import os
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_prep import DataError, checksums, room, shards
from data_prep.dataset import Dataset
from data_prep.features import output_folder
from data_prep.whole_files import AGAIN, write_bytes, write_json, write_text, writing
from data_prep.workers import Counted, Work
from lrcn.engine.compute import Compute, Progress
from lrcn.engine.elsewhere import Terms, check_begun, traits
from lrcn.pixels import Transform
from lrcn.sentences.image_net import ImageNet
from lrcn.sentences.images import read_image
from lrcn.trained_net import TrainedNet, check_same, digest
from prototxt_gen import SpecError, parse, to_text
from prototxt_gen.part import Part, check_weights, part_for
from readers.json_files import read_json
from readers.text import read_lines

BLOB = "fc7"
VIEWS = 5
ROWS = 64  # pictures a forward pass
IMAGES = 200  # a run that was cut off goes on after the last so many
FILE_BYTES = 128 << 20  # of one HDF5 file, about; Caffe holds one in memory
PARTS = ("train", "val", "test")
FILE = "rows.f32"
KIND = "image-features"  # of shards

Block = list[tuple[int, Path, int]]  # (number, file, how many views) of images, in order


@dataclass(frozen=True)
class Extraction:
    """What is extracted: `blob`, of `views` drawn from `seed` of each training image; 0 for the crop of the middle
    alone, as other images have it."""

    blob: str = BLOB
    views: int = VIEWS
    seed: int = 1701


@dataclass(frozen=True)
class _Features:
    """What a data set of features is made of. prepared: what tells it from others; net: whose activations; size: of a
    row; streams: of the captioners that it trains."""

    prepared: Mapping[str, Any]
    net: str
    size: int
    streams: int

    @cached_property
    def dataset(self) -> Dataset:
        """Of the captions."""
        return Dataset(self.prepared["captions"])

    @cached_property
    def listed(self) -> dict[str, list[str]]:
        """{part: the image of each caption, in order} as the data set names them."""
        lists = {name: self.dataset.folder / f"{name}_images.txt" for name in PARTS}
        return {
            name: [line.rpartition(" ")[0] for line in _lines(path)] for name, path in lists.items() if path.exists()
        }

    @cached_property
    def files(self) -> dict[str, list[str]]:
        """{part: its images, each once}"""
        return {name: list(dict.fromkeys(lines)) for name, lines in self.listed.items()}

    def views_of(self, part: str) -> int:
        return self.prepared["views"] if part == "train" else 0

    def blocks(self) -> list[Block]:
        """All images, IMAGES at a time."""
        located = [
            (self.dataset.located(file), self.views_of(part)) for part in self.files for file in self.files[part]
        ]
        numbered = [(number, file, views) for number, (file, views) in enumerate(located)]
        return [numbered[begin : begin + IMAGES] for begin in range(0, len(numbered), IMAGES)]

    def sizes_of(self, blocks: list[Block]) -> dict[str, int]:
        """Number of the first image of each block -> bytes of its rows."""
        return {str(block[0][0]): 4 * self.size * _rows(block) for block in blocks}


def extract(
    dataset: Dataset,
    net: TrainedNet,
    out: Path,
    extraction: Extraction = Extraction(),
    compute: Compute | None = None,
    work: Work = Work(),
) -> Path:
    """Makes `out` of prepared captions, or a shard of it, which has every so many-th block of images. net: of
    caption/*, whose settings say how images are cut. work: a crew's workers run Caffe each, on the terms of `compute`.

    The same arguments give the same files. A call after one that was cut off goes on. Raises DataError, SpecError,
    CaffeError.
    """
    out, compute = output_folder(out), compute or Compute()
    part = _part(dataset, net, extraction.blob)
    prepared = {
        "captions": str(dataset.folder.resolve()),
        "of": {name: dataset.description[name] for name in ("name", "prepared")},
        "net": to_text(part.net),
        "shown": {name: net.settings[name] for name in ("height", "width", "crop", "mirror", "scale")},
        "weights": digest(net.weights),
        "views": extraction.views,
        "seed": extraction.seed,
    }
    features = _Features(prepared, net.variant.name, part.size, net.settings["streams"])
    transform = Transform.of(net.variant, net.settings)
    caffe = _Extractor(to_text(part.deploy(ROWS)), net.weights.resolve(), prepared, transform)

    def fill(folder: Path, blocks: list[Block]) -> None:
        check_begun(folder, traits(compute))
        _gather(folder, part.size, blocks, partial(caffe.rows, compute, work), compute.progress)

    if work.shard:
        with shards.making(out, work.shard, {"kind": KIND, **asdict(features)}, traits(compute)) as shard:
            if shard:
                blocks = work.shard.of(features.blocks())
                sizes, there = features.sizes_of(blocks), room.taken(shard.folder.rglob("*"))
                room.check(out, sum(sizes.values()), "the activations", compute.progress, there)
                fill(shard.folder / "work", blocks)
                shard.finish({"pieces": shards.sums(shard.folder / "work" / FILE, sizes)})
        return out
    return _make(out, features, fill, compute.progress)


def merge_shards(whole: shards.Whole, out: Path, work: Work = Work()) -> Path:
    """`extract` with the rows that shards have. Errors: DataError where they are not as they were written."""
    out, recipe = output_folder(out), dict(whole.recipe)
    del recipe["kind"]
    features = _Features(**recipe)

    def rows_of(blocks: list[Block]) -> Iterator[bytes]:
        return shards.read_pieces(whole, f"work/{FILE}", features.sizes_of(blocks))

    def fill(folder: Path, blocks: list[Block]) -> None:
        check_begun(folder, whole.engine)
        _gather(folder, features.size, blocks, rows_of, work.progress)

    return _make(out, features, fill, work.progress)


def _make(out: Path, features: _Features, fill: Callable[[Path, list[Block]], None], progress: Progress) -> Path:
    """The data set, of rows that `fill` writes into a folder, FILE."""
    dataset, listed, files, prepared = features.dataset, features.listed, features.files, features.prepared
    with checksums.new_data_set(out, dict(prepared), may_differ=("captions",)) as folder:  # they may have been moved
        if folder is None:
            return out
        blocks = features.blocks()
        rows_due = sum(map(_rows, blocks)) + sum(map(len, listed.values()))
        room.check(out, 4 * features.size * rows_due, "the activations", progress, room.taken(folder.rglob("*")))
        fill(folder / "work", blocks)
        rows = np.memmap(folder / "work" / FILE, np.float32, "r").reshape(-1, features.size)
        end = 0
        for name, lines in listed.items():
            each, begin = features.views_of(name) or 1, end
            end = begin + each * len(files[name])
            first_rows = dict(zip(files[name], range(begin, end, each)))
            if name != "train":
                _write_npy(folder / f"{name}_{BLOB}.npy", rows[begin:end])
                write_text(folder / f"{name}_{BLOB}.txt", "".join(f"{file}\n" for file in files[name]))
            rows_of_captions = _take_turns(lines, first_rows, each)
            _write_part(folder, out, name, rows, rows_of_captions, features.streams, progress)
            sentences = _lines(dataset.folder / f"{name}_captions.txt")
            write_text(folder / f"{name}_captions.txt", "".join(f"{dataset.located(file)}\n" for file in sentences))
        del rows
        shutil.rmtree(folder / "work")
        _copy_vocabulary(dataset, folder)
        extracted = {"net": features.net, "weights": prepared["weights"], "blob": BLOB}
        extracted |= {"views": prepared["views"], "shown": prepared["shown"]}
        about = {"feature_size": features.size, "extracted": extracted, "seed": prepared["seed"], "prepared": prepared}
        write_json(folder / "dataset.json", dataset.description | about)
    return out


def _part(dataset: Dataset, net: TrainedNet, blob: str) -> Part:
    """What of the net makes the blob. DataError, SpecError where data set, blob, net or weights do not fit."""
    name = net.variant.name
    if dataset.kind != "captions" or not dataset.description["images"] or "feature_size" in dataset.description:
        raise DataError(
            f"{dataset.folder}: has no captions with images; name what `lrcn prepare captions`, coco or flickr30k made"
        )
    if blob != BLOB:
        raise SpecError(f"--blob {blob}: a captioner on activations goes on from {BLOB}")
    if net.variant.task != "caption":
        raise SpecError(f"{name}: is not a net that describes images; name a caption/... of `lrcn nets list`")
    if net.settings["backbone"] == "features":
        raise SpecError(f"{name}: backbone features has no CNN to extract from; name another with --set backbone=...")
    part = part_for(net.variant.files(**net.settings)["deploy_images"], blob, name)
    check_weights(part, net.weights, name)
    return part


# ---- activations -------------------------------------------------------------------------------------------


def views_of(image: np.ndarray, number: int, views: int, transform: Transform, seed: int) -> list[np.ndarray]:
    """What the CNN reads of an image (H, W, 3), BGR uint8: (3, crop, crop) float32 each. `views` crops that are
    drawn, and mirrored or not where the transform lets them, from `seed` and the image's `number`; 0: the middle."""
    image = transform.resized(image)
    if not views:
        return [transform.blob(transform.centre(image))]
    random, crops = np.random.default_rng([seed, number]), []
    height, width = image.shape[:2]
    for _ in range(views):
        row, column = random.integers(height - transform.crop + 1), random.integers(width - transform.crop + 1)
        crop = transform.window(image, row, column)
        crops.append(transform.mirrored(crop) if transform.mirror and random.integers(2) == 1 else crop)
    return [transform.blob(crop) for crop in crops]


def _rows(block: Block) -> int:
    return sum(views or 1 for _, _, views in block)


def _gather(
    folder: Path, size: int, blocks: list[Block], rows_of: Callable[[list[Block]], Iterable[bytes]], progress: Progress
) -> None:
    """Writes FILE, (rows, D) float32: a row a view. A call after one that was cut off goes on. rows_of: gives those of
    each of some blocks."""
    path, note, total = folder / FILE, folder / "done.json", sum(map(len, blocks))
    ends = list(accumulate(map(len, blocks)))
    before = bisect_right(ends, _done(note))
    with writing(path), open(path, "ab") as file:
        if file.tell() < 4 * size * sum(map(_rows, blocks[:before])):  # rows were lost since: all are computed anew
            before = 0
        file.truncate(4 * size * sum(map(_rows, blocks[:before])))  # what a run that was cut off left behind its note
    for end, rows in zip(ends[before:], rows_of(blocks[before:])):
        with writing(path), open(path, "ab") as file:
            file.write(rows)
            file.flush()
            os.fsync(file.fileno())
        write_json(note, {"images": end})
        progress(Counted(f"{BLOB}: images", "images"), end, total)


def _done(note: Path) -> int:
    """How many images are noted as done; none where the note was damaged since."""
    try:
        return read_json(note, dict[str, int], DataError).get("images", 0) if note.exists() else 0
    except DataError:
        return 0


@dataclass(frozen=True)
class _Extractor:
    """Caffe's work. deploy: the net's text; prepared: of the data set that is made."""

    deploy: str
    weights: Path
    prepared: Mapping[str, Any]
    transform: Transform

    def rows(self, compute: Compute, work: Work, blocks: list[Block]) -> Iterator[bytes]:
        """Those of each block: by a crew, or by the Caffe of this machine."""
        if work.crew:
            jobs = [(self, Terms.of(compute), block) for block in blocks]
            yield from (rows for _, rows in work.crew.results(_rows_of_block, jobs, alone=True))
        elif blocks:
            with self.net(compute) as net:
                yield from (self.rows_of(net, block) for block in blocks)

    def net(self, compute: Compute) -> ImageNet:
        return ImageNet(parse(self.deploy), self.weights, compute, self.transform)

    def rows_of(self, net: ImageNet, block: Block) -> bytes:
        views = (
            view
            for number, file, views in block
            for view in views_of(read_image(file), number, views, self.transform, self.prepared["seed"])
        )
        return np.ascontiguousarray(net.activations(views, (BLOB,))[BLOB], np.float32).tobytes()

    def check_input(self) -> None:
        """Errors: DataError where the weights or the data set are others than they were elsewhere."""
        check_same(self.weights, self.prepared["weights"])
        dataset = Dataset(self.prepared["captions"])
        if {name: dataset.description.get(name) for name in ("name", "prepared")} != self.prepared["of"]:
            raise DataError(f"{dataset.folder}: is not the same as where the work is given out; bring the same there")


def _rows_of_block(asked: tuple[_Extractor, Terms, Block]) -> bytes:
    """The rows of a block, by the Caffe of the machine on which this is called. Errors: DataError."""
    extractor, terms, block = asked
    with terms.kept() as compute:
        extractor.check_input()
        with extractor.net(compute) as net:
            return extractor.rows_of(net, block)


# ---- files -------------------------------------------------------------------------------------------------


def _take_turns(files: Sequence[str], first_rows: Mapping[str, int], views: int) -> np.ndarray:
    """The row of every caption, of whose image the first row and the file are given: the first view of its image for
    the first of its captions, the next for the next, ..."""
    captions, rows = dict.fromkeys(first_rows, 0), []
    for file in files:
        rows.append(first_rows[file] + captions[file] % views)
        captions[file] += 1
    return np.array(rows)


def _write_part(
    folder: Path, out: Path, name: str, rows: np.ndarray, order: np.ndarray, streams: int, progress: Progress
) -> None:
    """The HDF5 files of one part, whole batches each, and their list, as they will lie in `out`. order: which row each
    caption has."""
    place, each = folder / f"{name}_{BLOB}", max(FILE_BYTES // (4 * rows.shape[1] * streams), 1) * streams
    with writing(place):
        place.mkdir(exist_ok=True)
    names = []
    for number, start in enumerate(range(0, len(order), each)):
        names.append(f"batch_{number}.h5")
        if not (place / names[-1]).exists():
            # Made in memory: where the disk is full, the HDF5 library brings the process down instead of saying so.
            with h5py.File(names[-1], "w", driver="core", backing_store=False) as file:
                file.create_dataset(BLOB, data=rows[order[start : start + each]])
                file.flush()
                write_bytes(place / names[-1], file.id.get_file_image())
        progress(Counted(f"{name}_{BLOB}", "captions"), min(start + each, len(order)), len(order))
    write_text(folder / f"{name}_images.txt", "".join(f"{out / place.name / batch}\n" for batch in names))


def _copy_vocabulary(dataset: Dataset, folder: Path) -> None:
    """The captions' own, and what belongs to it."""
    for name in ("vocabulary.txt", "captions.json", "truth.json"):
        if (dataset.folder / name).exists():
            write_bytes(folder / name, (dataset.folder / name).read_bytes())


def _write_npy(path: Path, values: np.ndarray) -> None:
    with writing(path):
        np.save(path, values)


def _lines(path: Path) -> list[str]:
    return read_lines(path, DataError, AGAIN)
