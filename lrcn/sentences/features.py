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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from data_prep import DataError, room
from data_prep.dataset import Dataset
from data_prep.features import output_folder
from data_prep.whole_files import new_folder, read_json, write_bytes, write_json, write_text, writing
from data_prep.workers import Counted
from lrcn.engine.compute import Compute, Progress
from lrcn.pixels import Transform
from lrcn.sentences.image_net import ImageNet
from lrcn.sentences.images import read_image
from lrcn.trained_net import TrainedNet, digest
from prototxt_gen import SpecError, to_text
from prototxt_gen.part import Part, check_weights, part_for

BLOB = "fc7"
VIEWS = 5
ROWS = 64  # pictures a forward pass
IMAGES = 200  # a run that was cut off goes on after the last so many
FILE_BYTES = 128 << 20  # of one HDF5 file, about; Caffe holds one in memory
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Extraction:
    """What is extracted: `blob`, of `views` drawn from `seed` of each training image; 0 for the crop of the middle
    alone, as other images have it."""

    blob: str = BLOB
    views: int = VIEWS
    seed: int = 1701

    def views_of(self, part: str) -> int:
        return self.views if part == "train" else 0


def extract(
    dataset: Dataset, net: TrainedNet, out: Path, extraction: Extraction = Extraction(), compute: Compute | None = None
) -> Path:
    """Makes `out` of prepared captions. net: of caption/*, whose settings say how images are cut.

    The same arguments give the same files. A call after one that was cut off goes on. Raises DataError, SpecError,
    CaffeError.
    """
    out, compute = output_folder(out), compute or Compute()
    part = _part(dataset, net, extraction.blob)
    listed = _listed_images(dataset)
    files = {name: list(dict.fromkeys(lines)) for name, lines in listed.items()}
    cut = {name: net.settings[name] for name in ("height", "width", "crop", "mirror", "scale")}
    prepared = {
        "captions": str(dataset.folder.resolve()),
        "of": {name: dataset.description[name] for name in ("name", "prepared")},
        "net": to_text(part.net),
        "shown": cut,
        "weights": digest(net.weights),
        "views": extraction.views,
        "seed": extraction.seed,
    }
    with new_folder(out, prepared, may_differ=("captions",)) as folder:  # they may have been moved
        if folder is None:
            return out
        pictures = [(dataset.located(file), extraction.views_of(name)) for name in listed for file in files[name]]
        rows_due = sum(views or 1 for _, views in pictures) + sum(map(len, listed.values()))
        room.check(out, 4 * part.size * rows_due, "the activations", compute.progress, room.taken(folder.rglob("*")))
        rows = _Activations(net, part, pictures, extraction.seed).compute(folder / "work", compute)
        end = 0
        for name, lines in listed.items():
            each, begin = extraction.views_of(name) or 1, end
            end = begin + each * len(files[name])
            first_rows = dict(zip(files[name], range(begin, end, each)))
            if name != "train":
                _write_npy(folder / f"{name}_{BLOB}.npy", rows[begin:end])
                write_text(folder / f"{name}_{BLOB}.txt", "".join(f"{file}\n" for file in files[name]))
            rows_of_captions = _take_turns(lines, first_rows, each)
            _write_part(folder, out, name, rows, rows_of_captions, net.settings["streams"], compute.progress)
            sentences = _lines(dataset.folder / f"{name}_captions.txt")
            write_text(folder / f"{name}_captions.txt", "".join(f"{dataset.located(file)}\n" for file in sentences))
        del rows
        shutil.rmtree(folder / "work")
        _copy_vocabulary(dataset, folder)
        extracted = {"net": net.variant.name, "weights": prepared["weights"], "blob": BLOB}
        extracted |= {"views": extraction.views, "shown": cut}
        about = {"feature_size": part.size, "extracted": extracted, "seed": extraction.seed, "prepared": prepared}
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
        raise SpecError(f"{name}: describes no images; caption/* do, `lrcn nets list` names them")
    if net.settings["backbone"] == "features":
        raise SpecError(f"{name}: backbone features has no CNN to extract from; name another with --set backbone=...")
    part = part_for(net.variant.files(**net.settings)["deploy_images"], blob, name)
    check_weights(part, net.weights, name)
    return part


def _listed_images(dataset: Dataset) -> dict[str, list[str]]:
    """{part: the image of each caption, in order} as the data set names them."""
    lists = {name: dataset.folder / f"{name}_images.txt" for name in PARTS}
    return {name: [line.rsplit(" ", 1)[0] for line in _lines(path)] for name, path in lists.items() if path.exists()}


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


@dataclass(frozen=True)
class _Activations:
    """pictures: (file, how many views of it), in order; `net` sees them, and `part` of it computes."""

    net: TrainedNet
    part: Part
    pictures: Sequence[tuple[Path, int]]
    seed: int

    def compute(self, work: Path, compute: Compute) -> np.ndarray:
        """A read-only array on disk, (rows, D) float32: a row a view. A call after one that was cut off goes on."""
        work.mkdir(exist_ok=True)
        path, note, total = work / "rows.f32", work / "done.json", len(self.pictures)
        done = read_json(note)["images"] if note.exists() else 0
        if done < total:
            with writing(path), open(path, "ab") as file:
                file.truncate(4 * self.part.size * self._rows(done))  # what a run that was cut off left behind its note
            transform = Transform.of(self.net.variant, self.net.settings)
            with ImageNet(self.part.deploy(ROWS), self.net.weights, compute, transform) as net:
                while done < total:
                    numbers = range(done, min(done + IMAGES, total))
                    rows = net.activations(self._views(numbers, transform), (BLOB,))[BLOB]
                    with writing(path), open(path, "ab") as file:
                        file.write(np.ascontiguousarray(rows, np.float32).tobytes())
                        file.flush()
                        os.fsync(file.fileno())
                    done = numbers.stop
                    write_json(note, {"images": done})
                    compute.progress(Counted(f"{BLOB}: images", "images"), done, total)
        return np.memmap(path, np.float32, "r", shape=(self._rows(total), self.part.size))

    def _rows(self, pictures: int) -> int:
        """Of so many pictures, the first."""
        return sum(views or 1 for _, views in self.pictures[:pictures])

    def _views(self, numbers: range, transform: Transform) -> Iterator[np.ndarray]:
        for number in numbers:
            file, views = self.pictures[number]
            yield from views_of(read_image(file), number, views, transform, self.seed)


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
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
