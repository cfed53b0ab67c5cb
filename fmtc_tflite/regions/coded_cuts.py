"""Cuts that are stored coded: for the fewest stored bytes within a limit of scratch memory.

A cut's segments have slots of the raw segment's size, so that coding saves traffic and no memory; what encodes and
decodes them takes some more. Stages for a little less than the limit leave room for that: several such limits are
tried, in each the cuts are coded that save most and still fit, in segments as large as there is room for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmtc_tflite.coding.geometry import SEGMENT_HEADER_BYTES
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.regions.coders import SLOT_HEADER_BYTES, Columns, Decode, Encode, coded_tensor, has_contexts
from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.placement import Placement, place
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.search import Way, fewest_stored
from fmtc_tflite.regions.stage_costs import StageCosts
from fmtc_tflite.regions.stages import RegionSpans, Stage

_MARGINS = (1.0, 0.98, 0.95, 0.92, 0.88, 0.84, 0.8)  # of the limit that stages are planned for
_SEGMENT_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_MOST_SEGMENT_VALUES = 1 << 16  # larger ones gain nothing
_FIRST_SEGMENT_VALUES = (1, 2048, _MOST_SEGMENT_VALUES)  # small segments leave room for others


@dataclass(frozen=True)
class Rate:
    """What is known of a tensor's coded form.

    Attributes:
      side_information: as REGION.md wants it.
      bits: expected for the values of an item, without headers.
      plain: without contexts, which take memory; None if there are none.
    """

    side_information: bytes
    bits: float
    plain: Rate | None = None

    @property
    def contexts(self) -> bool:
        """Whether tables follow from the row above."""
        return has_contexts(self.side_information)

    def scaled(self, share: float) -> Rate:
        """With so much less, or more, to store."""
        return replace(self, bits=self.bits * share, plain=None if self.plain is None else self.plain.scaled(share))

    def bytes_in(self, segments: int) -> int:
        """Expected of an item in so many segments, with their headers."""
        return int(-(-self.bits // 8)) + segments * (SLOT_HEADER_BYTES + SEGMENT_HEADER_BYTES)


@dataclass(frozen=True)
class CodedCut:
    """A cut that is stored coded.

    Attributes:
      tensor: the region's.
      coded: what holds its segments.
      ends: of groups of columns, one for each strip of the stage that writes it.
      expected_bytes: of an item.
    """

    tensor: RegionTensor
    coded: RegionTensor
    rate: Rate
    ends: Columns

    @classmethod
    def of(cls, tensor: RegionTensor, rate: Rate, shares: int, ends: Columns | None = None) -> CodedCut:
        """In so many shares of rows, each a segment for each group of columns; None: all columns are one."""
        ends = ends or (tensor.width,)
        return cls(tensor, coded_tensor(tensor, shares, ends), rate, ends)

    @property
    def segments(self) -> int:
        """Their number."""
        return self.coded.height * self.coded.width

    @property
    def expected_bytes(self) -> int:
        return self.rate.bytes_in(self.segments)


@dataclass(frozen=True)
class CodedStages:
    """Stages of a region with ops that encode and decode.

    Attributes:
      region: with these ops among its own.
      cuts: as the region without them has them, in the order in which they are written.
      coded: those of them that are stored coded.
    """

    region: Region
    stages: tuple[Stage, ...]
    cuts: tuple[RegionTensor, ...]
    coded: Mapping[RegionTensor, CodedCut]
    placement: Placement

    @property
    def stored_bytes(self) -> int:
        """Expected, of an item's cuts."""
        return sum(self.coded[cut].expected_bytes if cut in self.coded else cut.bytes for cut in self.cuts)


