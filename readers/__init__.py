"""The one way in: every file that a user gives, or an earlier call left, is read here.

A module a kind of file. Its functions take the path, the class of the `error` that the caller's room raises, and the
`mend` that ends its line; whatever a library says of a damaged or hostile file becomes that error, one line. Nothing is
allocated for what a file merely claims: see `readers.bounds`.

Import is kept light: the libraries are imported where a file of their kind is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from readers.text import printable

__all__ = ["Fault", "Place", "printable", "reading"]

Fault: TypeAlias = type[ValueError] | type[RuntimeError]  # the class of the error that a caller asks for
Place: TypeAlias = str | Path  # of a file


@contextmanager
def reading(path: object, what: str, error: Fault, mend: str) -> Iterator[None]:
    """Makes `error` of whatever a library raises on a file within: "PATH: no readable WHAT (why); MEND". Those of class
    `error` pass as they are."""
    try:
        yield
    except error:
        raise
    except MemoryError:
        raise error(f"{path}: no readable {what} (it asks for more memory than there is); {mend}") from None
    except Exception as reason:  # what a library raises on foreign bytes is not to be foreseen
        why = " ".join(printable(str(reason)).split()) or type(reason).__name__
        raise error(f"{path}: no readable {what} ({why}); {mend}") from None
