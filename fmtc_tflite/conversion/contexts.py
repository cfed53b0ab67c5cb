"""Which maps are coded with contexts from the row above (FORMAT.md section 7.1): those where that pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmtc_tflite.calibration import passes
from fmtc_tflite.calibration.projection import signed_zero_point
from fmtc_tflite.coding import entropy_model
from fmtc_tflite.coding.geometry import rows_of_groups
from fmtc_tflite.coding.side_info import MAX_SEGMENT_ROWS, SideInformation
from fmtc_tflite.coding.token_classes import NUM_CONTEXTS, Contexts
from fmtc_tflite.conversion.map_coding import MapCoding, raw_capacity
from fmtc_tflite.conversion.source import Source

SAMPLES = 32  # the histograms of contexts are small: a few samples fill them


@dataclass(frozen=True, eq=False)
class Candidate:
    """A map that may get contexts.

    Attributes:
      coding: without contexts.
      bits: expected bits of its residuals, an inference.
      info: with contexts that all lead to one table; what residuals and contexts are follows from it.
      info_bits: expected bits of its residuals with the best table for each of its classes.
    """

    coding: MapCoding
    bits: float
    info: SideInformation
    info_bits: float


def candidate(coding: MapCoding, bits: float, histogram: np.ndarray, count: int, predictors: bool) -> Candidate:
    """What `choose` needs to know of a map.

    Segments are as large as groups: with contexts those of a group are decoded one after another anyway, and each costs
    a header.

    Args:
      coding: with tables that fit.
      bits: expected bits of its residuals, an inference.
      histogram: of its residuals [r, 5, 256].
      count: inferences behind the histogram.
      predictors: whether components may have predictors.
    """
    assert coding.info is not None
    site = coding.site
    info, info_bits = open_contexts(
        coding.info, bits, signed_zero_point(site.tensor), site.activation_range[0], histogram, count, predictors
    )
    rows = min(rows_of_groups(*site.grid[1:], info.components), MAX_SEGMENT_ROWS)
    return Candidate(coding, bits, replace(info, segment_rows=rows), info_bits)


def open_contexts(
    info: SideInformation,
    bits: float,
    zero_point: int,
    lo: int,
    histogram: np.ndarray,
    count: int,
    predictors: bool = True,
) -> tuple[SideInformation, float]:
    """A map's side information with contexts that all lead to one table.

    A map of integers gets the zero point as its centre: it stays lossless, and magnitudes say more.

    Args:
      info: with tables that fit.
      bits: expected bits of its residuals, an inference.
      zero_point: of the tensor, in the int8 domain.
      lo: the least value that its producer's activation lets through, likewise.
      histogram: of its residuals [r, 5, 256].
      count: inferences behind the histogram.
      predictors: whether components may have predictors.

    Returns:
      That, and the expected bits of its residuals with the best table for each class.
    """
    if not info.is_lossy and info.synthesis is None and np.ndim(info.centre) == 0 and info.centre != zero_point:
        shifted = histogram.copy()
        shifted[:, 0] = np.roll(
            histogram[:, 0], int(info.centre) - zero_point, 1
        )  # only what is not predicted has a centre
        tables = entropy_model.fit(shifted, count, predictors)
        info = replace(
            info,
            centre=zero_point,
            classes=tables.classes,
            component_class=tables.component_class,
            predictor=tables.predictor,
        )
        bits = tables.bits / count
    one_sided = (info.predictor == 0) & np.equal(info.centre, lo) & (info.analysis is None)
    contexts = Contexts(one_sided, np.zeros((info.num_classes, NUM_CONTEXTS), np.uint8))
    return replace(info, classes=info.classes[:1], contexts=contexts), bits


def fit_tables(
    info: SideInformation, bits: float, histogram: np.ndarray, count: int
) -> tuple[SideInformation, float] | None:
    """The tables of contexts that `open_contexts` has opened.

    Args:
      info, bits: what it returned.
      histogram: of residuals by class and context, [classes, contexts, 256].
      count: inferences behind it.

    Returns:
      The side information, and the expected bits of residuals, an inference; None if there is nothing to code.
    """
    assert info.contexts is not None
    by_class = histogram.sum(1, dtype=np.float64)
    without = float((by_class * entropy_model.fit_classes(by_class)[1]).sum())
    if without == 0:
        return None
    model = entropy_model.fit_contexts(histogram, count)
    contexts = replace(info.contexts, tables=model.tables)
    # Of the tables' samples there are more, so that they tell the level, and these the ratio.
    return replace(info, classes=model.classes, contexts=contexts), bits * model.bits / without


def choose(source: Source, candidates: Sequence[Candidate]) -> list[tuple[MapCoding, float]]:
    """The codings, with contexts where they save more bits an inference than they add to the side information; and the
    bits of residuals that are expected then."""
    samples = source.samples.tables.evenly(SAMPLES)
    tensors, infos = [c.coding.site.tensor for c in candidates], [c.info for c in candidates]
    histograms, count = passes.context_histograms(source.file, tensors, infos, samples, source.options.num_threads)
    return [_best(c, histogram, count) for c, histogram in zip(candidates, histograms, strict=True)]


def _best(candidate: Candidate, histogram: np.ndarray, count: int) -> tuple[MapCoding, float]:
    """The better coding of a map, from the histogram [classes, contexts, 256] of `count` inferences."""
    plain = candidate.coding.info
    assert plain is not None
    fitted = fit_tables(candidate.info, candidate.info_bits, histogram, count)
    if fitted is None:
        return candidate.coding, candidate.bits
    info, bits = fitted
    batch, *grid = candidate.coding.site.grid
    saved = candidate.bits - bits + 8 * batch * (_overhead(plain, grid) - _overhead(info, grid))
    if saved <= 8 * (len(info.to_bytes()) - len(plain.to_bytes())):
        return candidate.coding, candidate.bits
    capacity = raw_capacity(candidate.coding.site, info)
    return replace(candidate.coding, info=info, item_capacity=capacity), bits


def _overhead(info: SideInformation, grid: Sequence[int]) -> int:
    """Bytes that are no residuals, of one batch item."""
    return info.geometry(*grid).overhead_bytes
