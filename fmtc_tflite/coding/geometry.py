"""Segments and groups of a feature map: FORMAT.md section 3."""

from __future__ import annotations

from dataclasses import dataclass

SEGMENT_VALUES = 8192
GROUP_VALUES = 65536
HEADER_BYTES = 16
SEGMENT_TABLE_BYTES = 4
SEGMENT_HEADER_BYTES = 53


def shares(total: int, parts: int) -> list[int]:
    """`total` cut into `parts` shares that differ by at most one, larger ones first."""
    return [total // parts + (i < total % parts) for i in range(parts)]


@dataclass(frozen=True)
class Geometry:
    """How one batch item of `height` rows of `row_values` indices is cut.

    Attributes:
      segment_rows: rows of each segment.
      group_segments: segments of each group.
    """

    height: int
    row_values: int
    segment_rows: tuple[int, ...]
    group_segments: tuple[int, ...]

    @property
    def group_rows(self) -> tuple[int, ...]:
        """Rows of each group."""
        rows, first = [], 0
        for count in self.group_segments:
            rows.append(sum(self.segment_rows[first : first + count]))
            first += count
        return tuple(rows)

    @property
    def overhead_bytes(self) -> int:
        """Header, segment table and segment headers of one batch item."""
        return HEADER_BYTES + (SEGMENT_TABLE_BYTES + SEGMENT_HEADER_BYTES) * len(self.segment_rows)

    @property
    def item_capacity_bytes(self) -> int:
        """Coded bytes per batch item that always suffice without levels."""
        used = HEADER_BYTES + SEGMENT_TABLE_BYTES * len(self.segment_rows) + self.height * self.row_values
        return -(-used // 8) * 8


def rows_of_groups(height: int, width: int, components: int) -> int:
    """Rows in a segment, at most, with which each group of a map is one segment, of at least GROUP_VALUES indices."""
    least_rows = min(height, -(-GROUP_VALUES // (width * components)))
    return -(-height // (height // least_rows))


def geometry(height: int, width: int, components: int, segment_rows: int = 0) -> Geometry:
    """Cuts a map of `height` x `width` x `components` indices (each at least 1).

    Args:
      height, width, components: of the map.
      segment_rows: rows in a segment, at most; 0 for about SEGMENT_VALUES indices in each.
    """
    row_values = width * components
    least_rows = min(height, -(-SEGMENT_VALUES // row_values))
    segments = -(-height // segment_rows) if segment_rows else height // least_rows
    least_segments = min(segments, -(-GROUP_VALUES // (height // segments * row_values)))
    return Geometry(
        height,
        row_values,
        tuple(shares(height, segments)),
        tuple(shares(segments, segments // least_segments)),
    )
