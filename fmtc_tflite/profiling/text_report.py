"""The profile as text and as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from fmtc_tflite.profiling.dump_text import format_dumps
from fmtc_tflite.profiling.inside_text import csv_columns, format_inside, inside_csv_row
from fmtc_tflite.rendering import distinct_names, rate_form, shorten
from fmtc_tflite.text import printable_document

_TABLE_ROWS = 16
_REGION_OPS = 8
_MICRO = 1e6  # pJ in a uJ, and bytes in a MB
_MODEL_TEXTS = {
    "as_executed": "the graph as TFLite runs it",
    "fused_codec": "the codec at the memory port",
    "fused_regions": "what is stored, rings on chip",
}


def format_profile(document: dict[str, Any]) -> str:
    """The profile as compact tables, signature by signature."""
    document = printable_document(document)
    tables = _format_signature(document)
    if "first_signature" in document:
        others = document["other_signatures"]
        tables = "\n".join([f"signature       {document['first_signature']}", tables, *map(_format_other, others)])
    return "\n".join([tables, *format_dumps(document.get("dumps", []))])


def _format_other(part: dict[str, Any]) -> str:
    name = f"\nsignature       {part['signature']}"
    if part["profile"] is None:
        return f"{name}: not profiled: {part['not_profiled']}"
    return f"{name}\n{_format_signature(part['profile'])}"


def _format_signature(document: dict[str, Any]) -> str:
    model, name = document["models"][-1], document["traffic_model"]
    lines = [_headline(model, document["data"]), *(f"note            {note}" for note in model["notes"]), ""]
    lines += _traffic_table(document) + [""] + _energy_table(document) + [""] + _rates_table(document)
    if model["coded_sizes"]["basis"] is not None or document["data"] is not None:
        lines += _scheme_table(document) + [""]
    table = format_inside(model["inside"]) if name == "fused_regions" else _map_table(model, name)
    lines += table + [""] + _arena(model["arena"]) + _regions(model["regions"])
    if document["comparison"] is not None:
        lines += ["", *_comparison(document)]
    return "\n".join(lines)


def _headline(model: dict[str, Any], data: dict[str, Any] | None) -> str:
    kind = "converted" if model["is_converted"] or model["regions"] else "not converted"
    text = f"model           {Path(model['path'] or '').name}, {kind}, {len(model['ops'])} ops, "
    text += f"{model['size_bytes']:,} bytes"
    text += _fidelity(model["fidelity"])
    sizes = model["coded_sizes"]
    if sizes["basis"] is not None:
        text += f"\ncoded sizes     {sizes['explanation']}"
        found = sizes["coded_bytes"]
        if found is not None:
            p99 = "" if found["p99"] is None else f", p99 {found['p99']:,.0f}"
            text += f"\n                all maps, bytes: mean {found['mean']:,.0f}, p50 {found['p50']:,.0f}{p99}, "
            text += f"max {found['max']:,.0f} ({found['num_samples']} samples)"
    elif data is not None:
        text += f"\ndata            {data['num_samples']} samples ({data['source']})"
    return text


def _traffic_table(document: dict[str, Any]) -> list[str]:
    with_rings = "fused_regions" in document["models"][-1]["totals"]
    names = ("maps read", "written", "weights", "side info", *(("in rings",) if with_rings else ()))
    rows = [f"{'traffic per inference, MB (modelled)':48} " + " ".join(f"{name:>10}" for name in names)]
    for model in document["models"]:
        for name, total in model["totals"].items():
            label = f"  {name}: {_MODEL_TEXTS[name]}"
            if len(document["models"]) > 1:
                label = f"  {_role(model)}, {name}"
            columns = ("feature_map_read", "feature_map_written", "weights_read", "side_information_read")
            moved = [total[column + "_bytes"] for column in columns]
            moved += [total["ring_read_bytes"] + total["ring_written_bytes"]] if name == "fused_regions" else []
            rows.append(f"{label:48} " + " ".join(f"{size / _MICRO:>10.4f}" for size in moved))
    return rows


def _role(model: dict[str, Any]) -> str:
    return "converted" if model["is_converted"] or model["regions"] else "original"


def _regions(regions: list[dict[str, Any]]) -> list[str]:
    """The ops inside regions that take most time."""
    lines = []
    for number, region in enumerate(regions):
        total = sum(op["nanoseconds"] for op in region["ops"]) or 1
        lines += [
            "",
            f"region {number:<9}{region['scratch_bytes']:,} bytes of scratch memory, {region['stored_bytes']:,} stored",
            f"  {'slowest ops':64} {'us':>9} {'share':>7} {'bytes':>11}",
        ]
        for op in sorted(region["ops"], key=lambda op: -op["nanoseconds"])[:_REGION_OPS]:
            lines.append(
                f"  {op['op']:24}{shorten(op['tensor'], 40):40} {op['nanoseconds'] / 1000:>9.1f} "
                f"{100 * op['nanoseconds'] / total:>6.1f}% {op['written_bytes']:>11,}"
            )
    return lines


def _energy_table(document: dict[str, Any]) -> list[str]:
    system, included = document["memory_system"], document["codec_cost_included"]
    head = f"energy per inference, uJ (estimated: {system['name']})"
    with_rings = any("rings_pj" in t["energy"] for model in document["models"] for t in model["totals"].values())
    rings_head = f" {'rings':>10}" if with_rings else ""
    rows = [f"{head:48} {'maps':>10} {'weights':>10}{rings_head} {'codec':>10} {'total':>10}"]
    for model in document["models"]:
        for name, total_of in model["totals"].items():
            energy = total_of["energy"]
            rings = f" {energy.get('rings_pj', 0.0) / _MICRO:>10.2f}" if with_rings else ""
            prefix = "" if len(document["models"]) == 1 else f"{_role(model)}, "
            weights = "-" if energy["weights_pj"] is None else f"{energy['weights_pj'] / _MICRO:.2f}"
            total = energy["total_pj" if included else "total_without_codec_pj"]
            rows.append(
                f"{'  ' + prefix + name:48} {energy['feature_maps_pj'] / _MICRO:>10.2f} {weights:>10}{rings} "
                f"{energy['codec']['total_pj'] / _MICRO:>10.2f} {total / _MICRO:>10.2f}"
            )
    rows += [_multiply_accumulates(model) for model in document["models"]]
    rows.append("  " + ("" if system["weights"] else "weights are not counted by this memory system; ") + (
        "totals include the codec's own cost" if included else "totals leave the codec's own cost out"
    ))  # fmt: skip
    return rows


def _rates_table(document: dict[str, Any]) -> list[str]:
    """Traffic as a stream, where a rate is given."""
    if "rates" not in document:
        return []
    rates = document["rates"]
    rate = rates["inferences_per_second"]
    head = f"rates at {rate:{rate_form(rate)}} inferences/s"
    if rates["clock_hz"] is not None:
        head += f" ({rates['clock_hz'] / _MICRO:,.4g} MHz, {rates['macs_per_cycle']} MACs a cycle)"
    rows = [f"{head:48} {'GB/s':>10} {'GMAC/s':>10} {'bytes/MAC':>10} {'memory, mW':>10}"]
    for model in document["models"]:
        for name, total in model["totals"].items():
            prefix, own = "" if len(document["models"]) == 1 else f"{_role(model)}, ", total["rates"]
            per_mac = (
                "-" if own["bytes_per_multiply_accumulate"] is None else (f"{own['bytes_per_multiply_accumulate']:.4f}")
            )
            rows.append(
                f"{'  ' + prefix + name:48} {own['bytes_per_second'] / 1e9:>10.4f} "
                f"{own['multiply_accumulates_per_second'] / 1e9:>10.4f} {per_mac:>10} {1e3 * own['watts']:>10.3f}"
            )
    return [*rows, ""]


def _fidelity(found: dict[str, Any] | None) -> str:
    """What was lost, as the converter measured it."""
    if found is None:
        return ""
    on = f"{found['num_samples']:,} held-back samples when it was converted"
    if found["bit_exact"] or found["measure"] is None:
        return f"\nfidelity        bit-exact on {on}"
    error = "" if found["std_error"] is None else f" +- {found['std_error']:.2g}"
    same = "" if found["top1_agreement"] is None else f", same top-1 on {100 * found['top1_agreement']:.1f} %"
    measure = {"kl": "KL, nats"}.get(found["measure"], found["measure"].replace("_", " "))
    return f"\nfidelity        {measure}: {found['mean']:.3g}{error}{same}, {on}"


def _multiply_accumulates(model: dict[str, Any]) -> str:
    """Where a model's multiply-adds are done; those of the codec are part of its cost."""
    total = next(reversed(model["totals"].values()))
    codec = total["codec_multiply_accumulates"]
    own = f"  multiply-adds, millions: {total['graph_multiply_accumulates'] / _MICRO:,.2f} by ops of the graph"
    if not codec:
        return own
    return f"{own}, {codec / _MICRO:,.2f} by the codec ({total['energy']['codec']['transform_pj'] / _MICRO:,.2f} uJ)"


