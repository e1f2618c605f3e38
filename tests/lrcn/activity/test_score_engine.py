"""Scores in real Caffe, where each frame goes through the CNN once, against every clip whole through the net."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_prep import store
from data_prep.dataset import Dataset, Video, index_text, list_text
from data_prep.whole_files import write_json, write_text
from lrcn.engine.compute import Compute
from netspecs import catalogue
from prototxt_gen import to_text
from tests.lrcn.sentences.small_nets import write_variant_weights
from tests.rounding import rounding, summands

pytestmark = pytest.mark.engine

# A video without one image of flow, ones shorter than a clip and as long as one, and longer ones.
FRAMES = [1, 2, 6, 9, 30, 17]
T, CROPS, CLIPS, STRIDE = 8, 10, 3, 4
SIZES = {"backbone": "tiny", "widths": [4, 4, 4], "fc6": 8, "fc7": 8, "crop": 20, "height": 24, "width": 32}
SIZES |= {"classes": 3, "frames": T, "units": 5, "deploy_clips": CLIPS}
PIXELS = {"mean": [128.0, 127.0, 129.0], "scale": 0.02, "crop": 20, "height": 24, "width": 32, "mirror": True}

IN_CAFFE = """
import json, pathlib, sys
import caffe, numpy as np
from lrcn.activity import score
jobs, whole = json.loads(open(sys.argv[1]).read()), np.load(sys.argv[2])
calls, forward, save = [], caffe.Net.forward, score.Scores.save

def counted(net, **parts):
    calls.append([parts.get("start"), parts.get("end")])
    return forward(net, **parts)

def whole_clips(job, clips):  # (clips, T, crops, 3, H, W), one after the other
    net, answers = caffe.Net(job["deploy"], job["weights"], caffe.TEST), []
    for clip in clips:
        lanes = net.blobs["data"].data.reshape(job["frames"], job["clips"], *clip.shape[1:])
        lanes[:, 0], lanes[:, 1:] = clip, 7
        net.blobs["clip_markers"].data[...] = 1
        net.blobs["clip_markers"].data.reshape(job["frames"], -1)[0] = 0
        forward(net)
        answers.append(net.blobs["probs"].data.reshape(job["frames"], job["clips"], clip.shape[1], -1)[:, 0].mean(1))
    return np.array(answers)

def cut_off(scores, done):
    save(scores, done)
    raise KeyboardInterrupt

caffe.Net.forward = counted
told, answers = {}, {}
for name, job in jobs.items():
    score.run(job)
    told[name] = calls[:]
    calls.clear()
    answers[name] = whole_clips(job, whole[name])
job = jobs["rgb"] | {"keep_clips": False, "out": job["out"] + "-cut.npz"}
score.SAVE_EVERY = 4
score.run(job)
with np.load(job["out"]) as kept:
    answers["whole"] = kept["sums"]
score.run(job | {"labels": [9] * 6})  # nothing of another job is gone on with
score.Scores.save = cut_off
try:
    score.run(job)
except KeyboardInterrupt:
    score.Scores.save = save
calls.clear()
score.run(job)
told["gone on"] = calls[:]
with np.load(job["out"]) as kept:
    answers["gone on"] = kept["sums"]
net = caffe.Net(job["deploy"], job["weights"], caffe.TEST)
net.params["lstm1"][0].data[...] = np.nan
net.save(job["out"] + ".caffemodel")
diverged = job | {"weights": job["out"] + ".caffemodel", "out": job["out"] + "-diverged.npz"}
kept = score.Scores(pathlib.Path(diverged["out"]), diverged, 6, 3)
kept.sums[:] = np.nan  # by an lrcn that scored on
kept.save(6)
try:
    score.run(diverged)
except ValueError as error:
    told["diverged"] = str(error)
np.savez(sys.argv[3], **answers)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("lengths") / "data", np.random.default_rng(0)
    folder.mkdir()
    index = [Video(f"v{frames}", "abc"[v % 3], v % 3, frames) for v, frames in enumerate(FRAMES)]
    for modality in ("rgb", "flow"):
        with store.ImageWriter(folder, modality) as writer:
            for video in index:
                images = rng.integers(0, 256, (video.images(modality), 24, 32, 3), dtype=np.uint8)
                pngs = [cv2.imencode(".png", image)[1].tobytes() for image in images]
                writer.add(video.name, video.label, pngs, 24, 32)
    write_text(folder / "videos.tsv", index_text(index))
    write_text(folder / "test1.txt", list_text(index))
    about = {"name": "lengths", "kind": "frames", "classes": list("abc"), "mirror": True, "splits": [1]}
    write_json(folder / "dataset.json", about | {"height": 24, "width": 32})
    return folder


