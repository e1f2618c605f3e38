"""The nets of video description in Caffe against the paper's equations in NumPy: loss and gradients."""

import math

import numpy as np
import pytest

from netspecs import catalogue
from prototxt_gen import caffe_pb2 as pb
from prototxt_gen import to_text
from prototxt_gen.shapes import infer
from tests.numpy_lstm import Weights, forward, numerical_gradient
from tests.rounding import rounding, summands

T, WRITTEN, N, D, SLOT_WORDS, VOCABULARY, EMBEDDING, UNITS = 3, 5, 4, 6, 7, 8, 3, 4
SIZES = dict(
    slots=T,
    frames=T,
    feature_size=D,
    steps=WRITTEN,
    streams=N,
    slot_words=SLOT_WORDS,
    vocabulary=VOCABULARY,
    embedding=EMBEDDING,
    units=UNITS,
)
CASES = {
    "encoder-decoder-max": {},
    "encoder-decoder-frames": {},
    "decoder-prob": {},
    "decoder-prob beside": dict(semantics="beside"),
}


def small(case):
    """(variant, its settings at small sizes)."""
    variant = catalogue.get(f"video/{case.split()[0]}")
    return variant, {name: value for name, value in SIZES.items() if name in variant.table} | CASES[case]


def training_net(case):
    """The training net with inputs in place of its data layers."""
    variant, settings = small(case)
    net, shapes = variant.files(**settings)["train_test"], variant.input_shapes(**settings)["train"]
    made = pb.NetParameter(name=net.name)
    for blob, shape in shapes.items():
        layer = made.layer.add(name=blob, type="Input", top=[blob])
        layer.input_param.shape.add(dim=shape)
    made.layer.extend(
        layer
        for layer in net.layer
        if layer.type != "HDF5Data" and not (layer.include and layer.include[0].phase == pb.TEST)
    )
    return made


def drawn(case):
    """Inputs as prepared data has them, sentences of several lengths, and weights large enough to bend the gates."""
    rng = np.random.default_rng(1701)
    lengths = [WRITTEN + 2, 3, 1, 2]  # the first is cut
    words = rng.integers(1, VOCABULARY, (WRITTEN + 2, N))
    given = {
        "cont_sentence": np.zeros((WRITTEN, N)),
        "input_sentence": np.full((WRITTEN, N), -1.0),
        "target_sentence": np.full((WRITTEN, N), -1.0),
    }
    for n, length in enumerate(lengths):
        for t in range(min(length + 1, WRITTEN)):
            given["cont_sentence"][t, n] = t > 0
            given["input_sentence"][t, n] = words[t - 1, n] if t else 0
            given["target_sentence"][t, n] = words[t, n] if t < length else 0
    if "encoder" in case:
        read = {
            "cont_sentence": np.ones((T, N)),
            "input_sentence": np.zeros((T, N)),
            "target_sentence": np.full((T, N), -1.0),
        }
        read["cont_sentence"][0] = 0
        given["cont_sentence"][0] = 1
        given = {blob: np.concatenate([read[blob], rows]) for blob, rows in given.items()}
        if "max" in case:
            given["input_slots"] = np.concatenate([rng.integers(0, SLOT_WORDS, (T, N)), np.zeros((WRITTEN, N))])
        else:
            given["cont_sentence"][1, 0] = 0  # as where a video has fewer frames than T
            given["frames"] = rng.normal(size=(T, N, D))
    else:
        given["semantics"] = rng.dirichlet(np.ones(SLOT_WORDS), N)
    net = training_net(case)
    for row in infer(net, "TRAIN").rows:
        given |= {f"{row.layer.name}:{k}": rng.uniform(-1, 1, shape) for k, shape in enumerate(row.weights or [])}
    return net, {name: np.asarray(array).astype(np.float32).astype(float) for name, array in given.items()}


