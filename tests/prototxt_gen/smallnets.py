"""Small nets without files, for the tests of shapes: those that Caffe builds, and those that it refuses."""

from prototxt_gen import LAYER_TYPES
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.fields import fill

SHARED = {field.name for field in pb.LayerParameter.DESCRIPTOR.fields}


def layer(type_, bottom="", top="", **fields):
    """A LayerParameter; `bottom` and `top` are names with spaces between, other fields go to it or to its block."""
    param = pb.LayerParameter(
        type=type_,
        name=fields.pop("name", top.split()[0] if top else type_.lower()),
        bottom=bottom.split(),
        top=top.split(),
    )
    fill(param, {name: value for name, value in fields.items() if name in SHARED})
    own = {name: value for name, value in fields.items() if name not in SHARED}
    if own:
        fill(getattr(param, LAYER_TYPES[type_]), own)
    return param


def net(inputs, *layers, **fields):
    """A net of `inputs` (blob -> shape, zeros) and layers."""
    made = pb.NetParameter(**fields)
    for name, shape in inputs.items():
        made.layer.append(layer("DummyData", top=name, shape=shape))
    made.layer.extend(layers)
    return made


IMAGE = dict(x=(2, 6, 9, 7))
CLIP = dict(x=(5, 3, 4), cm=(5, 3))
STATIC = dict(**CLIP, s=(3, 2, 2))
STATES = dict(**STATIC, h=(1, 3, 7), c=(1, 3, 7))
SCORES = dict(x=(4, 5, 2, 3), label=(4, 2, 3))
VECTORS = dict(x=(4, 5), y=(4, 5))
FILL = dict(type="gaussian", std=0.1)

