"""How good generated captions are (paper, Tables 3 and 4), by the libraries in which the field computes it: BLEU of
pycocoevalcap and, beside it, of NLTK; CIDEr, ROUGE-L and METEOR of pycocoevalcap.

The two BLEUs are the same but for captions too short to have an n-gram (NLTK counts one in vain for each), and where
nothing at all matches (NLTK says 0, pycocoevalcap some ten-thousandths).
"""

from __future__ import annotations

import math
import unicodedata
import warnings
from collections.abc import Mapping
from functools import lru_cache

from data_prep import DataError
from lrcn.sentences.java import JavaError, Meteor, treebank_tokens
from prototxt_gen import SpecError, nearest

TOKENS = ("plain", "ptb")


# ---- tokens ------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    """The words of a sentence in any script, lower-cased, without punctuation; an apostrophe inside a word stays."""
    text = unicodedata.normalize("NFC", text).lower()
    kept = [
        letter
        if _in_word(letter)
        or (letter in "'’" and 0 < at < len(text) - 1 and _in_word(text[at - 1]) and _in_word(text[at + 1]))
        else " "
        for at, letter in enumerate(text)
    ]
    return "".join(kept).split()


@lru_cache(maxsize=4096)
def _in_word(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LMN"


def tokenise(captions: Mapping, way: str = "plain") -> dict:
    """{id: [sentence, ...]} -> {id: [words, ...]}: "plain" as `words`, or "ptb", as COCO's evaluation does, by the Penn
    Treebank's tokeniser in Java. SpecError where that fails, or no such way."""
    if way == "plain":
        return {key: [words(text) for text in texts] for key, texts in captions.items()}
    if way != "ptb":
        raise SpecError(f"there are no tokens '{way}', only {' and '.join(TOKENS)}{nearest(way, TOKENS)}")
    texts = [text for each in captions.values() for text in each]
    try:
        tokens = iter(treebank_tokens(texts))
    except JavaError as error:
        raise SpecError(f"tokens 'ptb', the Penn Treebank's, cannot be had: {error}; 'plain' needs no Java") from None
    return {key: [next(tokens) for _ in each] for key, each in captions.items()}


# ---- the metrics -------------------------------------------------------------------------------------------


def score(captions: Mapping, references: Mapping, tokens: str = "plain", meteor: bool = True) -> dict:
    """Metrics of {id: caption} against {id: its references}, as fractions of 1 (CIDEr: of 10):

    {"images", "tokens", "BLEU-1" to "BLEU-4", "BLEU-1 (NLTK)" to "BLEU-4 (NLTK)", "ROUGE-L", "CIDEr", "METEOR",
    "notes": lines for the user}. METEOR is None where there is no Java or it fails, and a note says so.

    Raises DataError where captions and references are not of the same images, or no reference has a word; SpecError as
    `tokenise`.
    """
    unknown, left = captions.keys() - references.keys(), references.keys() - captions.keys()
    if unknown:
        raise DataError(
            f"image {min(unknown, key=str)} has a caption and no references"
            f"{f' (and {len(unknown) - 1} more)' if len(unknown) > 1 else ''}"
        )
    if left or not captions:
        raise DataError(
            f"{len(left)} of {len(references)} images have no caption"
            f"{f', {min(left, key=str)} for one' if left else ''}; every image is scored"
        )
    caption_words = {key: one for key, [one] in tokenise({key: [captions[key]] for key in captions}, tokens).items()}
    reference_words = tokenise({key: references[key] for key in captions}, tokens)
    if not any(any(each) for each in reference_words.values()):
        raise DataError(f"no reference of the {len(captions)} images has a word; give references with words")
    return {"images": len(captions), "tokens": tokens, **score_tokens(caption_words, reference_words, meteor)}


def score_all(captions: Mapping, references: Mapping, tokens: str = "plain", meteor: bool = True) -> dict:
    """Metrics of several captions an image, {id: its captions}: the mean over their first ones, their second ones and
    so on, each scored as `score` does; an image that has fewer goes through its own again. "averaged": how many.

    So the paper has the BLEU of its nearest neighbours; how it is averaged over images it does not say."""
    most = max(map(len, captions.values()))
    turns = [{key: texts[turn % len(texts)] for key, texts in captions.items()} for turn in range(most)]
    scores = [score(turn, references, tokens, meteor) for turn in turns]
    mean = scores[0] | {"notes": list(dict.fromkeys(note for each in scores for note in each["notes"]))}
    for name in [name for name, value in mean.items() if isinstance(value, float) or name == "METEOR"]:
        values = [each[name] for each in scores]
        mean[name] = None if None in values else math.fsum(values) / most
    return mean | {"averaged": most}


def score_tokens(captions: Mapping, references: Mapping, meteor: bool = True) -> dict:
    """The metrics of `score` of words: {id: words}, {id: [words, ...]}, of the same images."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    results = {key: [" ".join(captions[key])] for key in captions}
    truths = {key: [" ".join(each) for each in references[key]] for key in captions}
    scores = {f"BLEU-{n}": value for n, value in enumerate(Bleu(4).compute_score(truths, results, verbose=0)[0], 1)}
    scores |= {f"BLEU-{n} (NLTK)": value for n, value in enumerate(bleu_nltk(captions, references), 1)}
    scores["ROUGE-L"] = Rouge().compute_score(truths, results)[0]
    scores["CIDEr"] = Cider().compute_score(truths, results)[0]
    scores = {name: float(value) for name, value in scores.items()} | {"METEOR": None, "notes": []}
    if meteor:
        scores["METEOR"], note = _meteor(results, truths)
        scores["notes"] += [note] if note else []
    return scores


def score_each(captions: Mapping, references: Mapping, tokens: str = "plain") -> dict:
    """{id: {"CIDEr", "BLEU-4", "ROUGE-L"}} of each caption, captions and references as `score` takes them. CIDEr's
    n-grams are weighed by all references; its mean and ROUGE-L's are those of `score`, BLEU's is not."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    results = {
        key: [" ".join(words) for words in each]
        for key, each in tokenise({key: [captions[key]] for key in captions}, tokens).items()
    }
    tokenised = tokenise({key: references[key] for key in captions}, tokens)
    truths = {key: [" ".join(words) for words in each] for key, each in tokenised.items()}
    columns = {
        "CIDEr": Cider().compute_score(truths, results)[1],
        "BLEU-4": Bleu(4).compute_score(truths, results, verbose=0)[1][3],
        "ROUGE-L": Rouge().compute_score(truths, results)[1],
    }
    return {key: {name: float(values[k]) for name, values in columns.items()} for k, key in enumerate(results)}


def bleu_nltk(captions: Mapping, references: Mapping) -> list[float]:
    """BLEU 1 to 4 of a corpus, with the brevity penalty, as NLTK has them."""
    from nltk.translate.bleu_score import corpus_bleu

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a number is 0 shows in it
        values = corpus_bleu(
            [references[key] for key in captions],
            [captions[key] for key in captions],
            weights=[(1.0,), (1 / 2,) * 2, (1 / 3,) * 3, (1 / 4,) * 4],
        )
    return [float(value) for value in values]


def _meteor(results: dict, truths: dict) -> tuple[float | None, str]:
    """METEOR 1.5 for English, or None and why."""
    try:
        return Meteor.of_process().score([text for [text] in results.values()], [truths[key] for key in results]), ""
    except JavaError as error:
        return None, f"METEOR was not computed: {error}"
