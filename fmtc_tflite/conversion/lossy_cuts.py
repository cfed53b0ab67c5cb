"""Loss in the coded cuts of regions: steps from the search of `--execution ops`, on the stored tensors alone.

A plan is made before its steps, for coded cuts of the size that they are expected to get: which cuts are coded, in
which segments, and where they lie. Where cuts come out smaller or larger, another plan may store less, and is tried.
What loss does is tried in the original graph, with an FMTC_ENCODE behind each cut and FMTC_DECODEs before what reads it
in later stages. Its outputs are, byte for byte, those of the regions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fmtc_tflite.calibration import passes
from fmtc_tflite.calibration.store import CalibrationStore, calibration_identity
from fmtc_tflite.coding import entropy_model
from fmtc_tflite.conversion.build import build_converted
from fmtc_tflite.conversion.document import fidelity_report
from fmtc_tflite.conversion.map_coding import lossy_maps
from fmtc_tflite.conversion.pipeline import convert_default
from fmtc_tflite.conversion.region_plans import ChosenRegions, PlannedRegion
from fmtc_tflite.conversion.result import Part
from fmtc_tflite.conversion.search import compare_file
from fmtc_tflite.conversion.source import Source, open_samples
from fmtc_tflite.conversion.traffic_objective import CutMap, TrafficGoal, with_contexts
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.errors import VerificationError
from fmtc_tflite.fidelity.judgement import change_warning
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.sites import Site, find_sites
from fmtc_tflite.progress import stage
from fmtc_tflite.regions.coded_cuts import Rate
from fmtc_tflite.regions.coders import Encode
from fmtc_tflite.regions.cut_readers import decoded_readers
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.planner import write_program
from fmtc_tflite.types import ConvertOptions, Treatment

# What programs cannot say of a coded cut, or what the graph alone could do. Contexts change no output, and come later.
_NOT_IN_REGIONS = frozenset({"klt", "folding", "copies", "contexts"})

_USUAL_SHARE = 0.55  # of what lossless cuts take, at the default bound
_MOST_PLANS = 2
_WORTH_A_SEARCH = 0.99  # of what is stored so far


@dataclass(frozen=True)
class LossyCuts:
    """What loss in coded cuts came to.

    Attributes:
      part: the conversion of the graph that stands for the regions, with its verdict and warnings; None where no coded
        cut may lose anything.
      planned: the regions with lossless cuts.
      regions: with this loss; their plans are the same.
      stored_bytes: expected of an item, beside what lies outside of regions.
      share: what coded cuts are expected to take, of what they would take losslessly.
    """

    part: Part | None
    planned: Sequence[PlannedRegion]
    regions: Sequence[PlannedRegion]
    stored_bytes: int
    share: float

    @property
    def warnings(self) -> list[str]:
        """Lines that a user should see."""
        if self.part is None:
            return ["no stored tensor is coded where it could lose something, so nothing is lost"]
        found = self.part.comparison
        change = change_warning(found.measure, found.fidelity, found.top1_agreement)
        return [*self.part.warnings, *([] if change is None else [change])]


def lose_in_cuts(
    content: bytes, chosen: ChosenRegions, goal: TrafficGoal, where: tuple[str, str], options: ConvertOptions
) -> LossyCuts:
    """Finds plans and steps with which coded cuts keep the bound of the options.

    Args:
      content: the original file.
      chosen: from the same file's graph.
      goal: with the rates of lossless cuts.
      where: the runtime and the kernels that regions are for.

    Raises:
      NothingToDoError: the bound is missed after several corrections.
    """
    best: LossyCuts | None = None
    share = _USUAL_SHARE
    for _ in range(_MOST_PLANS):
        stage("planning")
        planned = chosen.planned(goal.with_less(share))
        expected = sum(region.plan.stored_bytes for region in planned)
        if best is not None and expected > _WORTH_A_SEARCH * best.stored_bytes:
            break
        stage("loss")
        found = _lose_in(content, chosen, planned, goal, where, options)
        best = found if best is None or found.stored_bytes < best.stored_bytes else best
        share = found.share
    assert best is not None
    return best


def _lose_in(
    content: bytes,
    chosen: ChosenRegions,
    planned: Sequence[PlannedRegion],
    goal: TrafficGoal,
    where: tuple[str, str],
    options: ConvertOptions,
) -> LossyCuts:
    """The steps for one plan."""
    subgraph = chosen.subgraph
    source = _source(content, subgraph, _readers(subgraph, planned), where, options)
    part = convert_default(source) if any(m.coded for m in source.maps) else None
    here = dict(zip(source.file.model.subgraphs[0].tensors, subgraph.tensors, strict=True))
    with_room = {cut.source for region in planned for cut, form in region.plan.coded.items() if form.rate.contexts}
    found = {} if part is None else _rates(part, {tensor for tensor, own in here.items() if own in with_room})
    losses = {here[tensor]: rate for tensor, rate in found.items()}
    regions = [_with_losses(region, losses, chosen.kernel_set) for region in planned]
    saved, lossless_bits, bits = 0, 0.0, 0.0
    for region in regions:
        for cut, form in region.plan.coded.items():
            lossless = _as_planned(goal.rates[cut.source], form.rate)
            rate = region.losses.get(cut, lossless)
            saved += cut.bytes - rate.bytes_in(form.segments)
            lossless_bits, bits = lossless_bits + lossless.bits, bits + rate.bits
    stored = sum(region.plan.raw_bytes for region in regions) - saved
    return LossyCuts(part, planned, regions, stored, bits / lossless_bits if lossless_bits else 1.0)


def simulation(part: Part) -> bytes:
    """The graph that stands for regions, whose outputs theirs must equal."""
    return build_converted(part.source.file.content, part.codings).to_bytes()


def loss_report(part: Part, regions: Sequence[PlannedRegion], converted: bytes, num_inputs: int) -> dict[str, Any]:
    """The parts `fidelity` and `loss` of a report: of the finished model beside the original, on all held-back samples.

    Args:
      num_inputs: on which the model's outputs were those of the simulation.

    Raises:
      VerificationError: it diverges by more or less than the graph that stands for it.
    """
    comparison, expected = compare_file(part.source, converted), part.comparison
    if comparison.fidelity.mean != expected.fidelity.mean or comparison.accuracy_drop != expected.accuracy_drop:
        raise VerificationError(
            f"the regions diverge by {comparison.measure} {comparison.fidelity.mean:.6g}, the same loss in the "
            f"original by {expected.fidelity.mean:.6g}; nothing was written. Please report this with the model"
        )
    cuts = sum(len(region.losses) for region in regions)
    loss = {"bound": part.source.options.constraint, "cuts": cuts, "num_inputs": num_inputs}
    return {"fidelity": fidelity_report(comparison), "loss": loss}


def _as_planned(rate: Rate, planned: Rate) -> Rate:
    """A cut's rate with contexts where it is planned with them."""
    return rate if rate.plain is None or planned.contexts else rate.plain


