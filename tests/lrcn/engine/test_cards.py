"""What the driver is asked of the machine's cards: here a library of its name, compiled by the test, answers for it."""

import json
import os
import subprocess
import sys

import pytest

from lrcn.engine import cards
from lrcn.engine.cards import Card, misfit

# Two cards: an H200 and an A100 of another memory; or what the environment says that the driver answers.
DRIVER = r"""
#include <stdlib.h>
#include <string.h>
int cuInit(unsigned flags) { const char *e = getenv("ANSWER"); return e ? atoi(e) : 0; }
int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_OF_THE_TEST"; return 0; }
int cuDriverGetVersion(int *version) { *version = 13010; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int number) { *device = 40 + number; return number < 2 ? 0 : 101; }
int cuDeviceGetName(char *name, int size, int device) {
  strncpy(name, device == 40 ? "NVIDIA H200" : "NVIDIA A100", size); return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = device == 40 ? 150754820096 : 42505273344; return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) {
  if (which == 75) *value = device == 40 ? 9 : 8;
  else if (which == 76) *value = 0;
  else return 1;
  return getenv("MUTE") ? 999 : 0;
}
"""
ASK = """
import dataclasses, json
from lrcn.engine.cards import cards
print(json.dumps([dataclasses.asdict(card) for card in cards()]))
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(DRIVER)
    command = ["cc", "-shared", "-fPIC", "-w", folder / "driver.c", "-o", folder / "libcuda.so.1"]
    subprocess.run(command, check=True)
    return folder


def ask(library_path, **environment) -> subprocess.CompletedProcess:
    env = {**os.environ, **environment, "LD_LIBRARY_PATH": str(library_path)}
    return subprocess.run([sys.executable, "-c", ASK], env=env, capture_output=True, text=True)


def test_the_cards_are_what_the_driver_says(driver):
    first, second = json.loads(ask(driver).stdout)
    assert first | {"driver": ""} == {
        "number": 0,
        "name": "NVIDIA H200",
        "capability": "9.0",
        "driver": "",
        "cuda": "13.1",
        "memory": 150754820096,
    }
    assert (second["number"], second["name"], second["capability"]) == (1, "NVIDIA A100", "8.0")


def test_no_card_is_no_error_and_a_driver_that_does_not_start_is_one(driver):
    assert ask(driver, ANSWER="100").stdout == "[]\n"
    assert (
        "EngineError: NVIDIA's driver does not start: it answers CUDA_ERROR_OF_THE_TEST"
        in ask(driver, ANSWER="804").stderr
    )
    assert "EngineError: NVIDIA's driver says nothing of GPU 0: " in ask(driver, MUTE="1").stderr


def test_no_driver_is_no_card(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(cards.ctypes, "CDLL", missing)
    assert cards.cards() == []


@pytest.mark.parametrize(
    "says, version",
    [
        ("580.95.05\n", "580.95.05"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.06  Wed Jun 26\nGCC version: 12.2.0\n", "535.183.06"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  570.86  Release Build\n", "570.86"),
    ],
)
def test_the_drivers_version_is_the_kernel_modules(tmp_path, monkeypatch, says, version):
    (tmp_path / "version").write_text(says)
    monkeypatch.setattr(cards, "DRIVER_FILES", (tmp_path / "absent", tmp_path / "version"))
    assert cards._driver() == version


def card(capability: str, cuda: str = "13.0") -> Card:
    return Card(0, "a card", capability, "", cuda, 0)


@pytest.mark.parametrize(
    "capability, architectures, fits",
    [
        ("9.0", ["90-real"], True),
        ("8.9", ["80-real", "86-real"], True),  # a minor one runs what was made for those before it
        ("8.0", ["86-real"], False),
        ("7.5", ["70-real"], True),
        ("9.0", ["80-real"], False),
        ("9.0", ["80"], True),  # its PTX is translated by the driver
        ("9.0", ["80-virtual"], True),
        ("8.0", ["90"], False),
        ("12.1", ["75-real", "120"], True),
        ("10.3", ["100-real"], True),
        ("9.0", ["90a-real"], True),
        ("10.3", ["100a"], False),
        ("10.3", ["100f-real"], True),
        ("12.0", ["100f"], False),
        ("6.1", ["75-real", "120"], False),
    ],
)
def test_which_architectures_a_card_runs(capability, architectures, fits):
    reason = misfit("13.0.88", architectures, card(capability))
    assert (reason is None) == fits
    assert fits or f"it has sm_{capability.replace('.', '')}, and this is for {architectures[0]}" in reason


def test_a_driver_that_is_older_than_the_toolkit_does_not_run_it():
    assert misfit("13.0.88", ["90"], card("9.0", "12.4")) == (
        "its driver runs CUDA 12.4 at most, and this is CUDA 13.0.88"
    )
    assert misfit("11.8.89", ["90"], card("9.0", "12.4")) is None
    assert misfit("12.9.86", ["90"], card("9.0", "12.4")) is None  # within a major version, as NVIDIA promises
