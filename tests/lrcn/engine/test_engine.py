"""The engine's cache, with a toy recipe in Caffe's place that takes no time; then the real engine."""

import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from lrcn import engine
from lrcn.commands import caffe as commands
from lrcn.engine import cards, engines, nvidia, recipe, sources
from lrcn.engine.cards import Card
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.engine.engines import Cuda, Spec, root_for
from tests.shared import ROOT

# What the real recipe installs, in toy form. Each of its two steps notes in NOTES that it ran; the second takes as long
# as there is a file HOLD.
TOY_RECIPE = """
cmake_minimum_required(VERSION 3.18)
project(toy NONE)
file(WRITE ${CMAKE_BINARY_DIR}/toy.c "#include <stdlib.h>
const char* openblas_get_config(void) {
  return getenv(\\"TOY_CHOICE\\") && getenv(\\"OPENBLAS_CORETYPE\\") ? \\"Toy BLAS SkylakeX\\" : \\"Toy BLAS\\";
}")
add_custom_command(OUTPUT libcaffe.so VERBATIM
  COMMAND sh -c "echo one >> $NOTES; cc -shared -fPIC toy.c -o libcaffe.so")
add_custom_command(OUTPUT two DEPENDS libcaffe.so VERBATIM
  COMMAND sh -c "echo two >> $NOTES; while [ -e $HOLD ]; do sleep 0.05; done; touch two")
add_custom_target(everything ALL DEPENDS two)
install(FILES ${CMAKE_BINARY_DIR}/libcaffe.so DESTINATION lib)
"""
TOY_INSTALLS = {
    "bin/caffe": "#!/bin/sh\necho caffe version toy\n",
    "python/caffe/__init__.py": "def layer_type_list():\n    return ['LSTM', 'Python', 'HDF5Data', 'Data', 'Embed']\n",
    "share/caffe.proto": "",
    "share/build.json": '{"flags": "-O0", "compiler": "toy 1"}',
}
for _name, _text in TOY_INSTALLS.items():
    TOY_RECIPE += (
        f"file(WRITE ${{CMAKE_BINARY_DIR}}/toy/{_name} [==[{_text}]==])\n"
        f"install(PROGRAMS ${{CMAKE_BINARY_DIR}}/toy/{_name} DESTINATION {os.path.dirname(_name)})\n"
    )


def _toy_tree(folder: Path) -> Path:
    """A folder that passes for Caffe's sources."""
    for name in ("src/caffe/proto/caffe.proto", "include/caffe/blob.hpp", "python/caffe/io.py", "tools/caffe.cpp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"// {name}\n")
    return folder


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A toy recipe, a toy source tree (returned) and an empty cache."""
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "CMakeLists.txt").write_text(TOY_RECIPE)
    monkeypatch.setattr(engines, "RECIPE", tmp_path / "recipe")
    monkeypatch.setenv("LRCN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("HOLD", str(tmp_path / "hold"))
    return _toy_tree(tmp_path / "tree")


def _notes() -> list[str]:
    path = Path(os.environ["NOTES"])
    return path.read_text().split() if path.exists() else []


def _build_elsewhere(tree: Path) -> subprocess.Popen:
    """The same build in another process; it prints the engine's root."""
    code = (
        f"from pathlib import Path; from lrcn import engine; engine.engines.RECIPE = Path({str(engines.RECIPE)!r}); "
        f"print(engine.build({str(tree)!r}).root)"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def _wait_for(condition):
    while not condition():
        time.sleep(0.02)


@pytest.fixture
def hold(toy):
    """A file: while it is there, a build does not come to its end."""
    path = Path(os.environ["HOLD"])
    path.touch()
    return path


# ---- the cache -----------------------------------------------------------------------------------------------------


def test_build_makes_an_engine_that_find_returns_and_a_second_call_makes_nothing(toy):
    seen = []
    made = engine.build(str(toy), progress=lambda *step: seen.append(step))
    assert ("building Caffe (files)", 2, 2) in seen
    assert (made.source, made.blas, made.flags, made.cuda) == ("folder", "Toy BLAS", "-O0", False)
    assert made.caffe.is_file() and made.proto.is_file()
    assert engine.build(str(toy)) == engine.find() == engine.find(str(toy)) == made
    assert _notes() == ["one", "two"]
    assert not list(made.root.parent.glob("*.build"))
    assert json.loads(json.dumps(made.info()))["version"] == made.version


def test_blas_is_told_of_a_processor_that_it_does_not_know(toy, monkeypatch):
    processor = "fpu avx2 avx512f avx512dq avx512cd avx512bw avx512vl"
    monkeypatch.setattr(engines, "processor_flags", lambda: processor)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    unmoved = engine.build(str(toy))
    assert (unmoved.blas, unmoved.kernels) == ("Toy BLAS", "") and "OPENBLAS_CORETYPE" not in unmoved.environment()
    monkeypatch.setenv("TOY_CHOICE", "1")
    shutil.rmtree(unmoved.root)
    made = engine.build(str(toy))
    assert (made.blas, made.environment()["OPENBLAS_CORETYPE"]) == ("Toy BLAS SkylakeX", "SKYLAKEX")
    assert made.info()["blas"] == made.blas
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")  # the caller knows better, and results say so
    assert made.environment()["OPENBLAS_CORETYPE"] == "Haswell"
    assert made.info()["blas"] == "Toy BLAS SkylakeX OPENBLAS_CORETYPE=Haswell"
    shutil.rmtree(made.root)
    assert engine.build(str(toy)) == made
    monkeypatch.delenv("OPENBLAS_CORETYPE")
    processor = "fpu avx2 avx512f"
    assert engine.build(str(toy)).kernels == ""


def test_of_several_engines_find_returns_the_one_used_last(toy, tmp_path):
    other = _toy_tree(tmp_path / "other")
    (other / "tools" / "caffe.cpp").write_text("// changed\n")
    first, second = engine.build(str(toy)), engine.build(str(other))
    assert first.root != second.root
    os.utime(first.root / "engine.json", (1, 1))
    assert engine.find() == second and engine.find(str(toy)) == first
    os.utime(second.root / "engine.json", (2, 2))
    engine.build(str(toy))
    assert engine.find() == first


@pytest.mark.parametrize(
    "change",
    [
        {"version": "w"},
        {"source": "pypi"},
        {"native": False},
        {"cuda": None},
        {"cuda": Cuda("system")},
        {"cuda": Cuda(architectures="80")},
        {"cuda": Cuda(cudnn=False)},
        {"cuda": Cuda(nccl=True)},
        {"toolkit": "12.4.131"},
    ],
)
def test_key_changes_with_what_is_built(toy, change):
    usual = {"source": "bvlc", "version": "v", "cuda": Cuda(), "toolkit": "13.0.88"}
    assert root_for(Spec(**usual)) == root_for(Spec(**usual)) != root_for(Spec(**usual | change))


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: (engines.RECIPE / "CMakeLists.txt").write_text(TOY_RECIPE + "# changed\n"),
        lambda patch: (engines.RECIPE / "one_more.h").write_text(""),
        lambda patch: patch.setattr(engines.sysconfig, "get_python_version", lambda: "3.99"),
        lambda patch: patch.setattr(importlib.metadata, "version", lambda name: "99.0"),
        lambda patch: patch.setattr(engines.platform, "freedesktop_os_release", lambda: {"ID": "other"}),
    ],
    ids=["recipe", "recipe-file", "python", "numpy", "system"],
)
def test_key_changes_with_what_it_is_built_for(toy, monkeypatch, change):
    spec = Spec("bvlc", "v")
    before = root_for(spec)
    change(monkeypatch)
    assert root_for(spec) != before