def _scheme_table(document: dict[str, Any]) -> list[str]:
    head = "schemes on the same maps (fused_codec)"
    rows = [f"{head:48} {'bits/value':>10} {'maps, uJ':>10} {'saved':>10} {'with codec':>10}"]
    for scheme in document["schemes"]:
        bits = "-" if scheme["bits_per_value"] is None else f"{scheme['bits_per_value']:.3f}"
        saved, with_cost = (
            f"{100 * scheme[key]:.1f} %"
            for key in ("feature_map_energy_saved", "feature_map_energy_saved_with_codec_cost")
        )
        ours = scheme["scheme"] == "fmtc"
        rows.append(
            f"{'  ' + scheme['scheme']:48} {bits:>10} {scheme['energy']['feature_maps_pj'] / _MICRO:>10.2f} "
            f"{saved:>10} {with_cost if ours else '-':>10}"
        )
        if scheme["scheme"] == "paper":
            rows.append(f"    lossy: {scheme['description'].rpartition('; ')[2]}")
    return rows


def _map_table(model: dict[str, Any], traffic_model: str) -> list[str]:
    if traffic_model == "as_executed":
        return _op_table(model)
    maps = sorted(model["feature_maps"], key=lambda m: -m["raw"]["energy_pj"])
    head = "largest feature maps (fused_codec)"
    columns = f"{'transform':>10} {'raw bytes':>11} {'coded mean':>11} {'bits/value':>10} {'level':>8} {'uJ':>9}"
    rows = [f"{head:44} {'op':>4} {'shape':>15} {columns}"]
    writers = {name: op["index"] for op in model["ops"] for name in op["outputs"]}
    names = distinct_names([row["tensor"] for row in maps], 42)
    for name, row in zip(names[:_TABLE_ROWS], maps, strict=False):
        coded = (
            "folded"
            if row["is_folded"]
            else "-"
            if row["coded_bytes"] is None
            else f"{row['coded_bytes']['mean']:,.0f}"
        )
        bits = "-" if row["bits_per_value"] is None else f"{row['bits_per_value']:.3f}"
        fused, shape = row["fused_codec"], "x".join(map(str, row["shape"]))
        rows.append(
            f"{'  ' + name:44} {writers.get(row['tensor'], '-'):>4} {shape:>15} {row['transform'] or '-':>10} "
            f"{row['raw_bytes']:>11,} {coded:>11} {bits:>10} {fused['level']:>8} {fused['energy_pj'] / _MICRO:>9.2f}"
        )
    return rows + _and_more(len(maps))


