"""Precomputed activations of video frames as HDF5 sequences for Caffe's HDF5Data layer, in place of a CNN.

A batch is T rows of N streams: `data` (T * batches, N, D), `label` and `clip_markers` (T * batches, N), all float32,
and `video` (batches, N) int64, which Caffe does not read. HDF5Data with batch_size T then gives tops (T, N, D) and
(T, N). Rows must never be shuffled: that would tear sequences apart. Caffe loads a file whole and refuses a blob of
2^31 elements or more, so long sets are cut into several files, each of whole batches.

    DATA/train1_features.txt, test1_features.txt    the HDF5 files, a path a line, as the layer's `source`
    DATA/dataset.json                               kind "features", classes, mirror, frames T, feature_size D, videos N
    DATA/train1_sequences.tsv, ...                  video, label, first image of each sequence, where `lrcn prepare
    features --net` made them
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np

from data_prep import DataError, checksums, room
from data_prep.dataset import Dataset, without_videos
from data_prep.whole_files import write_bytes, write_json, write_text
from data_prep.workers import Work
from readers.hdf5 import open_hdf5, read_array
from readers.npz import open_npz
from readers.text import read_lines, read_text, twice

FILE_BYTES = 256 << 20  # of `data` in one file; Caffe holds a file or two in memory
BLOB_ELEMENTS = 2**31 - 1  # Caffe counts a blob's elements in an int


def _batches(order: np.ndarray, videos: int, top_up: bool) -> np.ndarray:
    """Video numbers (batches, N). The last batch is filled from the beginning (top_up) or with -1."""
    lacking = -len(order) % videos
    filling = np.resize(order, lacking) if top_up else np.full(lacking, -1)
    return np.concatenate([order, filling]).astype(np.int64).reshape(-1, videos)


class Gathered:
    """Sequences (V, T, D) whose frames lie anywhere in `rows` (R, D): frame t of sequence v is row `at[v, t]`.

    Read by sequence number, as an array: a file of more rows than memory holds can be written out batch by batch.
    """

    def __init__(self, rows, at: np.ndarray):
        self.rows, self.at, self.shape = rows, at, (*at.shape, rows.shape[1])

    def __len__(self):
        return len(self.at)

    def __getitem__(self, sequences: np.ndarray) -> np.ndarray:
        return self.rows[self.at[sequences]]


def write_sequences(folder: Path, stem: str, x, y, batches: np.ndarray) -> list[str]:
    """Writes `x` (V, T, D), an array or `Gathered`, with labels `y` (V,) as STEM_000.h5, ... in the order of `batches`
    (B, N); gives the files' names.

    Where `batches` says -1 the features are 0, every label is -1 and the clip begins afresh: a net's loss and accuracy
    must ignore label -1.
    """
    _, length, size = x.shape
    videos = batches.shape[1]
    row = length * videos * size
    if row > BLOB_ELEMENTS:
        raise DataError(
            f"{folder / stem}: one batch of {length} x {videos} x {size} has more elements than Caffe takes in a blob;"
            " use fewer videos a batch"
        )
    each = max(1, min(FILE_BYTES // (4 * row), BLOB_ELEMENTS // row))
    names = []
    for number, start in enumerate(range(0, len(batches), each)):
        part = batches[start : start + each]
        filled = part >= 0
        data = np.where(filled[..., None, None], x[part], 0).astype(np.float32)  # (B, N, T, D)
        label = np.broadcast_to(np.where(filled, y[part], -1)[:, None], (len(part), length, videos))
        markers = np.ones((len(part), length, videos), np.float32)
        markers[:, 0] = 0
        path = folder / f"{stem}_{number:03d}.h5"
        # Made in memory: where the disk is full, the HDF5 library brings the process down instead of saying so.
        with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
            file.create_dataset("data", data=data.transpose(0, 2, 1, 3).reshape(-1, videos, size))
            file.create_dataset("label", data=label.reshape(-1, videos).astype(np.float32))
            file.create_dataset("clip_markers", data=markers.reshape(-1, videos))
            file.create_dataset("video", data=part)
            file.flush()
            write_bytes(path, file.id.get_file_image())
        names.append(path.name)
    return names


AGAIN = "prepare the features again"
KEYS = ("x_tr", "y_tr", "x_te", "y_te", "classes")
OTHERS = {  # how files begin that are given for an .npz
    b"\x93NUMPY": "one array (.npy), not several (.npz)",
    b"\x89HDF": "HDF5, not an .npz file",
    b"MATLAB 5.0": "MATLAB's, not an .npz file",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`",
}


def _load(npz) -> dict[str, np.ndarray]:
    path = Path(npz)
    _check_is_npz(path)
    with open_npz(path, DataError, f"name the file that holds {', '.join(KEYS)}") as file:
        if missing := [key for key in KEYS if key not in file]:
            raise DataError(f"{path}: has no array {missing[0]}; it must hold {', '.join(KEYS)}")
        arrays = {key: file[key] for key in KEYS}
    classes = arrays["classes"]
    if classes.ndim != 1 or not len(classes):
        raise DataError(f"{path}: classes has shape {classes.shape}; it must be a list of names")
    for part in ("tr", "te"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.ndim != 3 or 0 in x.shape or x.dtype.kind != "f":
            raise DataError(
                f"{path}: x_{part} has shape {x.shape} of {x.dtype}; it must be (videos, frames, features) floating"
                " point"
            )
        if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
            raise DataError(
                f"{path}: y_{part} has shape {y.shape} of {y.dtype}; it must be {x.shape[:1]} whole numbers, one for"
                f" each video of x_{part}"
            )
        if y.min() < 0 or y.max() >= len(classes):
            raise DataError(
                f"{path}: y_{part} holds label {y.min() if y.min() < 0 else y.max()}; labels go from 0 to"
                f" {len(classes) - 1}, one for each class"
            )
        largest = np.finfo(np.float32).max
        if not (np.isfinite(x) & (x >= -largest) & (x <= largest)).all():
            raise DataError(f"{path}: x_{part} holds values that are not finite in float32; extract the features again")
    if arrays["x_tr"].shape[1:] != arrays["x_te"].shape[1:]:
        raise DataError(
            f"{path}: x_tr has (frames, features) {arrays['x_tr'].shape[1:]}, x_te {arrays['x_te'].shape[1:]}; they"
            " must agree"
        )
    return arrays


def _names(classes: np.ndarray, path) -> list[str]:
    """The names of classes, which may be texts in UTF-8 (numpy.bytes_). Errors: DataError."""
    try:
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in classes]
    except UnicodeDecodeError:
        raise DataError(f"{path}: classes are not UTF-8; save them as numpy.array([...], dtype=str)") from None
    for name in names:
        if not name.strip() or re.search("[\t\n\r\ud800-\udfff]", name):
            raise DataError(f"{path}: classes holds {name!r}; give each class a name of one line")
    if name := twice(names):
        raise DataError(f"{path}: classes holds {name!r} twice; give each class a name of its own")
    return names


def _check_is_npz(path: Path) -> None:
    """Errors: DataError where the file is no zip file, as an .npz is."""
    if not path.is_file():
        raise DataError(f"{path}: {'not a file' if path.exists() else 'no such file or directory'}; name an .npz file")
    try:
        with open(path, "rb") as file:
            begin = file.read(32)
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}; name an .npz file") from None
    if zipfile.is_zipfile(path):
        return
    kind = next((kind for magic, kind in OTHERS.items() if begin.startswith(magic)), "not an .npz file")
    kind = "a cut .npz file" if begin.startswith(b"PK") else kind if begin else "an empty file"
    raise DataError(f"{path}: {kind}; name the file that `numpy.savez` wrote of {', '.join(KEYS)}")


def output_folder(out) -> Path:
    """The folder as an absolute path. Errors: DataError for one that Caffe could not read from."""
    out = Path(os.path.abspath(out))
    if any(c.isspace() for c in str(out)):
        raise DataError(f"{out}: Caffe's HDF5Data reads paths up to the first blank; name a folder without blanks")
    return out


def write_part(folder: Path, out: Path, part: str, x, y, videos: int, seed: int) -> None:
    """Writes a part, "train1" or "test1" and so on, into `folder`, which is to become `out`: the HDF5 files and their
    list.

    Training videos are put in a seeded random order (a batch of one class would be of no use) and topped up to a
    multiple of `videos` by going round to the first ones. Test videos keep their order; the last batch is padded with
    features 0, label -1 and video number -1.
    """
    training = part.startswith("train")
    order = np.random.default_rng(seed).permutation(len(x)) if training else np.arange(len(x))
    names = write_sequences(folder, part, x, y, _batches(order, videos, training))
    write_text(folder / f"{part}_features.txt", "".join(f"{out / name}\n" for name in names))


def prepare_npz(npz, out, videos: int = 24, seed: int = 1701, work: Work = Work()) -> Path:
    """Makes the dataset folder `out` of an .npz with x_tr (V, T, D), y_tr (V,), x_te, y_te, and class names `classes`.
    Errors: DataError.
    """
    if videos < 1:
        raise DataError(f"videos {videos}: a batch holds at least 1")
    out = output_folder(out)
    arrays = _load(npz)
    classes = _names(arrays["classes"], npz)
    for name, labels in (("train1", arrays["y_tr"]), ("test1", arrays["y_te"])):
        if absent := without_videos(name, classes, labels.tolist()):
            work.remark(absent)
    digest = hashlib.sha256()
    for key in sorted(arrays):
        digest.update(
            f"{key}{arrays[key].shape}{arrays[key].dtype}".encode() + np.ascontiguousarray(arrays[key]).tobytes()
        )
    settings = {
        "name": Path(npz).stem,
        "features": digest.hexdigest(),
        "videos": videos,
        "seed": seed,
        "file_bytes": FILE_BYTES,
    }
    with checksums.new_data_set(out, settings) as folder:
        if folder is None:
            return out
        need = 4 * (arrays["x_tr"].size + arrays["x_te"].size)
        room.check(out, need, "the activations", work.progress, room.taken(folder.rglob("*")))
        for part, short in (("train", "tr"), ("test", "te")):
            write_part(folder, out, f"{part}1", arrays[f"x_{short}"], arrays[f"y_{short}"], videos, seed)
        write_json(
            folder / "dataset.json",
            {
                "name": settings["name"],
                "kind": "features",
                "classes": classes,
                "mirror": True,
                "seed": seed,
                "splits": [1],
                "frames": arrays["x_tr"].shape[1],
                "feature_size": arrays["x_tr"].shape[2],
                "videos": videos,
                "count": {"train": len(arrays["x_tr"]), "test": len(arrays["x_te"])},
                "prepared": settings,
            },
        )
    return out


def _files(dataset: Dataset, part: str, split: int) -> list[Path]:
    listing = dataset.folder / f"{part}{split}_features.txt"
    if dataset.kind != "features" or not listing.exists():
        raise DataError(f"{listing}: no such list of feature files; make it with `lrcn prepare features`")
    paths = [dataset.located(line) for line in read_text(listing, DataError, AGAIN).split()]
    for path in paths:
        if not path.exists():
            raise DataError(f"{listing}: names {path}, which is not there; put it back or prepare the features again")
    return paths


def _read(path: Path, dataset: Dataset) -> dict[str, np.ndarray]:
    """The four arrays of a file, each of the shape that the dataset calls for."""
    length, size, videos = (dataset.description[key] for key in ("frames", "feature_size", "videos"))
    with open_hdf5(path, DataError, AGAIN) as file:
        arrays = {key: read_array(file, key, path, DataError) for key in ("data", "label", "clip_markers", "video")}
    if missing := [key for key, array in arrays.items() if array is None]:
        raise DataError(f"{path}: has no dataset {missing[0]}; {AGAIN}")
    rows = len(np.atleast_1d(arrays["data"]))
    shapes = {
        "data": (rows, videos, size),
        "label": (rows, videos),
        "clip_markers": (rows, videos),
        "video": (rows // length, videos),
    }
    for key, shape in shapes.items():
        if arrays[key].shape != shape or not rows or rows % length:
            raise DataError(
                f"{path}: {key} has shape {arrays[key].shape}; it must be (frames x batches,"
                f" videos{', features' if key == 'data' else ''}) with {length} frames, {videos} videos, {size}"
                " features; prepare the features again"
            )
        if key == "video" and arrays[key].dtype.kind != "i":
            raise DataError(f"{path}: video is {arrays[key].dtype}, no whole numbers; {AGAIN}")
        if key != "video" and arrays[key].dtype != np.float32:
            raise DataError(f"{path}: {key} is {arrays[key].dtype}; Caffe wants float32; prepare the features again")
    return arrays


def check_features(data, part: str | None = None, split: int = 1) -> None:
    """Reads the feature files of `part` (both by default) and refuses wrong shapes, labels or clip markers. Errors:
    DataError.
    """
    dataset = Dataset(data)
    length = dataset.description.get("frames")
    for each in (part,) if part else ("train", "test"):
        for path in _files(dataset, each, split):
            arrays = _read(path, dataset)
            label = arrays["label"].reshape(-1, length, arrays["label"].shape[1])
            if (
                (label != label[:, :1]).any()
                or (label != np.rint(label)).any()
                or label.min() < -1
                or label.max() >= len(dataset.classes)
            ):
                raise DataError(
                    f"{path}: a label that changes within a clip or is not -1 to {len(dataset.classes) - 1}; prepare"
                    " the features again"
                )
            markers = arrays["clip_markers"].reshape(label.shape)
            if (markers[:, 0] != 0).any() or (markers[:, 1:] != 1).any():
                raise DataError(
                    f"{path}: clip_markers must be 0 at each clip's first frame and 1 after it; prepare the features"
                    " again"
                )
            if not np.isfinite(arrays["data"]).all():
                raise DataError(f"{path}: data holds values that are not finite; prepare the features again")


def read_sequences(data, part: str = "test", split: int = 1) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The videos of a part, each once, in their original order: x (V, T, D) float32, y (V,) int64, names. Padding is
    left out.
    """
    dataset = Dataset(data)
    paths = _files(dataset, part, split)
    by_number: dict[int, tuple[np.ndarray, int]] = {}
    for path in paths:
        arrays = _read(path, dataset)
        length = dataset.description["frames"]
        sequences = arrays["data"].reshape(-1, length, *arrays["data"].shape[1:])
        labels = arrays["label"].reshape(-1, length, arrays["label"].shape[1])
        for batch, stream in np.argwhere(arrays["video"] >= 0):
            by_number[int(arrays["video"][batch, stream])] = sequences[batch, :, stream], int(labels[batch, 0, stream])
    numbers = sorted(by_number)
    return (
        np.stack([by_number[n][0] for n in numbers]),
        np.array([by_number[n][1] for n in numbers]),
        [f"{part}_{n:05d}" for n in numbers],
    )


def read_videos(data, part: str = "test", split: int = 1) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """The videos of a part, each with all its sequences: [x (S, T, D) float32, ...], y (videos,) int64, names. S is 1
    but where `lrcn prepare features --clips` gave a video several clips."""
    x, y, names = read_sequences(data, part, split)
    listing = Path(data) / f"{part}{split}_sequences.tsv"
    if listing.exists():
        names = [line.split("\t")[0] for line in read_lines(listing, DataError, AGAIN)[1:]]
    if len(names) != len(x):
        raise DataError(f"{listing}: names {len(names)} sequences where there are {len(x)}; prepare the features again")
    begins = [at for at, name in enumerate(names) if not at or name != names[at - 1]]
    return np.split(x, begins[1:]), y[begins], [names[at] for at in begins]
