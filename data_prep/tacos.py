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
from pathlib import Path

import h5py
import numpy as np

from data_prep import DataError, captions, vocabulary
from data_prep.captions import Image
from data_prep.dataset import Dataset
from data_prep.features import output_folder, read_videos
from data_prep.list_order import check_seed
from data_prep.snippets import Snippet, table
from data_prep.whole_files import new_folder, write_bytes, write_json, write_text, writing
from data_prep.workers import no_progress

NONE = "<none>"
FILE_BYTES = 256 << 20  # of `frames` in one file; Caffe holds a file or two in memory
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
        return cls([(slot, word) for slot, found in words.items() for word in sorted(found)])

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
    path = Path(folder) / "semantics.h5"
    try:
        with h5py.File(path) as file:
            return list(file["id"].asstr()), file["map"][()], file["probabilities"][()]
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: cannot be read ({error}); prepare the data set again") from None


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
        self.path = Path(path)
        try:
            if self.path.is_dir():
                self.file = of_features(self.path)
            elif self.path.suffix == ".npz":
                with np.load(self.path) as file:
                    self.file = {name: file[name] for name in set(ids) & set(file.files)}
            else:
                self.file = h5py.File(self.path)
        except DataError:
            raise
        except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.path}: cannot be read ({error}); name an HDF5 or .npz file with activations "
                "(frames, D) for each id"
            ) from None
        self.size = 0
        for name in ids:
            held = self.file[name] if name in self.file else None
            shape = getattr(held, "shape", None)
            if shape is None or len(shape) != 2 or 0 in shape or held.dtype.kind != "f":
                said = "has no" if shape is None else f"has {held.dtype} {shape} as"
                raise DataError(f"{self.path}: {said} activations of {name}; give floating point (frames, D)")
            self.size = self.size or shape[1]
            if shape[1] != self.size:
                raise DataError(
                    f"{self.path}: {shape[1]} values a frame of {name}, {self.size} of {ids[0]}; they must agree"
                )

    def count(self, name: str) -> int:
        """How many frames there are of a snippet."""
        return len(self.file[name])

    def read(self, name: str, steps: int) -> np.ndarray:
        """(steps, D) float32: evenly spaced from the first frame to the last, or, where there are fewer, all of them
        after rows of zeros."""
        try:
            frames = self.file[name][()].astype(np.float32)
        except OSError as error:
            raise DataError(f"{self.path}: {name} cannot be read ({error}); extract the activations again") from None
        if not np.isfinite(frames).all():
            raise DataError(f"{self.path}: activations of {name} are not all finite; extract them again")
        if len(frames) > steps:
            return frames[evenly(len(frames), steps)]
        return np.concatenate([np.zeros((steps - len(frames), self.size), np.float32), frames])


def markers(counts: np.ndarray, steps: int) -> np.ndarray:
    """Markers (..., steps) float32 of `Frames.read` of videos with `counts` (...) frames: 0 up to the first frame."""
    return (np.arange(steps) > steps - np.minimum(counts, steps)[..., None]).astype(np.float32)


def of_features(folder: Path) -> dict[str, np.ndarray]:
    """Video -> its activations (T, D)."""
    held = {}
    for part in ("train", "test"):
        for video, _, name in zip(*read_videos(folder, part), strict=True):
            if len(video) > 1:
                raise DataError(f"{folder}: has {len(video)} clips of {name}; prepare the features without --clips")
            held[name] = video[0]
    return held


