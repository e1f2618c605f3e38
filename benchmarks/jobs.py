"""Two trainings of small nets side by side, a thread of the BLAS each, as `lrcn train` has them by default; against one
after the other with a thread a core.

    python benchmarks/jobs.py [--iterations 150]

The nets are the demo's LRCN-fc6 on RGB and on flow, on frames that are cut from a photograph.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import cv2
from clips import stored, windows
from rows import Row, in_turn, main, quietly
from train import to_learn

from data_prep import store
from data_prep.children import python
from data_prep.workers import cores
from lrcn.engine import blas
from lrcn.training import experiment


def stage(modality: str) -> str:
    """Of an experiment's file: the demo's LRCN, from random weights."""
    [demo] = [each for each in experiment.read("demo").stages if each.folder == f"lrcn-fc6-{modality}"]
    settings = ", ".join(f"{name} = {json.dumps(value)}" for name, value in demo.settings.items())
    return f'[[stages]]\nnet = "{demo.net}"\nsettings = {{ {settings} }}\n'


def measure(asked: argparse.Namespace) -> list[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = frames(folder / "data")
        (folder / "two.toml").write_text('kind = "frames"\nweights = "none"\n' + "".join(map(stage, ("rgb", "flow"))))

        def train(*options: str, **environment: str) -> None:
            command = python("lrcn", "train", folder / "two.toml", "--data", data, "--fresh", *options)
            command += ["--out", str(folder / "runs"), "--set", f"max_iter={asked.iterations}"]
            quietly(command, env=os.environ | environment)

        seconds = in_turn(train, lambda: train("--jobs", "1", **{blas.VARIABLE: str(cores())}), asked.times)
    what = f"training of the demo's LRCN-fc6 on RGB and flow, {asked.iterations} iterations each, side by side"
    against = f"one after the other with {cores()} threads"
    return [Row(what, seconds[0], "s", against, seconds[1], seconds[1] / seconds[0], "at least 1.5")]


def frames(folder: Path) -> Path:
    """Videos of 64 x 64 frames, with those of RGB as their flow too, half of them to be tested on."""
    small = {
        name: [cv2.imencode(".jpg", cv2.resize(cv2.imdecode(jpeg, 1), (64, 64)))[1].tobytes() for jpeg in arrays(jpegs)]
        for name, jpegs in windows(24).items()
    }
    stored(small, folder)
    with store.ImageWriter(folder, "flow") as writer:
        for name, jpegs in small.items():
            writer.add(name, 0, jpegs[1:], 64, 64)
    return to_learn(folder, 64, 64)


def arrays(jpegs):
    import numpy as np

    return [np.frombuffer(jpeg, np.uint8) for jpeg in jpegs]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(",")[0])
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--times", type=int, default=1)
    main(measure, parser)
