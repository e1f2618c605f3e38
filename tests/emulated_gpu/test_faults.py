"""The emulated GPU itself: it runs kernels as a GPU would, and finds what a GPU might forgive."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if not shutil.which("c++"):
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("faults")
    subprocess.run([sys.executable, HERE / "translate.py", HERE / "faults.cu", folder / "faults.cpp"], check=True)
    command = ["c++", "-std=c++14", "-O1", f"-I{HERE / 'include'}", folder / "faults.cpp", HERE / "device.cpp"]
    subprocess.run([*command, "-o", folder / "faults"], check=True)
    return folder / "faults"


def run(program, what):
    return subprocess.run([program, what], capture_output=True, text=True)


def test_kernels_compute(program):
    """With grids, structs of pointers, shuffles, barriers and shared memory."""
    done = run(program, "fine")
    assert (done.returncode, done.stdout) == (0, f"{2 * sum(range(128))} {2 * sum(range(128, 256))}\n"), done.stderr


@pytest.mark.parametrize(
    "what, said",
    [
        ("fresh memory", "nan"),
        ("no threads", "invalid configuration argument"),
        ("wrong side", "invalid argument"),
        ("too much", "out of memory"),
    ],
)
def test_what_a_gpu_says_is_said(program, what, said):
    done = run(program, what)
    assert done.returncode == 0 and done.stdout.strip().lstrip("-") == said


@pytest.mark.parametrize(
    "what, said",
    [
        ("host reads", "the host touches, without having been given it, device memory: byte 4 of 1024"),
        ("kernel on host memory", "Add<float> is given 0x"),
        ("past the end", "Add<float> reaches past the end of device memory: byte 1008 of 1008"),
        ("after free", "which is no device memory"),
        ("copy past the end", "cudaMemcpy is given 1024 bytes from byte 0 of device memory that has 1008"),
        ("diverging", "Diverge: not all threads of block 0 come to a barrier"),
    ],
)
def test_what_is_wrong_ends_the_process(program, what, said):
    done = run(program, what)
    assert done.returncode < 0 and said in done.stderr
