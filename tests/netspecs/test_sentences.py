"""The nets that write sentences: how words, image and CRF reach the LSTMs, and that 1u, 2u and 2f are the authors'."""

import re

import pytest

from netspecs import caption, catalogue, published
from prototxt_gen import SpecError, filter_net, solver_states
from prototxt_gen.diff import differences

ARCHITECTURES = ["1u", "2u", "2f", "4f"]


def layers(net, *types):
    return {layer.name: layer for layer in net.layer if layer.type in types}


def wiring(net):
    """LSTM -> what it reads."""
    return {name: " ".join(layer.bottom) for name, layer in layers(net, "LSTM").items()}


def training(name, **settings):
    files = catalogue.get(name).files(**settings)
    return filter_net(files["train_test"], "TRAIN", files["solver"].train_state.stage)


WORDS = "embedded_input_sentence cont_sentence"
READS = {
    "1u": {"lstm1": f"{WORDS} fc8"},
    "2u": {"lstm1": f"{WORDS} fc8", "lstm2": "lstm1 cont_sentence"},
    "2f": {"lstm1": WORDS, "lstm2": "lstm1 cont_sentence fc8"},
    "4f": {
        "lstm1": WORDS,
        "lstm2": "lstm1 cont_sentence fc8",
        "lstm3": "lstm2 cont_sentence",
        "lstm4": "lstm3 cont_sentence",
    },
}


