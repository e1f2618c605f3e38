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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep import DataError, vocabulary
from data_prep.captions import PARTS, Image
from data_prep.whole_files import read_json, write_bytes, write_json
from lrcn.results import pictures
from lrcn.sentences import describe, retrieval, truth
from lrcn.sentences import metrics as language_metrics
from lrcn.sentences.captioner import LENGTH, Captioner, ImageNet, read_image
from lrcn.training.train import digest
from netspecs import catalogue
from prototxt_gen.weights import AFRESH, CLASH, plan, read_weights

BLOCK = 500  # images whose features are kept together
SHOWN = 12  # images in the picture of captions
BLOBS = ("fc7", "fc8")
RETRIEVED = 1000  # published: images in the retrieval experiments


def no_progress(what: str, done: int, total: int) -> None:
    pass


# ---- what is evaluated -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Net:
    """A trained net: its variant, its last stage (None where there is one only) and that one's settings, weights and
    run folder."""

    variant: str
    stage: str | None
    settings: dict
    weights: Path
    folder: Path

    @property
    def name(self) -> str:
        """The row: lrcn-2f where it is fine-tuned, as the paper's; after another stage lrcn-2f-train and the like."""
        return self.variant.split("/")[1] + ("" if self.stage in ("finetune", None) else f"-{self.stage}")


@dataclass(frozen=True)
class Cnn:
    """Weights of a CNN before its training here: a file, the blobs of it that count, and words on what it is."""

    weights: Path
    blobs: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class How:
    """How captions are evaluated: beam width, words at most, images of retrieval, tokens of the metrics."""

    beam: int = 1
    length: int = LENGTH
    retrieval_images: int = RETRIEVED
    tokens: str = "plain"

    def suffix(self, part: str) -> str:
        """What the names of files end in that hold something else than the published evaluation."""
        return (
            (f"_{part}" if part != "test" else "")
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
    """{blob: (N, D)} of the images, kept in `folder`; `of` says by which weights."""
    cut = {name: reader.settings[name] for name in ("backbone", "height", "width", "crop", "scale")}
    _claim(
        folder,
        of
        | {
            "files": hashlib.sha1("\n".join(image.file for image in images).encode()).hexdigest(),
            "blobs": list(blobs),
            "cut": cut,
        },
    )
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


def sentences(captioner: Captioner, seen, how: How, path: Path, of: dict, progress=no_progress) -> list[str]:
    """The likeliest sentence of each image or video that the search finds, kept in the file `path`. seen: what
    `Captioner` takes."""
    job = of | {"beam": how.beam, "length": how.length}
    kept = read_json(path) if path.exists() else {}
    if kept.get("job") != job:
        found = [best[0] for best in captioner.beam(seen, how.beam, 1, how.length, progress)]
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
    part: str,
    nets: Sequence[Net],
    out: Path,
    engine,
    how: How = How(),
    cnn: Cnn | None = None,
    neighbours: bool = True,
    gpu: int | None = None,
    progress=no_progress,
) -> dict:
    """{"dataset", "evaluation", "models", "notes"} of results.json: each net's row, and of the nearest neighbours by
    the CNN `cnn`, as it was before (1nn-fc7, 1nn-fc8), and, with `neighbours`, by a fine-tuned net's
    (1nn-fc7-finetuned, ...: that of lrcn-2f, else of the first).

    Raises DataError, SpecError, TrainError.
    """
    images = part_images(dataset, part)
    check_files(images)
    said, models, asked = {}, {}, images[: how.retrieval_images]
    reference = next((net for net in nets if net.variant == "caption/lrcn-2f"), nets[0])
    for net in nets:
        words = next(
            path
            for path in (net.folder / "vocabulary.txt", dataset.folder / "vocabulary.txt")
            if path.exists() or path.parent == dataset.folder
        )
        tell, of = _titled(progress, net.name), {"weights": digest(net.weights)}
        with Captioner.of(net.variant, net.weights, words, engine, gpu, net.settings) as captioner:
            seen = activations(captioner, images, BLOBS, net.folder / f"features_{part}", of, tell)
            of = of | {"images": _names(images)}
            path = net.folder / f"sentences{how.suffix(part) or '_test'}.json"
            said[net.name] = sentences(captioner, seen["fc8"], how, path, of, tell)
            models[net.name] = {"stage": net.stage, "weights": of["weights"]}
            if asked:
                models[net.name]["retrieval"] = retrieve(
                    captioner, seen["fc8"][: len(asked)], asked, net.folder / f"retrieval_{part}", of, tell
                )
            if neighbours and net is reference and net.stage.startswith("finetune"):
                for blob, found in _neighbours(dataset, captioner, BLOBS, seen, net.folder, of["weights"], tell):
                    said[f"1nn-{blob}-finetuned"] = found
                    models[f"1nn-{blob}-finetuned"] = {"weights": of["weights"], "cnn": f"{net.name}, {net.stage}"}
    if cnn is not None:
        of, tell = digest(cnn.weights), _titled(progress, "nearest neighbours")
        net, blobs = cnn_net(reference, cnn)
        with ImageNet(net, cnn.weights, engine, gpu, reference.settings) as reader:
            folder = out / "neighbours"
            seen = activations(reader, images, blobs, folder / f"features_{part}", {"weights": of}, tell)
            for blob, found in _neighbours(dataset, reader, blobs, seen, folder, of, tell):
                said[f"1nn-{blob}"] = found
                models[f"1nn-{blob}"] = {"weights": of, "cnn": cnn.what}

    measured, notes = _measure(dataset, images, said, how, out, how.suffix(part), progress)
    ours = [net.name for net in nets]
    pictures.captioned(
        [read_image(image.path) for image in images[:SHOWN]],
        [{name: said[name][at] for name in ours} for at in range(min(SHOWN, len(images)))],
        f"{dataset.name}, {part}",
        out / f"captions{how.suffix(part)}.png",
    )
    return {
        "dataset": {
            "name": dataset.name,
            "part": part,
            "images": len(images),
            "captions": sum(len(image.captions) for image in images),
            "vocabulary": dataset.description["vocabulary"],
        },
        "evaluation": {
            "beam": how.beam,
            "length": how.length,
            "tokens": how.tokens,
            "retrieval_images": len(asked),
            "retrieval_captions": sum(len(image.captions) for image in asked),
        },
        "models": {name: models[name] | measured[name] for name in [*ours, *sorted(models.keys() - set(ours))]},
        "notes": notes,
    }


