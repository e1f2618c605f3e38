"""Which videos of an evaluation a reader is shown."""

import numpy as np

from lrcn.activity.examples import MOST, choose

A, B, C = np.eye(3)


def scores(*answers, sure=0.8):
    """Of videos, each with its answer's score so high, or as given beside it."""
    rows = [answer if isinstance(answer, tuple) else (answer, sure) for answer in answers]
    return np.stack([sure * answer + (1 - sure) / 3 for answer, sure in rows])


def test_nets_that_differ_come_first_then_what_is_most_wrong_then_what_is_right():
    labels = np.array([0, 1, 2, 0, 1, 2])
    lrcn = scores((A, 0.5), (B, 0.9), (A, 0.4), (B, 0.9), (B, 0.3), (C, 0.6))
    single = scores(B, C, C, B, B, C)
    model, column, chosen = choose({"single-frame": {"rgb": single}, "lrcn-fc6": {"rgb": lrcn}}, labels)
    assert (model, column) == ("lrcn-fc6", "rgb")
    assert chosen == [
        (1, "LRCN right, single frame wrong"),  # by the larger margin
        (0, "LRCN right, single frame wrong"),
        (2, "single frame right, LRCN wrong"),
        (3, "most wrong"),
        (5, "right"),
        (4, "right"),
    ]


def test_the_net_that_is_judged_is_the_best_of_the_last_column_and_classes_differ_where_they_can():
    labels = np.repeat([0, 1, 2], 6)
    right = scores(*[A] * 6, *[B] * 6, *[C] * 6)
    wrong = right[:, [1, 2, 0]]
    model, column, chosen = choose({"lrcn-fc6": {"rgb": wrong, "flow": right}, "lrcn-fc7": {"rgb": right}}, labels)
    assert (model, column) == ("lrcn-fc6", "flow") and len(chosen) == MOST and {why for _, why in chosen} == {"right"}
    assert [labels[v] for v, _ in chosen[:3]] == [0, 1, 2]
    fused = {"rgb": right, "flow": right, "average_1/2_1/2": right, "average_1/3_2/3": wrong}
    better = fused | {"average_1/3_2/3": right}
    assert choose({"lrcn-fc6": fused, "lrcn-fc7": better}, labels)[:2] == ("lrcn-fc7", "average_1/3_2/3")
    _, column, chosen = choose({"single-frame": {"rgb": wrong}}, labels)
    assert column == "rgb" and [why for _, why in chosen] == ["most wrong"] * 3
    assert sorted(labels[v] for v, _ in chosen) == [0, 1, 2]
