"""Diagrams: what stands in them, that nothing lies over anything else, and that the same net gives the same bytes."""

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netspecs import catalogue
from prototxt_gen import SpecError
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.diagram import draw, lay_out, svg
from prototxt_gen.shapes import infer
from tests.commands import lrcn
from tests.contrast import DARK, WHITE, contrast
from tests.prototxt_gen.smallnets import CLIP, GOOD, STATIC, layer, net


def shown(name, kind="train_test", **settings):
    variant = catalogue.get(name)
    files = variant.files(**settings)
    if kind != "train_test":
        return infer(files[kind], "TEST")
    inputs = variant.input_shapes(**settings)["train"]
    return infer(files[kind], "TRAIN", files["solver"].train_state.stage, inputs=inputs)


def named(picture, name):
    return [box for box in picture.boxes if box.lines[0].split(" ")[0] == name]


def check_nothing_overlaps(picture):
    for a, b in combinations(picture.boxes, 2):
        apart = abs(a.x - b.x) >= (a.width + b.width) / 2 - 1e-6 or a.top <= b.y + 1e-6 or b.top <= a.y + 1e-6
        assert apart, (a, b)
    for x, y, text, _ in picture.words:
        half = len(text) * 7.5 * 0.602 / 72 / 2
        for box in picture.boxes:
            assert abs(x - box.x) >= half + box.width / 2 or not box.y <= y <= box.top, (text, box)


@pytest.mark.parametrize("kind", ["train_test", "deploy"])
@pytest.mark.parametrize("name", catalogue.names())
def test_nothing_overlaps_in_the_catalogue(name, kind):
    whole, brief = (lay_out(shown(name, kind), brief) for brief in (False, True))
    check_nothing_overlaps(whole)
    check_nothing_overlaps(brief)
    assert extent(brief) < extent(whole)


def extent(picture):
    """Width."""
    return max(b.x + b.width / 2 for b in picture.boxes) - min(b.x - b.width / 2 for b in picture.boxes)


@pytest.mark.parametrize("brief", [False, True])
@pytest.mark.parametrize("name", GOOD)
def test_nothing_overlaps_in_small_nets(name, brief):
    check_nothing_overlaps(lay_out(infer(GOOD[name]), brief))


def test_a_brief_drawing_has_names_and_sizes():
    """Of LRCN: the frame, the CNN, the LSTM and what it predicts at each step, and the loss over all of them."""
    picture = lay_out(shown("activity/lrcn-fc6-rgb"), brief=True)
    column = [["data", "3x227x227"], ["conv1 to fc6", "11 layers"], ["lstm1", "LSTM 256"], ["fc8-final", "101 outputs"]]
    boxes = sorted(picture.boxes, key=lambda box: (box.y, box.x))
    assert [box.lines for box in boxes] == [lines for lines in column for _ in range(3)] + [["loss, accuracy"]]
    assert [word for _, _, word, _ in picture.words if word.startswith("t =")] == ["t = 1", "t = 2", "t = 16"]
    assert len(picture.arrows) == 3 * 4 + 4  # upwards; from the batch before, to the second, and two to the last


def test_the_picture_of_the_readme_is_what_the_command_draws(tmp_path):
    done = lrcn("nets", "show", "activity/lrcn-fc6-rgb", "--diagram", tmp_path / "lrcn.svg", "--brief")
    assert done.returncode == 0, done.stderr
    shown = Path(__file__).parents[2] / "docs" / "pictures" / "lrcn.svg"
    assert (tmp_path / "lrcn.svg").read_bytes() == shown.read_bytes()


def test_a_layer_that_reads_nothing_is_drawn_briefly():
    odd = net({}, layer("Dropout", "", "drop"), layer("Reshape", "nowhere", "reshape"))
    assert {box.lines[0] for box in lay_out(infer(odd), brief=True).boxes} == {"drop", "reshape"}


