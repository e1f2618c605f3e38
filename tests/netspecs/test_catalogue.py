"""The catalogue: names, settings, and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest

from netspecs import catalogue
from prototxt_gen import SpecError, filter_net, parse, solver_states, to_text


def test_the_names():
    assert catalogue.names() == [
        "activity/single-frame-rgb",
        "activity/single-frame-flow",
        "activity/lrcn-fc6-rgb",
        "activity/lrcn-fc6-flow",
        "activity/lrcn-fc7-rgb",
        "activity/lrcn-fc7-flow",
        "caption/lrcn-1u",
        "caption/lrcn-2u",
        "caption/lrcn-2f",
        "caption/lrcn-4f",
        "caption/lrcn-1u-vgg16",
        "caption/lrcn-2u-vgg16",
        "caption/lrcn-2f-vgg16",
        "caption/lrcn-4f-vgg16",
        "lm/lstm-lm",
        "video/encoder-decoder-max",
        "video/decoder-max",
        "video/decoder-prob",
        "video/encoder-decoder-frames",
    ]


def test_what_is_known_of_each():
    known = {v.name: (v.task, v.row, v.modality, v.reads, v.mean()) for v in catalogue.variants()}
    rgb, flow, image = [103.939, 116.779, 123.68], [128, 128, 128], [104, 117, 123]  # blue, green, red
    assert known == {
        "activity/single-frame-rgb": ("activity", "single-frame", "rgb", "frames", rgb),
        "activity/single-frame-flow": ("activity", "single-frame", "flow", "frames", flow),
        "activity/lrcn-fc6-rgb": ("activity", "lrcn-fc6", "rgb", "clips", rgb),
        "activity/lrcn-fc6-flow": ("activity", "lrcn-fc6", "flow", "clips", flow),
        "activity/lrcn-fc7-rgb": ("activity", "lrcn-fc7", "rgb", "clips", rgb),
        "activity/lrcn-fc7-flow": ("activity", "lrcn-fc7", "flow", "clips", flow),
        **{
            f"caption/lrcn-{net}": ("caption", f"lrcn-{net}", None, "images", image)
            for net in ("1u", "2u", "2f", "4f", "1u-vgg16", "2u-vgg16", "2f-vgg16", "4f-vgg16")
        },
        "lm/lstm-lm": ("lm", "lstm-lm", None, "sentences", None),
        "video/encoder-decoder-max": ("video", "encoder-decoder-max", None, "slots", None),
        "video/decoder-max": ("video", "decoder-max", None, "likeliest", None),
        "video/decoder-prob": ("video", "decoder-prob", None, "probabilities", None),
        "video/encoder-decoder-frames": ("video", "encoder-decoder-frames", None, "activations", None),
    }
    assert [v.name for v in catalogue.variants("lm")] == ["lm/lstm-lm"]
    assert catalogue.get("activity/lrcn-fc6-rgb").short_name == "lrcn-fc6-rgb"
    assert catalogue.get("caption/lrcn-2f-vgg16").short_name == "lrcn-2f-vgg16"


def test_the_mean_is_that_of_the_settings():
    slip = catalogue.get("activity/single-frame-rgb").mean(mean_slip=True)
    assert slip == [103.939, 116.779, 128.68]
    assert catalogue.get("activity/lrcn-fc6-flow").mean(mean_slip=True) == [128, 128, 128]
    for name in ("activity/lrcn-fc6-rgb", "caption/lrcn-2f"):
        assert catalogue.get(name).mean(backbone="features") is None


def test_a_net_says_what_it_reads():
    decoder = catalogue.get("video/decoder-prob")
    with pytest.raises(SpecError, match="^video/decoder-new: there is no reads=slot; did you mean 'slots'\\?$"):
        dataclasses.replace(decoder, row="decoder-new", reads="slot")
    known = {field.name: getattr(decoder, field.name) for field in dataclasses.fields(decoder)}
    with pytest.raises(TypeError, match="reads"):
        type(decoder)(**{name: value for name, value in known.items() if name != "reads"})


def editions(name):
    """Settings of each edition, and of each backbone."""
    variant = catalogue.get(name)
    backbones = variant.table["backbone"].kind.choices if "backbone" in variant.table else ()
    return [*variant.every_edition().values(), *({"backbone": backbone} for backbone in backbones)]


def test_splits_and_stages_are_editions():
    assert catalogue.get("activity/lrcn-fc7-flow").every_edition() == {
        "": {"split": 1},
        "split-2": {"split": 2},
        "split-3": {"split": 3},
    }
    assert list(catalogue.get("caption/lrcn-4f-vgg16").every_edition()) == [
        "",
        "from-lm",
        "finetune",
        "finetune-trainval",
    ]
    assert catalogue.get("lm/lstm-lm").every_edition() == {"": {}}


@pytest.mark.parametrize("name", catalogue.names())
def test_every_edition_writes_and_reads_back_the_same_to_the_byte(name):
    variant = catalogue.get(name)
    for settings in editions(name):
        files, again = variant.files(**settings), variant.files(**settings)
        assert {"train_test", "deploy", "solver"} <= files.keys()
        for kind, message in files.items():
            text = to_text(message)
            assert parse(text, "solver" if kind == "solver" else "net") == message
            assert text == to_text(again[kind])


@pytest.mark.parametrize("name", catalogue.names())
def test_every_setting_has_a_default_and_help(name):
    variant = catalogue.get(name)
    assert variant.defaults.keys() == variant.help.keys() == variant.settings().keys()
    assert all(line and "\n" not in line for line in variant.help.values())
    assert json.loads(json.dumps(variant.defaults)) == variant.defaults
    assert variant.settings(**variant.defaults) == variant.defaults
    assert (
        variant.settings(**{key: json.dumps(value).strip('"') for key, value in variant.defaults.items()})
        == variant.defaults
    )  # as a command line gives them
    assert variant.task == name.split("/")[0] and ("Table" in variant.paper or "section" in variant.paper)


@pytest.mark.parametrize("name", catalogue.names())
def test_the_inputs_are_those_of_the_data_layers(name):
    variant = catalogue.get(name)
    for settings in editions(name):
        files, inputs = variant.files(**settings), variant.input_shapes(**settings)
        states = solver_states(files["solver"])
        for state in states:
            net = filter_net(files["train_test"], state.phase, state.stage)
            tops = [top for layer in net.layer if not layer.bottom for top in layer.top]
            assert tops and sorted(tops) == sorted(inputs["train" if state == states[0] else "test"])


def test_settings_are_shared_out_to_the_nets_that_have_them():
    names = ["activity/lrcn-fc6-rgb", "caption/lrcn-2f"]
    assert catalogue.share_out({"units": 512, "videos": 8, "caption/lrcn-2f": {"units": 3}}, names) == {
        "activity/lrcn-fc6-rgb": {"units": 512, "videos": 8},
        "caption/lrcn-2f": {"units": 3},
    }
    with pytest.raises(SpecError, match="no setting 'unit' in activity/lrcn-fc6-rgb and caption/lrcn-2f; did you mean"):
        catalogue.share_out({"unit": 512}, names)
    with pytest.raises(SpecError, match="there is no net 'caption/lrcn-2ff'; did you mean 'caption/lrcn-2f'"):
        catalogue.share_out({"caption/lrcn-2ff": {"units": 3}}, names)


def test_a_backbone_brings_its_sizes_and_they_can_be_set():
    variant = catalogue.get("activity/lrcn-fc6-rgb")
    tiny = variant.settings(backbone="tiny", fc6=64)
    assert (tiny["fc6"], tiny["fc7"], tiny["widths"], tiny["crop"]) == (64, 128, [16, 32, 48], 56)
    assert (variant.defaults["fc6"], variant.defaults["crop"], variant.defaults["backbone"]) == (4096, 227, "hybrid")


def test_values_may_come_as_text():
    settings = catalogue.get("activity/lrcn-fc6-rgb").settings(
        units="512", drop6="0.5", mirror="false", split="2", widths="8,16,8,8,8", clip_gradients="-1", base_lr="1e-2"
    )
    assert settings == settings | dict(
        units=512, drop6=0.5, mirror=False, split=2, widths=[8, 16, 8, 8, 8], clip_gradients=-1, base_lr=0.01
    )


@pytest.mark.parametrize(
    "settings, said",
    [
        (dict(unit=3), "no setting 'unit'; did you mean 'units'?"),
        (dict(test_batch=3), "no setting 'test_batch'"),
        (dict(units=0), "units=0 makes no sense: it takes a whole number from 1"),
        (dict(units=2.5), "units=2.5"),
        (dict(units=True), "units=True"),
        (dict(units=None), "units=None"),
        (dict(units="many"), "units=many"),
        (dict(units=float("inf")), "units=inf"),
        (dict(drop6=1), "drop6=1 makes no sense: it takes a number from 0 to below 1"),
        (dict(drop7=-0.1), "drop7=-0.1"),
        (dict(base_lr="nan"), "base_lr=nan"),
        (dict(backbone="tinny"), "one of hybrid, caffenet, vgg16, tiny, features; did you mean 'tiny'?"),
        (dict(split=4), "split=4 makes no sense: it takes one of 1, 2, 3"),
        (dict(mirror="perhaps"), "mirror=perhaps makes no sense: it takes true or false"),
        (dict(data=3), "data=3 makes no sense: it takes text"),
        (dict(widths=[8, 8]), "widths=[8, 8]: backbone hybrid has 5 convolutions"),
        (dict(widths=[8, 7, 8, 8, 8]), "must be even"),
        (dict(crop=241), "crop=241 does not fit into pictures of height=240"),
        (dict(crop=48), "crop=48 is too small: backbone hybrid takes 49 at least"),
        (dict(lr_policy="multistep"), "stepvalue, which is empty"),
    ],
)
def test_nonsense_is_refused_with_the_mend(settings, said):
    with pytest.raises(SpecError) as refused:
        catalogue.get("activity/lrcn-fc6-rgb").files(**settings)
    assert said in str(refused.value) and "activity/lrcn-fc6-rgb" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name, said",
    [("activity/lrcn-fc6-rbg", "did you mean 'activity/lrcn-fc6-rgb'?"), ("x", "`lrcn nets list` names them")],
)
def test_an_unknown_name_is_refused(name, said):
    with pytest.raises(SpecError, match="there is no net") as refused:
        catalogue.get(name)
    assert said in str(refused.value)


def test_settings_of_numpy_are_taken_as_python_s():
    variant = catalogue.get("activity/lrcn-fc6-rgb")
    plain = variant.files(units=8, widths=[8] * 3, mirror=False, base_lr=0.5, backbone="tiny")
    same = variant.files(
        units=np.int64(8),
        widths=np.full(3, 8),
        mirror=np.bool_(False),
        base_lr=np.float32(0.5),
        backbone=np.str_("tiny"),
    )
    assert plain == same
    with pytest.raises(SpecError, match="units=True makes no sense"):
        variant.files(units=np.bool_(True))
