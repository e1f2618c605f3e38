"""The CNNs that LRCN reads its frames with, from pixels up to fc6 or fc7.

Each is a function `(n, s, train) -> fc6` that adds its layers to the NetSpec `n`, reading `data`, and returns the top
of fc6. `s` holds the settings; `train` is False for a deploy net, which has no dropout. `fc7` goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from netspecs.variant import Setting, number, sizes, whole
from prototxt_gen import NetSpec, SpecError
from prototxt_gen import layers as L
from prototxt_gen.netspec import Top

# Weights learn at the net's rate and decay; biases learn at twice the rate and do not decay.
LEARN = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]

GAUSSIAN = dict(param=LEARN,
                weight_filler=dict(type="gaussian", std=0.01), bias_filler=dict(type="constant", value=0.1))
MSRA = dict(param=LEARN, weight_filler=dict(type="msra"), bias_filler=dict(type="constant", value=0))

SETTINGS = {
    "widths": Setting([96, 384, 512, 512, 384], sizes, "outputs of conv1, conv2, ..."),
    "fc6": Setting(4096, whole(), "outputs of fc6"),
    "fc7": Setting(4096, whole(), "outputs of fc7"),
    "drop6": Setting(0.5, number(0, 1), "dropout after fc6"),
    "drop7": Setting(0.5, number(0, 1), "dropout after fc7"),
    "feature_size": Setting(4096, whole(), "D, the values a frame, of the precomputed fc6 (backbone features)"),
}


def hybrid(n: NetSpec, s: SimpleNamespace, train: bool) -> Top:
    """The paper's base net (section 4.1): a cross of CaffeNet and Zeiler and Fergus's net, for 3x227x227 frames."""
    conv1, conv2, conv3, conv4, conv5 = s.widths

    n.conv1 = L.Convolution(n.data, num_output=conv1, kernel_size=7, stride=2, **GAUSSIAN)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.conv1, pool="MAX", kernel_size=3, stride=2)
    n.norm1 = L.LRN(n.pool1, local_size=5, alpha=1e-4, beta=0.75)

    n.conv2 = L.Convolution(n.norm1, num_output=conv2, kernel_size=5, group=2, stride=2, **GAUSSIAN)
    n.relu2 = L.ReLU(n.conv2, in_place=True)
    n.pool2 = L.Pooling(n.conv2, pool="MAX", kernel_size=3, stride=2)
    n.norm2 = L.LRN(n.pool2, local_size=5, alpha=1e-4, beta=0.75)

    n.conv3 = L.Convolution(n.norm2, num_output=conv3, pad=1, kernel_size=3, **GAUSSIAN)
    n.relu3 = L.ReLU(n.conv3, in_place=True)
    n.conv4 = L.Convolution(n.conv3, num_output=conv4, pad=1, kernel_size=3, group=2, **GAUSSIAN)
    n.relu4 = L.ReLU(n.conv4, in_place=True)
    n.conv5 = L.Convolution(n.conv4, num_output=conv5, pad=1, kernel_size=3, group=2, **GAUSSIAN)
    n.relu5 = L.ReLU(n.conv5, in_place=True)
    n.pool5 = L.Pooling(n.conv5, pool="MAX", kernel_size=3, stride=2)

    return _fc6(n, s, n.pool5, train, GAUSSIAN)


def tiny(n: NetSpec, s: SimpleNamespace, train: bool) -> Top:
    """The demo's net: three small convolutions that two CPU cores train in minutes. Not the paper's.

    It strides where the others pool: a maximum over a neighbourhood forgets where in it an object is, and motion is a
    matter of where.
    """
    conv1, conv2, conv3 = s.widths

    n.conv1 = L.Convolution(n.data, num_output=conv1, kernel_size=5, stride=2, **MSRA)
    n.relu1 = L.ReLU(n.conv1, in_place=True)

    n.conv2 = L.Convolution(n.conv1, num_output=conv2, pad=1, kernel_size=3, stride=2, **MSRA)
    n.relu2 = L.ReLU(n.conv2, in_place=True)

    n.conv3 = L.Convolution(n.conv2, num_output=conv3, pad=1, kernel_size=3, stride=2, **MSRA)
    n.relu3 = L.ReLU(n.conv3, in_place=True)

    return _fc6(n, s, n.conv3, train, MSRA)


def features(n: NetSpec, s: SimpleNamespace, train: bool) -> Top:
    """No CNN: the frames come as precomputed fc6 activations, (T, N, D) or (T*N, D), taken after fc6's ReLU.

    Its dropout is not in place, so that the input blob keeps what the file says.
    """
    frames = n["data-reshape"] if "data-reshape" in n else n.data
    return dropout(n, "drop6", frames, s.drop6, train, in_place=False)


def fc7(n: NetSpec, s: SimpleNamespace, fc6: Top, train: bool) -> Top:
    """fc7 on top of a backbone's fc6; on its last axis, so that features (T, N, D) need no reshape."""
    axis = dict(axis=-1) if s.backbone == "features" else {}
    n.fc7 = L.InnerProduct(fc6, num_output=s.fc7, **axis, **BACKBONES[s.backbone].fillers)
    n.relu7 = L.ReLU(n.fc7, in_place=True)
    return dropout(n, "drop7", n.fc7, s.drop7, train)


def dropout(n: NetSpec, name: str, top: Top, ratio: float, train: bool, in_place: bool = True) -> Top:
    """A Dropout layer in a net that trains; nothing in a deploy net, nor for ratio 0 (Caffe takes none)."""
    if not train or ratio == 0:
        return top
    n[name] = L.Dropout(top, dropout_ratio=ratio, in_place=in_place)
    return n[name]


def _fc6(n: NetSpec, s: SimpleNamespace, below: Top, train: bool, fillers: dict) -> Top:
    n.fc6 = L.InnerProduct(below, num_output=s.fc6, **fillers)
    n.relu6 = L.ReLU(n.fc6, in_place=True)
    return dropout(n, "drop6", n.fc6, s.drop6, train)


@dataclass(frozen=True)
class Backbone:
    """A backbone by name: the function that adds its layers, how its weights start, and the sizes that come with it.

    `least_crop` is the smallest square, in pixels, that leaves every layer something to read.
    """

    add: Callable[[NetSpec, SimpleNamespace, bool], Top]
    fillers: dict[str, Any]
    convolutions: int
    least_crop: int
    defaults: dict[str, Any]


BACKBONES = {
    "hybrid": Backbone(hybrid, GAUSSIAN, convolutions=5, least_crop=49, defaults={}),
    "tiny": Backbone(tiny, MSRA, convolutions=3, least_crop=5,
                     defaults=dict(widths=[16, 32, 48], fc6=128, fc7=128, crop=56, height=64, width=80, scale=0.02)),
    "features": Backbone(features, GAUSSIAN, convolutions=0, least_crop=0, defaults=dict(widths=[])),
}

DEFAULTS = {name: backbone.defaults for name, backbone in BACKBONES.items()}


def check(s: SimpleNamespace) -> None:
    """SpecError where the settings do not fit the backbone."""
    backbone = BACKBONES[s.backbone]
    if len(s.widths) != backbone.convolutions:
        raise SpecError(f"widths={s.widths}: backbone {s.backbone} has {backbone.convolutions} convolutions")
    if backbone.add is hybrid and any(width % 2 for width in s.widths):
        raise SpecError(f"widths={s.widths} must be even: backbone hybrid splits its channels into two groups")
    if s.crop < backbone.least_crop:
        raise SpecError(f"crop={s.crop} is too small: backbone {s.backbone} takes {backbone.least_crop} at least")