def _measure(
    dataset, images: Sequence[Image], said: dict[str, list[str]], how: How, out: Path, suffix: str, progress
) -> tuple[dict, list[str]]:
    """{name: {"generation", "truth" where it is known}} of everyone's captions of the images, and notes for the user;
    the captions are written into `out`."""
    files, known = [image.file for image in images], truth.read(dataset.folder)
    every = [each["file"] for each in read_json(dataset.folder / "captions.json")["images"]]
    by_file = dict(zip(every, language_metrics.image_ids(every)))
    references = {by_file[image.file]: image.captions for image in images}
    found, notes = {}, []
    for number, (name, texts) in enumerate(said.items()):
        progress("metrics", number, len(said))
        written = dict(zip(references, texts))
        language_metrics.write_results(out / f"captions_{name}{suffix}.json", written)
        measured = language_metrics.score(written, references, how.tokens)
        notes += measured.pop("notes")
        found[name] = {"generation": measured}
        if known:
            found[name]["truth"] = known.measure(dict(zip(files, texts)), [PAIR] if dataset.kind == "semantics" else ())
    progress("metrics", len(said), len(said))
    return found, list(dict.fromkeys(notes))


def _titled(progress, title: str):
    return lambda what, done, total: progress(f"{title}: {what}" if total else what, done, total)


def _neighbours(dataset, reader: ImageNet, blobs, seen: dict, folder: Path, weights: str, tell):
    """(blob, first caption of the training image nearest to each image) of activations `seen`."""
    training = part_images(dataset, "train")
    check_files(training)
    known = activations(reader, training, blobs, folder / "features_train", {"weights": weights}, tell)
    for blob in blobs:
        yield blob, language_metrics.nearest_captions(known[blob], [image.captions for image in training], seen[blob])


def cnn_net(reference: Net, cnn: Cnn):
    """The net that reads images with another CNN's weights, cut as `reference` sees them, and the blobs that it gives.
    Its fc8 is the file's classifier, whatever that is called and however many classes it has; without one, no fc8."""
    net = catalogue.get(reference.variant).files(**reference.settings)["deploy_images"]
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


