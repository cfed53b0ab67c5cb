"""`--target micro`: a model with regions for TensorFlow Lite Micro, planned for its arena. Always bit-exact.

Programs round as TensorFlow Lite Micro does. They are verified in a runtime whose reference kernels differ from that in
FULLY_CONNECTED alone, with that op's rounding for as long. Nothing is kept of the original: it would be in the flash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fmtc_tflite.conversion.coded_cuts import CodedSizes
from fmtc_tflite.conversion.entry_points import entry_fidelities
from fmtc_tflite.conversion.micro_document import micro_report
from fmtc_tflite.conversion.micro_plans import plan_micro_regions
from fmtc_tflite.conversion.micro_verification import without_softmax
from fmtc_tflite.conversion.region_conversion import fuse_regions, nothing_to_fuse
from fmtc_tflite.conversion.region_document import extra_report, region_report
from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.conversion.region_recipe import recipe_of
from fmtc_tflite.conversion.region_task import open_task
from fmtc_tflite.conversion.region_verification import verify_regions
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.graph.edits.unused import drop_unreferenced
from fmtc_tflite.graph.model import Buffer, Model, Op, Subgraph
from fmtc_tflite.graph.operators.micro_ops import why_not_on_micro
from fmtc_tflite.graph.region_ops import program_bytes, region_ops
from fmtc_tflite.memory.micro_arena import MicroHead, kernel_scratch, plan_head
from fmtc_tflite.progress import stage, stages
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.micro import micro_builder, region_scratch, rounded_as_micro
from fmtc_tflite.regions.planner import write_program
from fmtc_tflite.runtime.interpreter import chosen_runtime, has_vectors
from fmtc_tflite.types import ConvertOptions

_MOST_NAMED = 3


def convert_to_micro(content: bytes, options: ConvertOptions) -> ConversionResult:
    """Converts a model's bytes.

    Raises:
      UnsupportedModelError: converted already, open shapes, several subgraphs, or with an op that neither TensorFlow
        Lite Micro nor a region can run.
      RecipeError: see read_region_recipe.
      NothingToDoError: no group of ops is worth fusing.
      VerificationError: an output differs.
    """
    options.check()
    with stages(("planning", 3), ("verification", 2)):
        return _convert(content, options)


def _convert(content: bytes, options: ConvertOptions) -> ConversionResult:
    runtime = chosen_runtime(options.runtime)
    kernels = KernelSet("reference", vectors=has_vectors(runtime))
    task = open_task(content, options, micro_builder(kernels), least_ops=1)
    model, subgraph = task.model, task.subgraph
    _check_one_subgraph(model)
    before = head_of(subgraph)
    stage("planning")
    regions, left_out = plan_micro_regions(subgraph, task.found, task.build, kernels.number, task.wanted)
    _check_runnable(left_out)
    if not regions:
        raise nothing_to_fuse(left_out)
    runs_as_it_is = all(why_not_on_micro(op) is None for op in subgraph.ops)
    recipe = recipe_of(subgraph, regions, left_out)
    fuse_regions(model, regions)
    drop_unreferenced(model, subgraph)
    stage("verification")
    original, finish = without_softmax(content, regions)
    where = runtime, kernels.name
    verification = verify_regions(original, model.to_bytes(), regions, where, options, task.samples, finish)
    _round_as_micro(model, regions, kernels.number)
    converted = model.to_bytes()
    heads = before, head_of(subgraph)
    nothing_coded = CodedSizes({}, {}, 0)
    report = region_report((content, converted), regions, left_out, verification, heads, nothing_coded, options)
    report |= extra_report(regions, task.whole, options)
    report["micro"] = micro_report(subgraph, heads[1].capacity_bytes, runs_as_it_is)
    report["recipe"] = recipe
    report |= entry_fidelities(model, {0: report["fidelity"]})
    return ConversionResult(converted, report, task.warnings)


def head_of(subgraph: Subgraph) -> MicroHead:
    """The head of a graph's arena, with the memory that regions ask for and that of the reference kernels."""
    return plan_head(subgraph.tensors, subgraph.ops, subgraph.inputs, subgraph.outputs, _scratch)


def _scratch(op: Op) -> Sequence[int]:
    own = region_scratch(op)
    return kernel_scratch(op) if own is None else (own,)


def _check_one_subgraph(model: Model) -> None:
    if len(model.subgraphs) > 1:
        raise UnsupportedModelError(
            f"the model has {len(model.subgraphs)} subgraphs, expected 1: heads of several are not planned; convert "
            "its entry point alone"
        )


def _check_runnable(left_out: Mapping[Op, str]) -> None:
    refused = {op: why for op in left_out if (why := why_not_on_micro(op)) is not None}
    if not refused:
        return
    named = [f"{op.opcode} '{_written(op)}': {why}, and {left_out[op]}" for op, why in refused.items()]
    more = f"; and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    raise UnsupportedModelError(
        f"{len(named)} of the model's ops run neither in TensorFlow Lite Micro nor in a region: "
        f"{'; '.join(named[:_MOST_NAMED])}{more}; replace them, or leave them to the firmware around the model"
    )


def _written(op: Op) -> str:
    return next((tensor.name for tensor in op.outputs if tensor is not None), "")


def _round_as_micro(model: Model, regions: Sequence[PlannedRegion], kernel_set: int) -> None:
    """Gives the model's regions programs with TensorFlow Lite Micro's rounding."""
    plans = {region.program.content: region.plan for region in regions}
    for op in region_ops(model):
        program = write_program(plans[program_bytes(op)], kernel_set, rounded_as_micro)
        tensor = op.inputs[-1]
        assert tensor is not None
        buffer = Buffer(np.frombuffer(program.content, np.uint8))
        model.buffers[model.buffers.index(tensor.buffer)] = buffer
        tensor.buffer, tensor.shape = buffer, (len(program.content),)
