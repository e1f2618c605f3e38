"""Caffe on another machine, which is to compute the same bits as on this one."""

from __future__ import annotations

import hashlib
import platform
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data_prep import DataError
from data_prep.whole_files import write_json, writing
from data_prep.workers import cores, difference
from lrcn.engine import EngineError
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.engine.engines import processor_flags
from lrcn.engine.process import CaffeError
from readers.json_files import read_json


def traits(compute: Compute) -> dict[str, str]:
    """What the bits that it computes depend on, by name, beside `data_prep.workers.versions`."""
    engine, gpu = compute.engine, compute.about()
    named = {
        "Caffe": f"{engine.source} {engine.version}",
        "recipe of Caffe": engine.made_for["recipe"][:12],
        "compiler": f"{engine.compiler} {engine.flags}",
        "BLAS": engine.blas,
        "threads of the BLAS": str(min(compute.blas_threads or cores(), cores())),  # it takes no more than cores
        "kind of processor": _processor(),
    }
    if gpu:
        named |= {name: str(gpu[name]) for name in ("cards", "cuda", "cudnn", "precision", "deterministic")}
    return named


def _processor() -> str:
    """Its name, and what tells its abilities from another's."""
    name = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    abilities = hashlib.sha256(processor_flags().encode()).hexdigest()[:12]
    return f"{name[1] if name else platform.machine()} ({abilities})"


def check_begun(folder: Path, now: dict[str, str]) -> None:
    """Notes in a folder, which is made, by which `traits` what comes to lie in it is computed. Errors: DataError where
    it was begun with others."""
    note, mend = folder / "computed_by.json", f"remove {folder}"
    if note.exists() and (odd := difference(read_json(note, dict[str, str], DataError, mend), now)):
        raise DataError(f"{folder.parent}: was begun by another Caffe: {odd}; go on where it was begun, or remove it")
    with writing(folder):
        folder.mkdir(exist_ok=True)
    write_json(note, now)


_ONE = threading.Lock()


class _Told(Compute):
    """With so many threads of the BLAS, whatever the environment says: that of a dask worker says 1."""

    @property
    def blas_threads(self) -> int | None:
        return self.threads


@dataclass(frozen=True)
class Terms:
    """How Caffe computes on this machine, for another to do the same."""

    traits: dict[str, str]
    threads: int
    gpu: Gpu | None

    @classmethod
    def of(cls, compute: Compute) -> Terms:
        return cls(traits(compute), compute.blas_threads or cores(), compute.gpu)

    @contextmanager
    def kept(self) -> Iterator[Compute]:
        """A Compute of the machine on which it is called, for one at a time in this process: the others wait. Errors:
        DataError where that would compute other bits, or Caffe fails."""
        with _ONE:
            try:
                compute = _Told(gpu=self.gpu, threads=self.threads)
                if odd := difference(self.traits, traits(compute)):
                    raise DataError(
                        f"would compute other bits, with {odd}; `lrcn caffe build` there as here, or leave it out"
                    )
                yield compute
            except (EngineError, CaffeError) as error:
                raise DataError(str(error)) from None  # whose machine is named
