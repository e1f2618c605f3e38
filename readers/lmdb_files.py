"""LMDB files, held against what they say of themselves before they are mapped: a page that is missing, or that points
astray, ends the process that reads it with a signal.

The format is LMDB 0.9's on 64-bit little-endian machines (`mdb.c`: MDB_meta, MDB_db, MDB_page, MDB_node). Pages are
read here, never mapped: the file may be cut. Overflow pages, in which large records lie, are counted and not read: what
is read is a hundredth of a data set of images.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import lt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb
import numpy as np

if TYPE_CHECKING:
    from readers import Fault, Place

MEND = "copy it anew, or make it again"
MAGIC, VERSION = 0xBEEFC0DE, 1
HEADER = 16  # bytes, of a page
BRANCH, LEAF, META = 1, 2, 8  # flags of a page
PASSING = 0x8010  # flags that say something to the process that writes alone
BIG, SUB_DATABASE, SEVERAL = 1, 2, 4  # flags of a node
DUPLICATES, FIXED_MAP = 4, 1  # flags of a database
NOWHERE = 2**64 - 1  # the root of an empty tree
MOST_LEVELS = 32  # of a tree, which LMDB's cursors can go down
AT_ONCE = 256  # pages in memory
TRIES = 3  # to look at a file that another process writes


class _Damage(ValueError):
    """What is wrong with the pages, in a few words."""


@dataclass(frozen=True)
class _Tree:
    """MDB_db."""

    flags: int
    depth: int
    branches: int
    leaves: int
    entries: int
    root: int


@dataclass(frozen=True)
class _Meta:
    """MDB_meta. page: bytes of one; free, main: the trees; last: the number of the last page; transaction: its
    number."""

    page: int
    free: _Tree
    main: _Tree
    last: int
    transaction: int


class _BeingWritten(_Damage):
    """It is no damage."""


def open_lmdb(path: Place, error: Fault, mend: str = MEND, tree: bool = True) -> lmdb.Environment:
    """An LMDB, a folder or a file alone (MDB_NOSUBDIR), opened for reading, without a lock: it writes nothing, and the
    file may be another user's.

    All in this process share it, as LMDB wants it, and it stays open until `close_lmdb`; it is opened anew where its
    file has become another. tree: whether all its pages are checked, not its size alone; for those whose caller has
    done so. Raises `error`, one line, for a file that is none, is cut off or damaged.
    """
    file = data_file(path)
    try:
        at, identity = os.stat(file), _identity(path)
        state = at.st_ino, at.st_size, at.st_mtime_ns
        with _opening:
            before, checked, environment = _opened.get(identity, (None, False, None))
            if before != state or (tree and not checked):
                check_lmdb(path, error, mend, tree)
            if environment is None or before != state:
                _close(identity)
                folder = Path(path).is_dir()
                environment = lmdb.open(os.fspath(path), subdir=folder, readonly=True, lock=False, readahead=False)
                checked = False
            _opened[identity] = state, checked or tree, environment
        return environment
    except (OSError, lmdb.Error) as reason:
        raise error(_line(file, reason, mend)) from None


def read_records(path: Place, error: Fault, mend: str = MEND) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of an LMDB's records, in the order of keys. Raises `error` as `open_lmdb` does."""
    shared = Path(path).exists() and _identity(path) in _opened
    environment = open_lmdb(path, error, mend)
    try:
        with environment.begin() as transaction, transaction.cursor() as cursor:
            yield from cursor
    except lmdb.Error as reason:  # of the pages of a record
        raise error(_line(data_file(path), reason, mend)) from None
    finally:
        if not shared:
            close_lmdb(path)


def close_lmdb(path: Place) -> None:
    """Before an LMDB is written to or removed: a process may not have it open twice."""
    if Path(path).exists():
        _close(_identity(path))


def data_file(path: Place) -> Path:
    """The file in which the pages of an LMDB lie."""
    return Path(path) / "data.mdb" if Path(path).is_dir() else Path(path)


def check_lmdb(path: Place, error: Fault, mend: str = MEND, tree: bool = True) -> int:
    """The number of an LMDB's records. Raises `error` as `open_lmdb` does."""
    file = data_file(path)
    try:
        with _Pages(file) as pages:
            return _check(pages, tree)
    except (OSError, _Damage) as reason:
        raise error(_line(file, reason, mend)) from None


# a process may open an LMDB only once, however many read it: (process, device, inode) -> (state, checked, opened)
_opened: dict[tuple[int, ...], tuple[tuple[int, ...], bool, lmdb.Environment]] = {}
_opening = threading.Lock()


