"""Trained nets of sentences against a data set's captions: what `lrcn evaluate caption/*`, `video/*`, `lm/*` do.

For each captioner: a sentence of each image of a part, by beam search, and how good they are (Table 3); images found by
their captions and captions by their images (Table 2); whether they are true, where the data set knows. Beside them the
baselines of Table 3, the first caption of the nearest training image. For each net of videos the same, but for what
needs images (Table 5). For a language model its perplexity.

What a net's run takes long to find is kept in the run's folder, in blocks, with the digests of weights and images that
it is of: a call that was cut off goes on, and one with other weights begins anew.

    OUT/captions_NAME.json          the sentences, in COCO's results format
    OUT/NET/features_PART/          fc7 and fc8 of the part's images
    OUT/NET/sentences_PART.json     the sentences with their log probabilities
    OUT/NET/retrieval_PART/         retrieval.json and the rank of each image and caption
    OUT/neighbours/                 fc7 and fc8 of the CNN before its training here
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep import DataError, vocabulary
from data_prep.captions import PARTS, Image
from data_prep.whole_files import read_json, write_bytes, write_json
from data_prep.workers import no_progress
from lrcn.engine.compute import Compute
from lrcn.pixels import Transform
from lrcn.results import pictures
from lrcn.sentences import describe, metrics, retrieval, truth
from lrcn.sentences.captioner import LENGTH, Captioner
from lrcn.sentences.image_net import ImageNet
from lrcn.sentences.images import read_image
from lrcn.trained_net import TrainedNet, digest
from prototxt_gen.weights import AFRESH, CLASH, plan, read_weights

BLOCK = 500  # images whose features are kept together
SHOWN = 12  # images in the picture of captions
BLOBS = ("fc7", "fc8")
RETRIEVED = 1000  # published: images in the retrieval experiments


# ---- what is evaluated -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cnn:
    """Weights of a CNN before its training here: a file, the blobs of it that count, and words on what it is."""

    weights: Path
    blobs: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class Neighbours:
    """The baseline of Table 3: captions of the nearest training images. cnn: by this one, as it was before; None where
    it is not known. By a fine-tuned net's they are always."""

    cnn: Cnn | None = None


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
class CaptionSearch(Search):
    """Of captions besides: retrieval among so many images, the first of the part, 0 for none; with nearest neighbours
    beside, by the CNN of `weights` where it is known."""

    retrieval_images: int = RETRIEVED
    neighbours: bool = True
    weights: Path | None = None


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


def _claim(folder: Path, job: dict) -> Path:
    """The folder, empty but for what was kept of the very same job."""
    note = folder / "job.json"
    if not (note.exists() and read_json(note) == job):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(note, job)
    return folder


def _names(images: Sequence[Image]) -> str:
    """A digest of the images and their captions."""
    return hashlib.sha1(json.dumps([[image.file, image.captions] for image in images]).encode()).hexdigest()


def activations(
    reader: ImageNet, images: Sequence[Described], blobs: Sequence[str], folder: Path, of: dict, progress=no_progress
) -> dict[str, np.ndarray]:
    """{blob: (N, D)} of the images, kept in `folder`; `of` says by which weights, and how they are cut."""
    files = hashlib.sha1("\n".join(image.file for image in images).encode()).hexdigest()
    _claim(folder, of | {"files": files, "blobs": list(blobs)})
    parts, title = [], folder.name.replace("_", " of ")
    for first in range(0, len(images), BLOCK):
        path, block = folder / f"{first:07d}.npz", images[first : first + BLOCK]
        if not path.exists():
            pixels = reader.cut(read_image(image.path) for image in block)
            found = reader.activations(
                pixels,
                blobs,
                lambda what, done, total, first=first: progress(title, first + done, len(images)),
                len(block),
            )
            content = io.BytesIO()
            np.savez(content, **found)
            write_bytes(path, content.getvalue())
        with np.load(path) as kept:
            parts.append({blob: kept[blob] for blob in blobs})
    return {blob: np.concatenate([part[blob] for part in parts]) for blob in blobs}


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


def retrieve(
    captioner: Captioner, fc8: np.ndarray, images: Sequence[Image], folder: Path, of: dict, progress=no_progress
) -> dict:
    """The results of `retrieval` on images and all of their captions, with every rank kept in `folder`."""
    _claim(folder, of | {"retrieval_images": len(images)})
    if not (folder / "retrieval.json").exists():
        texts = [vocabulary.split(caption) for image in images for caption in image.captions]
        owners = [number for number, image in enumerate(images) for _ in image.captions]
        _, ranks = retrieval.retrieve(captioner, fc8, texts, owners, progress, folder)
        retrieval.write(folder, ranks, [image.file for image in images], texts, owners)
        for path in folder.glob("scores_*.npy"):
            path.unlink()
    return read_json(folder / "retrieval.json")


