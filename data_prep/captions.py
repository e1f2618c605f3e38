"""Images with captions to a caption data set: vocabulary, HDF5 sequences and image lists, as the authors' release has
them.

    DATA/dataset.json       name, kind "captions", vocabulary (the nets' outputs: words, <unk>, end of sentence), steps,
                            streams, splits (images and captions of each), skipped, prepared
    DATA/vocabulary.txt     a word a line, <unk> first: word k from 0 is k + 1 in the nets; 0 ends a sentence
    DATA/captions.json      {"images": [{"file", "split", "captions": [...]}]}: what was read
    DATA/skipped.tsv        file, reason: the images that Caffe cannot read
    DATA/{train,trainval,val,test}_captions.txt    HDF5 files for `caption/*`, a path a line: a caption is `steps` rows
    DATA/{train,trainval,val,test}_images.txt      `PATH 0` a line for ImageData, in step with them: a line a caption
    DATA/{train,val}_sentences.txt                 HDF5 files for `lm/*`: in each stream caption follows caption

HDF5 datasets are float32 (rows, streams): cont_sentence 0 at a caption's beginning, then 1; input_sentence 0, then the
words; target_sentence the words, then 0; stage_indicators 1 while the caption lasts; cont 0 at a sequence's beginning,
then 1; hashed_image_path; and buffer_size, (1,), the number of streams. After a caption's end input and target are -1,
the others 0, but cont and hashed_image_path run on to the last of the `steps`.
"""

from __future__ import annotations

import csv
import hashlib
import heapq
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np

from data_prep import DataError, frames, store, vocabulary
from data_prep.features import output_folder
from data_prep.workers import no_progress, parallel

STEPS, STREAMS = 20, 100
FILE_NUMBERS = 100_000  # of each dataset in a file at most, as released
HASHES = 100_000
PARTS = {"train": ("train",), "trainval": ("train", "restval", "val"), "val": ("val",), "test": ("test",)}
SENTENCE_PARTS = ("train", "val")
SPLITS = {"train": "train", "val": "val", "dev": "val", "valid": "val", "validation": "val", "test": "test",
          "restval": "restval"}  # fmt: skip
NAMES = ("cont", "cont_sentence", "hashed_image_path", "input_sentence", "stage_indicators", "target_sentence")
_UNLISTABLE = re.compile("[\x00-\x1f\ud800-\udfff]")  # in a file's name
BLOCK = 64  # images checked in one piece of work


@dataclass(frozen=True)
class Image:
    """An image file (absolute, or a bare name where no images are at hand), its split and its captions."""

    file: str
    split: str
    captions: list[str]


# ---- sequences ---------------------------------------------------------------------------------------------
class Pairs:
    """Captions of one part in order: `ids` (words as the nets count them) of caption `k` begin at `starts[k]`,
    `lengths[k]` of them; `hashes[k]` is its image's."""

    def __init__(self, ids, starts, lengths, hashes):
        self.ids, self.starts, self.lengths, self.hashes = ids, starts, lengths, hashes


def order(captions: int, streams: int, seed: int, part: str, aligned: bool) -> np.ndarray:
    """Numbers of a part's captions as they are written: shuffled; aligned, topped up by drawing to whole streams."""
    random = np.random.default_rng([seed, list(PARTS).index(part), aligned])
    chosen = np.arange(captions)
    if aligned:
        chosen = np.concatenate([chosen, random.integers(0, captions, -captions % streams)])
    random.shuffle(chosen)
    return chosen


