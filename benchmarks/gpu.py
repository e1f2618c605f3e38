"""What a GPU gives: Caffe against PyTorch on the same card in the same run, and all that only a card can show.

    python3 gpu.py BUNDLE.tar.xz OUT [--minutes 6] [--only WORDS ...] [--cpu]

BUNDLE is what `gpu_bundle.py` made. OUT, a folder, gets gpu.txt (a table), gpu.json (every number) and logs.tar.xz.
Needs this Python with PyTorch, and OpenCV and NumPy for the rows that read frames; no other file of ours. Rows go by
importance, each with its own time limit; one that fails says so and the next begins, and what is done is written at
once. --only: the rows whose name holds one of these words. --cpu: a rehearsal, with a bundle that was made for one.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

# What is aimed at, as ratios to PyTorch: net -> (fp32, TF32); and on real frames to data that are there.
GOALS = {
    "lrcn-fc6-rgb": (0.95, 1.15),
    "single-frame-rgb": (0.95, 1.1),
    "caption-finetune": (1.0, 1.3),
    "caption-frozen": (1.1, 1.5),
    "decoder-prob": (1.0, 1.3),
}
READING_GOAL = 1.08
PRECISIONS = ("fp32", "tf32")
WARM = 2  # intervals of a log that do not count
LOSS_LINE = re.compile(r"^I\d+ (\d\d):(\d\d):(\d\d\.\d+) .*\] Iteration (\d+)\b.*, loss = (\S+)", re.MULTILINE)
LAYER_LINE = re.compile(r"\] +(\S+)\s+(forward|backward): ([-+\d.e]+) ms", re.MULTILINE)


class Failed(RuntimeError):
    """Why a row has no numbers, in one line."""


# ---- processes -----------------------------------------------------------------------------------------------------


class Bench:
    """The unpacked bundle, the machine, and how programs are run on it."""

    def __init__(self, bundle: Path, out: Path, cpu: bool, deadline: float):
        self.bundle, self.out, self.cpu, self.deadline = bundle, out, cpu, deadline
        self.facts = json.loads((bundle / "bundle.json").read_text())
        self.nets = self.facts["nets"]
        self.logs = bundle / "logs"
        self.logs.mkdir()
        self.data = "drawn"  # or "constant", where the engine cannot run layers in Python
        self.results: dict[str, dict] = {}
        self.worker = self._write_worker()

    def _write_worker(self) -> Path:
        """A program that runs this machine's Python as if nothing of the bundle's were around it."""
        path = self.bundle / "worker"
        own = [self.bundle / "code", self.bundle / "workers"]
        kept = f"LD_LIBRARY_PATH='{os.environ.get('LD_LIBRARY_PATH', '')}' PYTHONPATH='{':'.join(map(str, own))}'"
        path.write_text(f"#!/bin/sh\nexec env -u PYTHONHOME {kept} '{sys.executable}' \"$@\"\n")
        path.chmod(0o755)
        return path

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        """For Caffe. settings: LRCN_PRECISION and the like."""
        python = self.bundle / "python"
        code = [self.bundle / "code", self.bundle / "engine" / "python", python / "site"]
        libraries = [self.bundle / "lib", *cuda_folders(), os.environ.get("LD_LIBRARY_PATH", "")]
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("LRCN_")},
            "PYTHONHOME": str(python),
            "PYTHONPATH": ":".join(map(str, code)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": ":".join(str(path) for path in libraries if str(path)),
            "GLOG_logtostderr": "1",
            "LRCN_PYTHON": str(self.worker),
            "LRCN_FIRST_ITERATION": "0",
            **settings,
        }

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def run(self, name: str, command: list, limit: float, folder: Path | None = None, env: dict | None = None) -> str:
        """Runs a program; gives what it said, which stays among the logs. Raises Failed."""
        log = self.logs / f"{re.sub(r'[^-.0-9A-Za-z]+', '_', name)}.log"
        limit = max(1.0, min(5 * limit if self.cpu else limit, self.left()))
        with log.open("wb") as file:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder or self.bundle,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                with suppress(ProcessLookupError):  # its loaders too
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        text = log.read_text(errors="replace")
        if status != 0:
            why = f"took over {limit:.0f} s" if status is None else f"ended with status {status}"
            raise Failed(f"{why}: {reason(text)}")
        return text

    def caffe(self, name: str, net: str, arguments: list[str], limit: float, **settings: str) -> str:
        """Runs the tool in a net's folder. The convolution algorithms that it chooses are kept for the next run of the
        same net and precision."""
        precision = settings.setdefault("LRCN_PRECISION", "fp32")
        settings.setdefault("LRCN_ALGORITHMS", str(self.bundle / f"algorithms-{net}-{precision}.txt"))
        device = [] if self.cpu else ["--gpu=0"]
        command = [self.bundle / "engine" / "bin" / "caffe", *arguments, *device]
        return self.run(name, command, limit, self.bundle / "nets" / net, self.environment(settings))

    def torch(self, name: str, what: str, limit: float) -> list[dict]:
        """What gpu_torch.py says, line by line; what it said before it failed counts."""
        program = self.bundle / "code" / "gpu_torch.py"
        command = [sys.executable, program, self.bundle / "bundle.json", what, *(["--cpu"] if self.cpu else [])]
        try:
            text, failure = self.run(name, command, limit), None
        except Failed as error:
            text, failure = (self.logs / f"{re.sub(r'[^-.0-9A-Za-z]+', '_', name)}.log").read_text(), error
        found = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        if failure and not found:
            raise failure
        return found


def reason(text: str) -> str:
    """The line of a log that says most of why a program ended."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for wanted in ("lrcn-error: ", "F", "Error", "error"):
        for line in lines:
            if (wanted == "F" and re.match(r"F\d{4,8} ", line)) or (wanted != "F" and wanted in line):
                return line[-300:]
    return lines[-1][-300:] if lines else "it said nothing"


