"""Images in TFRecord files of tf.train.Example, read without TensorFlow.

A file is a row of records: bytes of the payload (little-endian, 64 bits), a checksum of these 8 bytes, the payload, its
checksum (https://www.tensorflow.org/tutorials/load_data/tfrecord). The payload is a protocol buffer, in which an
encoded image lies in one piece: its place is listed once, without reading it, and it is then read where it lies.
Checksums are checked of the lengths, on which everything hangs, but not of payloads.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fmtc_tflite.data import places
from fmtc_tflite.data.packed_images import Listing, SpanReader, open_binary, open_spans
from fmtc_tflite.errors import CalibrationError, reason

IMAGE_FEATURES = ("image/encoded", "image", "image_raw", "jpg", "jpeg", "png")  # the first one that is there
LABEL_FEATURES = ("image/class/label", "label", "cls")

_HEADER = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
_GZIP = b"\x1f\x8b"
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
_BYTES_LIST, _INT64_LIST = 1, 3  # fields of a Feature

Buffer = bytes | mmap.mmap
Span = tuple[int, int]  # first byte, and end


class _DamagedError(ValueError):
    pass


def open_tfrecord(files: Sequence[str | Path], input_name: str) -> SpanReader:
    """Opens TFRecord files as one data set.

    Args:
      files: in their order; local or URLs (see `places`).
      input_name: the input that gets the images.

    Raises:
      CalibrationError: a damaged or compressed file, or none with images; labels that some images lack.
    """
    expected = f"records with one of the features {', '.join(IMAGE_FEATURES)}", f"one of {', '.join(LABEL_FEATURES)}"
    return open_spans("tfrecord", files, input_name, _listed, expected)


def _listed(path: str | Path) -> Listing:
    names, spans, labels = list[str](), list[Span](), list[int | None]()
    try:
        for number, (buffer, moved, record) in enumerate(_records(path)):
            features = _features(buffer, record)
            name = next((name for name in IMAGE_FEATURES if name in features), None)
            if name is None:
                raise CalibrationError(
                    f"{path}: record {number} has the features {', '.join(sorted(features)) or 'none'}, expected one "
                    f"of {', '.join(IMAGE_FEATURES)} with an encoded image"
                )
            start, end = _value(buffer, features[name], _BYTES_LIST, name)
            names.append(f"record {number}")
            spans.append((moved + start, end - start))
            label = next((name for name in LABEL_FEATURES if name in features), None)
            labels.append(None if label is None else _integer(buffer, features[label], label))
    except (OSError, _DamagedError) as error:
        raise CalibrationError(
            f"{path}: got no readable TFRecord file of tf.train.Example (record {len(names)}: {reason(error)}); "
            "save it again"
        ) from error
    return Listing(names, np.array(spans, np.int64), labels)


def _records(path: str | Path) -> Iterator[tuple[Buffer, int, Span]]:
    """Of each record: what holds it, where that begins in the file, and the payload there.

    A file of this machine is mapped: of a page that nobody looks at, nothing is read.
    """
    with open_binary(path) as file:
        size = file.seek(0, 2)
        if places.url(path) is None and size:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                for start, end in _payloads(file, size):
                    yield mapped, 0, (start, end)
            return
        for start, end in _payloads(file, size):
            payload = file.read(end - start)
            yield payload, start, (0, len(payload))


def _payloads(file: mmap.mmap, size: int) -> Iterator[Span]:
    """Where payloads lie in the file, which is then at their first byte."""
    at = 0
    while at < size:
        file.seek(at)
        header = file.read(_HEADER.size)
        if at == 0 and header.startswith(_GZIP):
            raise _DamagedError("it is compressed; decompress it")
        if len(header) < _HEADER.size:
            raise _DamagedError("it ends in a header")
        length, checksum = _HEADER.unpack(header)
        if _masked_crc32c(header[:8]) != checksum:
            raise _DamagedError("wrong checksum of the length")
        start, at = at + len(header), at + len(header) + length + _CHECKSUM_BYTES
        if at > size:
            raise _DamagedError(f"it ends {at - size} bytes too early")
        yield start, start + length


def _features(buffer: Buffer, example: Span) -> dict[str, Span]:
    """The Feature messages of an Example by name: Example.features.feature, a map."""
    found = {}
    for _, features in _fields(buffer, example, only=1):
        for _, entry in _fields(buffer, features, only=1):
            parts = dict(_fields(buffer, entry))
            if 1 in parts and 2 in parts:
                start, end = parts[1]
                found[buffer[start:end].decode("utf-8", "replace")] = parts[2]
    return found


def _value(buffer: Buffer, feature: Span, kind: int, name: str) -> Span:
    """The only value of a feature, which has a list of this kind."""
    values = [
        value for _, values in _fields(buffer, feature, only=kind) for _, value in _fields(buffer, values, only=1)
    ]
    if len(values) != 1:
        what = "image" if kind == _BYTES_LIST else "integer"
        raise _DamagedError(f"'{name}' has no or several values, expected one {what}")
    return values[0]


def _integer(buffer: Buffer, feature: Span, name: str) -> int:
    """The only value of an Int64List: packed or not, it is one number of variable length."""
    start, end = _value(buffer, feature, _INT64_LIST, name)
    number, stop = _varint(buffer, start, end)
    if stop != end:
        raise _DamagedError(f"'{name}' has several values, expected one integer")
    return number - (1 << 64 if number >> 63 else 0)


def _fields(buffer: Buffer, message: Span, only: int | None = None) -> Iterator[tuple[int, Span]]:
    """Numbers and contents of a message's fields, all or those of one number."""
    at, end = message
    while at < end:
        key, at = _varint(buffer, at, end)
        wire_type = key & 7
        if wire_type == _LENGTH_DELIMITED:
            size, at = _varint(buffer, at, end)
        elif wire_type == _VARINT:
            size = _varint(buffer, at, end)[1] - at
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
        else:
            raise _DamagedError(f"wire type {wire_type} in its message")
        if at + size > end:
            raise _DamagedError("a field goes beyond its message")
        if only is None or key >> 3 == only:
            yield key >> 3, (at, at + size)
        at += size


def _varint(buffer: Buffer, at: int, end: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    number = 0
    for i, byte in enumerate(buffer[at : min(at + 10, end)]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number & (1 << 64) - 1, at + i + 1
    raise _DamagedError("a number without end in its message")


def _crc32c_table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [entry >> 1 ^ (0x82F63B78 if entry & 1 else 0) for entry in table]
    return table


_CRC32C = _crc32c_table()


def _masked_crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli), turned by 15 bits and shifted by a constant, as the format wants it."""
    checksum = 0xFFFFFFFF
    for byte in content:
        checksum = _CRC32C[(checksum ^ byte) & 255] ^ checksum >> 8
    checksum ^= 0xFFFFFFFF
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
