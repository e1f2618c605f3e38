"""Trained captioners against a data set's captions: what `lrcn evaluate caption/*` does.

For each captioner: a sentence of each image of a part, by beam search, and how good they are (Table 3); images found by
their captions and captions by their images (Table 2); whether they are true, where the data set knows. Beside them the
baselines of Table 3, the first caption of the nearest training image. And captions from elsewhere, scored alike.

    OUT/captions_NAME.json          the sentences, in COCO's results format
    OUT/NET/features_PART/          fc7 and fc8 of the part's images
    OUT/NET/sentences_PART.json     the sentences with their log probabilities
    OUT/NET/retrieval_PART/         retrieval.json and the rank of each image and caption
    OUT/neighbours/                 fc7 and fc8 of the CNN before its training here
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep import DataError, vocabulary
from data_prep.captions import Image
from data_prep.whole_files import read_json, write_bytes
from data_prep.workers import no_progress
from lrcn.engine.compute import Compute
from lrcn.pixels import Transform
from lrcn.results import pictures
from lrcn.sentences import caption_files, metrics, retrieval, truth
from lrcn.sentences.captioner import Captioner
from lrcn.sentences.evaluate import (
    Described,
    Search,
    about,
    check_files,
    claim,
    extent,
    measure,
    names_digest,
    part_images,
    sentences,
    titled,
)
from lrcn.sentences.image_net import ImageNet
from lrcn.sentences.images import read_image
from lrcn.sentences.neighbours import Cnn, Neighbours, cnn_net, nearest_captions
from lrcn.trained_net import TrainedNet, digest

BLOCK = 500  # images whose features are kept together
SHOWN = 12  # images in the picture of captions
BLOBS = ("fc7", "fc8")
RETRIEVED = 1000  # published: images in the retrieval experiments


@dataclass(frozen=True)
class CaptionSearch(Search):
    """Of captions besides: retrieval among so many images, the first of the part, 0 for none; with nearest neighbours
    beside, by the CNN of `weights` where it is known."""

    retrieval_images: int = RETRIEVED
    neighbours: bool = True
    weights: Path | None = None


def evaluate_captions(
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
    measured, notes = measure(dataset, images, captions, options, out, compute.progress)
    pictures.captioned(
        [read_image(image.path) for image in images[:SHOWN]],
        [{name: captions[name][at] for name in rows} for at in range(min(SHOWN, len(images)))],
        f"{dataset.name}, {options.part}",
        out / f"captions{options.suffix}.png",
    )
    asked = images[: options.retrieval_images]
    evaluation = about(options) | {
        "retrieval_images": len(asked),
        "retrieval_captions": sum(len(image.captions) for image in asked),
    }
    return {
        "dataset": extent(dataset, options.part, images),
        "evaluation": evaluation,
        "models": {name: models[name] | measured[name] for name in [*rows, *sorted(models.keys() - set(rows))]},
        "notes": notes,
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
        options, tell = self.options, titled(self.compute.progress, net.row)
        of = {"weights": digest(net.weights)}
        with Captioner.of(net, self.compute.engine, self.compute.gpu) as captioner:
            cut = of | {"cut": _cut(net)}
            seen = activations(captioner, self.images, BLOBS, net.folder / f"features_{options.part}", cut, tell)
            job = of | {"images": names_digest(self.images)}
            path = net.folder / f"sentences{options.suffix or '_test'}.json"
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
        of, tell = {"weights": digest(cnn.weights)}, titled(self.compute.progress, "nearest neighbours")
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
            self.captions[row] = nearest_captions(known[blob], theirs, seen[blob])
            self.models[row] = whose


def _cut(net: TrainedNet) -> dict:
    """What tells how images are cut for a net."""
    return {name: net.settings[name] for name in ("backbone", "height", "width", "crop", "scale")}


# ---- what is kept ------------------------------------------------------------------------------------------


def activations(
    reader: ImageNet, images: Sequence[Described], blobs: Sequence[str], folder: Path, of: dict, progress=no_progress
) -> dict[str, np.ndarray]:
    """{blob: (N, D)} of the images, kept in `folder`; `of` says by which weights, and how they are cut."""
    files = hashlib.sha1("\n".join(image.file for image in images).encode()).hexdigest()
    claim(folder, of | {"files": files, "blobs": list(blobs)})
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


def retrieve(
    captioner: Captioner, fc8: np.ndarray, images: Sequence[Image], folder: Path, of: dict, progress=no_progress
) -> dict:
    """The results of `retrieval` on images and all of their captions, with every rank kept in `folder`."""
    claim(folder, of | {"retrieval_images": len(images)})
    if not (folder / "retrieval.json").exists():
        texts = [vocabulary.split(caption) for image in images for caption in image.captions]
        owners = [number for number, image in enumerate(images) for _ in image.captions]
        _, ranks = retrieval.retrieve(captioner, fc8, texts, owners, progress, folder)
        retrieval.write(folder, ranks, [image.file for image in images], texts, owners)
        for path in folder.glob("scores_*.npy"):
            path.unlink()
    return read_json(folder / "retrieval.json")


# ---- captions from elsewhere -------------------------------------------------------------------------------


def score_results(path: Path, references: Path, part: str | None, name: str, tokens: str = "plain") -> dict:
    """{"dataset", "evaluation", "models", "notes"} of captions in COCO's results format against COCO's annotations or a
    prepared captions.json, of one `part` there. As COCO's evaluation does, it scores the images that have a caption.

    DataError, one line, where an image has no references, or a file is of another kind.
    """
    said, expected = caption_files.read_results(path), caption_files.read_references(references, part)
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
        by_id = dict(zip(caption_files.image_ids(files), files))
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
