"""Names as others spell them: in another case, or with accents composed otherwise."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from data_prep import DataError


def folded(name: str) -> str:
    """The same for names that differ in case alone, or in how accents are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class Spellings:
    """Names that are there, to be found as others spell them: HandStandPushups for HandstandPushups, and accents as a
    Mac composes them."""

    def __init__(self, names: Iterable[str]):
        self.names = set(names)
        self._folded: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self.names):
            self._folded[folded(name)].append(name)

    def of(self, name: str) -> list[str]:
        """The one of just that name, else those that differ from it in case alone."""
        return [name] if name in self.names else self._folded.get(folded(name), [])

    def one_of(self, name: str, where: str) -> str:
        """The one that a list's line may mean; `name` itself where there is none. Errors: DataError."""
        alike = self.of(name)
        if len(alike) > 1:
            raise DataError(
                f"{where}: {name} may be {alike[0]} or {alike[1]}, which differ in case alone; remove or rename one, or"
                " spell the line as it is meant"
            )
        return alike[0] if alike else name


class Files:
    """Files, to be found as others spell their paths. What a folder holds is looked up once."""

    def __init__(self) -> None:
        self._listings: dict[str, Spellings] = {}

    def spelled(self, path: str) -> str | None:
        """The path as it is spelled on the disk; None where there is no such file, or where several may be meant."""
        if os.path.exists(path):
            return path
        parent, name = os.path.split(path)
        folder = self.spelled(parent) if name else None
        if folder is None or not os.path.isdir(folder):
            return None
        if folder not in self._listings:
            self._listings[folder] = Spellings(os.listdir(folder))
        alike = self._listings[folder].of(name)
        return os.path.join(folder, alike[0]) if len(alike) == 1 else None
