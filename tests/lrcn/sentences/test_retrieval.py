"""Retrieval: ranks by hand and by sorting, normalisation, and the scores against the net's own words one by one."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from data_prep import DataError
from lrcn import engine
from lrcn.engine.compute import Compute
from lrcn.sentences import retrieval
from lrcn.sentences.captioner import Captioner
from netspecs import catalogue
from prototxt_gen import to_text
from tests.lrcn.sentences.small_nets import NETS, REPLAY, WORDS, features, trained_net, write_variant_weights
from tests.rounding import rounding, summands


def test_a_case_by_hand():
    scores = np.array([[5.0, 1.0, 3.0, 4.0, 0.0], [9.0, 2.0, 1.0, 5.0, 7.0], [6.0, 0.0, 2.0, 1.0, 8.0]])
    ranks = retrieval.rank(scores, [0, 0, 1, 1, 2])
    assert ranks.captions.tolist() == [1, 3, 1]  # image 1: captions 0 and 4 come before its caption 3
    assert ranks.images.tolist() == [3, 2, 3, 1, 1]
    found = ranks.results()
    assert found["image_to_caption"] == pytest.approx(
        {"R@1": 66.6667, "R@5": 100, "R@10": 100, "median_rank": 1, "mean_rank": 5 / 3, "of": 5}
    )
    assert found["caption_to_image"] == pytest.approx(
        {"R@1": 40, "R@5": 100, "R@10": 100, "median_rank": 2, "mean_rank": 2, "of": 3}
    )


@st.composite
def problems(draw):
    images = draw(st.integers(1, 6))
    owners = draw(st.permutations(list(range(images)) + draw(st.lists(st.integers(0, images - 1), max_size=8))))
    # Few different scores, so that many are equal.
    scores = draw(arrays.arrays(np.float64, (images, len(owners)), elements=st.integers(-3, 3).map(float)))
    return scores, list(owners)


@given(problems())
def test_ranks_are_the_places_in_a_stable_sort(problem):
    scores, owners = problem
    ranks = retrieval.rank(scores, owners)
    for image, row in enumerate(scores):
        order = sorted(range(len(owners)), key=lambda c: -row[c])
        assert ranks.captions[image] == 1 + min(order.index(c) for c, owner in enumerate(owners) if owner == image)
    for c, owner in enumerate(owners):
        order = sorted(range(len(scores)), key=lambda i: -scores[i, c])
        assert ranks.images[c] == 1 + order.index(owner)


@given(problems(), st.integers(1, 40))
def test_blocks_change_nothing(problem, block):
    scores, owners = problem
    whole, normal = retrieval.rank(scores, owners), scores.copy()
    retrieval.normalise(normal)
    before = retrieval.BLOCK
    retrieval.BLOCK = block
    try:
        parts, again = retrieval.rank(scores, owners), scores.copy()
        retrieval.normalise(again)
    finally:
        retrieval.BLOCK = before
    assert (parts.captions == whole.captions).all() and (parts.images == whole.images).all()
    assert again == pytest.approx(normal)


@given(problems(), st.integers(0, 10**6))
def test_ranks_do_not_depend_on_what_normalising_takes_away(problem, seed):
    """A number of its own is added to each caption's scores: its probability under any image. After normalising it is
    gone."""
    scores, owners = problem
    likely = scores + np.random.default_rng(seed).uniform(-2000, 0, scores.shape[1])
    retrieval.normalise(scores)
    retrieval.normalise(likely)
    assert likely == pytest.approx(scores, abs=1e-8)
    assert np.exp(scores).mean(0) == pytest.approx(np.ones(scores.shape[1]))
    assert (
        retrieval.rank(scores.round(6), owners).images.tolist()
        == retrieval.rank(likely.round(6), owners).images.tolist()
    )


def test_a_perfect_net_and_a_blind_one():
    owners = np.repeat(np.arange(40), 5)
    perfect = np.where(np.arange(40)[:, None] == owners, 0.0, -1.0)
    found = retrieval.rank(perfect, owners).results()
    assert all(found[way]["R@1"] == 100 and found[way]["median_rank"] == 1 for way in found)
    blind = retrieval.rank(np.zeros((40, 200)), owners).results()["caption_to_image"]
    assert (blind["R@10"], blind["median_rank"]) == (25, 20.5)


def test_what_makes_no_sense_is_refused():
    for owners, said in (
        ([0, 1], "2 owners for 3"),
        ([0, 1, 2], "image 2"),
        ([0, 0, -1], "image -1"),
        ([0, 0, 0], "1 of 2 images"),
    ):
        with pytest.raises(DataError, match=said):
            retrieval.rank(np.zeros((2, 3)), owners)
    with pytest.raises(DataError, match="not a number"):
        retrieval.rank(np.full((1, 1), np.nan), [0])


def test_what_is_written(tmp_path):
    ranks = retrieval.rank(np.array([[1.0, 2.0], [3.0, 0.0]]), [0, 1])
    retrieval.write(tmp_path / "out", ranks, ["a.jpg", "b.jpg"], [["một", "chó"], ["two"]], [0, 1])
    assert (tmp_path / "out" / "retrieval_images.tsv").read_text() == "image\trank\na.jpg\t2\nb.jpg\t2\n"
    assert (tmp_path / "out" / "retrieval_captions.tsv").read_text(encoding="utf-8").splitlines()[1:] == [
        "a.jpg\t2\tmột chó",
        "b.jpg\t2\ttwo",
    ]
    assert json.loads((tmp_path / "out" / "retrieval.json").read_text()) == ranks.results()


SCORE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import caffe, numpy as np
from replay import next_word
net = caffe.Net(sys.argv[2], sys.argv[3], caffe.TEST)
print(json.dumps([[sum(next_word(net, {"image_features": image}, words[:t])[word] for t, word in enumerate(words))
                   for words in json.loads(sys.argv[5])] for image in np.load(sys.argv[4])]))
"""