def _identity(path: Place) -> tuple[int, ...]:
    at = os.stat(path)
    return os.getpid(), at.st_dev, at.st_ino


def _close(identity: tuple[int, ...]) -> None:
    if identity in _opened:
        _opened.pop(identity)[-1].close()


def _line(file: Path, reason: Exception, mend: str) -> str:
    if isinstance(reason, FileNotFoundError):
        why = "no such file"
    elif isinstance(reason, _Damage):
        why = str(reason)
    else:
        why = f"no readable LMDB ({getattr(reason, 'strerror', None) or ' '.join(str(reason).split())})"
    return "; ".join(filter(None, (f"{file}: {why}", "" if isinstance(reason, _BeingWritten) else mend)))


# ---- pages -------------------------------------------------------------------------------------------------


class _Pages:
    """The pages of a file; a context manager."""

    def __init__(self, file: Path):
        # not to wait for a pipe's other end
        self.number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(self.number).st_mode):
            os.close(self.number)
            raise _Damage("no file, a folder or a device, where an LMDB is due")

    def __enter__(self) -> _Pages:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)

    def size(self) -> int:
        return os.fstat(self.number).st_size

    def meta(self) -> _Meta:
        """The state that LMDB reads: the newer of the two that it keeps. Raises _Damage."""
        first = _meta(os.pread(self.number, 4096, 0))
        second = _meta(os.pread(self.number, 4096, first.page))
        if first.page != second.page:
            raise _Damage(f"is damaged (its pages have {first.page} bytes, or {second.page})")
        return first if first.transaction >= second.transaction else second

    def read(self, numbers: np.ndarray, size: int) -> np.ndarray:
        """Whole pages, (n, size) uint8. Raises _Damage where the file ends before."""
        pages = np.empty((len(numbers), size), np.uint8)
        for row, number in zip(pages, numbers.tolist()):
            if os.preadv(self.number, [row.data], number * size) != size:
                raise _Damage(f"is cut off (page {number})")
        return pages


def _meta(page: bytes) -> _Meta:
    number = np.frombuffer(page.ljust(HEADER + 136, b"\0"), np.uint8)

    def at(offset: int, size: int) -> int:
        return int.from_bytes(number[offset : offset + size].tobytes(), "little")

    def tree(offset: int) -> _Tree:
        long = [at(offset + 8 + 8 * i, 8) for i in range(5)]
        return _Tree(at(offset + 4, 2), at(offset + 6, 2), long[0], long[1], long[3], long[4])

    if len(page) < HEADER + 136 or at(HEADER, 4) != MAGIC or not at(10, 2) & META:
        raise _Damage("no LMDB, or cut off" if len(page) < HEADER + 136 else "no LMDB, or its first pages are damaged")
    if at(HEADER + 4, 4) != VERSION:
        raise _Damage(f"an LMDB of version {at(HEADER + 4, 4)}, where {VERSION} is read")
    size = at(40, 4)
    if size not in (1 << power for power in range(9, 16)):
        raise _Damage(f"is damaged (pages of {size} bytes)")
    return _Meta(size, tree(40), tree(88), at(136, 8), at(144, 8))


def _check(pages: _Pages, tree: bool) -> int:
    """The number of records. Raises _Damage; of a file that another process writes, not for what it finds halfway."""
    for _ in range(TRIES):
        meta = pages.meta()
        try:
            _check_state(pages, meta, tree)
            return meta.main.entries
        except _Damage:
            if pages.meta() == meta:
                raise
    raise _BeingWritten("is being written by another process; wait for its end")


def _check_state(pages: _Pages, meta: _Meta, tree: bool) -> None:
    due = (meta.last + 1) * meta.page
    if pages.size() < due:
        raise _Damage(f"is cut off, it had {due} bytes and has {pages.size()}")
    if meta.free.flags & FIXED_MAP:
        raise _Damage("is damaged, or of a kind that is not read (MDB_FIXEDMAP)")
    if meta.main.flags == DUPLICATES:
        raise _Damage("has several values a key (MDB_DUPSORT), which are not read")
    if meta.main.flags:
        raise _Damage(f"is damaged, or of a kind that is not read (flags {meta.main.flags:#x})")
    if tree:
        runs = [*_Walk(pages, meta, meta.main).runs(), *_Walk(pages, meta, meta.free, free=True).runs()]
        starts, counts = (np.concatenate([each[i] for each in runs] or [np.zeros(0, np.int64)]) for i in (0, 1))
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], (starts + counts)[order]
        if (twice := np.flatnonzero(starts[1:] < ends[:-1])).size:
            raise _Damage(f"is damaged (page {starts[1:][twice[0]]} is used twice)")


