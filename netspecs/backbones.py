"""The CNNs that LRCN reads its pictures with, from pixels up to fc6; `fc7` goes on from there.

Each is a function `(n, s, train, ways) -> fc6` that adds its layers to the NetSpec `n`, reading `data`, and returns the
top of fc6. `s` holds the settings; `train` is False for a deploy net, which has no dropout; `ways` says how the weights
learn. `@backbone` above it says what comes with it, and makes its name one that the setting `backbone` takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from netspecs.sources import Field, Ours
from netspecs.variant import Setting, number, sizes, whole
from prototxt_gen import NetSpec, SpecError
from prototxt_gen import layers as L
from prototxt_gen.netspec import Top

Ways = Sequence[dict[str, Any]]
_Add = Callable[[NetSpec, SimpleNamespace, bool, Ways], Top]

# One way to learn: weights at the net's rate and decay; biases at twice the rate, without decay.
LEARN: Ways = [dict(param=[dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)])]


def gaussian(std: float, bias: float) -> dict[str, Any]:
    """Fillers: normal weights, constant bias."""
    return dict(weight_filler=dict(type="gaussian", std=std), bias_filler=dict(type="constant", value=bias))


@dataclass(frozen=True)
class Backbone:
    """A backbone by name: the function that adds its layers, how its fc7 starts, and the settings that come with it,
    `widths` among them.

    `least_crop` is the smallest square, in pixels, that leaves every layer something to read; `groups` into how many
    parts it splits its channels.
    """

    add: _Add
    fillers: dict[str, Any]
    least_crop: int
    groups: int
    defaults: dict[str, Any]


BACKBONES: dict[str, Backbone] = {}
PRESETS: dict[str, dict[str, Any]] = {}  # backbone -> the settings that come with it


def backbone(fillers: dict[str, Any], least_crop: int = 0, groups: int = 1, **defaults: Any) -> Callable[[_Add], _Add]:
    """Above the function of a backbone: names it in BACKBONES, as the function is named."""

    def name(add: _Add) -> _Add:
        BACKBONES[add.__name__] = Backbone(add, fillers, least_crop, groups, defaults)
        PRESETS[add.__name__] = defaults
        return add

    return name


HYBRID = gaussian(0.01, 0.1)
MSRA = dict(weight_filler=dict(type="msra"), bias_filler=dict(type="constant", value=0))

SETTINGS = {
    "widths": Setting(
        [96, 384, 512, 512, 384],
        sizes,
        "outputs of the convolutions, in their order",
        Field("net", "conv*.convolution_param.num_output"),
    ),
    "fc6": Setting(4096, whole(), "outputs of fc6", Field("net", "fc6.inner_product_param.num_output")),
    "fc7": Setting(4096, whole(), "outputs of fc7", Field("net", "fc7.inner_product_param.num_output")),
    "drop6": Setting(0.5, number(0, 1), "dropout after fc6", Field("net", "drop6.dropout_param.dropout_ratio")),
    "drop7": Setting(0.5, number(0, 1), "dropout after fc7", Field("net", "drop7.dropout_param.dropout_ratio")),
    "feature_size": Setting(
        4096,
        whole(),
        "D, values a picture, of the activations given (backbone features)",
        Ours("fc6 has as many; the release computes no activations beforehand"),
    ),
}


@backbone(HYBRID, least_crop=49, groups=2, widths=[96, 384, 512, 512, 384], crop=227)
def hybrid(n: NetSpec, s: SimpleNamespace, train: bool, ways: Ways) -> Top:
    """The paper's base net (section 4.1): a cross of CaffeNet and Zeiler and Fergus's net, for 3x227x227 frames."""
    conv1, conv2, conv3, conv4, conv5 = s.widths

    convolution(n, "conv1", n.data, ways, HYBRID, num_output=conv1, kernel_size=7, stride=2)
    pool_and_norm(n, "1", n.conv1)
    convolution(n, "conv2", n.norm1, ways, HYBRID, num_output=conv2, kernel_size=5, group=2, stride=2)
    pool_and_norm(n, "2", n.conv2)
    convolution(n, "conv3", n.norm2, ways, HYBRID, num_output=conv3, pad=1, kernel_size=3)
    convolution(n, "conv4", n.conv3, ways, HYBRID, num_output=conv4, pad=1, kernel_size=3, group=2)
    convolution(n, "conv5", n.conv4, ways, HYBRID, num_output=conv5, pad=1, kernel_size=3, group=2)
    n.pool5 = L.Pooling(n.conv5, pool="MAX", kernel_size=3, stride=2)

    fc6 = fully_connected(n, "fc6", n.pool5, ways, HYBRID, num_output=s.fc6)
    return dropout(n, "drop6", fc6, s.drop6, train)


@backbone(gaussian(0.005, 1), least_crop=39, groups=2, widths=[96, 256, 384, 384, 256], crop=227)
def caffenet(n: NetSpec, s: SimpleNamespace, train: bool, ways: Ways) -> Top:
    """CaffeNet, the reference net of BVLC Caffe, for 3x227x227 pictures: reads the images of image description."""
    conv1, conv2, conv3, conv4, conv5 = s.widths

    convolution(n, "conv1", n.data, ways, gaussian(0.01, 0), num_output=conv1, kernel_size=11, stride=4)
    pool_and_norm(n, "1", n.conv1)
    convolution(n, "conv2", n.norm1, ways, gaussian(0.01, 1), num_output=conv2, pad=2, kernel_size=5, group=2)
    pool_and_norm(n, "2", n.conv2)
    convolution(n, "conv3", n.norm2, ways, gaussian(0.01, 0), num_output=conv3, pad=1, kernel_size=3)
    convolution(n, "conv4", n.conv3, ways, gaussian(0.01, 1), num_output=conv4, pad=1, kernel_size=3, group=2)
    convolution(n, "conv5", n.conv4, ways, gaussian(0.01, 1), num_output=conv5, pad=1, kernel_size=3, group=2)
    n.pool5 = L.Pooling(n.conv5, pool="MAX", kernel_size=3, stride=2)

    fc6 = fully_connected(n, "fc6", n.pool5, ways, gaussian(0.005, 1), num_output=s.fc6)
    return dropout(n, "drop6", fc6, s.drop6, train)


@backbone(MSRA, least_crop=1, widths=[64] * 2 + [128] * 2 + [256] * 3 + [512] * 6, crop=224)
def vgg16(n: NetSpec, s: SimpleNamespace, train: bool, ways: Ways) -> Top:
    """VGG-16 (Simonyan and Zisserman's configuration D), for 3x224x224 pictures: thirteen convolutions of 3x3."""
    widths, below = iter(s.widths), n.data
    for block, layers in enumerate([2, 2, 3, 3, 3], start=1):
        for index in range(1, layers + 1):
            name = f"conv{block}_{index}"
            below = convolution(n, name, below, ways, MSRA, num_output=next(widths), pad=1, kernel_size=3)
        n[f"pool{block}"] = below = L.Pooling(below, pool="MAX", kernel_size=2, stride=2)

    fc6 = fully_connected(n, "fc6", n.pool5, ways, MSRA, num_output=s.fc6)
    return dropout(n, "drop6", fc6, s.drop6, train)


@backbone(MSRA, least_crop=5, widths=[16, 32, 48], fc6=128, fc7=128, crop=56, height=64, width=80, scale=0.02)
def tiny(n: NetSpec, s: SimpleNamespace, train: bool, ways: Ways) -> Top:
    """The demo's net: three small convolutions that two CPU cores train in minutes. Not the paper's.

    It strides where the others pool: a maximum over a neighbourhood forgets where in it an object is, and motion is a
    matter of where.
    """
    conv1, conv2, conv3 = s.widths

    convolution(n, "conv1", n.data, ways, MSRA, num_output=conv1, kernel_size=5, stride=2)
    convolution(n, "conv2", n.conv1, ways, MSRA, num_output=conv2, pad=1, kernel_size=3, stride=2)
    convolution(n, "conv3", n.conv2, ways, MSRA, num_output=conv3, pad=1, kernel_size=3, stride=2)

    fc6 = fully_connected(n, "fc6", n.conv3, ways, MSRA, num_output=s.fc6)
    return dropout(n, "drop6", fc6, s.drop6, train)


@backbone(HYBRID, widths=[])
def features(n: NetSpec, s: SimpleNamespace, train: bool, ways: Ways) -> Top:
    """No CNN: the frames come as precomputed activations, (T, N, D) or (T*N, D), of fc6 or, if `given` says so, of fc7,
    taken after the ReLU.

    Its dropout is not in place, so that the input blob keeps what the file says.
    """
    frames = n["data-reshape"] if "data-reshape" in n else n.data
    name = s.given.replace("fc", "drop")
    return dropout(n, name, frames, getattr(s, name), train, in_place=False)


def fc7(n: NetSpec, s: SimpleNamespace, fc6: Top, train: bool, ways: Ways = LEARN) -> Top:
    """fc7 on top of a backbone's fc6; on its last axis, so that features (T, N, D) need no reshape."""
    axis = dict(axis=-1) if s.backbone == "features" else {}
    top = fully_connected(n, "fc7", fc6, ways, BACKBONES[s.backbone].fillers, num_output=s.fc7, **axis)
    return dropout(n, "drop7", top, s.drop7, train)


def transform(s: SimpleNamespace) -> dict[str, Any]:
    """transform_param: what Caffe's own data layers do to the pixels that a backbone reads."""
    scale = None if s.scale == 1 else s.scale
    return dict(mirror=s.mirror, crop_size=s.crop, mean_value=s.mean, scale=scale)


# ---- the layers they are made of ---------------------------------------------------------------------------


def weighted(
    n: NetSpec, name: str, make: Callable[..., Any], below: Top, ways: Ways, fillers: dict[str, Any], **fields: Any
) -> Top:
    """A layer with weights, once for each of `ways`; fillers only where it learns: frozen weights come from a file."""
    for way in ways:
        learns = any(spec.get("lr_mult", 1) for spec in way.get("param", []))
        n[name] = make(below, **way, **fields, **(fillers if learns else {}))
    return n[name]


def convolution(n: NetSpec, name: str, below: Top, ways: Ways, fillers: dict[str, Any], **fields: Any) -> Top:
    """conv1 and its relu1, in place."""
    weighted(n, name, L.Convolution, below, ways, fillers, **fields)
    n[name.replace("conv", "relu")] = L.ReLU(n[name], in_place=True)
    return n[name]


def pool_and_norm(n: NetSpec, number: str, below: Top) -> None:
    """pool1 and norm1, in CaffeNet's order: the maximum first."""
    n[f"pool{number}"] = L.Pooling(below, pool="MAX", kernel_size=3, stride=2)
    n[f"norm{number}"] = L.LRN(n[f"pool{number}"], local_size=5, alpha=1e-4, beta=0.75)


def fully_connected(n: NetSpec, name: str, below: Top, ways: Ways, fillers: dict[str, Any], **fields: Any) -> Top:
    """fc6 and its relu6, in place."""
    weighted(n, name, L.InnerProduct, below, ways, fillers, **fields)
    n[name.replace("fc", "relu")] = L.ReLU(n[name], in_place=True)
    return n[name]


def dropout(n: NetSpec, name: str, top: Top, ratio: float, train: bool, in_place: bool = True, **rule: Any) -> Top:
    """A Dropout layer in a net that trains; nothing in a deploy net, nor for ratio 0 (Caffe takes none)."""
    if not train or ratio == 0:
        return top
    n[name] = L.Dropout(top, dropout_ratio=ratio, in_place=in_place, **rule)
    return n[name]


def check(s: SimpleNamespace) -> None:
    """SpecError where the settings do not fit the backbone."""
    chosen = BACKBONES[s.backbone]
    convolutions = len(chosen.defaults["widths"])
    if len(s.widths) != convolutions:
        raise SpecError(f"widths={s.widths}: backbone {s.backbone} has {convolutions} convolutions")
    if any(width % chosen.groups for width in s.widths):
        raise SpecError(f"widths={s.widths} must be even: backbone {s.backbone} splits its channels into two groups")
    if s.crop < chosen.least_crop:
        raise SpecError(f"crop={s.crop} is too small: backbone {s.backbone} takes {chosen.least_crop} at least")
    if s.backbone != "features" and s.crop > min(s.height, s.width):
        raise SpecError(f"crop={s.crop} does not fit into pictures of height={s.height} and width={s.width}")
