"""The layers of ours that an engine computes with on a CPU: against numpy in double precision, and against Caffe's own,
which `engine: CAFFE` gives, on one thread, two and three."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from lrcn import engine
from tests.rounding import rounding

pytestmark = pytest.mark.engine

THREADS = (1, 2, 3)


# ---- what they compute, by numpy -----------------------------------------------------------------------------------


def convolution(x, top_diff, weights, bias, stride=(1, 1), pad=(0, 0), dilation=(1, 1), group=1):
    """The output, and the gradients of the input, the weights and the bias."""
    (h, w), (dh, dw), (sh, sw) = weights.shape[2:], dilation, stride
    padded = np.pad(x, ((0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2))
    windows = sliding_window_view(padded, ((h - 1) * dh + 1, (w - 1) * dw + 1), (2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
    out, weights_diff, padded_diff = [], [], np.zeros_like(padded)
    lines, places = windows.shape[2:4]
    for number, (own, own_diff) in enumerate(zip(np.split(weights, group), np.split(top_diff, group, 1))):
        channels = slice(number * own.shape[1], (number + 1) * own.shape[1])
        out.append(np.einsum("nchwij,ocij->nohw", windows[:, channels], own, optimize=True))
        weights_diff.append(np.einsum("nchwij,nohw->ocij", windows[:, channels], own_diff, optimize=True))
        for i in range(h):
            for j in range(w):
                met = np.s_[:, channels, i * dh : i * dh + lines * sh : sh, j * dw : j * dw + places * sw : sw]
                padded_diff[met] += np.einsum("nohw,oc->nchw", own_diff, own[:, :, i, j], optimize=True)
    x_diff = padded_diff[:, :, pad[0] : pad[0] + x.shape[2], pad[1] : pad[1] + x.shape[3]]
    out = np.concatenate(out, 1) + bias[:, None, None]
    return out, x_diff, np.concatenate(weights_diff), top_diff.sum((0, 2, 3))


def pooling(x, top_diff, kernel, stride=(1, 1), pad=(0, 0)):
    """The maxima, the first of equal ones, and the gradient of the input."""
    (h, w), lines, places = kernel, *top_diff.shape[2:]
    below = max((lines - 1) * stride[0] + h - pad[0] - x.shape[2], 0)
    right = max((places - 1) * stride[1] + w - pad[1] - x.shape[3], 0)
    padded = np.pad(x, ((0, 0), (0, 0), (pad[0], below), (pad[1], right)), constant_values=-np.inf)
    windows = sliding_window_view(padded, kernel, (2, 3))[:, :, :: stride[0], :: stride[1]][:, :, :lines, :places]
    flat = windows.reshape(*windows.shape[:4], -1)
    first = flat.argmax(-1)
    n, c, y, z = np.indices(first.shape)
    diff = np.zeros_like(padded)
    np.add.at(diff, (n, c, y * stride[0] + first // w, z * stride[1] + first % w), top_diff)
    return flat.max(-1), diff[:, :, pad[0] : pad[0] + x.shape[2], pad[1] : pad[1] + x.shape[3]]


def lrn(x, top_diff, size, alpha, beta, k=1.0):
    def over_channels(values):
        padded = np.pad(values, ((0, 0), (size // 2,) * 2, (0, 0), (0, 0)))
        return sliding_window_view(padded, size, 1).sum(-1)

    scale = k + alpha / size * over_channels(x * x)
    out = x * scale**-beta
    x_diff = top_diff * scale**-beta - 2 * alpha * beta / size * x * over_channels(top_diff * out / scale)
    return out, x_diff


# ---- what is tried -------------------------------------------------------------------------------------------------


def draw(*shape, seed=0):
    return np.random.default_rng([17, seed, *shape]).normal(size=shape).astype(np.float32)


def prototxt(kind, parameters, shape, tops=1, layer=""):
    """Two layers of a kind beside one another, ours and Caffe's, on inputs of their own."""
    text = "" if layer else "force_backward: true\n"
    dims = " ".join(f"dim: {size}" for size in shape)
    field = {"Convolution": "convolution_param", "Pooling": "pooling_param", "LRN": "lrn_param"}[kind]
    for name, own in ("ours", ""), ("caffes", "engine: CAFFE"):
        links = ""
        for number in range(tops):
            text += f'layer {{ name: "{name}_x{number}" type: "Input" top: "{name}_x{number}" '
            text += f"input_param {{ shape {{ {dims} }} }} }}\n"
            links += f'bottom: "{name}_x{number}" top: "{name}{number}" '
        text += f'layer {{ name: "{name}" type: "{kind}" {links} {layer} {field} {{ {parameters} {own} }} }}\n'
    return text


