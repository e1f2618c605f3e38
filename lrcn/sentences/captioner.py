"""Sentences for images from a trained `caption/*` net, for videos from `video/*`, or without either from `lm/*`: the
likeliest by beam search, drawn ones, and the log probability of given ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep import DataError
from lrcn.pixels import Transform
from lrcn.sentences.decoding import FLOOR
from lrcn.sentences.deploy_nets import check_weights, check_words, read_net
from lrcn.sentences.image_net import ImageNet
from lrcn.trained_net import TrainedNet
from netspecs import catalogue
from prototxt_gen import SpecError
from prototxt_gen.shapes import infer
from prototxt_gen.weights import shape_text

LENGTH = 50  # words of a sentence at most, its end included, as published
STREAMS = 500  # sentences that the net goes on with at once
UNKNOWN = "<unk>"
# What a net that writes sentences is given of each image or video, and what that is called.
GIVEN = {
    "image_features": "an image's fc8",
    "semantics": "a video's CRF vector",
    "input_slots": "a video's slots",
    "frames": "a video's frames",
    "cont_sentence": "a video's markers",
}


@dataclass(frozen=True)
class Caption:
    """A sentence: its words, and the log probability of each, and of the end last where the sentence has ended."""

    words: list[str]
    log_probs: list[float]

    @property
    def finished(self) -> bool:
        return len(self.log_probs) > len(self.words)

    @property
    def log_prob(self) -> float:
        return math.fsum(self.log_probs)

    @property
    def details(self) -> dict:
        """What there is to know besides its text, JSON-able."""
        return {"log_prob": self.log_prob, "finished": self.finished, "words": self.words, "log_probs": self.log_probs}

    @property
    def text(self) -> str:
        """As the authors write it out: "A dog on the grass."; "..." ends one that was cut off."""
        line = " ".join(self.words)
        return line[:1].upper() + line[1:] + ("." if self.finished else "...")


def read_vocabulary(path) -> list[str]:
    """The words of vocabulary.txt, one a line, the unknown word first. DataError, one line, for another file."""
    try:
        words = Path(path).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; give the vocabulary.txt of the prepared captions") from None
    except OSError as error:
        raise DataError(
            f"{path}: {(error.strerror or str(error)).lower()}; give the vocabulary.txt of the prepared captions"
        ) from None
    words = [word.strip() for word in (words[:-1] if words[-1] == "" else words)]
    if not words or words[0] != UNKNOWN:
        raise DataError(f"{path}: not a vocabulary, which begins with {UNKNOWN}, a word a line")
    seen: set[str] = set()
    for number, word in enumerate(words, 1):
        if not word or word in seen:
            raise DataError(
                f"{path}:{number}: {f'{word!r} is there twice' if word else 'no word'}; give the "
                "vocabulary.txt of the prepared captions as it is"
            )
        seen.add(word)
    return words


Features = np.ndarray | Mapping[str, np.ndarray] | None


class Captioner(ImageNet):
    """A trained net that writes sentences.

    words: deploy net of a step with exposed states, a message or a file, as `nets.files(deploy_steps=1,
    deploy_state="exposed")` makes it; images: the deploy net that makes fc8 of images, or None; vocabulary: a list of
    words (`read_vocabulary`) or its file; transform: how it sees pixels, where it reads images; reader: for an
    encoder-decoder, of which `words` is `deploy_part="decoder"`, the whole of it, made with the same settings.

    What the net sees of N images or videos, `features` below: fc8 (N, D); for video/decoder-* the vectors (N, W); for
    video/encoder-decoder-max the slots' words (N, T); for video/encoder-decoder-frames {"frames": (N, T, D),
    "cont_sentence": markers (N, T)}; None for a language model.

    Raises SpecError where net, weights and vocabulary do not fit, before Caffe is started.
    """

    def __init__(
        self,
        words,
        weights,
        vocabulary,
        engine,
        gpu: int | None = None,
        images=None,
        transform: Transform | None = None,
        streams: int = STREAMS,
        reader=None,
    ):
        self.caffe = None
        self.vocabulary = vocabulary if isinstance(vocabulary, list) else read_vocabulary(vocabulary)
        self.known = {word: index for index, word in enumerate(self.vocabulary, 1)}
        words, images, reader = (None if net is None else read_net(net) for net in (words, images, reader))
        for net in filter(None, (words, reader)):
            check_words(net, len(self.vocabulary) + 1, net is words)
        check_weights([net for net in (words, images, reader) if net is not None], weights, len(self.vocabulary) + 1)
        blobs = infer(reader or words, "TEST").blobs
        # Blob: shape for one image or video.
        self.sees = {name: list(blobs[name][1:]) for name in GIVEN if name in blobs and name != "cont_sentence"}
        if reader is not None:
            steps = blobs["input_sentence"][0] - 1
            self.sees = {name: [steps, *shape[1:]] for name, shape in self.sees.items()} | {"cont_sentence": [steps]}
        self._begin(words, images, weights, engine, gpu, transform, streams, reader)

    @classmethod
    def of(cls, net: TrainedNet, engine, gpu: int | None = None, streams: int = STREAMS) -> Captioner:
        """Of a trained net of caption/*, video/* or lm/*, with the number of words that its vocabulary has."""
        variant = net.variant
        if not {"vocabulary", "deploy_state"} <= set(variant.table):
            writers = dict.fromkeys(f"{each.task}/*" for each in catalogue.variants() if "vocabulary" in each.table)
            raise SpecError(
                f"{variant.name}: writes no sentences; {', '.join(writers)} do, `lrcn nets list` names them"
            )
        vocabulary = read_vocabulary(net.vocabulary)
        fixed = {"vocabulary": len(vocabulary) + 1, "deploy_steps": 1, "deploy_streams": 1, "deploy_state": "exposed"}
        settings = variant.settings(**dict(net.settings) | fixed)
        files = variant.files(**settings)
        words, reader = files["deploy"], None
        if "deploy_part" in variant.table:
            words, reader = variant.files(**settings | {"deploy_part": "decoder"})["deploy"], words
        images, transform = files.get("deploy_images"), Transform.of(variant, settings)
        return cls(words, net.weights, vocabulary, engine, gpu, images, transform, streams, reader)

    def beam(
        self,
        features: Features,
        width: int = 1,
        best: int = 1,
        length: int = LENGTH,
        progress=lambda what, done, total: None,
    ) -> list[list[Caption]]:
        """The `best` of `width` sentences of each image or video, the likeliest first; greedy at width 1. Without
        features, for a language model: one list."""
        if width < 1 or length < 1 or not 1 <= best <= width:
            raise SpecError(
                f"width {width}, best {best}, length {length}: give whole numbers from 1, and best at most the width"
            )
        if features is not None and not _count(features):
            return []
        found = self._of_images({"do": "beam", "width": width, "length": length}, features, progress)
        return [sentences[:best] for sentences in self._captions(found)]

    def sample(
        self,
        features: Features,
        n: int = 1,
        temperature: float = 1.0,
        length: int = LENGTH,
        seed: int = 1701,
        progress=lambda what, done, total: None,
    ) -> list[list[Caption]]:
        """`n` sentences drawn for each image, the likeliest first. temperature: what the softmax's inputs are
        multiplied by; infinity is the greedy choice."""
        if n < 1 or length < 1 or not temperature >= 0 or seed < 0:
            raise SpecError(
                f"n {n}, length {length}, temperature {temperature}, seed {seed}: give at least 1, 1, 0 and 0"
            )
        if features is not None and not _count(features):
            return []
        order = {"do": "sample", "n": n, "length": length, "temperature": temperature, "seed": seed}
        return self._captions(self._of_images(order, features, progress))

    def score(
        self,
        features: Features,
        captions: Sequence[Sequence[int]],
        progress=lambda what, done, total: None,
        floor: float = FLOOR,
    ) -> np.ndarray:
        """Log probability (N, captions) of every caption, word indices in the net (`indices`), under every image: of
        its words, without the end unless it is among them, a word's at least `floor`, log 1e-12 as the authors have
        it."""
        trouble = next(
            (word for caption in captions for word in caption if not 0 <= word <= len(self.vocabulary)), None
        )
        if trouble is not None:
            raise SpecError(f"word {trouble} of a caption is not one of the net's, 0 to {len(self.vocabulary)}")
        order = {"do": "score", "captions": [list(map(int, caption)) for caption in captions], "floor": floor}
        return self._of_images(order, features, progress)["scores"]

    def indices(self, words: Iterable[str]) -> list[int]:
        """Words as the net counts them; what the vocabulary has not is the unknown word."""
        return [self.known.get(word, 1) for word in words]

    def _captions(self, found) -> list[list[Caption]]:
        made = []
        for words, log_probs, counts in zip(found["words"], found["log_probs"], found["counts"]):
            made.append(
                [
                    Caption([self.vocabulary[w - 1] for w in said[:count] if w], probs[:count].tolist())
                    for said, probs, count in zip(words, log_probs, counts)
                    if count
                ]
            )
        return made

    def _of_images(self, order: dict, features: Features, progress) -> dict[str, np.ndarray]:
        if (features is None) != (not self.sees):
            raise SpecError(
                f"this net needs {' and '.join(GIVEN[name] for name in self.sees)} for every sentence"
                if features is None
                else "this net sees no images; give None in place of features"
            )
        given = {}
        if features is not None:
            if not isinstance(features, Mapping):
                features = {next(iter(self.sees)): features}
            given = {name: np.asarray(value, np.float32) for name, value in features.items()}
            if "input_slots" in given:
                given["cont_sentence"] = np.ones_like(given["input_slots"])
                given["cont_sentence"][:, :1] = 0
            for name, shape in self.sees.items():
                found = given[name].shape if name in given else ()
                if len(found) != len(shape) + 1 or list(found[1:]) != shape:
                    raise SpecError(
                        f"the net sees {shape_text(shape)} values of {GIVEN[name]} (N x "
                        f"{shape_text(shape)}), not {shape_text(found)}"
                    )
            np.savez(self.folder / "features.npz", **given)
        place = str(self.folder / "features.npz") if given else None
        return self._ask(order | {"features": place, "count": 1 if features is None else _count(features)}, progress)


def _count(features: np.ndarray | Mapping[str, np.ndarray]) -> int:
    """N, of how many images or videos these are."""
    return len(next(iter(features.values())) if isinstance(features, Mapping) else features)
