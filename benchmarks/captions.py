"""The speed of caption preparation (words, vocabulary, HDF5 files and lists) against a plain loop over words with the
same output, in one run.

    python benchmarks/captions.py [--captions 500000] [--folder DIR] [--json]

Captions are drawn with words of Zipf's frequencies, 11 words on average, five an image. The loop splits each caption
with the published regular expression, counts word by word, and fills NumPy arrays number by number. What both write is
compared, to the lists and captions.json. Ours sees to it that every file is on the disk, the loop does not. Images are
not part of it: checking them is the decoder's time.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from hashlib import sha1
from pathlib import Path

import h5py
import numpy as np
from rows import Row, in_turn, main

from data_prep import captions
from data_prep.captions import FILE_ROWS, STEPS, STREAMS, Image

GOAL = "at least 8"


def draw(count: int) -> list[Image]:
    """A tenth of the images are for validation."""
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("etaoinshrdlu"), random.integers(2, 9))) for _ in range(20_000)]
    drawn = random.zipf(1.3, count * 20) % len(words)
    lengths, commas = random.integers(7, 16, count), random.random(count) < 0.1
    texts = []
    for k in range(count):
        text = " ".join([words[w] for w in drawn[20 * k : 20 * k + lengths[k]]]).capitalize()
        texts.append(text.replace(" ", ", ", 1) + "." if commas[k] else text + ".")
    return [
        Image(f"images/{k:06d}.jpg", "val" if k % 10 == 9 else "train", texts[5 * k : 5 * k + 5])
        for k in range(count // 5)
    ]


def plain(folder: Path, images: list[Image]) -> None:
    """The same files, a word at a time."""
    pattern, split, counts = re.compile(r"(\W+)"), {}, {}
    for number, image in enumerate(images):
        split[number] = []
        for caption in image.captions:
            words = [word.lower() for word in pattern.split(caption.strip()) if word.strip()]
            if words and words[-1] == ".":
                words.pop()
            words = [word.strip() for word in words]
            split[number].append(words)
            if image.split == "train":
                for word in words:
                    counts[word] = counts.get(word, 0) + 1
    ordered = ["<unk>"] + sorted((w for w, n in counts.items() if n >= 5), key=lambda w: (-counts[w], w))
    index = {word: number for number, word in enumerate(ordered, 1)}
    (folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in ordered))
    for part, splits in {"train": ["train"], "trainval": ["train", "val"], "val": ["val"]}.items():
        pairs = [(n, words) for n, image in enumerate(images) if image.split in splits for words in split[n]]
        for aligned in (True, False) if part != "trainval" else (True,):
            chosen = [pairs[k] for k in captions.order(len(pairs), STREAMS, 1701, part, aligned)]
            kind = f"aligned_{STEPS}" if aligned else "unaligned"
            written = write_plain(folder / f"{part}_{kind}_batches", images, chosen, index, aligned)
            listing = folder / f"{part}_{'captions' if aligned else 'sentences'}.txt"
            listing.write_text("".join(f"{path}\n" for path in written))
    lines = [json.dumps({"file": image.file, "split": image.split, "captions": image.captions}) for image in images]
    (folder / "captions.json").write_text('{"images": [\n' + ",\n".join(lines) + "\n]}\n")


def write_plain(place: Path, images: list[Image], chosen: list, index: dict[str, int], aligned: bool) -> list:
    place.mkdir()
    current, at, taken, written = [None] * STREAMS, [0] * STREAMS, 0, []
    while taken < len(chosen):
        rows = {name: np.zeros((FILE_ROWS, STREAMS), np.float32) for name in captions.NAMES}
        rows["input_sentence"][:] = rows["target_sentence"][:] = -1
        ended, height = [False] * STREAMS, FILE_ROWS
        for t in range(FILE_ROWS):
            for s in range(STREAMS):
                if ended[s]:
                    continue
                if current[s] is None or at[s] == len(current[s]["cont"]):
                    if taken == len(chosen):
                        ended[s] = True
                        continue
                    image, words = chosen[taken]
                    taken, at[s] = taken + 1, 0
                    ids = [index.get(word, 1) for word in words]
                    pad = max(STEPS - len(ids) - 1, 0) if aligned else 0
                    stop = STEPS if aligned else len(ids) + 1
                    name_hash = int(sha1(images[image].file.encode()).hexdigest(), 16) % 100_000
                    current[s] = {
                        "cont": ([0] + [1] * (len(ids) + pad))[:stop],
                        "cont_sentence": ([0] + [1] * len(ids) + [0] * pad)[:stop],
                        "hashed_image_path": [name_hash] * stop,
                        "input_sentence": ([0] + ids + [-1] * pad)[:stop],
                        "stage_indicators": ([1] * (len(ids) + 1) + [0] * pad)[:stop],
                        "target_sentence": (ids + [0] + [-1] * pad)[:stop],
                    }
                for name in captions.NAMES:
                    rows[name][t, s] = current[s][name][at[s]]
                at[s] += 1
            if all(ended):
                height = t
                break
        written.append(place / f"batch_{len(written)}.h5")
        with h5py.File(written[-1], "w") as file:
            for name in captions.NAMES:
                file[name] = rows[name][:height]
            file["buffer_size"] = np.array([STREAMS])
    return written


def same(ours: Path, theirs: Path) -> int:
    """Compares the files; gives how many there are."""
    for path in (
        ours / "vocabulary.txt",
        ours / "captions.json",
        *ours.glob("*_captions.txt"),
        *ours.glob("*_sentences.txt"),
    ):
        assert path.read_text() == (theirs / path.name).read_text().replace(str(theirs), str(ours)), path
    paths = sorted(path.relative_to(ours) for path in ours.rglob("*.h5"))
    assert paths == sorted(path.relative_to(theirs) for path in theirs.rglob("*.h5"))
    for path in paths:
        with h5py.File(ours / path) as a, h5py.File(theirs / path) as b:
            for name in (*captions.NAMES, "buffer_size"):
                assert np.array_equal(a[name][()], b[name][()]), (path, name)
    return len(paths)


def measure(asked: argparse.Namespace) -> list[Row]:
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        images, ours, theirs = draw(asked.captions), Path(scratch) / "ours", Path(scratch) / "plain"

        def prepare() -> None:
            captions.prepare("drawn", images, ours, with_images=False)

        def plain_loop() -> None:
            theirs.mkdir()
            plain(theirs, images)

        seconds = in_turn(prepare, plain_loop, 1)
        files = same(ours, theirs)
    rates = [asked.captions / each for each in seconds]
    against = f"a plain loop over words, which writes the same {files} files"
    return [
        Row(f"{asked.captions} captions prepared", rates[0], "captions/s", against, rates[1], rates[0] / rates[1], GOAL)
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=500_000)
    parser.add_argument("--folder", type=Path, help="where to work; on the disk that is of interest")
    main(measure, parser)
