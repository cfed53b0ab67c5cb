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
_SEGMENT_SLACK, _ROW_SLACK = 72, 64
_LENGTHS_BYTES = 32  # of a row's runs

Columns = tuple[int, ...]
_PARAMETERS = struct.Struct("<III4x")


@dataclass(frozen=True)
class Segments:
    """How a map is divided: its rows into so many shares, the larger ones first, and these by groups of columns.

    Attributes:
      height, channels: of the map.
      count: of the shares.
      ends: of each group, the column behind its last; the last one is the map's width.
      contexts: tables follow from the row above.
    """

    height: int
    channels: int
    count: int
    ends: Columns
    contexts: bool = False

    @classmethod
    def of(cls, map_: RegionTensor, coded: RegionTensor, ends: Columns, contexts: bool) -> Segments:
        """Of a map and its coded tensor, which has a row for each share and a column for each group."""
        return cls(map_.height, map_.channels, coded.height, ends, contexts)

    @property
    def most_rows(self) -> int:
        """Of a share."""
        return -(-self.height // self.count)

    @property
    def row_values(self) -> int:
        """Of the map."""
        return self.ends[-1] * self.channels

    @property
    def most_row_values(self) -> int:
        """Of a group."""
        return max(end - first for first, end in map(self.columns, range(len(self.ends)))) * self.channels

    @property
    def most_values(self) -> int:
        """Of a segment."""
        return self.most_rows * self.most_row_values

    @property
    def encode_memory_bytes(self) -> int:
        """What an op that encodes needs."""
        planes = max(self.most_values, 2 * self.most_row_values)  # of residuals, or two rows
        plain = self.most_values + planes + 2 * _SEGMENT_SLACK
        return plain + self._context_bytes(5) + _LENGTHS_BYTES * self.most_rows * self.contexts

    @property
    def decode_kept_bytes(self) -> int:
        """What an op that decodes keeps: a row, with contexts two, and a share's rows if there is more than one."""
        return self._kept_rows + (self._share_values if self.most_rows > 1 else 0)

    @property
    def decode_memory_bytes(self) -> int:
        """What an op that decodes needs."""
        plain = self._kept_rows + self._share_values + self.most_values + 2 * _SEGMENT_SLACK
        return plain + self._context_bytes(4)

    def _context_bytes(self, rows: int) -> int:
        """Of so many rows of a group that contexts take, of which one has two pixels more."""
        return (rows * (self.most_row_values + _ROW_SLACK) + 2 * self.channels) * self.contexts

    @property
    def _kept_rows(self) -> int:
        return self.row_values * (1 + self.contexts)

    @property
    def rows_before(self) -> int:
        """That an op that encodes reads before the rows of a share, if there are so many."""
        return 1 + self.contexts

    @property
    def _share_values(self) -> int:
        return self.most_rows * self.row_values

    def rows(self, share: int) -> tuple[int, int]:
        """First and last row."""
        sizes = shares(self.height, self.count)
        first = sum(sizes[:share])
        return first, first + sizes[share] - 1

    def columns(self, group: int) -> tuple[int, int]:
        """First and end column."""
        return self.ends[group - 1] if group else 0, self.ends[group]

    def share_of(self, row: int) -> int:
        """The number of the one that has a row."""
        least, larger = divmod(self.height, self.count)
        in_larger = larger * (least + 1)
        return row // (least + 1) if row < in_larger else larger + (row - in_larger) // least


def has_contexts(side_information: bytes) -> bool:
    """Whether tables follow from the row above (FORMAT.md section 2.1)."""
    version, tables = side_information[4], side_information[34]
    return version > 1 and tables > 0


def coded_tensor(map_: RegionTensor, shares_: int, ends: Columns) -> RegionTensor:
    """A tensor for a map's segments: a pixel for each, with room for the raw segment behind its length."""
    most = Segments(map_.height, map_.channels, shares_, ends).most_values  # contexts do not matter
    slot = -(-(most + SLOT_HEADER_BYTES) // ROW_ALIGNMENT) * ROW_ALIGNMENT
    return RegionTensor(map_.source, shares_, len(ends), slot, np.dtype(np.uint8))


@dataclass(frozen=True, eq=False)
class Encode(RegionOp):
    """Writes the segments of a map.

    Attributes:
      side_information: FORMAT.md section 2, without matrices, levels and a checksum.
      ends: of the groups of columns.
    """

    side_information: bytes
    ends: Columns

    kind = ENCODE

    @property
    def _segments(self) -> Segments:
        return Segments.of(self.inputs[0], self.output, self.ends, has_contexts(self.side_information))

    @property
    def own_memory_bytes(self) -> int:
        return self._segments.encode_memory_bytes

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        segments = self._segments
        first, last = segments.rows(step)
        return max(first - segments.rows_before, 0), last

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return self._segments.columns(first)[0], self._segments.columns(end - 1)[1]

    @property
    def own_windows(self) -> tuple[tuple[int, int], ...]:
        """A group in each strip."""
        return tuple((group, group + 1) for group in range(len(self.ends)))

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        information = add(self.side_information, PROGRAM_ALIGNMENT)
        ends = add(np.array(self.ends, "<u2").tobytes(), 4) if len(self.ends) > 1 else 0
        return _PARAMETERS.pack(information, len(self.side_information), ends)


def side_information_bytes(op: ProgramOp) -> int:
    """Of an ENCODE."""
    return int(_PARAMETERS.unpack(op.parameters)[1])


@dataclass(frozen=True, eq=False)
class Decode(RegionOp):
    """Reads the segments that an Encode writes.

    Attributes:
      ends: of the groups of columns.
      contexts: the segments have some.
    """

    ends: Columns
    contexts: bool

    kind = DECODE

    @property
    def _segments(self) -> Segments:
        return Segments.of(self.output, self.inputs[0], self.ends, self.contexts)

    @property
    def own_memory_bytes(self) -> int:
        return self._segments.decode_memory_bytes

    @property
    def kept_memory_bytes(self) -> int:
        return self._segments.decode_kept_bytes

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        share = self._segments.share_of(step)
        return share, share

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return 0, self.inputs[0].width

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return b""
