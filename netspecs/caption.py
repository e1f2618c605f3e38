"""Image description (paper, section 5; Tables 2 to 4): a CNN reads the image, LSTMs write the sentence.

Unfactored, the first LSTM sees word and image; factored, the first sees words alone and the second the image too: the
paper's architectures 1u, 2u, 2f, 4f. The image is a static input: the same at every word. Layers, blobs and stages are
those of the authors' release, whose one net file holds all architectures; here each has a file of its own, so that in
it only the CNN's training still depends on a stage, `freeze-convnet`.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from google.protobuf.message import Message

from netspecs import backbones, recurrent, solvers
from netspecs.backbones import BACKBONES, Ways, dropout, gaussian, weighted
from netspecs.recurrent import SENTENCES, embedding, ending, lstm, predict, sentence_shapes, source
from netspecs.sources import Field, Ours, Paper, Sourced
from netspecs.variant import DATA, Setting, Variant, flag, number, one_of, sizes, whole
from prototxt_gen import NetSpec, SpecError
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.netspec import Top

FREEZE = P.NetStateRule(stage="freeze-convnet")

# Which data is read when: part -> the states of the net.
STATES = {
    "train": (P.NetStateRule(phase="TRAIN", not_stage="trainval"), P.NetStateRule(phase="TEST", stage="test-on-train")),
    "trainval": (P.NetStateRule(phase="TRAIN", stage="trainval"),),
    "val": (P.NetStateRule(phase="TEST", stage="test-on-val"),),
}
ORDER = [("train", 0), ("trainval", 0), ("train", 1), ("val", 0)]  # as the release lists them

STAGES = {  # what each training starts from and trains
    "train": "the LSTMs, on a frozen CNN",
    "from-lm": "the same, from a language model's weights",
    "finetune": "all of it, from the weights of `train`",
    "finetune-trainval": "all of it, on training and validation images, from the weights of `finetune`",
}

IMAGE_DATA = "data.image_data_param.{}".format

SETTINGS = {
    "stage": Setting(
        "train",
        one_of(*STAGES),
        "; ".join(f"{name}: {what}" for name, what in STAGES.items()),
        Ours("the release's trainings, each with a solver of its own, in their order; the first is the default"),
    ),
    "backbone": Setting(
        "caffenet", one_of(*BACKBONES), "the CNN that reads the image; features: none, fc7 is given", Paper("section 5")
    ),
    "data": DATA,
    "crop": Setting(
        227,
        whole(),
        "side of the square that the net sees of an image, in pixels",
        Field("net", "data.transform_param.crop_size"),
    ),
    "height": Setting(
        256, whole(), "images are resized to this height before the crop", Field("net", IMAGE_DATA("new_height"))
    ),
    "width": Setting(
        256, whole(), "images are resized to this width before the crop", Field("net", IMAGE_DATA("new_width"))
    ),
    "mirror": Setting(True, flag, "mirror half of the images", Field("net", "data.transform_param.mirror")),
    "scale": Setting(
        1.0, number(), "what the pixels less their mean are multiplied by", Field("net", "data.transform_param.scale")
    ),
    "fc8": Setting(
        1000,
        whole(),
        "outputs of fc8, which the LSTM sees of the image",
        Field("net", "fc8.inner_product_param.num_output"),
    ),
    "cnn_lr": Setting(
        0.1,
        number(),
        "learning rate of the CNN in fine-tuning, and of fc8 always, times the net's",
        Field("net", "fc8.param[0].lr_mult"),
    ),
    **backbones.SETTINGS,
    **SENTENCES,
    "image_layers": Setting([], sizes, "LSTMs that see the image", Paper("section 5")),
    "deploy_images": Setting(
        10,
        whole(),
        "images a batch in the deploy net that reads them",
        Ours("the release reads images through the CNNs' own deploy nets, which have 10"),
    ),
    "seed": Setting(1701, whole(0), "seed of the weights, crops and mirrors", solvers.of_solver("random_seed")),
    **solvers.OF_SENTENCES,
}


def lrcn(s: SimpleNamespace, deploy: bool) -> Message:
    """Figure 3, middle: LSTMs over words and image, a prediction of the next word at every word.

    Training: data (N, 3, crop, crop), cont_sentence, input_sentence, target_sentence (T, N). Deployed: cont_sentence,
    input_sentence (T, N), image_features (N, fc8), which the net of `images` makes -> probs (T, N, vocabulary).
    """
    n = NetSpec(f"{s.backbone}_to_lstm" if deploy else f"lrcn_{s.backbone}_to_lstm")
    if deploy:
        recurrent.sentence_inputs(n, s)
        n.image_features = L.Input(shape=[s.deploy_streams, s.fc8])
        image = n.image_features
    else:
        data(n, s, {part: (source(s, part, "images"), source(s, part, "captions")) for part in STATES})
        recurrent.padding_to_end(n)
        image = cnn(n, s, True, learning(s))

    hidden = embedding(n, s, n.input_sentence, not deploy)
    exposed = s.deploy_streams if deploy and s.deploy_state == "exposed" else None
    for layer in range(1, s.layers + 1):
        sees = [hidden, n.cont_sentence] + ([image] if layer in s.image_layers else [])
        hidden = lstm(n, f"lstm{layer}", sees, s.units, exposed, init=None if deploy else s.init)
    ending(n, s, predict(n, s, hidden, not deploy), deploy)
    return n.to_proto()


def images(s: SimpleNamespace) -> Message:
    """The image side of the deployed net: data (N, 3, crop, crop), or fc7 (N, D) as features -> fc8 (N, fc8)."""
    n = NetSpec(f"{s.backbone}_fc8")
    if s.backbone == "features":
        n.fc7 = L.Input(shape=[s.deploy_images, s.feature_size])
    else:
        n.data = L.Input(shape=[s.deploy_images, 3, s.crop, s.crop])
    cnn(n, s, False, [{}])
    return n.to_proto()


def data(n: NetSpec, s: SimpleNamespace, sources: Mapping[str, tuple[str, str]]) -> None:
    """Images and, in step with them, sentences: one image a sentence. sources: part -> (image list, HDF5 list)."""
    for part, state in ORDER:
        rule, (image_list, sentence_list) = STATES[part][state], sources[part]
        if s.backbone == "features":
            n.fc7 = L.HDF5Data(name="data", include=rule, source=image_list, batch_size=s.streams)
        else:
            size = dict(new_height=s.height, new_width=s.width)
            fields = dict(transform_param=backbones.transform(s), batch_size=s.streams, **size)
            n.data, n.label = L.ImageData(name="data", ntop=2, include=rule, source=image_list, **fields)
        n.cont_sentence, n.input_sentence, n.target_sentence = L.HDF5Data(
            name="data", ntop=3, include=rule, source=sentence_list, batch_size=s.steps
        )
    if s.backbone != "features":
        n.silence = L.Silence(n.label, ntop=0)


def learning(s: SimpleNamespace) -> Ways:
    """The CNN below fc8: frozen in stage `freeze-convnet`, else at a tenth of the net's rate."""
    decay = dict(decay_mult=0) if s.backbone == "vgg16" else {}  # the release's VGG-16 spells it out; no difference
    return [
        dict(param=[dict(lr_mult=0), dict(lr_mult=0, **decay)], include=FREEZE),
        dict(param=rates(s.cnn_lr), exclude=FREEZE),
    ]


