"""Files that are damaged, hostile, or no files: one line of the error that is asked for, and nothing allocated."""

import io
import os
import signal
import struct
import subprocess
import zipfile
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import cv2
import h5py
import numpy as np
import pytest
from msgspec import Meta
from PIL import Image

from readers import bounds, printable
from readers.hdf5 import dataset, open_hdf5, read_array
from readers.images import decode, open_image
from readers.json_files import parse_json, read_json
from readers.npz import open_npz, read_npy
from readers.text import number, read_bytes, read_lines
from readers.toml_files import read_toml


class Complaint(ValueError):
    pass


def complaint(call, *arguments) -> str:
    """The one line that a call ends with."""
    with pytest.raises(Complaint) as raised:
        call(*arguments)
    line = str(raised.value)
    assert "\n" not in line and printable(line) == line
    return line


# ---- any file ------------------------------------------------------------------------------------------------


def test_what_ends_nowhere_is_no_file(tmp_path):
    assert "no file but a device" in complaint(read_bytes, "/dev/zero", Complaint, "mend")
    os.mkfifo(tmp_path / "pipe")
    assert read_bytes(tmp_path / "pipe", Complaint, "mend") == b""  # nobody writes to it
    (tmp_path / "circle").symlink_to("circle")
    assert "cannot be read" in complaint(read_bytes, tmp_path / "circle", Complaint, "mend")
    assert "no file can have this name" in complaint(read_bytes, "a\0b", Complaint, "mend")


def test_a_pipe_that_somebody_writes_to_is_read(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, b"a 0\nb 1\n")
    os.close(writing)
    assert read_lines(f"/dev/fd/{reading}", Complaint) == ["a 0", "b 1"]
    os.close(reading)


def test_a_pipe_that_never_ends_is_left_at_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "GIB", 1 << 12)
    monkeypatch.setenv("LRCN_MAX_GIB", "1")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", 'exec yes > "$0"', pipe], stderr=subprocess.DEVNULL) as writer:
        while not (line := said(pipe)):  # until the other side is open
            pass
        assert "GiB of memory, more than" in line
        assert writer.wait() == -signal.SIGPIPE


def said(path) -> str:
    try:
        assert not read_bytes(path, Complaint, "mend")
        return ""
    except Complaint as error:
        return str(error)


def test_a_file_larger_than_is_allowed_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("LRCN_MAX_GIB", "1")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(3 << 30)
    line = complaint(read_bytes, tmp_path / "sparse", Complaint, "mend")
    assert "3.0 GiB" in line and "set LRCN_MAX_GIB=3" in line


@pytest.mark.parametrize("value", ["0", "-1", "much", "1.5", "²"])
def test_a_bound_that_is_no_number_is_told(monkeypatch, value):
    monkeypatch.setenv("LRCN_MAX_PIXELS", value)
    assert f"LRCN_MAX_PIXELS={value}: no whole number" in complaint(bounds.check_pixels, 1, 1, "x", Complaint)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_of_an_odd_image_that_is_taken_nothing_is_printed(tmp_path, capfd, kind):
    content = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(content, kind)
    content = content.getvalue()
    content = (
        content[:-2] + b"odd bytes" + content[-2:] if kind == "JPEG" else content.replace(b"\x17\x01", b"\x19\xfd")
    )
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None
    assert capfd.readouterr().err  # or there is nothing to be kept from
    assert decode(content, "x", cv2.IMREAD_COLOR, Complaint).shape == (40, 40, 3)
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


# ---- text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["²", "٣", "1_000", "+1", " 1", "1\n", "", "1" * 5000, "1.0", "-1"])
def test_no_whole_number(text):
    assert number(text) is None


def test_whole_numbers():
    assert (number("0"), number("007"), number("9" * 18)) == (0, 7, 10**18 - 1)


def test_returns_alone_end_no_line(tmp_path):
    (tmp_path / "mac").write_bytes(b"a 0\rb 1\r")
    assert "carriage returns alone" in complaint(read_lines, tmp_path / "mac", Complaint)
    (tmp_path / "mixed").write_bytes(b"a\rb 0\nc 1\r\n")
    assert read_lines(tmp_path / "mixed", Complaint) == ["a\rb 0", "c 1"]


def test_what_a_terminal_would_obey_is_escaped():
    assert printable("a\x1b[31m\x9b\u202e\ud800\x7f\r") == r"a\u001b[31m\u009b\u202e\ud800\u007f\u000d"
    harmless = "Cô gái\tđọc 読む\né 👩‍🔬"
    assert printable(harmless) == harmless


