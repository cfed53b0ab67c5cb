"""A model's profile: its traffic in both models, energy, arena and coded sizes, put together."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fmtc_tflite.errors import FmtcError, RuntimeLibraryError, UnsupportedModelError, UsageError
from fmtc_tflite.fidelity.metrics import ByteStatistics
from fmtc_tflite.graph.coded_maps import CodedMap, candidate_maps, coded_maps, copied_maps
from fmtc_tflite.graph.convertible import check_shapes_known, compiled_op
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model, Subgraph, Tensor, load_model
from fmtc_tflite.graph.region_ops import is_region
from fmtc_tflite.graph.sites import entry_name, entry_subgraphs
from fmtc_tflite.memory.arena import (
    ArenaPlan,
    kernel_scratch_bytes,
    plan_arena,
    region_scratch_bytes,
    tensor_bytes,
)
from fmtc_tflite.memory.energy import EnergyProfile, energy_of
from fmtc_tflite.memory.memory_system import MemorySystem
from fmtc_tflite.memory.traffic import Traffic, TrafficModel, as_executed, codec_work, fused_codec
from fmtc_tflite.profiling.alignment import original_positions
from fmtc_tflite.profiling.conversion_record import ConversionRecord, Fidelity, read_conversion_record
from fmtc_tflite.profiling.inside import Inside
from fmtc_tflite.profiling.live import LiveArena, measure_arena
from fmtc_tflite.profiling.measured_sizes import MeasuredSizes
from fmtc_tflite.profiling.region_profile import profile_regions
from fmtc_tflite.regions.restoration import without_our_ops

AGREEMENT = 0.02  # planned and live arena


@dataclass
class ModelProfile:
    """Everything that is known of one model's main subgraph; the parts are computed when they are first asked for.

    `candidates` are its candidate feature maps, `stored` those of them that do not only say another one again.

    Attributes:
      file: the model.
      system: the memory system.
      measurement: of a run on data, if there was one.
      notes: what a reader of the figures must know.
      recorded_subgraph: the subgraph's index in what the converter recorded.

    Raises:
      ModelFormatError: the file, or what the converter left in it, is damaged.
    """

    file: ModelFile
    system: MemorySystem
    path: str | None = None
    measurement: MeasuredSizes | None = None
    notes: list[str] = field(default_factory=list)
    recorded_subgraph: int = 0

    def __post_init__(self) -> None:
        self.model: Model = self.file.model
        self.subgraph: Subgraph = self.model.subgraphs[0]
        self.coded: list[CodedMap] = coded_maps(self.subgraph)
        for m in self.coded:
            codec_work(m)  # side information that cannot be read shows here
        self.record: ConversionRecord | None = read_conversion_record(self.model, self.recorded_subgraph)
        maps, copies = candidate_maps(self.model), copied_maps(self.model)
        self.candidates: list[Tensor] = list(maps.values())
        self.stored: list[Tensor] = [tensor for name, tensor in maps.items() if name not in copies]
        self._check_shapes()
        compiled = compiled_op(self.model)
        if compiled is not None:
            op, target = compiled
            self.notes.append(
                f"{op.opcode} is opaque: the model was compiled for {target}, and what happens inside of that op does "
                "not count, so these figures are not the model's; profile the file from before the compiler"
            )
        entries = [subgraph.index for subgraph in entry_subgraphs(self.model) if subgraph.index]
        for index in entries:
            name = entry_name(self.model, index)
            self.notes.append(f"signature '{name}' runs on its own and is not counted here: it has its own figures")
        others = len(self.model.subgraphs) - 1 - len(entries)
        if others:
            self.notes.append(f"{others} more subgraphs are not counted: how often they run is not in the file")

    def _check_shapes(self) -> None:
        check_shapes_known(self.model)
        unknown = 0
        for tensor in self.subgraph.tensors:
            dynamic = [i for i, size in enumerate(tensor.shape_signature or ()) if size < 0]
            unknown += any(i > 0 for i in dynamic)
            if tensor in self.subgraph.inputs and 0 in dynamic:
                self.notes.append(f"input '{tensor.name}' has any batch size; profiled with {tensor.shape[0]}")
        if unknown:
            self.notes.append(f"{unknown} tensors have a size that depends on data; counted with the size in the file")

    @property
    def is_converted(self) -> bool:
        return bool(self.coded)

    @property
    def has_regions(self) -> bool:
        return any(is_region(op) for op in self.subgraph.ops)

    @cached_property
    def regions(self) -> list[dict[str, Any]]:
        """What is inside regions, see profile_regions; a note says it where they could not be run."""
        if not self.has_regions:
            return []
        try:
            found = profile_regions(self.file.content)
        except (UnsupportedModelError, RuntimeLibraryError, UsageError) as error:
            self.notes.append(f"the inside of regions is not known: {' '.join(str(error).split())}")
            return []
        if found:
            stored = sum(region["stored_bytes"] for region in found)
            self.notes.append(
                f"of what regions compute, {stored:,} bytes an item are stored whole; what is inside a region "
                "counts in fused_regions alone"
            )
        return found

    @property
    def fidelity(self) -> Fidelity | None:
        """What the converter measured at the outputs."""
        return None if self.record is None else self.record.fidelity

    @cached_property
    def original_positions(self) -> list[int]:
        """Of each op, a position among the original's ops; its own where the file does not give the original back."""
        original = self.subgraph
        if self.is_converted or self.has_regions:
            with suppress(UnsupportedModelError):
                original = without_our_ops(load_model(self.file.content)).subgraphs[0]
        return original_positions(self.subgraph, original)

    # --- coded sizes --------------------------------------------------------------------------------------------------

    @cached_property
    def coded_statistics(self) -> dict[Tensor, dict[str, Any]]:
        """coded_bytes of each coded map, by its `coded` tensor; empty where nobody measured them."""
        if self.measurement is not None:
            return {tensor: s.to_dict() for tensor, s in self.measurement.coded_bytes.items()}
        known = {} if self.record is None else self.record.coded_bytes
        stored = [m for m in self.coded if not m.is_folded]
        found = {m.coded: known[m.name].to_dict() for m in stored if m.name in known}
        return found if len(found) == len(stored) else {}

    @property
    def coded_basis(self) -> str | None:
        """Where the coded sizes come from: measured, metadata or capacity; None if nothing is coded."""
        if not self.coded:
            return None
        if self.measurement is not None:
            return "measured"
        return "metadata" if self.coded_statistics else "capacity"

    @cached_property
    def network_statistics(self) -> dict[str, Any] | None:
        """coded_bytes of all coded maps together."""
        network: ByteStatistics | None = None
        if self.measurement is not None:
            network = self.measurement.network_coded_bytes
        elif self.coded_basis == "metadata" and self.record is not None and len(self.model.subgraphs) == 1:
            network = self.record.network_coded_bytes
        return None if network is None else network.to_dict()

    @cached_property
    def coded_bytes(self) -> dict[Tensor, float]:
        """Mean bytes of each coded map; its capacity where nobody measured it."""
        known = self.coded_statistics
        stored = [m for m in self.coded if not m.is_folded]
        return {m.coded: known[m.coded]["mean"] if known else tensor_bytes(m.coded) for m in stored}

    def mean_bytes(self, m: CodedMap) -> float:
        """Mean bytes that are stored for a coded map: none for folded ones."""
        return 0.0 if m.is_folded else self.coded_bytes[m.coded]

    # --- traffic and energy -------------------------------------------------------------------------------------------

    @cached_property
    def inside(self) -> Inside | None:
        """The model with regions as its original; None without regions, or where the file does not give it back."""
        if not self.has_regions:
            return None
        try:
            written = [[op["written_bytes"] for op in region["ops"]] for region in self.regions]
            return Inside(self.model, self.plan, written or None)
        except UnsupportedModelError as error:
            self.notes.append(f"what is inside regions is not counted: {' '.join(str(error).split())}")
            return None

    @cached_property
    def traffic(self) -> dict[TrafficModel, Traffic]:
        found: dict[TrafficModel, Traffic] = {
            "as_executed": as_executed(self.subgraph, self.coded, self.coded_bytes),
            "fused_codec": fused_codec(self.subgraph, self.coded, self.coded_bytes),
        }
        return found if self.inside is None else found | {"fused_regions": self.inside.traffic}

    @cached_property
    def energy(self) -> dict[TrafficModel, EnergyProfile]:
        return {name: energy_of(traffic, self.system) for name, traffic in self.traffic.items()}

    def traffic_with(self, sizes: dict[Tensor, float]) -> Traffic:
        """The fused_codec traffic of the same network if nothing were coded but these maps had these sizes."""
        return fused_codec(self.subgraph, self.coded, None, sizes)

    # --- arena --------------------------------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> ArenaPlan:
        """The arena of the file's tensors alone, and of the scratch memory of regions."""
        return plan_arena(self.model, scratch_bytes=region_scratch_bytes)

    @cached_property
    def plan_with_scratch(self) -> ArenaPlan:
        """The arena with the working memory of the built-in kernels, as far as it is known."""
        return plan_arena(self.model, scratch_bytes=kernel_scratch_bytes)

    @cached_property
    def live(self) -> LiveArena | str:
        """The arena of a live interpreter, or why there is none."""
        try:
            return measure_arena(self.file)
        except FmtcError as e:
            return " ".join(str(e).split())

    @property
    def arena_difference(self) -> str | None:
        """Why planned and live arena differ by more than AGREEMENT; None if they do not."""
        if isinstance(self.live, str):
            return None
        planned = self.plan_with_scratch.capacity_bytes
        if abs(self.live.extent_bytes - planned) <= AGREEMENT * max(planned, 1):
            return None
        known = max((kernel_scratch_bytes(op) for op in self.subgraph.ops), default=0)
        if self.live.scratch_bytes and (self.is_converted or self.live.scratch_bytes[0] != known):
            return (
                f"the interpreter holds {len(self.live.scratch_bytes)} working buffers of up to "
                f"{self.live.scratch_bytes[0]} bytes, which are not in the file; those of the codec's ops and of float "
                "kernels are not planned"
            )
        return "tensors whose size depends on data, or ops whose memory sharing is not modelled"