def test_an_engine_of_another_recipe_or_python_is_not_found(toy, monkeypatch):
    """As after an update, which the line says."""
    made = engine.build(str(toy))
    line = f"no Caffe engine ({made.root}: made for another lrcn, Python or machine): run `lrcn caffe build`"
    with monkeypatch.context() as patch:
        patch.setattr(importlib.metadata, "version", lambda name: "99.0")
        assert _refusal(engine.find) == line
    (engines.RECIPE / "CMakeLists.txt").write_text(TOY_RECIPE + "# changed\n")
    assert _refusal(engine.find) == line
    assert _refusal(engine.find, cuda=True) == "no Caffe engine for GPUs: run `lrcn caffe build --cuda`"


def test_an_engine_not_made_for_one_processor_is_found_on_another(toy, monkeypatch):
    made = engine.build(str(toy), native=False)
    there = {**engines.fit(), "cpu": "another"}
    monkeypatch.setattr(engines, "fit", lambda native=True, cuda=False: there if native else {**there, "cpu": ""})
    assert engine.find() == made
    assert engine.build(str(toy), native=False) == made
    assert engine.build(str(toy)) != made


def test_a_change_to_a_source_file_makes_another_engine_and_one_to_a_test_does_not(toy):
    version = engines.folder_version(toy)
    (toy / "src" / "caffe" / "test").mkdir()
    (toy / "src" / "caffe" / "test" / "test_blob.cpp").write_text("")
    assert engines.folder_version(toy) == version
    (toy / "include" / "caffe" / "blob.hpp").write_text("// changed\n")
    assert engines.folder_version(toy) != version


