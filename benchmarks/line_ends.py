"""The scores of captions that hold what Java takes for the end of a line, against those of the same captions without.

    python benchmarks/line_ends.py --tokens Flickr8k.token.txt --images Flickr_8k.devImages.txt

Of each image the first caption is a result and the others are its references; one result and one reference in ten has
the line end in place of its first blank. Under --tokens ptb, as COCO's evaluation counts words.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from lrcn.sentences import metrics
from readers.text import read_lines

ENDS = {
    "LF": "\n",
    "CR": "\r",
    "CR LF": "\r\n",
    "VT": "\v",
    "FF": "\f",
    "FS": "\x1c",
    "GS": "\x1d",
    "RS": "\x1e",
    "NEL": "\x85",
    "LS": "\u2028",
    "PS": "\u2029",
}
SHOWN = ("BLEU-1", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--tokens", type=Path, required=True, help="Flickr8k.token.txt")
    parse.add_argument("--images", type=Path, required=True, help="Flickr_8k.devImages.txt")
    asked = parse.parse_args()
    by_image = defaultdict(list)
    for line in read_lines(asked.tokens, SystemExit):
        name, _, caption = line.partition("\t")
        by_image[name.partition("#")[0]].append(caption)
    captions = [by_image[name] for name in read_lines(asked.images, SystemExit) if name in by_image]
    print("line end  " + "  ".join(f"{name:>8}" for name in SHOWN))
    for name, end in {"none": " ", **ENDS}.items():

        def broken(number: int, caption: str, end: str = end) -> str:
            return caption if number % 10 else caption.replace(" ", end, 1)

        results = {number: broken(number, first) for number, (first, *_) in enumerate(captions)}
        references = {
            number: [broken(number + at, caption) for at, caption in enumerate(rest)]
            for number, (_, *rest) in enumerate(captions)
        }
        scores = metrics.score(results, references, "ptb")
        print(f"{name:8}  " + "  ".join(f"{100 * scores[each]:8.4f}" for each in SHOWN), flush=True)


if __name__ == "__main__":
    main()
