"""What a training takes of memory, by its nets' shapes, and of a GPU's.

Held against an H200 (driver 580, CUDA 13.0) on which the nets trained without tests on data made up: beside what
`training_bytes` says, each took 0.7 GiB, to 3 % of the whole; and with cuDNN no more than the workspace on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrcn.activity import clip_settings
from lrcn.engine.cards import Card
from lrcn.engine.device import Gpu
from lrcn.training.run import TrainError
from lrcn.training.workspace import Training
from prototxt_gen.shapes import NetShapes, infer

CUDA_BYTES = round(0.7 * 2**30)  # the context, Caffe's kernels, cuBLAS
AHEAD = {"Data": 4, "ImageData": 4, "Python": 1}  # batches on the card beside the net's own, read ahead
TWO_HISTORIES = ("Adam", "AdaDelta")  # solvers that keep two values beside each weight
SURELY = 0.9  # of the estimate, which is no further off: what no card can do without


@dataclass(frozen=True)
class Memory:
    """Bytes: of training itself; of the test nets' activations; of batches read ahead. convolves: whether there are
    convolutions, which take a workspace on a GPU."""

    training: int
    tests: int
    ahead: int
    convolves: bool

    @classmethod
    def of(cls, training: Training) -> Memory:
        files, solver = training.files, training.files["solver"]
        inputs, train = training.variant.input_shapes(**training.settings)["test"], training.net

        def shapes(stages: Sequence[str]) -> NetShapes:
            return infer(files["train_test"], "TEST", stages, inputs=inputs, python=clip_settings.top_shapes)

        states = list(solver.test_state) or [None] * len(solver.test_iter)
        tests = [shapes(state.stage if state else []) for state in states]
        ahead = sum(
            AHEAD.get(row.layer.type, 0) * (row.activation_bytes or 0) for net in (train, *tests) for row in net.rows
        )
        convolves = any(row.layer.type == "Convolution" for row in train.rows)
        history = 2 if solver.type in TWO_HISTORIES else 1
        return cls(train.training_bytes(history), sum(net.activation_bytes for net in tests), ahead, convolves)

    def total(self, gpu: Gpu | None) -> int:
        """Of the machine, or of each of these GPUs, at most."""
        if gpu is None:
            return self.training + self.tests
        return self.training + self.tests + self.ahead + CUDA_BYTES + self.convolves * (gpu.workspace << 20)


def check_cards(name: str, memory: Memory, gpu: Gpu, cards: Sequence[Card]) -> None:
    """TrainError where a training surely takes more than one of its GPUs has. name: of its folder. cards: those of this
    machine."""
    least = SURELY * (memory.training + memory.ahead + CUDA_BYTES)
    for card in cards:
        if card.number in gpu.numbers and card.memory < least:
            raise TrainError(
                f"--gpu {gpu}: GPU {card.number} ({card.name}) has {size(card.memory)} of memory, and {name} takes "
                f"{size(memory.total(gpu))}; give another GPU, several, or a smaller batch by --set"
            )


def in_words(most: int, gpu: Gpu | None, cards: Sequence[Card]) -> list[str]:
    """What the plan says of the most that its nets take at a time."""
    shapes = "an estimate from the nets' shapes: weights, gradients, activations in training and in tests"
    if gpu is None:
        return [f"memory: {size(most)} at most, {shapes}; what loaders take comes on top"]
    each = " on each GPU" if len(gpu.numbers) > 1 else ""
    lines = [
        f"memory: {size(most)} at most{each}, {shapes}, batches read ahead, CUDA's own {size(CUDA_BYTES)}, and up to "
        f"{size(gpu.workspace << 20)} of workspace for convolutions"
    ]
    here = {card.number: card for card in cards}
    for number in gpu.numbers:
        if card := here.get(number):
            short = ", which may be too little" if card.memory < most else ""
            lines.append(f"  GPU {number}: {card.name}, {size(card.memory)}{short}")
        else:
            lines.append(f"  GPU {number}: not on this machine")
    return lines


def size(count: int) -> str:
    for unit, least in ("GiB", 2**30), ("MiB", 2**20):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count / 1024:.1f} KiB"
