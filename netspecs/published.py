"""The authors' 26 files, net for net and solver for solver: the variants of the catalogue, with what the release says
otherwise.

Activity recognition: LisaAnne/lisa-caffe-public, branch lstm_video_deploy, examples/LRCN_activity_recognition.
Image description: jeffdonahue/caffe, branch recurrent, examples/coco_caption.
Their data come from their own list and HDF5 files, at the paths that the release names. Fields that only the authors'
forks of Caffe have are left out; `FORK_ONLY` names them, and so does the header of the file.
"""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from types import SimpleNamespace
from typing import Any

from google.protobuf.message import Message

from netspecs import activity, backbones, caption, catalogue, lm, recurrent
from netspecs.backbones import LEARN
from netspecs.sources import ACTIVITY, COCO
from prototxt_gen import NetSpec
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.fields import is_repeated
from prototxt_gen.netspec import Top

_COCO_FOLDER = f"./examples/{COCO}"


def files() -> dict[str, Message]:
    """Path below the output folder -> NetParameter or SolverParameter."""
    return {path: file(path) for path in _FILES}


def file(path: str) -> Message:
    """One of `files`."""
    return _FILES[path]()


_read = cache(file)


def value(path: str, field: str) -> tuple[Any, bool]:
    """What a field of one of `files` says (`sources.Field` has the spelling), and whether it is written there; else it
    is Caffe's default, or [] of what may stand several times."""
    message: Any = _read(path)
    name, _, index, rest = re.fullmatch(r"([^.\[]+)(\[(\d+)\])?\.?(.*)", field).groups()  # type: ignore[union-attr]
    if name in message.DESCRIPTOR.fields_by_name:
        return _field(message, field)
    layers = [layer for layer in message.layer if fnmatchcase(layer.name, name)]
    if "*" in name:
        return [_field(layer, rest)[0] for layer in {layer.name: layer for layer in layers}.values()], True
    said = [_field(layer, rest) for layer in (layers if index is None else [layers[int(index)]])]
    return next((each for each in said if each[1]), said[0])


def _field(message: Any, path: str) -> tuple[Any, bool]:
    there = True
    for name, _, index in re.findall(r"(\w+)(\[(\d+)\])?", path):
        known = message.DESCRIPTOR.fields_by_name[name]
        items = getattr(message, name)
        if index:
            if int(index) >= len(items):
                return [], False
            message = items[int(index)]
        elif is_repeated(known):
            message, there = list(items), there and bool(items)
        else:
            there, message = there and message.HasField(name), items
            if known.enum_type:
                message = known.enum_type.values_by_number[items].name
    return message, there


def _legacy_input(net: pb.NetParameter, shapes: dict[str, list[int]], field: str) -> Message:
    """`net` with its inputs as fields of the net, as files had them before there was an Input layer."""
    for blob, shape in shapes.items():
        net.input.append(blob)
        if field == "input_dim":
            net.input_dim.extend(shape)
        else:
            net.input_shape.add(dim=shape)
    return net


# ---- activity recognition ----------------------------------------------------------------------------------


def train_test_single_frame(modality: str) -> Message:
    """Frames from image lists."""
    s = catalogue.get(f"activity/single-frame-{modality}").namespace()
    released = activity.RELEASE_NAMES[modality]
    folder = "flow_images/" if modality == "flow" else "frames/"
    size = {} if modality == "flow" else dict(new_height=s.height, new_width=s.width)
    fields = dict(transform_param=backbones.transform(s), root_folder=folder, batch_size=s.batch, **size)

    n = NetSpec(f"singleFrame_{released}")
    for part, rule in activity.RULES.items():
        source = f"ucf101_singleFrame_{released}_{part}_split1.txt"
        n.data, n.label = L.ImageData(name="data", ntop=2, include=rule, source=source, **fields)
    scores = _single_frame_scores(n, s)
    n.loss = L.SoftmaxWithLoss(scores, n.label)
    n.accuracy = L.Accuracy(scores, n.label)
    return n.to_proto()


def deploy_single_frame() -> Message:
    """16 frames of 10 crops. It keeps its dropout, which does nothing in phase TEST."""
    s = catalogue.get("activity/single-frame-flow").namespace()
    n = NetSpec("singleFrame_flow")
    n.data = L.Input()
    n.probs = L.Softmax(_single_frame_scores(n, s))
    net = n.to_proto()
    del net.layer[0]
    return _legacy_input(net, dict(data=[160, 3, s.crop, s.crop]), "input_dim")


def _single_frame_scores(n: NetSpec, s: SimpleNamespace) -> Top:
    fc7 = backbones.fc7(n, s, backbones.hybrid(n, s, True, LEARN), True)
    n["fc8-ucf"] = L.InnerProduct(fc7, num_output=s.classes, **activity.classifier(s))
    return n["fc8-ucf"]


