"""How convolutions come by their algorithms: all that an engine has are tried out, one is kept and taken again."""

import re
from collections import defaultdict

import numpy as np
import pytest

from prototxt_gen import NetSpec
from prototxt_gen import layers as L
from tests.gpu.devices import Case
from tests.gpu.test_layers import FILLED, draw
from tests.rounding import rounding

pytestmark = pytest.mark.engine

CHOSEN = re.compile(
    r"convolution ((?:forward|backward data|backward filter) .*?): ([\w ]+) \(tried: (.*)\)$", re.MULTILINE
)
TRIED = re.compile(r"([a-z][\w ]*?) (?:[\d.e+-]+|inf) ms")


def net(*shape, **settings):
    n = NetSpec("convolution")
    n.data = L.Input(shape=list(shape))
    n.out = L.Convolution(n.data, **dict(num_output=8, kernel_size=3, pad=1) | settings, **FILLED)
    kernel = shape[1] * settings.get("kernel_size", 3) ** 2
    summands = max(2 * kernel, shape[0] * shape[2] * shape[3])
    return Case(
        "convolution", n.to_proto(), [{"data": draw(*shape)}], summands, backward=("out",), differentiable=("data",)
    )


CASES = [net(3, 4, 8, 9), net(3, 4, 8, 9, group=2), net(2, 3, 13, 12, kernel_size=5, stride=2)]


def compare(found, due, case):
    for name in due:
        atol = rounding(case.summands, max(1, abs(due[name]).max()))
        np.testing.assert_allclose(found[name], due[name], rtol=0, atol=atol, err_msg=name)


def choices(file):
    """What is kept, by what it is kept for: "card and so on: forward 3x4x8x9 by ..." """
    return dict(line.rsplit(" = ", 1) for line in file.read_text(errors="replace").splitlines())


@pytest.mark.parametrize("fast", ["0", "1"], ids=["deterministic", "fast"])
def test_every_algorithm_gives_what_im2col_gives(device, fast, tmp_path):
    """Each that was tried out is chosen in turn, by the file in which choices are kept."""
    kept = tmp_path / "algorithms.txt"
    environment = {"LRCN_ALGORITHMS": str(kept), "LRCN_FAST": fast}
    on_cpu, _ = device.passes("cpu", CASES, tmp_path / "cpu")
    _, log = device.passes("gpu", CASES, tmp_path / "first", **environment)
    tried = {what: TRIED.findall(names) for what, _, names in CHOSEN.findall(log)}
    assert len(tried) == 3 * len(CASES) and all("batched gemm" in names for names in tried.values())
    if device.is_emulated:
        usual = tried["forward 3x4x8x9 by 8x4x3x3 pad 1x1 stride 1x1 dilation 1x1 group 1"]
        assert len(usual) == 8  # all of cuDNN's but "direct", and our own
        assert any("algorithm 0" in name for names in tried.values() for name in names) == (fast == "1")
    assert len(choices(kept)) == len(tried)
    by_number = defaultdict(dict)
    for key in choices(kept):
        what = key.split(": ", 1)[1]
        for number, name in enumerate(tried[what]):
            by_number[number][key] = name
    for number, taken in by_number.items():
        kept.write_text("".join(f"{key} = {name}\n" for key, name in (choices(kept) | taken).items()))
        on_gpu, log = device.passes("gpu", CASES, tmp_path / str(number), **environment)
        assert not CHOSEN.search(log), "what is kept is not tried out again"
        for case, due, found in zip(CASES, on_cpu, on_gpu, strict=True):
            compare(found[0], due[0], case)


def test_what_is_kept_is_taken_again_by_the_next_process(device, tmp_path):
    kept = tmp_path / "algorithms.txt"
    first, log = device.passes("gpu", CASES, tmp_path / "first", LRCN_ALGORITHMS=str(kept))
    assert len(CHOSEN.findall(log)) == len(choices(kept)) == 9
    before = kept.read_bytes()
    again, log = device.passes("gpu", CASES, tmp_path / "again", LRCN_ALGORITHMS=str(kept))
    assert not CHOSEN.search(log) and kept.read_bytes() == before
    for one, other in zip(first, again, strict=True):
        for name in one[0]:
            np.testing.assert_array_equal(one[0][name], other[0][name], err_msg=name)


def test_what_cannot_be_kept_where_a_run_is_only_read_is_chosen_all_the_same(device, tmp_path):
    """As of a run that a container has read-only. /sys takes new files from nobody, root neither."""
    [found], log = device.passes("gpu", CASES[:1], tmp_path, LRCN_ALGORITHMS="/sys/algorithms.txt")
    assert len(CHOSEN.findall(log)) == 3 and found


