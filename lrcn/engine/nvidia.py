"""NVIDIA's CUDA toolkit, cuDNN and NCCL out of its Python wheels: fetched into the cache, and laid out as a toolkit.

    toolkits/cuda-13-x86_64-HASH/      bin/nvcc, nvvm/, include/, lib/ (lib64 is the same), licenses/, .whole/WHEEL

A wheel is there whole if and only if .whole/ has its name: a call that was cut off fetches again what it was at, and no
more. Engines find their libraries in lib/ by an absolute rpath, and share them; when an engine is built, it needs
nothing else of it.

CUDA 13 alone is there whole: the compiler's wheel for CUDA 12 (nvidia-cuda-nvcc-cu12, 12.0 to 12.9) holds ptxas and the
headers, and neither nvcc nor cudafe++; that for 11 no more. For those the machine's own toolkit is taken, and of the
wheels cuDNN and NCCL, where it has none.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import hashlib
import os
import platform
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lrcn.engine.engines import EngineError, Progress, cache, lock
from lrcn.engine.sources import pip_download

TOOLKIT = "13"  # the CUDA of `toolkit`


class Wheel(NamedTuple):
    part: str  # "toolkit", "cudnn" or "nccl"
    cuda: str  # the major version that it is for
    name: str
    version: str
    machine: str
    size: int  # bytes
    sha256: str


# 13.0 of all 13.x, because it runs with the most drivers (580 and newer). cuDNN asks libnvrtc to compile some of its
# kernels. Its 9.10 is the last for CUDA 11, and of those for CUDA 12 the last that knows Maxwell to Volta.
_PINS = """
toolkit 13 cuda-nvcc    13.0.88   x86_64   37384532 56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03
toolkit 13 cuda-nvcc    13.0.88   aarch64  32455430 c7ff28f86a24effdc6c034fa15230c549a273e4771b10a7fec14996f8cf3307f
toolkit 13 nvvm         13.0.88   x86_64   61601415 c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0
toolkit 13 nvvm         13.0.88   aarch64  59234185 c4376a291d72d22a315d9d2f69bdae8f8cd83a627f75bad395cee49a0fe65dc1
toolkit 13 cuda-crt     13.0.88   x86_64     134086 2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4
toolkit 13 cuda-crt     13.0.88   aarch64    134086 ee2ea2a97073e02ee62bb27841f437332be2c248e3eac013df07997ada39c003
toolkit 13 cuda-cccl    13.0.85   x86_64    3120526 e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649
toolkit 13 cuda-cccl    13.0.85   aarch64   3120528 6f0203e29fed809ee2b7fe9b1344df66ecab990c37d6a2e0e189b26d6c97ed7c
toolkit 13 cuda-runtime 13.0.96   x86_64    2243632 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
toolkit 13 cuda-runtime 13.0.96   aarch64   2261060 ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55
toolkit 13 cublas       13.1.0.3  x86_64  423133236 ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171
toolkit 13 cublas       13.1.0.3  aarch64 542851226 c86fc7f7ae36d7528288c5d88098edcb7b02c633d262e7ddbb86b0ad91be5df2
toolkit 13 curand       10.4.0.35 x86_64   59544258 1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc
toolkit 13 curand       10.4.0.35 aarch64  61962106 133df5a7509c3e292aaa2b477afd0194f06ce4ea24d714d616ff36439cee349a
cudnn   13 cudnn-cu13   9.19.0.56 x86_64  366066321 d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf
cudnn   13 cudnn-cu13   9.19.0.56 aarch64 433781201 6ed29ffaee1176c612daf442e4dd6cfeb6a0caa43ddcbeb59da94953030b1be4
cudnn   13 cuda-nvrtc   13.0.88   x86_64   90215200 ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575
cudnn   13 cuda-nvrtc   13.0.88   aarch64  43015449 d27f20a0ca67a4bb34268a5e951033496c5b74870b868bacd046b1b8e0c3267b
nccl    13 nccl-cu13    2.28.9    x86_64  196493177 e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42
nccl    13 nccl-cu13    2.28.9    aarch64 196561677 01c873ba1626b54caa12272ed228dc5b2781545e0ae8ba3f432a8ef1c6d78643
cudnn   12 cudnn-cu12   9.10.2.21 x86_64  706758467 949452be657fa16687d0930933f032835951ef0892b37d2d53824d1a84dc97a8
cudnn   12 cudnn-cu12   9.10.2.21 aarch64 705026878 c9132cc3f8958447b4910a1720036d9eff5928cc3179b0a51fb6d167c6cc87d8
nccl    12 nccl-cu12    2.27.7    x86_64  322546339 de5ba5562f08029a19cb1cd659404b18411ed0d6c90ac5f52f30bf99ad5809aa
nccl    12 nccl-cu12    2.27.7    aarch64 322602329 4617839f3bb730c3845bf9adf92dbe0e009bc53ca5022ed941f2e23fb76e6f17
cudnn   11 cudnn-cu11   9.10.2.21 x86_64  397092812 e69235a0035588490c971432b5413f85791728089ec97db55aed72f90d7890f2
nccl    11 nccl-cu11    2.21.5    x86_64  147811630 49d8350629c7888701d1fd200934942671cb5c728f49acc5a0b3a768820bed29
"""
WHEELS = [
    Wheel(part, cuda, f"nvidia-{name}", version, machine, int(size), sha256)
    for part, cuda, name, version, machine, size, sha256 in map(str.split, _PINS.strip().splitlines())
]
LABELS = {"toolkit": "CUDA", "cudnn": "cuDNN", "nccl": "NCCL"}
LICENCES = {"toolkit": "the CUDA Toolkit EULA", "cudnn": "the cuDNN SLA", "nccl": "NCCL's licence"}

# What neither the compilers nor Caffe open: cuDNN's recurrent and attention layers, which its dispatcher loads when one
# is first called; NVRTC a second time; a BLAS for the host.
NOT_USED = ("libcudnn_adv.so*", "*.alt.so*", "libnvblas.so*")


def wheels(parts: Iterable[str], cuda: str = TOOLKIT) -> list[Wheel]:
    """The wheels of these parts ("toolkit", "cudnn", "nccl") for a major version of CUDA and this processor.

    Raises EngineError where NVIDIA has none.
    """
    machine, chosen = platform.machine(), []
    for part in parts:
        of_part = [wheel for wheel in WHEELS if (wheel.part, wheel.cuda, wheel.machine) == (part, cuda, machine)]
        if not of_part:
            mend = {"toolkit": "install it, and build with --cuda system", "cudnn": "build with --no-cudnn"}
            raise EngineError(
                f"NVIDIA has no wheels of {LABELS[part]} for CUDA {cuda} and {machine}: "
                + mend.get(part, "build without --nccl")
            )
        chosen += of_part
    return chosen


def folder(cuda: str = TOOLKIT) -> Path:
    """Where the wheels for a major version of CUDA lie; another one where lrcn names others."""
    machine = platform.machine()
    pinned = [wheel for wheel in WHEELS if (wheel.cuda, wheel.machine) == (cuda, machine)]
    digest = hashlib.sha256(repr(pinned).encode()).hexdigest()[:12]
    return cache() / "toolkits" / f"cuda-{cuda}-{machine}-{digest}"


def fetch(parts: Iterable[str], report: Progress, cuda: str = TOOLKIT) -> Path:
    """The folder in which these parts lie, whole; what is not there is fetched with pip, checked and unpacked.

    Raises EngineError: no such wheels, no index, a wrong hash, a full disk.
    """
    wanted, root = wheels(parts, cuda), folder(cuda)
    with lock(root.with_name(root.name + ".lock"), report):
        lacking = [wheel for wheel in wanted if not _mark(root, wheel).exists()]
        if lacking:
            report(_announcement(lacking, root), 0, 0)
            try:
                _fetch_all(lacking, root, report)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise _no_space(wanted) from None
                raise
    return root


def _announcement(lacking: list[Wheel], root: Path) -> str:
    first = {wheel.part: wheel for wheel in reversed(lacking)}  # the wheel that names the part's version
    names = _listed([f"{LABELS[part]} {first[part].version}" for part in LABELS if part in first])
    licences = _listed([LICENCES[part] for part in LICENCES if part in first])
    return (
        f"fetching NVIDIA's {names} as wheels: {sum(wheel.size for wheel in lacking) / 1e9:.1f} GB, into {root}, under "
        f"{licences} (their texts: {root / 'licenses'})"
    )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _fetch_all(lacking: list[Wheel], root: Path, report: Progress) -> None:
    for left in root.parent.glob(root.name + ".*/"):  # by a call that was killed
        shutil.rmtree(left, ignore_errors=True)
    total, done = 1 + sum(wheel.size for wheel in lacking) // 1_000_000, 0
    for wheel in lacking:
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=root.name + ".", ignore_cleanup_errors=True) as work:

            def watch(before: int = done, work: str = work) -> None:
                report("fetching NVIDIA's wheels (MB)", min(total, before // 1_000_000 + _megabytes(Path(work))), total)

            _unpack(_download(wheel, Path(work), watch), root, wheel.name)
        done += wheel.size
        _mark(root, wheel).parent.mkdir(exist_ok=True)
        _mark(root, wheel).touch()
    report("fetching NVIDIA's wheels (MB)", total, total)


def _download(wheel: Wheel, work: Path, watch) -> Path:
    """The wheel in `work`, checked. watch: called now and then."""
    pin, options = (wheel.name, wheel.version, wheel.sha256), ["--only-binary", ":all:"]
    try:
        return pip_download(pin, options, work, None, watch, TMPDIR=str(work))  # for /tmp may be small
    except EngineError as error:
        raise EngineError(f"{error}; `--cuda system` takes the machine's own toolkit") from None


def _unpack(archive: Path, root: Path, name: str) -> None:
    """Lays a wheel's nvidia/ANY/{bin,include,lib,nvvm} out in `root`, and its licence.

    The wheels' libraries have versioned names alone, and linkers want others; CMake and nvcc look in lib64.
    """
    with zipfile.ZipFile(archive) as wheel:
        for member in wheel.infolist():
            parts = Path(member.filename).parts
            if parts[0].endswith(".dist-info") and parts[-1] == "License.txt":
                path = root / "licenses" / f"{name}.txt"
            elif len(parts) > 3 and parts[0] == "nvidia" and parts[2] in ("bin", "include", "lib", "nvvm"):
                path = root.joinpath(*parts[2:])
            else:
                continue
            if member.is_dir() or ".." in parts or any(fnmatch.fnmatch(path.name, each) for each in NOT_USED):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with wheel.open(member) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            if member.external_attr >> 16 & 0o100:
                mode = path.stat().st_mode
                path.chmod(mode | (mode & 0o444) >> 2)  # for those who may read it, as the umask has it
            if parts[-2] == "lib" and ".so." in path.name:
                _link(path.with_name(path.name.split(".so.")[0] + ".so"), path.name)
    _link(root / "lib64", "lib")


def _link(path: Path, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.symlink_to(target)


def _mark(root: Path, wheel: Wheel) -> Path:
    return root / ".whole" / f"{wheel.name}-{wheel.version}"


def _megabytes(work: Path) -> int:
    """What lies in a folder in which pip is at work: it deletes files and folders too."""
    sizes = 0
    for folder, _, names in os.walk(work):  # passes over what is gone, where Path.rglob fails
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                sizes += os.lstat(os.path.join(folder, name)).st_size
    return sizes // 1_000_000


def _no_space(wanted: list[Wheel]) -> EngineError:
    # Unpacked, they take half as much again; and the largest lies beside, packed.
    need = 1.5 * sum(wheel.size for wheel in wanted) + max(wheel.size for wheel in wanted)
    return EngineError(
        f"no space left for NVIDIA's wheels in {cache()}: free {need / 1e9:.1f} GB, or set LRCN_CACHE to another disk"
    )
