"""What evaluation of captions, of videos and of language models shares: the part of a data set, the sentences of a
net, how good they are, and results.json.

What a net's run takes long to find is kept in the run's folder, in blocks, with the digests of weights and images that
it is of: a call that was cut off goes on, and one with other weights begins anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep import DataError
from data_prep.captions import PARTS, Image
from data_prep.whole_files import read_json, write_json
from data_prep.workers import no_progress
from lrcn.sentences import caption_files, metrics, truth
from lrcn.sentences.captioner import LENGTH, Captioner

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


@dataclass(frozen=True)
class Described(Image):
    """An image, or a video, of a prepared data set: by `file` it is known, at `path` the file is now."""

    path: Path


def part_images(dataset, part: str) -> list[Described]:
    """The images of a part of a caption data set. DataError, one line, where there are none."""
    described = read_json(dataset.folder / "captions.json")
    if dataset.kind == "captions" and "feature_size" in dataset.description:
        raise DataError(
            f"{dataset.folder}: holds activations; evaluation reads the images, so give --data the "
            "captions with images, and --out the run that was fine-tuned on them"
        )
    try:
        images = [
            Described(each["file"], each["split"], each["captions"], dataset.located(each["file"]))
            for each in described["images"]
        ]
    except (KeyError, TypeError):
        raise DataError(
            f"{dataset.folder / 'captions.json'}: not what `lrcn prepare` writes; prepare the data set again"
        ) from None
    found = [image for image in images if image.split in PARTS[part]]
    if not found:
        there = [name for name in PARTS if any(image.split in PARTS[name] for image in images)]
        what = "images" if dataset.kind == "captions" else "videos"
        raise DataError(
            f"{dataset.folder}: has no {what} of {part}, only of {', '.join(there)}"
            + (f"; give --part {there[-1]}" if part == "test" else "")
        )
    return found


def check_files(images: Sequence[Described]) -> None:
    """DataError, one line, where an image's file is gone: before anything is computed."""
    gone = [image.file for image in images if not image.path.is_file()]
    if gone:
        raise DataError(
            f"{gone[0]}: no such image any more ({len(gone)} of {len(images)} are gone); put them back, or "
            "prepare the data set again from where they are now"
        )


# ---- what is kept ------------------------------------------------------------------------------------------


def claim(folder: Path, job: dict) -> Path:
    """The folder, empty but for what was kept of the very same job."""
    note = folder / "job.json"
    if not (note.exists() and read_json(note) == job):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(note, job)
    return folder


def names_digest(images: Sequence[Image]) -> str:
    """A digest of the images and their captions."""
    return hashlib.sha1(json.dumps([[image.file, image.captions] for image in images]).encode()).hexdigest()


def sentences(captioner: Captioner, seen, search: Search, path: Path, of: dict, progress=no_progress) -> list[str]:
    """The likeliest sentence of each image or video that the search finds, kept in the file `path`. seen: what
    `Captioner` takes."""
    job = of | {"beam": search.beam, "length": search.length}
    kept = read_json(path) if path.exists() else {}
    if kept.get("job") != job:
        found = [best[0] for best in captioner.beam(seen, search.beam, 1, search.length, progress)]
        kept = {
            "job": job,
            "sentences": [{"caption": each.text, "log_prob": round(each.log_prob, 6)} for each in found],
        }
        write_json(path, kept)
    return [each["caption"] for each in kept["sentences"]]


# ---- captions ----------------------------------------------------------------------------------------------


def about(options: Search) -> dict:
    return {"beam": options.beam, "length": options.length, "tokens": options.tokens}


def extent(dataset, part: str, images: Sequence[Image]) -> dict:
    return {
        "name": dataset.name,
        "part": part,
        "images": len(images),
        "captions": sum(len(image.captions) for image in images),
        "vocabulary": dataset.description["vocabulary"],
    }


def measure(
    dataset, images: Sequence[Image], said: dict[str, list[str]], search: Search, out: Path, progress, together=()
) -> tuple[dict, list[str]]:
    """{name: {"generation", "truth" where it is known}} of everyone's captions of the images, and notes for the user;
    the captions are written into `out`. together: slots of the truth that are reported together too."""
    files, known = [image.file for image in images], truth.read(dataset.folder)
    every = [each["file"] for each in read_json(dataset.folder / "captions.json")["images"]]
    by_file = dict(zip(every, caption_files.image_ids(every)))
    references = {by_file[image.file]: image.captions for image in images}
    found, notes = {}, []
    for number, (name, texts) in enumerate(said.items()):
        progress("metrics", number, len(said))
        written = dict(zip(references, texts))
        caption_files.write_results(out / f"captions_{name}{search.suffix}.json", written)
        measured = metrics.score(written, references, search.tokens)
        notes += measured.pop("notes")
        found[name] = {"generation": measured}
        if known:
            found[name]["truth"] = known.measure(dict(zip(files, texts)), together)
    progress("metrics", len(said), len(said))
    return found, list(dict.fromkeys(notes))


def titled(progress, title: str):
    return lambda what, done, total: progress(f"{title}: {what}" if total else what, done, total)


# ---- the file ----------------------------------------------------------------------------------------------


def write_results(path: Path, results: dict) -> dict:
    """Writes results.json; rows that are there already, of the same data, evaluation, engine and seed, stay beside the
    new ones. Gives what was written."""
    alike = ("task", "dataset", "evaluation", "engine", "seed")
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        same = all(before.get(key) == json.loads(json.dumps(results.get(key))) for key in alike)
        kept = {name: row for name, row in before["models"].items() if name not in results["models"]} if same else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = {}
    results = results | {"models": results["models"] | kept}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, results)
    return results
