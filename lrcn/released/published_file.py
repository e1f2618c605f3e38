"""A file that others published: where it lies, and how it is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NOT_PUBLISHED = "not published"


@dataclass(frozen=True)
class PublishedFile:
    """address: None where none is known. size: bytes; checksums: "SHA-1", "SHA-256" or "MD5" -> hex digits; None and
    nothing where nobody published them. note: what it holds; who says size and checksums, where that is somebody else.
    """

    name: str
    address: str | None = None
    size: int | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def describe(self) -> dict[str, str]:
        """What is known of it, in words: "file", "size", a line for each checksum, "address"."""
        size = NOT_PUBLISHED if self.size is None else f"{self.size:,} bytes ({in_words(self.size)})"
        checksums = dict(self.checksums) or {"checksum": NOT_PUBLISHED}
        return {"file": self.name, "address": self.address or "not known", "size": size, **checksums} | (
            {"note": self.note} if self.note else {}
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.name,
            "address": self.address,
            "size": self.size,
            "checksums": dict(self.checksums),
            "note": self.note or None,
        }

    def other_size(self, path: Path) -> str:
        """Why the file at `path` cannot be this one, as far as its size says, at a glance; else ""."""
        if not path.is_file():
            return "is no file"
        size = path.stat().st_size
        return "" if self.size in (None, size) else f"has {size:,} bytes, where {self.size:,} were published"

    def difference(self, path: Path) -> str:
        """Why the file at `path` is not this one, "" where size and checksums are as published."""
        if why := self.other_size(path):
            return why
        for kind, actual in digests(path, self.checksums).items():
            if actual != self.checksums[kind]:
                return f"has {kind} {actual}, where {self.checksums[kind]} was published"
        return ""


def digests(path: Path, kinds: Iterable[str]) -> dict[str, str]:
    """Kind ("SHA-256") -> hex digits of a file's contents."""
    hashes = {kind: hashlib.new(kind.replace("-", "").lower(), usedforsecurity=False) for kind in kinds}
    with open(path, "rb") as file:
        while hashes and (piece := file.read(1 << 22)):
            for each in hashes.values():
                each.update(piece)
    return {kind: each.hexdigest() for kind, each in hashes.items()}


def in_words(size: int) -> str:
    """ "233 MiB", "12.6 GiB"."""
    for unit, least in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= least:
            return f"{size / least:.{1 if unit == 'GiB' else 0}f} {unit}"
    return f"{size} bytes"
