"""`--execution regions --objective traffic`: the fewest stored bytes for a little more than the least memory.

Cuts are stored coded where that makes them smaller: losslessly, with tables from samples of the original model, and
with contexts from the row above where these pay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from fmtc_tflite.calibration import passes
from fmtc_tflite.calibration.projection import signed_zero_point
from fmtc_tflite.coding import entropy_model
from fmtc_tflite.coding.side_info import MAX_SEGMENT_ROWS, SideInformation
from fmtc_tflite.conversion import contexts
from fmtc_tflite.conversion.map_coding import lossless_information
from fmtc_tflite.conversion.region_budget import Arena, Planned, most_scratch
from fmtc_tflite.conversion.source import open_samples
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.graph.model import Subgraph, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.sites import activation_range
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

    def with_less(self, share: float) -> TrafficGoal:
        """The goal, were coded tensors so much smaller."""
        return replace(self, rates={tensor: rate.scaled(share) for tensor, rate in self.rates.items()})


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


@dataclass(frozen=True, eq=False)
class CutMap:
    """A map that may be a cut, or is one.

    Attributes:
      tensor: of the original file.
      lo: the least value that its producer's activation lets through, in the int8 domain.
      info: with tables that fit.
      bits: expected bits of its residuals, an inference.
      histogram: of its residuals [r, 5, 256].
    """

    tensor: Tensor
    lo: int
    info: SideInformation
    bits: float
    histogram: np.ndarray

    @property
    def rate(self) -> Rate:
        return self.rate_of(self.info, self.bits)

    def rate_of(self, info: SideInformation, bits: float) -> Rate:
        """With other side information, and its bits an inference."""
        return Rate(info.to_bytes(), bits / self.tensor.shape[0])


def measure_rates(
    content: bytes, subgraph: Subgraph, groups: Iterable[Group], options: ConvertOptions
) -> dict[Tensor, Rate]:
    """How the maps that groups write would be coded, by the groups' tensors.

    Args:
      content: the original file.
      subgraph: the same file's, whose tensors the groups have. Its maps are looked at on the samples of the options.
    """
    file = ModelFile.parse(content)
    written = {
        op.output.source: -128 if op.source is None else activation_range(op.source, op.output.source)[0]
        for group in groups
        for op in group.region.ops
        if op.output.dtype in _EIGHT_BITS
        and op.output.source.shape[1:] == (op.output.height, op.output.width, op.output.channels)
    }
    numbers = {tensor: number for number, tensor in enumerate(subgraph.tensors)}
    tensors = [file.model.subgraphs[0].tensors[numbers[tensor]] for tensor in written]
    infos = [lossless_information(tensor.shape[3], checksum=False) for tensor in tensors]
    samples = open_samples(file.model, options).tables
    histograms, count = passes.residual_histograms(file, tensors, infos, samples, options.num_threads)
    maps = []
    for tensor, lo, info, histogram in zip(tensors, written.values(), infos, histograms, strict=True):
        tables = entropy_model.fit(histogram, count)
        fitted = replace(
            info, classes=tables.classes, component_class=tables.component_class, predictor=tables.predictor
        )
        maps.append(CutMap(tensor, lo, fitted, tables.bits / count, histogram))
    rates = [m.rate for m in maps]
    if "contexts" not in options.disable:
        rates = with_contexts(file, maps, count, samples, options)
    return dict(zip(written, rates, strict=True))


def with_contexts(
    file: ModelFile, maps: Sequence[CutMap], count: int, samples: Dataset, options: ConvertOptions
) -> list[Rate]:
    """The maps' rates, with contexts where these save more bits an inference than they add to the side information.

    Args:
      count: inferences behind the maps' histograms.
    """
    opened = [
        contexts.open_contexts(m.info, m.bits, signed_zero_point(m.tensor), m.lo, m.histogram, count) for m in maps
    ]
    # All rows of a cut are one group, and so a segment here.
    infos = [
        replace(info, segment_rows=min(m.tensor.shape[1], MAX_SEGMENT_ROWS))
        for m, (info, _) in zip(maps, opened, strict=True)
    ]
    histograms, few = passes.context_histograms(
        file, [m.tensor for m in maps], infos, samples.evenly(contexts.SAMPLES), options.num_threads
    )
    rates = []
    for m, (info, bits), histogram in zip(maps, opened, histograms, strict=True):
        plain = m.rate
        fitted = contexts.fit_tables(info, bits, histogram, few)
        rate = plain if fitted is None else replace(m.rate_of(*fitted), plain=plain)
        added = 8 * (len(rate.side_information) - len(plain.side_information)) / m.tensor.shape[0]
        rates.append(rate if plain.bits - rate.bits > added else plain)
    return rates
