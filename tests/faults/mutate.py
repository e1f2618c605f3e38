"""Damage to files, drawn from a `random.Random`: to their bytes, to their words, and to what they hold.

A function of `KINDS` takes a file's content, as bytes, and gives another; what it cannot read it damages as bytes.
"""

import io
import json
import re
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from random import Random

import h5py
import lmdb
import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from PIL import Image

from prototxt_gen import caffe_pb2 as pb
from tests.prototxt_gen import mutants

NUMBERS = [
    *("0", "-1", "1", "2", "00", "-0", "1.5", "1e5", "1e999", "-1e999", "1e-320", "NaN", "inf", "-Infinity", "0x10"),
    *("1_000", "²", "٣", "１", "-", "", "2147483647", "2147483648", "4294967296", "9223372036854775808", "1e18"),
    *("18446744073709551616", "9" * 19, "9" * 400, "9" * 5000, "1e5000", "1." + "3" * 400, "100000", "65536"),
]
WORDS = [
    *(
        "",
        " ",
        ".",
        "-",
        "--",
        "~",
        "null",
        "None",
        "true",
        "nan",
        "\0",
        "\t",
        "\r",
        "\x0b",
        "\x0c",
        "\x1b[31m",
        "\x7f",
    ),
    *("\x85", "\x9b31m", "\xa0", "\u2028", "\u2029", "\u202e", "\ufeff", "\ufffe", "\U0001f389", "e\u0301", "\ud800"),
    *("\udcff", "../x", "/", "/etc/passwd", "/dev/null", "a" * 300, "word " * 9000, "{{7*7}}", "<b>", "&", "'", '"'),
    *("\\", "\\n", "$(id)", "%s%n", "#", "=", ",", ";", ":", "[", "}", "\n", "\r\n", "x\ny"),
]
JSON_VALUES = [
    *("null", "true", "false", "0", "-1", "1", "1.5", "1e999", "NaN", "-Infinity", "9" * 25, "9" * 5000, "-0.0"),
    *('""', '"x"', r'"\ud800"', r'"\u0000"', r'"\u001b[31m"', r'"\u2028"', '"../x"', '"/etc/passwd"', "[]", "{}"),
    *("[[]]", "[null]", "[{}]", '{"": null}', '[1, "a", null]', "[[1], [2, 3]]", "1e400", "2147483648", "1e18"),
    *("[" * 60 + "]" * 60, "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000, "[" * 200000),
    *('"' + "a" * 70000 + '"', '"\\n"', '"a\\nlrcn: b"', r'"\udfff\ud800"', '"\u0130"', "0.1", "1701", "[0]"),
]
INTEGERS = [0, 1, 2, 127, 128, 255, 256, 32767, 65535, 1 << 16, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
LONG = [*INTEGERS, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
FLOATS = [0.0, -1.0, 1e-5, 1e30, float("inf"), float("nan"), -0.0, 5e-324, 1e9]


# ---- bytes -------------------------------------------------------------------------------------------------


def damage_bytes(content: bytes, random: Random) -> bytes:
    content = bytearray(content)
    for _ in range(random.choice([1, 1, 1, 2, 4, 16])):
        random.choice(OF_BYTES)(content, random)
    return bytes(content)


def _place(content, random) -> int:
    """Headers are short, and say the most."""
    return random.randrange(min(len(content), random.choice([32, 256, 4096, 1 << 30])) or 1)


def _flip(content, random):
    if content:
        content[_place(content, random)] ^= 1 << random.randrange(8)


def _set(content, random):
    if content:
        content[_place(content, random)] = random.choice(
            [0, 1, 9, 10, 13, 27, 32, 127, 128, 255, random.randrange(256)]
        )


def _put(content, packed, at):
    content[at : at + len(packed)] = packed


def _integer(content, random):
    size, order = random.choice([2, 4, 4, 8]), random.choice(["little", "big"])
    value = random.choice(LONG) & ((1 << 8 * size) - 1)
    _put(content, value.to_bytes(size, order), _place(content, random))


def _float(content, random):
    _put(content, struct.pack(random.choice(["<f", ">f", "<d", ">d"]), random.choice(FLOATS)), _place(content, random))


def _after_a_tag(content, random):
    """Four letters name what follows in RIFF, MP4, PNG, ...: its size, and its first fields."""
    if tags := list(re.finditer(rb"[A-Za-z]{3}[A-Za-z0-9 ]", content)):
        at = random.choice(tags).start() + 4 * random.choice([-1, 1, 2, 3, 4, 6, 8, 9, 10])
        if at >= 0:
            _put(content, random.choice(INTEGERS).to_bytes(4, random.choice(["little", "big"])), at)


def _cut(content, random):
    del content[random.choice([random.randrange(len(content) + 1), len(content) - min(len(content), 1)]) :]


def _slice(content, random):
    at = _place(content, random)
    return at, at + random.choice([1, 4, 16, 100, 4096])


def _delete(content, random):
    start, end = _slice(content, random)
    del content[start:end]


def _double(content, random):
    start, end = _slice(content, random)
    content[start:start] = content[start:end]


def _zero(content, random):
    start, end = _slice(content, random)
    _put(content, bytes(len(content[start:end])), start)


def _insert(content, random):
    at = _place(content, random)
    content[at:at] = random.randbytes(random.choice([1, 2, 8, 100]))


def _move(content, random):
    start, end = _slice(content, random)
    _put(content, bytes(content[start:end]), _place(content, random))


def _empty(content, random):
    del content[:]


def _append(content, random):
    content += random.randbytes(random.choice([1, 4096]))


OF_BYTES = (
    [_flip] * 4 + [_set] * 3 + [_integer] * 5 + [_float] * 2 + [_after_a_tag] * 4 + [_cut, _cut, _delete, _double]
)
OF_BYTES += [_zero, _insert, _move, _append]


# ---- words -------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d]+|\s+|.", re.S)


def damage_text(content: bytes, random: Random) -> bytes:
    if random.random() < 0.15:
        return damage_bytes(content, random)
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        text = random.choice(OF_TEXT)(text, random)
    return encode(text)


def encode(text: str) -> bytes:
    """UTF-8, but for halves of pairs, which no UTF-8 has, and bytes that were none before."""
    return b"".join(
        letter.encode("utf-8", "surrogateescape" if "\udc80" <= letter <= "\udcff" else "surrogatepass")
        for letter in re.findall(r"[\ud800-\udfff]|[^\ud800-\udfff]+", text)
    )


def _change_token(text, random):
    tokens = _TOKEN.findall(text)
    if not tokens:
        return random.choice(WORDS)
    chosen = [n for n, token in enumerate(tokens) if not token.isspace()] or [0]
    if random.random() < 0.4:
        chosen = [n for n in chosen if tokens[n][0].isdigit()] or chosen
    at = random.choice(chosen)
    number = tokens[at][0].isdigit()
    kinds = [NUMBERS, NUMBERS, WORDS] if number else [WORDS, WORDS, NUMBERS, tokens]
    tokens[at] = random.choice(random.choice(kinds))
    return "".join(tokens)


def _insert_word(text, random):
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(random.choice([WORDS, NUMBERS])) + text[at:]


def _drop_token(text, random):
    tokens = _TOKEN.findall(text) or [""]
    del tokens[random.randrange(len(tokens))]
    return "".join(tokens)


def _change_lines(text, random):
    lines = text.split("\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    what = random.choice(["drop", "double", "swap", "end", "many", "join", "blank"])
    if what == "drop":
        del lines[at]
    elif what == "double":
        lines.insert(other, lines[at])
    elif what == "swap":
        lines[at], lines[other] = lines[other], lines[at]
    elif what == "many":
        lines[at:at] = [lines[at]] * random.choice([100, 3000])
    elif what == "join":
        lines[at : at + 2] = ["".join(lines[at : at + 2])]
    elif what == "blank":
        lines.insert(at, random.choice(["", " ", "\t"]))
    else:
        lines[at] += random.choice(["\r", "\r\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", " ", "\t", "\\", "#"])
    return "\n".join(lines)


def _all_line_ends(text, random):
    return text.replace("\n", random.choice(["\r\n", "\r", "\x0b", "\x85", "\u2028", "\n\n", "", " "]))


def _nest(text, random):
    opening, closing = random.choice(["[]", "{}", "()", '""', ("a {", "}"), ("a.", ""), ("[a.", "]")])
    depth, at = random.choice([50, 2000, 100_000]), random.randrange(len(text) + 1)
    return text[:at] + opening * depth + random.choice([closing * depth, ""]) + text[at:]


def _other_encoding(text, random):
    encoding = random.choice(["utf-16", "latin-1", "utf-8-sig", "cp037"])
    return text.encode(encoding, "replace").decode("utf-8", "surrogateescape")


def _cut_text(text, random):
    return text[: random.randrange(len(text) + 1)]


OF_TEXT = [_change_token] * 8 + [_insert_word] * 2 + [_drop_token] * 2 + [_change_lines] * 4
OF_TEXT += [_all_line_ends, _nest, _other_encoding, _cut_text]


# ---- JSON --------------------------------------------------------------------------------------------------


def damage_json(content: bytes, random: Random) -> bytes:
    try:
        document = json.loads(content)
    except ValueError:
        return damage_text(content, random)
    if random.random() < 0.2:
        return damage_text(content, random)
    raw = {}  # mark -> JSON that no value of Python's gives
    for number in range(random.choice([1, 1, 1, 2])):
        document = _change_json(document, random, raw, f"@mark{number}@")
    text = json.dumps(document, ensure_ascii=random.random() < 0.5)
    for mark, value in raw.items():
        text = text.replace(f'"{mark}"', value)
    return encode(text)


def damage_json_lines(content: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    if random.random() < 0.3:
        return damage_text(content, random)
    at = random.randrange(len(lines))
    lines[at] = damage_json(lines[at], random)
    return b"\n".join(lines)


def _change_json(document, random, raw, mark):
    places = list(_places(document, ()))
    deep = [place for place in places if place] or places
    place = random.choice(random.choice([places, deep, [p for p in places if len(p) <= 2]]))
    if not place:
        raw[mark] = random.choice(JSON_VALUES)
        return mark
    parent = document
    for step in place[:-1]:
        parent = parent[step]
    at, what = place[-1], random.choice(["value"] * 6 + ["drop", "other", "key", "twice", "wrap"])
    if what == "drop":
        del parent[at]
    elif what == "other":  # another value of the document, of whatever kind
        parent[at] = json.loads(json.dumps(_at(document, random.choice(places))))
    elif what == "key" and isinstance(parent, dict):
        parent[random.choice(WORDS)] = parent.pop(at) if random.random() < 0.5 else parent[at]
    elif what == "twice" and isinstance(parent, dict):
        raw[mark] = f"{json.dumps(parent[at])}, {json.dumps(at)}: {random.choice([json.dumps(parent[at]), '1'])}"
        parent[at] = mark
    elif what == "twice":
        parent.insert(at, parent[at])
    elif what == "wrap":
        parent[at] = random.choice([[parent[at]], {"": parent[at]}, {"x": parent[at]}, str(parent[at])])
    else:
        raw[mark] = random.choice(JSON_VALUES)
        parent[at] = mark
    return document


def _places(value, place):
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield from _places(item, (*place, step))


def _at(document, place):
    for step in place:
        document = document[step]
    return document


# ---- prototxt, and Caffe's binary messages -----------------------------------------------------------------


def damage_net(content: bytes, random: Random) -> bytes:
    return _damage_prototxt(content, random, pb.NetParameter, mutants.mutant)


def damage_solver(content: bytes, random: Random) -> bytes:
    return _damage_prototxt(content, random, pb.SolverParameter, mutants.solver_mutant)


def _damage_prototxt(content, random, kind, mutant):
    what = random.random()
    if what < 0.5:
        return damage_text(content, random)
    text = content.decode()
    try:
        message, _ = mutant(text_format.Parse(text, kind()), random)
        text = text_format.MessageToString(message)
    except (text_format.ParseError, ValueError):
        pass
    return (text if what < 0.7 else _odd_field(text, random)).encode("utf-8", "surrogateescape")


def _odd_field(text, random):
    """A line with a field of the schema, of its own kind or another, where a line ends."""
    descriptor = random.choice([each.DESCRIPTOR for each in (pb.NetParameter, pb.LayerParameter, pb.SolverParameter)])
    if random.random() < 0.5:
        descriptor = random.choice([each for each in pb.DESCRIPTOR.message_types_by_name.values() if each.fields])
    name = random.choice([*descriptor.fields, *pb.LayerParameter.DESCRIPTOR.fields]).name
    number, word = random.choice(NUMBERS), random.choice(["", "x", "\\377", "\\033[31m", "\\0", "a" * 300, "\\u2028"])
    value = random.choice(
        [f": {number}", f': "{word}"', " { }", f" {{ dim: {number} }}", f": [{number}, {number}]", ""]
    )
    lines = text.split("\n")
    lines.insert(random.randrange(len(lines) + 1), name + value)
    return "\n".join(lines)


def damage_message(kind):
    """Of Caffe's binary messages of a kind."""

    def damage(content: bytes, random: Random) -> bytes:
        if random.random() < 0.5:
            return damage_bytes(content, random)
        try:
            message = kind.FromString(content)
        except DecodeError:  # it is damaged already
            return damage_bytes(content, random)
        for _ in range(random.choice([1, 1, 2])):
            _change_message(message, random)
        return message.SerializeToString()

    return damage


def _change_message(message, random):
    """One value somewhere within, or a whole blob's shape."""
    inner = [message, *_messages(message)]
    chosen = random.choice(inner)
    fields = [field for field, _ in chosen.ListFields()] or list(chosen.DESCRIPTOR.fields)
    field = random.choice(random.choice([fields, list(chosen.DESCRIPTOR.fields)]))
    repeated = mutants.is_repeated(field)
    if mutants.is_message(field):
        if repeated and random.random() < 0.5 and len(getattr(chosen, field.name)):
            getattr(chosen, field.name).pop(random.randrange(len(getattr(chosen, field.name))))
        elif not repeated and random.random() < 0.5:
            chosen.ClearField(field.name)
        elif repeated:
            getattr(chosen, field.name).add()
        return
    value = _value(field, random)
    if not repeated:
        setattr(chosen, field.name, value)
        return
    values = getattr(chosen, field.name)
    if values and random.random() < 0.6:
        values[random.randrange(len(values))] = value
    elif values and random.random() < 0.5:
        del values[random.randrange(len(values)) :]
    else:
        values.append(value)


def _messages(message):
    for field, value in message.ListFields():
        if mutants.is_message(field):
            for each in value if mutants.is_repeated(field) else [value]:
                yield each
                yield from _messages(each)


def _value(field, random):
    if field.enum_type is not None:
        return random.choice(field.enum_type.values).number
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return random.choice(FLOATS)
    if field.type == field.TYPE_BYTES:
        return random.randbytes(random.choice([0, 1, 100]))
    if field.cpp_type == field.CPPTYPE_STRING:
        return random.choice([word for word in WORDS if not re.search("[\ud800-\udfff]", word)])
    if field.cpp_type == field.CPPTYPE_BOOL:
        return random.random() < 0.5
    signed = field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64)
    bits = 32 if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    values = [value for value in LONG if value < 1 << (bits - signed)]
    return random.choice([*values, *([-1, -2, -(1 << (bits - 1))] if signed else [])])


# ---- arrays ------------------------------------------------------------------------------------------------


def damage_hdf5(content: bytes, random: Random) -> bytes:
    what = random.random()
    if what < 0.5:
        return damage_bytes(content, random)
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as opened:
        names = []
        opened.visititems(lambda name, item: names.append(name))
        for _ in range(random.choice([1, 1, 2])):
            name = random.choice([*names, "new", "with/in", "odd\x1b[31m"])
            try:
                random.choice(OF_HDF5)(opened, name, random)
            except (AttributeError, KeyError, ValueError, TypeError, OSError, RuntimeError):
                pass  # what was changed before stands in the way
    content = file.getvalue()
    return content if what < 0.85 else damage_bytes(content, random)


def _without(file, name):
    if name in file:
        del file[name]


def _other_values(file, name, random):
    shape = file[name].shape if name in file and hasattr(file[name], "shape") else (2, 3)
    kind = random.choice(
        ["f2", "f8", ">f4", "i1", "u8", "?", "c8", "S4", "O", "records", "names", "nan", "empty", "ref"]
    )
    _without(file, name)
    if kind == "O":
        file.create_dataset(name, shape, h5py.string_dtype())
    elif kind == "empty":
        file[name] = h5py.Empty("f")
    elif kind == "ref":
        file.create_dataset(name, shape, h5py.ref_dtype)
    elif kind == "records":
        file.create_dataset(name, shape, np.dtype([("a", "f4"), ("b", "i4")]))
    elif kind == "names":
        file.create_dataset(name, shape, h5py.enum_dtype({"A": 0, "B": 1}))
    elif kind == "nan":
        file[name] = np.full(shape, random.choice([np.nan, np.inf, 1e38, -1, 2**31, 0.5]))
    else:
        file.create_dataset(name, shape, kind)


def _other_shape(file, name, random):
    _without(file, name)
    shape = random.choice(
        [(), (0,), (1,), (2, 3), (2, 0), (3, 2, 1, 1, 1), (1 << 20, 1 << 20), (1 << 40,), (7, 1 << 34)]
    )
    chunks = tuple(min(each, 64) for each in shape) if shape and 0 not in shape else None
    file.create_dataset(name, shape, "f4", chunks=chunks)


def _as_group(file, name, random):
    _without(file, name)
    file.create_group(name)["within"] = 1.0


def _as_link(file, name, random):
    _without(file, name)
    links = ["/nothing", "/", f"/{name}", ".."]
    outside = [h5py.ExternalLink("nothing.h5", "/"), h5py.ExternalLink("/etc/passwd", "/x")]
    file[name] = random.choice([*map(h5py.SoftLink, links), *outside])


def _packed(file, name, random):
    values = file[name][()]
    _without(file, name)
    file.create_dataset(name, data=values, chunks=True, compression="gzip", shuffle=True)


def _drop(file, name, random):
    _without(file, name)


def _outside(file, name, random):
    shape = file[name].shape
    _without(file, name)
    file.create_dataset(name, shape, "f4", external=[(random.choice(["nothing.raw", "/etc/passwd"]), 0, 1 << 30)])


def _ring(file, name, random):
    file[f"{random.choice(['ring', 'deep/ring'])}"] = file["/"]


OF_HDF5 = (
    [_other_values] * 4 + [_other_shape] * 4 + [_as_group, _as_link, _as_link, _packed, _drop, _drop, _outside, _ring]
)


def damage_npz(content: bytes, random: Random) -> bytes:
    what = random.random()
    if what < 0.35:
        return damage_bytes(content, random)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    for _ in range(random.choice([1, 1, 2])):
        name = random.choice(list(members))
        members[name] = random.choice(OF_NPY)(members[name], random)
        if random.random() < 0.15:
            del members[name]
        if random.random() < 0.15:
            members[random.choice(["x", "x.npy", "../x.npy", ".npy", "a\x1b.npy", name + ".npy"])] = b"x"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, member in members.items():
            packing = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
            file.writestr(name, member, packing)
    return out.getvalue() if what < 0.85 else damage_bytes(out.getvalue(), random)


def damage_npy(content: bytes, random: Random) -> bytes:
    return random.choice([damage_bytes, *OF_NPY])(content, random)


def _npy_header(content, random):
    """Its text otherwise, and its length true to it."""
    end = content.index(b"\n") if b"\n" in content[:4096] else 0
    header = damage_text(content[10:end], random)
    return content[:8] + struct.pack("<H", (len(header) + 1) % 65536) + header + b"\n" + content[end + 1 :]


def _npy_shape(content, random):
    end = content.index(b"\n") if b"\n" in content[:4096] else 0
    shapes = ["()", "(0,)", "(1,)", "(99999999999,)", "(100000, 1000000)", "(-1,)", "(2, 0, 3)", "(1,) * 3", "(True,)"]
    shapes += ["(200000, 1000)", "(2147483648, 2147483648)", "(18446744073709551616,)", "(3)", "None", "(1e3,)"]
    kinds = [
        "<f4",
        "<f8",
        ">f4",
        "|O",
        "<U5",
        "|S5",
        "<f2",
        "|b1",
        "<M8[s]",
        "<c8",
        "<i8",
        "V8",
        "|u1",
        "[('a', '<f4')]",
    ]
    header = content[10:end].decode("latin-1")
    if random.random() < 0.6:
        header = re.sub(r"'shape': \(.*?\)", f"'shape': {random.choice(shapes)}", header)
    if random.random() < 0.5:
        header = re.sub(r"'descr': '.*?'", f"'descr': '{random.choice(kinds)}'", header)
    packed = header.encode("latin-1")
    return content[:8] + struct.pack("<H", (len(packed) + 1) % 65536) + packed + b"\n" + content[end + 1 :]


def _pickled(content, random):
    """Would write a file called PICKLE, were it run."""
    out = io.BytesIO()
    np.save(out, np.array([_Harm()], object), allow_pickle=True)
    return out.getvalue()


class _Harm:
    def __reduce__(self):
        return open, ("PICKLE", "w")


def _other_array(content, random):
    values = random.choice(
        [
            np.zeros(0),
            np.array(3.0),
            np.zeros((2, 3)),
            np.array(["a", "\x1b[31m"]),
            np.array([b"a"]),
            np.full(4, np.nan),
            np.array([2**63], "u8"),
            np.array([-1]),
            np.ones((2, 2), bool),
            np.array(["a" * 300] * 3),
            np.zeros((1, 1, 1, 1)),
            np.array(["\ud800"]),
            np.array([1e300]),
            np.array(["1"]),
            np.array(["x\n"] * 3),
            np.array([1 + 2j]),
        ]
    )
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()


OF_NPY = [damage_bytes, _npy_header, _npy_shape, _npy_shape, _pickled, _other_array, _other_array]


# ---- LMDB --------------------------------------------------------------------------------------------------

PAGE = 4096


def damage_lmdb(content: bytes, random: Random) -> bytes:
    what = random.random()
    if what < 0.25:
        return damage_bytes(content, random)
    if what < 0.6:
        content = bytearray(content)
        for _ in range(random.choice([1, 1, 2, 4])):
            random.choice(OF_PAGES)(content, random)
        return bytes(content)
    return _other_records(content, random)


def _field_of_meta(content, random):
    page = random.choice([0, PAGE])
    _put(content, random.choice(LONG).to_bytes(8, "little"), page + 8 * random.randrange(19))


def _field_of_page(content, random):
    page = PAGE * random.randrange(max(1, len(content) // PAGE))
    _put(
        content, random.choice(INTEGERS).to_bytes(4, "little")[: random.choice([2, 4])], page + 2 * random.randrange(40)
    )


def _number_of_node(content, random):
    """What page a node of a branch, or of the root, points to."""
    page = PAGE * random.randrange(max(1, len(content) // PAGE))
    _put(
        content,
        random.randrange(1 + len(content) // PAGE).to_bytes(4, "little"),
        page + 2 * random.randrange(PAGE // 2),
    )


def _swap_pages(content, random):
    pages = max(1, len(content) // PAGE)
    one, other = (PAGE * random.randrange(pages) for _ in range(2))
    first, second = content[one : one + PAGE], content[other : other + PAGE]
    content[one : one + PAGE], content[other : other + PAGE] = second, first


def _zero_page(content, random):
    page = PAGE * random.randrange(max(1, len(content) // PAGE))
    content[page : page + PAGE] = bytes(len(content[page : page + PAGE]))


def _cut_pages(content, random):
    del content[PAGE * random.randrange(1 + len(content) // PAGE) :]


OF_PAGES = [_field_of_meta] * 3 + [_field_of_page] * 3 + [_number_of_node, _swap_pages, _zero_page, _cut_pages]


def _other_records(content, random):
    """Another environment, whole, whose keys or records are damaged.

    By the file's name: a new folder may have the number of one that is gone, whose environment somebody has open still,
    and LMDB takes it for that.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "data.mdb")
        file.write_bytes(content)
        alone = {"subdir": False, "lock": False}
        with lmdb.open(str(file), readonly=True, **alone) as environment, environment.begin() as transaction:
            records = [(bytes(key), bytes(value)) for key, value in transaction.cursor()]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "data.mdb")
        with (
            lmdb.open(str(file), map_size=1 << 26, **alone) as environment,
            environment.begin(write=True) as transaction,
        ):
            for _ in range(random.choice([1, 1, 3])):
                at = random.randrange(len(records))
                key, value = records[at]
                records[at] = random.choice(
                    [
                        (key, damage_bytes(value, random)),
                        (key, damage_bytes(value, random)),
                        (key, b""),
                        (b"x" + key, value),
                        (damage_text(key, random)[:300] or b"x", value),
                        (key, damage_message(pb.Datum)(value, random)),
                    ]
                )
            for key, value in random.choice([records, records, records[1:], records[: len(records) // 2], []]):
                transaction.put(key[:500] or b"x", value)
        return file.read_bytes()


# ---- pictures ----------------------------------------------------------------------------------------------


def damage_picture(content: bytes, random: Random) -> bytes:
    if random.random() < 0.6:
        return damage_bytes(content, random)
    return random.choice(OF_PICTURES)(content, random)


def _other_format(content, random):
    picture = Image.fromarray(np.full((20, 30, 3), 90, np.uint8))
    mode = random.choice(["RGB", "RGBA", "L", "LA", "1", "P", "CMYK", "I;16", "I", "F", "HSV", "LAB", "YCbCr", "PA"])
    name = random.choice(
        ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "DDS", "EPS", "ICO", "PCX", "PPM", "SGI", "TGA", "PDF"]
    )
    out = io.BytesIO()
    try:
        picture.convert(mode).save(out, name)
    except (ValueError, OSError, KeyError):
        picture.save(out, "PNG")
    return out.getvalue()


def _chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png_of_size(content, random):
    """A PNG whose header is sound and promises more than there is."""
    width, height = random.choice(
        [(30000, 30000), (0, 5), (1 << 31, 1), (1 << 30, 1 << 30), (65535, 65535), (5, 20_000_000)]
    )
    depth, colour = random.choice([(8, 2), (16, 2), (1, 0), (8, 3), (8, 6), (16, 4), (3, 7)])
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, random.choice([0, 1])))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(b"\0" * 100)) + _chunk(b"IEND", b"")


def _png_text(content, random):
    """A bomb in what no picture needs."""
    packed = zlib.compress(b"a" * (30 << 20), 9)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    text = _chunk(random.choice([b"zTXt", b"iCCP"]), b"name\0\0" + packed)
    return b"\x89PNG\r\n\x1a\n" + header + text + _chunk(b"IDAT", zlib.compress(bytes(52))) + _chunk(b"IEND", b"")


def _gif_of_size(content, random):
    size = struct.pack("<HH", *random.choice([(65535, 65535), (0, 0), (1, 65535)]))
    return b"GIF89a" + size + b"\x80\0\0" + bytes(6) + b"\x2c" + bytes(4) + size + b"\0\x02\x02\x44\x01\0;"


def _ppm_of_size(content, random):
    return random.choice([b"P6 30000 30000 255\n", b"P6 -1 5 255\n", b"P5 99999999999 2 255\n", b"P3 2 2 0\n1 1 1"])


def _bmp_of_size(content, random):
    sides = struct.pack("<ii", *random.choice([(30000, 30000), (-5, 5), (1 << 30, 1), (2, -(1 << 31))]))
    return (
        b"BM"
        + struct.pack("<IHHI", 100, 0, 0, 54)
        + struct.pack("<I", 40)
        + sides
        + struct.pack("<HH", 1, 24)
        + bytes(60)
    )


def _other_file(content, random):
    return random.choice(
        [b"", b"\0", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", b"<svg/>", b"x" * 5000]
    )


OF_PICTURES = (
    [_other_format] * 4 + [_png_of_size] * 2 + [_png_text, _gif_of_size, _ppm_of_size, _bmp_of_size, _other_file]
)

KINDS = {
    "bytes": damage_bytes,
    "text": damage_text,
    "json": damage_json,
    "json lines": damage_json_lines,
    "net": damage_net,
    "solver": damage_solver,
    "weights": damage_message(pb.NetParameter),
    "state": damage_message(pb.SolverState),
    "mean": damage_message(pb.BlobProto),
    "hdf5": damage_hdf5,
    "npz": damage_npz,
    "npy": damage_npy,
    "lmdb": damage_lmdb,
    "picture": damage_picture,
    "video": damage_bytes,
}