def test_activity_is_unrolled_with_its_cnn_below_each_step():
    """Figure 3: frames, CNN, LSTM, prediction, at the first, the second and the last step."""
    picture = lay_out(shown("activity/lrcn-fc6-rgb"))
    lstm, predictions, data = (named(picture, name) for name in ("lstm1", "fc8-final", "data"))
    assert len(lstm) == len(predictions) == len(data) == 3
    assert sorted(word for _, _, word, _ in picture.words if word.startswith("t =")) == ["t = 1", "t = 16", "t = 2"]
    towers = [box for box in picture.boxes if any(line.startswith("conv1 + relu1 ") for line in box.lines)]
    for low, tower, middle, high in zip(data, towers, lstm, predictions, strict=True):
        assert low.x == tower.x == middle.x == high.x
        assert low.top < tower.y < tower.top < middle.y < high.y
        assert any("fc6 + relu6 + drop6" in line and "384x4096" in line for line in tower.lines)
    (loss,) = [box for box in picture.boxes if any("SoftmaxWithLoss" in line for line in box.lines)]
    assert loss.y > predictions[0].top
    middle = lstm[0].y + lstm[0].height / 2
    level = [points for points, _, dashed in picture.arrows if all(y == middle for _, y in points) and not dashed]
    assert len(level) == 3  # 1 to 2, 2 on, and to 16
    assert any("reshape-cm" in word for _, _, word, _ in picture.words)


def test_captions_show_the_image_at_every_step():
    """Figure 4: the word below lstm1, the image into lstm2 at each step."""
    picture = lay_out(shown("caption/lrcn-2f"))
    words, lstm2 = named(picture, "input_sentence"), named(picture, "lstm2")
    assert len(words) == len(lstm2) == 3 and len(named(picture, "data")) == 1
    (tower,) = [box for box in picture.boxes if any(line.startswith("fc8 ") for line in box.lines)]
    assert tower.x < words[0].x
    into = [points[-1] for points, *_ in picture.arrows if points[0] == (tower.x, tower.top)]
    assert len(into) == 3
    for (x, y), box in zip(sorted(into), lstm2):
        assert abs(x - box.x) < box.width / 2 and y == box.y
    assert any("fc8 at every step" == word for _, _, word, _ in picture.words)
    unfactored = lay_out(shown("caption/lrcn-2u"))
    (tower,) = [box for box in unfactored.boxes if any(line.startswith("fc8 ") for line in box.lines)]
    into = [points[-1] for points, *_ in unfactored.arrows if points[0] == (tower.x, tower.top)]
    assert sorted(y for _, y in into) == [box.y for box in named(unfactored, "lstm1")]


def test_an_encoder_and_a_decoder_are_two_phases():
    picture = lay_out(shown("video/encoder-decoder-max"))
    steps = [word for _, _, word, _ in sorted(picture.words) if word.startswith("t =")]
    assert len(steps) == 4 and steps[0] == "t = 1"
    assert len(named(picture, "lstm1")) == 4
    assert len(named(picture, "slot-embedding")) == len(named(picture, "embedding")) == 2
    assert max(box.x for box in named(picture, "slot-embedding")) < min(box.x for box in named(picture, "embedding"))


def test_layers_without_time_are_drawn_once():
    picture = lay_out(shown("activity/single-frame-rgb"))
    assert len(named(picture, "conv1")) == len(named(picture, "label")) == 1
    assert named(picture, "conv1")[0].lines == ["conv1 + relu1", "Convolution  128x96x111x111", "14,208 parameters"]
    assert named(picture, "data")[0].y < named(picture, "conv1")[0].y < named(picture, "loss")[0].y


def test_a_net_of_unknown_shapes_is_drawn():
    found = infer(
        net(
            {},
            layer("HDF5Data", top="x cm s", source="away", batch_size=5),
            layer("LSTM", "x cm s", "h", num_output=7),
            layer("Softmax", "h", "p", axis=2),
        )
    )
    assert found.unknown
    picture = lay_out(found)
    check_nothing_overlaps(picture)
    assert any("?" in line for box in picture.boxes for line in box.lines)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_same_net_gives_the_same_bytes(suffix, tmp_path):
    for name in "ab":
        draw(infer(net(STATIC, layer("LSTM", "x cm s", "h", num_output=7))), tmp_path / f"{name}.{suffix}", title="net")
    first = (tmp_path / f"a.{suffix}").read_bytes()
    assert first == (tmp_path / f"b.{suffix}").read_bytes()
    assert first.startswith({"svg": b"<?xml", "png": b"\x89PNG"}[suffix]) and len(first) > 3000
    if suffix == "svg":
        assert ">LSTM\u00a0\u00a05x3x7<".encode() in first and b"s at every step" in first


def frozen_caption_net():
    files = catalogue.get("caption/lrcn-2f").files()
    inputs = catalogue.get("caption/lrcn-2f").input_shapes()["train"]
    return infer(files["train_test"], "TRAIN", ["freeze-convnet", "factored", "2-layer"], inputs=inputs)


