"""What is planned when a model gets regions: its graph, the groups of ops that may be fused, what plans may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fmtc_tflite.conversion.bounds import find_labels
from fmtc_tflite.conversion.region_plans import PlanOptions, whole_cost
from fmtc_tflite.conversion.region_recipe import RegionChoices, read_region_recipe
from fmtc_tflite.conversion.traffic_objective import TrafficGoal, measure_rates
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.data.opening import open_data
from fmtc_tflite.fidelity.meters import fidelity_sources
from fmtc_tflite.graph.convertible import check_rewritable, check_shapes_known
from fmtc_tflite.graph.model import Buffer, Model, Subgraph
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.selection import Filter, places
from fmtc_tflite.progress import stage
from fmtc_tflite.regions.candidates import LEAST_OPS, Candidates, find_candidates
from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.regions.ops import OpBuilder
from fmtc_tflite.regions.slower import without_slower
from fmtc_tflite.regions.time_costs import load_cpu
from fmtc_tflite.types import ConvertOptions


@dataclass(frozen=True)
class RegionTask:
    """A model whose first subgraph gets regions.

    Attributes:
      buffers: of the model, in the file's order, before it is edited.
      samples: the user's, to verify on.
      build: makes an op's RegionOp.
      recipe: what the user's asks for.
      whole: what all ops that may be fused cost in whole rows.
      wanted: what plans are made for.
      warnings: lines that a user should see.
    """

    model: Model
    buffers: Sequence[Buffer]
    samples: Dataset | Sequence[dict[str, np.ndarray]]
    found: Candidates
    build: OpBuilder
    recipe: RegionChoices
    whole: Extra
    wanted: PlanOptions
    warnings: tuple[str, ...]

    @property
    def subgraph(self) -> Subgraph:
        return self.model.subgraphs[0]


def open_task(
    content: bytes,
    options: ConvertOptions,
    build: OpBuilder,
    leaves_slower: bool = False,
    least_ops: int = LEAST_OPS,
) -> RegionTask:
    """Opens a model.

    Args:
      build: makes an op's RegionOp.
      leaves_slower: whether ops stay outside with which a region is predicted slower than XNNPACK is now.
      least_ops: that are worth fusing.

    Raises:
      UnsupportedModelError: converted already, or open shapes.
      RecipeError: see read_region_recipe.
      UsageError, CalibrationError: a bound on loss that the data, or the outputs, do not allow to be measured.
    """
    cpu = load_cpu(options.effective_cpu)
    model = load_model(content)
    check_rewritable(model)
    check_shapes_known(model)
    # What is wrong with the data is told before minutes of planning.
    own = () if options.calibration.data is None else open_data(model, options.calibration)
    _check_bound(model, own, options)
    buffers, subgraph = list(model.buffers), model.subgraphs[0]
    recipe = read_region_recipe(options.recipe, subgraph)
    outside = dict.fromkeys(recipe.outside, "left outside by the recipe")
    regroup = partial(find_candidates, subgraph, build, options.include, options.exclude, least_ops=least_ops)
    found = without_slower(regroup, outside, cpu) if leaves_slower else regroup(outside)
    warnings = Filter.parse(options.include, options.exclude).warnings(places(subgraph).values())
    whole = whole_cost(found, cpu)
    budget = Extra(int(options.effective_max_extra_macs * whole.macs), int(options.effective_max_extra_time * whole.ns))
    stage("rates")
    wanted = PlanOptions(cpu, budget, recipe.cuts, _traffic_goal(content, subgraph, found, options))
    return RegionTask(model, buffers, own, found, build, recipe, whole, wanted, (*warnings, *recipe.warnings))


def _check_bound(model: Model, samples: Dataset | Sequence[dict[str, np.ndarray]], options: ConvertOptions) -> None:
    """Raises FmtcError where a bound on loss could not be measured."""
    if options.loses_in_cuts:
        fidelity_sources(model, options.output_kind)
    if options.max_accuracy_drop is not None and isinstance(samples, Dataset):
        find_labels(model, samples, options)


def _traffic_goal(content: bytes, subgraph: Subgraph, found: Candidates, options: ConvertOptions) -> TrafficGoal | None:
    if options.objective != "traffic" or not found.groups:
        return None
    return TrafficGoal(options.effective_max_arena, measure_rates(content, subgraph, found.groups, options))
