"""Sentences for images from a trained `caption/*` net, for videos from `video/*`, or without either from `lm/*`: the
likeliest by beam search, drawn ones, and the log probability of given ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep import vocabulary
from data_prep.vocabulary import outputs
from lrcn import lstm
from lrcn.engine.compute import Compute, Progress
from lrcn.lstm import Unrolled
from lrcn.sentences.decoding import END, FLOOR
from lrcn.sentences.deploy_nets import INPUTS, DeployNets, check_variant
from lrcn.sentences.image_net import ImageNet
from lrcn.sentences.step_parts import parts_of
from lrcn.trained_net import TrainedNet
from prototxt_gen import SpecError
from prototxt_gen.weights import shape_text

LENGTH = 50  # words of a sentence at most, its end included, as published
END_OF_SENTENCE = "<EOS>"  # as the release calls it
STREAMS = 500  # sentences that the net goes on with at once

# What a net reads of N images or videos: one array (N, ...), several by blob, or nothing for a language model.
Features = np.ndarray | Mapping[str, np.ndarray] | None


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


class Captioner(ImageNet):
    """A trained net that writes sentences. A context manager, which ends Caffe's process.

    vocabulary: the words whose indices in the net are 1, 2, ...; 0 is the end of a sentence. streams: so many sentences
    go through the net at once.

    What the net sees of N images or videos, `features` below: fc8 (N, D); for video/decoder-* the vectors (N, W); for
    video/encoder-decoder-max the slots' words (N, T); for video/encoder-decoder-frames {"frames": (N, T, D),
    "cont_sentence": markers (N, T)}; None for a language model.

    `progress` below is told how many of them are done; by default the Compute's is.

    Raises SpecError where nets, weights and vocabulary do not fit, before Caffe is started; later CaffeError where
    Caffe fails.
    """

    def __init__(
        self, nets: DeployNets, weights: Path, vocabulary: list[str], compute: Compute, streams: int = STREAMS
    ):
        self.vocabulary = vocabulary
        self.index = {word: index for index, word in enumerate(vocabulary, 1)}
        nets.check(weights, outputs(vocabulary))
        self.nets = nets
        self.precision = compute.gpu.precision if compute.gpu else "fp32"
        self.input_shapes = nets.input_shapes
        parts = parts_of(nets.step, reads_first=nets.reader is not None)
        self._begin(nets.by_name | parts, weights, compute, nets.transform, streams)

    @classmethod
    def of(cls, net: TrainedNet, compute: Compute, streams: int = STREAMS) -> Captioner:
        """Of a trained net of caption/*, video/* or lm/*, with the number of words that its vocabulary has."""
        check_variant(net.variant)
        words = vocabulary.read(net.vocabulary)
        nets = DeployNets.of(net, outputs(words))
        return cls(nets, net.weights, words, compute.keeping(net.algorithms), streams)

    def beam(
        self, features: Features, width: int = 1, best: int = 1, length: int = LENGTH, progress: Progress | None = None
    ) -> list[list[Caption]]:
        """The `best` of `width` sentences of each image or video, the likeliest first; greedy at width 1. Without
        features, for a language model: one list. length: of a sentence at most, its end included."""
        if width < 1 or length < 1 or not 1 <= best <= width:
            raise SpecError(
                f"width {width}, best {best}, length {length}: give whole numbers from 1, and best at most the width"
            )
        if features is not None and not _count(features):
            return []
        captions = self._captions({"do": "beam", "width": width, "length": length}, features, progress)
        return [sentences[:best] for sentences in captions]

    def sample(
        self,
        features: Features,
        n: int = 1,
        temperature: float = 1.0,
        length: int = LENGTH,
        seed: int = 1701,
        progress: Progress | None = None,
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
        return self._captions(order, features, progress)

    def score(
        self,
        features: Features,
        captions: Sequence[Sequence[int]],
        progress: Progress | None = None,
        floor: float = FLOOR,
    ) -> np.ndarray:
        """Log probability (N, captions) float64 of every caption, word indices in the net (`indices`), under every
        image: of its words, without the end unless it is among them, a word's at least `floor`, log 1e-12 as the
        authors have it."""
        stranger = next(
            (word for caption in captions for word in caption if not 0 <= word <= len(self.vocabulary)), None
        )
        if stranger is not None:
            raise SpecError(f"word {stranger} of a caption is not one of the net's, 0 to {len(self.vocabulary)}")
        order = {"do": "score", "captions": [list(map(int, caption)) for caption in captions], "floor": floor}
        return self._ask_of(features, order, progress)["scores"]

    def unroll(self, features: Features, captions: Sequence[Caption]) -> list[list[Unrolled]]:
        """What each LSTM does, the lowest first, while the net says its caption of each image. A step is a word that is
        said, the last the end where the caption has ended.

        SpecError where Caffe's hidden state is not the equations', and for an encoder-decoder, which reads first.
        """
        if self.nets.reader is not None:
            raise SpecError(
                f"{self.nets.reader.name}: reads all before it writes, so that no word has gates of its own"
            )
        said = [self.indices(each.words) + [END] * each.finished for each in captions]
        order = {"do": "unroll", "sentences": said, "blobs": lstm.blobs(self.nets.step)}
        values = self._ask_of(features, order, None)
        unrolled = []
        for number, (words, caption) in enumerate(zip(said, captions)):
            of_caption = {blob: values[f"{number}/{blob}"] for blob in order["blobs"]}
            steps = [*caption.words, *([END_OF_SENTENCE] if caption.finished else [])]
            unrolled.append(lstm.unroll(self.nets.step, self.weights, of_caption, steps, words, self.precision))
        return unrolled

    def indices(self, words: Iterable[str]) -> list[int]:
        """Words as the net counts them; what the vocabulary has not is the unknown word."""
        return [self.index.get(word, 1) for word in words]

    def _captions(self, order: dict, features: Features, progress: Progress | None) -> list[list[Caption]]:
        """The sentences of each image or video that a search or drawing gives."""
        arrays = self._ask_of(features, order, progress)
        return [
            [
                Caption([self.vocabulary[word - 1] for word in words[:count] if word], log_probs[:count].tolist())
                for words, log_probs, count in zip(*sentences)
                if count
            ]
            for sentences in zip(arrays["words"], arrays["log_probs"], arrays["counts"])
        ]

    def _ask_of(self, features: Features, order: dict, progress: Progress | None) -> dict[str, np.ndarray]:
        """Caffe's answer to an order about each image or video. SpecError where the net reads something else."""
        if (features is None) != (not self.input_shapes):
            raise SpecError(
                f"this net needs {' and '.join(INPUTS[blob] for blob in self.input_shapes)} for every sentence"
                if features is None
                else "this net sees no images; give None in place of features"
            )
        if features is None:
            return self._ask(order | {"features": None, "count": 1}, progress)
        path = self.folder / "features.npz"
        np.savez(path, **self._inputs(features))
        return self._ask(order | {"features": str(path), "count": _count(features)}, progress)

    def _inputs(self, features: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """{blob: (N, ...) float32}. SpecError, one line, for other shapes than the net's."""
        if not isinstance(features, Mapping):
            features = {next(iter(self.input_shapes)): features}
        inputs = {blob: np.asarray(values, np.float32) for blob, values in features.items()}
        if "input_slots" in inputs:
            inputs["cont_sentence"] = np.ones_like(inputs["input_slots"])
            inputs["cont_sentence"][:, :1] = 0
        for blob, shape in self.input_shapes.items():
            actual = inputs[blob].shape if blob in inputs else ()
            if len(actual) != len(shape) + 1 or list(actual[1:]) != shape:
                raise SpecError(
                    f"the net sees {shape_text(shape)} values of {INPUTS[blob]} (N x "
                    f"{shape_text(shape)}), not {shape_text(actual)}"
                )
        return inputs


def _count(features: np.ndarray | Mapping[str, np.ndarray]) -> int:
    """N, of how many images or videos these are."""
    return len(next(iter(features.values())) if isinstance(features, Mapping) else features)