def test_frozen_layers_and_parameters_are_named_and_our_padding_is_not():
    """The first stage of captions (paper, 5.1): the CNN up to fc7 keeps its weights, fc8 and what follows learn."""
    shapes = frozen_caption_net()
    drawn = svg(shapes, "caption/lrcn-2f, TRAIN, freeze-convnet")
    lines = [line for box in lay_out(shapes).boxes for line in box.lines]
    frozen = {line.split()[0] for line in lines if line.endswith("frozen")}
    assert frozen == {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"}
    assert "98,584,025 parameters, 56,868,224 of them frozen" in drawn and "TRAIN, freeze-convnet" in drawn
    assert "12,004,000 parameters" in lines and "padded-input" not in drawn and "input_sentence" in drawn
    alone = infer(net(CLIP, layer("LSTM", "x cm", "h", num_output=7)))
    dashed = svg(alone).count("stroke-dasharray")
    for row in alone.rows:
        if row.weights:
            for _ in row.weights:
                row.layer.param.add(lr_mult=0)
    assert svg(alone).count("stroke-dasharray") > dashed and "of them frozen" in svg(alone)


@pytest.mark.parametrize("name", ["caption/lrcn-2f", "activity/single-frame-rgb", "video/encoder-decoder-max"])
def test_svg_stands_alone_and_everything_lies_within_it(name):
    element = ElementTree.fromstring(svg(shown(name), "a <title> & more"))
    assert element.get("aria-label") == "a <title> & more"
    _, _, width, height = map(float, element.get("viewBox").split())
    for each in element.iter():
        assert not {"id", "href", "class"} & each.attrib.keys() and "url(" not in "".join(each.attrib.values())
        kind = each.tag.split("}")[1]
        if kind == "text":
            length, x = float(each.get("textLength")), float(each.get("x"))
            left = x - length / 2 * (each.get("text-anchor") == "middle")
            assert 0 <= left and left + length <= width + 0.1 and 0 < float(each.get("y")) < height
        if kind == "rect":
            assert float(each.get("x")) + float(each.get("width")) <= width
    assert set(re.findall(r"</?(\w+)", svg(shown(name)))) == {"svg", "text", "rect", "polyline", "polygon"}


@pytest.mark.parametrize("page", [WHITE, DARK])
def test_lines_are_seen_on_light_and_dark_and_letters_have_the_pages_colour(page):
    drawn = ElementTree.fromstring(svg(frozen_caption_net()))
    colours = {each.get(name) for each in drawn.iter() for name in ("fill", "stroke")} - {None, "none", "currentColor"}
    assert len(colours) > 4 and min(contrast(colour, page) for colour in colours) >= 3
    assert not any("fill" in each.attrib for each in drawn.iter() if each.tag.endswith("text"))


def test_names_of_layers_are_escaped():
    hostile = "<script>$x$\x01&\u202e"
    drawn = svg(infer(net(CLIP, layer("LSTM", "x cm", hostile, num_output=7))), hostile)
    assert "<script" not in drawn and "&lt;script&gt;" in drawn and "\x01" not in drawn
    ElementTree.fromstring(drawn)


@pytest.mark.filterwarnings("error")
def test_odd_names_are_drawn(tmp_path):
    odd = infer(net(CLIP, layer("LSTM", "x cm", "$\\frac{$ \u8d70\x01", num_output=7)))
    for suffix in "svg", "png":
        draw(odd, tmp_path / f"net.{suffix}", "$\\frac{$ \u8d70\x01")
    assert len(list(tmp_path.iterdir())) == 2


def test_boxes_one_above_the_other_are_joined_in_the_nets_order():
    """Two sources in one place: in eight pictures one of two orders by chance would show."""
    pictures = {
        repr((picture.boxes, picture.arrows)) for picture in (lay_out(infer(GOOD["neurons"])) for _ in range(8))
    }
    assert len(pictures) == 1


def test_what_cannot_be_drawn_is_said(tmp_path):
    with pytest.raises(SpecError, match=r"net.pdf: .*\.svg or \.png"):
        draw(infer(net(CLIP)), tmp_path / "net.pdf")
    with pytest.raises(SpecError, match="nothing to draw"):
        draw(infer(pb.NetParameter()), tmp_path / "net.svg")
    assert not list(tmp_path.iterdir())
