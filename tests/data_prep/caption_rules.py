"""The published rules for captions, word by word and row by row: slow, and written apart from `data_prep.captions`."""

import re
import unicodedata
from hashlib import sha1

import numpy as np


def split(caption):
    caption = "".join(
        " " if c.isspace() or unicodedata.category(c) in ("Cc", "Cs") else c
        for c in unicodedata.normalize("NFC", caption)
    ).strip()
    runs = []  # (is it a word, text)
    for c in caption:
        inside = bool(re.match(r"\w", c)) or unicodedata.category(c).startswith("M") or c in "\u200c\u200d"
        if runs and runs[-1][0] == inside:
            runs[-1][1].append(c)
        else:
            runs.append((inside, [c]))
    words = ["".join(text) for _, text in runs]
    words = [word.lower() for word in words if word.strip()]
    if words and words[-1] == ".":
        words.pop()
    return [word.strip() for word in words]


def vocabulary(sentences, min_count=5):
    counts = {}
    for sentence in sentences:
        for word in sentence:
            counts[word] = counts.get(word, 0) + 1
    return ["<unk>"] + sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))


def sequences(words, file, index, steps):
    """A caption's six sequences: dataset name -> numbers; steps None: as long as it is."""
    ids = [index.get(word, 0) + 1 for word in words]
    pad = max(steps - len(ids) - 1, 0) if steps else 0
    out = {
        "stage_indicators": [1] * (len(ids) + 1) + [0] * pad,
        "cont_sentence": [0] + [1] * len(ids) + [0] * pad,
        "input_sentence": [0] + ids + [-1] * pad,
        "target_sentence": ids + [0] + [-1] * pad,
    }
    out = {name: numbers[:steps] for name, numbers in out.items()}
    length = len(out["input_sentence"])
    out["hashed_image_path"] = [int(sha1(file.encode()).hexdigest(), 16) % 100000] * length
    out["cont"] = [0] + [1] * (length - 1)
    return out


def files(captions, streams, rows):
    """Caption sequences in order -> the HDF5 files' datasets: a step at a time, a free stream takes the next caption.

    A file is ended where all streams are; none is begun once the last caption is taken.
    """
    running, at, taken, out = [None] * streams, [0] * streams, 0, []
    while taken < len(captions):
        file, ended = [], [False] * streams
        for _ in range(rows):
            row = {name: [-1 if name in ("input_sentence", "target_sentence") else 0] * streams for name in captions[0]}
            for s in range(streams):
                if ended[s]:
                    continue
                if running[s] is None or at[s] == len(running[s]["cont"]):
                    if taken == len(captions):
                        ended[s] = True
                        continue
                    running[s], at[s] = captions[taken], 0
                    taken += 1
                for name in row:
                    row[name][s] = running[s][name][at[s]]
                at[s] += 1
            if all(ended):
                break
            file.append(row)
        out.append({name: np.array([row[name] for row in file], np.float32) for name in captions[0]})
    return out
