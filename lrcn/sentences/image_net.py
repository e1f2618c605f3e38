"""Activations of images from a net in Caffe, which runs in a process of its own (`lrcn.sentences.sentence_net`) for as
long as an ImageNet is open."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lrcn.engine.process import Caffe
from lrcn.pixels import Transform
from lrcn.sentences.deploy_nets import check_weights, read_net
from prototxt_gen import SpecError, nearest, to_text
from prototxt_gen.shapes import infer
from prototxt_gen.weights import shape_text


class ImageNet:
    """A net that reads images, as a deploy net up to fc8 (`deploy_images` of caption/*). A context manager, which ends
    Caffe's process.

    images: the net, a message or a file; transform: how it sees pixels, where it reads images.

    Raises SpecError where net and weights do not fit, before Caffe is started.
    """

    def __init__(self, images, weights, engine, gpu: int | None = None, transform: Transform | None = None):
        self.caffe, images = None, read_net(images)
        check_weights([images], weights)
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