# ---- JSON and TOML -------------------------------------------------------------------------------------------


@dataclass
class Item:
    id: int
    size: Annotated[int, Meta(ge=1)] = 1


class Content(TypedDict, total=False):
    images: list[Item]
    named: dict[str, Item]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "an empty file"),
        ("[" * 100_000, "100 brackets within brackets"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "100 brackets within brackets"),
        ('{"a": 1, "a": 2}', "two values of 'a', 1 and 2"),
        ("9" * 500, "more than 300 digits"),
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        ('{"a": ', "cut off"),
        ('{"images": [{"id": 1}, {"id": "x"}]}', "at images[1].id: a whole number is due, not 'x'"),
        ('{"images": [{"id": true}]}', "at images[0].id: a whole number is due, not true"),
        ('{"images": [{"id": 1, "size": 0}]}', "at images[0].size: a whole number >= 1 is due, not 0"),
        ('{"images": [{}]}', "required field id"),
        ('{"named": {"x.y": 1}}', "an object {...} is due"),
        (
            '{"named": {"a": {"id": 1}, "b.c": {"id": "x"}, "d": {"id": null}}}',
            "at named.b.c.id: a whole number is due",
        ),
        ('{"a": 1, "b": 2, "c": 3, "b": 4, "b": 5, "c": 6}', "two values of 'b', 2 and 4"),
        ("[]", "an object {...} is due"),
    ],
)
def test_json_of_another_kind(text, words):
    assert words in complaint(parse_json, text, "file.json", Content, Complaint, "mend it")


def test_json_of_its_kind_and_no_more_than_it_says(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [{"id": 1, "other": "[[[\\"{"}], "more": 1}')
    assert read_json(tmp_path / "a.json", Content, Complaint) == {"images": [Item(1)]}
    pair = '["\\ud83d\\ude00", "\\\\ud800", ' + '"' + "[" * 1000 + '"]'
    assert parse_json(pair, "x", Any, Complaint) == ["😀", "\\ud800", "[" * 1000]


@pytest.mark.parametrize(
    "text, words",
    [
        ("a = " + "[" * 3000, "TOML"),
        ("a" + ".a" * 3000 + " = 1", "brackets or dots"),
        ("a = " + "9" * 5000, "digits"),
        ("a = \x1b", "TOML"),
        ("images = 3", "at images: a list is due, not 3"),
    ],
)
def test_toml_of_another_kind(tmp_path, text, words):
    (tmp_path / "a.toml").write_text(text)
    assert words in complaint(read_toml, tmp_path / "a.toml", Content, Complaint)


# ---- HDF5 ----------------------------------------------------------------------------------------------------


def read_data(path):
    with open_hdf5(path, Complaint) as file:
        return read_array(file, "data", path, Complaint)


def test_an_array_that_only_claims_to_be_large_is_not_read(tmp_path):
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("data", (100_000, 1_000_000), "f8", chunks=(1, 1000))
    assert "745.1 GiB" in complaint(read_data, tmp_path / "large.h5")


def test_hdf5_that_leads_elsewhere_is_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.ones(3)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["data"] = h5py.ExternalLink("secret.h5", "data")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "data", (3,))
        file.create_virtual_dataset("data", layout)
    (tmp_path / "raw").write_bytes(bytes(24))
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("data", (3,), "f8", external=[(str(tmp_path / "raw"), 0, 24)])
    for name in ("link", "virtual", "outside"):
        assert "other file" in complaint(read_data, tmp_path / f"{name}.h5").replace("another", "other")


def test_every_byte_of_hdf5_may_be_another(tmp_path):
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file.create_dataset("data", data=np.arange(6.0).reshape(2, 3), compression="gzip")
    good = (tmp_path / "good.h5").read_bytes()
    for at in range(0, len(good), 7):
        (tmp_path / "bad.h5").write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        try:
            read_data(tmp_path / "bad.h5")
        except Complaint as line:
            assert str(line).startswith(f"{tmp_path / 'bad.h5'}: ") and "\n" not in str(line)


def test_hdf5_without_the_dataset(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/data"], file["none"], file["text"] = 1.0, h5py.Empty("f4"), "x"
        file["dangling"] = h5py.SoftLink("/nowhere")
        file["circle"] = h5py.SoftLink("/circle")
    with open_hdf5(tmp_path / "a.h5", Complaint) as file:
        assert [dataset(file, name) for name in ("data", "group", "none", "dangling")] == [None] * 4
        assert dataset(file, "group/data") is not None
    (tmp_path / "none.h5").write_bytes(b"")
    assert "no readable HDF5 file" in complaint(read_data, tmp_path / "none.h5")
    assert "no such file" in complaint(read_data, tmp_path / "not.h5")
    assert "not a file" in complaint(read_data, tmp_path)


# ---- NumPy ---------------------------------------------------------------------------------------------------


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    padded = header.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(padded)) + padded + data


def in_npz(path, content: bytes, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", content)
    return path


def read_x(path):
    with open_npz(path, Complaint) as arrays:
        return arrays["x"]


@pytest.mark.parametrize(
    "content, words",
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 1000000)}"), "header claims"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"), "no readable"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "Python's objects"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,"), "no readable"),
        (npy("(" * 500), "no readable"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", bytes(16), b"\x09\x00"), "no readable"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", bytes(9)), "no readable"),
        (b"\x93NUMPY", "no readable"),
        (b"", "no readable"),
    ],
)
def test_numpy_headers_are_not_believed(tmp_path, content, words):
    assert words in complaint(read_x, in_npz(tmp_path / "x.npz", content))
    (tmp_path / "x.npy").write_bytes(content)
    assert words in complaint(read_npy, tmp_path / "x.npy", Complaint)