CONVOLUTIONS = {
    # name: shape of the input, outputs, kernel, and more
    "as conv1": ((3, 3, 67, 71), 16, (7, 7), dict(stride=(2, 2))),
    "as conv2": ((3, 24, 31, 31), 32, (5, 5), dict(stride=(2, 2), group=2)),
    "as conv3": ((5, 48, 13, 13), 64, (3, 3), dict(pad=(1, 1))),
    "as conv4": ((2, 64, 13, 11), 32, (3, 3), dict(pad=(1, 1), group=2)),
    "one image": ((1, 32, 13, 13), 48, (3, 3), dict(pad=(1, 1))),
    "one place": ((4, 32, 3, 3), 512, (3, 3), {}),
    "of a point": ((3, 40, 14, 15), 30, (1, 1), dict(group=2)),
    "of a point, by two": ((3, 40, 15, 14), 30, (1, 1), dict(stride=(2, 2))),
    "of a point, padded": ((3, 40, 9, 14), 30, (1, 1), dict(pad=(1, 2))),
    "dilated": ((2, 16, 23, 19), 24, (3, 3), dict(pad=(2, 2), dilation=(2, 2))),
    "dilated by two axes": ((2, 16, 23, 21), 24, (3, 2), dict(pad=(3, 0), dilation=(3, 2), stride=(1, 2))),
    "oblong": ((2, 12, 20, 33), 16, (3, 5), dict(stride=(4, 3), pad=(0, 2))),
    "wide pads": ((2, 12, 9, 8), 16, (3, 3), dict(pad=(4, 5))),
    "wide pads, one wide": ((2, 40, 3, 5), 64, (5, 5), dict(pad=(2, 2))),
    "all channels a group": ((3, 16, 40, 37), 16, (3, 3), dict(pad=(1, 1), group=16)),
    "small": ((2, 3, 5, 4), 4, (3, 3), {}),
    "dilated further than the image": ((3, 32, 5, 4), 24, (3, 3), dict(pad=(9, 9), dilation=(9, 9))),
    "two inputs": ((2, 16, 17, 17), 24, (3, 3), dict(tops=2)),
}
POOLINGS = {
    "as pool1": ((4, 24, 55, 57), (3, 3), (2, 2), (0, 0)),
    "rounded up": ((3, 32, 56, 54), (3, 3), (2, 2), (0, 0)),
    "by one": ((3, 32, 47, 48), (3, 3), (1, 1), (0, 0)),
    "by two": ((3, 32, 48, 50), (2, 2), (2, 2), (0, 0)),
    "padded": ((3, 32, 47, 50), (3, 3), (2, 2), (1, 1)),
    "oblong": ((3, 32, 50, 47), (2, 5), (3, 4), (1, 2)),
    "of a plane": ((40, 40, 13, 13), (13, 13), (1, 1), (0, 0)),
    "gaps": ((4, 32, 49, 46), (2, 2), (3, 3), (0, 0)),
    "small": ((2, 3, 5, 4), (3, 3), (2, 2), (0, 0)),
}
LRNS = {
    "as norm1": ((3, 40, 27, 26), dict(local_size=5, alpha=1e-1, beta=0.75)),
    "of one image": ((1, 96, 27, 27), dict(local_size=5, alpha=1e-1, beta=0.75)),
    "another power": ((2, 31, 27, 27), dict(local_size=3, alpha=0.3, beta=0.6, k=2)),
    "few channels": ((4, 2, 57, 57), dict(local_size=7, alpha=0.3, beta=0.75)),
    "itself": ((4, 16, 27, 27), dict(local_size=1, alpha=0.3, beta=0.75)),
    "small": ((2, 3, 5, 4), dict(local_size=5, alpha=1, beta=0.75)),
}