def fewest_stored_bytes(
    costs: StageCosts, limit: int, budget: Extra, rates: Mapping[Tensor, Rate]
) -> CodedStages | None:
    """The best that was found; None if there are no stages within the limit.

    Args:
      budget: what strips may cost.
      rates: of tensors of the graph that may be coded.
    """
    own = {tensor: rates[tensor.source] for tensor in costs.spans.inner if tensor.source in rates}
    plain = {tensor: rate.plain or rate for tensor, rate in own.items()}
    found: list[CodedStages] = []
    for ways in [own] if plain == own else [own, plain]:  # what contexts take may be missed elsewhere
        paths: list[list[Way]] = []
        for stored, margin in itertools.product(_stored_by_stages(costs, ways), _MARGINS):
            path = fewest_stored(costs, int(limit * margin), budget, stored)
            if path is not None and path not in paths:
                paths.append(path)
                found.append(code_cuts(costs, path, limit, ways))
    fitting = [each for each in found if each.placement.scratch_bytes <= limit]
    return min(fitting, key=lambda each: (each.stored_bytes, each.placement.scratch_bytes), default=None)


def _stored_by_stages(costs: StageCosts, rates: Mapping[RegionTensor, Rate]) -> Iterator[np.ndarray]:
    """What stages store at least, int64 [alternatives, first, end]: estimates, each of which may lead to the best path.

    Cuts that a stage in strips reads are raw: once they count where they are read, and once not.
    """
    coded = {t: min([t.bytes, *(c.expected_bytes for c in _forms(t, rates))]) for t in costs.spans.inner}
    strips, whole = len(costs.needs) - 1, costs.written(coded)
    yield np.stack([whole] * (1 + strips))
    if strips:
        read_raw = whole + costs.read({t: t.bytes - coded[t] for t in costs.spans.inner})
        yield np.stack([whole, *[read_raw] * strips])


def code_cuts(costs: StageCosts, path: Sequence[Way], limit: int, rates: Mapping[RegionTensor, Rate]) -> CodedStages:
    """Codes cuts between given stages: those that save most and keep within a limit of scratch memory."""
    return _Coding(costs, path, limit, rates).run()