def test_the_files_that_the_dockerfile_copies_build_an_engine_with_a_bare_python(toy, tmp_path):
    bare = tmp_path / "bare"
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    copied = re.findall(r"^COPY ((?:(?:lrcn|data_prep|readers)/\S+ +)+)/", dockerfile, re.MULTILINE)
    for name in " ".join(copied).split():
        (bare / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, bare / name)
    shutil.copytree(engines.RECIPE, bare / "docker" / "caffe")
    (bare / "numpy-2.0.dist-info").mkdir()  # its version is asked for, itself it is not needed
    (bare / "numpy-2.0.dist-info" / "METADATA").write_text("Name: numpy\nVersion: 2.0\n")
    program = "import sys, lrcn.engine as e; print(e.build(sys.argv[1], native=False).root, e.__file__, *sys.path)"
    command = [sys.executable, "-S", "-c", program, toy]
    done = subprocess.run(command, cwd=bare, env={**os.environ, "PYTHONPATH": bare}, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    made, used, *path = done.stdout.split()
    assert engines.read(Path(made)).blas == "Toy BLAS" and used == str(bare / "lrcn" / "engine" / "__init__.py")
    assert not any("site-packages" in folder for folder in path)


# ---- for GPUs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def toolkit(toy, tmp_path, monkeypatch):
    """A system with an nvcc that only says its version, and a toy recipe that says what a real one does of it.

    Returned: the library that its engines are linked with.
    """
    library = tmp_path / "libcudart.so.13"
    library.touch()
    gpu = {"toolkit": "13.0.88", "cudnn": None, "architectures": ["80-real", "90"], "nccl": False}
    text = json.dumps({"flags": "-O0", "compiler": "toy 1", "gpu": {**gpu, "libraries": [str(library)]}})
    (engines.RECIPE / "CMakeLists.txt").write_text(TOY_RECIPE.replace(TOY_INSTALLS["share/build.json"], text))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").write_text(
        "#!/bin/sh\necho Cuda compilation tools, release 13.0, V13.0.88, sm_80 sm_90\n"
    )
    (tmp_path / "bin" / "nvcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return library


SYSTEM = Cuda("system", cudnn=False)


def test_an_engine_for_gpus_is_found_whatever_was_built_last(toy, toolkit):
    for_gpus, for_cpus = engine.build(str(toy), SYSTEM), engine.build(str(toy))
    os.utime(for_gpus.root / "engine.json", (1, 1))
    assert for_gpus.cuda and not for_cpus.cuda and for_cpus.gpu is None
    assert for_gpus.gpu["from"] == "system" and for_gpus.gpu["toolkit"] == "13.0.88"
    assert engine.find() == for_cpus and engine.find(cuda=True) == engine.find(str(toy), cuda=True) == for_gpus
    os.utime(for_cpus.root / "engine.json", (0, 0))
    assert engine.find() == engine.find(cuda=True) == for_gpus


def test_an_engine_whose_libraries_are_gone_is_not_in_the_way_and_is_made_again(toy, toolkit):
    for_cpus, for_gpus = engine.build(str(toy)), engine.build(str(toy), SYSTEM)
    os.utime(for_cpus.root / "engine.json", (1, 1))
    assert engine.find() == for_gpus
    toolkit.unlink()
    assert engine.find() == for_cpus
    assert _refusal(engine.find, cuda=True) == "no Caffe engine for GPUs: run `lrcn caffe build --cuda`"
    before = len(_notes())
    toolkit.touch()
    (for_gpus.root / "engine.json").write_text((for_gpus.root / "engine.json").read_text().replace("libcudart", "gone"))
    assert engine.build(str(toy), SYSTEM) == for_gpus and len(_notes()) == before + 2


RECORDS = {
    "nothing": "",
    "a part": "{",
    "a list": "[]",
    "no JSON": "\ufffe",
    "lists without end": "[" * 100_000,
    "a number without end": "9" * 10_000,
    "other kinds": '{"source": 3}',
}


@pytest.mark.parametrize("left", [*RECORDS.values()], ids=[*RECORDS])
def test_a_damaged_record_is_passed_over_and_its_engine_made_again(toy, left):
    """As a loss of power leaves it."""
    made = engine.build(str(toy))
    (made.root / "engine.json").write_text(left)
    assert f"no Caffe engine ({made.root / 'engine.json'}: damaged, or of another lrcn)" in _refusal(engine.find)
    assert engine.build(str(toy)) == engine.find() == made


@pytest.mark.parametrize(
    "change", [{"made_for": []}, {"gpu": "no"}, {"cuda": True, "gpu": {}}, {"version": None}, {"blas": "a\0b"}], ids=str
)
def test_a_record_of_other_kinds_hides_no_other_engine(toy, change):
    made = engine.build(str(toy))
    other = made.root.with_name("aaa")
    other.mkdir()
    (other / "engine.json").write_text(json.dumps(json.loads((made.root / "engine.json").read_text()) | change))
    (made.root.with_name("zzz") / "engine.json").mkdir(parents=True)
    assert engines.read(other) is None and engine.find() == made
    (made.root / "bin" / "caffe").unlink()
    assert engines.read(made.root) is None


def test_the_recipes_files_for_gpus_are_no_matter_to_engines_for_cpus(toy, toolkit):
    (engines.RECIPE / "gpu").mkdir()
    (engines.RECIPE / "gpu" / "lstm.cu").write_text("// one way\n")
    for_gpus, for_cpus = engine.build(str(toy), SYSTEM), engine.build(str(toy))
    assert engine.find(cuda=True) == for_gpus
    (engines.RECIPE / "gpu" / "lstm.cu").write_text("// another\n")
    assert engine.find() == engine.build(str(toy)) == for_cpus
    _refusal(engine.find, cuda=True)
    assert engine.build(str(toy), SYSTEM) != for_gpus


def test_another_toolkit_of_the_system_makes_another_engine(toy, toolkit, tmp_path):
    first = engine.build(str(toy), SYSTEM)
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.write_text(nvcc.read_text().replace("13.0", "13.1"))
    assert engine.build(str(toy), SYSTEM).root != first.root
    nvcc.write_text("#!/bin/sh\necho of no use >&2; exit 1\n")
    assert "nvcc does not say its version: of no use" in _refusal(engine.build, str(toy), SYSTEM)
    nvcc.write_text("#!/bin/sh\necho Cuda compilation tools, release 10.2, V10.2.89\n")
    assert f"{nvcc} is CUDA 10.2.89, and the engine takes 11 or newer" in _refusal(engine.build, str(toy), SYSTEM)


@pytest.mark.parametrize("names", ["sm_90", "9.0", "all", "native", "90-cubin", ";", "9", "90.a"])
def test_what_is_no_architecture_is_refused(names):
    assert f"--archs {names}: it takes numbers" in _refusal(Cuda, architectures=names)


def test_architectures_are_those_that_the_compiler_knows(toy, toolkit):
    assert Cuda(architectures="80-real, 90").architectures == Cuda(architectures="80-real;90").architectures
    of_no_card = Cuda("system", "90a-real,999", cudnn=False)
    assert _refusal(engine.build, str(toy), of_no_card) == "--archs 999: this CUDA compiler knows 80, 90"


@pytest.mark.parametrize(
    "said, shown",
    [
        (
            "CMake Error at a:1:\n  Target links to:\n\n    CUDA::cublas\n\n  but the target was not found.\n",
            "this machine's CUDA toolkit has no cublas: install it, or build with --cuda, which",
        ),
        (
            "CMake Error at a.cmake:1 (message):\n  The CUDA compiler\n\n    nvcc\n\n  is not able to compile a simple "
            "test program.\n\n    FAILED: main.o\n    config.h:1:2: error: unsupported GNU version!\n    stopped.\n",
            "the compiler does not work: config.h:1:2: error: unsupported GNU version!",
        ),
    ],
)
def test_what_is_wrong_with_a_toolkit_is_said_in_one_line(tmp_path, said, shown):
    reason = recipe._reason(said, tmp_path)
    assert reason.startswith(f"Caffe cannot be built: {shown}") and "\n" not in reason


@pytest.mark.parametrize(
    "known, chosen",
    [  # what `nvcc --list-gpu-code` says of 11.8, 12.9 and 13.0
        ("35 37 50 52 53 60 61 62 70 72 75 80 86 87 89 90", "50-real;60-real;70-real;80-real;90"),
        (
            "50 52 53 60 61 62 70 72 75 80 86 87 89 90 100 101 103 120 121",
            "50-real;60-real;70-real;80-real;90-real;100-real;120",
        ),
        ("75 80 86 87 88 89 90 100 110 103 120 121", "75-real;80-real;90-real;100-real;120"),
    ],
    ids=["11.8", "12.9", "13.0"],
)
def test_by_default_an_engine_is_for_one_architecture_of_each_generation(tmp_path, known, chosen):
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\n[ $1 = --list-gpu-code ] && printf 'sm_%s\\n' " + known + " sm_90a\n")
    nvcc.chmod(0o755)
    assert recipe.architectures(nvcc) == chosen
    nvcc.write_text("#!/bin/sh\necho of no use\n")
    assert "names no architecture (of no use): give --archs" in _refusal(recipe.architectures, nvcc)


def test_what_the_system_lacks_of_cudnn_and_nccl_comes_from_the_wheels(toy, toolkit, tmp_path, monkeypatch):
    (toy / "include" / "caffe" / "util").mkdir()
    (toy / "include" / "caffe" / "util" / "nccl.hpp").touch()
    fetched = []
    monkeypatch.setattr(nvidia, "fetch", lambda parts, report, cuda="13": fetched.append((parts, cuda)) or tmp_path)
    engine.build(str(toy), Cuda("system", nccl=True))
    assert fetched == [(["cudnn", "nccl"], "13")]
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "nccl.h").write_text('extern "C" int ncclGetVersion(int *);')
    (tmp_path / "include" / "cudnn.h").write_text('#define CUDNN_MAJOR 7\nextern "C" unsigned long cudnnGetVersion();')
    (tmp_path / "lib64").mkdir()
    for name, function in ("nccl", "ncclGetVersion"), ("cudnn", "cudnnGetVersion"):
        (tmp_path / "library.c").write_text(f"int {function}() {{ return 0; }}")
        command = ["cc", "-shared", "-fPIC", "-w", tmp_path / "library.c", "-o", tmp_path / "lib64" / f"lib{name}.so"]
        subprocess.run(command, check=True)
    engine.build(str(toy), Cuda("system", nccl=True, architectures="80"))
    assert fetched[1:] == [(["cudnn"], "13")]
    header = tmp_path / "include" / "cudnn.h"
    header.write_text(header.read_text().replace("7", "8"))
    engine.build(str(toy), Cuda("system", nccl=True, architectures="90"))
    engine.build(str(toy), Cuda("wheels", architectures="90"))
    assert fetched[2:] == [(["toolkit", "cudnn"], "13")]


