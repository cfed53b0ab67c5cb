"""The conversion report as a document: plans and measurements in the form of `fmtc_tflite/report_schema.json`.

Bits per value and the other words are those of the README.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fmtc_tflite.coding.side_info import STEP_ONE
from fmtc_tflite.conversion.entry_points import entry_fidelities
from fmtc_tflite.conversion.map_coding import MapCoding
from fmtc_tflite.fidelity.verify import Comparison
from fmtc_tflite.graph.coded_maps import coded_maps
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.graph.operators.arithmetic import multiply_accumulates
from fmtc_tflite.graph.sites import skipped_subgraphs
from fmtc_tflite.memory.arena import no_scratch, plan_arena
from fmtc_tflite.memory.traffic import total_work
from fmtc_tflite.types import ConvertOptions


def conversion_report(
    file: ModelFile,
    converted: Model,
    codings: Sequence[MapCoding],
    comparisons: Mapping[int, Comparison],
    data: str,
    options: ConvertOptions,
) -> dict[str, Any]:
    """The report as JSON-serialisable data, without paths and without the converted file's size.

    Args:
      file: the original model.
      converted: the model with the ops inserted.
      codings: one per candidate.
      comparisons: the run on held-back samples of each entry point that is coded, by its subgraph's index.
      data: synthetic or calibration.
      options: what was asked for.
    """
    fidelities = {index: fidelity_report(comparison) for index, comparison in comparisons.items()}
    return {
        "format_version": max((c.info.version for c in codings if c.info is not None), default=1),
        "model": {"sha256": file.sha256, "size_bytes": len(file.content)},
        "data": data,
        "objective": options.objective or "traffic",
        "preset": options.preset,
        "sites": [_site(coding, comparisons.get(coding.site.subgraph.index)) for coding in codings],
        "skipped_subgraphs": [{"subgraph": name, "reason": reason} for name, reason in skipped_subgraphs(file.model)],
        "totals": totals(codings, list(comparisons.values())),
        **_kernels(codings),
        "multiply_accumulates": _multiply_accumulates(file.model, converted),
        "fidelity": next(iter(fidelities.values())),
        **entry_fidelities(file.model, fidelities),
        "arena": {
            "original_planned_bytes": plan_arena(file.model, scratch_bytes=no_scratch).capacity_bytes,
            "converted_planned_bytes": plan_arena(converted, scratch_bytes=no_scratch).capacity_bytes,
        },
    }


def _kernels(codings: Sequence[MapCoding]) -> dict[str, str | None]:
    """Whose results folded maps give; nothing where no map is folded."""
    names = [c.treated.kernels for c in codings if c.folded]
    return {"kernels": names[0]} if names else {}


def _multiply_accumulates(original: Model, converted: Model) -> dict[str, int]:
    """Of the main subgraph: what ops of the graph do before and after, and what encoders and decoders do."""
    subgraph = converted.subgraphs[0]
    return {
        "original": multiply_accumulates(original.subgraphs[0].ops),
        "converted": multiply_accumulates(subgraph.ops),
        "codec": sum(total_work(m).multiply_accumulates for m in coded_maps(subgraph)),
    }


def without_paths(document: dict[str, Any]) -> dict[str, Any]:
    """The report as the model's metadata holds it: of --refit only what has become of it."""
    if not any(own["ops"] for own in document.get("refit", [])):
        document = {k: v for k, v in document.items() if k != "refit"}
    model = {k: v for k, v in document["model"].items() if k not in ("path", "converted_size_bytes")}
    return {**document, "model": model}


