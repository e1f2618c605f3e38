"""Sets fields of Caffe messages from plain Python values, with errors that name the field and the nearest right one."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from prototxt_gen.errors import SpecError, nearest

Field: TypeAlias = Any  # protobuf's stubs have two unrelated types of FieldDescriptor


def fill(message: Message, values: Mapping[str, Any]) -> Message:
    """Set every field of `values` in `message`, in place, and return it.

    A message field takes a dict or a message, a BlobShape also a sequence of sizes; an enum its value's name or number;
    a repeated field a sequence or one item; `None` leaves a field unset. What is NumPy's is taken as Python's.

    Raises SpecError for an unknown field or a value that the field cannot hold.
    """
    for name, value in values.items():
        if value is not None:
            _set(message, field_of(message, name), plain(value))
    return message


def field_of(message: Message, name: str) -> Field:
    """The descriptor of field `name` of `message`; SpecError with the nearest known one where there is none."""
    fields = message.DESCRIPTOR.fields_by_name
    if name not in fields:
        raise SpecError(f"{message.DESCRIPTOR.name} has no field '{name}'{nearest(name, fields)}")
    return fields[name]


def is_repeated(field: Field) -> bool:
    """Whether `field` holds a list (protobuf 7 dropped `label`; older ones lack `is_repeated`)."""
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED)


def is_message(field: Field) -> bool:
    """Whether `field` holds messages and not scalars."""
    return bool(field.type == FieldDescriptor.TYPE_MESSAGE)


def _set(message: Message, field: Field, value: Any) -> None:
    message.ClearField(field.name)
    if is_repeated(field):
        items = getattr(message, field.name)
        for item in _items(field, value):
            if is_message(field):
                _merge(items.add(), field, item)
            else:
                _put(items.append, field, item)
    elif is_message(field):
        target = getattr(message, field.name)
        target.SetInParent()  # `lrn_param {}` is there even when nothing in it is set
        _merge(target, field, value)
    else:
        _put(partial(setattr, message, field.name), field, value)


def plain(value: Any) -> Any:
    """NumPy's numbers, booleans, texts and arrays as Python's, within sequences too."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, (list, tuple, range)) else value


def _items(field: Field, value: Any) -> list[Any]:
    """The items of a repeated field; one shape or one message or one scalar may stand for a list of one."""
    if not isinstance(value, (list, tuple)):
        return [value]
    if is_message(field) and field.message_type.name == "BlobShape" and all(isinstance(size, int) for size in value):
        return [value]
    return list(value)


def _merge(target: Message, field: Field, value: Any) -> None:
    if isinstance(value, Message):
        if value.DESCRIPTOR is not target.DESCRIPTOR:
            raise SpecError(f"'{field.name}' takes a {target.DESCRIPTOR.name}, not a {value.DESCRIPTOR.name}")
        target.CopyFrom(value)
    elif isinstance(value, Mapping):
        fill(target, value)
    elif target.DESCRIPTOR.name == "BlobShape" and isinstance(value, (list, tuple)):
        fill(target, {"dim": value})
    else:
        raise SpecError(f"'{field.name}' takes the fields of a {target.DESCRIPTOR.name}, not {value!r}")


def _put(put: Callable[[Any], None], field: Field, value: Any) -> None:
    """`value` as the scalar that the field holds; protobuf itself checks types and ranges."""
    where = f"{field.containing_type.name}.{field.name}"
    if field.enum_type is not None and isinstance(value, str):
        names = field.enum_type.values_by_name
        if value not in names:
            raise SpecError(f"{where} cannot be '{value}', only {', '.join(names)}{nearest(value, names)}")
        value = names[value].number
    elif isinstance(value, bool) != (field.type == FieldDescriptor.TYPE_BOOL):
        raise SpecError(f"{where} cannot be {value!r}: it takes {_KINDS.get(field.type, 'a number')}")
    try:
        put(value)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{where} cannot be {value!r}: it takes {_KINDS.get(field.type, 'a number')}") from error


_KINDS = {
    FieldDescriptor.TYPE_BOOL: "True or False",
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_ENUM: "one of its names",
    FieldDescriptor.TYPE_INT32: "a whole number (32 bits)",
    FieldDescriptor.TYPE_INT64: "a whole number (64 bits)",
    FieldDescriptor.TYPE_UINT32: "a whole number from 0 (32 bits)",
}
