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
from pathlib import Path

import h5py
import numpy as np

from data_prep import DataError
from data_prep.dataset import Dataset
from data_prep.features import output_folder
from data_prep.whole_files import new_folder, read_json, write_bytes, write_json, write_text, writing
from data_prep.workers import no_progress
from lrcn.pixels import Transform
from lrcn.sentences.image_net import ImageNet
from lrcn.sentences.images import read_image
from netspecs import catalogue
from prototxt_gen import SpecError, to_text
from prototxt_gen.part import check_weights, part_for

BLOB = "fc7"
VIEWS = 5
ROWS = 64  # pictures a forward pass
IMAGES = 200  # a run that was cut off goes on after the last so many
FILE_BYTES = 128 << 20  # of one HDF5 file, about; Caffe holds one in memory
PARTS = ("train", "val", "test")


def extract(
    data,
    net: str,
    weights,
    out,
    engine,
    *,
    blob: str = BLOB,
    views: int = VIEWS,
    seed: int = 1701,
    settings: dict | None = None,
    gpu=None,
    progress=no_progress,
) -> Path:
    """Makes `out` of the prepared captions `data`. net: a variant, caption/*; settings: its own, as in training, which
    say how images are cut. views: of a training image; 0 for the crop of the middle alone.

    The same arguments give the same files. A call after one that was cut off goes on. Raises DataError, SpecError,
    TrainError.
    """
    from lrcn.trained_net import digest

    out, dataset = output_folder(out), Dataset(data)
    if dataset.kind != "captions" or not dataset.description["images"] or "feature_size" in dataset.description:
        raise DataError(
            f"{data}: has no captions with images; name what `lrcn prepare captions`, coco or flickr30k made"
        )
    if blob != BLOB:
        raise SpecError(f"--blob {blob}: a captioner on activations goes on from {BLOB}")
    variant = catalogue.get(net)
    if variant.task != "caption":
        raise SpecError(f"{net}: describes no images; caption/* do, `lrcn nets list` names them")
    settings = settings or variant.settings()
    if settings["backbone"] == "features":
        raise SpecError(f"{net}: backbone features has no CNN to extract from; name another with --set backbone=...")
    part = part_for(variant.files(**settings)["deploy_images"], blob, net)
    check_weights(part, weights, net)

    listed = {
        name: [line.rsplit(" ", 1)[0] for line in _lines(dataset.folder / f"{name}_images.txt")]
        for name in PARTS
        if (dataset.folder / f"{name}_images.txt").exists()
    }
    files = {name: list(dict.fromkeys(lines)) for name, lines in listed.items()}
    jobs = [(dataset.located(file), views if name == "train" else 0) for name in listed for file in files[name]]
    of_captions = {name: dataset.description[name] for name in ("name", "prepared")}
    shown = {name: settings[name] for name in ("height", "width", "crop", "mirror", "scale")}
    said = {
        "captions": str(dataset.folder.resolve()),
        "of": of_captions,
        "net": to_text(part.net),
        "shown": shown,
        "weights": digest(weights),
        "views": views,
        "seed": seed,
    }
    with new_folder(out, said, may_differ=("captions",)) as folder:  # they may have been moved
        if folder is None:
            return out
        rows = _rows(folder, part, jobs, Transform.of(variant, settings), weights, seed, engine, gpu, progress)
        at = 0
        for name, lines in listed.items():
            each = views if name == "train" and views else 1
            first = {file: at + each * k for k, file in enumerate(files[name])}
            at += each * len(first)
            if name != "train":
                _write_npy(folder / f"{name}_{BLOB}.npy", rows[at - len(first) : at])
                write_text(folder / f"{name}_{BLOB}.txt", "".join(f"{file}\n" for file in files[name]))
            _write_part(folder, out, name, rows, _turns(lines, first, each), settings["streams"], progress)
            sentences = _lines(dataset.folder / f"{name}_captions.txt")
            write_text(folder / f"{name}_captions.txt", "".join(f"{dataset.located(file)}\n" for file in sentences))
        for kept in ("vocabulary.txt", "captions.json", "truth.json"):
            if (dataset.folder / kept).exists():
                write_bytes(folder / kept, (dataset.folder / kept).read_bytes())
        del rows
        shutil.rmtree(folder / "work")
        extracted = {"net": net, "weights": said["weights"], "blob": blob, "views": views, "shown": shown}
        write_json(
            folder / "dataset.json",
            dataset.description | {"feature_size": part.size, "extracted": extracted, "seed": seed, "prepared": said},
        )
    return out


def views_of(image: np.ndarray, number: int, views: int, transform: Transform, seed: int) -> list[np.ndarray]:
    """What the CNN reads of an image (BGR uint8): (3, crop, crop) float32 each. `views` crops that are drawn, and
    mirrored or not where the transform lets them, from `seed` and the image's `number`; 0: the middle."""
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


def _rows(folder, part, jobs, transform, weights, seed, engine, gpu, progress):
    """The activations of all views of all images, in order: a read-only array (rows, D) on disk."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    place, note, total = work / "rows.f32", work / "done.json", sum(views or 1 for _, views in jobs)
    done = read_json(note)["images"] if note.exists() else 0
    row = sum(views or 1 for _, views in jobs[:done])
    if done < len(jobs):
        with writing(place), open(place, "ab") as file:
            file.truncate(4 * part.size * row)  # what a run that was cut off left behind its note
        with ImageNet(part.deploy(ROWS), weights, engine, gpu, transform) as reader:
            while done < len(jobs):
                some = range(done, min(done + IMAGES, len(jobs)))
                pixels = (
                    view for k in some for view in views_of(read_image(jobs[k][0]), k, jobs[k][1], transform, seed)
                )
                found = reader.activations(pixels, (part.blob,))[part.blob]
                with writing(place), open(place, "ab") as file:
                    file.write(np.ascontiguousarray(found.reshape(len(found), -1), np.float32).tobytes())
                    file.flush()
                    os.fsync(file.fileno())
                done, row = some.stop, row + len(found)
                write_json(note, {"images": done})
                progress(f"{part.blob}: images", done, len(jobs))
    return np.memmap(place, np.float32, "r", shape=(total, part.size))


def _turns(lines: list[str], first: dict[str, int], each: int) -> np.ndarray:
    """The row of every caption: the first of its image for the first of its captions, the next for the next, ..."""
    seen, out = dict.fromkeys(first, 0), []
    for file in lines:
        out.append(first[file] + seen[file] % each)
        seen[file] += 1
    return np.array(out)


def _write_part(folder: Path, out: Path, name: str, rows, at: np.ndarray, streams: int, progress) -> None:
    """The HDF5 files of one part, whole batches each, and their list."""
    place, each = folder / f"{name}_{BLOB}", max(FILE_BYTES // (4 * rows.shape[1] * streams), 1) * streams
    with writing(place):
        place.mkdir(exist_ok=True)
    names = []
    for number, start in enumerate(range(0, len(at), each)):
        names.append(f"batch_{number}.h5")
        if not (place / names[-1]).exists():
            # Made in memory: where the disk is full, the HDF5 library brings the process down instead of saying so.
            with h5py.File(names[-1], "w", driver="core", backing_store=False) as file:
                file.create_dataset(BLOB, data=rows[at[start : start + each]])
                file.flush()
                write_bytes(place / names[-1], file.id.get_file_image())
        progress(f"{name}_{BLOB}", min(start + each, len(at)), len(at))
    write_text(folder / f"{name}_images.txt", "".join(f"{out / place.name / each}\n" for each in names))


def _write_npy(path: Path, values: np.ndarray) -> None:
    with writing(path):
        np.save(path, values)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