def test_nccl_is_refused_with_sources_that_have_none_of_it(toy, toolkit, monkeypatch):
    monkeypatch.setattr(nvidia, "fetch", lambda *arguments: pytest.fail("fetched for nothing"))
    assert "--nccl is for BVLC's sources" in _refusal(engine.build, str(toy), Cuda(nccl=True))


H200 = Card(0, "NVIDIA H200", "9.0", "580.95.05", "13.0", 1 << 37)
QUADRO = Card(1, "NVIDIA Quadro", "7.5", "", "13.0", 1 << 33)


def test_info_says_what_an_engine_computes_with_and_on_which_cards(toy, toolkit, monkeypatch):
    for_gpus, for_cpus = engine.build(str(toy), SYSTEM), engine.build(str(toy))
    os.utime(for_gpus.root / "engine.json", (1, 1))
    monkeypatch.setattr(cards, "cards", lambda: [H200, QUADRO])
    lines = CliRunner().invoke(commands.caffe, ["info", "--cuda"]).output.splitlines()
    assert f"root       {for_gpus.root}" in lines and "toolkit    CUDA 13.0.88 (system)" in lines
    assert lines[-3:] == [
        "archs      80-real 90",
        "card 0     NVIDIA H200, 128 GiB, driver 580.95.05: this engine runs on it",
        "card 1     NVIDIA Quadro, 8 GiB, driver not known: it has sm_75, and this is for 80-real 90",
    ]
    said = json.loads(CliRunner().invoke(commands.caffe, ["info", "--cuda", "--json"]).output)
    assert said["gpu"] == for_gpus.gpu and [card["misfit"] is None for card in said["cards"]] == [True, False]
    monkeypatch.setattr(cards, "cards", list)
    assert "no NVIDIA card or driver" in CliRunner().invoke(commands.caffe, ["info", "--cuda"]).output
    assert f"root       {for_cpus.root}\n" in CliRunner().invoke(commands.caffe, ["info"]).output


