"""The perplexity of a trained language model on validation captions against NLTK's bigram model (Kneser-Ney,
interpolated) and unigram model (add-one), on the same words.

    python benchmarks/perplexity.py [--data data/flickr8k --run runs/flickr8k]    # lrcn train and evaluate lm/lstm-lm

Without them a small model learns the demo's captions first, which are of few words and simple.

A word that the vocabulary has not counts as <unk>; the end of a sentence counts as a word; for each model it is
exp(-L / (words + sentences)).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections import Counter
from pathlib import Path

from nltk.lm import KneserNeyInterpolated
from nltk.lm.preprocessing import padded_everygram_pipeline
from rows import Row, main

from data_prep import captions, demo, vocabulary
from lrcn.training.job import open_job

END = "</s>"
SMALL = {"units": 100, "max_iter": 400, "stepsize": 300, "snapshot": 0, "display": 0}


def sentences(data: Path, split: str, words: set[str]) -> list[list[str]]:
    images = json.loads((data / "captions.json").read_text(encoding="utf-8"))["images"]
    return [
        [word if word in words else vocabulary.UNKNOWN for word in vocabulary.split(caption)]
        for image in images
        if image["split"] == split
        for caption in image["captions"]
    ]


def trained(folder: Path) -> tuple[Path, Path]:
    """A data set of the demo's captions, and a small language model that has learnt them."""
    demo.write_pictures(folder / "pictures")
    images = captions.read_captions(folder / "pictures" / "captions.json")
    options = captions.SentenceOptions(steps=demo.STEPS, streams=demo.STREAMS)
    data = captions.prepare("demo", images, folder / "data", options, with_images=False)
    job = open_job("lm/lstm-lm", data, folder / "run", settings=SMALL)
    job.train()
    job.evaluate()
    return data, folder / "run"


def measure(asked: argparse.Namespace) -> list[Row]:
    if not (asked.data and asked.run):
        with tempfile.TemporaryDirectory() as folder:
            return compared(*trained(Path(folder)))
    return compared(asked.data, asked.run)


def compared(data: Path, run: Path) -> list[Row]:
    measured = json.loads((run / "results_lm.json").read_text())["models"]["lstm-lm"]["perplexity"]["val"]
    known = set(vocabulary.read(data / "vocabulary.txt"))
    train, val = sentences(data, "train", known), sentences(data, "val", known)
    total = sum(len(words) + 1 for words in val)
    if total != measured["words"] + measured["captions"]:
        raise SystemExit(f"{run}: was evaluated on other captions than {data} has")
    what, ours = f"perplexity of lstm-lm, {len(val)} captions", measured["perplexity"]
    others = {"NLTK's bigrams, Kneser-Ney": bigrams(train, val), "unigrams": unigrams(train, val, known)}
    goals = dict(zip(others, ("at least 1.2", "at least 2")))
    return [Row(what, ours, "", name, other, other / ours, goals[name]) for name, other in others.items()]


def unigrams(train: list[list[str]], val: list[list[str]], known: set[str]) -> float:
    """The perplexity of counted words, one added to each."""
    counts = Counter(word for words in train for word in [*words, END])
    seen = sum(counts.values()) + len(known) + 1
    ends = [word for words in val for word in [*words, END]]
    return math.exp(-sum(math.log((counts[word] + 1) / seen) for word in ends) / len(ends))


def bigrams(train: list[list[str]], val: list[list[str]]) -> float:
    model = KneserNeyInterpolated(2)
    model.fit(*padded_everygram_pipeline(2, train))
    after: dict[tuple[str, str], float] = {}  # NLTK recounts at every question
    pairs = [pair for words in val for pair in zip(["<s>", *words], [*words, END])]
    for pair in pairs:
        if pair not in after:
            after[pair] = math.log(max(model.score(pair[1], [pair[0]]), 1e-12))
    return math.exp(-sum(after[pair] for pair in pairs) / len(pairs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the captions' data set")
    parser.add_argument("--run", type=Path, help="what `lrcn evaluate lm/lstm-lm` filled: its --out")
    main(measure, parser)
