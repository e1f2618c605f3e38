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

import hashlib
import heapq
import json
import os
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from data_prep import DataError, checksums, room, shards, vocabulary
from data_prep.dataset import Dataset
from data_prep.features import output_folder
from data_prep.list_order import check_seed
from data_prep.row_files import write_files
from data_prep.source_files import Table, is_json
from data_prep.spellings import Files
from data_prep.whole_files import write_json, write_lines, write_text, writing
from data_prep.workers import IMAGES, Counted, Work, no_progress
from readers.images import decode, opened
from readers.json_files import convert, parse_json, short
from readers.text import read_bytes, read_lines, read_text

STEPS, STREAMS = 20, 100
FILE_ROWS = 100_000  # of a file at most, as released
HASHES = 100_000
PARTS = {"train": ("train",), "trainval": ("train", "restval", "val"), "val": ("val",), "test": ("test",)}
SENTENCE_PARTS = ("train", "val")
SPLITS = {
    "train": "train",
    "val": "val",
    "dev": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "restval": "restval",
}
_SPLIT_NUMBERS = {name: number for number, name in enumerate(dict.fromkeys(SPLITS.values()))}
NAMES = ("cont", "cont_sentence", "hashed_image_path", "input_sentence", "stage_indicators", "target_sentence")
_UNLISTABLE = re.compile("[\x00-\x1f\ud800-\udfff]")  # in a file's name
BLOCK = 64  # images checked in one piece of work


@dataclass(frozen=True)
class Image:
    """An image file (absolute, or a bare name where no images are at hand), its split and its captions."""

    file: str
    split: str
    captions: list[str]


@dataclass(frozen=True)
class SentenceOptions:
    """How captions become sequences. seed: of their order. steps: rows of a caption in aligned files, its end included.
    streams: captions side by side. min_count: how often a word is seen in training captions, to be in the vocabulary.
    words: the vocabulary, <unk> first, in place of the captions' own: of a net that is to be used on them. file_rows:
    of an HDF5 file at most. all_in_trainval: the test captions are in trainval too, as `make_trainval.py` of the
    release has them, whose trainval is all of train2014 and val2014. Errors: DataError for a seed below 0, and for
    file_rows fewer than steps.
    """

    seed: int = 1701
    steps: int = STEPS
    streams: int = STREAMS
    min_count: int = vocabulary.MIN_COUNT
    file_rows: int = FILE_ROWS
    all_in_trainval: bool = False
    words: tuple[str, ...] | None = None

    def __post_init__(self):
        check_seed(self.seed)
        if self.file_rows < self.steps:
            raise DataError(
                f"--file-rows {self.file_rows}: a file holds whole captions of {self.steps} rows; give {self.steps} or "
                "more"
            )

    @property
    def settings(self) -> dict[str, int | bool | str]:
        """What tells data sets apart. Those of before the later options have none of them: they are as by default."""
        later = ("file_rows", "all_in_trainval", "words")
        settings = {
            name: value for name, value in vars(self).items() if name not in later or value != getattr(type(self), name)
        }
        if self.words:  # a digest does, of thousands
            settings["words"] = hashlib.sha256("\n".join(self.words).encode()).hexdigest()
        return settings

    @property
    def rows(self) -> int:
        """Rows of an HDF5 file that is full: whole sequences."""
        return self.file_rows // self.steps * self.steps

    def splits(self, part: str) -> tuple[str, ...]:
        """The splits whose captions a part has."""
        return (*PARTS[part], "test") if self.all_in_trainval and part == "trainval" else PARTS[part]


# ---- sequences ---------------------------------------------------------------------------------------------
def order(captions: int, streams: int, seed: int, part: str, aligned: bool) -> np.ndarray:
    """Numbers of a part's captions as they are written: shuffled; aligned, topped up by drawing to whole streams."""
    random = np.random.default_rng([seed, list(PARTS).index(part), aligned])
    chosen = np.arange(captions, dtype=np.int32)
    if aligned:
        chosen = np.concatenate([chosen, random.integers(0, captions, -captions % streams).astype(np.int32)])
    random.shuffle(chosen)
    return chosen


