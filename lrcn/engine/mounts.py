"""What a container sees of this machine: the files and folders that a command reads and fills, each at its own path."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data_prep import DataError
from lrcn.engine import EngineError, cache
from readers.text import read_lines

MOUNTS = 64  # beyond which folders that hold several stand for them, where they may
MOST = 256  # of all
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


KERNEL = ("/dev", "/proc", "/run", "/sys", "/var/run")  # no data lies below these, but sockets and devices
DISKS = ("/dev/shm", "/run/media")  # but for these
PROGRAMS = ("/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/sbin")
LMDB = ("data.mdb", "lock.mdb")


class Bind(NamedTuple):
    """A file or folder `source` of this machine, without links, that the container sees at `target`."""

    source: str
    target: str
    writable: bool = False


def binds(reads: Iterable, writes: Iterable = ()) -> list[Bind]:
    """The mounts for what is read and what is written: each at the path that was given and at the one that its links
    lead to. None for what is not there: the command then says so itself.

    Links within are not followed: a data set or a run may come from others. Those that lead to what is mounted anyway
    work as they are; of a folder that is read, those that name an LMDB, as of frames on another disk, have its files
    mounted, to be read. Raises EngineError for another link that leads out, for sockets, pipes and devices, for folders
    of the system, which would hide the image's own, and for too many mounts.
    """
    by_target: dict[str, Bind] = {}
    reads = gathered(map(os.path.abspath, reads))
    for given, writable in [*((path, True) for path in writes), *((path, False) for path in reads)]:
        path, source = os.path.abspath(given), os.path.realpath(given)
        if not (os.path.isfile(source) or os.path.isdir(source)):
            continue
        if not {path, source}.isdisjoint(SYSTEM) or _is_kernels(path) or _is_kernels(source):
            raise EngineError(
                f"{path}: a folder of the system, which would hide the container's own; --engine docker takes files in"
                " folders of their own"
            )
        for target in (path, source):
            before = by_target.get(target)
            by_target[target] = Bind(source, target, writable or (before is not None and before.writable))
    asked = _needed(by_target)
    for folder in {bind.source: bind for bind in asked}.values():
        for link in links(folder.source):
            for bind in _behind(link, folder, asked):
                by_target.setdefault(bind.target, bind)
    needed = _needed(by_target)
    if len(needed) > MOST:
        raise _too_many(needed[0].source, len(needed))
    return needed


def _behind(link: str, folder: Bind, asked: list[Bind]) -> list[Bind]:
    """The mounts that a link within a mounted folder needs. Raises EngineError where it leads out of what is asked
    for."""
    target = os.path.abspath(os.path.join(os.path.dirname(link), os.readlink(link)))
    source = os.path.realpath(target)
    if not os.path.exists(source):  # the command meets it too
        return []
    if _is_within(target, (bind.target for bind in asked)):
        return []
    for bind in asked:
        if _is_within(source, [bind.source]):
            return [Bind(source, target, bind.writable)]
    if not folder.writable and (binds_of_lmdb := _lmdb(source, target)):
        return binds_of_lmdb
    raise EngineError(
        f"{link}: leads to {source}, and a container is shown no more than {folder.target}; put what it names in its"
        " place, or leave --engine docker out"
    )


def _lmdb(source: str, target: str) -> list[Bind]:
    """The mounts of an LMDB's files, to be read where a link names them and where they lie; none of what is no LMDB."""
    names = [""] if os.path.basename(source) == LMDB[0] and os.path.isfile(source) else LMDB
    files = {name: os.path.join(source, name).rstrip("/") for name in names}
    files = {name: file for name, file in files.items() if os.path.isfile(file) and not os.path.islink(file)}
    if names[0] not in files or any(map(is_private, files.values())):
        return []
    return [
        Bind(file, os.path.join(place, name).rstrip("/")) for name, file in files.items() for place in {source, target}
    ]


def _too_many(path: str, count: int) -> EngineError:
    return EngineError(
        f"{path}, ...: {count} files and folders, and a container is given {MOST} at most; bring them into one folder,"
        " or leave --engine docker out"
    )


def _is_within(path: str, folders: Iterable[str]) -> bool:
    """Whether it is one of these, or lies below one."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _is_kernels(path: str) -> bool:
    return _is_within(path, KERNEL) and not any(path.startswith(f"{disk}/") for disk in DISKS)


def is_private(path: str) -> bool:
    """Whether a file or folder is none that a data set may name: the system's, a home as a whole, what is hidden in
    one, as .ssh is, or a folder that holds one of these."""
    if _is_within(path, [str(cache())]):
        return False
    homes = _homes(path)
    hidden = any(_is_within(path, [home]) and os.path.relpath(path, home).startswith(".") for home in homes - {"/"})
    return (
        hidden
        or path in SYSTEM
        or _is_kernels(path)
        or _is_within(path, PROGRAMS)
        or any(_is_within(home, [path]) for home in homes)
    )


def _homes(path: str) -> set[str]:
    """The caller's, by its links too, and those that a path may lie in."""
    first = [*Path(path).parts, "", ""][2]
    homes = {os.path.expanduser("~"), "/root", f"/home/{first or '*'}"}
    with contextlib.suppress(KeyError):  # a user who is not known here
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    for folder in map(str, [Path(path), *Path(path).parents]):
        with contextlib.suppress(KeyError, OSError):
            if os.path.realpath(pwd.getpwuid(os.stat(folder).st_uid).pw_dir) == os.path.realpath(folder):
                homes.add(folder)
    return homes | set(map(os.path.realpath, homes))


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
    """The symbolic links within a folder. Raises EngineError for a socket, a pipe or a device there."""
    folders = [folder]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:  # it is a file, or the command meets it too
            continue
        for entry in entries:
            if entry.is_symlink():
                yield entry.path
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                raise EngineError(
                    f"{entry.path}: a socket, a pipe or a device, which a container is not given; remove it, or leave"
                    " --engine docker out"
                )


def gathered(paths: Iterable[str], most: int = MOUNTS) -> list[str]:
    """These files and folders; where they are more than `most`, folders that hold them in place of the deepest, but
    for those that hold others' files too: homes, disks as a whole. Raises EngineError where they are beyond MOST."""
    current = named = set(paths)
    while len(current) > most:
        above = {path: os.path.dirname(path) for path in current if not _is_shared(os.path.dirname(path))}
        if not above:
            break
        deepest = max(len(Path(path).parts) for path in above)
        current = {above[path] if path in above and len(Path(path).parts) == deepest else path for path in current}
    if len(current) > most and len(named) <= MOST:  # of no use, so that no more is shown than is named
        current = named
    if len(current) > MOST:
        raise _too_many(min(current), len(current))
    return sorted(current)


def _is_shared(folder: str) -> bool:
    return len(Path(folder).parts) < 3 or is_private(folder) or os.path.ismount(folder)


def named_by(folder: Path) -> list[str]:
    """The folders and files outside of a prepared data set that it names by their paths: images, and the HDF5 files of
    sentences or activations. Errors: DataError where `folder` is no data set, EngineError where it names what
    `is_private`."""
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
    for path in map(os.path.abspath, named):
        if is_private(path) or is_private(os.path.realpath(path)):
            raise EngineError(
                f"{folder}: names files in {path}, which a container is not shown; bring them into a folder of data and"
                " prepare the data set again, or leave --engine docker out"
            )
    return gathered(map(os.path.abspath, named))
