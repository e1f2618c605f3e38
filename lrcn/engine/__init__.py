"""The engine: real Caffe, built once into a cache, found again, and named in every result.

`build` makes one from BVLC's repository, from the `brocolli-caffe` sdist or from a folder, by the recipe in
docker/caffe; `find` returns the one that fits this Python, machine and recipe. The cache is $LRCN_CACHE, else
$XDG_CACHE_HOME/lrcn, else ~/.cache/lrcn:

    sources/NAME/                   what was downloaded, checked by hash, unpacked
    engines/KEY/                    a whole engine: bin/caffe, lib/, python/, share/caffe.proto, engine.json
    engines/KEY.build/              a build under way or cut off (the next call goes on from it), build.log within
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

BVLC_COMMIT = "9b891540183ddc834a02b2bd81b31afae71b2153"
BVLC_URL = "https://github.com/BVLC/caffe.git"
PYPI_NAME, PYPI_VERSION = "brocolli-caffe", "9.0.2"
PYPI_SHA256 = "c6410cc60bdd6db685d441b66be7df05410f8850ac88d6b75d48ef9b2315c08a"

CUDA_ARCHS = "50-real;60-real;70-real;75-real;80-real;86-real;90"  # CUDA 11.8 and 12; the last runs on newer ones too
SOURCE_FOLDERS = ("src", "include", "python", "tools")  # the parts of Caffe's tree that the recipe reads
REACH_SECONDS = 20  # how long `auto` waits for GitHub to answer
FETCH_SECONDS = 900
NO_SPACE = "no space left for the engine in {}: free 300 MB, or set LRCN_CACHE to another disk"

_HERE = Path(__file__).resolve().parents[1]
RECIPE = _HERE / "recipe" if (_HERE / "recipe").is_dir() else _HERE.parent / "docker" / "caffe"  # wheel, or checkout

Progress = Callable[[str, int, int], None]  # (what, done, total); total 0: not known


class EngineError(RuntimeError):
    """No engine, or none can be made; the message is one line that names the mend."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """A whole Caffe. `root` holds bin/caffe, lib/libcaffe.so, python/caffe and share/caffe.proto."""

    root: Path
    source: str  # "bvlc", "pypi" or "folder"
    version: str  # a git commit; or a release and the hash of its archive; or a hash of the folder's files
    blas: str  # what OpenBLAS says of itself, e.g. "OpenBLAS 0.3.21 DYNAMIC_ARCH Haswell"
    flags: str  # the compiler's, e.g. "-O3 -march=native"
    cuda: bool
    compiler: str  # "GNU 12.2.0"
    python: str  # "3.11"
    made_for: dict  # what it needs here, see _fit()

    @property
    def caffe(self) -> Path:
        """The `caffe` command-line tool."""
        return self.root / "bin" / "caffe"

    @property
    def proto(self) -> Path:
        """The schema that this Caffe was built from."""
        return self.root / "share" / "caffe.proto"

    def info(self) -> dict:
        """Everything that tells this engine from another, ready for JSON."""
        return {**dataclasses.asdict(self), "root": str(self.root)}

    def environment(self) -> dict[str, str]:
        """os.environ for a child that runs Caffe: the `caffe` tool, or this Python with pycaffe.

        The tool embeds an interpreter, which takes the `python3` that comes first on PATH for itself: with this
        environment's there it finds numpy, and `sys.executable` is right. PYTHONPATH makes `caffe` and `lrcn`
        importable. The log goes to stderr, and not to files in /tmp too.
        """
        env = dict(os.environ)
        env.pop("PYTHONHOME", None)
        packages = [self.root / "python", _HERE.parent, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        env["PYTHONPATH"] = _joined([*map(str, packages), *env.get("PYTHONPATH", "").split(os.pathsep)])
        env["PATH"] = _joined([os.path.dirname(sys.executable), *env.get("PATH", os.defpath).split(os.pathsep)])
        env["GLOG_logtostderr"], env["GLOG_minloglevel"] = "1", "0"
        return env

    def activate(self) -> None:
        """Let `import caffe` in this process find this engine's pycaffe, and keep its chatter below errors quiet."""
        loaded = getattr(sys.modules.get("caffe"), "__file__", None)
        if loaded and not Path(loaded).is_relative_to(self.root):
            raise EngineError(f"another caffe is already imported, from {loaded}: start a new process")
        os.environ.setdefault("GLOG_minloglevel", "2")  # glog reads it once, when its library is loaded
        if str(self.root / "python") not in sys.path:
            sys.path.insert(0, str(self.root / "python"))


