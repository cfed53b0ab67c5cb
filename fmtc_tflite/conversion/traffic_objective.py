"""`--execution regions --objective traffic`: the fewest stored bytes for a little more than the least memory.

Cuts are stored coded where that makes them smaller: losslessly, with tables from samples of the original model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from fmtc_tflite.calibration import passes
from fmtc_tflite.coding import entropy_model
from fmtc_tflite.conversion.map_coding import lossless_information
from fmtc_tflite.conversion.region_budget import Arena, Planned, most_scratch
from fmtc_tflite.conversion.source import open_samples
from fmtc_tflite.graph.model import Subgraph, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.regions.candidates import Group
from fmtc_tflite.regions.coded_cuts import Rate
from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.types import ConvertOptions

_EIGHT_BITS = (np.dtype(np.int8), np.dtype(np.uint8))


@dataclass(frozen=True)
class TrafficGoal:
    """What is wanted.

    Attributes:
      max_arena: how many times the least arena regions may need.
      rates: of tensors of the graph that may be stored coded.
    """

    max_arena: float
    rates: Mapping[Tensor, Rate]


class StoringLeast(Planned, Protocol):
    """A group of ops that can be planned for the fewest stored bytes."""

    def storing_least(self: Choice, limit: int, budget: Extra, rates: Mapping[Tensor, Rate]) -> Choice | None:
        """The group, planned so within a limit of scratch memory; None if that is not possible."""


Choice = TypeVar("Choice", bound=StoringLeast)


def store_least(choices: Sequence[Choice], goal: TrafficGoal, budget: Extra, arena: Arena[Choice]) -> list[Choice]:
    """Plans regions again, for the fewest stored bytes.

    Args:
      choices: planned for the least arena.
      budget: what strips of all of them may cost.
    """
    found = list(choices)
    limit = int(goal.max_arena * arena(choices, [choice.plan.scratch_bytes for choice in choices]))
    for number, choice in enumerate(choices):
        planned = choice.storing_least(most_scratch(limit, number, choices, arena), budget, goal.rates)
        tried = found if planned is None else [*found[:number], planned, *found[number + 1 :]]
        if arena(tried, [each.plan.scratch_bytes for each in tried]) <= limit:
            found = tried
        budget = budget.without(found[number].plan.extra)
    return found


def measure_rates(
    content: bytes, subgraph: Subgraph, groups: Iterable[Group], options: ConvertOptions
) -> dict[Tensor, Rate]:
    """How the maps that groups write would be coded, by the groups' tensors.

    Args:
      content: the original file.
      subgraph: the same file's, whose tensors the groups have. Its maps are looked at on the samples of the options.
    """
    file = ModelFile.parse(content)
    maps = [op.output for group in groups for op in group.region.ops]
    maps = [m for m in maps if m.dtype in _EIGHT_BITS and m.source.shape[1:] == (m.height, m.width, m.channels)]
    wanted = list(dict.fromkeys(m.source for m in maps))
    numbers = {tensor: number for number, tensor in enumerate(subgraph.tensors)}
    tensors = [file.model.subgraphs[0].tensors[numbers[tensor]] for tensor in wanted]
    infos = [lossless_information(tensor.shape[3], checksum=False) for tensor in tensors]
    samples = open_samples(file.model, options).tables
    histograms, count = passes.residual_histograms(file, tensors, infos, samples, options.num_threads)
    rates = {}
    for tensor, info, histogram in zip(wanted, infos, histograms, strict=True):
        tables = entropy_model.fit(histogram, count)
        fitted = replace(
            info, classes=tables.classes, component_class=tables.component_class, predictor=tables.predictor
        )
        rates[tensor] = Rate(fitted.to_bytes(), tables.bits / count / tensor.shape[0])
    return rates