def evenly(frames: int, steps: int) -> np.ndarray:
    """Numbers of `steps` of `frames` frames, the first and the last among them (one step: the middle frame)."""
    return np.linspace(0, frames - 1, steps).round().astype(int) if steps > 1 else np.array([(frames - 1) // 2])


def digest(path) -> str:
    """sha256 of a file, or of a folder's HDF5 files. Errors: DataError."""
    found, path = hashlib.sha256(), Path(path)
    for part in sorted(path.glob("*.h5")) if path.is_dir() else [path]:
        try:
            with open(part, "rb") as file:
                while block := file.read(1 << 22):
                    found.update(block)
        except OSError as error:
            raise DataError(f"{part}: cannot be read ({error.strerror}); name an HDF5 or .npz file") from None
    return found.hexdigest()


# ---- a data set --------------------------------------------------------------------------------------------
def prepare(
    name: str,
    snippets: list[Snippet],
    out,
    *,
    seed: int = 1701,
    steps: int = captions.STEPS,
    streams: int = captions.STREAMS,
    min_count: int = vocabulary.MIN_COUNT,
    val_share: float = 0.1,
    features=None,
    frames: int = 16,
    phrases: dict | None = None,
    progress=no_progress,
) -> Path:
    """Makes the data set `out` of `snippets`; steps is T'.

    Sentences without a word are left out, and then snippets without a sentence. val_share: of the training snippets,
    drawn for val where there is none. features: a file for `Frames`, of which `frames` are taken. phrases: slot ->
    word -> how a sentence says it; the word itself by default. The same snippets and seed give the same bytes. A run
    that was cut off goes on. Errors: DataError.
    """
    out = output_folder(out)
    check_seed(seed)
    cleaned, left = [], []
    for snippet in snippets:
        kept = [text for text in map(vocabulary.clean, snippet.sentences) if text.strip(". ")]
        left += [snippet.id] * (len(snippet.sentences) - len(kept))
        if kept:
            cleaned.append(Snippet(**{**vars(snippet), "sentences": kept}))
    if not any(snippet.split == "train" for snippet in cleaned):
        raise DataError(f"{name}: no training snippet has a sentence; see the splits")
    inputs = hashlib.sha256()
    for snippet in cleaned:
        words = {slot: words for slot, (words, _) in snippet.slots.items()}
        inputs.update(json.dumps({**vars(snippet), "slots": words}).encode())
        inputs.update(b"".join(np.array(numbers).tobytes() for _, numbers in snippet.slots.values()))
    settings = {
        "name": name,
        "inputs": inputs.hexdigest(),
        "seed": seed,
        "steps": steps,
        "streams": streams,
        "min_count": min_count,
        "val_share": val_share,
        "features": features and digest(features),
        "frames": features and frames,
        "phrases": phrases,
    }
    drawn = 0
    if not any(snippet.split == "val" for snippet in cleaned):
        cleaned, drawn = with_val(cleaned, val_share, seed)
        progress(f"no snippet is in val: {drawn} of the training snippets are taken for it (--val-share)", 0, 0)
    words = SlotVocabulary.build([snippet for snippet in cleaned if snippet.split == "train"])
    if not words.slots and features is None:
        raise DataError(f"{name}: no training snippet has a slot; give slots, or activations of frames (--features)")
    held = Frames(features, [snippet.id for snippet in cleaned]) if features else None
    with new_folder(out, settings) as folder:
        if folder is None:
            return out
        if left:
            progress(f"left out: {len(left)} sentences without a word; the first is of {left[0]}", 0, 0)
        said = captions.write_sequences(
            folder,
            out,
            [Image(s.id, s.split, s.sentences) for s in cleaned],
            seed=seed,
            steps=steps,
            streams=streams,
            min_count=min_count,
            with_images=False,
            progress=progress,
        )
        sizes = {
            part: {"snippets": count["images"], "sentences": count["captions"]}
            for part, count in said.pop("splits").items()
        }
        rows = {part: rows_of(cleaned, part, streams, seed) for part in sizes if part != "trainval"}
        unknown = []
        if words.slots:
            likeliest, vectors, unknown = words.encode(cleaned)
            if unknown:
                progress(f"{len(unknown)} words of slots are in no training snippet; the first is {unknown[0]}", 0, 0)
            _write_semantics(folder, out, words, cleaned, likeliest, vectors, rows, steps, streams, progress)
        if held:
            _write_frames(folder, out, held, frames, cleaned, rows, steps, streams, progress)
        lines = ",\n".join(
            json.dumps(
                {"file": s.id, "split": s.split, "captions": s.sentences, "detail": s.detail}, ensure_ascii=False
            )
            for s in cleaned
        )
        write_text(folder / "captions.json", f'{{"images": [\n{lines}\n]}}\n')
        if any(snippet.truth for snippet in cleaned):
            write_json(folder / "truth.json", _truth(cleaned, phrases or {}))
        write_json(
            folder / "dataset.json",
            {
                "name": name,
                "kind": "semantics",
                **said,
                "slots": len(words.slots),
                "slot_names": words.slots,
                "slot_words": words.size if words.slots else 0,
                "frames": frames if held else 0,
                "feature_size": held.size if held else 0,
                "features": features and str(Path(features).absolute()),
                "details": sorted({s.detail for s in cleaned} - {""}),
                "splits": sizes,
                "drawn_for_val": drawn,
                "height": None,
                "width": None,
                "images": False,
                "seed": seed,
                "left_out": len(left),
                "unknown_slot_words": len(unknown),
                "prepared": settings,
            },
        )
    return out


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
    return [Snippet(**{**vars(s), "split": "val"}) if s.id in taken else s for s in snippets], count


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
            slot: {word: word for word in sorted(found)} | phrases.get(slot, {}) for slot, found in words.items()
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


def _write_part(folder: Path, out: Path, kind: str, part: str, blocks: int, each: int, make, progress) -> None:
    """Files of `each` batches made by `make(first batch, last)`, those there left, and their list {part}_{kind}.txt."""
    place = folder / f"{part}_{kind}_batches"
    with writing(place):
        place.mkdir(exist_ok=True)
    names = []
    for first in range(0, blocks, each):
        path = place / f"batch_{first // each}.h5"
        if not path.exists():
            _write_file(path, make(first, min(first + each, blocks)))
        names.append(f"{out / place.name / path.name}\n")
        progress(place.name, min(first + each, blocks), blocks)
    write_text(folder / f"{part}_{kind}.txt", "".join(names))


def _sentences(folder: Path, part: str, steps: int, streams: int):
    """Batches in a file of the sentences that are written, and what reads such a file, from batch `first` to `last`:
    dataset -> (batches, steps, streams)."""
    each = captions.file_rows(steps, streams) // steps

    def read(first: int, last: int) -> dict[str, np.ndarray]:
        with h5py.File(folder / f"{part}_aligned_{steps}_batches" / f"batch_{first // each}.h5") as file:
            return {name: file[name][()].reshape(last - first, steps, streams) for name in SENTENCE}

    return each, read


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


def _write_semantics(folder, out, words, snippets, likeliest, vectors, rows, steps, streams, progress) -> None:
    write_text(folder / "slot_vocabulary.txt", words.text())
    if not (folder / "semantics.h5").exists():
        ids = np.array([snippet.id for snippet in snippets], dtype=h5py.string_dtype())
        _write_file(folder / "semantics.h5", {"id": ids, "map": likeliest, "probabilities": vectors})
    slots = likeliest.shape[1]
    for part, order in rows.items():
        blocks = len(order) // streams
        each, read = _sentences(folder, part, steps, streams)

        def of(first, last, order=order):
            return order[first * streams : last * streams]

        def maximum(first, last, of=of):
            return {"semantics": one_hot(likeliest[of(first, last)], words.size)}

        def probabilities(first, last, of=of):
            return {"semantics": vectors[of(first, last)]}

        def both(first, last, of=of, read=read):
            markers = np.ones((last - first, slots, streams), np.float32)
            markers[:, 0] = 0
            given = likeliest[of(first, last)].reshape(-1, streams, slots).transpose(0, 2, 1).astype(np.float32)
            after = np.zeros((last - first, steps, streams), np.float32)
            return two_phases(read(first, last), markers) | {
                "input_slots": np.concatenate([given, after], 1).reshape(-1, streams)
            }

        for kind, make in (("max", maximum), ("prob", probabilities), ("encoder_decoder", both)):
            _write_part(folder, out, kind, part, blocks, each, make, progress)


def _write_frames(folder, out, held, frames, snippets, rows, steps, streams, progress) -> None:
    batch, counts = 4 * frames * streams * held.size, np.array([held.count(snippet.id) for snippet in snippets])
    for part in captions.SENTENCE_PARTS:
        if part not in rows:
            continue
        order = rows[part]
        blocks = len(order) // streams
        each, read = _sentences(folder, part, steps, streams)

        def activations(first, last, order=order):
            made = {k: held.read(snippets[k].id, frames) for k in set(order[first * streams : last * streams].tolist())}
            data = np.stack([made[k] for k in order[first * streams : last * streams].tolist()])
            data = data.reshape(-1, streams, frames, held.size).transpose(0, 2, 1, 3)
            return {"frames": data.reshape(-1, streams, held.size)}

        def sentences(first, last, order=order, read=read):
            chosen = order[first * streams : last * streams].reshape(-1, streams)
            return two_phases(read(first, last), markers(counts[chosen], frames).transpose(0, 2, 1))

        _write_part(folder, out, "frames", part, blocks, max(FILE_BYTES // batch, 1), activations, progress)
        _write_part(folder, out, "frame_sentences", part, blocks, each, sentences, progress)
