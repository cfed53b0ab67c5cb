"""What the executor for microcontrollers (custom_ops/micro) computes, and what it needs beside a program's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.region_ops import is_region, program_bytes
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.kernel_sets import KernelSet, requantization
from fmtc_tflite.regions.kinds.elementwise import Add, Quantize, Table
from fmtc_tflite.regions.kinds.floats import Dequantize
from fmtc_tflite.regions.kinds.moves import Concatenation, Transpose
from fmtc_tflite.regions.kinds.multiply_accumulate import Conv, Depthwise, FullyConnected
from fmtc_tflite.regions.kinds.pads import Pad
from fmtc_tflite.regions.kinds.pools import AveragePool, MaxPool
from fmtc_tflite.regions.kinds.reductions import Mean
from fmtc_tflite.regions.kinds.slices import Slice
from fmtc_tflite.regions.ops import OpBuilder, OpRefusedError, RegionOp, RegionTensor
from fmtc_tflite.regions.planner import RegionPlan
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.region import align

# TensorFlow Lite Micro rounds as the reference kernels without vectors do: LiteRT's round FULLY_CONNECTED otherwise.
MICRO_KERNELS = KernelSet("reference", vectors=False)

_KINDS = frozenset(
    each.kind
    for each in (
        *(Add, AveragePool, Concatenation, Conv, Copy, Depthwise, Dequantize, FullyConnected, MaxPool, Mean, Pad),
        *(Quantize, Slice, Table, Transpose),
    )
)
# Bytes that custom_ops/micro keeps: an op's place in its pass; for the check (StateBytes in region/program.h) a tensor,
# an op, the number of an input or output, in pieces of 8.
_STEP_BYTES, _TENSOR_STATE, _OP_STATE, _NUMBER_BYTES, _PIECE = 4, 24, 32, 2, 8


def micro_builder(build: OpBuilder) -> OpBuilder:
    """The same builder, which refuses ops that the executor for microcontrollers lacks."""

    def build_micro(op: Op, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
        built = build(op, tensor_of)
        if any(each.kind not in _KINDS for each in built):
            raise OpRefusedError(f"regions on microcontrollers do not compute {op.opcode}")
        return built

    return build_micro


def rounded_as_micro(op: RegionOp) -> RegionOp:
    """An op with the rounding of TensorFlow Lite Micro, of one that rounds as the reference kernels of a runtime."""
    if not isinstance(op, FullyConnected) or op.source is None:
        return op
    how = requantization(op.source, op.output.channels, MICRO_KERNELS)
    return replace(op, rule=how.rule, weights=replace(op.weights, requantization=how))


def asked_bytes(program_scratch: int, ops_of_passes: Iterable[int], tensors: int, inputs: int, outputs: int) -> int:
    """Scratch memory that the executor asks for, of 64-bit pointers: of shorter ones it may ask for less.

    That is the program's with the steps of a pass behind it, or what the check takes before the first run.

    Args:
      program_scratch: bytes that the program needs.
      ops_of_passes: how many each pass has that runs others than the one before.
      tensors, inputs, outputs: how many the program has.
    """
    counts = list(ops_of_passes)
    state = _TENSOR_STATE * tensors + (_OP_STATE + _STEP_BYTES) * sum(counts)
    check = align(state, _PIECE) + sum(align(_NUMBER_BYTES * count, _PIECE) for count in (inputs, outputs))
    return max(program_scratch + _STEP_BYTES * max(counts), check)


def region_scratch(op: Op) -> int | None:
    """Memory that an FMTC_REGION asks for; None of another op."""
    if not is_region(op):
        return None
    program = Program.from_bytes(program_bytes(op))
    stages = {part.first_op: part.op_count for part in program.passes}  # strips are passes over the same ops
    counts = len(program.tensors), len(op.inputs) - 1, len(op.outputs)
    return asked_bytes(program.scratch_bytes, stages.values(), *counts)


def plan_scratch(plan: RegionPlan, program_scratch: int) -> int:
    """The same of a plan whose program needs so many bytes."""
    region = plan.region
    inputs, outputs = len(region.inputs), len(region.outputs)
    tensors = inputs + outputs + len(plan.placement.tensors)
    return asked_bytes(program_scratch, (len(stage.ops) for stage in plan.stages), tensors, inputs, outputs)
