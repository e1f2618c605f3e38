"""Packs all that `gpu.py` needs on a machine that has a GPU, PyTorch and OpenCV for Python, and nothing of ours.

    python benchmarks/gpu_bundle.py BUNDLE.tar.xz [--architectures "90"] [--rehearsal]

In it: the engine for CUDA; the libraries of this system that it needs, but for those of C, C++ and CUDA; this Python's
own library and modules, since the engine embeds it; lrcn; the nets; frames, images and captions to read. It runs on any
x86-64 Linux whose C library is no older than this one's.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

import cv2
import h5py
import lmdb
import numpy as np
from clips import stored, windows

from data_prep import children
from lrcn import engine
from lrcn.activity import clip_settings
from lrcn.engine.device import Gpu
from lrcn.training.memory import AHEAD, Memory
from netspecs import catalogue
from prototxt_gen import caffe_pb2, filter_net, to_text
from prototxt_gen.shapes import DATA_TYPES, NetShapes, infer

HERE = Path(__file__).resolve().parent

# ---- libraries -----------------------------------------------------------------------------------------------------

THERE = re.compile(  # what every machine has, or one with PyTorch for CUDA
    r"(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv|stdc\+\+|gcc_s|cuda|cudart|cublas|cublasLt|curand|cudnn\w*|nccl))\.so.*"
)
# What the others are linked to and the benchmark does not use: small libraries that answer 0 stand in for them, since
# OpenCV's readers of maps and medical images, its windows and videos, and HDF5's of the network bring 200 MB along.
STAND_IN = re.compile(
    r"lib(gdal|gdcm\w+|OpenEXR[-\d_]*|Imath[-\d_]*|opencv_highgui|opencv_videoio|curl|crypto|GLX|lapack|blas)\.so.*"
)


def pack_libraries(programs: list[Path], folder: Path) -> None:
    """Every library that `programs` need into `folder`, or one that stands in for it."""
    places = dict(re.findall(r"^\s*(\S+) \(.*x86-64.*\) => (\S+)$", _output("ldconfig", "-p"), re.MULTILINE))
    own = {path.name for path in programs}
    taken: dict[str, Path] = {}
    left_out: dict[str, Path] = {}
    waiting = list(programs)
    while waiting:
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", _output("readelf", "-d", waiting.pop())):
            if name in own or name in taken or THERE.fullmatch(name):
                continue
            if name not in places:
                raise SystemExit(f"{name} is needed and not to be found: ldconfig -p does not name it")
            path = Path(places[name]).resolve()
            if STAND_IN.fullmatch(name):
                left_out[name] = path
            else:
                taken[name] = path
                waiting.append(path)
    folder.mkdir()
    for name, path in taken.items():
        shutil.copy(path, folder / name)
    wanted = set().union(*(_symbols(path, "--undefined-only") for path in [*programs, *taken.values()]))
    for name, path in left_out.items():
        stand_in(name, wanted & _symbols(path, "--defined-only"), folder / name)


def stand_in(name: str, symbols: set[tuple[str, str]], path: Path) -> None:
    """A library with these (symbol, version) pairs, each a function that returns 0."""
    code = "".join(f"long {symbol}(void) {{ return 0; }}\n" for symbol, _ in sorted(symbols))
    versions: dict[str, list[str]] = {}
    for symbol, version in sorted(symbols):
        versions.setdefault(version, []).append(symbol)
    versions.pop("", None)
    script = "".join(f"{version} {{ global: {'; '.join(names)}; }};\n" for version, names in versions.items())
    with tempfile.TemporaryDirectory() as scratch:
        source, script_file = Path(scratch, "code.c"), Path(scratch, "versions")
        source.write_text(code or "static int nothing;\n")
        script_file.write_text(script)
        options = [f"-Wl,--version-script={script_file}"] if script else []
        command = ["cc", "-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{name}", *options, "-o", path, source]
        subprocess.run(command, check=True)


def _symbols(path: Path, which: str) -> set[tuple[str, str]]:
    """(symbol, version) of those that a library has, or wants."""
    lines = _output("nm", "-D", which, "--with-symbol-versions", path).splitlines()
    pairs = (re.split("@+", line.split()[-1]) for line in lines)
    return {(pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs}


def _output(*command) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# ---- Python and code -----------------------------------------------------------------------------------------------

UNUSED = (  # of Python's modules, and of packages
    *("test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "turtledemo", "pydoc_data", "distutils"),
    *("config-*", "dist-packages", "site-packages", "__pycache__", "*.pyi", "*.a", "f2py", "_pyinstaller"),
    *("_ssl.*", "_hashlib.*", "_sqlite3.*", "_curses*", "readline.*", "_dbm.*", "_gdbm.*", "_tkinter.*", "_testcapi*"),
    *("_crypt.*", "nis.*", "_codecs_*", "_ctypes_test*", "_test*"),
)


def pack_python(folder: Path) -> list[Path]:
    """This Python's modules, and the packages that Caffe's side of lrcn imports. Gives the libraries among them."""
    home = folder / "lib" / f"python{sysconfig.get_python_version()}"
    left_out = shutil.ignore_patterns(*UNUSED)
    shutil.copytree(sysconfig.get_path("stdlib"), home, ignore=left_out)
    for distribution in ("numpy", "protobuf", "lmdb", "six"):
        _copy_package(distribution, folder / "site", left_out)
    _stand_in_modules(folder / "site")
    return list(folder.rglob("*.so*"))


def _stand_in_modules(folder: Path) -> None:
    """For what pycaffe imports to read and scale images, which no row does."""
    for path, names in {"skimage/io": "", "skimage/transform": "resize", "scipy/ndimage": "zoom"}.items():
        file = (folder / path).with_suffix(".py")
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(f"{name} = None\n" for name in names.split()))
        (file.parent / "__init__.py").touch()


def _copy_package(distribution: str, folder: Path, left_out) -> None:
    tops = {
        file.parts[0] for file in metadata.files(distribution) if not file.parts[0].startswith((".", "__pycache__"))
    }
    for top in tops:
        source = Path(str(metadata.distribution(distribution).locate_file(top)))
        if source.is_dir():
            shutil.copytree(source, folder / top, ignore=left_out, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder / top)


def pack_worker_packages(folder: Path, python: str) -> None:
    """What the loader's workers import beside what that machine has, for its Python: the files that are pinned."""
    pinned = (HERE.parent / "requirements" / "run.txt").read_text()
    names = "lmdb", "msgspec", "protobuf", "simplejpeg"
    pins = [re.search(rf"^{name}==(?:.*\\\n)*.*$", pinned, re.MULTILINE)[0] for name in names]
    options = ["--target", folder, "--no-deps", "--no-compile", "--only-binary=:all:", f"--python-version={python}"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        command = children.python("pip", "install", "--quiet", "--require-hashes", *options, "-r", file.name)
        subprocess.run(command, check=True)


def pack_code(folder: Path) -> None:
    for package in ("lrcn", "data_prep", "prototxt_gen", "netspecs", "readers"):
        shutil.copytree(HERE.parent / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("gpu_data.py", "gpu_torch.py"):
        shutil.copy(HERE / name, folder / name)


# ---- nets ----------------------------------------------------------------------------------------------------------

# Name -> variant, its settings, iterations between two lines of the log (an interval of about half a second on a fast
# card), and settings for an exact comparison with a CPU, which has to be small (as have its snapshots).
NETS = {
    "lrcn-fc6-rgb": ("activity/lrcn-fc6-rgb", {}, 5, {"videos": 2, "fc6": 512}),
    "single-frame-rgb": ("activity/single-frame-rgb", {}, 10, {"batch": 8, "fc6": 512, "fc7": 512}),
    "caption-finetune": ("caption/lrcn-2f", {"stage": "finetune"}, 15, {"streams": 8, "fc6": 512, "fc7": 512}),
    "caption-frozen": ("caption/lrcn-2f", {"stage": "train"}, 20, {"streams": 8, "fc6": 512, "fc7": 512}),
    "decoder-prob": ("video/decoder-prob", {}, 40, {"streams": 8}),
}
SMALL = {"lrcn-fc6-rgb": {"videos": 1, "frames": 4}, "single-frame-rgb": {"batch": 4}}  # a rehearsal's
SMALL_ELSE = {"streams": 4}
WORDS = 3000  # of the smallest vocabulary
INTERVALS = 9  # that the log has
EXACT_ITERATIONS = 20
ENGINE_FIELDS = ("convolution_param", "pooling_param", "relu_param", "lrn_param", "softmax_param")
ENGINES = {"Convolution": 0, "Pooling": 1, "ReLU": 2, "LRN": 3, "Softmax": 4, "SoftmaxWithLoss": 4}
CAFFE, CUDNN = 1, 2


def pack_nets(folder: Path, rehearsal: bool) -> dict:
    """Every net as files. Gives what gpu.py must know of each."""
    facts = {}
    for name, (variant_name, settings, display, exact) in NETS.items():
        variant = catalogue.get(variant_name)
        if rehearsal:
            settings, display = settings | SMALL.get(name, SMALL_ELSE), 1
        files, inputs = variant.files(**settings), variant.input_shapes(**settings)["train"]
        solver, drawn = files["solver"], on_drawn_data(files["train_test"], files["solver"], inputs, variant, settings)
        place = folder / name
        place.mkdir(parents=True)
        write_solver(place / "solver.prototxt", solver, "drawn.prototxt", display, (INTERVALS + 1) * display)
        for file, net in {
            "drawn": drawn,
            "constant": on_constants(drawn),
            "caffe": with_engine(drawn, CAFFE, ENGINES),
            "im2col": with_engine(drawn, CAFFE, ["Convolution"]),
            "cudnn": with_engine(drawn, CUDNN, ["Pooling", "ReLU", "LRN", "Softmax", "SoftmaxWithLoss"]),
        }.items():
            (place / f"{file}.prototxt").write_text(to_text(net))
        tiny = settings | exact | (SMALL.get(name, SMALL_ELSE) if rehearsal else {})
        small, small_inputs = variant.files(**tiny), variant.input_shapes(**tiny)["train"]
        net = without_dropout(on_drawn_data(small["train_test"], small["solver"], small_inputs, variant, tiny))
        (place / "exact.prototxt").write_text(to_text(net))
        half = EXACT_ITERATIONS // 2
        write_solver(place / "exact_solver.prototxt", small["solver"], "exact.prototxt", 1, EXACT_ITERATIONS, half)
        stages = solver.train_state.stage
        known = infer(files["train_test"], "TRAIN", stages, inputs=inputs, python=clip_settings.top_shapes)
        facts[name] = {
            "variant": variant_name,
            "stages": list(stages),
            "display": display,
            "estimate": estimate(known, False),
            "reading": estimate(known, True),
            "inputs": {blob: list(shape) for blob, shape in inputs.items()},
        }
    return facts


def estimate(net: NetShapes, reads: bool) -> int:
    """Bytes of a card, as `lrcn train` would say without tests; what is drawn is not read ahead."""
    ahead = sum(AHEAD.get(row.layer.type, 0) * (row.activation_bytes or 0) for row in net.rows) if reads else 0
    convolves = any(row.layer.type == "Convolution" for row in net.rows)
    return Memory(net.training_bytes(), 0, ahead, convolves).total(Gpu())


def write_solver(path: Path, solver, net: str, display: int, iterations: int, snapshot: int = 0) -> None:
    """The variant's own solver, without tests, for so many iterations. snapshot: iterations between two."""
    changed = caffe_pb2.SolverParameter()
    changed.CopyFrom(solver)
    for field in ("test_state", "test_iter", "test_interval"):
        changed.ClearField(field)
    changed.net, changed.display, changed.average_loss, changed.max_iter = net, display, 1, iterations
    changed.snapshot, changed.snapshot_after_train, changed.snapshot_prefix = snapshot, bool(snapshot), "snapshot"
    path.write_text(to_text(changed))


def on_drawn_data(net, solver, inputs: dict, variant, settings: dict):
    """The net in its state of training, all its data drawn once."""
    values = variant.settings(**settings)
    limits = {
        "data": ("normal", 50),
        "label": ("whole", values.get("classes", 1)),
        "clip_markers": ("marks", values.get("videos", 1)),
        "cont_sentence": ("marks", 1),
        "input_sentence": ("whole", values.get("vocabulary")),
        "target_sentence": ("whole", values.get("vocabulary")),
    }
    tops = {blob: (list(shape), *limits.get(blob, ("uniform", 1))) for blob, shape in inputs.items()}
    changed = caffe_pb2.NetParameter(name=net.name)
    layer = changed.layer.add(name="data", type="Python", top=list(tops))
    layer.python_param.module, layer.python_param.layer = "gpu_data", "Drawn"
    layer.python_param.param_str = json.dumps(list(tops.values()))
    of_training = filter_net(net, "TRAIN", solver.train_state.stage)
    changed.layer.extend(layer for layer in of_training.layer if layer.type not in DATA_TYPES)
    return changed


def on_constants(drawn):
    """For an engine that cannot run Python layers there: zeros."""
    changed = caffe_pb2.NetParameter()
    changed.CopyFrom(drawn)
    layer = changed.layer[0]
    for shape, _, _ in json.loads(layer.python_param.param_str):
        layer.dummy_data_param.shape.add(dim=shape)
    layer.type = "DummyData"
    layer.ClearField("python_param")
    return changed


def with_engine(net, engine_number: int, types):
    """The net with this `engine` in all layers of these types."""
    changed = caffe_pb2.NetParameter()
    changed.CopyFrom(net)
    for layer in changed.layer:
        if layer.type in types:
            getattr(layer, ENGINE_FIELDS[ENGINES[layer.type]]).engine = engine_number
    return changed


def without_dropout(net):
    """CPUs and GPUs draw other masks."""
    changed = caffe_pb2.NetParameter(name=net.name)
    same: dict[str, str] = {}
    for layer in net.layer:
        if layer.type == "Dropout":
            same[layer.top[0]] = same.get(layer.bottom[0], layer.bottom[0])
        else:
            kept = changed.layer.add()
            kept.CopyFrom(layer)
            kept.bottom[:] = [same.get(bottom, bottom) for bottom in layer.bottom]
    return changed


# ---- data ----------------------------------------------------------------------------------------------------------

JPEG_QUALITY = 80
IMAGES = 128
BATCHES = 4  # of sentences
WORKERS = (8, 4, 16)


def pack_data(folder: Path, rehearsal: bool) -> None:
    """Small data of every kind that a published training reads."""
    folder.mkdir()
    videos = {name: [_again(jpeg) for jpeg in jpegs] for name, jpegs in windows(24, 16).items()}
    stored(videos, folder / "clips")
    jpegs = [jpeg for video in videos.values() for jpeg in video][:IMAGES]
    (folder / "images").mkdir()
    for i, jpeg in enumerate(jpegs):
        (folder / "images" / f"{i}.jpg").write_bytes(jpeg)
    (folder / "train_images.txt").write_text("".join(f"../../data/images/{i}.jpg 0\n" for i in range(IMAGES)))
    with lmdb.open(str(folder / "stills_train1"), map_size=1 << 26) as stills, stills.begin(write=True) as transaction:
        for i, jpeg in enumerate(jpegs):
            datum = caffe_pb2.Datum(encoded=True, data=jpeg, label=i % 101)
            transaction.put(b"%08d" % i, datum.SerializeToString())
    inputs = catalogue.get("video/decoder-prob").input_shapes(**(SMALL_ELSE if rehearsal else {}))["train"]
    (steps, streams), (_, size) = inputs["input_sentence"], inputs["semantics"]
    random = np.random.RandomState(1701)
    with h5py.File(folder / "captions.h5", "w") as file:
        words = random.randint(WORDS, size=(BATCHES * steps, streams)).astype(np.float32)
        marks = (np.arange(BATCHES * steps) % steps > 0).astype(np.float32)
        file["cont_sentence"] = np.repeat(marks[:, None], streams, 1)
        file["input_sentence"] = file["target_sentence"] = words
    with h5py.File(folder / "semantics.h5", "w") as file:
        file["semantics"] = random.random_sample((BATCHES * streams, size)).astype(np.float32)
    (folder / "train_captions.txt").write_text("../../data/captions.h5\n")
    (folder / "train_prob.txt").write_text("../../data/semantics.h5\n")


def pack_readers(nets: Path, rehearsal: bool) -> None:
    """The nets as `lrcn train` writes them, reading the bundle's data, with solvers without tests."""
    for name, (variant_name, settings, display, _) in NETS.items():
        if rehearsal:
            settings, display = settings | SMALL.get(name, SMALL_ELSE), 1
        for workers in WORKERS if name == "lrcn-fc6-rgb" else (0,):
            read = {"workers": workers, "data": "../../data/clips"} if workers else {"data": "../../data"}
            files, file = catalogue.get(variant_name).files(**settings, **read), f"read{workers or ''}"
            (nets / name / f"{file}.prototxt").write_text(to_text(files["train_test"]))
            solver = nets / name / f"{file}_solver.prototxt"
            write_solver(solver, files["solver"], f"{file}.prototxt", display, (INTERVALS + 1) * display)


def _again(jpeg: bytes) -> bytes:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


# ---- the whole -----------------------------------------------------------------------------------------------------


def pack_engine(caffe: engine.Engine, folder: Path) -> list[Path]:
    """The engine without its symbols. Gives its programs and libraries."""
    shutil.copytree(caffe.root, folder, ignore=shutil.ignore_patterns("__pycache__"))
    programs = [path for path in folder.rglob("*") if path.is_file() and (".so" in path.name or path.name == "caffe")]
    for path in programs:
        subprocess.run(["strip", "--strip-unneeded", path], check=True)
    return programs


def pack(caffe: engine.Engine, folder: Path, rehearsal: bool, python: str) -> None:
    """All of the bundle into `folder`, which is empty."""
    programs = pack_engine(caffe, folder / "engine")
    modules = pack_python(folder / "python")
    pack_libraries([*programs, *modules], folder / "lib")
    pack_worker_packages(folder / "workers", python)
    pack_code(folder / "code")
    nets = pack_nets(folder / "nets", rehearsal)
    pack_data(folder / "data", rehearsal)
    pack_readers(folder / "nets", rehearsal)
    facts = {"engine": caffe.info(), "nets": nets, "workers": WORKERS, "rehearsal": rehearsal}
    (folder / "bundle.json").write_text(json.dumps(facts, indent=1))


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("bundle", type=Path, help="the file to write, a .tar.xz")
    parse.add_argument("--architectures", default="90", help="of the cards, as `lrcn caffe build` takes them")
    parse.add_argument("--python", default="3.12", help="version of that machine's Python")
    parse.add_argument("--rehearsal", action="store_true", help="small nets and the engine of this machine, for CPUs")
    asked = parse.parse_args()
    if asked.bundle.is_dir() or not asked.bundle.absolute().parent.is_dir():
        parse.error(f"{asked.bundle}: no file can be written there; name one in a folder that is there")
    try:
        if asked.rehearsal:
            caffe = engine.find()
        else:
            caffe = engine.build(cuda=engine.Cuda(architectures=asked.architectures), native=False, progress=print)
    except engine.EngineError as error:
        parse.error(str(error))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "bundle")
        folder.mkdir()
        pack(caffe, folder, asked.rehearsal, asked.python)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        with tarfile.open(asked.bundle, "w:xz", preset=6 if asked.rehearsal else 9) as archive:
            archive.add(folder, "bundle")
    print(f"{asked.bundle}: {asked.bundle.stat().st_size / 1e6:.1f} MB, unpacked {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
