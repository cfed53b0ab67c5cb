"""From treatments to codings with tables and capacities, on a source's samples. Nothing here remembers anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmtc_tflite.calibration import passes
from fmtc_tflite.calibration.kept_statistics import Statistics
from fmtc_tflite.coding import entropy_model
from fmtc_tflite.coding.geometry import HEADER_BYTES
from fmtc_tflite.conversion.build import build_converted
from fmtc_tflite.conversion.contexts import Candidate, candidate, choose
from fmtc_tflite.conversion.map_coding import RESERVED_LEVEL, MapCoding, follow_sources, quantize
from fmtc_tflite.conversion.source import Source
from fmtc_tflite.conversion.treatment import TreatedMap, require_coded
from fmtc_tflite.data.opening import Dataset
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.memory.arena import ALIGNMENT_BYTES
from fmtc_tflite.types import ConvertOptions

_RATE_SAMPLES = 16  # for each step of a search by rate


@dataclass(frozen=True)
class Coder:
    """Codes a source's maps, which are treated in one way or another.

    Attributes:
      statistics: of the lossy maps.
    """

    source: Source
    statistics: Mapping[Site, Statistics]

    def quantized(self, maps: Sequence[TreatedMap], coarseness: float | None) -> list[MapCoding]:
        """Final quantizations with placeholder tables; None as coarseness where no map follows the search."""
        return quantize(maps, self.statistics, 8 * self.source.values / (coarseness or 1.0))

    def converted(self, maps: Sequence[TreatedMap], coarseness: float) -> Model:
        """The converted model at a coarseness, with placeholder tables: what it computes does not depend on them."""
        return build_converted(self.source.file.content, self.quantized(maps, coarseness))

    def expected_bits(self, maps: Sequence[TreatedMap], coarseness: float) -> float:
        """About the bits per value at a coarseness."""
        samples = self.source.samples.tables.evenly(_RATE_SAMPLES)
        _, bits = self.with_tables(self.quantized(maps, coarseness), samples)
        skipped_bits = 8 * sum(m.values for m in maps if m.left_alone)
        return (sum(bits.values()) + skipped_bits) / self.source.values

    def finished(self, maps: Sequence[TreatedMap], coarseness: float | None) -> list[MapCoding]:
        """Codings as the converted model has them; maps that coding would not make smaller are skipped.

        Raises:
          NothingToDoError: no map is left.
        """
        options = self.source.options
        codings, bits = self.with_tables(
            self.quantized(maps, coarseness), self.source.samples.tables, contexts="contexts" not in options.disable
        )
        if options.objective != "arena":
            needed = {c.treated.fold_source for c in codings if c.folded}
            codings = [
                c if c.folded or c.site in needed else _skipped_if_larger(c, bits.get(c.site, 0.0)) for c in codings
            ]
        if options.has_budgets:
            codings = self.with_budgets(codings)
        require_coded([c.treated for c in codings])
        return codings

    def with_tables(
        self, codings: Sequence[MapCoding], samples: Dataset, contexts: bool = False
    ) -> tuple[list[MapCoding], dict[Site, float]]:
        """The codings with entropy tables that fit, and the expected coded bits of each stored map, with headers.

        Args:
          codings: with placeholder tables.
          samples: from which the tables are made.
          contexts: whether maps may have contexts from the row above, which takes another run of some samples.
        """
        source, options = self.source, self.source.options
        predictors = "prediction" not in options.disable
        fitted: list[tuple[MapCoding, float]] = []
        candidates: list[Candidate] = []
        bits: dict[Site, float] = {}
        group = [(c, c.info) for c in codings if c.stored and c.info is not None]
        if not group:
            return list(codings), bits
        tensors, infos = [c.site.tensor for c, _ in group], [info for _, info in group]
        histograms, count = passes.residual_histograms(source.file, tensors, infos, samples, options.num_threads)
        for (coding, info), histogram in zip(group, histograms, strict=True):
            tables = entropy_model.fit(histogram, count, predictors)
            own = replace(
                info, classes=tables.classes, component_class=tables.component_class, predictor=tables.predictor
            )
            fitted.append((replace(coding, info=own), tables.bits / count))
            if contexts:
                candidates.append(candidate(*fitted[-1], histogram, count, predictors))
        if contexts:
            fitted = choose(source, candidates)
        for coding, residual_bits in fitted:
            grid = coding.site.grid
            assert coding.info is not None
            bits[coding.site] = residual_bits + 8 * coding.info.geometry(*grid[1:]).overhead_bytes * grid[0]
        final = {c.site: c for c, _ in fitted}
        return follow_sources([final.get(c.site, c) for c in codings]), bits

    def with_budgets(self, codings: Sequence[MapCoding]) -> list[MapCoding]:
        """The codings, coded tensors of lossy maps as small as the samples and the options allow."""
        options = self.source.options
        lossy = [(c, c.info) for c in codings if c.stored and c.info is not None and c.info.is_lossy]
        sizes = passes.coded_sizes(
            self.source.file,
            [c.site.tensor for c, _ in lossy],
            [info for _, info in lossy],
            self.source.samples.tables,
            options.num_threads,
        )
        fitted = {c.site: _within_budget(c, own, options) for (c, _), own in zip(lossy, sizes, strict=True)}
        return follow_sources([fitted.get(c.site, c) for c in codings])


def _skipped_if_larger(coding: MapCoding, bits: float) -> MapCoding:
    if coding.info is None or coding.treated.asked_for:
        return coding
    if bits / 8 + len(coding.info.to_bytes()) < coding.values:
        return coding
    return MapCoding(coding.treated.skipped("coding would not make it smaller, side information included"))


def _within_budget(coding: MapCoding, sizes: np.ndarray, options: ConvertOptions) -> MapCoding:
    """A coded tensor of the size that the options demand, if that is below what always suffices.

    See FORMAT.md section 4.3: a map that does not fit its coded tensor is coded coarser, as a whole.

    Args:
      coding: of a stored, lossy map; its side information gets levels if the budget is used.
      sizes: payload bytes per batch item, one for each sample.
    """
    assert coding.info is not None
    wanted = float(np.percentile(sizes, options.effective_capacity_percentile)) * options.effective_capacity_margin
    # Less than the arena's alignment would be lost.
    budget = max(HEADER_BYTES, -(-int(wanted) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES)
    if budget >= coding.item_capacity:
        return coding
    return replace(coding, item_capacity=budget, info=replace(coding.info, constant_level=RESERVED_LEVEL))
