"""The engines in the cache: what one is, which there are, and which of them fits this Python, machine and recipe.

The cache is $LRCN_CACHE, else $XDG_CACHE_HOME/lrcn, else ~/.cache/lrcn:

    sources/NAME/                   what was downloaded, checked by hash, unpacked
    engines/KEY/                    a whole engine: bin/caffe, lib/, python/, share/caffe.proto, engine.json
    engines/KEY.build/              a build under way or cut off (the next call goes on from it), build.log within
    toolkits/                       NVIDIA's compiler and libraries, see nvidia.py
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

from data_prep.children import absolute
from readers.paths import checked

SOURCE_FOLDERS = ("src", "include", "python", "tools")  # the parts of Caffe's tree that the recipe reads

RECORD = "engine.json"  # in an engine's folder, whole if and only if the engine is
KERNELS = "OPENBLAS_CORETYPE"  # the variable that chooses OpenBLAS's

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
    blas: str  # what OpenBLAS says of itself, e.g. "OpenBLAS 0.3.21 DYNAMIC_ARCH SkylakeX"
    flags: str  # the compiler's, e.g. "-O3 -march=native"
    cuda: bool
    compiler: str  # "GNU 12.2.0"
    python: str  # "3.11"
    made_for: dict  # what it needs here, see fit()
    # None without CUDA, else {"toolkit": "13.0.88", "from": "wheels" or "system", "cudnn": "9.19.0" or None,
    # "architectures": ["80-real", "90"], "nccl": bool, "libraries": [the files that it was linked with]}
    gpu: dict | None = None
    # KERNELS as OpenBLAS wants it, to take the kernels in `blas` on a processor that it does not know.
    kernels: str = ""

    @property
    def caffe(self) -> Path:
        """The `caffe` command-line tool."""
        return self.root / "bin" / "caffe"

    @property
    def proto(self) -> Path:
        """The schema that this Caffe was built from."""
        return self.root / "share" / "caffe.proto"

    def info(self) -> dict:
        """Everything that tells this engine from another, ready for JSON, and the kernels that the caller has chosen
        for its BLAS."""
        chosen = os.environ.get(KERNELS, self.kernels)
        blas = self.blas if chosen == self.kernels else f"{self.blas} {KERNELS}={chosen}"
        return {**dataclasses.asdict(self), "root": str(self.root), "blas": blas}

    def environment(self) -> dict[str, str]:
        """os.environ for a child that runs Caffe: the `caffe` tool, or this Python with pycaffe.

        The tool embeds an interpreter, which takes the `python3` that comes first on PATH for itself: with this
        environment's there it finds numpy, and `sys.executable` is right. PYTHONPATH makes `caffe` and `lrcn`
        importable. The log goes to stderr, and not to files in /tmp too.
        """
        env = dict(os.environ)
        env.pop("PYTHONHOME", None)
        packages = [self.root / "python", _HERE.parent, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        env["PYTHONPATH"] = _joined([*map(str, packages), *absolute(env.get("PYTHONPATH", ""))])
        env["PATH"] = _joined([os.path.dirname(sys.executable), *env.get("PATH", os.defpath).split(os.pathsep)])
        env["GLOG_logtostderr"], env["GLOG_minloglevel"] = "1", "0"
        return self._with_kernels(env)

    def activate(self) -> None:
        """Let `import caffe` in this process find this engine's pycaffe, and keep its chatter below errors quiet."""
        loaded = getattr(sys.modules.get("caffe"), "__file__", None)
        if loaded and not Path(loaded).is_relative_to(self.root):
            raise EngineError(f"another caffe is already imported, from {loaded}: start a new process")
        os.environ.setdefault("GLOG_minloglevel", "2")  # glog reads it once, when its library is loaded
        self._with_kernels(os.environ)  # so does OpenBLAS
        if str(self.root / "python") not in sys.path:
            sys.path.insert(0, str(self.root / "python"))

    def _with_kernels(self, env: MutableMapping[str, str]) -> MutableMapping[str, str]:
        """`env`, changed: what the caller has chosen stays."""
        if self.kernels:
            env.setdefault(KERNELS, self.kernels)
        return env