@pytest.mark.parametrize("suffix", ["", "-vgg16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_who_sees_words_and_image(architecture, suffix):
    name = f"caption/lrcn-{architecture}{suffix}"
    assert wiring(training(name)) == READS[architecture]
    assert list(layers(training(name), "InnerProduct")["predict"].bottom) == [f"lstm{architecture[0]}"]
    deploy = catalogue.get(name).files()["deploy"]
    assert wiring(deploy) == {
        lstm: reads.replace("fc8", "image_features") for lstm, reads in READS[architecture].items()
    }


@pytest.mark.parametrize("name", [name for name in catalogue.names() if not name.startswith("activity/")])
def test_padding_reaches_no_embedding(name):
    """The published files pad the input with -1, before which Caffe's Embed has no weights."""
    net = training(name)
    names = [layer.name for layer in net.layer]
    padded = net.layer[names.index("padded-input")]
    assert (padded.type, list(padded.bottom), list(padded.top)) == ("ReLU", ["input_sentence"], ["input_sentence"])
    readers = [layer.name for layer in net.layer if "input_sentence" in layer.bottom]
    assert readers[0] == "padded-input" and names.index("padded-input") < names.index("embedding")


def test_which_lstms_see_the_image_can_be_set():
    assert wiring(training("caption/lrcn-4f", image_layers=[3, 4])) == {
        "lstm1": WORDS,
        "lstm2": "lstm1 cont_sentence",
        "lstm3": "lstm2 cont_sentence fc8",
        "lstm4": "lstm3 cont_sentence fc8",
    }


@pytest.mark.parametrize("stage", list(caption.STAGES))
@pytest.mark.parametrize("backbone, file", [("", "lrcn"), ("-vgg16", "lrcn.vgg")])
@pytest.mark.parametrize("architecture", ["1u", "2u", "2f"])
def test_in_every_state_the_net_is_the_authors_but_for_data_and_fillers(architecture, backbone, file, stage):
    """The solver names the authors' stages, so it drives the authors' file and ours alike."""
    files = catalogue.get(f"caption/lrcn-{architecture}{backbone}").files(
        stage=stage, test_iter=1, iter_size=1, streams=100
    )
    fillers = "|layer (conv|fc).*_filler" if backbone else ""  # the authors' VGG-16 always starts from weights
    theirs = published.files()[f"coco_caption/{file}.prototxt"]
    for state in solver_states(files["solver"]):
        mine, released = (filter_net(net, state.phase, state.stage) for net in (files["train_test"], theirs))
        assert [layer.name for layer in mine.layer].count("padded-input") == 1
        del mine.layer[[layer.name for layer in mine.layer].index("padded-input")]
        for net in mine, released:
            net.name = "lrcn"
            for layer in net.layer:
                layer.ClearField("include")
                layer.ClearField("exclude")
        found = [
            one
            for one in map(str, differences(mine, released))
            if not re.search(rf"layer data.*: (image|hdf5)_data_param.source:{fillers}", one)
        ]
        assert found == []


@pytest.mark.parametrize(
    "stage, start, steps, streams",
    [
        ("train", 0.01, 110000, 100),
        ("from-lm", 0.01, 110000, 100),
        ("finetune", 0.001, 50000, 50),
        ("finetune-trainval", 0.001, 100000, 50),
    ],
)
def test_stages_bring_the_published_solver_and_batch(stage, start, steps, streams):
    plain, vgg = (catalogue.get(f"caption/lrcn-2f{suffix}").settings(stage=stage) for suffix in ("", "-vgg16"))
    assert (plain["base_lr"], plain["max_iter"], plain["streams"], plain["iter_size"]) == (start, steps, 100, 1)
    assert (vgg["base_lr"], vgg["max_iter"], vgg["streams"]) == (start, steps, streams)
    assert vgg["streams"] * vgg["iter_size"] == 100


def test_the_frozen_cnn_does_not_learn_and_the_tuned_one_does_slowly():
    for stage, rates in ("train", (0, 0)), ("finetune", (0.1, 0.2)):
        net = training("caption/lrcn-2f", stage=stage)
        for name, layer in layers(net, "Convolution", "InnerProduct").items():
            if name not in ("fc8", "predict"):
                assert tuple(spec.lr_mult for spec in layer.param) == pytest.approx(rates), name


def test_stage_trainval_reads_trainval_and_tests_on_val():
    files = catalogue.get("caption/lrcn-2f").files(stage="finetune-trainval", data="coco")
    train, *tests = solver_states(files["solver"])
    read = [
        filter_net(files["train_test"], state.phase, state.stage).layer[0].image_data_param.source
        for state in (train, *tests)
    ]
    assert read == ["coco/trainval_images.txt", "coco/val_images.txt"]


@pytest.mark.parametrize(
    "settings, said",
    [
        (dict(image_layers=[3]), "name some of this net's LSTMs, 1 to 2"),
        (dict(image_layers="[]"), "image_layers=[]"),
        (dict(stage="finetun"), "did you mean 'finetune'?"),
        (dict(vocabulary=1), "a whole number from 2"),
        (dict(crop=300), "does not fit into pictures of height=256"),
        (dict(widths=[64] * 12, backbone="vgg16"), "13 convolutions"),
        (dict(deploy_state="exposd"), "mean 'exposed'?"),
    ],
)
def test_nonsense_is_refused(settings, said):
    with pytest.raises(SpecError) as refused:
        catalogue.get("caption/lrcn-2f").files(**settings)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", [name for name in catalogue.names() if "single-frame" not in name])
def test_the_state_may_be_carried_or_exposed(name):
    variant = catalogue.get(name)
    carried, exposed = (variant.files(deploy_state=state)["deploy"] for state in ("carried", "exposed"))
    for lstm, layer in layers(carried, "LSTM").items():
        assert not layer.recurrent_param.expose_hidden and list(layer.top) == [lstm]
    units = variant.defaults["units"]
    for lstm, layer in layers(exposed, "LSTM").items():
        assert layer.recurrent_param.expose_hidden
        assert list(layer.top) == [lstm, f"{lstm}_h_T", f"{lstm}_c_T"]
        assert list(layer.bottom[-2:]) == [f"{lstm}_h_0", f"{lstm}_c_0"]
        for blob in layer.bottom[-2:]:
            shape = layers(exposed, "Input")[blob].input_param.shape[0].dim
            assert (shape[0], shape[2]) == (1, units)
    assert layers(carried, "LSTM").keys() == layers(exposed, "LSTM").keys()


# ---- language model and video ------------------------------------------------------------------------------


def test_the_language_model_drops_out_in_training_alone():
    files = catalogue.get("lm/lstm-lm").files()
    train, *tests = solver_states(files["solver"])
    assert list(layers(filter_net(files["train_test"], "TRAIN", train.stage), "Dropout")) == ["embed-drop", "lstm-drop"]
    for state in tests:
        assert not layers(filter_net(files["train_test"], "TEST", state.stage), "Dropout")
    assert wiring(files["deploy"]) == {"lstm1": WORDS}


def test_its_weights_fit_the_factored_captioner():
    """from-lm: by name, embedding, lstm1 and predict are copied."""
    of_lm = {layer.name: layer for layer in training("lm/lstm-lm").layer}
    of_captioner = {layer.name: layer for layer in training("caption/lrcn-2f").layer}
    for name in "embedding", "lstm1", "predict":
        for block in "embed_param", "recurrent_param", "inner_product_param":
            assert getattr(of_lm[name], block) == getattr(of_captioner[name], block)
    assert list(of_lm["lstm1"].bottom) == list(of_captioner["lstm1"].bottom)


def test_the_encoder_decoder_is_one_net_over_both_phases():
    net = training("video/encoder-decoder-max", slots=3, steps=7)
    assert wiring(net) == {"lstm1": "sequence cont_sentence", "lstm2": "lstm1 cont_sentence"}
    cuts = {name: list(layer.slice_param.slice_point) for name, layer in layers(net, "Slice").items()}
    assert cuts == {"slice-slots": [3], "slice-sentence": [3]}
    data = layers(net, "HDF5Data")["data"].hdf5_data_param
    assert (data.source, data.batch_size) == ("train_encoder_decoder.txt", 10)
    loss = layers(net, "SoftmaxWithLoss")["cross_entropy_loss"]
    assert (loss.loss_param.ignore_label, list(loss.bottom)) == (-1, ["predict", "target_sentence"])
    sequence = layers(net, "Concat")["sequence"]
    assert (list(sequence.bottom), sequence.concat_param.axis) == (["embedded_slots", "embedded_input_sentence"], 0)


@pytest.mark.parametrize("crf", ["max", "prob"])
def test_the_decoders_see_the_crf_at_every_step(crf):
    net = training(f"video/decoder-{crf}", data="tacos")
    assert wiring(net) == {"lstm1": f"{WORDS} semantics", "lstm2": "lstm1 cont_sentence"}
    sources = {name: layer.hdf5_data_param.source for name, layer in layers(net, "HDF5Data").items()}
    assert sources == {"data": "tacos/train_captions.txt", "semantics": f"tacos/train_{crf}.txt"}
    beside = training(f"video/decoder-{crf}", semantics="beside")
    assert wiring(beside) == {"lstm1": "words-and-semantics cont_sentence", "lstm2": "lstm1 cont_sentence"}
    assert layers(beside, "Tile")["tile-semantics"].tile_param.tiles == 20


def test_frames_are_read_as_words_are():
    net = training("video/encoder-decoder-frames", frames=3, steps=7, data="d")
    assert wiring(net) == {"lstm1": "sequence cont_sentence", "lstm2": "lstm1 cont_sentence"}
    assert list(layers(net, "Concat")["sequence"].bottom) == ["embedded_frames", "embedded_input_sentence"]
    read = {
        name: (layer.hdf5_data_param.source, layer.hdf5_data_param.batch_size)
        for name, layer in layers(net, "HDF5Data").items()
    }
    assert read == {"data": ("d/train_frame_sentences.txt", 10), "frames": ("d/train_frames.txt", 3)}
    projection = layers(net, "InnerProduct")["frame-embedding"].inner_product_param
    assert (projection.axis, projection.num_output, projection.bias_term) == (2, 1000, False)


def test_a_new_variant_is_a_line():
    """What the README says of adding one: three layers, factored, 512 units, on VGG-16."""
    net = caption.variant("3f", "vgg16", units=512)
    assert net.name == "caption/lrcn-3f-vgg16"
    files = net.files()
    built = filter_net(files["train_test"], "TRAIN", files["solver"].train_state.stage)
    assert wiring(built) == {"lstm1": WORDS, "lstm2": "lstm1 cont_sentence fc8", "lstm3": "lstm2 cont_sentence"}
    assert {layer.recurrent_param.num_output for layer in layers(built, "LSTM").values()} == {512}
    assert "conv5_3" in layers(built, "Convolution")