def recognise(original: ModelProfile, converted: ModelProfile) -> str:
    """How the converted model was recognised as derived from the original.

    Raises:
      UsageError: it is not converted, or cannot be recognised.
    """
    names = f"'{converted.path}' and '{original.path}'"
    if not converted.is_converted and not converted.has_regions:
        raise UsageError(
            f"--compare {converted.path}: the model has no FMTC_ENCODE, FMTC_DECODE or FMTC_REGION op; give one that "
            "fmtc-convert wrote (the original comes first)"
        )
    if original.is_converted or original.has_regions:
        raise UsageError(f"{original.path} is converted itself; with --compare, give the original first")
    recorded = None if converted.record is None else converted.record.sha256
    if recorded == original.file.sha256:
        return "sha256 of the original in the converted model's fmtc_conversion metadata"
    try:
        restored = without_our_ops(load_model(converted.file.content))
        if restored.to_bytes() == original.model.to_bytes():
            return "equal graph and constants after taking the codec's ops out"
        why = "without the codec's ops it is another model"
    except UnsupportedModelError as e:
        why = str(e)
    raise UsageError(
        f"--compare: {names} do not belong together: the sha256 in the converted model's metadata is "
        f"{recorded or 'absent'}, that of the original {original.file.sha256}, and {why}; give the "
        "model that was converted"
    )
