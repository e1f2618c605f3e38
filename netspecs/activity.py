"""Activity recognition (paper, section 4.1 and Table 1): one frame at a time, and LRCN over clips of 16 frames.

Layer and blob names are those of the authors' release. Blobs that hold frames are time-major: frame t of video v is row
t * videos + v. `clip_markers` is 0 at a clip's first frame and 1 at every later one.
"""

import json
import posixpath
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from google.protobuf.message import Message

from netspecs import backbones, solvers
from netspecs.backbones import BACKBONES, LEARN, dropout
from netspecs.recurrent import STATE, lstm
from netspecs.sources import ACTIVITY, Field, File, Ours, Paper, Script, Sourced
from netspecs.variant import DATA, Setting, Variant, flag, number, one_of, whole
from prototxt_gen import NetSpec, SpecError
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.netspec import Top

TRAIN = P.NetStateRule(phase="TRAIN")
TEST = P.NetStateRule(phase="TEST", stage="test-on-test")
RULES = {"train": TRAIN, "test": TEST}  # in which state of the net which part of the data is read

RELEASE_NAMES = {"rgb": "RGB", "flow": "flow"}

LAYER, CLASSIFY = "sequence_input_layer.py", "classify_video.py"

SETTINGS = {
    "backbone": Setting(
        "hybrid", one_of(*BACKBONES), "the CNN that reads the frames; features: none, see given", Paper("section 4.1")
    ),
    "given": Setting(
        "fc6",
        one_of("fc6", "fc7"),
        "whose activations the files of backbone features hold",
        Ours("the release computes no activations beforehand"),
    ),
    "classes": Setting(101, whole(2), "classes", Field("net", "fc8-final.inner_product_param.num_output")),
    "split": Setting(1, one_of(1, 2, 3), "the data set's train/test split", Paper("Table 1, split-1")),
    "data": DATA,
    "crop": Setting(
        227, whole(), "side of the square that the net sees of a frame, in pixels", Field("deploy", "input_dim[2]")
    ),
    "height": Setting(
        240, whole(), "frames are resized to this height before the crop", Script(LAYER, "video_dict[...]['reshape']")
    ),
    "width": Setting(
        320, whole(), "frames are resized to this width before the crop", Script(LAYER, "video_dict[...]['reshape']")
    ),
    "mirror": Setting(
        True,
        flag,
        "mirror half of the clips; only where labels survive a mirror",
        Script(LAYER, "im_flip, drawn once a clip"),
    ),
    "crop_slip": Setting(
        False,
        flag,
        "as the release's code does: crop only mirrored clips, squeeze the others whole",
        Ours(f"{LAYER} slips: in processImageCrop the crop stands below the flip's if"),
    ),
    "mean_slip": Setting(
        False,
        flag,
        "the release's RGB mean, 128.68 for red, a slip for 123.68",
        Ours(f"{LAYER} slips: its image_mean has 128.68, the single-frame net's mean_value 123.68"),
    ),
    "scale": Setting(
        1.0,
        number(),
        "what the pixels less their mean are multiplied by",
        Script(LAYER, "set_raw_scale('data_in', 255): pixels from 0 to 255"),
    ),
    "order": Setting(
        "list",
        one_of("list", "shuffle"),
        "order of the training videos; the release goes by the list",
        Script(LAYER, "video_order"),
    ),
    "seed": Setting(1701, whole(0), "seed of the weights, crops, mirrors and order", solvers.of_solver("random_seed")),
    "workers": Setting(
        4,
        whole(),
        "processes that read frames ahead; the batches are the same for any number",
        Ours("a machine's matter; the release has 24 (pool_size)"),
    ),
    "classifier_lr": Setting(
        10.0,
        number(),
        "learning rate of the classifier, which starts afresh, times the net's",
        Field("net", "fc8-final.param[0].lr_mult"),
    ),
    "frames": Setting(16, whole(), "T, frames a clip", Field("net", "reshape-data.reshape_param.shape.dim[0]")),
    "deploy_frames": Setting(
        0,
        whole(0),
        "T in the deploy net: 1 to go frame by frame; 0: as many as in training",
        Ours("0 stands for the clip's 16 frames, as the released deploy nets have them"),
    ),
    "deploy_crops": Setting(10, whole(), "crops a frame in the deploy net", Field("deploy", "input_dim[0]", 16 * 10)),
    "deploy_clips": Setting(1, whole(), "clips a batch in the deploy net", Field("deploy", "input_dim[0]", 16 * 10)),
    **backbones.SETTINGS,
}

