"""Activity recognition (paper, section 4.1 and Table 1): one frame at a time, and LRCN over clips of 16 frames.

Layer and blob names are those of the authors' release. Blobs that hold frames are time-major: frame t of video v is row
t * videos + v. `clip_markers` is 0 at a clip's first frame and 1 at every later one.
"""

import json
import posixpath
from types import SimpleNamespace

from google.protobuf.message import Message

from netspecs import backbones, solvers
from netspecs.backbones import BACKBONES, dropout
from netspecs.variant import Setting, Variant, flag, number, one_of, text, whole
from prototxt_gen import NetSpec, SpecError
from prototxt_gen import layers as L
from prototxt_gen import params as P
from prototxt_gen.netspec import Top

TRAIN = P.NetStateRule(phase="TRAIN")
TEST = P.NetStateRule(phase="TEST", stage="test-on-test")

RELEASE_NAMES = {"rgb": "RGB", "flow": "flow"}

SETTINGS = {
    "backbone": Setting("hybrid", one_of(*BACKBONES), "the CNN that reads the frames; features: none, fc6 is given"),
    "classes": Setting(101, whole(2), "classes"),
    "split": Setting(1, one_of(1, 2, 3), "the data set's train/test split"),
    "data": Setting("", text, "the dataset folder; empty: the folder in which Caffe runs"),
    "crop": Setting(227, whole(), "side of the square that the net sees of a frame, in pixels"),
    "height": Setting(240, whole(), "frames are resized to this height before the crop"),
    "width": Setting(320, whole(), "frames are resized to this width before the crop"),
    "mirror": Setting(True, flag, "mirror half of the clips; only where labels survive a mirror"),
    "crop_slip": Setting(False, flag, "as the release's code does: crop only mirrored clips, squeeze the others whole"),
    "mean_slip": Setting(False, flag, "the release's RGB mean, 128.68 for red, a slip for 123.68"),
    "scale": Setting(1.0, number(), "what the pixels less their mean are multiplied by"),
    "order": Setting("list", one_of("list", "shuffle"), "order of the training videos; the release goes by the list"),
    "seed": Setting(1701, whole(0), "seed of the weights, crops, mirrors and order"),
    "workers": Setting(4, whole(), "processes that read frames ahead; the batches are the same for any number"),
    "classifier_lr": Setting(10.0, number(), "learning rate of the classifier, which starts afresh, times the net's"),
    "frames": Setting(16, whole(), "T, frames a clip"),
    "deploy_crops": Setting(10, whole(), "crops a frame in the deploy net"),
    "deploy_clips": Setting(1, whole(), "clips a batch in the deploy net"),
    **backbones.SETTINGS,
}

SINGLE_FRAME = {
    **SETTINGS,
    "batch": Setting(128, whole(), "frames a batch in training"),
    "test_batch": Setting(128, whole(), "frames a batch in testing"),
    "videos": Setting(24, whole(), "N, videos a batch of the feature files (backbone features)"),
    **solvers.SETTINGS,
}

LRCN = {
    **SETTINGS,
    "videos": Setting(24, whole(), "N, videos a batch in training"),
    "test_videos": Setting(3, whole(), "videos a batch in testing"),
    "units": Setting(256, whole(), "hidden units of the LSTM"),
    "lstm_init": Setting(0.01, number(), "the LSTM's weights start uniform in -lstm_init .. lstm_init"),
    "lstm_drop": Setting(0.5, number(0, 1), "dropout after the LSTM"),
    **solvers.SETTINGS,
    "drop6": Setting(0.9, number(0, 1), "dropout after fc6"),
}


# ---- one frame at a time -----------------------------------------------------------------------------------

def single_frame(s: SimpleNamespace) -> Message:
    """The baseline: the CNN classifies every frame by itself. data (batch, 3, crop, crop), label (batch,)."""
    n = NetSpec(f"singleFrame_{RELEASE_NAMES[s.modality]}")
    if s.backbone == "features":
        _features(n, s)
        n["data-reshape"] = L.Reshape(n.data, name="reshape-data", shape=[-1, s.feature_size])
        n["reshape-label"] = L.Reshape(n.label, shape=[-1])
        n.silence = L.Silence(n.clip_markers, ntop=0)
        label = n["reshape-label"]
    else:
        n.data, n.label = _clips(s, "train", videos=s.batch, frames=1, ntop=2)
        n.data, n.label = _clips(s, "test", videos=s.test_batch, frames=1, ntop=2)
        label = n.label

    fc6 = BACKBONES[s.backbone].add(n, s, True)
    fc7 = backbones.fc7(n, s, fc6, True)
    n["fc8-ucf"] = L.InnerProduct(fc7, num_output=s.classes, **_classifier(s))
    _loss(n, s, n["fc8-ucf"], label)
    return n.to_proto()


