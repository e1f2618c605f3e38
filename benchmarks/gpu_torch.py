"""PyTorch's side of `gpu.py`: the same nets, batches and solver steps, and convolution by convolution.

    python gpu_torch.py BUNDLE.json WHAT [--cpu]

WHAT: the name of a net in the bundle; "NET convolutions"; or "versions". One JSON object a line on standard output,
each as soon as it is measured; milliseconds are medians, with the least and the most.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

PRECISIONS = {"fp32": False, "tf32": True}

# Convolutions: name, channels in and out, kernel, stride, padding, groups, size of the input.
HYBRID = [
    ("conv1", 3, 96, 7, 2, 0, 1, 227),
    ("conv2", 96, 384, 5, 2, 0, 2, 55),
    ("conv3", 384, 512, 3, 1, 1, 1, 13),
    ("conv4", 512, 512, 3, 1, 1, 2, 13),
    ("conv5", 512, 384, 3, 1, 1, 2, 13),
]
CAFFENET = [
    ("conv1", 3, 96, 11, 4, 0, 1, 227),
    ("conv2", 96, 256, 5, 1, 2, 2, 27),
    ("conv3", 256, 384, 3, 1, 1, 1, 13),
    ("conv4", 384, 384, 3, 1, 1, 2, 13),
    ("conv5", 384, 256, 3, 1, 1, 2, 13),
]


class Net:
    """How a net is made, what it is given, and its solver's step."""

    def __init__(self, make, arguments, rate: float, decay: float, clip: float | None):
        self.make, self.arguments, self.rate, self.decay, self.clip = make, arguments, rate, decay, clip


# ---- modules -------------------------------------------------------------------------------------------------------


def features(convolutions) -> nn.Sequential:
    """conv1 to pool5."""
    parts = []
    for name, channels, kernels, kernel, stride, padding, groups, _ in convolutions:
        parts += [nn.Conv2d(channels, kernels, kernel, stride, padding, groups=groups), nn.ReLU(inplace=True)]
        if name in ("conv1", "conv2", "conv5"):
            parts.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        if name in ("conv1", "conv2"):
            parts.append(nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0))
    return nn.Sequential(*parts, nn.Flatten())


def connected(size: int, units: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, units), nn.ReLU(inplace=True), nn.Dropout(dropout))


class Clips(nn.Module):
    """activity/lrcn-fc6."""

    def __init__(self, frames: int):
        super().__init__()
        self.frames = frames
        self.cnn = nn.Sequential(features(HYBRID), connected(384 * 36, 4096, 0.9))
        self.lstm, self.dropout, self.scores = nn.LSTM(4096, 256), nn.Dropout(0.5), nn.Linear(256, 101)

    def forward(self, images, labels):
        hidden, _ = self.lstm(self.cnn(images).view(self.frames, -1, 4096))
        return functional.cross_entropy(self.scores(self.dropout(hidden)).flatten(0, 1), labels)


class Frames(nn.Module):
    """activity/single-frame."""

    def __init__(self):
        super().__init__()
        parts = [features(HYBRID), connected(384 * 36, 4096, 0.5), connected(4096, 4096, 0.5), nn.Linear(4096, 101)]
        self.scores = nn.Sequential(*parts)

    def forward(self, images, labels):
        return functional.cross_entropy(self.scores(images), labels)


class Captions(nn.Module):
    """caption/lrcn-2f; the image goes beside the first LSTM's output at every step, since cuDNN's has no static
    input."""

    def __init__(self, frozen: bool, vocabulary: int = 8801):
        super().__init__()
        self.frozen = frozen
        self.fc7 = nn.Sequential(features(CAFFENET), connected(9216, 4096, 0.5), connected(4096, 4096, 0.5))
        self.fc7.requires_grad_(not frozen)
        self.fc8, self.embedding = nn.Linear(4096, 1000), nn.Embedding(vocabulary, 1000)
        self.lstm1, self.lstm2, self.predict = nn.LSTM(1000, 1000), nn.LSTM(2000, 1000), nn.Linear(1000, vocabulary)

    def forward(self, images, words, targets):
        with torch.set_grad_enabled(not self.frozen):
            seen = self.fc7(images)
        image = self.fc8(seen)
        hidden, _ = self.lstm1(self.embedding(words))
        hidden, _ = self.lstm2(torch.cat([hidden, image.expand(len(words), -1, -1)], 2))
        return 20 * functional.cross_entropy(self.predict(hidden).flatten(0, 1), targets)


class Video(nn.Module):
    """video/decoder-prob."""

    def __init__(self, semantics: int, vocabulary: int = 3000):
        super().__init__()
        self.embedding, self.predict = nn.Embedding(vocabulary, 1000), nn.Linear(1000, vocabulary)
        self.lstm1, self.lstm2 = nn.LSTM(1000 + semantics, 1000), nn.LSTM(1000, 1000)

    def forward(self, semantics, words, targets):
        hidden, _ = self.lstm1(torch.cat([self.embedding(words), semantics.expand(len(words), -1, -1)], 2))
        hidden, _ = self.lstm2(hidden)
        return 20 * functional.cross_entropy(self.predict(hidden).flatten(0, 1), targets)