def cuda_folders() -> Iterator[Path]:
    """Where CUDA's and cuDNN's libraries lie: beside PyTorch, or with the system's toolkit."""
    found = importlib.util.find_spec("nvidia")
    for place in found.submodule_search_locations if found else ():
        yield from sorted(path for path in Path(place).rglob("lib") if path.is_dir())
    for place in ("/usr/local/cuda/lib64", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib"):
        if Path(place).is_dir():
            yield Path(place)


class Memory:
    """The most memory that the card has in use while a program runs, in bytes; beyond what it had before."""

    def __init__(self):
        self.before, self.most, self.stop = self._used(), None, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        if self.before is not None:
            self.thread.start()
        return self

    def __exit__(self, *failure):
        self.stop.set()
        if self.before is not None:
            self.thread.join(5)

    def _watch(self):
        while not self.stop.wait(0.5):
            used = self._used()
            if used is not None:
                self.most = max(self.most or 0, used - self.before)

    @staticmethod
    def _used() -> int | None:
        try:
            command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
            return int(subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout) << 20
        except (OSError, ValueError, subprocess.SubprocessError):
            return None


# ---- reading logs --------------------------------------------------------------------------------------------------


def losses(text: str) -> dict[int, float]:
    return {int(line[3]): float(line[4]) for line in LOSS_LINE.findall(text)}


def pace(text: str) -> dict:
    """Milliseconds an iteration, by the times in a training's log: median, least and most of its intervals.

    The last does not count: the line at its end comes after a forward pass alone.
    """
    lines = LOSS_LINE.findall(text)
    seconds = [3600 * int(line[0]) + 60 * int(line[1]) + float(line[2]) for line in lines]
    numbers = [int(line[3]) for line in lines]
    taken = [
        1000 * ((seconds[i + 1] - seconds[i]) % 86400) / (numbers[i + 1] - numbers[i])
        for i in range(WARM, len(lines) - 2)
        if numbers[i + 1] > numbers[i]
    ]
    if not taken:
        raise Failed(f"its log has {len(lines)} lines with a loss, too few")
    return {"ms": statistics.median(taken), "least": min(taken), "most": max(taken), "intervals": len(taken)}


def layer_times(text: str) -> dict[str, dict[str, float]]:
    """Layer -> its milliseconds forward and backward, as `caffe time` gives them."""
    times: dict[str, dict[str, float]] = {}
    for layer, way, taken in LAYER_LINE.findall(text):
        times.setdefault(layer, {})[way] = float(taken)
    if not times:
        raise Failed("its log has no times of layers")
    return times


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- rows ----------------------------------------------------------------------------------------------------------


def machine(bench: Bench) -> dict:
    query = "name,driver_version,memory.total,clocks.max.sm,power.limit"
    card = ""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "--id=0"]
        card = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()
    versions: dict = {"torch": "none"}
    with suppress(Failed, IndexError):
        versions = bench.torch("versions", "versions", 90)[0]
    engine = {name: bench.facts["engine"].get(name) for name in ("source", "version", "flags", "blas", "gpu")}
    cores = len(os.sched_getaffinity(0))
    return {"card": card, **versions, "python": sys.version.split()[0], "cores": cores, "engine": engine}


