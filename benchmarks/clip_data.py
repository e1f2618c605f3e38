"""A training iteration of the published LRCN-fc6 net with ClipData, against the same net on DummyData.

    python benchmarks/clip_data.py [--frames DIR] [--videos 3] [--iterations 10]

DIR holds a folder of JPEG frames for each video; without it frames are cut from scikit-image's photographs. Both nets
live in one process and take turns. ClipData begins the next batch as it hands one over, so that its work falls into its
own net's turn. On a GPU `gpu.py` measures the same.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import rows
from clips import frames, frames_option, stored

from lrcn import engine
from netspecs import catalogue
from prototxt_gen import caffe_pb2, to_text


def on_dummy_data(net, rows: int, crop: int):
    """The same net with its data layers replaced by one that gives constants of the same shapes."""
    changed = caffe_pb2.NetParameter(name=net.name)
    changed.layer.add(name="data", type="DummyData", top=["data", "label", "clip_markers"])
    for shape in ([rows, 3, crop, crop], [rows], [rows]):
        changed.layer[0].dummy_data_param.shape.add(dim=shape)
    changed.layer.extend(layer for layer in net.layer if layer.type != "Python")
    return changed


def measure(asked: argparse.Namespace) -> list[rows.Row]:
    videos = frames(asked.frames)
    engine.find().activate()
    import caffe

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = stored(videos, folder / "data")
        files = catalogue.get("activity/lrcn-fc6-rgb").files(
            videos=asked.videos, data=str(data), display=0, snapshot=0, solver_mode="CPU"
        )
        solver = files["solver"]
        solver.test_interval = 0
        del solver.test_iter[:], solver.test_state[:]
        nets = files["train_test"], on_dummy_data(files["train_test"], 16 * asked.videos, 227)
        solvers = []
        for name, net in zip(("clip", "dummy"), nets):
            solver.net = str(folder / f"{name}.prototxt")
            Path(solver.net).write_text(to_text(net))
            (folder / f"{name}_solver.prototxt").write_text(to_text(solver))
            solvers.append(caffe.SGDSolver(str(folder / f"{name}_solver.prototxt")))
            solvers[-1].step(1)
        clip, dummy = rows.in_turn(*(lambda solver=each: solver.step(1) for each in solvers), asked.iterations)
        del solvers
    what = f"an iteration of LRCN-fc6, {asked.videos} clips of JPEG frames"
    return [rows.Row(what, clip, "s", "the same net on DummyData", dummy, clip / dummy, "at most 1.01")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    frames_option(parser)
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=10)
    rows.main(measure, parser)
