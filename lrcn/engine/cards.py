"""The NVIDIA cards of this machine, asked of the driver: `cards()` lists them, `misfit` says why one is of no use.

    for card in cards():
        print(card.number, card.name, card.capability, card.driver, card.memory)

needs no CUDA toolkit and nothing beyond Python: the driver's own library, libcuda.so.1, answers. It makes no context,
so it takes no memory on a card; its numbers are Caffe's, CUDA_VISIBLE_DEVICES and all.
"""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lrcn.engine.engines import EngineError

DRIVER_FILES = ("/sys/module/nvidia/version", "/proc/driver/nvidia/version")  # the kernel's module says its version
_NO_CARD = 100  # CUDA_ERROR_NO_DEVICE
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


@dataclass(frozen=True)
class Card:
    """A card that CUDA sees."""

    number: int  # as --gpu takes it
    name: str  # "NVIDIA H200"
    capability: str  # "9.0"
    driver: str  # "580.95.05"; "" where the kernel does not say
    cuda: str  # the newest CUDA that the driver runs, "13.0"
    memory: int  # bytes


def cards() -> list[Card]:
    """The cards, in the order of their numbers; [] where there is no card or no driver.

    Raises EngineError where there is a driver that does not start.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    status = cuda.cuInit(0)
    if status == _NO_CARD:
        return []
    if status:
        raise EngineError(f"NVIDIA's driver does not start: it answers {_error_name(cuda, status)}")
    number, newest = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(number))
    cuda.cuDriverGetVersion(ctypes.byref(newest))
    version = f"{newest.value // 1000}.{newest.value % 1000 // 10}"
    return [_card(cuda, each, version) for each in range(number.value)]


def misfit(toolkit: str, architectures: list[str], card: Card) -> str | None:
    """Why an engine of this CUDA toolkit ("13.0.88") and these architectures (as CMake names them: "75-real", "120")
    cannot compute on `card`, in a few words; None where it can."""
    if int(card.cuda.split(".")[0]) < int(toolkit.split(".")[0]):
        return f"its driver runs CUDA {card.cuda} at most, and this is CUDA {toolkit}"
    major, minor = map(int, card.capability.split("."))
    for name in architectures:
        architecture = re.fullmatch(r"(\d+)(\d)([af]?)(?:-(real|virtual))?", name)
        made_for = int(architecture[1]), int(architecture[2])
        runs_as_made = architecture[4] != "virtual" and made_for[0] == major and made_for[1] <= minor
        # What a letter stands behind is for that very one (a) or its family (f), and no driver makes another of it.
        translated = architecture[4] != "real" and not architecture[3] and made_for <= (major, minor)
        if (runs_as_made and (architecture[3] != "a" or made_for == (major, minor))) or translated:
            return None
    return f"it has sm_{major}{minor}, and this is for {' '.join(architectures)}"


def _card(cuda: ctypes.CDLL, number: int, newest_cuda: str) -> Card:
    device, name, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    major, minor = ctypes.c_int(), ctypes.c_int()
    for status in (
        cuda.cuDeviceGet(ctypes.byref(device), number),
        cuda.cuDeviceGetName(name, len(name), device),
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
        cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
    ):
        if status:
            raise EngineError(f"NVIDIA's driver says nothing of GPU {number}: {_error_name(cuda, status)}")
    capability = f"{major.value}.{minor.value}"
    return Card(number, name.value.decode(errors="replace"), capability, _driver(), newest_cuda, memory.value)


def _driver() -> str:
    """The version of the kernel's module."""
    for path in DRIVER_FILES:
        with suppress(OSError):
            if version := re.search(r"\d+(?:\.\d+){1,2}", Path(path).read_text()):
                return version[0]
    return ""


def _error_name(cuda: ctypes.CDLL, status: int) -> str:
    name = ctypes.c_char_p()
    cuda.cuGetErrorName(status, ctypes.byref(name))
    return name.value.decode() if name.value else f"error {status}"