def single_frame_deploy(s: SimpleNamespace) -> Message:
    """data (T * crops * clips, 3, crop, crop) -> probs (the same rows, classes); T being `frames`.

    With backbone features: data (T * N, D), N being `videos`.
    """
    n = NetSpec(f"singleFrame_{RELEASE_NAMES[s.modality]}")
    if s.backbone == "features":
        n.data = L.Input(shape=[s.frames * s.videos, s.feature_size])
    else:
        n.data = L.Input(shape=[s.frames * s.deploy_crops * s.deploy_clips, 3, s.crop, s.crop])

    fc6 = BACKBONES[s.backbone].add(n, s, False)
    fc7 = backbones.fc7(n, s, fc6, False)
    n["fc8-ucf"] = L.InnerProduct(fc7, num_output=s.classes, **_classifier(s))
    n.probs = L.Softmax(n["fc8-ucf"])
    return n.to_proto()


# ---- LRCN --------------------------------------------------------------------------------------------------

def lrcn(s: SimpleNamespace) -> Message:
    """Figure 3, left: CNN, then an LSTM over the frames of a clip, a prediction at every frame, loss over all of them.

    data (T*N, 3, crop, crop), label and clip_markers (T*N,); with backbone features (T, N, D), (T, N), (T, N).
    """
    n = NetSpec("lstm_joints")
    if s.backbone == "features":
        _features(n, s)
        label, markers = n.label, n.clip_markers
        frames = _frame_activations(n, s, train=True)
    else:
        n.data, n.label, n.clip_markers = _clips(s, "train", videos=s.videos, frames=s.frames, ntop=3)
        n.data, n.label, n.clip_markers = _clips(s, "test", videos=s.test_videos, frames=s.frames, ntop=3)
        cnn = _frame_activations(n, s, train=True)
        reshaped, depth = f"{s.reads}-reshape", getattr(s, s.reads)
        batches = [(s.videos, TRAIN), (s.test_videos, TEST)]
        for videos, rule in batches:
            n[reshaped] = L.Reshape(cnn, name="reshape-data", shape=[s.frames, videos, depth], include=rule)
        for videos, rule in batches:
            n["reshape-label"] = L.Reshape(n.label, shape=[s.frames, videos], include=rule)
        for videos, rule in batches:
            n["reshape-cm"] = L.Reshape(n.clip_markers, shape=[s.frames, videos], include=rule)
        frames, label, markers = n[reshaped], n["reshape-label"], n["reshape-cm"]

    scores = _lstm(n, s, frames, markers, train=True)
    _loss(n, s, scores, label, axis=2)
    return n.to_proto()


def lrcn_deploy(s: SimpleNamespace) -> Message:
    """data (T * N, 3, crop, crop), clip_markers (T * N, 1, 1, 1) -> probs (T, N, classes); N = crops * clips.

    With backbone features: data (T, N, D), clip_markers (T, N) -> probs (T, N, classes); N = `videos`.
    """
    n = NetSpec("Hyb2Net-LSTM")
    if s.backbone == "features":
        n.data = L.Input(shape=[s.frames, s.videos, s.feature_size])
        n.clip_markers = L.Input(shape=[s.frames, s.videos])
        frames, markers = _frame_activations(n, s, train=False), n.clip_markers
    else:
        streams = s.deploy_crops * s.deploy_clips
        n.data = L.Input(shape=[s.frames * streams, 3, s.crop, s.crop])
        n.clip_markers = L.Input(shape=[s.frames * streams, 1, 1, 1])
        cnn = _frame_activations(n, s, train=False)
        reshaped, depth = f"{s.reads}-reshape", getattr(s, s.reads)
        n[reshaped] = L.Reshape(cnn, name="reshape-data", shape=[s.frames, streams, depth])
        n["reshape-cm"] = L.Reshape(n.clip_markers, shape=[s.frames, streams])
        frames, markers = n[reshaped], n["reshape-cm"]

    n.probs = L.Softmax(_lstm(n, s, frames, markers, train=False), axis=2)
    return n.to_proto()


def _frame_activations(n: NetSpec, s: SimpleNamespace, train: bool) -> Top:
    """What the LSTM reads of a frame: fc6, or fc7 in the paper's fc7 variant (which the release does not have)."""
    fc6 = BACKBONES[s.backbone].add(n, s, train)
    return backbones.fc7(n, s, fc6, train) if s.reads == "fc7" else fc6


