"""Examples of an evaluation, for a reader: single images or videos with what each net says of them.

OUT/examples.json, beside results.json (of another search than the published one with its ending, as
examples_val_beam5.json beside results_val_beam5.json), of the nets that were evaluated in that call. Of images:

    {"task": "caption",
     "images": [{
         "name": the image as captions_NAME.json calls it, "file": as the data set has it,
         "jpeg": base64, at most 320 pixels on its longer side,
         "why": "best" or "worst", by CIDEr of the net whose CIDEr is the best, or "first", of the part's first others,
         "references": [caption, ...],
         "truth": {slot: what a true caption says of it}, where the data set knows,
         "captions": {net: {
             "caption": as people write it,
             "words": [[word, probability given those before it], ...], the end of the sentence, "<EOS>", last,
                      but of a sentence that was cut off at the longest length,
             "beams": [[log probability, caption], ...] of a beam of 5, the likeliest first,
             "metrics": {"CIDEr", "BLEU-4", "ROUGE-L"} of this caption alone,
             "truth": {slot: whether the caption is true of it}, where the data set knows,
             "gates": [`Unrolled.drawable` of each LSTM over the words], of the best net's on one image or two}}}],
     "retrieval": {"caption_to_image": [{"model": the same net, "query": caption, "image": name of its image, "rank": of
                                         the right one, from 1, "top": [[name, score, whether it is right], ...]}],
                   "image_to_caption": [{"model", "query": name, "rank": of the first of its captions,
                                         "top": [[caption, score, whether it is right], ...]}]},
     "jpegs": {name: base64, at most 160 pixels, of all images that retrieval names}}

Scores of retrieval are as `lrcn.sentences.retrieval` ranks by: the caption's log probability under the image less the
logarithm of its mean probability. Queries go from the best rank to the worst. A run whose retrieval was kept before
there were examples has none until its folder retrieval_PART is deleted.

Of videos:

    {"task": "video",
     "videos": [{"name", "why", "references", "truth": as above,
                 "slots": {slot: {word: probability}}, the likeliest few of each first, where there are slots,
                 "sentences": {net: {"sentence", "words", "metrics", "truth": as above}}}]}
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_prep import tacos
from data_prep.captions import Image
from data_prep.dataset import Dataset
from data_prep.frames import small_jpeg
from lrcn.sentences import metrics, truth
from lrcn.sentences.captioner import END_OF_SENTENCE, Caption
from lrcn.sentences.evaluate import Described, image_ids
from lrcn.sentences.images import read_image
from lrcn.sentences.readable import readable

EACH = 8  # examples of a kind: best, worst, first
BEAM = 5
SIDE, SMALL = 320, 160  # pixels of a picture's longer side
LIKELIEST = 5  # words of a slot


@dataclass(frozen=True)
class Chosen:
    """Examples of images or videos. numbers: which; scores: {net: {name: metrics of its caption}}; best: the net by
    whose CIDEr they were chosen."""

    images: Sequence[Image]
    names: Sequence[str]
    why: Mapping[int, str]
    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    best: str

    @property
    def extremes(self) -> list[int]:
        """The numbers of the worst and of the best one, as far as there are any."""
        first = {why: number for number, why in reversed(self.why.items())}
        return [first[why] for why in ("worst", "best") if why in first]

    @classmethod
    def of(
        cls, dataset: Dataset, images: Sequence[Image], captions: Mapping[str, Sequence[Caption]], tokens: str
    ) -> Chosen:
        """Of what nets say of all images, {net: a caption of each}."""
        ids = image_ids(dataset)
        names = [str(ids[image.file]) for image in images]
        references = dict(zip(names, (image.captions for image in images)))
        scores = {
            net: metrics.score_each(dict(zip(names, (each.text for each in texts))), references, tokens)
            for net, texts in captions.items()
        }
        cider = {net: [each[name]["CIDEr"] for name in names] for net, each in scores.items()}
        best = max(cider, key=lambda net: math.fsum(cider[net]))
        return cls(images, names, choose(cider[best]), scores, best)


def choose(scores: Sequence[float]) -> dict[int, str]:
    """{number: why} of the best, the worst, and the first of the others; as many of each, EACH at most. Of equals the
    first in order is better."""
    each = min(EACH, math.ceil(len(scores) / 3))
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    chosen = dict.fromkeys(order[:each], "best")
    chosen |= dict.fromkeys([number for number in reversed(order) if number not in chosen][:each], "worst")
    return chosen | dict.fromkeys([number for number in range(len(scores)) if number not in chosen][:each], "first")


@dataclass(frozen=True)
class Found:
    """What nets say of images. captions: {net: one of each image}; beams: {net: several of each chosen one}; gates:
    {number of an image: of each LSTM of the best net}; queries: of retrieval by that net, as `retrieval.queries` has
    them, among the first images."""

    captions: Mapping[str, Sequence[Caption]]
    beams: Mapping[str, Sequence[Sequence[Caption]]]
    gates: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    queries: Mapping[str, Sequence[Mapping[str, Any]]] | None = None


def of_images(dataset: Dataset, chosen: Chosen, found: Found) -> dict[str, Any]:
    """What examples.json holds of images. DataError for an image that cannot be read."""
    known = truth.read(dataset.folder)
    images: list[dict[str, Any]] = []
    for place, (number, why) in enumerate(chosen.why.items()):
        image: Described = chosen.images[number]
        about = {"name": chosen.names[number], "file": image.file, "why": why, "references": image.captions}
        nets = {}
        for net, texts in found.captions.items():
            nets[net] = {"caption": readable(texts[number].text)} | _details(chosen, net, number, texts[number], known)
            nets[net]["beams"] = [[round(each.log_prob, 4), readable(each.text)] for each in found.beams[net][place]]
            if net == chosen.best and number in found.gates:
                nets[net]["gates"] = found.gates[number]
        about |= _what_is_true(image, known) | {"captions": nets, "jpeg": _picture(image, SIDE)}
        images.append(about)
    examples: dict[str, Any] = {"task": "caption", "images": images}
    return examples | (_retrieval(chosen, found.queries) if found.queries else {})


def of_videos(dataset: Dataset, chosen: Chosen, captions: Mapping[str, Sequence[Caption]]) -> dict[str, Any]:
    """What examples.json holds of videos."""
    known, slots = truth.read(dataset.folder), _slots(dataset)
    videos = []
    for number, why in chosen.why.items():
        video = chosen.images[number]
        about = {"name": chosen.names[number], "why": why, "references": video.captions}
        about |= _what_is_true(video, known) | ({"slots": slots[video.file]} if video.file in slots else {})
        about["sentences"] = {
            net: {"sentence": readable(texts[number].text)} | _details(chosen, net, number, texts[number], known)
            for net, texts in captions.items()
        }
        videos.append(about)
    return {"task": "video", "videos": videos}


def _picture(image: Described, side: int) -> str:
    return base64.b64encode(small_jpeg(read_image(image.path), side)).decode()


def _details(chosen: Chosen, net: str, number: int, caption: Caption, known: truth.Truth | None) -> dict[str, Any]:
    """A caption's words, metrics and truth."""
    file, scores = chosen.images[number].file, chosen.scores[net][chosen.names[number]]
    # Without the end where there are no more probabilities
    words = zip([*caption.words, END_OF_SENTENCE], caption.log_probs)
    details = {
        "words": [[word, round(math.exp(log_prob), 4)] for word, log_prob in words],
        "metrics": {name: round(value, 4) for name, value in scores.items()},
    }
    return details | ({"truth": known.holds(file, caption.text)} if known and file in known.images else {})


