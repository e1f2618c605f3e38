"""The perplexity of a trained language model on validation captions against NLTK's bigram model (Kneser-Ney,
interpolated) and unigram model (add-one), on the same words.

    lrcn train lm/lstm-lm ... ; lrcn evaluate lm/lstm-lm ...
    python benchmarks/perplexity.py --data data/flickr8k --run runs/flickr8k

A word that the vocabulary has not counts as <unk>; the end of a sentence counts as a word; for each model it is
exp(-L / (words + sentences)).
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from pathlib import Path

from nltk.lm import KneserNeyInterpolated
from nltk.lm.preprocessing import padded_everygram_pipeline

from data_prep import vocabulary

END = "</s>"


def sentences(data: Path, split: str, words: set[str]) -> list[list[str]]:
    images = json.loads((data / "captions.json").read_text(encoding="utf-8"))["images"]
    return [
        [word if word in words else vocabulary.UNKNOWN for word in vocabulary.split(caption)]
        for image in images
        if image["split"] == split
        for caption in image["captions"]
    ]


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--data", type=Path, required=True, help="The captions' data set.")
    parse.add_argument("--run", type=Path, required=True, help="What `lrcn evaluate lm/lstm-lm` filled: its --out.")
    asked = parse.parse_args()
    measured = json.loads((asked.run / "results_lm.json").read_text())["models"]["lstm-lm"]["perplexity"]["val"]
    known = set(vocabulary.read(asked.data / "vocabulary.txt"))
    train, val = sentences(asked.data, "train", known), sentences(asked.data, "val", known)
    total = sum(len(said) + 1 for said in val)
    if total != measured["words"] + measured["captions"]:
        raise SystemExit(f"{asked.run}: was evaluated on other captions than {asked.data} has")

    counts = Counter(word for said in train for word in [*said, END])
    seen = sum(counts.values()) + len(known) + 1
    unigram = -sum(math.log((counts[word] + 1) / seen) for said in val for word in [*said, END])

    bigrams = KneserNeyInterpolated(2)
    bigrams.fit(*padded_everygram_pipeline(2, train))
    after = {}  # NLTK recounts at every question
    lost = 0.0
    for said in val:
        for pair in zip(["<s>", *said], [*said, END]):
            if pair not in after:
                after[pair] = math.log(max(bigrams.score(pair[1], [pair[0]]), 1e-12))
            lost -= after[pair]
    print(
        f"{len(val)} captions, {total} words with their ends; perplexity of lstm-lm {measured['perplexity']:.1f}, "
        f"bigrams {math.exp(lost / total):.1f}, unigrams {math.exp(unigram / total):.1f}"
    )


if __name__ == "__main__":
    main()