@pytest.mark.parametrize(
    "options, built",
    [
        ([], None),
        (["--cuda"], Cuda()),
        (["--cuda", "system", "--archs", "80-real;90"], Cuda("system", "80-real;90")),
        (["--cuda", "--no-cudnn", "--nccl"], Cuda("wheels", cudnn=False, nccl=True)),
    ],
)
def test_options_say_how_an_engine_for_gpus_is_built(toy, toolkit, monkeypatch, options, built):
    made, seen = engine.build(str(toy)), []
    monkeypatch.setattr(engine, "build", lambda source, cuda, *more: seen.append(cuda) or made)
    assert CliRunner().invoke(commands.caffe, ["build", *options]).exit_code == 0
    assert seen == [built]


@pytest.mark.parametrize(
    "gpu, here, reason",
    [
        (0, [], "--gpu 0: no NVIDIA card or driver on this machine; leave --gpu out"),
        (2, [H200], "--gpu 2: this machine has GPU 0 (NVIDIA H200)"),
        (
            0,
            [QUADRO],
            "--gpu 0: this Caffe engine does not run on NVIDIA Quadro: it has sm_75, and this is for 80-real 90; "
            "`lrcn caffe build --cuda` makes another (--cuda system, --archs)",
        ),
    ],
    ids=["none", "fewer", "another"],
)
def test_a_gpu_that_cannot_be_computed_on_is_refused(toy, toolkit, monkeypatch, gpu, here, reason):
    engine.build(str(toy), SYSTEM)
    monkeypatch.setattr("lrcn.engine.compute.cards", lambda: here)
    assert _refusal(Compute, gpu=Gpu((gpu,))) == reason


def test_a_gpu_is_computed_on_with_the_engine_for_gpus(toy, toolkit, monkeypatch):
    assert _refusal(Compute, gpu=Gpu()) == (
        "--gpu 0: no Caffe engine for GPUs: run `lrcn caffe build --cuda`, or leave --gpu out"
    )
    for_gpus, for_cpus = engine.build(str(toy), SYSTEM), engine.build(str(toy))
    os.utime(for_gpus.root / "engine.json", (1, 1))
    monkeypatch.setattr("lrcn.engine.compute.cards", lambda: [H200])
    assert Compute(gpu=Gpu()).engine == for_gpus and Compute().engine == for_cpus
    assert "computes on the CPU alone" in _refusal(Compute, for_cpus, Gpu())
    monkeypatch.setattr(cards, "cards", lambda: pytest.fail("the CPU needs no card"))
    assert Compute(for_gpus).gpu is None


# ---- interrupted, in parallel --------------------------------------------------------------------------------------


def test_a_build_killed_in_the_middle_is_not_taken_for_whole_and_goes_on(toy, hold):
    process = _build_elsewhere(toy)
    _wait_for(lambda: "two" in _notes() or process.poll() is not None)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with pytest.raises(engine.EngineError, match="no Caffe engine"):
        engine.find()
    seen = []

    def progress(what, done, total):
        seen.append(what)
        if what == "waiting for another build of the engine":  # the killed one's orphans are at work still
            hold.unlink()

    made = engine.build(str(toy), progress=progress)
    assert engine.find() == made
    assert _notes().count("one") == 1, "the step that was done is not done again"
    assert not hold.exists(), "the killed build's orphans are waited for, not run into"


