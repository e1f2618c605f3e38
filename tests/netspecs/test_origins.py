"""Where the value of each setting comes from: every one says it, and what it says of the release is true."""

import re

import pytest

from netspecs import caption, catalogue, origins, published
from netspecs.sources import Field, Ours, Paper, Script
from prototxt_gen import to_text
from prototxt_gen.text import read

SCRIPTS = {"sequence_input_layer.py", "classify_video.py"}  # of the authors', beside their prototxt
TEXTS = {path: to_text(message) for path, message in published.files().items()}

# Every net in each of its trainings: the splits differ in the lists alone.
EVERY = [
    (variant.name, edition)
    for variant in catalogue.variants()
    for edition in variant.every_edition().values()
    if edition.get("split", 1) == 1
]


def line_of(path, field):
    """The text of a field in the authors' file, read by its line; None where it is not written there."""
    source = read(TEXTS[path], "solver" if "solver" in path else "net")
    name, index, rest = re.fullmatch(r"([\w-]+)(?:\[(\d+)\])?\.?(.*)", field).groups()
    lines = TEXTS[path].splitlines()
    layers = [number for number, layer in enumerate(getattr(source.message, "layer", [])) if layer.name == name]
    places = [("layer", layers[int(index or 0)], rest)] if index and layers else [("layer", n, rest) for n in layers]
    for place in places or [(field,)]:
        text = lines[source.line(*place) - 1].strip()
        if re.search(rf"\b{re.findall(r'[a-z_]+', place[-1])[-1]}: ", text):
            return text
    return None


@pytest.mark.parametrize("name, edition", EVERY, ids=[" ".join([name, *map(str, ed.values())]) for name, ed in EVERY])
def test_every_setting_says_where_it_is_from(name, edition):
    variant = catalogue.get(name)
    told = origins.origins(variant, edition)
    assert told.keys() == variant.table.keys()
    files = variant.released(variant.namespace(**edition))
    for setting, origin in told.items():
        source = variant.table[setting].source
        assert origin.value == origin.published == variant.settings(**edition)[setting] and not origin.cause
        assert origin.where and "\n" not in origin.text
        if isinstance(source, Paper):
            assert re.match(r"(section|Table) \d", source.where) and origin.text == f"paper: {source.where}"
        elif isinstance(source, Ours):
            assert origin.text == f"ours: {source.why}" and source.why
        elif isinstance(source, Script):
            assert source.file in SCRIPTS and origin.kind == "release"
        else:
            assert isinstance(source, Field) and (origin.file, origin.field) == (files[source.file].path, source.path)
            assert origin.kind == ("ours" if files[source.file].instead else "release")
            assert "this net's own" not in origin.where


def of_the_release():
    """Each field of the release that a setting names, with what it is to say."""
    facts = {}
    for name, edition in EVERY:
        variant = catalogue.get(name)
        files = variant.released(variant.namespace(**edition))
        for setting, value in variant.settings(**edition).items():
            source = variant.table[setting].source
            if isinstance(source, Field) and "*" not in source.path:
                facts[files[source.file].path, source.path, setting] = value if source.value is None else source.value
    return facts


def test_the_release_says_what_its_fields_are_said_to_say():
    """Read line by line from the authors' files; what is not written there is Caffe's default."""
    defaults = {"type": "SGD", "stepvalue": [], "iter_size": 1, "clip_gradients": -1, "average_loss": 1}
    defaults |= {"device_id": 0, "scale": 1, "shuffle": False, "expose_hidden": False, "test_iter": []}
    facts = of_the_release()
    assert len(facts) > 300
    for (path, field, setting), value in facts.items():
        text, last = line_of(path, field), re.findall(r"[a-z_]+", field)[-1]
        if text is None:
            assert value == defaults[last], (path, field)
            continue
        said = re.findall(rf'\b{last}: "?([^" ]+)', text)
        index = int(field[-2]) if last == "dim" and not field.startswith("input") else 0
        if field.startswith("input_shape"):
            index = int(field[-2])
        if isinstance(value, bool):
            value = str(value).lower()
        assert said[index] == (value if isinstance(value, str) else f"{value:g}"), (path, field, setting)


