"""An op of a region as the planner sees it: what it reads for each step, and what it costs. Immutable.

Each kind says itself which rows and columns it needs; nobody else asks for the kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor


class OpRefusedError(Exception):
    """An op that cannot join a region; the message is the reason that users read."""


@dataclass(frozen=True, eq=False)
class RegionTensor:
    """A tensor of one batch item: height x width x channels.

    Attributes:
      source: the graph's tensor.
      dtype: of its elements.
      zero_point: of an 8-bit tensor in the unsigned domain (0 to 255), which is its padding; 0 otherwise.
      order: for each axis of the graph's tensor behind the batch, whether it is rows (0), columns (1) or channels (2),
        where that is not as it is in general.
    """

    source: Tensor
    height: int
    width: int
    channels: int
    dtype: np.dtype
    zero_point: int = 0
    order: tuple[int, ...] | None = None

    @property
    def bytes(self) -> int:
        """Of a dense item."""
        return self.height * self.width * self.channels * self.dtype.itemsize


class Work(NamedTuple):
    """What a step of an op does, its kernel's padding included; fmtc_tflite.regions.time_costs has its price.

    Attributes:
      values: of the output, or of the input where the op accumulates.
      macs: multiply-adds, or values that a window takes in.
      weights: that are read, those of each tile of columns anew.
    """

    values: int
    macs: int = 0
    weights: int = 0


@dataclass(frozen=True, eq=False)
class RegionOp(ABC):
    """One op; a subclass for each kind of REGION.md section 5.

    Attributes:
      source: the graph's op; None where the planner made it up (a copy).
      inputs: tensors that it reads, constants left out.
      output: what it writes.
      rule: number of the arithmetic, by kind.
    """

    source: Op | None
    inputs: tuple[RegionTensor, ...]
    output: RegionTensor
    rule: int

    kind: ClassVar[int]  # the number in REGION.md

    @property
    def steps(self) -> int:
        """Rows of the output, or of the input where the op accumulates."""
        return self.output.height

    @property
    def accumulates(self) -> bool:
        """Whether step y adds row y of the only input and the last step writes the output's only row."""
        return False

    @property
    def kept_memory_bytes(self) -> int:
        """What a step finds of the op's own memory, from its first byte on, as the step before left it."""
        return self.own_memory_bytes if self.accumulates else 0

    @abstractmethod
    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        """First and last row of an input that a step reads, clipped to the tensor (both inclusive)."""

    @abstractmethod
    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        """Columns [first, end) of an input that columns [first, end) of the output need, clipped to the tensor."""

    @property
    def own_windows(self) -> tuple[tuple[int, int], ...] | None:
        """Columns [first, end) of the output in each strip where the op itself knows them, and does none twice."""
        return None

    def column_padding(self, operand: int) -> tuple[int, int]:
        """Padding columns that the op reads left and right of an input."""
        return 0, 0

    def reads_words(self, operand: int) -> bool:
        """Whether the input must lie in scratch memory, in pixels of a multiple of 4 bytes."""
        return False

    def reads_region_inputs(self, operand: int) -> bool:
        """Whether the op can read an input of the region itself; else a COPY stands before it."""
        return False

    @property
    def writes_region_outputs(self) -> bool:
        """Whether the op can write an output of the region itself; else a COPY follows it."""
        return False

    @property
    def weights_saved_together(self) -> int:
        """Bytes that its steps need not read again where they come one right behind the other."""
        return 0

    @property
    def own_memory_bytes(self) -> int:
        """Scratch memory of its own: accumulators or a row of padding (for all columns).

        What of it is not kept from step to step (`kept_memory_bytes`) ops of a pass share.
        """
        return 0

    @property
    def macs(self) -> int:
        """Multiply-adds for a whole output."""
        return 0

    @property
    def cost_kind(self) -> str:
        """Which costs of fmtc_tflite.regions.time_costs it has."""
        return type(self).__name__

    @property
    def step_columns(self) -> int:
        """Columns that a step works on in whole rows: of the output, or of the input where the op accumulates."""
        return self.inputs[0].width if self.accumulates else self.output.width

    def work(self, columns: int) -> Work:
        """What a step does on so many columns."""
        if self.accumulates:
            return Work(columns * self.inputs[0].channels, self.macs // self.steps)
        return Work(columns * self.output.channels, self.macs * columns // (self.steps * self.output.width))

    @abstractmethod
    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        """The kind's parameter struct.

        Args:
          add: puts an array into the program at a multiple of the given alignment and returns its offset.
          outside: inputs and outputs of the region, whose bytes are not in the unsigned domain.
        """


# Makes the RegionOps of a graph's op, in their order (most have one), whose tensors it looks up with the given
# function: constants are in the graph's tensors. A tensor behind a RESHAPE comes with the height, width and channels of
# the RESHAPE's input. Raises OpRefusedError.
OpBuilder = Callable[[Op, Callable[[Tensor], RegionTensor]], tuple[RegionOp, ...]]
