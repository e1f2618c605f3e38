"""Video snippets with sentences, and what a CRF says of them, to what the nets of video description read: TACoS
Multi-Level (the paper's section 6), the demo's videos, or any other.

`data_prep.snippets` says how they are read.

What is written (T slots, W entries of the slots' vocabulary):

    DATA/dataset.json           kind "semantics"; as of captions, and slots T, slot_names, slot_words W, details,
                                frames and feature_size (0 where there are none), features (their place)
    DATA/vocabulary.txt         as of captions
    DATA/slot_vocabulary.txt    SLOT<tab>WORD a line, <none> first; an entry's number, from 0, is its input_slots and
                                its column in the vectors (column 0 is always 0)
    DATA/captions.json          {"images": [{"file", "split", "captions", "detail"}]}: file is the snippet's id
    DATA/truth.json             {"phrases", "images"} where truths are known
    DATA/semantics.h5           `id`, `map` (snippets, T) int32 and `probabilities` (snippets, W) float32 of every
                                snippet with a sentence: what sentences are generated from
    DATA/{part}_captions.txt    HDF5 files of sentences for the decoders, as `data_prep.captions` writes them
    DATA/{part}_sentences.txt   the same end to end, for `lm/*`
                                The rest for train, val and test (frames: train and val):
    DATA/{part}_max.txt, {part}_prob.txt    `semantics` (sentences, W), in step with {part}_captions.txt
    DATA/{part}_encoder_decoder.txt         T more rows before each sentence: input_slots has the likeliest words, the
                                            marker 0 and then 1s; input_sentence 0, target_sentence -1. input_slots is 0
                                            while the sentence lasts
    DATA/{part}_frames.txt      `frames` (T * batches, N, D), where there are features: T is then a number of frames
    DATA/{part}_frame_sentences.txt         like {part}_encoder_decoder.txt, without input_slots

A slot word that no training snippet has is unknown: it has no column, and is no word where it is the likeliest.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from data_prep import DataError, captions, checksums, room, vocabulary
from data_prep.captions import Image, SentenceOptions
from data_prep.dataset import Dataset
from data_prep.features import output_folder, read_videos
from data_prep.snippets import ODD, Snippet, table
from data_prep.whole_files import write_bytes, write_json, write_text, writing
from data_prep.workers import Counted, no_progress
from readers import hdf5
from readers.bounds import check_bytes
from readers.npz import open_npz

NONE = "<none>"
MEND = "name an HDF5 or .npz file with activations (frames, D) for each id"
FILE_BYTES = 256 << 20  # of `frames` in one file; Caffe holds a file or two in memory
FILE_NUMBERS = 100_000  # of each dataset in a file of sentences at most
SENTENCE = ("cont_sentence", "input_sentence", "target_sentence")


# ---- slots to numbers --------------------------------------------------------------------------------------
class SlotVocabulary:
    """The entries (slot, word) of a slot_vocabulary.txt; `slots`, in order; entry 0 is no word."""

    def __init__(self, entries: list[tuple[str, str]]):
        self.entries = entries
        self.slots = list(dict.fromkeys(slot for slot, _ in entries))
        self.numbers = {slot: {} for slot in self.slots}
        for number, (slot, word) in enumerate(entries, 1):
            self.numbers[slot][word] = number

    @property
    def size(self) -> int:
        """W: the entries, and no word."""
        return len(self.entries) + 1

    @classmethod
    def build(cls, snippets: list[Snippet]) -> SlotVocabulary:
        """Of training snippets: slots in the order in which they come, the words of each alphabetically."""
        words: dict[str, set[str]] = {}
        for snippet in snippets:
            for slot, (candidates, _) in snippet.slots.items():
                words.setdefault(slot, set()).update(candidates)
        return cls([(slot, word) for slot, candidates in words.items() for word in sorted(candidates)])

    @classmethod
    def read(cls, path) -> SlotVocabulary:
        """Errors: DataError."""
        lines = [cells for _, cells in table(Path(path), "\t")]
        if lines[:1] != [[NONE]] or any(len(cells) != 2 for cells in lines[1:]):
            raise DataError(
                f"{path}: is no SLOT<tab>WORD a line after {NONE}; name the slot_vocabulary.txt of a prepared data set"
            )
        return cls([(slot, word) for slot, word in lines[1:]])

    def text(self) -> str:
        """The file's content."""
        return "".join([f"{NONE}\n", *(f"{slot}\t{word}\n" for slot, word in self.entries)])

    def encode(self, snippets: list[Snippet]) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
        """map (snippets, T) int32, the entries of the likeliest words, the first of equals; probabilities (snippets, W)
        float32; and the (slot, word) that are unknown.
        """
        what = f"{len(snippets)} snippets with {len(self.slots)} slots of {len(self.entries)} words"
        check_bytes(4 * len(snippets) * (len(self.slots) + self.size), what, DataError)
        likeliest = np.zeros((len(snippets), len(self.slots)), np.int32)
        vectors, unknown = np.zeros((len(snippets), self.size), np.float32), {}
        place = {slot: k for k, slot in enumerate(self.slots)}
        for row, snippet in enumerate(snippets):
            for slot, (words, probabilities) in snippet.slots.items():
                known = self.numbers.get(slot, {})
                numbers = [known.get(word, 0) for word in words]
                if slot in place:
                    likeliest[row, place[slot]] = numbers[probabilities.index(max(probabilities))]
                vectors[row, numbers] = probabilities
                if 0 in numbers:
                    unknown.update({(slot, word): None for word in words if word not in known})
        vectors[:, 0] = 0  # where the unknown went
        return likeliest, vectors, list(unknown)


