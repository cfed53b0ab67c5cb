"""The traffic of a model with regions, if only what is stored crosses memory: rings stay beside the arithmetic.

Everything is counted over the original's ops. A tensor that a region stores (its inputs, outputs and cuts) is written
once and read whole once by each op that reads it, as elsewhere. What lies in rings moves as well, but on chip: it is
counted apart, and costs what the memory system says of the level that rings are on. A cut that is stored coded is read
once by each stage that decodes it; ops other than the first one there read rows of a ring, as does the stage that makes
it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.memory.arena import aliases, tensor_bytes
from fmtc_tflite.memory.traffic import Access, CodecWork, Kind, OpTraffic, Traffic, finished, operands, root

_LOOKUPS = 2  # per value: state and token


@dataclass(frozen=True)
class CodedMap:
    """A cut that is stored coded.

    Attributes:
      stored_bytes: of its segments; may be a mean.
      side_information_bytes: of the tables, which what encodes and what decodes read.
    """

    stored_bytes: float
    side_information_bytes: int


def fused_regions(
    subgraph: Subgraph,
    order: Sequence[Op],
    rings: Collection[Tensor],
    gone: Iterable[Op],
    ring_bytes: Sequence[int],
    stages: Sequence[Hashable] = (),
    coded: Mapping[Tensor, CodedMap] | None = None,
) -> Traffic:
    """What crosses memory, and what stays in rings.

    Args:
      subgraph: the original's.
      order: its ops, as they run.
      rings: its tensors that are never stored whole.
      gone: RESHAPEs that are only other names of what they read.
      ring_bytes: memory that rings take while each op of `order` runs.
      stages: in which stage each op of `order` runs; needed where there are coded cuts.
      coded: cuts that are stored coded.
    """
    port = _CodedPort(coded or {})
    left = list(gone)
    alias = aliases(subgraph) | {op.outputs[0]: op.inputs[0] for op in left if op.inputs[0] and op.outputs[0]}
    inside = {root(tensor, alias) for tensor in rings}
    ops = []
    for position, op in enumerate(order):
        traffic = OpTraffic(op, position)
        ops.append(traffic)
        if op.outputs and op.outputs[0] in alias:
            continue
        for operand, is_write in operands(op):
            tensor = root(operand, alias)
            if coded and tensor in coded:
                port.transfer(traffic, tensor, is_write, stages[position])
                continue
            kind: Kind = "weights" if tensor.data is not None else "ring" if tensor in inside else "feature_map"
            traffic.accesses.append(Access(tensor, kind, is_write, tensor_bytes(tensor)))
    return finished("fused_regions", subgraph, ops, {}, alias, ring_bytes)


class _CodedPort:
    """Adds to ops' traffic what coded cuts move."""

    def __init__(self, coded: Mapping[Tensor, CodedMap]) -> None:
        self._coded = coded
        self._at_hand: set[tuple[Tensor, Hashable]] = set()  # rows of a map lie in a ring of a stage

    def transfer(self, traffic: OpTraffic, tensor: Tensor, is_write: bool, stage: Hashable) -> None:
        if not is_write and (tensor, stage) in self._at_hand:
            traffic.accesses.append(Access(tensor, "ring", False, tensor_bytes(tensor)))
            return
        self._at_hand.add((tensor, stage))
        coded = self._coded[tensor]
        traffic.accesses.append(Access(tensor, "feature_map", is_write, coded.stored_bytes))
        traffic.accesses.append(Access(tensor, "side_information", False, coded.side_information_bytes))
        traffic.work += CodecWork(table_lookups=_LOOKUPS * prod(tensor.shape))