def _what_is_true(image: Image, known: truth.Truth | None) -> dict[str, Any]:
    if known is None or image.file not in known.images:
        return {}
    return {"truth": {slot: known.phrases[slot][value] for slot, value in known.images[image.file].items()}}


def _retrieval(chosen: Chosen, queries: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """ "retrieval" and "jpegs" of examples.json."""
    texts = [caption for image in chosen.images for caption in image.captions]
    owners = [number for number, image in enumerate(chosen.images) for _ in image.captions]
    by_caption = [
        {"model": chosen.best, "query": texts[each["query"]], "image": chosen.names[owners[each["query"]]]}
        | {"rank": each["rank"]}
        | {"top": [[chosen.names[k], score, k == owners[each["query"]]] for k, score in each["top"]]}
        for each in queries["caption_to_image"]
    ]
    by_image = [
        {"model": chosen.best, "query": chosen.names[each["query"]], "rank": each["rank"]}
        | {"top": [[texts[k], score, owners[k] == each["query"]] for k, score in each["top"]]}
        for each in queries["image_to_caption"]
    ]
    named = {k for each in queries["caption_to_image"] for k, _ in each["top"]}
    named |= {owners[each["query"]] for each in queries["caption_to_image"]}
    named |= {each["query"] for each in queries["image_to_caption"]}
    jpegs = {chosen.names[k]: _picture(chosen.images[k], SMALL) for k in sorted(named)}
    return {"retrieval": {"caption_to_image": by_caption, "image_to_caption": by_image}, "jpegs": jpegs}


def _slots(dataset: Dataset) -> dict[str, dict[str, dict[str, float]]]:
    """{video: {slot: {word: probability}}} of the likeliest words, where the data set has slots."""
    if not dataset.description["slots"]:
        return {}
    vocabulary = tacos.SlotVocabulary.read(dataset.folder / "slot_vocabulary.txt")
    names, _, probabilities = tacos.read_semantics(dataset.folder)
    slots: dict[str, dict[str, dict[str, float]]] = {}
    for name, vector in zip(names, probabilities):
        slots[name] = {}
        for slot, numbers in vocabulary.numbers.items():
            likeliest = sorted(numbers.items(), key=lambda entry: -vector[entry[1]])[:LIKELIEST]
            probabilities_of = {word: round(float(vector[number]), 4) for word, number in likeliest}
            slots[name][slot] = {word: value for word, value in probabilities_of.items() if value}
    return slots
