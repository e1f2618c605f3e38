"""What evaluation of captions, of videos and of language models shares: the part of a data set, the sentences of a
net, how good they are, and results.json.

What a net's run takes long to find is kept in the run's folder, in blocks, with the digests of weights, words and
images that it is of, its `identity`: a call that was cut off goes on, and one with other weights, words or images, or
what was damaged since, begins anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import numpy as np

from data_prep import DataError
from data_prep.captions import PARTS, Image
from data_prep.dataset import Dataset, described_images
from data_prep.whole_files import write_json, writing
from data_prep.workers import Counted
from lrcn.engine.compute import Progress
from lrcn.sentences import caption_files, metrics, truth
from lrcn.sentences.captioner import LENGTH, Caption, Captioner, Features
from lrcn.trained_net import TrainedNet
from readers.json_files import read_json
from readers.npz import open_npz

Kind = TypeVar("Kind")
KEPT = ("[0-9]*.npz", "scores_*.npy", "retrieval*.tsv", "retrieval.json", "queries.json")  # in claimed folders

# ---- what is evaluated -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """How sentences are evaluated: of which part of the data set, with which beam width and so many words at most, and
    by which tokens the metrics go, "plain" or "ptb"."""

    part: str = "test"
    beam: int = 1
    length: int = LENGTH
    tokens: str = "plain"

    @property
    def suffix(self) -> str:
        """What the names of files end in that hold something else than the published evaluation."""
        return (
            (f"_{self.part}" if self.part != "test" else "")
            + (f"_beam{self.beam}" if self.beam != 1 else "")
            + (f"_{self.tokens}" if self.tokens != "plain" else "")
            + (f"_length{self.length}" if self.length != LENGTH else "")
        )

    @property
    def description(self) -> dict[str, Any]:
        """What results.json says of it under "evaluation"."""
        return {"beam": self.beam, "length": self.length, "tokens": self.tokens}


@dataclass(frozen=True)
class Described(Image):
    """An image, or a video, of a prepared data set: by `file` it is known, at `path` the file is now."""

    path: Path

    @cached_property
    def content(self) -> bytes:
        """SHA-1 of the file. DataError where it cannot be read."""
        try:
            return hashlib.sha1(self.path.read_bytes()).digest()
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}; put the image back") from None


def part_images(dataset: Dataset, part: str) -> list[Described]:
    """The images of a part of a caption data set. DataError, one line, where there are none."""
    if dataset.kind == "captions" and "feature_size" in dataset.description:
        raise DataError(
            f"{dataset.folder}: holds activations; evaluation reads the images, so give --data the "
            "captions with images, and --out the run that was fine-tuned on them"
        )
    images, splits = [], set()
    for each in described_images(dataset.folder):
        splits.add(each["split"])
        if each["split"] in PARTS[part]:
            images.append(Described(each["file"], each["split"], each["captions"], dataset.located(each["file"])))
    if not images:
        parts = [name for name in PARTS if splits.intersection(PARTS[name])]
        kind = "images" if dataset.kind == "captions" else "videos"
        if not parts:
            raise DataError(f"{dataset.folder}: has no {kind}; prepare the data set again")
        raise DataError(
            f"{dataset.folder}: has no {kind} of {part}, only of {', '.join(parts)}"
            + (f"; give --part {parts[-1]}" if part == "test" else "")
        )
    return images


def check_files(images: Sequence[Described]) -> None:
    """DataError, one line, where an image's file is gone: before anything is computed."""
    gone = [image.file for image in images if not image.path.is_file()]
    if gone:
        raise DataError(
            f"{gone[0]}: no such image any more ({len(gone)} of {len(images)} are gone); put them back, or "
            "prepare the data set again from where they are now"
        )