def find(source: str | None = None, cuda: bool = False, nccl: bool = False) -> Engine:
    """The engine that fits this Python, machine and recipe: of several, the one that `build` made or returned last.

    source: only one made from there ("bvlc", "pypi" or a folder). cuda: only one for GPUs; one of those computes on the
    CPU too. nccl: one that trains a net on several GPUs, if there is one. Raises EngineError where there is none.
    """
    wanted = source if source in (None, "bvlc", "pypi") else "folder"
    fitting = [engine for engine in _whole_engines() if wanted in (None, engine.source) and engine.cuda >= cuda]
    if wanted == "folder":
        version = folder_version(Path(source))
        fitting = [engine for engine in fitting if engine.version == version]
    if not fitting:
        options = (f" --source {source}" if source else "") + (" --cuda" if cuda else "")
        raise EngineError(
            f"no Caffe engine{' for GPUs' if cuda else ''}{_why_not(cuda)}: run `lrcn caffe build{options}`"
        )
    of_several = [engine for engine in fitting if nccl and engine.gpu and engine.gpu["nccl"]]
    return max(of_several or fitting, key=lambda engine: (engine.root / RECORD).stat().st_mtime)


def _why_not(cuda: bool) -> str:
    """What is to be said, in brackets, of engines that are there and are of no use."""
    if damaged := next((path for path in _records() if _recorded(path.parent) is None), None):
        return f" ({damaged}: damaged, or of another lrcn)"
    whole, fitting = filter(None, (read(path.parent) for path in _records())), _whole_engines()
    other = next((engine for engine in whole if engine.cuda >= cuda and engine not in fitting), None)
    return f" ({other.root}: made for another lrcn, Python or machine)" if other else ""


