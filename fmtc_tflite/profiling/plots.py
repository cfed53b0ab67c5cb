"""Pictures of a profile as PNG files, with matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fmtc_tflite.profiling.charts import byte_unit
from fmtc_tflite.rendering import new_figure, png_bytes
from fmtc_tflite.text import printable_document

PICTURES = ("arena.png", "traffic.png", "energy.png")

_MEGA = 1e6
_LABELLED = 5
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
    """Tensors over the original's ops at their place in the planned arena, one picture below the other."""
    models = document["models"]
    if "inside" in models[-1]:
        return _inside(models[-1])
    pictures = []
    for model in models:
        at = [op["original_op"] for op in model["ops"]]
        bands = [
            {**t, "form": t["role"], "first_op": at[t["first_op"]], "last_op": at[t["last_op"]]}
            for t in model["tensors"]
            if at
        ]
        live: dict[int, int] = {}
        for op in model["ops"]:
            live[op["original_op"]] = max(live.get(op["original_op"], 0), op["live_bytes"])
        pictures.append((_name(model), model["arena"]["planned_bytes"], bands, live))
    return _arenas(pictures, _COLOURS)


def _arenas(
    pictures: Sequence[tuple[str, int, Sequence[dict[str, Any]], dict[int, int]]], colours: dict[str, str]
) -> Any:
    """Arenas on one scale.

    Args:
      pictures: name, planned bytes, tensors, and live bytes by op of the original.
      colours: of the forms that tensors have.
    """
    figure, shared = new_figure(11, 3.2 * len(pictures)), None
    unit, factor = byte_unit(max(planned for _, planned, _, _ in pictures))
    ops = 1 + max((op for *_, live in pictures for op in live), default=0)
    for i, (name, planned, bands, live) in enumerate(pictures):
        shared = axes = figure.add_subplot(len(pictures), 1, i + 1, sharey=shared)
        for form, colour in colours.items():
            own = [band for band in bands if band["form"] == form and band["size_bytes"]]
            if own:
                axes.bar(
                    [band["first_op"] for band in own],
                    [band["size_bytes"] / factor for band in own],
                    width=[band["last_op"] - band["first_op"] + 1 for band in own],
                    bottom=[band["offset_bytes"] / factor for band in own],
                    align="edge",
                    color=colour,
                    edgecolor="white",
                    linewidth=0.4,
                    label=form.replace("_", " "),
                )
        lives, before = list[float](), 0.0
        for op in range(ops):
            before = live.get(op, before * factor) / factor
            lives.append(before)
        axes.stairs(lives, range(len(lives) + 1), color="black", linewidth=1, label="live")
        most = max(live.values(), default=0)
        axes.set_title(f"Arena of {name}: {planned:,} bytes planned, {most:,} live at most", parse_math=False)
        axes.set(ylabel=f"planned arena, {unit}", xlim=(0, ops))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="upper right")
    axes.set_xlabel("the original's ops in execution order")
    return figure


def _inside(model: dict[str, Any]) -> Any:
    """The original's arena, and below it on the same scale that of the model with what is inside its regions."""
    inside = model["inside"]
    original = inside["original_arena"]
    tensors = [{**tensor, "form": "tensor"} for tensor in original["tensors"]]
    pictures = [
        (name, planned, bands, {i: op["live_bytes"] for i, op in enumerate(ops)})
        for name, planned, bands, ops in (
            ("the original", original["planned_bytes"], tensors, original["ops"]),
            (_name(model), model["arena"]["planned_bytes"], inside["memory"], inside["ops"]),
        )
    ]
    return _arenas(pictures, _FORM_COLOURS)


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
    moved = {
        label: [_moved(m[key] if key == "raw" or m.get("is_coded", True) else _NOTHING) for m in maps]
        for key, label in shown_as
    }
    unit, factor = byte_unit(max((size for sizes in moved.values() for size in sizes), default=0))
    for (key, _), (label, sizes) in zip(shown_as, moved.items(), strict=True):
        bars = axes.bar(
            range(len(maps)),
            [size / factor for size in sizes],
            color=_COLOURS["raw" if key == "raw" else "coded"],
            label=f"{label}: {sum(_moved(m[key]) for m in maps):,.0f} bytes in all",
        )
        largest = sorted(range(len(maps)), key=lambda i: -_moved(maps[i]["raw"]))[:_LABELLED]
        if key == "raw":
            axes.bar_label(bars, [f"{sizes[i] / factor:.3g}" if i in largest else "" for i in range(len(maps))])
    axes.set_title(f"Traffic of each feature map, {_name(model)}", parse_math=False)
    axes.set(xlabel="feature maps in execution order", ylabel=f"read and written, {unit} (modelled)")
    axes.legend(loc="upper right")
    axes.margins(y=0.12)
    return figure


def _moved(sums: dict[str, Any]) -> float:
    return float(sums["read_bytes"] + sums["written_bytes"])


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
    for i, end in enumerate(ends):
        axes.annotate(f"{end:,.4g}", (end, i), xytext=(4, 0), textcoords="offset points", va="center")
    axes.margins(x=0.1)
    axes.invert_yaxis()
    title = f"Memory energy of an inference, {_name(models[-1])}, {document['memory_system']['name']}"
    axes.set_title(title, parse_math=False)
    axes.set(xlabel="energy, µJ (estimated)")
    figure.legend(loc="outside lower center", ncols=len(parts))
    return figure