def _forms(tensor: RegionTensor, rates: Mapping[RegionTensor, Rate], ends: Columns | None = None) -> list[CodedCut]:
    """Ways to code a tensor that make it smaller, the one of the fewest bytes first.

    Args:
      ends: of groups of columns; None: all are one.
    """
    if tensor not in rates:
        return []
    rate = rates[tensor]
    counts = sorted({max(1, tensor.height // rows) for rows in (*_SEGMENT_ROWS, tensor.height)})
    ways = itertools.product([rate] if rate.plain is None else [rate, rate.plain], counts)
    cuts = [CodedCut.of(tensor, way, shares, ends) for way, shares in ways]
    useful = [c for c in cuts if c.expected_bytes < tensor.bytes and c.coded.channels <= _MOST_SEGMENT_VALUES]
    return sorted(useful, key=lambda cut: cut.expected_bytes)


class _Coding:
    """Codes cuts between given stages, as many as fit."""

    def __init__(self, costs: StageCosts, path: Sequence[Way], limit: int, rates: Mapping[RegionTensor, Rate]) -> None:
        self._costs, self._path, self._limit, self._rates = costs, path, limit, rates
        spans = costs.spans
        self._new = [spans.new_cuts(first, end) for first, end, _ in path]
        self._during = [{*spans.live(first), *new} for (first, _, _), new in zip(path, self._new, strict=True)]

    def run(self) -> CodedStages:
        candidates = [forms for cut, ends in self._codable() if (forms := _forms(cut, self._rates, ends))]
        candidates.sort(key=lambda forms: forms[0].expected_bytes - forms[0].tensor.bytes)
        tries = [self._chosen(candidates, most) for most in _FIRST_SEGMENT_VALUES]
        chosen = min(tries, key=lambda cuts: sum(cut.expected_bytes - cut.tensor.bytes for cut in cuts.values()))
        planned = self._placed(chosen)
        while planned.placement.scratch_bytes > self._limit and chosen:
            chosen.popitem()  # of those that save least
            planned = self._placed(chosen)
        return planned

    def _chosen(self, candidates: Sequence[Sequence[CodedCut]], most: int) -> dict[RegionTensor, CodedCut]:
        """Cuts in segments of so many values or fewer, as many as fit; then these in segments as large as fit."""
        chosen: dict[RegionTensor, CodedCut] = {}
        for forms in candidates:
            self._take_first([form for form in forms if form.coded.channels <= most] or forms[-1:], chosen)
        for forms in candidates:
            known = chosen.get(forms[0].tensor)
            if known is not None:
                self._take_first(forms[: forms.index(known)], chosen)
        return chosen

    def _take_first(self, forms: Sequence[CodedCut], chosen: dict[RegionTensor, CodedCut]) -> None:
        """Codes a cut in the first of its forms that fits."""
        for form in forms:
            if self._fits({**chosen, form.tensor: form}, form.tensor):
                chosen[form.tensor] = form
                return

    def _codable(self) -> Iterator[tuple[RegionTensor, Columns | None]]:
        """Cuts that only stages in whole rows read, and the groups of columns in which they are written."""
        ops = self._costs.spans.region.ops
        in_strips = [(first, end) for first, end, way in self._path if way]
        read = {(t, first) for first, end in in_strips for op in ops[first:end] for t in op.inputs}
        for (first, _, way), new in zip(self._path, self._new, strict=True):
            for cut in new:
                if any(tensor is cut and stage != first for tensor, stage in read):
                    continue
                if way == 0:
                    yield cut, None
                elif (windows := self._costs.windows(cut.width, way)) is not None:
                    yield cut, tuple(end for _, end in windows)

    def _fits(self, cuts: Mapping[RegionTensor, CodedCut], changed: RegionTensor) -> bool:
        """Whether the stages during which a cut lies in memory stay within the limit."""
        numbers = [number for number, during in enumerate(self._during) if changed in during]
        region, bounds = with_coders(self._costs.spans.region, self._path, cuts)
        spans = self._spans(region)
        stages = (self._costs.in_way(spans, *bounds[number], self._path[number][2]) for number in numbers)
        return all(stage.scratch_bytes <= self._limit for stage in stages)

    def _spans(self, region: Region) -> RegionSpans:
        return RegionSpans(region, self._costs.spans.table, cpu=self._costs.spans.cpu)

    def _placed(self, cuts: Mapping[RegionTensor, CodedCut]) -> CodedStages:
        region, bounds = with_coders(self._costs.spans.region, self._path, cuts)
        spans = self._spans(region)
        stages = [self._costs.in_way(spans, *b, way) for b, (_, _, way) in zip(bounds, self._path, strict=True)]
        all_cuts = tuple(cut for new in self._new for cut in new)
        return CodedStages(region, tuple(stages), all_cuts, dict(cuts), place(spans, stages))


def with_coders(
    region: Region, stages: Iterable[Way], cuts: Mapping[RegionTensor, CodedCut]
) -> tuple[Region, list[tuple[int, int]]]:
    """The region with ops that encode cuts behind what writes them, and decode them in front of stages that read them.

    Returns:
      The region, and the first and end op of each stage in it.
    """
    ops: list[RegionOp] = []
    bounds = []
    for first, end, _ in stages:
        start, own = len(ops), region.ops[first:end]
        decoded = _decoders(own, cuts)
        ops += decoded.values()
        names = {tensor: op.output for tensor, op in decoded.items()}
        for op in own:
            inputs = tuple(names.get(tensor, tensor) for tensor in op.inputs)
            ops.append(op if inputs == op.inputs else replace(op, inputs=inputs))
            if op.output in cuts:
                cut = cuts[op.output]
                ops.append(Encode(None, (op.output,), cut.coded, 1, cut.rate.side_information, cut.ends))
        bounds.append((start, len(ops)))
    return Region(tuple(ops), region.inputs, region.outputs), bounds


def _decoders(ops: Sequence[RegionOp], cuts: Mapping[RegionTensor, CodedCut]) -> dict[RegionTensor, Decode]:
    """For each coded cut that a stage reads and does not write, what decodes it."""
    written = {op.output for op in ops}
    read = dict.fromkeys(tensor for op in ops for tensor in op.inputs if tensor in cuts and tensor not in written)
    return {t: Decode(None, (cuts[t].coded,), replace(t), 1, cuts[t].ends, cuts[t].rate.contexts) for t in read}