# ---- a tree ------------------------------------------------------------------------------------------------


class _Walk:
    """A tree, gone through level by level, from left to right."""

    def __init__(self, pages: _Pages, meta: _Meta, tree: _Tree, free: bool = False):
        self.pages, self.meta, self.tree, self.free = pages, meta, tree, free
        self.order: Callable[[bytes], object] | None = _as_integer if free else None  # of bytes, by themselves
        self.entries = 0

    def runs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(first pages, numbers of pages) of what the tree takes. Raises _Damage."""
        tree = self.tree
        if tree.root == NOWHERE:
            if tree.entries:
                raise _Damage("is damaged (it says that it is empty, and has records)")
            return
        if not 1 <= tree.depth <= MOST_LEVELS:
            raise _Damage(f"is damaged (a tree of {tree.depth} levels)")
        numbers, bounds = np.array([tree.root], np.uint64), [None]
        left = {BRANCH: tree.branches, LEAF: tree.leaves}
        for level in range(1, tree.depth + 1):
            kind = LEAF if level == tree.depth else BRANCH
            left[kind] -= len(numbers)
            if left[kind] < 0:
                raise _Damage("is damaged (it has more pages than it says)")
            self._check_numbers(numbers, 1)
            yield numbers.astype(np.int64), np.ones(len(numbers), np.int64)
            below, last, bounds_below = [], None, []
            for first in range(0, len(numbers), AT_ONCE):
                some = numbers[first : first + AT_ONCE]
                nodes = _Nodes(self.pages.read(some, self.meta.page), some, kind, 1 if kind == LEAF or self.free else 2)
                last = self._check_keys(nodes, bounds[first : first + AT_ONCE], last)
                if kind == BRANCH:
                    below.append(nodes.children())
                    bounds_below += self._bounds(nodes, bounds[first : first + AT_ONCE])
                else:
                    self.entries += len(nodes.page)
                    yield self._overflow(nodes)
            if kind == BRANCH:
                numbers, bounds = np.concatenate(below), bounds_below
        if any(left.values()) or self.entries != tree.entries:
            raise _Damage(f"is damaged (it has {self.entries} records and says {tree.entries})")

    def _check_numbers(self, numbers: np.ndarray, counts: np.ndarray | int) -> None:
        """Raises _Damage where pages from these numbers on are not in the file."""
        after = np.uint64(self.meta.last + 1)
        # counts are below 2 ** 24
        bad = (numbers < 2) | (numbers >= after) | (after - np.minimum(numbers, after) < np.asarray(counts, np.uint64))
        if bad.any():
            raise _Damage(f"is damaged (it points to page {numbers[bad][0]} of {after})")

    def _check_keys(self, nodes: _Nodes, bounds: list[Any], last: Any) -> Any:
        """Keys ascend over all pages, and are where their parents say. Gives the last. Raises _Damage."""
        keys = nodes.keys(self.order)
        starts = nodes.starts.tolist()
        skipped = 1 if nodes.kind == BRANCH else 0  # the first key of a branch page says nothing
        for i, (start, end) in enumerate(zip(starts, [*starts[1:], len(keys)])):
            mine = keys[start + skipped : end]
            bound = bounds[i]
            in_order = all(map(lt, mine, mine[1:]))
            if bound is not None:
                in_order &= not mine or not mine[0] < bound
                in_order &= last is None or last < bound
            if not in_order:
                raise _Damage(f"is damaged (the keys of page {nodes.numbers[i]} are out of order)")
            last = mine[-1] if mine else last
        return last

    def _bounds(self, nodes: _Nodes, bounds: list[Any]) -> list[Any]:
        """Of each child the key that none of its own comes before."""
        keys = nodes.keys(self.order)
        for start, bound in zip(nodes.starts.tolist(), bounds):
            keys[start] = bound
        return keys

    def _overflow(self, nodes: _Nodes) -> tuple[np.ndarray, np.ndarray]:
        """The runs of pages in which a leaf's larger records lie. Raises _Damage."""
        allowed = BIG if self.free else BIG | SUB_DATABASE
        nodes.check_data(allowed)
        numbers, sizes = nodes.overflow()
        counts = (sizes + (HEADER - 1)) // self.meta.page + 1
        self._check_numbers(numbers, counts)
        if self.free:
            self._check_free(nodes)
        return numbers.astype(np.int64), counts

    def _check_free(self, nodes: _Nodes) -> None:
        """The numbers of free pages, which whoever writes next takes. Raises _Damage."""
        for value in nodes.values(self.pages, self.meta.page):
            free = np.frombuffer(value[: len(value) // 8 * 8], "<u8")
            if not len(free) or int(free[0]) > len(free) - 1:
                raise _Damage("is damaged (its list of free pages)")
            if free[0]:
                self._check_numbers(free[1 : int(free[0]) + 1], 1)


def _as_integer(key: bytes) -> int:
    return int.from_bytes(key, "little")


class _Nodes:
    """The nodes of some pages, from left to right.

    pages: (n, size) uint8; numbers: (n,) theirs; kind: BRANCH or LEAF. Attributes, of each node: page, the row of its
    page; at, where it begins, counted from the first page; low, flags, key_size: its header. starts: of each page its
    first node. Raises _Damage.
    """

    def __init__(self, pages: np.ndarray, numbers: np.ndarray, kind: int, least: int):
        self.kind, self.numbers, self.size = kind, numbers, pages.shape[1]
        head, words = pages[:, :8].view("<u8")[:, 0], pages.view("<u2")
        flags, lower, upper = (words[:, column].astype(np.int64) for column in (5, 6, 7))
        counts = (lower - HEADER) >> 1
        fits = (head == numbers) & (flags & ~PASSING == kind) & (lower % 2 == 0)
        self._check(fits & (counts >= least) & (lower <= upper) & (upper <= self.size), np.arange(len(pages)))
        self.starts = np.cumsum(counts) - counts
        self.page = np.repeat(np.arange(len(pages)), counts)
        within = np.arange(len(self.page)) - self.starts[self.page]
        offset = words[self.page, HEADER // 2 + within].astype(np.int64)
        self._check((offset >= upper[self.page]) & (offset % 2 == 0) & (offset + 8 <= self.size), self.page)
        self.at, self.bytes = self.page * self.size + offset, pages.reshape(-1)
        words = words.reshape(-1)
        self.low = words[self.at // 2].astype(np.int64) | words[self.at // 2 + 1].astype(np.int64) << 16
        self.flags, self.key_size = (words[self.at // 2 + i].astype(np.int64) for i in (2, 3))
        self.data = self.at + 8 + self.key_size
        ends = (self.page + 1) * self.size
        self._check(self.data <= ends, self.page)
        if kind == LEAF:
            self._check((self.key_size > 0) & (self.data + self._inside() <= ends), self.page)

    def _check(self, fits: np.ndarray, page: np.ndarray) -> None:
        if not fits.all():
            raise _Damage(f"is damaged (page {self.numbers[page[np.argmin(fits)]]})")

    def _inside(self) -> np.ndarray:
        """Bytes of each leaf's data that lie in the page: the data, or the number of the page where they are."""
        return np.where(self.flags & BIG, 8, self.low)

    def keys(self, order: Callable[[bytes], object] | None) -> list[Any]:
        content = self.bytes.tobytes()
        keys = [content[begin:end] for begin, end in zip((self.at + 8).tolist(), self.data.tolist())]
        return keys if order is None else [order(key) for key in keys]

    def children(self) -> np.ndarray:
        """The numbers of the pages below, uint64: the lower 32 bits, then the flags' 16."""
        return self.low.astype(np.uint64) | self.flags.astype(np.uint64) << np.uint64(32)

    def check_data(self, allowed: int) -> None:
        """Raises _Damage where a leaf's node is of another kind."""
        self._check((self.flags & ~allowed) == 0, self.page)

    def overflow(self) -> tuple[np.ndarray, np.ndarray]:
        """(number of the first page, uint64; bytes) of each record that lies in pages of its own."""
        big = np.flatnonzero(self.flags & BIG)
        number = self.bytes[self.data[big, None] + np.arange(8)]
        return np.ascontiguousarray(number).view("<u8")[:, 0], self.low[big]

    def values(self, pages: _Pages, size: int) -> Iterator[bytes]:
        """The records, whose places have been checked."""
        for i in range(len(self.page)):
            begin, length = int(self.data[i]), int(self.low[i])
            if self.flags[i] & BIG:
                number = int.from_bytes(self.bytes[begin : begin + 8].tobytes(), "little")
                yield os.pread(pages.number, length, number * size + HEADER)
            else:
                yield self.bytes[begin : begin + length].tobytes()