def starts(bench: Bench) -> dict:
    """Whether the tool runs, and whether it runs layers in Python; if not, all nets get zeros for data."""
    try:
        text = bench.caffe("starts", "decoder-prob", ["train", *solver(bench, "decoder-prob", iterations=2)], 90)
    except Failed as error:
        bench.data = "constant"
        text = bench.caffe(
            "starts on zeros", "decoder-prob", ["train", *solver(bench, "decoder-prob", iterations=2)], 90
        )
        return {"data": bench.data, "why": str(error), "losses": losses(text)}
    return {"data": bench.data, "losses": losses(text)}


def solver(
    bench: Bench, net: str, file: str | None = None, iterations: int | None = None, base: str = "solver"
) -> list:
    """The argument that names a solver for one of the net's files, written now."""
    folder = bench.bundle / "nets" / net
    file = file or bench.data
    text = (folder / f"{base}.prototxt").read_text()
    text = re.sub(r'^net: ".*"', f'net: "{file}.prototxt"', text, flags=re.MULTILINE)
    if iterations:
        text = re.sub(r"^max_iter: \d+", f"max_iter: {iterations}", text, flags=re.MULTILINE)
    if bench.cpu:
        text = re.sub(r"^solver_mode: GPU", "solver_mode: CPU", text, flags=re.MULTILINE)
    path = folder / f"{base}-{file}{'-short' if iterations else ''}.prototxt"
    path.write_text(text)
    return [f"--solver={path.name}"]


def trained(bench: Bench, name: str, net: str, file: str | None = None, base: str = "solver", **settings: str) -> dict:
    with Memory() as memory:
        text = bench.caffe(name, net, ["train", *solver(bench, net, file, base=base)], 120, **settings)
    measured = pace(text)
    if memory.most:
        reads = (file or "").startswith("read")
        measured |= {"bytes": memory.most, "estimate": bench.nets[net]["reading" if reads else "estimate"]}
    if said := [line for line in text.splitlines() if line.startswith("ClipData: ")]:
        measured["said"] = said[0]
    return measured


def in_torch(bench: Bench, net: str) -> dict:
    """Both precisions, in one process."""
    return {line.pop("precision"): line for line in bench.torch(f"PyTorch {net}", net, 120)}


def in_caffe(bench: Bench, net: str, precision: str) -> dict:
    return trained(bench, f"Caffe {net} {precision}", net, LRCN_PRECISION=precision)


def before(bench: Bench, net: str) -> dict:
    """As Caffe was: its own kernels everywhere, and the LSTM in small layers."""
    return trained(bench, f"before {net}", net, "caffe", LRCN_LSTM="unrolled")


def reading(bench: Bench, net: str, workers: int, precision: str) -> dict:
    """Training on what the net reads in earnest."""
    file = f"read{workers or ''}"
    name = f"reading {net} {workers} {precision}"
    return trained(bench, name, net, file, f"{file}_solver", LRCN_PRECISION=precision)


def by_layer(bench: Bench, net: str, file: str | None, precision: str, **settings: str) -> dict:
    """By `caffe time`, each layer waited for."""
    file = file or bench.data
    times = 2 if bench.cpu else 10
    arguments = ["time", f"--model={file}.prototxt", "--phase=TRAIN", f"--iterations={times}"]
    if bench.nets[net]["stages"]:
        arguments.append(f"--stage={','.join(bench.nets[net]['stages'])}")
    name = " ".join(["layers", net, file, precision, *settings.values()])
    return {"layers": layer_times(bench.caffe(name, net, arguments, 120, LRCN_PRECISION=precision, **settings))}


def convolutions(bench: Bench, net: str) -> dict:
    """PyTorch's, one by one."""
    found: dict[str, dict] = {precision: {} for precision in PRECISIONS}
    for line in bench.torch(f"PyTorch {net} convolutions", f"{net} convolutions", 90):
        found[line["precision"]][line["layer"]] = {way: line[way] for way in ("forward", "backward")}
    return found


