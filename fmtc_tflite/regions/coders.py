"""ENCODE and DECODE (REGION.md 5): rows of a cut as segments of the bitstream, and rows again."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.coding.geometry import shares
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.program import ProgramOp
from fmtc_tflite.regions.program_format import PROGRAM_ALIGNMENT, ROW_ALIGNMENT

ENCODE, DECODE = 35, 36  # kinds
SLOT_HEADER_BYTES = 4
_SEGMENT_SLACK, _ROW_SLACK = 128, 64
_PARAMETERS = struct.Struct("<II8x")


@dataclass(frozen=True)
class Segments:
    """How the rows of a map are divided: into so many shares, the larger ones first."""

    height: int
    count: int
    row_values: int

    @classmethod
    def of(cls, map_: RegionTensor, coded: RegionTensor) -> Segments:
        """Of a map and its coded tensor, which has a row for each segment."""
        return cls(map_.height, coded.height, map_.width * map_.channels)

    @property
    def most_values(self) -> int:
        """Of a segment."""
        return -(-self.height // self.count) * self.row_values

    @property
    def own_memory_bytes(self) -> int:
        """What an op that encodes or decodes needs."""
        return 2 * (self.most_values + _SEGMENT_SLACK) + self.row_values + _ROW_SLACK

    def rows(self, segment: int) -> tuple[int, int]:
        """First and last row."""
        sizes = shares(self.height, self.count)
        first = sum(sizes[:segment])
        return first, first + sizes[segment] - 1

    def segment_of(self, row: int) -> int:
        """The number of the one that has a row."""
        least, larger = divmod(self.height, self.count)
        in_larger = larger * (least + 1)
        return row // (least + 1) if row < in_larger else larger + (row - in_larger) // least


def coded_tensor(map_: RegionTensor, segments: int) -> RegionTensor:
    """A tensor for a map's segments: each a row, of one pixel with room for the raw segment behind its length."""
    most = Segments(map_.height, segments, map_.width * map_.channels).most_values
    slot = -(-(most + SLOT_HEADER_BYTES) // ROW_ALIGNMENT) * ROW_ALIGNMENT
    return RegionTensor(map_.source, segments, 1, slot, np.dtype(np.uint8))


@dataclass(frozen=True, eq=False)
class Encode(RegionOp):
    """Writes the segments of a map.

    Attributes:
      side_information: FORMAT.md section 2, of a lossless map without a checksum.
    """

    side_information: bytes

    kind = ENCODE

    @property
    def _segments(self) -> Segments:
        return Segments.of(self.inputs[0], self.output)

    @property
    def own_memory_bytes(self) -> int:
        return self._segments.own_memory_bytes

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        first, last = self._segments.rows(step)
        return max(first - 1, 0), last

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return 0, self.inputs[0].width

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return _PARAMETERS.pack(add(self.side_information, PROGRAM_ALIGNMENT), len(self.side_information))


def side_information_bytes(op: ProgramOp) -> int:
    """Of an ENCODE."""
    return int(_PARAMETERS.unpack(op.parameters)[1])


@dataclass(frozen=True, eq=False)
class Decode(RegionOp):
    """Reads the segments that an Encode writes."""

    kind = DECODE

    @property
    def _segments(self) -> Segments:
        return Segments.of(self.output, self.inputs[0])

    @property
    def own_memory_bytes(self) -> int:
        return self._segments.own_memory_bytes

    @property
    def keeps_memory(self) -> bool:
        return True

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        segment = self._segments.segment_of(step)
        return segment, segment

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return 0, 1

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return b""
