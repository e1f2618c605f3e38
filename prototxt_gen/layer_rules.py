"""What each of Caffe's layer types makes of its bottoms' shapes, and what it refuses when it is set up.

`RULES[type]` is a function `(layer, bottoms, tops) -> Made`: `layer` a LayerParameter, `bottoms` the shapes of its
bottoms, `tops` how many tops it has. It raises Refusal where Caffe would stop with a failed CHECK. `COUNTS[type]` says
how many bottoms and tops the type takes. Source: BVLC Caffe, each type's LayerSetUp and Reshape.

Three things are refused that Caffe only trips over later, in its first forward pass: blobs without values, strides and
groups of 0 (a division by zero), and numbers that do not fit Caffe's int.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.caffe_pb2 import LayerParameter as Layer
from prototxt_gen.errors import nearest

Shape: TypeAlias = tuple[int, ...]
Sizes: TypeAlias = Sequence[int]  # along each axis of a map

INT_MAX = 2**31 - 1
MAX_AXES = 32  # Caffe's kMaxBlobAxes


class Refusal(Exception):
    """Caffe would refuse the layer: the field that is to blame ("" for none) and why."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass
class Made:
    """What a layer makes.

    `tops` shapes, `weights` shapes in the order of Caffe's `layer.blobs()`, `macs` multiply-adds of a forward pass.
    `held` values that it keeps beside its tops while it trains (masks, normalisers, an LSTM's inner net).
    `aliases`: its tops' data are its bottom's own; `aliases_diff`: so are their gradients.
    """

    tops: Sequence[Shape | None]
    weights: list[Shape] = field(default_factory=list)
    macs: int = 0
    held: int = 0
    aliases: bool = False
    aliases_diff: bool = False


Rule = Callable[[Layer, list[Shape], int], Made]


# ---- helpers -----------------------------------------------------------------------------------------------


def show(shape: Sequence[int] | None) -> str:
    """`20x100x1000`; `scalar` for (), `?` for None."""
    return "?" if shape is None else "x".join(map(str, shape)) or "scalar"


def count(shape: Iterable[int]) -> int:
    """How many values a blob of this shape holds; 1 for a scalar's ()."""
    return math.prod(shape)


def need(holds: bool, field: str, message: str) -> None:
    """Refuse the layer unless `holds`."""
    if not holds:
        raise Refusal(field, message)


def check_blob(shape: Shape, what: str, field: str = "") -> Shape:
    """`shape`, which Caffe must be able to make; `what` names it in the message."""
    need(
        len(shape) <= MAX_AXES, field, f"{what} would have {len(shape)} axes, and Caffe's blobs have {MAX_AXES} at most"
    )
    need(all(size >= 0 for size in shape), field, f"{what} would be {show(shape)}: a size below 0")
    need(count(shape) > 0, field, f"{what} would be {show(shape)}: it holds no values")
    need(
        count(shape) <= INT_MAX,
        field,
        f"{what} would be {show(shape)}: more than the {INT_MAX} values of Caffe's blobs",
    )
    return shape


def axis_of(axis: int, shape: Shape, field: str, what: str = "its bottom") -> int:
    """`axis` counted from the front; refused where `shape` has no such axis."""
    need(
        -len(shape) <= axis < len(shape),
        field,
        f"axis {axis} is out of range: {what} is {show(shape)}"
        + (f", with axes {-len(shape)} to {len(shape) - 1}" if shape else ", with no axes"),
    )
    return axis % len(shape)


def four(shape: Shape, what: str = "its bottom") -> Shape:
    """num, channels, height, width as Caffe's old accessors give them: missing axes are 1, more than 4 are refused."""
    need(len(shape) <= 4, "", f"{what} is {show(shape)}, and this layer type takes 4 axes at most")
    return shape + (1,) * (4 - len(shape))


def check_filler(filler: pb.FillerParameter, shape: Shape, field: str) -> None:
    """Refuse a filler that Caffe does not have or that cannot fill a blob of this shape."""
    types = ("constant", "gaussian", "positive_unitball", "uniform", "xavier", "msra", "bilinear")
    if filler.type not in types:
        raise Refusal(f"{field}.type", f"there is no filler '{filler.type}'{nearest(filler.type, types)}")
    check_blob(shape, "the blob to fill", field)
    if filler.type == "gaussian":
        need(filler.std > 0, f"{field}.std", f"a gaussian filler's std must be above 0, not {filler.std:g}")
        need(filler.sparse >= -1, f"{field}.sparse", f"sparse must be -1 (off) or more, not {filler.sparse}")
        need(
            filler.sparse < 0 or bool(shape) and filler.sparse <= shape[0],
            f"{field}.sparse",
            f"sparse: {filler.sparse} is more than the {show(shape)} weights' first size",
        )
        return
    need(filler.sparse == -1, f"{field}.sparse", f"a {filler.type} filler cannot be sparse; gaussian can")
    if filler.type == "uniform":
        need(filler.min <= filler.max, f"{field}.min", f"min {filler.min:g} is above max {filler.max:g}")
    if filler.type in ("xavier", "msra", "positive_unitball"):
        need(
            len(shape) <= 4,
            f"{field}.type",
            f"a {filler.type} filler fills blobs of 4 axes at most, not {show(shape)}; gaussian and uniform fill any",
        )
    if filler.type == "bilinear":
        need(
            len(shape) == 4 and shape[2] == shape[3],
            f"{field}.type",
            f"a bilinear filler fills square kernels of 4 axes, not {show(shape)}",
        )


def _weights(block: Any, shape: Shape, bias: Shape | None, field: str) -> list[Shape]:
    """The usual pair of weights and bias, both checked against their fillers."""
    check_filler(block.weight_filler, check_blob(shape, "its weights", field), f"{field}.weight_filler")
    if bias is None:
        return [shape]
    check_filler(block.bias_filler, bias, f"{field}.bias_filler")
    return [shape, bias]


def _divide(a: int, b: int) -> int:
    """C's division of ints: towards zero. A kernel a little larger than its input passes Caffe because of it."""
    return abs(a) // b * (1 if a >= 0 else -1)


# ---- element by element ------------------------------------------------------------------------------------