def passes_of(shape, tops, out_shape):
    """Three: with other numbers the second time, with another batch the third."""
    inputs, gradients = [], []
    for number, images in enumerate((shape[0], shape[0], shape[0] + 1)):
        inputs.append([draw(images, *shape[1:], seed=2 * number + top) for top in range(tops)])
        gradients.append([draw(images, *out_shape, seed=9 + 2 * number + top) for top in range(tops)])
    return inputs, gradients


def for_caffe(net, inputs, gradients, weights=()):
    def named(arrays, mark=""):
        return {f"{own}{mark}{i}": array for own in ("ours", "caffes") for i, array in enumerate(arrays)}

    return {
        "net": net,
        "weights": {"ours": weights, "caffes": weights} if len(weights) else {},
        "passes": [named(each, "_x") for each in inputs],
        "gradients": [named(each) for each in gradients],
    }


def convolution_case(shape, outputs, kernel, settings, layer=""):
    settings = dict(stride=(1, 1), pad=(0, 0), dilation=(1, 1), group=1, tops=1) | settings
    out = [
        (size + 2 * pad - ((k - 1) * dilation + 1)) // stride + 1
        for size, k, stride, pad, dilation in zip(
            shape[2:], kernel, settings["stride"], settings["pad"], settings["dilation"]
        )
    ]
    inputs, gradients = passes_of(shape, settings["tops"], (outputs, *out))
    weights = draw(outputs, shape[1] // settings["group"], *kernel, seed=50), draw(outputs, seed=51)
    parameters = f"num_output: {outputs} group: {settings['group']} kernel_h: {kernel[0]} kernel_w: {kernel[1]} "
    parameters += " ".join(f"{name}_h: {settings[name][0]} {name}_w: {settings[name][1]}" for name in ("stride", "pad"))
    parameters += "".join(f" dilation: {value}" for value in settings["dilation"])
    net = prototxt("Convolution", parameters, shape, settings.pop("tops"), layer=layer)
    return for_caffe(net, inputs, gradients, weights) | {"settings": settings}


def pooled(size, kernel, stride, pad):
    """Caffe's size of the output, rounded up; the last window begins within the image or its left pad."""
    out = -(-(size + 2 * pad - kernel) // stride) + 1
    return out - (pad > 0 and (out - 1) * stride >= size + pad)


def pooling_case(shape, kernel, stride, pad, method="MAX", change=lambda values: values):
    out = [pooled(*axis) for axis in zip(shape[2:], kernel, stride, pad)]
    inputs, gradients = passes_of(shape, 1, (shape[1], *out))
    inputs = [[change(values) for values in each] for each in inputs]
    parameters = f"pool: {method} kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride_h: {stride[0]} "
    parameters += f"stride_w: {stride[1]} pad_h: {pad[0]} pad_w: {pad[1]}"
    return for_caffe(prototxt("Pooling", parameters, shape), inputs, gradients)


def lrn_case(shape, settings, region="ACROSS_CHANNELS"):
    inputs, gradients = passes_of(shape, 1, shape[1:])
    parameters = " ".join(f"{name}: {value}" for name, value in settings.items())
    return for_caffe(prototxt("LRN", f"{parameters} norm_region: {region}", shape), inputs, gradients)


def in_place(case):
    """The layer reads and writes one blob."""
    return case | {
        "net": re.sub(r"(ours|caffes)_x0", r"\g<1>0", case["net"]),
        "passes": [{name.replace("_x", ""): array for name, array in each.items()} for each in case["passes"]],
        "gradients": case["gradients"],
    }


def without_images(case):
    """Nothing comes in the second pass."""
    return case | {
        name: [case[name][0], {blob: array[:0] for blob, array in case[name][1].items()}, case[name][2]]
        for name in ("passes", "gradients")
    }


POOL_SHAPE = POOLINGS["as pool1"]
CASES = {
    **{("convolution", name): convolution_case(*row) for name, row in CONVOLUTIONS.items()},
    **{("pooling", name): pooling_case(*row) for name, row in POOLINGS.items()},
    ("pooling", "of equal values"): pooling_case(*POOL_SHAPE, change=lambda values: np.round(values)),
    ("pooling", "of the least values"): pooling_case(*POOL_SHAPE, change=lambda values: values * 1e-30 - 3e38),
    **{("lrn", name): lrn_case(*row) for name, row in LRNS.items()},
    # All but the filters' middle lies in the pad, so far out that memory there is nobody's.
    ("far", "dilation"): convolution_case((3, 32, 5, 4), 24, (3, 3), dict(pad=(1 << 28,) * 2, dilation=(1 << 28,) * 2)),
    # These are left to Caffe's own.
    ("caffes", "pooling of means"): pooling_case(*POOL_SHAPE, method="AVE"),
    ("caffes", "lrn within a channel"): lrn_case((3, 16, 27, 26), LRNS["as norm1"][1], "WITHIN_CHANNEL"),
    ("caffes", "lrn in place"): in_place(lrn_case(*LRNS["as norm1"])),
    # Caffe's own LRN stops at it.
    ("no images", "convolution"): without_images(convolution_case(*CONVOLUTIONS["as conv3"])),
    ("no images", "pooling"): without_images(pooling_case(*POOLINGS["as pool1"])),
    # What is not learned has no gradient, and neither has the data.
    ("frozen", "weights"): convolution_case(
        *CONVOLUTIONS["as conv3"], layer="loss_weight: 1 param { lr_mult: 0 } param { lr_mult: 1 }"
    ),
    ("frozen", "bias"): convolution_case(
        *CONVOLUTIONS["as conv3"], layer="loss_weight: 1 param { lr_mult: 1 } param { lr_mult: 0 }"
    ),
}


def of(kind):
    return pytest.mark.parametrize("name", [name for of_kind, name in CASES if of_kind == kind])


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Threads -> (kind, name) -> what each pass gave."""
    folder, results = tmp_path_factory.mktemp("layers"), {}
    Path(folder, "in.pickle").write_bytes(pickle.dumps(list(CASES.values())))
    for threads in THREADS:
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("caffe_layers.py"), folder / "in.pickle", folder / "out.pickle"],
            env=engine.find().environment() | {"OPENBLAS_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        results[threads] = dict(zip(CASES, pickle.loads(Path(folder, "out.pickle").read_bytes()), strict=True))
    return results


def close(computed, due, summands, what, largest=None):
    atol = rounding(summands, largest or max(1, abs(due).max()))
    np.testing.assert_allclose(computed, due, rtol=0, atol=atol, err_msg=what)


# ---- that they do --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", THREADS)
@of("convolution")
def test_convolutions(name, threads, computed):
    case, results = CASES["convolution", name], computed[threads]["convolution", name]
    weights, bias = (array.astype(float) for array in case["weights"]["ours"])
    weights_sum, bias_sum = np.zeros_like(weights), np.zeros_like(bias)
    for inputs, gradients, found in zip(case["passes"], case["gradients"], results, strict=True):
        for number in range(len(inputs) // 2):
            x, top_diff = inputs[f"ours_x{number}"].astype(float), gradients[f"ours{number}"].astype(float)
            out, x_diff, weights_diff, bias_diff = convolution(x, top_diff, weights, bias, **case["settings"])
            weights_sum += weights_diff
            bias_sum += bias_diff
            for mark in "ours", "caffes":
                filters = weights[0].size
                close(found[f"{mark}{number}"], out, filters, f"{mark}, forward")
                close(found[f"{mark}_x{number}'"], x_diff, filters * len(weights) / x.shape[1], f"{mark}, backward")
        places = 3 * len(inputs) * top_diff[:, 0].size
        for mark in "ours", "caffes":
            close(found[f"{mark} 0'"], weights_sum, places, f"{mark}, weights", largest=20)
            close(found[f"{mark} 1'"], bias_sum, places, f"{mark}, bias", largest=20)


@pytest.mark.parametrize("threads", THREADS)
@of("pooling")
def test_poolings(name, threads, computed):
    case, results = CASES["pooling", name], computed[threads]["pooling", name]
    row = POOLINGS.get(name, POOL_SHAPE)
    for inputs, gradients, found in zip(case["passes"], case["gradients"], results, strict=True):
        out, x_diff = pooling(inputs["ours_x0"], gradients["ours0"], *row[1:])
        np.testing.assert_array_equal(found["ours0"], out)
        close(found["ours_x0'"], x_diff, np.prod(row[1]), "backward")
        np.testing.assert_array_equal(found["ours0"], found["caffes0"])
        np.testing.assert_array_equal(found["ours_x0'"], found["caffes_x0'"])


@pytest.mark.parametrize("threads", THREADS)
@of("lrn")
def test_lrns(name, threads, computed):
    case, results = CASES["lrn", name], computed[threads]["lrn", name]
    settings = dict(LRNS[name][1])
    size, channels = settings.pop("local_size"), LRNS[name][0][1]
    for inputs, gradients, found in zip(case["passes"], case["gradients"], results, strict=True):
        out, x_diff = lrn(inputs["ours_x0"].astype(float), gradients["ours0"].astype(float), size, **settings)
        for mark in "ours", "caffes":  # sums slide over the channels: two more summands for each
            close(found[f"{mark}0"], out, size + 2 * channels, f"{mark}, forward")
            close(found[f"{mark}_x0'"], x_diff, size + 2 * channels, f"{mark}, backward")


@of("lrn")
def test_an_lrn_is_caffes_but_for_the_last_bits(name, computed):
    for found in computed[2]["lrn", name]:
        np.testing.assert_allclose(found["ours0"], found["caffes0"], rtol=8 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("kind, name", CASES)
def test_the_number_of_threads_changes_no_bit(kind, name, computed):
    for threads in THREADS[1:]:
        for one, several in zip(computed[1][kind, name], computed[threads][kind, name], strict=True):
            for blob in one:
                if blob.startswith("ours"):
                    np.testing.assert_array_equal(one[blob], several[blob], err_msg=f"{blob} on {threads} threads")


@of("caffes")
def test_what_is_left_to_caffe(name, computed):
    for found in computed[2]["caffes", name]:
        ours = [blob for blob in found if blob.startswith("ours")]
        assert {"ours0", "ours0'"} <= set(ours)
        for blob in ours:
            assert found[blob].any()
            np.testing.assert_array_equal(found[blob], found[blob.replace("ours", "caffes")])


@of("far")
def test_what_is_all_pad_is_not_read(name, computed):
    weights = CASES["far", name]["weights"]["ours"][0]
    for found in computed[2]["far", name]:
        close(found["ours0"], found["caffes0"], 2 * weights[0].size, "forward")
        close(found["ours_x0'"], found["caffes_x0'"], 2 * weights[:, 0].size, "backward")


@of("no images")
def test_a_batch_may_be_empty(name, computed):
    for images, found in zip((True, False, True), computed[2]["no images", name], strict=True):
        assert found["ours0"].any() == found["ours_x0'"].any() == images
        assert len(found["ours0"]) == len(found["caffes0"])


@of("frozen")
def test_what_is_not_learned_has_no_gradient(name, computed):
    learned = {"weights": "ours 1'", "bias": "ours 0'"}[name]
    for found in computed[2]["frozen", name]:
        for blob in "ours 0'", "ours 1'", "ours_x0'":
            assert found[blob].any() == (blob == learned), blob


def test_a_pass_without_memory_leaves_the_next_right(tmp_path):
    sides = {"small": (200, 8), "large": (1200, 1200)}  # of the images but for their 100 places, and of the filters
    for name, (side, kernel) in sides.items():
        text = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 1 dim: {side} '
        text += f'dim: {side + 99} }} }} }}\nlayer {{ name: "y" type: "Convolution" bottom: "x" top: "y" '
        text += f"convolution_param {{ num_output: 2 kernel_size: {kernel} }} }}\n"
        (tmp_path / f"{name}.prototxt").write_text(text)
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("caffe_without_memory.py")],
        cwd=tmp_path,
        env=engine.find().environment() | {"OPENBLAS_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, f"no memory\n{1200 * 1200} {1200 * 1200}\n"), done.stderr[-3000:]