SINGLE_FRAME = {
    **SETTINGS,
    "classes": SETTINGS["classes"]._replace(source=Field("net", "fc8-ucf.inner_product_param.num_output")),
    "crop": SETTINGS["crop"]._replace(source=Field("net", "data.transform_param.crop_size")),
    "mirror": SETTINGS["mirror"]._replace(source=Field("net", "data.transform_param.mirror")),
    "scale": SETTINGS["scale"]._replace(source=Field("net", "data.transform_param.scale")),
    "order": SETTINGS["order"]._replace(source=Field("net", "data.image_data_param.shuffle", False)),
    "classifier_lr": SETTINGS["classifier_lr"]._replace(source=Field("net", "fc8-ucf.param[0].lr_mult")),
    "frames": SETTINGS["frames"]._replace(source=Field("deploy", "input_dim[0]", 16 * 10)),
    "reader": Setting(
        "clips",
        one_of("lmdb", "clips"),
        "who reads the frames: Caffe's Data layer, a shuffled LMDB; "
        "or this project's layer, which alone knows how to mirror flow",
        Ours("the release reads image files, and mirrors flow by a field of its fork of Caffe"),
    ),
    "batch": Setting(128, whole(), "frames a batch in training", Field("net", "data[0].image_data_param.batch_size")),
    "test_batch": Setting(
        128, whole(), "frames a batch in testing", Field("net", "data[1].image_data_param.batch_size")
    ),
    "videos": Setting(
        24, whole(), "N, videos a batch of the feature files (backbone features)", Ours("as many as LRCN reads")
    ),
    **solvers.SETTINGS,
}

RGB_STILLS = dict(
    reader="lmdb",
    height=Sourced(240, Field("net", "data.image_data_param.new_height")),
    width=Sourced(320, Field("net", "data.image_data_param.new_width")),
)
# Of flow the release asks for 227x227 at least, in fields of its fork of Caffe.
_FLOW_SIZE = Ours("as the frames that it is computed of; the release resizes none")
FLOW_STILLS = dict(height=Sourced(240, _FLOW_SIZE), width=Sourced(320, _FLOW_SIZE))

LRCN = {
    **SETTINGS,
    "videos": Setting(
        24, whole(), "N, videos a batch in training", Field("net", "reshape-data[0].reshape_param.shape.dim[1]")
    ),
    "test_videos": Setting(
        3, whole(), "videos a batch in testing", Field("net", "reshape-data[1].reshape_param.shape.dim[1]")
    ),
    "units": Setting(256, whole(), "hidden units of the LSTM", Field("net", "lstm1.recurrent_param.num_output")),
    "deploy_state": STATE,
    "lstm_init": Setting(
        0.01,
        number(),
        "the LSTM's weights start uniform in -lstm_init .. lstm_init",
        Field("net", "lstm1.recurrent_param.weight_filler.max"),
    ),
    "lstm_drop": Setting(
        0.5, number(0, 1), "dropout after the LSTM", Field("net", "lstm1-drop.dropout_param.dropout_ratio")
    ),
    **solvers.SETTINGS,
    "drop6": SETTINGS["drop6"]._replace(default=0.9),
    "fc7": SETTINGS["fc7"]._replace(source=Field("single", "fc7.inner_product_param.num_output")),
    "drop7": SETTINGS["drop7"]._replace(
        source=Ours("neither release nor paper has it for LRCN-fc7; as the single-frame net that it starts from")
    ),
}


# ---- one frame at a time -----------------------------------------------------------------------------------


def single_frame(s: SimpleNamespace, deploy: bool) -> Message:
    """The baseline: the CNN classifies every frame by itself.

    Training: data (batch, 3, crop, crop), label (batch,). Deployed: data (T * crops * clips, 3, crop, crop) -> probs
    (the same rows, classes), T being `deploy_frames`. With backbone features data is (T * N, D).
    """
    n = NetSpec(f"singleFrame_{RELEASE_NAMES[s.modality]}")
    label = _single_frames(n, s, deploy)

    fc7 = _cnn(n, s, not deploy, "fc7")
    n["fc8-ucf"] = L.InnerProduct(fc7, num_output=s.classes, **classifier(s))

    if label is None:
        n.probs = L.Softmax(n["fc8-ucf"])
    else:
        _loss(n, s, n["fc8-ucf"], label)
    return n.to_proto()