def _same(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    return Made([bottoms[0]])


def _absval(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    _not_in_place(layer)
    return Made([bottoms[0]])


def _not_in_place(layer: Layer) -> None:
    need(
        not set(layer.top) & set(layer.bottom[:1]),
        "top",
        f"a {layer.type} layer cannot compute in place: give its top another name than its bottom",
    )


def _dropout(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    ratio = layer.dropout_param.dropout_ratio
    need(
        0 <= ratio < 1,
        "dropout_param.dropout_ratio",
        f"dropout_ratio is the share that is dropped: from 0 to less than 1, not {ratio:g}",
    )
    return Made([bottoms[0]], held=count(bottoms[0]))  # the mask


def _exp(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    base = layer.exp_param.base
    need(base == -1 or 0 < base < math.inf, "exp_param.base", f"the base must be above 0, or -1 for e, not {base:g}")
    return Made([bottoms[0]])


def _log(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    base = layer.log_param.base
    need(
        base == -1 or 0 < base < math.inf and base != 1,
        "log_param.base",
        f"the base must be above 0 and not 1, or -1 for e; it is {base:g}",
    )
    return Made([bottoms[0]])


def _prelu(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    need(len(bottoms[0]) >= 2, "bottom", f"its bottom must have 2 axes or more, and is {show(bottoms[0])}")
    block, channels = layer.prelu_param, four(bottoms[0])[1]
    shape = () if block.channel_shared else (channels,)
    check_filler(block.filler, shape, "prelu_param.filler")
    return Made([bottoms[0]], [shape])


def _softmax(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    axis_of(layer.softmax_param.axis, bottoms[0], "softmax_param.axis")
    return Made([bottoms[0]])


def _mvn(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    return Made([four(bottoms[0])], held=count(bottoms[0]))


def _lrn(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block = layer.lrn_param
    need(block.local_size % 2 == 1, "lrn_param.local_size", f"local_size must be odd, not {block.local_size}")
    need(
        len(bottoms[0]) == 4,
        "bottom",
        f"its bottom must have 4 axes (num, channels, height, width), and is {show(bottoms[0])}",
    )
    within = block.norm_region == pb.LRNParameter.WITHIN_CHANNEL
    # Across channels: the normaliser. Within: product_input, square_output, pool_output, power_output, and gradients.
    return Made([bottoms[0]], held=count(bottoms[0]) * (8 if within else 1))


def _batch_norm(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    need(len(bottoms[0]) >= 2, "bottom", f"its bottom must have 2 axes or more, and is {show(bottoms[0])}")
    if len(layer.param) != 3:  # three are an older Caffe's spelling, which it drops when it reads a net
        need(
            all(spec.lr_mult == 0 for spec in layer.param),
            "param",
            "its weights are statistics, which do not learn: set lr_mult: 0 in param, or leave param out",
        )
    channels = bottoms[0][1]
    return Made([bottoms[0]], [(channels,), (channels,), (1,)], held=2 * count(bottoms[0]))


def _scale(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block = layer.scale_param
    weights = _span(bottoms, block.axis, block.num_axes, "scale_param")
    if weights:
        check_filler(block.filler, weights[0], "scale_param.filler")
    if block.bias_term:
        axis = axis_of(block.axis, bottoms[0], "scale_param.axis")
        shape = weights[0] if weights else bottoms[0][axis : axis + len(bottoms[1])]
        check_filler(block.bias_filler, shape, "scale_param.bias_filler")
        weights.append(shape)
    return Made([bottoms[0]], weights, held=count(bottoms[0]) if layer.bottom[0] in layer.top else 0)


def _bias(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    weights = _span(bottoms, layer.bias_param.axis, layer.bias_param.num_axes, "bias_param")
    if weights:
        check_filler(layer.bias_param.filler, weights[0], "bias_param.filler")
    return Made([bottoms[0]], weights)


def _span(bottoms: list[Shape], axis: int, axes: int, field: str) -> list[Shape]:
    """The learned factor's shape where there is one bottom; [] where the second bottom, checked here, is the factor."""
    below = bottoms[0]
    if len(bottoms) == 1:
        axis = axis_of(axis, below, f"{field}.axis")
        need(axes >= -1, f"{field}.num_axes", f"num_axes must be -1 (all that follow) or more, not {axes}")
        need(
            axis + axes <= len(below),
            f"{field}.num_axes",
            f"axis {axis} and num_axes {axes} reach past its bottom, which is {show(below)}",
        )
        return [below[axis:] if axes == -1 else below[axis : axis + axes]]
    factor = bottoms[1]
    start = axis_of(axis, below, f"{field}.axis") if factor else 0
    need(
        below[start : start + len(factor)] == factor,
        "bottom",
        f"its second bottom, {show(factor)}, does not fit its first, {show(below)}, from axis {start} on",
    )
    return []


def _eltwise(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block = layer.eltwise_param
    need(
        len(block.coeff) in (0, len(bottoms)),
        "eltwise_param.coeff",
        f"it takes one coeff a bottom: {len(bottoms)}, not {len(block.coeff)}",
    )
    need(
        not block.coeff or block.operation != pb.EltwiseParameter.PROD,
        "eltwise_param.coeff",
        "coeff goes with operation SUM only",
    )
    for other in bottoms[1:]:
        need(
            other == bottoms[0],
            "bottom",
            f"its bottoms must have one shape, and are {' and '.join(map(show, bottoms))}",
        )
    return Made([bottoms[0]], held=count(bottoms[0]) if block.operation == pb.EltwiseParameter.MAX else 0)


# ---- convolution and pooling -------------------------------------------------------------------------------


def _convolution(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, below = layer.convolution_param, bottoms[0]
    back = layer.type == "Deconvolution"
    axis, kernel, stride, pad, dilation = _window(layer, below)
    for other in bottoms[1:]:
        need(other == below, "bottom", f"its bottoms must have one shape, and are {' and '.join(map(show, bottoms))}")
    channels, outputs, group = below[axis], block.num_output, block.group
    need(0 < outputs <= INT_MAX, "convolution_param.num_output", "num_output must be set, to 1 or more")
    need(0 < group <= INT_MAX, "convolution_param.group", "group must be 1 or more")
    need(
        channels % group == 0,
        "convolution_param.group",
        f"group {group} does not divide the {channels} channels of its bottom, {show(below)}",
    )
    need(outputs % group == 0, "convolution_param.group", f"group {group} does not divide num_output {outputs}")

    sizes = below[axis + 1 :]
    if back:
        out = tuple(
            s * (size - 1) + d * (k - 1) + 1 - 2 * p for size, k, s, p, d in zip(sizes, kernel, stride, pad, dilation)
        )
        weights, positions = (channels, outputs // group, *kernel), count(sizes)
    else:
        out = tuple(
            _divide(size + 2 * p - (d * (k - 1) + 1), s) + 1
            for size, k, s, p, d in zip(sizes, kernel, stride, pad, dilation)
        )
        weights, positions = (outputs, channels // group, *kernel), count(out)
    _fits(out, sizes, kernel, pad, dilation, "convolution_param")
    top = (*below[:axis], outputs, *out)
    pointwise = all(k == s == 1 and p == 0 for k, s, p in zip(kernel, stride, pad))
    columns = () if pointwise else (count(weights[1:]) * group, *(sizes if back else out))
    check_blob(columns, "the columns that the layer lays one input out in", "convolution_param.kernel_size")
    macs = count(below[:axis]) * positions * count(weights) * len(bottoms)
    bias = (outputs,) if block.bias_term else None
    return Made(
        [top] * tops, _weights(block, weights, bias, "convolution_param"), macs, held=0 if pointwise else count(columns)
    )


def _im2col(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    below = bottoms[0]
    axis, kernel, stride, pad, dilation = _window(layer, below)
    need(len(below) > axis + 1, "convolution_param.axis", f"no axis follows axis {axis} of its bottom, {show(below)}")
    sizes = below[axis + 1 :]
    out = tuple(
        _divide(size + 2 * p - (d * (k - 1) + 1), s) + 1
        for size, k, s, p, d in zip(sizes, kernel, stride, pad, dilation)
    )
    _fits(out, sizes, kernel, pad, dilation, "convolution_param")
    return Made([(*below[:axis], below[axis] * count(kernel), *out)])


def _window(layer: Layer, below: Shape) -> tuple[int, list[int], list[int], list[int], list[int]]:
    """The channel axis, and kernel, stride, pad and dilation for each axis after it."""
    block = layer.convolution_param
    axis = axis_of(block.axis, below, "convolution_param.axis")
    spatial = len(below) - axis - 1
    kernel = _per_axis(block, "kernel", "kernel_size", spatial, None)
    need(
        min(kernel, default=1) > 0,
        "convolution_param.kernel_size",
        "a kernel's sizes must be 1 or more"
        + (": give kernel_h and kernel_w both" if block.HasField("kernel_h") or block.HasField("kernel_w") else ""),
    )
    stride = _per_axis(block, "stride", "stride", spatial, 1)
    need(
        min(stride, default=1) > 0,
        "convolution_param.stride",
        "strides must be 1 or more"
        + (": give stride_h and stride_w both" if block.HasField("stride_h") or block.HasField("stride_w") else ""),
    )
    pad = _per_axis(block, "pad", "pad", spatial, 0)
    dilation = _per_axis(block, None, "dilation", spatial, 1)
    return axis, kernel, stride, pad, dilation


def _per_axis(block: Any, stem: str | None, name: str, spatial: int, default: int | None) -> list[int]:
    values, field = list(getattr(block, name)), f"convolution_param.{name}"
    if stem and (block.HasField(f"{stem}_h") or block.HasField(f"{stem}_w")):
        field = f"convolution_param.{stem}_h"
        need(spatial == 2, field, f"{stem}_h and {stem}_w are for 2 axes after the channels, and there are {spatial}")
        need(not values, field, f"give either {name} or {stem}_h and {stem}_w, not both")
        values = [getattr(block, f"{stem}_h"), getattr(block, f"{stem}_w")]
    elif not values and default is not None:
        values = [default] * spatial
    else:
        need(
            len(values) in (1, spatial),
            field,
            f"{name} must be given once, or once for each of the {spatial} axes "
            f"after the channels, and is given {len(values) or 'no'} times",
        )
        values = values * spatial if len(values) == 1 else values
    need(max(values, default=0) <= INT_MAX, field, f"{name} {max(values, default=0)} does not fit Caffe's int")
    return values


def _fits(out: Shape, sizes: Sizes, kernel: Sizes, pad: Sizes, dilation: Sizes, field: str) -> None:
    padded = show([size + 2 * p for size, p in zip(sizes, pad)])
    extent = show([d * (k - 1) + 1 for k, d in zip(kernel, dilation)])
    need(
        all(size > 0 for size in out),
        f"{field}.kernel_size",
        f"its kernel, {extent}, does not fit its padded input, {padded}: the output would be {show(out)}",
    )


def _pooling(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, below = layer.pooling_param, bottoms[0]
    is_set = block.HasField
    if block.global_pooling:
        need(
            not (is_set("kernel_size") or is_set("kernel_h") or is_set("kernel_w")),
            "pooling_param.kernel_size",
            "global_pooling takes the whole map as its kernel: leave kernel_size out",
        )
    else:
        need(
            is_set("kernel_size") != (is_set("kernel_h") and is_set("kernel_w")),
            "pooling_param.kernel_size",
            "give either kernel_size, or kernel_h and kernel_w both",
        )
    for name in "pad", "stride":
        both = is_set(f"{name}_h") and is_set(f"{name}_w") and not is_set(name)
        need(
            both or not (is_set(f"{name}_h") or is_set(f"{name}_w")),
            f"pooling_param.{name}",
            f"give either {name}, or {name}_h and {name}_w both",
        )
    need(len(below) == 4, "bottom", f"its bottom must have 4 axes (num, channels, height, width), and is {show(below)}")

    def pair(name: str, whole: str) -> list[int]:
        return (
            [getattr(block, f"{name}_h"), getattr(block, f"{name}_w")]
            if is_set(f"{name}_h")
            else ([getattr(block, whole)] * 2)
        )

    kernel = [block.kernel_size] * 2 if is_set("kernel_size") else [block.kernel_h, block.kernel_w]
    kernel = list(below[2:]) if block.global_pooling else kernel
    pad, stride = pair("pad", "pad"), pair("stride", "stride")
    need(max(*kernel, *pad, *stride) <= INT_MAX, "pooling_param", "a size does not fit Caffe's int")
    if block.global_pooling:
        need(
            pad == [0, 0] and stride == [1, 1],
            "pooling_param.stride",
            "global_pooling goes with pad 0 and stride 1 only",
        )
    out = pooled(below[2:], kernel, pad, stride, block.pool, block.round_mode == pb.PoolingParameter.FLOOR)
    top = (*below[:2], *out)
    # MAX keeps the place of each maximum, as a second top where there is one.
    mask = count(top) if tops == 1 and block.pool != pb.PoolingParameter.AVE else 0
    return Made([top] * tops, held=mask)


def pooled(sizes: Sizes, kernel: Sizes, pad: Sizes, stride: Sizes, method: int, floor: bool = False) -> Shape:
    """The map that a window of `kernel` leaves of one of `sizes`. Rounded up, as no convolution is."""
    need(min(kernel) > 0, "pooling_param.kernel_size", "a kernel's sizes must be 1 or more")
    need(min(stride) > 0, "pooling_param.stride", "strides must be 1 or more")
    if any(pad):
        need(method != pb.PoolingParameter.STOCHASTIC, "pooling_param.pad", "padding goes with MAX and AVE only")
        need(
            all(p < k for p, k in zip(pad, kernel)),
            "pooling_param.pad",
            f"the padding, {show(pad)}, must be smaller than the kernel, {show(kernel)}",
        )
    out = []
    for size, k, p, s in zip(sizes, kernel, pad, stride):
        steps = size + 2 * p - k
        pooled_size = (steps // s if floor else -(-steps // s)) + 1
        if any(pad):
            pooled_size -= (pooled_size - 1) * s >= size + p  # a last window that would start in the padding is dropped
            need((pooled_size - 1) * s < size + p, "pooling_param.pad", "its last window would start in the padding")
        out.append(pooled_size)
    _fits(tuple(out), sizes, kernel, pad, [1] * len(out), "pooling_param")
    return tuple(out)


def _spp(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, below = layer.spp_param, bottoms[0]
    need(len(below) == 4, "bottom", f"its bottom must have 4 axes (num, channels, height, width), and is {show(below)}")
    need(block.pyramid_height >= 1, "spp_param.pyramid_height", "pyramid_height must be set, to 1 or more")
    levels = []
    for level in range(min(block.pyramid_height, 31)):
        kernel = [-(-size // 2**level) for size in below[2:]]
        pad = [(k * 2**level - size + 1) // 2 for k, size in zip(kernel, below[2:])]
        try:
            levels.append(pooled(below[2:], kernel, pad, kernel, block.pool))
        except Refusal as refusal:
            raise Refusal("spp_param.pyramid_height", f"level {level} of its pyramid: {refusal}") from None
    if len(levels) == 1:
        return Made([(*below[:2], *levels[0])], held=below[0] * below[1] * count(levels[0]))
    top = (below[0], sum(below[1] * count(level) for level in levels))
    # Each level's copy of the bottom has a gradient of its own; its pooled map is held beside the concatenation.
    return Made([top], held=len(levels) * count(below) + 3 * count(top))


# ---- inner products and recurrence -------------------------------------------------------------------------


def _inner_product(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, below = layer.inner_product_param, bottoms[0]
    axis = axis_of(block.axis, below, "inner_product_param.axis")
    need(0 < block.num_output <= INT_MAX, "inner_product_param.num_output", "num_output must be set, to 1 or more")
    inputs, outputs = count(below[axis:]), block.num_output
    shape = (inputs, outputs) if block.transpose else (outputs, inputs)
    weights = _weights(block, shape, (outputs,) if block.bias_term else None, "inner_product_param")
    return Made([(*below[:axis], outputs)], weights, count(below) * outputs)


def _embed(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block = layer.embed_param
    for name in "num_output", "input_dim":
        need(0 < getattr(block, name) <= INT_MAX, f"embed_param.{name}", f"{name} must be set, to 1 or more")
    outputs = block.num_output
    weights = _weights(block, (block.input_dim, outputs), (outputs,) if block.bias_term else None, "embed_param")
    return Made([(*bottoms[0], outputs)], weights)


def _recurrent(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    """x (T, N, ...), markers (T, N), static input (N, ...) if any, then, with expose_hidden, the states (1, N, D).

    Inside is a net of T steps, whose blobs are held too: see `held`.
    """
    block, lstm = layer.recurrent_param, layer.type == "LSTM"
    need(block.num_output > 0, "recurrent_param.num_output", "num_output must be set, to 1 or more")
    need(block.num_output <= INT_MAX // 4, "recurrent_param.num_output", "num_output does not fit Caffe's int")
    states = (2 if lstm else 1) * block.expose_hidden
    static = _recurrent_static(layer, bottoms, states)
    steps, streams = bottoms[0][:2]
    units, gates = block.num_output, (4 if lstm else 1) * block.num_output
    inputs, statics = count(bottoms[0][2:]), count(static[1:]) if static else 0
    weights: list[Shape] = [(gates, inputs), (gates,), *([(gates, statics)] if static else []), (gates, units)]
    if not lstm:
        weights += [(units, units), (units,)]
    for shape in weights:
        kind = "weight" if len(shape) == 2 else "bias"
        check_blob(shape, "its weights", "recurrent_param.num_output")
        check_filler(getattr(block, f"{kind}_filler"), shape, f"recurrent_param.{kind}_filler")
    check_blob((steps, streams, gates), "its gates", "recurrent_param.num_output")
    macs = streams * (steps * gates * inputs + gates * statics + steps * gates * units)
    if not lstm:
        macs += streams * steps * units * units
    top = (steps, streams, units)
    held = _unrolled(lstm, steps, streams, units, static is not None) - 2 * count(top)
    return Made([top] + [(1, streams, units)] * states, weights, macs, held=held)


def _recurrent_static(layer: Layer, bottoms: list[Shape], states: int) -> Shape | None:
    """The static input's shape, if there is one; refused where the bottoms do not fit each other."""
    x, markers = bottoms[:2]
    names = [f"'{name}'" for name in layer.bottom]
    need(len(x) >= 3, "bottom", f"{names[0]} must have 3 axes or more, (T, N, ...), and is {show(x)}")
    axes = f"must have 2 axes, (T, N), and is {show(markers)}"
    need(len(markers) == 2, "bottom", f"{names[1]}, the clip markers, {axes}")
    steps, streams = x[:2]
    need(
        x[:2] == markers,
        "bottom",
        f"{names[0]} has {steps} steps of {streams} streams, and the clip "
        f"markers {names[1]} {markers[0]} steps of {markers[1]}: T and N must agree",
    )
    static = bottoms[2] if len(bottoms) > 2 + states else None
    if static is not None:
        what = f"{names[2]}, the static input,"
        need(len(static) >= 2, "bottom", f"{what} must have 2 axes or more, (N, ...), and is {show(static)}")
        streams_text = f"{what} has {static[0]} streams, and {names[0]} {streams}"
        need(static[0] == streams, "bottom", f"{streams_text}: N must agree")
    state = (1, streams, layer.recurrent_param.num_output)
    for name, shape in list(zip(names, bottoms))[len(bottoms) - states :] if states else []:
        need(shape == state, "bottom", f"{name}, a state, must be {show(state)}, and is {show(shape)}")
    return static


def _unrolled(lstm: bool, steps: int, streams: int, units: int, static: bool) -> int:
    """Values that the inner net of an LSTM or RNN holds while it trains: data and gradients of its own blobs.

    All steps at once: the gates' share of the input, whole and sliced. Each step: the state masked by the marker, the
    gates' share of the state, their sum; the cell and the activated gates, or the two neurons; the state and the
    gradients of its two copies, since the next step and the output both read it. Then the output itself. The static
    input's share is one blob with a copy's gradient for each step.
    """
    n, g = streams * units, (4 if lstm else 1) * streams * units
    step = 2 * (n + g + g)  # masked state, its share of the gates, their sum
    step += 2 * (n + g) if lstm else 2 * 3 * n  # cell and activated gates, or input neuron and the two of the output
    step += 2 * n + 2 * n  # the state, and its two copies' gradients
    return steps * (2 * g + 2 * g + step + 2 * n) + (static * (2 + steps) * g)


def _lstm_unit(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    cell, gates, markers = bottoms
    need(
        len(cell) == 3 and len(gates) == 3 and len(markers) == 2,
        "bottom",
        "its bottoms must be (1, N, D), (1, N, 4 * D) and (1, N), and are " + ", ".join(map(show, bottoms)),
    )
    need(
        cell[0] == gates[0] == markers[0] == 1 and cell[1] == gates[1] == markers[1] and gates[2] == 4 * cell[2],
        "bottom",
        "its bottoms must be (1, N, D), (1, N, 4 * D) and (1, N), and are " + ", ".join(map(show, bottoms)),
    )
    return Made([cell, cell], held=2 * count(gates))


# ---- shape alone -------------------------------------------------------------------------------------------


def _reshape(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    _not_in_place(layer)
    block, below = layer.reshape_param, bottoms[0]
    dims, axes = list(block.shape.dim), len(below)
    need(dims.count(-1) <= 1, "reshape_param.shape", "only one size can be -1, to be worked out from the others")
    need(all(-1 <= dim <= INT_MAX for dim in dims), "reshape_param.shape", f"a size must be -1 or more: {dims}")
    start = block.axis if block.axis >= 0 else axes + block.axis + 1
    need(0 <= start <= axes, "reshape_param.axis", f"axis {block.axis} is out of range: its bottom is {show(below)}")
    need(block.num_axes >= -1, "reshape_param.num_axes", "num_axes must be -1 (all that follow) or more")
    end = axes if block.num_axes == -1 else start + block.num_axes
    need(
        end <= axes,
        "reshape_param.num_axes",
        f"axis {start} and num_axes {block.num_axes} reach past its bottom, which is {show(below)}",
    )
    for place, dim in enumerate(dims):
        if dim == 0:
            need(
                start + place < axes,
                "reshape_param.shape",
                f"size {place} is 0, a copy of its bottom's axis {start + place}; its bottom is {show(below)}",
            )
            dims[place] = below[start + place]
    if -1 in dims:
        known = -count(dims) * count(below[:start]) * count(below[end:])
        need(
            count(below) % known == 0,
            "reshape_param.shape",
            f"the {count(below)} values of its bottom, {show(below)}, are no multiple of the {known} that it asks for",
        )
        dims[dims.index(-1)] = count(below) // known
    top = (*below[:start], *dims, *below[end:])
    need(
        count(top) == count(below),
        "reshape_param.shape",
        f"its bottom, {show(below)}, holds {count(below)} values, and {show(top)} would hold {count(top)}",
    )
    return Made([top], aliases=True, aliases_diff=True)


def _flatten(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    _not_in_place(layer)
    below = bottoms[0]
    start = axis_of(layer.flatten_param.axis, below, "flatten_param.axis")
    end = axis_of(layer.flatten_param.end_axis, below, "flatten_param.end_axis")
    need(start <= end + 1, "flatten_param.end_axis", f"end_axis {end} lies before axis {start}")
    return Made([(*below[:start], count(below[start : end + 1]), *below[end + 1 :])], aliases=True, aliases_diff=True)


def _concat(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    first, axis = bottoms[0], _chosen_axis(layer.concat_param, "concat_param", "concat_dim", bottoms[0])
    for name, other in zip(layer.bottom, bottoms):
        need(
            len(other) == len(first) and all(a == b for i, (a, b) in enumerate(zip(first, other)) if i != axis),
            "bottom",
            f"'{name}' is {show(other)} and '{layer.bottom[0]}' {show(first)}: they may differ on axis {axis} only",
        )
    alone = len(bottoms) == 1
    return Made([(*first[:axis], sum(b[axis] for b in bottoms), *first[axis + 1 :])], aliases=alone, aliases_diff=alone)


def _slice(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, below = layer.slice_param, bottoms[0]
    axis = _chosen_axis(block, "slice_param", "slice_dim", below)
    size, points = below[axis], list(block.slice_point)
    if points:
        need(
            len(points) == tops - 1,
            "slice_param.slice_point",
            f"it has {tops} tops, which take {tops - 1} slice points, not {len(points)}",
        )
        ends = [0, *points, size]
        need(
            all(a < b for a, b in zip(ends, ends[1:])),
            "slice_param.slice_point",
            f"slice points must rise from 1 to below {size}, its bottom's size on axis {axis}: they are {points}",
        )
        parts = [b - a for a, b in zip(ends, ends[1:])]
    else:
        need(size % tops == 0, "top", f"its {tops} tops do not divide axis {axis} of its bottom, {show(below)}")
        parts = [size // tops] * tops
    alone = tops == 1
    return Made([(*below[:axis], part, *below[axis + 1 :]) for part in parts], aliases=alone, aliases_diff=alone)


def _chosen_axis(block: Any, field: str, old: str, shape: Shape) -> int:
    """`axis`, or the older field `concat_dim` or `slice_dim` in its place."""
    if not block.HasField(old):
        return axis_of(block.axis, shape, f"{field}.axis")
    need(not block.HasField("axis"), f"{field}.{old}", f"give either axis or {old}, not both")
    axis = getattr(block, old)
    need(axis < len(shape), f"{field}.{old}", f"{old} {axis} is out of range: its bottom is {show(shape)}")
    return axis


def _crop(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, (below, like) = layer.crop_param, bottoms
    start, offsets = axis_of(block.axis, below, "crop_param.axis"), list(block.offset)
    need(
        len(offsets) <= 1 or start + len(offsets) == len(below),
        "crop_param.offset",
        f"give offset once, or once for each of the {len(below) - start} axes from {start} on",
    )
    offsets = (offsets or [0]) * (len(below) - start) if len(offsets) <= 1 else offsets
    need(max(offsets) <= INT_MAX, "crop_param.offset", "an offset does not fit Caffe's int")
    need(
        len(like) >= len(below),
        "bottom",
        f"'{layer.bottom[1]}' is {show(like)}, and '{layer.bottom[0]}', which it crops, {show(below)}: "
        "axes are missing",
    )
    for axis, offset in enumerate(offsets, start):
        need(
            below[axis] - offset >= like[axis],
            "crop_param.offset" if offset else "bottom",
            f"{like[axis]} values from {offset} on do not lie within the {below[axis]} of axis {axis} of "
            f"'{layer.bottom[0]}', {show(below)}",
        )
    return Made([(*below[:start], *like[start : len(below)])])


def _tile(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, below = layer.tile_param, bottoms[0]
    axis = axis_of(block.axis, below, "tile_param.axis")
    need(block.tiles > 0, "tile_param.tiles", "tiles must be set, to 1 or more")
    return Made([(*below[:axis], below[axis] * block.tiles, *below[axis + 1 :])])


def _split(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    _not_in_place(layer)
    return Made([bottoms[0]] * tops, aliases=True)


def _reduction(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    axis = axis_of(layer.reduction_param.axis, bottoms[0], "reduction_param.axis")
    return Made([bottoms[0][:axis]])


def _argmax(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, below = layer.argmax_param, bottoms[0]
    need(block.top_k >= 1, "argmax_param.top_k", "top_k must be 1 or more")
    if block.HasField("axis"):
        axis = axis_of(block.axis, below, "argmax_param.axis")
        need(
            block.top_k <= below[axis],
            "argmax_param.top_k",
            f"top_k {block.top_k} is more than the {below[axis]} values of axis {axis} of its bottom, {show(below)}",
        )
        return Made([(*below[:axis], block.top_k, *below[axis + 1 :])])
    need(len(below) >= 1, "bottom", "its bottom must have an axis, and is a scalar")
    need(
        block.top_k <= count(below[1:]),
        "argmax_param.top_k",
        f"top_k {block.top_k} is more than the {count(below[1:])} values of an item of its bottom, {show(below)}",
    )
    return Made([(below[0], 2 if block.out_max_val else 1, block.top_k, *[1] * (len(below) - 3))])


def _batch_reindex(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    need(len(bottoms[1]) == 1, "bottom", f"'{layer.bottom[1]}' must have one axis, and is {show(bottoms[1])}")
    need(len(bottoms[0]) >= 1, "bottom", f"'{layer.bottom[0]}' must have an axis, and is a scalar")
    return Made([(bottoms[1][0], *bottoms[0][1:])])


def _filter(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    need(
        tops == len(bottoms) - 1,
        "top",
        f"{len(bottoms)} bottoms, the last of which selects, take {len(bottoms) - 1} tops, not {tops}",
    )
    selector = bottoms[-1]
    need(
        len(selector) >= 1 and count(selector[1:]) == 1,
        "bottom",
        f"'{layer.bottom[-1]}', which selects, must have one value an item, and is {show(selector)}",
    )
    for name, other in zip(layer.bottom, bottoms):
        need(
            len(other) >= 1 and other[0] == selector[0],
            "bottom",
            f"'{name}' is {show(other)}, and '{layer.bottom[-1]}', which selects, has {selector[0]} items",
        )
    return Made([(bottoms[0][0], *other[1:]) for other in bottoms[:-1]])


def _nothing(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    return Made([])


def _hdf5_output(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    data, label = four(bottoms[0])[0], four(bottoms[1])[0]
    need(data == label, "bottom", f"its bottoms are {show(bottoms[0])} and {show(bottoms[1])}: as many rows in both")
    return Made([])


def _parameter(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    shape = check_blob(tuple(layer.parameter_param.shape.dim), "its top", "parameter_param.shape")
    return Made([shape], [shape], aliases=True, aliases_diff=True)


# ---- losses and measures -----------------------------------------------------------------------------------


def _accuracy(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, (scores, labels) = layer.accuracy_param, bottoms
    need(
        block.top_k <= count(scores) // count(labels),
        "accuracy_param.top_k",
        f"top_k {block.top_k} is more than the classes: '{layer.bottom[0]}' is {show(scores)}, "
        f"'{layer.bottom[1]}' {show(labels)}",
    )
    axis = _labelled(layer, bottoms, block.axis, "accuracy_param.axis")
    return Made([(), (scores[axis],)][:tops])


def _labelled(layer: Layer, bottoms: list[Shape], axis: int, field: str) -> int:
    """One label for each vector of scores along `axis`."""
    scores, labels = bottoms[:2]
    axis = axis_of(axis, scores, field, f"'{layer.bottom[0]}'")
    wanted = count(scores[:axis]) * count(scores[axis + 1 :])
    need(
        wanted == count(labels),
        field if layer.type == "Accuracy" else "bottom",
        f"'{layer.bottom[0]}', {show(scores)}, takes {wanted} labels with its classes on axis {axis}, "
        f"and '{layer.bottom[1]}', {show(labels)}, holds {count(labels)}",
    )
    return axis


def _loss(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    for name, below in zip(layer.bottom, bottoms[:2]):
        need(len(below) >= 1, "bottom", f"'{name}' must have an axis, and is a scalar")
    need(
        bottoms[0][0] == bottoms[1][0],
        "bottom",
        f"'{layer.bottom[0]}' is {show(bottoms[0])} and "
        f"'{layer.bottom[1]}' {show(bottoms[1])}: their first sizes must agree",
    )
    return Made([()], held=count(bottoms[0]))  # each keeps something of its first bottom's size


def _softmax_loss(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    need(tops == 1, "top", "Caffe cannot set this type up with two tops: leave one, and add a Softmax layer")
    _labelled(layer, bottoms, layer.softmax_param.axis, "softmax_param.axis")
    return _loss(layer, bottoms, tops)


def _infogain_loss(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    axis = _labelled(layer, bottoms, layer.infogain_loss_param.axis, "infogain_loss_param.axis")
    need(
        len(bottoms) == 3 or layer.infogain_loss_param.HasField("source"),
        "infogain_loss_param.source",
        "it needs its matrix, as source or as third bottom",
    )
    if len(bottoms) == 3:
        classes = bottoms[0][axis]
        need(
            count(bottoms[2]) == classes * classes,
            "bottom",
            f"'{layer.bottom[2]}', the matrix, must hold {classes}x{classes} values, and is {show(bottoms[2])}",
        )
    made = _loss(layer, bottoms, tops)
    return Made([(), bottoms[0]][: max(tops, 1)], held=made.held)


def _euclidean_loss(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    made = _loss(layer, bottoms, tops)
    _same_size(layer, bottoms)
    return made


def _sigmoid_loss(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    made = _loss(layer, bottoms, tops)
    _same_size(layer, bottoms)
    return made


def _same_size(layer: Layer, bottoms: list[Shape]) -> None:
    need(
        count(bottoms[0]) == count(bottoms[1]),
        "bottom",
        f"'{layer.bottom[0]}' is {show(bottoms[0])} and '{layer.bottom[1]}' {show(bottoms[1])}: as many values in both",
    )


def _one_label_each(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    made = _loss(layer, bottoms, tops)
    need(
        four(bottoms[1])[1:] == (1, 1, 1),
        "bottom",
        f"'{layer.bottom[1]}', the labels, must hold one value an item, and is {show(bottoms[1])}",
    )
    return made


def _contrastive_loss(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    made = _loss(layer, bottoms, tops)
    a, b, same = map(four, bottoms)
    need(
        a[1] == b[1] and a[2:] == b[2:] == (1, 1),
        "bottom",
        f"its first two bottoms must be vectors of one size, and are {show(bottoms[0])} and {show(bottoms[1])}",
    )
    need(same[1:] == (1, 1, 1), "bottom", f"'{layer.bottom[2]}' must hold one value an item, and is {show(bottoms[2])}")
    return made


# ---- data that its fields describe -------------------------------------------------------------------------


def _input(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    need(
        len(shapes) in (1, tops),
        "input_param.shape",
        f"give shape once, or once for each of its {tops} tops, not {len(shapes)} times",
    )
    return Made(_checked(layer, shapes * tops if len(shapes) == 1 else shapes, "input_param.shape"))


def _checked(layer: Layer, shapes: list[Shape], field: str) -> list[Shape]:
    return [check_blob(shape, f"'{name}'", field) for name, shape in zip(layer.top, shapes)]


def _dummy_data(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block, old = layer.dummy_data_param, ("num", "channels", "height", "width")
    fillers = list(block.data_filler)
    need(
        len(fillers) in (0, 1, tops),
        "dummy_data_param.data_filler",
        f"give data_filler once, or once for each of its {tops} tops, not {len(fillers)} times",
    )
    if any(len(getattr(block, name)) for name in old):
        need(not block.shape, "dummy_data_param.shape", "give either shape or num, channels, height and width")
        for name in old:
            need(
                len(getattr(block, name)) in (1, tops),
                f"dummy_data_param.{name}",
                f"give {name} once, or once for each of its {tops} tops, not {len(getattr(block, name))} times",
            )
        columns = [list(getattr(block, name)) for name in old]
        shapes = list(zip(*(column * tops if len(column) == 1 else column for column in columns)))
    else:
        shapes = [tuple(shape.dim) for shape in block.shape]
        need(
            len(shapes) in (1, tops),
            "dummy_data_param.shape",
            f"give shape once, or once for each of its {tops} tops, not {len(shapes)} times",
        )
        shapes = shapes * tops if len(shapes) == 1 else shapes
    shapes = _checked(layer, shapes, "dummy_data_param.shape")
    for shape, filler in zip(shapes, fillers * tops if len(fillers) == 1 else fillers):
        check_filler(filler, shape, "dummy_data_param.data_filler")
    return Made(shapes)


def _memory_data(layer: Layer, bottoms: list[Shape], tops: int) -> Made:
    block = layer.memory_data_param
    shape = (block.batch_size, block.channels, block.height, block.width)
    need(min(shape) > 0, "memory_data_param", "batch_size, channels, height and width must all be 1 or more")
    check_blob(shape, f"'{layer.top[0]}'", "memory_data_param")
    return Made([shape, (block.batch_size,)])


# type -> fewest and most bottoms, fewest and most tops. None: no most.
_ONE = (1, 1, 1, 1)
COUNTS: dict[str, tuple[int, int | None, int, int | None]] = {
    **dict.fromkeys(
        (
            "AbsVal",
            "ArgMax",
            "BatchNorm",
            "BNLL",
            "Clip",
            "Dropout",
            "ELU",
            "Embed",
            "Exp",
            "Flatten",
            "Im2col",
            "InnerProduct",
            "Log",
            "LRN",
            "MVN",
            "Power",
            "PReLU",
            "Reduction",
            "ReLU",
            "Reshape",
            "Sigmoid",
            "Softmax",
            "SPP",
            "Swish",
            "TanH",
            "Threshold",
            "Tile",
        ),
        _ONE,
    ),
    **dict.fromkeys(("EuclideanLoss", "HingeLoss", "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss"), (2, 2, 1, 1)),
    "SoftmaxWithLoss": (2, 2, 1, 2),
    "InfogainLoss": (2, 3, 1, 2),
    "ContrastiveLoss": (3, 3, 1, 1),
    "Accuracy": (2, 2, 1, 2),
    "BatchReindex": (2, 2, 1, 1),
    "Crop": (2, 2, 1, 1),
    "Bias": (1, 2, 1, 1),
    "Scale": (1, 2, 1, 1),
    "Concat": (1, None, 1, 1),
    "Eltwise": (2, None, 1, 1),
    "Filter": (2, None, 1, None),
    "Silence": (1, None, 0, 0),
    "Convolution": (1, None, 1, None),
    "Deconvolution": (1, None, 1, None),
    "Slice": (1, 1, 1, None),
    "Split": (1, 1, 1, None),
    "Pooling": (1, 1, 1, 2),
    "LSTMUnit": (3, 3, 2, 2),
    "Data": (0, 0, 1, 2),
    "DummyData": (0, 0, 1, None),
    "HDF5Data": (0, 0, 1, None),
    "HDF5Output": (2, 2, 0, 0),
    "ImageData": (0, 0, 2, 2),
    "Input": (0, 0, 1, None),
    "MemoryData": (0, 0, 2, 2),
    "Parameter": (0, 0, 1, 1),
    "WindowData": (0, 0, 2, 2),
    "Python": (0, None, 0, None),
    "LSTM": (2, 3, 1, 1),
    "RNN": (2, 3, 1, 1),
}

# The types that get their tops by themselves where none is given: how many.
AUTOMATIC_TOPS = dict.fromkeys(
    (
        "ContrastiveLoss",
        "EuclideanLoss",
        "HingeLoss",
        "InfogainLoss",
        "SoftmaxWithLoss",
        "MultinomialLogisticLoss",
        "SigmoidCrossEntropyLoss",
    ),
    1,
)

# The types whose top counts towards the loss unless it says otherwise.
LOSSES = frozenset(AUTOMATIC_TOPS)

RULES: dict[str, Rule] = {
    **dict.fromkeys(("BNLL", "Clip", "ELU", "Power", "ReLU", "Sigmoid", "Swish", "TanH", "Threshold"), _same),
    "AbsVal": _absval,
    "Accuracy": _accuracy,
    "ArgMax": _argmax,
    "BatchNorm": _batch_norm,
    "BatchReindex": _batch_reindex,
    "Bias": _bias,
    "Concat": _concat,
    "ContrastiveLoss": _contrastive_loss,
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "Dropout": _dropout,
    "DummyData": _dummy_data,
    "Eltwise": _eltwise,
    "Embed": _embed,
    "EuclideanLoss": _euclidean_loss,
    "Exp": _exp,
    "Filter": _filter,
    "Flatten": _flatten,
    "HDF5Output": _hdf5_output,
    "HingeLoss": _loss,
    "Im2col": _im2col,
    "InfogainLoss": _infogain_loss,
    "InnerProduct": _inner_product,
    "Input": _input,
    "Log": _log,
    "LRN": _lrn,
    "LSTM": _recurrent,
    "LSTMUnit": _lstm_unit,
    "MemoryData": _memory_data,
    "MultinomialLogisticLoss": _one_label_each,
    "MVN": _mvn,
    "Parameter": _parameter,
    "Pooling": _pooling,
    "PReLU": _prelu,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "RNN": _recurrent,
    "Scale": _scale,
    "SigmoidCrossEntropyLoss": _sigmoid_loss,
    "Silence": _nothing,
    "Slice": _slice,
    "Softmax": _softmax,
    "SoftmaxWithLoss": _softmax_loss,
    "Split": _split,
    "SPP": _spp,
    "Tile": _tile,
}


def check_counts(layer: Layer, tops: int) -> None:
    """Refuse a wrong number of bottoms or tops."""
    fewest, most, fewest_tops, most_tops = COUNTS[layer.type]
    if layer.type in ("LSTM", "RNN") and layer.recurrent_param.expose_hidden:
        states = 2 if layer.type == "LSTM" else 1
        fewest, fewest_tops = fewest + states, fewest_tops + states
        most, most_tops = (None if limit is None else limit + states for limit in (most, most_tops))
    if layer.type == "Pooling" and layer.pooling_param.pool != pb.PoolingParameter.MAX:
        most_tops = 1  # only MAX has a mask to give
    _in_range("bottom", len(layer.bottom), fewest, most, layer.type)
    _in_range("top", tops, fewest_tops, most_tops, layer.type)
    if layer.type in ("Convolution", "Deconvolution"):
        need(tops == len(layer.bottom), "top", f"it has {len(layer.bottom)} bottoms and {tops} tops: as many of both")


def _in_range(what: str, number: int, fewest: int, most: int | None, type_: str) -> None:
    if most == fewest:
        wanted = f"{fewest} {what}{'' if fewest == 1 else 's'}" if fewest else f"no {what}"
    else:
        wanted = f"{fewest} {what}s or more" if most is None else f"{fewest} to {most} {what}s"
    need(
        fewest <= number and (most is None or number <= most), what, f"a {type_} layer takes {wanted}, and has {number}"
    )


def check_transform(
    block: pb.TransformationParameter, shape: Sequence[int | None], field: str = "transform_param"
) -> None:
    """Refuse a transformation that does not fit images of this shape, (channels, height, width); None: not known."""
    channels, height, width = shape
    need(
        not (block.HasField("mean_file") and block.mean_value),
        f"{field}.mean_value",
        "give either mean_file or mean_value, not both",
    )
    need(not (block.force_color and block.force_gray), f"{field}.force_gray", "give either force_color or force_gray")
    if channels is not None:
        need(
            len(block.mean_value) in (0, 1, channels),
            f"{field}.mean_value",
            f"give mean_value once, or once for each of the {channels} channels, not {len(block.mean_value)} times",
        )
    for name, size in ("height", height), ("width", width):
        need(
            size is None or block.crop_size <= size,
            f"{field}.crop_size",
            f"crop_size {block.crop_size} is larger than the images' {name} of {size}",
        )


def images(
    batch: int, shape: Sequence[int | None], block: pb.TransformationParameter, what: str, field: str
) -> Shape | None:
    """The blob of a batch of images after their transformation; None where a size is not known."""
    check_transform(block, shape)
    need(0 < batch <= INT_MAX, f"{field}.batch_size", "batch_size must be set, to 1 or more")
    sizes = (shape[0], *((block.crop_size,) * 2 if block.crop_size else shape[1:]))
    known = tuple(size for size in sizes if size is not None)
    return check_blob((batch, *known), what, field) if len(known) == len(sizes) else None