def loss(case, given):
    """The paper's equations: embed, two LSTMs, softmax; the mean over words of -log p, times its weight of 20."""
    words = np.maximum(given["input_sentence"], 0).astype(int)  # what pads a sentence counts for nothing
    static = None
    if "encoder" in case:
        read = (
            given["slot-embedding:0"][given["input_slots"][:T].astype(int)]
            if "max" in case
            else given["frames"] @ given["frame-embedding:0"].T
        )
        x = np.concatenate([read, given["embedding:0"][words[T:]]])
    else:
        x = given["embedding:0"][words]
        if "beside" in case:
            x = np.concatenate([x, np.broadcast_to(given["semantics"], (WRITTEN, N, SLOT_WORDS))], 2)
        else:
            static = given["semantics"]
    names = ["x", "b", "static", "h"] if static is not None else ["x", "b", "h"]
    first = Weights(**{name: given[f"lstm1:{k}"] for k, name in enumerate(names)})
    second = Weights(*(given[f"lstm2:{k}"] for k in range(3)))
    hidden = forward(forward(x, given["cont_sentence"], first, static), given["cont_sentence"], second)
    scores = hidden @ given["predict:0"].T + given["predict:1"]
    log_p = scores - np.log(np.exp(scores).sum(2, keepdims=True))
    steps, streams = np.nonzero(given["target_sentence"] >= 0)
    return -20 * log_p[steps, streams, given["target_sentence"][steps, streams].astype(int)].mean()


@pytest.fixture
def run(in_caffe, tmp_path):
    """`run(net, given)` -> Caffe's loss, as "loss", and gradients."""

    def of(net, given):
        (tmp_path / "net.prototxt").write_text(to_text(net))
        np.savez(tmp_path / "in.npz", **given)
        in_caffe("gradients", tmp_path / "net.prototxt", tmp_path / "in.npz", tmp_path / "out.npz")
        found = dict(np.load(tmp_path / "out.npz"))
        return {"loss": 20 * float(found.pop("cross_entropy_loss"))} | {
            name: array for name, array in found.items() if ":" in name
        }

    return of


@pytest.mark.engine
@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_are_the_paper_s(case, run):
    net, given = drawn(case)
    found = run(net, given)
    products = summands(net, phase="TRAIN")
    assert found["loss"] == pytest.approx(loss(case, given), abs=rounding(products, 20))  # its weight
    weights = [name for name in given if ":" in name]
    assert set(weights) == found.keys() - {"loss"}
    for name in weights:
        due = numerical_gradient(lambda: loss(case, given), given[name])
        assert abs(due).max() > 1e-3, f"{name} is not put to the test"
        assert abs(found[name] - due).max() <= rounding(2 * products, abs(due).max()), name


@pytest.mark.engine
@pytest.mark.parametrize("case", ["encoder-decoder-max", "encoder-decoder-frames"])
def test_dummies_and_ignored_targets_count_for_nothing(case, run):
    """Dummy words before the sentence, dummy slots after the slots, and what stands behind a sentence's end."""
    net, given = drawn(case)
    before = run(net, given)
    rng = np.random.default_rng(7)
    changed = {name: array.copy() for name, array in given.items()}
    changed["input_sentence"][:T] = rng.integers(1, VOCABULARY, (T, N))
    if "input_slots" in given:
        changed["input_slots"][T:] = rng.integers(0, SLOT_WORDS, (WRITTEN, N))
    behind = given["target_sentence"] == -1
    behind[:T] = False
    assert behind.any()
    changed["input_sentence"][behind] = rng.integers(0, VOCABULARY, behind.sum())
    after = run(net, changed)
    assert before.keys() == after.keys()
    for name, array in before.items():  # to the bit: the same sums, of which some terms are 0 times something
        np.testing.assert_array_equal(after[name], array, err_msg=name)

    counted = {name: array.copy() for name, array in given.items()}
    counted["target_sentence"][0] = 1  # a target that is not ignored does count
    assert not math.isclose(run(net, counted)["loss"], before["loss"], rel_tol=1e-4)


@pytest.mark.engine
def test_rows_of_zeros_before_the_frames_count_for_nothing(run):
    """A video of fewer frames: their markers are 0 up to the first frame, so that its state is fresh."""
    net, given = drawn("encoder-decoder-frames")
    given["cont_sentence"][:T] = np.arange(T)[:, None] > 1  # one row of padding, then a first frame
    before = run(net, given)
    given["frames"][0] = 5
    assert run(net, given)["loss"] == before["loss"]