def note_contents(images: Sequence[Described], path: Path, progress: Progress) -> None:
    """Finds the content of each image, which is read once: the note at `path` has it for later calls, for as long as
    size and time of the file stay. A part of COCO has 13 GB. DataError where one cannot be read."""
    before, now = read_kept(path, dict[str, tuple[int, int, str]]) or {}, {}
    for number, image in enumerate(images):
        stamp = _stamp(image.path)
        *noted, digest = before.get(image.file, (0, 0, ""))
        if (*noted,) == stamp and re.fullmatch("[0-9a-f]{40}", digest):
            vars(image)["content"] = bytes.fromhex(digest)
        else:
            progress(Counted("images that are read", "images"), number + 1, len(images))
        now[image.file] = (*stamp, image.content.hex())
    if now != before:
        write_json(path, now)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        at = path.stat()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; put the image back") from None
    return at.st_size, at.st_mtime_ns


def extent(dataset: Dataset, part: str, images: Sequence[Image]) -> dict[str, Any]:
    """What results.json says under "dataset"."""
    return {
        "name": dataset.name,
        "part": part,
        "images": len(images),
        "captions": sum(len(image.captions) for image in images),
        "vocabulary": dataset.description["vocabulary"],
    }


# ---- sentences, and what is kept ---------------------------------------------------------------------------


def claim(folder: Path, identity: dict[str, Any]) -> None:
    """Removes what was kept in the folder, but for that of the very same identity. DataError where what goes by such
    names lies there without a note of ours, which comes first and stays to the last."""
    note = folder / "job.json"
    if read_kept(note, dict[str, Any]) == identity:
        return
    there = [path for pattern in KEPT for path in sorted(folder.glob(pattern))]
    if there and not note.exists():
        raise DataError(f"{there[0]}: was not made by this command, which would remove it; move it away")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in there:
            path.unlink()
    write_json(note, identity)


def read_kept(path: Path, kind: type[Kind]) -> Kind | None:
    """What an earlier call kept, of this kind; None where there is nothing, or it was damaged since."""
    try:
        return read_json(path, kind, DataError)
    except DataError:
        return None


def read_kept_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray] | None:
    """The same of the arrays of an .npz, of numbers."""
    try:
        with open_npz(path, DataError) as arrays:
            found = {name: arrays[name] for name in names}
    except DataError:
        return None
    return found if all(array.dtype.kind == "f" for array in found.values()) else None


def digest_of_content(images: Sequence[Described]) -> str:
    """SHA-1 of the images' files, wherever they lie. DataError where one cannot be read."""
    return hashlib.sha1(b"".join(image.content for image in images)).hexdigest()


def digest_of_words(net: TrainedNet) -> str | None:
    """SHA-1 of the words that a net says."""
    return hashlib.sha1(net.vocabulary.read_bytes()).hexdigest() if net.vocabulary else None


def digest_of_captions(images: Sequence[Image]) -> str:
    """SHA-1 of the images and their captions."""
    return hashlib.sha1(json.dumps([[image.file, image.captions] for image in images]).encode()).hexdigest()


def sentences(
    captioner: Captioner,
    features: Features,
    search: Search,
    folder: Path,
    identity: dict[str, Any],
    progress: Progress | None = None,
) -> list[Caption]:
    """The likeliest sentence of each image or video that the search finds, kept in `folder`."""
    path = folder / f"sentences{search.suffix or '_test'}.json"
    identity = identity | {"beam": search.beam, "best": 1, "length": search.length}
    found = kept(path, identity, lambda: captioner.beam(features, search.beam, 1, search.length, progress))
    return [best for [best] in found]


def kept(path: Path, identity: dict[str, Any], search: Callable[[], list[list[Caption]]]) -> list[list[Caption]]:
    """Several sentences of each image or video, the likeliest first: from the file where it is of the very same
    identity, else what the search finds."""
    content = read_kept(path, _Kept)
    if content is None or content["job"] != identity:
        sentences = [[_as_kept(each) for each in best] for best in search()]
        content = {"job": identity, "sentences": sentences}
        write_json(path, content)
    return [[Caption(each["words"], each["log_probs"]) for each in best] for best in content["sentences"]]


class _Sentence(TypedDict):
    caption: str
    log_prob: float
    words: list[str]
    log_probs: list[float]


