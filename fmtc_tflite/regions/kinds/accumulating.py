"""What kinds have in common that add up whole rows of their input."""

from __future__ import annotations

from dataclasses import dataclass

from fmtc_tflite.regions.ops import RegionOp


@dataclass(frozen=True, eq=False)
class AccumulatingOp(RegionOp):
    """Step y takes in row y of the only input, all columns of it; the last step writes the output's only row."""

    @property
    def steps(self) -> int:
        return self.inputs[0].height

    @property
    def accumulates(self) -> bool:
        return True

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step, step

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return 0, self.inputs[0].width
