"""Caffe messages as text and back.

`to_text` is deterministic to the byte: fields in the order in which caffe.proto declares them, numbers as the shortest
decimal that reads back as the same float, small messages (a shape, a filler, a rule) on one line.
"""

from pathlib import Path

import numpy as np
from google.protobuf import text_encoding, text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from prototxt_gen import caffe_pb2 as pb
from prototxt_gen.errors import SpecError, nearest
from prototxt_gen.fields import is_message, is_repeated

KINDS = {"net": pb.NetParameter, "solver": pb.SolverParameter}

_ON_ONE_LINE = {"BlobShape", "FillerParameter", "NetState", "NetStateRule", "ParamSpec"}


def to_text(message: Message, header: str = "") -> str:
    """`message` as prototxt. `header`'s lines come first as `#` comments."""
    comments = [f"# {line}".rstrip() for line in header.splitlines()]
    return "\n".join([*comments, *_lines(message)]) + "\n"


def parse(source: str | Path, kind: str = "net") -> Message:
    """Read a prototxt file (a Path, or a string that holds a file's name) or a prototxt text.

    `kind` is "net" (NetParameter) or "solver" (SolverParameter).

    Raises SpecError with file, line and, for an unknown field, the nearest known one; also where there is no such file.
    """
    if isinstance(source, str) and any(mark in source for mark in ":{\n"):
        name, text = "text", source
    else:
        name = str(source)
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise SpecError(f"{name}: {error.strerror.lower()}") from None
        except UnicodeDecodeError:
            raise SpecError(f"{name}: not a text file; a prototxt is expected here, not a .caffemodel") from None
    try:
        return text_format.Parse(text, KINDS[kind]())
    except text_format.ParseError as error:
        raise SpecError(f"{name}:{error.GetLine()}: {_reason(error)}") from None


def _reason(error: text_format.ParseError) -> str:
    """What protobuf says, without its own position, and with the nearest field where one is unknown."""
    said = str(error).split(" : ", 1)[-1].replace("\n", " ").replace('"prototxt_gen.', '"')
    if 'has no field named "' in said:
        message, field = said.split('"')[1], said.split('"')[3]
        described = pb.DESCRIPTOR.message_types_by_name.get(message)
        said = f"{message} has no field '{field}'" + (nearest(field, described.fields_by_name) if described else "")
    return said


def _lines(message: Message, indent: str = "") -> list[str]:
    lines = []
    for field in message.DESCRIPTOR.fields:
        if is_repeated(field):
            values = list(getattr(message, field.name))
        else:
            values = [getattr(message, field.name)] if message.HasField(field.name) else []
        for value in values:
            if not is_message(field):
                lines.append(f"{indent}{field.name}: {_scalar(field, value)}")
            elif field.message_type.name in _ON_ONE_LINE:
                lines.append(f"{indent}{field.name} {{ {' '.join(_lines(value))} }}".replace("{  }", "{ }"))
            else:
                lines += [f"{indent}{field.name} {{", *_lines(value, indent + "  "), f"{indent}}}"]
    return lines


def _scalar(field: FieldDescriptor, value) -> str:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _quoted(text_encoding.CEscape(value, as_utf8=True), value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return f'"{text_encoding.CEscape(value, as_utf8=False)}"'
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "true" if value else "false"
    if field.type == FieldDescriptor.TYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return _decimal(np.float32(value))
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _decimal(np.float64(value))
    return str(value)


def _quoted(escaped: str, value: str) -> str:
    """In double quotes; in single ones where that spares escaping, as in the JSON of a `param_str`."""
    if '"' in value and "'" not in value:
        return "'" + escaped.replace('\\"', '"') + "'"
    return f'"{escaped}"'


def _decimal(value: np.floating) -> str:
    """The shortest decimal that reads back as `value`: 1, 0.0001, 1e-09."""
    if not np.isfinite(value):
        return str(value)
    if value == 0 or 1e-6 <= abs(value) < 1e9:
        return np.format_float_positional(value, unique=True, trim="-")
    return np.format_float_scientific(value, unique=True, trim="-", exp_digits=2)
