"""A region: the ops that one FMTC_REGION stands for, and the form that its tensors have in scratch memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.program_format import ROW_ALIGNMENT

_WORD_BYTES = 4


@dataclass(frozen=True, eq=False)
class Region:
    """Ops in an order in which each tensor is written before it is read; none reads an output of the region.

    Attributes:
      inputs: tensors from outside, in the order of the custom op's inputs.
      outputs: in the order of the custom op's outputs.
    """

    ops: tuple[RegionOp, ...]
    inputs: tuple[RegionTensor, ...]
    outputs: tuple[RegionTensor, ...]


@dataclass(frozen=True)
class Form:
    """Rows of a tensor in scratch memory, as its readers want them: bytes, and padding columns on both sides.

    Attributes:
      is_windowed: whether a row holds the columns of one strip only.
    """

    pixel_bytes: int
    left: int
    right: int
    row_bytes: int
    is_windowed: bool = False

    def windowed(self, width: int, windows: Iterable[tuple[int, int]]) -> Form:
        """The same for strips of a tensor of so many columns. Only strips at its ends have padding there."""
        columns = max(self.left * (first == 0) + end - first + self.right * (end == width) for first, end in windows)
        return replace(self, row_bytes=align(columns * self.pixel_bytes, ROW_ALIGNMENT), is_windowed=True)


Read = tuple[RegionOp, int]  # an op and the number of the input that it reads


def form_of(tensor: RegionTensor, reads: Iterable[Read]) -> Form:
    """The form that suits all the given reads of a tensor."""
    left = right = 0
    pixel = tensor.channels * tensor.dtype.itemsize
    for op, operand in reads:
        before, after = op.column_padding(operand)
        left, right = max(left, before), max(right, after)
        if op.reads_words(operand):
            pixel = align(pixel, _WORD_BYTES)
    return Form(pixel, left, right, align((left + tensor.width + right) * pixel, ROW_ALIGNMENT))


def align(size: int, alignment: int) -> int:
    """The next multiple."""
    return -(-size // alignment) * alignment


def is_read_in_place(op: RegionOp, operand: int) -> bool:
    """Whether the op reads an input of the region itself, without a copy before it."""
    return op.reads_region_inputs(operand) and not op.reads_words(operand) and op.column_padding(operand) == (0, 0)