def find(source: str | None = None) -> Engine:
    """The engine that fits this Python, machine and recipe: of several, the one that `build` made or returned last.

    source: only one made from there ("bvlc", "pypi" or a folder). Raises EngineError where there is none.
    """
    wanted = source if source in (None, "bvlc", "pypi") else "folder"
    fitting = [engine for engine in _whole_engines() if wanted in (None, engine.source)]
    if wanted == "folder":
        version = _folder_version(Path(source))
        fitting = [engine for engine in fitting if engine.version == version]
    if not fitting:
        option = f" --source {source}" if source else ""
        raise EngineError(f"no Caffe engine: run `lrcn caffe build{option}`")
    return max(fitting, key=lambda engine: (engine.root / "engine.json").stat().st_mtime)


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
            version = _pinned_version(source)
        else:
            source, tree = "folder", Path(source).resolve()
            version = _folder_version(tree)
        root = _engines() / _key(source, version, variant)
        engine = _read(root)
        if not engine:
            with _lock(root.with_name(root.name + ".lock"), report) as lock:
                engine = _read(root)  # another process may have made it while this one waited
                if not engine:
                    tree = tree if source == "folder" else _sources(source, report)
                    _make(root, tree, source, version, variant, jobs, lock, report)
                    engine = _read(root)
        with contextlib.suppress(OSError):  # a cache that cannot be written to is good enough to read
            os.utime(root / "engine.json")
        return engine
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError(NO_SPACE.format(cache())) from None
        raise EngineError(f"cannot make the engine in {cache()}: {error}") from None


def cache() -> Path:
    """The folder for everything that can be made again."""
    own = os.environ.get("LRCN_CACHE")
    folder = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrcn"
    return folder.expanduser().absolute()


# ---- which engine is which -----------------------------------------------------------------------------------------


def _engines() -> Path:
    return cache() / "engines"


def _pinned_version(source: str) -> str:
    return BVLC_COMMIT if source == "bvlc" else f"{PYPI_NAME} {PYPI_VERSION} sha256:{PYPI_SHA256}"


def _folder_version(tree: Path) -> str:
    """A hash of the files in a Caffe tree that the recipe reads."""
    if not (tree / "src" / "caffe" / "proto" / "caffe.proto").is_file():
        raise EngineError(
            f"{tree} is no Caffe source tree (it has no src/caffe/proto/caffe.proto): "
            "--source takes auto, bvlc, pypi or the folder of one"
        )
    files = [
        path
        for folder in SOURCE_FOLDERS
        for path in (tree / folder).rglob("*")
        if path.is_file()
        and path.suffix in (".cpp", ".cu", ".hpp", ".cuh", ".h", ".proto", ".py")
        and "test" not in path.parts
    ]
    return f"sha256:{_digest(sorted(files), tree)}"


def _digest(files: list[Path], base: Path) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(base)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _fit() -> dict:
    """What an engine must have been made for to work here."""
    release = platform.freedesktop_os_release()
    cpu_flags = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "recipe": _digest(sorted(path for path in RECIPE.iterdir() if path.is_file()), RECIPE),
        "python": sysconfig.get_python_version(),
        "numpy": importlib.metadata.version("numpy").split(".")[0],  # its ABI
        "system": f"{release['ID']} {release.get('VERSION_ID', '')} {platform.machine()}",  # its libraries
        "cpu": hashlib.sha256(cpu_flags[1].strip().encode() if cpu_flags else b"").hexdigest()[:12],
    }


def _key(source: str, version: str, variant: dict) -> str:
    """The folder name of an engine: a few words for the reader, and a hash of all that it depends on."""
    fit = _fit()
    if not variant["native"]:
        fit["cpu"] = ""
    digest = hashlib.sha256(json.dumps([source, version, variant, fit], sort_keys=True).encode()).hexdigest()
    return f"{source}-{'cuda' if variant['cuda'] else 'cpu'}-py{fit['python']}-{digest[:16]}"


def _read(root: Path) -> Engine | None:
    """The engine at `root`; None where there is no whole one: engine.json is there if and only if all the rest is."""
    try:
        return Engine(root=root, **json.loads((root / "engine.json").read_text()))
    except (FileNotFoundError, NotADirectoryError, TypeError):  # the last: another version of lrcn wrote it
        return None


def _whole_engines() -> list[Engine]:
    """Those in the cache that fit this Python, machine and recipe."""
    fit = _fit()
    engines = [_read(path.parent) for path in sorted(_engines().glob("*/engine.json"))]
    return [engine for engine in engines if engine and all(engine.made_for[name] in (fit[name], "") for name in fit)]


