"""Trained captioners against a data set's captions: what `lrcn evaluate caption/*` does.

For each captioner: a sentence of each image of a part, by beam search, and how good they are (Table 3); images found by
their captions and captions by their images (Table 2); whether they are true, where the data set knows. Beside them the
baselines of Table 3, the captions of the nearest training image. And captions from elsewhere, scored alike.

    OUT/captions_NAME.json          the sentences, in COCO's results format
    OUT/examples.json               images with what is said of them (lrcn/sentences/examples.py)
    OUT/NET/features_PART/          fc7 and fc8 of the part's images
    OUT/NET/sentences_PART.json     the sentences with their log probabilities
    OUT/NET/beams_PART.json         the sentences of a beam of some images
    OUT/NET/retrieval_PART/         retrieval.json, the rank of each image and caption, and some queries
    OUT/images_PART.json            which content the images had, by size and time of their files
    OUT/neighbours/                 fc7 and fc8 of the CNN before its training here
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_prep import DataError, vocabulary
from data_prep.captions import Image
from data_prep.dataset import Dataset
from data_prep.whole_files import read_json, write_bytes, write_json
from data_prep.workers import Counted, no_progress
from lrcn.engine.compute import Compute, Progress
from lrcn.engine.side_by_side import Part, side_by_side
from lrcn.pixels import Transform
from lrcn.results import pictures
from lrcn.sentences import caption_files, examples, metrics, retrieval, truth
from lrcn.sentences.captioner import Caption, Captioner
from lrcn.sentences.evaluate import (
    Described,
    Search,
    check_files,
    claim,
    digest_of_captions,
    digest_of_content,
    digest_of_words,
    extent,
    kept,
    measure,
    note_contents,
    part_images,
    read_kept,
    read_kept_arrays,
    sentences,
    titled,
)
from lrcn.sentences.image_net import CUTS, ImageNet
from lrcn.sentences.images import read_image
from lrcn.sentences.neighbours import Cnn, Neighbours, cnn_net, nearest_captions
from lrcn.sentences.readable import readable
from lrcn.trained_net import TrainedNet, digest, threads_of
from prototxt_gen import SpecError

BLOCK = 500  # images whose features are kept together
SHOWN, REFERENCES = 12, 5  # images in the picture of captions, and what people said of each
BLOBS = ("fc7", "fc8")
QUERIES = "queries.json"  # in the folder of retrieval
RETRIEVED = 1000  # images in retrieval, ours: the paper names no number, and the released script ranks all of val


@dataclass(frozen=True)
class CaptionSearch(Search):
    """Of captions besides: retrieval among so many images, the first of the part, 0 for none; with nearest neighbours
    beside, by the CNN of `weights` where it is known. cut: how images are cut, one of CUTS."""

    retrieval_images: int = RETRIEVED
    neighbours: bool = True
    weights: Path | None = None
    cut: str = CUTS[0]

    @property
    def suffix(self) -> str:
        return super().suffix + ("" if self.cut == CUTS[0] else f"_cut-{self.cut}")

    @property
    def description(self) -> dict[str, Any]:
        return super().description | {"cut": self.cut}


def evaluate_captions(
    dataset: Dataset,
    nets: Sequence[TrainedNet],
    out: Path,
    search: CaptionSearch,
    neighbours: Neighbours | None,
    compute: Compute,
    jobs: int | None = None,
) -> dict[str, Any]:
    """{"dataset", "evaluation", "models", "notes"} of results.json: each net's row, and of the nearest neighbours by
    the CNN as it was before (1nn-fc7, 1nn-fc8) and by a fine-tuned net's (1nn-fc7-finetuned, ...: that of lrcn-2f, else
    of the first). jobs: so many nets at a time, as `side_by_side` has it.

    Raises DataError, SpecError, CaffeError.
    """
    images = part_images(dataset, search.part)
    training = part_images(dataset, "train") if neighbours else []
    check_files([*images, *training])
    note_contents(images, out / f"images_{search.part}.json", compute.progress)
    if training:
        note_contents(training, out / "images_train.json", compute.progress)
    reference = next((net for net in nets if net.variant.name == "caption/lrcn-2f"), nets[0])
    finetuned = reference if neighbours and (reference.training or "").startswith("finetune") else None

    def rows_of_net(net: TrainedNet, compute: Compute) -> _Rows:
        rows = _Rows(images, training, search, compute)
        rows.add_net(net, net is finetuned)
        return rows

    def rows_of_neighbours(compute: Compute) -> _Rows:
        rows = _Rows(images, training, search, compute)
        rows.add_neighbours(neighbours.cnn, reference, out / "neighbours")
        return rows

    parts = [Part(partial(rows_of_net, net), threads_of(net)) for net in nets]
    if neighbours and neighbours.cnn:
        parts.append(Part(rows_of_neighbours, threads_of(reference)))
    rows = _Rows(images, training, search, compute)
    for each in side_by_side(parts, compute, jobs):
        rows.take(each)

    of_nets = [net.row for net in nets]
    measured, notes = measure(
        dataset, images, rows.captions, search, out, compute.progress, alternatives=rows.alternatives
    )
    _draw(
        dataset, images, {row: rows.captions[row] for row in of_nets}, search.part, out / f"captions{search.suffix}.png"
    )
    write_json(out / f"examples{search.suffix}.json", _examples(dataset, nets, rows, jobs))
    retrieved = images[: search.retrieval_images]
    order = [*of_nets, *sorted(rows.models.keys() - set(of_nets))]
    return {
        "dataset": extent(dataset, search.part, images),
        "evaluation": search.description
        | {"retrieval_images": len(retrieved), "retrieval_captions": sum(len(image.captions) for image in retrieved)},
        "models": {row: rows.models[row] | measured[row] for row in order},
        "notes": [*notes, *rows.notes],
    }


def _examples(dataset: Dataset, nets: Sequence[TrainedNet], rows: _Rows, jobs: int | None) -> dict[str, Any]:
    """What `examples` has of the nets' captions."""
    chosen = examples.Chosen.of(dataset, rows.images, rows.of_nets, rows.search.tokens)
    [best] = [net for net in nets if net.row == chosen.best]
    numbers = list(chosen.why)
    gates: dict[int, list[dict[str, Any]]] = {}

    def beams_of(net: TrainedNet, compute: Compute) -> list[list[Caption]]:
        own = replace(rows, compute=compute)
        if net is not best:
            return own.beams(net, numbers)
        with Captioner.of(net, compute) as captioner:
            gates.update(own.gates(net, chosen.extremes, captioner))
            return own.beams(net, numbers, captioner)

    parts = [Part(partial(beams_of, net), threads_of(net)) for net in nets]
    beams = dict(zip([net.row for net in nets], side_by_side(parts, rows.compute, jobs)))
    queries = best.folder / f"retrieval_{rows.search.part}" / QUERIES
    retrieved = rows.search.retrieval_images and queries.exists()
    found = examples.Found(rows.of_nets, beams, gates, read_json(queries) if retrieved else None)
    return examples.of_images(dataset, chosen, found)


