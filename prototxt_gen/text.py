"""Caffe messages as text and back.

`to_text` is deterministic to the byte: fields in the order in which caffe.proto declares them, numbers as the shortest
decimal that reads back as the same float, small messages (a shape, a filler, a rule) on one line.
"""

import codecs
import math
import os
import re
from ctypes import c_double, c_float
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from google.protobuf import text_encoding, text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.errors import MOST_HINTS, SpecError, nearest, shortened
from prototxt_gen.fields import Field, is_message, is_repeated
from prototxt_gen.upgrade import CannotUpgrade, Place, Upgrade
from readers.text import decoded, read_bytes

KINDS: dict[str, type[Message]] = {"net": pb.NetParameter, "solver": pb.SolverParameter}

_MEND = "a prototxt is expected here"
_LARGEST = 1 << 25  # bytes of a file; the largest known nets have a hundredth
_MOST = 300  # letters of a message
_DEEPEST = 100  # messages within messages, the bound that protobuf has in binary files

# What protobuf says of a layer in which the old format and today's are mixed.
_MIXED = re.compile(
    r'V1LayerParameter\.LayerType" has no value named .\w|\btype: *[A-Z_]+\b.*Expected string'
    r'|\bparam *\{.*Expected ":"|\bparam *:.*Expected "\{"'
)
_OF_TWO_FORMATS = (
    "; 'layer' has type: \"Convolution\" and param { lr_mult: 1 }, the old 'layers' has type: CONVOLUTION and "
    "blobs_lr: 1: write either"
)

_ON_ONE_LINE = {"BlobShape", "FillerParameter", "NetState", "NetStateRule", "ParamSpec"}


def to_text(message: Message, header: str = "") -> str:
    """`message` as prototxt. `header`'s lines come first as `#` comments."""
    comments = [f"# {line}".rstrip() for line in header.splitlines()]
    return "\n".join([*comments, *_lines(message)]) + "\n"


class Malformed(SpecError):
    """A text that is no prototxt, or not of this kind: the line, and what protobuf says of it."""

    def __init__(self, name: str, line: int, reason: str):
        super().__init__(f"{name}:{line}: {reason}")
        self.line, self.reason = line, reason


@dataclass(frozen=True)
class Unknown:
    """A field of a text that Caffe's schema lacks, or one of whose values it lacks."""

    path: Place  # where the message that should hold it stands: () or ("layer", 3, "python_param", 0)
    field: str
    text: str  # the whole of it, in one line: "flow: true"
    line: int
    message: str  # "LayerParameter has no field 'nmae'; did you mean 'name'?"


@dataclass
class Source:
    """A prototxt that was read: its message, and the line on which each field stands.

    Old `layers` are upgraded, as Caffe does; fields then stand where they were in the text.
    """

    name: str  # the file's, or "text"
    message: Any  # a NetParameter or a SolverParameter
    unknown: list[Unknown] = field(default_factory=list)
    places: dict[Place, int] = field(default_factory=dict)  # -> line, counted from 1

    @property
    def lacking(self) -> list[str]:
        """What of it Caffe's schema lacks: "FILE:LINE: LayerParameter has no field 'nmae'; did you mean 'name'?"."""
        return [f"{self.name}:{it.line}: {it.message}" for it in self.unknown]

    def line(self, *path: str | int) -> int:
        """The line of a field: `line("layer", 3, "convolution_param.kernel_size")`, `line("layer", 3, "bottom[1]")`.

        Without an index the first is meant; what is not there stands where the message that would hold it does, and
        what is nowhere on line 1.
        """
        key: list[str | int] = []
        for step in path:
            if isinstance(step, int):
                key[-1] = step
            else:
                for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", step):
                    key += [name, int(index or 0)]
        while key and tuple(key) not in self.places:
            del key[-2:]
        return self.places.get(tuple(key), 1)