def train_test_lstm(modality: str) -> Message:
    """The variant's net; its frames come from the released Python layers, which say all their settings themselves."""
    net = catalogue.get(f"activity/lrcn-fc6-{modality}").files()["train_test"]
    for layer, part in zip(net.layer, ("Train", "Test"), strict=False):
        layer.python_param.Clear()
        layer.python_param.module = "sequence_input_layer"
        layer.python_param.layer = f"videoRead{part}_{activity.RELEASE_NAMES[modality]}"
    return net


def deploy_lstm() -> Message:
    """16 frames of 10 crops: the variant's deploy net; its convolutions name no rates and its LSTM no start."""
    net = catalogue.get("activity/lrcn-fc6-rgb").files()["deploy"]
    shapes = {layer.name: list(layer.input_param.shape[0].dim) for layer in net.layer if layer.type == "Input"}
    kept = [layer for layer in net.layer if layer.type != "Input"]
    for layer in kept:
        if layer.type == "Convolution":
            del layer.param[:]
        elif layer.type == "LSTM":
            layer.recurrent_param.ClearField("weight_filler")
        elif layer.type == "Reshape":
            layer.include.add(phase=pb.TEST)
    released = pb.NetParameter(name=net.name, layer=kept)
    return _legacy_input(released, shapes, "input_dim")


def activity_solver(name: str, net: str, **overrides: Any) -> Message:
    """The variant's solver, of the net train_test_`net`."""
    return catalogue.get(name).files(net=f"train_test_{net}.prototxt", **overrides)["solver"]


# ---- image description -------------------------------------------------------------------------------------


def lrcn(backbone: str, buffer: int = 100) -> Message:
    """One net for all architectures, chosen by the stages factored, unfactored and 2-layer."""
    s = catalogue.get("caption/lrcn-2f-vgg16" if backbone == "vgg16" else "caption/lrcn-2f").namespace(streams=buffer)
    n = NetSpec("lrcn_caffenet_to_lstm")
    folders = {part: f"{_COCO_FOLDER}/h5_data/buffer_{buffer}/{part}_aligned_20_batches" for part in caption.STATES}
    images, sentences = "image_list.with_dummy_labels.txt", "hdf5_chunk_list.txt"
    caption.data(n, s, {part: (f"{folder}/{images}", f"{folder}/{sentences}") for part, folder in folders.items()})
    image = caption.cnn(n, s, True, caption.learning(s))

    words = recurrent.embedding(n, s, n.input_sentence, True)
    cont = n.cont_sentence
    recurrent.lstm(n, "lstm1", [words, cont, image], s.units, init=s.init, include=_stages("unfactored"))
    recurrent.lstm(n, "lstm2", [n.lstm1, cont], s.units, init=s.init, include=_stages("unfactored", "2-layer"))
    recurrent.lstm(n, "lstm1", [words, cont], s.units, init=s.init, include=_stages("factored"))
    recurrent.lstm(n, "lstm2", [n.lstm1, cont, image], s.units, init=s.init, include=_stages("factored"))
    recurrent.predict(n, s, n.lstm1, True, exclude=_stages("2-layer"))
    recurrent.predict(n, s, n.lstm2, True, include=_stages("2-layer"))
    recurrent.word_loss(n, s, n.predict)

    net = n.to_proto()
    if backbone == "vgg16":
        _without_fillers(net)
    return net


def _stages(*stages: str) -> Message:
    return P.NetStateRule(stage=stages)


def _without_fillers(net: pb.NetParameter) -> None:
    """The release's VGG-16 always starts from weights and leaves out fillers and the decay that is Caffe's default."""
    for layer in net.layer:
        if layer.type == "Convolution" or layer.name in ("fc6", "fc7", "fc8"):
            block = layer.convolution_param if layer.type == "Convolution" else layer.inner_product_param
            block.ClearField("weight_filler")
            block.ClearField("bias_filler")
            if layer.name != "fc8":
                layer.param[0].ClearField("decay_mult")


def word_to_preds_deploy() -> Message:
    """One word of 1000 sentences at a time, factored: the variant's deploy net."""
    net = catalogue.get("caption/lrcn-2f").files()["deploy"]
    shapes = {layer.name: list(layer.input_param.shape[0].dim) for layer in net.layer if layer.type == "Input"}
    released = pb.NetParameter(name=net.name, layer=[layer for layer in net.layer if layer.type != "Input"])
    return _legacy_input(released, shapes, "input_shape")


def caption_solver(name: str, net: str, prefix: str, **overrides: Any) -> pb.SolverParameter:
    """The variant's solver of one stage; it does not say on which GPU."""
    paths = dict(net=f"{_COCO_FOLDER}/{net}.prototxt", snapshot_prefix=f"{_COCO_FOLDER}/{prefix}")
    solver = catalogue.get(name).files(**paths, **overrides)["solver"]
    solver.ClearField("device_id")
    return solver


def finetune_vgg_solver() -> Message:
    """Its tests are commented out in the release, but for their interval."""
    solver = caption_solver("caption/lrcn-2f-vgg16", "lrcn.vgg.buffer_50", "lrcn_finetune_vgg", stage="finetune")
    solver.test_interval = 1000
    return solver


# ---- language model ----------------------------------------------------------------------------------------