def _op_table(model: dict[str, Any]) -> list[str]:
    ops = sorted(model["ops"], key=lambda op: -op["as_executed"]["energy"]["total_pj"])
    head = "ops with the most energy (as_executed)"
    rows = [f"{head:44} {'op':>25} {'read bytes':>12} {'written':>12} {'weights':>12} {'uJ':>9}"]
    names = distinct_names([", ".join(op["outputs"]) for op in ops], 42)
    for name, op in zip(names[:_TABLE_ROWS], ops, strict=False):
        moved = op["as_executed"]
        rows.append(
            f"{'  ' + name:44} {op['index']:>4} {op['opcode'][:20]:>20} "
            f"{moved['feature_map_read_bytes']:>12,.0f} {moved['feature_map_written_bytes']:>12,.0f} "
            f"{moved['weights_read_bytes']:>12,.0f} {moved['energy']['total_pj'] / _MICRO:>9.2f}"
        )
    return rows + _and_more(len(ops))


def _and_more(count: int) -> list[str]:
    return [f"  ... and {count - _TABLE_ROWS} smaller ones; --json has all of them"] if count > _TABLE_ROWS else []


def _arena(arena: dict[str, Any]) -> list[str]:
    planned = (
        f"{arena['planned_bytes']:,} bytes planned, {arena['planned_with_kernel_scratch_bytes']:,} with kernel scratch"
    )
    if arena["live_extent_bytes"] is None:
        live = f"not measured: {arena['live_unavailable']}"
    else:
        live = f"{arena['live_extent_bytes']:,} bytes (measured, {arena['live_runtime']}, built-in kernels)"
    peak = arena["peak"]
    lines = [f"arena           {planned}", f"live arena      {live}"]
    if arena["difference_explained"]:
        lines.append(f"                {arena['difference_explained']}")
    lines.append(f"peak            op {peak['op_index']} {peak['opcode']}, {peak['live_bytes']:,} bytes live:")
    lines += [f"  {holder['size_bytes']:>12,}  {shorten(holder['tensor'], 100)}" for holder in peak["holders"][:4]]
    return lines


