"""Every layer of the catalogue's nets, forward and backward: a GPU's numbers against Caffe's own on the CPU."""

import numpy as np
import pytest

from netspecs import catalogue
from prototxt_gen import NetSpec
from prototxt_gen import layers as L
from tests.gpu.devices import Case
from tests.netspecs.small_nets import EVERY, deployed, small
from tests.rounding import rounding

pytestmark = pytest.mark.engine

FILLED = dict(weight_filler=dict(type="uniform", min=-1, max=1), bias_filler=dict(type="uniform", min=-1, max=1))
READERS = {"Data", "ImageData", "HDF5Data", "Python", "Input"}  # they compute nothing


def draw(*shape, seed=0):
    return np.random.default_rng([1701, seed, *shape]).normal(size=shape).astype(np.float32)


def words(*shape, below, seed=0):
    return np.random.default_rng([1702, seed, *shape]).integers(0, below, shape)


def one_layer(name, make, summands, *inputs, **more):
    """A case of one layer on inputs drawn in these shapes, twice, the second time with other numbers."""
    n = NetSpec(name)
    bottoms = []
    for number, shape in enumerate(inputs):
        bottoms.append(L.Input(shape=list(shape)))
        setattr(n, f"in{number}", bottoms[-1])
    n.out = make(*bottoms)
    names = [f"in{number}" for number in range(len(inputs))]
    passes = [{name: draw(*shape, seed=seed) for name, shape in zip(names, inputs)} for seed in range(2)]
    settings = dict(backward=("out",), differentiable=tuple(names)) | more
    return Case(name, n.to_proto(), passes, summands, **settings)


def convolutions():
    for name, shape, settings in (
        ("convolution", (3, 4, 9, 8), dict(num_output=6, kernel_size=3)),
        ("convolution strided", (2, 3, 23, 19), dict(num_output=8, kernel_size=7, stride=4)),
        ("convolution padded", (2, 3, 7, 6), dict(num_output=4, kernel_size=5, pad=2)),
        ("convolution grouped", (3, 8, 6, 7), dict(num_output=6, kernel_size=3, pad=1, group=2)),
        ("convolution of a point", (2, 5, 4, 4), dict(num_output=3, kernel_size=1)),
        ("convolution dilated", (2, 3, 11, 11), dict(num_output=4, kernel_size=3, dilation=2)),
        ("convolution oblong", (2, 3, 9, 12), dict(num_output=4, kernel_h=3, kernel_w=5, stride_h=2, stride_w=1)),
        ("convolution without bias", (2, 3, 6, 6), dict(num_output=4, kernel_size=3, bias_term=False)),
        ("convolution by im2col", (2, 4, 8, 8), dict(num_output=4, kernel_size=3, group=2, engine="CAFFE")),
    ):
        bias = {} if settings.get("bias_term", True) else {"bias_filler": None}
        filled = {key: value for key, value in (FILLED | bias).items() if value}
        kernel = settings.get("kernel_size", 4) ** 2 * max(shape[1], settings["num_output"])
        summands = max(kernel, shape[0] * shape[2] * shape[3])
        yield one_layer(name, lambda x: L.Convolution(x, **settings, **filled), summands, shape)


def poolings():
    for name, shape, settings in (
        ("pooling", (2, 3, 9, 9), dict(kernel_size=3, stride=2)),
        ("pooling rounded up", (2, 3, 8, 10), dict(kernel_size=3, stride=2)),
        ("pooling by two", (3, 2, 8, 6), dict(kernel_size=2, stride=2)),
        ("pooling padded", (2, 3, 7, 8), dict(kernel_size=3, stride=2, pad=1)),
        ("pooling by three", (2, 3, 10, 11), dict(kernel_size=4, stride=3)),
        ("pooling by Caffe", (2, 3, 8, 9), dict(kernel_size=3, stride=2, engine="CAFFE")),
        ("pooling of means", (2, 3, 8, 9), dict(kernel_size=3, stride=2, pool="AVE")),
    ):
        settings = dict(pool="MAX") | settings
        yield one_layer(name, lambda x: L.Pooling(x, **settings), 9, shape)
    equal = one_layer(
        "pooling of equal values", lambda x: L.Pooling(x, pool="MAX", kernel_size=3, stride=2), 9, (2, 2, 9, 9)
    )
    equal.passes = [{"in0": np.zeros((2, 2, 9, 9))}, {"in0": words(2, 2, 9, 9, below=2)}]
    yield equal