# ---- captions ----------------------------------------------------------------------------------------------


def evaluate(
    dataset,
    nets: Sequence[TrainedNet],
    out: Path,
    options: CaptionSearch,
    neighbours: Neighbours | None,
    compute: Compute,
) -> dict:
    """{"dataset", "evaluation", "models", "notes"} of results.json: each net's row, and of the nearest neighbours by
    the CNN as it was before (1nn-fc7, 1nn-fc8) and by a fine-tuned net's (1nn-fc7-finetuned, ...: that of lrcn-2f, else
    of the first).

    Raises DataError, SpecError, CaffeError.
    """
    images = part_images(dataset, options.part)
    training = part_images(dataset, "train") if neighbours else []
    check_files([*images, *training])
    reference = next((net for net in nets if net.variant.name == "caption/lrcn-2f"), nets[0])
    everyone = _Captions(images, training, options, compute)
    for net in nets:
        everyone.add_net(net, neighbours is not None and net is reference and net.training.startswith("finetune"))
    if neighbours and neighbours.cnn:
        everyone.add_neighbours(neighbours.cnn, reference, out / "neighbours")
    captions, models = everyone.captions, everyone.models

    rows = [net.row for net in nets]
    measured, notes = _measure(dataset, images, captions, options, out, compute.progress)
    pictures.captioned(
        [read_image(image.path) for image in images[:SHOWN]],
        [{name: captions[name][at] for name in rows} for at in range(min(SHOWN, len(images)))],
        f"{dataset.name}, {options.part}",
        out / f"captions{options.suffix}.png",
    )
    asked = images[: options.retrieval_images]
    evaluation = _about(options) | {
        "retrieval_images": len(asked),
        "retrieval_captions": sum(len(image.captions) for image in asked),
    }
    return {
        "dataset": _extent(dataset, options.part, images),
        "evaluation": evaluation,
        "models": {name: models[name] | measured[name] for name in [*rows, *sorted(models.keys() - set(rows))]},
        "notes": notes,
    }


def _about(options: Search) -> dict:
    return {"beam": options.beam, "length": options.length, "tokens": options.tokens}


def _extent(dataset, part: str, images: Sequence[Image]) -> dict:
    return {
        "name": dataset.name,
        "part": part,
        "images": len(images),
        "captions": sum(len(image.captions) for image in images),
        "vocabulary": dataset.description["vocabulary"],
    }


@dataclass
class _Captions:
    """Captions of images by row, and what is known of each row, as nets and neighbours add them."""

    images: Sequence[Image]
    training: Sequence[Image]
    options: CaptionSearch
    compute: Compute
    captions: dict[str, list[str]] = field(default_factory=dict)
    models: dict[str, dict] = field(default_factory=dict)

    def add_net(self, net: TrainedNet, with_neighbours: bool) -> None:
        """A net's captions and, if wanted, those of the nearest images by its CNN."""
        options, tell = self.options, _titled(self.compute.progress, net.row)
        of = {"weights": digest(net.weights)}
        with Captioner.of(net, self.compute.engine, self.compute.gpu) as captioner:
            cut = of | {"cut": _cut(net)}
            seen = activations(captioner, self.images, BLOBS, net.folder / f"features_{options.part}", cut, tell)
            job, path = of | {"images": _names(self.images)}, net.folder / f"sentences{options.suffix or '_test'}.json"
            self.captions[net.row] = sentences(captioner, seen["fc8"], options, path, job, tell)
            self.models[net.row] = {"stage": net.training, "weights": of["weights"]}
            if asked := self.images[: options.retrieval_images]:
                folder = net.folder / f"retrieval_{options.part}"
                ranks = retrieve(captioner, seen["fc8"][: len(asked)], asked, folder, job, tell)
                self.models[net.row]["retrieval"] = ranks
            if with_neighbours:
                whose = of | {"cnn": f"{net.row}, {net.training}"}
                self._add_nearest(captioner, seen, (net.folder, cut), "-finetuned", whose, tell)

    def add_neighbours(self, cnn: Cnn, reference: TrainedNet, folder: Path) -> None:
        """The captions of the nearest images by a CNN as it was before its training here."""
        of, tell = {"weights": digest(cnn.weights)}, _titled(self.compute.progress, "nearest neighbours")
        net, blobs = cnn_net(reference, cnn)
        transform, cut = Transform.of(reference.variant, reference.settings), of | {"cut": _cut(reference)}
        with ImageNet(net, cnn.weights, self.compute.engine, self.compute.gpu, transform) as reader:
            seen = activations(reader, self.images, blobs, folder / f"features_{self.options.part}", cut, tell)
            self._add_nearest(reader, seen, (folder, cut), "", of | {"cnn": cnn.what}, tell)

    def _add_nearest(
        self, reader: ImageNet, seen: dict, kept: tuple[Path, dict], ending: str, whose: dict, tell
    ) -> None:
        """kept: the folder of activations, and what they are of."""
        folder, of = kept
        known = activations(reader, self.training, list(seen), folder / "features_train", of, tell)
        theirs = [image.captions for image in self.training]
        for blob in seen:
            row = f"1nn-{blob}{ending}"
            self.captions[row] = metrics.nearest_captions(known[blob], theirs, seen[blob])
            self.models[row] = whose


