"""The benchmark of GPUs: what it reads in Caffe's logs, that a row that fails costs no other, and the stand-ins for
libraries."""

import ctypes
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def line(second, iteration, loss=1.5):
    return f"I1127 23:59:{second:09.6f}  7 solver.cpp:239] Iteration {iteration} (9 iter/s, 1s/9 iters), loss = {loss}"


def test_a_pace_is_that_of_whole_iterations_after_the_first():
    """Learning rates and outputs have lines of their own; the last loss comes after a forward pass alone."""
    import gpu

    seconds = [0, 9, 10, 12, 15, 19, 19.1]
    lines = [line(second, 10 * i) for i, second in enumerate(seconds)]
    lines.insert(3, "I1127 23:59:11.000000  7 sgd_solver.cpp:112] Iteration 25, lr = 0.01")
    lines.insert(3, "I1127 23:59:11.000000  7 solver.cpp:258]     Train net output #0: loss = 2 (* 1 = 2 loss)")
    pace = gpu.pace("\n".join(lines))
    assert pace["ms"] == pytest.approx(300) and pace["intervals"] == 3
    assert (pace["least"], pace["most"]) == (pytest.approx(200), pytest.approx(400))


def test_losses_and_layers_are_read():
    import gpu

    assert gpu.losses(line(1, 0, "4.615") + "\n" + line(2, 5, "nan")[:-3] + "2.5") == {0: 4.615, 5: 2.5}
    log = "\n".join(
        f"I20261127 02:23:06.498970 27825 caffe.cpp:394] {name:>10}\t{way}: {taken} ms."
        for name, way, taken in [("conv1", "forward", 1.25), ("conv1", "backward", 2.5), ("pool1", "forward", 1e-05)]
    )
    assert gpu.layer_times(log) == {"conv1": {"forward": 1.25, "backward": 2.5}, "pool1": {"forward": 1e-05}}


def test_a_row_that_fails_or_has_no_time_costs_no_other(tmp_path):
    import gpu

    bundle, out = tmp_path / "bundle", tmp_path / "out"
    bundle.mkdir()
    out.mkdir()
    (bundle / "bundle.json").write_text(json.dumps({"nets": {}, "workers": [8]}))
    bench = gpu.Bench(bundle, out, False, time.monotonic() + 1000)

    def breaks():
        bench.run("breaks", [sys.executable, "-c", "raise ValueError('no such card')"], 100)

    rows = [("Caffe lrcn-fc6-rgb fp32", 1, breaks), ("late", 9e9, breaks), ("odd", 1, lambda: {}["key"])]
    rows.append(("Caffe decoder-prob fp32", 1, lambda: {"ms": 5.0, "least": 4.0, "most": 6.0}))
    rows.append(("PyTorch decoder-prob", 1, lambda: {"fp32": {"ms": 10.0, "least": 9.0, "most": 11.0}}))
    gpu.do(bench, rows)
    done = json.loads((out / "gpu.json").read_text())["rows"]
    assert "no such card" in done["Caffe lrcn-fc6-rgb fp32"]["failed"]
    assert "left out" in done["late"]["failed"] and "KeyError" in done["odd"]["failed"]
    table = (out / "gpu.txt").read_text()
    assert "0.500 (<= 1.0)" in table and "no such card" in table


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    import gpu

    (tmp_path / "bundle.json").write_text(json.dumps({"nets": {}, "workers": []}))
    bench = gpu.Bench(tmp_path, tmp_path, False, time.monotonic() + 1000)
    with pytest.raises(gpu.Failed, match="took over 1 s: begun"):
        bench.run("hangs", ["sh", "-c", "echo begun; sleep 1000 & wait"], 0)


def test_a_stand_in_has_the_symbols_with_their_versions_and_answers_nothing(tmp_path):
    import gpu_bundle

    path = tmp_path / "libaway.so.1"
    gpu_bundle.stand_in(path.name, {("plain", ""), ("dated", "AWAY_1"), ("_ZN2cv4readEv", "")}, path)
    library = ctypes.CDLL(str(path))
    assert [library.plain(), library.dated(), library._ZN2cv4readEv()] == [0, 0, 0]
    symbols = subprocess.run(["nm", "-D", "--with-symbol-versions", path], capture_output=True, text=True).stdout
    assert "dated@@AWAY_1" in symbols and "plain" in symbols and "plain@" not in symbols


@pytest.mark.parametrize(
    "program, arguments, said",
    [
        ("gpu_bundle.py", ["no/folder/bundle.tar.xz"], "no/folder/bundle.tar.xz: no file can be written there"),
        ("gpu_bundle.py", ["bundle.tar.xz", "--architectures", "sm_90"], "--archs sm_90: it takes numbers"),
        ("gpu.py", ["bundle.tar.xz", "out"], "bundle.tar.xz: no bundle"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(tmp_path, program, arguments, said):
    command = [sys.executable, BENCHMARKS / program, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and f"error: {said}" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