@dataclass(frozen=True)
class Numbered:
    """Captions as numbers: caption k has `lengths[k]` words, `ids` from `starts[k]` on, then a 0; and its image's
    hash. All that is held of them while files are written."""

    ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    hashes: np.ndarray

    def targets(self, captions: np.ndarray, steps: int) -> np.ndarray:
        """target_sentence of captions, (captions, steps): their words, 0 at the end, then -1."""
        step, lengths = np.arange(steps), self.lengths[captions, None]
        words = self.ids[np.minimum(self.starts[captions, None] + step, len(self.ids) - 1)]
        return np.where(step <= lengths, words.astype(np.float32), np.float32(-1))


def aligned_rows(target: np.ndarray, hashes: np.ndarray, rows: dict[str, np.ndarray]) -> None:
    """Fills `rows`, dataset name -> (sequences * steps, streams), with captions given by `targets` and image hashes."""
    steps, streams = target.shape[1], rows["cont"].shape[1]
    cells = {name: numbers.reshape(-1, steps, streams) for name, numbers in rows.items()}
    target_rows, input_rows, indicators = cells["target_sentence"], cells["input_sentence"], cells["stage_indicators"]
    target_rows[:] = target.reshape(-1, streams, steps).transpose(0, 2, 1)
    input_rows[:, 1:] = target_rows[:, :-1]
    np.copyto(input_rows[:, 1:], -1, where=target_rows[:, :-1] == 0)  # what follows the end
    input_rows[:, 0] = 0
    np.greater_equal(target_rows, 0, out=indicators)
    cells["cont_sentence"][:] = indicators
    cells["cont_sentence"][:, 0] = 0
    cells["cont"][:] = 1
    cells["cont"][:, 0] = 0
    cells["hashed_image_path"][:] = hashes.reshape(-1, 1, streams)