def _lstm(n: NetSpec, s: SimpleNamespace, frames: Top, markers: Top, train: bool) -> Top:
    """(T, N, D) -> LSTM (T, N, units) -> scores (T, N, classes)."""
    n.lstm1 = L.LSTM(frames, markers, num_output=s.units,
                     weight_filler=dict(type="uniform", min=-s.lstm_init, max=s.lstm_init),
                     bias_filler=dict(type="constant", value=0))
    hidden = dropout(n, "lstm1-drop", n.lstm1, s.lstm_drop, train, in_place=False)
    n["fc8-final"] = L.InnerProduct(hidden, num_output=s.classes, axis=2, **_classifier(s))
    return n["fc8-final"]


def _loss(n: NetSpec, s: SimpleNamespace, scores: Top, label: Top, **axis: int) -> None:
    """Loss and accuracy over all frames. Feature files pad their last batch with label -1, which counts for nothing."""
    padding = dict(ignore_label=-1) if s.backbone == "features" else {}
    n.loss = L.SoftmaxWithLoss(scores, label, loss_param=padding or None, **axis)
    n.accuracy = L.Accuracy(scores, label, **axis, **padding)


def _classifier(s: SimpleNamespace) -> dict:
    return dict(param=[dict(lr_mult=s.classifier_lr, decay_mult=1), dict(lr_mult=2 * s.classifier_lr, decay_mult=0)],
                weight_filler=dict(type="gaussian", std=0.01), bias_filler=dict(type="constant", value=0))


# ---- inputs ------------------------------------------------------------------------------------------------

def _clips(s: SimpleNamespace, part: str, videos: int, frames: int, ntop: int) -> tuple[Top, ...]:
    """The layer of `lrcn.clip_data` that reads the list of `part`, "train" or "test": pixels less `mean`."""
    if s.modality == "flow":
        mean = [128, 128, 128]
    else:
        mean = [103.939, 116.779, 128.68 if s.mean_slip else 123.68]  # blue, green, red
    settings = dict(
        data=s.data, list=f"{part}{s.split}.txt", modality=s.modality,
        videos=videos, frames=frames,
        crop=s.crop, height=s.height, width=s.width, mirror=s.mirror, crop_slip=s.crop_slip, mean=mean, scale=s.scale,
        order=s.order if part == "train" else "list", seed=s.seed, workers=s.workers)
    return L.Python(name="data", ntop=ntop, include=TRAIN if part == "train" else TEST,
                    module="lrcn.clip_data", layer="ClipData", param_str=json.dumps(settings, sort_keys=True))


def _features(n: NetSpec, s: SimpleNamespace) -> None:
    """Precomputed activations: data (T, N, D), label and clip_markers (T, N); N lies in the files."""
    for part, rule in ("train", TRAIN), ("test", TEST):
        n.data, n.label, n.clip_markers = L.HDF5Data(
            name="data", ntop=3, include=rule,
            source=posixpath.join(s.data, f"{part}{s.split}_features.txt"), batch_size=s.frames)


# ---- solver, checks, variants ------------------------------------------------------------------------------

def solver(s: SimpleNamespace) -> Message:
    """Tested on the test list, stage `test-on-test`."""
    return solvers.solver(s, test_states=(P.NetState(stage="test-on-test"),))


def check(s: SimpleNamespace) -> None:
    """SpecError where settings clash."""
    backbones.check(s)
    solvers.check(s)
    if s.backbone != "features" and s.crop > min(s.height, s.width):
        raise SpecError(f"crop={s.crop} does not fit into frames of height={s.height} and width={s.width}")


def _published(table: dict, family: str, modality: str) -> dict:
    values = solvers.PUBLISHED[family, modality]
    return {name: setting._replace(default=values.get(name, setting.default)) for name, setting in table.items()}


VARIANTS = [
    Variant(f"activity/single-frame-{modality}", "activity", f"Table 1, single frame, {modality}",
            _published(SINGLE_FRAME, "single-frame", modality), single_frame, single_frame_deploy, solver,
            fixed=dict(modality=modality), presets=dict(backbone=backbones.DEFAULTS), check=check)
    for modality in ("rgb", "flow")
] + [
    Variant(f"activity/lrcn-{reads}-{modality}", "activity", f"Table 1, LRCN-{reads}, {modality}",
            _published(LRCN, "lrcn", modality), lrcn, lrcn_deploy, solver,
            fixed=dict(modality=modality, reads=reads), presets=dict(backbone=backbones.DEFAULTS), check=check)
    for reads in ("fc6", "fc7") for modality in ("rgb", "flow")
]