def _draw(
    dataset: Dataset, images: Sequence[Described], captions: Mapping[str, Sequence[str]], part: str, path: Path
) -> None:
    """The first images with the captions of each row, right and wrong where the truth is known, and references."""
    known_truth, first = truth.read(dataset.folder), images[:SHOWN]

    def caption(row: str, number: int) -> pictures.Caption:
        file, text, wrong = images[number].file, captions[row][number], None
        if known_truth and file in known_truth.images:
            wrong = [slot for slot, holds in known_truth.holds(file, text).items() if not holds]
        return pictures.Caption(row, readable(text), wrong)

    pictures.captioned(
        [read_image(image.path) for image in first],
        [[caption(row, number) for row in captions] for number in range(len(first))],
        [image.captions[:REFERENCES] for image in first],
        f"Captions of {dataset.name}, {part}",
        f"the first {len(first)} of {len(images)} images",
        path,
    )


@dataclass
class _Rows:
    """Captions of images by row, and what results.json says of each row, as nets and neighbours add them."""

    images: Sequence[Described]
    training: Sequence[Described]
    search: CaptionSearch
    compute: Compute
    captions: dict[str, list[str]] = field(default_factory=dict)
    of_nets: dict[str, list[Caption]] = field(default_factory=dict)  # of those rows that are nets'
    alternatives: dict[str, list[Sequence[str]]] = field(default_factory=dict)  # of rows that have several an image
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # for the user

    def add_net(self, net: TrainedNet, with_neighbours: bool) -> None:
        """A net's captions and, if wanted, those of the nearest images by its CNN."""
        search, progress = self.search, titled(self.compute.progress, net.row)
        weights = {"weights": digest(net.weights)}
        seen = weights | _cut(net, search.cut)
        with Captioner.of(net, self.compute) as captioner:
            identity = self._identity(net)
            cnn = _KeptActivations(captioner, net.folder, seen, search.cut, progress)
            features = cnn.of(self.images, search.part, BLOBS)
            said = sentences(captioner, features["fc8"], search, net.folder, identity, progress)
            self.of_nets[net.row], self.captions[net.row] = said, [each.text for each in said]
            self.models[net.row] = {"stage": net.training, **weights}
            if images := self.images[: search.retrieval_images]:
                folder = net.folder / f"retrieval_{search.part}"
                fc8 = features["fc8"][: len(images)]
                self.models[net.row]["retrieval"] = retrieve(captioner, fc8, images, folder, identity, progress)
            if with_neighbours:
                self._add_nearest(cnn, features, "-finetuned", weights | {"cnn": f"{net.row}, {net.training}"})

    def _identity(self, net: TrainedNet) -> dict[str, Any]:
        """What a net's captions of the images are known by."""
        images = {"images": digest_of_captions(self.images), "content": digest_of_content(self.images)}
        seen = {"weights": digest(net.weights)} | _cut(net, self.search.cut)
        return seen | images | {"words": digest_of_words(net)}

    def take(self, others: _Rows) -> None:
        """Those of others, after its own."""
        self.captions |= others.captions
        self.of_nets |= others.of_nets
        self.alternatives |= others.alternatives
        self.models |= others.models
        self.notes += others.notes

    def beams(self, net: TrainedNet, numbers: Sequence[int], captioner: Captioner | None = None) -> list[list[Caption]]:
        """The sentences of a beam of some of the images, by number; of a net that was added. captioner: of it, where
        one is open."""
        search, progress = self.search, titled(self.compute.progress, f"{net.row}, examples")
        seen = {"weights": self.models[net.row]["weights"]} | _cut(net, search.cut)
        identity = self._identity(net) | {"numbers": list(numbers)}
        identity |= {"beam": examples.BEAM, "best": examples.BEAM, "length": search.length}

        def searched() -> list[list[Caption]]:
            with nullcontext(captioner) if captioner else Captioner.of(net, self.compute) as of_net:
                cnn = _KeptActivations(of_net, net.folder, seen, search.cut, progress)
                fc8 = cnn.of(self.images, search.part, BLOBS)["fc8"][list(numbers)]
                return of_net.beam(fc8, examples.BEAM, examples.BEAM, search.length, progress)

        return kept(net.folder / f"beams{search.suffix or '_test'}.json", identity, searched)

    def gates(self, net: TrainedNet, numbers: Sequence[int], captioner: Captioner) -> dict[int, list[dict[str, Any]]]:
        """What each LSTM does, `Unrolled.drawable`, while a net that was added says its caption of some images, by
        their number. Empty, and noted, where Caffe's hidden state is not the equations'."""
        captions = [self.of_nets[net.row][number] for number in numbers]
        seen = {"weights": self.models[net.row]["weights"]} | _cut(net, self.search.cut)
        cnn = _KeptActivations(captioner, net.folder, seen, self.search.cut, no_progress)
        fc8 = cnn.of(self.images, self.search.part, BLOBS)["fc8"][list(numbers)]
        try:
            unrolled = captioner.unroll(fc8, captions)
        except SpecError as error:
            self.notes.append(f"examples without gates of {net.row}: {error}")
            return {}
        return {number: [each.drawable() for each in layers] for number, layers in zip(numbers, unrolled)}

    def add_neighbours(self, cnn: Cnn, reference: TrainedNet, folder: Path) -> None:
        """The captions of the nearest images by a CNN as it was before its training here."""
        progress, weights = titled(self.compute.progress, "nearest neighbours"), {"weights": digest(cnn.weights)}
        net, blobs = cnn_net(reference, cnn)
        transform = Transform.of(reference.variant, reference.settings)
        with ImageNet(net, cnn.weights, self.compute, transform) as image_net:
            image_cnn = _KeptActivations(
                image_net, folder, weights | _cut(reference, self.search.cut), self.search.cut, progress
            )
            features = image_cnn.of(self.images, self.search.part, blobs)
            self._add_nearest(image_cnn, features, "", weights | {"cnn": cnn.what})

    def _add_nearest(
        self, cnn: _KeptActivations, features: Mapping[str, np.ndarray], ending: str, model: dict[str, Any]
    ) -> None:
        """A row for each blob of the images' features. model: what results.json says of it."""
        training = cnn.of(self.training, "train", list(features))
        captions = [image.captions for image in self.training]
        for blob in features:
            row = f"1nn-{blob}{ending}"
            self.alternatives[row] = nearest_captions(training[blob], captions, features[blob])
            self.captions[row] = [texts[0] for texts in self.alternatives[row]]
            self.models[row] = model