def _measure(
    dataset, images: Sequence[Image], said: dict[str, list[str]], search: Search, out: Path, progress
) -> tuple[dict, list[str]]:
    """{name: {"generation", "truth" where it is known}} of everyone's captions of the images, and notes for the user;
    the captions are written into `out`."""
    files, known = [image.file for image in images], truth.read(dataset.folder)
    every = [each["file"] for each in read_json(dataset.folder / "captions.json")["images"]]
    by_file = dict(zip(every, metrics.image_ids(every)))
    references = {by_file[image.file]: image.captions for image in images}
    found, notes = {}, []
    for number, (name, texts) in enumerate(said.items()):
        progress("metrics", number, len(said))
        written = dict(zip(references, texts))
        metrics.write_results(out / f"captions_{name}{search.suffix}.json", written)
        measured = metrics.score(written, references, search.tokens)
        notes += measured.pop("notes")
        found[name] = {"generation": measured}
        if known:
            found[name]["truth"] = known.measure(dict(zip(files, texts)), [PAIR] if dataset.kind == "semantics" else ())
    progress("metrics", len(said), len(said))
    return found, list(dict.fromkeys(notes))


def _titled(progress, title: str):
    return lambda what, done, total: progress(f"{title}: {what}" if total else what, done, total)


def _cut(net: TrainedNet) -> dict:
    """What tells how images are cut for a net."""
    return {name: net.settings[name] for name in ("backbone", "height", "width", "crop", "scale")}


def cnn_net(reference: TrainedNet, cnn: Cnn):
    """The net that reads images with another CNN's weights, cut as `reference` sees them, and the blobs that it gives.
    Its fc8 is the file's classifier, whatever that is called and however many classes it has; without one, no fc8."""
    net = reference.variant.files(**reference.settings)["deploy_images"]
    entries = plan(net, read_weights(cnn.weights), "TEST").entries
    unfit = {entry.layer for entry in entries if entry.status in (AFRESH, CLASH)}
    if "fc8" in unfit and "fc8" in cnn.blobs:
        fc8 = next(layer for layer in net.layer if layer.name == "fc8")
        reads = next(entry.net[0][-1] for entry in entries if entry.layer == "fc8")
        classifier = next(
            (entry for entry in entries if entry.layer.startswith("fc8") and entry.file and entry.file[0][-1] == reads),
            None,
        )
        if classifier is None:
            net.layer.remove(fc8)
        else:
            fc8.name, fc8.inner_product_param.num_output = classifier.layer, classifier.file[0][-2]
            unfit.remove("fc8")
    return net, tuple(blob for blob in cnn.blobs if blob not in unfit)


# ---- videos ------------------------------------------------------------------------------------------------

PAIR = ("object", "motion")  # truths that are reported together too: what a video shows, whatever else is said of it


def evaluate_videos(dataset, nets: Sequence[TrainedNet], out: Path, options: Search, compute: Compute) -> dict:
    """{"dataset", "evaluation", "models", "notes"} of results.json: a sentence of each video against all of its own,
    and by level of detail where there are several ("by_detail": {detail: metrics}).

    Raises DataError, SpecError, CaffeError.
    """
    videos = part_images(dataset, options.part)
    captions: dict[str, list[str]] = {}
    models: dict[str, dict] = {}
    for net in nets:
        of = {"weights": digest(net.weights), "videos": _names(videos)}
        inputs = describe.of_dataset(dataset, net.variant, net.settings, [video.file for video in videos])
        arrays = inputs.values() if isinstance(inputs, dict) else [inputs]
        of["given"] = hashlib.sha1(b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)).hexdigest()
        with Captioner.of(net, compute.engine, compute.gpu) as captioner:
            path = net.folder / f"sentences{options.suffix or '_test'}.json"
            tell = _titled(compute.progress, net.row)
            captions[net.row] = sentences(captioner, inputs, options, path, of, tell)
        models[net.row] = {"weights": of["weights"]}
    measured, notes = _measure(dataset, videos, captions, options, out, compute.progress)
    for name, by_level in _by_detail(dataset, videos, captions, options, notes).items():
        measured[name]["by_detail"] = by_level
    return {
        "dataset": _extent(dataset, options.part, videos),
        "evaluation": _about(options),
        "models": {name: models[name] | measured[name] for name in models},
        "notes": list(dict.fromkeys(notes)),
    }


