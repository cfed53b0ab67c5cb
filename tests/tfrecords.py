"""Writes TFRecord files of tf.train.Example for tests, without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

Value = bytes | int | float


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        number, out = number >> 7, out + bytes([number & 127 | 128])
    return out + bytes([number])


def example(features: Mapping[str, Value], packed: bool = True) -> bytes:
    """An Example with one value in each feature; integers `packed` or not."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = field(1, field(1, value))
        elif isinstance(value, int):
            feature = field(3, field(1, varint(value)) if packed else b"\x08" + varint(value))
        else:
            feature = field(2, field(1, struct.pack("<f", value)))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def record(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return length + masked_crc32c(length) + payload + masked_crc32c(payload)


def masked_crc32c(content: bytes) -> bytes:
    """Bit by bit, from the polynomial."""
    checksum = 0xFFFFFFFF
    for byte in content:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ 0x82F63B78 * (checksum & 1)
    checksum ^= 0xFFFFFFFF
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def write(path: Path, examples: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(map(record, examples)))
    return path
