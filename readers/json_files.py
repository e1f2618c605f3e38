"""JSON, whose kinds and ranges are checked before anybody uses them.

The kind that is asked for is a type: `dict[str, int]`, a TypedDict, a dataclass, `Annotated[int, Meta(ge=1)]`. Fields
that it does not name pass in a TypedDict as they are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

from readers.text import printable, read_text, twice

if TYPE_CHECKING:
    from readers import Fault, Place

Kind = TypeVar("Kind")

MEND = "name the JSON file, or fetch it again"
DIGITS = 300  # of a whole number: what is longer is no float
DEEPEST = 100  # brackets within brackets, where Python itself gives up at some thousand


def read_json(path: Place, kind: type[Kind], error: Fault, mend: str = MEND) -> Kind:
    """The content of a file, of this kind. Raises `error`, one line: as `read_text`, `parse_json` and `convert`."""
    return parse_json(read_text(path, error, mend), path, kind, error, mend)


def parse_json(text: str, path: Place, kind: type[Kind], error: Fault, mend: str = MEND) -> Kind:
    """The content of JSON, of this kind. Raises `error`, one line: empty, cut off, two values of one name, brackets
    beyond `DEEPEST`, numbers of hundreds of digits, half a surrogate pair, and as `convert`."""
    if not text.strip():
        raise error(f"{path}: an empty file; {mend}")
    if _depth(text) > DEEPEST:
        raise error(f"{path}: cannot be read as JSON (more than {DEEPEST} brackets within brackets); {mend}")
    try:
        content = json.loads(text, object_pairs_hook=_unambiguous, parse_int=_whole_number)
    except _TwoValues as reason:
        raise error(f"{path}: {reason}; give each value a name of its own") from None
    except json.JSONDecodeError as reason:
        raise error(f"{path}: cannot be read as JSON ({_why(text, reason, mend)}") from None
    except ValueError:
        raise error(f"{path}: cannot be read as JSON (a number of more than {DIGITS} digits); {mend}") from None
    if _HALF.search(text) and _is_half(json.dumps(content, ensure_ascii=False)):
        raise error(f"{path}: holds half of a surrogate pair (\\ud800 to \\udfff), which is no letter; mend that text")
    return convert(content, path, kind, error, mend)


def convert(content: object, path: Place, kind: type[Kind], error: Fault, mend: str = MEND) -> Kind:
    """A value as this kind. Raises `error`, one line that says where in it what is otherwise: "PATH: at images[3].id:
    expected int, not "x"; MEND"."""
    if kind in (Any, object):
        return content  # type: ignore[return-value]
    import msgspec

    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as reason:
        why, _, where = str(reason).partition(" - at `")
        why, (place, value) = why.replace("`", ""), _at(content, where.removeprefix("$").rstrip("`"), kind)
        if wanted := re.fullmatch(r"Expected ([^,]*)(?:, got [a-z]+)?", why):
            why = f"{_WORD.sub(lambda word: _WORDS[word[0]], wanted[1])} is due, not {short(value)}"
        else:
            why = why[0].lower() + why[1:]
        raise error(f"{path}: {f'at {place}: ' if place else ''}{why}; {mend}") from None


def short(value: object) -> str:
    """A value as JSON has it, not too long for a line."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object {...}",
    "null": "null",
    "|": "or",
}
_WORD = re.compile(r"str|int|float|bool|array|object|null|[|]")


def _at(content: Any, place: str, kind: type) -> tuple[str, Any]:
    """The part of a value at msgspec's path, ".images[3].id", and the path as far as it leads. msgspec names no name of
    a dictionary, which it calls [...]: it is found by trying."""
    there: list[Any] = []
    value = content
    for name, index in re.findall(r"[.]([^.\[\]]+)|\[(\d+|[.]{3})\]", place):
        try:
            step = name or (_culprit(content, there, value, kind) if index == "..." else int(index))
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
        there.append(step)
    return "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in there).lstrip("."), value


def _culprit(content: Any, place: Sequence[Any], value: dict[str, Any], kind: type) -> str:
    """That of the names of a dictionary, at this place, which keeps the content from being of a kind: by halves."""
    names, fault = list(value), _fault(content, kind)
    while len(names) > 1:
        half = names[: len(names) // 2]
        trial: Any = {name: value[name] for name in half}
        for end in range(len(place) - 1, -1, -1):
            around = content
            for step in place[:end]:
                around = around[step]
            around = copy(around)
            around[place[end]] = trial
            trial = around
        names = half if _fault(trial, kind) == fault else names[len(half) :]
    return names[0]


def _fault(content: Any, kind: type) -> str:
    """What msgspec says of it."""
    import msgspec

    try:
        msgspec.convert(content, kind)
    except msgspec.ValidationError as reason:
        return str(reason)
    return ""


def _depth(text: str) -> int:
    """Of brackets; those in texts are none."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return 0
    brackets = _STRING.sub("", text).encode(errors="replace").translate(None, _NO_BRACKETS)
    depth = deepest = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_STRING = re.compile(r'"(?:[^"\\]+|\\.)*"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def _is_half(text: str) -> bool:
    return re.search("[\ud800-\udfff]", text) is not None


def _why(text: str, reason: json.JSONDecodeError, mend: str) -> str:
    if reason.pos >= len(text.rstrip()) or reason.msg.startswith("Unterminated string"):
        line = text.rstrip().count("\n") + 1
        return f"cut off in the middle, at line {line}); fetch or save it again"
    if reason.msg == "Extra data" and text.lstrip()[0] in "[{":
        return f"a second value begins in line {reason.lineno}); give one list of all"
    return f"{printable(str(reason))}); {mend}"


def _whole_number(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError
    return int(digits)


class _TwoValues(Exception):
    """What is there twice; part of a line for the user."""


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object of its names and values. Raises _TwoValues where Python would drop the first of two values."""
    content = dict(pairs)
    if len(content) < len(pairs):
        name = twice(name for name, _ in pairs)
        one, other, *_ = (short(value) for each, value in pairs if each == name)
        raise _TwoValues(f"an object has two values of {short(name)}, {one} and {other}")
    return content
