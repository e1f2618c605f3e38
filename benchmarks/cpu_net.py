"""Forward and backward of the published LRCN-fc6 RGB net on a CPU: Caffe, against PyTorch.

    python benchmarks/cpu_net.py [--clips 3] [--times 5] [--torch-python PYTHON]

The same net, batch and threads (all cores), in turn; PyTorch channels last, which is its quicker way, in a process of
its own (`cpu_net_torch.py`). PYTHON is one that has PyTorch; this one by default.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rows
from clip_data import on_dummy_data

from lrcn import engine
from netspecs import catalogue
from prototxt_gen import to_text

SIZE = 227


class Torch:
    """PyTorch's net, made and tried once, in its process."""

    def __init__(self, python: str, clips: int):
        command = [python, str(Path(__file__).with_name("cpu_net_torch.py")), str(clips)]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise SystemExit(f"{python}: {error.strerror}; --torch-python takes a Python that has PyTorch") from None
        if not self.process.stdout.readline():
            raise SystemExit(f"PyTorch: not installed in {python}; --torch-python takes a Python that has it")

    def once(self) -> None:
        """One pass forward and backward."""
        print(file=self.process.stdin, flush=True)
        if not self.process.stdout.readline():
            raise SystemExit("PyTorch ended; what it said stands above")

    def end(self) -> None:
        self.process.communicate()


def caffes(clips: int):
    """Caffe's net, tried once."""
    engine.find().activate()
    import caffe

    net = catalogue.get("activity/lrcn-fc6-rgb").files(videos=clips, data="none")["train_test"]
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(to_text(on_dummy_data(net, 16 * clips, SIZE)))
        file.flush()
        made = caffe.Net(file.name, caffe.TRAIN)
    made.forward()  # DummyData fills its constants here, once
    made.blobs["data"].data[...] = np.random.default_rng(1701).normal(0, 50, made.blobs["data"].data.shape)
    made.backward()
    return made


def measure(asked: argparse.Namespace) -> list[rows.Row]:
    torch, net = Torch(asked.torch_python, asked.clips), caffes(asked.clips)

    def once() -> None:
        net.forward()
        net.backward()

    ours, other = rows.in_turn(once, torch.once, asked.times)
    torch.end()
    what = f"LRCN-fc6 on a CPU, forward and backward, {16 * asked.clips} frames"
    return [rows.Row(what, ours, "s", "PyTorch, channels last", other, ours / other, "at most 0.65")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=3, help="of 16 frames")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--torch-python", default=sys.executable, metavar="PYTHON", help="one that has PyTorch")
    rows.main(measure, parser)
