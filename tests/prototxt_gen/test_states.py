"""filter_net against the rules that Caffe documents, case by case (Caffe's own test_net.cpp has the like)."""

import pytest

from prototxt_gen import SpecError, filter_net, parse


def kept(rules: str, phase, stages=(), level=0) -> bool:
    net = parse("name: 'n' layer { name: 'always' } layer { name: 'x' " + rules + " }")
    names = [layer.name for layer in filter_net(net, phase, stages, level).layer]
    assert names[0] == "always"
    return names == ["always", "x"]


@pytest.mark.parametrize(
    "rules, phase, stages, level, expected",
    [
        ("", "TRAIN", (), 0, True),
        ("include { phase: TRAIN }", "TRAIN", (), 0, True),
        ("include { phase: TRAIN }", "TEST", (), 0, False),
        ("exclude { phase: TRAIN }", "TRAIN", (), 0, False),
        ("exclude { phase: TRAIN }", "TEST", (), 0, True),
        ("include { phase: TEST stage: 'a' }", "TEST", (), 0, False),
        ("include { phase: TEST stage: 'a' }", "TEST", ("a", "b"), 0, True),
        ("include { phase: TEST stage: 'a' }", "TRAIN", ("a",), 0, False),
        ("include { stage: 'a' stage: 'b' }", "TEST", ("a",), 0, False),
        ("include { stage: 'a' stage: 'b' }", "TEST", ("b", "a"), 0, True),
        ("include { stage: 'a' } include { stage: 'b' }", "TEST", ("b",), 0, True),
        ("include { stage: 'a' not_stage: 'b' }", "TEST", ("a",), 0, True),
        ("include { stage: 'a' not_stage: 'b' }", "TEST", ("a", "b"), 0, False),
        ("exclude { stage: 'a' } exclude { phase: TEST }", "TRAIN", (), 0, True),
        ("exclude { stage: 'a' } exclude { phase: TEST }", "TRAIN", ("a",), 0, False),
        ("exclude { stage: 'a' not_stage: 'b' }", "TRAIN", ("a", "b"), 0, True),
        ("include { min_level: 2 }", "TRAIN", (), 1, False),
        ("include { min_level: 2 }", "TRAIN", (), 2, True),
        ("include { max_level: -1 }", "TRAIN", (), 0, False),
        ("include { min_level: 1 max_level: 3 }", "TRAIN", (), 4, False),
        ("include { }", "TRAIN", (), 0, True),
        ("exclude { }", "TRAIN", (), 0, False),
    ],
)
def test_a_layer_is_in_when_its_rules_say_so(rules, phase, stages, level, expected):
    assert kept(rules, phase, stages, level) is expected


def test_both_kinds_of_rules_are_refused():
    with pytest.raises(SpecError, match="layer 'x' has include and exclude rules"):
        kept("include { phase: TRAIN } exclude { stage: 'a' }", "TRAIN")


def test_an_unknown_phase_is_refused():
    with pytest.raises(SpecError, match="did you mean 'TRAIN'"):
        kept("", "TRIAN")


def test_the_net_itself_stays_as_it_was():
    net = parse("layer { name: 'x' include { phase: TRAIN } }")
    assert len(filter_net(net, "TEST").layer) == 0
    assert len(net.layer) == 1