def net(name: str, inputs: dict, device: str) -> Net:
    """inputs: blob -> shape, as the bundle says."""

    def whole(blob, limit):
        return torch.randint(0, limit, inputs[blob], device=device)

    if "data" in inputs:
        images = torch.randn(*inputs["data"], device=device) * 50
    if name == "lrcn-fc6-rgb":
        first = inputs["clip_markers"][0]
        frames = 16 if first % 16 == 0 else first  # a rehearsal's is one clip
        return Net(lambda: Clips(frames), (images, whole("label", 101)), 0.001, 0.005, 5)
    if name == "single-frame-rgb":
        return Net(Frames, (images, whole("label", 101)), 0.001, 0.005, None)
    if name == "decoder-prob":
        semantics = torch.rand(*inputs["semantics"], device=device)
        words = semantics, whole("input_sentence", 3000), whole("target_sentence", 3000).flatten()
        return Net(lambda: Video(semantics.shape[1]), words, 0.01, 0, 10)
    frozen = name == "caption-frozen"
    words = images, whole("input_sentence", 8801), whole("target_sentence", 8801).flatten()
    return Net(lambda: Captions(frozen), words, 0.01 if frozen else 0.001, 0, 10 if frozen else 25)


# ---- measuring -----------------------------------------------------------------------------------------------------


def milliseconds(work, warm: int, times: int, device: str) -> dict:
    """Median, least and most of so many calls."""
    for _ in range(warm):
        work()
    taken = []
    for _ in range(times):
        if device == "cuda":
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            work()
            end.record()
            end.synchronize()
            taken.append(begin.elapsed_time(end))
        else:
            begun = time.perf_counter()
            work()
            taken.append(1000 * (time.perf_counter() - begun))
    return {"ms": statistics.median(taken), "least": min(taken), "most": max(taken)}


def use(tf32: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def training(made: Net, device: str) -> dict:
    """A forward and a backward pass and a step of SGD."""
    module = made.make().to(device).train()
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.normal_(part.weight, std=0.01)
    learned = [weights for weights in module.parameters() if weights.requires_grad]
    solver = torch.optim.SGD(learned, made.rate, 0.9, weight_decay=made.decay)

    def step():
        solver.zero_grad(set_to_none=True)
        module(*made.arguments).backward()
        if made.clip:
            nn.utils.clip_grad_norm_(learned, made.clip)
        solver.step()

    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    measured = milliseconds(step, *((6, 20) if device == "cuda" else (1, 2)), device)
    if device == "cuda":
        measured["bytes"] = torch.cuda.max_memory_allocated()
    return measured


def convolution(images: int, row, device: str) -> dict:
    """Forward, and backward to weights and, but for conv1, to the input."""
    name, channels, kernels, kernel, stride, padding, groups, size = row
    module = nn.Conv2d(channels, kernels, kernel, stride, padding, groups=groups).to(device)
    bottom = torch.randn(images, channels, size, size, device=device, requires_grad=name != "conv1")
    gradient = torch.randn_like(module(bottom))

    def forward():
        with torch.no_grad():
            module(bottom)

    def both():
        module.zero_grad(set_to_none=True)
        bottom.grad = None
        module(bottom).backward(gradient)

    often = (3, 8) if device == "cuda" else (0, 1)
    forward_ms = milliseconds(forward, *often, device)["ms"]
    return {"forward": forward_ms, "backward": milliseconds(both, *often, device)["ms"] - forward_ms}


def versions(device: str) -> dict:
    names = {"torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    if device == "cuda" and torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        names |= {"card": card.name, "bytes": card.total_memory, "capability": f"{card.major}.{card.minor}"}
    return names


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("bundle", type=Path)
    parse.add_argument("what")
    parse.add_argument("--cpu", action="store_true")
    asked = parse.parse_args()
    device = "cpu" if asked.cpu else "cuda"
    if asked.what == "versions":
        print(json.dumps(versions(device)), flush=True)
        return
    torch.manual_seed(1701)
    torch.backends.cudnn.benchmark = True
    name, _, part = asked.what.partition(" ")
    inputs = json.loads(asked.bundle.read_text())["nets"][name]["inputs"]
    for precision, tf32 in PRECISIONS.items():
        use(tf32)
        if not part:
            print(json.dumps({"precision": precision, **training(net(name, inputs, device), device)}), flush=True)
            continue
        for row in CAFFENET if name.startswith("caption") else HYBRID:
            measured = convolution(inputs["data"][0], row, device)
            print(json.dumps({"precision": precision, "layer": row[0], **measured}), flush=True)


if __name__ == "__main__":
    main()