def parse(source: str | Path, kind: str = "net", unknown: list[Unknown] | None = None) -> Any:
    """Read a prototxt file (a Path, or a string that holds a file's name) or a prototxt text. A net of old `layers` is
    upgraded to `layer`, as Caffe does.

    `kind` is "net" (NetParameter) or "solver" (SolverParameter). Where a list is given as `unknown`, the fields that
    the schema lacks are left out and added to it.

    Raises SpecError with file, line and, for an unknown field, the nearest known one; also where there is no such file.
    """
    text = read(source, kind)
    if unknown is not None:
        unknown += text.unknown
    elif text.unknown:
        raise SpecError(text.lacking[0])
    return text.message


def read(source: str | Path, kind: str | None = "net") -> Source:
    """As `parse`, with the lines of all fields, and with the unknown ones set apart. kind None: as the fields tell.

    Raises Malformed with file and line for what is no prototxt, SpecError for what is no text file.
    """
    name, text = _text_of(source)
    try:
        kind, walk = _walked(text, kind)
        message = text_format.Parse(walk.without_unknown(), KINDS[kind]())
    except _TooDeep as error:
        raise Malformed(
            name, error.line, f"its messages stand too deep within one another, more than {_DEEPEST}"
        ) from None
    except text_format.ParseError as error:
        raise Malformed(name, error.GetLine() or 1, _reason(error, text)) from None
    made = Source(name, message, walk.unknown, walk.places)
    return _upgraded(made) if isinstance(message, pb.NetParameter) and message.layers else made


