"""What the executor for microcontrollers (custom_ops/micro) computes."""

from __future__ import annotations

from collections.abc import Callable

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import MICRO_BUILDERS, op_builder
from fmtc_tflite.regions.kinds.elementwise import Add, Quantize, Table
from fmtc_tflite.regions.kinds.floats import Dequantize
from fmtc_tflite.regions.kinds.moves import Concatenation, Transpose
from fmtc_tflite.regions.kinds.multiply_accumulate import Conv, Depthwise, FullyConnected
from fmtc_tflite.regions.kinds.pads import Pad
from fmtc_tflite.regions.kinds.pools import AveragePool, MaxPool
from fmtc_tflite.regions.kinds.reductions import Mean
from fmtc_tflite.regions.kinds.slices import Slice
from fmtc_tflite.regions.kinds.softmax import Softmax
from fmtc_tflite.regions.ops import OpBuilder, OpRefusedError, RegionOp, RegionTensor

# TensorFlow Lite Micro rounds as the reference kernels without vectors do: LiteRT's round FULLY_CONNECTED otherwise.
BARE_KERNELS = KernelSet("reference", vectors=False)

KINDS = frozenset(
    each.kind
    for each in (
        *(Add, AveragePool, Concatenation, Conv, Copy, Depthwise, Dequantize, FullyConnected, MaxPool, Mean, Pad),
        *(Quantize, Slice, Softmax, Table, Transpose),
    )
)
_STEP_BYTES = 4  # of an op's place in its pass


def bare_builder() -> OpBuilder:
    """What makes ops for the executor, and refuses those that it lacks."""
    build = op_builder(BARE_KERNELS, MICRO_BUILDERS)

    def build_bare(op: Op, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
        built = build(op, tensor_of)
        if any(each.kind not in KINDS or each.rule != 1 for each in built):
            raise OpRefusedError(f"regions on microcontrollers do not compute {op.opcode} so")
        return built

    return build_bare


def executor_bytes(most_ops: int) -> int:
    """Memory that the executor wants behind a program's scratch memory.

    Args:
      most_ops: that a pass of the program has.
    """
    return _STEP_BYTES * most_ops