@pytest.mark.engine
@pytest.mark.parametrize("streams", [2, 5, 100])
def test_scores_equal_a_direct_computation(tmp_path, streams):
    name = "caption/lrcn-2f"
    weights, fc8 = write_variant_weights(tmp_path / "net.caffemodel", name, NETS[name]), features(3)
    captions = [
        ["a", "dog", "on", "grass"],
        ["a", "dog"],
        ["runs"],
        ["a", "dog", "runs", "quickly"],
        ["con", "chó"],
        ["a", "dog", "on", "grass"],
    ]
    owners = [0, 1, 2, 0, 1, 2]
    np.save(tmp_path / "fc8.npy", fc8)
    carried = catalogue.get(name).files(vocabulary=len(WORDS) + 1, deploy_streams=1, **NETS[name])["deploy"]
    (tmp_path / "carried.prototxt").write_text(to_text(carried))
    with Captioner.of(trained_net(name, weights, NETS[name]), Compute(), streams=streams) as captioner:
        scores, ranks = retrieval.retrieve(captioner, fc8, captions, owners)
        given_words = [captioner.indices(words) for words in captions]
    assert given_words[3][-1] == 1  # <unk>
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SCORE,
            REPLAY.parent,
            tmp_path / "carried.prototxt",
            weights,
            tmp_path / "fc8.npy",
            json.dumps(given_words),
        ],
        capture_output=True,
        text=True,
        env=engine.find().environment() | {"GLOG_minloglevel": "2"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    log_p = np.array(json.loads(done.stdout))
    assert log_p.shape == (3, 6) and np.ptp(log_p, 0).min() > 1e-2
    expected = log_p - np.log(np.exp(log_p).mean(0))
    tolerance = rounding(summands(carried, 4), 3)  # the largest fc8; weights are below 1
    assert scores == pytest.approx(expected, abs=tolerance)
    assert (ranks.captions == retrieval.rank(expected, owners).captions).all()
