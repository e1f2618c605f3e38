"""The language model and the captioners, trained by the command line on small captions of a language made here."""

import csv
import json
import math
from collections import Counter

import cv2
import numpy as np
import pytest

from tests.lrcn.test_cli import lrcn, refused

COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}
SMALL = ["--set", "units=24", "embedding=24", "type=Adam", "base_lr=0.02", "lr_policy=fixed", "test_iter=1",
         "loss_weight=1", "display=5"]


def write_captions(folder, images):
    """Pictures of one colour, each with captions whose every word but the colour follows from the one before."""
    rng, entries = np.random.default_rng(0), []
    folder.mkdir()
    for number in range(images):
        colour = list(COLOURS)[number % 3]
        name = f"{number:03d}.png"
        cv2.imwrite(str(folder / name), np.full((40, 40, 3), COLOURS[colour], np.uint8))
        captions = [f"one {colour} square lies on a {rng.choice(['table', 'floor'])}" for _ in range(5)]
        entries.append({"image": name, "captions": captions, "split": "val" if number % 4 == 3 else "train"})
    (folder / "captions.json").write_text(json.dumps(entries))
    return entries


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    entries = write_captions(folder / "raw", 24)
    done = lrcn("prepare", "captions", "--captions", folder / "raw" / "captions.json", "--out", folder / "data",
                "--streams", 10, "--steps", 9, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "data", entries


def last_tested(run, column):
    with (run / "curve.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row.get(column)]
    return float(rows[-1][column])


@pytest.mark.engine
def test_the_language_model_beats_the_unigram_model(captions, tmp_path):
    data, entries = captions
    done = lrcn("train", "lm/lstm-lm", "--data", data, "--out", tmp_path / "runs", *SMALL, "max_iter=60",
                "test_interval=20", "snapshot=30", "embed_drop=0", "lstm_drop=0")
    assert done.returncode == 0, done.stderr
    words = Counter(word for entry in entries for caption in entry["captions"] for word in [*caption.split(), ""])
    total = sum(words.values())
    unigram = -sum(count / total * math.log(count / total) for count in words.values())
    columns = (tmp_path / "runs" / "lstm-lm" / "curve.csv").read_text().splitlines()[0].split(",")
    losses = [column for column in columns if "cross_entropy_loss" in column and "test" in column.lower()]
    assert losses and all(last_tested(tmp_path / "runs" / "lstm-lm", column) < 0.5 * unigram for column in losses)


@pytest.mark.engine
def test_a_captioner_trains_on_a_frozen_cnn_and_then_whole(captions, tmp_path):
    data, _ = captions
    done = lrcn("train", "caption/lrcn-2f", "--data", data, "--out", tmp_path / "runs", *SMALL, "backbone=tiny",
                "crop=32", "height=40", "width=40", "fc8=8", "max_iter=6", "snapshot=6", "test_interval=3")
    assert done.returncode == 0, done.stderr
    for folder in "lrcn-2f", "lrcn-2f-finetune":
        assert (tmp_path / "runs" / folder / "snapshots" / "net_iter_6.caffemodel").exists()
    log = (tmp_path / "runs" / "lrcn-2f-finetune" / "logs" / "from-0000000.log").read_text()
    for layer in "conv1", "lstm1", "lstm2", "predict":
        assert f"{layer}: weights taken" in log


def test_what_does_not_fit_is_refused(captions, tmp_path):
    data, _ = captions
    refused(lrcn("train", "lm/lstm-lm", "--data", data, "--rows", "lrcn-fc6", cwd=tmp_path), "--rows")
    refused(lrcn("train", "demo", "--data", data, cwd=tmp_path), "captions")
    refused(lrcn("train", "video/decoder-max", "--data", data, cwd=tmp_path), "video/*")
    refused(lrcn("evaluate", "lm/lstm-lm", "--data", data, cwd=tmp_path), "not there yet")