def exact(bench: Bench, net: str) -> dict:
    """Twenty iterations without dropout: on the card, on it again, broken off and gone on with, and on the CPU."""
    folder = bench.bundle / "nets" / net
    arguments = ["train", *solver(bench, net, "exact", base="exact_solver")]
    last = f"snapshot_iter_{max_iter(folder / 'exact_solver.prototxt')}.caffemodel"
    found: dict = {}
    weights = []
    for time_ in ("once", "again"):
        log = bench.caffe(f"exact {net} {time_}", net, arguments, 90)
        found[time_] = losses(log)
        weights.append(digest(folder / last))
    found["equal"] = weights[0] == weights[1] and found["once"] == found["again"]
    half = min(folder.glob("snapshot_iter_*.solverstate"), key=lambda path: int(re.findall(r"\d+", path.name)[0]))
    (folder / last).unlink()
    log = bench.caffe(f"exact {net} resumed", net, [*arguments, f"--snapshot={half.name}"], 90)
    found["resumed equal"] = digest(folder / last) == weights[0]
    if not bench.cpu:
        text = (folder / "exact_solver-exact.prototxt").read_text().replace("solver_mode: GPU", "solver_mode: CPU")
        (folder / "exact_cpu.prototxt").write_text(text)
        command = [bench.bundle / "engine" / "bin" / "caffe", "train", "--solver=exact_cpu.prototxt"]
        env = bench.environment({})
        try:
            found["cpu"] = losses(bench.run(f"exact {net} CPU", command, 120, folder, env))
            found["away"] = away(found["once"], found["cpu"])
        except Failed as error:  # what the card gave stands without it
            found["no CPU"] = str(error)
    return found


def max_iter(path: Path) -> int:
    return int(re.search(r"^max_iter: (\d+)", path.read_text(), re.MULTILINE)[1])


def away(one: dict[int, float], other: dict[int, float]) -> dict[int, float]:
    """The relative distance of the losses, iteration by iteration."""
    return {i: abs(one[i] - other[i]) / max(abs(other[i]), 1e-12) for i in sorted(one.keys() & other.keys())}


Row = tuple[str, float, Callable[[], dict]]  # name, seconds that it takes on a fast card, work


def all_rows(bench: Bench) -> list[Row]:
    """Every row, the most important first."""
    rows: list[Row] = [("machine", 5, lambda: machine(bench)), ("starts", 5, lambda: starts(bench))]

    def add(name: str, seconds: float, work, *arguments, **settings):
        rows.append((name, seconds, lambda: work(bench, *arguments, **settings)))

    for net in GOALS:
        add(f"PyTorch {net}", 9, in_torch, net)
        for precision in PRECISIONS:
            add(f"Caffe {net} {precision}", 10, in_caffe, net, precision)
    clips, *others = bench.facts["workers"]
    for precision in PRECISIONS:
        add(f"reading lrcn-fc6-rgb, {clips} workers, {precision}", 12, reading, "lrcn-fc6-rgb", clips, precision)
    for net in ("lrcn-fc6-rgb", "caption-finetune", "decoder-prob"):
        add(f"exact {net}", 15, exact, net)
    add("layers lrcn-fc6-rgb fp32", 8, by_layer, "lrcn-fc6-rgb", None, "fp32")
    add("convolutions lrcn-fc6-rgb", 8, convolutions, "lrcn-fc6-rgb")
    add("layers caption-finetune fp32", 6, by_layer, "caption-finetune", None, "fp32")
    add("layers decoder-prob fp32", 5, by_layer, "decoder-prob", None, "fp32")
    add("layers lrcn-fc6-rgb tf32", 8, by_layer, "lrcn-fc6-rgb", None, "tf32")
    for net in ("single-frame-rgb", "caption-finetune", "decoder-prob"):
        add(f"reading {net} fp32", 12, reading, net, 0, "fp32")
    for net in GOALS:
        add(f"before {net}", 12, before, net)
    add("layers lrcn-fc6-rgb fp32, cuDNN's others", 8, by_layer, "lrcn-fc6-rgb", "cudnn", "fp32")
    add("layers lrcn-fc6-rgb fp32, Caffe's own", 10, by_layer, "lrcn-fc6-rgb", "caffe", "fp32")
    add("layers decoder-prob fp32, unrolled", 5, by_layer, "decoder-prob", None, "fp32", LRCN_LSTM="unrolled")
    add("convolutions caption-finetune", 6, convolutions, "caption-finetune")
    add("layers caption-finetune tf32", 6, by_layer, "caption-finetune", None, "tf32")
    for workers in others:
        add(f"reading lrcn-fc6-rgb, {workers} workers, fp32", 12, reading, "lrcn-fc6-rgb", workers, "fp32")
    add("fast lrcn-fc6-rgb tf32", 10, trained, "fast", "lrcn-fc6-rgb", **fast(bench, "tf32"))
    add("im2col lrcn-fc6-rgb fp32", 10, trained, "im2col", "lrcn-fc6-rgb", "im2col")
    add("fast lrcn-fc6-rgb fp32", 10, trained, "fast fp32", "lrcn-fc6-rgb", **fast(bench, "fp32"))
    return rows


