"""Scores of trained nets, what follows from them, and the files that hold it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from pathlib import Path

import numpy as np

from data_prep.features import read_sequences
from data_prep.store import write_text
from lrcn import score
from lrcn.train import TrainError, digest, end_with_parent, explain

MODALITIES = ("rgb", "flow")
AVERAGES = {"average_1/2_1/2": 1 / 2, "average_1/3_2/3": 1 / 3}  # weight of RGB


def score_stage(stage, settings, files, weights, out, engine, gpu=None, progress=None) -> np.ndarray:
    """Mean softmax (videos, frames, classes) of the test videos of one trained net; goes on where an earlier call
    stopped. Raises TrainError."""
    from prototxt_gen import to_text

    out = Path(out)
    deploy = out / "deploy_evaluate.prototxt"
    write_text(deploy, to_text(files["deploy"]))
    seen = clip_data(files["train_test"])
    if not seen:  # features
        frames, clips = settings["frames"], settings["videos"]
    elif stage.model == "single-frame":
        frames, clips = 1, settings["frames"] * settings["deploy_clips"]
    else:
        frames, clips = settings["frames"], settings["deploy_clips"]
    job = {
        "deploy": str(deploy.resolve()),
        "weights": str(Path(weights).resolve()),
        "sha256": digest(weights),
        "data": settings["data"],
        "list": f"test{settings['split']}.txt",
        "frames": frames,
        "clips": clips,
        **{key: seen.get(key) for key in ("modality", "crop", "height", "width", "mirror", "mean", "scale")},
        "gpu": gpu,
        "out": str((out / "scores.npz").resolve()),
    }
    write_text(out / "job.json", json.dumps(job, indent=1) + "\n")
    log = out / "logs" / "evaluate.log"
    with log.open("w") as kept:
        child = subprocess.Popen(
            [sys.executable, "-m", "lrcn.score", str(out / "job.json")],
            stdout=subprocess.PIPE,
            stderr=kept,
            text=True,
            env={**os.environ, **engine.environment()},
            preexec_fn=end_with_parent,
        )
        for line in child.stdout:
            done, total = map(int, line.split())
            if progress:
                progress(f"{stage.folder}: test videos", done, total)
        status = child.wait()
    if status:
        raise TrainError(explain(deque(log.read_text(errors="replace").splitlines(), maxlen=400), status, log))
    return score.load(job["out"])


def clip_data(train_test) -> dict:
    """What the net was shown: the settings of its ClipData layer; empty where it reads features."""
    return next(
        (
            json.loads(layer.python_param.param_str)
            for layer in train_test.layer
            if layer.python_param.layer == "ClipData"
        ),
        {},
    )


def test_labels(dataset, split: int) -> np.ndarray:
    """The classes of the test videos, (videos,)."""
    if dataset.kind == "features":
        return read_sequences(dataset.folder, "test")[1]
    return np.array([video.label for video in dataset.videos(split, "test")])


def git_revision() -> str | None:
    """The revision of the lrcn that runs, with "+" where files differ from it; None where it is no checkout."""
    here = Path(__file__).parent
    answer = subprocess.run(
        ["git", "-C", here, "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
        capture_output=True,
        text=True,
    )
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def measure(probs: np.ndarray, labels: np.ndarray, classes: list[str]) -> dict:
    """Accuracy in percent, per class and over all videos, and the confusion matrix (row: true class, column: answer),
    of scores (videos, classes)."""
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, probs.argmax(1)), 1)
    return {
        "accuracy": round(100 * np.trace(confusion) / len(labels), 2),
        "videos": len(labels),
        "per_class": {
            name: round(100 * confusion[i, i] / max(confusion[i].sum(), 1), 2) for i, name in enumerate(classes)
        },
        "confusion": confusion.tolist(),
    }


def measure_model(scores: dict[str, np.ndarray], labels: np.ndarray, classes: list[str]) -> dict:
    """The measures of each modality in `scores` {"rgb": (videos, frames, classes), ...} and, where both are there, of
    their averages p RGB + (1 - p) flow."""
    flat = {modality: probs.mean(1) for modality, probs in scores.items()}
    if set(MODALITIES) <= flat.keys():
        flat |= {name: p * flat["rgb"] + (1 - p) * flat["flow"] for name, p in AVERAGES.items()}
    return {name: measure(probs, labels, classes) for name, probs in flat.items()}


def draw_confusion(measured: dict, classes: list[str], title: str, path: Path) -> None:
    """The confusion matrix as a PNG: rows are the true classes, in percent of each."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shares = np.array(measured["confusion"], float)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    side = max(4.5, 0.22 * len(classes))
    figure, axes = plt.subplots(figsize=(side + 1, side))
    image = axes.imshow(100 * shares, cmap="viridis", vmin=0, vmax=100)
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=7)
    axes.set_yticks(range(len(classes)), classes, fontsize=7)
    if len(classes) <= 12:
        for row, column in np.ndindex(shares.shape):
            axes.text(
                column,
                row,
                f"{100 * shares[row, column]:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="black" if shares[row, column] > 0.6 else "white",
            )
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    axes.set_title(f"{title}: {measured['accuracy']:.1f} %")
    figure.colorbar(image, label="percent of the class's videos")
    figure.tight_layout()
    part = path.with_suffix(".part")
    figure.savefig(part, dpi=110, format="png")
    plt.close(figure)
    part.replace(path)
