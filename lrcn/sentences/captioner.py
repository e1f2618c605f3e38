"""Sentences for images from a trained `caption/*` net, for videos from `video/*`, or without either from `lm/*`: the
likeliest by beam search, drawn ones, and the log probability of given ones.

Caffe runs in a process of its own (`lrcn.sentences.sentence_net`) for as long as a Captioner is open.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep import DataError
from lrcn.engine.process import Caffe
from lrcn.pixels import Transform
from lrcn.sentences.decoding import FLOOR
from lrcn.trained_net import TrainedNet
from netspecs import catalogue
from prototxt_gen import SpecError, nearest, parse, to_text
from prototxt_gen.shapes import infer
from prototxt_gen.weights import AFRESH, plan, read_weights, shape_text

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


# ---- images ------------------------------------------------------------------------------------------------


def read_image(path) -> np.ndarray:
    """The image (height, width, 3), BGR uint8, as Caffe's ImageData would read it; grey ones in three equal channels,
    the first picture of a moving one, transparency on white. DataError, one line, for a file that is missing, cut off
    or no image."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.load()  # the whole of it: OpenCV takes half an image for one
            clear = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            if image.format != "GIF" and image.mode != "CMYK" and not clear:
                found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
                if found is not None:
                    return found
            image = ImageOps.exif_transpose(image)
            if clear:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    except FileNotFoundError:
        raise DataError(f"{path}: no such image") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, not an image") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        said = (
            "not an image, or of a kind that cannot be read"
            if isinstance(error, Image.UnidentifiedImageError)
            else str(error).lower() or "cannot be read"
        )
        raise DataError(f"{path}: {said}") from None


def read_images(paths: Sequence) -> list[np.ndarray]:
    """All of them; DataError, one line, names every one that cannot be read."""
    found, trouble = [], []
    for path in paths:
        try:
            found.append(read_image(path))
        except DataError as error:
            trouble.append((path, str(error)))
    if trouble:
        others = ", ".join(str(path) for path, _ in trouble[1:])
        raise DataError(trouble[0][1] + (f" (and {others})" if others else ""))
    return found


# ---- the net -----------------------------------------------------------------------------------------------