def products():
    shape = (5, 3, 4)
    yield one_layer("inner product", lambda x: L.InnerProduct(x, num_output=6, **FILLED), 12, shape)
    yield one_layer("inner product of steps", lambda x: L.InnerProduct(x, num_output=6, axis=2, **FILLED), 15, shape)
    filler = dict(weight_filler=FILLED["weight_filler"], bias_term=False)
    yield one_layer(
        "inner product without bias", lambda x: L.InnerProduct(x, num_output=6, axis=2, **filler), 15, shape
    )


def embeddings():
    """Few words, often repeated, and in a batch of another size."""
    for bias in True, False:
        filled = dict(bias_filler=FILLED["bias_filler"]) if bias else {}
        case = one_layer(
            f"embed{' with bias' if bias else ''}",
            lambda x: L.Embed(
                x,
                input_dim=7,
                num_output=5,
                bias_term=bias,
                loss_weight=1,
                weight_filler=FILLED["weight_filler"],
                **filled,
            ),
            40,
            (8, 5),
            differentiable=(),
        )
        case.passes = [{"in0": words(8, 5, below=7)}, {"in0": words(8, 5, below=2)}, {"in0": words(3, 4, below=7)}]
        yield case


def lstms():
    """Markers within a sequence, state that goes on from pass to pass, and a batch of another size."""
    D, S, H = 5, 4, 6
    for with_static in False, True:
        n = NetSpec("lstm")
        n.data, n.cont = L.Input(shape=[7, 3, D]), L.Input(shape=[7, 3])
        bottoms = [n.data, n.cont]
        if with_static:
            n.static = L.Input(shape=[3, S])
            bottoms.append(n.static)
        n.out = L.LSTM(*bottoms, num_output=H, **FILLED)
        passes = []
        for seed, (T, N) in enumerate([(7, 3), (7, 3), (7, 2), (7, 3), (7, 1)]):
            rng = np.random.default_rng(seed)
            cont = (rng.random((T, N)) < 0.7).astype(float)
            cont[0] = seed == 1  # the second goes on where the first has ended
            each = {"data": draw(T, N, D, seed=seed), "cont": cont}
            passes.append(each | ({"static": draw(N, S, seed=seed)} if with_static else {}))
        inputs = ("data", "static") if with_static else ("data",)
        # At each of the steps, forward and back, and over all streams
        case = Case("lstm", n.to_proto(), passes, 2 * 7 * (D + H + S) + 21, backward=("out",), differentiable=inputs)
        case.name += " with static input" * with_static
        yield case
    n = NetSpec("lstm exposed")
    n.data, n.cont, n.h, n.c = (L.Input(shape=shape) for shape in ([3, 2, D], [3, 2], [1, 2, H], [1, 2, H]))
    n.out, n.h_T, n.c_T = L.LSTM(n.data, n.cont, n.h, n.c, num_output=H, expose_hidden=True, ntop=3, **FILLED)
    passes = [
        {"data": draw(T, N, D), "cont": np.ones((T, N)), "h": draw(1, N, H), "c": draw(1, N, H, seed=1)}
        for T, N in ((3, 2), (3, 2), (3, 4))
    ]
    yield Case("lstm exposed", n.to_proto(), passes, 3 * (D + H), backward=("out",), differentiable=("data",))


def losses():
    for name, shape, settings in (
        ("loss", (6, 5), dict()),
        ("loss of some", (6, 5), dict(loss_param=dict(ignore_label=-1))),
        ("loss of steps", (4, 3, 5), dict(softmax_param=dict(axis=2), loss_param=dict(ignore_label=-1))),
        ("loss of many words", (2, 3, 700), dict(softmax_param=dict(axis=2), loss_param=dict(ignore_label=-1))),
    ):
        passes = []
        for seed in range(2):
            label = words(*shape[:-1], below=shape[-1], seed=seed)
            if "loss_param" in settings:
                label.flat[:: 2 + seed] = -1
            passes.append({"scores": draw(*shape, seed=seed), "label": label})
        n = NetSpec(name)
        n.scores, n.label = L.Input(shape=list(shape)), L.Input(shape=list(shape[:-1]))
        n.loss = L.SoftmaxWithLoss(n.scores, n.label, loss_weight=3, **settings)
        yield Case(name, n.to_proto(), passes, np.prod(shape), loss=True, differentiable=("scores",))
        n = NetSpec(name)
        n.scores, n.label = L.Input(shape=list(shape)), L.Input(shape=list(shape[:-1]))
        axis = {"axis": settings["softmax_param"]["axis"]} if "softmax_param" in settings else {}
        n.accuracy = L.Accuracy(n.scores, n.label, ignore_label=-1, **axis)
        yield Case(f"accuracy beside {name}", n.to_proto(), passes, 1)


