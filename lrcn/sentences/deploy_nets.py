"""The deploy nets of a net that writes sentences: made of a trained net, and checked against its weights and its
vocabulary before Caffe runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lrcn.pixels import Transform
from lrcn.trained_net import TrainedNet, check_whole
from netspecs import catalogue
from netspecs.variant import Variant
from prototxt_gen import SpecError
from prototxt_gen.caffe_pb2 import NetParameter
from prototxt_gen.shapes import infer

# What such a net reads of each image or video, and what that is called.
INPUTS = {
    "image_features": "an image's fc8",
    "semantics": "a video's CRF vector",
    "input_slots": "a video's slots",
    "frames": "a video's frames",
    "cont_sentence": "a video's markers",
}


@dataclass(frozen=True)
class DeployNets:
    """What Caffe runs to write sentences.

    step: one word of each sentence, with exposed states, as `variant.files(deploy_steps=1, deploy_state="exposed")`
    makes it. images: makes fc8 of images, which `transform` cuts where it reads pixels. reader: of an encoder-decoder,
    of which `step` is `deploy_part="decoder"`, the whole, with the same settings.
    """

    step: NetParameter
    images: NetParameter | None = None
    transform: Transform | None = None
    reader: NetParameter | None = None

    @classmethod
    def of(cls, net: TrainedNet, outputs: int) -> DeployNets:
        """Those of caption/*, video/* or lm/*, with so many outputs: its words and the end."""
        variant = net.variant
        fixed = {"vocabulary": outputs, "deploy_steps": 1, "deploy_streams": 1, "deploy_state": "exposed"}
        settings = variant.settings(**dict(net.settings) | fixed)
        files = variant.files(**settings)
        step, reader = files["deploy"], None
        if "deploy_part" in variant.table:
            step, reader = variant.files(**settings | {"deploy_part": "decoder"})["deploy"], step
        return cls(step, files.get("deploy_images"), Transform.of(variant, settings), reader)

    @property
    def by_name(self) -> dict[str, NetParameter]:
        """Those there are, as `sentence_net` calls them."""
        nets = {"step": self.step, "images": self.images, "reader": self.reader}
        return {name: net for name, net in nets.items() if net is not None}

    @property
    def input_shapes(self) -> dict[str, list[int]]:
        """{blob: its shape for one image or video} of what the caller gives; an encoder-decoder's with time first."""
        blobs = infer(self.reader or self.step, "TEST").blobs
        shapes = {name: list(blobs[name][1:]) for name in INPUTS if name in blobs and name != "cont_sentence"}
        if self.reader is None:
            return shapes
        steps = blobs["input_sentence"][0] - 1
        return {name: [steps, *shape[1:]] for name, shape in shapes.items()} | {"cont_sentence": [steps]}

    def check(self, weights: Path, outputs: int) -> None:
        """SpecError, one line, where these are no such nets, or do not fit the weights or so many outputs."""
        for net in filter(None, (self.step, self.reader)):
            _check_outputs(net, outputs, by_word=net is self.step)
        check_whole(list(self.by_name.values()), weights, outputs)


def check_variant(variant: Variant) -> None:
    """SpecError, one line, for a net that writes no sentences."""
    if not {"vocabulary", "deploy_state"} <= set(variant.table):
        writers = dict.fromkeys(f"{each.task}/*" for each in catalogue.variants() if "vocabulary" in each.table)
        raise SpecError(f"{variant.name}: writes no sentences; {', '.join(writers)} do, `lrcn nets list` names them")


def _check_outputs(net: NetParameter, outputs: int, by_word: bool) -> None:
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