def test_parallel_builds_make_one_engine(toy, hold):
    processes = [_build_elsewhere(toy) for _ in range(3)]
    _wait_for(lambda: "two" in _notes() or any(process.poll() is not None for process in processes))
    hold.unlink()
    roots = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert roots == {str(engine.find().root)}
    assert _notes() == ["one", "two"]


def test_the_lock_keeps_others_out_until_it_is_released(tmp_path):
    order = []

    def second():
        with engines.lock(tmp_path / "lock", lambda what, done, total: order.append(what)):
            order.append("second")

    with engines.lock(tmp_path / "lock", lambda *step: order.append("first waited")):
        thread = threading.Thread(target=second)
        thread.start()
        _wait_for(lambda: order)
        order.append("first ends")
    thread.join()
    assert order == ["waiting for another build of the engine", "first ends", "second"]


def test_a_spoilt_build_folder_is_started_afresh(toy):
    made = engine.build(str(toy))
    work = made.root.with_name(made.root.name + ".build")
    work.mkdir()
    for name in ("build.ninja", "CMakeCache.txt"):
        (work / name).write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/elsewhere\n")
    (made.root / "engine.json").unlink()
    assert engine.build(str(toy)) == made


# ---- what goes wrong, in one line ----------------------------------------------------------------------------------


def _refusal(call, *arguments, **options) -> str:
    with pytest.raises(engine.EngineError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_engine(toy):
    assert _refusal(engine.find) == "no Caffe engine: run `lrcn caffe build`"
    assert _refusal(engine.find, "pypi") == "no Caffe engine: run `lrcn caffe build --source pypi`"


def test_a_folder_without_caffe(toy, tmp_path):
    message = _refusal(engine.build, str(tmp_path / "nowhere"))
    assert "nowhere is no Caffe source tree" in message and "auto, bvlc, pypi" in message


MISSING = "system packages are missing: apt-get install libhdf5-dev liblmdb-dev libopenblas-dev libopencv-dev"  # wraps


@pytest.mark.parametrize(
    "says, told",
    [
        (f'message(FATAL_ERROR "{MISSING}")', f"Caffe cannot be built: {MISSING}"),
        (
            'add_custom_target(bad ALL COMMAND sh -c "echo x.cpp:3:1: error: no type; exit 1" VERBATIM)',
            "x.cpp:3:1: error: no type",
        ),
        ('add_custom_target(bad ALL COMMAND sh -c "echo No space left on device; exit 1" VERBATIM)', "no space left"),
    ],
    ids=["packages", "compiler", "disk"],
)
def test_a_build_that_fails_leaves_no_engine_and_says_why(toy, says, told):
    (engines.RECIPE / "CMakeLists.txt").write_text(TOY_RECIPE + says + "\n")
    assert told in _refusal(engine.build, str(toy))
    assert told in _refusal(engine.build, str(toy)), "the second time too"
    _refusal(engine.find)


def test_a_caffe_that_does_not_run_is_no_engine(toy):
    (engines.RECIPE / "CMakeLists.txt").write_text(TOY_RECIPE.replace("'LSTM', ", ""))
    assert "Caffe was built, but does not run: it lacks the layers LSTM" in _refusal(engine.build, str(toy))
    _refusal(engine.find)


def test_a_cache_in_a_home_that_is_not_there(monkeypatch):
    monkeypatch.setenv("LRCN_CACHE", "~nobody-of-that-name/cache")
    told = "~nobody-of-that-name/cache: there is no such home; set HOME, or LRCN_CACHE to a folder"
    assert _refusal(engines.cache) == told


def test_a_missing_tool_and_a_cache_that_cannot_be_made(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe.shutil, "which", lambda name: None if name == "ninja" else name)
    assert _refusal(engine.build, str(toy)) == "ninja is missing: apt-get install ninja-build"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LRCN_CACHE", str(tmp_path / "file"))
    assert "cannot make the engine in" in _refusal(engine.build, str(toy))


def test_cuda_needs_its_compiler(toy, monkeypatch):
    monkeypatch.setattr(recipe.shutil, "which", lambda name: None if name == "nvcc" else name)
    assert _refusal(engine.build, str(toy), SYSTEM).startswith("nvcc is missing")


# ---- downloads -----------------------------------------------------------------------------------------------------


def _archive(folder: Path, inside: str) -> Path:
    """A toy archive as a package index or git makes one: the tree, within a folder `inside` or bare."""
    tree = _toy_tree(folder / "content" / inside)
    (tree / "docs").mkdir()
    (tree / "docs" / "readme").write_text("not wanted")
    archive = folder / f"{sources.PYPI_NAME}-{sources.PYPI_VERSION}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "content" / inside, arcname=inside or ".")
    return archive


@pytest.mark.parametrize("inside", ["", "caffe-1.0"])
def test_unpack_takes_the_parts_that_the_recipe_reads(tmp_path, inside):
    sources._unpack(_archive(tmp_path, inside), tmp_path / "out")
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"src/caffe/proto/caffe.proto", "include/caffe/blob.hpp", "python/caffe/io.py", "tools/caffe.cpp"}