# ---- what is kept ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _KeptActivations:
    """A CNN's activations of the parts of a data set. identity: its weights, and how images are cut for it."""

    net: ImageNet
    folder: Path
    identity: dict[str, Any]
    cut: str
    progress: Progress

    def of(self, images: Sequence[Described], part: str, blobs: Sequence[str]) -> dict[str, np.ndarray]:
        folder = self.folder / f"features_{part}"
        return activations(self.net, images, blobs, folder, self.identity, self.progress, self.cut)


def _cut(net: TrainedNet, cut: str) -> dict[str, Any]:
    """What tells how images are cut for a net, as an identity has it."""
    sizes = {name: net.settings[name] for name in ("backbone", "height", "width", "crop", "scale")}
    return {"cut": sizes | ({"as": cut} if cut != "training" else {})}


def activations(
    net: ImageNet,
    images: Sequence[Described],
    blobs: Sequence[str],
    folder: Path,
    identity: dict[str, Any],
    progress: Progress = no_progress,
    cut: str = CUTS[0],
) -> dict[str, np.ndarray]:
    """{blob: (N, D)} float32 of the images, kept in `folder`. identity: by which weights, and how they are cut."""
    files = hashlib.sha1("\n".join(image.file for image in images).encode()).hexdigest()
    claim(folder, identity | {"files": files, "content": digest_of_content(images), "blobs": list(blobs)})
    parts, title = [], Counted(folder.name.replace("_", " of "), "images")
    for first in range(0, len(images), BLOCK):
        path, block = folder / f"{first:07d}.npz", images[first : first + BLOCK]
        arrays = read_kept_arrays(path, blobs)
        if arrays is None or any(len(array) != len(block) for array in arrays.values()):
            pixels = net.cut((read_image(image.path) for image in block), cut)
            arrays = net.activations(
                pixels,
                blobs,
                lambda what, done, total, first=first: progress(title, first + done, len(images)),
                len(block),
            )
            content = io.BytesIO()
            np.savez(content, **arrays)
            write_bytes(path, content.getvalue())
        parts.append({blob: arrays[blob] for blob in blobs})
    return {blob: np.concatenate([part[blob] for part in parts]) for blob in blobs}


