"""What docs/nets.md says of the nets is what they are."""

import re
from itertools import takewhile

import pytest

from netspecs import catalogue
from netspecs.caption import STAGES
from prototxt_gen.shapes import infer
from tests.docs import pages

PAGE = "docs/nets.md"


def rows(first):
    """The cells of the table whose title line begins so."""
    lines = iter(pages.lines(PAGE))
    next(line for line in lines if line.startswith(f"| {first} |"))
    next(lines)  # the ruling
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in takewhile(bool, lines)]


def layers(variant):
    files, inputs = variant.files(), variant.input_shapes()["train"]
    return infer(files["train_test"], "TRAIN", files["solver"].train_state.stage, inputs=inputs)


def test_the_table_has_every_net_with_its_parameters():
    said = {}
    for names, _, parameters in rows("net | in the paper"):
        name, *others = re.findall(r"`(.*?)`", names)
        said |= dict.fromkeys([name, *(name.replace("-rgb", other) for other in others)], parameters)
    there = {variant.name: f"{layers(variant).parameters / 1e6:.2f} M" for variant in catalogue.variants()}
    assert said == there


@pytest.mark.parametrize("cells", rows("net | LSTMs"), ids=lambda cells: cells[0])
def test_captioners_see_what_the_table_says(cells):
    name, count, first, second, others = cells
    bottoms = {
        row.layer.name: set(row.layer.bottom) - {"cont_sentence"}
        for row in layers(catalogue.get(f"caption/{name.strip('`')}")).rows
        if row.layer.type == "LSTM"
    }
    assert len(bottoms) == int(count)
    words = {"word": "embedded_input_sentence", "image": "fc8", "lstm1": "lstm1"}
    for layer, cell in ("lstm1", first), ("lstm2", second):
        assert {blob for word, blob in words.items() if word in cell} == bottoms.get(layer, set())
    assert bool(others) == (len(bottoms) > 2)
    assert all(bottoms[f"lstm{number}"] == {f"lstm{number - 1}"} for number in range(3, len(bottoms) + 1))


def test_stages_are_trained_as_the_table_says():
    table = rows("`stage=`")
    assert [row[0].strip("`") for row in table] == list(STAGES)
    for stage, _, _, iterations, rate in table:
        settings = catalogue.get("caption/lrcn-2f").settings(stage=stage.strip("`"))
        assert f"{settings['max_iter']:,}" == iterations and settings["gamma"] == 0.5
        assert f"{settings['base_lr']:g}, {settings['stepsize']:,}" == rate


def test_solvers_are_as_the_table_says():
    nets = [
        ["activity/single-frame-rgb", "activity/single-frame-flow"],
        ["activity/lrcn-fc6-rgb", "activity/lrcn-fc6-flow"],
    ]
    nets += [["caption/lrcn-2f"], ["lm/lstm-lm"]]
    fields = dict(zip(["iterations", "learning rate", "times", "every"], ["max_iter", "base_lr", "gamma", "stepsize"]))
    fields |= {"weight decay": "weight_decay", "gradients clipped to": "clip_gradients"}
    table = {title: cells for title, *cells in rows("| single frame, RGB and flow")}
    for title, field in fields.items():
        for cell, names in zip(table[title], nets, strict=True):
            values = dict.fromkeys(catalogue.get(name).defaults[field] for name in names)
            in_words = " and ".join("not clipped" if value < 0 else f"{value:,g}" for value in values)
            assert cell == in_words, title