def _rates(part: Part, with_room: Collection[Tensor]) -> dict[Tensor, Rate]:
    """How the tensors that lose something are coded.

    Args:
      with_room: those with room for contexts, which they get where these pay.
    """
    file, samples, options = part.source.file, part.source.samples.tables, part.source.options
    lossy = [(c.site, replace(c.info, checksum=False)) for c in lossy_maps(part.codings) if c.info is not None]
    if not lossy:
        return {}
    tensors, infos = [site.tensor for site, _ in lossy], [info for _, info in lossy]
    histograms, count = passes.residual_histograms(file, tensors, infos, samples, options.num_threads)
    maps = [
        CutMap(site.tensor, site.activation_range[0], info, entropy_model.fit(own, count).bits / count, own)
        for (site, info), own in zip(lossy, histograms, strict=True)
    ]
    plain = {m.tensor: m.rate for m in maps}
    roomy = [m for m in maps if m.tensor in with_room]
    if not roomy:
        return plain
    rates = with_contexts(file, roomy, count, samples, options)
    return plain | {m.tensor: rate for m, rate in zip(roomy, rates, strict=True)}


def _with_losses(region: PlannedRegion, losses: Mapping[Tensor, Rate], kernel_set: int) -> PlannedRegion:
    """Args: losses: by the graph's tensors."""
    own = {cut: losses[cut.source] for cut in region.plan.coded if cut.source in losses}
    by_coded = {region.plan.coded[cut].coded: rate.side_information for cut, rate in own.items()}

    def lossy(op: RegionOp) -> RegionOp:
        information = by_coded.get(op.output)
        return replace(op, side_information=information) if information and isinstance(op, Encode) else op

    return replace(region, program=write_program(region.plan, kernel_set, lossy), losses=own)


def _readers(subgraph: Subgraph, regions: Sequence[PlannedRegion]) -> dict[RegionTensor, tuple[Op, ...]]:
    """Coded cuts that the graph can stand for, and the ops of the graph that read them decoded."""
    found = {}
    for region in regions:
        for tensor, cut in region.plan.coded.items():
            readers = decoded_readers(subgraph, region.plan.region.ops, cut)
            if readers is not None:
                found[tensor] = readers
    return found


def _source(
    content: bytes,
    subgraph: Subgraph,
    readers: Mapping[RegionTensor, tuple[Op, ...]],
    where: tuple[str, str],
    options: ConvertOptions,
) -> Source:
    """The original with these cuts as the only maps to code."""
    file = ModelFile.parse(content)
    graph = file.model.subgraphs[0]
    tensors = dict(zip(subgraph.tensors, graph.tensors, strict=True))
    ops = dict(zip(subgraph.ops, graph.ops, strict=True))
    wanted = {tensors[cut.source]: tuple(ops[op] for op in own) for cut, own in readers.items()}
    maps = [_treated(site, wanted) for site in find_sites(file.model) if site.subgraph is graph]
    options = replace(
        options,
        execution="ops",
        objective="traffic",
        recipe=None,
        include=None,
        exclude=None,
        disable=options.disable | _NOT_IN_REGIONS,
    )
    samples = open_samples(file.model, options)
    store = CalibrationStore(None, calibration_identity(content, options.calibration, samples.build))
    return Source(file, tuple(maps), samples, store, options, where=where)


def _treated(site: Site, readers: Mapping[Tensor, tuple[Op, ...]]) -> TreatedMap:
    own = readers.get(site.tensor)
    if own is None or site.skipped_reason is not None:
        return TreatedMap(site, Treatment("skip")).skipped("it is no coded cut of a region")
    # A cut is coded in any case, with loss or without.
    return TreatedMap(replace(site, consumers=own), Treatment("step"), asked_for=True)