@pytest.mark.parametrize("change", ["damaged", "another card's", "another precision's", "of tomorrow"])
def test_what_is_kept_for_something_else_is_not_taken(device, change, tmp_path):
    """Another card's choices stay for that card; what cannot be read, or is not known, is chosen anew."""
    kept = tmp_path / "algorithms.txt"
    on_cpu, _ = device.passes("cpu", CASES[:1], tmp_path / "cpu")
    device.passes("gpu", CASES[:1], tmp_path / "first", LRCN_ALGORITHMS=str(kept))
    right = choices(kept)
    if change == "damaged":
        kept.write_bytes(b"\x00\xff = = \n=\n\n" + kept.read_bytes()[:40])
    elif change == "another card's":
        kept.write_text("".join(f"Another {key} = cudnn fft\n" for key in right))
    elif change == "another precision's":
        kept.write_text("".join(f"{key.replace('fp32', 'tf32')} = cudnn fft\n" for key in right))
    else:
        kept.write_text("".join(f"{key} = cudnn quantum transform\n" for key in right))
    foreign = choices(kept) if "another" in change else {}
    [found], log = device.passes("gpu", CASES[:1], tmp_path / "again", LRCN_ALGORITHMS=str(kept))
    assert len(CHOSEN.findall(log)) == 3
    assert right.keys() | foreign.items() <= choices(kept).keys() | choices(kept).items()
    compare(found[0], on_cpu[0][0], CASES[0])


def test_engine_caffe_is_caffe_s_own(device, tmp_path):
    """Nothing is tried out; no library's convolution is called."""
    case = net(3, 4, 8, 9, group=2, engine="CAFFE")
    [due], _ = device.passes("cpu", [case], tmp_path / "cpu")
    trace = tmp_path / "trace"
    [found], log = device.passes("gpu", [case], tmp_path / "gpu", LRCN_EMULATED_TRACE=str(trace))
    compare(found[0], due[0], case)
    assert not CHOSEN.search(log)
    if device.is_emulated:
        assert "cublasSgemm" in trace.read_text() and "cudnnConvolution" not in trace.read_text()


def test_the_workspace_has_a_bound(device, tmp_path):
    """1 MiB: less than an fft of these sizes takes, or all columns at once."""
    case = net(4, 16, 32, 32, num_output=16)
    [due], _ = device.passes("cpu", [case], tmp_path / "cpu")
    names = {}
    for bound in "1024", "1":
        trace = tmp_path / f"trace{bound}"
        [found], log = device.passes(
            "gpu", [case], tmp_path / bound, LRCN_WORKSPACE=bound, LRCN_EMULATED_TRACE=str(trace)
        )
        compare(found[0], due[0], case)
        names[bound] = {name for _, _, tried in CHOSEN.findall(log) for name in TRIED.findall(tried)}
        if device.is_emulated:
            sizes = [int(size) for size in re.findall(r"workspace=(\d+)", trace.read_text())]
            assert sizes and (max(sizes) > 1 << 20) == (bound == "1024")
    assert names["1"] <= names["1024"]
    if device.is_emulated:
        assert names["1024"] - names["1"] == {"cudnn fft", "cudnn tiled fft"}


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_a_precision_is_what_the_libraries_are_told(emulated, precision, tmp_path):
    """cuDNN's default lets it round to TF32, so fp32 asks for plain products; cuBLAS's default does not. Where TF32 is
    allowed, cuDNN's algorithms are tried out with each kind of math that they are listed with, but not with that which
    rounds to half precision."""
    trace = tmp_path / "trace"
    n = NetSpec("product")
    n.data = L.Input(shape=[4, 6])
    n.out = L.InnerProduct(n.data, num_output=3, **FILLED)
    product = Case("product", n.to_proto(), [{"data": draw(4, 6)}], 6, backward=("out",), differentiable=("data",))
    environment = dict(LRCN_PRECISION=precision, LRCN_EMULATED_TRACE=str(trace))
    emulated.passes("gpu", [product, *CASES[:1]], tmp_path, **environment)
    told = {
        name: set(re.findall(rf"{name}\w* .*?math=(\d)", trace.read_text())) for name in ("cublasSgemm", "cudnnConv")
    }
    fma, tf32, usual = "3", "3", "0"  # CUDNN_FMA_MATH, CUBLAS_TF32_TENSOR_OP_MATH, and the default of both
    tensor_cores = "1"  # CUDNN_TENSOR_OP_MATH; 2, CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION, is that of half precision
    assert told == {
        "cublasSgemm": {tf32 if precision == "tf32" else usual},
        "cudnnConv": {fma} if precision == "fp32" else {usual, tensor_cores, fma},
    }
