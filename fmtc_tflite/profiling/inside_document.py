"""What is inside regions as data: `models[].inside` of profile_schema.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fmtc_tflite.graph.model_io import Tensor
from fmtc_tflite.memory.arena import ArenaPlan, tensor_bytes
from fmtc_tflite.memory.energy import EnergyProfile, energy_of
from fmtc_tflite.memory.memory_system import MemorySystem
from fmtc_tflite.memory.traffic import OpTraffic, Traffic
from fmtc_tflite.profiling.inside import Inside

RowsOf = Callable[[ArenaPlan, Mapping[Tensor, str]], list[dict[str, Any]]]
SumsOf = Callable[[Traffic, EnergyProfile, MemorySystem], dict[Tensor, dict[str, Any]]]


def inside_document(
    inside: Inside,
    energy: EnergyProfile,
    system: MemorySystem,
    bytes_of: Callable[[Traffic | OpTraffic], dict[str, float]],
    sums_of: SumsOf,
    rows_of: RowsOf,
) -> dict[str, Any]:
    """Ops, memory and feature maps of the original.

    Args:
      energy: of inside.traffic.
      bytes_of, sums_of, rows_of: bytes by kind and direction, what each map moves, and what lies in an arena, as the
        rest of the document has them.
    """
    values, live = inside.original_values, inside.live_bytes
    peak = live.index(max(live, default=0)) if live else 0
    ops = [_op(inside, energy, number, bytes_of) for number in range(len(inside.layout.ops))]
    return {
        "original_values": values,
        "stored_bytes": inside.stored_bytes,
        "raw_stored_bytes": inside.raw_stored_bytes,
        "stored_share": inside.stored_bytes / inside.original_bytes if inside.original_bytes else None,
        "bits_per_value": 8 * inside.stored_bytes / values if values else None,
        "peak": {
            "run_index": peak,
            "op_index": ops[peak]["index"] if ops else 0,
            "opcode": ops[peak]["opcode"] if ops else "",
            "live_bytes": max(live, default=0),
        },
        "ops": ops,
        "memory": [
            {
                "tensor": band.name,
                "form": band.form,
                "offset_bytes": band.offset,
                "size_bytes": band.size_bytes,
                "rows": band.rows,
                "height": band.height,
                "first_op": band.first,
                "last_op": band.last,
            }
            for band in inside.bands()
        ],
        "feature_maps": _feature_maps(inside, energy, system, sums_of),
        "original_arena": _original_arena(inside, rows_of),
    }


def _original_arena(inside: Inside, rows_of: RowsOf) -> dict[str, Any]:
    plan = inside.original_plan
    ops = enumerate(inside.original.ops)
    return {
        "planned_bytes": plan.capacity_bytes,
        "peak": {
            "op_index": plan.peak_op_index,
            "opcode": plan.peak_op_name,
            "live_bytes": max(plan.live_bytes, default=0),
        },
        "ops": [{"index": i, "opcode": op.opcode, "live_bytes": plan.live_bytes[i]} for i, op in ops],
        "tensors": rows_of(plan, {}),
    }


def ring_bytes(traffic: Traffic | OpTraffic) -> dict[str, float]:
    """What moves on chip."""
    return {
        "ring_written_bytes": traffic.total("ring", True),
        "ring_read_bytes": traffic.total("ring", False),
    }


def _op(
    inside: Inside, energy: EnergyProfile, number: int, bytes_of: Callable[[Traffic | OpTraffic], dict[str, float]]
) -> dict[str, Any]:
    op, traffic = inside.layout.ops[number], inside.traffic.ops[number]
    return {
        "index": op.number,
        "opcode": op.op.opcode,
        "outputs": [tensor.name for tensor in op.op.outputs if tensor is not None],
        "region": op.region,
        "stage": op.stage,
        "form": op.form,
        "rows": op.rows,
        "height": op.height,
        "memory_bytes": op.memory_bytes,
        "live_bytes": inside.live_bytes[number],
        "fused_regions": {**bytes_of(traffic), **ring_bytes(traffic), "energy": energy.ops[number].to_dict()},
    }


def _feature_maps(inside: Inside, energy: EnergyProfile, system: MemorySystem, sums_of: SumsOf) -> list[dict[str, Any]]:
    """Every map that the original moves, there and here."""
    raw = sums_of(inside.original_traffic, energy_of(inside.original_traffic, system), system)
    fused = sums_of(inside.traffic, energy, system)
    nothing = {"level": None, "read_bytes": 0, "written_bytes": 0, "energy_pj": 0.0}
    return [
        {
            "tensor": tensor.name,
            "shape": list(tensor.shape),
            "raw_bytes": tensor_bytes(tensor),
            "is_stored": tensor in fused,
            "raw": sums,
            "fused_regions": fused.get(tensor, nothing),
        }
        for tensor, sums in raw.items()
    ]
