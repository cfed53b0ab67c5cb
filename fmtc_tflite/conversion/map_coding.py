"""How each feature map is coded: side information and capacity, from its treatment and a Lagrangian weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from fmtc_tflite.calibration.kept_statistics import Statistics
from fmtc_tflite.calibration.projection import signed_zero_point
from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.coding import entropy_model, quantizer, transform
from fmtc_tflite.coding.paper import PaperFigures
from fmtc_tflite.coding.side_info import STEP_ONE, SideInformation
from fmtc_tflite.coding.token_classes import TokenClass
from fmtc_tflite.conversion import folding
from fmtc_tflite.conversion.choices import best_pick, centres_pay
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.graph.edits.rotate import RotatedConvolution
from fmtc_tflite.graph.sites import Site

# Constant level (FORMAT.md section 4.3) that budgets use and that matrices leave room for.
RESERVED_LEVEL = 4


@dataclass(frozen=True, eq=False)
class MapCoding:
    """How one candidate feature map is coded.

    Attributes:
      treated: what was decided before.
      info: side information; its tables are placeholders until they are fitted. None if the map is skipped.
      item_capacity: bytes per batch item of the coded tensor.
      folded: the decoder computes the map from the coded form of `treated.fold_source`; the map is not stored.
      rotated: constants with which the producer emits the map's coefficients; only the paper's scheme has them.
      paper: what the paper's scheme came to on the map; None under other presets.
    """

    treated: TreatedMap
    info: SideInformation | None = None
    item_capacity: int = 0
    folded: bool = False
    rotated: RotatedConvolution | None = None
    paper: PaperFigures | None = None

    @property
    def site(self) -> Site:
        return self.treated.site

    @property
    def coded(self) -> bool:
        return self.treated.coded

    @property
    def stored(self) -> bool:
        """Whether the map has a coded tensor of its own."""
        return self.coded and not self.folded

    @property
    def replaced_weight_bytes(self) -> int:
        """Of the side information, what stands for the weights and biases of a convolution that left the graph."""
        return self.info.weight_bytes if self.folded and self.info is not None else 0

    @property
    def values(self) -> int:
        """Values of the map, one inference."""
        return self.site.values

    @property
    def capacity_bytes(self) -> int:
        """Bytes of the coded tensor, for the batch size that the model was made for."""
        return self.item_capacity * self.site.tensor.shape[0]


def lossy_maps(codings: Sequence[MapCoding]) -> list[MapCoding]:
    """Those whose decoded values may differ, as they were coded in the end."""
    return [c for c in codings if c.info is not None and c.info.is_lossy]


def raw_capacity(site: Site, info: SideInformation) -> int:
    """Bytes per batch item that always suffice for a map's coded tensor."""
    return info.geometry(*site.grid[1:]).item_capacity_bytes


def map_centres(site: Site, statistics: ValueStatistics) -> int | np.ndarray:
    """Centres of the step quantizer for a map."""
    lo, _ = site.activation_range
    return quantizer.centres(statistics.means, lo, signed_zero_point(site.tensor))


def quantize(maps: Sequence[TreatedMap], statistics: Mapping[Site, Statistics], weight: float) -> list[MapCoding]:
    """Quantizations of all maps, each with one flat placeholder table and the capacity that always suffices.

    Args:
      maps: in execution order.
      statistics: of the lossy ones.
      weight: Lagrangian weight of fidelity, for maps whose steps follow the search.
    """
    saved = _saved_by_folding(maps, weight)
    codings: dict[Site, MapCoding] = {}
    for treated in maps:
        source = None if treated.fold_source is None else codings.get(treated.fold_source)
        coding = _folded(treated, source) if treated.site in saved else None
        if coding is None and treated.coded:
            followers = (saved[m.site] for m in maps if m.fold_source is treated.site and m.site in saved)
            info = _quantization(treated, statistics, weight, sum(followers))
            coding = MapCoding(treated, info, raw_capacity(treated.site, info))
        codings[treated.site] = coding or MapCoding(treated)
    return list(codings.values())


