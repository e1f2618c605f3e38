"""Work grows as the input does: twice the text, twice the steps; no clock is asked."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prototxt_gen import SpecError, text
from prototxt_gen.check import check
from prototxt_gen.diagram import svg
from prototxt_gen.diff import differences
from prototxt_gen.shapes import infer
from prototxt_gen.text import parse, read
from tests.prototxt_gen.work import growth

MOST = 1.25  # a square's would be 1.67


def layers(count, line, first="layer { name: 'data' type: 'Input' top: 'a' input_param { shape { dim: 1 dim: 3 } } }"):
    """A net of so many layers like `line`, in which I is the layer's number and J that of the one before."""
    return "\n".join([first, *(line.replace("I", str(i)).replace("J", str(i - 1)) for i in range(1, count + 1)), ""])


RELU = "layer { name: 'rI' type: 'ReLU' bottom: 'a' top: 'a' }"
CHAIN = "layer { name: 'bI' type: 'Flatten' bottom: 'bJ' top: 'bI' flatten_param { axis: 0 } }"
ORPHAN = "layer { name: 'rI' type: 'ReLU' bottom: 'xI' top: 'yI' }"
TWIN = "layer { name: 'one' type: 'ReLU' bottom: 'a' top: 'a' }"
BRANCH = "layer { name: 'bI' type: 'ReLU' bottom: 'a' top: 'bI' }"
STAGE = "layer { name: 'rI' type: 'ReLU' bottom: 'a' top: 'a' include { stage: 'sI' } }"
LAYERS = {
    "in place": RELU,
    "a chain": CHAIN,
    "bottoms that nothing makes": ORPHAN,
    "bottoms that the next makes": "layer { name: 'rI' type: 'ReLU' bottom: 'bI' top: 'bJ' }",
    "one name": TWIN,
    "branches": BRANCH,
    "types that are none": "layer { name: 'rI' type: 'ReluI' bottom: 'a' top: 'bI' }",
}


@pytest.mark.parametrize(
    "piece",
    [
        "strange_I: 1\n",
        "layer { nmae_I: 1 }\n",
        "layer { include { phase: TRIAN } }\n",
        "layers { type: RELUX }\n",
        "# a remark\n",
        "input: 'x' ",
        "strange { a { b: 1 } } ",
        "input_dim: [1, 2] ",
        RELU,
    ],
)
def test_reading_a_prototxt(piece):
    assert growth(lambda count: read("\n" + layers(count, piece, "")), 80) < MOST


@given(st.text(st.sampled_from("ab\\\"'# \n{}[]<>:;,-+.e1\u00a0\u2028\x0b"), max_size=60))
@example('"' + '\\"' * 200)
@example(" \n" * 200)
def test_every_letter_of_a_prototxt_is_looked_at_from_one_place(letters):
    assert "".join(match[0] for match in text._TOKEN.finditer(letters)) == letters


@pytest.mark.parametrize("line", LAYERS.values(), ids=LAYERS)
def test_the_shapes_of_many_layers(line):
    def work(count):
        svg(infer(nets[count], "TEST"))

    nets = {count: parse("\n" + layers(count, line)) for count in (60, 120, 180)}
    assert growth(work, 60) < MOST


@pytest.mark.parametrize("line", LAYERS.values(), ids=LAYERS)
def test_what_differs_between_many_layers(line):
    def work(count):
        differences(*nets[count])

    nets = {}
    for count in 40, 80, 120:
        one = layers(count, line)
        nets[count] = parse("\n" + one), parse("\n" + one.replace("name: '", "name: 'new-"))
    assert growth(work, 40) < MOST


@pytest.mark.parametrize("line", [*LAYERS.values(), STAGE], ids=[*LAYERS, "stages"])
def test_checking_many_layers(line, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["prototxt_gen.check"], "_LAYERS", 1000)

    def work(count):
        check(tmp_path / f"{count}.prototxt")

    for count in 60, 120, 180:
        (tmp_path / f"{count}.prototxt").write_text(layers(count, line))
    assert growth(work, 60) < MOST


def test_a_chain_of_labels_is_followed_without_recursion(tmp_path):
    data = (
        "layer { name: 'd' type: 'Input' top: 'a' top: 'b0' input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }"
    )
    loss = "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'a' bottom: 'b2000' top: 'loss' }\n"
    (tmp_path / "net.prototxt").write_text(layers(2000, CHAIN, data) + loss)
    assert check(tmp_path / "net.prototxt", "TEST").findings == []
    doubled = CHAIN.replace("Flatten", "Concat").replace("bottom: 'bJ'", "bottom: 'bJ' bottom: 'bJ'")
    (tmp_path / "net.prototxt").write_text(layers(60, doubled, data) + loss.replace("b2000", "b60"))
    assert check(tmp_path / "net.prototxt", "TEST").findings  # 2**60 ways lead to the label


@pytest.mark.parametrize("opening", ["strange { ", "layer { strange { ", "layer < convolution_param { strange < "])
def test_messages_within_messages_are_bounded(opening):
    close = {"{": "} ", "<": "> "}
    closing = "".join(close[mark] for mark in reversed(opening) if mark in close)
    deep = 100 // len(closing.split())
    assert read("\n" + opening * deep + closing * deep).unknown
    with pytest.raises(SpecError, match="stand too deep within one another"):
        read("\n" + opening * (deep + 1) + closing * (deep + 1))
    with pytest.raises(SpecError, match="stand too deep within one another"):
        read("\n" + opening * 100_000)