def test_a_pypi_download_with_another_hash_is_refused(toy, tmp_path, monkeypatch):
    archive = _archive(tmp_path, "caffe")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent))
    assert "has not the pinned sha256" in _refusal(engine.build, "pypi")
    assert not [path for path in (engine.cache() / "sources").iterdir() if path.is_dir()]
    assert "in place of" in _refusal(sources.check_sha256, archive, sources.PYPI_SHA256)


def _git(*arguments, cwd):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def test_bvlc_is_taken_at_its_commit_and_no_other(toy, monkeypatch):
    _git("init", "--quiet", cwd=toy)
    _git("add", ".", cwd=toy)
    _git("commit", "--quiet", "-m", "one", cwd=toy)
    commit = _git("rev-parse", "HEAD", cwd=toy)
    _git("commit", "--quiet", "--allow-empty", "-m", "two", cwd=toy)
    _git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=toy)
    monkeypatch.setattr(sources, "BVLC_URL", f"file://{toy}")
    monkeypatch.setattr(sources, "BVLC_COMMIT", "0123456789" * 4)
    assert "cannot be fetched" in _refusal(engine.build, "bvlc")
    monkeypatch.setattr(sources, "BVLC_COMMIT", commit)
    made = engine.build("auto")
    assert (made.source, made.version) == ("bvlc", commit)
    monkeypatch.setattr(sources, "BVLC_URL", "file:///nowhere")
    assert engine.build("auto") == engine.build("bvlc") == engine.find("bvlc") == made


