"""TOML: settings and experiments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from readers.json_files import DEEPEST, convert
from readers.text import printable, read_text

if TYPE_CHECKING:
    from readers import Fault, Place

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Kind = TypeVar("Kind")

_MOST_BITS = 4096  # of a whole number


def read_toml(path: Place, kind: type[Kind], error: Fault, mend: str = "mend it") -> Kind:
    """The content of a file, of this kind. Raises `error`, one line: as `read_text` and `json_files.convert`, and for
    what is no TOML."""
    text = read_text(path, error, mend)
    try:
        content = tomllib.loads(text)
        _check(content)
    except tomllib.TOMLDecodeError as reason:
        raise error(f"{path}: cannot be read as TOML ({printable(str(reason))}); {mend}") from None
    except RecursionError:
        raise error(f"{path}: cannot be read as TOML (too many brackets or dots within another); {mend}") from None
    except ValueError:
        raise error(f"{path}: cannot be read as TOML (a number of thousands of digits); {mend}") from None
    return convert(content, path, kind, error, mend)


def _check(content: Any) -> None:
    """RecursionError where tables and lists lie deeper within others than `DEEPEST`, as `a.b.c...` lets them without a
    bracket; ValueError for a number of thousands of digits, of which Python reads hexadecimal ones alone."""
    level = [content]
    for _ in range(DEEPEST):
        inner = [part for each in level for part in (each.values() if isinstance(each, dict) else each)]
        if any(isinstance(part, int) and part.bit_length() > _MOST_BITS for part in inner):
            raise ValueError
        level = [part for part in inner if isinstance(part, dict | list)]
    if level:
        raise RecursionError
