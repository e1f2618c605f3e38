"""The engine whose GPU is emulated: made once for each state of the recipe and of the stand-ins, beside the others.

`python -m tests.emulated_gpu.engine` makes it, and says where it lies.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lrcn.engine import Engine, EngineError, engines, find, sources

HERE = Path(__file__).parent


class NotBuilt(Exception):
    """Why there is none; the end of the build's log."""


def build() -> Engine:
    """The engine, made now if need be. It lies alone in a cache of its own: with LRCN_CACHE so set, `lrcn` finds it."""
    made_for = engines.fit(native=False, cuda=True)
    source, version = _source()
    cache = engines.cache() / "emulated-gpu" / _digest(version, json.dumps(made_for, sort_keys=True))
    root = cache / "engines" / "emulated"
    with engines.lock(cache.with_name(cache.name + ".lock"), lambda *progress: None):
        if not engines.read(root):
            tree, work = _tree(source), cache / "build"
            shutil.rmtree(root, ignore_errors=True)
            _compile(tree, work, root)
            _record(root, source, version, made_for, nccl=(tree / "include/caffe/util/nccl.hpp").is_file())
            shutil.rmtree(work)
    return engines.read(root)


def environment(engine: Engine) -> dict[str, str]:
    """For `lrcn` to find this engine, and its GPU."""
    return {
        "LRCN_CACHE": str(engine.root.parents[1]),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [str(engine.root / "driver"), os.getenv("LD_LIBRARY_PATH")])),
    }


def _source() -> tuple[str, str]:
    """Those that LRCN_TEST_CAFFE names, by default those of the engine that the other tests run, which are here; and
    their version."""
    if folder := os.getenv("LRCN_TEST_CAFFE"):
        return "folder", engines.folder_version(Path(folder))
    try:
        source = find().source
    except EngineError:
        source = "pypi"
    source = source if source in ("bvlc", "pypi") else "pypi"
    return source, sources.pinned_version(source)


def _tree(source: str) -> Path:
    return Path(os.environ["LRCN_TEST_CAFFE"]) if source == "folder" else sources.fetch(source, lambda *progress: None)


def _digest(*facts: str) -> str:
    digest = hashlib.sha256("\n".join(facts).encode())
    for path in sorted(HERE.rglob("*")):
        if path.suffix in (".h", ".cpp", ".cmake") or path.name == "translate.py":
            digest.update(f"{path.relative_to(HERE)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _compile(tree: Path, work: Path, root: Path) -> None:
    options = {
        "CAFFE_SRC": tree,
        "Python3_EXECUTABLE": sys.executable,
        "CMAKE_INSTALL_PREFIX": root,
        "NATIVE": "OFF",
        "CUDA": "ON",
        "CUDNN": "OFF",
        "EMULATED_GPU": HERE,
    }
    settings = [f"-D{name}={value}" for name, value in options.items()]
    work.mkdir(parents=True, exist_ok=True)
    for command in (
        ["cmake", "-G", "Ninja", "-S", engines.RECIPE, "-B", work, *settings],
        ["cmake", "--build", work, "--parallel", len(os.sched_getaffinity(0))],
        ["cmake", "--install", work],
    ):
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        except FileNotFoundError as error:
            raise NotBuilt(f"{error.filename} is missing") from None
        if done.returncode:
            raise NotBuilt((done.stdout + done.stderr)[-3000:])


def _record(root: Path, source: str, version: str, made_for: dict, nccl: bool) -> None:
    """engine.json, as the recipe's own have it."""
    built = json.loads((root / "share" / "build.json").read_text())
    engine = Engine(
        root=root,
        source=source,
        version=version,
        blas="",
        flags=built["flags"],
        cuda=True,
        compiler=built["compiler"],
        python=made_for["python"],
        made_for=made_for,
        gpu={"toolkit": "13.0", "from": "emulated", "cudnn": "9.10.0", "architectures": ["90"], "nccl": nccl}
        | {"libraries": []},
    )
    record = engine.info()
    del record["root"]
    (root / "engine.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    print(build().root)