def language_model() -> Message:
    """The variant's net, on the release's files."""
    s = catalogue.get("lm/lstm-lm").namespace()
    n = NetSpec("lstm_language_model")
    folder = f"{_COCO_FOLDER}/h5_data/buffer_100/{{}}_unaligned_batches/hdf5_chunk_list.txt"
    lm.data(n, s, {part: folder.format(part) for part in ("train", "val")})
    recurrent.word_loss(n, s, lm.layers(n, s, True))
    return n.to_proto()


def language_model_deploy() -> Message:
    """One word of one sentence; the layers are those of the training net, dropout and fillers included."""
    s = catalogue.get("lm/lstm-lm").namespace()
    n = NetSpec("lstm_language_model")
    recurrent.sentence_inputs(n, s)
    recurrent.probabilities(n, lm.layers(n, s, True))
    net = n.to_proto()
    del net.layer[:2]
    return _legacy_input(net, dict(cont_sentence=[1, 1], input_sentence=[1, 1]), "input_shape")


# ---- the files ---------------------------------------------------------------------------------------------

_ACTIVITY_FILES: dict[str, Callable[[], Message]] = {
    "train_test_singleFrame_RGB.prototxt": lambda: train_test_single_frame("rgb"),
    "train_test_singleFrame_flow.prototxt": lambda: train_test_single_frame("flow"),
    "train_test_lstm_RGB.prototxt": lambda: train_test_lstm("rgb"),
    "train_test_lstm_flow.prototxt": lambda: train_test_lstm("flow"),
    "deploy_singleFrame.prototxt": deploy_single_frame,
    "deploy_lstm.prototxt": deploy_lstm,
    "singleFrame_solver_RGB.prototxt": lambda: activity_solver("activity/single-frame-rgb", "singleFrame_RGB"),
    "singleFrame_solver_flow.prototxt": lambda: activity_solver(
        "activity/single-frame-flow", "singleFrame_flow", device_id=1
    ),
    "lstm_solver_RGB.prototxt": lambda: activity_solver("activity/lrcn-fc6-rgb", "lstm_RGB"),
    "lstm_solver_flow.prototxt": lambda: activity_solver("activity/lrcn-fc6-flow", "lstm_flow"),
}

_COCO_FILES: dict[str, Callable[[], Message]] = {
    "lrcn.prototxt": lambda: lrcn("caffenet"),
    "lrcn.vgg.prototxt": lambda: lrcn("vgg16"),
    "lrcn.vgg.buffer_50.prototxt": lambda: lrcn("vgg16", buffer=50),
    "lrcn_word_to_preds.deploy.prototxt": word_to_preds_deploy,
    "lstm_language_model.prototxt": language_model,
    "lstm_lm.deploy.prototxt": language_model_deploy,
    "lrcn_solver.prototxt": lambda: caption_solver("caption/lrcn-2f", "lrcn", "lrcn"),
    "lrcn_solver.single_layer.prototxt": lambda: caption_solver("caption/lrcn-1u", "lrcn", "lrcn_single_layer"),
    "lrcn_solver.unfactored.prototxt": lambda: caption_solver("caption/lrcn-2u", "lrcn", "lrcn_unfactored"),
    "lrcn_solver.from_lm.prototxt": lambda: caption_solver("caption/lrcn-2f", "lrcn", "lrcn_from_lm", stage="from-lm"),
    "lrcn_solver.vgg.prototxt": lambda: caption_solver("caption/lrcn-2f-vgg16", "lrcn.vgg", "lrcn_vgg"),
    "lrcn_finetune_solver.prototxt": lambda: caption_solver(
        "caption/lrcn-2f", "lrcn", "lrcn_finetune", stage="finetune"
    ),
    "lrcn_finetune_solver.trainval.prototxt": lambda: caption_solver(
        "caption/lrcn-2f", "lrcn", "lrcn_finetune_trainval", stage="finetune-trainval"
    ),
    "lrcn_finetune_solver.vgg.prototxt": finetune_vgg_solver,
    "lrcn_finetune_solver.vgg.trainval.prototxt": lambda: caption_solver(
        "caption/lrcn-2f-vgg16", "lrcn.vgg.buffer_50", "lrcn_finetune_vgg_trainval", stage="finetune-trainval"
    ),
    "lstm_lm_solver.prototxt": lambda: caption_solver("lm/lstm-lm", "lstm_language_model", "lstm_lm"),
}

_FILES = {
    f"{folder}/{name}": write
    for folder, written in ((ACTIVITY, _ACTIVITY_FILES), (COCO, _COCO_FILES))
    for name, write in written.items()
}

# Path -> the fields that its original has and upstream Caffe does not, in both data layers.
FORK_ONLY = {
    f"{ACTIVITY}/train_test_singleFrame_RGB.prototxt": ["transform_param.flow: false"],
    f"{ACTIVITY}/train_test_singleFrame_flow.prototxt": [
        "transform_param.flow: true (a mirrored flow image has its x channel negated)",
        "image_data_param.min_height: 227",
        "image_data_param.min_width: 227",
    ],
}
