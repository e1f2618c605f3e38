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


def read_toml(path: Place, kind: type[Kind], error: Fault, mend: str = "mend it") -> Kind:
    """The content of a file, of this kind. Raises `error`, one line: as `read_text` and `json_files.convert`, and for
    what is no TOML."""
    text = read_text(path, error, mend)
    try:
        content = tomllib.loads(text)
        if _is_deep(content):
            raise RecursionError
    except tomllib.TOMLDecodeError as reason:
        raise error(f"{path}: cannot be read as TOML ({printable(str(reason))}); {mend}") from None
    except RecursionError:
        raise error(f"{path}: cannot be read as TOML (too many brackets or dots within another); {mend}") from None
    except ValueError:
        raise error(f"{path}: cannot be read as TOML (a number of thousands of digits); {mend}") from None
    return convert(content, path, kind, error, mend)


def _is_deep(content: Any) -> bool:
    """Whether tables and lists lie deeper within others than `DEEPEST`, as `a.b.c...` lets them without a bracket."""
    level = [content]
    for _ in range(DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    return bool(level)