def _single_frames(n: NetSpec, s: SimpleNamespace, deploy: bool) -> Top | None:
    """`data`, or with backbone features `data-reshape`, a row a frame; -> in training its label."""
    if deploy:
        _deploy_inputs(n, s)
        return None
    if s.backbone == "features":
        _features(n, s)
        n["data-reshape"] = L.Reshape(n.data, name="reshape-data", shape=[-1, s.feature_size])
        n["reshape-label"] = L.Reshape(n.label, shape=[-1])
        n.silence = L.Silence(n.clip_markers, ntop=0)
        return n["reshape-label"]
    read = _stills if s.reader == "lmdb" else _short_clips
    for part, batch in ("train", s.batch), ("test", s.test_batch):
        n.data, n.label = read(s, part, batch)
    return n.label


def _stills(s: SimpleNamespace, part: str, batch: int) -> tuple[Top, ...]:
    """Caffe's own layer, on an LMDB of frames in random order."""
    source = posixpath.join(s.data, f"stills_{part}{s.split}")
    return L.Data(
        name="data",
        ntop=2,
        include=RULES[part],
        source=source,
        batch_size=batch,
        backend="LMDB",
        transform_param=backbones.transform(s),
    )


def _short_clips(s: SimpleNamespace, part: str, batch: int) -> tuple[Top, ...]:
    """Clips of one frame."""
    return _clips(s, part, videos=batch, frames=1, ntop=2)


# ---- LRCN --------------------------------------------------------------------------------------------------


def lrcn(s: SimpleNamespace, deploy: bool) -> Message:
    """Figure 3, left: CNN, then an LSTM over the frames of a clip, a prediction at every frame, loss over all of them.

    Training: data (T*N, 3, crop, crop), label and clip_markers (T*N,). Deployed: data (T*N, 3, crop, crop),
    clip_markers (T*N, 1, 1, 1) -> probs (T, N, classes), N being crops * clips. With backbone features, data is
    (T, N, D), label and clip_markers (T, N).
    """
    n = NetSpec("Hyb2Net-LSTM" if deploy else "lstm_joints")
    frames, markers, label = _frame_sequences(n, s, deploy)

    exposed = _streams(s) if deploy and s.deploy_state == "exposed" else None
    hidden = lstm(n, "lstm1", [frames, markers], s.units, exposed, init=s.lstm_init)
    hidden = dropout(n, "lstm1-drop", hidden, s.lstm_drop, not deploy, in_place=False)
    n["fc8-final"] = L.InnerProduct(hidden, num_output=s.classes, axis=2, **classifier(s))

    if label is None:
        n.probs = L.Softmax(n["fc8-final"], axis=2)
    else:
        _loss(n, s, n["fc8-final"], label, axis=2)
    return n.to_proto()


def _frame_sequences(n: NetSpec, s: SimpleNamespace, deploy: bool) -> tuple[Top, Top, Top | None]:
    """What the LSTM reads: frames (T, N, D), the CNN's or as given, markers (T, N) and, in training, label (T, N)."""
    if deploy:
        _deploy_inputs(n, s)
    elif s.backbone == "features":
        _features(n, s)
    else:
        n.data, n.label, n.clip_markers = _clips(s, "train", s.videos, s.frames, ntop=3)
        n.data, n.label, n.clip_markers = _clips(s, "test", s.test_videos, s.frames, ntop=3)

    frames = _cnn(n, s, not deploy, s.layer)
    if s.backbone == "features":
        return frames, n.clip_markers, None if deploy else n.label

    batches: list[tuple[list[int], dict[str, Any]]]
    if deploy:
        batches = [([_deploy_frames(s), _streams(s)], {})]
    else:
        batches = [([s.frames, s.videos], dict(include=TRAIN)), ([s.frames, s.test_videos], dict(include=TEST))]

    def reshaped(blob: str, below: Top, name: str, depth: Sequence[int] = ()) -> Top:
        for shape, rule in batches:
            n[blob] = L.Reshape(below, name=name, shape=[*shape, *depth], **rule)
        return n[blob]

    frames = reshaped(f"{s.layer}-reshape", frames, "reshape-data", [getattr(s, s.layer)])
    label = None if deploy else reshaped("reshape-label", n.label, "reshape-label")
    markers = reshaped("reshape-cm", n.clip_markers, "reshape-cm")
    return frames, markers, label