def _saved_by_folding(maps: Sequence[TreatedMap], weight: float) -> dict[Site, float]:
    """Maps that cost less folded than stored, at a Lagrangian weight, and by how many bits.

    A folded map is as good as its source's coded form, as it is if the source is decoded for its producer.
    """
    found = {}
    for m in maps:
        if m.convolution is None or not (m.is_lossless or (m.is_searched and m.choices)):
            continue
        stored = folding.lossless_bits(m.site) if m.is_lossless else best_pick(m.choices, weight).total
        found[m.site] = stored - folding.net_side_information_bits(m.convolution)
    return {site: saved for site, saved in found.items() if saved > 0}


def _quantization(
    treated: TreatedMap, statistics: Mapping[Site, Statistics], weight: float, saved_by_steps: float
) -> SideInformation:
    """Args: saved_by_steps: bits that a step quantizer saves elsewhere, where others can follow no KLT."""
    site, treatment = treated.site, treated.treatment
    channels = site.tensor.shape[3]
    if treatment.transform == "lossless":
        return lossless_information(channels)
    values, covariance = statistics[site]
    lo, hi = site.activation_range
    if treatment.transform == "klt":
        assert not isinstance(treatment.step, tuple)  # a recipe's KLT has one step
        return _klt(site, covariance, min(treatment.components or channels, channels), treatment.step or 1.0)
    if treatment.step is not None:
        codes = quantizer.step_codes(treatment.step, channels)
    else:
        pick = best_pick(treated.choices, weight)
        steps = best_pick(treated.choices[:1], weight)
        if steps.total - saved_by_steps <= pick.total:
            pick = steps
        codes = pick.steps
        if pick.transform == "klt":
            return _klt(site, covariance, pick.components, int(codes[0]) / STEP_ONE)
    if (codes == STEP_ONE).all():
        return _with_flat_table(channels, channels)
    centres, single, positions = map_centres(site, values), signed_zero_point(site.tensor), int(np.prod(site.grid))
    if isinstance(centres, np.ndarray) and not centres_pay(values.histogram, centres, single, codes, positions):
        centres = single
    return _with_flat_table(channels, channels, centre=centres, step=_compact(codes), lo=lo, hi=hi)


def _folded(treated: TreatedMap, source: MapCoding | None) -> MapCoding | None:
    """The map computed in the decoder from its source's coded form; None where that is not possible."""
    if source is None or source.info is None or not source.stored or source.info.has_synthesis:
        return None
    if treated.is_lossless and source.info.is_lossy:
        return None
    return MapCoding(treated, _following(treated, source.info), folded=True)


def follow_sources(codings: Sequence[MapCoding]) -> list[MapCoding]:
    """The codings with folded maps as their sources have become."""
    infos = {c.site: c.info for c in codings}

    def followed(coding: MapCoding) -> MapCoding:
        source = coding.treated.fold_source
        info = None if source is None or not coding.folded else infos[source]
        return coding if info is None else replace(coding, info=_following(coding.treated, info))

    return [followed(c) for c in codings]


def _following(treated: TreatedMap, source: SideInformation) -> SideInformation:
    """The source's quantization and tables, with the map's producer as the decoder's synthesis."""
    return replace(source, channels=treated.site.tensor.shape[3], convolution=treated.convolution)


def lossless_information(channels: int, checksum: bool = True) -> SideInformation:
    """Of a map that keeps every bit, with a placeholder table."""
    return _with_flat_table(channels, channels, checksum=checksum)


def _klt(site: Site, statistics: CovarianceStatistics | None, components: int, step: float) -> SideInformation:
    assert statistics is not None
    lo, hi = site.activation_range
    analysis, synthesis = transform.klt(statistics.means, statistics.covariance, components, step, RESERVED_LEVEL)
    channels = site.tensor.shape[3]
    return _with_flat_table(channels, components, lo=lo, hi=hi, analysis=analysis, synthesis=synthesis)


def _compact(codes: np.ndarray) -> int | np.ndarray:
    """One step for all components where they agree."""
    return int(codes[0]) if (codes == codes[0]).all() else codes.astype(np.uint16)


def _with_flat_table(channels: int, components: int, **quantization: object) -> SideInformation:
    zeros = np.zeros(components, np.uint8)
    return SideInformation(channels, zeros, zeros, _flat_table(), **quantization)  # type: ignore[arg-type]


@cache
def _flat_table() -> tuple[TokenClass, ...]:
    classes, _ = entropy_model.fit_classes(np.ones((1, 256)))
    return tuple(classes)