def _comparison(document: dict[str, Any]) -> list[str]:
    comparison = document["comparison"]
    rows = [f"original and converted: {comparison['recognised_by']}"]
    head = "saved by conversion"
    rows.append(f"{head:48} {'map bytes':>10} {'map energy':>10} {'with codec':>10} {'all energy':>10}")
    for name in _MODEL_TEXTS:
        if name not in comparison:
            continue
        found = comparison[name]
        keys = (
            "feature_map_bytes_saved",
            "feature_map_energy_saved",
            "feature_map_energy_saved_with_codec_cost",
            "total_energy_saved" if document["codec_cost_included"] else "total_energy_saved_without_codec_cost",
        )
        rows.append(f"{'  ' + name:48} " + " ".join(f"{100 * found[key]:>8.1f} %" for key in keys))
    rows.append(f"{'  planned arena':48} {100 * comparison['planned_arena_bytes_saved']:>8.1f} %")
    return rows


def profile_csv(document: dict[str, Any]) -> str:
    """A line for each op of the profiled model: traffic and energy in both models, and the size of what it writes.

    In fused_regions, a line for each op of the original in the order in which they run.
    """
    document = printable_document(document)
    model = document["models"][-1]
    if document["traffic_model"] == "fused_regions":
        rows = [inside_csv_row(op) for op in model["inside"]["ops"]]
    else:
        maps = {m["tensor"]: m for m in model["feature_maps"]}
        rows = [_csv_row(op, maps) for op in model["ops"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["op_index"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _csv_row(op: dict[str, Any], maps: dict[str, Any]) -> dict[str, Any]:
    output = op["outputs"][0] if op["outputs"] else ""
    written = maps.get(output)
    coded = (written["coded_bytes"] if written else None) or {}
    row: dict[str, Any] = {"op_index": op["index"], "opcode": op["opcode"], "output": output}
    row |= {
        "arena_live_bytes": op["live_bytes"],
        "output_raw_bytes": written["raw_bytes"] if written else None,
        **{f"output_coded_{key}_bytes": coded.get(key) for key in ("mean", "p50", "p99", "max")},
        "output_bits_per_value": written["bits_per_value"] if written else None,
    }
    return row | csv_columns("as_executed", op) | csv_columns("fused_codec", op)