def _cnn(n: NetSpec, s: SimpleNamespace, train: bool, upto: str) -> Top:
    """Frames -> fc6, or fc7: of the LRCNs the paper's fc7 variant reads that, which the release does not have."""
    top = BACKBONES[s.backbone].add(n, s, train, LEARN)
    layer = s.given if s.backbone == "features" else "fc6"
    return backbones.fc7(n, s, top, train) if (upto, layer) == ("fc7", "fc6") else top


def _loss(n: NetSpec, s: SimpleNamespace, scores: Top, label: Top, **axis: int) -> None:
    """Loss and accuracy over all frames. Feature files pad their last batch with label -1, which counts for nothing."""
    padding = dict(ignore_label=-1) if s.backbone == "features" else {}
    n.loss = L.SoftmaxWithLoss(scores, label, loss_param=padding or None, **axis)
    n.accuracy = L.Accuracy(scores, label, **axis, **padding)


def classifier(s: SimpleNamespace) -> dict[str, Any]:
    """Rates and fillers of the layer that tells the classes: it starts afresh, so it learns faster."""
    return dict(
        param=[dict(lr_mult=s.classifier_lr, decay_mult=1), dict(lr_mult=2 * s.classifier_lr, decay_mult=0)],
        weight_filler=dict(type="gaussian", std=0.01),
        bias_filler=dict(type="constant", value=0),
    )


# ---- inputs ------------------------------------------------------------------------------------------------


def _clips(s: SimpleNamespace, part: str, videos: int, frames: int, ntop: int) -> tuple[Top, ...]:
    """The layer of `lrcn.clip_data` that reads the list of `part`, "train" or "test": pixels less their mean."""
    settings = dict(
        data=s.data,
        list=f"{part}{s.split}.txt",
        modality=s.modality,
        videos=videos,
        frames=frames,
        crop=s.crop,
        height=s.height,
        width=s.width,
        mirror=s.mirror,
        crop_slip=s.crop_slip,
        mean=s.mean,
        scale=s.scale,
        order=s.order if part == "train" else "list",
        seed=s.seed,
        workers=s.workers,
    )
    return L.Python(
        name="data",
        ntop=ntop,
        include=RULES[part],
        module="lrcn.clip_data",
        layer="ClipData",
        param_str=json.dumps(settings, sort_keys=True),
    )


def _features(n: NetSpec, s: SimpleNamespace) -> None:
    """Precomputed activations: data (T, N, D), label and clip_markers (T, N); N lies in the files."""
    for part, rule in RULES.items():
        source = posixpath.join(s.data, f"{part}{s.split}_features.txt")
        n.data, n.label, n.clip_markers = L.HDF5Data(
            name="data", ntop=3, include=rule, source=source, batch_size=s.frames
        )


def _deploy_inputs(n: NetSpec, s: SimpleNamespace) -> None:
    for blob, shape in _deploy_shapes(s).items():
        n[blob] = L.Input(shape=shape)


def _deploy_shapes(s: SimpleNamespace) -> dict[str, list[int]]:
    steps, streams = _deploy_frames(s), _streams(s)
    rows, recurrent = steps * streams, s.reads == "clips"
    if s.backbone != "features":
        markers = dict(clip_markers=[rows, 1, 1, 1]) if recurrent else {}
        return dict(data=[rows, 3, s.crop, s.crop]) | markers
    if recurrent:
        return dict(data=[steps, streams, s.feature_size], clip_markers=[steps, streams])
    return dict(data=[rows, s.feature_size])


def _deploy_frames(s: SimpleNamespace) -> int:
    return s.deploy_frames or s.frames


