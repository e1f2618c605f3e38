"""Pictures of what LSTMs do while they say a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.whole_files import write_arrays
from lrcn.lstm import Unrolled
from lrcn.results import gates
from lrcn.sentences.captioner import Caption
from lrcn.sentences.readable import readable


def draw(image: np.ndarray, caption: Caption, unrolled: Sequence[Unrolled], path: Path) -> None:
    """`path`, a PNG: the image (BGR), each LSTM over the words, and how likely each word was; and beside it an .npz of
    all units' numbers, LAYER_WHAT (T, H), with `words` (T,) and their log probabilities `log_probs` (T,)."""
    probabilities = {"probability of the word": np.exp(caption.log_probs).tolist()}
    columns = [
        gates.Column(each.layer, each.drawable(), [image] if not at else [], probabilities)
        for at, each in enumerate(unrolled)
    ]
    gates.unrolled(columns, readable(caption.text), "word that is said", path)
    arrays = {name: values for each in unrolled for name, values in each.arrays().items()}
    words = np.array(unrolled[0].steps, dtype=str)
    write_arrays(path.with_suffix(".npz"), arrays | {"words": words, "log_probs": np.array(caption.log_probs)})
