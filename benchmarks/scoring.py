"""How fast test videos are scored: each frame's ten crops once through the CNN and the LSTM over the clips, against
every clip whole through the net, so that frames go through it twice, as the released script has it. Frames are decoded
and cut once either way.

    python benchmarks/scoring.py [--videos 3] [--frames 186] [--turns 1] [--crop 227]

The published LRCN-fc6 RGB net with random weights on videos of noise as long as UCF-101's are on average, ten crops of
each frame. Both ways are processes of their own, take turns, and must come to the same scores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
from beam import write_weights
from rows import Row, in_turn, main, quietly

from data_prep import store
from data_prep.children import python, python_program
from data_prep.dataset import Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from lrcn.activity.evaluate import STRIDE
from lrcn.engine.compute import Compute
from netspecs import catalogue
from prototxt_gen import to_text

NET = "activity/lrcn-fc6-rgb"
WHOLE = """
import json, sys
from collections import Counter
import caffe, numpy as np
from data_prep.dataset import Dataset
from lrcn.activity import score
from lrcn.activity.frame_loader import Frames
job = json.loads(open(sys.argv[1]).read())
net = caffe.Net(job["deploy"], job["weights"], caffe.TEST)
clips = [clip for of_video in score.VideoClips(job, Dataset(job["data"])) for clip in of_video]
lanes = net.blobs["data"].data.reshape(job["frames"], -1, *net.blobs["data"].shape[1:])
shares = Counter((clip.v, clip.video, number) for clip in clips for number in set(clip.images))
frames = Frames(job, lanes.shape[1:], ((*frame, count) for frame, count in sorted(shares.items())), 16, 16)
net.blobs["clip_markers"].data[...] = 1
net.blobs["clip_markers"].data.reshape(job["frames"], -1)[0] = 0
totals = np.zeros((len(job["labels"]), *net.blobs["probs"].data.shape[::2]))
for clip in clips:
    for t, number in enumerate(clip.images):
        lanes[t] = frames[clip.v, number]
    for number in set(clip.images):
        frames.give_back((clip.v, number))
    totals[clip.v] += clip.weights * net.forward()["probs"].mean(1)
np.save(job["out"], totals)
"""


def write_videos(folder: Path, videos: int, frames: int) -> None:
    """A data set of test videos, of noise at the published size."""
    folder.mkdir()
    rng, index = np.random.default_rng(0), [Video(f"noise{v}", "class0", 0, frames) for v in range(videos)]
    with store.ImageWriter(folder, "rgb") as writer:
        for video in index:
            images = (cv2.resize(rng.integers(0, 256, (15, 20, 3), np.uint8), (320, 240)) for _ in range(frames))
            writer.add(video.name, 0, [cv2.imencode(".jpg", image)[1].tobytes() for image in images], 240, 320)
    write_text(folder / "videos.tsv", index_text(index))
    write_text(folder / "test1.txt", list_text(index))
    about = {"name": "noise", "kind": "frames", "classes": ["class0"], "mirror": True, "splits": [1]}
    write_json(folder / "dataset.json", about | {"height": 240, "width": 320})


def write_job(folder: Path, videos: int, crop: int) -> dict:
    """What `score` is told, of the published net."""
    variant = catalogue.get(NET)
    deploy = variant.files(crop=crop)["deploy"]
    write_weights(folder / "random.caffemodel", deploy)
    write_text(folder / "deploy.prototxt", to_text(deploy))
    data = {"data": str(folder / "data"), "list": "test1.txt", "modality": "rgb", "strides": [STRIDE]}
    pixels = {"mean": variant.mean(), "scale": 1.0, "crop": crop, "height": 240, "width": 320, "mirror": True}
    files = {"deploy": str(folder / "deploy.prototxt"), "weights": str(folder / "random.caffemodel")}
    return (
        data
        | pixels
        | files
        | {"labels": [0] * videos, "frames": 16, "clips": 1, "workers": 2, "keep_clips": False, "gpu": None}
    )


def measure(asked: argparse.Namespace) -> list[Row]:
    environment = Compute().engine.environment() | {"GLOG_minloglevel": "2"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_videos(folder / "data", asked.videos, asked.frames)
        job = write_job(folder, asked.videos, asked.crop)

        def scored(program: list[str], out: str) -> None:
            (folder / out).unlink(missing_ok=True)
            (folder / "job.json").write_text(json.dumps(job | {"out": str(folder / out)}))
            command = [*program, folder / "job.json"]
            quietly(command, env=environment)

        once, twice = in_turn(
            lambda: scored(python("lrcn.activity.score"), "once.npz"),
            lambda: scored(python_program(WHOLE), "twice.npy"),
            asked.turns,
        )
        with np.load(folder / "once.npz") as scores:
            clips, sums = scores["weights"][..., None, None], scores["sums"]
        difference = sums - np.load(folder / "twice.npy")[:, None]
        np.testing.assert_allclose(difference / clips, 0, atol=1e-5)
    what = f"LRCN-fc6, ten crops, {asked.videos} videos of {asked.frames} frames"
    against = "every clip whole through the net"
    return [
        Row(
            what,
            60 * asked.videos / once,
            "videos/min",
            against,
            60 * asked.videos / twice,
            twice / once,
            "at least 1.9",
        )
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--frames", type=int, default=186)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--crop", type=int, default=227)
    main(measure, parser)