def clips_of(folder, modality, negation):
    """{(video, first image): (T, crops, 3, 20, 20)} of every clip, each once: every 4 images, the last 8 where 8 do not
    remain, the last image again where there are fewer."""
    dataset, clips = Dataset(folder), {}
    for v, frames in enumerate(FRAMES):
        first = 2 if modality == "flow" else 1
        jpegs = [dataset.jpeg(modality, f"v{frames}", number) for number in range(first, frames + 1)]
        images = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1).astype(np.float64) for jpeg in jpegs]
        for at in range(0, len(images), STRIDE):
            start = at if at + T < len(images) else max(len(images) - T, 0)
            clip = [images[min(start + t, len(images) - 1)] for t in range(T)]
            clips[v, first + start] = np.array([crops_of(image, t, modality, negation) for t, image in enumerate(clip)])
    return clips


def crops_of(image, t, modality, negation):
    crops = []
    for mirror in (False, True):
        for row, column in ((0, 0), (0, 12), (4, 0), (4, 12), (2, 6)):
            piece = image[row : row + 20, column : column + 20]
            piece = piece[:, ::-1].copy() if mirror else piece.copy()
            negated = t * CROPS + len(crops) >= 5 if negation else mirror
            if modality == "flow" and negated:
                piece[..., 2] = 255 - piece[..., 2]
            crops.append(((piece - PIXELS["mean"]) * PIXELS["scale"]).transpose(2, 0, 1))
    return crops


def test_scores_equal_those_of_clips_that_go_whole_through_the_net_and_no_frame_goes_twice(data, tmp_path):
    jobs, whole, nets = {}, {}, {}
    for name, row, modality, negation in (
        ("rgb", "lrcn-fc6", "rgb", None),
        ("flow", "lrcn-fc7", "flow", None),
        ("released", "lrcn-fc6", "flow", "rows-6-up"),
    ):
        nets[name] = catalogue.get(f"activity/{row}-{modality}").files(**SIZES)["deploy"]
        write_text(tmp_path / f"{name}.prototxt", to_text(nets[name]))
        weights = write_variant_weights(tmp_path / f"{name}.caffemodel", f"activity/{row}-{modality}", SIZES, 0.5)
        jobs[name] = PIXELS | {"data": str(data), "list": "test1.txt", "modality": modality, "frames": T}
        jobs[name] |= {"clips": CLIPS, "strides": [STRIDE], "workers": 2, "labels": [0] * len(FRAMES)}
        jobs[name] |= {"keep_clips": True, "gpu": None, "deploy": str(tmp_path / f"{name}.prototxt")}
        jobs[name] |= {"weights": str(weights), "out": str(tmp_path / f"{name}.npz")}
        jobs[name] |= {"flow_negation": negation} if negation else {}
        whole[name] = clips_of(data, modality, negation)
    write_json(tmp_path / "jobs.json", jobs)
    np.savez(tmp_path / "whole.npz", **{name: np.array(list(clips.values())) for name, clips in whole.items()})
    command = [sys.executable, "-c", IN_CAFFE, *(tmp_path / each for each in ("jobs.json", "whole.npz", "out.npz"))]
    done = subprocess.run(command, env=Compute().engine.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    calls, answers = json.loads(done.stdout.splitlines()[-1]), np.load(tmp_path / "out.npz")

    for name, clips in whole.items():
        kept = np.load(tmp_path / f"{name}.npz")
        assert list(zip(kept["clip_video"].tolist(), kept["clip_first"].tolist())) == list(clips)
        tolerance = rounding(summands(nets[name]), 155 * 0.02)  # a scaled pixel; the weights are below 1
        np.testing.assert_allclose(kept["clip_probs"], answers[name], rtol=0, atol=tolerance)
        assert np.ptp(answers[name], axis=0).max() > 20 * tolerance  # the clips count
        ways = {
            (v, first + min(t, FRAMES[v] - first), jobs[name].get("flow_negation") and t == 0)
            for v, first in clips
            for t in range(T)
        }
        cnn, lstm = ([call for call in calls[name] if call[side] is None] for side in (0, 1))
        assert len(cnn) == -(-len(ways) // (T * CLIPS)) and len(lstm) == -(-len(clips) // CLIPS)
        assert len(calls[name]) == len(cnn) + len(lstm) and {call[0] for call in lstm} == {"reshape-data"}
    np.testing.assert_array_equal(answers["gone on"], answers["whole"])
    assert 0 < len(calls["gone on"]) < len(calls["rgb"])
    assert calls["diverged"].endswith(
        "-cut.npz.caffemodel: gives scores that are no numbers, as of a training that diverged"
    )