class Streams:
    """Captions end to end in streams: whichever stream is free takes the next of `chosen`, the first stream first.

    When the captions run out, the streams end what they have begun, but not beyond the file, of `each` rows, in which
    the last caption begins: as released. Attribute: rows in all.
    """

    def __init__(self, captions: Numbered, chosen: np.ndarray, streams: int, each: int):
        self.captions, self.chosen = captions, chosen
        free = list(range(streams))  # row * streams + stream of where the next captions may begin: a heap
        spans = captions.lengths[chosen] + 1
        begun = (heapq.heapreplace(free, free[0] + span * streams) for span in map(int, spans))
        # In no caption's place does one begin earlier than in the place of the caption before it
        self.row, self.stream = (each.astype(np.int32) for each in divmod(np.fromiter(begun, int, len(spans)), streams))
        self.longest = int(spans.max())
        self.rows = min(int((self.row + spans).max()), (int(self.row[-1]) // each + 1) * each)

    def read(self, first: int, last: int, rows: Mapping[str, np.ndarray]) -> None:
        """Fills `rows`, dataset name -> (rows, streams), with the rows `first` to `last`."""
        target, inputs, going = rows["target_sentence"], rows["input_sentence"], rows["cont_sentence"]
        before = np.full((last - first + 1, target.shape[1]), -1, np.float32)  # from the row before the first on
        hashes = np.zeros_like(before)
        some = slice(*np.searchsorted(self.row, (first - 1 - self.longest, last)))
        captions, spans = self.chosen[some], self.captions.lengths[self.chosen[some]] + 1
        step = np.arange(spans.sum()) - np.repeat(np.cumsum(spans) - spans, spans)
        row, stream = np.repeat(self.row[some] - first + 1, spans) + step, np.repeat(self.stream[some], spans)
        here = (row >= 0) & (row < len(before))
        cells = row[here], stream[here]
        before[cells] = self.captions.ids[(np.repeat(self.captions.starts[captions], spans) + step)[here]]
        hashes[cells] = np.repeat(self.captions.hashes[captions], spans)[here]
        if not first:
            before[0] = 0
        target[:], rows["hashed_image_path"][:] = before[1:], hashes[1:]
        inputs[:] = before[:-1]  # the 0 that ends a caption begins the next
        np.copyto(inputs, -1, where=target < 0)
        np.greater(inputs, 0, out=going)
        rows["cont"][:] = going
        np.greater_equal(target, 0, out=rows["stage_indicators"])


class _Sequences:
    """The captions of images as numbers of a vocabulary, `words`, and what writes those of a part to a data set.

    The images are gone through once. Attributes: files, the images'; owner, the image of each caption; split, of each.
    """

    def __init__(self, images: Iterable[Image], options: SentenceOptions, place: Path, progress):
        """place: a folder for the words meanwhile."""
        self.options, self.progress, self.files = options, progress, []
        counts, split = array("i"), array("b")  # of each image

        def texts() -> Iterator[str]:
            for image in images:
                self.files.append(image.file)
                counts.append(len(image.captions))
                split.append(_SPLIT_NUMBERS[image.split])
                yield from image.captions

        self.sentences = vocabulary.Sentences(texts(), place)
        progress(Counted("splitting captions", "captions"), len(self.sentences), len(self.sentences))
        self.owner = np.repeat(np.arange(len(self.files), dtype=np.int32), counts)
        self.split = np.frombuffer(split, np.int8)[self.owner]
        training = self.split == _SPLIT_NUMBERS["train"]
        self.words = list(options.words or vocabulary.build(self.sentences, training, options.min_count))

    def number(self) -> None:
        """Makes the captions numbers of `words`."""
        digests = (hashlib.sha1(file.encode()).digest() for file in self.files)
        hashes = np.fromiter((int.from_bytes(each, "big") % HASHES for each in digests), np.int32, len(self.files))
        ids = self.sentences.numbered(self.words)
        self.captions = Numbered(ids, self.sentences.starts, self.sentences.lengths, hashes[self.owner])

    def members(self, part: str) -> np.ndarray:
        """Numbers of a part's captions."""
        return np.flatnonzero(np.isin(self.split, [_SPLIT_NUMBERS[name] for name in self.options.splits(part)]))

    def chosen(self, part: str, aligned: bool) -> np.ndarray:
        """Numbers of a part's captions as they are written."""
        members = self.members(part).astype(np.int32)
        return members[order(len(members), self.options.streams, self.options.seed, part, aligned)]

    def write_aligned(self, folder: Path, out: Path, part: str) -> None:
        chosen, steps, streams = self.chosen(part, True), self.options.steps, self.options.streams

        def fill(first, last, rows):
            captions = chosen[first // steps * streams : last // steps * streams]
            aligned_rows(self.captions.targets(captions, steps), self.captions.hashes[captions], rows)

        place = folder / f"{part}_aligned_{steps}_batches"
        self._write_files(place, out / place.name, len(chosen) // streams * steps, fill, f"{part}_captions.txt")

    def write_unaligned(self, folder: Path, out: Path, part: str) -> None:
        laid = Streams(self.captions, self.chosen(part, False), self.options.streams, self.options.rows)
        place = folder / f"{part}_unaligned_batches"
        self._write_files(place, out / place.name, laid.rows, laid.read, f"{part}_sentences.txt")

    def _write_files(self, place: Path, out: Path, rows: int, fill, listing: str) -> None:
        options = self.options
        names = write_files(place, NAMES, (rows, options.streams), options.rows, fill, options.steps, self.progress)
        write_text(place.parent / listing, "".join(f"{out / name}\n" for name in names))

    def write_images(self, folder: Path, part: str) -> None:
        """The images of the aligned captions, in step with them."""
        owners = self.owner[self.chosen(part, True)]
        write_lines(folder / f"{part}_images.txt", (f"{self.files[image]} 0\n" for image in owners))


def write_sequences(
    folder: Path,
    out: Path,
    images: Iterable[Image],
    options: SentenceOptions,
    with_images: bool = True,
    progress=no_progress,
) -> dict:
    """Writes vocabulary, HDF5 files and lists of `images` (captions cleaned) to `folder`, which will be `out`.

    Gives what dataset.json says of them. Errors: DataError where the vocabulary comes out empty.
    """
    sequences, sizes = _Sequences(images, options, folder, progress), {}
    words, owner = sequences.words, sequences.owner
    if len(words) == 1:
        raise DataError(f"{out}: no word is seen {options.min_count} times in the training captions; lower --min-count")
    write_text(folder / "vocabulary.txt", "".join(f"{word}\n" for word in words))
    sequences.number()
    for part in PARTS:
        members = sequences.members(part)
        if not len(members):
            continue
        sizes[part] = {"images": 1 + int(np.count_nonzero(np.diff(owner[members]))), "captions": len(members)}
        sequences.write_aligned(folder, out, part)
        if with_images:
            sequences.write_images(folder, part)
        if part in SENTENCE_PARTS:
            sequences.write_unaligned(folder, out, part)
    cut = int((sequences.sentences.lengths >= options.steps).sum())
    progress(
        f"{len(words)} words; {cut} of {len(owner)} captions are cut to {options.steps} steps in aligned files", 0, 0
    )
    return {
        "vocabulary": vocabulary.outputs(words),
        "steps": options.steps,
        "streams": options.streams,
        "splits": sizes,
    }


def room_of(captions: int, steps: int) -> int:
    """About the bytes on the disk of so many sentences: five numbers of four bytes a row, aligned and not, in two parts
    (train and trainval, say), and their lines in lists."""
    return captions * (2 * 2 * 5 * 4 * steps + 400)


# ---- images ------------------------------------------------------------------------------------------------
READABLE = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP"}
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
TAIL = 8  # bytes from the end within which a JPEG or PNG file without anything behind it says that it ends
OTHERS = {b"GIF8": "a GIF", b"RIFF": "WebP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}


def unreadable(path: str) -> str | None:
    """Why Caffe's ImageData cannot read an image file; None where it can. Grey and CMYK it turns to colour itself."""
    try:
        content = read_bytes(path, DataError, "")
    except DataError as error:
        return _reason(path, error)
    kind = next((kind for magic, kind in READABLE.items() if content.startswith(magic)), None)
    if kind is None:
        other = next((kind for magic, kind in OTHERS.items() if content.startswith(magic)), None)
        return f"{other}, which Caffe may not read; convert it to JPEG" if other else "no JPEG, PNG or BMP image"
    if kind in ENDS and ENDS[kind] not in content[-TAIL:] and _is_cut(content, path):
        return f"truncated {kind}"
    try:
        decode(content, path, cv2.IMREAD_REDUCED_COLOR_8, DataError, "")
    except DataError as error:
        return _reason(path, error) if "LRCN_MAX_PIXELS" in str(error) else f"damaged {kind}"
    return None


def _reason(path: str, error: DataError) -> str:
    """Of a reader's line, without the file and the mend."""
    return str(error).removeprefix(f"{path}: ").removesuffix("; ")


def _is_cut(content: bytes, path: str) -> bool:
    """Whether an image lacks a part, which OpenCV may show grey. What phones write behind it does no harm."""
    try:
        with opened(content, path, DataError) as image:
            image.load()
    except DataError as error:
        return "LRCN_MAX_PIXELS" not in str(error)
    return False


def _unreadable_block(paths: list[str]) -> list[str | None]:
    return [unreadable(path) for path in paths]


def check_images(folder: Path, files: list[str], skip: bool, work: Work = Work()) -> dict[str, str]:
    """file -> why Caffe cannot read it. What was found good is noted in `folder`, and not looked at again.

    Errors: DataError where there are any and `skip` is False.
    """
    done, note = folder / "skipped.tsv", folder / "readable.txt"
    if done.exists():
        return dict(line.split("\t") for line in read_lines(done, DataError)[1:])
    good = set(note.read_text(encoding="utf-8").split("\n")[:-1]) if note.exists() else set()
    todo, bad = [file for file in files if file not in good], {}
    blocks, checked = [todo[k : k + BLOCK] for k in range(0, len(todo), BLOCK)], len(files) - len(todo)
    with writing(note), open(note, "a", encoding="utf-8") as notes:
        for block, reasons in work.parallel(_unreadable_block, blocks):
            bad |= {file: reason for file, reason in zip(block, reasons, strict=True) if reason}
            notes.write("".join(f"{file}\n" for file in block if file not in bad))
            notes.flush()
            checked += len(block)
            work.progress(IMAGES, checked, len(files))
    if bad and not skip:
        file, reason = next(iter(bad.items()))
        raise DataError(
            f"{file}: {reason} ({len(bad)} of {len(files)} images cannot be read); mend them, or leave "
            "such images out with --skip-unreadable"
        )
    write_text(done, "file\treason\n" + "".join(f"{file}\t{why}\n" for file, why in bad.items()))
    note.unlink()
    return bad


# ---- a data set --------------------------------------------------------------------------------------------
def prepare(
    name: str,
    images: Iterable[Image],
    out,
    options: SentenceOptions = SentenceOptions(),
    with_images: bool = True,
    skip_unreadable: bool = False,
    work: Work = Work(),
) -> Path:
    """Makes the caption data set `out` of `images`, which are gone through several times; `with_images`: their files
    must be there, and are listed. What is held of them is the files' names, and about 100 bytes a caption: its words as
    numbers of two bytes, where they begin, its image and its place in the order.

    Captions without a word are left out, and then images without a caption. The same images and seed give the same
    bytes. A run that was cut off goes on. Errors: DataError.
    """
    out = output_folder(out)
    cleaned = _Cleaned(images)
    files = cleaned.check()
    if not cleaned.trains():
        raise DataError(f"{name}: no training image has a caption; see that the split names images that are there")
    settings = {
        "name": name,
        "inputs": _inputs(cleaned, out),
        "images": with_images,
        **options.settings,
        "skip_unreadable": skip_unreadable,
    }
    if work.shard:
        recipe = {"kind": "captions", "name": name, "images": [list(vars(image).values()) for image in images]}
        recipe |= {"options": vars(options), "with_images": with_images, "skip_unreadable": skip_unreadable}
        _check_shard(recipe, files, out, work)
        return out
    with checksums.new_data_set(out, settings) as folder:
        if folder is None:
            return out
        left, bare = cleaned.left, cleaned.bare
        if left:
            work.remark(f"left out: {len(left)} captions without a word; the first is of {left[0]}")
        if bare:
            work.remark(f"images without a caption are left out: {len(bare)}, {bare[0]} for one")
        need = room_of(cleaned.captions, options.steps)
        room.check(out, need, "the captions", work.progress, room.taken(folder.rglob("*")))
        skipped = check_images(folder, files if with_images else [], skip_unreadable, work)
        cleaned.skipped = skipped.keys()
        if skipped and not cleaned.trains():
            raise DataError(f"{out}: no training image can be read; see the paths, or give --no-images")
        if skipped:
            first = " (".join(next(iter(skipped.items()))) + ")"
            work.remark(f"skipped: {len(skipped)} of {len(files)} images, listed in skipped.tsv; first {first}")
        del files
        sizes = write_sequences(folder, out, cleaned, options, with_images, work.progress)
        write_lines(folder / "captions.json", json_lines(map(_line, cleaned)))
        about = {"name": name, "kind": "captions", **sizes, "height": None, "width": None, "images": with_images}
        counts = {"skipped": len(skipped), "left_out": len(left)}
        write_json(folder / "dataset.json", about | {"seed": options.seed, **counts, "prepared": settings})
    return out


def _check_shard(recipe: dict, files: list[str], out: Path, work: Work) -> None:
    """Looks at a shard's images. Errors: DataError."""
    if not recipe["with_images"]:
        raise DataError("--shard: is for images, and sentences alone have none; leave it out")
    with shards.making(out, work.shard, recipe) as part:
        if part:
            files = work.shard.of(files)
            part.finish(check_images(part.folder, files, recipe["skip_unreadable"], work))


def merge_shards(whole: shards.Whole, out, work: Work = Work()) -> Path:
    """The data set `out`, as `prepare` makes it, of images that its shards have looked at. Errors: DataError."""
    recipe, bad = whole.recipe, {file: why for results in whole.results.values() for file, why in results.items()}
    images, options = [Image(*image) for image in recipe["images"]], recipe["options"]
    options = SentenceOptions(**options | {"words": options["words"] and tuple(options["words"])})
    crew = shards.Results({_unreadable_block: lambda block: [bad.get(file) for file in block]})
    work = replace(work, crew=crew)
    return prepare(recipe["name"], images, out, options, True, recipe["skip_unreadable"], work)


class _Cleaned:
    """The images that have a caption with a word, their captions cleaned, as often as they are gone through: none of it
    is kept. Attributes: captions, how many there are; left, the file of each that is left out; bare, the files of
    images that come without a caption, all once `check` was called; skipped, files to pass over.
    """

    def __init__(self, images: Iterable[Image]):
        self.images, self.captions, self.left, self.bare = images, 0, [], []
        self.skipped: Collection[str] = ()

    def check(self) -> list[str]:
        """The files that are not left out. Errors: DataError for one that is there twice, or cannot stand in a list."""
        files: set[str] = set()
        kept = []
        for image in self.images:
            if image.file in files:
                raise DataError(f"{image.file}: named twice; give each image once, with all its captions")
            if _UNLISTABLE.search(image.file):
                raise DataError(
                    f"{image.file!r}: a file name with a tab, a line end or no UTF-8 cannot stand in a list; rename it"
                )
            files.add(image.file)
            captions = _with_words(image.captions)
            self.captions += len(captions)
            self.left += [image.file] * (len(image.captions) - len(captions))
            if not image.captions:
                self.bare.append(image.file)
            if captions:
                kept.append(image.file)
        return kept

    def trains(self) -> bool:
        """Whether there is an image to train on."""
        return any(image.split == "train" for image in self)

    def __iter__(self) -> Iterator[Image]:
        for image in self.images:
            if image.file not in self.skipped and (captions := _with_words(image.captions)):
                yield Image(image.file, image.split, captions)


def _with_words(captions: list[str]) -> list[str]:
    """Captions, cleaned, but for those that hold no word."""
    return [caption for caption in vocabulary.clean_all(captions) if caption.strip(". ")]


def json_lines(lines: Iterable[str]) -> Iterator[str]:
    """The text of captions.json, of a line an image."""
    yield '{"images": [\n'
    for number, line in enumerate(lines):
        yield f",\n{line}" if number else line
    yield "\n]}\n"


def _line(image: Image) -> str:
    """An image's line of captions.json. The encoder in C, which knows no indentation, is slow to start."""
    quote = json.encoder.encode_basestring
    captions = ", ".join(map(quote, image.captions))
    return f'{{"file": {quote(image.file)}, "split": {quote(image.split)}, "captions": [{captions}]}}'


def _inputs(images: Iterable[Image], out: Path) -> str:
    """A digest of images and captions. Where `out` was prepared of them and then moved along with the images, it is the
    digest that it had then.
    """

    def digest(images: Iterable[Image]) -> str:
        sha1 = hashlib.sha1()
        for number, image in enumerate(images):
            sha1.update(f"\n{_line(image)}".encode() if number else _line(image).encode())
        return sha1.hexdigest()

    if (out / "dataset.json").exists():
        dataset = Dataset(out)
        before = digest(replace(image, file=str(dataset.named(image.file))) for image in images)
        if before == dataset.description.get("prepared", {}).get("inputs"):
            return before
    return digest(images)


# ---- any JSON or CSV ---------------------------------------------------------------------------------------
def split_name(name: str, where: str) -> str:
    """train, val, test or restval of a split's name as data sets have it. Errors: DataError."""
    split = SPLITS.get(name.strip().lower())
    if split is None:
        raise DataError(f"{where}: split {short(name)}; it must be train, val, test or restval")
    return split


@dataclass
class _Entry:
    split: str
    image: str | None = None
    file: str | None = None
    captions: str | list[str] | None = None
    caption: str | list[str] | None = None


def _records(path: Path) -> Iterator[tuple[str, _Entry]]:
    """Each entry of a JSON or CSV file, which of them its content tells, and where it is."""
    text = read_text(path, DataError, "name a JSON or CSV file of captions")
    if path.suffix.lower() != ".json" and not is_json(text):
        for where, row in Table(text, path, ("image", "caption", "split")):
            yield where, _Entry(row["split"], row["image"].strip(), caption=row["caption"])
        return
    content = parse_json(text, path, object, DataError)
    entries = content["images"] if isinstance(content, dict) and "images" in content else content
    mend = "give a list of {image, captions, split}"
    for number, entry in enumerate(convert(entries, path, list[_Entry], DataError, mend), 1):
        where = f"{path}: entry {number}"
        for one, other in (("captions", "caption"), ("image", "file")):
            if None not in (getattr(entry, one), getattr(entry, other)):
                raise DataError(f"{where} has {one} and {other}; give one of them")
        yield where, entry


def read_captions(path, images=None) -> list[Image]:
    """Images of a JSON file (a list of {image, captions or caption, split}) or a CSV file (columns image, caption,
    split); an image may stand in several entries of one split. Names are taken from the folder `images`; None keeps
    them as they are. Errors: DataError.
    """
    by_file: dict[str, Image] = {}
    find = ImageFolder(images)
    for where, entry in _records(Path(path)):
        if not (file := entry.image or entry.file):
            raise DataError(f"{where} has no image; name its file")
        captions = entry.caption if entry.captions is None else entry.captions
        if captions is None:
            raise DataError(f"{where} has no caption; give a text, or a list of texts")
        split = split_name(entry.split, where)
        image = by_file.setdefault(file, Image(find(file), split, []))
        if image.split != split:
            raise DataError(f"{where}: {file} is in {image.split} already; an image has one split")
        image.captions.extend([captions] if isinstance(captions, str) else captions)
    if not by_file:
        raise DataError(f"{path}: holds no caption; name a JSON or CSV file of captions")
    return list(by_file.values())


def located(file: str, images) -> str:
    """The absolute path of a file in the folder `images`, or its name as it is where that is None."""
    return file if images is None else os.path.abspath(os.path.join(images, file))


class ImageFolder:
    """Finds files in the folder of images, as they are spelled there: IMG.JPG for img.jpg, and accents as a Mac
    composes them. folder None: names stay as they are."""

    def __init__(self, folder):
        self.folder, self._files = folder, Files()

    def within(self, where: str, *places: str) -> str:
        """As called, of names that others published. DataError for one that leads out of the folder."""
        if self.folder is not None and (odd := next(filter(_leads_out, places), None)):
            raise DataError(f"{where}: {short(odd)} leads out of {self.folder}; give names of files in it")
        return self(*places)

    def __call__(self, *places: str) -> str:
        """The absolute path of the file that lies in one of the places, the likeliest first; of the first of them
        whose folder is there, where it lies in none."""
        paths = [located(place, self.folder) for place in places]
        if self.folder is None:
            return paths[0]
        there = next(filter(os.path.exists, paths), None) or next(filter(None, map(self._files.spelled, paths)), None)
        return there or next((path for path in paths if os.path.isdir(os.path.dirname(path))), paths[0])


def _leads_out(name: str) -> bool:
    return os.path.isabs(name) or ".." in name.split("/")


def check_captions(dataset: Dataset, what: str, training: str = "train") -> None:
    """DataError where the data set lacks the lists that caption/* (`what` "images") or lm/* ("sentences") read.

    training: the part that is trained on, train or trainval; val is for tests."""
    if what == "images" and not dataset.description["images"]:
        raise DataError(f"{dataset.folder}: was prepared without images, which caption/* read; prepare it with them")
    for part in (training, "val"):
        for name in ("captions", "images") if what == "images" else ("sentences",):
            if not (dataset.folder / f"{part}_{name}.txt").exists():
                raise DataError(
                    f"{dataset.folder}: has no {part}_{name}.txt; it needs captions of {training} and of val"
                )
