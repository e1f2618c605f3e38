"""What reading clips costs: a training iteration of the published LRCN-fc6 RGB net with ClipData, against the same net
on DummyData.

    python benchmarks/clip_data.py [--frames DIR] [--videos 3] [--iterations 10]

DIR holds a folder of JPEG frames for each video; without it frames are cut from a photograph of scikit-image's. Both
nets live in one process and take turns, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from data_prep import store
from data_prep.dataset import Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from lrcn import engine
from netspecs import catalogue
from prototxt_gen import caffe_pb2, to_text


def wandering_windows(videos: int = 12, frames: int = 25) -> dict[str, list[bytes]]:
    """Videos of 240 x 320 JPEG frames: a window that wanders over a photograph."""
    photograph = skimage.data.astronaut()[..., ::-1]
    return {
        f"v_{v:06d}": [
            cv2.imencode(".jpg", photograph[5 * v + 3 * t : 5 * v + 3 * t + 240, 3 * v + 4 * t : 3 * v + 4 * t + 320])[
                1
            ].tobytes()
            for t in range(frames)
        ]
        for v in range(videos)
    }


def stored(videos: dict[str, list[bytes]], folder: Path) -> Path:
    folder.mkdir()
    index = [Video(name, "any", 0, len(jpegs)) for name, jpegs in videos.items()]
    with store.ImageWriter(folder, "rgb") as writer:
        for video in index:
            height, width = cv2.imdecode(np.frombuffer(videos[video.name][0], np.uint8), cv2.IMREAD_COLOR).shape[:2]
            writer.add(video.name, 0, videos[video.name], height, width)
    write_text(folder / "videos.tsv", index_text(index))
    write_text(folder / "train1.txt", list_text(index))
    write_json(folder / "dataset.json", {"name": "benchmark", "kind": "frames", "classes": ["any"], "mirror": True})
    return folder


def on_dummy_data(net, rows: int, crop: int):
    """The same net with its data layers replaced by one that gives constants of the same shapes."""
    changed = caffe_pb2.NetParameter(name=net.name)
    changed.layer.add(name="data", type="DummyData", top=["data", "label", "clip_markers"])
    for shape in ([rows, 3, crop, crop], [rows], [rows]):
        changed.layer[0].dummy_data_param.shape.add(dim=shape)
    changed.layer.extend(layer for layer in net.layer if layer.type != "Python")
    return changed


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--frames", type=Path)
    parse.add_argument("--videos", type=int, default=3)
    parse.add_argument("--iterations", type=int, default=10)
    asked = parse.parse_args()
    videos = wandering_windows()
    if asked.frames:
        videos = {
            folder.name: [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
            for folder in sorted(asked.frames.iterdir())
        }

    engine.find().activate()
    import caffe

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = stored(videos, folder / "data")
        files = catalogue.get("activity/lrcn-fc6-rgb").files(
            videos=asked.videos, data=str(data), display=0, snapshot=0, solver_mode="CPU"
        )
        solver, seconds = files["solver"], {}
        solver.test_interval = 0
        del solver.test_iter[:], solver.test_state[:]
        for name, net in (
            ("ClipData", files["train_test"]),
            ("DummyData", on_dummy_data(files["train_test"], 16 * asked.videos, 227)),
        ):
            solver.net = str(folder / f"{name}.prototxt")
            Path(solver.net).write_text(to_text(net))
            (folder / f"{name}_solver.prototxt").write_text(to_text(solver))
            seconds[name] = []
        solvers = {name: caffe.SGDSolver(str(folder / f"{name}_solver.prototxt")) for name in seconds}
        for iteration in range(asked.iterations + 1):  # the first is warming up
            for name, made in solvers.items():
                begun = time.perf_counter()
                made.step(1)
                if iteration:
                    seconds[name].append(time.perf_counter() - begun)
        del solvers
    clip, dummy = (statistics.median(seconds[name]) for name in ("ClipData", "DummyData"))
    print(
        f"seconds an iteration (median of {asked.iterations}): "
        f"ClipData {clip:.3f}, DummyData {dummy:.3f}; ratio {clip / dummy:.3f}"
    )


if __name__ == "__main__":
    main()