def _by_detail(dataset, videos, captions: dict[str, list[str]], options: Search, notes: list[str]) -> dict[str, dict]:
    """{name: {level of detail: metrics}} where the data set has several levels."""
    details = {each["file"]: each["detail"] for each in read_json(dataset.folder / "captions.json")["images"]}
    levels = sorted({details[video.file] for video in videos})
    measured: dict[str, dict] = {}
    for name, texts in captions.items() if len(levels) > 1 else ():
        measured[name] = {}
        for level in levels:
            chosen = [at for at, video in enumerate(videos) if details[video.file] == level]
            scores = metrics.score(
                {at: texts[at] for at in chosen}, {at: videos[at].captions for at in chosen}, options.tokens
            )
            notes += scores.pop("notes")
            measured[name][level or "other"] = scores
    return measured


# ---- language models ---------------------------------------------------------------------------------------


def perplexity(captioner: Captioner, texts: Sequence[Sequence[str]], progress=no_progress) -> dict:
    """{"perplexity", "captions", "words", "unknown"} of captions, the words of each: exp(-L / (words + captions)),
    where L is the sum of the natural logarithms of the probabilities of all words and of each caption's end. `unknown`:
    how many of the words the vocabulary has not, which count as <unk>."""
    indices = [captioner.indices(text) for text in texts]
    total = captioner.score(None, [[*words, 0] for words in indices], progress, -math.inf)[0]
    words = sum(map(len, indices))
    return {
        "perplexity": float(np.exp(-math.fsum(total) / (words + len(indices)))),
        "captions": len(indices),
        "words": words,
        "unknown": sum(word == 1 for words in indices for word in words),
    }


def evaluate_language_model(dataset, parts: Sequence[str], net: TrainedNet, compute: Compute) -> dict:
    """{"dataset", "evaluation", "models"} of results_lm.json: perplexity by part."""
    captions = {
        part: [vocabulary.split(caption) for image in part_images(dataset, part) for caption in image.captions]
        for part in parts
    }
    with Captioner.of(net, compute.engine, compute.gpu) as captioner:
        by_part = {
            part: perplexity(captioner, texts, _titled(compute.progress, part)) for part, texts in captions.items()
        }
    return {
        "dataset": {"name": dataset.name, "parts": list(parts), "vocabulary": dataset.description["vocabulary"]},
        "evaluation": {},
        "models": {net.row: {"weights": digest(net.weights), "perplexity": by_part}},
    }


# ---- captions from elsewhere -------------------------------------------------------------------------------


def score_results(path: Path, references: Path, part: str | None, name: str, tokens: str = "plain") -> dict:
    """{"dataset", "evaluation", "models", "notes"} of captions in COCO's results format against COCO's annotations or a
    prepared captions.json, of one `part` there. As COCO's evaluation does, it scores the images that have a caption.

    DataError, one line, where an image has no references, or a file is of another kind.
    """
    said, expected = metrics.read_results(path), metrics.read_references(references, part)
    if not said:
        raise DataError(f'{path}: holds no caption; a list of {{"image_id", "caption"}} is needed')
    unknown = [key for key in said if key not in expected]
    if unknown:
        raise DataError(
            f"{path}: image {unknown[0]} has no references in {references} ({len(unknown)} of {len(said)} "
            f"images{f'; of part {part}' if part else ''}); give the references of these images"
        )
    measured = metrics.score(said, {key: expected[key] for key in said}, tokens)
    notes = measured.pop("notes")
    if len(said) < len(expected):
        notes.append(f"{len(said)} of the {len(expected)} images of {references} have a caption; these are scored")
    row = {"file": str(path), "generation": measured}
    known = truth.read(references.parent)
    if known:
        files = [image["file"] for image in read_json(references)["images"]]
        by_id = dict(zip(metrics.image_ids(files), files))
        row["truth"] = known.measure({by_id[key]: caption for key, caption in said.items()})
    described = references.parent / "dataset.json"
    return {
        "dataset": {
            "name": read_json(described)["name"] if described.exists() else references.stem,
            "part": part or "all",
            "images": len(said),
            "captions": sum(len(expected[key]) for key in said),
        },
        "evaluation": {"tokens": tokens},
        "models": {name: row},
        "notes": notes,
    }


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
