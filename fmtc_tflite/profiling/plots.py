"""Pictures of a profile as PNG files, with matplotlib (the extra `plots`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fmtc_tflite.rendering import new_figure, png_bytes
from fmtc_tflite.text import printable_document

PICTURES = ("arena.png", "traffic.png", "energy.png")

_MEGA = 1e6
_NOTHING = {"read_bytes": 0, "written_bytes": 0}
_COLOURS = {"feature_map": "#1f77a8", "coded": "#0e8f7e", "decoded": "#d98b2b", "raw": "#b9c4d0"}
_FORM_COLOURS = {"tensor": "#1f77a8", "cut": "#0e8f7e", "ring": "#e0a23c", "working": "#b9c4d0"}
_ENERGY_COLOURS = {"feature maps": "#1f77a8", "weights": "#8a94a3", "codec": "#c2528b", "rings": "#e0a23c"}


def draw(document: dict[str, Any]) -> dict[str, bytes]:
    """PNG content of each of PICTURES."""
    document = printable_document(document)
    figures = (_arena(document), _traffic(document), _energy(document))
    return {name: png_bytes(figure) for name, figure in zip(PICTURES, figures, strict=True)}


def _name(model: dict[str, Any]) -> str:
    return Path(model["path"] or "model").name


def _arena(document: dict[str, Any]) -> Any:
    """Tensors over the ops at their place in the planned arena, one picture below the other."""
    models = document["models"]
    if "inside" in models[-1]:
        return _inside(models[-1])
    figure = new_figure(11, 3.2 * len(models))
    for i, model in enumerate(models):
        axes = figure.add_subplot(len(models), 1, i + 1)
        for role in ("feature_map", "coded", "decoded"):
            tensors = [t for t in model["tensors"] if t["role"] == role and t["size_bytes"]]
            if tensors:
                axes.bar(
                    [t["first_op"] for t in tensors],
                    [t["size_bytes"] / _MEGA for t in tensors],
                    width=[t["last_op"] - t["first_op"] + 1 for t in tensors],
                    bottom=[t["offset_bytes"] / _MEGA for t in tensors],
                    align="edge",
                    color=_COLOURS[role],
                    edgecolor="white",
                    linewidth=0.4,
                    label=role.replace("_", " "),
                )
        live = [op["live_bytes"] / _MEGA for op in model["ops"]]
        axes.stairs(live, range(len(live) + 1), color="black", linewidth=1, label="live")
        axes.set_title(_name(model), parse_math=False)
        axes.set(ylabel="planned arena, MB", xlim=(0, max(len(live), 1)))
        axes.legend(loc="upper right")
    axes.set_xlabel("ops in execution order")
    return figure


def _inside(model: dict[str, Any]) -> Any:
    """The original's arena, and below it on the same scale that of the model with what is inside its regions."""
    inside = model["inside"]
    original = inside["original_arena"]
    tensors = [{**tensor, "form": "tensor"} for tensor in original["tensors"]]
    pictures = (
        ("original", original["planned_bytes"], tensors, original["ops"]),
        (_name(model), model["arena"]["planned_bytes"], inside["memory"], inside["ops"]),
    )
    figure = new_figure(11, 6.4)
    shared = None
    for i, (name, planned, bands, ops) in enumerate(pictures):
        axes = figure.add_subplot(2, 1, i + 1, sharey=shared)
        shared = axes
        for form, colour in _FORM_COLOURS.items():
            own = [band for band in bands if band["form"] == form and band["size_bytes"]]
            if own:
                axes.bar(
                    [band["first_op"] for band in own],
                    [band["size_bytes"] / _MEGA for band in own],
                    width=[band["last_op"] - band["first_op"] + 1 for band in own],
                    bottom=[band["offset_bytes"] / _MEGA for band in own],
                    align="edge",
                    color=colour,
                    edgecolor="white",
                    linewidth=0.4,
                    label=form,
                )
        live = [op["live_bytes"] / _MEGA for op in ops]
        axes.stairs(live, range(len(live) + 1), color="black", linewidth=1, label="live")
        axes.set_title(
            f"{name}: {planned:,} bytes planned, {max(live, default=0):.4g} MB live at most", parse_math=False
        )
        axes.set(ylabel="planned arena, MB", xlim=(0, max(len(live), 1)))
        axes.legend(loc="upper right")
    axes.set_xlabel("the original's ops in execution order")
    return figure


def _traffic(document: dict[str, Any]) -> Any:
    """What each feature map moves, read and written together: raw behind, coded in front."""
    model = document["models"][-1]
    if document["traffic_model"] == "fused_regions":
        maps = model["inside"]["feature_maps"]
        shown_as = [("raw", "in the original"), ("fused_regions", "stored (fused_regions)")]
    else:
        maps = model["feature_maps"]
        shown_as = [("raw", "raw"), ("fused_codec", "coded (fused_codec)")][: 1 + model["is_converted"]]
    figure = new_figure(11, 3.6)
    axes = figure.add_subplot()
    for key, label in shown_as:
        shown = [m[key] if key == "raw" or m.get("is_coded", True) else _NOTHING for m in maps]
        moved = [(sums["read_bytes"] + sums["written_bytes"]) / _MEGA for sums in shown]
        axes.bar(range(len(maps)), moved, color=_COLOURS["raw" if key == "raw" else "coded"], label=label)
    axes.set_title(_name(model), parse_math=False)
    axes.set(xlabel="feature maps in execution order", ylabel="read and written, MB (modelled)")
    axes.legend(loc="upper right")
    return figure


def _energy(document: dict[str, Any]) -> Any:
    """Stacked bars of energy, for each model and traffic model."""
    models = document["models"]
    kinds = ["original, ", "converted, "] if len(models) > 1 else [""]
    rows = [
        (kind + name, model["totals"][name]["energy"])
        for kind, model in zip(kinds, models, strict=True)
        for name in model["totals"]
    ]
    parts = {
        "feature maps": [energy["feature_maps_pj"] / _MEGA for _, energy in rows],
        "weights": [(energy["weights_pj"] or 0.0) / _MEGA for _, energy in rows],
        "codec": [energy["codec"]["total_pj"] / _MEGA for _, energy in rows],
    }
    if any("rings_pj" in energy for _, energy in rows):
        parts["rings"] = [energy.get("rings_pj", 0.0) / _MEGA for _, energy in rows]
    if not document["codec_cost_included"]:
        del parts["codec"]
    figure = new_figure(9, 1.5 + 0.5 * len(rows))
    axes = figure.add_subplot()
    ends = [0.0] * len(rows)
    for part, values in parts.items():
        axes.barh([name for name, _ in rows], values, left=ends, color=_ENERGY_COLOURS[part], label=part)
        ends = [end + value for end, value in zip(ends, values, strict=True)]
    axes.invert_yaxis()
    axes.set_title(f"{_name(models[-1])}, {document['memory_system']['name']}", parse_math=False)
    axes.set(xlabel="energy, µJ (estimated)")
    figure.legend(loc="outside lower center", ncols=len(parts))
    return figure