def evaluate_videos(
    dataset,
    part: str,
    nets: Sequence[Net],
    out: Path,
    engine,
    how: How = How(),
    gpu: int | None = None,
    progress=no_progress,
) -> dict:
    """{"dataset", "evaluation", "models", "notes"} of results.json: a sentence of each video against all of its own,
    and by level of detail where there are several ("by_detail": {detail: metrics}).

    Raises DataError, SpecError, TrainError.
    """
    videos, said, models = part_images(dataset, part), {}, {}
    for net in nets:
        of = {"weights": digest(net.weights), "videos": _names(videos)}
        given = describe.of_dataset(dataset, catalogue.get(net.variant), net.settings, [video.file for video in videos])
        seen = given.values() if isinstance(given, dict) else [given]
        of["given"] = hashlib.sha1(b"".join(np.ascontiguousarray(each).tobytes() for each in seen)).hexdigest()
        with Captioner.of(
            net.variant, net.weights, net.folder / "vocabulary.txt", engine, gpu, net.settings
        ) as captioner:
            path = net.folder / f"sentences{how.suffix(part) or '_test'}.json"
            said[net.name] = sentences(captioner, given, how, path, of, _titled(progress, net.name))
        models[net.name] = {"weights": of["weights"]}
    measured, notes = _measure(dataset, videos, said, how, out, how.suffix(part), progress)
    details = {each["file"]: each["detail"] for each in read_json(dataset.folder / "captions.json")["images"]}
    levels = list(dict.fromkeys(details[video.file] for video in videos))
    for name, texts in said.items() if len(levels) > 1 else ():
        measured[name]["by_detail"] = {}
        for level in sorted(levels):
            chosen = [at for at, video in enumerate(videos) if details[video.file] == level]
            found = language_metrics.score(
                {at: texts[at] for at in chosen}, {at: videos[at].captions for at in chosen}, how.tokens
            )
            notes += found.pop("notes")
            measured[name]["by_detail"][level or "other"] = found
    return {
        "dataset": {
            "name": dataset.name,
            "part": part,
            "images": len(videos),
            "captions": sum(len(video.captions) for video in videos),
            "vocabulary": dataset.description["vocabulary"],
        },
        "evaluation": {"beam": how.beam, "length": how.length, "tokens": how.tokens},
        "models": {name: models[name] | measured[name] for name in models},
        "notes": list(dict.fromkeys(notes)),
    }


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


def evaluate_language_model(
    dataset, parts: Sequence[str], net: Net, engine, gpu: int | None = None, progress=no_progress
) -> dict:
    """{"dataset", "evaluation", "models"} of results_lm.json: perplexity by part."""
    found = {}
    chosen = {
        part: [vocabulary.split(caption) for image in part_images(dataset, part) for caption in image.captions]
        for part in parts
    }
    with Captioner.of(
        net.variant, net.weights, dataset.folder / "vocabulary.txt", engine, gpu, net.settings
    ) as captioner:
        for part, texts in chosen.items():
            found[part] = perplexity(captioner, texts, _titled(progress, part))
    return {
        "dataset": {"name": dataset.name, "parts": list(parts), "vocabulary": dataset.description["vocabulary"]},
        "evaluation": {},
        "models": {net.variant.split("/")[1]: {"weights": digest(net.weights), "perplexity": found}},
    }


# ---- captions from elsewhere -------------------------------------------------------------------------------


def score_results(path: Path, references: Path, part: str | None, name: str, tokens: str = "plain") -> dict:
    """{"dataset", "evaluation", "models", "notes"} of captions in COCO's results format against COCO's annotations or a
    prepared captions.json, of one `part` there. As COCO's evaluation does, it scores the images that have a caption.

    DataError, one line, where an image has no references, or a file is of another kind.
    """
    said, expected = language_metrics.read_results(path), language_metrics.read_references(references, part)
    if not said:
        raise DataError(f'{path}: holds no caption; a list of {{"image_id", "caption"}} is needed')
    unknown = [key for key in said if key not in expected]
    if unknown:
        raise DataError(
            f"{path}: image {unknown[0]} has no references in {references} ({len(unknown)} of {len(said)} "
            f"images{f'; of part {part}' if part else ''}); give the references of these images"
        )
    measured = language_metrics.score(said, {key: expected[key] for key in said}, tokens)
    notes = measured.pop("notes")
    if len(said) < len(expected):
        notes.append(f"{len(said)} of the {len(expected)} images of {references} have a caption; these are scored")
    row = {"file": str(path), "generation": measured}
    known = truth.read(references.parent)
    if known:
        files = [image["file"] for image in read_json(references)["images"]]
        by_id = dict(zip(language_metrics.image_ids(files), files))
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