class _Kept(TypedDict):
    """A file of sentences, several of each image or video."""

    job: dict[str, Any]
    sentences: list[list[_Sentence]]


def _as_kept(caption: Caption) -> _Sentence:
    log_probs = [round(each, 6) for each in caption.log_probs]
    return {
        "caption": caption.text,
        "log_prob": round(caption.log_prob, 6),
        "words": caption.words,
        "log_probs": log_probs,
    }


def titled(progress: Progress, title: str) -> Progress:
    """Tells the same, of whom first; remarks as they are."""
    return lambda what, done, total: progress(Counted(what).of(title) if total else what, done, total)


def image_ids(dataset: Dataset) -> dict[str, int | str]:
    """{file: as results files call it} of all images or videos of a data set."""
    files = [each["file"] for each in described_images(dataset.folder)]
    return dict(zip(files, caption_files.image_ids(files)))


# ---- how good they are -------------------------------------------------------------------------------------


def measure(
    dataset: Dataset,
    images: Sequence[Image],
    captions: dict[str, list[str]],
    search: Search,
    out: Path,
    progress: Progress,
    together: Sequence[Sequence[str]] = (),
    alternatives: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """{row: {"generation", "truth" where it is known}} of each row's captions of the images, and notes for the user;
    the captions are written into `out`. together: slots of the truth that are reported together too. alternatives: of a
    row that has several captions an image, all of them: "generation" is the mean over these."""
    files, known_truth = [image.file for image in images], truth.read(dataset.folder)
    ids = image_ids(dataset)
    references = {ids[image.file]: image.captions for image in images}
    measured: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    counted = Counted("metrics", "systems")
    for number, (row, texts) in enumerate(captions.items()):
        progress(counted, number, len(captions))
        by_id = dict(zip(references, texts))
        caption_files.write_results(out / f"captions_{row}{search.suffix}.json", by_id)
        if row in (alternatives or {}):
            scores = metrics.score_all(dict(zip(references, alternatives[row])), references, search.tokens)
        else:
            scores = metrics.score(by_id, references, search.tokens)
        notes += scores.pop("notes")
        measured[row] = {"generation": scores}
        if known_truth:
            measured[row]["truth"] = known_truth.measure(dict(zip(files, texts)), together)
    progress(counted, len(captions), len(captions))
    return measured, list(dict.fromkeys(notes))


# ---- the file ----------------------------------------------------------------------------------------------


def write_results(path: Path, results: dict[str, Any]) -> dict[str, Any]:
    """Writes results.json; rows that are there already, of the same data, evaluation, engine, seed and weights from
    files, stay beside the new ones. Gives what was written."""
    before = read_kept(path, _Merged) or {"models": {}}
    alike = ["task", "dataset", "evaluation", "engine", "gpu", "seed"]
    alike += ["data_set"] if "data_set" in before else []  # an earlier lrcn's did not say so
    same = all(before.get(key) == json.loads(json.dumps(results.get(key))) for key in alike)
    files, here = before.get("weights", {}), results.get("weights", {})
    same = same and all(files.get(net, file)["sha256"] == file["sha256"] for net, file in here.items())
    kept = {name: row for name, row in before["models"].items() if name not in results["models"]} if same else {}
    results = results | ({"weights": files | here} if kept and files else {})
    devices = (before.get("trained_on", {}) if kept else {}) | results.get("trained_on", {})
    results = results | ({"trained_on": devices} if devices else {}) | {"models": results["models"] | kept}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, results)
    return results


class _File(TypedDict):
    file: str
    sha256: str


class _Rows(TypedDict):
    models: dict[str, dict[str, Any]]


class _Merged(_Rows, total=False):
    """What of results.json tells whether its rows may stand beside others."""

    task: str
    dataset: dict[str, Any]
    data_set: str
    evaluation: dict[str, Any]
    engine: Any
    gpu: Any
    seed: int | None
    weights: dict[str, _File]
    trained_on: dict[str, list[dict[str, Any]]]
