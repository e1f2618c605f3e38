"""What a container sees of this machine: the files and folders that a command reads and fills, each at its own path."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data_prep import DataError
from lrcn.engine import EngineError
from readers.text import read_lines

MOUNTS = 64  # at most, about
SYSTEM = {
    "/",
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/opt",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/var",
}  # mounted, they would hide the image's


class Bind(NamedTuple):
    """A file or folder `source` of this machine, without links, that the container sees at `target`."""

    source: str
    target: str
    writable: bool = False


def binds(reads: Iterable, writes: Iterable = ()) -> list[Bind]:
    """The mounts for what is read and what is written: each at the path that was given and at the one that its links
    lead to, and also where links within it lead to. None for what is not there: the command then says so itself.

    Raises EngineError for folders of the system, which would hide the image's own.
    """
    by_target: dict[str, Bind] = {}
    reads = gathered(map(os.path.abspath, reads))
    waiting, walked = [(path, True, True) for path in writes] + [(path, False, True) for path in reads], set()
    while waiting:
        path, writable, by_user = waiting.pop()
        path, source = os.path.abspath(path), os.path.realpath(path)
        if not (os.path.isfile(source) or os.path.isdir(source)):
            continue
        if not {path, source}.isdisjoint(SYSTEM):
            if by_user:
                raise EngineError(
                    f"{path}: a folder of the system, which would hide the container's own; --engine "
                    "docker takes files in folders of their own"
                )
            continue
        for target in (path, source):
            writable = writable or (target in by_target and by_target[target].writable)
            by_target[target] = Bind(source, target, writable)
        if os.path.isdir(source) and (source, writable) not in walked:
            walked.add((source, writable))
            waiting += [(link, writable, False) for link in links(source)]
    return _needed(by_target)


def _needed(by_target: dict[str, Bind]) -> list[Bind]:
    """These mounts, but for those that another one holds already."""
    needed: dict[str, Bind] = {}
    for target in sorted(by_target, key=lambda path: Path(path).parts):  # what holds another comes before it
        bind = by_target[target]
        above = next((needed[str(folder)] for folder in Path(target).parents if str(folder) in needed), None)
        if above:
            source_above = os.path.join(above.source, os.path.relpath(target, above.target))
            alike = bind.writable == above.writable or (above.writable and os.path.isfile(bind.source))
            if alike and source_above == bind.source:
                continue
        needed[target] = bind
    return list(needed.values())


def links(folder: str) -> Iterator[str]:
    """What the symbolic links within a folder name, as they name it."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # the command meets it too
        return
    for entry in entries:
        if entry.is_symlink():
            yield os.path.join(folder, os.readlink(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            yield from links(entry.path)


def gathered(paths: Iterable[str], most: int = MOUNTS) -> list[str]:
    """These files and folders; where they are more than `most`, folders that hold them in place of the deepest."""
    current = set(paths)
    while len(current) > most:
        deepest = max(len(Path(path).parts) for path in current)
        lifted = {
            os.path.dirname(path) if len(Path(path).parts) == deepest and os.path.dirname(path) not in SYSTEM else path
            for path in current
        }
        if lifted == current:
            break
        current = lifted
    return sorted(current)


def named_by(folder: Path) -> list[str]:
    """The folders and files outside of a prepared data set that it names by their paths: images, and the HDF5 files of
    sentences or activations. Errors: DataError where `folder` is no data set."""
    from data_prep.dataset import Dataset, described_images

    dataset, named = Dataset(folder), set()
    if dataset.kind == "frames":
        return []
    for part in ("images", "captions", "sentences", "features"):
        for listing in dataset.folder.glob(f"*_{part}.txt"):
            lines = read_lines(listing, DataError)
            files = dict.fromkeys(line.removesuffix(" 0") for line in lines if line.startswith("/"))
            named |= {os.path.dirname(dataset.located(file)) for file in files}
    if dataset.kind == "captions" and (dataset.folder / "captions.json").exists():
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # the command says what is wrong with it
            named |= {
                os.path.dirname(dataset.located(each["file"]))
                for each in described_images(dataset.folder)
                if each["file"].startswith("/")
            }
    if isinstance(features := dataset.description.get("features"), str):
        named.add(str(dataset.located(features)))
    return gathered(map(os.path.abspath, named))
