"""Data sets that lie elsewhere than where they were prepared.

Caffe reads HDF5 files and images by lists of absolute paths, so a prepared data set names files: its own, and those
beside it (images, the sentences of captions that activations were extracted for). After it was moved they are found by
where they lie from the data set's folder; for its own files that is certain, for others where they were moved along.

Where it was prepared it does not say: that follows from its lists, which begin with HDF5 files of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from data_prep import DataError
from data_prep.whole_files import write_bytes, writing

LISTS = "lists"  # the folder in a run for lists whose paths were mended
MEND = "put it back, or move it along with the data set, or prepare the data set again"


class Whereabouts:
    """Where the files are that the data set in `folder` names."""

    def __init__(self, folder: Path):
        self.folder = os.path.abspath(folder)
        self.before = _prepared_in(Path(self.folder))  # None where it lies there still, or names no files
        self._folders: dict[str, str] = {}  # folder as it is named -> where it is now

    def __call__(self, path: str) -> str:
        """The file that is named `path`: itself where the data set was not moved, or where it was not moved along."""
        if self.before is None or not os.path.isabs(path):
            return path
        named, file = os.path.split(path)
        if named not in self._folders:
            moved = os.path.normpath(os.path.join(self.folder, os.path.relpath(named, self.before)))
            self._folders[named] = moved if os.path.isdir(moved) else named
        there = os.path.join(self._folders[named], file)
        return there if os.path.exists(there) else path

    def named(self, path: str) -> str:
        """How the data set names the file that is at `path` now, if that was moved along with it."""
        if self.before is None or not os.path.isabs(path):
            return path
        return os.path.normpath(os.path.join(self.before, os.path.relpath(path, self.folder)))


def _prepared_in(folder: Path) -> str | None:
    """The folder that a data set was prepared in; None where that is `folder` itself, or no list tells."""
    for listing in filter(Path.is_file, sorted(folder.glob("*.txt"))):
        with open(listing, "rb") as file:
            entry = os.fsdecode(file.readline().rstrip(b"\n"))
        if not (os.path.isabs(entry) and entry.endswith(".h5")):
            continue
        parts = Path(entry).parts
        for count in range(1, len(parts) - 1):
            if folder.joinpath(*parts[-count:]).exists():
                before = os.path.join(*parts[:-count])
                same = os.path.isdir(before) and os.path.samefile(before, folder)
                return None if same else before
    return None


def lists_of_run(net, dataset, run: Path) -> bool:
    """Makes those layers of `net` that read files by a list of a data set that was moved read them where they are now;
    whether there are any.

    net: a NetParameter, changed in place. run: the folder in which Caffe runs; the mended lists are written to its
    folder `lists`, under their own names. Errors: DataError where a file is nowhere.
    """
    changed = False
    for layer in net.layer if dataset.moved else ():
        param = {"ImageData": layer.image_data_param, "HDF5Data": layer.hdf5_data_param}.get(layer.type)
        if param is None:
            continue
        source = Path(run) / param.source
        if not source.is_file() or not os.path.samefile(source.parent, dataset.folder):
            continue
        lines = [line for line in os.fsdecode(source.read_bytes()).split("\n") if line.strip()]
        parts = [line.rpartition(" ") if layer.type == "ImageData" else (line, "", "") for line in lines]
        there = {file: str(dataset.located(file)) for file, _, _ in parts}
        _check(there.values(), source, blanks=layer.type == "ImageData")
        if all(named == file for named, file in there.items()):
            continue
        folder = Path(run) / LISTS
        with writing(folder):
            folder.mkdir(exist_ok=True)
        write_bytes(
            folder / source.name, os.fsencode("".join(f"{there[file]}{blank}{end}\n" for file, blank, end in parts))
        )
        param.source = f"{LISTS}/{source.name}"  # Caffe runs in `run`, whose own name may have blanks
        changed = True
    return changed


def _check(files: Iterable[str], source: Path, blanks: bool) -> None:
    """DataError where Caffe will not find a file; `blanks`: paths may have some."""
    for file in files:
        if not os.path.exists(file):
            raise DataError(f"{source}: names {file}, which is not there; {MEND}")
        if not blanks and any(character.isspace() for character in file):
            raise DataError(f"{file}: Caffe's HDF5Data reads paths up to the first blank; move it to a folder without")
