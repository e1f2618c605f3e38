"""Builds Caffe by the recipe in docker/caffe."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from data_prep.children import python
from data_prep.synced import put
from lrcn.engine import engines, nvidia, sources
from lrcn.engine.engines import Cuda, Engine, EngineError, Progress, Spec
from lrcn.engine.sources import last_line

OLDEST_CUDA = 11
NO_SPACE = "no space left for the engine in {}: free 300 MB, or set LRCN_CACHE to another disk"


def build(
    source: str = "auto",
    cuda: Cuda | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    native: bool = True,
) -> Engine:
    """Make the engine, unless the cache has it already; return it. A call after one that was cut off goes on.

    source: "bvlc" (BVLC/caffe at BVLC_COMMIT), "pypi" (the pinned sdist), a folder with a Caffe tree, or "auto":
        whichever of the first two is built already, else bvlc where GitHub answers, else pypi. Engine.source says it.
    progress: called as (what, done, total); total is 0 where there is nothing to count.
    cuda: compile the GPU code too, in this way.
    native: compile for this very processor; False makes one that runs on any of its family (for images that travel).
    jobs: compilers at once; as many as cores and memory allow by default.
    Raises EngineError: sources out of reach or with a wrong hash, system packages missing, a compiler's error, a full
    disk.
    """
    report = progress or (lambda what, done, total: None)
    variant = {"native": native, "cuda": cuda, "toolkit": _toolkit(cuda) if cuda else ""}
    try:
        if source == "auto":
            source = _choose(variant, report)
        if source in ("bvlc", "pypi"):
            spec, tree = Spec(source, sources.pinned_version(source), **variant), None
        else:
            tree = Path(source).resolve()
            spec = Spec("folder", engines.folder_version(tree), **variant)
        root = engines.root_for(spec)
        engine = engines.read(root)
        if not engine:
            with engines.lock(root.with_name(root.name + ".lock"), report) as lock:
                engine = engines.read(root)  # another process may have made it while this one waited
                if not engine:
                    _make(spec, tree or sources.fetch(source, report), jobs, lock, report)
                    engine = engines.read(root)
        with contextlib.suppress(OSError):  # a cache that cannot be written to is good enough to read
            os.utime(root / engines.RECORD)
        return engine
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError(NO_SPACE.format(engines.cache())) from None
        raise EngineError(
            f"cannot make the engine in {engines.cache()}: {error}; LRCN_CACHE names another folder"
        ) from None


def _choose(variant: dict, report: Progress) -> str:
    """What `auto` means now."""
    for name in ("bvlc", "pypi"):
        if engines.read(engines.root_for(Spec(name, sources.pinned_version(name), **variant))):
            return name
    try:
        sources.fetch("bvlc", report)
        return "bvlc"
    except EngineError as no_bvlc:
        report(f"{no_bvlc}; taking pypi instead", 0, 0)
        return "pypi"


def _make(spec: Spec, tree: Path, jobs: int | None, lock: int, report: Progress) -> None:
    """Build `tree` beside the engine's place and rename it to that when it is whole and has been seen to work."""
    for program, package in (("cmake", "cmake"), ("ninja", "ninja-build"), ("c++", "g++")):
        if not shutil.which(program):
            raise EngineError(f"{program} is missing: apt-get install {package}")
    if spec.cuda and spec.cuda.nccl and not (tree / "include" / "caffe" / "util" / "nccl.hpp").is_file():
        raise EngineError(f"--nccl is for BVLC's sources: those of {spec.source} train on one GPU alone")
    root = engines.root_for(spec)
    work = root.with_name(root.name + ".build")
    stage = work / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    configure = _configure(spec, tree, work, stage, report)
    report("configuring Caffe", 0, 0)
    try:
        _step(configure, work, lock, report)
    except EngineError:
        if not (work / "build.ninja").exists():
            raise
        shutil.rmtree(work)  # an earlier call got further than this one: what it left is spoilt
        _step(configure, work, lock, report)
    # Ninja, not make: it takes an object file for made only if it saw the compiler end, so a build killed in the middle
    # of one is safe to go on with.
    _step(["cmake", "--build", str(work), "--parallel", str(jobs or _default_jobs())], work, lock, report)
    _step(["cmake", "--install", str(work)], work, lock, report)
    report("trying Caffe", 0, 0)
    _record(spec, stage)
    shutil.rmtree(root, ignore_errors=True)  # what lies there, if anything, has lost its engine.json
    put(stage, root)
    shutil.rmtree(work, ignore_errors=True)


