"""NVIDIA's wheels: made-up ones, from a folder that pip takes for its index."""

import errno
import hashlib
import multiprocessing
import os
import re
import shutil
import signal
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from lrcn.engine import EngineError, nvidia, sources
from lrcn.engine.nvidia import Wheel

CONTENT = {
    "nvidia-nvcc": {
        "nvidia/cu13/bin/nvcc": "#!/bin/sh\n",
        "nvidia/cu13/include/crt/host.h": "// host\n",
        "nvidia/cu13/nvvm/libdevice/libdevice.bc": "code",
        "nvidia/cu13/.metadata/sizes": "not wanted",
        "nvidia_nvcc-13.0.88.dist-info/licenses/License.txt": "End User License Agreement\n",
    },
    "nvidia-runtime": {
        "nvidia/cu13/lib/libcudart.so.13": "library",
        "nvidia/cu13/lib/libcudart_static.a": "archive",
        "nvidia/cu13/lib/libnvblas.so.13": "not wanted",
    },
    "nvidia-cudnn": {
        "nvidia/cudnn/include/cudnn.h": "// cudnn\n",
        "nvidia/cudnn/lib/libcudnn.so.9": "library",
        "nvidia/cudnn/lib/libcudnn_adv.so.9": "not wanted",
        "nvidia_cudnn-13.0.88.dist-info/License.txt": "LICENSE AGREEMENT\n",
    },
}
PART = {"nvidia-nvcc": "toolkit", "nvidia-runtime": "toolkit", "nvidia-cudnn": "cudnn"}


def _write_wheel(folder, name: str, content: dict[str, str]):
    """A wheel as an index has it; its compiler may be run."""
    stem = f"{name.replace('-', '_')}-13.0.88"
    path = folder / f"{stem}-py3-none-any.whl"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 13.0.88\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**content, **{f"{stem}.dist-info/{file}": text for file, text in about.items()}}.items():
            member = zipfile.ZipInfo(file)
            member.external_attr = (0o100755 if "/bin/" in file else 0o100644) << 16
            wheel.writestr(member, text)
    return path


