"""Folders as `lrcn train` and `lrcn evaluate` leave them, made up for the report."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np

from lrcn.activity.evaluate import summarise
from netspecs import catalogue
from prototxt_gen import to_text

ENGINE = {"root": "/engine", "source": "pypi", "version": "brocolli-caffe 9.0.2 sha256:c6", "blas": "OpenBLAS 0.3.21"}


def jpeg(width=40, height=30, seed=0) -> str:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return base64.b64encode(cv2.imencode(".jpg", pixels)[1].tobytes()).decode()


def activity_results(classes, videos=60, frames=4, seed=0, models=("single-frame", "lrcn-fc6")) -> dict:
    """Results of nets that are mostly right; an LRCN more often than a single frame."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(classes), videos)
    scores, hits = {}, {}
    for number, model in enumerate(models):
        length = 1 if model == "single-frame" else frames
        scores[model], hits[model] = {}, {}
        for modality in ("rgb", "flow"):
            probs = random.dirichlet(np.ones(len(classes)), (videos, length))
            probs[np.arange(videos), :, labels] += 0.1 * (number + 1) * random.random((videos, 1))
            scores[model][modality], hits[model][modality] = probs, np.full(length, 50.0)
    return {
        "task": "activity",
        "experiment": "trial",
        "dataset": {"name": "made up", "classes": list(classes), "test_videos": videos, "split": 1},
        "evaluation": {"frames": "mean", "strides": [8]},
        "engine": ENGINE,
        "gpu": None,
        "trained_on": {},
        "seed": 1701,
        "git": "0" * 40,
        **summarise(scores, hits, labels, list(classes)),
    }


def gates(steps) -> dict:
    random = np.random.default_rng(3)
    values = {name: random.random((5, len(steps))).round(3).tolist() for name in ("input", "forget", "output")}
    states = {
        name: (random.random((5, len(steps))) * 2 - 1).round(3).tolist() for name in ("candidate", "cell", "hidden")
    }
    return {
        "layer": "lstm1",
        "steps": steps,
        "units": [0, 3, 4, 7, 9],
        "weight": [1, 0.5, 0.2, 0, -1],
        **values,
        **states,
    }


def activity_examples(classes) -> dict:
    course = {"classes": list(classes[:3]), "scores": np.full((3, 16), 1 / 3).round(3).tolist()}
    answers = [{"class": name, "score": 0.3} for name in classes[:3]]
    video = {
        "name": "v_Jump_g01_c01",
        "class": classes[1],
        "why": "most wrong",
        "frames": 16,
        "fps": 25,
        "thumbnails": [{"frame": number, "jpeg": jpeg(seed=number)} for number in (1, 8, 16)],
        "answers": {"lrcn-fc6": {"rgb": answers}, "single-frame": {"rgb": answers}},
        "over_time": {"lrcn-fc6": {"rgb": course}, "single-frame": {"rgb": course}},
        "gates": {"lrcn-fc6": gates([str(number) for number in range(1, 17)])},
    }
    return {"task": "activity", "videos": [video]}


def caption_results() -> dict:
    generation = {
        "BLEU-1": 0.9,
        "BLEU-2": 0.8,
        "BLEU-3": 0.7,
        "BLEU-4": 0.6,
        "METEOR": 0.4,
        "ROUGE-L": 0.8,
        "CIDEr": 3.1,
    }
    found = {"R@1": 50.0, "R@5": 90.0, "R@10": 95.0, "median_rank": 1.0, "mean_rank": 1.2, "of": 20}
    row = {
        "generation": generation,
        "retrieval": {"image_to_caption": found, "caption_to_image": found},
        "truth": {"object": 0.9, "size": 0.5, "all": 0.5},
    }
    return {
        "task": "caption",
        "experiment": "trial-captions",
        "dataset": {"name": "made up captions", "part": "test", "images": 20, "captions": 100, "vocabulary": 41},
        "evaluation": {"beam": 1, "length": 50, "tokens": "plain", "retrieval_images": 20, "retrieval_captions": 100},
        "engine": ENGINE,
        "gpu": None,
        "seed": 1701,
        "git": None,
        "models": {"lrcn-2f": row, "1nn-fc7": {"generation": generation}},
    }


def caption_examples(caption="a small red cup", references=("a large red cup", "a cup")) -> dict:
    said = {
        "caption": caption,
        "words": [["a", 0.9], ["small", 0.41], ["red", 0.8], ["cup", 0.7], ["<EOS>", 0.99]],
        "beams": [[-1.2, caption], [-2.5, "a cup"]],
        "metrics": {"CIDEr": 1.5},
        "truth": {"object": True, "size": False},
    }
    image = {
        "name": "1.jpg",
        "file": "1.jpg",
        "jpeg": jpeg(),
        "references": list(references),
        "captions": {"lrcn-2f": said},
    }
    return {
        "task": "caption",
        "images": [image | {"why": why} for why in ("best", "worst", "first")],
        "retrieval": {
            "caption_to_image": [
                {"model": "lrcn-2f", "query": "a cup", "image": "1.jpg", "rank": 2}
                | {"top": [["2.jpg", 1.5, False], ["1.jpg", 1.2, True]]}
            ],
            "image_to_caption": [
                {"model": "lrcn-2f", "query": "1.jpg", "rank": 1, "top": [["a cup", 1.5, True], ["a dog", 1.2, False]]}
            ],
        },
        "jpegs": {"1.jpg": jpeg(seed=1), "2.jpg": jpeg(seed=2)},
    }


def write_run(folder: Path, name="activity/lrcn-fc6-rgb", iterations=40, **settings) -> Path:
    """A training that came to its end, but for its weights, which a report does not read."""
    variant = catalogue.get(name)
    settings = variant.settings(**{"max_iter": iterations} | settings)
    (folder / "logs").mkdir(parents=True)
    (folder / "snapshots").mkdir()
    files = variant.files(**settings)
    for kind in ("train_test", "deploy", "solver"):
        (folder / f"{kind}.prototxt").write_text(to_text(files[kind]))
    note = {"variant": name, "settings": settings, "classes": ["A", "B"], "fps": None, "flow": None}
    (folder / "stage.json").write_text(json.dumps(note))
    (folder / "devices.json").write_text(json.dumps([{"from": 0, "gpu": None}]))
    lines = []
    for iteration in range(0, iterations, 10):
        clock = f"I1127 10:00:{iteration:02d}.000000 1 solver.cpp:1]"
        lines += [
            f"{clock} Iteration {iteration}, Testing net (#0)",
            f"{clock}     Test net output #0: accuracy = {0.5 + iteration / 100}",
            f"{clock} Iteration {iteration} (10 iter/s, 1s/10 iters), loss = {2 - iteration / 40}",
            f"{clock}     Train net output #0: loss = {2 - iteration / 40} (* 1 = {2 - iteration / 40} loss)",
            f"{clock} Iteration {iteration}, lr = 0.001",
        ]
    (folder / "logs" / "from-0000000.log").write_text("\n".join(lines) + "\n")
    return folder


def write(folder: Path, results: dict, examples: dict | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results))
    if examples is not None:
        (folder / "examples.json").write_text(json.dumps(examples))
    return folder