def _configure(spec: Spec, tree: Path, work: Path, stage: Path, report: Progress) -> list[str]:
    """The command that prepares the build in `work`, which will put what it makes into `stage`. What it wants of
    NVIDIA's wheels is fetched."""
    options = {
        "CAFFE_SRC": tree,
        "Python3_EXECUTABLE": sys.executable,
        "CMAKE_INSTALL_PREFIX": stage,
        "NATIVE": "ON" if spec.native else "OFF",
        "CUDA": "ON" if spec.cuda else "OFF",
    }
    if spec.cuda:
        options |= {name.upper(): "ON" if getattr(spec.cuda, name) else "OFF" for name in ("cudnn", "nccl")}
        options |= _nvidia_folders(spec, report)
        nvcc = Path(options["CUDA_ROOT"], "bin", "nvcc") if options["CUDA_ROOT"] else "nvcc"
        options["CUDA_ARCHS"] = architectures(nvcc, spec.cuda.architectures)
    command = ["cmake", "-G", "Ninja", "-S", str(engines.RECIPE), "-B", str(work)]
    return command + [f"-D{name}={value}" for name, value in options.items()]


def architectures(nvcc: str | Path, asked: str = "") -> str:
    """Those asked for, as CMAKE_CUDA_ARCHITECTURES; by default the first GPU architecture of each generation that this
    compiler knows. EngineError where it does not know one.

    Code for the first runs on the later ones of its generation too (80's on 86 and 89), and each takes a minute to
    compile. From Maxwell on, which cuDNN 9 asks for; without 110, which is a board's. The last comes as PTX besides,
    which cards to come can read.
    """
    said = subprocess.run([nvcc, "--list-gpu-code"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    known = sorted(map(int, re.findall(r"sm_(\d+)\b", said.stdout)))
    if asked:
        for name in asked.split(";"):
            if known and int(re.sub(r"\D.*", "", name)) not in known:
                raise EngineError(f"--archs {name}: this CUDA compiler knows {', '.join(map(str, known))}")
        return asked
    first: dict[int, int] = {}
    for code in known:
        first.setdefault(code // 10, code)
    chosen = [str(code) for generation, code in first.items() if generation >= 5 and generation != 11]
    if not chosen:
        raise EngineError(f"{nvcc} names no architecture ({last_line(said.stdout + said.stderr)}): give --archs")
    return ";".join([*(f"{code}-real" for code in chosen[:-1]), chosen[-1]])


def _toolkit(cuda: Cuda) -> str:
    """Which toolkit it is: the version of the system's, or the name of the wheels' folder."""
    if cuda.toolkit == "wheels":
        nvidia.wheels(["toolkit"])  # there are some for this processor
        return nvidia.folder().name
    if not shutil.which("nvcc"):
        raise EngineError("nvcc is missing: install NVIDIA's CUDA toolkit, or build with --cuda, which fetches it")
    said = subprocess.run(["nvcc", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    version = re.search(r"release \S+, V([\d.]+)", said.stdout)
    if not version:
        raise EngineError(f"nvcc does not say its version: {last_line(said.stdout + said.stderr)}")
    if int(version[1].split(".")[0]) < OLDEST_CUDA:
        raise EngineError(
            f"{shutil.which('nvcc')} is CUDA {version[1]}, and the engine takes {OLDEST_CUDA} or newer: put another "
            "first on PATH, or build with --cuda, which fetches one"
        )
    return version[1]


def _nvidia_folders(spec: Spec, report: Progress) -> dict[str, Path | str]:
    """For CMake: where the toolkit lies, and cuDNN and NCCL; nothing where that is the system's."""
    parts = [part for part in ("cudnn", "nccl") if getattr(spec.cuda, part)]
    if spec.cuda.toolkit == "wheels":
        return dict.fromkeys(("CUDA_ROOT", "CUDNN_ROOT"), nvidia.fetch(["toolkit", *parts], report))
    lacking = [part for part in parts if not _system_has(part)]
    major = spec.toolkit.split(".")[0]
    return {"CUDA_ROOT": "", "CUDNN_ROOT": nvidia.fetch(lacking, report, major) if lacking else ""}


def _system_has(part: str) -> bool:
    """Whether a program with cuDNN, 8 or newer, or with NCCL compiles here, header and library."""
    include, check = {
        "cudnn": ("cudnn.h", 'static_assert(CUDNN_MAJOR >= 8, ""); auto used = cudnnGetVersion;'),
        "nccl": ("nccl.h", "auto used = ncclGetVersion;"),
    }[part]
    toolkit = Path(shutil.which("nvcc")).resolve().parents[1]
    command = ["c++", "-x", "c++", "-", f"-I{toolkit}/include", f"-L{toolkit}/lib64", f"-l{part}", "-o", os.devnull]
    program = f"#include <{include}>\n{check}\nint main() {{ return !used; }}\n"
    return not subprocess.run(command, input=program, capture_output=True, text=True).returncode


def _record(spec: Spec, stage: Path) -> None:
    """Tries what was installed into `stage`, and writes its engine.json, which makes it whole."""
    installed = json.loads((stage / "share" / "build.json").read_text())
    made_for = engines.fit(spec.native, bool(spec.cuda))
    engine = Engine(
        root=stage,
        source=spec.source,
        version=spec.version,
        blas="",
        cuda=bool(spec.cuda),
        flags=installed["flags"],
        compiler=installed["compiler"],
        python=made_for["python"],
        made_for=made_for,
        gpu={"from": spec.cuda.toolkit, **installed["gpu"]} if spec.cuda else None,
    )
    record = {**dataclasses.asdict(engine), "blas": _try_out(engine)}
    if spec.native and _lacks_avx512(record["blas"]):
        kernels = "SKYLAKEX"
        blas = _try_out(engine, kernels)
        if not _lacks_avx512(blas):
            record |= {"blas": blas, "kernels": kernels}
    del record["root"]  # it moves, and whoever reads the record knows from where
    (stage / engines.RECORD).write_text(json.dumps(record, indent=1) + "\n")


def _lacks_avx512(blas: str) -> bool:
    """Whether OpenBLAS chose kernels of half the speed that this processor has: what is younger than OpenBLAS, it takes
    for a Haswell or Zen (0.3.21: all of AMD's with AVX-512)."""
    parts = {f"avx512{part}" for part in ("f", "bw", "cd", "dq", "vl")}
    with_it = ("skylakex", "cooperlake", "sapphirerapids")
    return parts <= set(engines.processor_flags().split()) and not any(name in blas.lower() for name in with_it)


def _default_jobs() -> int:
    """A compiler a core, and no more than fit in memory: the largest of Caffe's sources take nearly 1 GiB."""
    available = re.search(r"^MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, int(available[1]) >> 20)) if available else cores


def _step(command: list[str], work: Path, lock: int, report: Progress) -> None:
    """Run one command of the build; its output goes to build.log, Ninja's count of steps to `report`."""
    flags = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS")  # the caller's own are no part of the engine's key
    env = {name: value for name, value in os.environ.items() if name not in flags}
    env.update(LC_ALL="C", NINJA_STATUS="[%f/%t] ")
    work.mkdir(parents=True, exist_ok=True)
    output = []
    with open(work / "build.log", "a", buffering=1) as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=work,  # where Python, asked by CMake, looks for modules first
            env=env,
            text=True,
            errors="replace",
            pass_fds=(lock,),
        )
        for line in process.stdout:
            log.write(line)
            output.append(line)
            if count := re.match(r"\[(\d+)/(\d+)\] ", line):
                report("building Caffe (files)", int(count[1]), int(count[2]))
    if process.wait():
        raise EngineError(_reason("".join(output), work))


def _reason(output: str, work: Path) -> str:
    """One line for a build that failed: what CMake says in words, or the first error of a compiler or linker."""
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return NO_SPACE.format(engines.cache())
    if lacking := re.search(r"CUDA::(\w+)\W+but the target was not found", output):
        return (
            f"Caffe cannot be built: this machine's CUDA toolkit has no {lacking[1]}: install it, or build with "
            "--cuda, which fetches a whole one"
        )
    complaint = re.search(r"^CMake Error[^\n]*\n((?:(?:  [^\n]*)?\n)+)", output, re.MULTILINE)
    if complaint and "simple test program" in complaint[1]:  # CMake tells all of what it tried
        if trouble := re.search(r"^.*(?:error|fatal) *:.*$", complaint[1], re.MULTILINE):
            return f"Caffe cannot be built: the compiler does not work: {trouble[0].strip()}"
    if complaint and complaint[1].strip():
        return f"Caffe cannot be built: {' '.join(complaint[1].split())}"
    wrong = r"error:|undefined reference|Killed signal|CMake Error", "FAILED:"  # Ninja says the latter first
    errors = (re.search(rf"^.*(?:{words}).*$", output, re.MULTILINE) for words in wrong)
    line = next((error[0].strip() for error in errors if error), last_line(output))
    return f"Caffe cannot be built: {line} (all of it: {work / 'build.log'})"


def _try_out(engine: Engine, kernels: str = "") -> str:
    """Load the `caffe` tool and pycaffe of a new engine; returns what its BLAS says of itself, with these kernels or
    those that it takes by itself, whatever the caller has chosen.

    Raises EngineError where one of them does not run.
    """
    env = {name: value for name, value in engine.environment().items() if name != engines.KERNELS}
    env |= {"GLOG_minloglevel": "2"} | ({engines.KERNELS: kernels} if kernels else {})
    for command in (
        [str(engine.caffe), "--version"],
        python("lrcn.engine.try_out", engine.root / "lib" / "libcaffe.so"),
    ):
        process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env)
        if process.returncode:
            raise EngineError(f"Caffe was built, but does not run: {last_line(process.stdout + process.stderr)}")
    return re.search(r"blas: *(.*)", process.stdout)[1].strip()