def others():
    yield one_layer("relu", lambda x: L.ReLU(x), 1, (3, 4, 5))
    yield one_layer("lrn", lambda x: L.LRN(x, local_size=5, alpha=1e-1, beta=0.75), 10, (2, 9, 3, 4))
    yield one_layer(
        "lrn by Caffe", lambda x: L.LRN(x, local_size=3, alpha=1e-1, beta=0.75, engine="CAFFE"), 10, (2, 9, 3, 4)
    )
    for settings in {}, {"axis": 2}:
        name = " of steps" * bool(settings)
        yield one_layer(f"softmax{name}", lambda x: L.Softmax(x, **settings), 7, (4, 3, 7))
    yield one_layer("softmax by Caffe", lambda x: L.Softmax(x, engine="CAFFE"), 7, (4, 7))
    yield one_layer("dropout in testing", lambda x: L.Dropout(x, dropout_ratio=0.9), 1, (4, 7))
    yield one_layer("dropout of nothing", lambda x: L.Dropout(x, dropout_ratio=0), 1, (4, 7), phase="TRAIN")
    yield one_layer("reshape", lambda x: L.Reshape(x, shape=dict(dim=[-1, 6])), 1, (4, 3, 2))
    yield one_layer("concat", lambda x, y: L.Concat(x, y, axis=0), 1, (4, 3, 2), (2, 3, 2))
    n = NetSpec("slice")
    n.data = L.Input(shape=[5, 3, 2])
    n.first, n.second = L.Slice(n.data, axis=0, slice_point=[2], ntop=2)
    n.silence = L.Silence(n.second, ntop=0)
    n.once, n.twice = L.Concat(n.first, n.data, axis=0), L.ReLU(n.first)  # two take the first: it is split
    both = ("once", "twice")
    yield Case("slice", n.to_proto(), [{"data": draw(5, 3, 2)}], 4, backward=both, differentiable=("data",))


CASES = [*convolutions(), *poolings(), *products(), *embeddings(), *lstms(), *losses(), *others()]


@pytest.fixture(scope="module")
def both(device, tmp_path_factory):
    """Name of a case -> its passes on the CPU and on the GPU."""
    folder = tmp_path_factory.mktemp("layers")
    on_cpu, _ = device.passes("cpu", CASES, folder / "cpu")
    on_gpu, log = device.passes("gpu", CASES, folder / "gpu", check=False)
    names = [case.name for case in CASES]
    return dict(zip(names, zip(on_cpu, on_gpu))), log


def test_all_types_of_the_catalogue_are_here():
    types = set()
    for name, choice in EVERY:
        settings = small(name, **choice)
        nets = [catalogue.get(name).files(**settings)["train_test"], *deployed(name, settings).values()]
        types |= {layer.type for net in nets for layer in net.layer}
    assert types - READERS == {layer.type for case in CASES for layer in case.net.layer} - READERS
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_layer_computes_what_it_computes_on_the_cpu(case, both):
    results, log = both
    assert case.name in results, f"the GPU's process ended before or at {case.name}: {log[-2000:]}"
    for on_cpu, on_gpu in zip(*results[case.name], strict=True):
        assert on_cpu.keys() == on_gpu.keys()
        for name in on_cpu:
            assert on_cpu[name].any() or not case.for_caffe()["backward"] or name.startswith("data:"), f"{name} is 0"
        for name, due in on_cpu.items():
            atol = rounding(case.summands, max(1, abs(due).max()))
            np.testing.assert_allclose(on_gpu[name], due, rtol=0, atol=atol, err_msg=name)


def test_dropout_leaves_out_what_it_says(device, tmp_path):
    """A GPU draws other numbers than the CPU: what is left is scaled, and its gradient is, and nothing else."""
    ratio, count = 0.9, 10000
    case = one_layer("dropout", lambda x: L.Dropout(x, dropout_ratio=ratio), 1, (count,), phase="TRAIN")
    [results], _ = device.passes("gpu", [case], tmp_path)
    masks = []
    for found in results:
        mask = found["data:out"] != 0
        np.testing.assert_allclose(found["data:out"], np.where(mask, found["data:in0"] / (1 - ratio), 0), rtol=1e-5)
        assert ((found["diff:in0"] != 0) == mask).all()
        deviation = (ratio * (1 - ratio) / count) ** 0.5
        assert abs(mask.mean() - (1 - ratio)) < 5 * deviation
        masks.append(mask)
    assert (masks[0] != masks[1]).any()