CALL = sources.call


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder with three wheels, which are copied where pip would fetch them, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    pins = []
    for name, content in CONTENT.items():
        path = _write_wheel(folder, name, content)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        pins.append(Wheel(PART[name], "13", name, "13.0.88", "x86_64", path.stat().st_size, digest))
    monkeypatch.setattr(nvidia, "WHEELS", pins)
    monkeypatch.setattr(nvidia.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("LRCN_CACHE", str(tmp_path / "cache"))

    def copy(command, seconds, watch, **environment):
        """Pip takes a second for each."""
        name, _, _ = Path(command[-1]).read_text().partition("==")
        shutil.copy(folder / f"{name.replace('-', '_')}-13.0.88-py3-none-any.whl", command[command.index("--dest") + 1])
        return 0, ""

    monkeypatch.setattr(sources, "call", copy)
    return folder


@pytest.fixture
def pip(index, monkeypatch):
    """The index, and pip itself to fetch from it."""
    monkeypatch.setattr(sources, "call", CALL)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index


def fetch(*parts) -> tuple:
    """The folder, and the remarks on the way to it."""
    remarks = []
    root = nvidia.fetch(parts, lambda what, done, total: remarks.append(what) if not total else None)
    return root, remarks


def refusal(*parts) -> str:
    with pytest.raises(EngineError) as caught:
        fetch(*parts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files(root) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_wheels_are_laid_out_as_a_toolkit(pip):
    root, _ = fetch("toolkit", "cudnn")
    assert files(root) - {each for each in files(root) if each.startswith(".whole/")} == {
        "bin/nvcc",
        "include/crt/host.h",
        "include/cudnn.h",
        "lib/libcudart.so",
        "lib/libcudart.so.13",
        "lib/libcudart_static.a",
        "lib/libcudnn.so",
        "lib/libcudnn.so.9",
        "licenses/nvidia-cudnn.txt",
        "licenses/nvidia-nvcc.txt",
        "nvvm/libdevice/libdevice.bc",
    }
    assert os.access(root / "bin" / "nvcc", os.X_OK) and not os.access(root / "include" / "cudnn.h", os.X_OK)
    assert (root / "lib" / "libcudart.so").resolve() == root / "lib" / "libcudart.so.13"
    assert (root / "lib64" / "libcudnn.so").read_text() == "library"


def test_what_is_laid_out_is_for_those_that_the_umask_lets(index):
    before = os.umask(0o027)
    try:
        root, _ = fetch("toolkit")
    finally:
        os.umask(before)
    modes = {name: (root / name).stat().st_mode & 0o777 for name in ("bin", "bin/nvcc", "lib/libcudart.so.13")}
    assert modes == {"bin": 0o750, "bin/nvcc": 0o750, "lib/libcudart.so.13": 0o640}


def test_how_much_there_is_is_asked_while_pip_deletes(tmp_path, monkeypatch):
    scandir = os.scandir
    for path in (tmp_path / "one", tmp_path / "pip-unpack" / "two"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(2_000_000))

    def deleting(path):
        if str(path).endswith("pip-unpack"):
            (tmp_path / "pip-unpack").rename(tmp_path.with_name("gone"))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deleting)
    assert nvidia._megabytes(tmp_path) == 2


def test_what_is_fetched_is_said_first_and_only_what_lacks_is_fetched(index, monkeypatch):
    root, [remark] = fetch("toolkit")
    assert remark.startswith("fetching NVIDIA's CUDA 13.0.88 as wheels: 0.0 GB, into ")
    assert str(root) in remark and "under the CUDA Toolkit EULA (" in remark
    for path in index.glob("nvidia_[nr]*"):
        path.unlink()
    _, [remark] = fetch("toolkit", "cudnn")
    assert "NVIDIA's cuDNN 13.0.88 as wheels" in remark and "the cuDNN SLA" in remark and "EULA" not in remark
    monkeypatch.setattr(sources, "call", lambda *command: pytest.fail("the index was asked again"))
    assert fetch("toolkit", "cudnn") == (root, [])


def test_a_wheel_with_another_hash_is_refused_and_what_was_whole_stays(pip):
    path = pip / "nvidia_runtime-13.0.88-py3-none-any.whl"
    whole = path.read_bytes()
    for spoilt in (whole[:-50], whole.replace(b"library", b"malware")):
        path.write_bytes(spoilt)
        reason = refusal("toolkit")
        assert "nvidia-runtime 13.0.88 has not the pinned sha256 " in reason and ": refused; " in reason
        assert not list(nvidia.folder().rglob("libcudart*")) and (nvidia.folder() / "bin" / "nvcc").is_file()
    path.write_bytes(whole)
    (pip / "nvidia_nvcc-13.0.88-py3-none-any.whl").unlink()
    assert (fetch("toolkit")[0] / "lib" / "libcudart.so.13").is_file()


def test_the_hash_is_taken_of_what_lies_here_and_not_left_to_pip(index, monkeypatch):
    def download(command, seconds, watch, **environment):
        folder = command[command.index("--dest") + 1]
        _write_wheel(index, "nvidia-nvcc", {}).rename(f"{folder}/nvidia_nvcc-13.0.88-py3-none-any.whl")
        return 0, ""

    monkeypatch.setattr(sources, "call", download)
    assert re.search("has sha256 [0-9a-f]{64} in place of [0-9a-f]{64}: refused", refusal("toolkit"))


def test_no_index_is_one_line(pip, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(pip / "nowhere"))
    reason = refusal("toolkit")
    assert reason.startswith("nvidia-nvcc 13.0.88 cannot be fetched with pip (") and "--cuda system" in reason


def _fetch_and_die(copied: int) -> None:
    """In a child: it is killed while it writes the file of this number."""
    copy, left = shutil.copyfileobj, copied

    def copy_or_die(source, target, size):
        nonlocal left
        left -= 1
        if not left:
            target.write(b"half")
            target.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        copy(source, target, size)

    nvidia.shutil.copyfileobj = copy_or_die
    nvidia.fetch(["toolkit"], lambda *step: None)


@pytest.mark.parametrize("copied", [1, 2, 5, 6])
def test_killed_at_any_file_the_next_call_goes_on(index, copied):
    """The first wheel has four files that are taken, the second two."""
    child = multiprocessing.get_context("fork").Process(target=_fetch_and_die, args=[copied])
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert any(path.read_bytes() == b"half" for path in nvidia.folder().rglob("*") if path.is_file())
    (nvidia.folder().parent / f"{nvidia.folder().name}.left").mkdir()
    if copied > 4:
        (index / "nvidia_nvcc-13.0.88-py3-none-any.whl").unlink()  # it is whole, and not asked for again
    root, _ = fetch("toolkit")
    for name, content in list(CONTENT.items())[:2]:
        for file, text in content.items():
            parts = file.split("/")
            if parts[2] in ("bin", "include", "lib", "nvvm") and text != "not wanted":
                assert (root.joinpath(*parts[2:])).read_text() == text, name
    assert [path.name for path in root.parent.iterdir() if path.is_dir()] == [root.name]


def test_a_full_disk_is_one_line_and_leaves_nothing_beside(index, monkeypatch):
    def full(*copied):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(nvidia.shutil, "copyfileobj", full)
        assert re.match(
            r"no space left for NVIDIA's wheels in \S+: free \d+\.\d GB, or set LRCN_CACHE", refusal("cudnn")
        )
    assert [path.name for path in nvidia.folder().parent.iterdir() if path.is_dir()] == [nvidia.folder().name]
    monkeypatch.setattr(sources, "call", lambda *command, **more: (1, "ERROR: [Errno 28] No space left on device\n"))
    assert "no space left" in refusal("cudnn")


def test_other_wheels_lie_elsewhere(index, monkeypatch):
    before = nvidia.folder()
    monkeypatch.setattr(nvidia, "WHEELS", [nvidia.WHEELS[0]._replace(version="13.0.99"), *nvidia.WHEELS[1:]])
    assert nvidia.folder() != before


@pytest.mark.parametrize(
    "part, cuda, machine, mend",
    [
        ("toolkit", "13", "riscv64", "--cuda system"),
        ("toolkit", "12", "x86_64", "--cuda system"),
        ("cudnn", "11", "aarch64", "--no-cudnn"),
        ("nccl", "11", "aarch64", "without --nccl"),
    ],
)
def test_where_there_are_no_wheels_the_mend_is_named(monkeypatch, part, cuda, machine, mend):
    monkeypatch.setattr(nvidia.platform, "machine", lambda: machine)
    with pytest.raises(EngineError, match=f"for CUDA {cuda} and {machine}: .*{mend}"):
        nvidia.wheels([part], cuda)


def test_the_pins_are_whole():
    """A digit that is lost in the table would be found by a user."""
    for wheel in nvidia.WHEELS:
        assert re.fullmatch("[0-9a-f]{64}", wheel.sha256) and wheel.size > 100_000 and wheel.version[0].isdigit()
    assert len({wheel.sha256 for wheel in nvidia.WHEELS}) == len(nvidia.WHEELS)
    names = Counter((wheel.name, wheel.version) for wheel in nvidia.WHEELS)
    assert {number for (name, _), number in names.items() if not name.endswith("-cu11")} == {2}  # both processors