def _streams(s: SimpleNamespace) -> int:
    """N in the deploy net: every crop of every clip is a stream of its own."""
    return s.videos if s.backbone == "features" else s.deploy_crops * s.deploy_clips


def inputs(s: SimpleNamespace) -> dict[str, dict[str, list[int]]]:
    """What the data layers give in training and in testing."""
    if s.backbone == "features":
        shape = [s.frames, s.videos]
        batch = dict(data=[*shape, s.feature_size], label=shape, clip_markers=shape)
        return dict(train=batch, test=batch)
    if s.reads == "frames":
        return dict(train=_pixel_shapes(s, s.batch), test=_pixel_shapes(s, s.test_batch))
    rows = dict(train=s.frames * s.videos, test=s.frames * s.test_videos)
    return {part: _pixel_shapes(s, rows[part]) | dict(clip_markers=[rows[part]]) for part in rows}


def _pixel_shapes(s: SimpleNamespace, rows: int) -> dict[str, list[int]]:
    return dict(data=[rows, 3, s.crop, s.crop], label=[rows])


# ---- mean, solver, checks, variants ------------------------------------------------------------------------


def pixel_mean(s: SimpleNamespace) -> list[float] | None:
    """Of frames the mean of ILSVRC's images; of flow images the level of no motion."""
    if s.backbone == "features":
        return None
    return [128, 128, 128] if s.modality == "flow" else [103.939, 116.779, 128.68 if s.mean_slip else 123.68]


def solver(s: SimpleNamespace) -> Message:
    """Tested on the test list, stage `test-on-test`."""
    return solvers.solver(s, test_states=(P.NetState(stage="test-on-test"),))


def released(s: SimpleNamespace) -> dict[str, File]:
    """The authors' files. Of LRCN they released that on fc6, and one deploy net for both modalities."""
    kind = "singleFrame" if s.reads == "frames" else "lstm"
    fc7 = s.reads == "clips" and s.layer == "fc7"
    instead = "LRCN-fc7 was not released; as LRCN-fc6" if fc7 else ""
    modality = RELEASE_NAMES[s.modality]
    return dict(
        net=File(f"{ACTIVITY}/train_test_{kind}_{modality}.prototxt", instead),
        solver=File(f"{ACTIVITY}/{kind}_solver_{modality}.prototxt", instead),
        deploy=File(f"{ACTIVITY}/deploy_{kind}.prototxt", instead),
        single=File(f"{ACTIVITY}/train_test_singleFrame_{modality}.prototxt"),
    )


def check(s: SimpleNamespace) -> None:
    """SpecError where settings clash."""
    backbones.check(s)
    solvers.check(s)
    if s.backbone == "features" and s.given == "fc7" and s.reads == "clips" and s.layer == "fc6":
        raise SpecError("given=fc7 has nothing for an LSTM after fc6: take activity/lrcn-fc7-* or given=fc6")
    if s.modality == "flow" and getattr(s, "reader", "clips") == "lmdb":
        raise SpecError("reader=lmdb does not know flow: Caffe's mirror does not turn x round; use reader=clips")


VARIANTS = [
    Variant(
        task="activity",
        row="single-frame",
        modality=modality,
        reads="frames",
        paper=f"Table 1, single frame, {modality}",
        table=solvers.published(
            SINGLE_FRAME,
            solvers.ACTIVITY["single-frame", modality] | (FLOW_STILLS if modality == "flow" else RGB_STILLS),
        ),
        net=single_frame,
        solver=solver,
        inputs=inputs,
        released=released,
        pixel_mean=pixel_mean,
        editions="split",
        presets=dict(backbone=backbones.PRESETS),
        check=check,
    )
    for modality in ("rgb", "flow")
] + [
    Variant(
        task="activity",
        row=f"lrcn-{layer}",
        modality=modality,
        reads="clips",
        paper=f"Table 1, LRCN-{layer}, {modality}",
        table=solvers.published(LRCN, solvers.ACTIVITY["lrcn", modality]),
        net=lrcn,
        solver=solver,
        inputs=inputs,
        released=released,
        pixel_mean=pixel_mean,
        fixed=dict(layer=layer),
        editions="split",
        presets=dict(backbone=backbones.PRESETS),
        check=check,
    )
    for layer in ("fc6", "fc7")
    for modality in ("rgb", "flow")
]