def _reason(error: text_format.ParseError, text: str) -> str:
    """What protobuf says of a text, which may quote the line, however long: then what stands before the fault alone."""
    reason = str(error).split(" : ", 1)[-1]
    line = text.split("\n")[(error.GetLine() or 1) - 1]
    if len(line) > _MOST and reason.startswith(f"'{line}'"):
        end = (error.GetColumn() or 1) + _MOST // 10
        start = max(0, end - _MOST // 2)
        quoted = f"{'... ' * (start > 0)}{line[start:end]}{' ...' * (end < len(line))}"
        reason = f"'{quoted}'{reason[len(line) + 2 :]}"
    if len(reason) > 2 * _MOST:  # of a value that is no shorter
        reason = f"{reason[:_MOST]} ... {reason[-_MOST:]}"
    reason = reason.replace("\n", " ").replace('"prototxt_gen.', '"')
    return reason + (_OF_TWO_FORMATS if _MIXED.search(reason) else "")


def _upgraded(source: Source) -> Source:
    """With `layer` in place of `layers`."""
    types = {
        int(it.path[1]): it.text.partition(":")[2].strip()
        for it in source.unknown
        if it.path[:1] == ("layers",) and len(it.path) == 2 and it.field == "type"
    }
    if source.message.layer:
        raise Malformed(
            source.name,
            max(source.line("layer"), source.line("layers")),
            "'layer' and 'layers' cannot stand in one file, and Caffe refuses one with both: write all with 'layer'",
        )
    try:
        upgrade = Upgrade(source.message, types)
    except CannotUpgrade as error:
        raise Malformed(source.name, source.line(*error.place), error.reason) from None
    places: dict[Place, int] = {}
    for old, line in source.places.items():
        place = upgrade.place(old)
        for length in range(2, len(place) + 1, 2):  # what is new around it begins where the first in it does
            places[place[:length]] = min(line, places.get(place[:length], line))
    unknown = [replace(it, path=upgrade.place(it.path)) for it in source.unknown]
    return Source(source.name, source.message, unknown, places)


def _text_of(source: str | Path) -> tuple[str, str]:
    """Name and text of a source."""
    if isinstance(source, str) and any(mark in source for mark in ":{\n"):
        return "text", source
    if os.path.isfile(source) and os.path.getsize(source) > _LARGEST:
        raise SpecError(f"{source}: {os.path.getsize(source):,} bytes, where a prototxt has {_LARGEST:,} at most")
    content = read_bytes(source, SpecError, _MEND)
    if content.startswith(codecs.BOM_UTF8):
        raise Malformed(
            str(source), 1, "begins with a byte order mark, at which Caffe stops; save it as UTF-8 without one"
        )
    return str(source), decoded(content, source, SpecError, f"{_MEND}, not a .caffemodel")


_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | (
    [A-Za-z_][\w+-]* | (?:[0-9+-]|\.[0-9])[\w.+-]*
    | "[^"\n\\]*(?:\\.[^"\n\\]*)*"? | '[^'\n\\]*(?:\\.[^'\n\\]*)*'? | \S)""",
    re.VERBOSE,
)


class _TooDeep(Exception):
    """Messages within messages, beyond the bound: the line."""

    def __init__(self, line: int):
        super().__init__(line)
        self.line = line


def _walked(text: str, kind: str | None) -> "tuple[str, _Walk]":
    """A text's kind, told by the names of its outermost fields where it is None ("net" where they tell nothing), and
    the walk over it."""
    walk = _Walk(text)
    walk.fields((), KINDS[kind or "net"].DESCRIPTOR)
    if kind is None:
        of_solver = pb.SolverParameter.DESCRIPTOR.fields_by_name
        of_net = sum(len(place) == 2 and place[0] not in of_solver for place in walk.places)
        if sum(not it.path and it.field in of_solver for it in walk.unknown) > of_net:
            return _walked(text, "solver")
    return kind or "net", walk


class _Walk:
    """Notes where the fields of a text stand, and `spans`, where the unknown ones begin and end. Stops without a word
    where the text is no prototxt: protobuf says why. Raises _TooDeep."""

    def __init__(self, text: str):
        self.text = text
        self.places: dict[Place, int] = {}
        self.unknown: list[Unknown] = []
        self.strange = ""  # a value of the field that is being walked which its enum lacks
        self.spans: list[tuple[int, int]] = []
        self.depth = 0
        self.messages: dict[tuple[str, str, str], str] = {}  # what was said of an unknown field, or of its value
        self.tokens = (match for match in _TOKEN.finditer(text) if match[1])
        self.token, self.start, self.end, self.line = "", 0, 0, 1  # the next one, where it begins, where the last ended
        self.step()

    def step(self) -> str:
        """Go past the next token ("" at the end), and say which it was."""
        passed, before = self.token, self.start
        self.end = self.start + len(passed)
        match = next(self.tokens, None)
        self.token, self.start = (match[1], match.start()) if match else ("", len(self.text))
        self.line += self.text.count("\n", before, self.start)
        return passed

    def without_unknown(self) -> str:
        """The text with the unknown fields blanked, so that lines stay."""
        pieces, at = [], 0
        for start, end in self.spans:
            if start >= at:  # not within another
                pieces += [self.text[at:start], re.sub(r"\S", " ", self.text[start:end])]
                at = end
        return "".join([*pieces, self.text[at:]])

    def fields(self, path: Place, kind: Any, closing: str = "") -> bool:
        """Walk a message's fields, as its descriptor `kind` has them (None: unknown), up to `closing`; False where it
        is no prototxt."""
        seen: dict[Place, int] = {}
        while self.token != closing:
            start, line, name = self.start, self.line, self.step()
            if not re.match(r"\w", name) or self.token not in (":", "{", "<"):
                return False
            known = kind.fields_by_name.get(name) if kind else None
            self.strange = ""
            if not self.values(path + (name,) if known else None, seen, line, known):
                return False
            if self.token in (",", ";"):
                self.step()
            if kind and (not known or self.strange):
                self.spans.append((start, self.end))
                text = " ".join(self.text[start : self.end].rstrip(",;").split())
                self.unknown.append(Unknown(path, name, text, line, self.lacking(kind, name, known)))
        if closing:
            self.step()
        self.strange = ""  # said by now
        return True

    def lacking(self, kind: Any, name: str, known: Field | None) -> str:
        """What the schema does not have of this field."""
        key = kind.name, name, self.strange
        if key not in self.messages:
            wrong, right = (self.strange, known.enum_type.values_by_name) if known else (name, kind.fields_by_name)
            hint = nearest(wrong, right) if len(self.messages) < MOST_HINTS else ""
            place = f"{kind.name}.{name} has no value" if known else f"{kind.name} has no field"
            self.messages[key] = f"{place} '{shortened(wrong)}'{hint}"
        return self.messages[key]

    def values(self, path: Place | None, seen: dict[Place, int], line: int, known: Field | None) -> bool:
        """Walk what follows a field's name: a value, a message, or a list of them."""
        if self.token == ":":
            self.step()
        if self.token != "[":
            return self.value(path, seen, line, known)
        self.step()
        while self.token != "]":
            if not self.value(path, seen, self.line, known):
                return False
            if self.token == ",":
                self.step()
        self.step()
        return True

    def value(self, path: Place | None, seen: dict[Place, int], line: int, known: Field | None) -> bool:
        if path:
            seen[path] = seen.get(path, -1) + 1
            path += (seen[path],)
            self.places[path] = line
        first = self.step()
        if first in ("{", "<"):
            self.depth += 1
            if self.depth > _DEEPEST:
                raise _TooDeep(self.line)
            is_whole = self.fields(path or (), known.message_type if known else None, "}" if first == "{" else ">")
            self.depth -= 1
            return is_whole
        enum = known.enum_type if known else None
        if enum and re.match("[A-Za-z_]", first) and first not in enum.values_by_name:
            self.strange = first
        if first[:1] in ("'", '"'):
            while self.token[:1] in ("'", '"'):  # strings side by side are one
                self.step()
        return re.match(r"[\w'\"+.-]", first) is not None


def _lines(message: Message, indent: str = "") -> list[str]:
    lines: list[str] = []
    each: Field
    for each, set_to in sorted(message.ListFields(), key=lambda field: field[0].index):  # by number they come
        for value in set_to if is_repeated(each) else [set_to]:
            if not is_message(each):
                lines.append(f"{indent}{each.name}: {scalar_text(each, value)}")
            elif each.message_type.name in _ON_ONE_LINE:
                lines.append(f"{indent}{each.name} {{ {' '.join(_lines(value))} }}".replace("{  }", "{ }"))
            else:
                lines += [f"{indent}{each.name} {{", *_lines(value, indent + "  "), f"{indent}}}"]
    return lines


def scalar_text(field: Field, value: Any) -> str:
    """`value` as a file says it, in its quotes where it is text."""
    if field.type == FieldDescriptor.TYPE_STRING:
        return _quoted(text_encoding.CEscape(value, as_utf8=True), value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return f'"{text_encoding.CEscape(value, as_utf8=False)}"'
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "true" if value else "false"
    if field.type == FieldDescriptor.TYPE_ENUM:
        return str(field.enum_type.values_by_number[value].name)
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return _decimal(value, c_float)
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _decimal(value, c_double)
    return str(value)


def _quoted(escaped: str, value: str) -> str:
    """In double quotes; in single ones where that spares escaping, as in the JSON of a `param_str`."""
    if '"' in value and "'" not in value:
        return "'" + escaped.replace('\\"', '"') + "'"
    return f'"{escaped}"'


def _decimal(value: float, kind: type[c_float] | type[c_double]) -> str:
    """The shortest decimal that reads back as `value` in single or double precision: 1, 0.0001, 1e-09."""
    if not math.isfinite(value):
        return str(value)
    for digits in range(17):  # after the first
        scientific = f"{value:.{digits}e}"
        short = float(scientific)
        if kind(short).value == value:
            break
    if short == 0 or 1e-6 <= abs(short) < 1e9:
        return f"{short:.{max(digits - int(scientific.partition('e')[2]), 0)}f}"
    return scientific
