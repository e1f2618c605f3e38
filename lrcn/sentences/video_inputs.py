"""What the nets of video description read of snippets, as `captioner` takes it: in evaluation of a prepared data set,
and in `lrcn describe` of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data_prep import DataError, tacos
from data_prep.dataset import Dataset
from data_prep.frames import IMAGES, VIDEOS, is_one_of
from data_prep.snippets import read_snippets
from netspecs.variant import Variant
from prototxt_gen import SpecError

Inputs = np.ndarray | dict[str, np.ndarray]


def reads_frames(variant: Variant) -> bool:
    """Whether it reads activations of a video's frames, not what a CRF says."""
    return variant.reads == "activations"


def of_slots(variant: Variant, likeliest: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """What `variant` reads of the CRF's likeliest words (N, T) and the probabilities (N, W) of all: words (N, T) or a
    vector (N, W). SpecError where it reads none of it."""
    match variant.reads:
        case "slots":
            return likeliest
        case "likeliest":
            return tacos.one_hot(likeliest, probabilities.shape[1])
        case "probabilities":
            return probabilities
    raise SpecError(
        f"{variant.name}: reads {variant.reads}, and a CRF says words of slots; name a net that reads those"
    )


def of_frames(frames: tacos.Frames, ids: Sequence[str], settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """{"frames": (N, T, D), "cont_sentence": their markers (N, T)} of a net with these settings. DataError where it
    reads another D."""
    steps, size = settings["frames"], settings["feature_size"]
    if frames.size != size:
        raise DataError(
            f"{frames.path}: has {frames.size} values a frame, and the net reads {size}; give activations "
            "of the CNN that it was trained on"
        )
    return {
        "frames": np.stack([frames.read(name, steps) for name in ids]),
        "cont_sentence": tacos.markers(np.array([frames.count(name) for name in ids]), steps),
    }


def of_dataset(dataset: Dataset, variant: Variant, settings: Mapping[str, Any], ids: Sequence[str]) -> Inputs:
    """What `variant` reads of these snippets of a prepared data set. Errors: DataError."""
    if reads_frames(variant):
        return of_frames(tacos.Frames(dataset.located(dataset.description["features"]), list(ids)), ids, settings)
    all_ids, likeliest, probabilities = tacos.read_semantics(dataset.folder)
    row_of = {name: row for row, name in enumerate(all_ids)}
    if lacking := [name for name in ids if name not in row_of]:
        raise DataError(f"{dataset.folder / 'semantics.h5'}: lacks {lacking[0]}; prepare the data set again")
    rows = [row_of[name] for name in ids]
    return of_slots(variant, likeliest[rows], probabilities[rows])


def check_kind(path: Path | str) -> None:
    """DataError, one line, for a video, an image, or a folder of them, where a file of snippets is due: before anything
    else is opened."""
    path = Path(path)
    if not path.exists() or (path / "dataset.json").exists():
        return
    folder = path.is_dir()
    names = [each.name for each in path.iterdir()] if folder else [path.name]
    if any(is_one_of(VIDEOS, name) for name in names):
        raise DataError(
            f"{path}: {'holds videos' if folder else 'a video'}; give what a CRF says of its snippets, JSON Lines or "
            "CSV of id and slots, or for video/encoder-decoder-frames activations (frames, D) of each, HDF5 or .npz"
        )
    if any(is_one_of(IMAGES, name) for name in names):
        raise DataError(f"{path}: {'holds images' if folder else 'an image'}; `lrcn caption` describes images")


def of_file(
    path: Path | str,
    variant: Variant,
    settings: Mapping[str, Any],
    run: Path,
    partial: bool = False,
    remark: Callable[[str], None] = lambda text: None,
) -> tuple[list[str], Inputs]:
    """The ids in a file of snippets (`data_prep.snippets`), or of frames (`tacos.Frames`) for the net that reads them,
    and what it reads of each.

    run: the folder of the training, with slot_vocabulary.txt; remark: called with what there is to say of words that
    it does not know, and of slots that no snippet has. Errors: DataError, SpecError.
    """
    path = Path(path)
    if reads_frames(variant):
        ids = tacos.names_in(path)
        return ids, of_frames(tacos.Frames(path, ids), ids, settings)
    if path.is_dir() or path.suffix == ".npz" or (path.is_file() and h5py.is_hdf5(path)):
        raise DataError(
            f"{path}: holds activations, and {variant.name} reads what a CRF says of slots; give JSON Lines of "
            "id and slots, or name a video/encoder-decoder-frames with --model"
        )
    words, snippets = tacos.SlotVocabulary.read(run / "slot_vocabulary.txt"), read_snippets(path, partial, False)
    if words.size != settings["slot_words"]:
        raise DataError(
            f"{run / 'slot_vocabulary.txt'}: has {words.size} entries, and the net in {run} was trained "
            f"with {settings['slot_words']}; train it again"
        )
    slots = list(dict.fromkeys(slot for snippet in snippets for slot in snippet.slots))
    if not set(slots) & set(words.slots):
        raise DataError(
            f"{path}: has no slot that the net knows ({', '.join(words.slots)})"
            + (f", only {', '.join(slots)}" if slots else "")
            + "; give the CRF's output for its slots"
        )
    likeliest, probabilities, unknown = words.encode(snippets)
    if unknown:
        slot, word = unknown[0]
        remark(
            f"{len(unknown)} words of slots are unknown to the net and count for nothing; the first is {word!r} of "
            f"slot {slot}"
        )
    missing = [slot for slot in words.slots if slot not in slots]
    if missing:
        remark(f"{path}: no snippet has slot {', '.join(missing)}; counted as missing")
    return [snippet.id for snippet in snippets], of_slots(variant, likeliest, probabilities)


def slots_of(inputs: Inputs, run: Path) -> list[dict[str, list[tuple[str, float]]]]:
    """{slot: [(word, probability)], the likeliest first} of each snippet, as the net of this training reads them of
    `inputs`; the likeliest words alone where it reads no more. A missing slot has none."""
    vocabulary, vectors = tacos.SlotVocabulary.read(run / "slot_vocabulary.txt"), np.asarray(inputs)
    if vectors.shape[1] != vocabulary.size:  # the likeliest words, not a vector
        vectors = tacos.one_hot(vectors.astype(int), vocabulary.size)
    snippets = []
    for vector in vectors:
        slots: dict[str, list[tuple[str, float]]] = {slot: [] for slot in vocabulary.slots}
        for (slot, word), probability in zip(vocabulary.entries, vector[1:].tolist()):
            slots[slot] += [(word, probability)] if probability else []
        snippets.append({slot: sorted(words, key=lambda word: -word[1]) for slot, words in slots.items()})
    return snippets
