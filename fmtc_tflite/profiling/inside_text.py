"""What is inside regions as text and as lines of CSV."""

from __future__ import annotations

from typing import Any

from fmtc_tflite.rendering import distinct_names

_TABLE_ROWS = 24
_MICRO = 1e6  # pJ in a uJ
_FORMS = {"none": "renamed"}


def format_inside(inside: dict[str, Any]) -> list[str]:
    """The original's ops as they run, those whose results take most memory, and what all come to."""
    bits = inside["bits_per_value"]
    ops = sorted(enumerate(inside["ops"]), key=lambda each: (-_kept_bytes(each[1]), each[0]))
    shown = sorted(ops[:_TABLE_ROWS], key=lambda each: each[0])
    head = "ops of the original, largest results"
    names = distinct_names([", ".join(op["outputs"]) for op in inside["ops"]], 38)
    rows = [
        f"stored whole    {inside['stored_bytes']:,.0f} bytes of the original's {inside['original_values']:,} values"
        + ("" if bits is None else f", {bits:.3f} bits per original value"),
        *_shares(inside),
        "",
        f"{head:40} {'op':>4} {'':20} {'stage':>6} {'is a':>7} {'rows':>9} {'memory':>10} {'live':>11}",
    ]
    for number, op in shown:
        stage = "-" if op["region"] is None else f"{op['region']}.{op['stage']}"
        held = f"{op['rows']}/{op['height']}" if op["rows"] else "-"
        rows.append(
            f"{'  ' + names[number]:40} {op['index']:>4} {op['opcode'][:20]:20} {stage:>6} "
            f"{_FORMS.get(op['form'], op['form']):>7} {held:>9} {_kept_bytes(op):>10,.0f} {op['live_bytes']:>11,}"
        )
    left = len(ops) - len(shown)
    return rows + ([f"  ... and {left} smaller ones; --csv and --json have all of them"] if left else [])


def _shares(inside: dict[str, Any]) -> list[str]:
    if inside["stored_share"] is None:
        return []
    coded, raw = inside["stored_bytes"], inside["raw_stored_bytes"]
    line = f"                {100 * inside['stored_share']:.2f} % of all feature-map bytes"
    return [line + (f"; without coding {raw:,.0f} bytes" if raw != coded else "")]


def _kept_bytes(op: dict[str, Any]) -> float:
    """Of a result: its rows in scratch memory, or all of it."""
    return float(op["memory_bytes"] or op["fused_regions"]["feature_map_written_bytes"])


def inside_csv_row(op: dict[str, Any]) -> dict[str, Any]:
    """Of an op of the original."""
    keys = ("region", "stage", "form", "rows", "height", "memory_bytes")
    return {
        "op_index": op["index"],
        "opcode": op["opcode"],
        "output": op["outputs"][0] if op["outputs"] else "",
        **{key: op[key] for key in keys},
        "arena_live_bytes": op["live_bytes"],
        **csv_columns("fused_regions", op),
    }


def csv_columns(traffic_model: str, op: dict[str, Any]) -> dict[str, Any]:
    """Traffic and energy of an op in one of the models."""
    moved: dict[str, Any] = dict(op[traffic_model])
    energy = moved.pop("energy")
    row = {f"{traffic_model}_{key}": value for key, value in moved.items()}
    return row | {
        f"{traffic_model}_feature_maps_pj": energy["feature_maps_pj"],
        f"{traffic_model}_weights_pj": energy["weights_pj"],
        f"{traffic_model}_codec_pj": energy["codec"]["total_pj"],
        f"{traffic_model}_total_pj": energy["total_pj"],
    }
