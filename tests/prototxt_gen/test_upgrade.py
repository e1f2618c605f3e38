"""Old layer formats as they come to be `layer`, by example; Caffe itself agrees in the engine's test."""

import pytest

from prototxt_gen import SpecError, parse, to_text
from prototxt_gen.shapes import infer
from prototxt_gen.text import read
from tests.prototxt_gen.old_nets import OLD_NETS, write_data


def test_a_layer_of_2014_is_written_as_one_of_today():
    text = """
    layers { name: 'conv' type: CONVOLUTION bottom: 'x' top: 'y' param: 'w' blobs_lr: 1 blobs_lr: 2 weight_decay: 0.5
             blob_share_mode: PERMISSIVE include { phase: TEST } loss_weight: 3
             convolution_param { num_output: 4 kernel_size: 3 } }
    layers { name: 'data' type: WINDOW_DATA top: 'd' transform_param { scale: 7 }
             window_data_param { source: 's' crop_size: 8 mirror: true mean_file: 'm' scale: 2 } }"""
    assert (
        to_text(parse(text))
        == """\
layer {
  name: "conv"
  type: "Convolution"
  bottom: "x"
  top: "y"
  include { phase: TEST }
  loss_weight: 3
  param { name: "w" lr_mult: 1 decay_mult: 0.5 share_mode: PERMISSIVE }
  param { lr_mult: 2 }
  convolution_param {
    num_output: 4
    kernel_size: 3
  }
}
layer {
  name: "data"
  type: "WindowData"
  top: "d"
  transform_param {
    scale: 2
    mirror: true
    crop_size: 8
    mean_file: "m"
  }
  window_data_param {
    source: "s"
  }
}
"""
    )


def test_layers_of_2013_have_their_padding_and_their_blocks():
    net = parse(OLD_NETS["of 2013"])
    assert [layer.name for layer in net.layer] == "data conv relu pool norm fc drop loss".split()
    assert [layer.type for layer in net.layer[:2]] == ["ImageData", "Convolution"]
    assert (net.layer[0].transform_param.crop_size, net.layer[0].image_data_param.new_width) == (8, 9)
    conv = net.layer[1]
    assert list(conv.bottom) == ["data"] and list(conv.convolution_param.pad) == [2]
    assert [(spec.lr_mult, spec.decay_mult) for spec in conv.param] == [(1, 1), (2, 0)]
    assert net.layer[5].inner_product_param.bias_term is False


@pytest.mark.parametrize("name", OLD_NETS)
def test_old_nets_have_shapes(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    found = infer(parse(OLD_NETS[name]), "TEST")
    assert not found.problems and not found.unknown and found.rows


def test_fields_stand_where_the_old_text_has_them():
    source = read(
        "name: 'x'\nlayers {\n name: 'a'\n type: IMAGE_DATA\n image_data_param {\n  crop_size: 3\n }\n blobs_lr: 1\n"
        " blobs_lr: 2\n strange: 1\n}\nlayers {\n name: 'b'\n}\n"
    )
    assert [source.line("layer", index) for index in range(2)] == [2, 12]
    assert source.line("layer", 0, "transform_param.crop_size") == 6
    assert [source.line("layer", 0, f"param[{index}].lr_mult") for index in range(2)] == [8, 9]
    assert [(it.path, it.line) for it in source.unknown] == [(("layer", 0), 10)]
    old = read("layers { bottom: 'x'\n layer {\n type: 'conv'\n kernelsize: 3\n strange: 1 } top: 'y' }")
    assert old.line("layer", 0, "convolution_param.kernel_size") == 4
    assert [(it.path, it.line) for it in old.unknown] == [(("layer", 0), 5)]


@pytest.mark.parametrize(
    "text, said",
    [
        ("layers { }\n\nlayer { }", "3: 'layer' and 'layers' cannot stand in one file"),
        ("layers { type: CONV }", "1: V1LayerParameter.type has no value 'CONV'"),
        ("layers { }\nlayers { layer { type: 'relu' } }", "1: of a file in which other 'layers' hold a 'layer { }'"),
        (
            "layers { layer { type: 'padding' } bottom: 'x' top: 'y' }\nlayers { layer { type: 'relu' }\nbottom: 'y' }",
            "3: only a conv or a pool layer",
        ),
    ],
)
def test_what_caffe_refuses_is_refused_at_its_line(text, said):
    with pytest.raises(SpecError) as refused:
        parse(text)
    assert str(refused.value).startswith(f"text:{said}") and "\n" not in str(refused.value)


def test_a_type_that_the_old_formats_lack_is_kept_for_who_passes_over_it():
    unknown = []
    net = parse("layers { name: 'r' type: RESHAPE bottom: 'x' top: 'y' }", unknown=unknown)
    assert net.layer[0].type == "RESHAPE" and unknown[0].line == 1
    assert parse("layers { layer { name: 'r' type: 'warp' } }").layer[0].type == "warp"


@pytest.mark.parametrize(
    "layer",
    [
        "layers {\n type: 'Convolution'\n}",
        'layers {\n type: "CONVOLUTION"\n}',
        "layers {\n param { lr_mult: 1 }\n}",
        "layer {\n type: CONVOLUTION\n}",
        "layer {\n param: 'w'\n}",
    ],
)
def test_a_layer_of_two_formats_is_told_what_each_has(layer):
    with pytest.raises(SpecError, match=r"text:2: .*'layer' has type: .* the old 'layers' has type: CONVOLUTION"):
        read(layer)


def test_other_faults_are_not_said_to_be_of_two_formats():
    for text in ("layer { param { lr_mult: x } }", "layer { type: 3 }", "layers { type: }", "layer { name: A }"):
        with pytest.raises(SpecError) as fault:
            read(text)
        assert "the old 'layers'" not in str(fault.value)
