"""TensorBoard's event files, read by the format's description: records of a length, its checksum, the content, its
checksum, and in it the protobuf messages."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(content: bytes) -> int:
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(folder: Path) -> list[Event]:
    """Of all files in a folder; what is not whole, or does not fit its checksum, is an error."""
    read = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            assert struct.unpack("<I", content[8:12])[0] == masked(content[:8])
            record, (sum_of_record,) = (
                content[12 : 12 + length],
                struct.unpack("<I", content[12 + length : 16 + length]),
            )
            assert len(record) == length and sum_of_record == masked(record)
            read.append(Event.FromString(record))
            content = content[16 + length :]
    return read


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found.setdefault(value.tag, []).append((event.step, round(value.simple_value, 5)))
    return found


def texts(folder: Path) -> dict[str, str]:
    return {
        value.tag: value.tensor.string_val[0].decode()
        for event in events(folder)
        for value in event.summary.value
        if value.WhichOneof("value") == "tensor"
    }