def test_auto_falls_back_to_pypi_says_so_and_stays_with_it(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BVLC_URL", "file:///nowhere")
    monkeypatch.setattr(sources, "_fetch_pypi", lambda work: _archive(tmp_path, "caffe"))
    seen = []
    made = engine.build("auto", progress=lambda what, done, total: seen.append(what))
    assert made.source == "pypi" and sources.PYPI_SHA256 in made.version
    assert any("cannot be fetched from file:///nowhere" in what and "taking pypi instead" in what for what in seen)
    monkeypatch.setattr(sources, "_fetch_bvlc", lambda work: pytest.fail("the network was asked again"))
    assert engine.build("auto") == made


def _ended(pid: str) -> bool:
    """Whether this process is gone, or a corpse that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_command_that_does_not_answer_is_ended_with_its_children():
    status, output = sources.call(["sh", "-c", "echo begun; sleep 1000 & echo $!; wait"], 0.5)
    begun, child, *reason = output.split("\n", 2)
    assert status and begun == "begun" and reason == ["no answer in 0.5 s\n"]
    _wait_for(lambda: _ended(child))


# ---- the environment -----------------------------------------------------------------------------------------------


def test_environment_puts_this_python_and_pycaffe_first(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", f":{tmp_path}:")
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    monkeypatch.setenv("GLOG_minloglevel", "2")
    made = engine.Engine(Path("/e"), "folder", "", "", "", False, "", "", {})
    env = made.environment()
    assert env["PATH"].split(":")[0] == os.path.dirname(sys.executable)
    paths = env["PYTHONPATH"].split(":")
    assert paths[0] == "/e/python" and str(ROOT) in paths and str(tmp_path) in paths
    assert "" not in paths and len(set(paths)) == len(paths)
    assert "PYTHONHOME" not in env and env["GLOG_minloglevel"] == "0" and env["GLOG_logtostderr"] == "1"
    assert os.environ["PYTHONHOME"] == "/elsewhere"


# ---- the real engine -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    return engine.find()


def _python(real, code: str, *arguments) -> str:
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=real.environment(), text=True, capture_output=True
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.engine
def test_real_info(real):
    info = real.info()
    assert info["source"] in ("bvlc", "pypi", "folder") and info["version"]
    assert "OpenBLAS" in info["blas"] and "-O3" in info["flags"]
    assert info["python"] == "{}.{}".format(*sys.version_info)
    assert "package caffe;" in real.proto.read_text()


@pytest.mark.engine
def test_real_pycaffe_beside_numpy_h5py_and_opencv(real, tmp_path):
    """All in one process; and its messages are whole: Caffe reads a net written with them, an LSTM layer in it."""
    said = _python(
        real,
        """
import sys
import caffe, cv2, h5py, lmdb, numpy
from caffe import layers as L
from caffe.proto import caffe_pb2
net = caffe.NetSpec()
net.x = L.DummyData(shape=dict(dim=[4, 2, 3]), data_filler=dict(type="constant", value=1))
net.cont = L.DummyData(shape=dict(dim=[4, 2]))
net.h = L.LSTM(net.x, net.cont, recurrent_param=dict(num_output=5, weight_filler=dict(type="xavier")))
open(sys.argv[1], "w").write(str(net.to_proto()))
net = caffe.Net(sys.argv[1], caffe.TEST)
net.forward()
assert net.blobs["h"].data.shape == (4, 2, 5) and net.blobs["h"].data.dtype == numpy.float32
assert abs(net.blobs["h"].data).sum() > 0
assert caffe_pb2.TEST == caffe.TEST == caffe_pb2.Phase.Value("TEST") == 1
assert caffe_pb2.PoolingParameter.MAX == 0 and caffe_pb2.PoolingParameter.PoolMethod.Name(1) == "AVE"
net.save(sys.argv[1] + ".caffemodel")
saved = caffe_pb2.NetParameter.FromString(open(sys.argv[1] + ".caffemodel", "rb").read())
assert [layer.type for layer in saved.layer][-1] == "LSTM" and len(saved.layer[-1].blobs) == 3
with h5py.File(sys.argv[1] + ".h5", "w") as file:
    file["x"] = numpy.ones(3)
assert cv2.imdecode(cv2.imencode(".jpg", numpy.zeros((8, 8, 3), "u1"))[1], 1).shape == (8, 8, 3)
print("numpy", numpy.__version__)
""",
        tmp_path / "net.prototxt",
    )
    assert re.match(r"numpy \d", said)


@pytest.mark.engine
def test_real_pycaffe_imports_what_it_resizes_with_when_it_resizes(real):
    _python(
        real,
        """
import sys
import caffe, numpy
assert not {"skimage", "scipy"} & set(sys.modules)
ramp = numpy.tile(numpy.arange(4.0)[:, None, None], (1, 4, 3))
for channels in (3, 5):  # scikit-image's way, SciPy's
    resized = caffe.io.resize_image(ramp[:, :, [0] * channels], (8, 8))
    assert resized.shape == (8, 8, channels) and (numpy.diff(resized[1:7, 4, 0]) > 0.3).all(), resized[:, 4, 0]
assert {"skimage", "scipy"} <= set(sys.modules)
""",
    )


@pytest.mark.engine
def test_real_tool_runs_a_python_layer_of_this_environment(real, tmp_path):
    (tmp_path / "probe_layer.py").write_text("""
import json, os, sys
import caffe
import numpy
import lrcn
class Probe(caffe.Layer):
    def setup(self, bottom, top):
        top[0].reshape(2, 3)
        where = [sys.executable, sys.prefix, numpy.__file__, lrcn.__file__, json.loads(self.param_str)["say"]]
        with open(os.environ["PROBE"], "w") as file:
            json.dump(where, file)
    def reshape(self, bottom, top):
        pass
    def forward(self, bottom, top):
        top[0].data[...] = 7
    def backward(self, top, propagate_down, bottom):
        pass
""")
    net = tmp_path / "net.prototxt"
    net.write_text("""
layer { name: "x" type: "Python" top: "x"
  python_param { module: "probe_layer" layer: "Probe" param_str: '{"say": "it"}' } }
layer { name: "sum" type: "Reduction" bottom: "x" top: "sum" loss_weight: 1 }
""")
    env = {**real.environment(), "PROBE": str(tmp_path / "where.json")}
    env["PYTHONPATH"] += f":{tmp_path}"
    command = [real.caffe, "time", "-model", net, "-iterations", "1"]
    process = subprocess.run(command, env=env, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "Initial loss: 42" in process.stderr
    executable, prefix, numpy_file, lrcn_file, said = json.loads((tmp_path / "where.json").read_text())
    assert Path(executable).parent == Path(sys.executable).parent and prefix == sys.prefix and said == "it"
    assert numpy_file == __import__("numpy").__file__ and lrcn_file == __import__("lrcn").__file__


@pytest.mark.engine
def test_real_activate_is_quiet(real):
    code = "from lrcn import engine; engine.find().activate(); import caffe; print(caffe.__file__)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip().startswith(str(real.root)) and process.stderr == ""


def test_the_reason_of_a_failed_build_is_the_compilers_not_ninjas(tmp_path):
    said = "[2/2] Building x.o\nFAILED: x.o\nx.cu(240): error: no template definition\nninja: build stopped"
    assert "x.cu(240): error: no template definition" in recipe._reason(said, tmp_path)
    assert "FAILED: x.o" in recipe._reason("FAILED: x.o\nninja: build stopped", tmp_path)


@pytest.mark.engine
def test_check_trains_and_says_so(real):
    check = [Path(sys.executable).with_name("lrcn"), "caffe", "check"]
    process = subprocess.run(check, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"Caffe from \w+ trains a small LRCN on the CPU: \d+ ms an iteration\n", process.stderr)
    if not cards.cards():  # whether an engine for GPUs lies in the cache or not
        process = subprocess.run([*check, "--gpu", "0"], capture_output=True, text=True)
        assert process.returncode == 2
        assert re.fullmatch("lrcn: --gpu 0: [^\n]*(--cuda|no NVIDIA card)[^\n]+\n", process.stderr)


def test_options_for_gpus_want_cuda():
    for option in (["--nccl"], ["--archs", "80"], ["--no-cudnn"]):
        process = subprocess.run(
            [Path(sys.executable).with_name("lrcn"), "caffe", "build", *option], capture_output=True, text=True
        )
        assert process.returncode == 2 and "give --cuda with them" in process.stderr