def test_the_widths_are_those_of_the_released_convolutions():
    for name, path in (
        ("activity/lrcn-fc6-rgb", "LRCN_activity_recognition/train_test_lstm_RGB.prototxt"),
        ("caption/lrcn-2f", "coco_caption/lrcn.prototxt"),
        ("caption/lrcn-2f-vgg16", "coco_caption/lrcn.vgg.prototxt"),
    ):
        conv = r'name: "(conv\w+)"\n.*?convolution_param \{\n    num_output: (\d+)'
        widths = dict(re.findall(conv, TEXTS[path], re.S))
        assert list(map(int, widths.values())) == catalogue.get(name).defaults["widths"]
        assert origins.origins(catalogue.get(name), {})["widths"].text.startswith(f"release: {path}: conv")


@pytest.mark.parametrize(
    "name, settings, setting, text",
    [
        ("activity/lrcn-fc6-flow", {}, "clip_gradients", "release: {A}/lstm_solver_flow.prototxt: clip_gradients"),
        ("activity/single-frame-rgb", {}, "batch", "release: {A}/train_test_singleFrame_RGB.prototxt: data[0]."),
        ("activity/lrcn-fc6-rgb", {}, "iter_size", "release: {A}/lstm_solver_RGB.prototxt: iter_size, left out there"),
        ("activity/lrcn-fc6-rgb", {}, "height", "release: sequence_input_layer.py: "),
        ("activity/single-frame-flow", {}, "height", "ours: "),
        ("activity/single-frame-flow", {}, "device_id", "ours: which GPU is the machine's matter; the released solver"),
        ("activity/lrcn-fc7-rgb", {}, "drop7", "ours: neither release nor paper has it for LRCN-fc7"),
        ("activity/lrcn-fc7-rgb", {}, "units", "ours: LRCN-fc7 was not released; as LRCN-fc6: {A}/train_test_lstm_RGB"),
        ("activity/lrcn-fc6-rgb", {}, "backbone", "paper: section 4.1"),
        ("caption/lrcn-1u", {}, "stepsize", "release: {C}/lrcn_solver.single_layer.prototxt: stepsize"),
        ("caption/lrcn-2f", {"stage": "from-lm"}, "stepsize", "release: {C}/lrcn_solver.from_lm.prototxt: stepsize"),
        ("caption/lrcn-2f-vgg16", {"stage": "finetune"}, "streams", "release: {C}/lrcn.vgg.buffer_50.prototxt: data."),
        ("caption/lrcn-2f-vgg16", {"stage": "from-lm"}, "stepsize", "ours: no VGG-16 from a language model"),
        ("caption/lrcn-1u", {"stage": "finetune"}, "stepsize", "ours: LRCN-1u's was not released; as LRCN-2f: {C}/"),
        ("lm/lstm-lm", {}, "base_lr", "release: {C}/lstm_lm_solver.prototxt: base_lr"),
        (
            "video/decoder-prob",
            {},
            "units",
            "ours: no net of this task was released; as image description's: {C}/lrcn.",
        ),
        *(("video/encoder-decoder-max", {}, size, "ours: not in the paper") for size in ("slots", "slot_words")),
        ("video/decoder-max", {}, "vocabulary", "ours: not in the paper"),
    ],
)
def test_where_some_are_from(name, settings, setting, text):
    folders = {"A": "LRCN_activity_recognition", "C": "coco_caption"}
    assert origins.origins(catalogue.get(name), settings)[setting].text.startswith(text.format(**folders))


def test_what_is_set_otherwise_is_told_from_what_comes_with_it():
    told = origins.origins(catalogue.get("activity/lrcn-fc6-rgb"), {"backbone": "tiny", "units": 512, "videos": 24})
    assert {name: (each.value, each.published, each.cause) for name, each in told.items() if each.cause} == {
        "backbone": ("tiny", "hybrid", "set"),
        "units": (512, 256, "set"),
        "crop": (56, 227, "comes with backbone=tiny"),
        "height": (64, 240, "comes with backbone=tiny"),
        "width": (80, 320, "comes with backbone=tiny"),
        "scale": (0.02, 1.0, "comes with backbone=tiny"),
        "widths": ([16, 32, 48], [96, 384, 512, 512, 384], "comes with backbone=tiny"),
        "fc6": (128, 4096, "comes with backbone=tiny"),
        "fc7": (128, 4096, "comes with backbone=tiny"),
    }


def test_a_variant_of_ones_own_says_where_it_leaves_the_release():
    told = origins.origins(caption.variant("3f", "vgg16", units=512), {"stage": "finetune"})
    place = "coco_caption/lrcn.vgg.buffer_50.prototxt: lstm1.recurrent_param.num_output"
    assert told["units"].text == f"ours: this net's own; {place} says 1000"
    assert told["embedding"].kind == "release"
