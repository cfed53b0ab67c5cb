"""A model with regions, seen as its original: which of the original's ops runs when, and what is in memory then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from fmtc_tflite.graph.model import Model, Subgraph, Tensor
from fmtc_tflite.graph.region_ops import region_ops, scratch_bytes
from fmtc_tflite.memory.arena import ArenaPlan, no_scratch, plan_arena, tensor_bytes
from fmtc_tflite.memory.region_traffic import CodedMap, fused_regions
from fmtc_tflite.memory.traffic import Traffic, as_executed
from fmtc_tflite.regions.layout import Block, RegionLayout, RunOp, region_layout
from fmtc_tflite.regions.restoration import original_ops


@dataclass(frozen=True)
class Band:
    """A piece of the arena.

    Attributes:
      name: of the tensor; what else it is otherwise.
      form: tensor (of the graph), or cut, ring, working inside a region.
      offset, size_bytes: in the arena.
      rows, height: that it holds, and that the tensor has; 0 where it has none.
      first, last: numbers in the order in which the original's ops run.
    """

    name: str
    form: str
    offset: int
    size_bytes: int
    rows: int
    height: int
    first: int
    last: int


class Inside:
    """What is inside a model's regions.

    Attributes:
      original: the graph that the model was converted from.
      layout: its ops in the order in which they run, and what lies in scratch memory.
    """

    def __init__(self, converted: Model, plan: ArenaPlan, written_bytes: Sequence[Sequence[int]] | None = None) -> None:
        """Looks into the model.

        Args:
          plan: of the converted model's arena.
          written_bytes: by each op of each region's program; None where nobody measured them, so that coded cuts count
            as if they were not.

        Raises:
          UnsupportedModelError, ModelFormatError: see original_ops.
        """
        found = original_ops(converted)
        self._graph, self._plan, self._written_bytes = converted.subgraphs[0], plan, written_bytes
        self.original: Subgraph = found.model.subgraphs[0]
        self.model: Model = found.model
        self.layout: RegionLayout = region_layout(converted, found)
        self._regions = [self._graph.ops.index(op) for op in region_ops(converted) if op in self._graph.ops]

    # --- traffic ------------------------------------------------------------------------------------------------------

    @cached_property
    def traffic(self) -> Traffic:
        """What crosses memory, and what stays in rings, op by op of the original as they run."""
        order = [each.op for each in self.layout.ops]
        ring_bytes = [self._union(each, ("ring", "working")) for each in self.layout.ops]
        stages = [(each.region, each.stage) for each in self.layout.ops]
        return fused_regions(
            self.original, order, self.layout.rings, self.layout.gone, ring_bytes, stages, self.coded_maps
        )

    @cached_property
    def coded_maps(self) -> dict[Tensor, CodedMap]:
        """Cuts that are stored coded."""
        written = self._written_bytes
        if written is None:
            return {}
        coded = self.layout.coded.items()
        return {t: CodedMap(written[at.region][at.op], at.side_information_bytes) for t, at in coded}

    @cached_property
    def original_traffic(self) -> Traffic:
        """What the original moves."""
        return as_executed(self.original, [], {})

    @property
    def original_values(self) -> int:
        """Values of all maps that the original's ops write."""
        written = {a.tensor for op in self.original_traffic.ops for a in op.accesses if a.is_write}
        return sum(prod(tensor.shape) for tensor in written)

    @property
    def stored_bytes(self) -> float:
        """Of the maps that are written whole: by regions, and outside of them."""
        return self.traffic.total("feature_map", True)

    @property
    def raw_stored_bytes(self) -> float:
        """The same, were nothing coded."""
        return self.stored_bytes + sum(tensor_bytes(t) - m.stored_bytes for t, m in self.coded_maps.items())

    @property
    def original_bytes(self) -> float:
        """Of all maps that the original's ops write."""
        return self.original_traffic.total("feature_map", True)

    # --- memory -------------------------------------------------------------------------------------------------------

    @cached_property
    def original_plan(self) -> ArenaPlan:
        """The arena of the original's tensors."""
        return plan_arena(self.model, scratch_bytes=no_scratch)

    @cached_property
    def live_bytes(self) -> list[int]:
        """What is in use while each op runs: tensors of the graph, and of a region's scratch memory its stage's."""
        return [self._live(each) for each in self.layout.ops]

    def _live(self, op: RunOp) -> int:
        live = self._plan.live_bytes[op.position]
        if op.region is None:
            return live
        whole = scratch_bytes(self._graph.ops[op.position])
        return live - whole + self._union(op, ("ring", "cut", "working"))

    def _union(self, op: RunOp, forms: Iterable[str]) -> int:
        """Bytes of scratch memory that blocks of some forms take together during an op's stage."""
        if op.region is None or op.stage is None:
            return 0
        taken = sorted(
            (block.offset, block.offset + block.size_bytes)
            for block in self.layout.blocks
            if block.region == op.region and block.first <= op.stage <= block.last and block.form in forms
        )
        total, end = 0, 0
        for first, last in taken:
            total += max(0, last - max(first, end))
            end = max(end, last)
        return total

    def bands(self) -> list[Band]:
        """The whole arena over the ops as they run: tensors of the graph, then what is inside regions."""
        found = [self._tensor_band(tensor, offset) for tensor, offset in self._plan.offsets.items()]
        return [*found, *(self._block_band(block) for block in self.layout.blocks)]

    def _tensor_band(self, tensor: Tensor, offset: int) -> Band:
        first, last = self._plan.lifetimes[tensor]
        return Band(tensor.name, "tensor", offset, tensor_bytes(tensor), 0, 0, *self._span(first, last))

    def _block_band(self, block: Block) -> Band:
        position = self._regions[block.region]
        numbers = [
            number
            for number, op in enumerate(self.layout.ops)
            if op.region == block.region and op.stage is not None and block.first <= op.stage <= block.last
        ]
        span = (numbers[0], numbers[-1]) if numbers else self._span(position, position)
        offset = self._plan.scratch_offsets.get(position, 0) + block.offset
        return Band(block.name, block.form, offset, block.size_bytes, block.rows, block.height, *span)

    def _span(self, first: int, last: int) -> tuple[int, int]:
        """Numbers in the order of running, of ops of the converted graph."""
        numbers = [number for number, op in enumerate(self.layout.ops) if first <= op.position <= last]
        return (numbers[0], numbers[-1]) if numbers else (0, max(len(self.layout.ops) - 1, 0))