def fast(bench: Bench, precision: str) -> dict[str, str]:
    kept = str(bench.bundle / f"algorithms-fast-{precision}.txt")
    return {"LRCN_FAST": "1", "LRCN_PRECISION": precision, "LRCN_ALGORITHMS": kept}


def do(bench: Bench, rows: list[Row]) -> None:
    """All rows that there is time for."""
    for name, seconds, work in rows:
        begun = time.monotonic()
        if bench.left() < seconds * (0.1 if bench.cpu else 0.7):
            result = {"failed": f"left out: {bench.left():.0f} s were left"}
        else:
            try:
                result = work()
            except Exception as error:  # whatever it is, the other rows are worth having
                result = {"failed": f"{type(error).__name__}: {error}" if not isinstance(error, Failed) else str(error)}
        result["took"] = round(time.monotonic() - begun, 1)
        bench.results[name] = result
        write(bench)
        short = {key: value for key, value in result.items() if not isinstance(value, dict)}
        print(f"{name}: {json.dumps(short)[:300]}", flush=True)


# ---- the table -----------------------------------------------------------------------------------------------------


def write(bench: Bench) -> None:
    """gpu.json and gpu.txt, whole."""
    algorithms = {path.name: path.read_text() for path in sorted(bench.bundle.glob("algorithms-*.txt"))}
    document = {"rows": bench.results, "algorithms": algorithms}
    for name, text in (("gpu.json", json.dumps(document, indent=1)), ("gpu.txt", table(bench))):
        beside = bench.out / f".{name}"
        beside.write_text(text)
        beside.replace(bench.out / name)


def table(bench: Bench) -> str:
    results = bench.results
    where = {key: value for key, value in results.get("machine", {}).items() if key != "took"}
    parts = [json.dumps(where), "", *_net_lines(results), "", *_reading_lines(results), "", *_memory_lines(results), ""]
    parts += [*_convolution_lines(results), "", *_other_layer_lines(results), "", *_exact_lines(results)]
    failed = [f"{name}: {result['failed']}" for name, result in results.items() if "failed" in result]
    return "\n".join([*parts, "", "without numbers:", *failed] if failed else parts) + "\n"


def _ms(result: dict | None) -> str:
    if not result or "ms" not in result:
        return "-"
    return f"{result['ms']:.2f} [{result['least']:.2f} {result['most']:.2f}]"


def _ratio(one: dict | None, other: dict | None) -> float | None:
    return one["ms"] / other["ms"] if one and other and "ms" in one and "ms" in other else None


def _text(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3f}"


def _line(*cells) -> str:
    first, *others = cells
    return f"{first:<44}" + "".join(f"  {cell:>28}" for cell in others)


def _net_lines(results: dict) -> Iterator[str]:
    yield "Training, ms an iteration: median [least, most]; ratio to PyTorch"
    yield _line("net", "Caffe", "PyTorch", "ratio (goal)", "before, fp32 (ratio)")
    for net, goals in GOALS.items():
        of_torch = results.get(f"PyTorch {net}", {})
        for precision, goal in zip(PRECISIONS, goals, strict=True):
            ours, theirs = results.get(f"Caffe {net} {precision}"), of_torch.get(precision)
            was = results.get(f"before {net}") if precision == "fp32" else None
            past = f"{_ms(was)} ({_text(_ratio(was, theirs))})" if was else ""
            ratio = f"{_text(_ratio(ours, theirs))} (<= {goal})"
            yield _line(f"{net} {precision}", _ms(ours), _ms(theirs), ratio, past)
    for name, result in results.items():
        if name.startswith(("fast", "im2col")):
            yield _line(name, _ms(result))


