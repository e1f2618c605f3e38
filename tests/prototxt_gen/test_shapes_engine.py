"""Shapes, weights and refusals against Caffe's own."""

import random

import pytest

from lrcn import engine
from prototxt_gen import to_text
from prototxt_gen.shapes import infer
from tests.prototxt_gen.smallnets import BAD, GOOD, layer, net

pytestmark = pytest.mark.engine

PHASES = ("TRAIN", "TEST")


@pytest.fixture(scope="module")
def caffe_s(in_caffe):
    """("good", name, phase) or ("bad", name) -> what Caffe made of it; one process for all."""
    jobs = {("good", name, phase): (net, phase, ()) for name, net in GOOD.items() for phase in PHASES}
    jobs |= {("bad", name): (net, "TRAIN", ()) for name, net in BAD.items()}
    return dict(zip(jobs, in_caffe(jobs.values()), strict=True))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", GOOD)
def test_shapes_and_weights_are_caffe_s(name, phase, caffe_s):
    caffe = caffe_s["good", name, phase]
    assert "refused" not in caffe, caffe
    found = infer(GOOD[name], phase)
    assert not found.problems and not found.notes
    blobs = {blob: shape for blob, shape in caffe["blobs"].items() if "_split_" not in blob and blob != "(automatic)"}
    assert {blob: list(shape) for blob, shape in found.blobs.items()} == blobs
    assert {row.layer.name: list(map(list, row.weights)) for row in found.rows if row.weights} == caffe["weights"]
    assert found.parameters == caffe["learned"]
    assert found.logged_bytes == 4 * caffe["logged"]


@pytest.mark.parametrize("name", BAD)
def test_what_caffe_refuses_is_a_problem(name, caffe_s):
    bvlc_takes_it = name == "xavier in 3-d" and engine.find().source != "pypi"
    assert "refused" in caffe_s["bad", name] or bvlc_takes_it
    assert infer(BAD[name], "TRAIN").problems


# ---- chance ------------------------------------------------------------------------------------------------


def random_net(rng):
    """One layer of a random type, with random fields, on random blobs: about half of them make no sense."""
    some = rng.choice

    def sizes(few=1, many=5, top=7):
        return [rng.randint(1, top) for _ in range(rng.randint(few, many))]

    def axis():
        return rng.randint(-5, 5)

    def maybe(**fields):
        return {name: value for name, value in fields.items() if rng.random() < 0.5}

    x, image = sizes(), [2, some([2, 4, 6]), *sizes(2, 2, 9)]
    kind = some(
        [
            "Convolution",
            "Deconvolution",
            "Pooling",
            "Reshape",
            "Flatten",
            "Slice",
            "Crop",
            "Scale",
            "Bias",
            "InnerProduct",
            "ArgMax",
            "Tile",
            "Concat",
            "LSTM",
            "Softmax",
            "Reduction",
            "Accuracy",
            "Im2col",
            "SPP",
        ]
    )
    if kind in ("Convolution", "Deconvolution", "Im2col"):
        fields = dict(
            kernel_size=some([rng.randint(1, 5), sizes(1, 3, 4)]),
            **maybe(
                stride=rng.randint(1, 4),
                pad=some([rng.randint(0, 3), [1, 0]]),
                dilation=rng.randint(1, 3),
                axis=some([1, 1, 1, axis()]),
            ),
        )
        if kind != "Im2col":
            fields |= dict(num_output=some([2, 4, 6]), **maybe(group=some([1, 2, 3]), bias_term=False))
        return net(dict(x=some([image, image, x])), layer(kind, "x", "y", **fields))
    if kind == "Pooling":
        return net(
            dict(x=image),
            layer(
                kind,
                "x",
                "y",
                kernel_size=rng.randint(1, 6),
                **maybe(stride=rng.randint(1, 4), pad=rng.randint(0, 4), pool=some(["MAX", "AVE"])),
            ),
        )
    if kind == "SPP":
        return net(dict(x=image), layer(kind, "x", "y", pyramid_height=rng.randint(1, 4)))
    if kind == "Reshape":
        dims = [some([-1, 0, 0, *x, 1]) for _ in range(rng.randint(0, 4))]
        return net(dict(x=x), layer(kind, "x", "y", shape=dims, **maybe(axis=axis(), num_axes=rng.randint(-1, 3))))
    if kind == "Flatten":
        return net(dict(x=x), layer(kind, "x", "y", **maybe(axis=axis(), end_axis=axis())))
    if kind == "Slice":
        tops = "a b c"[: rng.choice([1, 3, 5])]
        points = sorted(rng.sample(range(1, 8), rng.randint(1, 2)))
        return net(dict(x=x), layer(kind, "x", tops, **maybe(axis=axis(), slice_point=points)))
    if kind == "Crop":
        return net(
            dict(x=x, y=[max(1, size - rng.randint(-1, 2)) for size in x]),
            layer(kind, "x y", "z", **maybe(axis=axis(), offset=some([1, sizes(1, 3, 2)]))),
        )
    if kind in ("Scale", "Bias"):
        fields = maybe(axis=axis(), num_axes=rng.randint(-1, 3))
        return net(dict(x=x), layer(kind, "x", "y", **fields, **(maybe(bias_term=True) if kind == "Scale" else {})))
    if kind == "InnerProduct":
        fields = maybe(axis=axis(), transpose=True, bias_term=False)
        return net(dict(x=x), layer(kind, "x", "y", num_output=3, **fields))
    if kind == "Concat":
        y = [some([size, size, size + 1]) for size in x]
        return net(dict(x=x, y=y), layer(kind, "x y", "z", **maybe(axis=axis())))
    if kind == "LSTM":
        steps, streams = rng.randint(1, 3), rng.randint(1, 3)
        blobs = dict(
            x=[steps, streams, *sizes(0, 2, 3)],
            cm=[some([steps, steps, 2]), streams],
            **maybe(s=[some([streams, streams, 2]), *sizes(0, 2, 3)]),
        )
        return net(blobs, layer(kind, " ".join(blobs), "y", num_output=2))
    if kind == "Accuracy":
        return net(
            dict(x=x, label=some([x[:1], x[:1] + x[2:], x[:-1] or [1]])),
            layer(kind, "x label", "y", **maybe(axis=axis(), top_k=rng.randint(1, 4))),
        )
    fields = {
        "ArgMax": maybe(axis=axis(), top_k=rng.randint(1, 4), out_max_val=True),
        "Tile": dict(tiles=rng.randint(0, 3), **maybe(axis=axis())),
    }.get(kind, maybe(axis=axis()))
    return net(dict(x=x), layer(kind, "x", "y", **fields))


def test_random_layers_are_as_caffe_has_them(in_caffe):
    """Shapes agree where Caffe builds the net, and exactly what it refuses is a problem."""
    rng = random.Random(1701)
    nets = [random_net(rng) for _ in range(600)]
    built = 0
    for made, caffe in zip(nets, in_caffe([(made, "TEST", ()) for made in nets]), strict=True):
        found = infer(made, "TEST")
        said = f"{to_text(made)}\nCaffe: {caffe}\nhere: {found.problems}, {found.blobs}"
        assert bool(found.problems) == ("refused" in caffe), said
        if "refused" not in caffe:
            built += 1
            assert {name: list(shape) for name, shape in found.blobs.items()} == {
                name: shape for name, shape in caffe["blobs"].items() if "_split_" not in name
            }, said
            weights = [list(map(list, row.weights)) for row in found.rows if row.weights]
            assert weights == [*caffe["weights"].values()], said
    assert 200 < built < 500  # neither all sense nor all nonsense
