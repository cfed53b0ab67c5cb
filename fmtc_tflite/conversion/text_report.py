"""A conversion's report as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fmtc_tflite.conversion.entry_points import fidelity_lines, of_first_subgraph
from fmtc_tflite.rendering import distinct_names
from fmtc_tflite.text import printable_document

_TABLE_ROWS = 24
_NAME_WIDTH = 44


def format_report(document: dict[str, Any], op_labels: Sequence[str], all_rows: bool = False) -> str:
    """The report as a compact table: the largest feature maps, then the network.

    Args:
      op_labels: what selects the op that writes each of the report's sites.
      all_rows: show all feature maps, in the order of execution.
    """
    document = printable_document(document)
    names = distinct_names([site["tensor"] for site in document["sites"]], _NAME_WIDTH)
    rows = list(zip(op_labels, names, document["sites"], strict=True))
    if not all_rows:
        rows = sorted(rows, key=lambda row: -row[2]["values"])
    shown = rows if all_rows else rows[:_TABLE_ROWS]
    columns = f"{'shape':>13} {'transform':>10} {'step':>6} {'bits/value':>10}"
    lines = [f"{'op':>4} {'type':17} {'feature map':{_NAME_WIDTH}} {columns}"]
    lines += [_row(*row) for row in shown]
    if len(rows) > len(shown):
        lines.append(f"... and {len(rows) - len(shown)} smaller ones; --dry_run lists all, as does the JSON report")
    return "\n".join([*lines, "", *_summary(document)])


def _row(label: str, name: str, site: dict[str, Any]) -> str:
    shape = "x".join(map(str, site["shape"]))
    step = "" if site["step"] is None else f"{site['step']:.2f}"
    transform = site["transform"] or ("copy" if site["decision"] == "copy" else "skipped")
    return (
        f"{label:>4} {site['producer'][:17]:17} {name:{_NAME_WIDTH}} {shape:>13} {transform:>10} "
        f"{step:>6} {site['bits_per_value']:>10.3f}"
    )


def _summary(document: dict[str, Any]) -> list[str]:
    total, arena = document["totals"], document["arena"]
    coded, copies = (sum(s["decision"] == kind for s in document["sites"]) for kind in ("coded", "copy"))
    reasons = Counter(s["reason"] for s in document["sites"] if s["reason"])
    skipped = [f"  skipped {count:3}   {reason}" for reason, count in reasons.items()]
    coded_line = f"{coded} of {len(document['sites'])} feature maps, {total['coded_values']:,} of "
    planned = f"{arena['original_planned_bytes']:,} -> {arena['converted_planned_bytes']:,} bytes"
    paper = [_paper_text(total["paper"])] if "paper" in total else []
    return [
        f"coded           {coded_line}{total['feature_map_values']:,} values",
        *([f"  copies  {copies:3}   only say another feature map or an input again: stored nowhere"] if copies else []),
        *skipped,
        *_contexts(document["sites"]),
        f"bits per value  {total['bits_per_value']:.3f} of 8 ({_side_information(total)}, once per inference)",
        *_multiply_accumulates(document["multiply_accumulates"]),
        *([f"folded maps     as {document['kernels']} kernels compute them"] if "kernels" in document else []),
        *paper,
        *fidelity_lines(document, fidelity_text),
        *[_refit_text(own) for own in document.get("refit", [])],
        f"planned arena   {planned}{of_first_subgraph(document)}",
    ]


def _contexts(sites: list[dict[str, Any]]) -> list[str]:
    stored = [site for site in sites if site["coded_bytes"] is not None]
    used = sum(bool(site["context_tables"]) for site in stored)
    return [f"contexts        {used} of the {len(stored)} maps that are stored"] if used else []


def _side_information(total: dict[str, Any]) -> str:
    everything, replaced = total["side_information_bytes"], total["replaced_weight_bytes"]
    text = f"{total['bits_per_value_with_side_information']:.3f} with {everything:,} bytes of side information"
    if not replaced:
        return text
    net = f"{total['bits_per_value_with_net_side_information']:.3f} with {everything - replaced:,} bytes"
    return (
        f"{net} of side information beside the weights that left the graph, {text.replace(' of side', ' of all side')}"
    )


def _multiply_accumulates(macs: dict[str, int]) -> list[str]:
    if not macs["codec"]:
        return []
    return [
        f"multiply-adds   {macs['original']:,} -> {macs['converted']:,} in the graph and {macs['codec']:,} in the codec"
    ]


def _paper_text(bits: dict[str, float]) -> str:
    shannon, huffman = bits["shannon_bits_per_value"], bits["huffman_bits_per_value"]
    return f"paper's count   {huffman:.3f} Huffman code, {shannon:.3f} Shannon entropy, no tables or headers"


def _refit_text(refit: dict[str, Any]) -> str:
    before, after, count = refit["divergence_before"], refit["divergence_after"], len(refit["ops"])
    measured = "" if after is None else f": divergence {before:.4g} -> {after:.4g} on held-back samples"
    gain = refit["cross_validated_gain"]
    if gain is not None:
        measured += f", {-gain['mean']:+.2g} +- {gain['std_error']:.2g} in cross-validation"
    if not count:
        return f"refit           all weights are the original's, since no others did better{measured}"
    alone = f"{count} of {count + len(refit['left_alone'])} convolutions that read lossy maps"
    return f"refit           {alone}{measured}; --restore does not give the original back"


def fidelity_text(fidelity: dict[str, Any]) -> str:
    """A report's fidelity, of one entry point."""
    if fidelity["bit_exact"]:
        return f"bit-exact on {fidelity['num_samples']} held-back samples"
    names = {"kl": "KL", "disagreement": "disagreement", "relative_mse": "relative MSE"}
    unit = " nats" if fidelity["measure"] == "kl" else ""
    error = "" if fidelity["std_error"] is None else f" +- {fidelity['std_error']:.2g}"
    text = f"{names[fidelity['measure']]} {fidelity[fidelity['measure'] + '_mean']:.4g}{error}{unit}"
    if fidelity["top1_agreement"] is not None:
        text += f", same top-1 on {100 * fidelity['top1_agreement']:.1f} %"
    share = fidelity["largest_sample_share"]
    largest = "" if share is None else f", the largest with {100 * share:.0f} % of it"
    return f"{text}, {fidelity['num_samples']} held-back samples{largest}"
