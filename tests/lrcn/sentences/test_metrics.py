"""Generation metrics by hand and against the libraries, COCO's files, and nearest neighbours."""

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError
from lrcn.sentences import metrics
from lrcn.sentences.java import Meteor, java
from prototxt_gen import SpecError

SAID = {1: "the cat sat on the mat", 2: "a dog runs"}
TRUE = {1: ["the cat is on the mat", "there is a cat on the mat"], 2: ["a dog runs fast", "the dog is running"]}
needs_java = pytest.mark.skipif(not java(), reason="no Java")


def test_bleu_by_hand():
    found = metrics.score(SAID, TRUE, meteor=False)
    # Of 9 words 8 are in a reference ("sat" is not); of 7 pairs "the cat", "on the", "the mat", "a dog", "dog runs";
    # of 5 triples "on the mat", "a dog runs"; no four. References of 6 and 4 words are closest: 9 words against 10.
    short = math.exp(1 - 10 / 9)
    expected = [8 / 9, (8 / 9 * 5 / 7) ** (1 / 2), (8 / 9 * 5 / 7 * 2 / 5) ** (1 / 3)]
    for n, value in enumerate(expected, 1):
        assert found[f"BLEU-{n}"] == pytest.approx(short * value, abs=1e-6)
        assert found[f"BLEU-{n} (NLTK)"] == pytest.approx(short * value, abs=1e-6)
    assert found["BLEU-4"] < 1e-3 and found["BLEU-4 (NLTK)"] < 1e-3
    assert found["METEOR"] is None and found["images"] == 2


def test_rouge_and_cider_by_hand():
    found = metrics.score(SAID, TRUE, meteor=False)

    def f(precision, recall):  # beta 1.2
        return (1 + 1.44) * precision * recall / (recall + 1.44 * precision)

    # "the cat on the mat" is common to the first, "a dog runs" to the second.
    assert found["ROUGE-L"] == pytest.approx((f(5 / 6, 5 / 6) + f(1, 3 / 4)) / 2)
    firsts = {key: texts[:1] for key, texts in TRUE.items()}
    same = metrics.score({key: texts[0] for key, texts in firsts.items()}, firsts, meteor=False)
    assert same["CIDEr"] == pytest.approx(10)
    for name in [f"BLEU-{n}{library}" for n in range(1, 5) for library in ("", " (NLTK)")] + ["ROUGE-L"]:
        assert same[name] == pytest.approx(1, abs=1e-6)


def grams(lines, n):
    return {tuple(line[at : at + n]) for line in lines for at in range(len(line) - n + 1)}


sentences = st.lists(st.sampled_from("a b c d e".split()), min_size=4, max_size=9)


@given(st.lists(st.tuples(sentences, st.lists(sentences, min_size=1, max_size=5)), min_size=1, max_size=8))
def test_both_libraries_agree(pairs):
    """On captions of four words or more; of n-grams that match nowhere only the trace of a constant is left."""
    said, expected = dict(enumerate(a for a, _ in pairs)), dict(enumerate(b for _, b in pairs))
    found = metrics.score_tokens(said, expected, meteor=False)
    for n in range(1, 5):
        matches = any(grams([said[key]], n) & grams(expected[key], n) for key in said)
        ours, theirs = found[f"BLEU-{n}"], found[f"BLEU-{n} (NLTK)"]
        assert ours == pytest.approx(theirs, abs=1e-6 if matches else 1e-2)
        assert matches or theirs < 1e-6


def test_captions_that_are_odd():
    odd = {1: "", 2: "con", 3: 'chó | ||| \t "quoted" $1 ' + "word " * 200}
    true = {1: ["a dog"], 2: ["Một con chó."], 3: ["a ||| b", "chó quoted"]}
    found = metrics.score(odd, true)
    assert all(0 <= found[name] <= 1 for name in found if name[:4] in ("BLEU", "ROUG"))
    assert metrics.words("Một con CHÓ's “áo”, 3-4 con!") == ["một", "con", "chó's", "áo", "3", "4", "con"]
    assert metrics.words("हिन्दी के शब्द।") == ["हिन्दी", "के", "शब्द"]
    assert metrics.words("áo") == metrics.words("a\u0301o")
    assert metrics.words(string.punctuation) == []


@needs_java
def test_meteor_and_treebank_tokens():
    true = {key: [texts[0]] for key, texts in TRUE.items()}
    same = metrics.score({key: texts[0] for key, texts in TRUE.items()}, true)
    assert same["METEOR"] == pytest.approx(1, abs=0.01) and not same["notes"]
    other = metrics.score(SAID, true)
    assert 0.2 < other["METEOR"] < 0.95
    treebank = metrics.score(SAID, TRUE, tokens="ptb", meteor=False)
    plain = metrics.score(SAID, TRUE, meteor=False)
    assert treebank.pop("tokens") == "ptb" and plain.pop("tokens") == "plain"
    assert treebank == plain  # of words alone they are the same


def test_without_java_it_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(Meteor, "of_process", Meteor)
    found = metrics.score(SAID, TRUE)
    assert found["METEOR"] is None and "Java" in found["notes"][0]
    with pytest.raises(SpecError, match="Java"):
        metrics.tokenise(TRUE, "ptb")
    with pytest.raises(SpecError, match="did you mean 'plain'"):
        metrics.tokenise(TRUE, "plane")


def test_images_must_be_the_same():
    with pytest.raises(DataError, match="image 3 has a caption and no references"):
        metrics.score(SAID | {3: "x"}, TRUE)
    with pytest.raises(DataError, match="1 of 2 images have no caption, 2 for one"):
        metrics.score({1: "x"}, TRUE)
    with pytest.raises(DataError, match="no caption"):
        metrics.score({}, {})


@pytest.mark.parametrize("text", ["", " .!? ", "\U0001f600"])
def test_references_without_a_word(text):
    with pytest.raises(DataError, match="no reference of the 2 images has a word"):
        metrics.score(SAID, {1: [text], 2: [text, ""]}, meteor=False)
    assert metrics.score({1: text, 2: ""}, TRUE, meteor=False)["BLEU-1"] < 1e-6


def test_several_captions_an_image_are_averaged():
    """By hand: of the first captions every word is in a reference, of the second none, of the third (an image has two
    alone, and the first again) those of one image; brevity costs nothing."""
    captions = {1: ["the cat is on the mat", "x x x x x x", "y y y y y y"], 2: ["a dog runs fast", "z z z z"]}
    scores = metrics.score_all(captions, TRUE, meteor=False)
    assert scores["averaged"] == 3 and scores["images"] == 2 and scores["METEOR"] is None and scores["notes"] == []
    assert scores["BLEU-1 (NLTK)"] == pytest.approx((1 + 0 + 4 / 10) / 3)
    assert scores["ROUGE-L"] == pytest.approx((1 + 0 + 1 / 2) / 3)
    alone = {key: texts[:1] for key, texts in captions.items()}
    once = metrics.score({key: texts[0] for key, texts in captions.items()}, TRUE, meteor=False)
    assert metrics.score_all(alone, TRUE, meteor=False) == once | {"averaged": 1}
