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

# The histograms of contexts are small: a few samples fill them.
_SAMPLES = 32


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

    A map of integers gets the zero point as its centre: it stays lossless, and magnitudes say more. Segments are as
    large as groups: with contexts those of a group are decoded one after another anyway, and each costs a header.

    Args:
      coding: with tables that fit.
      bits: expected bits of its residuals, an inference.
      histogram: of its residuals [r, 5, 256].
      count: inferences behind the histogram.
      predictors: whether components may have predictors.
    """
    info, info_bits = coding.info, bits
    assert info is not None
    centre = signed_zero_point(coding.site.tensor)
    if not info.is_lossy and info.synthesis is None and np.ndim(info.centre) == 0 and info.centre != centre:
        shifted = histogram.copy()
        shifted[:, 0] = np.roll(
            histogram[:, 0], int(info.centre) - centre, 1
        )  # only what is not predicted has a centre
        tables = entropy_model.fit(shifted, count, predictors)
        info = replace(
            info,
            centre=centre,
            classes=tables.classes,
            component_class=tables.component_class,
            predictor=tables.predictor,
        )
        info_bits = tables.bits / count
    lo, _ = coding.site.activation_range
    one_sided = (info.predictor == 0) & np.equal(info.centre, lo) & (info.analysis is None)
    contexts = Contexts(one_sided, np.zeros((info.num_classes, NUM_CONTEXTS), np.uint8))
    rows = min(rows_of_groups(*coding.site.grid[1:], info.components), MAX_SEGMENT_ROWS)
    info = replace(info, classes=info.classes[:1], contexts=contexts, segment_rows=rows)
    return Candidate(coding, bits, info, info_bits)


def choose(source: Source, candidates: Sequence[Candidate]) -> list[tuple[MapCoding, float]]:
    """The codings, with contexts where they save more bits an inference than they add to the side information; and the
    bits of residuals that are expected then."""
    samples = source.samples.tables.evenly(_SAMPLES)
    tensors, infos = [c.coding.site.tensor for c in candidates], [c.info for c in candidates]
    histograms, count = passes.context_histograms(source.file, tensors, infos, samples, source.options.num_threads)
    return [_best(c, histogram, count) for c, histogram in zip(candidates, histograms, strict=True)]


def _best(candidate: Candidate, histogram: np.ndarray, count: int) -> tuple[MapCoding, float]:
    """The better coding of a map, from the histogram [classes, contexts, 256] of `count` inferences."""
    plain = candidate.coding.info
    assert plain is not None
    assert candidate.info.contexts is not None
    by_class = histogram.sum(1, dtype=np.float64)
    without = float((by_class * entropy_model.fit_classes(by_class)[1]).sum())
    if without == 0:
        return candidate.coding, candidate.bits
    model = entropy_model.fit_contexts(histogram, count)
    contexts = replace(candidate.info.contexts, tables=model.tables)
    info = replace(candidate.info, classes=model.classes, contexts=contexts)
    # Of the tables' samples there are more, so that they tell the level, and these the ratio.
    bits = candidate.info_bits * model.bits / without
    batch, *grid = candidate.coding.site.grid
    saved = candidate.bits - bits + 8 * batch * (_overhead(plain, grid) - _overhead(info, grid))
    if saved <= 8 * (len(info.to_bytes()) - len(plain.to_bytes())):
        return candidate.coding, candidate.bits
    capacity = raw_capacity(candidate.coding.site, info)
    return replace(candidate.coding, info=info, item_capacity=capacity), bits


def _overhead(info: SideInformation, grid: Sequence[int]) -> int:
    """Bytes that are no residuals, of one batch item."""
    return info.geometry(*grid).overhead_bytes
