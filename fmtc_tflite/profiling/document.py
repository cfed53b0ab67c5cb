"""The profile as a document, in the form of `fmtc_tflite/profile_schema.json`. Every key carries its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fmtc_tflite.graph.model_io import Op, Tensor
from fmtc_tflite.graph.operators.arithmetic import multiply_accumulates
from fmtc_tflite.memory.arena import ArenaPlan, tensor_bytes
from fmtc_tflite.memory.energy import Energy, EnergyProfile, energy_of, transfer_pj
from fmtc_tflite.memory.memory_system import MemorySystem
from fmtc_tflite.memory.traffic import ANY_GRAPH, KINDS, OpTraffic, Traffic, TrafficModel, coded_capacity, transform_of
from fmtc_tflite.profiling.baselines import SCHEMES
from fmtc_tflite.profiling.inside import Inside
from fmtc_tflite.profiling.inside_document import inside_document, ring_bytes
from fmtc_tflite.profiling.options import PROFILE_VERSION
from fmtc_tflite.profiling.profile import ModelProfile

_OURS = "fmtc"
_BASES = {
    None: "nothing is coded",
    "measured": "measured on the given data",
    "metadata": "from the model's fmtc_conversion metadata, measured when it was converted",
    "capacity": "upper bound: the coded tensors' capacity, as the model says nothing of what was measured",
}


def profile_document(
    profile: ModelProfile,
    original: ModelProfile | None,
    recognised_by: str | None,
    data: Mapping[str, Any] | None,
    traffic_model: TrafficModel,
    with_codec_cost: bool,
) -> dict[str, Any]:
    """The profile as JSON-serialisable data.

    Args:
      profile: of the model, or of the converted one if two are compared.
      original: the model that it is compared with.
      recognised_by: how the two were found to belong together.
      data: source and number of the samples; None for a profile without data.
      traffic_model: what tables and pictures show; the document has both.
      with_codec_cost: whether totals that people are shown have the codec's own cost in them; the document has both.
    """
    models = [profile] if original is None else [original, profile]
    system = profile.system.to_dict()
    if profile.inside is not None:
        system["rings"] = profile.system.rings
    return {
        "profile_version": PROFILE_VERSION,
        "traffic_model": traffic_model,
        "codec_cost_included": with_codec_cost,
        "data": data,
        "memory_system": system,
        "models": [_model(m) for m in models],
        "schemes": _schemes(profile),
        "comparison": None if original is None else _comparison(original, profile, recognised_by),
    }


def _model(profile: ModelProfile) -> dict[str, Any]:
    return {
        "path": profile.path,
        "sha256": profile.file.sha256,
        "size_bytes": len(profile.file.content),
        "is_converted": profile.is_converted,
        "fidelity": None if profile.fidelity is None else asdict(profile.fidelity),
        "notes": profile.notes,
        "coded_sizes": {
            "basis": profile.coded_basis,
            "explanation": _BASES[profile.coded_basis],
            "coded_bytes": profile.network_statistics,
            "side_information_bytes": sum(tensor_bytes(m.side) for m in profile.coded),
        },
        "totals": {name: _totals(profile, name) for name in profile.traffic},
        "arena": _arena(profile),
        "feature_maps": _feature_maps(profile),
        "ops": [_op(profile, position, op) for position, op in enumerate(profile.subgraph.ops)],
        "tensors": _rows(profile.plan, _roles(profile)),
        "regions": profile.regions,
        **({} if profile.inside is None else {"inside": _inside(profile, profile.inside)}),
    }


def _inside(profile: ModelProfile, inside: Inside) -> dict[str, Any]:
    return inside_document(inside, profile.energy["fused_regions"], profile.system, _bytes, _by_tensor, _rows)


def _bytes(traffic: Traffic | OpTraffic) -> dict[str, float]:
    """Bytes by kind and direction; constants are never written."""
    moved = {f"{kind}_read_bytes": _number(traffic.total(kind, False)) for kind in KINDS}
    return {"feature_map_written_bytes": _number(traffic.total("feature_map", True)), **moved}


def _totals(profile: ModelProfile, name: TrafficModel) -> dict[str, Any]:
    energy = profile.energy[name]
    levels = {
        level: {
            "read_bytes": _number(use.read_bytes),
            "written_bytes": _number(use.written_bytes),
            "energy_pj": use.energy_pj,
        }
        for level, use in energy.levels.items()
    }
    work = [op.work for op in profile.traffic[name].ops]
    return {
        **_bytes(profile.traffic[name]),
        "feature_map_moved_bytes": _number(_moved(profile.traffic[name])),
        **(ring_bytes(profile.traffic[name]) if name == "fused_regions" else {}),
        "graph_multiply_accumulates": multiply_accumulates(op.op for op in profile.traffic[name].ops),
        "codec_multiply_accumulates": sum(w.multiply_accumulates for w in work),
        "codec_table_lookups": sum(w.table_lookups for w in work),
        "energy": energy.total.to_dict(),
        "levels": levels,
    }


def _op(profile: ModelProfile, position: int, op: Op) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "index": position,
        "opcode": op.opcode,
        "outputs": [tensor.name for tensor in op.outputs if tensor is not None],
        "live_bytes": profile.plan.live_bytes[position],
        "original_op": profile.original_positions[position],
    }
    for name in ANY_GRAPH:
        energy: Energy = profile.energy[name].ops[position]
        entry[name] = {**_bytes(profile.traffic[name].ops[position]), "energy": energy.to_dict()}
    return entry


# --- feature maps -----------------------------------------------------------------------------------------------------


def _feature_maps(profile: ModelProfile) -> list[dict[str, Any]]:
    """Each feature map that crosses the memory port, in execution order: without the codec, and with it."""
    raw = profile.traffic_with({})
    raw_sums = _by_tensor(raw, energy_of(raw, profile.system), profile.system)
    fused_sums = _by_tensor(profile.traffic["fused_codec"], profile.energy["fused_codec"], profile.system)
    coded = {m.feature_map: m for m in profile.coded}
    candidate = set(profile.candidates)
    measurement = profile.measurement
    rows = []
    for tensor, sums in raw_sums.items():
        m = coded.get(tensor)
        raw_bytes = tensor_bytes(tensor if m is None else m.feature_map)
        size = profile.mean_bytes(m) if m is not None else raw_bytes
        values = raw_bytes if tensor in candidate else None
        rows.append(
            {
                "tensor": tensor.name if m is None else m.name,
                "shape": list(tensor.shape),
                "type": tensor.type_name,
                "is_candidate": tensor in candidate,
                "is_coded": m is not None,
                "transform": None if m is None else transform_of(m),
                "raw_bytes": raw_bytes,
                "is_folded": m is not None and m.is_folded,
                "coded_bytes": None if m is None or m.is_folded else profile.coded_statistics.get(m.coded),
                "capacity_bytes": None if m is None else coded_capacity(m),
                "side_information_bytes": 0 if m is None else tensor_bytes(m.side),
                "bits_per_value": 8 * size / values if values else None,
                "baseline_bytes": None
                if measurement is None or tensor not in measurement.histograms
                else measurement.baseline_bytes(tensor),
                "raw": sums,
                "fused_codec": fused_sums.get(tensor, {**sums, "read_bytes": 0, "written_bytes": 0, "energy_pj": 0.0}),
            }
        )
    return rows


def _by_tensor(traffic: Traffic, energy: EnergyProfile, system: MemorySystem) -> dict[Tensor, dict[str, Any]]:
    sums: dict[Tensor, dict[str, Any]] = {}
    for op in traffic.ops:
        for access in op.accesses:
            if access.kind != "feature_map":
                continue
            level = system.levels[energy.placement[access.tensor]]
            empty = {"level": level.name, "read_bytes": 0, "written_bytes": 0, "energy_pj": 0.0}
            entry = sums.setdefault(access.tensor, empty)
            entry["written_bytes" if access.is_write else "read_bytes"] += _number(access.size_bytes)
            entry["energy_pj"] += transfer_pj(access.size_bytes, level, access.is_write)
    return sums


# --- arena ------------------------------------------------------------------------------------------------------------


def _arena(profile: ModelProfile) -> dict[str, Any]:
    plan, live = profile.plan, profile.live
    unavailable = live if isinstance(live, str) else None
    return {
        "planned_bytes": plan.capacity_bytes,
        "planned_with_kernel_scratch_bytes": profile.plan_with_scratch.capacity_bytes,
        "persistent_bytes": plan.persistent_bytes,
        "live_extent_bytes": None if isinstance(live, str) else live.extent_bytes,
        "live_scratch_bytes": None if isinstance(live, str) else live.scratch_bytes,
        "live_runtime": None if isinstance(live, str) else live.runtime,
        "live_unavailable": unavailable,
        "difference_explained": profile.arena_difference,
        "peak": {
            "op_index": plan.peak_op_index,
            "opcode": plan.peak_op_name,
            "live_bytes": max(plan.live_bytes, default=0),
            "holders": [{"tensor": name, "size_bytes": size} for name, size in plan.holders],
        },
    }


def _roles(profile: ModelProfile) -> dict[Tensor, str]:
    return {m.coded: "coded" for m in profile.coded} | {t: "decoded" for m in profile.coded for t in m.decoded}


def _rows(plan: ArenaPlan, roles: Mapping[Tensor, str]) -> list[dict[str, Any]]:
    """What lies in a planned arena, by the op that writes it."""
    rows = [
        {
            "tensor": tensor.name,
            "shape": list(tensor.shape),
            "type": tensor.type_name,
            "role": roles.get(tensor, "feature_map"),
            "size_bytes": tensor_bytes(tensor),
            "offset_bytes": offset,
            "first_op": plan.lifetimes[tensor][0],
            "last_op": plan.lifetimes[tensor][1],
        }
        for tensor, offset in plan.offsets.items()
    ]
    return sorted(rows, key=lambda row: (row["first_op"], row["last_op"]))


# --- schemes and comparison -------------------------------------------------------------------------------------------


def _schemes(profile: ModelProfile) -> list[dict[str, Any]]:
    """This codec beside the baselines, on the same feature maps: all of it as fused_codec moves it."""
    sizes: dict[str, dict[Tensor, float]] = {"raw": {}}
    texts = dict(SCHEMES)
    measurement = profile.measurement
    if measurement is not None:
        paper = measurement.paper
        texts["paper"] += (
            f"; {paper.bits:g} bits for the main component, bases and steps from {paper.calibration_samples} samples, "
            f"counted on {paper.counted_samples}"
        )
        per_map = {tensor: measurement.baseline_bytes(tensor) for tensor in measurement.histograms}
        sizes = {scheme: {tensor: found[scheme] for tensor, found in per_map.items()} for scheme in SCHEMES}
    rows = [
        _scheme(profile, scheme, texts[scheme], profile.traffic_with(given), given) for scheme, given in sizes.items()
    ]
    if profile.coded:
        own = {m.feature_map: profile.mean_bytes(m) for m in profile.coded}
        text = f"this codec; coded sizes {_BASES[profile.coded_basis]}"
        rows.append(_scheme(profile, _OURS, text, profile.traffic["fused_codec"], own))
    raw = rows[0]["energy"]["feature_maps_pj"]
    for row in rows:
        row["feature_map_energy_saved"] = 1 - row["energy"]["feature_maps_pj"] / raw if raw else 0.0
        spent = row["energy"]["feature_maps_pj"] + row["energy"]["codec"]["total_pj"]
        row["feature_map_energy_saved_with_codec_cost"] = 1 - spent / raw if raw else 0.0
    return rows


def _scheme(
    profile: ModelProfile, scheme: str, text: str, traffic: Traffic, sizes: Mapping[Tensor, float]
) -> dict[str, Any]:
    values = sum(tensor_bytes(tensor) for tensor in profile.candidates)
    taken = sum(sizes.get(tensor, tensor_bytes(tensor)) for tensor in profile.stored)
    return {
        "scheme": scheme,
        "description": text,
        "bits_per_value": 8 * taken / values if values else None,
        **_bytes(traffic),
        "energy": energy_of(traffic, profile.system).total.to_dict(),
    }


def _comparison(original: ModelProfile, converted: ModelProfile, recognised_by: str | None) -> dict[str, Any]:
    changes: dict[str, dict[str, float]] = {}
    for name in converted.traffic:
        before: TrafficModel = name if name in original.traffic else "as_executed"
        first, second = original.energy[before].total, converted.energy[name].total
        changes[name] = {
            "feature_map_bytes_saved": _saved(_moved(original.traffic[before]), _moved(converted.traffic[name])),
            "feature_map_energy_saved": _saved(first.feature_maps_pj, second.feature_maps_pj),
            "feature_map_energy_saved_with_codec_cost": _saved(
                first.feature_maps_pj, second.feature_maps_pj + second.codec_pj
            ),
            "total_energy_saved_without_codec_cost": _saved(first.total_pj(False), second.total_pj(False)),
            "total_energy_saved": _saved(first.total_pj(True), second.total_pj(True)),
        }
    planned = (original.plan.capacity_bytes, converted.plan.capacity_bytes)
    return {"recognised_by": recognised_by, **changes, "planned_arena_bytes_saved": _saved(*planned)}


def _moved(traffic: Traffic) -> float:
    return traffic.total("feature_map", False) + traffic.total("feature_map", True)


def _saved(before: float, after: float) -> float:
    """Share that is saved; negative where there is more."""
    return 1 - after / before if before else 0.0


def _number(value: float) -> float:
    """A whole number where it is one, so that bytes that are not means look like bytes."""
    return int(value) if float(value).is_integer() else value