class ImageNet:
    """A net that reads images, as a deploy net up to fc8 (`deploy_images` of caption/*). A context manager, which ends
    Caffe's process.

    images: the net, a message or a file; transform: how it sees pixels, where it reads images.

    Raises SpecError where net and weights do not fit, before Caffe is started.
    """

    def __init__(self, images, weights, engine, gpu: int | None = None, transform: Transform | None = None):
        self.caffe, images = None, _net(images)
        _check_weights([images], weights)
        self._begin(None, images, weights, engine, gpu, transform)

    def _begin(self, words, images, weights, engine, gpu, transform, streams=1, reader=None) -> None:
        self.transform, self.row, self.together = transform, None, 1
        self.blobs = infer(images, "TEST").blobs if images is not None else {}
        if images is not None:
            self.together, *self.row = images.layer[0].input_param.shape[0].dim
        self.folder = Path(tempfile.mkdtemp(prefix="lrcn-captioner-"))
        nets = {"words": words, "images": images, "reader": reader}
        for name, net in nets.items():
            if net is not None:
                (self.folder / f"{name}.prototxt").write_text(to_text(net))
        job = {name: None if net is None else str(self.folder / f"{name}.prototxt") for name, net in nets.items()}
        job |= {"weights": str(Path(weights).resolve()), "gpu": gpu, "streams": streams}
        (self.folder / "job.json").write_text(json.dumps(job))
        command = [sys.executable, "-m", "lrcn.sentences.sentence_net", self.folder / "job.json"]
        self.caffe = Caffe(engine, command, self.folder / "caffe.log", talks=True)

    def __enter__(self):
        return self

    def __exit__(self, *failure) -> None:
        self.close()

    def close(self) -> None:
        """Ends Caffe's process; its log stays where it says why Caffe failed."""
        if self.caffe is None:
            return
        if not self.caffe.close():
            shutil.rmtree(self.folder, ignore_errors=True)
        self.caffe = None

    def activations(
        self,
        inputs: Iterable[np.ndarray],
        names: Sequence[str] = ("fc8",),
        progress=lambda what, done, total: None,
        total: int = 0,
    ) -> dict[str, np.ndarray]:
        """{blob: (N, D)} of whatever the net reads, one after another: pixels (3, crop, crop) of `cut`, or activations
        (D,). They are taken a batch at a time, so that N may be large."""
        if self.row is None:
            raise SpecError("this net reads no images")
        for name in names:
            if name not in self.blobs:
                raise SpecError(f"the image net has no blob '{name}'{nearest(name, self.blobs)}")
        found, waiting, done = [], [], 0

        def forward():
            nonlocal done
            np.save(self.folder / "images.npy", np.array(waiting, np.float32))
            found.append(self._ask({"do": "features", "images": str(self.folder / "images.npy"), "blobs": [*names]}))
            done += len(waiting)
            waiting.clear()
            if total:
                progress("images", done, total)

        for one in inputs:
            if list(np.shape(one)) != self.row:
                raise SpecError(f"the image net reads {shape_text(self.row)}, not {shape_text(np.shape(one))}")
            waiting.append(one)
            if len(waiting) == self.together:
                forward()
        if waiting:
            forward()
        return {
            name: np.concatenate([part[name] for part in found])
            if found
            else np.zeros((0, int(np.prod(self.blobs[name][1:]))), np.float32)
            for name in names
        }

    def features(
        self, inputs: Iterable[np.ndarray], progress=lambda what, done, total: None, total: int = 0
    ) -> np.ndarray:
        """fc8 (N, D), as `activations`."""
        return self.activations(inputs, ("fc8",), progress, total)["fc8"]

    def cut(self, images: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
        """What the net reads of BGR images of any size, as `read_image` gives them: of each the middle."""
        if self.row is None or len(self.row) != 3:
            raise SpecError("this net's images are activations computed beforehand (backbone features); give those")
        transform = self.transform
        return (transform.blob(transform.centre(transform.resized(image))) for image in images)

    def image_features(
        self, images: Iterable[np.ndarray], progress=lambda what, done, total: None, total: int = 0
    ) -> np.ndarray:
        """fc8 (N, D) of BGR images of any size, as `read_image` gives them."""
        return self.features(self.cut(images), progress, total)

    def _ask(self, order: dict, progress=lambda what, done, total: None) -> dict[str, np.ndarray]:
        """Caffe's answer. CaffeError, one line, where it has ended."""
        self.caffe.tell(json.dumps(order | {"out": str(self.folder / "answer.npz")}))
        for line in self.caffe.lines():
            answer = json.loads(line)
            if "out" in answer:
                with np.load(answer["out"]) as found:
                    return dict(found)
            progress("captions", answer["done"], answer["total"])
        raise self.caffe.failure()


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
        words, images, reader = (None if net is None else _net(net) for net in (words, images, reader))
        for net in filter(None, (words, reader)):
            _check_words(net, len(self.vocabulary) + 1, net is words)
        _check_weights([net for net in (words, images, reader) if net is not None], weights, len(self.vocabulary) + 1)
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


def _net(net):
    if not isinstance(net, (str, Path)):
        return net
    try:
        return parse(Path(net))
    except OSError as error:
        raise SpecError(f"{net}: {(error.strerror or str(error)).lower()}") from None


def _check_words(net, outputs: int, by_word: bool) -> None:
    shapes = infer(net, "TEST")
    for problem in shapes.problems:
        raise SpecError(f"{net.name}: {problem}")
    predict = shapes.blobs.get("predict")
    if predict is None or by_word and predict[0] != 1 or not any(name.endswith("_h_0") for name in shapes.blobs):
        raise SpecError(
            f"{net.name}: not a net that goes word by word; make it with deploy_steps=1 and deploy_state=exposed"
        )
    if predict[-1] != outputs:
        raise SpecError(
            f"the vocabulary has {outputs - 1} words, and so {outputs} outputs with the end of a sentence; "
            f"the net has {predict[-1]}"
        )


def _check_weights(nets, weights, outputs: int | None = None) -> None:
    """Refuses weights that do not fill these nets, of a vocabulary with so many outputs. SpecError, one line."""
    given = read_weights(weights)
    for net in nets:
        entries = plan(net, given, "TEST")
        for entry in entries.clashes:
            if entry.layer in ("predict", "embedding") and entry.file and entry.file[0]:
                known = entry.file[0][-2]
                if known != outputs:
                    raise SpecError(
                        f"{weights}: made for a vocabulary of {known - 1} words and the end of a sentence; "
                        f"this one has {outputs - 1} words"
                    )
            raise SpecError(f"{weights}: does not fit {net.name}: layer '{entry.layer}': {entry.why}")
        missing = [entry.layer for entry in entries.entries if entry.status == AFRESH]
        if missing:
            raise SpecError(
                f"{weights}: has no weights for {', '.join(missing)} of {net.name}; give the .caffemodel "
                "that was trained for this net"
            )
