"""Beam search, sampling and scoring against every sentence there is, on nets small enough to list them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrcn.sentences import decoding

VOCABULARY = 3


class Table:
    """A net that remembers all words: a row of random scores for every prefix and image, which also checks that the
    search hands each stream the state that its words lead to."""

    def __init__(self, seed, scale=2.0, vocabulary=VOCABULARY):
        self.seed, self.scale, self.vocabulary, self.prefixes = seed, scale, vocabulary, None
        self.passes = 0

    def scores(self, image, prefix):
        rng = np.random.default_rng([self.seed, image, *(word + 1 for word in prefix)])
        return rng.normal(0, self.scale, self.vocabulary)

    def log_probs(self, image, prefix):
        scores = self.scores(image, prefix)
        return scores - np.log(np.exp(scores).sum())

    def __call__(self, words, rows, images):
        self.passes += 1
        if rows is None:
            assert not np.any(words)
            self.prefixes = [()] * len(words)
        else:
            self.prefixes = [self.prefixes[row] + (int(word),) for row, word in zip(rows, words)]
        return np.array([self.scores(image, prefix) for image, prefix in zip(images, self.prefixes)], np.float32)

    def total(self, image, sentence):
        return sum(self.log_probs(image, sentence[:t])[word] for t, word in enumerate(sentence))

    def every(self, image, length):
        """{sentence: log probability} of all that end, or are cut off at `length`."""
        whole = [(*words, 0) for n in range(length) for words in itertools.product(range(1, self.vocabulary), repeat=n)]
        whole += list(itertools.product(range(1, self.vocabulary), repeat=length))
        return {sentence: self.total(image, sentence) for sentence in whole}


def sentences(found, image):
    return [tuple(words[:count].tolist()) for words, count in zip(found.words[image], found.counts[image]) if count]


def plain_beam(net, image, width, length):
    """The published rule, a beam after the other."""
    beams = [((), 0.0)]
    while any(len(words) < length and (not words or words[-1]) for words, _ in beams):
        grown = []
        for words, total in beams:
            if len(words) == length or words and words[-1] == 0:
                grown.append((words, total))
            else:
                log_probs = net.log_probs(image, words)
                grown += [((*words, word), total + log_probs[word]) for word in np.argsort(-log_probs)[:width].tolist()]
        beams = sorted(grown, key=lambda beam: -beam[1])[:width]
    return beams


seeds = st.integers(0, 10**6)


@given(seeds, st.integers(1, 3), st.integers(1, 7), st.integers(1, 6))
@settings(max_examples=60)
def test_a_beam_is_what_the_published_rule_gives(seed, images, width, length):
    net = Table(seed)
    found = decoding.beam(net, images, width, length)
    assert net.passes <= length
    for image in range(images):
        expected = plain_beam(net, image, width, length)
        assert sentences(found, image) == [words for words, _ in expected]
        for n, (words, total) in enumerate(expected):
            assert found.log_probs[image, n].sum() == pytest.approx(total, abs=1e-5)
            steps = [net.log_probs(image, words[:t])[word] for t, word in enumerate(words)]
            assert found.log_probs[image, n, : len(words)] == pytest.approx(steps, abs=1e-5)


@given(seeds)
@settings(max_examples=20)
def test_a_beam_as_wide_as_the_language_finds_all_of_it(seed):
    net, length = Table(seed), 4
    every = net.every(0, length)
    found = decoding.beam(net, 1, 50, length)
    assert sentences(found, 0) == sorted(every, key=every.get, reverse=True)
    assert not found.counts[0, len(every) :].any()


def test_a_sentence_that_ends_at_once_and_one_that_never_does():
    def always(word):
        def step(words, rows, images):
            scores = np.zeros((len(words), 4), np.float32)
            scores[:, word] = 30
            return scores

        return step

    for width in (1, 3):
        ended = decoding.beam(always(0), 2, width, 50)
        assert sentences(ended, 1)[0] == (0,)
        endless = decoding.beam(always(2), 2, width, 50)
        assert sentences(endless, 0)[0] == (2,) * 50


def test_predictions_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        decoding.beam(lambda words, rows, images: np.full((len(words), 3), np.nan, np.float32), 1, 2, 5)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 2.0])
def test_samples_come_as_often_as_their_probability_says(temperature):
    net, count, length = Table(4, scale=1.0), 20000, 3
    tempered = Table(4, scale=1.0)
    tempered.scores = lambda image, prefix: temperature * Table.scores(net, image, prefix)
    rows = {}

    def step(words, before, images):  # each prefix is worked out once
        net.prefixes = (
            [()] * len(words)
            if before is None
            else [(*net.prefixes[row], int(word)) for row, word in zip(before, words)]
        )
        for key in set(zip(images.tolist(), net.prefixes)) - rows.keys():
            rows[key] = net.scores(*key)
        return np.array([rows[key] for key in zip(images.tolist(), net.prefixes)], np.float32)

    found = decoding.sample(step, 2, count, length, temperature, seed=1)
    for image in range(2):
        said = sentences(found, image)
        exact = {sentence: np.exp(total) for sentence, total in tempered.every(image, length).items()}
        assert sum(exact.values()) == pytest.approx(1)
        seen = {sentence: said.count(sentence) for sentence in exact}
        assert sum(seen.values()) == count  # nothing else was said
        # Chi-squared with as many degrees of freedom as sentences less one: mean df, deviation sqrt(2 df).
        chi = sum((seen[s] - count * p) ** 2 / (count * p) for s, p in exact.items())
        freedom = len(exact) - 1
        assert chi < freedom + 5 * np.sqrt(2 * freedom)
        totals = found.log_probs[image].sum(1)
        assert (np.diff(totals) <= 1e-12).all()
        assert totals == pytest.approx([net.total(image, sentence) for sentence in said], abs=1e-5)


def test_infinite_temperature_is_greedy_and_draws_do_not_depend_on_the_batch():
    net = Table(7)
    greedy, drawn = decoding.beam(net, 4, 1, 6), decoding.sample(net, 4, 3, 6, np.inf, 0)
    for image in range(4):
        assert sentences(drawn, image) == sentences(greedy, image) * 3
    whole = decoding.sample(net, 4, 3, 6, 1.0, 5)

    def from_second(words, rows, images):
        return net(words, rows, images + 2)

    part = decoding.sample(from_second, 2, 3, 6, 1.0, 5, first=2)
    assert all(sentences(part, image) == sentences(whole, image + 2) for image in range(2))
    assert sentences(whole, 0) != sentences(decoding.sample(net, 4, 3, 6, 1.0, 6), 0)


def test_draws_are_the_same_however_high_a_step_s_scores_lie():
    """The softmax takes no notice of what is added to all of its inputs: no exponential may overflow, or vanish."""
    net = Table(7)

    def lifted(words, rows, images):
        return (net(words, rows, images) + np.where(np.arange(len(words)) % 2, 512, -512)[:, None]).astype(np.float32)

    # 512 and -512 leave float32 four decimals of a score: enough for the same words
    plain, high = (decoding.sample(step, 3, 4, 6, 1.0, 5) for step in (net, lifted))
    assert [sentences(plain, image) for image in range(3)] == [sentences(high, image) for image in range(3)]


def test_captions_go_through_the_net_together_and_it_is_said_how_far_they_are():
    net, said = Table(3), []
    given_words = [[1, 2, 0], [1, 1], [2], [1, 2, 2]]
    decoding.score(net, 3, given_words, 100, tell=lambda done, total: said.append((done, total)))
    assert net.passes == 3 and said == [(12, 12)]  # a pass a word of the longest
    net, said = Table(3), []
    decoding.score(net, 3, given_words, 2, tell=lambda done, total: said.append((done, total)))
    assert [done for done, _ in said] == sorted({done for done, _ in said}) and said[-1] == (12, 12)
    assert all(total == 12 for _, total in said) and said[0][0] < 12


captions = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=5), max_size=12)


@given(seeds, st.integers(1, 4), captions, st.integers(1, 9))
@settings(max_examples=60)
def test_scores_of_given_captions(seed, images, said, streams):
    net, widest = Table(seed), 0

    def step(words, rows, of):
        nonlocal widest
        widest = max(widest, len(words))
        return net(words, rows, of)

    found = decoding.score(step, images, said, streams, floor=-np.inf)
    expected = [[net.total(image, tuple(caption)) for caption in said] for image in range(images)]
    assert found.shape == (images, len(said))
    assert found == pytest.approx(np.array(expected).reshape(found.shape), abs=1e-4)
    assert widest <= streams


def test_a_word_that_cannot_be_counts_as_the_authors_count_it():
    def step(words, rows, images):
        return np.tile(np.float32([0, 200]), (len(words), 1))

    found = decoding.score(step, 1, [[0, 1], [1, 1]], 10)
    assert found[0] == pytest.approx([np.log(1e-12), 0], abs=1e-6)
