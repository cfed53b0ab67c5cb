"""From a model to one with regions: candidates -> plans and programs -> graph -> verification.

Bit-exact, unless the options allow coded cuts to lose something within a bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fmtc_tflite.conversion.coded_cuts import measure_coded_cuts
from fmtc_tflite.conversion.entry_points import entry_fidelities
from fmtc_tflite.conversion.folding import chosen_kernels
from fmtc_tflite.conversion.lossy_cuts import lose_in_cuts, loss_report, simulation
from fmtc_tflite.conversion.region_document import extra_report, loss_record, region_report
from fmtc_tflite.conversion.region_plans import PlannedRegion, choose_regions
from fmtc_tflite.conversion.region_recipe import recipe_of
from fmtc_tflite.conversion.region_task import open_task
from fmtc_tflite.conversion.region_verification import verify_regions
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.conversion.treatment import choose_treatments
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.graph.convertible import check_convertible
from fmtc_tflite.graph.edits.fuse_region import Fusion, fuse
from fmtc_tflite.graph.model import Buffer, Model, Op
from fmtc_tflite.graph.names import METADATA_NAME
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.memory.arena import no_scratch, plan_arena, region_scratch_bytes
from fmtc_tflite.progress import Stage, stage, stages
from fmtc_tflite.regions.candidates import is_reshape
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.restoration import ProgramOps, with_original
from fmtc_tflite.runtime.interpreter import chosen_runtime
from fmtc_tflite.types import ConvertOptions

_MOST_REASONS = 3


def convert_to_regions(content: bytes, options: ConvertOptions, leaves_slower: bool = False) -> ConversionResult:
    """Converts a model's bytes.

    Args:
      leaves_slower: whether ops stay outside with which a region is predicted slower than they are now; only those of
        XNNPACK were measured.

    Raises:
      UnsupportedModelError: converted already, open shapes, a float or int16 model, or refused by the runtime.
      RecipeError: see read_region_recipe.
      NothingToDoError: no group of ops is worth fusing, or a bound cannot be met.
      VerificationError: an output differs from what it should be, or the graph does not come back.
    """
    options.check()
    with stages(*_stages(options)):
        return _convert(content, options, leaves_slower)


def _stages(options: ConvertOptions) -> list[Stage]:
    if options.objective == "traffic":
        loss = [("loss", 20)] if options.loses_in_cuts else []
        return [("rates", 1), ("planning", 3), *loss, ("verification", 2), ("coded sizes", 1)]
    return [("planning", 3), ("verification", 2)]


def _convert(content: bytes, options: ConvertOptions, leaves_slower: bool) -> ConversionResult:
    runtime, kernel_set = chosen_runtime(options.runtime), chosen_kernels(options)
    kernels = kernel_set.name
    task = open_task(content, options, op_builder(kernel_set), leaves_slower and kernels == "xnnpack")
    model, buffers, subgraph = task.model, task.buffers, task.subgraph
    arena_before = plan_arena(model, scratch_bytes=no_scratch)
    stage("planning")
    chosen = choose_regions(subgraph, task.found, task.build, kernel_set.number, task.wanted)
    if not chosen.choices:
        raise nothing_to_fuse(chosen.left_out, _hint_to_coding(model, options))
    where, goal = (runtime, kernels), task.wanted.traffic
    lossy = lose_in_cuts(content, chosen, goal, where, options) if goal is not None and options.loses_in_cuts else None
    planned = chosen.planned(goal) if lossy is None else lossy.planned
    regions = planned if lossy is None else lossy.regions
    part = None if lossy is None else lossy.part
    recipe = recipe_of(subgraph, regions, chosen.left_out)
    fuse_regions(model, regions)
    converted = _finish(content, model, buffers, regions)
    arenas = arena_before, plan_arena(model, scratch_bytes=region_scratch_bytes)
    stage("verification")
    expected = content if part is None else simulation(part)
    verification = verify_regions(expected, converted, regions, where, options, task.samples)
    loss: dict[str, Any] = {}
    if part is not None:
        loss = loss_report(part, regions, converted, verification.num_samples)
        model.metadata[METADATA_NAME] = loss_record(content, loss)
        converted = _finish(content, model, buffers, regions)
    stage("coded sizes")
    coded = measure_coded_cuts(content, converted, regions, planned, options, runtime)
    report = region_report((content, converted), regions, chosen.left_out, verification, arenas, coded, options)
    report |= extra_report(regions, task.whole, options) | loss
    report["recipe"] = recipe
    report |= entry_fidelities(model, {0: report["fidelity"]})  # regions are made in the first subgraph alone
    warnings = () if lossy is None else lossy.warnings
    return ConversionResult(
        converted, report, (*task.warnings, *warnings), verdict="" if part is None else part.verdict
    )


def nothing_to_fuse(left_out: Mapping[Op, str], hint: str = "") -> NothingToDoError:
    """The error where no op can be fused, with some of the reasons."""
    reasons = "; ".join(list(dict.fromkeys(left_out.values()))[:_MOST_REASONS]) or "the model has no ops"
    return NothingToDoError(f"no group of ops is worth fusing: {reasons}{hint}")


def fuse_regions(model: Model, regions: Sequence[PlannedRegion]) -> None:
    """Puts the regions in the place of their ops, and takes out RESHAPEs that nobody reads any more."""
    subgraph = model.subgraphs[0]
    reshapes = [op for op in subgraph.ops if is_reshape(op)]
    fusions = [Fusion(r.group.ops, r.group.inputs, r.group.outputs, r.program.content) for r in regions]
    fuse(model, subgraph, fusions, reshapes)


def _hint_to_coding(model: Model, options: ConvertOptions) -> str:
    """What `--execution ops` is for, where it has something to do.

    Raises:
      UnsupportedModelError: a float or int16 model, which has to be quantized before anything can be done.
    """
    try:
        check_convertible(model)
    except NothingToDoError:
        return ""
    maps, _ = choose_treatments(find_sites(model), replace(options, recipe=None))
    count = sum(each.coded for each in maps)
    candidates = f"{count} candidate{'s' if count > 1 else ''}"
    return f"; --execution ops codes feature maps where that makes them smaller: {candidates}" if count else ""


def _finish(content: bytes, model: Model, buffers: Sequence[Buffer], regions: Sequence[PlannedRegion]) -> bytes:
    """The file, with what the original comes back from; that it does is tried at once."""
    by_output = {region.group.outputs[0]: region for region in regions}
    order = [by_output[op.outputs[0]] for op in model.subgraphs[0].ops if op.outputs and op.outputs[0] in by_output]
    programs = [ProgramOps(region.program, region.op_numbers, region.op_outputs) for region in order]
    return with_original(content, model, buffers, programs)
