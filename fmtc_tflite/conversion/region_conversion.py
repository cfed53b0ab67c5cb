"""From a model to one with regions: candidates -> plans and programs -> graph -> verification. Always bit-exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from fmtc_tflite.conversion.coded_cuts import measure_coded_cuts
from fmtc_tflite.conversion.entry_points import entry_fidelities
from fmtc_tflite.conversion.folding import chosen_kernels
from fmtc_tflite.conversion.region_document import extra_report, region_report
from fmtc_tflite.conversion.region_plans import PlannedRegion, PlanOptions, plan_regions, whole_cost
from fmtc_tflite.conversion.region_recipe import read_region_recipe, recipe_of
from fmtc_tflite.conversion.region_verification import verify_regions
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.conversion.traffic_objective import TrafficGoal, measure_rates
from fmtc_tflite.conversion.treatment import choose_treatments
from fmtc_tflite.data.opening import open_data
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.graph.convertible import check_convertible, check_rewritable, check_shapes_known
from fmtc_tflite.graph.edits.fuse_region import Fusion, fuse
from fmtc_tflite.graph.model import Buffer, Model, Subgraph
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.selection import Filter, places
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.memory.arena import no_scratch, plan_arena, region_scratch_bytes
from fmtc_tflite.progress import Stage, stage, stages
from fmtc_tflite.regions.candidates import Candidates, find_candidates, is_reshape
from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.restoration import ProgramOps, with_original
from fmtc_tflite.regions.slower import without_slower
from fmtc_tflite.regions.time_costs import load_cpu
from fmtc_tflite.runtime.interpreter import chosen_runtime
from fmtc_tflite.types import ConvertOptions


def convert_to_regions(content: bytes, options: ConvertOptions, leaves_slower: bool = False) -> ConversionResult:
    """Converts a model's bytes.

    Args:
      leaves_slower: whether ops stay outside with which a region is predicted slower than they are now; only those of
        XNNPACK were measured.

    Raises:
      UnsupportedModelError: converted already, open shapes, a float or int16 model, or refused by the runtime.
      RecipeError: see read_region_recipe.
      NothingToDoError: no group of ops is worth fusing.
      VerificationError: an output differs, or the graph does not come back.
    """
    options.check()
    with stages(*_stages(options)):
        return _convert(content, options, leaves_slower)


def _stages(options: ConvertOptions) -> list[Stage]:
    if options.objective == "traffic":
        return [("rates", 1), ("planning", 3), ("verification", 2), ("coded sizes", 1)]
    return [("planning", 3), ("verification", 2)]


def _convert(content: bytes, options: ConvertOptions, leaves_slower: bool) -> ConversionResult:
    cpu = load_cpu(options.effective_cpu)
    runtime, kernel_set = chosen_runtime(options.runtime), chosen_kernels(options)
    kernels = kernel_set.name
    model = load_model(content)
    check_rewritable(model)
    check_shapes_known(model)
    # What is wrong with the data is told before minutes of planning.
    own = () if options.calibration.data is None else open_data(model, options.calibration)
    buffers, subgraph = list(model.buffers), model.subgraphs[0]
    arena_before = plan_arena(model, scratch_bytes=no_scratch)
    build = op_builder(kernel_set)
    wanted = read_region_recipe(options.recipe, subgraph)
    outside = dict.fromkeys(wanted.outside, "left outside by the recipe")
    regroup = partial(find_candidates, subgraph, build, options.include, options.exclude)
    found = without_slower(regroup, outside, cpu) if leaves_slower and kernels == "xnnpack" else regroup(outside)
    warnings = Filter.parse(options.include, options.exclude).warnings(places(subgraph).values())
    whole = whole_cost(found, cpu)
    budget = Extra(int(options.effective_max_extra_macs * whole.macs), int(options.effective_max_extra_time * whole.ns))
    stage("rates")
    plan_options = PlanOptions(cpu, budget, wanted.cuts, _traffic_goal(content, subgraph, found, options))
    stage("planning")
    regions, left_out = plan_regions(subgraph, found, build, kernel_set.number, plan_options)
    if not regions:
        raise NothingToDoError(
            f"no group of ops is worth fusing: {_reasons(list(left_out.values()))}{_hint_to_coding(model, options)}"
        )
    recipe = recipe_of(subgraph, regions, left_out)
    reshapes = [op for op in subgraph.ops if is_reshape(op)]
    fuse(model, subgraph, [_fusion(region) for region in regions], reshapes)
    converted = _finish(content, model, buffers, regions)
    arenas = arena_before, plan_arena(model, scratch_bytes=region_scratch_bytes)
    stage("verification")
    verification = verify_regions(content, converted, regions, (runtime, kernels), options, own)
    stage("coded sizes")
    coded = measure_coded_cuts(content, converted, regions, options, runtime)
    report = region_report((content, converted), regions, left_out, verification, arenas, coded, options)
    report |= extra_report(regions, whole, options)
    report["recipe"] = recipe
    report |= entry_fidelities(model, {0: report["fidelity"]})  # regions are made in the first subgraph alone
    return ConversionResult(converted, report, (*warnings, *wanted.warnings))


def _traffic_goal(content: bytes, subgraph: Subgraph, found: Candidates, options: ConvertOptions) -> TrafficGoal | None:
    if options.objective != "traffic" or not found.groups:
        return None
    return TrafficGoal(options.effective_max_arena, measure_rates(content, subgraph, found.groups, options))


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


def _fusion(region: PlannedRegion) -> Fusion:
    group = region.group
    return Fusion(group.ops, group.inputs, group.outputs, region.program.content)


def _finish(content: bytes, model: Model, buffers: Sequence[Buffer], regions: Sequence[PlannedRegion]) -> bytes:
    """The file, with what the original comes back from; that it does is tried at once."""
    by_output = {region.group.outputs[0]: region for region in regions}
    order = [by_output[op.outputs[0]] for op in model.subgraphs[0].ops if op.outputs and op.outputs[0] in by_output]
    programs = [ProgramOps(region.program, region.op_numbers, region.op_outputs) for region in order]
    return with_original(content, model, buffers, programs)


def _reasons(reasons: Sequence[str]) -> str:
    return "; ".join(list(dict.fromkeys(reasons))[:3]) or "the model has no ops"