GOOD = {
    "conv": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=3, stride=2, pad=1, group=2)),
    "conv, kernel_h": net(
        IMAGE,
        layer(
            "Convolution",
            "x",
            "y",
            num_output=4,
            kernel_h=3,
            kernel_w=2,
            stride_h=2,
            stride_w=1,
            pad_h=0,
            pad_w=2,
            bias_term=False,
        ),
    ),
    "conv, kernel a bit too large": net(
        IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=[10, 3], stride=2)
    ),
    "conv, dilated": net(IMAGE, layer("Convolution", "x", "y", num_output=3, kernel_size=3, dilation=[2, 1], pad=1)),
    "conv, 1 axis": net(dict(x=(2, 6, 9)), layer("Convolution", "x", "y", num_output=3, kernel_size=4, stride=2)),
    "conv, 3 axes": net(
        dict(x=(2, 2, 5, 6, 7)),
        layer("Convolution", "x", "y", num_output=3, kernel_size=[3, 2, 1], stride=[1, 2, 3], pad=[0, 1, 0]),
    ),
    "conv, axis 0": net(dict(x=(6, 9, 7)), layer("Convolution", "x", "y", num_output=3, kernel_size=3, axis=0)),
    "conv, axis -3": net(dict(x=(2, 2, 6, 9, 7)), layer("Convolution", "x", "y", num_output=3, kernel_size=3, axis=-3)),
    "conv, two": net(
        dict(x=(2, 6, 9, 7), w=(2, 6, 9, 7)), layer("Convolution", "x w", "y z", num_output=4, kernel_size=1)
    ),
    "deconv": net(IMAGE, layer("Deconvolution", "x", "y", num_output=4, kernel_size=3, stride=2, pad=1, group=2)),
    "deconv, dilated": net(IMAGE, layer("Deconvolution", "x", "y", num_output=5, kernel_size=[2, 3], dilation=2)),
    "deconv, bilinear": net(
        IMAGE,
        layer(
            "Deconvolution",
            "x",
            "y",
            num_output=6,
            group=6,
            kernel_size=4,
            stride=2,
            pad=1,
            bias_term=False,
            weight_filler=dict(type="bilinear"),
        ),
    ),
    "im2col": net(IMAGE, layer("Im2col", "x", "y", kernel_size=3, stride=2, pad=1)),
    "pool, rounded up": net(dict(x=(1, 2, 10, 8)), layer("Pooling", "x", "y", kernel_size=3, stride=2)),
    "pool, padded": net(dict(x=(1, 2, 10, 7)), layer("Pooling", "x", "y", kernel_size=2, stride=2, pad=1)),
    "pool, kernel a bit too large": net(dict(x=(1, 2, 4, 4)), layer("Pooling", "x", "y", kernel_size=5, stride=2)),
    "pool, kernel_h": net(
        IMAGE, layer("Pooling", "x", "y", pool="AVE", kernel_h=3, kernel_w=2, stride_h=1, stride_w=3, pad_h=2, pad_w=1)
    ),
    "pool, global": net(IMAGE, layer("Pooling", "x", "y", pool="AVE", global_pooling=True)),
    "pool, mask": net(IMAGE, layer("Pooling", "x", "y mask", kernel_size=3, stride=2)),
    "spp": net(IMAGE, layer("SPP", "x", "y", pyramid_height=3)),
    "spp, one level": net(IMAGE, layer("SPP", "x", "y", pyramid_height=1, pool="AVE")),
    "lrn": net(IMAGE, layer("LRN", "x", "y"), layer("LRN", "y", "z", norm_region="WITHIN_CHANNEL", local_size=3)),
    "mvn": net(dict(x=(2, 3)), layer("MVN", "x", "y")),
    "batch norm": net(
        IMAGE, layer("BatchNorm", "x", "x", name="bn"), layer("Scale", "x", "x", name="sc", bias_term=True)
    ),
    "batch norm, param": net(IMAGE, layer("BatchNorm", "x", "y", param=[dict(lr_mult=0)] * 3)),
    "neurons": net(
        IMAGE,
        layer("AbsVal", "x", "a"),
        layer("BNLL", "a", "b"),
        layer("ELU", "b", "c"),
        layer("Exp", "c", "d", scale=0.1),
        layer("Log", "d", "e", shift=1),
        layer("Power", "e", "f", power=1),
        layer("ReLU", "f", "f", name="relu"),
        layer("Sigmoid", "f", "g"),
        layer("TanH", "g", "h"),
        layer("Threshold", "h", "i"),
        layer("Dropout", "g", "j"),
    ),
    "prelu": net(IMAGE, layer("PReLU", "x", "x", name="p"), layer("PReLU", "x", "y", channel_shared=True)),
    "scale, all that follow": net(IMAGE, layer("Scale", "x", "y", axis=-3, num_axes=-1, bias_term=True)),
    "scale, two axes": net(IMAGE, layer("Scale", "x", "y", axis=0, num_axes=2, bias_term=True)),
    "scale, scalar": net(IMAGE, layer("Scale", "x", "y", num_axes=0)),
    "scale, given": net(dict(x=(2, 6, 9, 7), f=(6, 9)), layer("Scale", "x f", "y", bias_term=True)),
    "bias": net(IMAGE, layer("Bias", "x", "y", axis=1, num_axes=3), layer("Bias", "y", "y2", num_axes=0)),
    "bias, given": net(dict(x=(2, 6, 9, 7), f=(9, 7)), layer("Bias", "x f", "y", axis=2)),
    "eltwise": net(
        dict(x=(4, 5), y=(4, 5), z=(4, 5)),
        layer("Eltwise", "x y z", "s", coeff=[1, 2, 3]),
        layer("Eltwise", "s x", "m", operation="MAX"),
        layer("Eltwise", "m y", "p", operation="PROD"),
    ),
    "inner product": net(IMAGE, layer("InnerProduct", "x", "y", num_output=5)),
    "inner product, last axis": net(
        CLIP, layer("InnerProduct", "x", "y", num_output=5, axis=-1, transpose=True, bias_term=False)
    ),
    "inner product, axis 0": net(CLIP, layer("InnerProduct", "x", "y", num_output=5, axis=0)),
    "embed": net(
        CLIP,
        layer("Embed", "cm", "y", input_dim=9, num_output=4, bias_term=False),
        layer("Embed", "cm", "z", input_dim=9, num_output=4),
    ),
    "reshape, inferred": net(IMAGE, layer("Reshape", "x", "y", shape=[0, -1, 7])),
    "reshape, inner": net(IMAGE, layer("Reshape", "x", "y", shape=[3, -1], axis=1, num_axes=1)),
    "reshape, inserted": net(IMAGE, layer("Reshape", "x", "y", shape=[1, 1], axis=-1, num_axes=0)),
    "reshape, inserted first": net(IMAGE, layer("Reshape", "x", "y", shape=[1], axis=0, num_axes=0)),
    "reshape, negative": net(IMAGE, layer("Reshape", "x", "y", shape=[-1], axis=-3)),
    "reshape, copies": net(IMAGE, layer("Reshape", "x", "y", shape=[0, 63], axis=1)),
    "flatten": net(IMAGE, layer("Flatten", "x", "y"), layer("Flatten", "x", "z", axis=-3, end_axis=2)),
    "flatten, nothing": net(IMAGE, layer("Flatten", "x", "y", axis=2, end_axis=1)),
    "concat": net(
        dict(x=(2, 6, 3), y=(2, 1, 3), z=(2, 6, 3)),
        layer("Concat", "x y", "a"),
        layer("Concat", "x z", "b", axis=-1),
        layer("Concat", "x z", "c", concat_dim=0),
        layer("Concat", "z", "d"),
    ),
    "slice": net(
        IMAGE,
        layer("Slice", "x", "a b", axis=1),
        layer("Slice", "x", "c d e", axis=2, slice_point=[1, 5]),
        layer("Slice", "x", "f g", slice_dim=0),
        layer("Slice", "x", "h", axis=-1),
    ),
    "tile": net(IMAGE, layer("Tile", "x", "y", tiles=3), layer("Tile", "x", "z", axis=-1, tiles=2)),
    "crop": net(
        dict(x=(2, 6, 9, 7), y=(1, 1, 4, 5)),
        layer("Crop", "x y", "a"),
        layer("Crop", "x y", "b", offset=2),
        layer("Crop", "x y", "c", axis=1, offset=[5, 0, 1]),
        layer("Crop", "x y", "d", axis=-1),
    ),
    "argmax": net(
        IMAGE,
        layer("ArgMax", "x", "a", top_k=2),
        layer("ArgMax", "x", "b", axis=1, top_k=3),
        layer("ArgMax", "x", "c", out_max_val=True),
    ),
    "argmax, vectors": net(VECTORS, layer("ArgMax", "x", "a"), layer("ArgMax", "y", "b", axis=-1)),
    "reduction": net(IMAGE, layer("Reduction", "x", "a"), layer("Reduction", "x", "b", axis=-2, operation="MEAN")),
    "batch reindex": net(dict(x=(4, 5, 2), i=(7,)), layer("BatchReindex", "x i", "y")),
    "silence": net(VECTORS, layer("Silence", "x y")),
    "split": net(VECTORS, layer("Split", "x", "a b c")),
    "parameter": net({}, layer("Parameter", top="p", shape=[3, 4])),
    "softmax": net(SCORES, layer("Softmax", "x", "y"), layer("Softmax", "x", "z", axis=-1)),
    "softmax loss": net(
        dict(x=(4, 2, 6), label=(4, 2)),
        layer("InnerProduct", "x", "y", num_output=5, axis=2),
        layer("SoftmaxWithLoss", "y label", "loss", axis=2, loss_weight=20),
    ),
    "accuracy": net(SCORES, layer("Accuracy", "x label", "a c", top_k=2), layer("Accuracy", "x label", "b")),
    "losses": net(
        dict(x=(4, 5), y=(4, 5), l=(4,)),
        layer("EuclideanLoss", "x y", "a"),
        layer("HingeLoss", "x l", "b"),
        layer("SigmoidCrossEntropyLoss", "x y", "c"),
        layer("MultinomialLogisticLoss", "x l", "d"),
        layer("ContrastiveLoss", "x y l", "e"),
        layer("SoftmaxWithLoss", "x l", "f"),
    ),
    "loss without a top": net(
        dict(x=(4, 5), l=(4,)), layer("InnerProduct", "x", "y", num_output=3), layer("SoftmaxWithLoss", "y l")
    ),
    "loss that others read": net(
        dict(x=(4, 5), l=(4,)),
        layer("InnerProduct", "x", "y", num_output=3),
        layer("SoftmaxWithLoss", "y l", "loss", loss_weight=2),
        layer("Power", "loss", "twice"),
    ),
    "any top as loss": net(
        VECTORS, layer("InnerProduct", "x", "z", num_output=3), layer("Reduction", "z", "r", loss_weight=0.5)
    ),
    "lstm": net(CLIP, layer("LSTM", "x cm", "h", num_output=7)),
    "lstm, wide input": net(dict(x=(5, 3, 4, 2), cm=(5, 3)), layer("LSTM", "x cm", "h", num_output=7)),
    "lstm, static": net(STATIC, layer("LSTM", "x cm s", "h", num_output=7, weight_filler=FILL)),
    "lstm, one step": net(dict(x=(1, 3, 4), cm=(1, 3), s=(3, 2)), layer("LSTM", "x cm s", "h", num_output=7)),
    "lstm, states": net(
        {k: v for k, v in STATES.items() if k != "s"},
        layer("LSTM", "x cm h c", "y h_T c_T", num_output=7, expose_hidden=True),
    ),
    "lstm, static and states": net(STATES, layer("LSTM", "x cm s h c", "y h_T c_T", num_output=7, expose_hidden=True)),
    "rnn": net(CLIP, layer("RNN", "x cm", "h", num_output=7)),
    "rnn, static and state": net(STATES, layer("RNN", "x cm s h", "y h_T", num_output=7, expose_hidden=True)),
    "lstms that share": net(
        CLIP, *(layer("LSTM", "x cm", top, num_output=4, param=[dict(name=n) for n in "abc"]) for top in ("h1", "h2"))
    ),
    "lstm unit": net(dict(c=(1, 3, 4), g=(1, 3, 16), m=(1, 3)), layer("LSTMUnit", "c g m", "c2 h2")),
    "shared, learning rates agree": net(
        VECTORS,
        layer("InnerProduct", "x", "a", num_output=5, param=[dict(name="w")]),
        layer("InnerProduct", "y", "b", num_output=5, param=[dict(name="w", lr_mult=2)]),
        layer("InnerProduct", "b", "c", num_output=5, param=[dict(name="w", lr_mult=2), dict(name="v")]),
    ),
    "shared, permissive": net(
        VECTORS,
        layer("InnerProduct", "x", "a", num_output=4, bias_term=False, param=[dict(name="w")]),
        layer(
            "InnerProduct",
            "y",
            "b",
            num_output=4,
            bias_term=False,
            transpose=True,
            param=[dict(name="w", share_mode="PERMISSIVE")],
        ),
    ),
    "split behind an in-place layer": net(
        IMAGE,
        layer("ReLU", "x", "x", name="relu"),
        layer("Sigmoid", "x", "a"),
        layer("TanH", "x", "b"),
        layer("Eltwise", "a b", "c"),
        layer("Dropout", "c", "c", name="drop"),
    ),
    "old inputs": pb.NetParameter(
        input=["x", "y"],
        input_shape=[dict(dim=[2, 3]), dict(dim=[4])],
        layer=[layer("InnerProduct", "x", "z", num_output=2)],
    ),
    "old input dims": pb.NetParameter(
        input=["x", "y"], input_dim=[2, 3, 4, 5, 1, 1, 1, 1], layer=[layer("InnerProduct", "x", "z", num_output=2)]
    ),
    "dummy data": pb.NetParameter(
        layer=[layer("DummyData", top="a b", num=[2, 3], channels=4, height=1, width=[5, 6])]
    ),
    "force backward": net(STATIC, layer("LSTM", "x cm s", "h", num_output=7), force_backward=True),
}
BAD = {
    "axis past the end": net(IMAGE, layer("Softmax", "x", "y", axis=4)),
    "axis before the start": net(IMAGE, layer("Concat", "x", "y", axis=-5)),
    "group": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=3, group=4)),
    "group and outputs": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=3, group=3)),
    "group 0": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=3, group=0)),
    "no kernel": net(IMAGE, layer("Convolution", "x", "y", num_output=4)),
    "kernel 0": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=0)),
    "half a kernel": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_h=3)),
    "both kernels": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_h=3, kernel_w=3, kernel_size=3)),
    "three kernel sizes": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=[3, 3, 3])),
    "stride 0": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=3, stride=0)),
    "kernel too large": net(IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=9)),
    "no outputs": net(IMAGE, layer("Convolution", "x", "y", kernel_size=3)),
    "filler": net(
        IMAGE, layer("Convolution", "x", "y", num_output=4, kernel_size=3, weight_filler=dict(type="gausian"))
    ),
    "filler's std": net(
        IMAGE, layer("InnerProduct", "x", "y", num_output=4, weight_filler=dict(type="gaussian", std=0))
    ),
    "filler's range": net(
        IMAGE, layer("InnerProduct", "x", "y", num_output=4, weight_filler=dict(type="uniform", min=1, max=-1))
    ),
    "sparse xavier": net(
        IMAGE, layer("InnerProduct", "x", "y", num_output=4, weight_filler=dict(type="xavier", sparse=2))
    ),
    "too sparse": net(
        IMAGE, layer("InnerProduct", "x", "y", num_output=4, weight_filler=dict(type="gaussian", sparse=5))
    ),
    "xavier in 3-d": net(
        dict(x=(2, 2, 5, 6, 7)),
        layer("Convolution", "x", "y", num_output=3, kernel_size=3, weight_filler=dict(type="xavier")),
    ),
    "bilinear, oblong": net(
        IMAGE, layer("Convolution", "x", "y", num_output=3, kernel_size=[3, 2], weight_filler=dict(type="bilinear"))
    ),
    "inner product without outputs": net(IMAGE, layer("InnerProduct", "x", "y")),
    "pool of 3 axes": net(CLIP, layer("Pooling", "x", "y", kernel_size=1)),
    "pool without kernel": net(IMAGE, layer("Pooling", "x", "y")),
    "pool, both kernels": net(IMAGE, layer("Pooling", "x", "y", kernel_size=2, kernel_h=2, kernel_w=2)),
    "pool, half a pad": net(IMAGE, layer("Pooling", "x", "y", kernel_size=2, pad_h=1)),
    "pool, half a stride": net(IMAGE, layer("Pooling", "x", "y", kernel_size=2, stride_w=1)),
    "pool, pad as large as kernel": net(IMAGE, layer("Pooling", "x", "y", kernel_size=2, pad=2)),
    "pool, stochastic pad": net(IMAGE, layer("Pooling", "x", "y", pool="STOCHASTIC", kernel_size=2, pad=1)),
    "pool, stride 0": net(IMAGE, layer("Pooling", "x", "y", kernel_size=2, stride=0)),
    "pool, global with kernel": net(IMAGE, layer("Pooling", "x", "y", kernel_size=2, global_pooling=True)),
    "pool, global with stride": net(IMAGE, layer("Pooling", "x", "y", stride=2, global_pooling=True)),
    "pool, mask of AVE": net(IMAGE, layer("Pooling", "x", "y m", kernel_size=2, pool="AVE")),
    "pool, kernel too large": net(dict(x=(1, 2, 3, 3)), layer("Pooling", "x", "y", kernel_size=5, stride=2)),
    "spp too high": net(dict(x=(1, 2, 3, 3)), layer("SPP", "x", "y", pyramid_height=4)),
    "lrn, even": net(IMAGE, layer("LRN", "x", "y", local_size=4)),
    "lrn, 3 axes": net(CLIP, layer("LRN", "x", "y")),
    "batch norm, 1 axis": net(dict(x=(4,)), layer("BatchNorm", "x", "y")),
    "exp": net(VECTORS, layer("Exp", "x", "z", base=0)),
    "log": net(VECTORS, layer("Log", "x", "z", base=1)),
    "prelu": net(dict(x=(4,)), layer("PReLU", "x", "y")),
    "scale past the end": net(IMAGE, layer("Scale", "x", "y", axis=2, num_axes=3)),
    "bias does not fit": net(dict(x=(4, 5), f=(4,)), layer("Bias", "x f", "y")),
    "eltwise, coefficients": net(VECTORS, layer("Eltwise", "x y", "z", coeff=[1])),
    "eltwise, product with coefficients": net(VECTORS, layer("Eltwise", "x y", "z", coeff=[1, 1], operation="PROD")),
    "embed without words": net(CLIP, layer("Embed", "cm", "y", num_output=4)),
    "embed without outputs": net(CLIP, layer("Embed", "cm", "y", input_dim=4)),
    "reshape, two -1": net(IMAGE, layer("Reshape", "x", "y", shape=[-1, -1])),
    "reshape, no multiple": net(IMAGE, layer("Reshape", "x", "y", shape=[5, -1])),
    "reshape, wrong count": net(IMAGE, layer("Reshape", "x", "y", shape=[5, 5])),
    "reshape, copies nothing": net(VECTORS, layer("Reshape", "x", "z", shape=[4, 5, 0])),
    "reshape, axis": net(VECTORS, layer("Reshape", "x", "z", shape=[-1], axis=3)),
    "reshape, num_axes": net(VECTORS, layer("Reshape", "x", "z", shape=[-1], axis=1, num_axes=2)),
    "reshape in place": net(VECTORS, layer("Reshape", "x", "x", shape=[4, 5])),
    "flatten, crossed": net(IMAGE, layer("Flatten", "x", "y", axis=3, end_axis=1)),
    "concat, shapes": net(dict(x=(2, 6), y=(3, 6)), layer("Concat", "x y", "z")),
    "concat, both axes": net(VECTORS, layer("Concat", "x y", "z", axis=1, concat_dim=1)),
    "slice, uneven": net(IMAGE, layer("Slice", "x", "a b", axis=2)),
    "slice, points": net(IMAGE, layer("Slice", "x", "a b", axis=2, slice_point=[3, 5])),
    "slice, falling points": net(IMAGE, layer("Slice", "x", "a b c", axis=2, slice_point=[5, 3])),
    "slice, point past the end": net(IMAGE, layer("Slice", "x", "a b", axis=2, slice_point=12)),
    "tile": net(IMAGE, layer("Tile", "x", "y")),
    "crop": net(dict(x=(2, 6, 9, 7), y=(1, 1, 4, 9)), layer("Crop", "x y", "z")),
    "crop, offset": net(dict(x=(2, 6, 9, 7), y=(1, 1, 4, 5)), layer("Crop", "x y", "z", offset=3)),
    "crop, offsets": net(dict(x=(2, 6, 9, 7), y=(1, 1, 4, 5)), layer("Crop", "x y", "z", offset=[0, 0, 0])),
    "argmax": net(VECTORS, layer("ArgMax", "x", "z", axis=1, top_k=6)),
    "argmax of all": net(VECTORS, layer("ArgMax", "x", "z", top_k=6)),
    "batch reindex": net(VECTORS, layer("BatchReindex", "x y", "z")),
    "filter": net(dict(x=(4, 5), s=(3,)), layer("Filter", "x s", "z")),
    "accuracy, labels": net(dict(x=(4, 5), label=(5,)), layer("Accuracy", "x label", "a")),
    "accuracy, top k": net(dict(x=(4, 5), label=(4,)), layer("Accuracy", "x label", "a", top_k=6)),
    "softmax loss, labels": net(dict(x=(4, 5, 2), label=(4,)), layer("SoftmaxWithLoss", "x label", "a")),
    "softmax loss, axis": net(dict(x=(4, 5, 2), label=(4, 2)), layer("SoftmaxWithLoss", "x label", "a", axis=2)),
    "softmax loss, first size": net(dict(x=(4, 5), label=(2, 2)), layer("SoftmaxWithLoss", "x label", "a")),
    "softmax loss, two tops": net(
        dict(x=(4, 5), label=(4,)), layer("SoftmaxWithLoss", "x label", "a b", loss_weight=[1, 0])
    ),
    "euclidean loss": net(dict(x=(4, 5), y=(4, 6)), layer("EuclideanLoss", "x y", "a")),
    "sigmoid loss": net(dict(x=(4, 5), y=(4,)), layer("SigmoidCrossEntropyLoss", "x y", "a")),
    "multinomial loss": net(VECTORS, layer("MultinomialLogisticLoss", "x y", "a")),
    "contrastive loss": net(dict(x=(4, 5), y=(4, 5), s=(4, 2)), layer("ContrastiveLoss", "x y s", "a")),
    "loss weights": net(VECTORS, layer("EuclideanLoss", "x y", "a", loss_weight=[1, 1])),
    "lstm, 2 axes": net(dict(x=(5, 3), cm=(5, 3)), layer("LSTM", "x cm", "h", num_output=4)),
    "lstm, markers": net(dict(x=(5, 3, 4), cm=(3, 5)), layer("LSTM", "x cm", "h", num_output=4)),
    "lstm, markers' axes": net(dict(x=(5, 3, 4), cm=(5, 3, 1)), layer("LSTM", "x cm", "h", num_output=4)),
    "lstm, static": net(dict(x=(5, 3, 4), cm=(5, 3), s=(4, 2)), layer("LSTM", "x cm s", "h", num_output=4)),
    "lstm, static's axes": net(dict(x=(5, 3, 4), cm=(5, 3), s=(3,)), layer("LSTM", "x cm s", "h", num_output=4)),
    "lstm, no outputs": net(CLIP, layer("LSTM", "x cm", "h")),
    "lstm, states missing": net(CLIP, layer("LSTM", "x cm", "h", num_output=4, expose_hidden=True)),
    "lstm, state": net(STATES, layer("LSTM", "x cm s h c", "y h_T c_T", num_output=6, expose_hidden=True)),
    "lstm, too many params": net(CLIP, layer("LSTM", "x cm", "h", num_output=4, param=[dict(lr_mult=1)] * 4)),
    "lstm unit": net(dict(c=(1, 3, 4), g=(1, 3, 15), m=(1, 3)), layer("LSTMUnit", "c g m", "c2 h2")),
    "unknown type": net(VECTORS, pb.LayerParameter(name="z", type="Relu", bottom=["x"], top=["z"])),
    "unknown bottom": net(VECTORS, layer("TanH", "w", "z")),
    "bottom from further down": net(VECTORS, layer("TanH", "w", "z"), layer("TanH", "x", "w")),
    "top made twice": net(VECTORS, layer("TanH", "x", "z"), layer("TanH", "y", "z", name="z2")),
    "in place under another reader": net(VECTORS, layer("TanH", "x", "z"), layer("ReLU", "x", "x", name="r")),
    "in place on another bottom": net(VECTORS, layer("Eltwise", "x y", "y")),
    "too many bottoms": net(VECTORS, layer("TanH", "x y", "z")),
    "too few bottoms": net(VECTORS, layer("Eltwise", "x", "z")),
    "too many tops": net(VECTORS, layer("TanH", "x", "z w")),
    "tops of a convolution": net(IMAGE, layer("Convolution", "x", "y z", num_output=4, kernel_size=3)),
    "propagate_down": net(VECTORS, layer("TanH", "x", "z", propagate_down=[True, True])),
    "shared, shapes": net(
        dict(x=(4, 5), y=(4, 6)),
        *(layer("InnerProduct", b, t, num_output=3, param=dict(name="w")) for b, t in (("x", "a"), ("y", "b"))),
    ),
    "shared, permissive": net(
        dict(x=(4, 5), y=(4, 6)),
        *(
            layer("InnerProduct", b, t, num_output=3, param=dict(name="w", share_mode="PERMISSIVE"))
            for b, t in (("x", "a"), ("y", "b"))
        ),
    ),
    "shared, learning rates": net(
        VECTORS,
        *(
            layer("InnerProduct", b, t, num_output=3, param=dict(name="w", lr_mult=lr))
            for b, t, lr in (("x", "a", 1), ("y", "b", 2))
        ),
    ),
    "include and exclude": net(
        VECTORS, layer("TanH", "x", "z", include=dict(phase="TEST"), exclude=dict(phase="TRAIN"))
    ),
    "dummy data, shapes": pb.NetParameter(layer=[layer("DummyData", top="a b c", shape=[[2], [3]])]),
    "dummy data, no shape": pb.NetParameter(layer=[layer("DummyData", top="a")]),
    "dummy data, empty": net(dict(x=(4, 0))),
    "dummy data, fillers": pb.NetParameter(
        layer=[layer("DummyData", top="a b c", shape=[2], data_filler=[FILL, FILL])]
    ),
    "input, shapes": pb.NetParameter(layer=[layer("Input", top="a b c", shape=[[2], [3]])]),
    "a blob too large": net(
        dict(x=(1,)), layer("Tile", "x", "y", axis=0, tiles=2**30), layer("Tile", "y", "z", axis=0, tiles=2)
    ),
}