def cache() -> Path:
    """The folder for everything that can be made again. Raises EngineError where its name is none, or nobody's."""
    own, caches = os.environ.get("LRCN_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        folder = Path(own or Path(caches or "~/.cache", "lrcn")).expanduser().absolute()
    except RuntimeError:  # a user who is not known here, as in a container
        raise EngineError(f"{own or '~'}: there is no such home; set HOME, or LRCN_CACHE to a folder") from None
    return Path(checked(folder, EngineError, "LRCN_CACHE "))


# ---- which engine is which -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Cuda:
    """How an engine for GPUs is compiled. EngineError where an architecture is none by its name."""

    toolkit: str = "wheels"  # NVIDIA's, see nvidia.py; or "system": whose nvcc is on PATH
    # As CMAKE_CUDA_ARCHITECTURES, or with commas, which a shell lets alone; by default one of each generation that the
    # toolkit knows.
    architectures: str = ""
    cudnn: bool = True
    nccl: bool = False  # one training on several GPUs, with BVLC's sources

    def __post_init__(self) -> None:
        names = re.split(r"[;,\s]+", self.architectures) if self.architectures else []
        for name in names:
            if not re.fullmatch(r"\d{2,}[af]?(-real|-virtual)?", name):
                raise EngineError(
                    f"--archs {self.architectures}: it takes numbers of architectures, 90 for sm_90, or 80-real,90: "
                    "-real without PTX for cards to come, -virtual PTX alone"
                )
        object.__setattr__(self, "architectures", ";".join(names))


@dataclasses.dataclass(frozen=True)
class Spec:
    """What makes one engine another than the next: its sources, and how they are compiled."""

    source: str  # as Engine's
    version: str
    native: bool = True  # for this very processor
    cuda: Cuda | None = None
    toolkit: str = ""  # the version of the system's, or which wheels


def folder_version(tree: Path) -> str:
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


def fit(native: bool = True, cuda: bool = False) -> dict:
    """What an engine must have been made for to work here; one that is not native, on any processor of a family.

    Of the recipe, gpu/ is for engines with CUDA alone: those for CPUs outlive its changes.
    """
    from importlib.metadata import version

    release = platform.freedesktop_os_release()
    recipe = sorted(path for path in RECIPE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    flags = processor_flags()
    return {
        "recipe": _digest([path for path in recipe if cuda or "gpu" not in path.relative_to(RECIPE).parts], RECIPE),
        "python": sysconfig.get_python_version(),
        "numpy": version("numpy").split(".")[0],  # its ABI
        "system": f"{release['ID']} {release.get('VERSION_ID', '')} {platform.machine()}",  # its libraries
        "cpu": hashlib.sha256(flags.encode()).hexdigest()[:12] if native else "",
    }


def processor_flags() -> str:
    """What this machine's processor can, in the kernel's words."""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return flags[1].strip() if flags else ""


def root_for(spec: Spec) -> Path:
    """Where an engine lies, whole or to be made: a few words for the reader, and a hash of all that it depends on."""
    made_for = fit(spec.native, bool(spec.cuda))
    facts = [dataclasses.asdict(spec), made_for]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    device = "cuda" if spec.cuda else "cpu"
    return cache() / "engines" / f"{spec.source}-{device}-py{made_for['python']}-{digest[:16]}"


def read(root: Path) -> Engine | None:
    """The engine at `root`; None where there is no whole one: engine.json is there if and only if all the rest is.
    NVIDIA's libraries lie elsewhere, and one that has lost them is whole no more."""
    if (engine := _recorded(root)) is None:
        return None
    needed = [engine.caffe, *(engine.gpu["libraries"] if engine.gpu else ())]
    return engine if all(os.path.exists(path) for path in needed) else None


def _recorded(root: Path) -> Engine | None:
    """What engine.json says; None where there is none, or it is damaged or another lrcn's."""
    try:
        engine = Engine(root=root, **json.loads((root / RECORD).read_text(encoding="utf-8")))
        return engine if _has_kinds(engine) else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _has_kinds(engine: Engine) -> bool:
    """Whether what was read is of the kinds that are written. By hand: engines are built with a bare Python too."""
    texts = (engine.source, engine.version, engine.blas, engine.flags, engine.compiler, engine.python, engine.kernels)
    if not all(isinstance(text, str) and "\0" not in text for text in texts) or type(engine.cuda) is not bool:
        return False
    if not (isinstance(engine.made_for, dict) and all(isinstance(fact, str) for fact in engine.made_for.values())):
        return False
    gpu = engine.gpu
    if not engine.cuda:
        return gpu is None
    if not isinstance(gpu, dict) or not {"toolkit", "cudnn", "architectures", "nccl", "libraries"} <= gpu.keys():
        return False
    lists = (gpu["architectures"], gpu["libraries"])
    return isinstance(gpu["toolkit"], str) and all(
        isinstance(each, list) and all(isinstance(text, str) for text in each) for each in lists
    )


def _records() -> list[Path]:
    """What engines in the cache, whole or not, say of themselves."""
    return sorted((cache() / "engines").glob(f"*/{RECORD}"))


def _whole_engines() -> list[Engine]:
    """Those in the cache that fit this Python, machine and recipe."""
    here = {cuda: fit(cuda=cuda) for cuda in (False, True)}
    engines = [read(path.parent) for path in _records()]
    return [
        engine
        for engine in engines
        if engine and all(engine.made_for.get(name) in (fact, "") for name, fact in here[engine.cuda].items())
    ]


@contextlib.contextmanager
def lock(path: Path, report: Progress) -> Iterator[int]:
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


def _joined(paths: list[str]) -> str:
    """A search path: no empty entries (they would mean the current folder), each once."""
    return os.pathsep.join(dict.fromkeys(path for path in paths if path))
