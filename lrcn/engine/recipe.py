"""Builds Caffe by the recipe in docker/caffe."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lrcn.engine import engines, sources
from lrcn.engine.engines import Engine, EngineError, Progress, Spec
from lrcn.engine.sources import last_line

CUDA_ARCHS = "50-real;60-real;70-real;75-real;80-real;86-real;90"  # CUDA 11.8 and 12; the last runs on newer ones too
NO_SPACE = "no space left for the engine in {}: free 300 MB, or set LRCN_CACHE to another disk"


def build(
    source: str = "auto",
    cuda: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    native: bool = True,
    cuda_archs: str = CUDA_ARCHS,
    nccl: bool = False,
) -> Engine:
    """Make the engine, unless the cache has it already; return it. A call after one that was cut off goes on.

    source: "bvlc" (BVLC/caffe at BVLC_COMMIT), "pypi" (the pinned sdist), a folder with a Caffe tree, or "auto":
        whichever of the first two is built already, else bvlc where GitHub answers, else pypi. Engine.source says it.
    progress: called as (what, done, total); total is 0 where there is nothing to count.
    cuda: compile the GPU code too (needs nvcc). cuda_archs: as CMAKE_CUDA_ARCHITECTURES.
    nccl: let one training use several GPUs (cuda, and BVLC's sources).
    native: compile for this very processor; False makes one that runs on any of its family (for images that travel).
    jobs: compilers at once; as many as cores and memory allow by default.
    Raises EngineError: sources out of reach or with a wrong hash, system packages missing, a compiler's error, a full
    disk.
    """
    report = progress or (lambda what, done, total: None)
    variant = {"cuda": cuda_archs if cuda else "", "native": native, "nccl": nccl}
    try:
        if source == "auto":
            source = _choose(variant, report)
        if source in ("bvlc", "pypi"):
            spec, tree = Spec(source, sources.pinned_version(source), variant), None
        else:
            tree = Path(source).resolve()
            spec = Spec("folder", engines.folder_version(tree), variant)
        root = engines.root_for(spec)
        engine = engines.read(root)
        if not engine:
            with engines.lock(root.with_name(root.name + ".lock"), report) as lock:
                engine = engines.read(root)  # another process may have made it while this one waited
                if not engine:
                    _make(spec, tree or sources.fetch(source, report), jobs, lock, report)
                    engine = engines.read(root)
        with contextlib.suppress(OSError):  # a cache that cannot be written to is good enough to read
            os.utime(root / "engine.json")
        return engine
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError(NO_SPACE.format(engines.cache())) from None
        raise EngineError(f"cannot make the engine in {engines.cache()}: {error}") from None


def _choose(variant: dict, report: Progress) -> str:
    """What `auto` means now."""
    for name in ("bvlc", "pypi"):
        if engines.read(engines.root_for(Spec(name, sources.pinned_version(name), variant))):
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
    if spec.variant["cuda"] and not shutil.which("nvcc"):
        raise EngineError("nvcc is missing: install NVIDIA's CUDA toolkit, or build without --cuda")
    root = engines.root_for(spec)
    work = root.with_name(root.name + ".build")
    stage = work / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    configure = _configure(spec.variant, tree, work, stage)
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
    os.rename(stage, root)
    shutil.rmtree(work, ignore_errors=True)


def _configure(variant: dict, tree: Path, work: Path, stage: Path) -> list[str]:
    """The command that prepares the build in `work`, which will put what it makes into `stage`."""
    options = {
        "CAFFE_SRC": tree,
        "Python3_EXECUTABLE": sys.executable,
        "CMAKE_INSTALL_PREFIX": stage,
        **{name.upper(): "ON" if variant[name] else "OFF" for name in ("native", "cuda", "nccl")},
    }
    if variant["cuda"]:
        options["CUDA_ARCHS"] = variant["cuda"]
    command = ["cmake", "-G", "Ninja", "-S", str(engines.RECIPE), "-B", str(work)]
    return command + [f"-D{name}={value}" for name, value in options.items()]


def _record(spec: Spec, stage: Path) -> None:
    """Tries what was installed into `stage`, and writes its engine.json, which makes it whole."""
    installed, made_for = json.loads((stage / "share" / "build.json").read_text()), engines.fit(spec.variant["native"])
    engine = Engine(
        root=stage,
        source=spec.source,
        version=spec.version,
        blas="",
        cuda=bool(spec.variant["cuda"]),
        flags=installed["flags"],
        compiler=installed["compiler"],
        python=made_for["python"],
        made_for=made_for,
    )
    record = {**engine.info(), "blas": _try_out(engine)}
    del record["root"]  # it moves, and whoever reads the record knows from where
    (stage / "engine.json").write_text(json.dumps(record, indent=1) + "\n")


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
            env=env,
            text=True,
            errors="replace",
            pass_fds=(lock,),
        )
        for line in process.stdout:
            log.write(line)
            output.append(line)
            if count := re.match(r"\[(\d+)/(\d+)\] ", line):
                report("building Caffe", int(count[1]), int(count[2]))
    if process.wait():
        raise EngineError(_reason("".join(output), work))


def _reason(output: str, work: Path) -> str:
    """One line for a build that failed: what CMake says in words, or the first error of a compiler or linker."""
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return NO_SPACE.format(engines.cache())
    complaint = re.search(r"^CMake Error[^\n]*\n((?:(?:  [^\n]*)?\n)+)", output, re.MULTILINE)
    if complaint and complaint[1].strip():
        return f"Caffe cannot be built: {' '.join(complaint[1].split())}"
    wrong = r"error:|undefined reference|Killed signal|CMake Error", "FAILED:"  # Ninja says the latter first
    errors = (re.search(rf"^.*(?:{words}).*$", output, re.MULTILINE) for words in wrong)
    line = next((error[0].strip() for error in errors if error), last_line(output))
    return f"Caffe cannot be built: {line} (all of it: {work / 'build.log'})"


def _try_out(engine: Engine) -> str:
    """Load the `caffe` tool and pycaffe of a new engine; returns what its BLAS says of itself.

    Raises EngineError where one of them does not run.
    """
    env = {**engine.environment(), "GLOG_minloglevel": "2"}
    for command in (
        [str(engine.caffe), "--version"],
        [sys.executable, "-m", "lrcn.engine.try_out", str(engine.root / "lib" / "libcaffe.so")],
    ):
        process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env)
        if process.returncode:
            raise EngineError(f"Caffe was built, but does not run: {last_line(process.stdout + process.stderr)}")
    return re.search(r"blas: *(.*)", process.stdout)[1].strip()