def test_arrays_are_read_as_numpy_wrote_them(tmp_path):
    for array in (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3)), np.array(["é", "ab"]), np.float32(3)):
        np.savez_compressed(tmp_path / "x.npz", x=array)
        np.save(tmp_path / "x.npy", array)
        for read in (read_x(tmp_path / "x.npz"), read_npy(tmp_path / "x.npy", Complaint)):
            np.testing.assert_array_equal(read, array)
            assert read.dtype == array.dtype and read.flags.writeable


def test_every_byte_of_an_npz_may_be_another(tmp_path):
    np.savez_compressed(tmp_path / "good.npz", x=np.arange(200))
    good = (tmp_path / "good.npz").read_bytes()
    for at in range(len(good)):
        (tmp_path / "bad.npz").write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        try:
            read_x(tmp_path / "bad.npz")
        except Complaint as line:
            assert "\n" not in str(line)


# ---- images --------------------------------------------------------------------------------------------------


def encoded(kind: str, size=(4, 3)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, "red").save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_the_kinds_of_images_that_are_read(tmp_path, kind):
    (tmp_path / "x").write_bytes(encoded(kind))
    with open_image(tmp_path / "x", Complaint) as image:
        assert image.convert("RGB").getpixel((0, 0))[0] > 200
    if kind != "GIF":  # of which not every OpenCV knows
        assert decode(encoded(kind), "x", cv2.IMREAD_COLOR, Complaint).shape == (3, 4, 3)


@pytest.mark.parametrize("kind", ["EPS", "DDS", "PCX", "TGA", "ICO", "JPEG2000"])
def test_other_kinds_are_not_opened(tmp_path, kind):
    (tmp_path / "x.jpg").write_bytes(encoded(kind))
    with (
        pytest.raises(Complaint, match="not an image of a kind that is read"),
        open_image(tmp_path / "x.jpg", Complaint),
    ):
        pass
    assert "kind" in complaint(decode, encoded(kind), "x", cv2.IMREAD_COLOR, Complaint)


def test_pixels_are_bounded_before_they_are_decoded(tmp_path, monkeypatch):
    content = bytearray(encoded("BMP"))
    content[18:26] = struct.pack("<ii", 30_000, 30_000)
    (tmp_path / "x.bmp").write_bytes(content)
    with pytest.raises(Complaint, match="30000 x 30000 pixels"), open_image(tmp_path / "x.bmp", Complaint):
        pass
    jpeg = bytearray(encoded("JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    assert "set LRCN_MAX_PIXELS=4290250000" in complaint(decode, bytes(jpeg), "x", cv2.IMREAD_COLOR, Complaint)
    monkeypatch.setenv("LRCN_MAX_PIXELS", "11")
    assert "4 x 3" in complaint(decode, encoded("PNG"), "x", cv2.IMREAD_COLOR, Complaint)


def test_a_part_of_a_png_that_claims_far_more_than_there_is_is_not_allocated():
    png = cv2.imencode(".png", np.zeros((4, 5, 3), np.uint8))[1].tobytes()
    at = png.index(b"IDAT") - 4
    said = complaint(decode, png[:at] + b"\x7f\0\0\0" + png[at + 4 :], "a.png", cv2.IMREAD_COLOR, Complaint)
    assert said.startswith("a.png: has a part of 2,130,706,432 bytes, and ")
    assert decode(png, "a.png", cv2.IMREAD_COLOR, Complaint).shape == (4, 5, 3)