def file_rows(steps: int, streams: int) -> int:
    """Rows of an HDF5 file: as many as released, whole sequences."""
    return max(FILE_NUMBERS // streams // steps, 1) * steps


def aligned_rows(pairs: Pairs, streams: int, steps: int, first: int, last: int) -> dict[str, np.ndarray]:
    """Rows of the captions `first` to `last`: (sequences * steps, streams)."""
    step = np.arange(steps)
    lengths = pairs.lengths[first:last, None]
    at = np.minimum(pairs.starts[first:last, None] + step, len(pairs.ids) - 1)
    target = np.where(step < lengths, pairs.ids[at], np.where(step == lengths, 0, -1))
    given = np.where(step[1:] <= lengths, target[:, :-1], -1)
    start = np.zeros((last - first, 1), int)
    cells = {
        "cont": np.broadcast_to(step > 0, target.shape),
        "cont_sentence": (step > 0) & (step <= lengths),
        "hashed_image_path": np.broadcast_to(pairs.hashes[first:last, None], target.shape),
        "input_sentence": np.hstack([start, given]),
        "stage_indicators": step <= lengths,
        "target_sentence": target,
    }
    return {
        name: cell.astype(np.float32).reshape(-1, streams, steps).transpose(0, 2, 1).reshape(-1, streams)
        for name, cell in cells.items()
    }


class Streams:
    """Captions end to end in streams: whichever stream is free takes the next caption, the first stream first.

    When the captions run out, the streams end what they have begun, but not beyond the file in which the last caption
    begins: as released. Attributes: row and stream of each caption's beginning, rows in all.
    """

    def __init__(self, pairs: Pairs, streams: int, each: int):
        free = list(range(streams))  # row * streams + stream of where the next captions may begin: a heap
        spans = (pairs.lengths + 1).tolist()
        begun = np.fromiter((heapq.heapreplace(free, free[0] + span * streams) for span in spans), np.int64, len(spans))
        self.pairs, self.streams, self.longest = pairs, streams, max(spans)
        self.row, self.stream = np.divmod(begun, streams)
        ends = self.row + pairs.lengths + 1
        self.rows = min(int(ends.max()), (int(self.row[-1]) // each + 1) * each)

    def read(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Rows `first` to `last`: (rows, streams)."""
        chosen = slice(*np.searchsorted(self.row, [first - self.longest, last]))
        pairs, spans = self.pairs, self.pairs.lengths[chosen] + 1
        step = np.arange(spans.sum()) - np.repeat(np.cumsum(spans) - spans, spans)
        row = np.repeat(self.row[chosen], spans) + step - first
        shown = (row >= 0) & (row < last - first)
        step, at = step[shown], (row * self.streams + np.repeat(self.stream[chosen], spans))[shown]
        source = np.repeat(pairs.starts[chosen], spans)[shown] + step
        begun = step > 0
        values = {
            "cont": begun,
            "cont_sentence": begun,
            "hashed_image_path": np.repeat(pairs.hashes[chosen], spans)[shown],
            "input_sentence": np.where(begun, pairs.ids[source - 1], 0),
            "stage_indicators": 1,
            "target_sentence": pairs.ids[source],  # after its words a caption has the 0 of its end in `ids`
        }
        rows = {}
        for name, value in values.items():
            blank = -1 if name in ("input_sentence", "target_sentence") else 0
            rows[name] = np.full((last - first) * self.streams, blank, np.float32)
            rows[name][at] = value
        return {name: numbers.reshape(-1, self.streams) for name, numbers in rows.items()}


def _write_file(path: Path, rows: dict[str, np.ndarray], streams: int) -> None:
    # Made in memory: where the disk is full, the HDF5 library brings the process down instead of saying so.
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        for name in NAMES:
            file.create_dataset(name, data=rows[name])
        file.create_dataset("buffer_size", data=np.array([streams]))
        file.flush()
        store.write_bytes(path, file.id.get_file_image())


def write_files(folder: Path, rows: int, each: int, read, streams: int, progress=no_progress) -> list[str]:
    """Writes batch_0.h5, ... of `each` rows from `read(first, last)`; those there are left. Gives the names."""
    with store.writing(folder):
        folder.mkdir(exist_ok=True)
    firsts = range(0, rows, each)
    paths = [folder / f"batch_{number}.h5" for number in range(len(firsts))]

    def write(path: Path, first: int) -> None:
        if not path.exists():
            _write_file(path, read(first, min(first + each, rows)), streams)

    pool = ThreadPoolExecutor(2)  # the disk writes one file while the next is made
    try:
        for first, _ in zip(firsts, pool.map(write, paths, firsts), strict=True):
            progress(folder.name, min(first + each, rows), rows)
    finally:
        pool.shutdown(cancel_futures=True)
    return [path.name for path in paths]


def write_sequences(folder: Path, out: Path, images: list[Image], *, seed: int, steps: int, streams: int,
                    min_count: int = vocabulary.MIN_COUNT, with_images: bool = True, progress=no_progress) -> dict:
    """Writes vocabulary, HDF5 files and lists of `images` (captions cleaned) to `folder`, which will be `out`.

    Gives what dataset.json says of them. Errors: DataError where the vocabulary comes out empty.
    """
    texts = [caption for image in images for caption in image.captions]
    progress("splitting captions", 0, len(texts))
    sentences = vocabulary.Sentences(texts)
    progress("splitting captions", len(texts), len(texts))
    del texts
    split = np.array([list(SPLITS.values()).index(image.split) for image in images])
    owner = np.repeat(np.arange(len(images)), [len(image.captions) for image in images])
    hashes = np.array([int(hashlib.sha1(image.file.encode()).hexdigest(), 16) % HASHES for image in images])
    words = vocabulary.build(sentences, split[owner] == list(SPLITS.values()).index("train"), min_count)
    if len(words) == 1:
        raise DataError(f"{out}: no word is seen {min_count} times in the training captions; lower --min-count")
    store.write_text(folder / "vocabulary.txt", "".join(f"{word}\n" for word in words))
    ids, each, sizes = sentences.numbered(words), file_rows(steps, streams), {}
    for part, splits in PARTS.items():
        members = np.flatnonzero(np.isin(split[owner], [list(SPLITS.values()).index(name) for name in splits]))
        if not len(members):
            continue
        sizes[part] = {"images": len(np.unique(owner[members])), "captions": len(members)}
        for aligned in (True, False) if part in SENTENCE_PARTS else (True,):
            chosen = members[order(len(members), streams, seed, part, aligned)]
            pairs = Pairs(ids, sentences.starts[chosen], sentences.lengths[chosen], hashes[owner[chosen]])
            if aligned:
                place = folder / f"{part}_aligned_{steps}_batches"
                rows = len(chosen) // streams * steps

                def read(first, last, pairs=pairs):
                    return aligned_rows(pairs, streams, steps, first // steps * streams, last // steps * streams)
            else:
                place = folder / f"{part}_unaligned_batches"
                laid = Streams(pairs, streams, each)
                rows, read = laid.rows, laid.read
            names = write_files(place, rows, each, read, streams, progress)
            kind = "captions" if aligned else "sentences"
            store.write_text(folder / f"{part}_{kind}.txt", "".join(f"{out / place.name / name}\n" for name in names))
            if aligned and with_images:
                lines = [f"{image.file} 0\n" for image in images]
                store.write_text(folder / f"{part}_images.txt", "".join([lines[k] for k in owner[chosen].tolist()]))
    cut = int((sentences.lengths >= steps).sum())
    progress(f"{len(words)} words; {cut} of {len(owner)} captions are cut to {steps} steps in aligned files", 0, 0)
    return {"vocabulary": len(words) + 1, "steps": steps, "streams": streams, "splits": sizes}


# ---- images ------------------------------------------------------------------------------------------------
READABLE = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP"}
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
TAIL = 4096  # bytes from the end within which a whole JPEG or PNG file says that it ends
OTHERS = {b"GIF8": "a GIF", b"RIFF": "WebP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}


def unreadable(path: str) -> str | None:
    """Why Caffe's ImageData cannot read an image file; None where it can. Grey and CMYK it turns to colour itself."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return error.strerror or "cannot be read"
    kind = next((kind for magic, kind in READABLE.items() if content.startswith(magic)), None)
    if kind is None:
        other = next((kind for magic, kind in OTHERS.items() if content.startswith(magic)), None)
        return f"{other}, which Caffe may not read; convert it to JPEG" if other else "no JPEG, PNG or BMP image"
    if kind in ENDS and ENDS[kind] not in content[-TAIL:]:
        return f"truncated {kind}"
    try:
        image = frames.decode(content, cv2.IMREAD_REDUCED_COLOR_8)
    except cv2.error:
        image = None
    return None if image is not None else f"damaged {kind}"


def _unreadable_block(paths: list[str]) -> list[str | None]:
    return [unreadable(path) for path in paths]


def check_images(folder: Path, files: list[str], skip: bool, workers=None, progress=no_progress) -> dict[str, str]:
    """file -> why Caffe cannot read it. What was found good is noted in `folder`, and not looked at again.

    Errors: DataError where there are any and `skip` is False.
    """
    done, note = folder / "skipped.tsv", folder / "readable.txt"
    if done.exists():
        return dict(line.split("\t") for line in done.read_text(encoding="utf-8").splitlines()[1:])
    good = set(note.read_text(encoding="utf-8").split("\n")[:-1]) if note.exists() else set()
    todo, bad = [file for file in files if file not in good], {}
    blocks, checked = [todo[k : k + BLOCK] for k in range(0, len(todo), BLOCK)], len(files) - len(todo)
    with store.writing(note), open(note, "a", encoding="utf-8") as notes:
        for block, reasons in parallel(_unreadable_block, blocks, workers):
            bad |= {file: reason for file, reason in zip(block, reasons, strict=True) if reason}
            notes.write("".join(f"{file}\n" for file in block if file not in bad))
            notes.flush()
            checked += len(block)
            progress("images", checked, len(files))
    if bad and not skip:
        file, reason = next(iter(bad.items()))
        raise DataError(f"{file}: {reason} ({len(bad)} of {len(files)} images cannot be read); mend them, or leave "
                        "such images out with --skip-unreadable")  # fmt: skip
    store.write_text(done, "file\treason\n" + "".join(f"{file}\t{why}\n" for file, why in bad.items()))
    note.unlink()
    return bad


# ---- a data set --------------------------------------------------------------------------------------------
def prepare(name: str, images: list[Image], out, *, with_images: bool = True, seed: int = 1701, steps: int = STEPS,
            streams: int = STREAMS, min_count: int = vocabulary.MIN_COUNT, skip_unreadable: bool = False, workers=None,
            progress=no_progress) -> Path:
    """Makes the caption data set `out` of `images`; `with_images`: their files must be there, and are listed.

    Captions without a word are left out, and then images without a caption. The same images and seed give the same
    bytes. A run that was cut off goes on. Errors: DataError.
    """
    out = output_folder(out)
    if seed < 0:
        raise DataError(f"seed {seed}: give a whole number from 0 on")
    told: set[str] = set()
    cleaned, left = [], []
    for image in images:
        if image.file in told:
            raise DataError(f"{image.file}: named twice; give each image once, with all its captions")
        if _UNLISTABLE.search(image.file):
            raise DataError(f"{image.file!r}: a file name with a tab, a line end or no UTF-8 cannot stand in a list; "
                            "rename it")  # fmt: skip
        told.add(image.file)
        captions = [vocabulary.clean(caption) for caption in image.captions]
        kept = [caption for caption in captions if caption.strip(". ")]
        left += [image.file] * (len(captions) - len(kept))
        if kept:
            cleaned.append(Image(image.file, image.split, kept))
    if not any(image.split == "train" for image in cleaned):
        raise DataError(f"{name}: no training image has a caption; see that the split names images that are there")
    digest = hashlib.sha1()
    for image in cleaned:
        digest.update("\n".join([image.file, image.split, *image.captions, ""]).encode())
    settings = {"name": name, "inputs": digest.hexdigest(), "images": with_images, "seed": seed, "steps": steps,
                "streams": streams, "min_count": min_count, "skip_unreadable": skip_unreadable}  # fmt: skip
    with store.new_folder(out, settings) as folder:
        if folder is None:
            return out
        if left:
            progress(f"left out: {len(left)} captions without a word; the first is of {left[0]}", 0, 0)
        files = [image.file for image in cleaned] if with_images else []
        skipped = check_images(folder, files, skip_unreadable, workers, progress)
        cleaned = [image for image in cleaned if image.file not in skipped]
        if not any(image.split == "train" for image in cleaned):
            raise DataError(f"{out}: no training image can be read; see the paths, or give --no-images")
        if skipped:
            first = " (".join(next(iter(skipped.items()))) + ")"
            progress(f"skipped: {len(skipped)} of {len(files)} images, listed in skipped.tsv; first {first}", 0, 0)
        said = write_sequences(folder, out, cleaned, seed=seed, steps=steps, streams=streams, min_count=min_count,
                               with_images=with_images, progress=progress)  # fmt: skip
        # a line an image, by the encoder in C, which knows no indentation
        lines = ",\n".join(json.dumps(vars(image), ensure_ascii=False) for image in cleaned)
        store.write_text(folder / "captions.json", f'{{"images": [\n{lines}\n]}}\n')
        store.write_json(folder / "dataset.json", {
            "name": name, "kind": "captions", **said, "height": None, "width": None, "images": with_images,
            "seed": seed, "skipped": len(skipped), "left_out": len(left), "prepared": settings})  # fmt: skip
    return out


# ---- any JSON or CSV ---------------------------------------------------------------------------------------
def read_source(path) -> object:
    """A JSON file's content. Errors: DataError."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); name the JSON file, or fetch it again") from None


def split_name(said, where: str) -> str:
    """train, val, test or restval of a split's name as data sets have it. Errors: DataError."""
    split = SPLITS.get(said.strip().lower()) if isinstance(said, str) else None
    if split is None:
        raise DataError(f"{where}: split {said!r}; it must be train, val, test or restval")
    return split


def _records(path: Path):
    """(where, image, split, captions) of each entry of a JSON or CSV file."""
    if path.suffix.lower() == ".csv":
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                rows = csv.DictReader(file)
                lacking = [name for name in ("image", "caption", "split") if name not in (rows.fieldnames or ())]
                if lacking:
                    raise DataError(f"{path}: has no column {lacking[0]}; line 1 must name image, caption, split")
                for row in rows:
                    yield f"{path}:{rows.line_num}", row["image"], row["split"], [row["caption"]]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: cannot be read as CSV ({error}); save it as CSV in UTF-8") from None
        return
    content = read_source(path)
    entries = content.get("images") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise DataError(f"{path}: holds no list; give a list of {{image, captions, split}}")
    for number, entry in enumerate(entries, 1):
        where = f"{path}: entry {number}"
        if not isinstance(entry, dict):
            raise DataError(f"{where} is no {{image, captions, split}}; mend it")
        captions = entry.get("captions", entry.get("caption"))
        yield where, entry.get("image", entry.get("file")), entry.get("split"), (
            [captions] if isinstance(captions, str) else captions)  # fmt: skip


def read_captions(path, images=None) -> list[Image]:
    """Images of a JSON file (a list of {image, captions or caption, split}) or a CSV file (columns image, caption,
    split); an image may stand in several entries of one split. Names are taken from the folder `images`; None keeps
    them as they are. Errors: DataError.
    """
    found: dict[str, Image] = {}
    for where, file, split, captions in _records(Path(path)):
        if not isinstance(file, str) or not file:
            raise DataError(f"{where} has no image; name its file")
        if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
            raise DataError(f"{where} has no caption; give a text, or a list of texts")
        split = split_name(split, where)
        image = found.setdefault(file, Image(located(file, images), split, []))
        if image.split != split:
            raise DataError(f"{where}: {file} is in {image.split} already; an image has one split")
        image.captions.extend(captions)
    return list(found.values())


def located(file: str, images) -> str:
    """The absolute path of a file in the folder `images`, or its name as it is where that is None."""
    return file if images is None else os.path.abspath(os.path.join(images, file))


def check_captions(dataset: store.Dataset, what: str) -> None:
    """DataError where the data set lacks the lists that caption/* (`what` "images") or lm/* ("sentences") read."""
    if what == "images" and not dataset.description["images"]:
        raise DataError(f"{dataset.folder}: was prepared without images, which caption/* read; prepare it with them")
    for part in ("train", "val"):
        for name in ("captions", "images") if what == "images" else ("sentences",):
            if not (dataset.folder / f"{part}_{name}.txt").exists():
                raise DataError(f"{dataset.folder}: has no {part}_{name}.txt; it needs captions of train and of val")