def one_hot(likeliest: np.ndarray, size: int) -> np.ndarray:
    """map (snippets, T) -> 1 for each slot's word: (snippets, W) float32."""
    vectors = np.zeros((len(likeliest), size), np.float32)
    vectors[np.arange(len(likeliest))[:, None], likeliest] = 1
    vectors[:, 0] = 0
    return vectors


def read_semantics(folder) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The ids, map (snippets, T) and probabilities (snippets, W) of a prepared data set. Errors: DataError."""
    path, mend = Path(folder) / "semantics.h5", "prepare the data set again"
    with hdf5.open_hdf5(path, DataError, mend) as file:
        ids = hdf5.dataset(file, "id")
        names = list(ids.asstr()) if ids is not None else []
        likeliest, vectors = (hdf5.read_array(file, name, path, DataError) for name in ("map", "probabilities"))
    if likeliest is None or vectors is None or not likeliest.ndim == vectors.ndim == 2:
        raise DataError(f"{path}: has no id, map (snippets, slots) and probabilities (snippets, words); {mend}")
    if not len(names) == len(likeliest) == len(vectors) or likeliest.dtype.kind != "i" or vectors.dtype.kind != "f":
        raise DataError(f"{path}: its id, map and probabilities are not of the same snippets; {mend}")
    if likeliest.size and not 0 <= likeliest.min() <= likeliest.max() < vectors.shape[1]:
        raise DataError(f"{path}: map has a word that is none of the {vectors.shape[1]}; {mend}")
    return names, likeliest, vectors


def check_semantics(dataset: Dataset, what: str) -> None:
    """DataError where the data set lacks what video/* reads, of "slots" or "frames", or lm/* ("sentences")."""
    if what == "slots" and not dataset.description["slots"]:
        raise DataError(
            f"{dataset.folder}: was prepared without slots, of which this net reads; prepare it with them, "
            "or train video/encoder-decoder-frames"
        )
    if what == "frames" and not dataset.description["frames"]:
        raise DataError(
            f"{dataset.folder}: was prepared without activations of frames, which "
            "video/encoder-decoder-frames reads; prepare it with --features"
        )
    lists = {"slots": ("captions", "max", "prob", "encoder_decoder"), "frames": ("frames", "frame_sentences")}
    for part in ("train", "val"):
        for name in lists.get(what, (what,)):
            if not (dataset.folder / f"{part}_{name}.txt").exists():
                raise DataError(
                    f"{dataset.folder}: has no {part}_{name}.txt; it needs snippets of train and of val, with sentences"
                )


# ---- frames ------------------------------------------------------------------------------------------------
class Frames:
    """Activations of the frames of snippets, made elsewhere: an HDF5 file with a dataset (frames, D) for each id (a "/"
    in it parts groups); an .npz file with such arrays; or the folder that `lrcn prepare features` made of videos whose
    names are the ids. The last two must fit into memory. Errors: DataError.
    """

    def __init__(self, path, ids: list[str]):
        self.path, self.size = Path(path), 0
        self._counts: dict[str, int] = {}
        self._held: dict[str, np.ndarray] | None = None  # of HDF5 none: it is read snippet by snippet
        if self.path.is_dir():
            self._held = of_features(self.path)
        elif is_npz(self.path):
            with open_npz(self.path, DataError, MEND) as file:
                self._held = {name: file[name] for name in ids if name in file}
        with self._arrays() as array_of:
            for name in dict.fromkeys([*ids, *(self._held or ())]):
                self._check(name, array_of(name))

    @contextmanager
    def _arrays(self) -> Iterator[Callable[[str], np.ndarray | h5py.Dataset | None]]:
        if self._held is not None:
            yield self._held.get
        else:
            with hdf5.open_hdf5(self.path, DataError, MEND) as file:
                yield partial(hdf5.dataset, file)

    def _check(self, name: str, activations: np.ndarray | h5py.Dataset | None) -> None:
        if activations is None:
            raise DataError(f"{self.path}: has no activations of {name}; give floating point (frames, D)")
        shape, kind = activations.shape, activations.dtype
        if len(shape) != 2 or 0 in shape or kind.kind != "f":
            raise DataError(
                f"{self.path}: has {kind} {shape} as activations of {name}; give floating point (frames, D)"
            )
        first = next(iter(self._counts), name)
        self.size = self.size or shape[1]
        if shape[1] != self.size:
            raise DataError(
                f"{self.path}: {shape[1]} values a frame of {name}, {self.size} of {first}; they must agree"
            )
        self._counts[name] = shape[0]

    def count(self, name: str) -> int:
        """How many frames there are of a snippet."""
        return self._counts[name]

    def read(self, name: str, steps: int) -> np.ndarray:
        """(steps, D) float32: evenly spaced from the first frame to the last, or, where there are fewer, all of them
        after rows of zeros."""
        check_bytes(4 * self.size * max(steps, self._counts[name]), f"{self.path}: {name}", DataError)
        with self._arrays() as array_of, np.errstate(over="ignore"):  # what is beyond float32 is named below
            frames = array_of(name)[()].astype(np.float32)
        if not np.isfinite(frames).all():
            raise DataError(f"{self.path}: activations of {name} are not all finite; extract them again")
        if len(frames) > steps:
            return frames[evenly(len(frames), steps)]
        return np.concatenate([np.zeros((steps - len(frames), self.size), np.float32), frames])


def is_npz(path: Path) -> bool:
    """Whatever its name."""
    return path.is_file() and zipfile.is_zipfile(path)


def names_in(path: Path) -> list[str]:
    """The ids in a file, or folder, for `Frames`. Errors: DataError."""
    if path.is_dir():
        return list(of_features(path))
    names: list[str] = []
    if is_npz(path):
        with open_npz(path, DataError, MEND) as arrays:
            names += arrays
    else:
        with hdf5.open_hdf5(path, DataError, MEND) as file:
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    if not names:
        raise DataError(f"{path}: holds no activations; give (frames, D) for each id")
    if odd := next(filter(ODD.search, names), None):
        raise DataError(f"{path}: holds activations of {odd!a}; give each snippet an id of one line")
    return names


def markers(counts: np.ndarray, steps: int) -> np.ndarray:
    """Markers (..., steps) float32 of `Frames.read` of videos with `counts` (...) frames: 0 up to the first frame."""
    return (np.arange(steps) > steps - np.minimum(counts, steps)[..., None]).astype(np.float32)


def of_features(folder: Path) -> dict[str, np.ndarray]:
    """Video -> its activations (T, D)."""
    activations = {}
    for part in ("train", "test"):
        for video, _, name in zip(*read_videos(folder, part), strict=True):
            if len(video) > 1:
                raise DataError(f"{folder}: has {len(video)} clips of {name}; prepare the features without --clips")
            activations[name] = video[0]
    return activations


def evenly(frames: int, steps: int) -> np.ndarray:
    """Numbers of `steps` of `frames` frames, the first and the last among them (one step: the middle frame)."""
    return np.linspace(0, frames - 1, steps).round().astype(int) if steps > 1 else np.array([(frames - 1) // 2])


def digest(path) -> str:
    """sha256 of a file, or of a folder's HDF5 files. Errors: DataError."""
    content, path = hashlib.sha256(), Path(path)
    for part in sorted(path.glob("*.h5")) if path.is_dir() else [path]:
        if part.exists() and not part.is_file():
            raise DataError(f"{part}: not a file; name an HDF5 or .npz file")
        try:
            with open(part, "rb") as file:
                while block := file.read(1 << 22):
                    content.update(block)
        except OSError as error:
            raise DataError(f"{part}: cannot be read ({error.strerror}); name an HDF5 or .npz file") from None
    return content.hexdigest()


# ---- a data set --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class SnippetOptions(SentenceOptions):
    """How snippets become a data set; steps is T'. val_share: of the training snippets, drawn for val where there is
    none. features: a file for `Frames`, of which `frames` are taken.
    """

    val_share: float = 0.1
    features: Path | None = None
    frames: int = 16

    @property
    def rows(self) -> int:
        """Fewer than of captions: beside them lie vectors of all slots' words."""
        return max(FILE_NUMBERS // self.streams // self.steps, 1) * self.steps


def prepare(
    name: str,
    snippets: list[Snippet],
    out,
    options: SnippetOptions = SnippetOptions(),
    phrases: dict | None = None,
    progress=no_progress,
) -> Path:
    """Makes the data set `out` of `snippets`.

    Sentences without a word are left out, and then snippets without a sentence. phrases: slot -> word -> how a sentence
    says it; the word itself by default. The same snippets and seed give the same bytes. A run that was cut off goes on.
    Errors: DataError.
    """
    out = output_folder(out)
    bare = [snippet.id for snippet in snippets if not snippet.sentences]
    snippets, left = _cleaned(snippets)
    if not any(snippet.split == "train" for snippet in snippets):
        raise DataError(f"{name}: no training snippet has a sentence; see the splits")
    settings = {
        "name": name,
        "inputs": _inputs(snippets),
        **options.settings,
        "features": options.features and digest(options.features),
        "frames": options.features and options.frames,
        "phrases": phrases,
    }
    drawn = 0
    if not any(snippet.split == "val" for snippet in snippets):
        snippets, drawn = with_val(snippets, options.val_share, options.seed)
        progress(f"no snippet is in val: {drawn} of the training snippets are taken for it (--val-share)", 0, 0)
    words = SlotVocabulary.build([snippet for snippet in snippets if snippet.split == "train"])
    if not words.slots and options.features is None:
        raise DataError(f"{name}: no training snippet has a slot; give slots, or activations of frames (--features)")
    frames = Frames(options.features, [snippet.id for snippet in snippets]) if options.features else None
    with checksums.new_data_set(out, settings) as folder:
        if folder is None:
            return out
        if bare:
            progress(f"snippets without a sentence are left out: {len(bare)}, {bare[0]} for one", 0, 0)
        if left:
            progress(f"left out: {len(left)} sentences without a word; the first is of {left[0]}", 0, 0)
        need = _room_of(snippets, words, frames, options)
        room.check(out, need, "the sentences", progress, room.taken(folder.rglob("*")))
        about, unknown = _write(folder, out, snippets, words, frames, options, progress)
        if any(snippet.truth for snippet in snippets):
            write_json(folder / "truth.json", _truth(snippets, phrases or {}))
        about = {"name": name, "kind": "semantics", **about, "drawn_for_val": drawn, "height": None, "width": None}
        counts = {"left_out": len(left), "unknown_slot_words": len(unknown)}
        about |= {"images": False, "seed": options.seed, **counts, "prepared": settings}
        write_json(folder / "dataset.json", about)
    return out


def _room_of(snippets: list[Snippet], words: SlotVocabulary, frames: Frames | None, options: SnippetOptions) -> int:
    """About the bytes on the disk: of each sentence its rows; of each slot's words two vectors, and the rows of slots
    and sentence; activations of frames."""
    sentences = sum(len(snippet.sentences) for snippet in snippets)
    numbers = 2 * words.size + 4 * (len(words.slots) + options.steps) if words.slots else 0
    numbers += options.frames * frames.size if frames else 0
    return captions.room_of(sentences, options.steps) + 4 * numbers * sentences


def _cleaned(snippets: list[Snippet]) -> tuple[list[Snippet], list[str]]:
    """The snippets that have a sentence with a word, their sentences cleaned; and the id of each sentence left out."""
    cleaned, left = [], []
    for snippet in snippets:
        kept = [text for text in map(vocabulary.clean, snippet.sentences) if text.strip(". ")]
        left += [snippet.id] * (len(snippet.sentences) - len(kept))
        if kept:
            cleaned.append(replace(snippet, sentences=kept))
    return cleaned, left


def _inputs(snippets: list[Snippet]) -> str:
    """A digest of all that snippets say."""
    inputs = hashlib.sha256()
    for snippet in snippets:
        words = {slot: words for slot, (words, _) in snippet.slots.items()}
        inputs.update(json.dumps({**vars(snippet), "slots": words}).encode())
        inputs.update(b"".join(np.array(numbers).tobytes() for _, numbers in snippet.slots.values()))
    return inputs.hexdigest()


def _write(
    folder: Path,
    out: Path,
    snippets: list[Snippet],
    words: SlotVocabulary,
    frames: Frames | None,
    options: SnippetOptions,
    progress,
) -> tuple[dict, list[tuple[str, str]]]:
    """Writes all but truth.json and dataset.json into `folder`, which will be `out`; gives what dataset.json says of
    it, and the (slot, word) that are unknown.
    """
    images = [Image(snippet.id, snippet.split, snippet.sentences) for snippet in snippets]
    about = captions.write_sequences(folder, out, images, options, False, progress)
    sizes = {
        part: {"snippets": count["images"], "sentences": count["captions"]}
        for part, count in about.pop("splits").items()
    }
    parts = [part for part in sizes if part != "trainval"]
    files = _Files(folder, out, snippets, options, progress)
    unknown = files.write_slots(words, parts) if words.slots else []
    if frames:
        files.write_frames(frames, [part for part in captions.SENTENCE_PARTS if part in parts])
    lines = ",\n".join(
        json.dumps({"file": s.id, "split": s.split, "captions": s.sentences, "detail": s.detail}, ensure_ascii=False)
        for s in snippets
    )
    write_text(folder / "captions.json", f'{{"images": [\n{lines}\n]}}\n')
    about |= {
        "slots": len(words.slots),
        "slot_names": words.slots,
        "slot_words": words.size if words.slots else 0,
        "frames": options.frames if frames else 0,
        "feature_size": frames.size if frames else 0,
        "features": options.features and str(Path(options.features).absolute()),
        "details": sorted({snippet.detail for snippet in snippets} - {""}),
        "splits": sizes,
    }
    return about, unknown


def with_val(snippets: list[Snippet], share: float, seed: int) -> tuple[list[Snippet], int]:
    """The snippets with about `share` of train in val instead, whole groups, and how many these are; one group at
    least stays in train, so that a single group gives none."""
    groups: dict[str, list[Snippet]] = {}
    for snippet in snippets:
        if snippet.split == "train":
            groups.setdefault(snippet.group or snippet.id, []).append(snippet)
    due, taken, count = share * sum(map(len, groups.values())), set(), 0
    names = sorted(groups)
    for k in np.random.default_rng([seed, 6]).permutation(len(names))[:-1]:
        if count >= due:
            break
        taken.update(snippet.id for snippet in groups[names[k]])
        count += len(groups[names[k]])
    return [replace(snippet, split="val") if snippet.id in taken else snippet for snippet in snippets], count


def rows_of(snippets: list[Snippet], part: str, streams: int, seed: int) -> np.ndarray:
    """The number of the snippet of each sentence of a part, in the order of {part}_captions.txt."""
    owner = np.repeat(np.arange(len(snippets)), [len(snippet.sentences) for snippet in snippets])
    member = np.array([snippet.split in captions.PARTS[part] for snippet in snippets])[owner]
    return owner[member][captions.order(int(member.sum()), streams, seed, part, True)]


def _truth(snippets: list[Snippet], phrases: dict) -> dict:
    """truth.json: phrases of each slot's words, and the truth of each snippet."""
    words: dict[str, set[str]] = {}
    for snippet in snippets:
        for slot, word in snippet.truth.items():
            words.setdefault(slot, set()).add(word)
    return {
        "phrases": {
            slot: {word: word for word in sorted(candidates)} | phrases.get(slot, {})
            for slot, candidates in words.items()
        },
        "images": {snippet.id: snippet.truth for snippet in snippets if snippet.truth},
    }


def _write_file(path: Path, arrays: dict[str, np.ndarray]) -> None:
    # Made in memory: where the disk is full, the HDF5 library brings the process down instead of saying so.
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        file.flush()
        write_bytes(path, file.id.get_file_image())


def two_phases(sentences: dict[str, np.ndarray], markers: np.ndarray) -> dict[str, np.ndarray]:
    """Sentences (batches, T', N) with T rows before each, of `markers` (batches, T, N): (batches * (T + T'), N)."""
    first = {
        "cont_sentence": markers,
        "input_sentence": np.zeros_like(markers),
        "target_sentence": np.full_like(markers, -1),
    }
    whole = {name: np.concatenate([first[name], rows], 1) for name, rows in sentences.items()}
    whole["cont_sentence"][:, markers.shape[1]] = 1  # the sentence goes on from what was read
    return {name: rows.reshape(-1, rows.shape[2]) for name, rows in whole.items()}


class _Files:
    """What is written in step with the sentences of {part}_captions.txt, which are there."""

    def __init__(self, folder: Path, out: Path, snippets: list[Snippet], options: SnippetOptions, progress):
        self.folder, self.out, self.snippets, self.options, self.progress = folder, out, snippets, options, progress
        self.streams, self.steps = options.streams, options.steps
        self.each = options.rows // self.steps  # batches in a file of sentences

    def order(self, part: str) -> np.ndarray:
        return rows_of(self.snippets, part, self.streams, self.options.seed)

    def sentences(self, part: str, first: int, last: int) -> dict[str, np.ndarray]:
        """Batches `first` to `last`, those of one file: dataset -> (batches, steps, streams)."""
        place = self.folder / f"{part}_aligned_{self.steps}_batches"
        with h5py.File(place / f"batch_{first // self.each}.h5") as file:
            return {name: file[name][()].reshape(last - first, self.steps, self.streams) for name in SENTENCE}

    def write(self, kind: str, part: str, blocks: int, each: int, make) -> None:
        """Files of `each` batches made by `make(first batch, last)`, those there left, and their list
        {part}_{kind}.txt.
        """
        place = self.folder / f"{part}_{kind}_batches"
        with writing(place):
            place.mkdir(exist_ok=True)
        names = []
        for first in range(0, blocks, each):
            path = place / f"batch_{first // each}.h5"
            if not path.exists():
                _write_file(path, make(first, min(first + each, blocks)))
            names.append(f"{self.out / place.name / path.name}\n")
            self.progress(Counted(place.name, "blocks"), min(first + each, blocks), blocks)
        write_text(self.folder / f"{part}_{kind}.txt", "".join(names))

    def write_slots(self, words: SlotVocabulary, parts: list[str]) -> list[tuple[str, str]]:
        """Slot vocabulary, semantics.h5 and the slots of every part; gives the slots' words that are unknown."""
        likeliest, vectors, unknown = words.encode(self.snippets)
        if unknown:
            self.progress(f"{len(unknown)} words of slots are in no training snippet; the first is {unknown[0]}", 0, 0)
        write_text(self.folder / "slot_vocabulary.txt", words.text())
        if not (self.folder / "semantics.h5").exists():
            ids = np.array([snippet.id for snippet in self.snippets], dtype=h5py.string_dtype())
            _write_file(self.folder / "semantics.h5", {"id": ids, "map": likeliest, "probabilities": vectors})
        for part in parts:
            self._write_slots_of(part, likeliest, vectors)
        return unknown

    def _write_slots_of(self, part: str, likeliest: np.ndarray, vectors: np.ndarray) -> None:
        order, streams, slots = self.order(part), self.streams, likeliest.shape[1]

        def snippets(first, last):
            return order[first * streams : last * streams]

        def maximum(first, last):
            return {"semantics": one_hot(likeliest[snippets(first, last)], vectors.shape[1])}

        def probabilities(first, last):
            return {"semantics": vectors[snippets(first, last)]}

        def both(first, last):
            going = np.ones((last - first, slots, streams), np.float32)
            going[:, 0] = 0
            read = likeliest[snippets(first, last)].reshape(-1, streams, slots).transpose(0, 2, 1).astype(np.float32)
            after = np.zeros((last - first, self.steps, streams), np.float32)
            return two_phases(self.sentences(part, first, last), going) | {
                "input_slots": np.concatenate([read, after], 1).reshape(-1, streams)
            }

        for kind, make in (("max", maximum), ("prob", probabilities), ("encoder_decoder", both)):
            self.write(kind, part, len(order) // streams, self.each, make)

    def write_frames(self, frames: Frames, parts: list[str]) -> None:
        counts = np.array([frames.count(snippet.id) for snippet in self.snippets])
        for part in parts:
            self._write_frames_of(part, frames, counts)

    def _write_frames_of(self, part: str, frames: Frames, counts: np.ndarray) -> None:
        order, streams, steps = self.order(part), self.streams, self.options.frames

        def activations(first, last):
            chosen = order[first * streams : last * streams].tolist()
            read = {number: frames.read(self.snippets[number].id, steps) for number in set(chosen)}
            data = np.stack([read[number] for number in chosen])
            data = data.reshape(-1, streams, steps, frames.size).transpose(0, 2, 1, 3)
            return {"frames": data.reshape(-1, streams, frames.size)}

        def sentences(first, last):
            chosen = order[first * streams : last * streams].reshape(-1, streams)
            return two_phases(self.sentences(part, first, last), markers(counts[chosen], steps).transpose(0, 2, 1))

        blocks, each = len(order) // streams, max(FILE_BYTES // (4 * steps * streams * frames.size), 1)
        self.write("frames", part, blocks, each, activations)
        self.write("frame_sentences", part, blocks, self.each, sentences)
