"""Both implementations reproduce the committed vectors to the byte (tools/make_golden_vectors.py has the layout)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.coding import reference, side_info
from fmtc_tflite.coding.side_info import PREDICTORS, SideInformation
from fmtc_tflite.runtime.library import NativeCodec, load_library

CONTENT = (Path(__file__).parent / "vectors.bin").read_bytes()


class Vector:
    """One case of the file."""

    def __init__(self, content: bytes, position: int) -> None:
        self._content, self.end = content, position
        self.name = self._blob().decode()
        *shape, is_uint8 = struct.unpack_from("<3iI", content, self.end)
        self.end += 16
        self.shape = tuple(shape)
        self.dtype = np.dtype(np.uint8 if is_uint8 else np.int8)
        self.side_information = self._blob()
        self.map = np.frombuffer(self._blob(), self.dtype).reshape(*self.shape, -1)
        self.coded = self._blob()
        self.decoded = np.frombuffer(self._blob(), self.dtype).reshape(*self.shape, -1)

    def _blob(self) -> bytes:
        (length,) = struct.unpack_from("<I", self._content, self.end)
        start, self.end = self.end + 4, self.end + 4 + length
        return self._content[start : self.end]

    @property
    def capacity(self) -> int | None:
        return len(self.coded) if self.name.endswith("_tight") else None


def vectors() -> Iterator[Vector]:
    magic, count = struct.unpack_from("<4sI", CONTENT)
    assert magic == b"FMGV"
    position = 8
    for _ in range(count):
        vector = Vector(CONTENT, position)
        position = vector.end
        yield vector
    assert position == len(CONTENT)


every_vector = pytest.mark.parametrize("vector", [pytest.param(v, id=v.name) for v in vectors()])


@every_vector
def test_reference(vector: Vector) -> None:
    info = SideInformation.from_bytes(vector.side_information)
    assert info.to_bytes() == vector.side_information
    assert reference.encode(info, vector.map, vector.capacity) == vector.coded
    assert np.array_equal(reference.decode(info, vector.coded, vector.shape, vector.dtype), vector.decoded)


@every_vector
def test_native(vector: Vector) -> None:
    with NativeCodec(vector.side_information, vector.shape, vector.dtype) as codec:
        buffer = np.zeros(vector.capacity or codec.capacity_bytes, np.uint8)
        payload = codec.encode_into(vector.map, buffer)
        assert buffer[:payload].tobytes() == vector.coded
        assert np.array_equal(codec.decode(buffer), vector.decoded)


def test_every_level_occurs() -> None:
    assert {v.coded[6] for v in vectors()} == {0, 1, 2, 3, 4}


def test_every_part_of_the_format_occurs() -> None:
    """A new flag, predictor or version without a vector of its own is found here."""
    infos = [SideInformation.from_bytes(v.side_information) for v in vectors()]
    used = {int(p) for info in infos for p in info.predictor}
    assert used == set(range(len(PREDICTORS)))
    flags = [v.side_information[5] for v in vectors()]
    assert {bit for bit in range(8) if any(f >> bit & 1 for f in flags)} == set(range(6))
    assert {info.checksum for info in infos} == {False, True}
    assert {info.contexts is None for info in infos} == {False, True}
    assert {info.segment_rows > 0 for info in infos} == {False, True}
    versions = {v.coded[4] for v in vectors()} | {v.side_information[4] for v in vectors()}
    assert versions == {1, 2}
    assert max(versions) == side_info.FORMAT_VERSION == load_library().fmtc_format_version()