def _site(coding: MapCoding, comparison: Comparison | None) -> dict[str, Any]:
    coded = None if comparison is None else comparison.site_bytes.get(coding.site.name)
    source, copy = coding.treated.fold_source, coding.treated.copy
    entry: dict[str, Any] = {
        "tensor": coding.site.name,
        "subgraph": coding.site.subgraph.index,
        "shape": list(coding.site.tensor.shape),
        "producer": coding.site.producer.opcode,
        "decision": "copy" if copy is not None else "coded" if coding.coded else "skipped",
        "reason": coding.treated.reason,
        "transform": None,
        "step": None,
        "components": None,
        "classes": None,
        "context_tables": None,
        "coded_with": None if copy is None else copy.source.name,
        "values": coding.values,
        "coded_bytes": None,
        "capacity_bytes": None,
        "coarsened_share": None,
        "side_information_bytes": 0,
        "replaced_weight_bytes": coding.replaced_weight_bytes,
        "bits_per_value": 8.0,
    }
    if coding.info is not None:
        quantized = coding.info.analysis is None and bool((coding.info.steps > STEP_ONE).any())
        entry |= {
            "transform": _transform(coding, quantized),
            "step": float(coding.info.steps.mean()) / STEP_ONE if quantized else None,
            "components": coding.info.components,
            "classes": coding.info.num_classes,
            "context_tables": 0 if coding.info.contexts is None else len(coding.info.classes),
            "capacity_bytes": None if coding.folded else coding.capacity_bytes,
            "coded_with": source.name if coding.folded and source is not None else None,
            "side_information_bytes": len(coding.info.to_bytes()),
        }
    if coding.paper is not None:
        entry |= {"step": coding.paper.step, "paper": asdict(coding.paper)}
    if comparison is not None and coding.info is not None and coding.info.constant_level and coding.stored:
        entry["coarsened_share"] = comparison.coarsened.get(coding.site.name, 0.0)
    if coding.folded or copy is not None:
        entry["bits_per_value"] = 0.0
    elif coded is not None:
        entry |= {"coded_bytes": coded.to_dict(), "bits_per_value": 8 * coded.mean / coding.values}
    return entry


def _transform(coding: MapCoding, quantized: bool) -> str:
    if coding.folded or coding.rotated is not None:
        return "folded_klt"
    if coding.info is not None and coding.info.analysis is not None:
        return "klt"
    return "step" if quantized else "lossless"


def totals(codings: Sequence[MapCoding], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Sums over the network; bits_per_value as definitions have it: payload over all candidates' values.

    Of several entry points one inference each; how their sizes vary together is nobody's measure, and null.
    """
    values = sum(c.values for c in codings)
    raw_bytes = sum(c.values for c in codings if c.treated.left_alone)
    side = sum(len(c.info.to_bytes()) for c in codings if c.info is not None)
    replaced = sum(c.replaced_weight_bytes for c in codings)
    mean = sum(comparison.network_bytes.mean for comparison in comparisons)
    network = comparisons[0].network_bytes if len(comparisons) == 1 else None
    p99 = None if network is None else network.p99
    return {
        "feature_map_values": values,
        "coded_values": values - raw_bytes,
        "bits_per_value": 8 * (mean + raw_bytes) / values,
        "bits_per_value_with_side_information": 8 * (mean + raw_bytes + side) / values,
        "bits_per_value_with_net_side_information": 8 * (mean + raw_bytes + side - replaced) / values,
        "bits_per_value_p99": None if p99 is None else 8 * (p99 + raw_bytes) / values,
        "side_information_bytes": side,
        "replaced_weight_bytes": replaced,
        "coded_bytes": None if network is None else network.to_dict(),
        **_paper_totals(codings),
    }


def _paper_totals(codings: Sequence[MapCoding]) -> dict[str, Any]:
    if all(c.paper is None for c in codings):
        return {}
    values = sum(c.values for c in codings)
    measures = ("shannon_bits_per_value", "huffman_bits_per_value")
    stored = [c for c in codings if c.treated.copy is None]
    bits = {m: sum(c.values * (8.0 if c.paper is None else getattr(c.paper, m)) for c in stored) for m in measures}
    return {"paper": {name: total / values for name, total in bits.items()}}


def fidelity_report(comparison: Comparison) -> dict[str, Any]:
    """The part `fidelity` of a report."""
    fidelity, drop = comparison.fidelity, comparison.accuracy_drop
    return {
        "measure": comparison.measure,
        "source_tensor": comparison.source_tensor,
        f"{comparison.measure}_mean": fidelity.mean,
        "std_error": None if math.isnan(fidelity.std_error) else fidelity.std_error,
        "largest_sample_share": comparison.largest_share,
        "top1_agreement": comparison.top1_agreement,
        "bit_exact": comparison.bit_exact,
        "num_samples": fidelity.num_samples,
        "accuracy_drop": None if drop is None else {"mean": drop.mean, "std_error": drop.std_error},
    }
