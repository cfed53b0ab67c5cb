"""COPY (REGION.md 5): rows of an input of the region in the form that other ops read, or a tensor as an output."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from fmtc_tflite.regions.ops import RegionOp, RegionTensor


class Copy(RegionOp):
    """Reads what it writes, row by row."""

    kind = 16

    @classmethod
    def of(cls, tensor: RegionTensor) -> Copy:
        """A copy of a tensor into a new one."""
        return cls(None, (tensor,), replace(tensor), 1)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step, step

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return first, end

    def reads_region_inputs(self, operand: int) -> bool:
        return True

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return b""
