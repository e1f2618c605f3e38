"""Caffe's side of `extract`: `python -m lrcn.activity.activations JOB.json` writes the activations of a blob over the
frames of videos. A process of its own, because Caffe ends the one it runs in when something is wrong.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from data_prep.whole_files import read_json, write_json
from lrcn.activity.frame_loader import Frames
from lrcn.activity.frame_net import FrameNet
from lrcn.engine.caffe_side import telling_the_user, use_device

GROUP = 64  # videos; a run that was cut off goes on after the last whole group, whose batches do not reach beyond it


def run(job: dict, work: Path) -> None:
    """Writes rows.f32, the activations (frames of all videos, D) float32, whole groups of videos at a time."""
    import caffe

    use_device(job["gpu"])
    net = caffe.Net(str(work / "deploy.prototxt"), job["weights"], caffe.TEST)
    together, blob = job["together"], net.blobs[job["blob"]]
    shape = (job["count"], *net.blobs[job["input"]].shape[1:])
    frame_net = FrameNet(net, job["input"], together, list(net._layer_names)[-1], [job["blob"]])
    videos, note = job["videos"], work / "groups.json"
    due, total = _done(work, note, blob), sum(len(numbers) for _, numbers in videos)
    todo = [
        (v, name, number, 1) for v, (name, numbers) in enumerate(videos) if v >= due["videos"] for number in numbers
    ]
    frames = Frames(job, shape, iter(todo), together=1, ahead=2 * together)
    with open(work / "rows.f32", "r+b") as file:
        file.seek(0, os.SEEK_END)
        for begin in range(due["videos"], len(videos), GROUP):
            group = [(v, number) for v in range(begin, min(begin + GROUP, len(videos))) for number in videos[v][1]]
            for batch in (group[at : at + together] for at in range(0, len(group), together)):
                crops = np.stack([row for (row,) in frame_net.rows(frames.taken(batch))])
                rows = crops.reshape(len(batch), job["count"], -1).mean(1, dtype=np.float32)
                if not np.isfinite(rows).all():
                    v = batch[int((~np.isfinite(rows).all(1)).argmax())][0]
                    raise ValueError(f"{videos[v][0]}: {job['blob']} is not finite; are these the net's weights?")
                file.write(rows.tobytes())
                due["frames"] += len(batch)
                print(due["frames"], total, flush=True)
            file.flush()
            os.fsync(file.fileno())
            due["videos"] = min(begin + GROUP, len(videos))
            write_json(note, due)


def _done(work: Path, note: Path, blob) -> dict:
    """Whole groups that an earlier process left: {"videos": ..., "frames": ...}; what goes beyond them is cut off."""
    due = read_json(note) if note.exists() else {"videos": 0, "frames": 0}
    with open(work / "rows.f32", "ab") as file:
        file.truncate(due["frames"] * 4 * (blob.data.size // blob.data.shape[0]))
    return due


if __name__ == "__main__":
    with telling_the_user():
        path = Path(sys.argv[1])
        run(json.loads(path.read_text()), path.parent)