@contextlib.contextmanager
def _lock(path: Path, report: Progress) -> Iterator[int]:
    """Hold `path` alone; gives its file descriptor. A child that inherits it holds the lock too, for as long as it
    lives: a compiler that outlives a killed parent is waited for, not run into."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another build of the engine", 0, 0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


# ---- sources -------------------------------------------------------------------------------------------------------


def _choose(variant: dict, report: Progress) -> str:
    """What `auto` means now."""
    for name in ("bvlc", "pypi"):
        if _read(_engines() / _key(name, _pinned_version(name), variant)):
            return name
    try:
        _sources("bvlc", report)
        return "bvlc"
    except EngineError as no_bvlc:
        report(f"{no_bvlc}; taking pypi instead", 0, 0)
        return "pypi"


def _sources(source: str, report: Progress) -> Path:
    """The unpacked, checked sources of bvlc or pypi, fetched once."""
    stamp = BVLC_COMMIT if source == "bvlc" else PYPI_SHA256
    tree = cache() / "sources" / f"{source}-{stamp[:16]}"
    with _lock(tree.with_name(tree.name + ".lock"), report):
        if not tree.is_dir():
            for left in tree.parent.glob(tree.name + ".*/"):  # by a call that was killed
                shutil.rmtree(left, ignore_errors=True)
            fetch = _fetch_bvlc if source == "bvlc" else _fetch_pypi
            with tempfile.TemporaryDirectory(dir=tree.parent, prefix=tree.name + ".") as work:
                report(f"fetching Caffe's sources ({source})", 0, 0)
                _unpack(fetch(Path(work)), Path(work) / "tree")
                os.rename(Path(work) / "tree", tree)
    return tree


def _fetch_bvlc(work: Path) -> Path:
    """An archive of BVLC_COMMIT. Git names a commit by the hash of its content, so what has that name is it."""
    if not shutil.which("git"):
        raise EngineError("git is missing: apt-get install git")
    repository = work / "repository"
    git = ["git", "--git-dir", str(repository)]
    for command, seconds in (
        (["git", "ls-remote", BVLC_URL, "HEAD"], REACH_SECONDS),
        (["git", "init", "--quiet", "--bare", str(repository)], REACH_SECONDS),
        ([*git, "fetch", "--quiet", "--depth", "1", BVLC_URL, BVLC_COMMIT], FETCH_SECONDS),
    ):
        status, output = _call(command, seconds)
        if status:
            raise EngineError(f"Caffe's sources cannot be fetched from {BVLC_URL} ({_last_line(output)})")
    status, output = _call([*git, "rev-parse", "FETCH_HEAD"], REACH_SECONDS)
    if output.strip() != BVLC_COMMIT:
        raise EngineError(f"{BVLC_URL} sent {output.strip()} in place of commit {BVLC_COMMIT}: refused")
    archive = work / "caffe.tar"
    status, output = _call([*git, "archive", "-o", str(archive), BVLC_COMMIT, *SOURCE_FOLDERS], FETCH_SECONDS)
    if status:
        raise EngineError(f"git cannot unpack commit {BVLC_COMMIT} ({_last_line(output)})")
    return archive


def _fetch_pypi(work: Path) -> Path:
    """The pinned sdist. pip checks the hash before it opens the archive (it runs a setup.py to read it); then we."""
    wanted = work / "requirements.txt"
    wanted.write_text(f"{PYPI_NAME}=={PYPI_VERSION} --hash=sha256:{PYPI_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    status, output = _call(
        [*pip, "download", "--no-deps", "--no-binary", PYPI_NAME, "--dest", str(work), "-r", str(wanted)], FETCH_SECONDS
    )
    if "DO NOT MATCH THE HASHES" in output:
        raise EngineError(f"the sdist of {PYPI_NAME} {PYPI_VERSION} has not the pinned sha256 {PYPI_SHA256}: refused")
    archives = list(work.glob("*.tar.gz"))
    if status or len(archives) != 1:
        raise EngineError(f"{PYPI_NAME} {PYPI_VERSION} cannot be fetched with pip ({_last_line(output)})")
    _check_sha256(archives[0], PYPI_SHA256)
    return archives[0]


def _check_sha256(path: Path, expected: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise EngineError(f"{path.name} has sha256 {found} in place of {expected}: refused")


def _unpack(archive: Path, tree: Path) -> None:
    """The parts of a Caffe archive that the recipe reads, without a folder that the archive puts around them."""
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts
            if not set(parts[:1]) & set(SOURCE_FOLDERS):
                parts = parts[1:]
            if parts[:1] and parts[0] in SOURCE_FOLDERS and ".." not in parts and member.isfile():
                path = tree.joinpath(*parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tar.extractfile(member).read())


def _call(command: list[str], seconds: float) -> tuple[int, str]:
    """Run a command that asks nothing; (exit status, all that it printed). Past its time it is ended, children too."""
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = 1
            print(f"no answer in {seconds} s", file=output)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return status, output.read()


# ---- the build -----------------------------------------------------------------------------------------------------


def _make(
    root: Path, tree: Path, source: str, version: str, variant: dict, jobs: int | None, lock: int, report: Progress
) -> None:
    """Build `tree` beside `root` and rename it to `root` when it is whole and has been seen to work."""
    for program, package in (("cmake", "cmake"), ("ninja", "ninja-build"), ("c++", "g++")):
        if not shutil.which(program):
            raise EngineError(f"{program} is missing: apt-get install {package}")
    if variant["cuda"] and not shutil.which("nvcc"):
        raise EngineError("nvcc is missing: install NVIDIA's CUDA toolkit, or build without --cuda")
    work = root.with_name(root.name + ".build")
    stage = work / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    options = {
        "CAFFE_SRC": tree,
        "Python3_EXECUTABLE": sys.executable,
        "CMAKE_INSTALL_PREFIX": stage,
        **{name.upper(): "ON" if variant[name] else "OFF" for name in ("native", "cuda", "nccl")},
    }
    if variant["cuda"]:
        options["CUDA_ARCHS"] = variant["cuda"]
    configure = ["cmake", "-G", "Ninja", "-S", str(RECIPE), "-B", str(work)]
    configure += [f"-D{name}={value}" for name, value in options.items()]
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
    made = json.loads((stage / "share" / "build.json").read_text())
    fit = _fit() if variant["native"] else {**_fit(), "cpu": ""}
    engine = Engine(
        root=stage,
        source=source,
        version=version,
        blas="",
        cuda=bool(variant["cuda"]),
        flags=made["flags"],
        compiler=made["compiler"],
        python=fit["python"],
        made_for=fit,
    )
    record = {**engine.info(), "blas": _try_out(engine)}
    del record["root"]  # it moves, and whoever reads the record knows from where
    (stage / "engine.json").write_text(json.dumps(record, indent=1) + "\n")
    shutil.rmtree(root, ignore_errors=True)  # what lies there, if anything, has lost its engine.json
    os.rename(stage, root)
    shutil.rmtree(work, ignore_errors=True)


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
        return NO_SPACE.format(cache())
    said = re.search(r"^CMake Error[^\n]*\n((?:(?:  [^\n]*)?\n)+)", output, re.MULTILINE)
    if said and said[1].strip():
        return f"Caffe cannot be built: {' '.join(said[1].split())}"
    wrong = r"error:|undefined reference|Killed signal|CMake Error", "FAILED:"  # Ninja says the latter first
    errors = (re.search(rf"^.*(?:{words}).*$", output, re.MULTILINE) for words in wrong)
    line = next((error[0].strip() for error in errors if error), _last_line(output))
    return f"Caffe cannot be built: {line} (all of it: {work / 'build.log'})"


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no word of why"])[-1].strip()


_TRY_OUT = """
import ctypes, sys
import caffe
lacking = {"LSTM", "Python", "HDF5Data", "Data", "Embed"} - set(caffe.layer_type_list())
if lacking:
    sys.exit("it lacks the layers " + ", ".join(sorted(lacking)))
describe = ctypes.CDLL(sys.argv[1]).openblas_get_config
describe.restype = ctypes.c_char_p
print("blas:", describe().decode())
"""


def _try_out(engine: Engine) -> str:
    """Load the `caffe` tool and pycaffe of a new engine; returns what its BLAS says of itself.

    Raises EngineError where one of them does not run.
    """
    env = {**engine.environment(), "GLOG_minloglevel": "2"}
    for command in (
        [str(engine.caffe), "--version"],
        [sys.executable, "-c", _TRY_OUT, str(engine.root / "lib" / "libcaffe.so")],
    ):
        process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env)
        if process.returncode:
            raise EngineError(f"Caffe was built, but does not run: {_last_line(process.stdout + process.stderr)}")
    return re.search(r"blas: *(.*)", process.stdout)[1].strip()


def _joined(paths: list[str]) -> str:
    """A search path: no empty entries (they would mean the current folder), each once."""
    return os.pathsep.join(dict.fromkeys(path for path in paths if path))
