"""The conversion report as a document: plans and measurements in the form of `fmtc_tflite/report_schema.json`.

Bits per value and the other words are those of the README.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fmtc_tflite.coding.side_info import FORMAT_VERSION, STEP_ONE
from fmtc_tflite.conversion.treatment import SitePlan
from fmtc_tflite.fidelity.verify import Comparison
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.graph.sites import skipped_subgraphs
from fmtc_tflite.memory.arena import no_scratch, plan_arena
from fmtc_tflite.types import ConvertOptions


def conversion_report(
    original: Model,
    content: bytes,
    converted: Model,
    plans: Sequence[SitePlan],
    comparison: Comparison,
    data: str,
    options: ConvertOptions,
) -> dict[str, Any]:
    """The report as JSON-serialisable data, without paths and without the converted file's size.

    Args:
      original, content: the model and its bytes.
      converted: the model with the ops inserted.
      plans: one per candidate.
      comparison: the run on held-back samples.
      data: synthetic or calibration.
      options: what was asked for.
    """
    return {
        "format_version": FORMAT_VERSION,
        "execution": "ops",
        "model": {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)},
        "data": data,
        "objective": options.objective,
        "preset": options.preset,
        "sites": [_site(plan, comparison) for plan in plans],
        "skipped_subgraphs": [{"subgraph": name, "reason": reason} for name, reason in skipped_subgraphs(original)],
        "totals": totals(plans, comparison),
        "fidelity": _fidelity(comparison),
        "arena": {
            "original_planned_bytes": plan_arena(original, scratch_bytes=no_scratch).capacity_bytes,
            "converted_planned_bytes": plan_arena(converted, scratch_bytes=no_scratch).capacity_bytes,
        },
    }


def without_paths(document: dict[str, Any]) -> dict[str, Any]:
    """The report as the model's metadata holds it."""
    model = {k: v for k, v in document["model"].items() if k not in ("path", "converted_size_bytes")}
    return {**document, "model": model}


def _site(plan: SitePlan, comparison: Comparison) -> dict[str, Any]:
    coded = comparison.site_bytes.get(plan.site.name)
    entry: dict[str, Any] = {
        "tensor": plan.site.name,
        "subgraph": plan.site.subgraph.index,
        "shape": list(plan.site.tensor.shape),
        "producer": plan.site.producer.opcode,
        "decision": "coded" if plan.coded else "skipped",
        "reason": plan.reason,
        "transform": None,
        "step": None,
        "components": None,
        "classes": None,
        "coded_with": None,
        "values": plan.values,
        "coded_bytes": None,
        "capacity_bytes": None,
        "coarsened_share": None,
        "side_information_bytes": 0,
        "bits_per_value": 8.0,
    }
    if plan.info is not None:
        quantized = plan.info.analysis is None and bool((plan.info.steps > STEP_ONE).any())
        entry |= {
            "transform": _transform(plan, quantized),
            "step": float(plan.info.steps.mean()) / STEP_ONE if quantized else None,
            "components": plan.info.components,
            "classes": len(plan.info.classes),
            "capacity_bytes": None if plan.folded else plan.capacity_bytes,
            "coded_with": plan.fold_source.site.name if plan.folded and plan.fold_source else None,
            "side_information_bytes": len(plan.info.to_bytes()),
        }
    if plan.paper is not None:
        entry |= {"step": plan.paper.step, "paper": asdict(plan.paper)}
    if plan.info is not None and plan.info.constant_level and plan.stored:
        entry["coarsened_share"] = comparison.coarsened.get(plan.site.name, 0.0)
    if plan.folded:
        entry["bits_per_value"] = 0.0
    elif coded is not None:
        entry |= {"coded_bytes": coded.to_dict(), "bits_per_value": 8 * coded.mean / plan.values}
    return entry


def _transform(plan: SitePlan, quantized: bool) -> str:
    if plan.folded or plan.rotated is not None:
        return "folded_klt"
    if plan.info is not None and plan.info.analysis is not None:
        return "klt"
    return "step" if quantized else "lossless"


def totals(plans: Sequence[SitePlan], comparison: Comparison) -> dict[str, Any]:
    """Sums over the network; bits_per_value as definitions have it: payload over all candidates' values."""
    values = sum(p.values for p in plans)
    coded_values = sum(p.values for p in plans if p.coded)
    raw_bytes = values - coded_values
    side = sum(len(p.info.to_bytes()) for p in plans if p.info is not None)
    network = comparison.network_bytes
    return {
        "feature_map_values": values,
        "coded_values": coded_values,
        "bits_per_value": 8 * (network.mean + raw_bytes) / values,
        "bits_per_value_with_side_information": 8 * (network.mean + raw_bytes + side) / values,
        "bits_per_value_p99": None if network.p99 is None else 8 * (network.p99 + raw_bytes) / values,
        "side_information_bytes": side,
        "coded_bytes": network.to_dict(),
        **_paper_totals(plans),
    }


def _paper_totals(plans: Sequence[SitePlan]) -> dict[str, Any]:
    if all(p.paper is None for p in plans):
        return {}
    values = sum(p.values for p in plans)
    measures = ("shannon_bits_per_value", "huffman_bits_per_value")
    bits = {m: sum(p.values * (8.0 if p.paper is None else getattr(p.paper, m)) for p in plans) for m in measures}
    return {"paper": {name: total / values for name, total in bits.items()}}


def _fidelity(comparison: Comparison) -> dict[str, Any]:
    fidelity, drop = comparison.fidelity, comparison.accuracy_drop
    return {
        "measure": comparison.measure,
        "source_tensor": comparison.source_tensor,
        f"{comparison.measure}_mean": fidelity.mean,
        "std_error": None if math.isnan(fidelity.std_error) else fidelity.std_error,
        "top1_agreement": comparison.top1_agreement,
        "bit_exact": comparison.bit_exact,
        "num_samples": fidelity.num_samples,
        "accuracy_drop": None if drop is None else {"mean": drop.mean, "std_error": drop.std_error},
    }