def rates(rate: float) -> list[dict[str, Any]]:
    """Multipliers of a layer that learns at `rate`: weights decay, biases learn twice as fast and do not."""
    return [dict(lr_mult=rate, decay_mult=1), dict(lr_mult=2 * rate, decay_mult=0)]


def cnn(n: NetSpec, s: SimpleNamespace, train: bool, ways: Ways) -> Top:
    """Image -> fc8 (N, fc8), the scores of ILSVRC's classes, without a softmax."""
    if s.backbone == "features":
        fc7 = dropout(n, "drop7", n.fc7, s.drop7, train, in_place=False)
    else:
        fc7 = backbones.fc7(n, s, BACKBONES[s.backbone].add(n, s, train, ways), train, ways)
    fc8_ways: Ways = [dict(param=rates(s.cnn_lr))] if train else [{}]
    return weighted(n, "fc8", L.InnerProduct, fc7, fc8_ways, gaussian(0.01, 0), num_output=s.fc8)


def inputs(s: SimpleNamespace) -> dict[str, dict[str, list[int]]]:
    """What the data layers give."""
    if s.backbone == "features":
        image = dict(fc7=[s.streams, s.feature_size])
    else:
        image = dict(data=[s.streams, 3, s.crop, s.crop], label=[s.streams])
    batch = image | sentence_shapes(s)
    return dict(train=batch, test=batch)


