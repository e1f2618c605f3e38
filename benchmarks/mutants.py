"""Which small changes of the code no test notices: mutmut on chosen files, each with the tests that concern it.

    .venv/bin/python benchmarks/mutants.py [FILE ...]        all of CHOSEN by default; `make mutants`

Works on a copy of the checkout, and ends with each survivor's change. A survivor is a test that is missing, or a change
that changes nothing; which, only a reader can tell.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ACTIVITY = "tests/lrcn/activity"
CHOSEN = {
    "lrcn/activity/sampler.py": [f"{ACTIVITY}/test_{name}.py" for name in ("sampler", "reference_batch", "score")],
    "lrcn/activity/score.py": [f"{ACTIVITY}/test_score.py"],
    "lrcn/activity/evaluate.py": [f"{ACTIVITY}/test_measures.py"],
    "lrcn/pixels.py": ["tests/lrcn/test_pixels.py", f"{ACTIVITY}/test_reference_batch.py"],
    "lrcn/sentences/decoding.py": ["tests/lrcn/sentences/test_decoding.py"],
    "lrcn/results/compare.py": [
        f"{ACTIVITY}/test_measures.py",
        "tests/lrcn/sentences/test_evaluate.py",
        "tests/lrcn/results/test_formats.py",
    ],
    "lrcn/results/numbers.py": ["tests/lrcn/results/test_numbers.py"],
    "prototxt_gen/shapes.py": ["tests/prototxt_gen/test_shapes.py"],
}
SETTINGS = """
[tool.mutmut]
source_paths = ["{file}"]
also_copy = ["lrcn", "readers", "netspecs", "prototxt_gen", "data_prep", "docker", "README.md"]
pytest_add_cli_args = ["-m", "not engine", "-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
"""


def mutmut(folder: Path, *arguments: str) -> str:
    command = [Path(sys.executable).with_name("mutmut"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"mutmut {arguments[0]}: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def copy_of_checkout(folder: Path, file: str) -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write(SETTINGS.format(file=file, tests=CHOSEN[file]))


def survivors(file: str) -> list[str]:
    """How many changes came to what, then each that no test noticed, as a diff. Where no test came by at all ("no
    tests") is what only Caffe's process runs."""
    with tempfile.TemporaryDirectory(prefix="lrcn-mutants-") as folder:
        copy_of_checkout(Path(folder), file)
        mutmut(Path(folder), "run")
        results = mutmut(Path(folder), "results", "--all", "true").split("\n")
        fates = dict(line.strip().rsplit(": ", 1) for line in results if ": " in line)
        counts = ", ".join(f"{count} {fate}" for fate, count in Counter(fates.values()).most_common())
        unseen = [name for name, fate in fates.items() if fate == "survived"]
        return [f"{file}: {counts}", *(mutmut(Path(folder), "show", name) for name in unseen)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", choices=[[], *CHOSEN], help=f"of {', '.join(CHOSEN)}")
    for file in parser.parse_args().files or CHOSEN:
        print(*survivors(file), sep="\n", flush=True)


if __name__ == "__main__":
    main()
