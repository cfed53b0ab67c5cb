"""Loss in the coded cuts of regions: steps from the search of `--execution ops`, on the stored tensors alone.

The plan is made before, for lossless cuts, and stays: which cuts are coded, in which segments, and where they lie. What
loss does is tried in the original graph, with an FMTC_ENCODE behind each cut and FMTC_DECODEs before what reads it in
later stages. Its outputs are, byte for byte, those of the regions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fmtc_tflite.calibration import passes
from fmtc_tflite.calibration.store import CalibrationStore, calibration_identity
from fmtc_tflite.coding import entropy_model
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.conversion.build import build_converted
from fmtc_tflite.conversion.document import fidelity_report
from fmtc_tflite.conversion.map_coding import lossy_maps
from fmtc_tflite.conversion.pipeline import convert_default
from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.conversion.result import Part
from fmtc_tflite.conversion.search import compare_file
from fmtc_tflite.conversion.source import Source, open_samples
from fmtc_tflite.conversion.traffic_objective import CutMap, with_contexts
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.errors import VerificationError
from fmtc_tflite.fidelity.judgement import change_warning
from fmtc_tflite.fidelity.verify import Comparison
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.sites import Site, find_sites
from fmtc_tflite.regions.coders import Encode
from fmtc_tflite.regions.cut_readers import decoded_readers
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.planner import write_program
from fmtc_tflite.types import ConvertOptions, Treatment

# What programs cannot say of a coded cut, or what the graph alone could do. Contexts change no output, and come later.
_NOT_IN_REGIONS = frozenset({"klt", "folding", "copies", "contexts"})


@dataclass(frozen=True)
class LossyCuts:
    """What loss in coded cuts came to.

    Attributes:
      part: the conversion of the graph that stands for the regions, with its verdict and warnings.
      regions: with this loss; their plans are as they were.
    """

    part: Part
    regions: tuple[PlannedRegion, ...]

    @property
    def warnings(self) -> list[str]:
        """Lines that a user should see."""
        found = self.part.comparison
        change = change_warning(found.measure, found.fidelity, found.top1_agreement)
        return [*self.part.warnings, *([] if change is None else [change])]

    def simulation(self) -> bytes:
        """The graph that stands for the regions, whose outputs theirs must equal."""
        return build_converted(self.part.source.file.content, self.part.codings).to_bytes()

    def measure(self, converted: bytes) -> Comparison:
        """The finished model beside the original, on all held-back samples.

        Raises:
          VerificationError: it diverges by more or less than the graph that stands for it.
        """
        comparison, expected = compare_file(self.part.source, converted), self.part.comparison
        if comparison.fidelity.mean != expected.fidelity.mean or comparison.accuracy_drop != expected.accuracy_drop:
            raise VerificationError(
                f"the regions diverge by {comparison.measure} {comparison.fidelity.mean:.6g}, the same loss in the "
                f"original's tensors by {expected.fidelity.mean:.6g}; nothing was written. Please report this with the "
                "model"
            )
        return comparison

    def report(self, comparison: Comparison, num_inputs: int) -> dict[str, Any]:
        """The parts `fidelity` and `loss` of a report.

        Args:
          comparison: of the finished model.
          num_inputs: on which its outputs were those of the simulation.
        """
        cuts = sum(len(region.losses) for region in self.regions)
        loss = {"bound": self.part.source.options.constraint, "cuts": cuts, "num_inputs": num_inputs}
        return {"fidelity": fidelity_report(comparison), "loss": loss}


def lose_in_cuts(
    content: bytes,
    subgraph: Subgraph,
    regions: Sequence[PlannedRegion],
    kernel_set: int,
    where: tuple[str, str],
    options: ConvertOptions,
) -> LossyCuts | None:
    """Finds the steps with which coded cuts keep the bound of the options.

    Args:
      content: the original file.
      subgraph: the same file's, from which regions were planned.
      kernel_set: number of the regions' arithmetic.
      where: the runtime and the kernels that have it.

    Returns:
      None where there is no coded cut that may lose something.

    Raises:
      NothingToDoError: the bound is missed after several corrections.
    """
    readers = _readers(subgraph, regions)
    source = _source(content, subgraph, readers, where, options)
    if not any(m.coded for m in source.maps):
        return None
    part = convert_default(source)
    here = dict(zip(source.file.model.subgraphs[0].tensors, subgraph.tensors, strict=True))
    planned = {cut.source for region in regions for cut, form in region.plan.coded.items() if form.rate.contexts}
    found = _side_information(part, {tensor for tensor, own in here.items() if own in planned})
    losses = {here[tensor]: info for tensor, info in found.items()}
    return LossyCuts(part, tuple(_with_losses(region, losses, kernel_set) for region in regions))


def _side_information(part: Part, planned: Collection[Tensor]) -> dict[Tensor, SideInformation]:
    """Of the tensors that lose something.

    Args:
      planned: those with room for contexts, which they get where these pay.
    """
    file, samples, options = part.source.file, part.source.samples.tables, part.source.options
    lossy = [(c.site, replace(c.info, checksum=False)) for c in lossy_maps(part.codings) if c.info is not None]
    found = {site.tensor: info for site, info in lossy}
    own = [(site, info) for site, info in lossy if site.tensor in planned]
    if own:
        tensors, infos = [site.tensor for site, _ in own], [info for _, info in own]
        histograms, count = passes.residual_histograms(file, tensors, infos, samples, options.num_threads)
        maps = [
            CutMap(site.tensor, site.activation_range[0], info, entropy_model.fit(h, count).bits / count, h)
            for (site, info), h in zip(own, histograms, strict=True)
        ]
        rates = with_contexts(file, maps, count, samples, options)
        found |= {t: SideInformation.from_bytes(rate.side_information) for t, rate in zip(tensors, rates, strict=True)}
    return found


def _with_losses(region: PlannedRegion, losses: Mapping[Tensor, SideInformation], kernel_set: int) -> PlannedRegion:
    """Args: losses: by the graph's tensors."""
    own = {cut: losses[cut.source] for cut in region.plan.coded if cut.source in losses}
    by_coded = {region.plan.coded[cut].coded: info for cut, info in own.items()}

    def lossy(op: RegionOp) -> RegionOp:
        info = by_coded.get(op.output)
        return op if info is None or not isinstance(op, Encode) else replace(op, side_information=info.to_bytes())

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
