"""Regions of TensorFlow Lite Micro: which ops are in them, how they round, and what an FMTC_REGION asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators.micro_ops import why_not_on_micro
from fmtc_tflite.graph.region_ops import is_region, program_bytes
from fmtc_tflite.regions.bare import BARE_KERNELS, KINDS, executor_bytes
from fmtc_tflite.regions.kernel_sets import KernelSet, requantization
from fmtc_tflite.regions.kinds import MICRO_BUILDERS, op_builder
from fmtc_tflite.regions.kinds.multiply_accumulate import FullyConnected
from fmtc_tflite.regions.ops import OpBuilder, OpRefusedError, RegionOp, RegionTensor
from fmtc_tflite.regions.planner import RegionPlan
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.region import align

# Bytes that custom_ops/micro keeps: an op's place in its pass; for the check (StateBytes in region/program.h) a tensor,
# the number of an input or output, in pieces of 8.
_STEP_BYTES, _TENSOR_STATE, _NUMBER_BYTES, _PIECE = 4, 24, 2, 8


def micro_builder(kernels: KernelSet) -> OpBuilder:
    """What makes ops as reference kernels round them, and refuses those that the executor lacks.

    SOFTMAX has other arithmetic in other runtimes, and is left to the interpreter where that takes it.
    """
    build = op_builder(kernels, MICRO_BUILDERS)

    def build_micro(op: Op, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
        if op.opcode == "SOFTMAX" and why_not_on_micro(op) is None:
            raise OpRefusedError("TensorFlow Lite Micro runs it")
        built = build(op, tensor_of)
        if any(each.kind not in KINDS or rounded_as_micro(each).rule != 1 for each in built):
            raise OpRefusedError(f"regions on microcontrollers do not compute {op.opcode} so")
        return built

    return build_micro


def rounded_as_micro(op: RegionOp) -> RegionOp:
    """An op with the rounding of TensorFlow Lite Micro, of one that rounds as the reference kernels of a runtime."""
    if not isinstance(op, FullyConnected) or op.source is None:
        return op
    how = requantization(op.source, op.output.channels, BARE_KERNELS)
    return replace(op, rule=how.rule, weights=replace(op.weights, requantization=how))


def asked_bytes(program_scratch: int, ops_of_passes: Iterable[int], tensors: int, inputs: int, outputs: int) -> int:
    """Scratch memory that the executor asks for, wherever it runs.

    That is the program's with the steps of a pass behind it, or what the check takes before the first run.

    Args:
      program_scratch: bytes that the program needs.
      ops_of_passes: how many each pass has that runs others than the one before.
      tensors, inputs, outputs: how many the program has.
    """
    counts = list(ops_of_passes)
    state = _TENSOR_STATE * tensors + _STEP_BYTES * sum(counts)
    check = align(state, _PIECE) + sum(align(_NUMBER_BYTES * count, _PIECE) for count in (inputs, outputs))
    return max(program_scratch + executor_bytes(max(counts)), check)


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
