"""Energy of memory traffic: bytes times energy per bit, by level, and the codec's own cost. All of it is modelled."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.memory.arena import best_offset
from fmtc_tflite.memory.memory_system import Level, MemorySystem
from fmtc_tflite.memory.traffic import Access, CodecWork, OpTraffic, Traffic

_BITS_PER_BYTE = 8


@dataclass
class LevelUse:
    """Bytes and energy of feature maps, weights and side information on one level."""

    read_bytes: float = 0.0
    written_bytes: float = 0.0
    energy_pj: float = 0.0


@dataclass
class Energy:
    """Energy in pJ, and what it was spent on.

    Attributes:
      feature_maps_pj: reads and writes of feature maps.
      weights_pj: reads of constants; None if the memory system does not count them.
      transform_pj, table_lookups_pj, side_information_pj: the codec's own cost.
      rings_pj: reads and writes of regions' rings; None without any, or if the memory system does not count them.
    """

    feature_maps_pj: float = 0.0
    weights_pj: float | None = None
    transform_pj: float = 0.0
    table_lookups_pj: float = 0.0
    side_information_pj: float = 0.0
    rings_pj: float | None = None

    @property
    def codec_pj(self) -> float:
        return self.transform_pj + self.table_lookups_pj + self.side_information_pj

    def total_pj(self, with_codec: bool) -> float:
        """Everything that is counted, with or without the codec's own cost."""
        counted = self.feature_maps_pj + (self.weights_pj or 0.0) + (self.rings_pj or 0.0)
        return counted + (self.codec_pj if with_codec else 0.0)

    def add(self, other: Energy) -> None:
        if other.weights_pj is not None:
            self.weights_pj = (self.weights_pj or 0.0) + other.weights_pj
        if other.rings_pj is not None:
            self.rings_pj = (self.rings_pj or 0.0) + other.rings_pj
        self.feature_maps_pj += other.feature_maps_pj
        self.transform_pj += other.transform_pj
        self.table_lookups_pj += other.table_lookups_pj
        self.side_information_pj += other.side_information_pj

    def to_dict(self) -> dict[str, Any]:
        """As the profile's JSON has it."""
        rings = {} if self.rings_pj is None else {"rings_pj": self.rings_pj}
        return {
            "feature_maps_pj": self.feature_maps_pj,
            "weights_pj": self.weights_pj,
            **rings,
            "codec": {
                "transform_pj": self.transform_pj,
                "table_lookups_pj": self.table_lookups_pj,
                "side_information_pj": self.side_information_pj,
                "total_pj": self.codec_pj,
            },
            "total_without_codec_pj": self.total_pj(with_codec=False),
            "total_pj": self.total_pj(with_codec=True),
        }


@dataclass
class EnergyProfile:
    """Energy of a network.

    Attributes:
      ops: energy of each op, in execution order.
      levels: use of each level, by its name.
      placement: the level of each feature map.
    """

    ops: list[Energy]
    total: Energy
    levels: dict[str, LevelUse]
    placement: dict[Tensor, str] = field(default_factory=dict)


def transfer_pj(size_bytes: float, level: Level, is_write: bool) -> float:
    """Energy in pJ of moving bytes once."""
    figure = level.write_pj_per_bit if is_write else level.read_pj_per_bit
    return size_bytes * _BITS_PER_BYTE * figure.value


def energy_of(traffic: Traffic, system: MemorySystem) -> EnergyProfile:
    """Energy of one inference's traffic on a memory system."""
    placement = place(traffic, system)
    levels = {name: LevelUse() for name in system.levels}
    ops = [_op_energy(op, system, placement, levels) for op in traffic.ops]
    total = Energy(weights_pj=None if system.weights is None else 0.0)
    for op in ops:
        total.add(op)
    return EnergyProfile(ops, total, levels, placement)


