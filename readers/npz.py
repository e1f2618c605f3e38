"""NumPy's files: .npz, and .npy; never a pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING

from readers import reading
from readers.bounds import check_bytes

if TYPE_CHECKING:
    import numpy as np

    from readers import Fault, Place

MEND = "name the right file, or make it again"


@contextmanager
def open_npz(path: Place, error: Fault, mend: str = MEND) -> Iterator[Mapping[str, np.ndarray]]:
    """Name -> array of an .npz, each read when it is asked for. Whatever is raised within becomes `error`, one line;
    errors of that class pass."""
    _check_file(path, error, mend)
    with reading(path, ".npz file", error, mend), zipfile.ZipFile(path) as archive:
        yield _Arrays(archive, path, error, mend)


def read_npy(path: Place, error: Fault, mend: str = MEND) -> np.ndarray:
    """The array of an .npy. Raises `error`, one line."""
    _check_file(path, error, mend)
    with reading(path, ".npy file", error, mend), open(path, "rb") as file:
        return _array(file, Path(path).stat().st_size, path, error)


class _Arrays(Mapping[str, "np.ndarray"]):
    def __init__(self, archive: zipfile.ZipFile, path: Place, error: Fault, mend: str) -> None:
        self._archive, self._path, self._error, self._mend = archive, path, error, mend
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        self._members = {member.filename[: -len(".npy")]: member for member in members}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, name: str) -> np.ndarray:
        member, where = self._members[name], f"{self._path}: {name}"
        with reading(where, "array", self._error, self._mend), self._archive.open(member) as file:
            return _array(file, member.file_size, where, self._error)


def _array(file: IO[bytes], size: int, where: Place, error: Fault) -> np.ndarray:
    """The array in a file of `size` bytes. What its header claims is held against them before it is allocated."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise ValueError(f"version {version[0]}.{version[1]} of its header, not 1.0 or 2.0")
    shape, columns_first, dtype = header(file)
    if dtype.hasobject:
        raise ValueError("Python's objects, which are not read: save numbers, or texts by dtype=str, all of one shape")
    due = prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or due > size:
        raise ValueError(f"its header claims {shape} of {dtype}, {due:,} bytes, where {size:,} are")
    check_bytes(due, where, error)
    content = file.read(due)
    if len(content) < due:
        raise ValueError(f"cut off: {len(content):,} bytes where {due:,} are due")
    return np.frombuffer(bytearray(content), dtype).reshape(shape, order="F" if columns_first else "C")


def _check_file(path: Place, error: Fault, mend: str) -> None:
    if not Path(path).is_file():
        raise error(f"{path}: {'not a file' if Path(path).exists() else 'no such file'}; {mend}")
