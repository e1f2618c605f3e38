"""HDF5: what its datasets hold, and nothing that they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from readers import reading
from readers.bounds import check_bytes
from readers.text import printable

if TYPE_CHECKING:
    import h5py
    import numpy as np

    from readers import Fault, Place

_MOST_LINKS = 16  # that lead on to one another, as many as HDF5 itself follows


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

    there = member(file, name)
    if not isinstance(there, h5py.Dataset) or there.shape is None:
        return None
    if there.is_virtual or there.external:
        raise ValueError(f"'{printable(name)}' is stored in other files")
    return there


def member(file: h5py.Group, name: str) -> h5py.HLObject | None:
    """A group or a dataset; None where there is none of this name. ValueError, before anything is opened, where a link
    on the way to it leads into another file, or many lead on to one another."""
    import h5py

    group, todo, soft = file, [part for part in reversed(name.split("/")) if part], 0
    while todo:
        part = todo.pop()
        key = part.encode("utf-8", "surrogateescape")
        if not isinstance(group, h5py.Group) or not group.id.links.exists(key):
            return None
        kind = group.id.links.get_info(key).type
        if kind == h5py.h5l.TYPE_SOFT:
            target = group.id.links.get_val(key).decode("utf-8", "surrogateescape")
            group, soft = file.file if target.startswith("/") else group, soft + 1
            todo += [step for step in reversed(target.split("/")) if step not in ("", ".")]
            if soft > _MOST_LINKS:
                raise ValueError(f"'{printable(name)}' is a link to a link to a link")
        elif kind == h5py.h5l.TYPE_HARD:
            group = group[part]
        else:
            raise ValueError(f"'{printable(name)}' is a link to another file")
    return group


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