def retrieve(
    captioner: Captioner,
    fc8: np.ndarray,
    images: Sequence[Image],
    folder: Path,
    identity: dict[str, Any],
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """The results of `retrieval` on images, of which fc8 is (N, D), and all of their captions; every rank is kept in
    `folder`."""
    claim(folder, identity | {"retrieval_images": len(images)})
    found = read_kept(folder / "retrieval.json", dict[str, dict[str, int | float]])
    if found is None or read_kept(folder / QUERIES, dict[str, list[dict[str, Any]]]) is None:
        captions = [vocabulary.split(caption) for image in images for caption in image.captions]
        owners = [number for number, image in enumerate(images) for _ in image.captions]
        scores, ranks = retrieval.retrieve(captioner, fc8, captions, owners, progress, folder)
        write_json(folder / QUERIES, retrieval.queries(scores, ranks))
        retrieval.write(folder, ranks, [image.file for image in images], captions, owners)
        for path in folder.glob("scores_*.npy"):
            path.unlink()
        found = ranks.results()
    return found


# ---- captions from elsewhere -------------------------------------------------------------------------------


def score_results(path: Path, references: Path, part: str | None, row: str, tokens: str = "plain") -> dict[str, Any]:
    """{"dataset", "evaluation", "models", "notes"} of captions in COCO's results format against COCO's annotations or a
    prepared captions.json, of one `part` there. As COCO's evaluation does, it scores the images that have a caption.

    DataError, one line, where an image has no references, or a file is of another kind.
    """
    notes: list[str] = []
    by_id = caption_files.read_references(references, part, notes.append)
    captions = caption_files.matched(caption_files.read_results(path), by_id)
    if not captions:
        raise DataError(f'{path}: holds no caption; a list of {{"image_id", "caption"}} is needed')
    unknown = [key for key in captions if key not in by_id]
    if unknown:
        raise DataError(
            f"{path}: image {unknown[0]} has no references in {references} ({len(unknown)} of {len(captions)} "
            f"images{f'; of part {part}' if part else ''}), which has image {next(iter(by_id))} for one; give the "
            "references of these images"
        )
    try:
        scores = metrics.score(captions, {key: by_id[key] for key in captions}, tokens)
    except DataError as error:
        raise DataError(f"{references}: {error}") from None
    notes += scores.pop("notes")
    if len(captions) < len(by_id):
        notes.append(f"{len(captions)} of the {len(by_id)} images of {references} have a caption; these are scored")
    model = {"file": str(path), "generation": scores}
    if known_truth := truth.read(references.parent):
        file_of = caption_files.file_names(references)
        model["truth"] = known_truth.measure({file_of.get(key, ""): caption for key, caption in captions.items()})
    prepared = (references.parent / "dataset.json").exists()
    return {
        "dataset": {
            "name": Dataset(references.parent).name if prepared else references.stem,
            "part": part or "all",
            "images": len(captions),
            "captions": sum(len(by_id[key]) for key in captions),
        },
        "evaluation": {"tokens": tokens},
        "models": {row: model},
        "notes": notes,
    }