def _reading_lines(results: dict) -> Iterator[str]:
    yield f"Reading, ms an iteration; ratio to data that lie on the card (goal of frames: <= {READING_GOAL})"
    for name, result in results.items():
        if name.startswith("reading "):
            net, precision = name.split()[1].rstrip(","), name.split()[-1]
            there = results.get(f"Caffe {net} {precision}")
            yield _line(name, _ms(result), _ms(there), _text(_ratio(result, there)))


def _memory_lines(results: dict) -> Iterator[str]:
    yield "Memory of the card, GiB: taken, lrcn's estimate"
    for name, result in results.items():
        if result.get("bytes") and "estimate" in result:
            yield _line(name, f"{result['bytes'] / 2**30:.2f}", f"{result['estimate'] / 2**30:.2f}")


def _convolution_lines(results: dict) -> Iterator[str]:
    yield "Convolutions, ms forward + backward: Caffe, PyTorch"
    for net in ("lrcn-fc6-rgb", "caption-finetune"):
        for precision in PRECISIONS:
            ours = results.get(f"layers {net} {precision}", {}).get("layers", {})
            theirs = results.get(f"convolutions {net}", {}).get(precision, {})
            for layer in sorted(name for name in ours.keys() | theirs.keys() if name.startswith("conv")):
                yield _line(f"{net} {precision} {layer}", _both(ours.get(layer)), _both(theirs.get(layer)))


def _both(times: dict | None) -> str:
    return f"{times.get('forward', 0):.3f} + {times.get('backward', 0):.3f}" if times else "-"


def _other_layer_lines(results: dict) -> Iterator[str]:
    yield "Other layers of 0.05 ms and more, ms forward + backward: default, cuDNN's, Caffe's own (LSTM unrolled)"
    for net, kinds in {
        "lrcn-fc6-rgb": (" fp32", " fp32, cuDNN's others", " fp32, Caffe's own"),
        "caption-finetune": (" fp32",),
        "decoder-prob": (" fp32", None, " fp32, unrolled"),
    }.items():
        timed = [results.get(f"layers {net}{kind}", {}).get("layers", {}) if kind else {} for kind in kinds]
        for layer, times in timed[0].items():
            if not layer.startswith("conv") and sum(times.values()) >= 0.05:
                yield _line(f"{net} {layer}", *(_both(each.get(layer)) for each in timed))


def _exact_lines(results: dict) -> Iterator[str]:
    yield "Exactness, 20 iterations: two runs equal, resumed equal, losses away from the CPU's at the 5th and the last"
    for name, result in results.items():
        if name.startswith("exact") and "equal" in result:
            distances = result.get("away", {})
            far = [f"{distances[i]:.1e}" for i in (5, max(distances, default=0)) if i in distances]
            yield _line(name, str(result["equal"]), str(result.get("resumed equal")), " ".join(far))


# ---- the whole -----------------------------------------------------------------------------------------------------


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("bundle", type=Path, help="the file that gpu_bundle.py wrote")
    parse.add_argument("out", type=Path, help="folder for gpu.txt, gpu.json and logs.tar.xz")
    parse.add_argument("--minutes", type=float, default=6, help="that all of it may take; 6 by default")
    parse.add_argument("--only", nargs="+", metavar="WORD", help="rows alone that have such a word in their names")
    parse.add_argument("--cpu", action="store_true", help="a rehearsal")
    asked = parse.parse_args()
    if not (asked.bundle.is_file() and tarfile.is_tarfile(asked.bundle)):
        parse.error(f"{asked.bundle}: no bundle; gpu_bundle.py writes one")
    deadline = time.monotonic() + 60 * asked.minutes - 5
    asked.out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="gpu-"))
    try:
        with tarfile.open(asked.bundle) as archive:
            archive.extractall(scratch, filter="data")
        bench = Bench(scratch / "bundle", asked.out, asked.cpu, deadline)
        rows = all_rows(bench)
        if asked.only:
            if nothing := [word for word in asked.only if not any(word in row[0] for row in rows)]:
                parse.error(f"--only {nothing[0]}: in no row's name; there are {', '.join(row[0] for row in rows)}")
            rows = [
                row for row in rows if row[0] in ("machine", "starts") or any(word in row[0] for word in asked.only)
            ]
        do(bench, rows)
        with tarfile.open(asked.out / "logs.tar.xz", "w:xz") as archive:
            archive.add(bench.logs, "logs")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print((asked.out / "gpu.txt").read_text())


if __name__ == "__main__":
    main()