# ---- mean, solver, checks, variants ------------------------------------------------------------------------


def pixel_mean(s: SimpleNamespace) -> list[float] | None:
    """The mean of ILSVRC's images, rounded, as the release has it here."""
    return None if s.backbone == "features" else [104, 117, 123]


def solver(s: SimpleNamespace) -> Message:
    """The solver of one stage. It names the architecture's stages too, to drive the authors' net file as well."""
    architecture = ["factored" if s.factored else "unfactored", f"{s.layers}-layer"]
    stages = (["freeze-convnet"] if s.stage in ("train", "from-lm") else []) + architecture
    last = s.stage == "finetune-trainval"
    tests = ["test-on-val"] if last else ["test-on-train", "test-on-val"]
    return solvers.solver(
        s,
        train_state=P.NetState(stage=stages + (["trainval"] if last else [])),
        test_states=[P.NetState(stage=[*stages, test]) for test in tests],
    )


def check(s: SimpleNamespace) -> None:
    """SpecError where settings clash."""
    backbones.check(s)
    solvers.check(s)
    if any(layer > s.layers for layer in s.image_layers) or not s.image_layers:
        raise SpecError(f"image_layers={s.image_layers}: name some of this net's LSTMs, 1 to {s.layers}")


def variant(architecture: str, backbone: str, **defaults: Any) -> Variant:
    """LRCN-`architecture` ("2f": two LSTMs, factored) on `backbone`; `defaults` are set otherwise than published."""
    layers, factored = int(architecture[:-1]), architecture.endswith("f")
    widths = Field("net", "conv*.convolution_param.num_output", BACKBONES[backbone].defaults["widths"])
    published = dict(backbone=Sourced(backbone, widths), image_layers=[2 if factored else 1])
    published |= solvers.UNTESTED if backbone == "vgg16" else {}
    suffix, on = ("", "") if backbone == "caffenet" else (f"-{backbone}", f", {backbone}")
    where = "Tables 2 and 3" if architecture == "2f" else "section 5"
    return Variant(
        task="caption",
        row=f"lrcn-{architecture}{suffix}",
        reads="images",
        paper=f"{where}, LRCN-{architecture}{on}",
        table=solvers.published(SETTINGS, published | defaults),
        net=lrcn,
        solver=solver,
        inputs=inputs,
        released=lambda s: solvers.caption_released(architecture, backbone, s.stage),
        pixel_mean=pixel_mean,
        fixed=dict(layers=layers, factored=factored),
        presets=dict(backbone=backbones.PRESETS, stage=solvers.caption_stages(architecture, backbone)),
        check=check,
        extra=dict(deploy_images=images),
        editions="stage",
    )


VARIANTS = [
    variant(architecture, backbone) for backbone in ("caffenet", "vgg16") for architecture in ("1u", "2u", "2f", "4f")
]
