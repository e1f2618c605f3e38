"""Activations of images from a net in Caffe, which runs in a process of its own (`lrcn.sentences.sentence_net`) for as
long as an ImageNet is open."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.children import python
from data_prep.workers import CAPTIONS, IMAGES
from lrcn.engine.compute import Compute, Progress
from lrcn.engine.process import Caffe
from lrcn.engine.scratch import Scratch
from lrcn.pixels import Transform
from lrcn.trained_net import check_filled
from prototxt_gen import SpecError, nearest, to_text
from prototxt_gen.caffe_pb2 import NetParameter
from prototxt_gen.shapes import infer
from prototxt_gen.weights import shape_text

# How images are cut that captions are written for: the middle, then resized, as the release's scripts; or resized, then
# the middle, as Caffe's ImageData does in training.
CUTS = ("released", "training")


class ImageNet:
    """A net that reads images, as a deploy net up to fc8 (`deploy_images` of caption/*). A context manager, which ends
    Caffe's process.

    transform: how it sees pixels; None where it reads activations in their place.

    Raises SpecError where net and weights do not fit, before Caffe is started.
    """

    caffe: Caffe | None = None

    def __init__(self, net: NetParameter, weights: Path, compute: Compute, transform: Transform | None = None):
        check_filled([net], weights)
        self._begin({"images": net}, weights, compute, transform)

    def _begin(
        self,
        nets: Mapping[str, NetParameter],
        weights: Path,
        compute: Compute,
        transform: Transform | None,
        streams: int = 1,
    ) -> None:
        """Of the nets, by the names that `sentence_net` has for them."""
        self.transform, self.progress = transform, compute.progress
        self.blobs, self.batch, self.input_shape = {}, 1, None
        if "images" in nets:
            self.blobs = infer(nets["images"], "TEST").blobs
            self.batch, *self.input_shape = nets["images"].layer[0].input_param.shape[0].dim
        self.by_name, self.weights, self.compute, self.streams = nets, Path(weights), compute, streams
        self.scratch = Scratch()
        self.folder = self.scratch.path

    def _started(self) -> Caffe:
        """Caffe's process, which starts with the first order: where all is kept already, none is needed."""
        if self.caffe is None:
            job = {"weights": str(self.weights.resolve()), "streams": self.streams, "nets": {}}
            for name, net in self.by_name.items():
                job["nets"][name] = str(self.folder / f"{name}.prototxt")
                (self.folder / f"{name}.prototxt").write_text(to_text(net))
            (self.folder / "job.json").write_text(json.dumps(job | self.compute.device))
            command = python("lrcn.sentences.sentence_net", self.folder / "job.json")
            self.caffe = Caffe(self.compute, command, self.folder / "caffe.log", talks=True)
        return self.caffe

    def __enter__(self):
        return self

    def __exit__(self, *failure) -> None:
        self.close()

    def close(self) -> None:
        """Ends Caffe's process."""
        if self.caffe is not None:
            self.caffe.close()
        self.caffe = None
        self.scratch.close()

    def activations(
        self,
        inputs: Iterable[np.ndarray],
        blobs: Sequence[str] = ("fc8",),
        progress: Progress | None = None,
        total: int = 0,
    ) -> dict[str, np.ndarray]:
        """{blob: (N, D)} float32 of whatever the net reads, one after another: pixels (3, crop, crop) of `cut`, or
        activations (D,). They are taken a batch at a time, so that N may be large.

        progress: told how far it is where `total`, N, is given; the Compute's by default. Raises SpecError for inputs
        of another shape and a blob that is not there, CaffeError where Caffe fails.
        """
        if self.input_shape is None:
            raise SpecError("this net reads no images")
        for blob in blobs:
            if blob not in self.blobs:
                raise SpecError(f"the image net has no blob '{blob}'{nearest(blob, self.blobs)}")
        parts, done = [], 0
        for batch in self._batches(inputs):
            np.save(self.folder / "images.npy", np.array(batch, np.float32))
            order = {"do": "activations", "images": str(self.folder / "images.npy"), "blobs": [*blobs]}
            parts.append(self._ask(order))
            done += len(batch)
            if total:
                (progress or self.progress)(IMAGES, done, total)
        if not parts:
            return {blob: np.zeros((0, int(np.prod(self.blobs[blob][1:]))), np.float32) for blob in blobs}
        return {blob: np.concatenate([part[blob] for part in parts]) for blob in blobs}

    def _batches(self, inputs: Iterable[np.ndarray]) -> Iterable[list[np.ndarray]]:
        """As many inputs at a time as the net takes, the last batch as it comes. SpecError for another shape."""
        batch = []
        for values in inputs:
            if list(np.shape(values)) != self.input_shape:
                raise SpecError(
                    f"the image net reads {shape_text(self.input_shape)}, not {shape_text(np.shape(values))}"
                )
            batch.append(values)
            if len(batch) == self.batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def cut(self, images: Iterable[np.ndarray], cut: str = CUTS[0]) -> Iterable[np.ndarray]:
        """What the net reads, (3, crop, crop) float32, of BGR images of any size, as `read_image` gives them: of each
        the middle. cut: one of CUTS. SpecError for a net that reads activations."""
        transform = self.transform
        if self.input_shape is None or len(self.input_shape) != 3:
            raise SpecError("this net's images are activations computed beforehand (backbone features); give those")
        if cut == "training":
            return (transform.blob(transform.centre(transform.resized(image))) for image in images)
        return (transform.blob(transform.released_middle(image)) for image in images)

    def image_features(
        self, images: Sequence[np.ndarray], progress: Progress | None = None, cut: str = CUTS[0]
    ) -> np.ndarray:
        """fc8 (N, D) of BGR images of any size, as `read_image` gives them."""
        return self.activations(self.cut(images, cut), ("fc8",), progress, len(images))["fc8"]

    def _ask(self, order: dict, progress: Progress | None = None) -> dict[str, np.ndarray]:
        """Caffe's answer. CaffeError, one line, where it has ended."""
        caffe = self._started()
        caffe.tell(json.dumps(order | {"out": str(self.folder / "answer.npz")}))
        for line in caffe.lines():
            answer = json.loads(line)
            if "out" in answer:
                with np.load(answer["out"]) as arrays:
                    return dict(arrays)
            (progress or self.progress)(CAPTIONS, answer["done"], answer["total"])
        raise caffe.failure()
