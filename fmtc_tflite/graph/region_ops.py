"""FMTC_REGION ops in a graph, as far as their programs' headers tell (custom_ops/REGION.md, section 3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Model, Op, Tensor
from fmtc_tflite.graph.names import REGION

KERNEL_SETS = ("xnnpack", "builtin", "reference")  # by their number in a program

_MAGIC = b"FMRG"
_HEADER_BYTES = 64
_KERNEL_SET_OFFSET, _SCRATCH_OFFSET = 6, 28


@dataclass(frozen=True, eq=False)
class InnerTensor:
    """A tensor of the original that lies inside a region.

    Attributes:
      tensor: the original's.
      region: the FMTC_REGION that computes it.
      number: of the program's tensor that has its values.
      computed: which of its values are computed at all, bool of an item's shape in the region; the others read as 0.
    """

    tensor: Tensor
    region: Op
    number: int
    computed: np.ndarray


def is_region(op: Op) -> bool:
    """Whether the op is an FMTC_REGION."""
    return op.is_custom and op.opcode == REGION


def region_ops(model: Model) -> list[Op]:
    """All of a model's."""
    return [op for subgraph in model.subgraphs for op in subgraph.ops if is_region(op)]


def region_inputs(regions: Iterable[Op]) -> list[Tensor]:
    """What regions read, their programs left out."""
    return list(dict.fromkeys(tensor for op in regions for tensor in op.inputs[:-1] if tensor is not None))


def program_bytes(op: Op) -> bytes:
    """The program of an FMTC_REGION.

    Raises:
      ModelFormatError: it has none.
    """
    program = op.inputs[-1].data if op.inputs and op.inputs[-1] is not None else None
    if program is None or program.size < _HEADER_BYTES or program[:4].tobytes() != _MAGIC:
        raise ModelFormatError(f"an {REGION} has no program as its last input; convert the model again")
    return program.tobytes()


def scratch_bytes(op: Op) -> int:
    """Scratch memory of an FMTC_REGION in the arena."""
    return int(struct.unpack_from("<I", program_bytes(op), _SCRATCH_OFFSET)[0])


def kernel_set_of(model: Model) -> str | None:
    """The kernels whose results a model's regions give; None without regions.

    Raises:
      ModelFormatError: a region without a program, or of an unknown set, or regions of several.
    """
    numbers = {program_bytes(op)[_KERNEL_SET_OFFSET] for op in region_ops(model)}
    if not numbers:
        return None
    if len(numbers) > 1 or max(numbers) >= len(KERNEL_SETS):
        raise ModelFormatError(
            f"the model's {REGION} ops are of the kernel sets {sorted(numbers)}, expected one of 0 to 2"
        )
    return KERNEL_SETS[numbers.pop()]
