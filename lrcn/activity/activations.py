"""Caffe's side of `extract`: `python -m lrcn.activity.activations JOB.json` writes the activations of a blob over the
frames of videos. A process of its own, because Caffe ends the one it runs in when something is wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from lrcn.activity.frame_loader import Frames
from lrcn.activity.frame_net import FrameNet
from lrcn.activity.groups import GROUP, Rows, count
from lrcn.engine.caffe_side import telling_the_user, use_device


def run(job: dict, work: Path) -> None:
    """Writes the activations of the videos' frames, whole groups of videos at a time (`groups.Rows`)."""
    import caffe

    use_device(job["gpu"])
    net = caffe.Net(str(work / "deploy.prototxt"), job["weights"], caffe.TEST)
    together, blob = job["together"], net.blobs[job["blob"]]
    shape = (job["count"], *net.blobs[job["input"]].shape[1:])
    frame_net = FrameNet(net, job["input"], together, list(net._layer_names)[-1], [job["blob"]])
    videos, total = job["videos"], count([job["videos"]])
    with Rows(work, blob.data.size // blob.data.shape[0]) as file:
        todo = [(v, name, number, 1) for v, (name, numbers) in enumerate(videos) for number in numbers]
        frames = Frames(job, shape, iter(todo[file.images :]), together=1, ahead=2 * together)
        while file.videos < len(videos):
            begin, group = file.videos, videos[file.videos : file.videos + GROUP]
            of_group = [(v, number) for v, (_, numbers) in enumerate(group, begin) for number in numbers]
            for batch in (of_group[at : at + together] for at in range(0, len(of_group), together)):
                crops = np.stack([row for (row,) in frame_net.rows(frames.taken(batch))])
                rows = crops.reshape(len(batch), job["count"], -1).mean(1, dtype=np.float32)
                if not np.isfinite(rows).all():
                    v = batch[int((~np.isfinite(rows).all(1)).argmax())][0]
                    raise ValueError(f"{videos[v][0]}: {job['blob']} is not finite; are these the net's weights?")
                file.write(rows.tobytes())
                print(file.images, total, flush=True)
            file.end_group(group)


if __name__ == "__main__":
    with telling_the_user():
        path = Path(sys.argv[1])
        run(json.loads(path.read_text()), path.parent)
