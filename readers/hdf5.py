"""HDF5: what its datasets hold, and nothing that they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from readers import reading
from readers.bounds import check_bytes

if TYPE_CHECKING:
    import h5py
    import numpy as np

    from readers import Fault, Place


@contextmanager
def open_hdf5(path: Place, error: Fault, mend: str = "name an HDF5 file, or fetch it again") -> Iterator[h5py.File]:
    """The file, to be read. Whatever h5py raises within becomes `error`, one line; errors of that class pass."""
    import h5py

    if Path(path).exists() and not Path(path).is_file():
        raise error(f"{path}: not a file; {mend}")
    if not Path(path).exists():
        raise error(f"{path}: no such file; {mend}")
    with reading(path, "HDF5 file", error, mend), h5py.File(path, "r") as file:
        yield file


def dataset(file: h5py.Group, name: str) -> h5py.Dataset | None:
    """A dataset of an open file; None where there is none of this name, or it has no shape. ValueError for what lies in
    another file: a link to it, or storage outside."""
    import h5py

    parts = name.split("/")
    for end in range(1, len(parts) + 1):
        link: Any = file.get("/".join(parts[:end]) or "/", getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise ValueError(f"'{name}' is a link to another file")
    there = file.get(name)
    if not isinstance(there, h5py.Dataset) or there.shape is None:
        return None
    if there.is_virtual or there.external or there.file.filename != file.file.filename:
        raise ValueError(f"'{name}' is stored in other files")
    return there


def read_array(file: h5py.Group, name: str, path: Place, error: Fault) -> np.ndarray | None:
    """The numbers of a dataset, whole; None as `dataset`. Raises `error` for one that is larger than is allowed,
    ValueError for what are no numbers."""
    there = dataset(file, name)
    if there is None:
        return None
    if there.dtype.kind not in "iufb":
        raise ValueError(f"'{name}' holds {there.dtype}, no numbers")
    check_bytes(there.size * there.dtype.itemsize, f"{path}: '{name}'", error)
    return there[()]
