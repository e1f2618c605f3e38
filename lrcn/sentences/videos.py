"""Trained nets of video description against a data set's sentences: what `lrcn evaluate video/*` does (Table 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.whole_files import read_json
from lrcn.engine.compute import Compute
from lrcn.sentences import describe, metrics
from lrcn.sentences.captioner import Captioner
from lrcn.sentences.evaluate import Search, about, extent, measure, names_digest, part_images, sentences, titled
from lrcn.trained_net import TrainedNet, digest

PAIR = ("object", "motion")  # truths that are reported together too: what a video shows, whatever else is said of it


def evaluate_videos(dataset, nets: Sequence[TrainedNet], out: Path, options: Search, compute: Compute) -> dict:
    """{"dataset", "evaluation", "models", "notes"} of results.json: a sentence of each video against all of its own,
    and by level of detail where there are several ("by_detail": {detail: metrics}).

    Raises DataError, SpecError, CaffeError.
    """
    videos = part_images(dataset, options.part)
    captions: dict[str, list[str]] = {}
    models: dict[str, dict] = {}
    for net in nets:
        of = {"weights": digest(net.weights), "videos": names_digest(videos)}
        inputs = describe.of_dataset(dataset, net.variant, net.settings, [video.file for video in videos])
        arrays = inputs.values() if isinstance(inputs, dict) else [inputs]
        of["given"] = hashlib.sha1(b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)).hexdigest()
        with Captioner.of(net, compute.engine, compute.gpu) as captioner:
            path = net.folder / f"sentences{options.suffix or '_test'}.json"
            tell = titled(compute.progress, net.row)
            captions[net.row] = sentences(captioner, inputs, options, path, of, tell)
        models[net.row] = {"weights": of["weights"]}
    measured, notes = measure(dataset, videos, captions, options, out, compute.progress, [PAIR])
    for name, by_level in _by_detail(dataset, videos, captions, options, notes).items():
        measured[name]["by_detail"] = by_level
    return {
        "dataset": extent(dataset, options.part, videos),
        "evaluation": about(options),
        "models": {name: models[name] | measured[name] for name in models},
        "notes": list(dict.fromkeys(notes)),
    }


def _by_detail(dataset, videos, captions: dict[str, list[str]], options: Search, notes: list[str]) -> dict[str, dict]:
    """{name: {level of detail: metrics}} where the data set has several levels."""
    details = {each["file"]: each["detail"] for each in read_json(dataset.folder / "captions.json")["images"]}
    levels = sorted({details[video.file] for video in videos})
    measured: dict[str, dict] = {}
    for name, texts in captions.items() if len(levels) > 1 else ():
        measured[name] = {}
        for level in levels:
            chosen = [at for at, video in enumerate(videos) if details[video.file] == level]
            scores = metrics.score(
                {at: texts[at] for at in chosen}, {at: videos[at].captions for at in chosen}, options.tokens
            )
            notes += scores.pop("notes")
            measured[name][level or "other"] = scores
    return measured