def _op_energy(
    op: OpTraffic, system: MemorySystem, placement: Mapping[Tensor, str], levels: dict[str, LevelUse]
) -> Energy:
    energy = _work_energy(op.work, system)
    if system.weights is not None:
        energy.weights_pj = 0.0
    for access in op.accesses:
        name = _level_of(access, system, placement)
        if name is None:
            continue
        spent = transfer_pj(access.size_bytes, system.levels[name], access.is_write)
        use = levels[name]
        use.energy_pj += spent
        if access.is_write:
            use.written_bytes += access.size_bytes
        else:
            use.read_bytes += access.size_bytes
        if access.kind == "feature_map":
            energy.feature_maps_pj += spent
        elif access.kind == "weights":
            energy.weights_pj = (energy.weights_pj or 0.0) + spent
        elif access.kind == "ring":
            energy.rings_pj = (energy.rings_pj or 0.0) + spent
        else:
            energy.side_information_pj += spent
    return energy


def _work_energy(work: CodecWork, system: MemorySystem) -> Energy:
    return Energy(
        transform_pj=work.multiply_accumulates * system.multiply_accumulate_pj.value,
        table_lookups_pj=work.table_lookups * system.table_lookup_pj.value,
    )


def _level_of(access: Access, system: MemorySystem, placement: Mapping[Tensor, str]) -> str | None:
    if access.kind == "feature_map":
        return placement[access.tensor]
    return {"weights": system.weights, "ring": system.rings}.get(access.kind, system.side_information)


def place(traffic: Traffic, system: MemorySystem) -> dict[Tensor, str]:
    """Decides on which level each feature map lives.

    The user's pins come first. Then, level by level, the maps with the most traffic per byte and op of their lifetime
    get memory there as long as an offset is free for their whole lifetime; a coded map takes its capacity. Rings have
    theirs already. The last level holds the rest.
    """
    moved: dict[Tensor, float] = {}
    for op in traffic.ops:
        for access in op.accesses:
            if access.kind == "feature_map":
                moved[access.tensor] = moved.get(access.tensor, 0.0) + access.size_bytes
    placement = _pinned(moved, system)
    waiting = sorted((t for t in moved if t not in placement), key=lambda t: -moved[t] / _held_for(t, traffic))
    for name in system.feature_maps:
        capacity = system.levels[name].capacity_bytes
        taken = {t: level for t, level in placement.items() if level == name}
        rings = traffic.ring_bytes if name == system.rings else ()
        chosen = waiting if capacity is None else _that_fit(waiting, taken, traffic, capacity, rings)
        placement |= dict.fromkeys(chosen, name)
        waiting = [t for t in waiting if t not in placement]
    return placement | dict.fromkeys(waiting, system.feature_maps[-1])


def _pinned(tensors: Iterable[Tensor], system: MemorySystem) -> dict[Tensor, str]:
    placement = {}
    for tensor in tensors:
        pin = next((p for p in system.pins if p.tensor.search(tensor.name)), None)
        if pin is not None:
            placement[tensor] = pin.level
    return placement


def _held_for(tensor: Tensor, traffic: Traffic) -> int:
    first, last = traffic.lifetimes[tensor]
    return max(traffic.held_bytes[tensor], 1) * (last - first + 1)


def _that_fit(
    waiting: Iterable[Tensor],
    pinned: Iterable[Tensor],
    traffic: Traffic,
    capacity_bytes: int,
    ring_bytes: Iterable[int],
) -> list[Tensor]:
    """The tensors that find room, tried in order; rings and pinned ones take theirs first, even beyond the capacity."""
    # (offset, end, first op, last op), by offset
    taken: list[tuple[int, int, int, int]] = [(0, size, op, op) for op, size in enumerate(ring_bytes) if size]
    chosen = []
    is_pinned = dict.fromkeys(pinned, True)
    for tensor in [*is_pinned, *waiting]:
        first, last = traffic.lifetimes[tensor]
        size = traffic.held_bytes[tensor]
        offset = best_offset([(a, b) for a, b, f, t in taken if t >= first and f <= last], size)
        if tensor in is_pinned or offset + size <= capacity_bytes:
            insort(taken, (offset, offset + size, first, last))
            chosen.append(tensor)
    return [tensor for tensor in chosen if tensor not in is_pinned]
